"""Local days: the stretches by which traffic is summarised and splits are cut, numbered from 1970-01-01."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

__all__ = ["day_bounds_us", "local_day"]


def local_day(moment_us: int, zone: str) -> int:
    """Return the day, counted from 1970-01-01, that a clock in ``zone`` shows."""
    local = dt.datetime.fromtimestamp(moment_us / 1e6, tz=ZoneInfo(zone)).date()
    return (local - dt.date(1970, 1, 1)).days


def day_bounds_us(day: int, zone: str) -> tuple[int, int]:
    """Return the first moment of a local day, and the first one after it."""
    date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    midnights = (
        dt.datetime.combine(each, dt.time(), tzinfo=ZoneInfo(zone)) for each in (date, date + dt.timedelta(days=1))
    )
    first, after = (round(midnight.timestamp() * 1e6) for midnight in midnights)
    return first, after
