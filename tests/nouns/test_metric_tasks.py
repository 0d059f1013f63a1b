"""Metrics of numbers, categories and rankings equal scikit-learn's or a sum by hand; resamples equal a naive loop."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk

from headway.errors import DataError
from headway.nouns.metric import day_bootstrap, day_draws, day_multiplicity, higher_is_better, measured, metric_of

RNG = np.random.default_rng(3)
N, DAYS = 300, 9
DAY = np.sort(RNG.integers(0, DAYS, N))
NUMBER = RNG.poisson(4, N).astype(float)
SAID = np.maximum(NUMBER + RNG.normal(0, 2, N), 0.1)
CLASS = RNG.integers(0, 3, N).astype(float)
PROBABILITY = RNG.dirichlet([1, 1, 1], N) * 0.7 + 0.3 * (CLASS[:, None] == np.arange(3))
RELEVANCE = RNG.choice([0.0, 0.0, 0.0, 1.0, 2.0], N)
SCORE = np.round(RELEVANCE + RNG.normal(0, 1, N), 1)
GROUP = np.arange(N) // 6

NUMBERS = {
    "mae": sk.mean_absolute_error(NUMBER, SAID),
    "rmse": sk.root_mean_squared_error(NUMBER, SAID),
    "r2": sk.r2_score(NUMBER, SAID),
    "explained_error": sk.d2_absolute_error_score(NUMBER, SAID),
    "poisson_deviance": sk.mean_poisson_deviance(NUMBER, SAID),
    "pinball_90": sk.mean_pinball_loss(NUMBER, SAID, alpha=0.9),
}
CATEGORIES = {
    "log_loss": sk.log_loss(CLASS, PROBABILITY),
    "brier": sk.brier_score_loss(CLASS, PROBABILITY, scale_by_half=False),
    "accuracy": sk.accuracy_score(CLASS, PROBABILITY.argmax(1)),
    "macro_f1": sk.f1_score(CLASS, PROBABILITY.argmax(1), average="macro"),
    "macro_average_precision": sk.average_precision_score(np.eye(3)[CLASS.astype(int)], PROBABILITY, average="macro"),
    "explained_loss": sk.d2_log_loss_score(CLASS, PROBABILITY),
}


def _ndcg(k):
    found = []
    for g in np.unique(GROUP):
        mine = g == GROUP
        if RELEVANCE[mine].sum():
            found.append(sk.ndcg_score([np.exp2(RELEVANCE[mine]) - 1], [SCORE[mine]], k=k))
    return np.mean(found)


RANKINGS = {
    "ndcg": _ndcg(None),
    "ndcg_3": _ndcg(3),
    "map": np.mean(
        [
            sk.average_precision_score(RELEVANCE[g == GROUP] > 0, SCORE[g == GROUP])
            for g in np.unique(GROUP)
            if RELEVANCE[g == GROUP].any()
        ]
    ),
}
CASES = (
    [(name, SAID, NUMBER, None, wanted) for name, wanted in NUMBERS.items()]
    + [(name, PROBABILITY, CLASS, None, wanted) for name, wanted in CATEGORIES.items()]
    + [(name, SCORE, RELEVANCE, GROUP, wanted) for name, wanted in RANKINGS.items()]
)


@pytest.mark.parametrize(
    ("metric", "score", "label", "group", "wanted"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_every_metric_equals_scikit_learns(metric, score, label, group, wanted):
    """Of all tasks; a group with nothing relevant is left out, and ties are shared."""
    assert measured(metric, score, label, group=group) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    ("metric", "score", "label", "group", "wanted"), CASES, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_resample_is_the_metric_of_the_days_drawn_as_often(metric, score, label, group, wanted):
    """Days drawn twice are examples that stand there twice; only the middle of explained figures stays."""
    del wanted
    day = DAY if group is None else np.repeat(DAY[::6][: len(np.unique(group))], 6)[:N]
    drawn = day_draws(metric, score, label, day, group=group, draws=5, seed=1)
    counts = day_multiplicity(len(np.unique(day)), draws=5, seed=1)
    for each, times in zip(drawn, counts, strict=True):
        rows, copy = [], []
        for d, n in zip(np.unique(day), times.astype(int), strict=True):
            for one in range(n):
                rows.append(np.flatnonzero(day == d))
                copy.append(np.full(len(rows[-1]), one))
        at = np.concatenate(rows)
        again = None if group is None else group[at] * 100 + np.concatenate(copy)
        tolerance = 0.05 if metric.startswith("explained") else 1e-9
        assert each == pytest.approx(measured(metric, score[at], label[at], group=again), rel=tolerance)


def test_ndcg_of_one_group_by_hand():
    """Gains 3, 0, 1 at discounts 1, 1/log2 3, 1/2, over the best order 3, 1, 0."""
    found = measured("ndcg", [0.9, 0.5, 0.1], [2.0, 0.0, 1.0], group=np.zeros(3, dtype=np.int64))
    assert found == pytest.approx((3 + 1 / 2) / (3 + 1 / np.log2(3)))


def test_precision_at_k_shares_ties_and_knows_small_groups():
    """Of three tied, two fit: two thirds of the one hit; a group of two is judged on two."""
    group = np.array([0, 0, 0, 1, 1])
    assert measured("precision_5", [0, 0, 0, 1, 0], [1.0, 0, 0, 1, 0], group=group) == pytest.approx(
        (1 / 3 + 1 / 2) / 2
    )
    assert measured("precision_3", [3, 2, 1, 0, 9], [0.0, 0, 0, 1, 0], group=group) == pytest.approx(1 / 2)


def test_a_rule_that_says_nothing_is_not_paid_for_the_order_of_the_rows():
    """All tied: the figure of a random order, wherever the relevant ones stand."""
    group = np.zeros(4, dtype=np.int64)
    first, last = ([1.0, 0, 0, 0], [0, 0, 0, 1.0])
    for metric in ("ndcg", "map", "precision_1"):
        one, other = (measured(metric, np.zeros(4), label, group=group) for label in (first, last))
        assert one == pytest.approx(other)


def test_an_interval_of_an_error_covers_the_truth_as_often_as_it_says():
    """95 % of 200 worlds, whose days share a shift; the standard error of the share is 1.5 points."""
    covered = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        day = np.repeat(np.arange(20), 30)
        error = rng.normal(0, 1, 600) + rng.normal(0, 1, 20)[day]
        found = day_bootstrap("rmse", np.zeros(600), error, day, draws=200, seed=seed)
        covered += found.low <= np.sqrt(2) <= found.high
    assert 0.95 - 4 * 0.0154 < covered / 200 <= 1


def test_which_way_is_better_is_known_of_each():
    """Errors are better where they are less; shares where they are more."""
    assert [higher_is_better(m) for m in ("mae", "pinball_90", "r2", "macro_f1", "ndcg_5")] == [
        False,
        False,
        True,
        True,
        True,
    ]
    with pytest.raises(DataError, match="rmse"):
        metric_of("rms")


@pytest.mark.parametrize(
    ("metric", "score", "label", "said"),
    [
        ("mae", [1.0, np.nan], [1.0, 1.0], "1 of 2 predictions are no finite numbers"),
        ("poisson_deviance", [1.0, 1.0], [1.0, -1.0], "found a label of -1"),
        ("accuracy", [[0.5, 0.5]], [2.0], "position among 2 classes"),
        ("accuracy", [[0.5, 0.9]], [1.0], "add up to 1"),
        ("ndcg", [0.5, 0.9], [1.0, 0.0], "none were given"),
    ],
)
def test_what_cannot_be_measured_is_said(metric, score, label, said):
    """In words, with what was found."""
    with pytest.raises(DataError, match=said):
        measured(metric, score, label)
