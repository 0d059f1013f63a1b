"""Lists: the runs, the findings, and what a check of the store came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.screens.figures import day, moment, seconds, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headway.screens.page import Page

__all__ = ["show_findings", "show_runs", "show_verified"]

_STATES = {"finished": "good", "running": "warn", "failed": "bad"}


def show_runs(page: Page, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the runs."""
    if not rows:
        page.words("No run has begun yet.")
        page.next(("headway run", "to train, validate and package"))
        return
    ordered = sorted(rows, key=lambda row: int(row["seq"]))
    page.table(
        ["run", "state", "as of", "began", "took", "model", ""],
        [
            [
                row["run"],
                (row["state"], _STATES.get(row["state"], "")),
                moment(row["as_of_us"]),
                moment(row["started_us"]),
                seconds(row["seconds"]),
                short(row["model"]),
                row["winner_reason"] or row["error"] or "",
            ]
            for row in ordered
        ],
        right=[4],
    )


def show_findings(page: Page, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what was found."""
    if not rows:
        page.words("Nothing has been found.")
        return
    ordered = sorted(rows, key=lambda row: int(row["seq"]))
    page.table(
        ["since", "found", "level", "state", "what", "to do"],
        [
            [
                day(row["since_us"]),
                day(row["first_us"]),
                (row["level"], "bad" if row["level"] == "alert" and not row["cleared_us"] else "warn"),
                f"over since {day(row['cleared_us'])}" if row["cleared_us"] else "open",
                row["message"],
                row["todo"],
            ]
            for row in ordered
        ],
    )


def show_verified(page: Page, checked: Mapping[str, Any]) -> None:
    """Write what a check of the store came to."""
    page.title("Verified", "the store is whole", tone="good")
    page.facts(
        [
            ("ledger", f"{checked['events']:,} events, head {short(checked['head'])}"),
            ("blobs", f"{checked['blobs']:,} files, {checked['bytes'] / 1e6:,.1f} MB"),
        ]
    )
