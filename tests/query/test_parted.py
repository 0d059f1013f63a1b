"""Rows are worked on part by part, and nothing is left of them afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from headway.query.database import Database
from headway.query.parted import Parted

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def database():
    """Return an engine of two threads."""
    with Database(threads=2) as database:
        yield database


def _parts(database: Database, rows: Parted) -> list[list[tuple]]:
    return [sorted(database.rows(f"SELECT * FROM {table}")) for table in rows]


@pytest.mark.parametrize("parts", [1, 3])
def test_rows_that_are_added_bit_by_bit_are_all_there(database, parts) -> None:
    """Each once, in its part."""
    rows = Parted(database, parts=parts)
    for first in (0, 40, 80):
        rows.add(f'SELECT i, CAST(i % {parts} AS UINTEGER) AS "@part" FROM range({first}, {first + 40}) t(i)')
    assert _parts(database, rows) == [[(i,) for i in range(part, 120, parts)] for part in range(parts)]


def test_a_part_that_nothing_is_of_is_empty_and_has_its_columns(database) -> None:
    """What is asked of the others is asked of it, too."""
    rows = Parted(database, parts=3)
    rows.add("""SELECT 'é' AS a, CAST('2024-02-29' AS TIMESTAMP) AS "b c", 2 AS "@part" """)
    described = [
        (
            database.rows(f"SELECT count(*) FROM {table}")[0][0],
            [each[:2] for each in database.rows(f"DESCRIBE {table}")],
        )
        for table in rows
    ]
    columns = [("a", "VARCHAR"), ("b c", "TIMESTAMP")]
    assert described == [(0, columns), (0, columns), (1, columns)]


@pytest.mark.parametrize("parts", [1, 3])
def test_no_rows_at_all_are_as_many_empty_parts(database, parts) -> None:
    """As of a source whose keys are all missing."""
    rows = Parted(database, parts=parts)
    rows.add('SELECT 1 AS a, 0 AS "@part" WHERE FALSE')
    assert _parts(database, rows) == [[]] * parts


def test_a_value_comes_back_as_it_went(database) -> None:
    """Nested, missing, not a number, and finer than a float tells: what waits in a file is what a table would hold."""
    text = """
        SELECT * FROM (VALUES
            (1, 0.1::DOUBLE, 'NaN'::FLOAT, 9007199254740993::BIGINT, 12345678901234567890.12::DECIMAL(38, 2),
             TRUE, [1, NULL], DATE '1970-01-01', {'a': 'x'}),
            (2, NULL, '-Infinity'::FLOAT, NULL, NULL, NULL, NULL, NULL, NULL)
        ) t(i, f, g, n, m, b, l, d, s)"""
    rows = Parted(database, parts=2)
    rows.add(f'SELECT *, 1 AS "@part" FROM ({text})')
    assert repr(_parts(database, rows)[1]) == repr(sorted(database.rows(text)))


def test_each_part_is_gone_before_the_next_is_there(database) -> None:
    """Memory is for one."""
    rows = Parted(database, parts=3)
    rows.add('SELECT i, i % 3 AS "@part" FROM range(9) t(i)')
    assert [_tables(database) for _ in rows] == [1, 1, 1]
    assert _tables(database) == 0


def test_parts_that_need_not_be_known_well_are_no_tables(database) -> None:
    """They are read where they lie."""
    rows = Parted(database, parts=2, known_well=False)
    rows.add('SELECT i, i % 2 AS "@part" FROM range(9) t(i)')
    found = [(sorted(database.rows(f"SELECT * FROM {part}")), _tables(database)) for part in rows]
    assert found == [([(0,), (2,), (4,), (6,), (8,)], 0), ([(1,), (3,), (5,), (7,)], 0)]


def test_no_file_is_left_of_what_was_worked_on(database, monkeypatch) -> None:
    """Though the database lives on."""
    folder = _watched(database, monkeypatch)
    rows = Parted(database, parts=2)
    rows.add('SELECT i, i % 2 AS "@part" FROM range(9) t(i)')
    assert any(folder.iterdir())
    _parts(database, rows)
    assert not folder.exists()


def test_files_that_nobody_came_to_read_go_with_the_tables(monkeypatch) -> None:
    """As when a later statement fails."""
    with Database() as database:
        folder = _watched(database, monkeypatch)
        Parted(database, parts=2).add('SELECT i, i % 2 AS "@part" FROM range(9) t(i)')
        assert any(folder.iterdir())
    assert not folder.exists()


def _tables(database: Database) -> int:
    ((count,),) = database.rows("SELECT count(*) FROM duckdb_tables() WHERE temporary")
    return count


def _watched(database: Database, monkeypatch) -> Path:
    """Return the one folder that the database gives out."""
    folder = database.folder()
    monkeypatch.setattr(database, "folder", lambda: folder)
    return folder
