"""The engine's faults in our words, and its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headway.errors import StoreCorrupt, StoreFull
from headway.query.database import Database, EngineError

if TYPE_CHECKING:
    from pathlib import Path


def test_tables_belong_to_one_connection_alone() -> None:
    """Two at once do not see each other's, though they share an engine."""
    with Database() as first, Database() as second:
        mine = first.create("SELECT 1 AS x")
        theirs = second.create("SELECT 2 AS x")
        assert mine == theirs
        assert first.rows(f"SELECT x FROM {mine}") == [(1,)]
        assert second.rows(f"SELECT x FROM {theirs}") == [(2,)]
        assert first.register(pa.table({"y": [3]})) == second.register(pa.table({"y": [4]}))
        assert first.rows("SELECT y FROM a_2") == [(3,)]
        assert second.rows("SELECT y FROM a_2") == [(4,)]


def test_answers_come_whole_in_batches_and_as_rows() -> None:
    """The same answer, whichever way."""
    with Database(threads=1) as database:
        assert database.table("SELECT i FROM range(5) t(i)")["i"].to_pylist() == [0, 1, 2, 3, 4]
        batches = list(database.batches("SELECT i FROM range(300000) t(i)", rows=100_000))
        assert sum(batch.num_rows for batch in batches) == 300_000
        assert database.rows("SELECT $a + 1", {"a": 1}) == [(2,)]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT CAST('abc' AS BIGINT)", "Could not convert string 'abc'"),
        ("SELECT 9223372036854775807::BIGINT + 1", "Overflow"),
        ("SELECT timezone('Mars/Olympus', TIMESTAMP '2013-01-01')", "'Mars/Olympus' is not a time zone"),
    ],
)
def test_what_cannot_be_computed_is_said_in_one_line(sql, said) -> None:
    """No listing of the statement, no arrow below it."""
    with Database() as database, pytest.raises(EngineError) as caught:
        database.rows(sql)
    assert said in caught.value.what
    assert "\n" not in caught.value.what


def test_a_full_disk_is_said_with_the_file_that_did_not_fit() -> None:
    """Every write to /dev/full fails as on a full disk; a data error that speaks of one stays what it is."""
    with Database() as database:
        with pytest.raises(StoreFull, match="No space is left") as caught:
            database.execute("COPY (SELECT 1) TO '/dev/full' (FORMAT csv)")
        assert caught.value.where == "/dev/full"
        with pytest.raises(EngineError):
            database.rows("SELECT CAST('No space left on device' AS BIGINT)")


def test_closing_twice_is_no_fault() -> None:
    """A context manager may follow on a close by hand."""
    with Database() as database:
        database.rows("SELECT 1")
        database.close()


def test_nothing_is_fetched_or_run_for_having_been_found() -> None:
    """Extensions of the engine are not installed on the way."""
    with Database() as database:
        assert database.rows("SELECT current_setting('autoinstall_known_extensions')") == [(False,)]
        assert database.rows("SELECT current_setting('TimeZone')") == [("UTC",)]


@pytest.mark.parametrize("gone", [False, True])
def test_a_file_of_the_store_that_cannot_be_read_is_called_damaged(tmp_path: Path, *, gone: bool) -> None:
    """It is the store that is damaged, not Headway that is at fault; any other file keeps the engine's words."""
    paths = [tmp_path / "ab" / ("0" * 62), tmp_path / "mine.parquet"]
    paths[0].parent.mkdir()
    for path in paths:
        pq.write_table(
            pa.table({"n": [f"{number * 7919 % 10_007}" for number in range(10_000)]}), path, compression="zstd"
        )
        whole = path.read_bytes()
        path.unlink() if gone else path.write_bytes(whole.replace(b"\x28\xb5\x2f\xfd", b"zstd"))
    with Database() as database:
        with pytest.raises(StoreCorrupt, match="damaged or gone") as caught:
            database.execute(f"CREATE TEMP TABLE t AS SELECT n FROM read_parquet('{paths[0]}')")
        assert caught.value.where == str(paths[0])
        assert "headway data verify" in caught.value.hint
        with pytest.raises(duckdb.Error):
            database.execute(f"CREATE TEMP TABLE t AS SELECT n FROM read_parquet('{paths[1]}')")
