"""Numbers, and moments as far as they are counted with: signs, roots, angles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from headway.query.functions.function import INT64, Function, Signature, whole

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ARITHMETIC"]

# The engine's timestamps: from its first day to the last microsecond before its infinity.
_FIRST_US, _LAST_US = -9_223_372_022_400_000_000, INT64 - 2


def _shifted(value: int) -> int | None:
    return value if _FIRST_US <= value <= _LAST_US else None


def _number(value: float) -> float | None:
    return whole(value) if isinstance(value, int) else value


def _floor(value: float) -> float:
    # The engine keeps the sign of a nought.
    return math.copysign(float(math.floor(value)), value) if math.isfinite(value) else value


def _remainder(a: float, b: float) -> float | None:
    if b == 0:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return (abs(a) % abs(b)) * (-1 if a < 0 else 1)
    return math.fmod(a, b) if math.isfinite(a) else math.nan


_NUMBERS: tuple[Signature, ...] = ((("int", "int"), "int"), (("float", "float"), "float"))


def _of_float(sql: str, row: Callable[[float], float | None], doc: str) -> Function:
    return Function(signatures=((("float",), "float"),), sql=sql, row=row, doc=doc)


ARITHMETIC: dict[str, Function] = {
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
        row_of={("time", "span"): lambda a, b: _shifted(a - b) if b > -INT64 else None},
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
}
