"""The versions of the sources: listed, compared, written out, checked, merged, and let go when nobody needs them.

A version is its rows. How they lie in segments may change (``compact``), and versions that nothing was built on may go
(``collect_garbage``); what is needed stays as it is, under the name that it has.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headway.data.difference import Difference, difference
from headway.data.fingerprints import mark_of
from headway.data.segments import compacted, live_marks
from headway.errors import NO_ROOM, HeadwayError, NotFound, SourceError, StoreError, StoreFull
from headway.loop.manifests import files_of, manifest_of, snapshot_of
from headway.loop.naming import version_called
from headway.loop.needs import Needs, now_of
from headway.nouns.clock import format_moment
from headway.nouns.dataset import Dataset
from headway.nouns.event import SnapshotsCollected
from headway.query.compile import quote, quote_text
from headway.query.database import Database
from headway.query.parts import parts_of, placed_sql

if TYPE_CHECKING:
    from headway.loop.store import Store
    from headway.nouns.brief import Brief
    from headway.nouns.snapshot import Snapshot

__all__ = [
    "CheckedOut",
    "Collected",
    "Compacted",
    "Damaged",
    "DataChecked",
    "Version",
    "alone",
    "check_data",
    "check_out",
    "collect_garbage",
    "compact",
    "compare",
    "living",
    "refuse_damaged",
    "versions",
]

GRACE_S = 3_600.0
"""A blob younger than this is never collected: somebody may have written it, and be about to record what it is for."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a source.

    Attributes
    ----------
    state
        ``living``; ``redacted``, where rows were erased from it since; ``collected``, where nobody needed it any more;
        ``lost``, where its manifest is gone and nobody let go of it.
    size_bytes, own_bytes
        What its blobs take up, and how much of that no version before it has.
    needed_by
        Runs, releases, holds and whoever else keeps it from being collected.
    """

    version: str
    source: str
    taken_at: str
    rows: int
    added_rows: int
    state: str
    files: int = 0
    segments: int = 0
    redacted_rows: int = 0
    size_bytes: int = 0
    own_bytes: int = 0
    needed_by: tuple[str, ...] = ()


class CheckedOut(msgspec.Struct, frozen=True, kw_only=True):
    """A version, written to a file."""

    version: str
    source: str
    rows: int
    path: str
    redacted_rows: int


class Compacted(msgspec.Struct, frozen=True, kw_only=True):
    """A version whose segments were merged; the old ones go with the next collection, unless others need them."""

    version: str
    source: str
    segments_before: int
    segments_after: int
    added_bytes: int


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What was let go, or would be."""

    versions: tuple[str, ...]
    blobs: int
    size_bytes: int
    kept_versions: int
    dry_run: bool


class Damaged(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is not what its name says, or is gone, or holds other rows than its manifest says."""

    file: str
    what: str
    needed_by: tuple[str, ...]


class DataChecked(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at every byte and every row found.

    Attributes
    ----------
    redacted
        Versions from which rows were erased: they hold what they say now, and not what their name once stood for.
    """

    blobs: int
    size_bytes: int
    versions: int
    rows: int
    redacted: tuple[str, ...]
    redacted_blobs: int
    damaged: tuple[Damaged, ...]


def versions(store: Store, source: str = "") -> list[Version]:
    """Return the versions of a source, or of all, in the order in which they were taken.

    Raises
    ------
    NotFound
        When there is no such source.
    """
    taken = store.ledger.snapshots()
    known = sorted({each.source for each in taken})
    if source and source not in known:
        raise NotFound(f"No version of a source {source!r} was taken.", hint=f"Known: {', '.join(known) or 'none'}.")
    needs, sizes = Needs(store), {blob.digest: blob.size_bytes for blob in store.blobs.listed()}
    seen: set[str] = set()
    found = []
    for each in taken:
        if source in {"", each.source}:
            told = {"taken_at": format_moment(each.taken_us), "rows": each.rows, "added_rows": each.added_rows}
            found.append(_version(store, needs, each.snapshot, each.source, told, sizes=sizes, seen=seen))
    return found


def _version(
    store: Store,
    needs: Needs,
    version: str,
    source: str,
    told: dict[str, Any],
    *,
    sizes: dict[str, int],
    seen: set[str],
) -> Version:
    snapshot = needs.living.get(version)
    if snapshot is None:
        return Version(version=version, source=source, state="lost" if version in needs.lost else "collected", **told)
    blobs = {name for each in snapshot.segments for name in (each.blob, *each.deleted)}
    blobs = {now_of(store, name) for name in {needs.manifests[version], *blobs}}
    own = blobs - seen
    seen |= blobs
    return Version(
        version=version,
        source=source,
        state="redacted" if snapshot.redacted_from else "living",
        files=len(files_of(snapshot)),
        segments=len(snapshot.segments),
        redacted_rows=snapshot.redacted,
        size_bytes=sum(sizes.get(name, 0) for name in blobs),
        own_bytes=sum(sizes.get(name, 0) for name in own),
        needed_by=needs.of_version(version),
        **told,
    )


def compare(store: Store, brief: Brief, before: str, after: str, *, examples: int = 5) -> Difference:
    """Return what changed between two versions of one source, by its key where the brief names one.

    Raises
    ------
    NotFound
        When there is no such version, or it was collected.
    SourceError
        When the two are versions of different sources.
    """
    old, new = (living(store, version_called(store, text)) for text in (before, after))
    if old.source != new.source:
        raise SourceError(
            f"{before!r} is a version of source {old.source!r}, and {after!r} of {new.source!r}.",
            hint="Compare two versions of one source. See: headway data versions.",
        )
    spec = brief.sources.get(new.source)
    with Database() as database:
        key = () if spec is None else spec.key
        return difference(old, new, key=key, store=store.blobs, database=database, examples=examples)


def living(store: Store, version: str) -> Snapshot:
    """Return a version by its digest.

    Raises
    ------
    NotFound
        When it was collected.
    """
    try:
        return snapshot_of(store, version)
    except NotFound as error:
        raise NotFound(
            f"Version {version[:12]} was collected: nothing needed it.",
            hint="See what is left: headway data versions.",
        ) from error


def refuse_damaged(store: Store, snapshot: Snapshot) -> None:
    """Raise for the first file of a version that is not what it was: rows that leave the store are those it was given.

    Raises
    ------
    StoreCorrupt
        When a file's bytes have changed; the error names it.
    """
    for segment in snapshot.segments:
        for blob in (segment.blob, *segment.deleted):
            store.blobs.check(blob)


def check_out(store: Store, version: str, path: str | os.PathLike[str]) -> CheckedOut:
    """Write the rows of a version to a file, in the order of its files; Parquet or CSV, by the end of its name.

    Raises
    ------
    NotFound
        When there is no such version, or it was collected.
    StoreError
        When the file is there already, or cannot be written.
    StoreCorrupt
        When a file of the version is damaged.
    """
    target = Path(path)
    form = {".parquet": "FORMAT parquet, COMPRESSION zstd", ".csv": "FORMAT csv, HEADER true"}.get(target.suffix)
    if form is None:
        raise StoreError(f"{target.name!r} ends in neither .parquet nor .csv.", where=str(target))
    if target.exists():
        raise StoreError("The file is there already.", where=str(target), hint="Name another, or remove it.")
    if not target.parent.is_dir():
        raise StoreError(f"There is no folder {target.parent}.", where=str(target))
    snapshot = living(store, version_called(store, version))
    refuse_damaged(store, snapshot)
    parts = parts_of(snapshot, store.blobs)
    files = [segment.file for segment in snapshot.segments]
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        draft.touch()  # the engine would tell a place that takes no files in words of its own
    except OSError as error:
        kind = StoreFull if error.errno in NO_ROOM else StoreError
        reason = error.strerror or error
        hint = "Name a file in a folder that may be written to."
        raise kind(f"The rows cannot be written: {reason}.", where=str(target), hint=hint) from error
    with Database() as database:
        order = "CASE " + "".join(
            f'WHEN "@part" = {quote_text(part.name)} THEN {files.index(file)} '
            for part, file in zip(parts, files, strict=True)
        )
        names = ", ".join(quote(column.name) for column in snapshot.columns)
        rows = placed_sql(parts, part="@part", origin="@from", row="@row")
        try:
            database.execute(
                f'COPY (SELECT {names} FROM {rows} ORDER BY {order} END, "@row", "@from") '
                f"TO {quote_text(str(draft))} ({form})"
            )
            _synced(draft)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    return CheckedOut(
        version=snapshot.digest,
        source=snapshot.source,
        rows=snapshot.rows,
        path=str(target),
        redacted_rows=snapshot.redacted,
    )


def _synced(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def check_data(store: Store) -> DataChecked:
    """Read every blob and every row, and say which file is not what it should be, and what depends on it."""
    checked, blobs = store.blobs.verify(), store.blobs
    damaged = {
        Path(file).parent.name + Path(file).name: (file, "its bytes are not what its name says") for file in checked.bad
    }
    needs = Needs(store, unreadable=damaged)
    needed_by = _lost(store, needs, damaged)
    rows = 0
    marks: dict[tuple[str, tuple[str, ...]], tuple[str, int]] = {}
    for version, snapshot in needs.living.items():
        kinds = {column.name: column.kind for column in snapshot.columns}
        for segment in snapshot.segments:
            names = (segment.blob, *segment.deleted)
            gone = [name for name in names if not blobs.has(name)]
            for name in gone:
                damaged.setdefault(name, (_file(store, name), "it is gone"))
            if gone or any(now_of(store, name) in damaged for name in names):
                continue
            lot = (segment.blob, segment.deleted)
            if lot not in marks:
                found = live_marks(segment, blobs, kinds)[0]
                marks[lot] = (mark_of(found), len(found.first))
                rows += len(found.first)
            if segment.mark and marks[lot] != (segment.mark, segment.rows):
                what = f"it holds other rows than version {version[:12]} of {snapshot.source} says"
                damaged.setdefault(segment.blob, (str(blobs.path(segment.blob)), what))
    return DataChecked(
        blobs=checked.count,
        size_bytes=checked.size_bytes,
        versions=len(needs.living),
        rows=rows,
        redacted=tuple(version for version, snapshot in needs.living.items() if snapshot.redacted_from),
        redacted_blobs=checked.redacted,
        damaged=tuple(
            Damaged(file=file, what=what, needed_by=needed_by.get(name) or needs.of_blob(name))
            for name, (file, what) in damaged.items()
        ),
    )


def _lost(store: Store, needs: Needs, damaged: dict[str, tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Add manifests, and what runs have made, that are gone; return who needs the manifests of lost versions."""
    needed_by: dict[str, tuple[str, ...]] = {}
    for version, source in needs.lost.items():
        name = now_of(store, needs.manifests[version])
        needed_by[name] = (f"version {version[:12]} of {source}", *needs.of_version(version))
        damaged.setdefault(name, (_file(store, name), "it is gone"))
    for name in _built(store):
        if not store.blobs.has(name):
            damaged.setdefault(name, (_file(store, name), "it is gone"))
    return needed_by


def _built(store: Store) -> list[str]:
    """Return the blobs that runs have made: datasets, their tables, models and verdicts."""
    made = [name for run in store.ledger.runs() for name in (run.dataset, run.model, run.verdict) if name]
    tables = []
    for name in {run.dataset for run in store.ledger.runs() if run.dataset}:
        with suppress(HeadwayError, OSError):  # a dataset that cannot be read is told itself
            tables.append(store.get(name, Dataset).table)
    return list(dict.fromkeys([*made, *tables]))


def _file(store: Store, blob: str) -> str:
    return str(store.blobs.root / blob[:2] / blob[2:])


def compact(store: Store, source: str = "") -> list[Compacted]:
    """Merge the segments of the newest version of a source, or of all; no version changes by it.

    Raises
    ------
    NotFound
        When there is no such source.
    StoreBusy
        When a run or a round of tending is at work.
    """
    newest = Needs(store).newest
    if source and source not in newest:
        raise NotFound(f"No version of a source {source!r} was taken.", hint=f"Known: {', '.join(sorted(newest))}.")
    done = []
    with alone(store), Database() as database:
        for name, version in newest.items():
            if source not in {"", name}:
                continue
            before = snapshot_of(store, version)
            after = compacted(before, store=store.blobs, database=database)
            if after == before:
                continue
            old = {each.blob for each in before.segments}
            added = {each.blob for each in after.segments} - old
            store.record(manifest_of(store, after))
            done.append(
                Compacted(
                    version=version,
                    source=name,
                    segments_before=len(before.segments),
                    segments_after=len(after.segments),
                    added_bytes=sum(store.blobs.path(each).stat().st_size for each in added),
                )
            )
    return done


def collect_garbage(store: Store, *, dry_run: bool = False, grace_s: float = GRACE_S) -> Collected:
    """Let go of versions and blobs that nothing needs: no run, release, dataset, model, prediction, or hold.

    The intention is recorded before the first file goes, and manifests go before what they name. So a kill at any
    moment leaves versions that are whole and such that are gone, and the next collection takes what is left of those.

    Parameters
    ----------
    dry_run
        Whether only to say what would go.
    grace_s
        Blobs that are younger stay, whoever needs them.

    Raises
    ------
    StoreBusy
        When a run or a round of tending is at work.
    """
    with alone(store):
        needs = Needs(store)
        everything = needs.everything()
        going = [version for version in needs.living if version not in everything]
        blobs = [b for b in store.blobs.listed() if b.digest not in everything and b.age_s >= grace_s]
        # A version whose manifest is too young to go is not let go by halves.
        old = {blob.digest for blob in blobs}
        going = [version for version in going if needs.manifests[version] in old]
        size = sum(blob.size_bytes for blob in blobs)
        if not dry_run and blobs:
            store.record(SnapshotsCollected(snapshots=tuple(going), blobs=len(blobs), size_bytes=size))
            manifests = {needs.manifests[version] for version in going}
            for blob in sorted(blobs, key=lambda each: each.digest not in manifests):
                store.blobs.delete(blob.digest)
            store.blobs.sweep()
    return Collected(
        versions=tuple(going),
        blobs=len(blobs),
        size_bytes=size,
        kept_versions=len(needs.living) - len(going),
        dry_run=dry_run,
    )


def alone(store: Store) -> ExitStack:
    """Keep out whoever writes blobs that nothing names yet."""
    stack = ExitStack()
    with stack:
        for name in ("run", "tend"):
            stack.enter_context(store.ledger.lease(name, owner=store.owner))
        return stack.pop_all()
