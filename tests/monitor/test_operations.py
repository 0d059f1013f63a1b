"""Facts: each limit is passed by what should pass it, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from headway.errors import DataError
from headway.monitor.day import Cohort, Traffic
from headway.monitor.watch import Watch, observe

FIRST = 46


def found(reference, shown):
    """Return (signal, subject, level) of what one day shows, and the messages."""
    _, findings = observe(Watch(), reference, shown)
    return [(f.signal, f.subject, f.level) for f in findings], [f.message for f in findings]


def test_a_good_day_shows_nothing(world) -> None:
    """The reference's own kind of day passes no limit."""
    here = world(days=1, seed=1)
    assert found(here.reference(latency_p99_us=50_000), here.shown(FIRST))[0] == []


def test_errors_page(world) -> None:
    """Two failures in a hundred and fifty are over one per cent."""
    here = world(days=1, seed=1)
    what, messages = found(here.reference(), here.shown(FIRST, errors=2))
    assert what == [("errors", "answers", "alert")]
    assert "1.3%" in messages[0]


@pytest.mark.parametrize(("slow", "pages"), [(1, False), (5, True)])
def test_latency_pages_by_its_ninety_ninth_percentile(world, slow: int, pages: bool) -> None:  # noqa: FBT001
    """One slow answer in 150 is within the limit, five are not."""
    here = world(days=1, seed=1)
    times = np.full(150, 2_000.0)
    times[:slow] = 90_000.0
    what, _ = found(here.reference(latency_p99_us=50_000), here.shown(FIRST, latencies_us=times))
    assert (("latency", "answers", "alert") in what) is pages


@pytest.mark.parametrize(("rows", "level"), [(3, "report"), (60, "alert")])
def test_a_stale_look_up_says_how_old_it_is(world, rows: int, level: str) -> None:
    """A few rows are a report, more than a tenth an alert; the age is in the message."""
    here = world(days=1, seed=1)
    shown = here.shown(FIRST, stale={"weather": rows}, oldest_hours={"weather": 27.0})
    what, messages = found(here.reference(), shown)
    assert what == [("stale", "weather", level)]
    assert "27 hours old" in messages[0]


def test_missing_values_and_unseen_categories_are_quality(world) -> None:
    """A column that goes missing pages, and so does a category that is spelt anew."""
    here = world(days=1, seed=1)
    carriers = pa.array(["UA", "AA", "B6"] * (len(here.day) // 3))
    here = replace(here, features=here.features.append_column("carrier", carriers))
    shown = here.shown(FIRST)
    spoilt = shown.traffic.features.set_column(0, "x", pa.array([None] * 150, pa.float32()))
    spoilt = spoilt.set_column(2, "carrier", pa.array(["United"] * 75 + ["AA"] * 75))
    shown = replace(shown, traffic=replace(shown.traffic, features=spoilt))
    what, _ = found(here.reference(), shown)
    assert ("missing", "x", "alert") in what
    assert ("unseen", "carrier", "alert") in what


def test_a_fall_of_volume_is_reported_and_a_standstill_pages(world) -> None:
    """Less than half is a report, less than a tenth an alert."""
    here = world(days=1, seed=1)
    shown = here.shown(FIRST)
    for rows, level in ((60, "report"), (5, "alert")):
        less = replace(
            shown.traffic, features=shown.traffic.features.slice(0, rows), scores=shown.traffic.scores[:rows]
        )
        assert found(here.reference(), replace(shown, traffic=less))[0] == [("volume", "predictions", level)]


def test_served_scores_that_the_model_does_not_repeat_page(world) -> None:
    """A single served score that the released model does not give is a fault of serving."""
    here = world(days=1, seed=1)
    replayed = here.scores[here.rows(FIRST)].copy()
    assert found(here.reference(), here.shown(FIRST, replayed_scores=replayed))[0] == []
    replayed[3] += 0.01
    assert found(here.reference(), here.shown(FIRST, replayed_scores=replayed))[0] == [("replay", "scores", "alert")]


def test_void_outcomes_are_not_overdue(world) -> None:
    """Cancelled flights will never have an outcome: they count as answered."""
    here = world(days=3, seed=1)
    cohort = here.cohort(FIRST)
    labels = cohort.labels.copy()
    labels[:40] = np.nan
    waiting = replace(here.shown(FIRST + 1), cohorts=(replace(cohort, labels=labels),))
    void = replace(here.shown(FIRST + 1), cohorts=(replace(cohort, labels=labels, void=40),))
    assert found(here.reference(), waiting)[0] == [("outcomes-overdue", "outcomes", "report")]
    assert found(here.reference(), void)[0] == []


def test_shapes_labels_and_scores_are_checked_at_the_door() -> None:
    """What cannot be a day's data says so by name."""
    one = pa.table({"x": pa.array([1.0], pa.float32())})
    with pytest.raises(DataError, match="scores has 2 entries for 1 rows"):
        Traffic(features=one, scores=np.array([0.1, 0.2]))
    with pytest.raises(DataError, match="probabilities"):
        Traffic(features=one, scores=np.array([np.nan]))
    with pytest.raises(DataError, match="0, 1 or NaN"):
        Cohort(day=1, release="r", scores=np.array([0.5]), labels=np.array([2.0]))
