"""SQL over the rows of one part: what runs wherever these lie.

The file hides that the engine there is the one of here, in UTC, on one thread, bounded and spilling; and how a part of
a source is read from its files, with a number for every row that no other row of the source has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from headway.query.compile import quote
from headway.query.database import Database, blamed_on
from headway.query.nearest import answers
from headway.query.parts import Part, stretch_sql

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from headway.query.timeline import Timeline

__all__ = ["ID", "Read", "Statements", "stretches"]

ID = "@id"
"""The number of a row within its source, the same however often and wherever it is read."""

_STRETCH_ROWS = 1 << 20


@dataclass(frozen=True, slots=True)
class Statements:
    """Tables made one after another, each by its text, and the answer of a last text.

    Attributes
    ----------
    made
        For each table its name, its text, and where in the brief what it computes is defined.
    nearest
        For each look-up of a nearest place the name of its answers, made before all else; the timeline, the relation
        that asks, the table of places, and the column of the moment.
    answer
        The text of what is returned.
    memory_gib
        Above this a worker spills.
    """

    answer: str
    made: tuple[tuple[str, str, str], ...] = ()
    nearest: tuple[tuple[str, Timeline, str, str, str], ...] = ()
    where: str = ""
    memory_gib: float = 1.0

    def __call__(self, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Return the answer over ``tables``, which the texts call by their names."""
        with Database(memory_gib=self.memory_gib, threads=1) as database:
            for name, table in tables.items():
                database.register(table, name=name)
            return self.run(database)

    def run(self, database: Database) -> pa.Table:
        """Return the answer over what the database has."""
        for name, timeline, examples, places, look_at in self.nearest:
            found = answers(timeline, examples, places, look_at=look_at, database=database)
            database.execute(f"CREATE TEMP VIEW {quote(name)} AS SELECT * FROM {found}")
        for name, text, where in self.made:
            with blamed_on(where):
                database.execute(f"CREATE TEMP TABLE {quote(name)} AS {text}")
        with blamed_on(self.where):
            return database.table(self.answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Stretches of a source's files as the relation ``raw``, with :data:`ID`, and statements over it.

    Attributes
    ----------
    kinds
        The columns that are read, each with the engine's type.
    """

    kinds: tuple[tuple[str, str], ...]
    statements: Statements

    def __call__(self, tables: Mapping[str, pa.Table]) -> pa.Table:
        """Return the answer over the stretches that the table ``rows`` lists, one of :func:`stretches`."""
        empty = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in (*self.kinds, (ID, "BIGINT")))
        texts = [f"SELECT {empty} WHERE FALSE"]
        texts += [f"SELECT * FROM {stretch_sql(position=ID, **each)}" for each in tables["rows"].to_pylist()]
        columns = ", ".join(quote(name) for name, _ in (*self.kinds, (ID, "BIGINT")))
        with Database(memory_gib=self.statements.memory_gib, threads=1) as database:
            for name, table in tables.items():
                if name != "rows":
                    database.register(table, name=name)
            database.execute(f"CREATE TEMP VIEW raw AS SELECT {columns} FROM ({' UNION ALL BY NAME '.join(texts)})")
            return self.statements.run(database)


def stretches(parts: Sequence[str | os.PathLike[str]], *, rows: int = _STRETCH_ROWS) -> list[pa.Table]:
    """Return what is to be read, cut into pieces of about so many rows: a table each, of one or more stretches.

    A large file is cut, small ones lie together. Each stretch knows how many rows come before its file, from which
    follows :data:`ID`.
    """
    found: list[list[dict[str, Any]]] = [[]]
    start = held = 0
    for each in parts:
        part = each if isinstance(each, Part) else Part(Path(each))
        count = pq.read_metadata(part.path).num_rows
        for first in range(0, count, rows):
            last = min(first + rows, count)
            if found[-1] and held + last - first > rows:
                found.append([])
                held = 0
            found[-1].append(
                {
                    "path": str(part.path.resolve()),
                    "without": [str(path.resolve()) for path in part.without],
                    "numbered": part.numbered,
                    "first": first,
                    "last": last,
                    "start": start,
                }
            )
            held += last - first
        start += count
    return [pa.Table.from_pylist(group, schema=_STRETCH) for group in found]


_STRETCH = pa.schema(
    {
        "path": pa.string(),
        "without": pa.list_(pa.string()),
        "numbered": pa.bool_(),
        "first": pa.int64(),
        "last": pa.int64(),
        "start": pa.int64(),
    }
)
