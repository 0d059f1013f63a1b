"""A version of a source, handed to whoever reads open formats: Parquet, Delta, Iceberg."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headway.data.export import FORMS, as_delta, as_iceberg, as_parquet
from headway.errors import StoreError, did_you_mean
from headway.loop.naming import version_called
from headway.loop.versions import living, refuse_damaged
from headway.query.database import Database

if TYPE_CHECKING:
    import os

    from headway.loop.store import Store

__all__ = ["Exported", "export"]


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A version in an open format.

    Attributes
    ----------
    opens
        What a reader is given: the folder, or for Iceberg the file of the table's metadata.
    files, linked_files
        Parquet files, and how many of them share the store's bytes.
    redacted_rows
        So many rows were erased from the version, and are not in the export.
    """

    version: str
    source: str
    format: str
    opens: str
    rows: int
    files: int
    linked_files: int
    redacted_rows: int


def export(store: Store, version: str, folder: str | os.PathLike[str], *, form: str = "parquet") -> Exported:
    """Write a version to a new folder as ``parquet``, ``delta`` or ``iceberg``.

    The rows are those of :func:`~headway.loop.versions.check_out`, in that order. What is written is the caller's: a
    later erasure does not reach it.

    Raises
    ------
    NotFound
        When there is no such version, or it was collected.
    StoreError
        When there is something in the folder, or it cannot be written; what was begun is taken away again.
    StoreCorrupt
        When a file of the version is damaged.
    MissingExtra
        When what writes the format is not installed.
    """
    if form not in FORMS:
        raise StoreError(f"There is no format {form!r}.", hint=did_you_mean(form, FORMS))
    target = Path(folder).absolute()
    snapshot = living(store, version_called(store, version))
    there = target.exists()
    if there and (not target.is_dir() or any(target.iterdir())):
        raise StoreError("There is something already.", where=str(target), hint="Name another folder, or empty this.")
    refuse_damaged(store, snapshot)
    try:
        with Database() as database:
            files, linked = as_parquet(snapshot, target, store=store.blobs, database=database)
        opens = target
        if form == "delta":
            opens = as_delta(target)
        elif form == "iceberg":
            opens = as_iceberg(files, target, name=snapshot.source)
    except BaseException as error:
        shutil.rmtree(target, ignore_errors=True)
        if there:
            target.mkdir(exist_ok=True)
        if isinstance(error, OSError) and not isinstance(error, StoreError):
            reason = error.strerror or error
            raise StoreError(f"The export cannot be written: {reason}.", where=str(target)) from error
        raise
    return Exported(
        version=snapshot.digest,
        source=snapshot.source,
        format=form,
        opens=str(opens),
        rows=snapshot.rows,
        files=len(files),
        linked_files=linked,
        redacted_rows=snapshot.redacted,
    )
