"""Scores of an order against relevance, within groups: the task ``ranking``.

Each is a mean over groups; a group belongs to the day of its first example. A group in which nothing is relevant has
no right order and is left out. Scores that tie share the ranks that they take up: the figure is the mean over all
orders of the tied (McSherry & Najork 2008), so that a rule that says nothing is not paid for the order of the rows.
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

__all__ = ["RANKING_METRICS", "checked_groups", "ranks_within"]


def checked_groups(score: ArrayLike, label: ArrayLike, group: Ints | None) -> tuple[Floats, Floats, Ints]:
    """Return scores, relevance and groups as arrays, or say what is wrong with them."""
    s, y = np.asarray(score, dtype=np.float64), np.asarray(label, dtype=np.float64)
    if group is None:
        raise DataError("A ranking is judged within groups, and none were given.", where="[target]")
    g = np.asarray(group, dtype=np.int64)
    if s.ndim != 1 or not len(s) or not s.shape == y.shape == g.shape:
        raise DataError(f"Scores {s.shape}, relevance {y.shape} and groups {g.shape} must be equally long, not empty.")
    if np.isnan(s).any():
        raise DataError(
            f"{int(np.isnan(s).sum())} of {len(s)} scores are NaN.", hint="Decide what a missing score means first."
        )
    if not (np.isfinite(y) & (y >= 0)).all():
        raise DataError("Relevance must be 0 or more.", where="target.label")
    return s, y, g


def ranks_within(score: Floats, group: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the order by group and falling score, each place's rank in its group from 0, and its run of ties.

    Examples
    --------
    >>> order, rank, tie = ranks_within(np.array([0.1, 0.9, 0.5]), np.array([7, 7, 2]))
    >>> order.tolist(), rank.tolist(), tie.tolist()
    ([2, 1, 0], [0, 0, 1], [0, 1, 2])
    """
    order = np.lexsort((-score, group))
    g, s = group[order], score[order]
    rank = np.arange(len(order)) - np.searchsorted(g, g, side="left")
    tie = np.cumsum(np.concatenate([[0], (g[1:] != g[:-1]) | (s[1:] != s[:-1])])).astype(np.int64)
    return order, rank, tie


def _discounted(gain: Floats, score: Floats, group: Ints, weight: Callable[[Ints], Floats]) -> Floats:
    """Return per group, groups ascending, the sum of gain times the weight of its rank, ties sharing theirs."""
    order, rank, tie = ranks_within(score, group)
    shared = np.bincount(tie, weights=weight(rank)) / np.bincount(tie)
    _, index = np.unique(group[order], return_inverse=True)
    return np.bincount(index, weights=gain[order] * shared[tie]).astype(np.float64)


def _of_groups(per_group: Callable[[Floats, Floats, Ints], Floats]) -> OfSums:
    """Return the mean over groups of a figure that is NaN where a group has nothing relevant."""

    def terms(score: Floats, label: Floats, group: Ints | None) -> Floats:
        score, label, group = checked_groups(score, label, group)
        _, first = np.unique(group, return_index=True)
        found = per_group(score, label, group)
        out = np.zeros((len(label), 2))
        out[first, 0] = np.isfinite(found)
        out[first, 1] = np.nan_to_num(found)
        return out

    def value(sums: Floats) -> Floats:
        return np.where(sums[..., 0] > 0, sums[..., 1] / np.where(sums[..., 0] > 0, sums[..., 0], 1.0), np.nan)

    return OfSums(terms=terms, value=value)


def _ndcg(k: int | None) -> Callable[[Floats, Floats, Ints], Floats]:
    """Return ``sum (2^rel - 1) / log2(rank + 1)`` over that of the best order, up to rank ``k``.

    Järvelin & Kekäläinen 2002, with the gain of Burges et al. 2005.
    """

    def weight(rank: Ints) -> Floats:
        return np.where(rank < (k or len(rank) + 1), 1 / np.log2(rank + 2.0), 0.0)

    def figure(score: Floats, label: Floats, group: Ints) -> Floats:
        gain = np.exp2(label) - 1
        found, best = _discounted(gain, score, group, weight), _discounted(gain, label, group, weight)
        return np.divide(found, best, out=np.full_like(best, np.nan), where=best > 0)

    return figure


def _precision(k: int) -> Callable[[Floats, Floats, Ints], Floats]:
    """Return the share of the first ``k`` (or of all, where a group is smaller) that is relevant."""

    def figure(score: Floats, label: Floats, group: Ints) -> Floats:
        relevant = (label > 0).astype(np.float64)
        hits = _discounted(relevant, score, group, lambda rank: (rank < k).astype(np.float64))
        _, index = np.unique(group, return_inverse=True)
        size, there = np.bincount(index), np.bincount(index, weights=relevant)
        return np.where(there > 0, hits / np.minimum(size, k), np.nan)

    return figure


def _average_precisions(score: Floats, label: Floats, group: Ints) -> Floats:
    """Return the average precision of each group, tied scores entering together, as scikit-learn defines it."""
    order, _, tie = ranks_within(score, group)
    relevant = (label[order] > 0).astype(np.float64)
    new, count = np.bincount(tie, weights=relevant), np.bincount(tie).astype(np.float64)
    first_of_tie = np.searchsorted(tie, np.arange(len(count)))
    groups, index = np.unique(group[order][first_of_tie], return_inverse=True)
    starts = np.searchsorted(index, np.arange(len(groups)))
    hits, seen = np.cumsum(new), np.cumsum(count)
    hits -= np.concatenate([[0.0], hits])[starts][index]
    seen -= np.concatenate([[0.0], seen])[starts][index]
    there = np.bincount(index, weights=new)
    area = np.bincount(index, weights=new * hits / seen)
    return np.divide(area, there, out=np.full_like(area, np.nan), where=there > 0)


RANKING_METRICS: dict[str, OfSums] = {
    "ndcg": _of_groups(_ndcg(None)),
    **{f"ndcg_{k}": _of_groups(_ndcg(k)) for k in (1, 3, 5, 10, 20)},
    "map": _of_groups(_average_precisions),
    **{f"precision_{k}": _of_groups(_precision(k)) for k in (1, 3, 5, 10, 20)},
}
