"""Conditions: comparing, joining, choosing; what is missing and what stands in for it."""

from __future__ import annotations

from typing import Any

from headway.query.functions.function import KINDS, Function, Signature

__all__ = ["LOGIC"]

_SAME_KINDS: tuple[Signature, ...] = tuple(
    ((kind, kind), "bool") for kind in ("int", "float", "text", "time", "span", "bool")
)


def _among(value: Any, *choices: Any) -> bool | None:
    if value is None:
        return None
    return True if value in choices else None if None in choices else False


LOGIC: dict[str, Function] = {
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
        signatures=tuple(((kind,), "bool") for kind in KINDS),
        sql="({0} IS NULL)",
        row=lambda a: a is None,
        strict=False,
        doc="Whether the value is missing; written 'x is missing'.",
    ),
    "present": Function(
        signatures=tuple(((kind,), "bool") for kind in KINDS),
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
        signatures=tuple((("bool", kind, kind), kind) for kind in KINDS),
        sql="(CASE WHEN {0} THEN {1} ELSE {2} END)",
        row=lambda condition, then, other: then if condition else other,
        strict=False,
        doc="The second where the first holds, else the third; missing counts as not holding.",
    ),
    "coalesce": Function(
        signatures=tuple(((kind, f"{kind}*"), kind) for kind in KINDS),
        sql="coalesce({all})",
        row=lambda *values: next((value for value in values if value is not None), None),
        strict=False,
        doc="The first value that is not missing.",
    ),
    "later": Function(
        signatures=((("time", "time"), "time"),),
        sql="(CASE WHEN {0} >= {1} THEN {0} WHEN {0} < {1} THEN {1} END)",
        row=max,
        doc="The later of two moments; missing if either is, unlike greatest.",
    ),
}
