"""What a terminal shows: one module per screen, from plain data to a page; none of them decides anything."""

from __future__ import annotations

__all__: list[str] = []
