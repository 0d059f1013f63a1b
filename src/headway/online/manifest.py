"""What a filled store consists of: a small JSON text that names blobs, and whose own hash is the store's version."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from headway.nouns.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LookUps", "StoreManifest", "StoredTimeline", "definition_digest"]

# Who owns a file and under which licence it came does not change what is looked up in it.
_BESIDE_THE_POINT = {"licence", "owner", "personal"}


class LookUps(Protocol):
    """The part of a brief's definitions that a store is about; ``query.definitions.Definitions`` is one."""

    @property
    def brief(self) -> Any:
        """The brief, for its sources."""

    @property
    def lag_us(self) -> int:
        """How long before ``predict_at`` is looked."""

    @property
    def online_timelines(self) -> tuple[Any, ...]:
        """Whatever serving looks up."""

    def known_by(self, as_of_us: int) -> LookUps:
        """Return the same, blind to what became known later."""


class StoredTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """One timeline: the digest of its definition, the blob with its steps, and how many they are."""

    name: str
    definition: str
    blob: str
    rows: int


class StoreManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A version of the online store.

    Attributes
    ----------
    as_of_us
        What was known by then is in it, and nothing that became known later.
    since_us
        The earliest ``predict_at`` that it answers for; None for all.
    timelines
        In the order of ``Definitions.online_timelines``.
    """

    as_of_us: int
    since_us: int | None
    timelines: tuple[StoredTimeline, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest as canonical JSON: the version of the store."""
        return hashlib.sha256(canonical_json(self).encode()).hexdigest()

    @property
    def rows(self) -> int:
        """Steps in all timelines together."""
        return sum(timeline.rows for timeline in self.timelines)


def definition_digest(timeline: Any, sources: Mapping[str, Any]) -> str:
    """Return the hash of what a timeline's steps follow from: its own definition and how the sources are read.

    What it is called, and by which of the request's columns it is asked, changes no step.
    """
    own = {name: value for name, value in dataclasses.asdict(timeline).items() if name not in {"name", "mine"}}
    read = {
        name: {key: value for key, value in msgspec.to_builtins(source).items() if key not in _BESIDE_THE_POINT}
        for name, source in sources.items()
    }
    return hashlib.sha256(canonical_json([own, read]).encode()).hexdigest()
