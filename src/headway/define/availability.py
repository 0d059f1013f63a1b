"""How available the data are when it counts: the nouns of :mod:`~headway.define.maturity` and its neighbours.

Figures only; :mod:`headway.define.supply_evidence` says them in words, and :mod:`headway.define.supply` judges.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Availability", "LookUp", "Maturity", "Outage", "Swing"]


class Maturity(msgspec.Struct, frozen=True, kw_only=True):
    """How long after the prediction its label is known, by the product-limit estimate.

    Attributes
    ----------
    points
        Days after the prediction, and the share of the labels that are known by then, of those that ever are.
    median_us, p95_us, p99_us, worst_us
        When half, 95 %, 99 % and all of them are known; data older than ``p99_us`` are mature.
    never
        Share of the examples that never get a label.
    since_us, immature
        From when on labels are not mature, the examples being too young or a horizon open; how many these are.
    waiting, expected
        Of the immature: how many have no label, and how many of these are expected to get one.
    """

    points: tuple[tuple[float, float], ...]
    median_us: int
    p95_us: int
    p99_us: int
    worst_us: int
    never: float
    since_us: int
    immature: int
    waiting: int
    expected: float


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """Days on end (since 1970-01-01, both included) on which most look-ups found nothing fresh."""

    first_day: int
    last_day: int
    examples: int
    share: float


class LookUp(msgspec.Struct, frozen=True, kw_only=True):
    """How one source, matched in one way, looks from ``predict_at``.

    Attributes
    ----------
    mine, theirs
        The columns matched, of the example and of the source.
    features
        Those that are looked up in this way.
    kind
        ``static``: one row a key, without time; ``nearest``: the place nearby; ``latest``: the last row known;
        ``window``: all rows of a while.
    absent, unnamed
        Shares of the examples whose key the source never has, and whose key is missing.
    nothing
        Share of the examples for which no row was known, be it never or not yet.
    median_us, p95_us, worst_us, worst_at_us
        Age of the latest row known, and the moment of the prediction that met the oldest. None where there is none.
    bound, limit_us, stale
        What the brief allows: the shortest ``max_age``, or else the shortest window; and the share of examples that
        find only older rows.
    outages
        When most found nothing within ``limit_us``.
    step_us
        Between one row of a key and its next, at the median.
    tied
        Share of the source's rows beside which another one of the same match and moment says otherwise.
    truncated
        Share of the examples whose window reaches back beyond the source's first event.
    """

    source: str
    mine: tuple[str, ...]
    theirs: tuple[str, ...]
    features: tuple[str, ...]
    kind: Literal["static", "nearest", "latest", "window"]
    absent: float
    unnamed: float
    nothing: float
    median_us: int | None = None
    p95_us: int | None = None
    worst_us: int | None = None
    worst_at_us: int | None = None
    bound: Literal["", "max_age", "window"] = ""
    limit_us: int | None = None
    stale: float = 0.0
    outages: tuple[Outage, ...] = ()
    step_us: int | None = None
    tied: float = 0.0
    truncated: float = 0.0


class Swing(msgspec.Struct, frozen=True, kw_only=True):
    """How the label swings with the weekday or from month to month.

    Attributes
    ----------
    seen
        How many whole weeks or years the examples cover.
    shows
        Whether it swings beyond what chance does.
    low, high, low_name, high_name
        The lowest and the highest mean, and whose they are; None where there are too few days to ask.
    """

    of: Literal["week", "year"]
    seen: float
    shows: bool = False
    low: float | None = None
    high: float | None = None
    low_name: str = ""
    high_name: str = ""


class Availability(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; ``maturity`` is None where no label is known."""

    maturity: Maturity | None = None
    look_ups: tuple[LookUp, ...] = ()
    swings: tuple[Swing, ...] = ()
