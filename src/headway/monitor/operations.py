"""Facts of one day that need no statistics: late, stale, missing, failing, unheard-of.

Each rule compares a measured figure with a limit. A fact is certain, so that it takes nothing from the promised rate
of false alarms; whether it pages depends on its size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headway.monitor.reference import Agreement
from headway.nouns.summary import latency_quantile_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headway.monitor.day import Cohort, Day
    from headway.monitor.reference import Reference
    from headway.nouns.finding import FindingKind, Level
    from headway.nouns.summary import Summary

__all__ = ["Fact", "agreement_today", "facts"]

_FEWEST_ROWS = 50
_LEAST_ALIKE = 0.7


Figures = dict[str, float | int | str]


class Fact(NamedTuple):
    """One limit passed on one day; `headway.nouns.finding.Finding` says what the fields mean."""

    kind: FindingKind
    signal: str
    subject: str
    level: Level
    message: str
    todo: str
    evidence: Figures


def facts(
    reference: Reference, day: Day, summary: Summary, *, usual_rows: float, agreements: tuple[float, ...] = ()
) -> tuple[Fact, ...]:
    """Return the limits that the day passed.

    ``usual_rows`` is the median of recent days; ``agreements`` the rank correlations of the live release with the one
    before on the last three days, today's last (`agreement_today`).
    """
    found = [*_service(reference, summary), *_lookups(day, summary), *_columns(reference, day, summary)]
    found += [*_volume(summary, usual_rows), *_disagreement(reference, day, agreements), *_replay(day)]
    for cohort in day.cohorts:
        found += _coverage(reference, cohort)
    return tuple(found)


def _service(reference: Reference, summary: Summary) -> Iterator[Fact]:
    requests = max(summary.answers, summary.rows) + summary.errors
    share = summary.errors / requests if requests else 0.0
    if share > 0.01:
        yield Fact(
            "operational", "errors", "answers", "alert",
            f"{share:.1%} of the requests failed for our fault ({summary.errors} of {requests}); 1.0% is the limit.",
            "Look at the server's log; roll back if it began with a release.",
            {"share": share, "errors": summary.errors},
        )  # fmt: skip
    limit = reference.latency_p99_us
    if limit is not None and summary.answers >= 100:
        p99 = latency_quantile_us(summary, 0.99)
        # The sketch may be one bin too high: a limit counts as passed only where it surely is.
        if p99 > limit * 2.0 ** (1 / 8):
            yield Fact(
                "operational", "latency", "answers", "alert",
                f"One answer in a hundred took longer than {p99 / 1000:.1f} ms; the limit is {limit / 1000:.1f} ms.",
                "Look at the machine's load and the size of requests; roll back if it began with a release.",
                {"p99_us": p99, "limit_us": limit},
            )  # fmt: skip


def _lookups(day: Day, summary: Summary) -> Iterator[Fact]:
    for name, rows in sorted(summary.stale.items()):
        share = rows / summary.rows if summary.rows else 0.0
        if share > 0:
            age = day.traffic.oldest_hours.get(name)
            figures: Figures = {"share": share, "rows": rows}
            if age is not None:
                figures["oldest_hours"] = age
            old = "older than its max_age" if age is None else f"up to {age:.0f} hours old"
            yield Fact(
                "operational", "stale", name, "alert" if share > 0.1 else "report",
                f"{name} was {old} for {share:.1%} of the predictions, which were made without it.",
                f"See why {name} is not refreshed. Do not retrain: the model is not at fault.",
                figures,
            )  # fmt: skip


def _columns(reference: Reference, day: Day, summary: Summary) -> Iterator[Fact]:
    if summary.rows < _FEWEST_ROWS:
        return
    # A source that is late says so once, not once more for each feature that it leaves missing.
    explained = {feature for name in summary.stale for feature in day.traffic.looked_up.get(name, ())}
    noise = 3.0 * math.sqrt(0.25 / summary.rows)
    for name, column in reference.bins.columns.items():
        counts = summary.columns[name]
        missing, usual = counts[0] / summary.rows, column.counts[0] / reference.bins.rows
        if name not in explained and missing > usual + column.healthy + max(0.05, noise):
            yield Fact(
                "quality", "missing", name, "alert" if missing > usual + column.healthy + 0.25 else "report",
                f"{name} is missing in {missing:.1%} of the predictions, {usual:.1%} when the release was judged.",
                f"See whether the source of {name} still delivers. Do not retrain on the gap.",
                {"share": missing, "reference": usual},
            )  # fmt: skip
        unseen = counts[1] / summary.rows if column.kind == "category" else 0.0
        if unseen > 0.02:
            yield Fact(
                "quality", "unseen", name, "alert" if unseen > 0.2 else "report",
                f"{unseen:.1%} of the predictions have a {name} that the reference has never seen.",
                f"See whether {name} is spelt anew; if the values are real, retrain once they have outcomes.",
                {"share": unseen},
            )  # fmt: skip


def _volume(summary: Summary, usual_rows: float) -> Iterator[Fact]:
    if usual_rows >= _FEWEST_ROWS and summary.rows < 0.5 * usual_rows:
        yield Fact(
            "operational", "volume", "predictions", "alert" if summary.rows < 0.1 * usual_rows else "report",
            f"{summary.rows} predictions were made; {usual_rows:.0f} are usual.",
            "See whether requests still arrive; a holiday explains itself.",
            {"rows": summary.rows, "usual": usual_rows},
        )  # fmt: skip


def _coverage(reference: Reference, cohort: Cohort) -> Iterator[Fact]:
    missing = reference.coverage - cohort.coverage
    if len(cohort.labels) and missing > 0.05:
        yield Fact(
            "operational", "outcomes-overdue", "outcomes", "alert" if cohort.coverage < 0.5 else "report",
            f"Only {cohort.coverage:.1%} of the outcomes have come in; {reference.coverage:.0%} were due by now.",
            "See whether outcomes are still delivered: without them performance cannot be watched.",
            {"coverage": cohort.coverage, "cohort": cohort.day},
        )  # fmt: skip


def agreement_today(day: Day) -> Agreement | None:
    """Return how alike the live release and the one before score today's rows; ``None`` below 50 rows."""
    previous = day.traffic.previous_scores
    if previous is None:
        return None
    both = ~np.isnan(previous)
    found = Agreement.of(day.traffic.scores[both], previous[both]) if both.sum() >= _FEWEST_ROWS else None
    return None if found is None or math.isnan(found.correlation) else found


def _disagreement(reference: Reference, day: Day, agreements: tuple[float, ...]) -> Iterator[Fact]:
    """Two honest releases rank a day alike but for an odd one: two days of the last three must fall short."""
    live, expected = agreement_today(day), reference.agreement
    if live is None:
        return
    limit = _LEAST_ALIKE if expected is None else min(_LEAST_ALIKE, expected.correlation - 0.1)
    short = sum(value < limit for value in agreements)
    if short:
        then = "" if expected is None else f", {expected.correlation:.2f} when it was judged"
        yield Fact(
            "prediction", "disagreement", "against the previous release", "alert" if short >= 2 else "report",
            "The live release ranks the same traffic unlike the one it replaced: "
            f"rank correlation {live.correlation:.2f}{then}; scores differ by {live.difference:.3f} on average.",
            "Compare how the two get their features; roll back unless the difference is meant.",
            {"correlation": live.correlation, "difference": live.difference, "limit": limit, "days_short": short},
        )  # fmt: skip


def _replay(day: Day) -> Iterator[Fact]:
    replayed = day.traffic.replayed_scores
    if replayed is None or not len(replayed):
        return
    wrong = int((np.abs(replayed - day.traffic.scores) > 1e-5 * np.maximum(1.0, np.abs(replayed))).sum())
    if wrong:
        yield Fact(
            "operational", "replay", "scores", "alert",
            f"{wrong} of {len(replayed)} served scores are not what the released model says of the same features.",
            "The server does not run what was released: redeploy or roll back, do not retrain.",
            {"rows": wrong, "share": wrong / len(replayed)},
        )  # fmt: skip
