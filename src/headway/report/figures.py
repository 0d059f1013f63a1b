"""The page's figures: what the model was judged by, and what has become of it since, a day at a time.

The file hides the drawing of the life; a verdict's own figures are drawn where verdicts are known (``validate.plots``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.graph.scorer import GraphScorer
from headway.loop.days import local_day
from headway.loop.releases import test_examples, test_part
from headway.nouns.brief import parse_act_on
from headway.nouns.calls import Calls
from headway.nouns.money import decide, decide_by_rule, earned_per_day
from headway.validate.plots import (
    ALARM,
    FAINT,
    INK,
    MODEL,
    OTHER,
    RULE_LINE,
    beside,
    calibration_svg,
    canvas,
    day_words,
    money_svg,
    precision_recall_svg,
    segments_svg,
    svg_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from headway.ledger.views import Finding
    from headway.loop.daily import Daily
    from headway.report.facts import Facts, Judged, Mark

    Floats = NDArray[np.float64]

__all__ = ["figures_of", "findings_svg", "life_svg"]

_WEEK = 7
_FEWEST_DAYS = 2
_MOST_FINDINGS = 24
_NAME_CHARS = 34


def figures_of(facts: Facts) -> dict[str, str]:
    """Return the figures that there is something to draw of, by name, as SVG."""
    drawn: dict[str, str] = {}
    if facts.judged is not None:
        drawn |= _of_verdict(facts, facts.judged)
    if len(facts.life.day) >= _FEWEST_DAYS:
        shares = facts.judged is None or facts.judged.verdict.task != "number"
        drawn["life"] = life_svg(facts.life, facts.marks, currency=facts.brief.value.currency, shares=shares)
        if facts.findings:
            drawn["findings"] = findings_svg(
                facts.findings, facts.life, today=facts.today, zone=facts.brief.split.zone, marks=facts.marks
            )
    return drawn


def _of_verdict(facts: Facts, judged: Judged) -> dict[str, str]:
    brief, verdict = facts.brief, judged.verdict
    if verdict.task != "condition":
        return {}  # these pictures are of probabilities; the figures stand in the tables
    examples = test_examples(facts.store, judged.result.dataset)
    score = GraphScorer(facts.store.blobs.read(judged.result.tested_graph)).score(examples.features)
    rule = examples.rule if np.isfinite(examples.rule).any() else None
    act_on = parse_act_on(brief.target.act_on)
    days = np.arange(examples.day.min(), examples.day.max() + 1)
    calls = Calls(task="condition", act_on=act_on, value=brief.value)
    part = test_part(facts.store, judged.result.dataset, calls, split=brief.split)
    acted = decide(score, examples.day, act_on, part=part)
    paid = calls.paid(score, examples.label, examples.day) * (1.0 if part is None else part.stands_for)
    by_rule = None
    if rule is not None:
        chosen = decide_by_rule(rule, examples.day, act_on, acted=acted, part=part)
        by_rule = earned_per_day(chosen, paid, examples.day, days=days)
    drawn = {
        "quality": precision_recall_svg(score, rule, examples.label, rule_name=verdict.rule_name),
        "money": money_svg(
            days,
            earned_per_day(acted, paid, examples.day, days=days),
            by_rule,
            currency=verdict.money.currency,
            mean=verdict.money.model,
            rule_mean=verdict.money.rule,
        ),
    }
    if verdict.calibration is not None:
        drawn["calibration"] = calibration_svg(verdict.calibration)
    if verdict.roc_auc is not None and any(segment.roc_auc is not None for segment in verdict.segments):
        drawn["segments"] = segments_svg(verdict.segments, verdict.roc_auc)
    return drawn


def life_svg(life: Daily, marks: tuple[Mark, ...], *, currency: str, shares: bool = True) -> str:
    """Return two pictures over days: how often it happened beside what was predicted, and the money earned so far.

    Upright lines say when a release went live, was rolled back, or the model was trained anew. Without ``shares`` what
    is predicted is a number, of which the mean of each day is shown.
    """
    with canvas(7.6, 6.4) as (figure, first):
        first.remove()
        rates, money = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [1, 1], "hspace": 0.08})
        _rates(rates, life, shares=shares)
        _earned(money, life, currency)
        _upright(rates, money, marks, life)
        _dates(money)
    return svg_text(figure, "life")


def findings_svg(
    groups: tuple[tuple[Finding, ...], ...], life: Daily, *, today: int, zone: str, marks: tuple[Mark, ...]
) -> str:
    """Return a bar for each group of findings, from the day it began to the day it was over, alerts in red.

    A dot is the day on which it was found. Of very many, the alerts and then the oldest are shown.
    """
    shown = sorted(groups, key=lambda group: (group[0].level != "alert", group[0].first_us))[:_MOST_FINDINGS]
    shown.sort(key=lambda group: (group[0].first_us, group[0].since_us, group[0].finding))
    with canvas(7.6, 1.1 + 0.3 * len(shown)) as (figure, axes):
        for place, (each, *_) in enumerate(shown):
            colour = ALARM if each.level == "alert" else OTHER
            since, found = local_day(each.since_us, zone), local_day(each.first_us - 1, zone)
            over = local_day(each.cleared_us - 1, zone) if each.cleared_us is not None else today
            axes.hlines(place, since, max(over, found), color=colour, linewidth=5, alpha=0.35)
            axes.plot(found, place, "o", color=colour, markersize=6, clip_on=False)
        axes.set_yticks(range(len(shown)), [_group_name(group) for group in shown])
        for tick, (each, *_) in zip(axes.get_yticklabels(), shown, strict=True):
            tick.set(color=ALARM if each.level == "alert" else INK)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(*_span(life))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        for mark in marks:
            axes.axvline(mark.day, color=RULE_LINE, linewidth=1, zorder=0)
        axes.set_title("What was found, and how long it lasted")
        _dates(axes)
    return svg_text(figure, "findings")


def _rates(axes: Axes, life: Daily, *, shares: bool) -> None:
    def said(value: float) -> str:
        return f"{value:.0%}" if shares else f"{value:,.4g}"

    labels = []
    happened = "happened" if shares else "came"
    for values, words, colour in ((life.mean_score, "predicted", MODEL), (life.mean_label, happened, INK)):
        axes.plot(life.day, values, color=colour, linewidth=0.8, alpha=0.3)
        smooth = _week_mean(values, life.known)
        axes.plot(life.day, smooth, color=colour, linewidth=2)
        if np.isfinite(smooth).any():
            last = float(smooth[np.isfinite(smooth)][-1])
            labels.append((last, f"{words}  {said(last)}", colour))
    if shares:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: said(value))
    axes.yaxis.grid(visible=True, color=RULE_LINE, linewidth=0.5)
    how_often = "How often it happened, and how often it was predicted to"
    axes.set_title(how_often if shares else "What came, and what was predicted", pad=30)
    beside(axes, labels)


def _earned(axes: Axes, life: Daily, currency: str) -> None:
    labels = []
    axes.axhline(0, color=INK, linewidth=0.8)
    for per_day, words, colour in ((life.rule, "rule", OTHER), (life.model, "model", MODEL)):
        if not np.isfinite(per_day).any():
            continue
        total = np.cumsum(np.nan_to_num(per_day))
        axes.plot(life.day, total, color=colour, linewidth=2)
        labels.append((float(total[-1]), f"{words}  {total[-1]:,.0f}", colour))
    axes.yaxis.set_major_formatter(lambda amount, _: f"{amount:,.0f}")
    axes.yaxis.grid(visible=True, color=RULE_LINE, linewidth=0.5)
    axes.set_title(f"What acting on it has earned so far, {currency}")
    beside(axes, labels)


def _upright(rates: Axes, money: Axes, marks: tuple[Mark, ...], life: Daily) -> None:
    """Draw the marks through both pictures, and their words above the upper one, in two rows where they are close."""
    low, high = _span(life)
    rates.set_xlim(low, high)
    free = [-np.inf, -np.inf]
    inside = [mark for mark in marks if low <= mark.day <= high]
    for mark in inside:
        colour = ALARM if mark.kind == "rollback" else FAINT if mark.kind == "retrain" else INK
        style = ":" if mark.kind == "retrain" else "-"
        for axes in (rates, money):
            axes.axvline(mark.day, color=colour, linewidth=1, linestyle=style, alpha=0.7, zorder=1)
        at = (mark.day - low) / (high - low)
        row = 0 if at >= free[0] else 1
        if at < free[row]:
            continue  # no room: the line still stands, and the words are in the list below
        free[row] = at + 0.016 * len(mark.word)
        rates.annotate(
            mark.word,
            (mark.day, 1),
            xytext=(2 if at < 0.9 else -2, 3 + 12 * row),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=colour,
            fontsize=8.5,
            ha="left" if at < 0.9 else "right",
        )


def _week_mean(values: Floats, weight: NDArray[np.int64]) -> Floats:
    """Return the mean of the last seven days, each weighing as many outcomes as it has."""
    known = np.where(np.isfinite(values), weight, 0).astype(np.float64)
    kernel = np.ones(_WEEK)
    total = np.convolve(np.nan_to_num(values) * known, kernel)[: len(values)]
    count = np.convolve(known, kernel)[: len(values)]
    mean: Floats = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return mean


def _group_name(group: tuple[Finding, ...]) -> str:
    first = group[0]
    signal, subject = first.signal.replace("-", " "), first.subject
    rest = f" and {len(group) - 1} more" if len(group) > 1 else ""
    name = signal if subject in {"", "label", "model", first.signal} else f"{signal}: {subject}"
    return (name if len(name) <= _NAME_CHARS else f"{name[: _NAME_CHARS - 1]}…") + rest


def _span(life: Daily) -> tuple[int, int]:
    """Return the first day and the one after the last; matplotlib counts days from 1970-01-01 as we do."""
    return int(life.day[0]), int(life.day[-1]) + 1


def _dates(axes: Axes) -> None:
    import matplotlib.dates

    locator = matplotlib.dates.AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(lambda at, _: day_words(at))
