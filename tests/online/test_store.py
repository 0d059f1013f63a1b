"""Tests of the store as a whole: the same every time, no larger than needed, and refused where it does not fit."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path

import msgspec
import pytest

from headway.errors import NotFound, StoreCorrupt
from headway.online.fill import fill
from headway.online.manifest import StoreManifest, definition_digest
from headway.online.store import OnlineStore
from headway.query.database import Database

if "orders" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("orders", Path(__file__).parent.parent / "orders.py")
    sys.modules["orders"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["orders"])
orders = sys.modules["orders"]

AS_OF_US = orders.us("2024-03-20T00:00:00")
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return the orders."""
    return orders.make_project(tmp_path_factory.mktemp("orders"), orders=600)


def filled(project, *, since_us=None, threads=1):
    """Return the manifest of a store that was filled by an engine of its own."""
    with Database(threads=threads) as database:
        return fill(
            project.definitions,
            project.point_in_time(database),
            as_of_us=AS_OF_US,
            since_us=since_us,
            blobs=project.blobs,
        )


def test_the_same_sources_give_the_same_version(project):
    """On one thread or several, today or tomorrow."""
    assert filled(project).digest == filled(project, threads=2).digest == filled(project).digest


def test_a_manifest_survives_being_written(project):
    """JSON and back, under the same digest."""
    manifest = filled(project)
    back = msgspec.json.decode(msgspec.json.encode(manifest), type=StoreManifest)
    assert back == manifest
    assert back.digest == manifest.digest


def test_a_store_that_begins_late_is_smaller(project):
    """Steps that were over before are left out, and what does not change with time is not."""
    whole, late = filled(project), filled(project, since_us=AS_OF_US - DAY_US)
    for timeline, all_of_it, some in zip(
        project.definitions.online_timelines, whole.timelines, late.timelines, strict=True
    ):
        if timeline.shape == "static":
            assert some == all_of_it
        else:
            assert 0 < some.rows < all_of_it.rows / 2


def test_two_timelines_of_the_same_steps_are_one_blob(project):
    """Where an order goes to and where it comes from are looked up in the same places."""
    manifest = filled(project)
    found = OnlineStore.load(manifest, project.blobs, project.definitions)
    far = next(f for f in project.definitions.features if f.name == "far_km")
    assert len(far.timelines) == 2
    first, second = (found.steps(timeline) for timeline in far.timelines)
    assert first is second


def test_a_store_for_other_definitions_is_refused(project):
    """A store is never read by definitions it was not filled for."""
    manifest = filled(project)
    fewer = msgspec.structs.replace(manifest, timelines=manifest.timelines[1:])
    with pytest.raises(StoreCorrupt, match="headway materialize"):
        OnlineStore.load(fewer, project.blobs, project.definitions)


def test_a_damaged_or_lost_blob_is_named(project):
    """Bytes that are no table, or that are gone."""
    manifest = filled(project)

    def with_blob(digest):
        first = msgspec.structs.replace(manifest.timelines[0], blob=digest)
        return msgspec.structs.replace(manifest, timelines=(first, *manifest.timelines[1:]))

    with pytest.raises(StoreCorrupt, match="no table of steps"):
        OnlineStore.load(with_blob(project.blobs.put(b"nonsense")), project.blobs, project.definitions)
    with pytest.raises(NotFound):
        OnlineStore.load(with_blob("0" * 64), project.blobs, project.definitions)


def test_the_digest_of_a_definition_follows_what_it_means(project):
    """A window, a column derived anew, another file: other steps. A name, an owner, the asking column: the same."""
    timeline = next(t for t in project.definitions.timelines if t.shape == "window")
    sources = project.definitions.brief.sources
    digest = definition_digest(timeline, sources)
    same = dataclasses.replace(timeline, name="other", mine=("other",))
    assert definition_digest(same, sources) == digest
    owned = {name: msgspec.structs.replace(source, owner="Ada", licence="CC0") for name, source in sources.items()}
    assert definition_digest(timeline, owned) == digest
    assert definition_digest(dataclasses.replace(timeline, window_us=timeline.window_us + 1), sources) != digest
    derived = {**sources["orders"].derive, "settled": "placed + hours(settle_hours) + hours(1)"}
    other = {**sources, "orders": msgspec.structs.replace(sources["orders"], derive=derived)}
    assert definition_digest(timeline, other) != digest
