"""Do the features say anything about the label, and how much? Models that take seconds, on train and validate.

Three looks at the same sample: each feature alone (cut into bins; the rate of cases by bin, counted on some stretches
of time, ranks the examples of another; a case of a number is one above the middle), which names the best one; a quick
additive model held against itself on labels moved in time (``permuted``), which gives the p-value; and boosted trees
trained on the past and scored on what came after (``expected``), which say what to expect and what more data would
bring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.define.bins import binned
from headway.define.curve import learning_curve
from headway.define.expected import Forward, forward_scores, scored, trained_on_less
from headway.define.moved import Days
from headway.define.permuted import permutation_test
from headway.define.prospect import Signal
from headway.nouns.metric import average_precision, higher_is_better, measured, roc_auc
from headway.nouns.task import WAYS
from headway.nouns.today import answers_today

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.define.sample import Sample
    from headway.nouns.task import MetricName

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["find_signal"]

_BLOCKS = 5
_PRIOR_ROWS = 20.0
_LEAST_ROWS, _LEAST_CASES = 100, 10
_FORETOLD_LEVEL = 0.99  # it is the second question that is asked of the same noise, after the p-value


def find_signal(
    sample: Sample, *, seed: int, metric: MetricName = "average_precision", permutations: int = 199
) -> tuple[Signal, Forward] | None:
    """Return what the features say about the label, and the scores of what came after each past.

    ``None`` when there are too few examples to ask.

    Parameters
    ----------
    metric
        The brief's, of which what to expect is said.
    permutations
        How many times labels are moved; the least p-value is one over one more.
    """
    if not _enough(sample):
        return None
    tested = permutation_test(sample, seed=seed, permutations=permutations)
    if tested is None:
        return None
    alone, together, best_auc = _alone(sample)
    forward = forward_scores(sample, metric=metric, seed=seed)
    grown = trained_on_less(sample, metric=metric, seed=seed)
    chance, by_rule = None, None
    if len(forward.rows):
        chance = _measured(sample, forward, metric, rule=None)
        if sample.rule is not None and (sample.task != "condition" or higher_is_better(metric)):
            says = answers_today(sample.label[forward.rows], sample.rule[forward.rows], task=sample.task, metric=metric)
            by_rule = scored(sample, forward, says, metric=metric, seed=seed)
    found = Signal(
        task=sample.task,
        rows=len(sample),
        of_rows=sample.of_rows or len(sample),
        cases=int(sample.cases[0].sum()),
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
        expected=scored(sample, forward, forward.score, metric=metric, seed=seed),
        chance=chance,
        foretold=_foretold(sample, forward, seed=seed),
        rule=by_rule,
        curve=None
        if grown is None
        else learning_curve(
            grown.rows, grown.value, grown.drawn, metric=metric, higher=higher_is_better(metric), chance=grown.chance
        ),
    )
    return found, forward


def _enough(sample: Sample) -> bool:
    if len(sample) < _LEAST_ROWS or not sample.features.num_columns:
        return False
    return any(min(cases.sum(), len(cases) - cases.sum()) >= _LEAST_CASES for cases in sample.cases)


def _foretold(sample: Sample, forward: Forward, *, seed: int) -> bool:
    """Return whether models of the past surely tell what came after better than no skill does.

    Not by the brief's metric: by some, such as average precision, noise is better than no skill where cases are few.
    """
    by = WAYS[sample.task].compared_by
    found = scored(sample, forward, forward.score, metric=by, seed=seed, level=_FORETOLD_LEVEL)
    return found is not None and found.low > _measured(sample, forward, by, rule=None)


def _measured(sample: Sample, forward: Forward, metric: MetricName, *, rule: Floats | None) -> float:
    """Return what saying the same of everything scores, or what a rule does."""
    label, group = sample.label[forward.rows], None if sample.group is None else sample.group[forward.rows]
    says = answers_today(label, rule, task=sample.task, metric=metric, classes=len(sample.classes))
    return measured(metric, says, label, group=group)


def _alone(sample: Sample) -> tuple[tuple[tuple[str, float], ...], float, float]:
    """Return each feature's lift alone, the best first; the lift of all together; the ROC AUC of the best."""
    block = Days.of(sample.day, stretches=_BLOCKS).block
    questions = [cases for cases in sample.cases if 0 < cases.sum() < len(cases)]
    real = dict.fromkeys(sample.features.column_names, 0.0)
    best_auc, together = 0.0, 0.0
    for label in questions:
        base = float(label.mean())
        log_odds = np.zeros(len(label))
        for name in sample.features.column_names:
            code, width = binned(sample.features[name])
            cell = block * width + code
            seen = np.bincount(cell, minlength=_BLOCKS * width).reshape(_BLOCKS, width).astype(np.float64)
            hits = np.bincount(cell, weights=label, minlength=_BLOCKS * width).astype(np.float64)
            hits = hits.reshape(_BLOCKS, width)
            real[name] += _precision(seen, hits) / base / len(questions)
            rate = _rates(seen, hits)
            odds = (np.log(rate) - np.log1p(-rate)).reshape(-1)[cell]
            best_auc = max(best_auc, roc_auc(odds, label))
            log_odds += odds
        together += _gain(log_odds, label, block) / base / len(questions)
    ranked = sorted(real.items(), key=lambda item: (-item[1], item[0]))
    return tuple((name, 1.0 + gain) for name, gain in ranked), 1.0 + together, best_auc


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
