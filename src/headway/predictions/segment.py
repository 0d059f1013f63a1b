"""The bytes of the prediction log: ids, segment files, frames, summaries.

The file hides the layout. A log is a folder of segments, each written by one process and only ever appended to::

    00002a.log       header | frame | frame | ...
    00002a.summary   once it is closed: how much is in it and of when (a cache; JSON)
    lock             held for the instant in which a segment gets its number

    header   "HWPL" | version u16 | size of the header u16 | number u32 | salt 16 bytes | crc32 of these u32
    frame    marker u32 | length u32 | crc32 u32 | payload: one Prediction, MessagePack

All integers are little-endian. The marker follows from the segment's number, and the checksum starts from the
frame's offset: a frame is valid in one place alone, and where bytes are damaged the next good frame is found again
without trusting a length. The writer of a segment holds an exclusive ``flock`` on it, so that whoever wants to know
whether more may come asks the kernel and not a process number.

An id *is* the place: ``<segment>-<offset>-<check>`` in lower-case hexadecimal of fixed width, such as
``00002a-3fa20c0-9c41e07b``. No index is needed, however many predictions there are, and ids of one segment sort in
the order in which they were given. The check is a keyed hash of the offset under the segment's salt: it tells a
mistyped id (not found) from a damaged record (corrupt), and makes ids hard to guess.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import struct
import threading
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from headway.errors import NO_ROOM, HeadwayError, NotFound, StoreCorrupt, StoreError, StoreFull, StoreTooNew

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "FRAME_BYTES",
    "HEADER_BYTES",
    "MAX_OFFSET",
    "MAX_PAYLOAD_BYTES",
    "Damage",
    "Frame",
    "Header",
    "Place",
    "Summary",
    "erased",
    "frame_at",
    "frame_bytes",
    "is_erased",
    "may_grow",
    "numbers",
    "parse_id",
    "read_header",
    "read_summary",
    "segment_path",
    "store_error",
    "walk",
    "write_summary",
]

VERSION = 1
MAX_OFFSET = 16**7
MAX_PAYLOAD_BYTES = 16 * 2**20

_MAGIC = b"HWPL"
_HEADER = struct.Struct("<4sHHI16s")
_U32 = struct.Struct("<I")
_FRAME = struct.Struct("<III")
HEADER_BYTES = _HEADER.size + _U32.size
FRAME_BYTES = _FRAME.size

# MessagePack of a mapping with one entry, "erased", whose value fills the rest: what a record becomes.
_ERASED = b"\x81\xa6erased\xc6"

_ID = re.compile(r"([0-9a-f]{6})-([0-9a-f]{7})-([0-9a-f]{8})")
_NAME = re.compile(r"([0-9a-f]{6})\.log")


class Place(NamedTuple):
    """Where a record starts, and the check that its id carries."""

    number: int
    offset: int
    check: str


class Frame(NamedTuple):
    """One valid record of a segment: where it starts and ends, and its bytes."""

    offset: int
    end: int
    payload: memoryview


class Damage(NamedTuple):
    """Bytes of a segment that hold no valid record."""

    file: str
    offset: int
    length: int

    def as_error(self) -> StoreCorrupt:
        """Return the error that names the place."""
        return StoreCorrupt(
            f"{self.length} bytes of the prediction log are damaged.",
            where=f"{self.file}, offset {self.offset}",
            hint="Restore the file from a copy, or read on with skip_corrupt=True: all other records are intact.",
        )


@dataclass(frozen=True)
class Header:
    """What all records of one segment share. Not slotted, so that what follows from it is computed once."""

    number: int
    salt: bytes

    @cached_property
    def marker(self) -> int:
        """The first word of each frame here; it follows from the number alone, so that a lost header loses no frame."""
        return zlib.crc32(b"headway prediction frame %06x" % self.number)

    @cached_property
    def prefix(self) -> str:
        """What the ids of this segment start with."""
        return f"{self.number:06x}-"

    def check(self, offset: int) -> str:
        """Return the check of the id at ``offset``."""
        return hashlib.blake2b(offset.to_bytes(8, "little"), digest_size=4, key=self.salt).hexdigest()

    def id_at(self, offset: int) -> str:
        """Return the id of the record that starts at ``offset``."""
        return f"{self.prefix}{offset:07x}-{self.check(offset)}"

    def seal(self, frame: bytearray, *, offset: int) -> None:
        """Fill in the head of ``frame``, whose payload stands behind ``FRAME_BYTES`` already."""
        length = len(frame) - FRAME_BYTES
        with memoryview(frame) as view:
            checksum = zlib.crc32(view[FRAME_BYTES:], offset)
        _FRAME.pack_into(frame, 0, self.marker, length, checksum)

    def to_bytes(self) -> bytes:
        """Return the header as it stands in the file."""
        fields = _HEADER.pack(_MAGIC, VERSION, HEADER_BYTES, self.number, self.salt)
        return fields + _U32.pack(zlib.crc32(fields))


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a closed segment holds; believed only while the file has this size."""

    size: int
    count: int
    first_served_us: int
    last_served_us: int


def parse_id(text: str, *, folder: Path) -> Place:
    """Return the place that an id names.

    Raises
    ------
    NotFound
        When the text is no id.

    Examples
    --------
    >>> from pathlib import Path
    >>> parse_id("00002a-3fa20c0-9c41e07b", folder=Path("log"))
    Place(number=42, offset=66724032, check='9c41e07b')
    """
    match = _ID.fullmatch(text.strip().lower())
    if match is None:
        shown = text if len(text) <= 80 else text[:77] + "..."
        raise NotFound(
            f"{shown!r} is not the id of a prediction.",
            where=str(folder),
            hint="An id looks like '00002a-3fa20c0-9c41e07b'; each reply of the server carries one.",
        )
    return Place(int(match[1], 16), int(match[2], 16), match[3])


def segment_path(folder: Path, number: int) -> Path:
    """Return the file of segment ``number``."""
    return folder / f"{number:06x}.log"


def numbers(folder: Path) -> list[int]:
    """Return the numbers of all segments in ``folder``, oldest first; none when there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        return []
    return sorted(int(match[1], 16) for match in map(_NAME.fullmatch, names) if match)


def read_header(raw: bytes, *, file: Path, number: int) -> Header:
    """Return the header of a segment.

    Raises
    ------
    StoreTooNew
        When a later version of Headway has written the segment.
    StoreCorrupt
        When the bytes are no header, or another segment's.
    """
    fields = raw[: _HEADER.size]
    if len(raw) >= HEADER_BYTES and _U32.unpack_from(raw, _HEADER.size)[0] == zlib.crc32(fields):
        magic, version, size, found, salt = _HEADER.unpack(fields)
        if magic == _MAGIC and version > VERSION:
            raise StoreTooNew(
                f"The prediction log has format {version}; this version of Headway reads up to {VERSION}.",
                where=str(file),
                hint="Upgrade Headway.",
            )
        if magic == _MAGIC and size == HEADER_BYTES and found == number:
            return Header(number, salt)
    raise StoreCorrupt(
        "The header of a segment of the prediction log is damaged, or another segment's.",
        where=f"{file}, offset 0",
        hint="Restore the file from a copy, or read on with skip_corrupt=True.",
    )


def read_summary(folder: Path, number: int) -> Summary | None:
    """Return the summary of a closed segment, or None where there is none to be trusted; it is only a cache."""
    try:
        summary = msgspec.json.decode(_summary_path(folder, number).read_bytes(), type=Summary)
        return summary if summary.size == segment_path(folder, number).stat().st_size else None
    except (OSError, msgspec.MsgspecError):
        return None


def write_summary(folder: Path, number: int, summary: Summary) -> None:
    """Leave the summary of a segment that no longer grows; all who do so at once write the same.

    Not synced: a summary that a loss of power took or tore is made again by the next reader.

    Raises
    ------
    StoreError
        When it cannot be written, as in a folder that may only be read.
    """
    path = _summary_path(folder, number)
    draft = folder / f".summary-{number:06x}-{os.getpid()}-{threading.get_ident()}"
    try:
        draft.write_bytes(msgspec.json.encode(summary))
        draft.rename(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # the first error is the one to report
            draft.unlink(missing_ok=True)
        raise store_error(error, file=path, doing="the summary of a segment") from error


def _summary_path(folder: Path, number: int) -> Path:
    return folder / f"{number:06x}.summary"


def erased(length: int) -> bytes:
    """Return the payload that a record of ``length`` bytes leaves behind when it is erased: as long, and empty.

    Its place stays, since ids are places.

    Raises
    ------
    ValueError
        When a record cannot be as short as that.

    Examples
    --------
    >>> is_erased(memoryview(erased(64))), len(erased(64))
    (True, 64)
    """
    filling = length - len(_ERASED) - _U32.size
    if filling < 0:
        raise ValueError(f"No record has {length} bytes.")
    return _ERASED + filling.to_bytes(4, "big") + bytes(filling)


def is_erased(payload: memoryview) -> bool:
    """Return whether a record was erased."""
    return payload[: len(_ERASED)] == _ERASED


def frame_bytes(head: bytes) -> int:
    """Return how many bytes the frame that starts with ``head`` claims to have; no more than a frame may have."""
    if len(head) < FRAME_BYTES:
        return FRAME_BYTES
    return FRAME_BYTES + min(int(_FRAME.unpack_from(head)[1]), MAX_PAYLOAD_BYTES)


def frame_at(data: bytes, *, number: int, base: int) -> Frame | None:
    """Return the frame that ``data``, the bytes at offset ``base``, start with, if it is valid."""
    return _valid_frame(memoryview(data), 0, base=base, marker=Header(number, b"").marker)


def walk(data: bytes, *, number: int, base: int, file: str) -> Iterator[Frame | Damage | Literal["torn", "damaged"]]:
    """Yield what ``data``, the bytes of a segment from offset ``base`` to its end, hold.

    Bytes that are no frame are damage if a valid frame follows them. At the end of the file they are ``"torn"`` if
    they are the beginning of a record whose writing was cut off (the rest is missing, or all zeros, as a file system
    leaves it after a loss of power), else ``"damaged"``: a complete record with a wrong checksum. Nothing is yielded
    after these two words.
    """
    view = memoryview(data)
    marker = Header(number, b"").marker
    size, at = len(data), 0
    while at < size:
        frame = _valid_frame(view, at, base=base, marker=marker)
        if frame is None:
            following = _next_frame(data, at + 1, base=base, marker=marker)
            if following < 0:
                yield "torn" if _is_torn(data, at, marker=marker) else "damaged"
                return
            yield Damage(file, base + at, following - at)
            at = following
        else:
            yield frame
            at = frame.end - base


def _valid_frame(view: memoryview, at: int, *, base: int, marker: int) -> Frame | None:
    """Return the valid frame that starts at ``at``, if one does."""
    start = at + FRAME_BYTES
    if start > len(view):
        return None
    found, length, checksum = _FRAME.unpack_from(view, at)
    stop = start + length
    if found != marker or not 0 < length <= MAX_PAYLOAD_BYTES or stop > len(view):
        return None
    payload = view[start:stop]
    if zlib.crc32(payload, base + at) != checksum:
        return None
    return Frame(base + at, base + stop, payload)


def _next_frame(data: bytes, at: int, *, base: int, marker: int) -> int:
    """Return where the next valid frame starts, or -1."""
    word, view = _U32.pack(marker), memoryview(data)
    at = data.find(word, at)
    while at >= 0 and _valid_frame(view, at, base=base, marker=marker) is None:
        at = data.find(word, at + 1)
    return at


def _is_torn(data: bytes, at: int, *, marker: int) -> bool:
    rest = data[at:]
    if len(rest) < FRAME_BYTES:
        return _U32.pack(marker).startswith(rest[:4]) or not rest.strip(b"\0")
    found, length, _ = _FRAME.unpack_from(rest)
    cut_off = found == marker and len(rest) < FRAME_BYTES + length
    # A whole record of zeros behind an intact head is a hole that a loss of power left, too.
    return cut_off or not rest.strip(b"\0") or (found == marker and not rest[FRAME_BYTES:].strip(b"\0"))


def may_grow(descriptor: int) -> bool:
    """Return whether the writer of an open segment is alive. False is for ever; the asker holds no lock afterwards."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def store_error(error: OSError, *, file: Path, doing: str) -> HeadwayError:
    """Return what a refusal of the operating system means for the log."""
    if error.errno in NO_ROOM:
        return StoreFull(
            f"No room for {doing}: {os.strerror(error.errno or 0)}.",
            where=str(file),
            hint="Free some space, or raise the quota or file-size limit; nothing half-written was left behind.",
        )
    return StoreError(f"Failed at {doing}: {error.strerror or error}.", where=str(file))
