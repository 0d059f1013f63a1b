"""Calibration: the fit equals a library's, and its intervals cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from headway.nouns.calibration import calibration, expected_calibration_error, recalibration


def _world(seed, *, days=30, per_day=80, slope=1.0, shift=0.0):
    """Scores ``p`` whose truth has log odds ``shift + slope * logit(p)``, with a shift per day besides."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), per_day)
    odds = rng.normal(-1.5, 1.2, len(day))
    truth = shift + slope * odds + rng.normal(0, 0.4, days)[day]
    label = (rng.random(len(day)) < 1 / (1 + np.exp(-truth))).astype(float)
    return 1 / (1 + np.exp(-odds)), label, day


def test_the_recalibration_equals_an_unpenalised_logistic_regression():
    """Weights included; scikit-learn's fit agrees to six digits."""
    score, label, _ = _world(1, slope=0.6, shift=0.4)
    weight = np.random.default_rng(2).integers(0, 4, len(score)).astype(float)
    odds = np.log(score / (1 - score))[:, None]
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds, label, sample_weight=weight)
    found = recalibration(score, label, weight=weight)
    assert found == pytest.approx((fit.intercept_[0], fit.coef_[0, 0]), abs=1e-6)


@pytest.mark.parametrize(
    ("score", "label"),
    [
        ([0.2, 0.2, 0.2, 0.2], [0, 1, 0, 1]),
        ([0.1, 0.2, 0.3, 0.4], [1, 1, 1, 1]),
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0]),
    ],
    ids=["one score", "one class", "parted", "parted the wrong way"],
)
def test_a_fit_that_does_not_exist_is_nan(score, label):
    """One score, one class, or classes that a threshold parts have no finite slope."""
    assert all(math.isnan(part) for part in recalibration(score, label))


def test_scores_of_exactly_zero_and_one_are_fitted_all_the_same():
    """A forest says 0 and 1; log odds are kept finite."""
    found = recalibration([0, 0, 0.5, 0.5, 1, 1, 0, 1], [0, 0, 0, 1, 1, 1, 1, 0])
    assert all(math.isfinite(part) for part in found)


def test_overconfident_scores_have_a_slope_below_one():
    """Truth at half the log odds: the interval of the slope holds 0.5 and leaves 1 out."""
    found = calibration(*_world(3, slope=0.5, days=60), seed=1)
    assert found.slope is not None
    assert found.slope.low < 0.5 < found.slope.high < 0.7


def test_too_many_positives_show_as_observed_over_expected():
    """A base rate that has risen by half, as in December."""
    score, label, day = _world(4, shift=0.55)
    found = calibration(score, label, day, seed=1)
    assert found.observed_over_expected.low > 1.1
    assert found.observed_over_expected.value == pytest.approx(label.sum() / score.sum())


def test_the_slopes_interval_covers_as_often_as_it_says():
    """95 % asked, 300 worlds of 30 days (standard error 1.3 %): 91 to 99 %.

    A shift per day flattens the slope a little; the truth is taken from 320,000 rows of the same world.
    """
    truth = recalibration(*_world(10_000, days=4000)[:2])[1]
    found = [calibration(*_world(seed), seed=seed, draws=300).slope for seed in range(300)]
    assert 0.91 <= np.mean([each is not None and each.low <= truth <= each.high for each in found]) <= 0.99


def test_one_newton_step_is_close_to_a_full_refit():
    """The one-step bootstrap against refitting each resample: bounds within a tenth of the width."""
    score, label, day = _world(5)
    found = calibration(score, label, day, seed=1, draws=400).slope
    rng = np.random.default_rng(0)
    refits = [recalibration(score, label, weight=rng.multinomial(30, np.full(30, 1 / 30))[day])[1] for _ in range(400)]
    low, high = np.quantile(refits, [0.025, 0.975])
    assert found is not None
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def test_bins_hold_equally_many_and_the_error_is_their_mean_distance():
    """By hand: four bins of one score each, off by 0.1, 0, 0.2 and 0.1."""
    score = np.repeat([0.1, 0.5, 0.7, 0.9], 10)
    label = np.concatenate([[1] * 2 + [0] * 8, [1] * 5 + [0] * 5, [1] * 9 + [0], [1] * 8 + [0] * 2])
    assert expected_calibration_error(score, label, bins=4) == pytest.approx(0.1)
    found = calibration(score, label, np.arange(40) % 5, bins=4, seed=1)
    assert [each.examples for each in found.bins] == [10] * 4
    assert [each.observed.value for each in found.bins] == pytest.approx([0.2, 0.5, 0.9, 0.8])
    assert found.error == pytest.approx(0.1)


def test_weights_of_one_change_nothing():
    """And doubled weights neither."""
    score, label, _ = _world(6)
    plain = expected_calibration_error(score, label)
    assert expected_calibration_error(score, label, weight=np.full(len(score), 2.0)) == pytest.approx(plain)
    assert recalibration(score, label, weight=np.ones(len(score))) == pytest.approx(recalibration(score, label))


def test_the_same_score_everywhere_falls_into_one_bin():
    """Ties stay together, whatever number of bins was asked for."""
    found = calibration(np.full(40, 0.25), np.tile([1, 0, 0, 0], 10), np.repeat(np.arange(10), 4), seed=1)
    assert [each.examples for each in found.bins] == [40]
    assert found.slope is None
