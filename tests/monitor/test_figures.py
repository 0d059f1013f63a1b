"""One day in one number each, against worked examples and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.monitor import figures
from headway.monitor.day import Cohort
from headway.monitor.streams import paired


def test_loss_beyond_expected_is_zero_for_calibrated_scores() -> None:
    """Labels drawn from the scores themselves: zero within three standard errors, at a high and a low base rate."""
    rng = np.random.default_rng(3)
    for level in (-3.0, 0.0):
        p = 1 / (1 + np.exp(-(level + rng.normal(size=40_000))))
        y = (rng.random(40_000) < p).astype(float)
        error = float(np.std((p - y) * np.log(p / (1 - p)))) / 200
        assert abs(figures.loss_beyond_expected(p, y)) <= 3 * error


def test_loss_beyond_expected_is_loss_minus_entropy() -> None:
    """The short formula equals mean log loss minus mean entropy."""
    rng = np.random.default_rng(4)
    p, y = rng.uniform(0.05, 0.95, 100), (rng.random(100) < 0.3).astype(float)
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p))
    assert figures.loss_beyond_expected(p, y) == pytest.approx(float(figures.log_losses(p, y).mean() - entropy.mean()))


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_rank_correlation_is_pearson_of_mid_ranks(values: list[int], random) -> None:
    """Ties share their mean rank, counted here by a plain loop."""
    other = values.copy()
    random.shuffle(other)

    def ranks(xs: list[int]) -> list[float]:
        return [sum(b < a for b in xs) + (1 + sum(b == a for b in xs)) / 2 for a in xs]

    found = figures.rank_correlation(np.array(values, float), np.array(other, float))
    if len(set(values)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(float(np.corrcoef(ranks(values), ranks(other))[0, 1]))


def test_days_with_too_few_labels_cannot_say() -> None:
    """Below 30 labels, or five of a class, the figure is NaN rather than noise."""
    few, many = np.full(20, 0.5), np.full(60, 0.5)
    assert math.isnan(figures.base_rate(few, np.ones(20)))
    assert math.isnan(figures.ranking(many, np.r_[np.ones(4), np.zeros(56)]))
    assert figures.ranking(many, np.r_[np.ones(5), np.zeros(55)]) == 0.5


def test_days_are_split_in_order() -> None:
    """Row numbers of each day, whatever the order of the rows."""
    found = figures.by_day(np.array([5, 3, 5, 3, 9]))
    assert [rows.tolist() for rows in found] == [[1, 3], [0, 2], [4]]


def test_money_is_counted_against_doing_nothing_and_against_the_rule(world) -> None:
    """Twenty actions at 150 and -20: 6 right for the model, 12 for the rule."""
    here = world(days=1, seed=1)
    labels = np.r_[np.ones(12), np.zeros(138)]
    scores = np.r_[np.full(6, 0.9), np.full(6, 0.1), np.full(14, 0.8), np.full(124, 0.2)]
    cohort = Cohort(day=1, release="r1", scores=scores, labels=labels, rule=labels.copy())
    found = paired(here.reference(), cohort)
    assert found["money"].figure == -(6 * 150 - 14 * 20)
    assert found["money-rule"].figure == (12 * 150 - 8 * 20) - (6 * 150 - 14 * 20)
    assert "release-loss" not in found


def test_the_previous_release_is_compared_on_the_same_rows(world) -> None:
    """Equal scores differ by nothing; better ones make the live release worse by their log loss."""
    here = world(days=2, seed=1)
    cohort = here.cohort(46)
    same = Cohort(
        day=46, release="r1", scores=cohort.scores, labels=cohort.labels, previous="r0", previous_scores=cohort.scores
    )
    assert paired(here.reference(), same)["release-loss"].figure == 0.0
    oracle = Cohort(
        day=46, release="r1", scores=cohort.scores, labels=cohort.labels, previous="r0", previous_scores=cohort.labels
    )
    assert paired(here.reference(), oracle)["release-loss"].figure > 0.1
