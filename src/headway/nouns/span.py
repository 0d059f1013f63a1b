"""Lengths of time as the brief writes them: ``"2 hours"``, ``"30 days"``, ``"20 ms"``.

A length is held in whole microseconds, the resolution of the engine's timestamps, so that training and
serving shift a moment by the very same integer.
"""

from __future__ import annotations

import re
from fractions import Fraction

from headway.errors import BriefError, did_you_mean

__all__ = ["DAY", "HOUR", "MILLISECOND", "MINUTE", "SECOND", "WEEK", "format_span", "parse_span"]

MILLISECOND = 1_000
SECOND = 1_000 * MILLISECOND
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

_LONGEST = 3_652_425 * DAY

_UNITS = {"us": 1, "ms": MILLISECOND, "second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY, "week": WEEK}
_SHAPE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*", re.IGNORECASE)


def parse_span(text: str) -> int:
    """Return the microseconds that ``text`` stands for.

    A day is 24 hours here, whatever a local clock does: windows are lengths, not calendar days.

    Raises
    ------
    BriefError
        When the text is not a number and a unit.

    Examples
    --------
    >>> parse_span("2 hours") // MINUTE
    120
    >>> parse_span("20 ms")
    20000
    """
    match = _SHAPE.fullmatch(text)
    unit = "" if match is None else match[2].lower()
    unit = "ms" if unit == "m" and text.strip().endswith("ms") else unit
    unit = "us" if unit == "u" else unit
    if match is None or unit not in _UNITS:
        hint = did_you_mean(unit, _UNITS) if unit else "Write a number and a unit, such as '2 hours' or '30 days'."
        raise BriefError(f"{text!r} is not a length of time.", hint=hint)
    us = round(Fraction(match[1]) * _UNITS[unit])
    if us > _LONGEST:
        raise BriefError(f"{text!r} is longer than ten thousand years.", hint="Write a length that somebody waits for.")
    return us


def format_span(us: int) -> str:
    """Return ``us`` microseconds in the largest unit that keeps them whole.

    Examples
    --------
    >>> format_span(7_200_000_000)
    '2 hours'
    >>> format_span(86_400_000_000)
    '1 day'
    """
    for unit in ("week", "day", "hour", "minute", "second", "ms"):
        size = _UNITS[unit]
        if us and us % size == 0 and not (unit == "week" and us // size < 2):
            count = us // size
            return f"{count} {unit}" + ("s" if count != 1 and unit != "ms" else "")
    return f"{us} us"
