"""The target in disguise: two numbers that give it together, or a text that carries it in its first or last letters.

The file hides how pairs are narrowed down: all are ranked by the squared multiple correlation of label and pair, which
follows from sums that a few matrix products give for all pairs at once, and only the best few are scored on rows that
they were not fitted on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.nouns.metric_condition import roc_auc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["best_pair", "spellings"]

_TRIED = 10
_FEWEST = 200
_LEAST_SPREAD = 1e-12  # variance, in units of the column's own, below which a column is constant over a pair's rows
_SAME = 1e-11  # 1 - r**2 of two columns; float32 tells them apart to some 1e-14


def best_pair(columns: Mapping[str, Floats], label: Floats) -> tuple[tuple[str, str], float] | None:
    """Return the two columns whose weighted sum or difference best tells the label, with its ROC AUC.

    Weights are those of least squares on one half of the rows, the AUC is of the other half: noise fits nothing there.
    None where there are no two columns, or too few rows with both.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> due, came = rng.normal(size=(2, 1000)) * 10
    >>> pair, area = best_pair({"due": due, "came": came, "x": rng.normal(size=1000)}, (came - due > 5).astype(float))
    >>> pair, area > 0.99
    (('due', 'came'), True)
    """
    names = list(columns)
    if len(names) < 2:
        return None
    explained = _explained(np.column_stack([columns[name] for name in names]), label)
    first, second = np.triu_indices(len(names), 1)
    scores = explained[first, second]
    # The best, and among equals the last by name of the columns' places: always the same.
    order = np.lexsort((second, first, scores))[::-1][:_TRIED]
    pairs = [(names[first[place]], names[second[place]]) for place in order if np.isfinite(scores[place])]
    best = [(_apart(columns, pair, label), pair) for pair in pairs]
    if not best:
        return None
    area, pair = max(best)
    return pair, area


def _explained(values: Floats, label: Floats) -> Floats:
    """Return, for each pair of columns, the squared multiple correlation of the label with both.

    Each pair is taken over the rows that have both values: the sums over these are products of the columns, nought
    where a value is missing, with the columns' masks. A pair with too few rows, or all of one label, has none (NaN).
    """
    there = np.isfinite(values)
    count = np.maximum(there.sum(axis=0), 1)
    scaled = np.where(there, values, 0.0)
    scaled = np.where(there, scaled - scaled.sum(axis=0) / count, 0.0)
    spread = np.sqrt(np.square(scaled).sum(axis=0) / count)
    scaled /= np.where(spread > 0, spread, 1.0)
    mask, y = there.astype(np.float64), label - label.mean()
    rows = mask.T @ mask
    n = np.maximum(rows, 1.0)
    # Of the pair (i, j): i's sums in row i and column j, j's in the transposed place.
    mean, mean_y = (scaled.T @ mask) / n, (mask.T @ (mask * y[:, None])) / n
    own = (np.square(scaled).T @ mask) / n - mean**2
    both = (scaled.T @ scaled) / n - mean * mean.T
    with_y = (scaled.T @ (mask * y[:, None])) / n - mean * mean_y
    var_y = (mask.T @ (mask * np.square(y)[:, None])) / n - mean_y**2
    known = (rows >= _FEWEST) & (var_y > _LEAST_SPREAD)
    varied = (own > _LEAST_SPREAD) & (own.T > _LEAST_SPREAD)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(varied, both / np.sqrt(own * own.T), 0.0)
        r_y = np.where(varied, with_y / np.sqrt(own * var_y), 0.0)
        apart = 1.0 - r**2
        together = (r_y**2 + r_y.T**2 - 2 * r * r_y * r_y.T) / apart
    # Two columns that say the same (but for the last digits of float32) are one.
    explained = np.where(apart > _SAME, together, np.maximum(r_y**2, r_y.T**2))
    return np.where(known, explained, np.nan)


def _apart(columns: Mapping[str, Floats], pair: Sequence[str], label: Floats) -> float:
    values = np.column_stack([columns[name] for name in pair])
    rows = np.flatnonzero(np.isfinite(values).all(axis=1))
    fitted, scored = rows[::2], rows[1::2]
    mean, spread = values[fitted].mean(axis=0), values[fitted].std(axis=0)
    scaled = (values - mean) / np.where(spread > 0, spread, 1.0)
    weights, *_ = np.linalg.lstsq(scaled[fitted], label[fitted] - label[fitted].mean(), rcond=None)
    area = roc_auc(scaled[scored] @ weights, label[scored])
    return float(max(area, 1 - area)) if np.isfinite(area) else 0.5


def spellings(texts: Sequence[str | None]) -> dict[str, list[str]]:
    """Return what an identifier may hide the label in: its first letters, its last ones, and how many it has."""
    plain = [text or "" for text in texts]
    return {
        "its first two letters": [text[:2] for text in plain],
        "its last letter": [text[-1:] for text in plain],
        "its length": [str(len(text)) for text in plain],
    }
