"""The feature store of the serving path: one version, in memory, immutable.

The file hides how steps come out of blobs, and that two versions share what has not changed between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from headway.errors import StoreCorrupt
from headway.online.manifest import LookUps, StoreManifest, definition_digest
from headway.online.places import NTH, PlaceSteps
from headway.online.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["BlobSource", "OnlineStore"]


class BlobSource(Protocol):
    """Where the steps come from; the blobs of the project."""

    def read(self, digest: str) -> bytes:
        """Return the bytes, which are what was put."""


class OnlineStore:
    """What serving looks up, as of ``as_of_us``.

    Attributes
    ----------
    manifest
        What it consists of; its digest is the store's version.
    by_blob
        Its steps, by the digest of their blob; the next version shares what has not changed.
    """

    __slots__ = ("_by_timeline", "as_of_us", "by_blob", "digest", "manifest", "since_us")

    def __init__(
        self,
        manifest: StoreManifest,
        by_blob: Mapping[str, Steps | PlaceSteps],
        by_timeline: Mapping[Any, Steps | PlaceSteps],
    ) -> None:
        self.manifest = manifest
        self.digest = manifest.digest
        self.as_of_us = manifest.as_of_us
        self.since_us = manifest.since_us
        self.by_blob = by_blob
        self._by_timeline = by_timeline

    @classmethod
    def load(
        cls, manifest: StoreManifest, blobs: BlobSource, definitions: LookUps, *, previous: OnlineStore | None = None
    ) -> Self:
        """Return the store that ``fill`` described, for definitions that look up the same.

        Parameters
        ----------
        previous
            The version that is in use; what has not changed is shared with it, not read again.

        Raises
        ------
        StoreCorrupt
            When it was filled for other definitions, or a blob is not what its digest says.
        NotFound
            When a blob is gone.
        """
        stored = {timeline.definition: timeline for timeline in manifest.timelines}
        at_hand: Mapping[str, Steps | PlaceSteps] = {} if previous is None else previous.by_blob
        by_blob: dict[str, Steps | PlaceSteps] = {}
        by_timeline: dict[Any, Steps | PlaceSteps] = {}
        for timeline in definitions.online_timelines:
            found = stored.get(definition_digest(timeline, definitions.brief.sources))
            if found is None:
                raise StoreCorrupt(
                    f"The online store holds nothing for {timeline.name!r}: it was filled for other definitions.",
                    hint="Fill it again: headway materialize.",
                )
            steps = by_blob.get(found.blob) or at_hand.get(found.blob)
            by_blob[found.blob] = steps if steps is not None else _read(blobs.read(found.blob), found.blob)
            by_timeline[timeline] = by_blob[found.blob]
        return cls(manifest, by_blob, by_timeline)

    def steps(self, timeline: Any) -> Steps | PlaceSteps:
        """Return the steps of one of the definitions' timelines."""
        return self._by_timeline[timeline]


def _read(data: bytes, digest: str) -> Steps | PlaceSteps:
    try:
        table = pa.ipc.open_file(data).read_all()
        return PlaceSteps(table) if NTH in table.column_names else Steps(table)
    except (pa.ArrowInvalid, KeyError, IndexError) as error:
        raise StoreCorrupt(f"Blob {digest} is no table of steps: {error}.", hint="Fill the store again.") from error
