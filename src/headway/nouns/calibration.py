"""Whether a predicted 20 % happens in 20 % of cases, with intervals over days.

The file hides how intercept and slope get an interval without refitting each resample: one Newton step from
the fit of all data, on sums per day (the one-step bootstrap; Moulton & Zeger 1991).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.nouns.metric import checked, day_multiplicity, interval_of_draws
from headway.nouns.verdict import Calibration, CalibrationBin

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from headway.nouns.interval import Interval

    Floats = NDArray[np.float64]

__all__ = ["calibration", "expected_calibration_error", "recalibration"]


def recalibration(score: ArrayLike, label: ArrayLike, *, weight: ArrayLike | None = None) -> tuple[float, float]:
    """Return intercept and slope of the logistic regression of the label on the score's log odds (Cox 1958).

    Calibrated predictions have intercept 0 and slope 1; a slope below 1 means the scores are too extreme.
    Both are NaN where no finite answer exists: one class, one distinct score, or classes that a threshold parts.
    Probabilities are kept 1e-7 away from 0 and 1.
    """
    s, y, w = checked(score, label, weight, probability=True)
    odds = _log_odds(s)
    if not _identified(odds[w > 0], y[w > 0]):
        return float("nan"), float("nan")
    design = np.stack([np.ones_like(odds), odds])
    theta = np.array([0.0, 1.0])
    loss = _logistic_loss(theta, design, y, w)
    for _ in range(100):
        gradient, hessian = _score_and_information(theta, design, y, w)
        step = np.linalg.solve(hessian, gradient)
        while (new := _logistic_loss(theta + step, design, y, w)) > loss and np.abs(step).max() > 1e-9:
            step = step / 2
        theta, loss = theta + step, new
        if np.abs(step).max() <= 1e-9:
            return float(theta[0]), float(theta[1])
    return float("nan"), float("nan")


def expected_calibration_error(
    score: ArrayLike, label: ArrayLike, *, weight: ArrayLike | None = None, bins: int = 10
) -> float:
    """Return the mean distance of predicted and observed rate over bins that hold equally many examples.

    Equal-mass bins, since scores of a rare event crowd near zero (Nixon et al. 2019; with equal-width bins
    Naeini et al. 2015). Biased upwards in small samples: noise alone moves each bin off the diagonal.

    Examples
    --------
    >>> round(expected_calibration_error([0.2, 0.2, 0.8, 0.8], [0, 1, 1, 1], bins=2), 3)
    0.25
    """
    s, y, w = checked(score, label, weight, probability=True)
    gap = np.bincount(_bins(s, bins), weights=w * (s - y), minlength=bins)
    return float(np.abs(gap).sum() / w.sum())


def calibration(
    score: ArrayLike, label: ArrayLike, day: ArrayLike, *, bins: int = 10, draws: int = 1000, seed: int
) -> Calibration:
    """Return how predicted and observed rates agree, whole days being resampled for the intervals."""
    s, y, _ = checked(score, label, probability=True)
    days, index = np.unique(np.asarray(day), return_inverse=True)
    drawn = day_multiplicity(len(days), draws=draws, seed=seed)
    happened = np.bincount(index, weights=y, minlength=len(days))
    expected = np.bincount(index, weights=s, minlength=len(days))
    intercept, slope = _recalibration_intervals(s, y, index, drawn)
    return Calibration(
        observed_over_expected=interval_of_draws(
            float(y.sum() / s.sum()), (drawn @ happened) / (drawn @ expected), days=len(days)
        ),
        intercept=intercept,
        slope=slope,
        error=expected_calibration_error(s, y, bins=bins),
        bins=_bin_intervals(s, y, index, drawn, bins=bins),
    )


def _recalibration_intervals(
    score: Floats, label: Floats, index: NDArray[np.intp], drawn: Floats
) -> tuple[Interval | None, Interval | None]:
    theta = np.array(recalibration(score, label))
    if not np.isfinite(theta).all():
        return None, None
    days = drawn.shape[1]
    odds = _log_odds(score)
    p = 1 / (1 + np.exp(-(theta[0] + theta[1] * odds)))

    def per_draw(values: Floats) -> Floats:
        sums: Floats = drawn @ np.bincount(index, weights=values, minlength=days)
        return sums

    spread = p * (1 - p)
    g0, g1 = per_draw(label - p), per_draw((label - p) * odds)
    h00, h01, h11 = per_draw(spread), per_draw(spread * odds), per_draw(spread * odds * odds)
    determinant = h00 * h11 - h01 * h01
    intercepts = theta[0] + (h11 * g0 - h01 * g1) / determinant
    slopes = theta[1] + (h00 * g1 - h01 * g0) / determinant
    return (
        interval_of_draws(float(theta[0]), intercepts, days=days),
        interval_of_draws(float(theta[1]), slopes, days=days),
    )


def _bin_intervals(
    score: Floats, label: Floats, index: NDArray[np.intp], drawn: Floats, *, bins: int
) -> tuple[CalibrationBin, ...]:
    days = drawn.shape[1]
    slot = _bins(score, bins)
    cell = index * bins + slot
    count = np.bincount(cell, minlength=days * bins).reshape(days, bins)
    happened = np.bincount(cell, weights=label, minlength=days * bins).reshape(days, bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = (drawn @ happened) / (drawn @ count)
    total = np.bincount(slot, weights=score, minlength=bins)
    return tuple(
        CalibrationBin(
            predicted=float(total[b] / size),
            observed=interval_of_draws(float(happened[:, b].sum() / size), rates[:, b], days=days),
            examples=int(size),
        )
        for b, size in enumerate(count.sum(axis=0))
        if size and np.isfinite(rates[:, b]).mean() > 0.5
    )


def _bins(score: Floats, bins: int) -> NDArray[np.intp]:
    """Return the bin of each score; the bins hold equally many examples, ties staying together."""
    edges = np.quantile(score, np.arange(1, bins) / bins)
    return np.searchsorted(edges, score, side="left")


def _identified(odds: Floats, label: Floats) -> bool:
    """Whether a finite fit exists: two scores, two classes, and no threshold that parts the classes."""
    positive, negative = odds[label > 0], odds[label == 0]
    if not len(positive) or not len(negative) or odds.min() == odds.max():
        return False
    return bool(positive.min() < negative.max() and negative.min() < positive.max())


def _score_and_information(theta: Floats, design: Floats, label: Floats, weight: Floats) -> tuple[Floats, Floats]:
    p = 1 / (1 + np.exp(-np.clip(theta @ design, -700, 700)))
    return design @ (weight * (label - p)), (design * (weight * p * (1 - p))) @ design.T


def _logistic_loss(theta: Floats, design: Floats, label: Floats, weight: Floats) -> float:
    eta = theta @ design
    return float(np.sum(weight * (np.logaddexp(0, eta) - label * eta)))


def _log_odds(score: Floats) -> Floats:
    p = np.clip(score, 1e-7, 1 - 1e-7)
    return np.log(p) - np.log1p(-p)
