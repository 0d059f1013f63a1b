"""Which place answers for each example: the points asked about, each once, against a source's places in memory.

The file hides the way out of the engine and back into it. Places are few beside examples (they are a dimension, or grow
as shops open), so all of them stand in memory; of the examples only the points that differ leave the engine, by column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.nouns.sphere import NOWHERE, grouped_places
from headway.query.compile import quote
from headway.query.timeline import AT, KNOWN, NTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from headway.query.database import Database
    from headway.query.timeline import Timeline

__all__ = ["answers"]


def answers(timeline: Timeline, examples: str, places: str, *, look_at: str, database: Database) -> str:
    """Return a table with the place that answers for each point (and moment) that the examples ask about.

    Parameters
    ----------
    examples
        A relation with the columns that the timeline calls its own, and ``look_at``.
    places
        The table of places (:meth:`Timeline.steps_sql`).

    Returns
    -------
    str
        A table of the timeline's key columns, ``@at`` where places are known from some time on, and what is carried.
    """
    *same, north, east = timeline.keys
    moving = not timeline.timeless
    asked = [f"{quote(mine)} AS {quote(key)}" for mine, key in zip(timeline.mine, timeline.keys, strict=True)]
    asked += [f"{quote(look_at)} AS {quote(AT)}"] if moving else []
    here = " AND ".join(f"{quote(mine)} IS NOT NULL" for mine in timeline.mine)
    points = database.table(f"SELECT DISTINCT {', '.join(asked)} FROM {examples} WHERE {here}")
    known = f", epoch_us({quote(KNOWN)}) AS {quote(KNOWN)}" if moving else ""
    listed = ", ".join(map(quote, timeline.keys))
    held = database.table(f"SELECT {listed}{known} FROM {places} ORDER BY {quote(NTH)}")
    groups = grouped_places(
        _names(held, same), _floats(held[north]), _floats(held[east]), _moments(held[KNOWN]) if moving else None
    )
    found = np.full(points.num_rows, NOWHERE, dtype=np.int64)
    lat, lon = _floats(points[north]), _floats(points[east])
    moments = _moments(points[AT]) if moving else None
    for name, rows in _stretches(points, same):
        if name in groups:
            stand, there = groups[name]
            nth = there.nearest(lat[rows], lon[rows], None if moments is None else moments[rows])
            found[rows] = np.where(nth == NOWHERE, NOWHERE, stand[nth])
    answered = database.register(points.append_column("@found", pa.array(found)))
    shown = ", ".join(f"f.{quote(name)}" for name in [*timeline.keys, *([AT] if moving else [])])
    carried = "".join(f", p.{quote(name)}" for name, _ in timeline.columns)
    return database.create(
        f'SELECT {shown}{carried} FROM {answered} f JOIN {places} p ON f."@found" = p.{quote(NTH)}', prefix="nearest"
    )


def _names(table: pa.Table, keys: list[str]) -> list[Any]:
    """Return what must be equal, row by row: nothing, a value, or several."""
    if not keys:
        return [()] * table.num_rows
    columns = [table[key].to_pylist() for key in keys]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def _stretches(table: pa.Table, keys: list[str]) -> Iterator[tuple[Any, NDArray[np.int64]]]:
    """Yield what must be equal, and the rows that have it; one name at a time, never one row."""
    if not keys:
        yield (), np.arange(table.num_rows)
        return
    codes = np.zeros(table.num_rows, dtype=np.int64)
    for key in keys:
        column = table[key].combine_chunks().dictionary_encode()
        codes = codes * len(column.dictionary) + np.asarray(column.indices, dtype=np.int64)
        _, codes = np.unique(codes, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        if len(rows):
            yield _names(table.slice(int(rows[0]), 1), keys)[0], rows


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _moments(column: pa.ChunkedArray) -> NDArray[np.int64]:
    if pa.types.is_timestamp(column.type):
        column = pc.cast(pc.cast(column, pa.timestamp("us")), pa.int64())
    return np.asarray(column.to_numpy(), dtype=np.int64)
