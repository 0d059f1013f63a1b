"""Databases that are one file: SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote as quote_url

from headway.errors import SourceError, did_you_mean
from headway.query.compile import quote
from headway.sources.opened import one_line, plainly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from headway.nouns.brief import Source
    from headway.query.database import Database
    from headway.sources.opened import Opened

__all__ = ["chosen", "open_sqlite"]


def chosen(wanted: str, tables: Sequence[str], *, shown: str, where: str, source: str, thing: str = "table") -> str:
    """Return the table that is meant: the one that is named, or the only one there is.

    Raises
    ------
    SourceError
        When there is none of that name, or several and none is named.
    """
    table = wanted or (tables[0] if len(tables) == 1 else "")
    if table in tables:
        return table
    found = f"has no {thing} {table!r}" if table else f"has {len(tables)} {thing}s, and none is named"
    hint = did_you_mean(table, tables) if table else f"Set sources.{source}.table. {did_you_mean('', tables)}"
    raise SourceError(f"{shown} {found}.", where=where, hint=hint.strip())


def open_sqlite(path: Path, source: Source, name: str, database: Database) -> Opened:
    """Return a table of an SQLite file, which nothing is written to."""
    return plainly(database.register(_sqlite_table(path, source, name)), database)


def _sqlite_table(path: Path, source: Source, name: str) -> pa.Table:
    import adbc_driver_sqlite.dbapi as driver  # only who reads SQLite needs it

    try:
        with driver.connect(f"file:{quote_url(str(path))}?mode=ro") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
            tables = [row[0] for row in cursor.fetchall()]
            table = chosen(source.table, tables, shown=path.name, where=str(path), source=name)
            cursor.execute(f"SELECT * FROM {quote(table)}")
            return cursor.fetch_arrow_table()
    except driver.Error as error:
        raise SourceError(f"{path.name} cannot be read as SQLite: {one_line(str(error))}", where=str(path)) from None
