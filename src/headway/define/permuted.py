"""Could what the features say be chance? A quick model, fitted again on labels moved in time.

The model is additive: a ridge regression of the label on indicators of binned features. It needs one factorisation a
stretch of time for *all* sets of labels at once, which is what makes hundreds of refits cheap enough for a check (a
boosted model, fitted as often, would take minutes). Each stretch is predicted by a model of the others; examples whose
wait for the label overlaps the stretch are left out (purging and embargo: Lopez de Prado 2018, chapter 7). The
statistic is the correlation of prediction and label within a stretch, so it asks nothing of their scale. A number is
taken by its rank (Spearman 1904), a category class by class; of a ranking, features and relevance are taken less their
group's mean, before labels are moved, so that only the order within groups is asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headway.define.bins import binned
from headway.define.moved import Days

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.define.sample import Sample

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Permuted", "permutation_test"]

STRETCHES = 5
_QUANTILES, _CATEGORIES = 8, 24
_RIDGE = 30.0
"""Rows that every bin is drawn towards no effect by: bins of a few rows say little."""
_LONGEST_WAITS = 0.95
"""Of the waits for a label, beyond which none purges later examples: one label that took a year must not take all."""
_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Permuted:
    """A permutation test: ``p_value`` is ``(1 + as_good) / (1 + permutations)``.

    ``correlation`` is that of out-of-stretch prediction and label, ``moved`` those of the moved labels.
    """

    p_value: float
    permutations: int
    as_good: int
    correlation: float
    moved: Floats


def permutation_test(sample: Sample, *, seed: int, permutations: int = 199) -> Permuted | None:
    """Return how a quick model fares against labels moved in time; ``None`` where no stretch can be predicted.

    Parameters
    ----------
    permutations
        How many times labels are moved; the least p-value is one over one more.
    """
    response = sample.response
    labels = response[:, None] if response.ndim == 1 else response
    days = Days.of(sample.day, stretches=STRETCHES)
    block = days.block
    # One order of examples for all sets of labels; column 0 of each class is what really happened.
    rows = np.stack([np.arange(len(labels)), *days.rotations(seed=seed, count=permutations)], axis=1)
    design = _indicators(sample.features)
    if sample.group is not None:  # what a group has in common cannot tell its members apart
        design = _within(design, sample.group)
    total, weight = np.zeros(permutations + 1), 0
    for one in range(STRETCHES):
        test = block == one
        train = _purged(test, at=sample.at, known=sample.known)
        if not test.any() or train.sum() < 2:
            continue
        solve = _ridge(design[train])
        part = sum(
            _correlations(design, labels[:, at_class], rows, train=train, test=test, solve=solve)
            for at_class in range(labels.shape[1])
        )
        total += np.asarray(part) * int(test.sum()) / labels.shape[1]
        weight += int(test.sum())
    if not weight:
        return None
    found = total / weight
    as_good = int((found[1:] >= found[0] - 1e-12).sum())
    return Permuted(
        p_value=(1 + as_good) / (1 + permutations),
        permutations=permutations,
        as_good=as_good,
        correlation=float(found[0]),
        moved=found[1:],
    )


def _purged(test: NDArray[np.bool_], *, at: Ints, known: Ints) -> NDArray[np.bool_]:
    """Return which examples may train: their label was known before the stretch began, or they begin after its were."""
    if not test.any():
        return ~test
    begins = at[test].min()
    settled = np.quantile(known[test], _LONGEST_WAITS, method="higher")
    purged: NDArray[np.bool_] = ~test & ((known < begins) | (at > settled))
    return purged


def _indicators(features: pa.Table) -> NDArray[np.float32]:
    """Return the bins of all features as 0 and 1, ``(rows, bins)``; a bin that none or all are in says nothing."""
    columns = []
    for name in features.column_names:
        code, width = binned(features[name], quantiles=_QUANTILES, categories=_CATEGORIES)
        columns.append((code[:, None] == np.arange(width)[None, :]).astype(np.float32))
    design = np.concatenate(columns, axis=1)
    share = design.mean(axis=0)
    return design[:, (share > 0) & (share < 1)]


def _within(design: NDArray[np.float32], group: Ints) -> NDArray[np.float32]:
    """Return each column less its mean over the group."""
    order = np.argsort(group, kind="stable")
    _, first, size = np.unique(group[order], return_index=True, return_counts=True)
    means = np.add.reduceat(design[order], first, axis=0) / size[:, None].astype(np.float32)
    found = np.empty_like(design)
    found[order] = design[order] - np.repeat(means, size, axis=0)
    return found


def _ridge(train: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    mean = train.mean(axis=0, dtype=np.float64)
    gram = (train.T @ train).astype(np.float64) - len(train) * np.outer(mean, mean)
    inverse = np.linalg.inv(gram + _RIDGE * np.eye(len(mean)))
    return inverse.astype(np.float32), mean


def _correlations(
    design: NDArray[np.float32],
    label: Floats,
    rows: Ints,
    *,
    train: NDArray[np.bool_],
    test: NDArray[np.bool_],
    solve: tuple[NDArray[np.float32], Floats],
) -> Floats:
    """Return the correlation in the test stretch of each set of labels with what a model of its rest predicts."""
    inverse, mean = solve
    found = []
    for first in range(0, rows.shape[1], _AT_ONCE):
        moved = label[rows[:, first : first + _AT_ONCE]]
        seen = moved[train]
        centred = (seen - seen.mean(axis=0)).astype(np.float32)
        # Of centred labels the design need not be centred: the sum over rows of mean times label is nought.
        effect = inverse @ (design[train].T @ centred)
        score = ((design[test] @ effect) - (mean.astype(np.float32) @ effect)).astype(np.float64)
        found.append(_correlation(score, moved[test]))
    return np.concatenate(found)


def _correlation(score: Floats, label: Floats) -> Floats:
    s, y = score - score.mean(axis=0), label - label.mean(axis=0)
    scale = np.sqrt((s * s).sum(axis=0) * (y * y).sum(axis=0))
    found: Floats = np.divide((s * y).sum(axis=0), scale, out=np.zeros(scale.shape), where=scale > 1e-12)
    return found
