"""Filling the store: the engine computes the steps, here they are cut to what serving can ask for, and kept.

The file hides what may be left out: steps that were over before the earliest moment that will be asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa

from headway.online.manifest import LookUps, StoredTimeline, StoreManifest, definition_digest
from headway.online.steps import AT, ordered, same_key_as_next

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["BlobSink", "Engine", "fill"]


class Engine(Protocol):
    """Whatever computes steps; ``query.point_in_time.PointInTime`` is one."""

    def steps_table(self, timeline: Any, *, since_us: int | None = None) -> pa.Table:
        """Return the steps of a timeline, with moments as whole microseconds."""


class BlobSink(Protocol):
    """Where the steps go; the blobs of the project."""

    def put(self, data: bytes) -> str:
        """Keep bytes and return their digest."""


def fill(
    definitions: LookUps,
    point_in_time: Engine,
    *,
    as_of_us: int,
    since_us: int | None,
    blobs: BlobSink,
    kept: Mapping[str, StoredTimeline] | None = None,
) -> StoreManifest:
    """Return the manifest of a store with all that was known at ``as_of_us``, its steps put into ``blobs``.

    Parameters
    ----------
    as_of_us
        Now. What became known later is not in it, even where the sources hold it already; a row that was known by
        then leaves its window when its time comes, since that is certain knowledge.
    since_us
        The earliest ``predict_at`` that will be asked for; None for all.
    kept
        By digest of its definition: what was stored before of dimensions whose snapshot has not changed since.
    """
    look_from_us = None if since_us is None else since_us - definitions.lag_us
    timelines = []
    known = definitions.known_by(as_of_us)
    for timeline, blind in zip(definitions.online_timelines, known.online_timelines, strict=True):
        definition = definition_digest(timeline, definitions.brief.sources)
        before = (kept or {}).get(definition)
        if before is not None and timeline.timeless:
            timelines.append(msgspec.structs.replace(before, name=timeline.name))
            continue
        # A window may forget what has left it; "latest" may not forget the last one, however old: it tells an
        # outdated value from none.
        recent_us = look_from_us if timeline.shape == "window" else None
        steps = ordered(point_in_time.steps_table(blind, since_us=recent_us))
        if look_from_us is not None and AT in steps.column_names:
            steps = steps.filter(pa.array(_still_asked_for(steps, look_from_us))).combine_chunks()
        timelines.append(
            StoredTimeline(
                name=timeline.name,
                definition=definition,
                blob=blobs.put(_to_bytes(steps)),
                rows=steps.num_rows,
            )
        )
    return StoreManifest(as_of_us=as_of_us, since_us=since_us, timelines=tuple(timelines))


def _still_asked_for(steps: pa.Table, look_from_us: int) -> NDArray[np.bool_]:
    """Return which steps hold at ``look_from_us`` or later: the next one of their key has not ended them by then."""
    keep = np.ones(steps.num_rows, dtype=bool)
    over = steps[AT].to_numpy()[1:] <= look_from_us
    keep[:-1] = ~(over & same_key_as_next(steps))
    return keep


def _to_bytes(table: pa.Table) -> bytes:
    """Return the table as an Arrow file; the same table gives the same bytes."""
    sink = pa.BufferOutputStream()
    table = table.replace_schema_metadata(None)
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())
