"""Exports: what others read is what ``checkout`` writes, row by row, and nothing that was erased."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyiceberg.table import StaticTable

from headway.errors import MissingExtra, NotFound, StoreCorrupt, StoreError
from headway.loop.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from headway.api import Project
    from headway.loop.exports import Exported

PERSON = "Zebulon Quirrelmoss"


def _by_duckdb(done: Exported) -> pa.Table:
    return duckdb.connect().sql(f"SELECT * FROM '{done.opens}/*.parquet'").to_arrow_table()


READERS: dict[str, tuple[str, Callable[[Exported], pa.Table]]] = {
    "plain by duckdb": ("parquet", _by_duckdb),
    "delta by deltalake": ("delta", lambda done: DeltaTable(done.opens).to_pyarrow_table()),
    "delta by polars": ("delta", lambda done: pl.scan_delta(done.opens).collect().to_arrow()),
    "iceberg by pyiceberg": ("iceberg", lambda done: StaticTable.from_metadata(done.opens).scan().to_arrow()),
    "iceberg by polars": ("iceberg", lambda done: pl.scan_iceberg(done.opens).collect().to_arrow()),
}


@pytest.fixture(autouse=True)
def _plans_by_pyiceberg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Polars find the files of a table by what is installed here."""
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")


def _edited(shop: Project) -> None:
    """Take some deliveries out of one file, and change some: it becomes more than one segment."""
    path = max((shop.folder / "data" / "deliveries").glob("*.csv"), key=lambda each: each.stat().st_size)
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *lines[3:]]) + "\n")
    shop.material()


def _rows(table: pa.Table) -> list[tuple[object, ...]]:
    order = sorted(table.column_names)
    return sorted((tuple(row[name] for name in order) for row in table.to_pylist()), key=repr)


@pytest.mark.parametrize("reader", READERS)
def test_others_read_the_rows_that_a_checkout_writes(shop: Project, tmp_path: Path, reader: str) -> None:
    """Of a source of many files, after one of them lost rows."""
    _edited(shop)
    form, read = READERS[reader]
    shop.data.checkout("deliveries", tmp_path / "rows.parquet")
    wanted = pq.read_table(tmp_path / "rows.parquet")
    done = shop.data.export("deliveries", tmp_path / "out", form=form)
    found = read(done)
    assert found.column_names == wanted.column_names
    assert found.num_rows == done.rows == wanted.num_rows > 0
    assert _rows(found) == _rows(wanted)


def test_the_files_of_an_export_are_in_the_order_of_a_checkout(shop: Project, tmp_path: Path) -> None:
    """Row for row."""
    shop.data.checkout("deliveries", tmp_path / "rows.parquet")
    done = shop.data.export("deliveries", tmp_path / "out")
    parts = [pq.read_table(path) for path in sorted((tmp_path / "out").iterdir())]
    assert pa.concat_tables(parts).equals(pq.read_table(tmp_path / "rows.parquet"))
    assert len(parts) == done.files


@pytest.mark.parametrize("out", ["folder", "rows.csv"])
def test_a_damaged_file_leaves_the_store_with_nobody(shop: Project, tmp_path: Path, out: str) -> None:
    """One flipped bit: neither an export, which shares the file, nor a checkout is begun, and the file is named."""
    snapshot = Needs(shop.store).living[Needs(shop.store).newest["deliveries"]]
    path = shop.store.blobs.path(snapshot.segments[0].blob)
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(StoreCorrupt) as caught:
        (shop.data.checkout if "." in out else shop.data.export)("deliveries", tmp_path / out)
    assert caught.value.where == str(path)
    assert not (tmp_path / out).exists()


@pytest.mark.parametrize("form", ["parquet", "delta", "iceberg"])
def test_what_nothing_was_taken_from_is_not_copied(shop: Project, tmp_path: Path, form: str) -> None:
    """The table's files are the store's, under another name; the store stays whole."""
    done = shop.data.export("deliveries", shop.folder / "out", form=form)
    shared = [path for path in (shop.folder / "out").glob("*.parquet") if path.stat().st_nlink > 1]
    assert done.linked_files == len(shared) == done.files
    assert not shop.data.verify().damaged


@pytest.mark.parametrize("reader", READERS)
def test_what_was_erased_from_a_version_is_not_exported(shop: Project, tmp_path: Path, reader: str) -> None:
    """Under the name that the version had before; and in no byte of what is written."""
    form, read = READERS[reader]
    (version,) = [each.version for each in shop.data.versions("customers")]
    assert PERSON in read(shop.data.export(version, tmp_path / "before", form=form))["customer"].to_pylist()
    shop.data.erase(f"customers 'customer={PERSON}'", by="Privacy desk", why="request 1")
    done = shop.data.export(version, tmp_path / "after", form=form)
    found = read(done)
    assert PERSON not in found["customer"].to_pylist()
    assert found.num_rows == done.rows == 60
    assert done.redacted_rows == 1
    assert not [
        path for path in (tmp_path / "after").rglob("*") if path.is_file() and PERSON.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize(("form", "package"), [("delta", "deltalake"), ("iceberg", "pyiceberg")])
def test_a_format_whose_library_is_missing_names_the_command_that_installs_it(
    shop: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, package: str
) -> None:
    """And leaves nothing behind."""
    for name in [package, "pyiceberg.catalog.sql"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'headway\[{form}\]'"):
        shop.data.export("customers", tmp_path / "out", form=form)
    assert not (tmp_path / "out").exists()


def test_an_export_touches_nothing_that_is_there(shop: Project, tmp_path: Path) -> None:
    """A folder with a file in it, a file, a version and a format that there are not."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for taken in (tmp_path / "full", tmp_path / "full" / "mine.txt"):
        with pytest.raises(StoreError, match="something already"):
            shop.data.export("customers", taken)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    with pytest.raises(NotFound, match="ffff"):
        shop.data.export("ffff", tmp_path / "new")
    with pytest.raises(StoreError, match="Did you mean 'iceberg'"):
        shop.data.export("customers", tmp_path / "new", form="icebreg")
    assert not (tmp_path / "new").exists()
