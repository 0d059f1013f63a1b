"""The features that there are, and those that there could be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headway.screens.page import Page

__all__ = ["show_features", "show_suggestions"]

_SHOWN = 12


def show_features(page: Page, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write each feature with its unit, where it comes from, and what it costs."""
    page.table(
        ["feature", "kind", "unit", "is", "missing", "look-ups", "steps", "kB"],
        [
            [
                row["name"],
                row["kind"],
                row["unit"],
                row["text"],
                row["missing"],
                f"{row['look_ups']}",
                f"{row['steps']:,}",
                f"{row['bytes'] / 1e3:,.0f}",
            ]
            for row in rows
        ],
        right=[5, 6, 7],
    )
    page.words("Features of one source, key and window share their look-up: its steps and bytes count for each.")


def show_suggestions(page: Page, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what could be added, with what it adds, and the lines to paste."""
    from headway.nouns.metric import metric_of

    if not rows:
        page.words("Nothing can be proposed that the brief does not have.")
        return
    page.table(
        ["feature", "adds", "95 % from", "to", "look-ups", "steps"],
        [
            [
                row["name"],
                (f"{row['gain']:+.4f}", "good" if row["low"] > 0 else ""),
                f"{row['low']:+.4f}",
                f"{row['high']:+.4f}",
                f"{row['look_ups']}",
                f"{row['steps']:,}",
            ]
            for row in rows[:_SHOWN]
        ],
        right=[1, 2, 3, 4, 5],
    )
    metric = metric_of(rows[0]["metric"])
    way = "higher" if metric.higher else "lower"
    page.words(f"How much {way}, and so better, the {metric.words} of the validation side is; one feature at a time.")
    for row in rows[:_SHOWN]:
        if row["low"] > 0:
            page.words(row["toml"])
