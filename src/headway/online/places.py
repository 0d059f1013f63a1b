"""The places of one look-up in memory: which of them is nearest to a point, among those known by a moment.

It answers as ``online.steps.Steps`` does; the last two parts of the key are degrees north and east.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headway.nouns.sphere import NOWHERE, grouped_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

__all__ = ["NTH", "PlaceSteps"]

NTH = "@nth"
_KNOWN = "@known"
_KEY = "@key"


class PlaceSteps:
    """Places, asked by key and moment.

    Parameters
    ----------
    table
        ``@key0``, ``@key1``, …, the last two degrees north and east; ``@nth``, whose least decides between those that
        are equally near; ``@known``, in whole microseconds, where places are known from some time on; then whatever
        is looked up.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"@key0": [40.6, 40.8], "@key1": [-73.8, -73.9], "@nth": [0, 1], "name": ["JFK", "LGA"]})
    >>> steps = PlaceSteps(table)
    >>> steps.column("name")[steps.find((40.76, -73.98), 0)]
    'LGA'
    """

    __slots__ = ("_columns", "_groups", "_moving")

    def __init__(self, table: pa.Table) -> None:
        table = table.sort_by(NTH)
        *same, north, east = (name for name in table.column_names if name.startswith(_KEY))
        self._moving = _KNOWN in table.column_names
        self._columns = {name: table[name].to_pylist() for name in table.column_names}
        names = list(zip(*(self._columns[name] for name in same), strict=True)) if same else [()] * table.num_rows
        lat, lon = (np.array(self._columns[name], dtype=np.float64) for name in (north, east))
        known = np.array(self._columns[_KNOWN], dtype=np.int64) if self._moving else None
        self._groups = grouped_places(names, lat, lon, known)

    def find(self, key: Any, moment_us: int) -> int:
        """Return the row of the place nearest to a point, or a negative number."""
        *same, north, east = key
        group = self._groups.get(tuple(same))
        if group is None or north is None or east is None:
            return NOWHERE
        rows, places = group
        moment = np.array([moment_us], dtype=np.int64) if self._moving else None
        (nth,) = places.nearest(np.array([north], dtype=np.float64), np.array([east], dtype=np.float64), moment)
        return NOWHERE if nth == NOWHERE else int(rows[nth])

    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a column, by row; None for missing."""
        values: list[Any] = self._columns[name]
        return values
