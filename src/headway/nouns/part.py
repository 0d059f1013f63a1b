"""A part of all examples, drawn across time: how a quota that is meant for all of them is spent on it.

Where examples are not split by time, a day of the test holds a fifth of what came on that day. The whole quota would be
spent on nearly everybody there, and what a day earned would be that of a fifth of its traffic.

The file hides how a quota is cut, and how many actions each one that is left stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headway.nouns.act_on import Quota

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.nouns.calls import Calls, Places

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

__all__ = ["Part"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How each example of a part is acted on; one entry per example of it.

    Attributes
    ----------
    stands_for
        How many actions on all examples each action here stands for.
    of_all
        How many times as many examples there are in all, on the days from the first here to the last.
    quota
        How many of its unit (day, round, group) are acted on here; None where there is no quota.
    bar
        Of a number under a quota: the label that is just among as many highest of its *whole* unit; else None.
    """

    stands_for: Floats
    of_all: float
    quota: Ints | None = None
    bar: Floats | None = None

    @classmethod
    def of(cls, calls: Calls, places: Places, label: Floats, *, here: Bools) -> Part:
        """Return how the examples that are ``here`` are acted on, of all whose places and labels are given.

        Examples
        --------
        Of eight examples a day two are here; of three actions a day one is left, which stands for three.

        >>> from headway.nouns.brief import Value
        >>> from headway.nouns.calls import Calls, Places
        >>> day = np.repeat([1, 2], 8)
        >>> calls = Calls(task="condition", act_on=Quota(k=3), value=Value())
        >>> here = np.arange(16) % 8 < 2
        >>> part = Part.of(calls, Places(day=day, round=day), np.zeros(16), here=here)
        >>> part.quota.tolist(), part.stands_for.tolist()
        ([1, 1, 1, 1], [3.0, 3.0, 3.0, 3.0])
        """
        day = places.day
        # Of the days that money is counted over: from the first to the last that has an example here.
        among = (day >= day[here].min()) & (day <= day[here].max())
        of_all = float(among.sum() / here.sum())
        if not isinstance(calls.act_on, Quota):
            return cls(stands_for=np.full(int(here.sum()), of_all), of_all=of_all)
        k, unit = calls.act_on.k, places.unit(calls.act_on)
        _, at = np.unique(unit, return_inverse=True)
        whole = np.bincount(at)
        wanted = np.minimum(k, whole) * np.bincount(at, weights=here) / whole
        # A unit of which little is here keeps one action, which then stands for less than one of its own.
        quota = np.maximum(1, np.rint(wanted)).astype(np.int64)
        bar = _bars(label, at, k)[at] if calls.task == "number" else None
        return cls(
            stands_for=(of_all * wanted / quota)[at][here],
            of_all=of_all,
            quota=quota[at][here],
            bar=None if bar is None else bar[here],
        )


def _bars(label: Floats, at: NDArray[np.intp], k: int) -> Floats:
    """Return the ``k``-th highest label of each unit, or its lowest where it has fewer."""
    order = np.lexsort((-label, at))
    size = np.bincount(at)
    first = np.cumsum(size) - size
    bars: Floats = label[order][first + np.minimum(k, size) - 1]
    return bars
