"""What two looks at the same rows say of when a value was known: the later one has what the earlier one lacked."""

from __future__ import annotations

import math

import msgspec

__all__ = ["Hindsight", "least_share"]


class Hindsight(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a source, in rows of which the brief says that it was known when the earlier version was taken.

    Attributes
    ----------
    rows
        Rows that both versions have, with a value in the later one.
    filled, changed
        How many of them had no value in the earlier version; how many another one.
    """

    source: str
    column: str
    rows: int
    filled: int
    changed: int


def least_share(hits: int, of: int, *, z: float = 3.09) -> float:
    """Return the lower bound of Wilson's interval for a share (Wilson 1927); by default one in a thousand lies below.

    Examples
    --------
    >>> round(least_share(30, 100), 3), least_share(0, 100)
    (0.181, 0.0)
    """
    if not of:
        return 0.0
    share = hits / of
    middle = share + z * z / (2 * of)
    reach = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, (middle - reach) / (1 + z * z / of))
