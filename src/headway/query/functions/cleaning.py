"""What cleans a value: capitals, names of categories, numbers and moments written as text, clocks without a zone."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from headway.query.functions.function import Function, Signature
from headway.query.local_time import IN_CALENDAR, at_clock_sql, local_clock_read

__all__ = ["CLEANING"]

_NUMBER = r"[+-]?([0-9]{1,300}(\.[0-9]{0,300})?|\.[0-9]{1,300})([eE][+-]?[0-9]{1,3})?"
_WITH_MARK = r"[+-]?([0-9]{{1,300}}|[0-9]{{1,3}}({other}[0-9]{{3}}){{1,99}})({mark}[0-9]{{1,300}})?"
_PARTS = {"%Y": "[1-9][0-9]{3}", **dict.fromkeys(("%y", "%m", "%d", "%H", "%M", "%S"), "[0-9]{2}")}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _upper(text: str) -> str:
    # One letter for each, as Unicode's simple mapping says, and so does the engine.
    return "".join(_CAPITALS.get(letter) or (big if len(big := letter.upper()) == 1 else letter) for letter in text)


# Letters whose whole capital is two of them have a single one all the same: with the iota beside them, or sharp.
_CAPITALS = {letter: letter.title() for letter in map(chr, range(0x1F80, 0x2000)) if len(letter.title()) == 1}
_CAPITALS["\u00df"] = "\u1e9e"


def _number(text: str) -> float | None:
    if re.fullmatch(_NUMBER, text) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _marked(text: str, mark: str) -> float | None:
    if mark not in {",", "."}:
        return None
    other = "." if mark == "," else ","
    if re.fullmatch(_WITH_MARK.format(mark=re.escape(mark), other=re.escape(other)), text) is None:
        return None
    return _number(text.replace(other, "").replace(mark, "."))


def _marked_sql(mark: str) -> str:
    """Return the engine's text of a number with this mark before its decimals."""
    other = "." if mark == "," else ","
    shape = _WITH_MARK.format(mark=re.escape(mark), other=re.escape(other)).replace("{", "{{").replace("}", "}}")
    plain = f"replace(replace({{0}}, '{other}', ''), '{mark}', '.')"
    return f"CASE WHEN regexp_full_match({{0}}, '{shape}') THEN TRY_CAST({plain} AS DOUBLE) END"


def _translate(value: Any, *rest: Any) -> Any:
    pairs, last = (rest[:-1], rest[-1]) if len(rest) % 2 else (rest, None)
    if value is not None:
        for there, here in zip(pairs[::2], pairs[1::2], strict=True):
            if there == value:
                return here
    return last


def _translate_sql(value: str, *rest: str) -> str:
    pairs, last = (rest[:-1], rest[-1]) if len(rest) % 2 else (rest, "NULL")
    cases = " ".join(f"WHEN {there} THEN {here}" for there, here in zip(pairs[::2], pairs[1::2], strict=True))
    return f"(CASE {value} {cases} ELSE {last} END)" if cases else f"({last})"


def _moment(form: str) -> Function:
    """Return the function that reads moments of one form: parts of a fixed width, each of which stands in it once."""
    parts = re.split("(%.)", form)
    found = [part for part in parts if part.startswith("%")]
    unknown = [part for part in found if part not in _PARTS]
    if unknown or len(set(found)) != len(found) or not {"%m", "%d"} <= set(found) or len({"%Y", "%y"} & {*found}) != 1:
        message = f"{form!r} is no form of moments: %Y (or %y), %m and %d, each once, and perhaps %H, %M, %S"
        raise ValueError(message)
    pattern = "".join(_PARTS.get(part, re.escape(part)) for part in parts)

    def row(text: str, _: str, zone: str) -> int | None:
        if re.fullmatch(pattern, text) is None:
            return None
        try:
            read = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            return None
        return local_clock_read((read - _EPOCH) // timedelta(microseconds=1), zone)

    def sql(text: str, _: str, zone: str) -> str:
        said, shape = form.replace("'", "''"), pattern.replace("'", "''")
        read = f"(CASE WHEN regexp_full_match({text}, '{shape}') THEN try_strptime({text}, '{said}') END)"
        return _zoned_sql(read, zone)

    return Function(signatures=_MOMENT_OF, sql=sql, row=row, doc=_MOMENT_DOC)


def _zoned_sql(moment: str, zone: str) -> str:
    return f"(CASE WHEN {IN_CALENDAR.format(moment)} THEN {at_clock_sql(moment, zone)} END)"


_MOMENT_OF: tuple[Signature, ...] = ((("text", "text", "text"), "time"),)
_MOMENT_DOC = "The moment that a text says, in a form that is written out, by a clock in the zone: "
_MOMENT_DOC += "moment(text, '%d/%m/%Y %H:%M', zone); %y is a year of two digits, from 1969 to 2068 (POSIX, strptime). "
_MOMENT_DOC += "Missing where the text has another form, or there is no such day."

CLEANING: dict[str, Function] = {
    "upper": Function(signatures=((("text",), "text"),), sql="upper({0})", row=_upper, doc="In capitals."),
    "number": Function(
        signatures=((("text",), "float"), (("text", "text"), "float")),
        sql=f"(CASE WHEN regexp_full_match({{0}}, '{_NUMBER.replace('{', '{{').replace('}', '}}')}') "
        "AND isfinite(TRY_CAST({0} AS DOUBLE)) THEN TRY_CAST({0} AS DOUBLE) END)",
        row=_number,
        sql_of={
            ("text", "text"): f"(CASE {{1}} WHEN ',' THEN {_marked_sql(',')} WHEN '.' THEN {_marked_sql('.')} END)"
        },
        row_of={("text", "text"): _marked},
        choices={1: (",", ".")},
        doc="The number that a text says, with a point and no thousands; number(text, ',') where a comma stands before "
        "the decimals and points may stand between thousands, number(text, '.') the other way round. Missing where it "
        "says none.",
    ),
    "translate": Function(
        signatures=((("text", "text*"), "text"),),
        sql=_translate_sql,
        row=_translate,
        strict=False,
        doc="The text that stands for the first: translate(x, 'there', 'here', 'there too', 'here', otherwise); "
        "missing where none does and no other is said.",
    ),
    "moment": Function(signatures=_MOMENT_OF, sql="", row=_translate, fixed={1: _moment}, doc=_MOMENT_DOC),
    "zoned": Function(
        signatures=((("time", "text"), "time"),),
        sql=_zoned_sql,
        row=local_clock_read,
        doc="The moment at which a clock in the zone reads what this one reads in UTC.",
    ),
}
