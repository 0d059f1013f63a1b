"""Earlier versions of the sources, for whoever asks what was known then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from headway.nouns.snapshot import Snapshot

if TYPE_CHECKING:
    from headway.loop.sources import Material
    from headway.loop.store import Store

__all__ = ["EarlierVersion", "earlier_versions"]


class EarlierVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was taken before the one in use, and when."""

    snapshot: str
    taken_us: int


def earlier_versions(store: Store, material: Material) -> dict[str, EarlierVersion]:
    """Return the earliest version that is still there of each source, where there is one before that in use."""
    found = {}
    for name, now in material.snapshots.items():
        for taken in store.ledger.snapshots(source=name):
            if taken.snapshot == now.digest:
                break
            if _living(store, taken.snapshot):
                found[name] = EarlierVersion(snapshot=taken.snapshot, taken_us=taken.taken_us)
                break
    return found


def _living(store: Store, version: str) -> bool:
    manifest = store.ledger.step(f"snapshot:{version}")
    if manifest is None or not store.blobs.has(manifest["blob"]):
        return False
    snapshot = store.get(manifest["blob"], Snapshot)
    return all(store.blobs.has(blob) for each in snapshot.segments for blob in (each.blob, *each.deleted))
