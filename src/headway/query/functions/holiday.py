"""Public holidays: one table a region, made once by the library ``holidays``, read by both forms.

The file hides the years that the table covers and how the engine holds it: a list in the text itself, since a list
needs no table that every connection would have to make first. What a law will say is known to the library's version
alone, so that belongs to the environment of a run.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from headway.errors import did_you_mean
from headway.query.functions.calendar import LOCAL
from headway.query.functions.function import Function
from headway.query.local_time import IN_CALENDAR, local_clock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIRST_YEAR", "HOLIDAY", "LAST_YEAR", "holiday_days"]

FIRST_YEAR, LAST_YEAR = 1970, 2049
_EPOCH = dt.date(1970, 1, 1).toordinal()
_FIRST, _LAST = dt.date(FIRST_YEAR, 1, 1).toordinal() - _EPOCH, dt.date(LAST_YEAR, 12, 31).toordinal() - _EPOCH
_DAY = "date_diff('day', DATE '1970-01-01', CAST({local} AS DATE))"


@lru_cache(maxsize=64)
def holiday_days(region: str) -> tuple[int, ...]:
    """Return the public holidays of a region from 1970 to 2049, as days since 1970.

    Parameters
    ----------
    region
        A country by ISO 3166-1, such as ``US``, or a part of it by ISO 3166-2, such as ``US-CA``.

    Raises
    ------
    ValueError
        When the library knows no such region.

    Examples
    --------
    >>> days = holiday_days("US")
    >>> (dt.date(2013, 7, 4) - dt.date(1970, 1, 1)).days in days
    True
    """
    import holidays

    country, _, part = region.partition("-")
    known = holidays.list_supported_countries()
    if country not in known:
        message = f"{region!r} is no country whose holidays are known. {did_you_mean(country, known)}"
        raise ValueError(message)
    if part and part not in known[country]:
        message = f"{region!r} is no part of {country} whose holidays are known. {did_you_mean(part, known[country])}"
        raise ValueError(message)
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    found = holidays.country_holidays(country, subdiv=part or None, years=years)
    days = {day.toordinal() - _EPOCH for day in found}
    return tuple(sorted(day for day in days if _FIRST <= day <= _LAST))


@dataclass(frozen=True, slots=True)
class _Table:
    """What is asked of one region's days: whether, how long until, how long since."""

    days: tuple[int, ...]

    def is_one(self, day: int) -> bool:
        place = bisect_left(self.days, day)
        return place < len(self.days) and self.days[place] == day

    def until(self, day: int) -> int | None:
        place = bisect_left(self.days, day)
        return self.days[place] - day if place < len(self.days) else None

    def since(self, day: int) -> int | None:
        place = bisect_right(self.days, day) - 1
        return day - self.days[place] if place >= 0 else None


def _of(region: str, ask: Callable[[_Table, int], int | bool | None], shape: Function) -> Function:
    table = _Table(holiday_days(region))
    if not table.days:
        message = f"No holidays of {region!r} are known."
        raise ValueError(message)
    day = _DAY.format(local=LOCAL.replace("{1}", "{2}"))
    # A list, not IN: of a long IN the engine makes a join, and computes its day outside of CASE, for all moments.
    figure = ask if shape.signatures[0][1] == "int" else _Table.until
    listed = ", ".join("NULL" if (n := figure(table, d)) is None else str(n) for d in range(_FIRST, _LAST + 1))
    text = f"CAST(([{listed}])[{day} - {_FIRST} + 1] AS BIGINT)"
    if figure is not ask:
        text = f"coalesce({text} = 0, FALSE)"
    inside = f"(CASE WHEN {IN_CALENDAR} AND {day} BETWEEN {_FIRST} AND {_LAST} THEN {text} END)"

    def row(moment_us: int, _: str, zone: str) -> int | bool | None:
        clock = local_clock(moment_us, zone)
        if clock is None:
            return None
        there = clock.toordinal() - _EPOCH
        return ask(table, there) if _FIRST <= there <= _LAST else None

    return Function(signatures=shape.signatures, sql=inside, row=row, doc=shape.doc, unit=shape.unit)


def _unfixed(*_: object) -> object:  # pragma: no cover - the region is always written out, and another one stands in
    message = "A region of holidays must be written out."
    raise AssertionError(message)


def _holiday(ask: Callable[[_Table, int], int | bool | None], shape: Function) -> Function:
    return Function(
        signatures=shape.signatures,
        sql="",
        row=_unfixed,
        fixed={1: lru_cache(maxsize=64)(lambda region: _of(region, ask, shape))},
        doc=shape.doc,
        unit=shape.unit,
    )


_WHOLE = ((("time", "text", "text"), "int"),)
_REGION = "a region such as 'US' or 'DE-BY' (1970 to 2049), in the calendar of a zone"

HOLIDAY: dict[str, Function] = {
    "holiday": _holiday(
        _Table.is_one,
        Function(
            signatures=((("time", "text", "text"), "bool"),),
            sql="",
            row=_unfixed,
            doc=f"Whether the day is a public holiday of {_REGION}.",
        ),
    ),
    "days_to_holiday": _holiday(
        _Table.until,
        Function(
            signatures=_WHOLE,  # type: ignore[arg-type]
            sql="",
            row=_unfixed,
            doc=f"Days until the next public holiday of {_REGION}; 0 on one.",
            unit="days",
        ),
    ),
    "days_since_holiday": _holiday(
        _Table.since,
        Function(
            signatures=_WHOLE,  # type: ignore[arg-type]
            sql="",
            row=_unfixed,
            doc=f"Days since the last public holiday of {_REGION}; 0 on one.",
            unit="days",
        ),
    ),
}
