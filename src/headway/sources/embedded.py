"""Databases that are one file: SQLite and DuckDB. They are opened to be read, and nothing is written to them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote as quote_url

import duckdb

from headway.errors import SourceError, did_you_mean
from headway.query.compile import quote
from headway.sources.opened import one_line
from headway.sources.spool import open_parquet, spooled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from headway.nouns.brief import Source
    from headway.query.database import Database
    from headway.sources.opened import Opened

__all__ = ["chosen", "opened_duckdb", "opened_sqlite", "tables_of"]

_ROWS = 1 << 16
# SQLite gives every value a type of its own; a column's is settled over so many rows, and later ones must fit it.
_TYPED_ROWS = 1 << 24
_TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' "
    "ORDER BY name",
    "duckdb": "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary UNION ALL "
    "SELECT view_name FROM duckdb_views() WHERE NOT internal AND NOT temporary ORDER BY 1",
}


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


def tables_of(path: Path, kind: str) -> list[str]:
    """Return the tables and views of a database file, by name.

    Raises
    ------
    SourceError
        When it is no such database.
    """
    if kind == "sqlite":
        with _sqlite(path) as cursor:
            cursor.execute(_TABLES[kind])
            return [row[0] for row in cursor.fetchall()]
    with _duckdb(path) as connection:
        return [row[0] for row in connection.execute(_TABLES[kind]).fetchall()]


@contextmanager
def opened_sqlite(path: Path, source: Source, name: str, database: Database) -> Iterator[Opened]:
    """Yield a table of an SQLite file."""
    with _sqlite(path) as cursor:
        cursor.execute(_TABLES["sqlite"])
        tables = [row[0] for row in cursor.fetchall()]
        table = chosen(source.table, tables, shown=path.name, where=str(path), source=name)
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": _TYPED_ROWS})
        cursor.execute(f"SELECT * FROM {quote(table)}")
        with spooled(cursor.fetch_record_batch(), where=str(path)) as rows:
            yield open_parquet(rows, database, shown=path.name, where=str(path))


@contextmanager
def opened_duckdb(path: Path, source: Source, name: str, database: Database) -> Iterator[Opened]:
    """Yield a table of a DuckDB file; a view in it may read that file and nothing else."""
    with _duckdb(path) as connection:
        tables = [row[0] for row in connection.execute(_TABLES["duckdb"]).fetchall()]
        table = chosen(source.table, tables, shown=path.name, where=str(path), source=name)
        stream = connection.sql(f"SELECT * FROM {quote(table)}").to_arrow_reader(_ROWS)
        with spooled(stream, where=str(path)) as rows:
            yield open_parquet(rows, database, shown=path.name, where=str(path))


@contextmanager
def _sqlite(path: Path) -> Iterator[Any]:
    import adbc_driver_sqlite.dbapi as driver  # only who reads SQLite needs it

    try:
        with driver.connect(f"file:{quote_url(str(path))}?mode=ro") as connection, connection.cursor() as cursor:
            yield cursor
    except driver.Error as error:
        raise SourceError(f"{path.name} cannot be read as SQLite: {one_line(str(error))}", where=str(path)) from None


@contextmanager
def _duckdb(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        connection = duckdb.connect(
            str(path),
            read_only=True,
            config={"enable_external_access": "false", "autoinstall_known_extensions": "false"},
        )
    except duckdb.Error as error:
        raise SourceError(f"{path.name} cannot be read as DuckDB: {one_line(str(error))}", where=str(path)) from None
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()
