"""Aggregates over a window: the whole numbers that their steps carry, and the value that follows from these.

Counts and sums are taken back when a row leaves, so a running sum gives them; so are squares and products, from which
deviation and slope follow exactly (the sums stand in 128 bits, split in two halves of 62 for the table of steps; only
the last division rounds). The greatest, least, first and last value cannot be taken back; how they are found anyway is
in ``query/envelope.py``. The file hides what each aggregate keeps, and that both forms round in the same place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from headway.query.functions import SQL_TYPES, Kind

__all__ = ["FIXED_POINT", "HALF", "Aggregate"]

FIXED_POINT = 1_000_000
"""Fractions are summed in millionths: sums of whole numbers are exact in any order, sums of floats are not."""

HALF = 2**62
"""A sum of 128 bits is kept as quotient and remainder by this."""

_DAY_S = 86_400
_EXTREMES = ("max", "min", "first", "last")
_STATE = {
    "count": ("n", "s"),
    "sum": ("n", "s"),
    "avg": ("n", "s"),
    "std": ("n", "s", "qh", "ql"),
    "trend": ("n", "s", "t", "uh", "ul", "vh", "vl"),
    "distinct": ("d",),
    **dict.fromkeys(_EXTREMES, ("e",)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One aggregate over a window: ``function`` of ``sql`` (``None`` for rows), named ``name``."""

    name: str
    function: str
    sql: str | None
    kind: Kind

    @property
    def scale(self) -> int:
        """Parts per unit in the whole numbers that are summed."""
        return FIXED_POINT if self.kind == "float" else 1

    @property
    def result(self) -> Kind:
        """The kind of the aggregate's value."""
        if self.function in _EXTREMES:
            return self.kind
        whole = self.function in {"count", "distinct"} or (self.function == "sum" and self.kind != "float")
        return "int" if whole else "float"

    @property
    def extreme(self) -> bool:
        """Whether it is one row's value, not a sum."""
        return self.function in _EXTREMES

    @property
    def state(self) -> tuple[str, ...]:
        """The columns of the steps from which the value follows, but for the aggregate's place at their end."""
        return _STATE[self.function]

    @property
    def summed(self) -> dict[str, str]:
        """What is summed, by letter: engine text over the row; ``@s`` is the moment of its event in whole seconds."""
        value = self.sql
        if self.extreme or self.function == "distinct":
            return {}
        count = "1" if value is None else f"({value} IS NOT NULL)::BIGINT"
        # What is counted need not be a number: a text is there, or not.
        if value is None or self.function == "count":
            return {"n": count, "s": "0"}
        whole = self.whole
        wide = f"CAST({whole} AS HUGEINT)"
        sums = {"n": count, "s": f"coalesce({whole}, 0)"}
        if self.function == "std":
            sums["q"] = f"coalesce({wide} * {wide}, 0)"
        if self.function == "trend":
            there = f'(CASE WHEN {value} IS NOT NULL THEN CAST("@s" AS HUGEINT) ELSE 0 END)'
            sums |= {"t": there, "u": f"{there} * {there}", "v": f"coalesce({there} * {wide}, 0)"}
        return sums

    @property
    def whole(self) -> str:
        """Engine text of the row's value in whole parts."""
        if self.kind == "float":
            return f"CAST(floor({self.sql} * {FIXED_POINT} + 0.5) AS BIGINT)"
        return f"CAST({self.sql} AS {SQL_TYPES['int']})"

    @property
    def taken(self) -> str:
        """Engine text of the row's value as an extreme or a distinct one; a nought has no sign, infinity is missing."""
        if self.kind == "float":
            return f"(CASE WHEN {self.sql} = 0 THEN 0e0 WHEN isfinite({self.sql}) THEN {self.sql} END)"
        return f"({self.sql})"

    def value(self, *state: Any) -> Any:
        """Return the aggregate from its state, in the order of :attr:`state`; ``None`` s stand for a key never seen."""
        if self.extreme:
            return state[0]
        if state[0] is None:
            return (0 if self.result == "int" else 0.0) if self.function in {"count", "sum", "distinct"} else None
        if self.function in {"count", "distinct"}:
            return state[0]
        count, total = state[:2]
        if self.function == "sum":
            return total if self.kind != "float" else float(total) / self.scale
        if self.function == "avg":
            return float(total) / (count * self.scale) if count else None
        if count < 2:
            return None
        if self.function == "std":
            above = _within(count * (state[2] * HALF + state[3]), total * total)
            return None if above is None else math.sqrt(float(above) / float(count * (count - 1))) / self.scale
        seconds, squares, products = state[2], state[3] * HALF + state[4], state[5] * HALF + state[6]
        above, below = _within(count * products, seconds * total), _within(count * squares, seconds * seconds)
        if above is None or not below:
            return None
        return float(above) / float(below) * (float(_DAY_S) / self.scale)

    def value_sql(self, *state: str) -> str:
        """Return the engine's text of :meth:`value`."""
        if self.extreme:
            return state[0]
        if self.function in {"count", "distinct"}:
            return f"coalesce({state[0]}, 0)"
        count, total = state[:2]
        if self.function == "sum":
            whole = f"coalesce({total}, 0)"
            return whole if self.kind != "float" else f"(CAST({whole} AS DOUBLE) / {self.scale})"
        if self.function == "avg":
            return f"(CASE WHEN {count} > 0 THEN CAST({total} AS DOUBLE) / ({count} * {self.scale}) END)"
        if self.function == "std":
            above = f"try({count} * {_joined(*state[2:4])} - CAST({total} AS HUGEINT) * {total})"
            ratio = f"{_double(above)} / CAST({count} * ({count} - 1) AS DOUBLE)"
            return f"(CASE WHEN {count} >= 2 THEN sqrt({ratio}) / {float(self.scale)!r}e0 END)"
        seconds = f"CAST({state[2]} AS HUGEINT)"
        above = f"try({count} * {_joined(*state[5:7])} - {seconds} * {total})"
        below = f"nullif(try({count} * {_joined(*state[3:5])} - {seconds} * {seconds}), 0)"
        unit = f"CAST('{float(_DAY_S) / self.scale!r}' AS DOUBLE)"
        return f"(CASE WHEN {count} >= 2 THEN {_double(above)} / {_double(below)} * {unit} END)"

    def replayed(self, values: list[Any], events_us: list[int]) -> tuple[Any, ...]:
        """Return the state that rows with these values give, ``None`` being missing, the earliest first."""
        there = [(value, at // 1_000_000) for value, at in zip(values, events_us, strict=True) if value is not None]
        if self.function == "distinct":
            return (len({value for value, _ in there}),)
        if self.extreme:
            plain = [value for value, _ in there]
            if not plain or self.function in {"first", "last"}:
                return (None if not plain else plain[0 if self.function == "first" else -1],)
            return (max(plain) if self.function == "max" else min(plain),)
        wholes = [
            (math.floor(v * FIXED_POINT + 0.5) if self.kind == "float" else int(v), second) for v, second in there
        ]
        count, total = len(wholes), sum(whole for whole, _ in wholes)
        if self.function == "std":
            return (count, total, *divmod(sum(whole * whole for whole, _ in wholes), HALF))
        seconds = sum(second for _, second in wholes)
        squares = sum(second * second for _, second in wholes)
        products = sum(whole * second for whole, second in wholes)
        return (count, total, seconds, *divmod(squares, HALF), *divmod(products, HALF))


def _within(first: int, second: int) -> int | None:
    """Return the difference; None where it, or what it is made of, leaves the engine's 128 bits."""
    return first - second if max(abs(first), abs(second), abs(first - second)) < 2**127 else None


def _joined(high: str, low: str) -> str:
    return f"(CAST({high} AS HUGEINT) * {HALF} + {low})"


def _double(whole: str) -> str:
    # By way of its digits: from them a number of 128 bits is rounded once, as Python does; a cast rounds its halves.
    return f"CAST(CAST({whole} AS VARCHAR) AS DOUBLE)"
