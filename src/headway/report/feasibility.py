"""The page of a check: go or not, for a leader in a minute; one HTML file without a script or anything fetched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.define.phrasing import length, percent, sentence
from headway.define.promise import SIGNIFICANT
from headway.nouns.clock import format_moment
from headway.nouns.metric import metric_of
from headway.nouns.span import DAY, HOUR, MINUTE
from headway.report.page import filled, inline, write_page
from headway.validate.plots import ALARM, FAINT, INK, MODEL, OTHER, RULE_LINE, beside, canvas, svg_text

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from headway.api import Project
    from headway.loop.results import Checked

__all__ = ["curve_svg", "features_svg", "maturity_svg", "tornado_svg", "write_feasibility"]

_NAME = "feasibility.html"
_MOST_FEATURES = 12
_UNKNOWN = (
    "Too little is known to say: money wants models that were scored on five days or more that they had not seen."
)
_LEAKING = "Not said: it would rest on what is known only afterwards."
_ASSUMPTIONS = {
    "true_positive": "a right call",
    "false_positive": "a call in vain",
    "over": "a unit too much",
    "under": "a unit too little",
    "monthly": "running, a month",
    "retraining_per_month": "retraining, a month",
}


def write_feasibility(project: Project, checked: Checked, path: str | os.PathLike[str] | None = None) -> Path:
    """Write the page of what a check found, and return where it is.

    Parameters
    ----------
    path
        The file; by default among the store's reports. It appears whole, or not at all.

    Raises
    ------
    StoreFull, StoreError
        When the file cannot be written.
    """
    facts, brief = checked.facts, project.brief
    filters: dict[str, Callable[..., str]] = {
        "assumption": lambda name: _ASSUMPTIONS.get(str(name), str(name)),
        "length_of": length,
        "percent": percent,
        "sentence": lambda text: sentence(text[:1].upper() + text[1:]),
        "sum": _sum,
    }
    signal = facts["signal"]
    closed = [gate for answer in checked.answers for gate in answer["gates"]]
    leaks = any(gate["name"] == "leak" for gate in closed)
    page = filled(
        "feasibility.html.jinja",
        filters,
        brief=brief,
        name=project.folder.resolve().name,
        checked=checked,
        facts=facts,
        signal=signal,
        payoff=None if leaks else facts["payoff"],
        silence=_LEAKING if leaks else _UNKNOWN,
        says=_says(signal, {gate["name"] for gate in closed}),
        metric=metric_of(signal["metric"]).words if signal is not None else "",
        verdict=_verdict(checked.advice),
        gates=[{**gate, "overridden": gate["name"] not in checked.closed_gates} for gate in closed],
        labels=checked.labels,
        maturity=_maturity_words(checked),
        now=format_moment(facts["as_of_us"], zone=brief.split.zone)[:16].replace("T", " "),
        figures={name: inline(svg, name=name) for name, svg in _figures(facts).items()},
    )
    target = Path(path) if path is not None else project.store.reports / _NAME
    write_page(target, page.encode())
    return target


def _says(signal: dict[str, Any] | None, gates: set[str]) -> str:
    """Return whether the data say anything, in a word or two."""
    if "leak" in gates:
        return "too much"
    if "signal" in gates:
        return "no"
    if signal is not None and signal["p_value"] <= SIGNIFICANT:
        return "yes"
    return "only together" if signal is not None and signal["foretold"] else "not surely"


def _verdict(advice: dict[str, Any]) -> str:
    """Return the verdict's sentence without the state, which stands beside it."""
    if advice["state"] == "no-go":
        return "As it stands, nothing should be built:"
    words: str = advice["words"]
    return sentence(words.partition(": ")[2][:1].upper() + words.partition(": ")[2][1:])


def _maturity_words(checked: Checked) -> str:
    """Return what the curve of the labels shows, from the evidence of the second question."""
    said = dict(next(answer for answer in checked.answers if answer["name"] == "data")["evidence"])
    return f"Labels are known: {said.get('labels are known', '')}. Not yet mature: {said.get('not yet mature', '')}."


def _sum(amount: float) -> str:
    """Return a sum of money; of small ones the cents.

    Examples
    --------
    >>> _sum(31_284.2), _sum(-0.35)
    ('31,284', '-0.35')
    """
    return f"{amount:,.0f}" if abs(amount) >= 100 or not amount else f"{amount:,.2f}"


def _figures(facts: dict[str, Any]) -> dict[str, str]:
    drawn: dict[str, str] = {}
    signal, payoff, maturity = facts["signal"], facts["payoff"], facts["availability"]["maturity"]
    if signal is not None:
        drawn["features"] = features_svg(signal["by_feature"])
        if signal["curve"] is not None:
            drawn["curve"] = curve_svg(signal["curve"], metric=signal["metric"])
    if payoff is not None and payoff["assumptions"]:
        drawn["tornado"] = tornado_svg(payoff)
    if maturity is not None:
        drawn["maturity"] = maturity_svg(maturity)
    return drawn


def maturity_svg(maturity: dict[str, Any]) -> str:
    """Return the share of the labels that are known so long after the prediction."""
    points = np.array(maturity["points"])
    units = ((DAY, "days"), (HOUR, "hours"), (MINUTE, "minutes"))
    size, unit = next((one for one in units if maturity["p99_us"] > 2 * one[0]), units[-1])
    with canvas(7.2, 2.6) as (figure, axes):
        axes.step(points[:, 0] * DAY / size, points[:, 1], where="post", color=MODEL, linewidth=2)
        marks = (
            {maturity["p99_us"]: 0.99, maturity["median_us"]: 0.5} if maturity["median_us"] < maturity["p99_us"] else {}
        )
        for us, share in marks.items():
            axes.vlines(us / size, 0, share, color=FAINT, linewidth=1, linestyle=":")
            axes.annotate(
                f"{share:.0%}: {length(us)}", (us / size, 0), xytext=(4, 5), textcoords="offset points", color=INK
            )
        axes.set_ylim(0, 1.04)
        axes.set_xlim(left=0)
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        axes.yaxis.grid(visible=True, color=RULE_LINE, linewidth=0.5)
        axes.set_xlabel(f"{unit} after the prediction")
        axes.set_title("Share of the labels that are known")
    return svg_text(figure, "maturity")


def curve_svg(curve: dict[str, Any], *, metric: str) -> str:
    """Return the metric over the rows learned from, the law through it, and where more data would lead."""
    with canvas(7.2, 3.4) as (figure, axes):
        rows = np.array([point["rows"] for point in curve["points"]])
        scores = [point["score"] for point in curve["points"]]
        law = np.array(curve["fitted"])
        past = law[:, 0] <= rows.max()
        axes.axhline(curve["chance"], color=FAINT, linewidth=1)
        axes.vlines(rows, [s["low"] for s in scores], [s["high"] for s in scores], color=MODEL, alpha=0.35, linewidth=3)
        axes.plot(rows, [s["value"] for s in scores], "o", color=MODEL, markersize=6)
        axes.plot(law[past, 0], law[past, 1], color=MODEL, linewidth=1.5)
        if curve["tells"]:
            axes.plot(law[~past, 0], law[~past, 1], color=MODEL, linewidth=1.5, linestyle="--")
        axes.set_xscale("log", base=2)
        axes.minorticks_off()
        # Sizes that are nearly the same share a mark, or their words would lie on each other.
        marks = rows[np.append(np.diff(np.log2(rows)) > 0.5, [True])]
        axes.set_xticks(marks, [f"{each:,}" for each in marks])
        axes.set_xlabel("examples learned from")
        name = metric_of(metric).words
        axes.set_title(f"{name[:1].upper()}{name[1:]}, by how much was learned from")
        last = float(scores[-1]["value"])
        beside(axes, [(curve["chance"], "no skill", FAINT), (last, f"now {last:.2f}", MODEL)])
    return svg_text(figure, "learning-curve")


def tornado_svg(payoff: dict[str, Any]) -> str:
    """Return a bar for each assumption: from the least to the most of the monthly net at half, as is, and half more."""
    shown = payoff["assumptions"]
    now = payoff["worth"]["monthly_net"]["value"]
    with canvas(7.2, 1.3 + 0.42 * len(shown)) as (figure, axes):
        for place, one in enumerate(shown):
            low, _, high = sorted((one["net_low"], now, one["net_high"]))
            axes.barh(place, high - low, left=low, height=0.55, color=ALARM if one["turns"] else MODEL, alpha=0.6)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.axvline(now, color=OTHER, linewidth=1.5)
        axes.set_yticks(range(len(shown)), [_ASSUMPTIONS.get(one["name"], one["name"]) for one in shown])
        for tick in axes.get_yticklabels():
            tick.set_color(INK)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(lambda amount, _: f"{amount:,.0f}")
        axes.xaxis.grid(visible=True, color=RULE_LINE, linewidth=0.5)
        axes.set_title(f"Left a month, {payoff['worth']['currency']}, each assumption alone changed by half")
    return svg_text(figure, "tornado")


def features_svg(by_feature: list[Any]) -> str:
    """Return how many times as well as chance each feature ranks alone, the best on top."""
    shown = by_feature[:_MOST_FEATURES]
    with canvas(7.2, 1.2 + 0.28 * len(shown)) as (figure, axes):
        axes.axvline(1, color=FAINT, linewidth=1)
        for place, (_, lift) in enumerate(shown):
            axes.hlines(place, 1, lift, color=MODEL, alpha=0.4, linewidth=2.5)
            axes.plot(lift, place, "o", color=MODEL, markersize=5)
        axes.set_yticks(range(len(shown)), [name for name, _ in shown])
        for tick in axes.get_yticklabels():
            tick.set_color(INK)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("times as well as chance")
        axes.set_title("What each feature says alone")
    return svg_text(figure, "features")
