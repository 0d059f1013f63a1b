"""The page of a check: go or not, for a leader in a minute; one HTML file without a script or anything fetched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.report.page import inline, write_page
from headway.validate.plots import ALARM, FAINT, INK, MODEL, OTHER, RULE_LINE, beside, canvas, svg_text

if TYPE_CHECKING:
    import os

    from headway.api import Project
    from headway.loop.results import Checked

__all__ = ["curve_svg", "features_svg", "tornado_svg", "write_feasibility"]

_NAME = "feasibility.html"
_MOST_FEATURES = 12


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
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    facts, brief = checked.facts, project.brief
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("feasibility.html.jinja").render(
        brief=brief,
        name=project.folder.resolve().name,
        checked=checked,
        facts=facts,
        signal=facts["signal"],
        payoff=facts["payoff"],
        figures={name: inline(svg, name=name) for name, svg in _figures(facts).items()},
    )
    target = Path(path) if path is not None else project.store.reports / _NAME
    write_page(target, page.encode())
    return target


def _figures(facts: dict[str, Any]) -> dict[str, str]:
    drawn: dict[str, str] = {}
    signal, payoff = facts["signal"], facts["payoff"]
    if signal is not None:
        drawn["features"] = features_svg(signal["by_feature"])
        if signal["curve"] is not None:
            drawn["curve"] = curve_svg(signal["curve"], metric=signal["metric"], chance=signal["chance"])
    if payoff is not None and payoff["assumptions"]:
        drawn["tornado"] = tornado_svg(payoff)
    return drawn


def curve_svg(curve: dict[str, Any], *, metric: str, chance: float) -> str:
    """Return the metric over the rows learned from, the law through it, and where more data would lead."""
    with canvas(7.2, 3.4) as (figure, axes):
        rows = np.array([point["rows"] for point in curve["points"]])
        scores = [point["score"] for point in curve["points"]]
        law = np.array(curve["fitted"])
        past = law[:, 0] <= rows.max()
        axes.axhline(chance, color=FAINT, linewidth=1)
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
        axes.set_title(metric.replace("_", " ").capitalize() + ", by how much was learned from")
        last = float(scores[-1]["value"])
        beside(axes, [(chance, "no skill", FAINT), (last, f"now {last:.2f}", MODEL)])
    return svg_text(figure, "learning-curve")


def tornado_svg(payoff: dict[str, Any]) -> str:
    """Return a bar for each assumption: the monthly net when it alone is half, and half as much again."""
    shown = payoff["assumptions"]
    now = payoff["worth"]["monthly_net"]["value"]
    with canvas(7.2, 1.3 + 0.42 * len(shown)) as (figure, axes):
        for place, one in enumerate(shown):
            low, high = sorted((one["net_low"], one["net_high"]))
            axes.barh(place, high - low, left=low, height=0.55, color=ALARM if one["turns"] else MODEL, alpha=0.6)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.axvline(now, color=OTHER, linewidth=1.5)
        axes.set_yticks(range(len(shown)), [one["name"].replace("_", " ") for one in shown])
        for tick in axes.get_yticklabels():
            tick.set_color(INK)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(lambda amount, _: f"{amount:,.0f}")
        axes.xaxis.grid(visible=True, color=RULE_LINE, linewidth=0.5)
        axes.set_title(f"Net a month, {payoff['worth']['currency']}, each assumption changed alone by half")
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
