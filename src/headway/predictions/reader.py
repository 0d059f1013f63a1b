"""Reading the prediction log: one answer by its id, or all that are new.

The file hides how segments are found, passed over and followed while they grow. It takes no lock that a writer would
notice, and needs no index: an id is a place in a file.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from headway.errors import HeadwayError, NotFound, StoreCorrupt
from headway.nouns.prediction import Prediction
from headway.predictions import segment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Batch", "Cursor", "Reader"]

_FIRST_READ_BYTES = 4_096
_ALWAYS = -(2**63)
_NEVER = 2**63 - 1


class _Timed(Protocol):
    @property
    def served_us(self) -> int: ...


T = TypeVar("T", bound=_Timed)
K = TypeVar("K")


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far a reader has come; kept as JSON, it lets the next one go on from there.

    Attributes
    ----------
    floor
        All segments with a smaller number are read to their end and will not grow.
    offsets
        How far each of the others is read.

    Examples
    --------
    >>> cursor = Cursor(floor=3, offsets={4: 1_024})
    >>> Cursor.from_json(cursor.to_json()) == cursor
    True
    """

    floor: int = 0
    offsets: dict[int, int] = {}

    def to_json(self) -> str:
        """Return the cursor as text."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> Cursor:
        """Return the cursor that ``to_json`` has written.

        Raises
        ------
        StoreCorrupt
            When the text is no cursor.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError as error:
            raise StoreCorrupt(f"{text[:80]!r} is no cursor of the prediction log: {error}.") from error


class Batch(NamedTuple, Generic[T]):
    """Some answers in the order of the log, where to go on after them, and what damage was passed over."""

    predictions: list[T]
    cursor: Cursor
    damage: tuple[segment.Damage, ...] = ()


class _Tail(NamedTuple):
    """The bytes of one segment from where reading goes on."""

    number: int
    path: Path
    base: int
    data: bytes
    finished: bool
    damage: segment.Damage | None


class Reader:
    """The prediction log as it stands, also while it is being written.

    Parameters
    ----------
    folder
        The folder of the log. It need not exist yet: then the log is empty.
    batch_rows
        The most answers that a scan hands over at once.
    """

    def __init__(self, folder: Path, *, batch_rows: int = 8_192) -> None:
        self.folder = folder
        self._batch_rows = batch_rows

    def read(self, prediction_id: str) -> Prediction:
        """Return the answer that has this id. Opens one file, whatever the size of the log.

        Raises
        ------
        NotFound
            When the text is no id, or no answer has it.
        StoreCorrupt
            When the id was given out but the record is damaged or gone.
        """
        place = segment.parse_id(prediction_id, folder=self.folder)
        path = segment.segment_path(self.folder, place.number)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(
                f"No prediction has the id {prediction_id!r}: the log has no segment {place.number:06x}.",
                where=str(self.folder),
                hint="The id is mistyped, belongs to another project, or its segment was removed.",
            ) from None
        except OSError as error:
            raise segment.store_error(error, file=path, doing="reading a prediction") from error
        try:
            return self._read_at(place, descriptor, path=path)
        except OSError as error:
            if isinstance(error, HeadwayError):
                raise
            raise segment.store_error(error, file=path, doing="reading a prediction") from error
        finally:
            os.close(descriptor)

    def _read_at(self, place: segment.Place, descriptor: int, *, path: Path) -> Prediction:
        data = os.pread(descriptor, _FIRST_READ_BYTES, place.offset)
        needed = segment.frame_bytes(data)
        if needed > len(data):
            data = _pread(descriptor, place.offset, needed)
        frame = segment.frame_at(data[:needed], number=place.number, base=place.offset)
        if frame is not None and segment.is_erased(frame.payload):
            raise NotFound(
                f"The prediction with the id '{place.number:06x}-{place.offset:07x}-{place.check}' was erased.",
                where=str(path),
                hint="'headway data erasures' says when, and who asked for it.",
            )
        if frame is not None:
            found = _decode(msgspec.msgpack.Decoder(Prediction), frame, path=path)
            if segment.parse_id(found.id, folder=self.folder) == place:
                return found
        else:
            # Only now is the header of use: had the log ever given out this id?
            header = segment.read_header(_pread(descriptor, 0, segment.HEADER_BYTES), file=path, number=place.number)
            if header.check(place.offset) == place.check:
                raise segment.Damage(str(path), place.offset, max(len(data), 1)).as_error()
        raise NotFound(
            f"No prediction has the id '{place.number:06x}-{place.offset:07x}-{place.check}'.",
            where=str(path),
            hint="Its last part does not fit the rest: the id is mistyped, or from another project.",
        )

    def scan(
        self,
        *,
        since_us: int | None = None,
        until_us: int | None = None,
        after: Cursor | None = None,
        skip_corrupt: bool = False,
    ) -> Iterator[Batch[Prediction]]:
        """Yield all answers served in ``[since_us, until_us)`` that lie behind ``after``, up to the end as it is now.

        Answers come in the order in which each process wrote them, segment after segment: by time within a process,
        not across. A batch may be empty; its cursor is past everything looked at, also what the times left out.

        Raises
        ------
        StoreCorrupt
            At the first damaged record, unless ``skip_corrupt``: then it stands in the batch's ``damage``.
        """
        return self.scan_as(Prediction, since_us=since_us, until_us=until_us, after=after, skip_corrupt=skip_corrupt)

    def scan_as(
        self,
        kind: type[T],
        *,
        since_us: int | None = None,
        until_us: int | None = None,
        after: Cursor | None = None,
        skip_corrupt: bool = False,
    ) -> Iterator[Batch[T]]:
        """Like ``scan``, as structs with fewer fields: what ``kind`` lacks is passed over without being built."""
        since_us = _ALWAYS if since_us is None else since_us
        until_us = _NEVER if until_us is None else until_us
        decoder = msgspec.msgpack.Decoder(kind)
        cursor = after or Cursor()
        for number in segment.numbers(self.folder):
            if number < cursor.floor:
                continue
            summary = segment.read_summary(self.folder, number)
            if summary and (summary.last_served_us < since_us or summary.first_served_us >= until_us):
                cursor = _passed(cursor, number, summary.size, finished=True)
                yield Batch([], cursor)
                continue
            tail = self._tail(number, cursor, closed=summary is not None)
            for found, end, damage in self._decoded(tail, decoder):
                if damage and not skip_corrupt:
                    raise damage[0].as_error()
                cursor = _passed(cursor, number, end, finished=tail.finished and end == tail.base + len(tail.data))
                chosen = [each for each in found if since_us <= each.served_us < until_us]
                yield Batch(chosen, cursor, damage)

    def count(self) -> int:
        """Return how many answers the log holds; closed segments are not read for it.

        Raises
        ------
        StoreCorrupt
            At the first damaged record.
        """
        total = 0
        for number in segment.numbers(self.folder):
            summary = segment.read_summary(self.folder, number)
            if summary is not None:
                total += summary.count
                continue
            tail = self._tail(number, Cursor(), closed=False)
            for found, _, damage in self._decoded(tail, msgspec.msgpack.Decoder(_Moment)):
                if damage:
                    raise damage[0].as_error()
                total += len(found)
        return total

    def _tail(self, number: int, cursor: Cursor, *, closed: bool) -> _Tail:
        path = segment.segment_path(self.folder, number)
        base = cursor.offsets.get(number, 0)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                # Asked before the size is looked at: what cannot grow now has its last size.
                finished = closed or not segment.may_grow(descriptor)
                data = _pread(descriptor, base, max(os.fstat(descriptor).st_size - base, 0))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise segment.store_error(error, file=path, doing="reading the prediction log") from error
        damage = None
        if base == 0 and len(data) >= segment.HEADER_BYTES:
            try:
                segment.read_header(data, file=path, number=number)
            except StoreCorrupt:
                damage = segment.Damage(str(path), 0, segment.HEADER_BYTES)
            base, data = segment.HEADER_BYTES, data[segment.HEADER_BYTES :]
        return _Tail(number, path, base, data, finished, damage)

    def _decoded(
        self, tail: _Tail, decoder: msgspec.msgpack.Decoder[T]
    ) -> Iterator[tuple[list[T], int, tuple[segment.Damage, ...]]]:
        """Yield batches of records, the offset behind each batch, and the damage within it; one batch at least."""
        found: list[T] = []
        damage = [tail.damage] if tail.damage else []
        end, size, whole = tail.base, tail.base + len(tail.data), tail.base in {0, segment.HEADER_BYTES}
        sums = _Sums()
        for each in segment.walk(tail.data, number=tail.number, base=tail.base, file=str(tail.path)):
            if isinstance(each, segment.Frame) and segment.is_erased(each.payload):
                end = each.end
            elif isinstance(each, segment.Frame):
                record = _decode(decoder, each, path=tail.path)
                found.append(record)
                sums.add(record.served_us)
                end = each.end
            elif isinstance(each, segment.Damage):
                damage.append(each)
                end = each.offset + each.length
            elif tail.finished:
                # Nothing will be added: a torn record was never acknowledged, a damaged one is worth a word.
                if each == "damaged":
                    damage.append(segment.Damage(str(tail.path), end, size - end))
                end = size
            if len(found) == self._batch_rows:
                yield found, end, tuple(damage)
                whole = whole and not damage
                found, damage = [], []
        if tail.finished and whole and not damage and sums.count:
            with contextlib.suppress(HeadwayError):  # it only saves the next reader work; the folder may be read-only
                segment.write_summary(self.folder, tail.number, sums.summary(size))
        yield found, end, tuple(damage)


class _Moment(msgspec.Struct, frozen=True, gc=False):
    served_us: int


class _Sums:
    """The figures of a summary, while they grow."""

    __slots__ = ("count", "first", "last")

    def __init__(self) -> None:
        self.count, self.first, self.last = 0, _NEVER, _ALWAYS

    def add(self, served_us: int) -> None:
        self.count += 1
        self.first = min(self.first, served_us)
        self.last = max(self.last, served_us)

    def summary(self, size: int) -> segment.Summary:
        return segment.Summary(size=size, count=self.count, first_served_us=self.first, last_served_us=self.last)


def _pread(descriptor: int, offset: int, count: int) -> bytes:
    """Return up to ``count`` bytes: fewer only where the file ends."""
    parts = []
    while count > 0 and (part := os.pread(descriptor, count, offset)):
        parts.append(part)
        offset, count = offset + len(part), count - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _decode(decoder: msgspec.msgpack.Decoder[K], frame: segment.Frame, *, path: Path) -> K:
    try:
        return decoder.decode(frame.payload)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(
            f"A record of the prediction log is not what this version of Headway writes: {error}.",
            where=f"{path}, offset {frame.offset}",
            hint="Its checksum is right: a later version may have written it.",
        ) from error


def _passed(cursor: Cursor, number: int, end: int, *, finished: bool) -> Cursor:
    """Return the cursor behind ``end`` of segment ``number``; segments are passed in the order of their numbers."""
    offsets = {each: offset for each, offset in cursor.offsets.items() if each != number}
    if finished and not any(each < number for each in offsets):
        return Cursor(floor=number + 1, offsets=offsets)
    return Cursor(floor=cursor.floor, offsets=dict(sorted({**offsets, number: end}.items())))
