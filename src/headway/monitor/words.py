"""How evidence is put into plain words; the file hides every sentence that is not in the table of signals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from headway.nouns.finding import Finding, day_text, odds_text

if TYPE_CHECKING:
    from headway.monitor.evidence import Stream
    from headway.monitor.operations import Fact
    from headway.monitor.signals import Signal
    from headway.nouns.summary import ColumnBins

__all__ = ["SCORE", "of_drift", "of_fact", "of_signal"]

SCORE = "(score)"
"""The name of the scores among the columns; no feature can be called so."""

_PAGING = ("outcomes", "serving")


def of_fact(fact: Fact, *, today: int, since: int) -> Finding:
    """Return the finding of a limit that was passed today."""
    return Finding(
        kind=fact.kind,
        signal=fact.signal,
        subject=fact.subject,
        level=fact.level,
        since=since,
        found_on=today,
        how_sure=odds_text(math.inf),
        message=fact.message,
        todo=fact.todo,
        evidence=fact.evidence,
    )


def of_signal(signal: Signal, stream: Stream, then: float, *, log_odds: float, today: int, currency: str) -> Finding:
    """Return the finding of a signal whose family has alarmed; ``then`` is its figure while healthy."""
    now = stream.mean
    figures = {"now": _shown(now, signal.shown, currency), "then": _shown(then, signal.shown, currency)}
    return Finding(
        kind=signal.kind,
        signal=signal.name,
        subject=signal.subject,
        level="alert" if signal.family in _PAGING else "report",
        since=stream.since,
        found_on=today,
        odds=math.exp(min(log_odds, 700.0)),
        how_sure=odds_text(log_odds),
        message=signal.message.format(**figures) + _span(stream),
        todo=signal.todo,
        evidence={"now": now, "then": then, "days": stream.count},
    )


def of_drift(name: str, column: ColumnBins, stream: Stream, *, log_odds: float, today: int) -> Finding:
    """Return the finding that a feature, or the score, falls into its bins otherwise than in the reference."""
    score = name == SCORE
    what = "The scores have shifted" if score else f"{name} has shifted"
    return Finding(
        kind="prediction" if score else "data",
        signal="drift",
        subject=name,
        level="report",
        since=stream.since,
        found_on=today,
        odds=math.exp(min(log_odds, 700.0)),
        how_sure=odds_text(log_odds),
        message=f"{what}: {stream.mean:.0%} of the predictions would have to change their bin{_span(stream)}",
        todo="Nothing while performance, calibration and money hold; keep it in mind when they do not.",
        evidence={"moved": stream.mean, "healthy_distance": column.healthy, "days": stream.count},
    )


def _shown(value: float, how: str, currency: str) -> str:
    if how == "money":
        return f"{value:,.0f} {currency}"
    if how == "percent":
        return f"{value:.1%}"
    if how == "points":
        return f"{100 * value:+.1f} points"
    return f"{value:+.3f} nats" if how == "nats" else f"{value:.3f}"


def _span(stream: Stream) -> str:
    days = f"{stream.count} day" + ("s" if stream.count != 1 else "")
    return f" (mean of {days} since {day_text(stream.since)})."
