"""A figure with its interval: no score travels without one."""

from __future__ import annotations

import msgspec

__all__ = ["Interval"]


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate with the bounds that hold it at ``level`` confidence.

    Examples
    --------
    >>> str(Interval(value=0.312, low=0.298, high=0.327))
    '0.312 [0.298, 0.327]'
    """

    value: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"
