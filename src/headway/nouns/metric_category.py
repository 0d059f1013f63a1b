"""Scores of a probability for each class against the class that came: the task ``category``.

Scores have the shape ``(n, classes)``, each row adding up to one; a label is a position among the classes. A class
that never came and was never predicted has no figure of its own, and does not count towards a mean over classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headway.errors import DataError
from headway.nouns.metric_condition import CONDITION_DRAWS, average_precision
from headway.nouns.resampling import OfSums

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["CATEGORY_METRICS", "MacroAveragePrecision", "checked_classes"]


def checked_classes(score: ArrayLike, label: ArrayLike) -> tuple[Floats, Floats]:
    """Return probabilities and labels as arrays of ``float64``, or say what is wrong with them."""
    s, y = np.asarray(score, dtype=np.float64), np.asarray(label, dtype=np.float64)
    if s.ndim != 2 or not len(s) or len(s) != len(y) or s.shape[1] < 2:
        raise DataError(
            f"Probabilities {s.shape} and labels {y.shape} must be one row each, with a column for each class."
        )
    if not ((s >= 0) & (s <= 1)).all() or not np.allclose(s.sum(axis=1), 1.0, atol=1e-4):
        raise DataError("The probabilities of the classes must lie in [0, 1] and add up to 1.")
    if not np.isin(y, np.arange(s.shape[1])).all():
        raise DataError(f"A label is a position among {s.shape[1]} classes, from 0; others were found.")
    return s, y


def _log_losses(score: Floats, label: Floats) -> Floats:
    """``-log`` of the probability given to the class that came, in nats, clipped as scikit-learn does."""
    given = np.take_along_axis(score, label.astype(np.int64)[:, None], axis=1)[:, 0]
    epsilon = np.finfo(np.float64).eps
    return -np.log(np.clip(given, epsilon, 1 - epsilon))


def _surprise(score: Floats, label: Floats, group: Ints | None) -> Floats:
    del group
    return np.stack([np.ones_like(label), _log_losses(score, label)], axis=1)


def _hits(score: Floats, label: Floats, group: Ints | None) -> Floats:
    del group
    return np.stack([np.ones_like(label), (score.argmax(axis=1) == label).astype(np.float64)], axis=1)


def _distances(score: Floats, label: Floats, group: Ints | None) -> Floats:
    del group
    came = label[:, None] == np.arange(score.shape[1])
    return np.stack([np.ones_like(label), ((score - came) ** 2).sum(axis=1)], axis=1)


def _against_mix(score: Floats, label: Floats, group: Ints | None) -> Floats:
    del group
    share = np.bincount(label.astype(np.int64), minlength=score.shape[1]) / len(label)
    return np.stack([-np.log(share[label.astype(np.int64)]), _log_losses(score, label)], axis=1)


def _explained(sums: Floats) -> Floats:
    """``1 - log loss / log loss of the mix of classes`` (McFadden 1974), the mix being that of all examples."""
    mix = sums[..., 0]
    return np.where(mix > 0, 1 - sums[..., 1] / np.where(mix > 0, mix, 1.0), np.nan)


def _confusions(score: Floats, label: Floats, group: Ints | None) -> Floats:
    """For each class: predicted and came, predicted, came."""
    del group
    classes = np.arange(score.shape[1])
    said, came = score.argmax(axis=1)[:, None] == classes, label[:, None] == classes
    return np.concatenate([said & came, said, came], axis=1).astype(np.float64)


def _macro_f1(sums: Floats) -> Floats:
    """Return the mean over classes of ``2 TP / (2 TP + FP + FN)``; a class neither predicted nor come is left out."""
    both, said, came = np.split(sums, 3, axis=-1)
    f1 = np.divide(2 * both, said + came, out=np.full_like(both, np.nan), where=said + came > 0)
    counted = np.isfinite(f1)
    number = counted.sum(axis=-1)
    return np.where(number > 0, np.where(counted, f1, 0.0).sum(axis=-1) / np.maximum(number, 1), np.nan)


def _mean(sums: Floats) -> Floats:
    mean: Floats = sums[..., 1] / sums[..., 0]
    return mean


@dataclass(frozen=True, slots=True)
class MacroAveragePrecision:
    """The mean over classes of the average precision of each against all others; ranks, so no function of sums."""

    def of(self, score: Floats, label: Floats, group: Ints | None) -> float:
        """Return it for all examples; classes that never came have none."""
        del group
        found = [average_precision(score[:, c], label == c) for c in np.unique(label).astype(int)]
        return float(np.mean(found))

    def draws(self, score: Floats, label: Floats, group: Ints | None, day: Ints, drawn: Floats) -> Floats:
        """Return it for each row of ``drawn``; NaN where a class is not drawn at all."""
        del group
        drawn_precision = CONDITION_DRAWS["average_precision"]
        came = np.unique(label).astype(int)
        with np.errstate(invalid="ignore", divide="ignore"):
            each = [drawn_precision(score[:, c], (label == c).astype(np.float64), day, drawn) for c in came]
        return np.asarray(np.mean(each, axis=0), dtype=np.float64)


CATEGORY_METRICS: dict[str, OfSums | MacroAveragePrecision] = {
    "log_loss": OfSums(terms=_surprise, value=_mean),
    "brier": OfSums(terms=_distances, value=_mean),
    "accuracy": OfSums(terms=_hits, value=_mean),
    "macro_f1": OfSums(terms=_confusions, value=_macro_f1),
    "macro_average_precision": MacroAveragePrecision(),
    "explained_loss": OfSums(terms=_against_mix, value=_explained),
}
