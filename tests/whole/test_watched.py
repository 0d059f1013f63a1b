"""What the monitoring says of real flights: nothing that pages while nothing is wrong, and December when it comes."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from headway.api import Project
from headway.graph.scorer import GraphScorer
from headway.monitor.day import Cohort, Day, Traffic
from headway.monitor.reference import Reference
from headway.monitor.watch import Watch, observe
from headway.nouns.brief import false_alarm_windows, parse_act_on
from headway.nouns.finding import Finding, day_text
from headway.nouns.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.nouns.examples import Examples

ONSET = dt.date(2013, 12, 1)
MOST_DAYS = 21


def _examples(flights, split: str) -> Examples:
    from headway.data.freeze import load, to_examples
    from headway.nouns.dataset import Dataset

    store = flights.project.store
    dataset = store.get(flights.report.dataset, Dataset)
    return to_examples(load(store.blobs.path(dataset.table), splits=(split,)), dataset.features)


def _reference(flights, examples: Examples, scores: NDArray[np.float64]) -> Reference:
    brief = flights.project.brief
    result = flights.project._finished(flights.report.run)
    model = flights.project.store.get(result.model, Model)
    return Reference.freeze(
        examples,
        scores,
        release="r1",
        act_on=parse_act_on(brief.target.act_on),
        value=brief.value,
        windows=false_alarm_windows(brief.monitor),
        importance={share.feature: share.share for share in model.importance},
    )


def _lived(reference: Reference, live: Examples, scores: NDArray[np.float64]) -> list[Finding]:
    """Show the watch one day after the other, the outcomes of each with the next, and return all that it found."""
    watch, found = Watch(), []
    cohorts: tuple[Cohort, ...] = ()
    for day in map(int, np.unique(live.day)):
        rows = np.flatnonzero(live.day == day)
        features = live.features.take(pa.array(rows))
        shown = Day(day=day, release="r1", traffic=Traffic(features=features, scores=scores[rows]), cohorts=cohorts)
        watch, new = observe(watch, reference, shown)
        found += new
        rule = live.rule[rows]
        cohorts = (Cohort(day=day, release="r1", scores=scores[rows], labels=live.label[rows], rule=rule),)
    return found


def _told(found: list[Finding]) -> str:
    return "\n".join(
        f"{day_text(each.found_on)} {each.level} {each.signal}:{each.subject} {each.message}" for each in found
    )


def test_nobody_is_paged_from_15_august_to_30_september(flights):
    """A model of January to June, judged on 1 July to 14 August, then lived with: no alert."""
    store = flights.project.store
    judged, live = _examples(flights, "validate"), _examples(flights, "test")
    scorer = GraphScorer(store.blobs.read(flights.project._finished(flights.report.run).tested_graph))
    reference = _reference(flights, judged, scorer.score(judged.features))
    assert day_text(int(judged.day.min())) == "2013-07-01"
    assert (day_text(int(live.day.min())), day_text(int(live.day.max()))) == ("2013-08-15", "2013-09-30")
    found = _lived(reference, live, scorer.score(live.features))
    print(_told(found) or "nothing was found")
    assert [each for each in found if each.level == "alert"] == []


@pytest.fixture(scope="module")
def autumn(flights, tmp_path_factory) -> Examples:
    """Freeze the flights from October to December, with their features and outcomes as they came to be known."""
    from headway.data.freeze import freeze, load, to_examples
    from headway.demo.feed import Feed

    folder = flights.copy(tmp_path_factory.mktemp("year") / "project")
    feed = Feed(folder)
    for offset in range(92):
        feed.arrive(dt.date(2013, 10, 1) + dt.timedelta(days=offset))
    new_year_us = 1_388_707_200_000_000
    with Project.open(folder, as_of="2014-01-03") as project:
        material, blobs = project.material(), project.store.blobs
        dataset = freeze(material.definitions, material.snapshots, material.files, as_of_us=new_year_us, store=blobs)
        return to_examples(load(blobs.path(dataset.table), splits=("after",)), dataset.features)


def test_december_is_found_within_three_weeks(flights, autumn):
    """With the release of 1 October: late arrivals go from one in ten to one in five, and a finding says so in time."""
    store = flights.project.store
    result = flights.project._finished(flights.report.run)
    judged = _examples(flights, "test")
    reference = _reference(flights, judged, GraphScorer(store.blobs.read(result.tested_graph)).score(judged.features))
    found = _lived(reference, autumn, GraphScorer(store.blobs.read(result.graph)).score(autumn.features))
    print(_told(found))
    # What was found before December is about October and November, whether right or not; that one may still be open.
    rises = [each for each in found if each.signal == "base-rate-rise" and day_text(each.found_on) >= ONSET.isoformat()]
    assert rises, "the rise of December was not found"
    delay = (dt.date.fromisoformat(day_text(rises[0].found_on)) - ONSET).days
    print(f"found {delay} days after {ONSET}, as having begun on {day_text(rises[0].since)}; {rises[0].how_sure}")
    assert delay <= MOST_DAYS
    assert rises[0].level == "report"
    assert rises[0].message
    assert rises[0].todo
