"""Whether a model of a number, a category or a ranking may be released; a condition's is in ``validate/judge.py``.

The file hides what stands in the place of calibration and of ROC AUC: labels around predictions by tenths, and the
figure that segments are compared by, which does not move with a segment's own spread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from headway.errors import DataError
from headway.nouns.calls import Places
from headway.nouns.metric import (
    day_bootstrap,
    day_draws,
    day_multiplicity,
    interval_of_draws,
    measured,
    metric_of,
)
from headway.nouns.money import worth_of
from headway.nouns.task import WAYS, suited_metric
from headway.nouns.today import answers_today, quantile_of
from headway.nouns.verdict import ClassResult, Gate, ResidualBin, Residuals, SegmentResult, Verdict
from headway.validate.judge import CALIBRATED, fit_for_service, latency_of, said
from headway.validate.segments import SIGNIFICANCE, TOLERANCE, holm, p_below, segments_of
from headway.validate.words import metric_words, names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from headway.nouns.brief import Success
    from headway.nouns.calls import Calls
    from headway.nouns.examples import Examples
    from headway.nouns.part import Part
    from headway.nouns.task import Task

    Floats = NDArray[np.float64]

__all__ = ["classes_told", "judge_task", "residuals"]

_FEWEST = 50  # of a segment: below, a figure of its errors is anybody's guess
_FEWEST_DAYS = 10
_BINS = 10
_SPARE = 0.05  # of a quantile's share of labels: a tenth of what lies on either side of the median


def judge_task(
    said_: Floats,
    examples: Examples,
    *,
    calls: Calls,
    success: Success,
    rule_name: str,
    part: Part | None = None,
    latency_us: ArrayLike | None = None,
    unseen: Mapping[str, int] | None = None,
    seed: int,
    draws: int = 1000,
) -> Verdict:
    """Return what the held-out examples say about a model's answers.

    Parameters
    ----------
    said_
        What the model says of each example: a number, or of a category a row with a column for each class.
    part
        Of all examples, where these were drawn across time: money is told of all.
    unseen
        Of a category, how many later examples are of which class that the training part does not have: they are not
        among ``examples``, and the verdict says so.

    Raises
    ------
    DataError, BriefError
        Answers that do not fit the examples, or a metric that does not suit the target.
    """
    metric = suited_metric(success.metric, calls.task)
    label, day, group = examples.label, examples.day, examples.group
    if len(said_) != len(label) or not len(label):
        raise DataError(f"The model gave {len(said_)} answers for {len(label)} examples.", where="[split]")
    days = len(np.unique(day))
    has_rule = bool(rule_name) and calls.task != "category" and bool(np.isfinite(examples.rule).any())
    rule = examples.rule if has_rule else None
    today = answers_today(label, rule, task=calls.task, metric=metric, classes=len(calls.classes))
    drawn = day_draws(metric, said_, label, day, group=group, draws=draws, seed=seed)
    today_drawn = day_draws(metric, today, label, day, group=group, draws=draws, seed=seed)
    own, others = (measured(metric, each, label, group=group) for each in (said_, today))
    found = interval_of_draws(own, drawn, days=days)
    others_found = interval_of_draws(others, today_drawn, days=days)
    difference = interval_of_draws(own - others, drawn - today_drawn, days=days)
    money = worth_of(calls, said_, label, Places.of(examples), rule=rule, part=part, draws=draws, seed=seed)
    segments = _segments(said_, today, examples, calls=calls, metric=metric, has_rule=has_rule, draws=draws, seed=seed)
    around = residuals(said_, label, day, draws=draws, seed=seed) if calls.task == "number" else None
    told = classes_told(said_, label, day, calls.classes, draws=draws, seed=seed) if calls.task == "category" else ()
    latency = latency_of(latency_us)
    gates = (
        *fit_for_service(
            found, difference, others_found, success=success, money=money, latency=latency, days=days,
            against=f"today's rule '{rule_name}'" if has_rule else "no skill", used_as_it_is=calls.by_error,
        ),
        *_fair(segments, compared_by=WAYS[calls.task].compared_by, has_rule=has_rule),
        *([] if around is None else [_centred(metric, said_, label, day, around, draws=draws, seed=seed)]),
        *([] if not told else [_as_often(told), _all_seen(unseen or {})]),
    )  # fmt: skip
    return Verdict(
        task=calls.task,
        metric=metric,
        score=found,
        rule_name=rule_name if has_rule else "",
        rule_score=others_found,
        difference=difference,
        roc_auc=None,
        base_rate=_base_rate(label, calls.task),
        examples=len(label),
        positives=int((label > 0).sum()) if calls.task == "ranking" else 0,
        days=days,
        money=money,
        segments=segments,
        calibration=None,
        residuals=around,
        classes=told,
        latency=latency,
        gates=gates,
        reasons=said(gates, segments, latency, rule_missing=bool(rule_name) and not has_rule),
        draws=draws,
        seed=seed,
    )


def classes_told(
    said_: Floats, label: Floats, day: NDArray[np.int64], classes: Sequence[str], *, draws: int, seed: int
) -> tuple[ClassResult, ...]:
    """Return how well each class is told from all others, whole days being resampled."""
    days, index = np.unique(day, return_inverse=True)
    drawn = day_multiplicity(len(days), draws=draws, seed=seed)
    likeliest = said_.argmax(axis=1)
    found = []
    for at, name in enumerate(classes):
        came, share = (label == at).astype(np.float64), said_[:, at]
        a_day = [drawn @ np.bincount(index, weights=each, minlength=len(days)) for each in (came, share)]
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = interval_of_draws(float(came.sum() / share.sum()), a_day[0] / a_day[1], days=len(days))
        said_so = likeliest == at
        found.append(
            ClassResult(
                name=name,
                examples=int(came.sum()),
                expected=float(share.sum()),
                said=int(said_so.sum()),
                hits=int(came[said_so].sum()),
                ratio=ratio,
                average_precision=day_bootstrap("average_precision", share, came, day, draws=draws, seed=seed)
                if 0 < came.sum() < len(came)
                else None,
            )
        )
    return tuple(found)


def _as_often(told: tuple[ClassResult, ...]) -> Gate:
    """Return whether each class comes as often as its probabilities say."""
    low, high = CALIBRATED
    off = [each for each in told if each.ratio.high < low or each.ratio.low > high]
    shown = off or [max(told, key=lambda each: abs(np.log(max(each.ratio.value, 1e-9))))]
    return Gate(
        name="classes as often as predicted",
        passed=not off,
        blocking=False,
        found="; ".join(f"{each.name} came {each.ratio} times as often as predicted" for each in shown),
        wanted=f"between {low:g} and {high:g} of every class, or not clearly outside",
    )


def _all_seen(unseen: Mapping[str, int]) -> Gate:
    """Return whether later examples are of the classes that the training part has."""
    each = ", ".join(f"{count:,} of {name!r}" for name, count in unseen.items())
    return Gate(
        name="every class was there to learn",
        passed=not unseen,
        blocking=False,
        found=f"{each}, which the training part does not have; they are in no figure" if unseen else "all were",
        wanted="no later example of a class that the training part does not have",
    )


def _base_rate(label: Floats, task: Task) -> float:
    if task == "category":
        return float(np.bincount(label.astype(np.int64)).max() / len(label))
    return float((label > 0).mean() if task == "ranking" else label.mean())


def residuals(said_: Floats, label: Floats, day: NDArray[np.int64], *, draws: int = 1000, seed: int) -> Residuals:
    """Return how far labels lie above predictions, in all and by tenths, whole days being resampled."""
    days, index = np.unique(day, return_inverse=True)
    drawn = day_multiplicity(len(days), draws=draws, seed=seed)
    slot = np.searchsorted(np.quantile(said_, np.arange(1, _BINS) / _BINS), said_, side="left")
    cell = index * _BINS + slot
    shape = (len(days), _BINS)
    count = np.bincount(cell, minlength=len(days) * _BINS).reshape(shape).astype(np.float64)
    away = np.bincount(cell, weights=label - said_, minlength=len(days) * _BINS).reshape(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        by_bin = (drawn @ away) / (drawn @ count)
        overall = (drawn @ away.sum(axis=1)) / (drawn @ count.sum(axis=1))
    sizes, total = count.sum(axis=0), np.bincount(slot, weights=said_, minlength=_BINS)
    bins = tuple(
        ResidualBin(
            predicted=float(total[b] / size),
            bias=interval_of_draws(float(away[:, b].sum() / size), by_bin[:, b], days=len(days)),
            examples=int(size),
        )
        for b, size in enumerate(sizes)
        if size and np.isfinite(by_bin[:, b]).mean() > 0.5
    )
    mean = float((label - said_).mean())
    return Residuals(bias=interval_of_draws(mean, overall, days=len(days)), bins=bins)


def _centred(
    metric: str, said_: Floats, label: Floats, day: NDArray[np.int64], around: Residuals, *, draws: int, seed: int
) -> Gate:
    """Return whether predictions lie where they are meant to: on the mean, or on the quantile that is asked for."""
    share = quantile_of(metric)
    return _unbiased(around, label) if share is None else _covering(share, said_, label, day, draws=draws, seed=seed)


def _covering(share: float, said_: Floats, label: Floats, day: NDArray[np.int64], *, draws: int, seed: int) -> Gate:
    """Return whether as many labels lie below the predictions as was asked for; one that is met counts half."""
    days, index = np.unique(day, return_inverse=True)
    below = (label < said_) + 0.5 * (label == said_)
    count = np.bincount(index, minlength=len(days)).astype(np.float64)
    drawn = day_multiplicity(len(days), draws=draws, seed=seed)
    covered = (drawn @ np.bincount(index, weights=below, minlength=len(days))) / (drawn @ count)
    found = interval_of_draws(float(below.mean()), covered, days=len(days))
    return Gate(
        name="coverage",
        passed=not (found.low > share + _SPARE or found.high < share - _SPARE),
        blocking=False,
        found=f"{found} of the labels lie below the predictions",
        wanted=f"within {_SPARE:g} of {share:g}, or not clearly outside",
    )


def _unbiased(found: Residuals, label: Floats) -> Gate:
    limit = 0.1 * float(np.abs(label - np.median(label)).mean())
    return Gate(
        name="bias",
        passed=not (found.bias.low > limit or found.bias.high < -limit),
        blocking=False,
        found=f"labels lie {found.bias} above the predictions",
        wanted=f"within {limit:.3g} of 0 (a tenth of how far labels lie apart), or not clearly outside",
    )


def _fair(segments: tuple[SegmentResult, ...], *, compared_by: str, has_rule: bool) -> list[Gate]:
    if not segments:
        return []
    tested = sum(not segment.too_few for segment in segments)
    count = f"of {tested} tested, {len(segments) - tested} too small to say"
    harmed = names([segment.name for segment in segments if segment.harmed])
    below = names([segment.name for segment in segments if segment.below_bar])
    words = metric_words(compared_by)
    worse = Gate(
        name="no segment worse off than today",
        passed=harmed == "none",
        blocking=True,
        found=f"{harmed}; {count}",
        wanted="none in which today's rule is better (Holm-adjusted p < 0.05)",
    )
    behind = Gate(
        name="segments below the bar",
        passed=below == "none",
        blocking=False,
        found=f"{below}; {count}",
        wanted=f"none worse than the rest by over {TOLERANCE:g} of {words} (Holm-adjusted p < 0.05)",
    )
    return [worse, behind] if has_rule else [behind]


def _segments(
    said_: Floats,
    today: Floats,
    examples: Examples,
    *,
    calls: Calls,
    metric: str,
    has_rule: bool,
    draws: int,
    seed: int,
) -> tuple[SegmentResult, ...]:
    """Return how each segment fares: its skill against that of the others, and against today's rule there."""
    by, all_days = WAYS[calls.task].compared_by, np.unique(examples.day)
    label, day, group = examples.label, examples.day, examples.group

    def figure(name: str, values: Floats, rows: NDArray[np.bool_]) -> tuple[float, Floats]:
        of = None if group is None else group[rows]
        drawn = day_draws(name, values[rows], label[rows], day[rows], group=of, days=all_days, draws=draws, seed=seed)
        return measured(name, values[rows], label[rows], group=of), drawn

    found: list[SegmentResult] = []
    behind: list[float | None] = []
    harmed: list[float | None] = []
    up = 1.0 if metric_of(metric).higher else -1.0
    for segment in segments_of(examples.segments):
        rows = segment.rows
        days = len(np.unique(day[rows]))
        blank = SegmentResult(
            column=segment.column, value=segment.value, examples=int(rows.sum()), positives=0, days=days,
            expected_positives=float(said_[rows].sum()) if calls.task == "number" else 0.0,
        )  # fmt: skip
        few = _too_few(int(rows.sum()), days)
        if few or len(np.unique(label[rows])) < 2:
            found.append(msgspec.structs.replace(blank, too_few=few or "all its labels are alike"))
            behind.append(None)
            harmed.append(None)
            continue
        own, own_drawn = figure(metric, said_, rows)
        skill, skill_drawn = figure(by, said_, rows)
        rest = ~rows
        if not _too_few(int(rest.sum()), len(np.unique(day[rest]))) and len(np.unique(label[rest])) > 1:
            others, others_drawn = figure(by, said_, rest)
            behind.append(p_below(skill - others + TOLERANCE, skill_drawn - others_drawn, days=days))
        else:
            behind.append(None)
        if has_rule:
            ruled, ruled_drawn = figure(metric, today, rows)
            harmed.append(p_below(up * (own - ruled), up * (own_drawn - ruled_drawn), days=days))
        else:
            harmed.append(None)
        score = interval_of_draws(own, own_drawn, days=days)
        shown = interval_of_draws(skill, skill_drawn, days=days)
        found.append(msgspec.structs.replace(blank, score=score, skill=shown))
    return tuple(
        msgspec.structs.replace(
            each,
            behind_p=b,
            below_bar=None if b is None else b < SIGNIFICANCE,
            harmed_p=h,
            harmed=None if h is None else h < SIGNIFICANCE,
        )
        for each, b, h in zip(found, holm(behind), holm(harmed), strict=True)
    )


def _too_few(examples: int, days: int) -> str:
    if examples < _FEWEST:
        return f"{examples} examples; at least {_FEWEST} are needed"
    return f"{days} days; at least {_FEWEST_DAYS} are needed" if days < _FEWEST_DAYS else ""
