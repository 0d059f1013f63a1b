"""Figures as a leader reads them: shares, lengths of time, sums of money, lists."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from headway.nouns.span import DAY, HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headway.nouns.interval import Interval

__all__ = ["amounts", "day_text", "length", "listed", "money", "percent", "sentence"]


def sentence(text: str) -> str:
    """Return a text with a full stop, where it has no end yet."""
    text = text.strip()
    return text if text[-1:] in {".", "!", "?"} else f"{text}."


def percent(share: float) -> str:
    """Return a share in percent, with a digit more where it is small.

    Examples
    --------
    >>> percent(0.17), percent(0.0231), percent(0.00004), percent(0.0)
    ('17%', '2.3%', 'less than 0.1%', '0%')
    """
    if 0 < share < 0.0005:
        return "less than 0.1%"
    return f"{share:.1%}" if 0 < share < 0.0995 else f"{share:.0%}"


def money(amount: float, currency: str) -> str:
    """Return a sum in its currency."""
    return f"{amount:,.0f} {currency}" if abs(amount) >= 100 else f"{amount:,.2f} {currency}"


def amounts(interval: Interval) -> str:
    """Return a sum with its interval."""
    digits = 0 if max(abs(interval.low), abs(interval.high)) >= 100 else 2
    return f"{interval.value:,.{digits}f} [{interval.low:,.{digits}f}, {interval.high:,.{digits}f}]"


def length(us: int) -> str:
    """Return a length of time in the unit that a person would choose.

    Examples
    --------
    >>> length(17_400_000_000), length(30 * DAY), length(DAY)
    ('4.83 hours', '30 days', '24 hours')
    """
    for unit, size in (("day", DAY), ("hour", HOUR), ("minute", MINUTE)):
        if us >= 2 * size:
            return f"{us / size:.3g} {unit}s"
    return f"{us / SECOND:.3g} seconds"


def listed(words: Iterable[str], *, most: int = 20) -> str:
    """Return words with commas; of very many, the first.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = list(words)
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown} and {len(every) - most} more"


def day_text(day: int) -> str:
    """Return a day since 1970-01-01 as a date.

    Examples
    --------
    >>> day_text(16_069)
    '2013-12-30'
    """
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()
