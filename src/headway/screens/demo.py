"""The demonstration as it goes, and the figures that it ends with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from headway.screens.figures import interval, money_interval, seconds, short

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.demo.run import Summary
    from headway.screens.page import Page

__all__ = ["show_demo", "telling"]


def telling(progress: Any, *, silent: bool) -> Callable[[str], None]:
    """Return what writes a line of the story: above the bars, where there are any."""
    if silent:
        return lambda _: None
    if progress is not None:
        return progress.say  # type: ignore[no-any-return]
    return lambda line: print(line, file=sys.stderr, flush=True)  # noqa: T201  (a log of its own, beside the result)


def show_demo(page: Page, summary: Summary) -> None:
    """Write what the demonstration showed."""
    report, verdict = summary.run, summary.run.verdict
    worth = verdict["money"]
    currency = worth["currency"]
    below = [f"{s['column']} = {s['value']}" for s in verdict["segments"] if s["below_bar"]]
    page.section("What was shown")
    page.facts(
        [
            ("data", f"{sum(report.rows.values()):,} examples with {report.features} features; {report.void:,} void"),
            ("leaks", f"{report.leaks_checked} checks, {len(report.leaks_failed)} not passed"),
            ("trials", f"{report.trials}; {report.reason}"),
            (
                f"test {verdict['metric'].replace('_', ' ')}",
                f"{interval(verdict['score'])}; the rule {interval(verdict['rule_score'])}",
            ),
            (
                "money per day",
                (
                    f"{money_interval(worth['model'], currency)}; the rule {money_interval(worth['rule'], currency)}; "
                    f"more than the rule {money_interval(worth['gain'], currency)}"
                ),
            ),
            ("segments below the bar", ", ".join(below) or "none"),
            (
                "served",
                (
                    f"{summary.served:,} predictions (every {summary.sample}. flight), "
                    f"p50 {summary.p50_ms:.1f} ms, p99 {summary.p99_ms:.1f} ms"
                ),
            ),
            ("outcomes", f"{summary.outcomes:,}, {summary.void:,} of them void; {summary.days_closed} days closed"),
            (
                "features compared",
                f"{summary.features_compared:,} as served and as recomputed; {summary.features_different:,} differ",
            ),
        ]
    )
    page.section("Found", f"{len(summary.findings)} findings")
    page.table(
        ["day", "level", "what"],
        [[f["day"], (f["level"], "bad" if f["level"] == "alert" else "warn"), f["message"]] for f in summary.findings],
        indent=2,
    )
    page.section("Retraining")
    page.table(["day", "did", "why"], [[r["day"], r["action"], r["why"]] for r in summary.retrainings], indent=2)
    back = summary.rolled_back
    late = "" if summary.delay_days is None else f", {summary.delay_days} days after it began ({summary.onset})"
    page.gap()
    page.facts(
        [
            (
                "bad release",
                f"planted on {summary.planted}; "
                + (f"rolled back on {back['day']}: {back['why']}" if back else "NOT rolled back"),
            ),
            ("December's rise", f"found on {summary.found_on}{late}" if summary.found_on else ("NOT found", "bad")),
            ("traced", short(str(_traced_id(summary.traced)))),
            ("took", ", ".join(f"{name} {seconds(taken)}" for name, taken in summary.seconds.items())),
            ("report", (summary.report, "strong")),
        ]
    )
    # The replay ended with the year 2013; what is asked of it now is asked as of then.
    there = f"--project {summary.folder} --as-of 2014-01-01T05:01:00Z"
    page.next(
        (f"headway status {there}", "how things stand"),
        (f"headway trace {there} {_traced_id(summary.traced)}", "one prediction, to the source rows"),
        (f"headway history {there}", "what happened"),
        (f"headway serve {there}", "and ask it yourself"),
    )


def _traced_id(traced: dict[str, Any]) -> str:
    found = traced.get("prediction", traced.get("id", ""))
    return str(found.get("id", "")) if isinstance(found, dict) else str(found)
