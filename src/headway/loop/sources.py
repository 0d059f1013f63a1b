"""The project's sources as they are now: read, versioned, recorded, and resolved against the brief."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, cast

import msgspec

from headway.data.collect import collect
from headway.nouns.brief import Brief
from headway.nouns.event import SnapshotTaken
from headway.nouns.snapshot import Snapshot
from headway.query.definitions import Definitions, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from headway.loop.store import Store
    from headway.query.functions import Kind

__all__ = ["Material", "definitions_of", "last_events_us", "material_of", "snapshot_of", "take_snapshots"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """One moment's view of the sources: a snapshot each, and the brief resolved against their columns."""

    brief: Brief
    snapshots: Mapping[str, Snapshot]
    definitions: Definitions
    files: Mapping[str, tuple[Path, ...]]


def take_snapshots(store: Store, brief: Brief) -> Material:
    """Read what is new in the sources and record a snapshot of each that changed.

    Raises
    ------
    SourceError
        When a source cannot be read; nothing is recorded then.
    """
    snapshots: dict[str, Snapshot] = {}
    events: list[SnapshotTaken] = []
    began = time.monotonic()
    store.progress.start("read sources", total=len(brief.sources))
    for name, source in brief.sources.items():
        last = store.ledger.snapshots(source=name)
        previous = snapshot_of(store, last[-1].snapshot) if last else None
        snapshot = collect(
            name,
            source,
            folder=store.folder,
            store=store.blobs,
            previous=previous,
            progress=lambda file: store.progress.advance("read sources", 0, note=file),
        )
        snapshots[name] = snapshot
        store.progress.advance("read sources")
        if previous is None or snapshot.digest != previous.digest:
            store.remembered(f"snapshot:{snapshot.digest}", f"snapshot {name}", partial(_kept, store, snapshot))
            events.append(
                SnapshotTaken(
                    source=name,
                    snapshot=snapshot.digest,
                    rows=snapshot.rows,
                    files=len(snapshot.segments),
                    added_rows=snapshot.rows - (previous.rows if previous else 0),
                )
            )
    store.progress.finish("read sources", reused=not events, seconds=time.monotonic() - began)
    if events:
        store.record(*events)
    return material_of(store, brief, snapshots)


def _kept(store: Store, snapshot: Snapshot) -> dict[str, str]:
    return {"blob": store.put(snapshot)}


def material_of(store: Store, brief: Brief, snapshots: Mapping[str, Snapshot]) -> Material:
    """Return the material that snapshots, taken before, make with a brief."""
    return Material(
        brief=brief,
        snapshots=snapshots,
        definitions=definitions_of(brief, snapshots),
        files={
            name: tuple(store.blobs.path(segment.blob) for segment in snapshot.segments)
            for name, snapshot in snapshots.items()
        },
    )


def snapshot_of(store: Store, digest: str) -> Snapshot:
    """Return a snapshot by its version."""
    manifest = store.ledger.step(f"snapshot:{digest}")
    assert manifest is not None, digest
    return store.get(manifest["blob"], Snapshot)


def definitions_of(brief: Brief, snapshots: Mapping[str, Snapshot]) -> Definitions:
    """Return the brief's definitions over the columns that the snapshots have."""
    columns = {name: tuple((c.name, c.kind) for c in snapshot.columns) for name, snapshot in snapshots.items()}
    return _resolved(msgspec.json.encode(brief), tuple(columns.items()))


@lru_cache(maxsize=8)
def _resolved(brief: bytes, columns: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]) -> Definitions:
    """Return resolved definitions; a round of tending asks for the same again and again."""
    kinds = {name: {column: cast("Kind", kind) for column, kind in pairs} for name, pairs in columns}
    return resolve(msgspec.json.decode(brief, type=Brief), kinds)


def last_events_us(store: Store, material: Material, name: str) -> list[int]:
    """Return when the last event of each segment of a source happens; remembered, since a segment never changes."""
    source = material.brief.sources[name]
    how = hashlib.sha256(msgspec.json.encode((source.time, source.derive, source.zone), order="sorted")).hexdigest()[
        :16
    ]
    return [
        int(
            store.remembered(
                f"last event:{segment.blob}:{how}", "last event", partial(_last_event, material, name, path)
            )["last_us"]
        )
        for segment, path in zip(material.snapshots[name].segments, material.files[name], strict=True)
    ]


def _last_event(material: Material, name: str, path: Path) -> dict[str, int]:
    from headway.query.database import Database
    from headway.query.point_in_time import PointInTime

    with Database() as database:
        point_in_time = PointInTime(database, material.definitions, {**material.files, name: (path,)})
        return {"last_us": point_in_time.last_event_us(name)}
