"""Four small pictures of a verdict, as SVG text.

The file hides the drawing: one palette, labels beside what they name instead of a legend, no frame, and the
same bytes for the same figures (no date, ids salted by the picture's kind).
"""

from __future__ import annotations

import datetime as dt
import io
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.nouns.metric import average_precision, silent_is_lowest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from headway.nouns.interval import Interval
    from headway.nouns.verdict import Calibration, SegmentResult

    Floats = NDArray[np.float64]

__all__ = [
    "beside",
    "calibration_svg",
    "canvas",
    "day_words",
    "money_svg",
    "precision_recall_svg",
    "segments_svg",
    "svg_text",
]

INK, FAINT, RULE_LINE = "#1f2933", "#8a94a0", "#d5dae0"
MODEL, OTHER, ALARM = "#0b6e99", "#a5762c", "#b3362b"

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar sign in a name is one
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": RULE_LINE,
    "axes.labelcolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 12,
    "axes.axisbelow": True,
    "xtick.color": RULE_LINE,
    "ytick.color": RULE_LINE,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "lines.solid_capstyle": "round",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_STYLING = threading.Lock()  # matplotlib's settings are one for the process, and a server draws in threads
_POINTS = 400  # of a line: more than a screen shows


def precision_recall_svg(score: ArrayLike, rule: ArrayLike | None, label: ArrayLike, *, rule_name: str = "") -> str:
    """Return precision over recall, of the model, today's rule, and picking at random."""
    return svg_text(_precision_recall(score, rule, label, rule_name=rule_name), "precision-recall")


def calibration_svg(calibration: Calibration) -> str:
    """Return observed over predicted rate, a bar being the interval of the observed one."""
    return svg_text(_calibration(calibration), "calibration")


def money_svg(
    days: ArrayLike, model: Floats, rule: Floats | None, *, currency: str, mean: Interval, rule_mean: Interval | None
) -> str:
    """Return what each day earned, and the mean with its interval, for the model and today's rule.

    Parameters
    ----------
    days
        Days since 1970-01-01, ascending; one for each entry of ``model`` and ``rule``.
    """
    return svg_text(_money(days, model, rule, currency=currency, mean=mean, rule_mean=rule_mean), "money")


def segments_svg(segments: Sequence[SegmentResult], overall: Interval) -> str:
    """Return the ranking quality of each segment beside that of all, those that are below the bar in red."""
    return svg_text(_segments(segments, overall), "segments")


def _precision_recall(score: ArrayLike, rule: ArrayLike | None, label: ArrayLike, *, rule_name: str) -> Figure:
    y = np.asarray(label, dtype=np.float64)
    base = float(y.mean())
    lines = [(np.asarray(score, dtype=np.float64), "model", MODEL)]
    if rule is not None:
        lines.append((silent_is_lowest(rule), f"rule: {rule_name}" if rule_name else "today's rule", OTHER))
    with canvas(5.6, 3.6) as (figure, axes):
        axes.axhline(base, color=FAINT, linewidth=1, zorder=1)
        top, said = 2 * base, []
        for values, name, colour in lines:
            recall, precision = _precision_recall_points(values, y)
            axes.plot(recall, precision, color=colour, linewidth=2, zorder=3)
            top = max(top, float(np.max(precision[recall >= 0.02], initial=0.0)))  # the first few are noise
            said.append((f"{name}, average {average_precision(values, y):.2f}", colour))
        said.append((f"picked at random, {base:.2f}", FAINT))
        axes.set(xlim=(0, 1), ylim=(0, min(1.02, top * 1.15)), xlabel="share of all positives found")
        for place, (words, colour) in enumerate(said):  # in the corner that falling curves leave free
            axes.annotate(
                words,
                (1, 1),
                xytext=(0, -4 - 15 * place),
                xycoords="axes fraction",
                textcoords="offset points",
                ha="right",
                va="top",
                color=colour,
                weight="bold" if colour != FAINT else "normal",
            )
        axes.set_title("How many of those listed are right")
        _percent(axes)
    return figure


def _calibration(calibration: Calibration) -> Figure:
    with canvas(4.4, 3.8) as (figure, axes):
        predicted = np.array([each.predicted for each in calibration.bins])
        observed = np.array([each.observed.value for each in calibration.bins])
        bounds = np.array([[each.observed.low, each.observed.high] for each in calibration.bins]).reshape(-1, 2)
        far = float(max(predicted.max(initial=0.0), bounds.max(initial=0.0), 0.02)) * 1.08
        axes.plot([0, far], [0, far], color=RULE_LINE, linewidth=1.2, zorder=1)
        axes.vlines(predicted, bounds[:, 0], bounds[:, 1], color=MODEL, alpha=0.35, linewidth=2.5, zorder=2)
        axes.plot(predicted, observed, "o", color=MODEL, markersize=5, zorder=3)
        _corner(axes, "happens more often", x=0.03, y=0.97)
        _corner(axes, "less often", x=0.98, y=0.03)
        axes.set_aspect("equal")
        axes.set(xlim=(0, far), ylim=(0, far), xlabel="predicted probability")
        axes.set_title("Does it happen as often as predicted?")
        _percent(axes, digits=0 if far > 0.05 else 1)
    return figure


def _money(
    days: ArrayLike, model: Floats, rule: Floats | None, *, currency: str, mean: Interval, rule_mean: Interval | None
) -> Figure:
    import matplotlib.dates

    when = np.asarray(days, dtype=np.int64).astype("datetime64[D]").astype(dt.datetime)
    with canvas(7.2, 3.4) as (figure, axes):
        axes.axhline(0, color=INK, linewidth=0.8, zorder=1)
        labels, digits = [], 0 if max(abs(mean.low), abs(mean.high)) >= 100 else 2
        for per_day, interval, name, colour in ((rule, rule_mean, "rule", OTHER), (model, mean, "model", MODEL)):
            if per_day is None or interval is None:
                continue
            axes.plot(when, per_day, color=colour, linewidth=1, alpha=0.45, zorder=2)
            axes.axhspan(interval.low, interval.high, color=colour, alpha=0.13, linewidth=0, zorder=1)
            axes.axhline(interval.value, color=colour, linewidth=2, zorder=3)
            labels.append((interval.value, f"{name}  {interval.value:,.{digits}f}", colour))
        axes.set_xlim(when[0], when[-1])
        beside(axes, labels)
        locator = matplotlib.dates.AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(lambda at, _: day_words(at))
        axes.yaxis.set_major_formatter(lambda amount, _: f"{amount:,.0f}")
        axes.yaxis.grid(visible=True, color=RULE_LINE, linewidth=0.5)
        axes.set_title(f"What acting on it earns, {currency} a day")
    return figure


def _segments(segments: Sequence[SegmentResult], overall: Interval) -> Figure:
    shown = [segment for segment in segments if segment.roc_auc is not None]
    rows: list[str | SegmentResult] = []
    for column in dict.fromkeys(segment.column for segment in shown):
        rows += [column, *(segment for segment in shown if segment.column == column)]
    with canvas(5.6, max(1.9, 1.2 + 0.24 * len(rows))) as (figure, axes):
        axes.axvspan(overall.low, overall.high, color=FAINT, alpha=0.16, linewidth=0)
        axes.axvline(overall.value, color=FAINT, linewidth=1)
        for place, row in enumerate(rows):
            if isinstance(row, str) or row.roc_auc is None:
                continue
            colour = ALARM if row.below_bar or row.harmed else MODEL
            axes.hlines(place, row.roc_auc.low, row.roc_auc.high, color=colour, alpha=0.4, linewidth=2.5)
            axes.plot(row.roc_auc.value, place, "o", color=colour, markersize=5)
            if row.rule_roc_auc is not None:
                axes.plot(row.rule_roc_auc, place, "|", color=OTHER, markersize=8, markeredgewidth=1.8)
        axes.set_yticks(range(len(rows)), [row if isinstance(row, str) else row.value for row in rows])
        for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
            tick.set(color=INK, weight="bold" if isinstance(row, str) else "normal")
        axes.set_ylim(max(len(rows) - 0.4, 0.6), -0.6)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        silent = len(segments) - len(shown)
        axes.set_xlabel("ROC AUC" + (f"; {silent} segments are too small to say" if silent else ""))
        axes.set_title("Is it as good for everyone?")
        _keys(axes, overall, first_rule=shown[0].rule_roc_auc if shown else None)
    return figure


def _keys(axes: Axes, overall: Interval, *, first_rule: float | None) -> None:
    """Say above the first row what band and tick are."""
    axes.annotate(
        f"all {overall.value:.2f}",
        (overall.value, 1),
        xytext=(0, 2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color=FAINT,
        fontsize=9,
        ha="center",
        va="bottom",
    )
    if first_rule is not None:
        axes.text(first_rule, 0, "today's rule", color=OTHER, fontsize=9, ha="center", va="center")  # beside a heading


def _corner(axes: Axes, words: str, *, x: float, y: float) -> None:
    ha, va = ("left" if x < 0.5 else "right"), ("bottom" if y < 0.5 else "top")
    axes.text(x, y, words, color=FAINT, fontsize=9, ha=ha, va=va, transform=axes.transAxes)


def _precision_recall_points(score: Floats, label: Floats) -> tuple[Floats, Floats]:
    """Return recall and precision at each distinct score, thinned to what a line can show."""
    order = np.argsort(-score, kind="stable")
    s, hits = score[order], np.cumsum(label[order])
    ends = np.append(np.flatnonzero(s[1:] != s[:-1]), len(s) - 1)
    recall, precision = hits[ends] / max(hits[-1], 1), hits[ends] / (ends + 1)
    if len(recall) > _POINTS:
        keep = np.unique(np.searchsorted(recall, np.linspace(0, 1, _POINTS)).clip(0, len(recall) - 1))
        recall, precision = recall[keep], precision[keep]
    return recall, precision


def day_words(at: float) -> str:
    """Return a day as '7 Aug', whatever the machine's language; ``at`` counts days since 1970-01-01."""
    day = np.datetime64(round(at), "D").astype(dt.date)
    return f"{day.day} {_MONTHS[day.month - 1]}"


def beside(axes: Axes, labels: list[tuple[float, str, str]]) -> None:
    """Write labels to the right of the axes at their heights, pushed apart where they would touch."""
    low, high = axes.get_ylim()
    at = -np.inf
    for height, words, colour in sorted(labels):
        at = max(at + 0.09, (height - low) / (high - low))
        axes.text(1.015, at, words, color=colour, weight="bold", va="center", transform=axes.transAxes)


@contextmanager
def canvas(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure drawn in the house's style; neither pyplot nor a global figure is touched."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with _STYLING, mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def _percent(axes: Axes, *, digits: int = 0) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda share, _: f"{share:.{digits}%}")


def svg_text(figure: Figure, kind: str) -> str:
    """Return a figure as SVG: the same bytes for the same figure; ``kind`` salts its ids."""
    import matplotlib as mpl

    text = io.StringIO()
    with _STYLING, mpl.rc_context({**_STYLE, "svg.hashsalt": f"headway-{kind}"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return text.getvalue()
