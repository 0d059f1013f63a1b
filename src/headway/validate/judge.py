"""Whether a model may be released: one look at examples that nothing was chosen on.

The file hides which figures make which gate, and what is said about them in plain words. The reasons for each
choice stand in ``docs/validation.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headway.errors import DataError
from headway.nouns.calibration import calibration
from headway.nouns.metric import (
    METRICS,
    day_bootstrap,
    day_draws,
    higher_is_better,
    interval_of_draws,
    silent_is_lowest,
)
from headway.nouns.money import worth
from headway.nouns.span import MILLISECOND, parse_span
from headway.nouns.verdict import Gate, Latency, Verdict
from headway.validate.segments import MIN_POSITIVES, judge_segments
from headway.validate.words import metric_words, money_words, names

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from headway.nouns.act_on import ActOn
    from headway.nouns.brief import Success, Value
    from headway.nouns.examples import Examples
    from headway.nouns.interval import Interval
    from headway.nouns.part import Part
    from headway.nouns.verdict import Calibration, SegmentResult
    from headway.nouns.worth import Worth

    Floats = NDArray[np.float64]

__all__ = [
    "CALIBRATED",
    "MIN_TEST_DAYS",
    "PLAUSIBLE_ROC_AUC",
    "checked_scores",
    "fit_for_service",
    "judge",
    "latency_of",
    "rule_to_score",
    "said",
]

MIN_TEST_DAYS = 14  # two of each weekday; from about here on the intervals cover what they promise
PLAUSIBLE_ROC_AUC = 0.98  # decisions worth predicting are rarely this easy: a leak until proven otherwise
CALIBRATED = (0.8, 1.25)  # of slope, and of observed over expected: what no decision by rank or money would notice


def judge(
    score: ArrayLike,
    examples: Examples,
    *,
    success: Success,
    value: Value,
    act_on: ActOn,
    rule_name: str,
    part: Part | None = None,
    latency_us: ArrayLike | None = None,
    seed: int,
    draws: int = 1000,
) -> Verdict:
    """Return what the held-out examples say about a model's scores.

    Parameters
    ----------
    score
        The model's probability for each example, in [0, 1].
    rule_name
        What today's rule is called; empty where the brief names none, the model then being held against no
        skill and against doing nothing.
    part
        Of all examples, where these were drawn across time: money is told of all.
    latency_us
        Measured times of single answers, in microseconds; without them the verdict says that none were given.

    Raises
    ------
    DataError
        Scores that are no probabilities or do not fit the examples, one class only, fewer than two days.
    """
    s = checked_scores(score, examples, who="The model")
    has_rule = bool(rule_name) and bool(np.isfinite(examples.rule).any())
    rule = rule_to_score(examples, metric=success.metric, has_rule=has_rule)
    label, day = examples.label, examples.day
    days = len(np.unique(day))
    drawn = day_draws(success.metric, s, label, day, draws=draws, seed=seed)
    rule_drawn = day_draws(success.metric, rule, label, day, draws=draws, seed=seed)
    own, others = METRICS[success.metric](s, label), METRICS[success.metric](rule, label)
    difference = interval_of_draws(own - others, drawn - rule_drawn, days=days)
    found = interval_of_draws(own, drawn, days=days)
    others_found = interval_of_draws(others, rule_drawn, days=days)
    auc = day_bootstrap("roc_auc", s, label, day, draws=draws, seed=seed)
    said_today = examples.rule if has_rule else None
    money = worth(s, said_today, label, day, value=value, act_on=act_on, part=part, draws=draws, seed=seed)
    segments = judge_segments(s, examples, metric=success.metric, has_rule=has_rule, draws=draws, seed=seed)
    calibrated = calibration(s, label, day, draws=draws, seed=seed)
    latency = latency_of(latency_us)
    against = f"today's rule '{rule_name}'" if has_rule else "no skill"
    gates = (
        _quality(found, success),
        _better(difference, others_found, metric=success.metric, against=against),
        *_earns(money),
        *([] if latency is None else [_fast(latency, success)]),
        *_fair(segments, has_rule=has_rule),
        _honest(calibrated),
        _long_enough(days),
        _plausible(auc),
    )
    return Verdict(
        metric=success.metric,
        score=found,
        rule_name=rule_name if has_rule else "",
        rule_score=others_found,
        difference=difference,
        roc_auc=auc,
        base_rate=float(label.mean()),
        examples=len(label),
        positives=int(label.sum()),
        days=days,
        money=money,
        segments=segments,
        calibration=calibrated,
        latency=latency,
        gates=gates,
        reasons=said(gates, segments, latency, rule_missing=bool(rule_name) and not has_rule),
        draws=draws,
        seed=seed,
    )


def checked_scores(score: ArrayLike, examples: Examples, *, who: str) -> Floats:
    """Return the scores as ``float64``, or say why these cannot be judged."""
    s = np.asarray(score, dtype=np.float64)
    label = examples.label
    if s.shape != label.shape:
        raise DataError(f"{who} gave {s.size} scores for {len(label)} examples.", hint="Score each example once.")
    if not len(s):
        raise DataError("There are no examples to judge on.", hint="Look at the dates under [split].")
    if not np.all((s >= 0) & (s <= 1)):  # also NaN
        raise DataError(f"{who} gave scores that are no probabilities.", hint="They must lie in [0, 1].")
    if not np.all((label == 0) | (label == 1)):
        raise DataError("Labels must be 0 or 1.", hint="Write the label as a condition.")
    if not 0 < label.sum() < len(label):
        raise DataError(
            f"All {len(label)} examples to judge on have the label {int(label[0])}; nothing can be told apart.",
            hint="Choose a longer stretch of time under [split], or another label.",
        )
    return s


def rule_to_score(examples: Examples, *, metric: str, has_rule: bool) -> Floats:
    """Return the scores that stand for what is done today.

    For a ranking metric the rule itself, silent ones lowest, or one tie where there is none. Log loss and the
    Brier score ask for probabilities, which a rule seldom is: it is given the kindest ones, those of the best
    monotone map fitted on these very examples (isotonic regression; Barlow et al. 1972), or the base rate.
    """
    label = examples.label
    if higher_is_better(metric):
        return silent_is_lowest(examples.rule) if has_rule else np.zeros(len(label))
    if not has_rule:
        return np.full(len(label), label.mean())
    from sklearn.isotonic import isotonic_regression

    levels, level = np.unique(silent_is_lowest(examples.rule), return_inverse=True)
    count = np.bincount(level, minlength=len(levels)).astype(np.float64)
    rate = np.bincount(level, weights=label, minlength=len(levels)) / count
    best: Floats = np.asarray(isotonic_regression(rate, sample_weight=count, y_min=0, y_max=1))
    return best[level]


def fit_for_service(found: Interval, difference: Interval, others: Interval, **of: Any) -> tuple[Gate, ...]:
    """Return the gates that every kind of target has: quality, better than today, money, latency, days.

    Parameters
    ----------
    of
        ``success``, ``against``, ``money``, ``latency`` and ``days``.
    """
    success, latency = of["success"], of["latency"]
    return (
        _quality(found, success),
        _better(difference, others, metric=success.metric, against=of["against"]),
        *_earns(of["money"], used_as_it_is=of["used_as_it_is"]),
        *([] if latency is None else [_fast(latency, success)]),
        _long_enough(of["days"]),
    )


# --- one function a gate ------------------------------------------------------------------------------------


def _quality(found: Interval, success: Success) -> Gate:
    up = higher_is_better(success.metric)
    sure = found.low >= success.minimum if up else found.high <= success.minimum
    passed = found.value >= success.minimum if up else found.value <= success.minimum
    note = "The whole interval meets it." if sure else "The interval reaches beyond it, so luck is not excluded."
    return Gate(
        name="quality",
        passed=passed,
        blocking=True,
        found=f"{metric_words(success.metric)} {found}",
        wanted=f"at {'least' if up else 'most'} {success.minimum:g}",
        note=note if passed else "",
    )


def _better(difference: Interval, others: Interval, *, metric: str, against: str) -> Gate:
    up = higher_is_better(metric)
    return Gate(
        name="better than today",
        passed=difference.low > 0 if up else difference.high < 0,
        blocking=True,
        found=f"{difference} {'above' if up else 'from'} {against}, which has {others}",
        wanted=f"the whole interval {'above' if up else 'below'} 0",
    )


def _earns(money: Worth, *, used_as_it_is: bool = False) -> list[Gate]:
    """Return the money gates; they ask for the point, and show the interval: the owner carries the risk knowingly."""
    gates = [
        Gate(
            name="earns more than doing nothing",
            passed=money.model.value > 0,
            blocking=True,
            found=f"{money_words(money.model, money.currency)} a day",
            wanted="above 0",
            note="The interval reaches below 0." if money.model.value > 0 >= money.model.low else "",
        )
    ]
    if used_as_it_is:  # an error only ever costs: nobody can do nothing, and less cost is what is earned
        gates = []
    if money.rule is not None:
        gates.append(
            Gate(
                name=f"earns more than {money.counterfactual}",
                passed=money.gain.value > 0,
                blocking=True,
                found=f"{money_words(money.gain, money.currency)} a day more",
                wanted="above 0",
                note="The interval reaches below 0." if money.gain.value > 0 >= money.gain.low else "",
            )
        )
    gates.append(
        Gate(
            name="pays for itself",
            passed=money.payback.months is not None,
            blocking=False,
            found=f"{money_words(money.monthly_net, money.currency)} a month after running cost",
            wanted="above 0",
            note=f"Payback: {money.payback}.",
        )
    )
    return gates


def _fast(latency: Latency, success: Success) -> Gate:
    limit = parse_span(success.latency_p99)
    return Gate(
        name="latency",
        passed=latency.p99_us <= limit,
        blocking=True,
        found=f"p99 {latency.p99_us / MILLISECOND:.2f} ms (p50 {latency.p50_us / MILLISECOND:.2f} ms)",
        wanted=f"p99 at most {success.latency_p99}",
        note=f"{latency.calls} calls.",
    )


def _fair(segments: tuple[SegmentResult, ...], *, has_rule: bool) -> list[Gate]:
    if not segments:
        return []
    tested = sum(not segment.too_few for segment in segments)
    count = f"of {tested} tested, {len(segments) - tested} too small to say"
    harmed = [segment.name for segment in segments if segment.harmed]
    below = [segment.name for segment in segments if segment.below_bar]
    gates = []
    if has_rule:
        gates.append(
            Gate(
                name="no segment worse off than today",
                passed=not harmed,
                blocking=True,
                found=f"{names(harmed)}; {count}",
                wanted="none in which today's rule ranks better (ROC AUC, Holm-adjusted p < 0.05)",
            )
        )
    gates.append(
        Gate(
            name="segments below the bar",
            passed=not below,
            blocking=False,
            found=f"{names(below)}; {count}",
            wanted="none ranked worse than the rest by over 0.05 ROC AUC (Holm-adjusted p < 0.05)",
        )
    )
    return gates


def _honest(found: Calibration) -> Gate:
    low, high = CALIBRATED
    ratio, slope = found.observed_over_expected, found.slope
    off = [ratio.low > high or ratio.high < low, slope is not None and (slope.low > high or slope.high < low)]
    return Gate(
        name="calibration",
        passed=not any(off),
        blocking=False,
        found=f"observed over expected {ratio}, slope {'undefined' if slope is None else slope}",
        wanted=f"both between {low:g} and {high:g}, or not clearly outside",
    )


def _long_enough(days: int) -> Gate:
    return Gate(
        name="days",
        passed=days >= MIN_TEST_DAYS,
        blocking=False,
        found=f"{days} days",
        wanted=f"at least {MIN_TEST_DAYS}, for the intervals to hold what they promise",
    )


def _plausible(auc: Interval) -> Gate:
    return Gate(
        name="plausible",
        passed=auc.value < PLAUSIBLE_ROC_AUC,
        blocking=False,
        found=f"ROC AUC {auc}",
        wanted=f"below {PLAUSIBLE_ROC_AUC:g}; above, suspect a leak first",
    )


def latency_of(latency_us: ArrayLike | None) -> Latency | None:
    """Return the quantiles of measured times; None where none were given."""
    if latency_us is None:
        return None
    times = np.asarray(latency_us, dtype=np.float64)
    if not times.size or not np.all(np.isfinite(times) & (times >= 0)):
        raise DataError("Latencies must be finite, zero or more, and not none at all.")
    p50, p99 = np.quantile(times, [0.5, 0.99], method="higher")  # an answer that really took so long
    return Latency(p50_us=float(p50), p99_us=float(p99), calls=times.size)


def said(
    gates: tuple[Gate, ...], segments: tuple[SegmentResult, ...], latency: Latency | None, *, rule_missing: bool
) -> tuple[str, ...]:
    """Say in plain words why the verdict is as it is: what stops the way, what to keep in mind, what is not known."""
    stops = [gate for gate in gates if gate.blocking and not gate.passed]
    said = [f"Not to be released: {gate.name} is {gate.found}; wanted: {gate.wanted}." for gate in stops]
    if not stops:
        said.append("All gates that may stop a release are passed.")
    said += [
        f"Mind: {gate.name}: {gate.found}; wanted: {gate.wanted}."
        for gate in gates
        if not gate.blocking and not gate.passed
    ]
    said += [f"Mind: {gate.name}: {gate.note}" for gate in gates if gate.passed and "reaches be" in gate.note]
    if small := [segment.name for segment in segments if segment.too_few]:
        said.append(f"Too small to say anything about (a segment needs {MIN_POSITIVES} positives): {names(small)}.")
    if latency is None:
        said.append("Latency was not measured.")
    if rule_missing:
        said.append("Today's rule said nothing about any of these examples; the model was held against no skill.")
    return tuple(said)
