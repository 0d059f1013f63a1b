"""The online store, filled from the sources for the release in service: one filling at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from headway.deploy.serving import publish
from headway.errors import NotFound
from headway.loop.releases import release_of
from headway.loop.sources import Material, last_events_us, material_of, remember_last_events
from headway.nouns.event import StoreMaterialised
from headway.nouns.span import DAY
from headway.online.manifest import StoredTimeline, definition_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from headway.loop.store import Store
    from headway.nouns.release import Release
    from headway.query.definitions import Definitions
    from headway.query.parts import Part

__all__ = ["fill_online", "filling", "material_of_release", "materialise", "recent_files"]

_KEPT_US = 2 * DAY
"""How far back the online store answers: a client may ask late, but not about last week."""

_TURN_S = 600.0
"""For so long a filling waits for the one before it; each holds the turn for seconds, on slow machines for minutes."""


def filling(store: Store) -> AbstractContextManager[None]:
    """Wait for one's turn to fill the online store.

    Whoever has the turn reads the sources, asks who is champion, fills and publishes. So what is published last has
    seen the most: a slow filling cannot put older look-ups, or a release that was replaced meanwhile, back.

    Raises
    ------
    StoreBusy
        When another filling does not come to its end.
    """
    return store.ledger.lease("fill", owner=store.owner, patience_s=_TURN_S)


def materialise(store: Store, sources: Callable[[], Material]) -> dict[str, Any]:
    """Wait for one's turn, read the sources, and do what :func:`fill_online` does with them.

    Parameters
    ----------
    sources
        Reads them as they are now; asked when the turn has come.

    Raises
    ------
    NotFound
        When nothing is deployed.
    StoreBusy
        When another filling does not come to its end.
    """
    with filling(store):
        return fill_online(store, sources())


def fill_online(store: Store, material: Material) -> dict[str, Any]:
    """Fill the online store with what is known, and let servers answer from it as the champion.

    Whoever calls this holds the turn (:func:`filling`), and has read ``material`` since it came.

    Returns
    -------
    dict
        ``store`` (its version), ``as_of_us``, ``rows``, ``release``.

    Raises
    ------
    NotFound
        When nothing is deployed.
    """
    from headway.online.fill import fill
    from headway.query.database import Database
    from headway.query.point_in_time import PointInTime

    champion = store.ledger.champion()
    if champion is None:
        raise NotFound("Nothing is deployed, so nothing has to be looked up.", hint="Deploy first: headway deploy.")
    live = release_of(store, champion.release)
    material = material_of_release(store, material, live)
    as_of_us = material.as_of_us
    since_us = as_of_us - _KEPT_US
    definitions = material.definitions
    kept = {name: store.book.get(key) for name, key in _dimension_keys(material).items()}
    with Database() as database:
        files = recent_files(store, material, since_us=since_us - definitions.lag_us)
        point_in_time = PointInTime(database, definitions, files, tell_files=True)
        manifest = fill(
            definitions,
            point_in_time,
            as_of_us=as_of_us,
            since_us=since_us,
            blobs=store.blobs,
            # What was erased is not there any more, and is filled again.
            kept={
                name: msgspec.convert(found, StoredTimeline)
                for name, found in kept.items()
                if found is not None and store.blobs.has(found["blob"])
            },
        )
        for name in _forgetful(definitions):
            if None in last_events_us(store, material, name):
                remember_last_events(store, material, name, point_in_time.last_events_us(name))
    stored = {timeline.definition: timeline for timeline in manifest.timelines}
    for name, key in _dimension_keys(material).items():
        store.remembered(key, "dimension", partial(msgspec.to_builtins, stored[name]))
    publish(store.serving, release=live, store=manifest)
    versions = {name: snapshot.digest for name, snapshot in material.snapshots.items()}
    store.record(StoreMaterialised(store=manifest.digest, as_of_us=as_of_us, rows=manifest.rows, snapshots=versions))
    return {"store": manifest.digest, "as_of_us": as_of_us, "rows": manifest.rows, "release": live.id}


def _dimension_keys(material: Material) -> dict[str, str]:
    """Return, by definition, the key under which a dimension's steps are kept; it changes with the snapshot."""
    brief = material.brief
    found = {}
    for timeline in material.definitions.online_timelines:
        if timeline.timeless:
            definition = definition_digest(timeline, brief.sources)
            found[definition] = f"dimension:{definition}:{material.snapshots[timeline.source].digest}"
    return found


def recent_files(store: Store, material: Material, *, since_us: int) -> Mapping[str, tuple[Part, ...]]:
    """Return the files of each source that can still matter to look-ups from ``since_us`` on.

    A source is cut only if every look-up into it forgets; and a file only once it has been read, for nobody knows
    before what is in it.
    """
    files = dict(material.files)
    for name, longest_us in _forgetful(material.definitions).items():
        last = last_events_us(store, material, name)
        kept = [
            path
            for path, last_us in zip(files[name], last, strict=True)
            if last_us is None or last_us >= since_us - longest_us
        ]
        # An engine's relation needs a file to take its columns from, even when every row is too old.
        files[name] = tuple(kept) or files[name][-1:]
    return files


def _forgetful(definitions: Definitions) -> dict[str, int]:
    """Return after how long each source is forgotten, if every look-up into it forgets: windows, and a ``max_age``."""
    found = {}
    for name, relation in definitions.relations.items():
        timelines = [t for t in definitions.online_timelines if t.source == name]
        ages = [t.reach_us if t.shape == "window" else t.max_age_us for t in timelines]
        lasting = [age for age in ages if age is not None]
        if not relation.static and timelines and len(lasting) == len(ages):
            found[name] = max(lasting)
    return found


def material_of_release(store: Store, material: Material, release: Release) -> Material:
    """Return the sources as they are, seen through the brief of a release."""
    return (
        material
        if release.brief == material.brief.placeless  # with what its cleaning has learned
        else material_of(store, release.brief, material.snapshots, as_of_us=material.as_of_us)
    )
