"""One day in one number each: how often, how far off, how well ranked.

Pure functions of arrays with one entry per prediction of the day whose outcome is known: ``labels`` 0.0 or 1.0,
``scores`` in [0, 1]. NaN where the day cannot say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.nouns.metric import roc_auc

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "FEWEST_LABELS",
    "base_rate",
    "by_day",
    "calibration_error",
    "log_losses",
    "loss_beyond_expected",
    "rank_correlation",
    "ranking",
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


def ranking(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve of one day; NaN with fewer than five labels of either class."""
    positives = int(labels.sum())
    if min(positives, len(labels) - positives) < _FEWEST_OF_A_CLASS:
        return float("nan")
    return roc_auc(scores, labels)


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return Spearman's correlation, ties sharing their mean rank; NaN where either side is constant."""
    a, b = _mid_ranks(one), _mid_ranks(other)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale else float("nan")


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
