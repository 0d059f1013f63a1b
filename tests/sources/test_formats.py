"""Each format of files, read from real ones: what stands there is what is read, and what is broken is named."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import sqlite3
import zipfile
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from headway.errors import SourceError
from headway.nouns.brief import Source
from headway.query.database import Database
from headway.sources.places import items_of

_moment = dt.datetime.fromisoformat  # without a zone, as files hold them
ROWS = [
    {"id": 1, "name": "x", "at": _moment("2013-07-01T12:30"), "price": 1.5, "ok": True},
    {"id": 2, "name": None, "at": _moment("2013-07-02"), "price": -3.25, "ok": False},
    {"id": 3, "name": "z", "at": None, "price": None, "ok": None},
]
TABLE = pa.Table.from_pylist(ROWS)
TEXT = "id,name,at,price,ok\n1,x,2013-07-01 12:30:00,1.5,true\n2,,2013-07-02 00:00:00,-3.25,false\n3,z,,,\n"


def read(folder, path: str, **source: Any) -> list[dict[str, Any]]:
    """Return the rows of all items that a path names."""
    rows = []
    with Database(threads=1) as database, items_of("s", Source(path=path, **source), folder=folder) as items:
        for item in items:
            assert item.digest()
            with item.opened(database) as file:
                table = database.table(f"SELECT * FROM {file.relation({})}")
                assert list(file.columns) == table.column_names
                rows += table.to_pylist()
            item.settled()
    return rows


def _zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def _lines() -> bytes:
    return "".join(json.dumps(row, default=str) + "\n" for row in ROWS).encode()


def _zip(path, name: str, data: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)


def _workbook(path, rows: list[dict[str, Any]] = ROWS) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append(list(row.values()))
    book.save(path)


def _zipped_workbook(path) -> None:
    inner = path.with_name("inner.xlsx")
    _workbook(inner)
    _zip(path, inner.name, inner.read_bytes())


def _duckdb(path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def _ipc(path, *, stream: bool) -> None:
    begun = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, begun(file, TABLE.schema) as writer:
        for batch in TABLE.to_batches(max_chunksize=2):
            writer.write_batch(batch)


MADE = {
    "f.csv": lambda path: path.write_text(TEXT),
    "f.tsv": lambda path: path.write_text(TEXT.replace(",", "\t")),
    "f.csv.gz": lambda path: path.write_bytes(gzip.compress(TEXT.encode())),
    "f.csv.zst": lambda path: path.write_bytes(_zstd(TEXT.encode())),
    "f.csv.zip": lambda path: _zip(path, "f.csv", TEXT.encode()),
    "f.jsonl": lambda path: path.write_bytes(_lines()),
    "f.jsonl.gz": lambda path: path.write_bytes(gzip.compress(_lines())),
    "f.jsonl.zst": lambda path: path.write_bytes(_zstd(_lines())),
    "f.jsonl.zip": lambda path: _zip(path, "f.jsonl", _lines()),
    "f.parquet": lambda path: pq.write_table(TABLE, path),
    "f.arrow": lambda path: _ipc(path, stream=False),
    "f.ipc": lambda path: _ipc(path, stream=True),
    "f.feather": lambda path: feather.write_feather(TABLE, path, compression="zstd"),
    "f.xlsx": _workbook,
    "f.xlsx.zip": _zipped_workbook,
    "f.duckdb": lambda path: _duckdb(
        path,
        'CREATE TABLE t (id INTEGER, name TEXT, "at" TIMESTAMP, price DOUBLE, ok BOOLEAN)',
        "INSERT INTO t VALUES (1, 'x', '2013-07-01 12:30:00', 1.5, true), (2, NULL, '2013-07-02', -3.25, false), "
        "(3, 'z', NULL, NULL, NULL)",
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_every_format_gives_the_same_rows(tmp_path, name) -> None:
    """Plain or packed, text or columns, a sheet or a table of a database: types included."""
    MADE[name](tmp_path / name)
    assert read(tmp_path, name) == ROWS


def test_rows_of_sqlite_keep_their_type_where_it_shows_late(tmp_path) -> None:
    """SQLite types values, not columns: five thousand whole numbers do not make the fraction after them one."""
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE t (a)")
        database.executemany("INSERT INTO t VALUES (?)", [(i,) for i in range(5000)] + [(0.5,)])
    database.close()
    rows = read(tmp_path, "a.db")
    assert (rows[1], rows[-1]) == ({"a": 1.0}, {"a": 0.5})


def test_what_a_database_has_not_yet_put_in_its_place_is_read_and_told_apart(tmp_path) -> None:
    """SQLite with a write-ahead log: a new row changes the digest, though the file itself is the same."""
    writer = sqlite3.connect(tmp_path / "a.db")
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("PRAGMA wal_autocheckpoint = 0")
    digests = []
    for number in (1, 2):
        writer.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER)")
        writer.execute("INSERT INTO t VALUES (?)", (number,))
        writer.commit()
        with items_of("s", Source(path="a.db"), folder=tmp_path) as items:
            digests.append(items[0].digest())
    assert read(tmp_path, "a.db") == [{"a": 1}, {"a": 2}]
    assert digests[0] != digests[1]
    writer.close()


# -- sheets


def test_a_sheet_is_named_by_table_and_starts_where_its_first_row_is(tmp_path) -> None:
    """Empty rows above, an empty column beside, and a second sheet do not matter."""
    book = openpyxl.Workbook()
    book.active.title = "notes"
    sheet = book.create_sheet("orders")
    for row in [[], [], ["id", None, "day", "code"], [1, None, dt.date(2013, 7, 1), 7], [2, None, None, "A7"]]:
        sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    assert read(tmp_path, "a.xlsx", table="orders") == [
        {"id": 1, "day": _moment("2013-07-01"), "code": "7"},
        {"id": 2, "day": None, "code": "A7"},
    ]
    with pytest.raises(SourceError, match="has no sheet 'ordres'") as caught:
        read(tmp_path, "a.xlsx", table="ordres")
    assert caught.value.hint == "Did you mean 'orders'?"
    with pytest.raises(SourceError, match="has 2 sheets, and none is named"):
        read(tmp_path, "a.xlsx")
    with pytest.raises(SourceError, match=r"Sheet 'notes' of a\.xlsx is empty"):
        read(tmp_path, "a.xlsx", table="notes")


@pytest.mark.parametrize(
    ("header", "said", "where"),
    [
        (["id", None], "Column 2 of sheet", ":1"),
        (["id", "Id"], "are the same name", ":1"),
    ],
)
def test_a_sheet_whose_columns_are_not_named_apart_is_refused(tmp_path, header, said, where) -> None:
    """With the row that names them."""
    book = openpyxl.Workbook()
    book.active.append(header)
    book.active.append([1, 2])
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(SourceError, match=said) as caught:
        read(tmp_path, "a.xlsx")
    assert caught.value.where == f"{tmp_path / 'a.xlsx'}{where}"


# -- databases in a file


def test_a_table_of_a_duckdb_file_is_named_and_its_file_is_left_alone(tmp_path) -> None:
    """Two tables ask which; a view counts; the file is the same afterwards."""
    _duckdb(tmp_path / "a.duckdb", "CREATE TABLE t AS SELECT 1 AS a", "CREATE VIEW v AS SELECT a + 1 AS b FROM t")
    before = (tmp_path / "a.duckdb").read_bytes()
    assert read(tmp_path, "a.duckdb", table="v") == [{"b": 2}]
    with pytest.raises(SourceError, match="has 2 tables, and none is named") as caught:
        read(tmp_path, "a.duckdb")
    assert "Known: t, v." in caught.value.hint
    assert (tmp_path / "a.duckdb").read_bytes() == before


def test_a_view_in_a_duckdb_file_reads_no_other_file(tmp_path) -> None:
    """A file that was handed over may not look around on this machine."""
    (tmp_path / "secret.csv").write_text("a\n1\n")
    _duckdb(tmp_path / "a.duckdb", f"CREATE VIEW v AS SELECT * FROM read_csv('{tmp_path / 'secret.csv'}')")
    with pytest.raises(SourceError, match=r"a\.duckdb cannot be read"):
        read(tmp_path, "a.duckdb")


@pytest.mark.parametrize(
    "name", ["f.csv", "f.tsv", "f.csv.gz", "f.xlsx", "f.jsonl", "f.parquet", "f.arrow", "f.duckdb"]
)
def test_the_texts_that_mean_missing_are_for_formats_that_cannot_say_so_themselves(tmp_path, name) -> None:
    """A CSV and a workbook have no other way; where there is a null, a text is a text, as the documentation says."""
    MADE[name](tmp_path / name)
    heeded = name.startswith(("f.csv", "f.tsv", "f.xlsx"))
    assert [row["name"] for row in read(tmp_path, name, nulls=("", "z"))] == ["x", None, None if heeded else "z"]


# -- what is broken


@pytest.mark.parametrize("name", [name for name in MADE if name not in {"f.csv", "f.tsv", "f.jsonl", "f.duckdb"}])
@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_a_file_that_was_cut_is_named(tmp_path, name, kept) -> None:
    """Half of it, or nearly all of it: whatever a broken transfer leaves behind."""
    path = tmp_path / name
    MADE[name](path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(SourceError) as caught:
        read(tmp_path, name)
    assert caught.value.where == str(path)
    assert name in caught.value.what


@pytest.mark.parametrize("name", [name for name in MADE if name not in {"f.csv", "f.tsv"}])
def test_a_file_that_is_something_else_is_named(tmp_path, name) -> None:
    """A page that says 'sign in', saved under the name of the data."""
    (tmp_path / name).write_text("<!doctype html>\n<title>Sign in</title>\n" * 99)
    with pytest.raises(SourceError) as caught:
        read(tmp_path, name)
    assert caught.value.where.startswith(str(tmp_path / name))


def test_what_packs_its_own_columns_is_not_packed_again(tmp_path) -> None:
    """Gzipped Parquet would have to be unpacked whole to read one column."""
    (tmp_path / "a.parquet.gz").write_bytes(b"any")
    with pytest.raises(SourceError, match=r"a\.parquet\.gz is packed") as caught:
        read(tmp_path, "a.parquet.gz")
    assert caught.value.hint == "Unpack it."
