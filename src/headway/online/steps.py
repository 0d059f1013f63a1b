"""One timeline in memory: which row holds for this key at this moment, by a dictionary and a bisection.

The file hides the layout. All steps stand in one table, ordered by key and moment; a key is a stretch of it. Nothing
is ever changed after it is made, so that any number of readers need no lock.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AT", "NOT_FOUND", "Steps", "ordered", "same_key_as_next"]

AT = "@at"
_KEY = "@key"
NOT_FOUND = -1


class Steps:
    """The steps of one timeline, asked by key and moment.

    Parameters
    ----------
    table
        ``@key0``, ``@key1``, … and, unless nothing changes with time, ``@at``, in whole microseconds; then whatever
        is looked up. Ordered as :func:`ordered` does it.

    Examples
    --------
    >>> table = pa.table({"@key0": ["EWR", "EWR", "JFK"], "@at": [10, 20, 15], "wind": [5.0, 7.0, None]})
    >>> steps = Steps(ordered(table))
    >>> steps.column("wind")[steps.find("EWR", 19)]
    5.0
    >>> steps.find("EWR", 9) == NOT_FOUND
    True
    """

    __slots__ = ("_columns", "_moments", "_stretches")

    def __init__(self, table: pa.Table) -> None:
        keys = _key_names(table)
        self._moments = array("q", _whole(table[AT]).tobytes()) if AT in table.column_names else None
        self._columns = {name: _sequence(table[name]) for name in table.column_names if name not in (*keys, AT)}
        self._stretches = _stretches(table, keys)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._stretches)

    def find(self, key: Any, moment_us: int) -> int:
        """Return the row that holds for ``key`` (a tuple, if it has several columns) at a moment, or NOT_FOUND."""
        stretch = self._stretches.get(key)
        if stretch is None:
            return NOT_FOUND
        first, end = stretch
        if self._moments is None:
            return first
        row = bisect_right(self._moments, moment_us, first, end) - 1
        return row if row >= first else NOT_FOUND

    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a column, by row; None for missing."""
        return self._columns[name]


def ordered(table: pa.Table) -> pa.Table:
    """Return the steps ordered by key and moment, in one piece."""
    names = [*_key_names(table), *([AT] if AT in table.column_names else [])]
    table = table.combine_chunks()
    if table.num_rows == 0:
        return table
    order = pc.sort_indices(table.select(names), sort_keys=[(name, "ascending") for name in names])
    return table.take(order).combine_chunks()


def same_key_as_next(table: pa.Table) -> Any:
    """Return, for each row of an ordered table but the last, whether the next one has the same key."""
    count = max(table.num_rows - 1, 0)
    same = np.ones(count, dtype=bool)
    for name in _key_names(table):
        column = table[name].combine_chunks()
        same &= pc.equal(column.slice(0, count), column.slice(1)).to_numpy(zero_copy_only=False)
    return same


def _key_names(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name.startswith(_KEY)]


def _whole(column: pa.ChunkedArray) -> Any:
    return np.ascontiguousarray(column.to_numpy(), dtype=np.int64)


def _sequence(column: pa.ChunkedArray) -> Sequence[Any]:
    """Return a column as something that is indexed quickly: packed numbers where none is missing, else objects."""
    if column.null_count == 0 and pa.types.is_integer(column.type):
        return array("q", _whole(column).tobytes())
    if column.null_count == 0 and pa.types.is_float64(column.type):
        return array("d", np.ascontiguousarray(column.to_numpy(), dtype=np.float64).tobytes())
    values: list[Any] = column.to_pylist()
    return values


def _stretches(table: pa.Table, keys: list[str]) -> dict[Any, tuple[int, int]]:
    if table.num_rows == 0:
        return {}
    ends = np.append(np.flatnonzero(~same_key_as_next(table)) + 1, table.num_rows)
    starts = np.append(0, ends[:-1])
    columns = [table[name].take(pa.array(starts)).to_pylist() for name in keys]
    names = columns[0] if len(keys) == 1 else list(zip(*columns, strict=True))
    return dict(zip(names, zip(starts.tolist(), ends.tolist(), strict=True), strict=True))
