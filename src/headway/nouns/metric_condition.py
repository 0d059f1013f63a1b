"""Scores of probabilities and ranks against what is true or not: the task ``condition``.

The file hides how rank metrics are rewritten as functions of *how often each day was drawn*, so that all resamples
are matrix products and not one sort each.

Scores rank: higher means likelier. Labels are 0 and 1. A metric that is not defined on what it is given (no
positive, say) is NaN, never a number that looks like an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["CONDITION_DRAWS", "average_precision", "brier", "checked", "log_loss", "roc_auc"]

_BLOCK = 4_000_000  # cells of the (days x ranks) tables held at once: 32 MB


def average_precision(score: ArrayLike, label: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return the area under the precision-recall steps, tied scores entering together.

    ``sum_g (R_g - R_{g-1}) P_g`` over the distinct scores from the highest down, without interpolation, as
    scikit-learn defines it; its value for a scorer without skill is the base rate.

    Examples
    --------
    >>> round(average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 4)
    0.8333
    """
    s, y, w = checked(score, label, weight)
    order = np.argsort(-s, kind="stable")
    ends = _ends_of_ties(s[order])
    hits = np.cumsum((w * y)[order])[ends]
    seen = np.cumsum(w[order])[ends]
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    return _ratio(float(np.sum(np.diff(hits, prepend=0.0) * precision)), float(hits[-1]))


def roc_auc(score: ArrayLike, label: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return how likely a positive is ranked above a negative, a tie counting half.

    The Mann-Whitney statistic over midranks (Bamber 1975); 0.5 for a scorer without skill, whatever the base rate.

    Examples
    --------
    >>> roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """
    s, y, w = checked(score, label, weight)
    order = np.argsort(s, kind="stable")
    ends = _ends_of_ties(s[order])
    positives = np.diff(np.cumsum((w * y)[order])[ends], prepend=0.0)
    below = np.cumsum((w * (1 - y))[order])[ends]
    negatives = np.diff(below, prepend=0.0)
    won = float(np.sum(positives * (below - negatives / 2)))
    return _ratio(won, float(positives.sum() * negatives.sum()))


def log_loss(score: ArrayLike, label: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return the mean of ``-log`` of the probability given to what happened, in nats (Good 1952).

    Probabilities are kept one double-precision epsilon away from 0 and 1, as in scikit-learn.

    Examples
    --------
    >>> round(log_loss([0.1, 0.9], [0, 1]), 4)
    0.1054
    """
    s, y, w = checked(score, label, weight, probability=True)
    return _ratio(float(np.sum(w * _log_losses(s, y))), float(w.sum()))


def brier(score: ArrayLike, label: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Return the mean squared distance of probability and label (Brier 1950).

    Examples
    --------
    >>> round(brier([0.1, 0.8], [0, 1]), 4)
    0.025
    """
    s, y, w = checked(score, label, weight, probability=True)
    return _ratio(float(np.sum(w * (s - y) ** 2)), float(w.sum()))


def checked(
    score: ArrayLike, label: ArrayLike, weight: ArrayLike | None = None, *, probability: bool = False
) -> tuple[Floats, Floats, Floats]:
    """Return score, label and weight as arrays of ``float64``, or say what is wrong with them."""
    s = np.asarray(score, dtype=np.float64)
    y = np.asarray(label, dtype=np.float64)
    w = np.ones_like(y) if weight is None else np.asarray(weight, dtype=np.float64)
    if s.ndim != 1 or not len(s) or s.shape != y.shape or s.shape != w.shape:
        raise DataError(
            f"Scores {s.shape}, labels {y.shape} and weights {w.shape} must be one row each, equally long, not empty."
        )
    if np.isnan(s).any():
        raise DataError(
            f"{int(np.isnan(s).sum())} of {len(s)} scores are NaN.", hint="Decide what a missing score means first."
        )
    if not np.all((y == 0) | (y == 1)):
        raise DataError("Labels must be 0 or 1.", hint="Leave out examples whose label is void or not yet known.")
    if not np.all(w >= 0):
        raise DataError("Weights must be zero or more.")
    if probability and (s.min() < 0 or s.max() > 1):
        raise DataError(
            f"Scores from {s.min():g} to {s.max():g} are no probabilities.", hint="They must lie in [0, 1]."
        )
    return s, y, w


# --- the same, of each row of ``drawn``: how often each day was drawn, shape (draws, days) ---------------------


def _average_precision_draws(score: Floats, label: Floats, day: Ints, drawn: Floats) -> Floats:
    """Weighted average precision of each row of ``drawn``, from counts per day and rank.

    Precision matters only where a positive enters, so ranks are collapsed to the distinct scores that hold
    one: ``slot`` is the first such score at or below an example's. What remains is two matrix products.
    """
    days = drawn.shape[1]
    order = np.argsort(-score, kind="stable")
    s, y, d = score[order], label[order], day[order]
    tie = np.cumsum(np.concatenate([[0], s[1:] != s[:-1]])).astype(np.int64)
    holds = np.bincount(tie, weights=y) > 0
    slot: Ints = (np.cumsum(holds) - holds)[tie]
    slots = int(holds.sum())
    total = drawn @ np.bincount(d, weights=y, minlength=days)
    area = np.zeros(len(drawn))
    seen, hits = np.zeros((days, 1)), np.zeros((days, 1))
    width = max(1, _BLOCK // max(days, len(drawn)))
    for first in range(0, slots, width):
        last = min(first + width, slots)
        rows = slice(*np.searchsorted(slot, [first, last]))
        shape = (days, last - first)
        cell = d[rows] * shape[1] + slot[rows] - first
        count = _table(cell, shape, None).cumsum(axis=1) + seen
        new = _table(cell, shape, y[rows])
        hit = new.cumsum(axis=1) + hits
        weight = drawn @ count
        area += np.sum(
            (drawn @ new) * np.divide(drawn @ hit, weight, out=np.zeros_like(weight), where=weight > 0), axis=1
        )
        seen, hits = count[:, -1:], hit[:, -1:]
    return area / total


def _roc_auc_draws(score: Floats, label: Floats, day: Ints, drawn: Floats) -> Floats:
    """ROC AUC of each row of ``drawn``: a quadratic form in the counts of days.

    ``won[i, j]`` pairs have their positive on day i, their negative on day j, and are ranked rightly.
    """
    days = drawn.shape[1]
    s, y, d = (score, label, day) if 2 * label.sum() <= len(label) else (-score, 1 - label, day)
    order = np.argsort(s, kind="stable")
    s, y, d = s[order], y[order], d[order]
    positive = y > 0
    by_day = np.argsort(d[~positive], kind="stable")  # within a day still in the order of scores
    lose, bounds = s[~positive][by_day], np.searchsorted(d[~positive][by_day], np.arange(days + 1))
    win, its_day = s[positive], d[positive]
    won: Floats = np.zeros((days, days))
    width = max(1, _BLOCK // days)
    for first in range(0, len(win), width):
        part = win[first : first + width]
        below = np.empty((days, len(part)))
        for each in range(days):
            mine = lose[bounds[each] : bounds[each + 1]]
            below[each] = np.searchsorted(mine, part, side="left") + np.searchsorted(mine, part, side="right")
        is_its_day = np.arange(days)[:, None] == its_day[first : first + width]
        won += is_its_day.astype(np.float64) @ below.T / 2  # a tie counts half
    ahead: Floats = np.sum((drawn @ won) * drawn, axis=1)
    pairs: Floats = (drawn @ np.bincount(d[positive], minlength=days)) * (
        drawn @ np.bincount(d[~positive], minlength=days)
    )
    return ahead / pairs


def _mean_draws(loss: Callable[[Floats, Floats], Floats]) -> Callable[[Floats, Floats, Ints, Floats], Floats]:
    def drawn_means(score: Floats, label: Floats, day: Ints, drawn: Floats) -> Floats:
        days = drawn.shape[1]
        total: Floats = drawn @ np.bincount(day, weights=loss(score, label), minlength=days)
        return total / (drawn @ np.bincount(day, minlength=days))

    return drawn_means


def _log_losses(score: Floats, label: Floats) -> Floats:
    epsilon = np.finfo(np.float64).eps
    p = np.clip(score, epsilon, 1 - epsilon)
    return -np.log(np.where(label > 0, p, 1 - p))


CONDITION_DRAWS: dict[str, Callable[[Floats, Floats, Ints, Floats], Floats]] = {
    "average_precision": _average_precision_draws,
    "roc_auc": _roc_auc_draws,
    "log_loss": _mean_draws(_log_losses),
    "brier": _mean_draws(lambda score, label: (score - label) ** 2),
}


def _table(cell: Ints, shape: tuple[int, int], weight: Floats | None) -> Floats:
    return np.bincount(cell, weights=weight, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)


def _ends_of_ties(ordered: Floats) -> Ints:
    """Positions of the last of each run of equal values."""
    return np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)


def _ratio(over: float, under: float) -> float:
    return over / under if under > 0 else float("nan")
