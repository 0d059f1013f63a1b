"""The page about sources: every snippet is a source that can be read, and every kind of source stands there."""

from __future__ import annotations

import re
import tomllib
import typing
from pathlib import Path

import duckdb
import msgspec
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from headway.nouns.brief import Source
from headway.nouns.cleaning import UNITS, Clean
from headway.query.compile import Scope, compile_expression
from headway.query.database import Database
from headway.sources import objects, postgres
from headway.sources.places import items_of

PAGE = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
SOURCES = {
    name: msgspec.convert(table, Source)
    for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    for name, table in tomllib.loads(block)["sources"].items()
}
ROWS = pa.table({"id": [1, 2], "price": [1.5, 2.5]})
CSV = "id,price\n1,1.5\n2,2.5\n"


def _write(path: Path, table: str) -> None:
    """Write two rows to a file of the kind that its name says."""
    match path.suffix:
        case ".csv":
            path.write_text(CSV)
        case ".jsonl":
            path.write_text('{"id": 1, "price": 1.5}\n{"id": 2, "price": 2.5}\n')
        case ".parquet":
            pq.write_table(ROWS, path)
        case ".arrow":
            feather.write_feather(ROWS, path)
        case ".xlsx":
            book = openpyxl.Workbook()
            sheet = book.create_sheet(table)
            for row in (["id", "price"], [1, 1.5], [2, 2.5]):
                sheet.append(row)
            book.save(path)
        case ".duckdb":
            with duckdb.connect(str(path)) as connection:
                connection.execute(f"CREATE TABLE {table} AS SELECT 1 AS id, 1.5e0 AS price UNION ALL SELECT 2, 2.5e0")
        case ".sqlite":
            import sqlite3

            with sqlite3.connect(path) as database:
                database.execute(f"CREATE TABLE {table} (id INTEGER, price REAL)")
                database.executemany(f"INSERT INTO {table} VALUES (?, ?)", [(1, 1.5), (2, 2.5)])
            database.close()


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if "://" not in source.path])
def test_a_snippet_reads_the_file_that_it_names(tmp_path, name) -> None:
    """Two rows, whatever the format."""
    source = SOURCES[name]
    (tmp_path / "data" / "sales").mkdir(parents=True)
    for path in (source.path, *source.also):
        _write(tmp_path / path.replace("*", "1"), source.table)
    with Database(threads=1) as database, items_of(name, source, folder=tmp_path) as items:
        for item in items:
            with item.opened(database) as file:
                assert database.rows(f"SELECT id, price FROM {file.relation({})} ORDER BY id") == [(1, 1.5), (2, 2.5)]
    assert len(items) == 1 + len(source.also)


def test_every_kind_of_source_stands_on_the_page() -> None:
    """Formats, places, and each step of cleaning."""
    given = next(field for field in msgspec.structs.fields(Source) if field.name == "format").type
    options = typing.get_args(given)[0]
    assert all(f"`{kind}`" in PAGE for kind in typing.get_args(options) if kind)
    assert all(f"{scheme}://" in PAGE for scheme in (*objects.SCHEMES, postgres.SCHEMES[0]))
    new = {
        "also",
        "rename",
        "missing_columns",
        "extra_columns",
        "credentials",
        "endpoint",
        "region",
        "grows_by",
        "once",
    }
    assert all(field in PAGE for field in new | {"licence", "owner", "access", "personal", "retention"})
    assert all(field.name in PAGE for field in msgspec.structs.fields(Clean) if field.name != "fitted")


def test_the_cleaning_on_the_page_fits_the_columns_that_it_speaks_of() -> None:
    """Each cleaned column compiles."""
    from headway.query.cleaning import cleaned

    scope = Scope.of(
        "source 'measured'", {"station": "text", "gust_text": "text", "temp_f": "float", "seen_text": "text"}
    )
    kinds = {
        column: compile_expression(cleaned(column, spec, scope, "")[column], scope).kind
        for column, spec in SOURCES["measured"].clean.items()
    }
    assert kinds == {"place": "text", "gust": "float", "temp": "float", "seen": "time"}
    assert ("F", "C") in UNITS
