"""One day in one number each: how often, how far off, how well ranked, how much earned.

Pure functions of arrays with one entry per prediction of the day whose outcome is known: ``labels`` 0.0 or 1.0,
``scores`` in [0, 1]. NaN where the day cannot say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.nouns.brief import Quota

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.nouns.brief import Threshold

__all__ = [
    "acted_on",
    "auc",
    "base_rate",
    "by_day",
    "calibration_error",
    "log_losses",
    "loss_beyond_expected",
    "money",
    "rank_correlation",
    "right_share",
]

FEWEST_LABELS = 30
_FEWEST_OF_A_CLASS = 5
_CLIP = 1e-3


def base_rate(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """Return the share of true labels; NaN below 30 labels."""
    del scores
    return float(labels.mean()) if len(labels) >= FEWEST_LABELS else float("nan")


def calibration_error(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """Return the mean of label minus score (calibration in the large): above zero the scores are too low."""
    return float((labels - scores).mean()) if len(labels) >= FEWEST_LABELS else float("nan")


def log_losses(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log loss of each prediction, scores clipped to [0.001, 0.999]: at most 6.9 nats each."""
    p = np.clip(scores, _CLIP, 1 - _CLIP)
    return -(labels * np.log(p) + (1 - labels) * np.log1p(-p))


def loss_beyond_expected(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """Return the mean log loss minus the mean that the scores themselves promise (their entropy), in nats.

    Zero on average for calibrated scores, whatever the base rate, so that a stormy month is no fault of the model;
    ``mean((p - y) logit p)``, the sum of the terms of Spiegelhalter's test (Stat. Med. 1986) for the log score.
    """
    if len(labels) < FEWEST_LABELS:
        return float("nan")
    p = np.clip(scores, _CLIP, 1 - _CLIP)
    return float(((p - labels) * np.log(p / (1 - p))).mean())


def auc(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """Return the chance that a true example is ranked above a false one, ties half counted.

    NaN with fewer than five of either class.
    """
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if min(positives, negatives) < _FEWEST_OF_A_CLASS:
        return float("nan")
    ranks = _mid_ranks(scores)
    return float((ranks[labels > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Spearman's correlation, ties sharing their mean rank; NaN where either side is constant."""
    a, b = _mid_ranks(one), _mid_ranks(other)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else float("nan")


def acted_on(scores: NDArray[np.float64], act_on: Quota | Threshold) -> NDArray[np.bool_]:
    """Return which of one day's predictions the action takes; NaN scores last, ties in the order of the rows."""
    filled = np.where(np.isnan(scores), -np.inf, scores)
    if not isinstance(act_on, Quota):
        return np.asarray(filled > act_on.score)
    taken = np.zeros(len(filled), dtype=np.bool_)
    taken[np.argsort(-filled, kind="stable")[: act_on.k]] = True
    return taken


def right_share(acted: NDArray[np.bool_], labels: NDArray[np.float64]) -> float:
    """Return the share of actions that were right, of those whose outcome is known; NaN without actions."""
    known = acted & ~np.isnan(labels)
    return float(labels[known].mean()) if known.any() else float("nan")


def money(acted: NDArray[np.bool_], labels: NDArray[np.float64], *, right: float, wrong: float) -> float:
    """Return what the day's actions brought; an action whose outcome is unknown counts nothing."""
    known = labels[acted & ~np.isnan(labels)]
    return float((known * right + (1 - known) * wrong).sum())


def by_day(day: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the row numbers of each day, days ascending."""
    order = np.argsort(day, kind="stable")
    cuts = np.flatnonzero(np.diff(day[order])) + 1
    return np.split(order, cuts) if len(order) else []


def _mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    found, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    del found
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)
