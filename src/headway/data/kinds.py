"""How a column as a reader gives it becomes one of the five kinds that are kept, and which of its values cannot.

Kept are booleans, 64-bit whole numbers, finite doubles, texts, and moments in UTC to the microsecond. The file hides
the engine's many types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from headway.query.compile import quote, quote_text
from headway.query.local_time import at_clock_sql, in_utc_sql

__all__ = ["Kept", "kept", "kind_of"]

_KINDS = {
    "BOOLEAN": "bool",
    **dict.fromkeys(["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"], "int"),
    **dict.fromkeys(["UBIGINT", "HUGEINT", "UHUGEINT"], "int"),
    **dict.fromkeys(["FLOAT", "DOUBLE"], "float"),
    **dict.fromkeys(["VARCHAR", "UUID", "TIME", "JSON", "INTERVAL"], "text"),
    **dict.fromkeys(["DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"], "time"),
    "TIMESTAMP WITH TIME ZONE": "time",
}
_WIDE = {"UBIGINT", "HUGEINT", "UHUGEINT"}
_NESTED = re.compile(r"^(STRUCT|MAP|UNION)\(|\]$")
_OFFSET = r".{11,}(Z|z|[+-]\d\d(:?\d\d){0,2}| [A-Za-z][\w/+-]*)\s*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The engine's text of a column as it is kept; ``safe`` when no value can get lost on the way."""

    sql: str
    safe: bool


def kind_of(engine_type: str) -> str | None:
    """Return the kind in which values of a type are kept; None for what has no place in a table.

    Examples
    --------
    >>> kind_of("SMALLINT"), kind_of("DECIMAL(9,2)"), kind_of("STRUCT(a BIGINT)"), kind_of("BLOB")
    ('int', 'float', 'text', None)
    """
    if engine_type.startswith("DECIMAL"):
        return "float"
    if engine_type.startswith("ENUM") or _NESTED.search(engine_type):
        return "text"
    return _KINDS.get(engine_type)


def kept(name: str, engine_type: str, kind: str, *, zone: str) -> Kept:
    """Return how column ``name`` of an engine's type is kept as ``kind``.

    What cannot be kept becomes missing in the text, which is then not safe: whoever uses it must look first.
    """
    column, found = quote(name), kind_of(engine_type)
    if kind == "text":
        nested = bool(_NESTED.search(engine_type))
        return Kept(sql=f"CAST({f'to_json({column})' if nested else column} AS VARCHAR)", safe=True)
    if kind == "time":
        return _moment(column, engine_type, zone)
    if kind == "float":
        value = f"TRY_CAST({column} AS DOUBLE)"
        # Not a number, and beyond all numbers, are missing: no sum and no threshold can use them.
        finite = f"(CASE WHEN isfinite({value}) THEN {value} END)"
        return Kept(sql=finite if found in {"float", "text"} else value, safe=found in {"bool", "int", "float"})
    if kind == "int":
        return _whole(column, engine_type, found)
    return Kept(sql=f"TRY_CAST({column} AS BOOLEAN)", safe=found == "bool")


def _whole(column: str, engine_type: str, found: str | None) -> Kept:
    value = f"TRY_CAST({column} AS BIGINT)"
    if found == "float":  # a cast alone would round 1.5 to 2
        value = f"(CASE WHEN {column} = floor({column}) THEN {value} END)"
    elif found == "text":
        value = f"(CASE WHEN regexp_full_match(trim({column}), '[+-]?[0-9]+') THEN {value} END)"
    elif found == "time":
        value = "CAST(NULL AS BIGINT)"
    return Kept(sql=value, safe=found == "bool" or (found == "int" and engine_type not in _WIDE))


def _moment(column: str, engine_type: str, zone: str) -> Kept:
    if engine_type == "TIMESTAMP WITH TIME ZONE":
        return Kept(sql=f"(CASE WHEN isfinite({column}) THEN {in_utc_sql(column)} END)", safe=True)
    if engine_type == "DATE":
        # No cast: the reader of CSV would take one for itself, and read days by the form of moments.
        return Kept(sql=_in_utc(f"({column} + INTERVAL 0 DAY)", zone), safe=True)
    if kind_of(engine_type) == "time":
        return Kept(sql=_in_utc(f"CAST({column} AS TIMESTAMP)", zone), safe=True)
    if kind_of(engine_type) != "text":
        return Kept(sql="CAST(NULL AS TIMESTAMP)", safe=False)
    with_offset = in_utc_sql(f"TRY_CAST({column} AS TIMESTAMPTZ)")
    local = _in_utc(f"TRY_CAST({column} AS TIMESTAMP)", zone)
    return Kept(
        sql=f"(CASE WHEN regexp_full_match({column}, {quote_text(_OFFSET)}) THEN {with_offset} ELSE {local} END)",
        safe=False,
    )


def _in_utc(local: str, zone: str) -> str:
    finite = f"(CASE WHEN isfinite({local}) THEN {local} END)"
    return finite if zone == "UTC" else at_clock_sql(finite, quote_text(zone))
