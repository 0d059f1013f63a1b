"""What names a row by its content: 128 bits, the same on any engine, machine and number of threads.

An engine's own ``hash()`` differs from engine to engine and from release to release, so that no version could be named
by it. Here each column's values are mixed with a seed that follows from the column's name, the columns of a row are
added up in two lanes, and each lane is mixed once more: which values stand in one row counts, the order of rows and
columns does not. The sum of all rows (AdHash: Bellare and Micciancio, EUROCRYPT 1997) names a whole table, and changes
by what is added and taken away. It tells tables apart that differ by accident; against somebody who forges a table on
purpose stand the BLAKE3 names of the segments.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from blake3 import blake3

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Marks", "fingerprints", "mark_of", "marks_of_file", "sum_of_marks"]

_ROWS = 1 << 16  # two lanes and a column of this many rows stay within a processor's cache
_LONG_BYTES = 128  # longer texts are hashed one by one, which costs them less than being looked at word by word
_READERS = 2

_A, _B, _C = (np.uint64(each) for each in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0x9E3779B97F4A7C15))
_D, _E = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xFF51AFD7ED558CCD)
_S27, _S29, _S32 = np.uint64(27), np.uint64(29), np.uint64(32)
_NOTHING = np.uint64(0x632BE59BD9B4E019)  # stands where a value is missing
_TAIL = np.array([(1 << (8 * count)) - 1 for count in range(8)] + [2**64 - 1], dtype=np.uint64)


class Marks(NamedTuple):
    """The fingerprints of rows: two lanes of 64 bits, in the order of the rows."""

    first: NDArray[np.uint64]
    second: NDArray[np.uint64]

    def take(self, rows: NDArray[Any]) -> Marks:
        """Return those of some rows, by position or by a mask."""
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
    parts = [_of_batch(batch, kinds) for batch in table.combine_chunks().to_batches(max_chunksize=_ROWS)]
    return _joined(parts)


def marks_of_file(path: str | os.PathLike[str], kinds: Mapping[str, str]) -> Marks:
    """Return the fingerprints of the rows of a Parquet file, read a stretch at a time."""
    metadata = pq.read_metadata(path)
    held = [name for name in metadata.schema.to_arrow_schema().names if name in kinds]
    if not held:
        nothing = pa.RecordBatch.from_struct_array(pa.array([{}] * metadata.num_rows, pa.struct([])))
        return _of_batch(nothing, kinds) if metadata.num_rows else _joined([])
    coded = _coded(metadata, kinds)

    def of_group(group: int) -> Marks:
        with pq.ParquetFile(path, metadata=metadata, read_dictionary=coded, pre_buffer=False) as file:
            return fingerprints(file.read_row_group(group, columns=held, use_threads=False), kinds)

    if metadata.num_row_groups < _READERS:
        return _joined([of_group(group) for group in range(metadata.num_row_groups)])
    with ThreadPoolExecutor(_READERS, thread_name_prefix="fingerprint") as pool:
        return _joined(list(pool.map(of_group, range(metadata.num_row_groups))))


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


def _joined(parts: list[Marks]) -> Marks:
    if not parts:
        return Marks(np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64))
    return Marks(np.concatenate([part.first for part in parts]), np.concatenate([part.second for part in parts]))


def _of_batch(batch: pa.RecordBatch, kinds: Mapping[str, str]) -> Marks:
    rows = batch.num_rows
    first, second = np.zeros(rows, dtype=np.uint64), np.zeros(rows, dtype=np.uint64)
    held = set(batch.schema.names)
    for name, kind in kinds.items():
        if name not in held:
            continue
        seed, other = _seeds(name)
        column = batch.column(name)
        words, more = _texts(column) if kind == "text" else (_words(column, kind), None)
        # What is missing adds nothing: a column that is not there, and one that is empty, are the same rows.
        there = None if column.null_count == 0 else column.is_valid().to_numpy(zero_copy_only=False)
        words ^= seed
        lanes = _lanes(words, None if more is None else more ^ other, other)
        first += lanes[0] if there is None else lanes[0] * there
        second += lanes[1] if there is None else lanes[1] * there
    return Marks(_mixed(first + (second << _S29)), _mixed((second ^ (first >> _S27)) * _D))


def _lanes(
    words: NDArray[np.uint64], more: NDArray[np.uint64] | None, seed: np.uint64
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return what a column brings to each lane; a number fills one of them, and the other follows from it."""
    _mix(words)
    if more is not None:
        return words, _mixed(more)
    other = words * _E
    other += seed
    other ^= other >> _S32
    other *= _D
    return words, other


def _mix(x: NDArray[np.uint64]) -> None:
    """Finalise in place as SplitMix64 does (Steele et al. 2014): each bit of the input moves half of the output's."""
    x *= _A
    x ^= x >> _S32
    x *= _B
    x ^= x >> _S29


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    _mix(x)
    return x


@lru_cache(maxsize=4096)
def _seeds(name: str) -> tuple[np.uint64, np.uint64]:
    digest = blake3(name.encode()).digest(16)
    return np.uint64(int.from_bytes(digest[:8], "little")), np.uint64(int.from_bytes(digest[8:], "little"))


def _words(column: pa.Array, kind: str) -> NDArray[np.uint64]:
    """Return a number of 64 bits for each value that is there, to be changed by whoever gets them.

    They are the bits themselves, so that -0.0 is not 0.0.
    """
    if kind == "bool":
        return _filled(column.cast(pa.int8()), 0).astype(np.uint64)
    if kind == "time":
        column = column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None))).view(pa.int64())
        return _filled(column, 0).view(np.uint64).copy()
    if kind == "int":
        return _filled(column.cast(pa.int64()), 0).view(np.uint64).copy()
    return _filled(column.cast(pa.float64()), 0.0).view(np.uint64).copy()


def _filled(column: pa.Array, nothing: float) -> NDArray[Any]:
    filled = column.fill_null(nothing) if column.null_count else column
    return np.ascontiguousarray(filled.to_numpy(zero_copy_only=False))


def _texts(column: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return two numbers for each text: of one in many rows they are computed once."""
    if not pa.types.is_dictionary(column.type):
        return _of_texts(column)
    if len(column.dictionary) > len(column):  # a slice carries the dictionary of the whole
        return _of_texts(column.dictionary_decode())
    found = _of_texts(column.dictionary)
    if not len(column.dictionary):
        empty = np.zeros(len(column), dtype=np.uint64)
        return empty, empty.copy()
    codes = _filled(column.indices, 0)
    return found[0][codes], found[1][codes]


def _of_texts(texts: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hash texts eight bytes at a time, all of them at once, as long as they last."""
    texts = texts.cast(pa.large_string())
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int64, count=len(texts) + 1, offset=8 * texts.offset)
    data = texts.buffers()[2]
    raw = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
    begin, end = int(offsets[0]), int(offsets[-1])
    padded = np.concatenate([raw[begin:end], np.zeros(8, dtype=np.uint8)])
    # Every eight bytes from every place on, as one number each: a view, not a copy.
    words = np.ndarray(shape=(len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
    starts, lengths = offsets[:-1] - begin, np.diff(offsets)
    one = lengths.astype(np.uint64) * _C + _NOTHING
    two = one ^ _D
    _take_in(one, two, words, starts, lengths)
    for row in np.flatnonzero(lengths > _LONG_BYTES):
        digest = blake3(padded[starts[row] : starts[row] + lengths[row]].tobytes()).digest(16)
        one[row], two[row] = (int.from_bytes(half, "little") for half in (digest[:8], digest[8:]))
    return one, two


def _take_in(
    one: NDArray[np.uint64],
    two: NDArray[np.uint64],
    words: NDArray[np.uint64],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int64],
) -> None:
    short = lengths <= _LONG_BYTES
    at = 0
    while len(live := np.flatnonzero(short & (lengths > at))):
        left = np.minimum(lengths[live] - at, 8)
        word = words[starts[live] + at] & _TAIL[left]
        for lane, factor in ((one, _A), (two, _E)):
            mixed = (lane[live] ^ word) * factor
            mixed ^= mixed >> _S32
            mixed *= _B
            lane[live] = mixed ^ (mixed >> _S29)
        at += 8
