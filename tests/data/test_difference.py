"""Differences: by key and without one, of rows, columns and distributions; what is shared is not read."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.data.difference import difference
from headway.nouns.brief import Source
from headway.query.database import Database


@pytest.fixture
def compare(tmp_path, monkeypatch):
    """Return what compares two tables, handed over one after the other."""
    monkeypatch.setattr("headway.data.segments._SMALL_BYTES", 0)
    blobs = FolderBlobs(tmp_path / "blobs")

    def compared(before: dict, after: dict, key=(), **types):
        snapshots = []
        for table in (before, after):
            pacsv.write_csv(pa.table(table), tmp_path / "s.csv")
            chained = snapshots[-1] if snapshots and set(before) == set(after) else None
            snapshots.append(
                collect("s", Source(path="s.csv", types=types), folder=tmp_path, store=blobs, previous=chained)
            )
        with Database(threads=1) as database:
            return difference(*snapshots, key=key, store=blobs, database=database)

    return compared


def test_rows_are_told_apart_by_key(compare) -> None:
    """One gone, two new, one with another value; the rest, moved about, is the same."""
    before = {"k": list(range(100)), "v": [float(n) for n in range(100)]}
    order = [*range(50, 100), *range(1, 50), 100, 101]
    after = {"k": order, "v": [-1.0 if n == 7 else float(n) for n in order]}
    found = compare(before, after, key=("k",))
    assert (found.added, found.removed, found.changed) == (2, 1, 1)
    assert [row["k"] for row in found.examples_added] == [100, 101]
    assert found.examples_removed == ({"k": 0, "v": 0.0},)
    assert found.examples_changed[0].before == {"v": 7.0}
    assert {each.column: each.changed for each in found.columns} == {"k": 0, "v": 1}


def test_without_a_key_rows_are_counted_as_a_whole(compare) -> None:
    """A doubled row counts twice, and a key that is not unique is none."""
    before, after = {"k": [1, 1, 2], "v": [5, 5, 6]}, {"k": [1, 2, 2], "v": [5, 6, 6]}
    for key in ((), ("k",)):
        found = compare(before, after, key=key)
        assert (found.by_key, found.added, found.removed, found.changed) == ((), 1, 1, 0)


def test_columns_that_come_go_or_change_their_kind_are_named(compare) -> None:
    """Only what both have is compared."""
    found = compare(
        {"k": [1, 2], "old": [1, 2], "x": [1, 2]}, {"k": [1, 2], "new": [1, 2], "x": ["a", "b"]}, key=("k",)
    )
    assert (found.columns_added, found.columns_removed) == (("new",), ("old",))
    assert found.columns_changed == {"x": ("int", "text")}
    assert (found.added, found.removed, found.changed) == (0, 0, 0)


def test_a_shift_is_measured(compare) -> None:
    """A mean by one standard deviation; half of a category to another; a tenth missing."""
    count = 400
    before = {"k": list(range(count)), "n": [float(n % 2) * 2 for n in range(count)], "c": ["a", "b"] * (count // 2)}
    after = {**before, "n": [n + 1 for n in before["n"]], "c": [None] * 40 + ["a"] * 360}
    shifts = {each.column: each for each in compare(before, after, key=("k",)).columns}
    assert shifts["n"].shift == pytest.approx(1, abs=0.01)
    assert shifts["c"].shift == pytest.approx(0.5)
    assert shifts["c"].missing == (0, 0.1)
    assert shifts["k"].shift == 0
