"""The port through which somebody may watch; the terminal's bars and a test's list are behind it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["NoProgress", "Progress"]


class Progress(Protocol):
    """Told what is going on; must not raise."""

    def start(self, step: str, *, total: int | None = None) -> None:
        """Say that ``step`` begins, in ``total`` parts if that is known; said again when it becomes known."""
        ...

    def advance(self, step: str, amount: int = 1, *, note: str = "") -> None:
        """Say that ``amount`` more parts of ``step`` are done."""
        ...

    def finish(self, step: str, *, reused: bool, seconds: float) -> None:
        """Say that ``step`` is done, or need not be done."""
        ...


class NoProgress:
    """Nobody watches."""

    def start(self, step: str, *, total: int | None = None) -> None:
        """Do nothing."""

    def advance(self, step: str, amount: int = 1, *, note: str = "") -> None:
        """Do nothing."""

    def finish(self, step: str, *, reused: bool, seconds: float) -> None:
        """Do nothing."""
