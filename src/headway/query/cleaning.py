"""From what the brief says of a column's cleaning to an expression of the closed language.

So a cleaned column has both forms, the engine's and the one of a single row, like any other column that is derived.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import msgspec

from headway.errors import BriefError, did_you_mean
from headway.nouns.cleaning import UNITS, Clean, converted
from headway.nouns.expression import Call, Column, Literal
from headway.query.texts import compile_at

if TYPE_CHECKING:
    from headway.nouns.expression import Expression
    from headway.query.compile import Scope
    from headway.query.functions import Kind

__all__ = ["BETWEEN_GROUPS", "cleaned", "group_of"]

BETWEEN_GROUPS = "\x1f"
"""Stands between the parts of a group's name."""

_NUMBERS = {"int", "float"}


def cleaned(name: str, spec: Clean, scope: Scope, where: str) -> dict[str, Expression]:
    """Return the columns that a cleaning gives, by name: the cleaned one, and the indicator if there is one.

    Raises
    ------
    BriefError
        When a step does not fit the kind that the column has by then.
    """
    steps = _Steps(spec, scope, where)
    value = reduce(lambda value, step: step(value), steps.all, steps.begin())
    columns = {spec.indicator: Call("missing", (value,))} if spec.indicator else {}
    return {**columns, name: steps.filled(value)}


def group_of(columns: tuple[str, ...], scope: Scope, where: str) -> Expression:
    """Return the name of a row's group as a text: the values of ``columns``, a missing one as nothing."""

    def text(column: str) -> Expression:
        kind = compile_at(Column(column), scope, where).kind
        if kind not in {"text", "int"}:
            raise BriefError(f"Column {column!r} is a {kind}, and groups are of texts or whole numbers.", where=where)
        value = Column(column) if kind == "text" else Call("text", (Column(column),))
        return Call("coalesce", (value, Literal("", "text")))

    between = Literal(BETWEEN_GROUPS, "text")
    return reduce(lambda first, other: Call("concat", (Call("concat", (first, between)), other)), map(text, columns))


class _Steps:
    """The steps of one column, each from an expression to another."""

    def __init__(self, spec: Clean, scope: Scope, where: str) -> None:
        self.spec, self.scope, self.where = spec, scope, where
        self.all = (self.nulls, self.texts, self.named, self.parsed, self.zoned, self.converted, self.bounded)

    def kind(self, value: Expression) -> Kind:
        return compile_at(value, self.scope, self.where).kind

    def begin(self) -> Expression:
        self.kind(Column(self.spec.of))
        return Column(self.spec.of)

    def wants(self, step: str, value: Expression, kinds: set[str], wanted: str) -> None:
        kind = self.kind(value)
        if kind not in kinds:
            raise BriefError(
                f"{step} is for {wanted}, and {self.spec.of!r} is a {kind} by then.",
                where=f"{self.where}.{step}",
                hint="Steps are done in this order: nulls, trim, case, map, parse, zone, convert, bounds, fill.",
            )

    def nulls(self, value: Expression) -> Expression:
        if not self.spec.nulls:
            return value
        kind = self.kind(value)
        members = tuple(self.constant(each, kind, "nulls") for each in self.spec.nulls)
        is_null: Expression = reduce(
            lambda first, other: Call("or", (first, other)), (Call("=", (value, member)) for member in members)
        )
        return self.without(value, is_null)

    def without(self, value: Expression, condition: Expression) -> Expression:
        """Return ``value``, missing where ``condition`` holds."""
        return Call("if", (condition, self.nothing(value), value))

    def nothing(self, value: Expression) -> Expression:
        """Return a missing value of the kind of ``value``: what a division by nought, or a text of no number, gives."""
        kind = self.kind(value)
        if kind == "text":
            return Call("translate", (Literal("", "text"), Literal("-", "text"), Literal("-", "text")))
        if kind == "int":
            return Call("%", (Literal(1, "int"), Literal(0, "int")))
        if kind == "float":
            return Call("number", (Literal("-", "text"),))
        raise BriefError(f"{self.spec.of!r} is a {kind}, which has no such step.", where=self.where)

    def constant(self, value: object, kind: str, step: str) -> Literal:
        if kind == "text" and isinstance(value, str):
            return Literal(value, "text")
        if kind in _NUMBERS and isinstance(value, int | float) and not isinstance(value, bool):
            whole = kind == "int" and float(value).is_integer()
            return Literal(int(value), "int") if whole else Literal(float(value), "float")
        raise BriefError(
            f"{value!r} is no {kind}, which {self.spec.of!r} is.",
            where=f"{self.where}.{step}",
            hint="Write a text in quotes, and a number without.",
        )

    def texts(self, value: Expression) -> Expression:
        for step in (*(("trim",) if self.spec.trim else ()), *((self.spec.case,) if self.spec.case else ())):
            self.wants("trim" if step == "trim" else "case", value, {"text"}, "texts")
            value = Call(step, (value,))
        return value

    def named(self, value: Expression) -> Expression:
        if not self.spec.map:
            return value
        self.wants("map", value, {"text"}, "categories")
        pairs = tuple(Literal(text, "text") for pair in self.spec.map.items() for text in pair)
        last = {"": (value,), "missing": ()}.get(self.spec.otherwise, (Literal(self.spec.otherwise, "text"),))
        named = Call("translate", (value, *pairs, *last))
        # What is missing is no other category.
        return Call("if", (Call("present", (value,)), named, value)) if last else named

    def parsed(self, value: Expression) -> Expression:
        if not self.spec.parse:
            return value
        self.wants("parse", value, {"text"}, "texts")
        if self.spec.parse == "number":
            mark = () if self.spec.decimal is msgspec.UNSET else (Literal(self.spec.decimal, "text"),)
            return Call("number", (value, *mark))
        zone = Literal(self.spec.zone or "UTC", "text")
        forms = (self.spec.format,) if isinstance(self.spec.format, str) else self.spec.format
        read = tuple(Call("moment", (value, Literal(form, "text"), zone)) for form in forms)
        return read[0] if len(read) == 1 else Call("coalesce", read)

    def zoned(self, value: Expression) -> Expression:
        if not self.spec.zone or self.spec.parse == "moment":
            return value
        self.wants("zone", value, {"time"}, "moments")
        return Call("zoned", (value, Literal(self.spec.zone, "text")))

    def converted(self, value: Expression) -> Expression:
        if not self.spec.convert:
            return value
        self.wants("convert", value, _NUMBERS, "numbers")
        try:
            factor, summand = converted(self.spec.convert)
        except KeyError:
            raise BriefError(
                f"There is no conversion {self.spec.convert!r}.",
                where=f"{self.where}.convert",
                hint=did_you_mean(self.spec.convert, [f"{one} to {other}" for one, other in UNITS]),
            ) from None
        product = Call("*", (value, Literal(factor, "float")))
        return Call("+", (product, Literal(summand, "float"))) if summand else product

    def bounded(self, value: Expression) -> Expression:
        fitted = self.spec.fitted
        low = self.spec.low if self.spec.low is not None or fitted is None else fitted.low
        high = self.spec.high if self.spec.high is not None or fitted is None else fitted.high
        if low is not None or high is not None or self.spec.quantiles is not None:
            self.wants("low", value, _NUMBERS, "numbers")
        if low is not None and high is not None and low > high:
            raise BriefError(f"low = {low!r} is beyond high = {high!r}.", where=f"{self.where}.low")
        for bound, sign, clip in ((low, "<", "greatest"), (high, ">", "least")):
            if bound is None:
                continue
            limit = Literal(float(bound), "float")
            if self.spec.outliers == "clip":
                present = Call("present", (value,))
                clipped = Call(clip, (value, limit))
                value = Call("if", (present, clipped, self.nothing(clipped)))
            else:
                value = self.without(value, Call(sign, (value, limit)))
        return value

    def filled(self, value: Expression) -> Expression:
        if self.spec.fill is None:
            return value
        kind = self.kind(value)
        if self.spec.statistic in {"mean", "median"}:
            self.wants("fill", value, _NUMBERS, "numbers")
        if not self.spec.statistic:
            return Call("coalesce", (value, self.constant(self.spec.fill, kind, "fill")))
        fitted = self.spec.fitted
        if fitted is None or fitted.fill is None:
            return value  # nothing has been learned yet, or there was nothing to learn from
        if kind == "int" and not (isinstance(fitted.fill, float) and fitted.fill.is_integer() and not fitted.fill_by):
            value, kind = Call("+", (value, Literal(0.0, "float"))), "float"
        if not self.spec.by:
            return Call("coalesce", (value, self.constant(fitted.fill, kind, "fill")))
        group = group_of(self.spec.by, self.scope, f"{self.where}.by")
        pairs = tuple(Literal(str(text), "text") for pair in fitted.fill_by.items() for text in pair)
        known = Call("translate", (group, *pairs, Literal(str(fitted.fill), "text")))
        return Call("coalesce", (value, Call("number", (known,)) if kind == "float" else known))
