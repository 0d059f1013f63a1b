"""What a round of tending did: one line a day, and each finding with what to do."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from headway.screens.figures import counted, moment

if TYPE_CHECKING:
    from headway.loop.tend import DayClosed, Tended
    from headway.screens.page import Page

__all__ = ["show_tended"]

_ACTIONS = {"rollback": "bad", "retrain": "warn", "promote": "good", "keep": "strong"}


def show_tended(page: Page, tended: Tended, *, zone: str = "UTC") -> None:
    """Write what a round did; days on which nobody asked and nothing happened share a line."""
    note = f"{len(tended.days)} days closed" if tended.days else "no day is over since the last round"
    page.title(
        f"{moment(tended.as_of_us, zone=zone)}  {tended.release} in service",
        f"{note}; online store {counted(tended.store_rows, 'row')}",
    )
    for empty, days in itertools.groupby(tended.days, key=_empty):
        if empty:
            silent = list(days)
            until = f" to {silent[-1].day}" if len(silent) > 1 else ""
            page.line(
                f"{silent[0].day}{until}", silent[0].release, ("nobody asked, nothing was found", "dim"), indent=2
            )
        else:
            for day in days:
                _show_day(page, day)


def _empty(day: DayClosed) -> bool:
    return not (day.predictions or day.matured or day.found) and day.action == "nothing"


def _outcomes(day: DayClosed) -> str:
    """Return how many of the outcomes that were due have come, and what they were like, by the kind of target."""
    if not day.matured:
        return f"{'no':>7} outcomes were due"
    parts = [f"{day.came:>7,} of {day.matured:,} outcomes came"]
    if day.mean_label is not None:
        parts.append(
            {
                "condition": f"{day.positives:,} true",
                "category": f"{day.positives:,} of the class acted on",
                "number": f"{day.mean_label:.4g} on average",
                "ranking": f"{day.positives:,} relevant",
            }[day.task]
        )
    return ", ".join([*parts, *([f"{day.void:,} void"] if day.void else [])])


def _show_day(page: Page, day: DayClosed) -> None:
    alerts = sum(finding.level == "alert" for finding in day.found)
    found = f"{len(day.found)} found" if day.found else "nothing found"
    page.line(
        day.day,
        f"{day.release:<4}",
        f"{day.predictions:>7,} predictions",
        _outcomes(day),
        (
            found + (f", {alerts} to be seen now" if alerts else ""),
            "bad" if alerts else "warn" if day.found else "dim",
        ),
        ("" if day.action == "nothing" else f"{day.action}: {day.why}", _ACTIONS.get(day.action, "")),
        indent=2,
    )
    for finding in day.found:
        page.words(f"{finding.level}: {finding.message}", tone="bad" if finding.level == "alert" else "warn", indent=6)
        if finding.how_sure:
            page.words(f"how sure: {finding.how_sure}", tone="dim", indent=8)
        if finding.todo:
            page.words(f"to do: {finding.todo}", indent=8)
