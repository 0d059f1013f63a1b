"""What a clock on the wall reads, and the moment it means: the one-row forms and the engine's texts, side by side.

The file hides time zones. Moments are microseconds since 1970 in UTC. The engine has its own copy of the world's
time-zone rules (ICU), Python another; the tests hold them equal where both know the same rules.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = [
    "EARLIEST_US",
    "IN_CALENDAR",
    "LATEST_US",
    "LOCAL_TIME_SQL",
    "MONTH_END_SQL",
    "NEXT_LOCAL_SQL",
    "at_clock_sql",
    "clock_sql",
    "in_utc_sql",
    "is_zone",
    "local_clock",
    "local_clock_read",
    "local_time",
    "month_end",
    "next_local",
]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (UTC throughout; zone-less arithmetic is several times faster)
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)

EARLIEST_US = (datetime(1, 1, 3) - _EPOCH) // _US  # noqa: DTZ001
LATEST_US = (datetime(9999, 12, 29) - _EPOCH) // _US  # noqa: DTZ001
"""Between these two every zone's clock shows a year from 1 to 9999; outside of them a reading is missing."""

IN_CALENDAR = f"{{0}} BETWEEN make_timestamp({EARLIEST_US}::BIGINT) AND make_timestamp({LATEST_US}::BIGINT)"


def clock_sql(moment: str, zone: str) -> str:
    """Return the engine's text of what a clock in ``zone`` reads at ``moment``, a time in UTC; missing if infinite.

    The engine's times with and without a zone count the same microseconds. Taking them over as they are costs next to
    nothing; asking it for the clock of UTC costs as much as that of any other zone.
    """
    return f"timezone({zone}, make_timestamptz(epoch_us({moment})))"


def at_clock_sql(reading: str, zone: str) -> str:
    """Return the engine's text of the time in UTC at which a clock in ``zone`` reads ``reading``; missing if infinite.

    What carries an offset of its own (TIMESTAMP WITH TIME ZONE) is such a time already: :func:`in_utc_sql`.
    """
    return in_utc_sql(f"timezone({zone}, {reading})")


def in_utc_sql(instant: str) -> str:
    """Return the engine's text of the time in UTC of an instant (TIMESTAMP WITH TIME ZONE); missing if infinite."""
    return f"make_timestamp(epoch_us({instant}))"


_READING = "to_minutes((({0}) // 100) * 60 + ({0}) % 100)"
# 1260 is no time of day: a clock that is said to read it is missing, not taken for 13:00.
_IS_READING = "(({0}) BETWEEN 0 AND 2400 AND ({0}) % 100 < 60)"

_READ = f"try(make_timestamp({{0}}, {{1}}, {{2}}, 0, 0, 0)) + {_READING.format('{3}')}"
LOCAL_TIME_SQL = (
    f"(CASE WHEN {_IS_READING.format('{3}')} AND {{0}} BETWEEN 2 AND 9998 THEN {at_clock_sql(_READ, '{4}')} END)"
)
_THERE = clock_sql("{0}", "{2}")
_SAME_DAY = f"date_trunc('day', {_THERE}) + {_READING.format('{1}')}"
_NEXT = f"{_SAME_DAY} + (CASE WHEN {_SAME_DAY} > {_THERE} THEN INTERVAL 0 DAY ELSE INTERVAL 1 DAY END)"
NEXT_LOCAL_SQL = f"(CASE WHEN {_IS_READING.format('{1}')} AND {IN_CALENDAR} THEN {at_clock_sql(_NEXT, '{2}')} END)"
_CLOCK = clock_sql("{0}", "{1}")
_MONTH_END = f"date_trunc('month', {_CLOCK}) + INTERVAL 1 MONTH"
MONTH_END_SQL = (
    f"(CASE WHEN {IN_CALENDAR} AND year({_CLOCK}) BETWEEN 2 AND 9998 THEN {at_clock_sql(_MONTH_END, '{1}')} END)"
)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"{name!r} is not a time zone"
        raise ValueError(message) from None


def is_zone(name: str) -> bool:
    """Return whether ``name`` is a zone of the IANA database, such as ``America/New_York``.

    Examples
    --------
    >>> is_zone("Europe/Berlin"), is_zone("Berlin"), is_zone("../etc/passwd")
    (True, False, False)
    """
    try:
        _zone(name)
    except ValueError:
        return False
    return True


def local_clock(moment_us: int, zone: str) -> datetime | None:
    """Return what a clock in ``zone`` reads at a moment; None where its calendar would leave the years 1 to 9999."""
    if not EARLIEST_US <= moment_us <= LATEST_US:
        return None
    return (_EPOCH_UTC + timedelta(microseconds=moment_us)).astimezone(_zone(zone))


def local_time(year: int, month: int, day: int, hhmm: int, zone: str) -> int | None:
    """Return the moment at which a clock in ``zone`` reads this; None for a day or a time of day there is not.

    Examples
    --------
    >>> local_time(2013, 3, 10, 300, "America/New_York") - local_time(2013, 3, 10, 100, "America/New_York")
    3600000000
    >>> local_time(2013, 2, 29, 1200, "UTC") is None
    True
    """
    here = _zone(zone)
    if not (_is_reading(hhmm) and 2 <= year <= 9998):
        return None
    try:
        midnight = datetime(year, month, day)  # noqa: DTZ001  (a local clock's reading)
    except (ValueError, OverflowError):
        return None
    return _instant(midnight + timedelta(hours=hhmm // 100, minutes=hhmm % 100), here)


def next_local(after_us: int, hhmm: int, zone: str) -> int | None:
    """Return the first moment after ``after_us`` at which a clock in ``zone`` reads ``hhmm``.

    Examples
    --------
    >>> next_local(0, 30, "UTC") // 60_000_000, next_local(0, 0, "UTC") // 60_000_000
    (30, 1440)
    """
    clock = local_clock(after_us, zone)
    if clock is None or not _is_reading(hhmm):
        return None
    local = clock.replace(tzinfo=None)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    reading = midnight + timedelta(hours=hhmm // 100, minutes=hhmm % 100)
    return _instant(reading if reading > local else reading + timedelta(days=1), _zone(zone))


def local_clock_read(reading_us: int, zone: str) -> int | None:
    """Return the moment at which a clock in ``zone`` reads what a clock in UTC reads at ``reading_us``.

    Examples
    --------
    >>> local_clock_read(0, "America/New_York") // 3_600_000_000
    5
    """
    here = _zone(zone)
    if not EARLIEST_US <= reading_us <= LATEST_US:
        return None
    return _instant(_EPOCH + timedelta(microseconds=reading_us), here)


def month_end(moment_us: int, zone: str) -> int | None:
    """Return the moment at which the month after this one begins in ``zone``.

    Examples
    --------
    >>> month_end(0, "UTC") // 86_400_000_000
    31
    """
    clock = local_clock(moment_us, zone)
    if clock is None or not 2 <= clock.year <= 9998:
        return None
    year, month = (clock.year + 1, 1) if clock.month == 12 else (clock.year, clock.month + 1)
    return _instant(datetime(year, month, 1), _zone(zone))  # noqa: DTZ001  (a local clock's reading)


def _is_reading(hhmm: int) -> bool:
    return 0 <= hhmm <= 2400 and hhmm % 100 < 60


def _instant(local: datetime, here: ZoneInfo) -> int:
    """Return the moment at which a clock reads ``local``.

    A reading that comes twice (autumn) means the second one; a reading that never comes (spring) is taken as if the
    clock had not been moved yet. That is what ICU does in the engine.
    """
    first, second = local.replace(tzinfo=here, fold=0), local.replace(tzinfo=here, fold=1)
    early, late = first.utcoffset(), second.utcoffset()
    assert early is not None
    assert late is not None
    return (local - min(early, late) - _EPOCH) // _US
