"""Do the features say anything about the label, and how much? Models that take seconds, on train and validate.

Three looks at the same sample: each feature alone (cut into bins; the rate of positives by bin, counted on some
stretches of time, ranks the examples of another), which names the best one; a quick additive model held against itself
on labels moved in time (``permuted``), which gives the p-value; and boosted trees trained on the past and scored on
what came after (``expected``), which say what to expect and what more data would bring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.define.bins import binned
from headway.define.curve import learning_curve
from headway.define.expected import Forward, forward_scores, scored, trained_on_less
from headway.define.facts import Signal
from headway.define.moved import Days
from headway.define.permuted import permutation_test
from headway.nouns.metric import METRICS, average_precision, higher_is_better, roc_auc

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["find_signal"]

_BLOCKS = 5
_PRIOR_ROWS = 20.0
_LEAST_ROWS, _LEAST_CASES = 100, 10


def find_signal(
    features: pa.Table,
    label: Floats,
    day: Ints,
    *,
    at: Ints,
    known: Ints,
    seed: int,
    metric: str = "average_precision",
    rule: Floats | None = None,
    of_rows: int = 0,
    permutations: int = 199,
) -> tuple[Signal, Forward] | None:
    """Return what the features say about the label, and the scores of what came after each past.

    ``None`` when there are too few examples to ask.

    Parameters
    ----------
    features
        Numbers and texts, one row an example, in the order of time.
    label
        0.0 or 1.0 each.
    day
        The local day of each, as a number that does not fall.
    at, known
        When each is predicted and its label known, in microseconds.
    rule
        Today's rule, NaN where it is silent; it is scored on the same examples.
    of_rows
        How many examples these stand for.
    permutations
        How many times labels are moved; the least p-value is one over one more.
    """
    rows, cases = len(label), int(label.sum())
    if rows < _LEAST_ROWS or min(cases, rows - cases) < _LEAST_CASES or not features.num_columns:
        return None
    tested = permutation_test(features, label, day, at=at, known=known, seed=seed, permutations=permutations)
    if tested is None:
        return None
    alone, together, best_auc = _alone(features, label, day)
    forward = forward_scores(features, label, day, at=at, known=known, seed=seed)
    later, when = label[forward.rows], day[forward.rows]
    chance = _chance(later, metric) if len(later) else None
    grown = trained_on_less(features, label, day, at=at, known=known, metric=metric, seed=seed)
    by_rule = rule[forward.rows] if rule is not None and higher_is_better(metric) else None
    found = Signal(
        rows=rows,
        of_rows=of_rows or rows,
        cases=cases,
        blocks=_BLOCKS,
        best=alone[0][0],
        best_auc=best_auc,
        lift=alone[0][1],
        lift_together=together,
        p_value=tested.p_value,
        permutations=tested.permutations,
        correlation=tested.correlation,
        by_feature=alone,
        metric=metric,
        expected=scored(forward, forward.score, later, when, metric=metric, seed=seed),
        chance=chance,
        rule=None if by_rule is None else scored(forward, by_rule, later, when, metric=metric, seed=seed),
        curve=None
        if grown is None or chance is None
        else learning_curve(
            grown.rows, grown.value, grown.drawn, metric=metric, higher=higher_is_better(metric), chance=chance
        ),
    )
    return found, forward


def _chance(label: Floats, metric: str) -> float:
    """Return what saying the same of everything scores."""
    return float(METRICS[metric](np.full(len(label), label.mean()), label))


def _alone(features: pa.Table, label: Floats, day: Ints) -> tuple[tuple[tuple[str, float], ...], float, float]:
    """Return each feature's lift alone, the best first; the lift of all together; the ROC AUC of the best."""
    block = Days.of(day, stretches=_BLOCKS).block
    real: dict[str, float] = {}
    auc: dict[str, float] = {}
    log_odds = np.zeros(len(label))
    for name in features.column_names:
        code, width = binned(features[name])
        cell = block * width + code
        seen = np.bincount(cell, minlength=_BLOCKS * width).reshape(_BLOCKS, width).astype(np.float64)
        hits = np.bincount(cell, weights=label, minlength=_BLOCKS * width).astype(np.float64).reshape(_BLOCKS, width)
        real[name] = _precision(seen, hits)
        rate = _rates(seen, hits)
        odds = (np.log(rate) - np.log1p(-rate)).reshape(-1)[cell]
        auc[name] = roc_auc(odds, label)
        log_odds += odds
    base = float(label.mean())
    ranked = sorted(real.items(), key=lambda item: (-item[1], item[0]))
    lifts = tuple((name, 1.0 + gain / base) for name, gain in ranked)
    return lifts, 1.0 + _gain(log_odds, label, block) / base, max(auc.values())


def _rates(seen: Floats, hits: Floats) -> Floats:
    """Return, for each stretch, the rate by bin on all other stretches, drawn towards the base rate where thin."""
    others, right = seen.sum(0) - seen, hits.sum(-2, keepdims=True) - hits
    base = right.sum(-1, keepdims=True) / np.maximum(others.sum(-1, keepdims=True), 1.0)
    rates: Floats = np.clip((right + _PRIOR_ROWS * base) / (others + _PRIOR_ROWS), 1e-6, 1 - 1e-6)
    return rates


def _precision(seen: Floats, hits: Floats) -> float:
    """Return the mean gain in average precision over the base rate, stretches weighing by their cases.

    ``seen`` and ``hits`` are ``(stretches, bins)``: average precision needs no more than the counts, since all examples
    of a bin are tied.
    """
    order = np.argsort(-_rates(seen, hits), axis=-1, kind="stable")
    right = np.cumsum(np.take_along_axis(hits, order, -1), -1)
    rows = np.cumsum(np.take_along_axis(seen, order, -1), -1)
    precision = np.divide(right, rows, out=np.zeros_like(right), where=rows > 0)
    weighed = (np.diff(right, prepend=0.0, axis=-1) * precision).sum(-1)  # average precision times cases
    total = right[..., -1]
    chance = np.divide(total * total, rows[..., -1], out=np.zeros_like(total), where=rows[..., -1] > 0)
    return float((weighed - chance).sum() / total.sum())


def _gain(score: Floats, label: Floats, block: Ints) -> float:
    gained = 0.0
    for one in range(_BLOCKS):
        here = block == one
        if cases := label[here].sum():
            gained += cases * (average_precision(score[here], label[here]) - cases / here.sum())
    return float(gained / label.sum())
