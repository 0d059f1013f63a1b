"""The closed list of functions: for each its types, its DuckDB text and its one-row form.

A function may stand here only if both forms give the same bits for the same values; the tests hold every entry to
that over random values. Conventions of the one-row form: a moment is an ``int`` of microseconds since 1970 in UTC,
a span an ``int`` of microseconds, missing is ``None``. Unless said otherwise a missing argument makes the result
missing, on both sides. Every function has an answer for all values of its kinds: what does not fit into 64 bits, or
is no day of the calendar, is missing, so that neither training nor serving can be stopped by one odd row. The one
exception is a zone that does not exist, which is an error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from headway.query.local_time import IN_CALENDAR, LOCAL_TIME_SQL, NEXT_LOCAL_SQL, local_clock, local_time, next_local

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

__all__ = ["AGGREGATES", "FUNCTIONS", "SQL_TYPES", "Function", "Kind", "Signature"]

Kind = Literal["bool", "int", "float", "text", "time", "span"]
Signature = tuple[tuple[str, ...], Kind]

SQL_TYPES: dict[str, str] = {
    "bool": "BOOLEAN",
    "int": "BIGINT",
    "float": "DOUBLE",
    "text": "VARCHAR",
    "time": "TIMESTAMP",
    "span": "BIGINT",
}
"""How each kind is held by the engine; a moment is a zone-less timestamp that is always UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One entry of the list.

    Attributes
    ----------
    signatures
        Argument kinds and result kind, tried in order; an ``int`` fits where a ``float`` is wanted. ``*`` after the
        last kind repeats it.
    sql
        DuckDB text with ``{0}``, ``{1}``, … for the arguments, ``{all}`` for all of them.
    row
        The same for one row.
    sql_of
        DuckDB text for the argument kinds that need one of their own; ``row_of`` likewise.
    strict
        Whether a missing argument makes the result missing (then ``row`` never sees ``None``).
    doc
        One sentence for the reference page.
    """

    signatures: tuple[Signature, ...]
    sql: str
    row: Callable[..., Any]
    doc: str
    sql_of: dict[tuple[str, ...], str] = field(default_factory=dict)
    row_of: dict[tuple[str, ...], Callable[..., Any]] = field(default_factory=dict)
    strict: bool = True


AGGREGATES: dict[str, str] = {
    "avg": "Mean of the values that are there, fractions rounded to millionths; a condition counts as 1 or 0.",
    "sum": "Sum of the values that are there, fractions rounded to millionths; 0 of none.",
    "count": "Number of rows, or of rows where the argument is there.",
}
"""Aggregates over a window; the only functions that look at more than one row."""

_INT64 = 2**63
# The engine's timestamps: from its first day to the last microsecond before its infinity.
_FIRST_US, _LAST_US = -9_223_372_022_400_000_000, _INT64 - 2


def _whole(value: int) -> int | None:
    """Return a whole number that fits 64 bits; others are missing, as the engine's ``try`` makes them."""
    return value if -_INT64 <= value < _INT64 else None


def _shifted(value: int) -> int | None:
    return value if _FIRST_US <= value <= _LAST_US else None


def _number(value: float) -> float | None:
    return _whole(value) if isinstance(value, int) else value


def _span_of(count: float, size: int) -> int | None:
    try:
        return _whole(count * size if isinstance(count, int) else math.floor(count * size + 0.5))
    except (OverflowError, ValueError):
        return None


def _among(value: Any, *choices: Any) -> bool | None:
    if value is None:
        return None
    return True if value in choices else None if None in choices else False


def _floor(value: float) -> float:
    # The engine keeps the sign of a nought.
    return math.copysign(float(math.floor(value)), value) if math.isfinite(value) else value


def _remainder(a: float, b: float) -> float | None:
    if b == 0:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return (abs(a) % abs(b)) * (-1 if a < 0 else 1)
    return math.fmod(a, b) if math.isfinite(a) else math.nan


def _haversine_km(lat1: float, lon1: float, lat2: float, lon2: float) -> float | None:
    """Great-circle distance on a sphere of radius 6371.0088 km (the mean radius of IUGG 1980; Sinnott 1984)."""
    if not math.isfinite(lat1 + lon1 + lat2 + lon2):
        return None
    p1, p2 = math.radians(lat1), math.radians(lat2)
    half_lat, half_lon = math.sin((p2 - p1) / 2.0), math.sin(math.radians(lon2 - lon1) / 2.0)
    inside = half_lat * half_lat + math.cos(p1) * math.cos(p2) * half_lon * half_lon
    return 2.0 * 6371.0088 * math.asin(math.sqrt(min(1.0, inside)))


def _lower(text: str) -> str:
    # Letter by letter and one letter for each, as Unicode's simple mapping says: no final sigma, no combining dot.
    return "".join("i" if letter == "\u0130" else letter.lower() for letter in text)


_LOCAL = "timezone({1}, timezone('UTC', {0}))"
_NUMBERS: tuple[Signature, ...] = ((("int", "int"), "int"), (("float", "float"), "float"))
_SAME_KINDS: tuple[Signature, ...] = tuple(
    ((kind, kind), "bool") for kind in ("int", "float", "text", "time", "span", "bool")
)
_KINDS: tuple[Kind, ...] = ("int", "float", "text", "time", "span", "bool")


def _part(sql: str, row: Callable[[datetime], int], doc: str) -> Function:
    """Return a function that takes a part of a local clock's reading: ``hour(moment, zone)``."""
    text = f"(CASE WHEN {IN_CALENDAR} THEN {sql.replace('{0}', _LOCAL)} END)"

    def part(moment_us: int, zone: str) -> int | None:
        clock = local_clock(moment_us, zone)
        return None if clock is None else row(clock)

    return Function(signatures=((("time", "text"), "int"),), sql=text, row=part, doc=doc)


def _of_float(sql: str, row: Callable[[float], float | None], doc: str) -> Function:
    return Function(signatures=((("float",), "float"),), sql=sql, row=row, doc=doc)


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
        row=lambda first, second: None if _whole(second - first) is None else (second - first) / float(size),
        doc=f"The {unit} from the first moment to the second; negative when it lies before.",
    )


FUNCTIONS: dict[str, Function] = {
    "+": Function(
        signatures=(*_NUMBERS, (("time", "span"), "time"), (("span", "span"), "span")),
        sql="({0} + {1})",
        sql_of={
            ("int", "int"): "try({0} + {1})",
            ("span", "span"): "try({0} + {1})",
            ("time", "span"): "try({0} + to_microseconds({1}))",
        },
        row=lambda a, b: _number(a + b),
        row_of={("time", "span"): lambda a, b: _shifted(a + b)},
        doc="Sum; a moment plus a length is a moment.",
    ),
    "-": Function(
        signatures=(
            *_NUMBERS,
            (("time", "span"), "time"),
            (("time", "time"), "span"),
            (("span", "span"), "span"),
        ),
        sql="({0} - {1})",
        sql_of={
            ("int", "int"): "try({0} - {1})",
            ("span", "span"): "try({0} - {1})",
            ("time", "span"): "try({0} + to_microseconds(-({1})))",
            ("time", "time"): "try(epoch_us({0}) - epoch_us({1}))",
        },
        row=lambda a, b: _number(a - b),
        row_of={("time", "span"): lambda a, b: _shifted(a - b) if b > -_INT64 else None},
        doc="Difference; of two moments, the length between them.",
    ),
    "*": Function(
        signatures=_NUMBERS,
        sql="({0} * {1})",
        sql_of={("int", "int"): "try({0} * {1})"},
        row=lambda a, b: _number(a * b),
        doc="Product.",
    ),
    "/": Function(
        signatures=((("float", "float"), "float"),),
        sql="(CAST({0} AS DOUBLE) / nullif(CAST({1} AS DOUBLE), 0))",
        row=lambda a, b: float(a) / float(b) if b else None,
        doc="Quotient, never rounded; missing where the divisor is 0.",
    ),
    "%": Function(
        signatures=_NUMBERS,
        sql="({0} % nullif({1}, 0))",
        row=_remainder,
        doc="Remainder with the sign of the dividend; missing where the divisor is 0.",
    ),
    "negate": Function(
        signatures=((("int",), "int"), (("float",), "float"), (("span",), "span")),
        sql="(-({0}))",
        sql_of={("int",): "try(-({0}))", ("span",): "try(-({0}))"},
        row=lambda a: _number(-a),
        doc="The opposite.",
    ),
    "=": Function(signatures=_SAME_KINDS, sql="({0} = {1})", row=lambda a, b: a == b, doc="Equal."),
    "!=": Function(signatures=_SAME_KINDS, sql="({0} <> {1})", row=lambda a, b: a != b, doc="Different."),
    "<": Function(
        signatures=_SAME_KINDS, sql="({0} < {1})", row=lambda a, b: a < b, doc="Less; of texts by code point."
    ),
    "<=": Function(signatures=_SAME_KINDS, sql="({0} <= {1})", row=lambda a, b: a <= b, doc="Less or equal."),
    ">": Function(signatures=_SAME_KINDS, sql="({0} > {1})", row=lambda a, b: a > b, doc="Greater."),
    ">=": Function(signatures=_SAME_KINDS, sql="({0} >= {1})", row=lambda a, b: a >= b, doc="Greater or equal."),
    "and": Function(
        signatures=((("bool", "bool"), "bool"),),
        sql="({0} AND {1})",
        row=lambda a, b: False if a is False or b is False else (None if a is None or b is None else True),
        strict=False,
        doc="Both; false if either is false, even if the other is missing.",
    ),
    "or": Function(
        signatures=((("bool", "bool"), "bool"),),
        sql="({0} OR {1})",
        row=lambda a, b: True if a is True or b is True else (None if a is None or b is None else False),
        strict=False,
        doc="Either; true if one is true, even if the other is missing.",
    ),
    "not": Function(signatures=((("bool",), "bool"),), sql="(NOT {0})", row=lambda a: not a, doc="The contrary."),
    "missing": Function(
        signatures=tuple(((kind,), "bool") for kind in _KINDS),
        sql="({0} IS NULL)",
        row=lambda a: a is None,
        strict=False,
        doc="Whether the value is missing; written 'x is missing'.",
    ),
    "present": Function(
        signatures=tuple(((kind,), "bool") for kind in _KINDS),
        sql="({0} IS NOT NULL)",
        row=lambda a: a is not None,
        strict=False,
        doc="Whether the value is there; written 'x is not missing'.",
    ),
    "in": Function(
        signatures=((("text", "text*"), "bool"), (("int", "int*"), "bool")),
        sql="({0} IN ({rest}))",
        row=_among,
        strict=False,
        doc="One of the listed values; written 'x in (1, 2)'.",
    ),
    "if": Function(
        signatures=tuple((("bool", kind, kind), kind) for kind in _KINDS),
        sql="(CASE WHEN {0} THEN {1} ELSE {2} END)",
        row=lambda condition, then, other: then if condition else other,
        strict=False,
        doc="The second where the first holds, else the third; missing counts as not holding.",
    ),
    "coalesce": Function(
        signatures=tuple(((kind, f"{kind}*"), kind) for kind in _KINDS),
        sql="coalesce({all})",
        row=lambda *values: next((value for value in values if value is not None), None),
        strict=False,
        doc="The first value that is not missing.",
    ),
    "least": Function(
        signatures=tuple(((kind, f"{kind}*"), kind) for kind in ("int", "float", "time")),
        sql="least({all})",
        row=lambda *values: min((value for value in values if value is not None), default=None),
        strict=False,
        doc="The smallest of those that are there.",
    ),
    "greatest": Function(
        signatures=tuple(((kind, f"{kind}*"), kind) for kind in ("int", "float", "time")),
        sql="greatest({all})",
        row=lambda *values: max((value for value in values if value is not None), default=None),
        strict=False,
        doc="The greatest of those that are there.",
    ),
    "later": Function(
        signatures=((("time", "time"), "time"),),
        sql="(CASE WHEN {0} >= {1} THEN {0} WHEN {0} < {1} THEN {1} END)",
        row=max,
        doc="The later of two moments; missing if either is, unlike greatest.",
    ),
    "abs": Function(
        signatures=((("int",), "int"), (("float",), "float")),
        sql="abs({0})",
        sql_of={("int",): "try(abs({0}))"},
        row=lambda a: _number(abs(a)),
        doc="Without its sign.",
    ),
    "floor": Function(
        signatures=((("float",), "float"),),
        sql="floor(CAST({0} AS DOUBLE))",
        row=_floor,
        doc="The whole number below.",
    ),
    "round": Function(
        signatures=((("float",), "float"),),
        sql="floor({0} + 0.5)",
        row=lambda a: _floor(a + 0.5),
        doc="The nearest whole number; halves go up.",
    ),
    "sqrt": _of_float(
        "(CASE WHEN {0} >= 0 THEN sqrt({0}) END)",
        lambda a: math.sqrt(a) if a >= 0 else None,
        "Square root; missing below 0.",
    ),
    "ln": _of_float(
        "(CASE WHEN {0} > 0 THEN ln({0}) END)",
        lambda a: math.log(a) if a > 0 else None,
        "Natural logarithm; missing at or below 0.",
    ),
    "sin": _of_float(
        "(CASE WHEN isfinite({0}) THEN sin({0}) END)",
        lambda a: math.sin(a) if math.isfinite(a) else None,
        "Sine of an angle in radians.",
    ),
    "cos": _of_float(
        "(CASE WHEN isfinite({0}) THEN cos({0}) END)",
        lambda a: math.cos(a) if math.isfinite(a) else None,
        "Cosine of an angle in radians.",
    ),
    "haversine_km": Function(
        signatures=((("float", "float", "float", "float"), "float"),),
        sql=(
            "(CASE WHEN isfinite({0} + {1} + {2} + {3}) THEN 2.0 * 6371.0088 * asin(sqrt(least(1.0::DOUBLE, "
            "sin((radians({2}) - radians({0})) / 2.0) * sin((radians({2}) - radians({0})) / 2.0) "
            "+ cos(radians({0})) * cos(radians({2})) "
            "* sin(radians({3} - {1}) / 2.0) * sin(radians({3} - {1}) / 2.0)))) END)"
        ),
        row=_haversine_km,
        doc="Kilometres between two places given as latitude, longitude, latitude, longitude in degrees.",
    ),
    "lower": Function(signatures=((("text",), "text"),), sql="lower({0})", row=_lower, doc="In small letters."),
    "trim": Function(
        signatures=((("text",), "text"),),
        sql="trim({0}, ' ')",
        row=lambda a: a.strip(" "),
        doc="Without spaces at its ends.",
    ),
    "length": Function(signatures=((("text",), "int"),), sql="length({0})", row=len, doc="Number of code points."),
    "concat": Function(
        signatures=((("text", "text"), "text"),),
        sql="({0} || {1})",
        row=lambda a, b: a + b,
        doc="One text after the other.",
    ),
    "starts_with": Function(
        signatures=((("text", "text"), "bool"),),
        sql="starts_with({0}, {1})",
        row=lambda a, b: a.startswith(b),
        doc="Whether the first text begins with the second.",
    ),
    "contains": Function(
        signatures=((("text", "text"), "bool"),),
        sql="contains({0}, {1})",
        row=lambda a, b: b in a,
        doc="Whether the second text stands in the first.",
    ),
    "text": Function(
        signatures=((("int",), "text"),), sql="CAST({0} AS VARCHAR)", row=str, doc="A whole number as text."
    ),
    "year": _part("year({0})", lambda local: local.year, "The calendar year of a moment in a zone."),
    "month": _part("month({0})", lambda local: local.month, "The month, 1 to 12."),
    "day": _part("day({0})", lambda local: local.day, "The day of the month, 1 to 31."),
    "hour": _part("hour({0})", lambda local: local.hour, "The hour of the clock, 0 to 23."),
    "minute": _part("minute({0})", lambda local: local.minute, "The minute of the hour, 0 to 59."),
    "weekday": _part("(isodow({0}) - 1)", lambda local: local.weekday(), "The day of the week, Monday 0 to Sunday 6."),
    "day_of_year": _part("dayofyear({0})", lambda local: local.timetuple().tm_yday, "The day of the year, 1 to 366."),
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
"""Every function an expression may use, by the name (or sign) it is written with."""
