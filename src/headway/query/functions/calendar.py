"""What a calendar and a clock on the wall say of a moment, and lengths of time."""

from __future__ import annotations

import calendar
import math
from typing import TYPE_CHECKING, Any

from headway.query.functions.function import Function, whole
from headway.query.local_time import (
    IN_CALENDAR,
    LOCAL_TIME_SQL,
    MONTH_END_SQL,
    NEXT_LOCAL_SQL,
    clock_sql,
    local_clock,
    local_time,
    month_end,
    next_local,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from headway.query.functions.function import Kind

__all__ = ["CALENDAR", "LOCAL"]


def _span_of(count: float, size: int) -> int | None:
    try:
        return whole(count * size if isinstance(count, int) else math.floor(count * size + 0.5))
    except (OverflowError, ValueError):
        return None


LOCAL = clock_sql("{0}", "{1}")


def _part(sql: str, row: Callable[[datetime], Any], doc: str, *, kind: Kind = "int", unit: str = "") -> Function:
    """Return a function that takes a part of a local clock's reading: ``hour(moment, zone)``."""
    text = f"(CASE WHEN {IN_CALENDAR} THEN {sql.replace('{0}', LOCAL)} END)"

    def part(moment_us: int, zone: str) -> Any:
        clock = local_clock(moment_us, zone)
        return None if clock is None else row(clock)

    return Function(signatures=((("time", "text"), kind),), sql=text, row=part, doc=doc, unit=unit)


def _length_of(unit: str, size: int) -> Function:
    return Function(
        signatures=((("int",), "span"), (("float",), "span")),
        sql=f"try(CAST(floor({{0}} * {size} + 0.5) AS BIGINT))",
        sql_of={("int",): f"try({{0}} * {size})"},
        row=lambda count: _span_of(count, size),
        doc=f"A length of so many {unit}.",
    )


def _between(unit: str, size: int) -> Function:
    return Function(
        signatures=((("time", "time"), "float"),),
        sql=f"(try(epoch_us({{1}}) - epoch_us({{0}})) / {size}.0)",
        row=lambda first, second: None if whole(second - first) is None else (second - first) / float(size),
        doc=f"The {unit} from the first moment to the second; negative when it lies before.",
        unit=unit,
    )


def _days_in_month(local: datetime) -> int:
    return calendar.monthrange(local.year, local.month)[1]


_MINUTES = "(hour({0}) * 60 + minute({0}))"
_CYCLES: dict[str, tuple[str, Callable[[datetime], float]]] = {
    "hour": (f"{_MINUTES} / 1440e0", lambda local: (local.hour * 60 + local.minute) / 1440.0),
    "weekday": (
        f"((isodow({{0}}) - 1) * 1440 + {_MINUTES}) / 10080e0",
        lambda local: (local.weekday() * 1440 + local.hour * 60 + local.minute) / 10080.0,
    ),
    "month": (
        "((month({0}) - 1) + (day({0}) - 1) / CAST(day(last_day({0})) AS DOUBLE)) / 12e0",
        lambda local: ((local.month - 1) + (local.day - 1) / float(_days_in_month(local))) / 12.0,
    ),
}
"""How far a clock has gone round, from 0 to 1: the day by minutes, the week by minutes, the year by days."""

_TURN = 6.283185307179586


def _cyclic_sql(moment: str, cycle: str, wave: str, zone: str) -> str:
    local = LOCAL.format(moment, zone)
    part = " ".join(f"WHEN '{name}' THEN {sql.replace('{0}', local)}" for name, (sql, _) in _CYCLES.items())
    angle = f"({_TURN!r}e0 * (CASE {cycle} {part} END))"
    waves = f"CASE {wave} WHEN 'sin' THEN sin({angle}) WHEN 'cos' THEN cos({angle}) END"
    return f"(CASE WHEN {IN_CALENDAR.replace('{0}', moment)} THEN {waves} END)"


def _cyclic(moment_us: int, cycle: str, wave: str, zone: str) -> float | None:
    clock = local_clock(moment_us, zone)
    if clock is None or cycle not in _CYCLES or wave not in _WAVES:
        return None
    return _WAVES[wave](_TURN * _CYCLES[cycle][1](clock))


_WAVES = {"sin": math.sin, "cos": math.cos}


CALENDAR: dict[str, Function] = {
    "year": _part("year({0})", lambda local: local.year, "The calendar year of a moment in a zone."),
    "month": _part("month({0})", lambda local: local.month, "The month, 1 to 12."),
    "day": _part("day({0})", lambda local: local.day, "The day of the month, 1 to 31."),
    "hour": _part("hour({0})", lambda local: local.hour, "The hour of the clock, 0 to 23."),
    "minute": _part("minute({0})", lambda local: local.minute, "The minute of the hour, 0 to 59."),
    "weekday": _part("(isodow({0}) - 1)", lambda local: local.weekday(), "The day of the week, Monday 0 to Sunday 6."),
    "day_of_year": _part("dayofyear({0})", lambda local: local.timetuple().tm_yday, "The day of the year, 1 to 366."),
    "quarter": _part("quarter({0})", lambda local: (local.month + 2) // 3, "The quarter of the year, 1 to 4."),
    "week": _part(
        "weekofyear({0})", lambda local: local.isocalendar().week, "The week of the year as ISO 8601 counts, 1 to 53."
    ),
    "is_weekend": _part(
        "(isodow({0}) >= 6)", lambda local: local.weekday() >= 5, "Whether it is Saturday or Sunday.", kind="bool"
    ),
    "is_month_end": _part(
        "(CAST({0} AS DATE) = last_day({0}))",
        lambda local: local.day == _days_in_month(local),
        "Whether it is the last day of its month.",
        kind="bool",
    ),
    "days_in_month": _part("day(last_day({0}))", _days_in_month, "How many days its month has, 28 to 31.", unit="days"),
    "month_end": Function(
        signatures=((("time", "text"), "time"),),
        sql=MONTH_END_SQL,
        row=month_end,
        doc="The moment at which the next month begins; the end of a day is 'next_local(moment, 0, zone)'.",
    ),
    "cyclic": Function(
        signatures=((("time", "text", "text", "text"), "float"),),
        sql=_cyclic_sql,
        row=_cyclic,
        choices={1: tuple(_CYCLES), 2: tuple(_WAVES)},
        doc="How far the clock has gone round, as 'sin' or 'cos' (third) of a whole turn each day ('hour'), week "
        "('weekday') or year ('month'), so that 23:59 lies beside 0:00: cyclic(moment, 'hour', 'sin', zone).",
    ),
    "local_time": Function(
        signatures=((("int", "int", "int", "int", "text"), "time"),),
        sql=LOCAL_TIME_SQL,
        row=local_time,
        doc="The moment at which a clock in the zone reads year, month, day and hour*100 + minute (2400 is midnight); "
        "missing where there is no such day or time of day.",
    ),
    "next_local": Function(
        signatures=((("time", "int", "text"), "time"),),
        sql=NEXT_LOCAL_SQL,
        row=next_local,
        doc="The first moment after the given one at which a clock in the zone reads hour*100 + minute.",
    ),
    "minutes": _length_of("minutes", 60_000_000),
    "hours": _length_of("hours", 3_600_000_000),
    "days": _length_of("days of 24 hours", 86_400_000_000),
    "minutes_between": _between("minutes", 60_000_000),
    "hours_between": _between("hours", 3_600_000_000),
    "days_between": _between("days", 86_400_000_000),
}
