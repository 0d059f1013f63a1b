"""The project's sources as they are now: read, versioned, recorded, and resolved against the brief."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import msgspec

from headway.data.collect import collect
from headway.engine.ahead import load_ahead
from headway.engine.named import cluster_of
from headway.errors import StoreBusy
from headway.loop.breaches import keep_mended
from headway.loop.manifests import files_of, manifest_of, snapshot_of
from headway.nouns.brief import Brief
from headway.nouns.event import ErasureBegun, Event, SnapshotTaken, StepFinished
from headway.query.parts import parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from headway.data.cleaning import Learned
    from headway.loop.store import Store
    from headway.nouns.snapshot import Snapshot
    from headway.query.definitions import Definitions
    from headway.query.functions import Kind
    from headway.query.parts import Part

__all__ = [
    "Material",
    "columns_of",
    "definitions_of",
    "last_events_us",
    "material_of",
    "no_erasure",
    "remember_last_events",
    "take_snapshots",
]

_Columns = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]

_PATIENCE_S = 2.0
_SOURCES_AT_ONCE = 2  # of many small files, opening and sniffing is most of the work; a large one takes all processors


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One moment's view of the sources: a snapshot each, and what the brief means over their columns.

    Attributes
    ----------
    columns
        The kind of each column of each source.
    as_of_us
        What the sources held by then is in it.
    """

    brief: Brief
    as_of_us: int
    snapshots: Mapping[str, Snapshot]
    columns: Mapping[str, Mapping[str, str]]
    files: Mapping[str, tuple[Part, ...]]

    @property
    def definitions(self) -> Definitions:
        """The brief resolved against the columns, when first asked: who finds nothing new does not ask.

        Raises
        ------
        BriefError, ExpressionError
            Naming the key of the brief that cannot stand.
        """
        return _resolved(msgspec.json.encode(self.brief), _hashable(self.columns))


def take_snapshots(store: Store, brief: Brief) -> Material:
    """Read what is new in the sources and record a snapshot of each that changed.

    Raises
    ------
    SourceError
        When a source cannot be read; nothing is recorded then.
    StoreBusy
        When somebody was erased meanwhile: what was taken over from the versions before may be gone.
    """
    as_of_us = store.now_us()  # before anything is read: what comes while it is read may be in it, or not
    with no_erasure(store):
        erasures = _erasures(store)
    snapshots: dict[str, Snapshot] = {}
    events: list[Event] = []
    began = time.monotonic()
    store.progress.start("read sources", total=len(brief.sources))
    before = {name: _last_snapshot(store, name) for name in brief.sources}
    if None in before.values():
        # Whoever sees a source for the first time resolves the brief next: what that takes loads while files are read.
        load_ahead("headway.data.across", "headway.query.resolver", then=_make_grammar)

    def taken(name: str) -> Snapshot:
        snapshot = collect(
            name,
            brief.sources[name],
            folder=store.folder,
            store=store.blobs,
            previous=before[name],
            progress=lambda file: store.progress.advance("read sources", 0, note=file),
        )
        store.progress.advance("read sources")
        return snapshot

    pool = ThreadPoolExecutor(_SOURCES_AT_ONCE, thread_name_prefix="source")
    try:
        read = dict(zip(brief.sources, pool.map(taken, brief.sources), strict=True))
    finally:
        # Ctrl-C must not wait for a file that takes minutes; nothing of it is recorded.
        pool.shutdown(wait=False, cancel_futures=True)
    for name, found in read.items():
        snapshot, previous = _agreed(store, brief, name, found, before[name]), before[name]
        snapshots[name] = snapshot
        if previous is not None and snapshot == previous:
            continue
        # The same rows in other files are the same version, in a manifest that knows those files.
        events.append(manifest_of(store, snapshot))
        if previous is None or snapshot.digest != previous.digest:
            events.append(
                SnapshotTaken(
                    source=name,
                    snapshot=snapshot.digest,
                    rows=snapshot.rows,
                    files=len(files_of(snapshot)),
                    added_rows=snapshot.rows - (previous.rows if previous else 0),
                )
            )
    store.progress.finish("read sources", reused=not events, seconds=time.monotonic() - began)
    if events:
        with no_erasure(store):
            if _erasures(store) != erasures:
                raise StoreBusy(
                    "Somebody was erased from the store while the sources were read.",
                    where=str(store.folder),
                    hint="Nothing was recorded. Run it again.",
                )
            store.record(*events)
    return material_of(store, brief, snapshots, as_of_us=as_of_us)


def _make_grammar() -> None:
    from headway.nouns.expression import parse

    parse("1 = 1")  # the grammar's tables are made with the first text


def no_erasure(store: Store) -> AbstractContextManager[None]:
    """Keep erasures, and whoever else asks for this, from beginning.

    Raises
    ------
    StoreBusy
        When one is at work, and does not end within seconds.
    """
    return store.ledger.lease("erase", owner=store.owner, patience_s=_PATIENCE_S)


def _erasures(store: Store) -> int:
    return sum(1 for _ in store.ledger.events(ErasureBegun))


def _agreed(store: Store, brief: Brief, name: str, found: Snapshot, previous: Snapshot | None) -> Snapshot:
    """Return the version in force: what was found, or the one before where that broke a contract that blocks."""
    if not brief.sources[name].contract or previous is None:
        return found
    if found.digest == previous.digest:
        keep_mended(store, name)
        return found
    from headway.loop.contracts import keeps_contract  # most projects have none

    return found if keeps_contract(store, brief, name, previous=previous, found=found) else previous


def _last_snapshot(store: Store, name: str) -> Snapshot | None:
    last = store.ledger.snapshots(source=name)
    return snapshot_of(store, last[-1].snapshot) if last else None


def material_of(store: Store, brief: Brief, snapshots: Mapping[str, Snapshot], *, as_of_us: int) -> Material:
    """Return the material that snapshots, taken at some moment before, make with a brief.

    What cleaning learns from the training period is in its brief, unless it came with the brief: that of a release.
    """
    files = {name: parts_of(snapshot, store.blobs) for name, snapshot in snapshots.items()}
    columns = columns_of(snapshots)
    if not brief.learned:
        brief = brief.cleaned_by(_learned(msgspec.json.encode(brief), _hashable(columns), tuple(files.items())))
    return Material(brief=brief, as_of_us=as_of_us, snapshots=snapshots, columns=columns, files=files)


@lru_cache(maxsize=8)
def _learned(brief: bytes, columns: _Columns, files: tuple[tuple[str, tuple[Part, ...]], ...]) -> Learned:
    """Return what a brief's cleaning learns; a round of tending asks for the same again and again."""
    from headway.data.cleaning import learn
    from headway.query.database import Database

    asked = msgspec.json.decode(brief, type=Brief)
    cluster = cluster_of(asked.engine or "local")
    with Database() as database:
        return learn(asked, _kinds_of(columns), dict(files), database=database, cluster=cluster)


def definitions_of(brief: Brief, snapshots: Mapping[str, Snapshot]) -> Definitions:
    """Return the brief's definitions over the columns that the snapshots have."""
    return _resolved(msgspec.json.encode(brief), _hashable(columns_of(snapshots)))


def columns_of(snapshots: Mapping[str, Snapshot]) -> dict[str, dict[str, str]]:
    """Return the kind of each column of each source."""
    return {name: {column.name: column.kind for column in snapshot.columns} for name, snapshot in snapshots.items()}


def _hashable(columns: Mapping[str, Mapping[str, str]]) -> _Columns:
    return tuple((name, tuple(kinds.items())) for name, kinds in columns.items())


def _kinds_of(columns: _Columns) -> dict[str, dict[str, Kind]]:
    return {name: {column: cast("Kind", kind) for column, kind in pairs} for name, pairs in columns}


@lru_cache(maxsize=8)
def _resolved(brief: bytes, columns: _Columns) -> Definitions:
    """Return resolved definitions; a round of tending asks for the same again and again."""
    from headway.query.resolver import resolve

    return resolve(msgspec.json.decode(brief, type=Brief), _kinds_of(columns))


def last_events_us(store: Store, material: Material, name: str) -> list[int | None]:
    """Return when the last event of each segment of a source happens; ``None`` where nobody has looked yet."""
    found = [store.recalled(key) for key in _last_event_keys(material, name)]
    return [None if one is None else int(one["last_us"]) for one in found]


def remember_last_events(store: Store, material: Material, name: str, found: Mapping[str, int]) -> None:
    """Keep when the last event of each segment that has been read happens, for a segment never changes.

    ``found`` has it by path; a segment without any event is not in it.
    """
    keys = zip(_last_event_keys(material, name), material.files[name], strict=True)
    store.record(
        *(
            StepFinished(key=key, step="last event", output={"last_us": found.get(str(path), 0)}, seconds=0.0)
            for key, path in keys
            if store.recalled(key) is None
        )
    )


def _last_event_keys(material: Material, name: str) -> list[str]:
    source = material.brief.sources[name]
    read_as = msgspec.json.encode((source.time, source.derive, source.zone), order="sorted")
    how = hashlib.sha256(read_as).hexdigest()[:16]
    return [f"last event:{segment.blob}:{how}" for segment in material.snapshots[name].segments]
