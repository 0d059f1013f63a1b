"""What a round of tending did: one line a day, and each finding with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.screens.figures import moment

if TYPE_CHECKING:
    from headway.loop.tend import DayClosed, Tended
    from headway.screens.page import Page

__all__ = ["show_day", "show_tended"]

_ACTIONS = {"rollback": "bad", "retrain": "warn", "promote": "good", "keep": "strong", "nothing": "dim"}


def show_tended(page: Page, tended: Tended, *, zone: str = "UTC") -> None:
    """Write what a round did."""
    note = f"{len(tended.days)} days closed" if tended.days else "no day is over since the last round"
    page.title(
        f"{moment(tended.as_of_us, zone=zone)}  {tended.release} in service",
        f"{note}; online store {tended.store_rows:,} rows",
    )
    for day in tended.days:
        show_day(page, day)


def show_day(page: Page, day: DayClosed) -> None:
    """Write one day."""
    alerts = sum(finding.level == "alert" for finding in day.found)
    found = f"{len(day.found)} findings" if day.found else "nothing found"
    tone = "bad" if alerts else "warn" if day.found else "dim"
    page.table(
        ["", "", "", "", "", ""],
        [
            [
                day.day,
                day.release,
                f"{day.predictions:,} predictions",
                f"{day.matured:,} outcomes, {day.positives:,} true",
                (found + (f", {alerts} to be seen now" if alerts else ""), tone),
                ("" if day.action == "nothing" else f"{day.action}: {day.why}", _ACTIONS.get(day.action, "")),
            ]
        ],
        indent=2,
    )
    for finding in day.found:
        tone = "bad" if finding.level == "alert" else "warn"
        page.words(f"{finding.level}: {finding.message}", tone=tone, indent=6)
        if finding.how_sure:
            page.words(f"how sure: {finding.how_sure}", tone="dim", indent=8)
        if finding.todo:
            page.words(f"to do: {finding.todo}", indent=8)
