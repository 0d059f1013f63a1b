"""Files that are handed over again: what is kept is the change, what is read is the file."""

from __future__ import annotations

import collections

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.blobs import FolderBlobs
from headway.data import segments
from headway.data.collect import collect
from headway.nouns.brief import Source
from headway.query.database import Database
from headway.query.parts import parts_of, parts_sql

ROWS = 60_000


class Dumps:
    """A folder with one file that is dumped whole, again and again."""

    def __init__(self, folder, rows: int = ROWS) -> None:
        self.folder = folder
        self.blobs = FolderBlobs(folder / "blobs")
        draw = np.random.default_rng(1)
        self.table = pa.table(
            {
                "id": np.arange(rows),
                "name": [f"n{each}" for each in draw.integers(0, 1 << 40, rows)],
                "amount": draw.normal(size=rows).round(3),
                "at": pa.array(draw.integers(0, 1 << 50, rows), pa.timestamp("us")),
            }
        )

    def dump(self, table: pa.Table, name: str = "dump.csv") -> None:
        """Write the file."""
        if name.endswith(".parquet"):
            pq.write_table(table, self.folder / name, use_dictionary=["name"])
        else:
            pacsv.write_csv(table, self.folder / name)

    def collect(self, previous=None, path: str = "dump.csv", read=None):
        """Take a snapshot."""
        return collect(
            "s",
            Source(path=path),
            folder=self.folder,
            store=self.blobs,
            previous=previous,
            progress=(read if read is not None else []).append,
            threads=1,
        )

    def rows(self, snapshot) -> collections.Counter:
        """Return the rows of a version."""
        with Database(threads=1) as database:
            found = database.rows(f'SELECT id, name, amount, "at" FROM {parts_sql(parts_of(snapshot, self.blobs))}')
        return collections.Counter(map(repr, found))

    def bytes(self) -> int:
        """Return how many bytes the blobs have."""
        return sum(blob.size_bytes for blob in self.blobs.listed())


@pytest.fixture
def dumps(tmp_path):
    """Return a folder for dumps."""
    return Dumps(tmp_path)


def edited(table: pa.Table, places) -> pa.Table:
    """Return the table with another amount at some places."""
    amount = table["amount"].to_numpy().copy()
    amount[places] = np.arange(len(places)) + 1_000
    return table.set_column(2, "amount", pa.array(amount))


def counted(table: pa.Table) -> collections.Counter:
    """Return the rows of a table as :meth:`Dumps.rows` does."""
    return collections.Counter(repr(tuple(row.values())) for row in table.to_pylist())


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_dump_with_a_hundred_edits_costs_a_few_kilobytes(dumps, form) -> None:
    """A hundred rows changed here and there, and the whole file written again: a delta of them and their positions."""
    name = f"dump.{form}"
    dumps.dump(dumps.table, name)
    first = dumps.collect(path=name)
    size = dumps.bytes()
    places = np.random.default_rng(2).choice(ROWS, 100, replace=False)
    changed = edited(dumps.table, places)
    dumps.dump(changed, name)
    second = dumps.collect(first, path=name)
    assert dumps.bytes() - size < 20_000
    assert dumps.rows(second) == counted(changed)
    assert dumps.rows(first) == counted(dumps.table)
    assert second.digest != first.digest
    assert [segment.rows for segment in second.segments] == [ROWS - 100, 100]
    assert second.segments[0].blob == first.segments[0].blob


def test_a_dump_with_an_edit_and_its_undoing_is_the_first_version_again(dumps) -> None:
    """The digest follows from the rows alone, however they came to be there."""
    dumps.dump(dumps.table)
    first = dumps.collect()
    dumps.dump(edited(dumps.table, np.array([5])))
    second = dumps.collect(first)
    dumps.dump(dumps.table)
    third = dumps.collect(second)
    assert third.digest == first.digest != second.digest
    assert dumps.rows(third) == counted(dumps.table)


def test_the_same_file_again_is_not_read_and_adds_nothing(dumps) -> None:
    """Neither with another name."""
    dumps.dump(dumps.table)
    first = dumps.collect()
    size, read = dumps.bytes(), []
    (dumps.folder / "dump.csv").rename(dumps.folder / "other.csv")
    again = dumps.collect(first, path="other.csv", read=read)
    assert (again.digest, dumps.bytes(), read) == (first.digest, size, [])
    assert again.segments[0].file == "other.csv"


def test_a_dump_under_a_new_name_is_compared_with_the_one_that_is_gone(dumps) -> None:
    """A dump a day, of which the last one alone is kept, shares what it can."""
    dumps.dump(dumps.table, "2024-01-01.csv")
    first = dumps.collect(path="2024*.csv")
    size = dumps.bytes()
    (dumps.folder / "2024-01-01.csv").unlink()
    changed = pa.concat_tables([dumps.table.slice(1), dumps.table.slice(0, 3)])
    dumps.dump(changed, "2024-01-02.csv")
    second = dumps.collect(first, path="2024*.csv")
    assert dumps.bytes() - size < 10_000
    assert dumps.rows(second) == counted(changed)
    assert {segment.file for segment in second.segments} == {"2024-01-02.csv"}
    assert second.segments[0].origin(0).file == "2024-01-01.csv"


def test_a_snapshot_from_before_rows_had_fingerprints_goes_on(dumps) -> None:
    """Its manifest has no marks; the next one has, reads no file again, and shares from then on."""
    dumps.dump(dumps.table)
    now = dumps.collect()
    bare = msgspec.structs.replace(now.segments[0], mark="")
    old = msgspec.structs.replace(now, segments=(bare,))
    read: list[str] = []
    assert dumps.collect(old, read=read).digest == now.digest != old.digest
    assert read == []
    dumps.dump(edited(dumps.table, np.array([1])))
    assert dumps.rows(dumps.collect(old)) == counted(edited(dumps.table, np.array([1])))


FILES = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.integers(0, 9), min_size=1, max_size=8).map(tuple), min_size=1
)


@given(states=st.lists(FILES, min_size=2, max_size=5))
def test_however_files_come_go_and_change_places_a_version_has_their_rows(states, tmp_path_factory) -> None:
    """What is shared with the version before is shared rightly: renamed, copied, swapped, cut or grown files."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(segments, "_SMALL_BYTES", 0)  # so that files of some rows are shared as large ones are
        dumps = Dumps(tmp_path_factory.mktemp("files"), rows=10)
        snapshot, before = None, {}
        for files in states:
            for name in before.keys() - files.keys():
                (dumps.folder / f"{name}.csv").unlink()
            for name, rows in files.items():
                dumps.dump(dumps.table.take(rows), f"{name}.csv")
            snapshot, before = dumps.collect(snapshot, path="*.csv"), files
            wanted = dumps.table.take([row for rows in files.values() for row in rows])
            assert dumps.rows(snapshot) == counted(wanted)
            assert snapshot.digest == dumps.collect(path="*.csv").digest
