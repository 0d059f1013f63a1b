"""Money: who is acted on, what a day is worth, and when a model has paid for itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headway.errors import DataError
from headway.nouns.brief import Quota, Threshold, Value
from headway.nouns.money import decide, decide_by_rule, mean_per_day, worth, worth_per_day
from headway.nouns.worth import DAYS_PER_MONTH

VALUE = Value(
    currency="USD", true_positive=150, false_positive=-20, build=20_000, monthly=800, retraining_per_month=300
)


@st.composite
def _days(draw):
    size = draw(st.integers(1, 50))
    score = draw(hnp.arrays(np.float64, size, elements=st.sampled_from([0.0, 0.2, 0.5, 0.9, np.nan])))
    label = draw(hnp.arrays(np.float64, size, elements=st.sampled_from([0.0, 1.0])))
    day = draw(hnp.arrays(np.int64, size, elements=st.integers(200, 206)))
    return score, label, day


def _naive_quota(score, day, k):
    acted = np.zeros(len(score), dtype=bool)
    for each in set(day.tolist()):
        rows = [i for i in range(len(score)) if day[i] == each]
        rows.sort(key=lambda i: np.inf if np.isnan(score[i]) else -score[i])  # stable
        acted[rows[:k]] = True
    return acted


@given(case=_days(), k=st.integers(1, 6))
def test_a_quota_takes_the_highest_of_each_day(case, k):
    """As a loop over days would: ties to whoever comes first, silent ones last."""
    score, _, day = case
    assert decide(score, day, Quota(k=k)).tolist() == _naive_quota(score, day, k).tolist()


@given(case=_days(), k=st.integers(1, 6))
def test_a_quota_is_spent_and_never_overspent(case, k):
    """Each day acts on as many as it has, up to k."""
    score, _, day = case
    acted = decide(score, day, Quota(k=k))
    for each in np.unique(day):
        assert acted[day == each].sum() == min(k, int((day == each).sum()))


def test_a_threshold_acts_above_it_and_not_at_it():
    """'score > 0.5' means more than; a missing score is no reason to act."""
    assert decide([0.5, 0.51, np.nan], [1, 1, 1], Threshold(score=0.5)).tolist() == [False, True, False]


def test_a_yes_or_no_rule_acts_where_it_says_yes():
    """With a threshold brief, what is done today is done as it is done today."""
    rule, acted = [1.0, 0.0, np.nan, 1.0], np.array([False, True, False, False])
    assert decide_by_rule(rule, [1, 1, 1, 2], Threshold(score=0.6), acted=acted).tolist() == [True, False, False, True]


def test_a_rule_without_a_cut_of_its_own_gets_the_models_budget_of_each_day():
    """Two actions on the first day, none on the second: the rule spends the same."""
    rule, day = [5.0, 7.0, 6.0, 9.0], [1, 1, 1, 2]
    acted = np.array([True, False, True, False])
    assert decide_by_rule(rule, day, Threshold(score=0.6), acted=acted).tolist() == [False, True, True, False]


@given(case=_days(), k=st.integers(1, 6))
def test_money_adds_up_over_days(case, k):
    """The days' worth is the worth of all actions, and a part of the examples has its part of the money."""
    score, label, day = case
    acted = decide(score, day, Quota(k=k))
    per_day = worth_per_day(acted, label, day, VALUE)
    assert per_day.sum() == pytest.approx(150 * (acted & (label > 0)).sum() - 20 * (acted & (label == 0)).sum())
    days, half = np.arange(day.min(), day.max() + 1), np.arange(len(day)) % 2 == 0
    parts = [worth_per_day(acted[part], label[part], day[part], VALUE, days=days) for part in (half, ~half)]
    np.testing.assert_allclose(parts[0] + parts[1], per_day)


def test_a_day_without_examples_is_worth_nothing_and_counts():
    """Money a day is money per calendar day, not per day on which something happened."""
    per_day = worth_per_day([True, True], [1, 1], [10, 13], VALUE)
    assert per_day.tolist() == [150, 0, 0, 150]
    assert mean_per_day(per_day, seed=1).value == 75


def test_a_day_that_is_not_answered_for_is_refused():
    """Money must not vanish between two lists of days."""
    with pytest.raises(DataError, match="not among the days"):
        worth_per_day([True], [1], [12], VALUE, days=[10, 11, 13])


def _world(seed, days=40, per_day=50, skill=1.5):
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), per_day)
    x = rng.normal(size=len(day))
    label = (rng.random(len(day)) < 1 / (1 + np.exp(2 - skill * x))).astype(float)
    return 1 / (1 + np.exp(2 - skill * x)), 0.3 * x + rng.normal(size=len(day)), label, day


def test_the_gain_is_the_paired_difference_less_nothing():
    """Model less rule, day by day; running cost comes off a month of 30.44 days."""
    score, rule, label, day = _world(1)
    found = worth(score, rule, label, day, value=VALUE, act_on=Quota(k=5), seed=7)
    assert found.rule is not None
    assert found.gain.value == pytest.approx(found.model.value - found.rule.value)
    assert found.monthly_net.value == pytest.approx(found.gain.value * DAYS_PER_MONTH - 800 - 300)
    assert found.payback.months == pytest.approx(20_000 / found.monthly_net.value)
    assert found.payback.soonest < found.payback.months < found.payback.latest
    assert (found.counterfactual, found.acted_per_day, found.days) == ("today's rule", 5, 40)


def test_without_a_rule_the_gain_is_against_doing_nothing():
    """Whose worth is zero by definition."""
    score, _, label, day = _world(1)
    found = worth(score, None, label, day, value=VALUE, act_on=Quota(k=5), seed=7)
    assert (found.counterfactual, found.rule) == ("doing nothing", None)
    assert found.gain == found.model


def test_a_model_that_loses_money_never_pays_for_itself():
    """And says 'never', not a negative number of months."""
    score, rule, label, day = _world(1)
    found = worth(-score, rule, label, day, value=VALUE, act_on=Quota(k=5), seed=7)
    assert found.payback.months is None
    assert str(found.payback).startswith("never [")


def test_a_gain_that_luck_may_explain_pays_back_perhaps_never():
    """The latest payback is never as soon as the lower bound of the net is below zero."""
    even = Value(true_positive=10, false_positive=-12, build=1000)
    label = [1, 0, 1, 1, 0, 1, 0, 1]  # 1.75 a day, with a standard error of 4
    found = worth(np.ones(8), None, label, np.arange(8), value=even, act_on=Quota(k=3), seed=7)
    assert found.gain.value == 1.75
    assert found.monthly_net.low < 0 < found.monthly_net.value
    assert found.payback.latest is None
    assert found.payback.soonest is not None


def test_the_interval_of_money_covers_as_often_as_it_says():
    """95 % asked, 400 worlds of 40 days (standard error 1.1 %): 92 to 98 %."""
    act = Quota(k=5)
    truths = []
    for seed in range(30):
        score, _, label, day = _world(50_000 + seed, days=200)
        truths.append(worth_per_day(decide(score, day, act), label, day, VALUE).mean())
    inside = 0
    for seed in range(400):
        score, _, label, day = _world(seed)
        found = mean_per_day(worth_per_day(decide(score, day, act), label, day, VALUE), draws=400, seed=seed)
        inside += found.low <= np.mean(truths) <= found.high
    assert 0.92 <= inside / 400 <= 0.98
