"""A version of a source in a form that others read: a folder of Parquet, a Delta table, an Iceberg table.

A segment that is nothing but a file's rows is linked, not copied; one that later versions took rows from is written
anew, in the order of the file. Hidden are the libraries of the open table formats, and how a table is told of files
that it did not write.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from headway.errors import MissingExtra
from headway.query.compile import quote, quote_text
from headway.query.parts import part_of, placed_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.data.segments import SegmentStore
    from headway.nouns.snapshot import Segment, Snapshot
    from headway.query.database import Database


__all__ = ["FORMS", "as_delta", "as_iceberg", "as_parquet"]

FORMS = ("parquet", "delta", "iceberg")

_TYPES = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "time": pa.timestamp("us"),
}


def as_parquet(snapshot: Snapshot, folder: Path, *, store: SegmentStore, database: Database) -> tuple[list[Path], int]:
    """Put a version's rows into ``folder`` as Parquet files, in the order of :func:`~headway.loop.versions.check_out`.

    Returns
    -------
    files
        In the order of the rows.
    linked
        How many of them share the store's bytes; the others are copies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pa.schema([(column.name, _TYPES[column.kind]) for column in snapshot.columns])
    files: list[Path] = []
    linked = 0
    first: dict[str, int] = {}
    for segment in snapshot.segments:
        first.setdefault(segment.file, len(first))
    ordered = sorted(snapshot.segments, key=lambda segment: first[segment.file])
    for number, (_, group) in enumerate(groupby(ordered, key=lambda segment: segment.file)):
        segments = list(group)
        path = folder / f"part-{number:05}.parquet"
        files.append(path)
        if len(segments) == 1 and _plain(segments[0], wanted, store):
            linked += _linked(store.path(segments[0].blob), path)
        else:
            _write(segments, wanted.names, path, store=store, database=database)
    return files, linked


def as_delta(folder: Path) -> Path:
    """Make a Delta table of the Parquet files in ``folder``, and return what readers open: the folder.

    Raises
    ------
    MissingExtra
        When the extra ``delta`` is not installed.
    """
    # It would say on standard error, of each column of texts, that its bounds are left out.
    os.environ.setdefault("RUST_LOG", "error")
    try:
        import deltalake
    except ImportError:
        raise MissingExtra.of("deltalake", extra="delta") from None
    deltalake.convert_to_deltalake(str(folder))
    return folder


def as_iceberg(files: Sequence[Path], folder: Path, *, name: str) -> Path:
    """Make an Iceberg table of Parquet files, and return what readers open: the file of the table's metadata.

    The paths of files stand in it as they are: such a table is read where it was made.

    Raises
    ------
    MissingExtra
        When the extra ``iceberg`` is not installed.
    """
    try:
        from pyiceberg.catalog.sql import SqlCatalog
    except ImportError:
        raise MissingExtra.of("pyiceberg", extra="iceberg") from None
    # Any catalog can adopt the table by its metadata; the one that makes it is not needed afterwards.
    with tempfile.TemporaryDirectory(prefix="headway-catalog-") as scratch:
        catalog = SqlCatalog("headway", uri=f"sqlite:///{scratch}/catalog.sqlite", warehouse=folder.as_uri())
        try:
            catalog.create_namespace("headway")
            table = catalog.create_table(
                ("headway", name), schema=pq.read_schema(files[0]), location=folder.as_uri().rstrip("/")
            )
            table.add_files([file.as_uri() for file in files])
            metadata = table.metadata_location
        finally:
            catalog.close()
    return Path(metadata.removeprefix("file://"))


def _plain(segment: Segment, wanted: pa.Schema, store: SegmentStore) -> bool:
    """Whether the segment's file is nothing but its rows, with the version's columns."""
    return part_of(segment, store).plain and pq.read_schema(store.path(segment.blob)).equals(wanted)


def _linked(blob: Path, path: Path) -> bool:
    """Give a blob another name, or copy it where the file systems are not the same; blobs are never changed."""
    try:
        os.link(blob, path)
    except OSError:
        shutil.copyfile(blob, path)
        return False
    return True


def _write(
    segments: Sequence[Segment], names: Sequence[str], path: Path, *, store: SegmentStore, database: Database
) -> None:
    rows = placed_sql([part_of(each, store) for each in segments], part="@part", origin="@from", row="@row")
    columns = ", ".join(map(quote, names))
    database.execute(
        f'COPY (SELECT {columns} FROM {rows} ORDER BY "@row", "@from") '
        f"TO {quote_text(str(path))} (FORMAT parquet, COMPRESSION zstd)"
    )
