"""Erasing records of the prediction log, in place.

An id is a place, so nothing may move: the record's bytes are written over by as many that say nothing. One write each,
into the same blocks of the file, also where a server still appends to it; a reader sees the record, or that it is gone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from headway.errors import NotFound
from headway.predictions import segment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["erase"]

_fdatasync = getattr(os, "fdatasync", os.fsync)  # macOS has none


def erase(folder: Path, ids: Iterable[str]) -> int:
    """Erase the predictions with these ids, and return how many there were; those that are erased already count not.

    Raises
    ------
    NotFound
        When a text is no id, or its segment is gone.
    StoreError
        When the log cannot be written.
    """
    of_segment: dict[int, list[int]] = {}
    for each in ids:
        place = segment.parse_id(each, folder=folder)
        of_segment.setdefault(place.number, []).append(place.offset)
    return sum(_erase_in(folder, number, sorted(offsets)) for number, offsets in of_segment.items())


def _erase_in(folder: Path, number: int, offsets: list[int]) -> int:
    path = segment.segment_path(folder, number)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"The log has no segment {number:06x}.", where=str(folder)) from None
    except OSError as error:
        raise segment.store_error(error, file=path, doing="erasing predictions") from error
    try:
        count = sum(_erase_at(descriptor, number, offset) for offset in offsets)
        _fdatasync(descriptor)
    except OSError as error:
        raise segment.store_error(error, file=path, doing="erasing predictions") from error
    finally:
        os.close(descriptor)
    # It counts the records that were there; the next reader makes a new one.
    path.with_suffix(".summary").unlink(missing_ok=True)
    return count


def _erase_at(descriptor: int, number: int, offset: int) -> bool:
    head = os.pread(descriptor, segment.FRAME_BYTES, offset)
    data = os.pread(descriptor, segment.frame_bytes(head), offset)
    frame = segment.frame_at(data, number=number, base=offset)
    if frame is None or segment.is_erased(frame.payload):
        return False
    record = bytearray(segment.FRAME_BYTES) + segment.erased(len(frame.payload))
    segment.Header(number, b"").seal(record, offset=offset)
    os.pwrite(descriptor, record, offset)
    return True
