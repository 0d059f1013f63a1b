"""What is measured, and how: every figure beside its limit, both taken in the same run on the same machine.

Absolute times mean nothing on machines that others share; a ratio does. So each bench times the thing and its
limit by turns (A B A B), and compares the medians.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NotBuilt", "Ratio", "by_turns", "ratio_of"]


class NotBuilt(Exception):
    """What the bench would measure does not exist yet; the text says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A figure, the limit it was measured against, and how far it may be off.

    Attributes
    ----------
    name
        What was measured.
    figure
        The measured value, in ``unit``; None when nothing could be measured, and ``note`` says why.
    limit
        What it is held against, in the same unit and from the same run; None for a figure that stands alone.
    ratio
        ``figure / limit``, or None.
    bound
        The ratio that may not be exceeded, or None.
    """

    name: str
    figure: float | None
    limit: float | None = None
    ratio: float | None = None
    bound: float | None = None
    unit: str = "s"
    note: str = ""

    @property
    def ok(self) -> bool | None:
        """Whether the bound holds; None where there is none, or nothing was measured.

        Examples
        --------
        >>> Ratio(name="help", figure=0.05, limit=0.02, ratio=2.5, bound=6.0).ok
        True
        """
        return None if self.ratio is None or self.bound is None else self.ratio <= self.bound


def by_turns(first: Callable[[], object], second: Callable[[], object], *, repeats: int) -> tuple[float, float]:
    """Return the median seconds of each, timed A B A B so that a slow minute of the machine hits both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for call, taken in zip((first, second), seconds, strict=True):
            started = time.perf_counter()
            call()
            taken.append(time.perf_counter() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def ratio_of(
    name: str,
    measured: Callable[[], object],
    limit: Callable[[], object],
    *,
    bound: float,
    repeats: int = 5,
    note: str = "",
) -> Ratio:
    """Return how many times longer ``measured`` takes than ``limit``; both run once unmeasured, to warm up."""
    measured()
    limit()
    figure, least = by_turns(measured, limit, repeats=repeats)
    return Ratio(name=name, figure=figure, limit=least, ratio=figure / least, bound=bound, note=note)
