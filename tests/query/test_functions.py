"""Every function means the same to the engine and to the one-row form, bit for bit."""

from __future__ import annotations

import math
import random
import struct
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from headway.errors import ExpressionError
from headway.nouns.expression import Call, Column, Literal, parse
from headway.query.compile import Scope, compile_expression
from headway.query.database import Database
from headway.query.functions import FUNCTIONS, SQL_TYPES

ARROW = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "time": pa.timestamp("us"),
    "span": pa.int64(),
}
ZONES = ["America/New_York", "Pacific/Honolulu", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
INT64 = 2**63
YEAR_US = 365 * 86_400_000_000


def _moment(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000


# The hours around which clocks are moved: forwards, backwards, and by half an hour on Lord Howe Island.
CHANGES = [
    _moment(2013, 3, 10, 7),
    _moment(2013, 11, 3, 6),
    _moment(2013, 3, 31, 1),
    _moment(2013, 10, 27, 1),
    _moment(2013, 4, 6, 15),
    _moment(2013, 10, 5, 15, 30),
    _moment(2012, 2, 29, 12),
    _moment(1969, 12, 31, 23),
]
EXTREMES = {
    "bool": [True, False],
    "int": [0, 1, -1, INT64 - 1, -INT64, 2**53 + 1, 2400, -50],
    "float": [0.0, -0.0, 0.1, 0.49999999999999994, 0.5, -0.5, 1e308, -1e308, 5e-324, 1e15 + 0.3, 2.5e12],
    "text": ["", " ", "a", "A", "ÄΣİß", "'", '"', "\n", "🤦🏼", "a" * 300],
    "time": [*CHANGES, 0, -1, -(INT64 - 2) + 36854775807000, INT64 - 2, _moment(9999, 12, 31, 23), _moment(1, 1, 1, 1)],
    "span": [0, 1, -1, INT64 - 1, -INT64, 3_600_000_000],
}


def _value(kind: str, rnd: random.Random):
    if rnd.random() < 0.12:
        return None
    if rnd.random() < 0.3:
        return rnd.choice(EXTREMES[kind])
    return {
        "bool": lambda: rnd.random() < 0.5,
        "int": lambda: rnd.randint(-60, 3000),
        "float": lambda: rnd.choice([rnd.uniform(-90, 90), rnd.uniform(-1e6, 1e6), rnd.gauss(0, 1) ** 9]),
        "text": lambda: "".join(rnd.choices("abAB éß ", k=rnd.randint(0, 5))),
        "time": lambda: rnd.choice(CHANGES) + rnd.randint(-(10**10), 10**10),
        "span": lambda: rnd.randint(-(10**11), 10**11),
    }[kind]()


def _zoned(rows: list[list], rnd: random.Random) -> list[list]:
    return [[*row[:-1], None if rnd.random() < 0.05 else rnd.choice(ZONES)] for row in rows]


def _rows(name: str, shape: tuple[str, ...], rnd: random.Random) -> list[list]:
    rows = [[_value(kind, rnd) for kind in shape] for _ in range(600)]
    if name == "local_time":
        rows = [_clock(rnd) for _ in range(3000)]
    elif name == "next_local":
        rows = [[_value("time", rnd), _hhmm(rnd), ""] for _ in range(3000)]
    elif name == "number":
        rows = [[_numeral(rnd, marked=len(row) > 1) if rnd.random() < 0.8 else row[0], *row[1:]] for row in rows]
    elif name == "moment":
        rows = [[_day_in_words(rnd), "", ""] for _ in range(3000)]
    takes_zone = shape[-1] == "text" and "time" in (shape[0], FUNCTIONS[name].signatures[0][1])
    return _zoned(rows, rnd) if takes_zone else rows


def _numeral(rnd: random.Random, *, marked: bool) -> str:
    if marked:
        said = f"{rnd.uniform(-1e7, 1e7):{rnd.choice([',', ''])}.{rnd.randint(0, 3)}f}"
        return said.translate(str.maketrans(",.", ".,")) if rnd.random() < 0.7 else said
    return rnd.choice(
        [repr(rnd.uniform(-1e6, 1e6)), f"{rnd.randint(-99, 99)}e{rnd.randint(-400, 400)}", ".5", "1.", "+7"]
    )


def _day_in_words(rnd: random.Random) -> str:
    day, month, year = rnd.randint(0, 32), rnd.randint(0, 13), rnd.choice([rnd.randint(990, 9999), 2012, 2013])
    return f"{day:02}/{month:02}/{year} {rnd.randint(0, 25):02}:{rnd.randint(0, 61):02}"


def _clock(rnd: random.Random) -> list:
    if rnd.random() < 0.5:  # near a change, where a reading comes twice or never
        near = datetime.fromtimestamp(rnd.choice(CHANGES) / 1e6, tz=ZoneInfo(rnd.choice(ZONES)))
        return [near.year, near.month, near.day, rnd.randint(0, 4) * 100 + rnd.choice([0, 1, 29, 30, 59]), ""]
    years = [rnd.randint(1900, 2037), 2012, 2013, 0, -1, 1, 2, 9998, 9999, 10_000, 99_999, 2**40]
    return [rnd.choice(years), rnd.randint(-1, 14), rnd.randint(-1, 33), _hhmm(rnd), ""]


def _hhmm(rnd: random.Random) -> int:
    return rnd.choice(
        [rnd.randint(0, 23) * 100 + rnd.randint(0, 59), 0, 2400, 2401, 2359, 1260, -1, -50, 9999, INT64 - 1]
    )


def _both(expression, kinds: dict[str, str], rows: list[list]) -> list[tuple]:
    """Return (row, what the engine says, what the one-row form says)."""
    compiled = compile_expression(expression, Scope.of("the row", kinds))
    names = list(kinds)
    columns = [pa.array([row[i] for row in rows], ARROW[kinds[name]]) for i, name in enumerate(names)]
    with Database(threads=1) as database:
        table = database.register(pa.table(columns, names=names))
        typed = ", ".join(f'CAST("{name}" AS {SQL_TYPES[kind]}) AS "{name}"' for name, kind in kinds.items())
        text = f"epoch_us({compiled.sql})" if compiled.kind == "time" else compiled.sql
        engine = database.table(f"SELECT {text} AS x FROM (SELECT {typed} FROM {table})")["x"].to_pylist()
    return [
        (row, said, compiled.row(dict(zip(names, row, strict=True)))) for row, said in zip(rows, engine, strict=True)
    ]


def _same(first, second) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return struct.pack("d", first) == struct.pack("d", second) or (math.isnan(first) and math.isnan(second))
    return first == second and type(first) is type(second)


# Arguments that are one of a few texts, or must be written out.
WRITTEN = {
    "number": {1: [",", ".", "other"]},
    "cyclic": {1: ["hour", "weekday", "month", "other"], 2: ["sin", "cos", "other"]},
    "holiday": {1: ["US"]},
    "days_to_holiday": {1: ["DE-BY"]},
    "days_since_holiday": {1: ["US"]},
    "moment": {1: ["%d/%m/%Y %H:%M"]},
}


def _call_of(name: str, shape: tuple[str, ...], rows: list[list], rnd: random.Random) -> Call:
    """Return a call over the columns c0, c1, …, a text that must be written out being one."""
    arguments = []
    for position in range(len(shape)):
        texts = WRITTEN.get(name, {}).get(position)
        for row in rows if texts else []:
            row[position] = rnd.choice(texts)
        fixed = position in FUNCTIONS[name].fixed
        arguments.append(Literal(texts[0], "text") if fixed else Column(f"c{position}"))
    return Call(name, tuple(arguments))


SIGNATURES = [
    pytest.param(name, shape, id=f"{name}({', '.join(shape)})")
    for name, function in FUNCTIONS.items()
    for shape, _ in function.signatures
]


@pytest.mark.parametrize(("name", "shape"), SIGNATURES)
def test_the_engine_and_the_one_row_form_agree(name, shape) -> None:
    """Each function under each signature, over random values, extremes and missing ones."""
    rnd = random.Random(f"{name}{shape}")
    repeated = shape[-1].endswith("*")
    shape = (*(kind.rstrip("*") for kind in shape), *([shape[-1].rstrip("*")] * 2 if repeated else []))
    kinds = {f"c{i}": kind for i, kind in enumerate(shape)}
    rows = _rows(name, shape, rnd)
    answers = _both(_call_of(name, shape, rows, rnd), kinds, rows)
    assert [answer for answer in answers if not _same(*answer[1:])][:3] == []
    assert any(said is not None for _, said, _ in answers)


def test_nested_expressions_agree_too() -> None:
    """What one function gives, the next one takes: kinds are widened where they must be."""
    rnd = random.Random(5)
    kinds = {"i": "int", "f": "float", "t": "time", "z": "text"}
    rows = [[_value("int", rnd), _value("float", rnd), _value("time", rnd), rnd.choice(ZONES)] for _ in range(500)]
    for text in [
        "if(i % 7 > f or i is missing, coalesce(i, f), f - 0.1)",
        "days_between(t, next_local(t + minutes(f), 730, z)) * 0.30000000000000004",
        "hour(t - interval 90 minutes, z) + weekday(t, 'Europe/Berlin') in (3, 4, 11)",
        "least(i, 3) * 3000000000 - greatest(i, -5) * 3000000000",
        "later(t, t + interval 1 day) > t and not (i = 3)",
        "-(-(i)) - -5",
    ]:
        answers = _both(parse(text), kinds, rows)
        assert [answer for answer in answers if not _same(*answer[1:])][:3] == [], text


def test_every_letter_has_the_same_small_letter_on_both_sides() -> None:
    """lower() of all of Unicode; one letter for one, whatever the context."""
    letters = [[chr(code)] for code in range(1, 0x30000) if not 0xD800 <= code <= 0xDFFF]
    answers = _both(parse("lower(x)"), {"x": "text"}, [*letters, ["ΑΣ"]])
    different = [answer for answer in answers if answer[1] != answer[2]]
    # The two carry tables of Unicode of different years; what differs may only be letters that are new to one.
    assert len(different) <= 60
    assert all(ord(row[0]) > 0x2C00 for row, _, _ in different)


@pytest.mark.parametrize("zone", ZONES)
def test_local_clocks_agree_hour_by_hour_through_two_years(zone) -> None:
    """Every quarter of an hour around each change of the clock, and every seventh hour of 2012 and 2013."""
    hours = [[_moment(2012, 1, 1, 0) + hour * 3_600_000_000] for hour in range(0, 17_500, 7)]
    quarters = [[change + quarter * 900_000_000] for change in CHANGES for quarter in range(-20, 20)]
    text = f"((day_of_year(t, '{zone}') * 24) + hour(t, '{zone}')) * 60 + minute(t, '{zone}')"
    answers = _both(parse(text), {"t": "time"}, hours + quarters)
    assert [answer for answer in answers if answer[1] != answer[2]] == []


def test_a_reading_that_comes_twice_means_the_second_and_one_that_never_comes_the_clock_before() -> None:
    """What the documentation promises about the two nights of the year, in the words of the one-row form."""
    there = FUNCTIONS["local_time"].row
    assert there(2013, 11, 3, 130, "America/New_York") == _moment(2013, 11, 3, 6, 30)
    assert there(2013, 3, 10, 230, "America/New_York") == _moment(2013, 3, 10, 7, 30)
    assert there(2013, 4, 7, 145, "Australia/Lord_Howe") == _moment(2013, 4, 6, 15, 15)


@pytest.mark.parametrize("hhmm", [-1, -50, 1260, 2401, 9999])
def test_a_time_of_day_that_does_not_exist_is_missing(hhmm) -> None:
    """1260 is a slip of a keyboard, not 13:00."""
    assert FUNCTIONS["local_time"].row(2013, 1, 1, hhmm, "UTC") is None
    assert FUNCTIONS["next_local"].row(0, hhmm, "UTC") is None


def test_a_day_that_does_not_exist_is_missing() -> None:
    """29 February stands in leap years alone."""
    there = FUNCTIONS["local_time"].row
    assert there(2012, 2, 29, 0, "UTC") == _moment(2012, 2, 29)
    assert there(2013, 2, 29, 0, "UTC") is None


def test_midnight_may_be_written_as_2400() -> None:
    """Schedules write the end of a day as 2400; it is the next day's beginning."""
    there = FUNCTIONS["local_time"].row
    assert there(2013, 12, 31, 2400, "UTC") == there(2014, 1, 1, 0, "UTC") == _moment(2014, 1, 1)


@pytest.mark.parametrize(
    "text", ["hour(t, 'Berlin')", "local_time(1, 1, 1, 0, 'utc')", "next_local(t, 5, 'America/NewYork')"]
)
def test_a_zone_that_does_not_exist_is_refused_where_it_is_written(text) -> None:
    """No row is needed to see that."""
    with pytest.raises(ExpressionError, match="is not a time zone") as caught:
        compile_expression(parse(text), Scope.of("the row", {"t": "time"}))
    assert caught.value.hint


def _ask(text: str, moment: str = "2013-07-04T15:30:00+00:00"):
    moment_us = int(datetime.fromisoformat(moment).timestamp()) * 1_000_000
    ((_, engine, row),) = _both(parse(text), {"t": "time"}, [[moment_us]])
    assert _same(engine, row)
    return row


def test_holidays_are_those_of_the_region_and_of_the_local_day() -> None:
    """Independence Day, by a calendar on the wall; Reformation Day is kept in Saxony, not in Berlin."""
    assert _ask("holiday(t, 'US', 'America/New_York')") is True
    assert _ask("holiday(t, 'US', 'Asia/Tokyo')", "2013-07-04T15:30:00+00:00") is False  # the fifth, in Tokyo
    assert _ask("holiday(t, 'DE-SN', 'Europe/Berlin')", "2013-10-31T12:00:00+00:00") is True
    assert _ask("holiday(t, 'DE-BE', 'Europe/Berlin')", "2013-10-31T12:00:00+00:00") is False
    assert _ask("days_to_holiday(t, 'US', 'UTC')", "2013-07-05T12:00:00+00:00") == 59  # Labor Day, 2 September
    assert _ask("days_since_holiday(t, 'US', 'UTC')", "2013-07-05T12:00:00+00:00") == 1
    assert _ask("days_to_holiday(t, 'US', 'UTC')", "2050-01-01T12:00:00+00:00") is None
    assert _ask("holiday(t, 'US', 'UTC')", "1969-12-25T12:00:00+00:00") is None


def test_parts_of_the_calendar_are_those_of_the_wall() -> None:
    """The last week of 2012 is the first of 2013, as ISO 8601 counts; February of a leap year ends on the 29th."""
    assert _ask("week(t, 'UTC')", "2012-12-31T12:00:00+00:00") == 1
    assert _ask("week(t, 'UTC')", "2021-01-03T12:00:00+00:00") == 53
    assert _ask("quarter(t, 'UTC')") == 3
    assert _ask("is_weekend(t, 'Asia/Tokyo')", "2013-07-05T15:30:00+00:00") is True  # Saturday has begun there
    assert _ask("is_month_end(t, 'UTC')", "2012-02-29T12:00:00+00:00") is True
    assert _ask("days_in_month(t, 'UTC')", "2012-02-10T12:00:00+00:00") == 29
    assert _ask("month_end(t, 'America/New_York')", "2012-12-31T12:00:00+00:00") == _moment(2013, 1, 1, 5)
    assert _ask("cyclic(t, 'hour', 'sin', 'UTC')", "2013-07-04T06:00:00+00:00") == 1.0
    assert _ask("cyclic(t, 'weekday', 'cos', 'UTC')", "2013-07-01T00:00:00+00:00") == 1.0
    assert _ask("cyclic(t, 'month', 'cos', 'UTC')", "2013-07-01T00:00:00+00:00") == -1.0


def test_figures_of_texts_are_what_a_reader_would_count() -> None:
    """Words, digits, capitals; umlauts are letters."""
    assert _ask("words('  two\twords\n')") == 2
    assert _ask("digits('Flight 1545, gate 9')") == 5
    assert _ask("capitals_share('Ünder 10')") == 0.2
    assert _ask("capitals_share('10 %')") is None
    assert _ask("contains_any('refund, please', 'angry', 'refund')") is True
    assert _ask("contains_any('thanks', 'angry', 'refund')") is False


def test_capitals_are_the_same_letters_on_both_sides() -> None:
    """All of Unicode; the two tables differ in years, so only in letters that are new to one."""
    letters = [[chr(code)] for code in range(1, 0x30000) if not 0xD800 <= code <= 0xDFFF]
    answers = _both(parse("capitals_share(x)"), {"x": "text"}, letters)
    different = [answer for answer in answers if answer[1] != answer[2]]
    assert all(ord(row[0]) > 0x2C00 or ord(row[0]) in range(0x860, 0x1D00) for row, _, _ in different), different[:20]
    assert len(different) < 6000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("holiday(t, 'Germany', 'UTC')", "no country"),
        ("holiday(t, 'UX', 'UTC')", "no country"),
        ("holiday(t, 'US-QQ', 'UTC')", "no part of US"),
        ("holiday(t, x, 'UTC')", "must be written out"),
        ("cyclic(t, 'hours', 'sin', 'UTC')", "knows no 'hours'"),
        ("cyclic(t, 'hour', 'tan', 'UTC')", "knows no 'tan'"),
        ("holiday(t, 'US', 'Berlin')", "is not a time zone"),
    ],
)
def test_a_region_or_cycle_that_does_not_exist_is_refused_where_it_is_written(text, said) -> None:
    """With what might have been meant."""
    with pytest.raises(ExpressionError, match=said) as caught:
        compile_expression(parse(text), Scope.of("the row", {"t": "time", "x": "text"}))
    assert caught.value.hint or "Known: " in str(caught.value) or "Did you mean" in str(caught.value)


@pytest.mark.parametrize("value", [0.1, 0.30000000000000004, 1e-300, 123456789.123456789, 5e-324, 1.7e308])
def test_a_number_is_the_same_double_on_both_sides(value) -> None:
    """The engine takes a bare 0.1 for a decimal of its own."""
    ((_, engine, row),) = _both(Literal(value, "float"), {"x": "int"}, [[1]])
    assert _same(engine, value)
    assert _same(row, value)


def test_every_function_says_what_it_does() -> None:
    """The reference page is made of these sentences."""
    for name, function in FUNCTIONS.items():
        assert function.doc.endswith("."), name
        assert function.signatures, name
