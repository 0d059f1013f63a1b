"""Which segments are served worse, among many that are looked at.

The file hides the multiple comparisons: with twenty carriers one looks bad by luck. Segments are compared by
ROC AUC, since average precision and the Brier score move with a segment's base rate; two one-sided questions
are asked of each segment, and the p-values of each question are adjusted over all segments (Holm 1979).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
import numpy as np

from headway.nouns.metric import METRICS, day_draws, interval_of_draws, roc_auc, silent_is_lowest
from headway.nouns.verdict import SegmentComparison, SegmentResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.nouns.examples import Examples

    Floats = NDArray[np.float64]

__all__ = [
    "MIN_DAYS",
    "MIN_NEGATIVES",
    "MIN_POSITIVES",
    "SIGNIFICANCE",
    "TOLERANCE",
    "compare_segments",
    "holm",
    "judge_segments",
    "p_below",
    "segments_of",
    "too_few",
]

# Below these a segment's ROC AUC has a standard error of 0.06 and more (Hanley & McNeil 1982), which a
# bootstrap of so few days moreover understates: the answer is then "too few to say", neither pass nor fail.
MIN_POSITIVES = 25
MIN_NEGATIVES = 25
MIN_DAYS = 10

TOLERANCE = 0.05  # of ROC AUC: a smaller gap is no reason to treat a segment differently
SIGNIFICANCE = 0.05


_S = TypeVar("_S", bound=msgspec.Struct)


class _Segment(NamedTuple):
    column: str
    value: str
    rows: NDArray[np.bool_]


def judge_segments(
    score: Floats, examples: Examples, *, metric: str, has_rule: bool, draws: int, seed: int, min_days: int = MIN_DAYS
) -> tuple[SegmentResult, ...]:
    """Return one result per value of each segment column, the largest segments of each column first.

    *Below the bar*: ROC AUC within the segment lies more than ``TOLERANCE`` below that of all other examples.
    *Harmed*: ROC AUC within the segment lies below that of today's rule there. Both significantly, that is
    with an adjusted one-sided p-value below ``SIGNIFICANCE``.
    """
    results: list[SegmentResult] = []
    behind: list[float | None] = []
    harmed: list[float | None] = []
    rule = silent_is_lowest(examples.rule)
    for segment in segments_of(examples.segments):
        result, p_behind, p_harmed = _judge_one(
            segment,
            score,
            rule if has_rule else None,
            examples,
            metric=metric,
            draws=draws,
            seed=seed,
            min_days=min_days,
        )
        results.append(result)
        behind.append(p_behind)
        harmed.append(p_harmed)
    adjusted = zip(results, holm(behind), holm(harmed), strict=True)
    return tuple(
        _replaced(
            result,
            behind_p=b,
            below_bar=None if b is None else b < SIGNIFICANCE,
            harmed_p=h,
            harmed=None if h is None else h < SIGNIFICANCE,
        )
        for result, b, h in adjusted
    )


def compare_segments(
    champion: Floats, challenger: Floats, examples: Examples, *, tolerance: float, draws: int, seed: int, min_days: int
) -> tuple[SegmentComparison, ...]:
    """Return by how much the challenger's ROC AUC differs in each segment, and whether beyond ``tolerance``."""
    found: list[SegmentComparison] = []
    worse: list[float | None] = []
    for segment in segments_of(examples.segments):
        label, day = examples.label[segment.rows], examples.day[segment.rows]
        blank = SegmentComparison(
            column=segment.column, value=segment.value, examples=len(label), positives=int(label.sum())
        )
        if reason := too_few(label, day, min_days=min_days):
            found.append(_replaced(blank, too_few=reason))
            worse.append(None)
            continue
        gap = roc_auc(challenger[segment.rows], label) - roc_auc(champion[segment.rows], label)
        drawn = day_draws("roc_auc", challenger[segment.rows], label, day, draws=draws, seed=seed)
        drawn = drawn - day_draws("roc_auc", champion[segment.rows], label, day, draws=draws, seed=seed)
        days = len(np.unique(day))
        found.append(_replaced(blank, difference=interval_of_draws(gap, drawn, days=days)))
        worse.append(p_below(gap + tolerance, drawn, days=days))
    return tuple(
        _replaced(each, worse_p=p, worse=None if p is None else p < SIGNIFICANCE)
        for each, p in zip(found, holm(worse), strict=True)
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted so that the chance of even one false finding stays below the level (Holm 1979).

    Valid under any dependence, which segments that overlap have. None, a test that was not made, stays None
    and does not count.

    Examples
    --------
    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    made = [(p, place) for place, p in enumerate(p_values) if p is not None]
    out: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, place) in enumerate(sorted(made)):
        running = max(running, min(1.0, p * (len(made) - rank)))
        out[place] = running
    return out


def too_few(label: Floats, day: NDArray[np.int64], *, min_days: int = MIN_DAYS) -> str:
    """Return why these examples allow no statement, or an empty text."""
    positives, negatives, days = int(label.sum()), int(len(label) - label.sum()), len(np.unique(day))
    if positives < MIN_POSITIVES:
        return f"{positives} positives; at least {MIN_POSITIVES} are needed"
    if negatives < MIN_NEGATIVES:
        return f"{negatives} negatives; at least {MIN_NEGATIVES} are needed"
    if days < min_days:
        return f"{days} days; at least {min_days} are needed"
    return ""


def _judge_one(
    segment: _Segment,
    score: Floats,
    rule: Floats | None,
    examples: Examples,
    *,
    metric: str,
    draws: int,
    seed: int,
    min_days: int,
) -> tuple[SegmentResult, float | None, float | None]:
    rows = segment.rows
    label, all_days = examples.label, np.unique(examples.day)
    days = len(np.unique(examples.day[rows]))
    result = SegmentResult(
        column=segment.column,
        value=segment.value,
        examples=int(rows.sum()),
        positives=int(label[rows].sum()),
        days=days,
        expected_positives=float(score[rows].sum()),
    )
    if reason := too_few(label[rows], examples.day[rows], min_days=min_days):
        return _replaced(result, too_few=reason), None, None

    def drawn(name: str, values: Floats, where: NDArray[np.bool_]) -> Floats:
        """Resample all days, so that the segment, the rest and the rule meet the same ones."""
        return day_draws(name, values[where], label[where], examples.day[where], days=all_days, draws=draws, seed=seed)

    area, area_drawn = roc_auc(score[rows], label[rows]), drawn("roc_auc", score, rows)
    behind = harmed = rule_area = None
    if not too_few(label[~rows], examples.day[~rows], min_days=min_days):
        gap = area - roc_auc(score[~rows], label[~rows])
        behind = p_below(gap + TOLERANCE, area_drawn - drawn("roc_auc", score, ~rows), days=days)
    if rule is not None:
        rule_area = roc_auc(rule[rows], label[rows])
        harmed = p_below(area - rule_area, area_drawn - drawn("roc_auc", rule, rows), days=days)
    own = METRICS[metric](score[rows], label[rows])
    return (
        _replaced(
            result,
            score=interval_of_draws(own, drawn(metric, score, rows), days=days),
            roc_auc=interval_of_draws(area, area_drawn, days=days),
            rule_roc_auc=rule_area,
        ),
        behind,
        harmed,
    )


def p_below(gap: float, drawn: Floats, *, days: int) -> float:
    """One-sided p-value for ``gap`` being really below zero: Student's t with the bootstrap's standard error.

    The resamples themselves resolve no tail that a correction over dozens of segments asks for.
    """
    from scipy.special import stdtr

    usable = drawn[np.isfinite(drawn)]
    error = float(np.std(usable)) * np.sqrt(days / (days - 1))
    if error == 0:
        return 0.0 if gap < 0 else 1.0
    return float(stdtr(days - 1, gap / error))


def segments_of(table: pa.Table) -> Iterator[_Segment]:
    """Yield every value of every segment column, the most frequent first; a missing value is one of its own."""
    for column in table.column_names:
        coded = table[column].combine_chunks().fill_null("(missing)").dictionary_encode()
        codes = coded.indices.to_numpy(zero_copy_only=False)
        names = coded.dictionary.to_pylist()
        size = np.bincount(codes, minlength=len(names))
        for code in sorted(range(len(names)), key=lambda each: (-size[each], names[each])):
            yield _Segment(column, names[code], codes == code)


def _replaced(struct: _S, **fields: Any) -> _S:
    return msgspec.structs.replace(struct, **fields)
