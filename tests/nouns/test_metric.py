"""Metrics equal scikit-learn's, resamples equal a naive loop, and intervals cover what they promise."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from headway.errors import DataError
from headway.nouns.metric import (
    METRICS,
    average_precision,
    brier,
    day_bootstrap,
    day_draws,
    day_multiplicity,
    higher_is_better,
    interval_of_draws,
    log_loss,
    paired_day_bootstrap,
    roc_auc,
    silent_is_lowest,
)

SKLEARN = {
    "average_precision": lambda s, y, w: sklearn.metrics.average_precision_score(y, s, sample_weight=w),
    "roc_auc": lambda s, y, w: sklearn.metrics.roc_auc_score(y, s, sample_weight=w),
    "log_loss": lambda s, y, w: sklearn.metrics.log_loss(y, s, sample_weight=w),
    "brier": lambda s, y, w: sklearn.metrics.brier_score_loss(y, s, sample_weight=w),
}


@st.composite
def _cases(draw):
    """Scores with many ties, both labels, small whole weights, a few days."""
    size = draw(st.integers(4, 60))
    score = draw(hnp.arrays(np.float64, size, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])))
    label = draw(hnp.arrays(np.float64, size, elements=st.sampled_from([0.0, 1.0])))
    label[:2] = [0.0, 1.0]
    day = draw(hnp.arrays(np.int64, size, elements=st.integers(100, 104)))
    weight = draw(hnp.arrays(np.int64, size, elements=st.integers(0, 3)))
    weight[:2] = 1
    return score, label, day, weight


def _world(seed, *, days=20, per_day=60, spread=0.5):
    """Examples whose odds share a shift per day, so that days are what varies."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), per_day)
    x = rng.normal(size=len(day))
    odds = -1.5 + 1.2 * x + rng.normal(0, spread, days)[day]
    label = (rng.random(len(day)) < 1 / (1 + np.exp(-odds))).astype(float)
    return 1 / (1 + np.exp(-(-1.5 + 1.2 * x))), label, day


@pytest.mark.parametrize("metric", METRICS)
@given(case=_cases())
def test_every_metric_equals_scikit_learns(metric, case):
    """Exactly, with ties and with weights; log loss with the same clipping of 0 and 1."""
    score, label, _, weight = case
    expected = SKLEARN[metric](score, label, weight.astype(float))
    assert METRICS[metric](score, label, weight=weight) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert METRICS[metric](score, label) == pytest.approx(SKLEARN[metric](score, label, None), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("metric", METRICS)
@given(case=_cases())
def test_a_whole_weight_is_that_many_copies(metric, case):
    """Which is why a bootstrap is nothing but weights."""
    score, label, _, weight = case
    copies = np.repeat(np.arange(len(score)), weight)
    assert METRICS[metric](score, label, weight=weight) == pytest.approx(
        METRICS[metric](score[copies], label[copies]), rel=1e-12
    )


@pytest.mark.parametrize("metric", ["average_precision", "roc_auc"])
@given(case=_cases())
def test_a_ranking_metric_sees_only_the_order(metric, case):
    """Any strictly increasing transformation leaves it as it is, and so does the order of the rows."""
    score, label, _, weight = case
    value = METRICS[metric](score, label, weight=weight)
    assert METRICS[metric](np.exp(3 * score) - 7, label, weight=weight) == pytest.approx(value, rel=1e-12)
    turned = np.arange(len(score))[::-1]
    assert METRICS[metric](score[turned], label[turned], weight=weight[turned]) == pytest.approx(value, rel=1e-12)


@given(case=_cases())
def test_turning_scores_round_turns_roc_auc_round(case):
    """AUC(-s) = 1 - AUC(s), ties included."""
    score, label, _, _ = case
    assert roc_auc(-score, label) == pytest.approx(1 - roc_auc(score, label), abs=1e-12)


def test_known_values():
    """By hand: two positives among four, and the textbook loss of ln 2 for a coin."""
    assert average_precision([4, 3, 2, 1], [1, 0, 1, 0]) == pytest.approx((1 + 2 / 3) / 2)
    assert roc_auc([4, 3, 2, 1], [1, 0, 1, 0]) == pytest.approx(0.75)
    assert log_loss([0.5, 0.5], [0, 1]) == pytest.approx(math.log(2))
    assert brier([0.5, 0.5], [0, 1]) == pytest.approx(0.25)


def test_a_tie_of_all_scores_is_no_skill():
    """The base rate, one half, and never better by the order in which rows happen to stand."""
    label = [1, 1, 0, 0, 0, 0, 0, 0]
    assert average_precision(np.zeros(8), label) == pytest.approx(0.25)
    assert roc_auc(np.zeros(8), label) == pytest.approx(0.5)


@pytest.mark.parametrize(("metric", "label"), [("average_precision", [0, 0]), ("roc_auc", [0, 0]), ("roc_auc", [1, 1])])
def test_what_is_not_defined_is_nan(metric, label):
    """A metric without a positive is no zero: a zero would look like an answer."""
    assert math.isnan(METRICS[metric]([0.1, 0.2], label))


def test_a_silent_rule_is_ranked_below_every_other():
    """NaN means that the rule says nothing, minus infinity is the least it can say."""
    assert average_precision(silent_is_lowest([np.nan, -5, 3]), [1, 0, 0]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("metric", METRICS)
@given(case=_cases())
def test_resampled_days_equal_the_naive_loop(metric, case):
    """Every resample is what the metric gives on the rows of the drawn days, repeated."""
    score, label, day, _ = case
    days, index = np.unique(day, return_inverse=True)
    if len(days) < 2:
        return
    drawn = day_draws(metric, score, label, day, draws=12, seed=5)
    for value, count in zip(drawn, day_multiplicity(len(days), draws=12, seed=5).astype(int), strict=True):
        rows = np.repeat(np.arange(len(score)), count[index])
        naive = METRICS[metric](score[rows], label[rows])
        assert value == pytest.approx(naive, rel=1e-10, abs=1e-12, nan_ok=True)


def test_tables_too_large_for_one_block_give_the_same(monkeypatch):
    """Work is cut into blocks of ranks; the cut must not show."""
    score, label, day = _world(3)
    whole = {metric: day_draws(metric, score, label, day, draws=50, seed=1) for metric in METRICS}
    monkeypatch.setattr("headway.nouns.metric_condition._BLOCK", 300)
    for metric, expected in whole.items():
        np.testing.assert_allclose(day_draws(metric, score, label, day, draws=50, seed=1), expected, rtol=1e-12)


def test_a_part_of_the_examples_is_resampled_with_the_whole():
    """With ``days`` given, a segment meets the same days as all examples do, even where it has none of its own."""
    score, label, day = _world(4, days=6)
    part = day != 2
    drawn = day_draws("brier", score[part], label[part], day[part], days=np.arange(6), draws=20, seed=9)
    for value, count in zip(drawn, day_multiplicity(6, draws=20, seed=9), strict=True):
        assert value == pytest.approx(brier(score[part], label[part], weight=count[day[part]]))


def test_the_same_seed_gives_the_same_interval():
    """Another seed another one, though close."""
    score, label, day = _world(5)
    first = day_bootstrap("average_precision", score, label, day, seed=1)
    assert first == day_bootstrap("average_precision", score, label, day, seed=1)
    assert first != day_bootstrap("average_precision", score, label, day, seed=2)


def test_a_scorer_compared_with_itself_differs_by_nothing():
    """Pairing is exact: the interval has no width at all."""
    score, label, day = _world(6)
    same = paired_day_bootstrap("average_precision", score, score, label, day, seed=1)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_pairing_makes_the_interval_of_a_difference_short():
    """Two alike scorers rise and fall with the same days; their difference hardly does."""
    score, label, day = _world(7, spread=1.0)
    other = np.clip(score + np.random.default_rng(1).normal(0, 0.01, len(score)), 0, 1)
    alone = day_bootstrap("log_loss", score, label, day, seed=1)
    both = paired_day_bootstrap("log_loss", other, score, label, day, seed=1)
    assert (both.high - both.low) < 0.2 * (alone.high - alone.low)


@pytest.mark.parametrize(("days", "least", "most"), [(7, 0.87, 0.96), (30, 0.92, 0.975)])
def test_the_interval_covers_about_as_often_as_it_says(days, least, most):
    """Brier score, 95 % asked, 600 worlds whose days differ much (standard error 0.9 to 1.2 %).

    Measured: 94.7 % with 30 days; 90.5 % with 7, where the plain percentiles cover 84.5 %. An interval that takes
    rows for independent covers 60 %, however many days there are. The truth is a mean over 480,000 rows.
    """
    truth = float(np.mean([brier(*_world(10_000 + seed, days=200, spread=1.0)[:2]) for seed in range(40)]))
    expanded = plain = by_rows = 0
    for seed in range(600):
        score, label, day = _world(seed, days=days, spread=1.0)
        drawn = day_draws("brier", score, label, day, draws=400, seed=seed)
        found = interval_of_draws(brier(score, label), drawn, days=days)
        expanded += found.low <= truth <= found.high
        low, high = np.quantile(drawn, [0.025, 0.975])
        plain += low <= truth <= high
        by_rows += abs(found.value - truth) < 1.96 * np.std((score - label) ** 2) / np.sqrt(len(label))
    assert least <= expanded / 600 <= most
    assert expanded > plain
    assert by_rows / 600 < 0.75


def test_average_precision_is_covered_too():
    """A statistic that is no mean: 95 % asked, 95.3 % measured in 300 worlds of 30 days (standard error 1.2 %)."""
    truth = float(np.mean([average_precision(*_world(20_000 + s, days=300, spread=0.5)[:2]) for s in range(30)]))
    worlds = (_world(seed, days=30) for seed in range(300))
    found = [day_bootstrap("average_precision", *world, draws=300, seed=1) for world in worlds]
    assert 0.91 <= np.mean([each.low <= truth <= each.high for each in found]) <= 0.99


def test_few_days_make_a_wider_interval_than_the_plain_percentiles():
    """Hesterberg's expansion: for a mean of normals it is as wide as Student's t interval."""
    rng = np.random.default_rng(0)
    days = 7
    values = rng.normal(size=days)
    drawn = day_multiplicity(days, draws=200_000, seed=1) @ values / days
    found = interval_of_draws(float(values.mean()), drawn, days=days)
    student = 2 * 2.446912 * values.std(ddof=1) / np.sqrt(days)
    assert found.high - found.low == pytest.approx(student, rel=0.12)
    plain = np.quantile(drawn, [0.025, 0.975])
    assert found.high - found.low > 1.15 * (plain[1] - plain[0])


def test_resampling_days_is_much_quicker_than_scoring_each_resample():
    """500 resamples of 46 days and 40,000 examples cost less than 250 evaluations; measured 80 at most."""
    score, label, day = _world(1, days=46, per_day=870)
    fast, slow = [], []
    for seed in range(3):
        start = time.perf_counter()
        day_draws("average_precision", score, label, day, draws=500, seed=seed)
        fast.append(time.perf_counter() - start)
        weight = day_multiplicity(46, draws=10, seed=seed)
        start = time.perf_counter()
        for each in weight:
            average_precision(score, label, weight=each[day])
        slow.append((time.perf_counter() - start) / 10)
    assert min(fast) < 250 * min(slow)


@pytest.mark.parametrize(
    ("score", "label", "said"),
    [
        ([0.1, float("nan")], [0, 1], "1 of 2 scores are NaN"),
        ([0.1], [0, 1], "equally long"),
        ([], [], "not empty"),
        ([0.1, 0.2], [0, 2], "must be 0 or 1"),
        ([0.1, 1.2], [0, 1], "no probabilities"),
    ],
)
def test_what_cannot_be_scored_is_refused(score, label, said):
    """With a sentence that says what was found."""
    with pytest.raises(DataError, match=said):
        log_loss(score, label)


def test_one_day_gives_no_interval():
    """How days vary cannot be learned from one."""
    with pytest.raises(DataError, match="1 day"):
        day_bootstrap("roc_auc", [0.1, 0.9], [0, 1], [3, 3], seed=1)


def test_a_target_too_rare_to_resample_gives_no_interval():
    """Where one of two days holds the only positive, half of the resamples lack a class."""
    label = [1] + [0] * 9
    drawn = day_draws("roc_auc", np.arange(10.0), label, [0] + [1] * 9, draws=400, seed=1)
    assert np.isnan(drawn).mean() == pytest.approx(0.5, abs=0.1)
    with pytest.raises(DataError, match="allow the metric"):
        interval_of_draws(0.5, np.where(np.arange(400) < 250, np.nan, 0.5), days=2)


def test_an_unknown_metric_is_named():
    """With the nearest known one."""
    with pytest.raises(DataError, match="Did you mean 'roc_auc'"):
        higher_is_better("roc_aux")
