"""How things stand, on one screen that a leader understands; and what happened, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.screens.generic import show_mapping, value_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headway.screens.page import Page

__all__ = ["show_history", "show_status"]


def show_status(page: Page, stands: Mapping[str, Any]) -> None:
    """Write how things stand."""
    page.title("Status")
    show_mapping(page, stands)


def show_history(page: Page, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write what happened, oldest first."""
    if not lines:
        page.words("Nothing has happened yet.")
        return
    names = list(dict.fromkeys(name for line in lines for name in line))
    page.table(["" for _ in names], [[value_text(name, line.get(name)) for name in names] for line in lines])
