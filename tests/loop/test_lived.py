"""Tests for learning from what was lived through: predictions and their outcomes, where the sources are silent."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

import deliveries
from headway.data.freeze import load
from headway.nouns.clock import ReplayClock
from headway.nouns.dataset import Dataset
from headway.nouns.span import DAY
from headway.predictions.columns import read_table
from headway.predictions.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from headway.api import Project


@pytest.fixture
def told(tmp_path: Path) -> tuple[Project, list[dict[str, Any]]]:
    """Return a project in service whose sources stand still, after a day of requests and their outcomes."""
    project = deliveries.begun(tmp_path)
    project.run()
    project.deploy()
    clock = project.clock
    assert isinstance(clock, ReplayClock)
    asked = [each for each in deliveries._deliveries() if each["leaves"].date() == deliveries.LIVE]
    clock.move_to(clock.now_us() + DAY - 1)
    rows = [{name: each[name] for name in ("delivery", "leaves", "depot", "distance")} for each in asked]
    ids = project.predict(rows)["id"].to_pylist()
    clock.move_to(clock.now_us() + 3 * DAY)
    project.outcomes([{"id": name, "label": each["late"]} for name, each in zip(ids, asked, strict=True)])
    return project, asked


def _after(project: Project) -> pa.Table:
    report = project.run()
    dataset = project.store.get(report.dataset, Dataset)
    return load(project.store.blobs.path(dataset.table), splits=("after",))


def test_outcomes_become_training_data_where_the_sources_are_silent(
    told: tuple[Project, list[dict[str, Any]]],
) -> None:
    """The next run learns from every prediction whose outcome was told, with the features that were served."""
    project, asked = told
    after = _after(project)
    learned = dict(zip(after["key:delivery"].to_pylist(), after["label"].to_pylist(), strict=True))
    assert {each["delivery"]: float(each["late"]) for each in asked}.items() <= learned.items()
    log, _ = read_table(
        Reader(project.store.predictions),
        features=project.store.get(project.runs()["dataset"][0].as_py(), Dataset).features,
    )
    served = dict(zip(log["key.delivery"].to_pylist(), log["features.distance"].to_pylist(), strict=True))
    frozen = dict(zip(after["key:delivery"].to_pylist(), after["feature:distance"].to_pylist(), strict=True))
    assert served.items() <= frozen.items()


def test_what_the_sources_say_goes_first(told: tuple[Project, list[dict[str, Any]]]) -> None:
    """Once the day's file has arrived, its rows are the examples, and none comes twice."""
    project, asked = told
    deliveries._write_day(project.folder, deliveries.LIVE, asked)
    after = _after(project)
    keys = after["key:delivery"].to_pylist()
    assert len(keys) == len(set(keys))
    assert {each["delivery"] for each in asked} <= set(keys)


def test_an_outcome_that_is_told_later_changes_nothing_before(told: tuple[Project, list[dict[str, Any]]]) -> None:
    """A run as of a moment before the outcomes were known does not see them."""
    from headway.api import Project

    project, _ = told
    early = Project.open(project.folder, as_of=(deliveries.LIVE + dt.timedelta(days=1)).isoformat())
    with early:
        assert _after(early).num_rows == 0
