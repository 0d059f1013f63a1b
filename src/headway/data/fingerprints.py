"""What names a row by its content: 128 bits, the same on any engine, machine and number of threads.

An engine's own ``hash()`` differs from engine to engine and from release to release, so that no version could be named
by it. Here each column's values are mixed with a seed that follows from the column's name, the columns of a row are
added up in two lanes, and each lane is mixed once more: which values stand in one row counts, the order of rows and
columns does not. The sum of all rows (AdHash: Bellare and Micciancio, EUROCRYPT 1997) names a whole table, and changes
by what is added and taken away. It tells tables apart that differ by accident; against somebody who forges a table on
purpose stand the BLAKE3 names of the segments.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Lane = NDArray[np.uint64]

__all__ = ["Marks", "fingerprints", "mark_of", "marks_of_file", "sum_of_marks"]

_ROWS = 1 << 16  # smaller stretches would fit a cache better, but wait for the interpreter more often
_LONG_BYTES = 128  # longer texts are hashed one by one, which costs them less than being looked at word by word
_READERS = 8  # more of them would wait for the interpreter between the sums

_A, _B, _C = (np.uint64(each) for each in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0x9E3779B97F4A7C15))
_D, _E = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xFF51AFD7ED558CCD)
_S27, _S29, _S32 = np.uint64(27), np.uint64(29), np.uint64(32)
_NOTHING = np.uint64(0x632BE59BD9B4E019)  # stands where a value is missing
_TAIL = np.array([(1 << (8 * count)) - 1 for count in range(8)] + [2**64 - 1], dtype=np.uint64)


class Marks(NamedTuple):
    """The fingerprints of rows: two lanes of 64 bits, in the order of the rows."""

    first: NDArray[np.uint64]
    second: NDArray[np.uint64]

    def take(self, rows: NDArray[Any] | slice) -> Marks:
        """Return those of some rows, by position, by a mask, or of a stretch; these are the same ones, not a copy."""
        return Marks(self.first[rows], self.second[rows])


def fingerprints(table: pa.Table, kinds: Mapping[str, str]) -> Marks:
    """Return the fingerprint of each row of ``table``.

    Parameters
    ----------
    kinds
        The columns that count, each with its kind: ``bool``, ``int``, ``float``, ``text`` or ``time`` (microseconds).
        A column that the table lacks counts as missing in each row, so that a column added later changes no mark of
        the rows before.

    Examples
    --------
    >>> rows = pa.table({"a": [1, 2, None], "b": ["x", "y", "x"]})
    >>> one = fingerprints(rows, {"a": "int", "b": "text"})
    >>> two = fingerprints(rows.select(["b", "a"]).take([2, 1, 0]), {"b": "text", "a": "int"})
    >>> mark_of(one) == mark_of(two)
    True
    """
    table = table.combine_chunks()
    marks = _nothing(table.num_rows)
    _fill(marks, table, kinds)
    return marks


def marks_of_file(path: str | os.PathLike[str], kinds: Mapping[str, str]) -> Marks:
    """Return the fingerprints of the rows of a Parquet file, read a stretch at a time."""
    metadata = pq.read_metadata(path)
    marks = _nothing(metadata.num_rows)
    held = [name for name in metadata.schema.to_arrow_schema().names if name in kinds]
    if not held:
        return marks
    coded = _coded(metadata, kinds)
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    ends = np.cumsum(sizes, dtype=np.int64)

    def of_group(group: int) -> None:
        with pq.ParquetFile(path, metadata=metadata, read_dictionary=coded, pre_buffer=False) as file:
            table = file.read_row_group(group, columns=held, use_threads=False)
        _fill(marks.take(slice(ends[group] - sizes[group], ends[group])), table.combine_chunks(), kinds)

    with ThreadPoolExecutor(min(_READERS, os.cpu_count() or 1), thread_name_prefix="fingerprint") as pool:
        list(pool.map(of_group, range(metadata.num_row_groups)))
    return marks


def _coded(metadata: pq.FileMetaData, kinds: Mapping[str, str]) -> list[str]:
    """Return the texts that the file keeps as codes; to make codes of the others would cost more than it saves."""
    if not metadata.num_row_groups:
        return []
    group = metadata.row_group(0)
    columns = [group.column(position) for position in range(group.num_columns)]
    return [c.path_in_schema for c in columns if kinds.get(c.path_in_schema) == "text" and c.has_dictionary_page]


def mark_of(marks: Marks) -> str:
    """Return the sum of fingerprints: what names the rows together, in any order; 32 hexadecimal digits.

    Examples
    --------
    >>> mark_of(Marks(np.array([], dtype=np.uint64), np.array([], dtype=np.uint64))) == "0" * 32
    True
    """
    return f"{int(marks.first.sum(dtype=np.uint64)):016x}{int(marks.second.sum(dtype=np.uint64)):016x}"


def sum_of_marks(added: Sequence[str], taken: Sequence[str] = ()) -> str:
    """Return the mark of several lots of rows together, without those of others.

    Examples
    --------
    >>> sum_of_marks(["0" * 15 + "1" + "f" * 16, "0" * 31 + "1"], ["0" * 15 + "1" + "0" * 16])
    '00000000000000000000000000000000'
    """
    lanes = [0, 0]
    for sign, marks in ((1, added), (-1, taken)):
        for mark in marks:
            lanes[0] += sign * int(mark[:16], 16)
            lanes[1] += sign * int(mark[16:], 16)
    return f"{lanes[0] % 2**64:016x}{lanes[1] % 2**64:016x}"


def _nothing(rows: int) -> Marks:
    """Return the fingerprints of rows without a value."""
    return Marks(np.zeros(rows, dtype=np.uint64), np.zeros(rows, dtype=np.uint64))


def _fill(marks: Marks, table: pa.Table, kinds: Mapping[str, str]) -> None:
    """Put the fingerprints of the table's rows, whose columns are of one piece, to where there is nothing yet."""
    table = table.select([name for name in kinds if name in table.column_names])
    coded = {name: lanes for name in table.column_names if (lanes := _lanes_of_codes(table[name], name)) is not None}
    room = np.empty((3, min(table.num_rows, _ROWS)), dtype=np.uint64)
    done = 0
    for batch in table.to_batches(max_chunksize=_ROWS):
        first, second = marks.take(slice(done, done + batch.num_rows))
        words, other, spare = room[:, : batch.num_rows]
        done += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name in coded:
                _look_up(coded[name], column.indices, words, other)
            elif kinds[name] == "text":
                _of_texts(column, _seeds(name), words, other, spare)
            else:
                _of_numbers(_bits(column, kinds[name]), _seeds(name), words, other, spare)
            if column.null_count:
                # What is missing adds nothing: a column that is not there, and one that is empty, are the same rows.
                there = column.is_valid().to_numpy(zero_copy_only=False)
                words *= there
                other *= there
            first += words
            second += other
        _finish(first, second, words, spare)


def _finish(first: Lane, second: Lane, words: Lane, spare: Lane) -> None:
    """Mix each lane once more, with some of the other one."""
    np.left_shift(second, _S29, out=words)
    words += first
    first >>= _S27
    second ^= first
    second *= _D
    first[:] = words
    _mix(first, spare)
    _mix(second, spare)


def _mix(x: Lane, spare: Lane) -> None:
    """Finalise in place as SplitMix64 does (Steele et al. 2014): each bit of the input moves half of the output's."""
    x *= _A
    np.right_shift(x, _S32, out=spare)
    x ^= spare
    x *= _B
    np.right_shift(x, _S29, out=spare)
    x ^= spare


@lru_cache(maxsize=4096)
def _seeds(name: str) -> tuple[np.uint64, np.uint64]:
    digest = blake3(name.encode()).digest(16)
    return np.uint64(int.from_bytes(digest[:8], "little")), np.uint64(int.from_bytes(digest[8:], "little"))


# -- numbers


def _of_numbers(bits: Lane, seeds: tuple[np.uint64, np.uint64], words: Lane, other: Lane, spare: Lane) -> None:
    """Put what numbers bring to each lane; a number fills one of them, and the other follows from it."""
    np.bitwise_xor(bits, seeds[0], out=words)
    _mix(words, spare)
    np.multiply(words, _E, out=other)
    other += seeds[1]
    np.right_shift(other, _S32, out=spare)
    other ^= spare
    other *= _D


def _bits(column: pa.Array, kind: str) -> Lane:
    """Return the bits of each value as they are, so that -0.0 is not 0.0; anything where there is no value."""
    if kind == "bool":
        column = column.cast(pa.uint8()).cast(pa.uint64())
    elif kind == "time":
        column = column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None)))
    else:
        column = column.cast(pa.int64() if kind == "int" else pa.float64())
    return np.frombuffer(column.buffers()[1], dtype=np.uint64, count=len(column), offset=8 * column.offset)


# -- texts


def _lanes_of_codes(column: pa.ChunkedArray, name: str) -> tuple[Lane, Lane] | None:
    """Return what each text that rows have in common brings to the lanes; None for a column without codes."""
    if not pa.types.is_dictionary(column.type) or not column.num_chunks:
        return None
    texts = column.chunk(0).dictionary
    if len(texts) > len(column):  # a slice carries the dictionary of the whole
        return None
    lanes = np.empty((3, len(texts)), dtype=np.uint64)
    _of_texts(texts, _seeds(name), *lanes)
    return lanes[0], lanes[1]


def _look_up(lanes: tuple[Lane, Lane], codes: pa.Array, words: Lane, other: Lane) -> None:
    if not len(lanes[0]):
        words[:] = other[:] = 0
        return
    code_type = codes.type.to_pandas_dtype()
    size = np.dtype(code_type).itemsize
    places = np.frombuffer(codes.buffers()[1], dtype=code_type, count=len(codes), offset=size * codes.offset)
    for lane, out in zip(lanes, (words, other), strict=True):
        np.take(lane, places, out=out, mode="clip")  # where there is no value, the code may be anything


def _of_texts(texts: pa.Array, seeds: tuple[np.uint64, np.uint64], one: Lane, two: Lane, spare: Lane) -> None:
    """Put what texts bring to each lane: eight bytes of all of them at a time, as long as they last."""
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    texts = texts.cast(pa.large_string())
    if not len(texts):
        return
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64, count=len(texts) + 1, offset=8 * texts.offset)
    data = texts.buffers()[2]
    raw = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
    begin, end = int(offsets[0]), int(offsets[-1])
    padded = np.concatenate([raw[begin:end], np.zeros(8, dtype=np.uint8)])
    starts, lengths = offsets[:-1] - begin, np.diff(offsets)
    np.multiply(lengths.view(np.uint64), _C, out=one)
    one += _NOTHING
    np.bitwise_xor(one, _D, out=two)
    _take_in(one, two, spare, padded=padded, starts=starts, lengths=lengths)
    for row in np.flatnonzero(lengths > _LONG_BYTES):
        digest = blake3(padded[starts[row] : starts[row] + lengths[row]].tobytes()).digest(16)
        one[row], two[row] = (int.from_bytes(half, "little") for half in (digest[:8], digest[8:]))
    for lane, seed in zip((one, two), seeds, strict=True):
        np.bitwise_xor(lane, seed, out=lane)
        _mix(lane, spare)


def _take_in(
    one: Lane,
    two: Lane,
    spare: Lane,
    *,
    padded: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    # Every eight bytes from every place on, as one number each: a view, not a copy.
    words = np.ndarray(shape=(len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
    reached = np.where(lengths <= _LONG_BYTES, lengths, 0)
    least, at = int(reached.min()), 0
    while at < least:  # as long as all texts last, nothing needs to be picked out and put back
        word = words[starts + at]
        if least < at + 8:
            word &= _TAIL[np.minimum(reached - at, 8)]
        for lane, factor in ((one, _A), (two, _E)):
            _take_word(lane, word, factor, spare)
        at += 8
    while len(live := np.flatnonzero(reached > at)):
        word = words[starts[live] + at]
        word &= _TAIL[np.minimum(reached[live] - at, 8)]
        for lane, factor in ((one, _A), (two, _E)):
            mixed = lane[live]
            _take_word(mixed, word, factor, spare[: len(live)])
            lane[live] = mixed
        at += 8


def _take_word(lane: Lane, word: Lane, factor: np.uint64, spare: Lane) -> None:
    lane ^= word
    lane *= factor
    np.right_shift(lane, _S32, out=spare)
    lane ^= spare
    lane *= _B
    np.right_shift(lane, _S29, out=spare)
    lane ^= spare
