"""The way from a prediction back to source rows, and forward to outcome and money, as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.screens.generic import grow
from headway.screens.page import Branch
from headway.screens.plain import as_plain

if TYPE_CHECKING:
    from headway.screens.page import Page

__all__ = ["show_trace"]


def show_trace(page: Page, traced: Any) -> None:
    """Write a trace."""
    data = as_plain(traced)
    root = Branch(
        f"prediction {data.get('prediction', {}).get('id', '') if isinstance(data.get('prediction'), dict) else data.get('prediction', '')}".strip(),
        tone="strong",
    )
    grow(root, data)
    page.tree(root)
