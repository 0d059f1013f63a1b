"""The manifest of a version: of which segments it consists, kept in the store and found by the version's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.nouns.event import StepFinished
from headway.nouns.snapshot import Snapshot

if TYPE_CHECKING:
    from headway.loop.store import Store

__all__ = ["files_of", "manifest_of", "snapshot_of"]


def manifest_of(store: Store, snapshot: Snapshot) -> StepFinished:
    """Return the fact that a version consists of these segments from now on; its manifest is kept."""
    return StepFinished(
        key=f"snapshot:{snapshot.digest}",
        step=f"snapshot {snapshot.source}",
        output={"blob": store.put(snapshot)},
        seconds=0.0,
    )


def snapshot_of(store: Store, digest: str) -> Snapshot:
    """Return a snapshot by its version."""
    manifest = store.ledger.step(f"snapshot:{digest}")
    assert manifest is not None, digest
    return store.get(manifest["blob"], Snapshot)


def files_of(snapshot: Snapshot) -> list[tuple[str, str, int]]:
    """Return the files of a snapshot, each with the digest of its bytes and how many rows it has."""
    rows: dict[tuple[str, str], int] = {}
    for segment in snapshot.segments:
        file = segment.file, segment.file_digest.partition("-")[0]
        rows[file] = rows.get(file, 0) + segment.rows
    return [(*file, count) for file, count in rows.items()]
