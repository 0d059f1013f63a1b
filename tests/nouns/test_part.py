"""A test that was drawn across time tells of the same money as all examples of its days would."""

from __future__ import annotations

import numpy as np
import pytest

from headway.nouns.act_on import Quota, Threshold
from headway.nouns.brief import Value
from headway.nouns.calls import Calls, Places
from headway.nouns.money import worth_of
from headway.nouns.part import Part

VALUE = Value(currency="EUR", true_positive=30.0, false_positive=-5.0)


def _world(*, days=400, per_day=40, seed=1):
    rng = np.random.default_rng(seed)
    label = (rng.random(days * per_day) < 0.3).astype(np.float64)
    score = label + 1.5 * rng.standard_normal(len(label))
    rule = label + 4.0 * rng.standard_normal(len(label))
    return score, rule, label, np.repeat(np.arange(days), per_day), rng


def _both(calls, score, rule, label, places, here):
    """Return what all examples are worth, and what the part of them says."""
    whole = worth_of(calls, score, label, places, rule=rule, seed=1)
    part = Part.of(calls, places, label, here=here)
    some = Places(day=places.day[here], round=places.round[here])
    return whole, worth_of(calls, score[here], label[here], some, rule=rule[here], part=part, seed=1)


@pytest.mark.parametrize("act_on", [Quota(k=10), Threshold(score=1.5)])
def test_a_part_drawn_at_random_tells_of_the_money_of_all(act_on):
    """A quarter of each day, the quota cut alike: actions, money, gain and hits are those of all, to a tenth."""
    score, rule, label, day, rng = _world()
    calls = Calls(task="condition", act_on=act_on, value=VALUE)
    whole, found = _both(calls, score, rule, label, Places(day=day, round=day), rng.random(len(label)) < 0.25)
    assert found.acted_per_day == pytest.approx(whole.acted_per_day, rel=0.05)
    assert found.hit_rate == pytest.approx(whole.hit_rate, rel=0.1)
    assert found.model.value == pytest.approx(whole.model.value, rel=0.1)
    assert found.gain.low < whole.gain.value < found.gain.high


def test_a_small_quota_is_not_spent_on_nearly_everybody():
    """Three of eight a day, two of which are here: one is acted on, and three a day are told of."""
    score, rule, label, day, rng = _world(per_day=8, days=2_000)
    calls = Calls(task="condition", act_on=Quota(k=3), value=VALUE)
    here = rng.random(len(label)) < 0.25
    whole, found = _both(calls, score, rule, label, Places(day=day, round=day), here)
    assert found.acted_per_day == pytest.approx(3, rel=0.02)
    assert whole.hit_rate * 0.85 < found.hit_rate < whole.hit_rate * 1.02
    assert found.model.value > 0.75 * whole.model.value


def test_rounds_that_are_here_whole_keep_their_quota():
    """Every fourth round is here, and all of it: in each as many are acted on, and each action stands for four."""
    _, _, label, day, _ = _world()
    rounds = np.arange(len(label)) // 10
    here = rounds % 4 == 0
    calls = Calls(task="condition", act_on=Quota(k=2, per="round"), value=VALUE)
    part = Part.of(calls, Places(day=day, round=rounds), label, here=here)
    assert set(part.quota.tolist()) == {2}
    assert part.stands_for == pytest.approx(np.full(here.sum(), part.of_all))
    assert part.of_all == pytest.approx(4)


def test_a_number_is_right_by_the_highest_of_its_whole_day():
    """Of the two highest labels of a day none is here: acting on the highest that is would be wrong."""
    label = np.array([9.0, 8.0, 1.0, 2.0, 9.0, 8.0, 7.0, 6.0])
    day = np.array([1, 1, 1, 1, 2, 2, 2, 2])
    here = np.array([False, False, True, True, True, False, True, False])
    calls = Calls(task="number", act_on=Quota(k=2), value=VALUE)
    part = Part.of(calls, Places(day=day, round=day), label, here=here)
    right = calls.right(label[here], label[here], day[here], part)
    assert right.tolist() == [False, False, True, False]


def test_a_part_that_is_everything_changes_nothing():
    """Where all examples are here, every figure is the same to the last bit."""
    score, rule, label, day, _ = _world(days=30)
    calls = Calls(task="condition", act_on=Quota(k=10), value=VALUE)
    whole, found = _both(calls, score, rule, label, Places(day=day, round=day), np.ones(len(label), dtype=np.bool_))
    assert found == whole
