"""A living model of numbers: what is watched of it, in its own words."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headway.errors import DataError
from headway.monitor.day import Cohort, Day, Traffic
from headway.monitor.reference import Reference
from headway.monitor.watch import Watch, observe
from headway.nouns.act_on import Quota
from headway.nouns.brief import Value
from headway.nouns.examples import Examples

ROWS = 200


def _world(days, *, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), ROWS)
    x = rng.gamma(2, 10, len(day))
    return day, x, x + rng.normal(0, 5, len(day)) + shift + rng.normal(0, 0.5, days)[day]


def _reference(*, rows=ROWS, task="number"):
    day, x, label = (each.reshape(60, ROWS)[:, :rows].ravel() for each in _world(60, seed=1))
    if task == "condition":
        x, label = 1 / (1 + np.exp(-x / 20)), (label > 20).astype(np.float64)
    table = pa.table({"x": x.astype(np.float32)})
    examples = Examples(
        features=table, label=label, day=day, rule=np.full(len(day), np.nan), segments=pa.table({}),
        predict_at=day, key=pa.table({"id": day}),
    )  # fmt: skip
    return Reference.freeze(examples, x, release="r1", act_on=Quota(k=5), value=Value(), windows=365.0, task=task)


def _lived(days, *, shift):
    reference, watch, found = _reference(), Watch(), []
    day, x, label = _world(days, seed=2, shift=shift)
    for at in range(days):
        mine = day == at
        table = pa.table({"x": x[mine].astype(np.float32)})
        cohort = Cohort(day=at, release="r1", scores=x[mine], labels=label[mine], task="number")
        traffic = Traffic(features=table, scores=x[mine], task="number")
        watch, new = observe(watch, reference, Day(day=at, release="r1", traffic=traffic, cohorts=(cohort,)))
        found += new
    return found


def test_a_healthy_number_is_left_alone():
    """Forty days of the world that it was judged in."""
    assert _lived(40, shift=0.0) == []


def test_predictions_that_became_too_low_are_said_in_units_of_the_number():
    """Labels lie 8 above: no share of anything, and no probability."""
    found = {finding.signal: finding for finding in _lived(40, shift=8.0)}
    assert "scores-too-low" in found
    assert found["scores-too-low"].message.startswith("The predictions are too low: label minus prediction")
    assert not {"ranking", "loss", "money"} & set(found)


@pytest.mark.parametrize("task", ["number", "condition"])
def test_days_too_small_to_say_anything_give_no_yardstick(task):
    """With 20 outcomes a day no figure has a day to be held against: nothing is computed of nothing."""
    small = _reference(rows=20, task=task)
    assert set(small.yardsticks) <= {"ranking"}
    assert set(_reference(task=task).yardsticks) >= {"base-rate", "too-low", "too-high"}
    assert small.rows_a_day == 20


def test_a_condition_still_wants_probabilities():
    """And a number wants finite ones."""
    for task, score in (("condition", 3.0), ("number", np.inf)):
        with pytest.raises(DataError):
            Traffic(features=pa.table({"x": pa.array([1.0], pa.float32())}), scores=np.array([score]), task=task)
