"""A real PostgreSQL: what stands there is what is read, only what is new is read again, and no secret is kept."""

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import pyarrow.parquet as pq
import pytest

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.errors import BriefError, HeadwayError, SourceError
from headway.nouns.brief import Source
from headway.sources.places import items_of

WHO = {"user": "SALES_USER", "password": "SALES_PASSWORD"}
_moment = dt.datetime.fromisoformat


class Sales:
    """A project whose one source is a table of a database."""

    def __init__(self, folder, server) -> None:
        self.folder, self.server = folder, server
        self.blobs = FolderBlobs(folder / "blobs")
        self.read: list[str] = []

    def source(self, **fields: Any) -> Source:
        """Return the source, with fields beside the usual ones."""
        return Source(**{"path": self.server.url, "credentials": WHO, "table": "sales", **fields})

    def collect(self, previous=None, **fields: Any):
        """Collect it."""
        return collect(
            "s", self.source(**fields), folder=self.folder, store=self.blobs, previous=previous,
            progress=self.read.append, threads=1,
        )  # fmt: skip

    def rows(self, snapshot) -> list[tuple[Any, ...]]:
        """Return all rows, in order."""
        return [
            tuple(row.values())
            for segment in snapshot.segments
            for row in pq.read_table(self.blobs.path(segment.blob)).to_pylist()
        ]


@pytest.fixture
def sales(tmp_path, postgres):
    """Return a project with a table of three sales."""
    postgres.run(
        "CREATE TABLE sales (id BIGSERIAL PRIMARY KEY, at TIMESTAMPTZ, price NUMERIC(9, 2), note TEXT)",
        "INSERT INTO sales (at, price, note) VALUES ('2013-07-01 12:00+02', 1.5, 'a'), ('2013-07-02 00:00Z', 2, NULL), "
        "('2013-07-03 00:00Z', -3.25, 'c')",
    )
    return Sales(tmp_path, postgres)


def test_every_type_becomes_one_that_is_kept(tmp_path, postgres) -> None:
    """Numbers without bound, documents, arrays, days, moments in and out of a zone, and all of them missing."""
    postgres.run(
        "CREATE TYPE mood AS ENUM ('well', 'ill')",
        "CREATE TABLE sales (a INT2, b INT8, c REAL, d NUMERIC, e BOOLEAN, f DATE, g TIMESTAMP, h TIMESTAMPTZ, "
        "i JSONB, j INT[], k UUID, l MOOD, m VARCHAR(3), n TIME)",
        """INSERT INTO sales VALUES (1, 2, 0.5, 12.25, true, '2013-07-01', '2013-07-01 12:00', '2013-07-01 12:00+02',
        '{"a": 1}', '{1,2}', '6f1c0000-0000-0000-0000-000000000001', 'ill', 'xyz', '12:30')""",
        "INSERT INTO sales (a) VALUES (NULL)",
    )
    project = Sales(tmp_path, postgres)
    snapshot = project.collect(zone="America/New_York")
    kinds = [column.kind for column in snapshot.columns]
    assert kinds == ["int", "int", "float", "float", "bool", "time", "time", "time", *["text"] * 6]
    full, empty = project.rows(snapshot)
    assert full == (
        1, 2, 0.5, 12.25, True, _moment("2013-07-01T04:00"), _moment("2013-07-01T16:00"), _moment("2013-07-01T10:00"),
        '{"a": 1}', "{1,2}", "6f1c0000-0000-0000-0000-000000000001", "ill", "xyz", "12:30:00",
    )  # fmt: skip
    assert empty == (None,) * 14


def test_a_query_and_a_table_of_another_schema_are_read(sales) -> None:
    """What a query answers is a table, too."""
    sales.server.run("CREATE SCHEMA old", "CREATE TABLE old.sales AS SELECT 7 AS x")
    assert sales.rows(sales.collect(table="old.sales")) == [(7,)]
    query = "SELECT note, count(*) AS n FROM sales WHERE price > 0 GROUP BY note ORDER BY note;"
    assert sales.rows(sales.collect(table="", query=query)) == [("a", 1), (None, 1)]


def test_a_table_that_did_not_change_is_not_read_again(sales) -> None:
    """The server says whether it did, whatever order its rows come in."""
    first = sales.collect()
    assert sales.collect(previous=first).digest == first.digest
    assert len(sales.read) == 1
    sales.server.run("DELETE FROM sales WHERE id = 1", "INSERT INTO sales VALUES (1, '2013-07-01 12:00+02', 1.5, 'a')")
    assert sales.collect(previous=first).digest == first.digest
    sales.server.run("UPDATE sales SET note = 'b' WHERE id = 2")
    second = sales.collect(previous=first)
    assert sorted(sales.rows(second))[1][3] == "b"
    assert len(sales.read) == 2


@pytest.mark.parametrize("column", ["id", "at"])
def test_of_a_growing_table_only_new_rows_are_read(sales, column) -> None:
    """By the number of a row, or by when it was written; what was read before stays as it is."""
    first = sales.collect(grows_by=column)
    again = sales.collect(previous=first, grows_by=column)
    assert again.digest == first.digest
    sales.server.run("INSERT INTO sales (at, price) VALUES ('2013-07-04Z', 4), ('2013-07-05 00:00:00.000001Z', 5)")
    second = sales.collect(previous=again, grows_by=column)
    assert [segment.rows for segment in second.segments] == [3, 2]
    assert second.segments[0].blob == first.segments[0].blob
    assert [row[0] for row in sales.rows(second)] == [1, 2, 3, 4, 5]
    third = sales.collect(previous=second, grows_by=column)
    assert third.digest == second.digest
    assert len(sales.read) == 2


def test_a_row_that_was_committed_late_is_not_lost(sales) -> None:
    """A transaction took number 4, another took 5 and was read first: the table is read anew, and holds both."""
    with sales.server.connect() as slow:
        slow.execute("INSERT INTO sales (note) VALUES ('slow')")
        sales.server.run("INSERT INTO sales (note) VALUES ('quick')")
        first = sales.collect(grows_by="id")
        assert [row[0] for row in sales.rows(first)] == [1, 2, 3, 5]
        slow.commit()
    second = sales.collect(previous=first, grows_by="id")
    assert sorted(row[0] for row in sales.rows(second)) == [1, 2, 3, 4, 5]


def test_a_table_without_rows_yet_grows_from_nothing(sales) -> None:
    """A first reading needs a row to know the columns by; later it is a quiet day."""
    sales.server.run("CREATE TABLE new (id INT)")
    with pytest.raises(SourceError, match="no row"):
        sales.collect(table="new", grows_by="id")


# -- what goes wrong


def test_no_secret_is_written_down(sales, monkeypatch, caplog) -> None:
    """Neither in the store, nor in a log, nor in what is said of a wrong password; nor is anything hashed from it."""
    first = sales.collect()
    secret = os.environ["SALES_PASSWORD"]
    monkeypatch.setenv("SALES_PASSWORD", secret[::-1])
    with pytest.raises(SourceError) as caught:
        sales.collect()
    assert "refuses the password" in caught.value.what
    monkeypatch.setenv("OTHER", secret)
    again = sales.collect(credentials={"user": "SALES_USER", "password": "OTHER"})
    assert again.digest == first.digest
    told = [str(caught.value), repr(caught.value.__dict__), caplog.text, *sales.read, repr(first)]
    kept = [path.read_bytes() for path in sales.folder.rglob("*") if path.is_file()]
    for part in (secret, secret[::-1], "Gl4ss%3Abe%2Fad%40s%20%25"):
        assert all(part not in text for text in told)
        assert all(part.encode() not in data for data in kept)
    assert kept


WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "table": ({"table": "saels"}, "has no table 'saels'", "sources.s.table", "Did you mean 'sales'?"),
    "column": ({"grows_by": "idd"}, "has no column 'idd'", "sources.s.grows_by", "Did you mean 'id'?"),
    "kind": ({"grows_by": "note"}, "is a text, and a number or a moment", "sources.s.grows_by", "the row's number"),
    "query": ({"table": "", "query": "SELEC 1"}, "does not understand the query", "s.path", "Write one SELECT."),
    "writing": ({"table": "", "query": "DELETE FROM sales"}, "does not understand", "sources.s.path", "one SELECT"),
    "unset": ({"credentials": {"password": "NOT_SET"}}, "no environment variable 'NOT_SET'", ".password", ""),
    "useless": ({"credentials": {"key": "A"}}, "has no use for a key", "s.credentials.key", "user, password"),
    "nobody": ({"credentials": {}}, "refuses this user", "sources.s.path", "credentials"),
    "both": ({"query": "SELECT 1"}, "a table, or a query?", "sources.s.table", "one of the two"),
    "neither": ({"table": ""}, "a table, or a query?", "sources.s.table", "one of the two"),
    "database": ({"path": "/none"}, "has no such database", "sources.s.path", "last part"),
    "down": ({"path": "postgresql://127.0.0.1:1/none"}, "cannot be reached", "sources.s.path", "Is the server up"),
    "nowhere": ({"path": "postgresql://no.such.host.invalid/none"}, "cannot be reached", "s.path", "server up"),
    "password": ({"path": "postgresql://me:secret@127.0.0.1/none"}, "holds a password", "s.path", "credentials"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_read_is_said_with_what_to_do(sales, name) -> None:
    """An unknown table, a wrong name, a server that is down …: where, why, what now; nothing is taken."""
    fields, what, where, hint = WRONG[name]
    if fields.get("path", "").startswith("/"):
        fields = {**fields, "path": sales.server.url.rpartition("/")[0] + fields["path"]}
    with pytest.raises((SourceError, BriefError)) as caught:
        sales.collect(**fields)
    error = caught.value
    assert isinstance(error, HeadwayError)
    assert what in error.what
    assert error.where.endswith(where)
    assert hint in error.hint
    assert "secret" not in str(error)
    assert not list((sales.folder / "blobs").rglob("*.parquet"))


def test_a_query_may_not_write(sales) -> None:
    """Not even by a function that does."""
    sales.server.run(
        "CREATE FUNCTION sneak() RETURNS INT LANGUAGE SQL AS 'INSERT INTO sales (note) VALUES (''x'') RETURNING 1'"
    )
    with pytest.raises(SourceError, match="was asked to write"):
        sales.collect(table="", query="SELECT sneak()")


def test_a_column_that_vanishes_is_named(sales) -> None:
    """Between two readings; what was read before stays."""
    first = sales.collect(grows_by="id")
    sales.server.run("ALTER TABLE sales DROP COLUMN note", "INSERT INTO sales (price) VALUES (4)")
    with pytest.raises(SourceError, match="has no column 'note', which was there before"):
        sales.collect(previous=first, grows_by="id")
    assert sales.rows(first)


@pytest.mark.parametrize("field", ["query", "grows_by", "credentials"])
def test_a_file_has_no_use_for_what_concerns_a_database(tmp_path, field) -> None:
    """A field without effect would be taken for one that has it."""
    value: Any = {"password": "X"} if field == "credentials" else "id"
    with (
        pytest.raises(BriefError, match="means nothing to") as caught,
        items_of("s", Source(path="a.csv", **{field: value}), folder=tmp_path),
    ):
        pass
    assert caught.value.where == f"sources.s.{field}"
