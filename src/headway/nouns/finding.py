"""A finding: what was noticed about the living model, since when, how sure, and what to do.

A **report** is for whoever looks; an **alert** pages somebody. Drift alone reports, harm alerts.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Literal

import msgspec

__all__ = ["Finding", "FindingKind", "Level", "day_text", "odds_text"]

FindingKind = Literal["data", "concept", "prediction", "operational", "quality", "performance", "business"]
Level = Literal["report", "alert"]

_EPOCH = dt.date(1970, 1, 1)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One signal with its evidence.

    Attributes
    ----------
    kind
        Which side of the model it concerns.
    signal, subject
        What was measured, and of what: ``base-rate`` of ``label``, ``drift`` of ``wind``.
    level
        Whether it pages.
    since
        The day on which it seems to have begun, in days since 1970-01-01.
    found_on
        The day at whose close it was found.
    odds
        The evidence against "nothing has changed": a healthy model gets here at most once in so many days on
        average. ``None`` for a plain fact, such as a look-up that is 27 hours old.
    how_sure
        The same in words.
    message, todo
        Plain sentences.
    evidence
        Figures, flat.
    """

    kind: FindingKind
    signal: str
    subject: str
    level: Level
    since: int
    found_on: int
    odds: float | None = None
    how_sure: str = ""
    message: str = ""
    todo: str = ""
    evidence: dict[str, float | int | str] = {}

    @property
    def id(self) -> str:
        """The same for the same trouble, however often it is computed.

        Examples
        --------
        >>> Finding(kind="data", signal="drift", subject="wind", level="report", since=16040, found_on=16041).id
        'drift:wind:2013-12-01'
        """
        return f"{self.signal}:{self.subject}:{day_text(self.since)}"


def day_text(day: int) -> str:
    """Return the date of a day number.

    Examples
    --------
    >>> day_text(16040)
    '2013-12-01'
    """
    return (_EPOCH + dt.timedelta(days=day)).isoformat()


def odds_text(log_odds: float) -> str:
    """Return how sure one may be, in words and a number, from the natural logarithm of `Finding.odds`.

    Examples
    --------
    >>> odds_text(6.0)
    'very likely real: chance alone gets here at most once in 400 days'
    >>> odds_text(math.inf)
    'certain: a measured fact'
    """
    if log_odds == math.inf:
        return "certain: a measured fact"
    words = ((9.2, "almost certainly real"), (5.0, "very likely real"), (3.0, "likely real"), (-math.inf, "suspected"))
    word = next(text for bound, text in words if log_odds >= bound)
    if log_odds > math.log(1e6):
        return f"{word}: chance alone gets here less than once in a million days"
    days = math.exp(max(log_odds, 0.0))
    return f"{word}: chance alone gets here at most once in {round(days, -int(math.log10(days))):,.0f} days"
