"""Tests for filling the online store: one at a time, and what is published last has seen the most."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from headway.api import Project
from headway.deploy.serving import read_current
from headway.loop.filling import filling, materialise
from headway.loop.releases import roll_back
from headway.nouns.event import StoreMaterialised

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import deliveries
    from headway.loop.sources import Material


@pytest.fixture
def project(lived: deliveries.Lived, tmp_path: Path) -> Iterator[Project]:
    """Return a business of one's own, with a release in service."""
    folder = shutil.copytree(lived.project.folder, tmp_path / "project")
    with Project.open(folder, clock=lived.clock) as opened:
        yield opened


def test_a_slow_filling_does_not_put_older_lookups_back(project: Project) -> None:
    """One has read the sources when a file arrives and another filling begins; the later one's look-ups stay."""
    has_read, may_go_on = threading.Event(), threading.Event()

    def slowly() -> Material:
        material = project.material()
        has_read.set()
        assert may_go_on.wait(30)
        return material

    slow = threading.Thread(target=materialise, args=(project.store, slowly))
    slow.start()
    assert has_read.wait(30)
    _a_delivery_arrives(project)
    after = threading.Thread(target=project.materialize)
    after.start()
    after.join(0.5)  # long enough to have passed the slow one, if it could
    may_go_on.set()
    slow.join()
    after.join()
    newest = {name: found.digest for name, found in project.material().snapshots.items()}
    *_, earlier, last = (entry.event for entry in project.store.ledger.events(StoreMaterialised))
    assert isinstance(earlier, StoreMaterialised)
    assert isinstance(last, StoreMaterialised)
    assert earlier.snapshots != newest
    assert last.snapshots == newest
    assert read_current(project.store.serving).store.digest == last.store


def test_a_filling_that_waited_fills_for_the_release_that_replaced_the_one_before(project: Project) -> None:
    """Who is champion is asked when it is one's turn, so that a release taken back does not return."""
    live = project.store.ledger.champion()
    assert live is not None
    with filling(project.store):
        waiting = threading.Thread(target=project.materialize)
        waiting.start()
        waiting.join(0.2)
        other = project.store.ledger.releases()
        back_to = next(each.release for each in other if each.release != live.release)
        roll_back(project.store, by="a test", why="worse", to=back_to)
    waiting.join()
    assert read_current(project.store.serving).release.id == back_to


def _a_delivery_arrives(project: Project) -> None:
    path = max((project.folder / "data" / "deliveries").glob("*.csv"))
    header, *lines = path.read_text().splitlines()
    last = lines[-1].split(",")
    path.with_name("more.csv").write_text("\n".join([header, ",".join([str(10**6), *last[1:]])]) + "\n")
