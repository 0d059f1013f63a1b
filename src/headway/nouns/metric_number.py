"""Scores of numbers that were expected against the numbers that came: the task ``number``.

Each is a function of sums over examples, so that its interval comes from whole days drawn again. ``docs/validation.md``
says what each means. The formulas are scikit-learn's (its tests are the oracle of ours); what they elicit, that is
which prediction they are least for, is from Gneiting 2011, "Making and Evaluating Point Forecasts".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.errors import DataError
from headway.nouns.resampling import OfSums

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["NUMBER_METRICS", "PINBALL_PERCENT", "checked_numbers"]

PINBALL_PERCENT = (5, 10, 20, 25, 75, 80, 90, 95)
"""The quantiles that ``pinball_NN`` may ask for; the middle one is what ``mae`` asks for."""

_LEAST_RATE = 1e-6  # a predicted rate of zero makes the deviance infinite where anything came


def checked_numbers(score: ArrayLike, label: ArrayLike) -> tuple[Floats, Floats]:
    """Return predictions and labels as arrays of ``float64``, or say what is wrong with them."""
    s, y = np.asarray(score, dtype=np.float64), np.asarray(label, dtype=np.float64)
    if s.ndim != 1 or not len(s) or s.shape != y.shape:
        raise DataError(f"Predictions {s.shape} and labels {y.shape} must be equally long, not empty.")
    for values, what in ((s, "predictions"), (y, "labels")):
        if not np.isfinite(values).all():
            raise DataError(
                f"{int((~np.isfinite(values)).sum())} of {len(values)} {what} are no finite numbers.",
                hint="Leave out examples whose label is void, and decide what a missing prediction means.",
            )
    return s, y


def _mean_of(loss: Callable[[Floats, Floats], Floats], then: Callable[[Floats], Floats] | None = None) -> OfSums:
    def terms(score: Floats, label: Floats, group: Ints | None) -> Floats:
        del group
        return np.stack([np.ones_like(label), loss(score, label)], axis=1)

    def value(sums: Floats) -> Floats:
        mean: Floats = sums[..., 1] / sums[..., 0]
        return mean if then is None else then(mean)

    return OfSums(terms=terms, value=value)


def _pinball(percent: int) -> Callable[[Floats, Floats], Floats]:
    """``max(q (y - p), (q - 1)(y - p))`` (Koenker & Bassett 1978): least for the quantile ``q``."""
    q = percent / 100

    def loss(score: Floats, label: Floats) -> Floats:
        short = label - score
        return np.maximum(q * short, (q - 1) * short)

    return loss


def _poisson(score: Floats, label: Floats) -> Floats:
    """``2 (y log(y / p) - y + p)``, with ``0 log 0 = 0`` (McCullagh & Nelder 1989, section 2.3)."""
    if label.min() < 0:
        raise DataError(
            f"The Poisson deviance is of counts and rates, 0 or more; found a label of {label.min():g}.",
            where="[success] metric",
            hint="Measure by rmse or mae instead.",
        )
    rate = np.maximum(score, _LEAST_RATE)
    ratio = np.divide(label, rate, out=np.ones_like(rate), where=label > 0)
    return 2 * (label * np.log(ratio) - label + rate)


def _squares(score: Floats, label: Floats, group: Ints | None) -> Floats:
    del group
    away = label - label.mean()  # from one middle for all resamples: the variance of sums loses no digits
    return np.stack([np.ones_like(label), away, away**2, (label - score) ** 2], axis=1)


def _determination(sums: Floats) -> Floats:
    """``1 - sum (y - p)^2 / sum (y - mean y)^2``, the mean being that of the resample."""
    count, away, square, wrong = (sums[..., at] for at in range(4))
    spread = square - away**2 / count
    return np.where(spread > 0, 1 - wrong / np.where(spread > 0, spread, 1.0), np.nan)


def _absolutes(score: Floats, label: Floats, group: Ints | None) -> Floats:
    del group
    return np.stack([np.abs(label - np.median(label)), np.abs(label - score)], axis=1)


def _explained(sums: Floats) -> Floats:
    """``1 - sum |y - p| / sum |y - median y|``, scikit-learn's ``d2_absolute_error_score``.

    The median stays that of all examples: it moves far less between resamples than the errors do.
    """
    around = sums[..., 0]
    return np.where(around > 0, 1 - sums[..., 1] / np.where(around > 0, around, 1.0), np.nan)


NUMBER_METRICS: dict[str, OfSums] = {
    "mae": _mean_of(lambda score, label: np.abs(score - label)),
    "rmse": _mean_of(lambda score, label: (score - label) ** 2, np.sqrt),
    "r2": OfSums(terms=_squares, value=_determination),
    "explained_error": OfSums(terms=_absolutes, value=_explained),
    "poisson_deviance": _mean_of(_poisson),
    **{f"pinball_{percent}": _mean_of(_pinball(percent)) for percent in PINBALL_PERCENT},
}
