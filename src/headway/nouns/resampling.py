"""Intervals from whole days that are drawn again: what every metric's interval has in common.

The file hides how a bootstrap over days is made cheap. Most figures are a function of *sums over examples*: a mean is
one sum over another, a coefficient of determination is made of four. Summed once per day, a resample is a row of small
integers, and all resamples are one matrix product, not one pass over the examples each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headway.errors import DataError
from headway.nouns.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["OfSums", "day_multiplicity", "interval_of_draws", "sums_by_day"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfSums:
    """A figure that is a function of sums over examples.

    Attributes
    ----------
    terms
        From scores, labels and groups to the terms that are summed: shape ``(n, k)``.
    value
        From sums of shape ``(..., k)`` to figures of shape ``(...)``; NaN where not defined.
    """

    terms: Callable[[Floats, Floats, Ints | None], Floats]
    value: Callable[[Floats], Floats]

    def of(self, score: Floats, label: Floats, group: Ints | None) -> float:
        """Return the figure of all examples."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(self.value(self.terms(score, label, group).sum(axis=0)))

    def draws(self, score: Floats, label: Floats, group: Ints | None, day: Ints, drawn: Floats) -> Floats:
        """Return the figure of each row of ``drawn``: how often each day was drawn, shape ``(draws, days)``."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.value(drawn @ sums_by_day(self.terms(score, label, group), day, days=drawn.shape[1]))


def sums_by_day(terms: Floats, day: Ints, *, days: int) -> Floats:
    """Return the sums of the terms of each day: shape ``(days, k)``; ``day`` counts from 0.

    Examples
    --------
    >>> sums_by_day(np.array([[1.0, 5.0], [1.0, 7.0], [1.0, 2.0]]), np.array([0, 1, 0]), days=2).tolist()
    [[2.0, 7.0], [1.0, 7.0]]
    """
    columns = [np.bincount(day, weights=terms[:, at], minlength=days) for at in range(terms.shape[1])]
    return np.stack(columns, axis=1).astype(np.float64)


def day_multiplicity(days: int, *, draws: int, seed: int) -> Floats:
    """Return how often each of ``days`` days is drawn in each of ``draws`` resamples: ``(draws, days)`` counts."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(days, np.full(days, 1 / days), size=draws).astype(np.float64)


def interval_of_draws(value: float, drawn: Floats, *, days: int, level: float = 0.95) -> Interval:
    """Return ``value`` with the expanded percentile interval of its resamples.

    The plain percentile interval is too short for few clusters; its tail probability is therefore set to
    ``Phi(-sqrt(n / (n - 1)) t_{n-1})``, which is what makes it as wide as Student's for a mean of ``n`` days
    (Hesterberg 2015, section 5.4). It does not correct bias, and takes days as independent of each other.
    """
    from scipy.special import ndtr, stdtrit

    usable = drawn[np.isfinite(drawn)]
    if 2 * len(usable) < len(drawn):
        raise DataError(
            "Fewer than half of the resamples of days allow the metric; no interval can be given.",
            hint="Choose a longer stretch of time, or a target that is less rare.",
        )
    tail = float(ndtr(np.sqrt(days / (days - 1)) * stdtrit(days - 1, (1 - level) / 2)))
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Interval(value=float(value), low=float(low), high=float(high), level=level)
