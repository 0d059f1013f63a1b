"""Segments: storage grows with the change, and whatever is done to them, each version reads as it was."""

from __future__ import annotations

import collections
import os
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from headway.blobs import FolderBlobs
from headway.data import segments as log
from headway.data.segments import FileVersion, changed, compacted, whole
from headway.nouns.snapshot import Snapshot, SourceColumn
from headway.query.database import Database
from headway.query.parts import parts_of, parts_sql, placed_sql

KINDS = {"id": "int", "name": "text", "amount": "float", "at": "time", "ok": "bool"}
COLUMNS = tuple(SourceColumn(name=name, kind=kind, read_as="") for name, kind in KINDS.items())
TYPES = {"int": pa.int64(), "text": pa.string(), "float": pa.float64(), "time": pa.timestamp("us"), "bool": pa.bool_()}


@dataclass
class Table:
    """One file of a source that is handed over again and again, and the blobs that its versions share."""

    folder: Path
    database: Database
    blobs: FolderBlobs = field(init=False)
    takes: int = 0

    def __post_init__(self) -> None:
        self.blobs = FolderBlobs(self.folder / "blobs")

    def take(self, table: pa.Table, before: Snapshot | None = None) -> Snapshot:
        """Return the version of the source in which its one file holds ``table``."""
        self.takes += 1
        written = self.folder / f"written-{self.takes}.parquet"
        pq.write_table(table, written, compression="zstd", use_dictionary=["name"], store_schema=False)
        version = FileVersion("s.csv", f"digest-{self.takes}", table.nbytes)
        if before is None:
            found = (whole(written, version, KINDS, self.blobs),)
        else:
            found = changed(written, version, before.segments, KINDS, store=self.blobs, database=self.database)
        written.unlink(missing_ok=True)
        return Snapshot(source="s", columns=COLUMNS, segments=found)

    def read(self, snapshot: Snapshot) -> collections.Counter:
        """Return the rows of a version, each as often as it stands there."""
        names = ", ".join(f'"{name}"' for name in KINDS)
        rows = self.database.rows(f"SELECT {names} FROM {parts_sql(parts_of(snapshot, self.blobs))}")
        return collections.Counter(map(repr, rows))  # as text, for 0.0 == -0.0

    def origins(self, snapshot: Snapshot) -> dict:
        """Return by version of a file and number of a row what stands there."""
        parts = parts_of(snapshot, self.blobs)
        found = placed_sql(parts, part="@part", origin="@from", row="@row")
        names = ", ".join(f'"{name}"' for name in KINDS)
        segments = {part.name: segment for part, segment in zip(parts, snapshot.segments, strict=True)}
        rows = self.database.rows(f'SELECT "@part", "@from", "@row", {names} FROM {found}')
        return {(segments[part].origin(place).digest, row): values for part, place, row, *values in rows}

    def bytes(self) -> int:
        """Return how many bytes all blobs have."""
        return sum(file.stat().st_size for file in (self.folder / "blobs").rglob("*") if file.is_file())


@pytest.fixture
def table(tmp_path):
    """Return a table in a folder of its own."""
    with Database(threads=1) as database:
        yield Table(tmp_path, database)


def rows_of(count: int, *, seed: int = 1) -> pa.Table:
    """Return rows of every kind, some of them missing."""
    draw = np.random.default_rng(seed)
    return pa.table(
        {
            "id": pa.array(np.arange(count)),
            "name": pc.binary_join_element_wise(
                "customer", pa.array(draw.integers(0, 1 << 40, count)).cast("string"), "-"
            ),
            "amount": pa.array(draw.normal(50, 20, count).round(2), mask=draw.random(count) < 0.1),
            "at": pa.array(draw.integers(0, 1 << 50, count), pa.timestamp("us")),
            "ok": pa.array(draw.random(count) < 0.3),
        }
    )


def edited(table: pa.Table, places: np.ndarray) -> pa.Table:
    """Return ``table`` with another amount in some rows."""
    amount = table["amount"].to_numpy(zero_copy_only=False).copy()
    amount[places] = -1 - np.arange(len(places))
    column = pa.array(amount, mask=np.isnan(amount))
    return table.set_column(table.column_names.index("amount"), "amount", column)


def counted(table: pa.Table) -> collections.Counter:
    """Return the rows of an Arrow table as :meth:`Table.read` does."""
    return collections.Counter(repr(tuple(row.values())) for row in table.select(list(KINDS)).to_pylist())


# -- what each kind of change costs


@pytest.mark.parametrize("rows", [1_000_000])
def test_storage_grows_with_the_change(table, rows) -> None:
    """One million rows handed over whole again: 100 edits cost below 50 kB, 1 % more rows below 1.5 % of the base."""
    first = rows_of(rows)
    base = table.take(first)
    size = table.bytes()
    places = np.sort(np.random.default_rng(7).choice(rows, 100, replace=False))

    second = table.take(edited(first, places), base)
    edits, grown = table.bytes() - size, table.bytes()
    less = table.take(first.filter(pa.array(~np.isin(np.arange(rows), places + 1))), base)
    deletes, grown = table.bytes() - grown, table.bytes()
    more = table.take(pa.concat_tables([first, rows_of(rows // 100, seed=2)]), base)
    appended = table.bytes() - grown
    print(
        f"\nbase {size:,} B; 100 edits {edits:,} B; 100 deletes {deletes:,} B; "
        f"1 % appended {appended:,} B ({appended / size:.2%})"
    )

    assert edits <= 50_000
    assert deletes <= 50_000
    assert appended <= 0.015 * size
    assert [each.rows for each in (second, less, more)] == [rows, rows - 100, rows * 101 // 100]


def test_a_version_reads_as_the_file_did_and_each_row_knows_where_it_stood(table) -> None:
    """Rows that stayed come from the version of the file in which they appeared, under the number they had there."""
    first = rows_of(3_000)
    base = table.take(first)
    kept = np.delete(np.arange(3_000), [5, 17])
    second = pa.concat_tables([rows_of(2, seed=9), edited(first, np.array([40])).take(pa.array(kept))])
    snapshot = table.take(second, base)
    assert table.read(snapshot) == counted(second)
    found = table.origins(snapshot)
    assert len(found) == 3_000
    texts = {"digest-1": first.to_pylist(), "digest-2": second.to_pylist()}
    assert all(list(texts[digest][row - 1].values()) == list(values) for (digest, row), values in found.items())
    assert sum(digest == "digest-2" for digest, _ in found) == 3
    small = compacted(snapshot, store=table.blobs, database=table.database)
    assert len(small.segments) == 1
    assert table.origins(small) == found


def test_the_same_rows_in_another_order_are_the_same_version(table) -> None:
    """Nothing is written, and the digest stays."""
    first = rows_of(3_000)
    base = table.take(first)
    size = table.bytes()
    again = table.take(first.take(pa.array(np.random.default_rng(3).permutation(3_000))), base)
    assert again.digest == base.digest
    assert table.bytes() == size


def test_a_file_with_little_in_common_is_stored_whole(table) -> None:
    """No row is shared, so no segment is."""
    base = table.take(rows_of(3_000))
    other = table.take(rows_of(3_000, seed=2), base)
    assert len(other.segments) == 1
    assert other.segments[0].blob != base.segments[0].blob
    assert not other.segments[0].deleted


def test_many_small_changes_do_not_leave_many_segments(table) -> None:
    """Whoever changes a file each day does not make a thousand files of it."""
    content = rows_of(3_000)
    snapshot = table.take(content)
    for day in range(40):
        content = edited(content, np.array([day]))
        snapshot = table.take(content, snapshot)
    assert len(snapshot.segments) <= 16
    assert table.read(snapshot) == counted(content)


@pytest.fixture(autouse=True)
def _even_small_ones_share(monkeypatch, request) -> None:
    """Small segments are written anew in earnest; here they shall share as large ones do."""
    if "storage" not in request.node.name:
        monkeypatch.setattr(log, "_SMALL_BYTES", 0)


# -- whatever is done in whatever order

ROW = st.tuples(
    st.integers(-2, 2) | st.none(),
    st.sampled_from(["", "a", "ä" * 70, "a\0", None]),
    st.sampled_from([0.0, -0.0, 1.5, None]),
    st.sampled_from([0, 10**15, None]),
    st.booleans() | st.none(),
)


def as_table(rows: list) -> pa.Table:
    """Return generated rows as Arrow."""
    columns = list(zip(*rows, strict=True)) or [[]] * len(KINDS)
    return pa.table(
        {name: pa.array(values, TYPES[kind]) for (name, kind), values in zip(KINDS.items(), columns, strict=True)}
    )


class Versions(RuleBasedStateMachine):
    """Versions come, are merged and are forgotten; what lives reads the same, under the same digest."""

    living = Bundle("living")

    def __init__(self) -> None:
        super().__init__()
        self.small, log._SMALL_BYTES = log._SMALL_BYTES, 0
        self.home = TemporaryDirectory()
        self.database = Database(threads=1)
        self.table = Table(Path(self.home.name), self.database)
        self.known: dict[str, tuple[Snapshot, list]] = {}

    def teardown(self) -> None:
        """Give everything back."""
        log._SMALL_BYTES = self.small
        self.database.close()
        self.home.cleanup()

    def _take(self, rows: list, before: Snapshot | None) -> str:
        snapshot = self.table.take(as_table(rows), before)
        self.known[snapshot.digest] = (snapshot, rows)
        return snapshot.digest

    @rule(target=living, rows=st.lists(ROW, min_size=1, max_size=12))
    def first(self, rows):
        """Take a file that nothing was known of."""
        return self._take(rows, None)

    @rule(target=living, version=living, rows=st.lists(ROW, max_size=3))
    def append(self, version, rows):
        """Add rows at the end."""
        if version in self.known:
            snapshot, before = self.known[version]
            return self._take([*before, *rows], snapshot)
        return version

    @rule(target=living, version=living, place=st.integers(0, 11), row=ROW)
    def edit(self, version, place, row):
        """Change a row."""
        if version in self.known:
            snapshot, before = self.known[version]
            changed = [row if at == place else each for at, each in enumerate(before)]
            return self._take(changed, snapshot)
        return version

    @rule(target=living, version=living, place=st.integers(0, 11))
    def delete(self, version, place):
        """Take a row out."""
        if version in self.known:
            snapshot, before = self.known[version]
            return self._take([each for at, each in enumerate(before) if at != place], snapshot)
        return version

    @rule(target=living, version=living, seed=st.integers(0, 9))
    def shuffle(self, version, seed):
        """Hand the same rows over in another order: it is the same version."""
        if version in self.known:
            snapshot, before = self.known[version]
            order = np.random.default_rng(seed).permutation(len(before))
            assert self._take([before[at] for at in order], snapshot) == version
        return version

    @rule(version=living)
    def compact(self, version):
        """Merge the segments of a version."""
        if version in self.known:
            snapshot, rows = self.known[version]
            after = compacted(snapshot, store=self.table.blobs, database=self.database)
            assert after.digest == version
            self.known[version] = (after, rows)

    @rule(version=consumes(living))
    def forget(self, version):
        """Let go of a version, and collect what no other needs."""
        self.known.pop(version, None)
        needed = {
            blob
            for snapshot, _ in self.known.values()
            for segment in snapshot.segments
            for blob in (segment.blob, *segment.deleted)
        }
        for file in (self.table.folder / "blobs").glob("??/*"):
            digest = file.parent.name + file.name
            if digest not in needed:
                self.table.blobs.delete(digest)

    @invariant()
    def each_living_version_reads_as_it_was(self):
        """Rows, their number and the digest are those that were taken."""
        for version, (snapshot, rows) in self.known.items():
            assert snapshot.digest == version
            assert snapshot.rows == len(rows)
            assert self.table.read(snapshot) == counted(as_table(rows))


Versions.TestCase.settings = hypothesis.settings(
    max_examples=int(os.environ.get("HEADWAY_TEST_EXAMPLES", "12")),
    stateful_step_count=12,
    deadline=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
TestVersions = Versions.TestCase


def test_a_file_that_stays_without_rows_is_read_as_none():
    """Its last row goes, it comes once more without any, and then rows come again."""
    versions = Versions()
    try:
        row = (1, "a", 1.5, 0, True)
        empty = versions.delete(versions.first([row]), 0)
        versions.compact(versions.append(empty, []))
        versions.each_living_version_reads_as_it_was()
        versions.append(empty, [row])
        versions.each_living_version_reads_as_it_was()
    finally:
        versions.teardown()
