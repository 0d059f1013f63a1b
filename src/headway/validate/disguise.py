"""The target in disguise: two numbers that give it together, or a text that carries it in its first or last letters.

The file hides how pairs are narrowed down: all are ranked by the correlation of label and pair, which follows from the
columns' correlations alone, and only the best few are scored on rows that they were not fitted on.
"""

from __future__ import annotations

from itertools import combinations
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
    scored = []
    for pair in combinations(columns, 2):
        values = np.column_stack([columns[name] for name in pair])
        rows = np.isfinite(values).all(axis=1)
        if rows.sum() < _FEWEST or not 0 < label[rows].mean() < 1:
            continue
        scored.append((_explained(values[rows], label[rows]), pair))
    best = [(_apart(columns, pair, label), pair) for _, pair in sorted(scored, reverse=True)[:_TRIED]]
    if not best:
        return None
    area, pair = max(best)
    return pair, area


def _explained(values: Floats, label: Floats) -> float:
    """Return the squared multiple correlation of the label with two columns."""
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    if not np.all(spread > 0):
        return 0.0
    weights, *_ = np.linalg.lstsq(centred / spread, label - label.mean(), rcond=None)
    return float(np.var((centred / spread) @ weights) / max(float(np.var(label)), 1e-12))


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
