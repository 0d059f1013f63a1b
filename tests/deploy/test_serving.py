"""Tests of what is in service: published whole, followed, and never half changed."""

from __future__ import annotations

import threading

import msgspec
import pytest

from headway.deploy.serving import Loader, publish, read_current
from headway.errors import NotFound, StoreCorrupt, StoreError


def test_what_is_published_is_read_back(tmp_path, project, store):
    """Release and store come back as they went, under growing epochs."""
    assert publish(tmp_path / "serving", release=project.release(), store=store) == 1
    assert publish(tmp_path / "serving", release=project.release(name="r2"), store=store) == 2
    current = read_current(tmp_path / "serving")
    assert (current.epoch, current.release, current.store) == (2, project.release(name="r2"), store)


def test_nothing_in_service_says_how_to_change_that(tmp_path):
    """Before the first deployment there is no file."""
    with pytest.raises(NotFound, match="headway deploy"):
        read_current(tmp_path)


def test_a_damaged_file_is_named(tmp_path, project, store):
    """What is no JSON, or lacks something, is not guessed at."""
    publish(tmp_path, release=project.release(), store=store)
    path = tmp_path / "current.json"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreCorrupt, match="Deploy the release again"):
        read_current(tmp_path)


def test_a_place_that_cannot_be_written_leaves_what_was(tmp_path, project, store):
    """A file where the folder should be."""
    (tmp_path / "serving").write_text("in the way")
    with pytest.raises(StoreError):
        publish(tmp_path / "serving", release=project.release(), store=store)
    assert (tmp_path / "serving").read_text() == "in the way"


def test_publishers_do_not_lose_each_others_epochs(tmp_path, project, store):
    """Eight threads publish at once; each gets an epoch of its own, and readers always find a whole file."""
    epochs = []
    release = project.release()

    def publish_some():
        for _ in range(5):
            epochs.append(publish(tmp_path, release=release, store=store))
            read_current(tmp_path)

    threads = [threading.Thread(target=publish_some) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(epochs) == list(range(1, 41))


def test_a_loader_shares_what_has_not_changed(tmp_path, project, store):
    """A newer store keeps the graph, and the steps that stayed; a newer release keeps the steps."""
    publish(tmp_path, release=project.release(), store=store)
    loader = Loader(tmp_path, project.blobs)
    first = loader.load()
    assert not loader.changed()
    newer = msgspec.structs.replace(store, as_of_us=store.as_of_us + 1)
    publish(tmp_path, release=project.release(), store=newer)
    assert loader.changed()
    second = loader.load()
    assert loader.epoch == 2
    assert second.scorer is first.scorer
    assert second.store.digest != first.store.digest
    for timeline in project.definitions.online_timelines:
        assert second.store.steps(timeline) is first.store.steps(timeline)
    publish(tmp_path, release=project.release(name="r2", bias=1.0), store=newer)
    third = loader.load()
    assert third.scorer is not second.scorer
    assert third.store.steps(timeline) is first.store.steps(timeline)


def test_what_does_not_load_leaves_the_loaded(tmp_path, project, store):
    """A graph that is gone is an error with a name, and the predictor before stays at hand."""
    publish(tmp_path, release=project.release(), store=store)
    loader = Loader(tmp_path, project.blobs)
    first = loader.load()
    publish(tmp_path, release=msgspec.structs.replace(project.release(), graph="0" * 64), store=store)
    with pytest.raises(NotFound):
        loader.load()
    assert loader.predictor is first
    assert loader.epoch == 1


def test_a_store_of_other_definitions_is_refused(tmp_path, project, store):
    """A store is filled for definitions; another brief's look-ups are not in it."""
    brief = project.definitions.brief
    spec = msgspec.structs.replace(brief.features["returns"], window="48 hours")
    other = msgspec.structs.replace(brief, features={**brief.features, "returns": spec})
    publish(tmp_path, release=msgspec.structs.replace(project.release(), brief=other), store=store)
    with pytest.raises(StoreCorrupt, match="filled for other definitions"):
        Loader(tmp_path, project.blobs).load()
