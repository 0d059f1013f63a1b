"""Who needs which blob: what may be collected, and what a damaged file takes with it.

Everything that the store refers to is named by 64 hexadecimal digits, so whatever a record or a JSON blob names counts
as needed by it: rather something is kept that nobody wants than lost what somebody does. The one thing that does not
count is that a version of a source was once taken; it is needed by what was built on it, by what answered from it, by
a hold, or because it is the newest. The file hides where references stand.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from headway.errors import HeadwayError
from headway.loop.holds import open_holds
from headway.nouns import event as happened
from headway.nouns.snapshot import Snapshot
from headway.predictions.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from headway.loop.store import Store

__all__ = ["Needs", "now_of"]

_DIGEST = re.compile(rb"[0-9a-f]{64}")
_SNAPSHOT, _DIMENSION = "snapshot:", "dimension:"

# These say that something was there once, not that it is wanted; steps are asked for as they stand now.
_MERELY_TOLD = (
    happened.SnapshotTaken,
    happened.ContractBroken,
    happened.StepFinished,
    happened.SnapshotsCollected,
    happened.ErasureFinished,
    happened.StoreMaterialised,
    happened.HoldPlaced,
)


class _Looked(msgspec.Struct, frozen=True, gc=False):
    """What a logged answer says of the online store that it looked into."""

    served_us: int
    store: str = ""


def now_of(store: Store, blob: str) -> str:
    """Return the blob that is read under a name; another one where it was redacted."""
    redaction = store.blobs.redaction(blob)
    return blob if redaction is None or not redaction.now else now_of(store, redaction.now)


class Needs:
    """What the store holds, and for whom; as of the moment it is made.

    Parameters
    ----------
    unreadable
        Blobs that are known to be damaged: versions whose manifests they are do not count as living.

    Attributes
    ----------
    manifests
        By version of a source the blob of its manifest, whether it is still there or not.
    """

    def __init__(self, store: Store, *, unreadable: Collection[str] = ()) -> None:
        self._store, self._unreadable = store, unreadable
        steps = store.ledger.table("steps")
        pairs = zip(steps["key"].to_pylist(), steps["output"].to_pylist(), strict=True)
        self._steps: dict[str, str] = dict(pairs)
        self.manifests = {
            key.removeprefix(_SNAPSHOT): msgspec.json.decode(output)["blob"]
            for key, output in self._steps.items()
            if key.startswith(_SNAPSHOT)
        }
        self._named: dict[str, frozenset[str]] = {}
        self._reached: dict[str, frozenset[str]] = {}

    @cached_property
    def living(self) -> dict[str, Snapshot]:
        """The versions whose manifests are there, in the order in which they were taken."""
        blobs, found = self._store.blobs, {}
        for taken in self._store.ledger.snapshots():
            manifest = self.manifests.get(taken.snapshot, "")
            if manifest and blobs.has(manifest) and now_of(self._store, manifest) not in self._unreadable:
                found[taken.snapshot] = self._store.get(manifest, Snapshot)
        return found

    @cached_property
    def lost(self) -> dict[str, str]:
        """By version whose manifest is gone or unreadable, though nobody collected it, its source."""
        let_go = {
            version
            for entry in self._store.ledger.events(happened.SnapshotsCollected)
            if isinstance(entry.event, happened.SnapshotsCollected)
            for version in entry.event.snapshots
        }
        taken = {each.snapshot: each.source for each in self._store.ledger.snapshots()}
        return {
            version: source
            for version, source in taken.items()
            if version in self.manifests and version not in self.living and version not in let_go
        }

    @cached_property
    def newest(self) -> dict[str, str]:
        """By source its newest version."""
        return {taken.source: taken.snapshot for taken in self._store.ledger.snapshots()}

    @cached_property
    def roots(self) -> dict[str, frozenset[str]]:
        """By who needs it (``run …``, ``release …``, ``hold …``, ``predictions``, …), what is named directly."""
        found: dict[str, set[str]] = {}
        for source, version in self.newest.items():
            found.setdefault(f"newest of {source}", set()).add(version)
        for key, output in self._steps.items():
            kind, _, name = key.partition(":")
            if key.startswith(_SNAPSHOT) or kind == "last event":
                continue
            if key.startswith(_DIMENSION) and name.rpartition(":")[2] not in self.newest.values():
                continue
            who = f"{kind} {name}" if kind in {"run", "release"} else "steps"
            found.setdefault(who, set()).update(_digests(output.encode()))
        for run in self._store.ledger.runs():
            found.setdefault(f"run {run.run}", set()).update(filter(None, (run.dataset, run.model, run.verdict)))
        for entry in self._store.ledger.events():
            if not isinstance(entry.event, _MERELY_TOLD):
                found.setdefault("the ledger", set()).update(_digests(msgspec.json.encode(entry.event)))
        for hold in open_holds(self._store):
            found.setdefault(f"hold {hold.hold}", set()).update(self.held_by(hold.subject))
        found["predictions"] = set(self._looked_into())
        current = self._store.serving / "current.json"
        if current.exists():
            found["what is in service"] = set(_digests(current.read_bytes()))
        return {who: frozenset(names) for who, names in found.items()}

    def held_by(self, subject: str) -> list[str]:
        """Return the versions that a hold on ``subject`` is about."""
        return [version for version, snapshot in self.living.items() if subject in {"all", version, snapshot.source}]

    def of_version(self, version: str) -> tuple[str, ...]:
        """Return who needs a version of a source."""
        return tuple(sorted(who for who in self.roots if version in self.reached_by(who)))

    def of_blob(self, digest: str) -> tuple[str, ...]:
        """Return who needs a blob, versions of sources among them."""
        versions = [
            f"version {version[:12]} of {snapshot.source}"
            for version, snapshot in self.living.items()
            if digest in self.reached([version])
        ]
        return (*versions, *sorted(who for who in self.roots if digest in self.reached_by(who)))

    def reached_by(self, who: str) -> frozenset[str]:
        """Return everything that one of the roots needs, directly or through others."""
        if who not in self._reached:
            self._reached[who] = self.reached(self.roots[who])
        return self._reached[who]

    def everything(self) -> frozenset[str]:
        """Return everything that anybody needs."""
        return self.reached(name for names in self.roots.values() for name in names)

    def reached(self, names: Iterable[str]) -> frozenset[str]:
        """Return what is named by ``names``, by what they name, and so on."""
        waiting, seen = list(names), set()
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += self._names_in(name) - seen
        return frozenset(seen)

    def _names_in(self, name: str) -> frozenset[str]:
        """Return what a version, or a blob, names."""
        if name not in self._named:
            found = {self.manifests[name]} if name in self.manifests else set()
            blobs = self._store.blobs
            redaction = blobs.redaction(name)
            if redaction is not None and redaction.now:
                found.add(redaction.now)
            if blobs.has(name):
                try:
                    with blobs.open(name) as file:
                        head = file.read(1)
                        found |= set(_digests(file.read())) if head in {b"{", b"["} else set()
                except (HeadwayError, OSError):
                    found |= set()  # unreadable: verify says so, and nothing is known of what it named
            self._named[name] = frozenset(found)
        return self._named[name]

    def _looked_into(self) -> Iterable[str]:
        """Return the versions that answers in the log were looked up in, as a trace would find them."""
        ledger = self._store.ledger
        stores = {
            each.store
            for batch in Reader(self._store.predictions).scan_as(_Looked, skip_corrupt=True)
            for each in batch.predictions
        }
        taken = ledger.table("snapshots").select(["seq", "source", "snapshot", "taken_us"]).to_pylist()
        for filled in ledger.table("materialisations").select(["seq", "store"]).to_pylist():
            if filled["store"] in stores:
                newest = {each["source"]: each["snapshot"] for each in taken if each["seq"] < filled["seq"]}
                yield from newest.values()
        if "" in stores:  # answered without a store: what stood then cannot be told apart any more
            yield from (each["snapshot"] for each in taken)


def _digests(text: bytes) -> Iterable[str]:
    return (found.decode() for found in _DIGEST.findall(text))
