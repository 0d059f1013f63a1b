"""One expression, two forms: DuckDB text over a relation, and a Python callable over one row.

The file hides how kinds are resolved. Both forms come from one pass over one tree with one table of functions, so
they cannot drift apart unnoticed; ``tests/query/test_functions.py`` holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from headway.errors import ExpressionError, did_you_mean
from headway.nouns.expression import Call, Column, Expression, Literal
from headway.query.functions import AGGREGATES, FUNCTIONS, Function, Kind
from headway.query.local_time import is_zone

__all__ = ["Compiled", "Row", "RowForm", "Scope", "compile_expression", "quote", "quote_text"]

Row = Mapping[str, Any]
RowForm = Callable[[Row], Any]


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression whose kinds fit: its kind, its engine text and its one-row form."""

    kind: Kind
    sql: str
    row: RowForm


@dataclass(frozen=True, slots=True)
class Scope:
    """The columns an expression may use: name to kind and engine text.

    ``owner`` is how an error calls the place the columns come from (``source 'flights'``); ``refused`` holds
    columns that exist and may not be used here, each with the reason.
    """

    owner: str
    columns: Mapping[str, tuple[Kind, str]]
    refused: Mapping[str, str]

    @classmethod
    def of(cls, owner: str, kinds: Mapping[str, Kind], *, refused: Mapping[str, str] | None = None) -> Scope:
        """Return the scope in which each column is written by its own quoted name."""
        return cls(owner, {name: (kind, quote(name)) for name, kind in kinds.items()}, refused or {})


def quote(name: str) -> str:
    """Return ``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return ``text`` as an SQL string constant."""
    return "'" + text.replace("'", "''") + "'"


def compile_expression(expression: Expression, scope: Scope) -> Compiled:
    """Return both forms of ``expression`` over the columns of ``scope``.

    Raises
    ------
    ExpressionError
        For an unknown column or function, kinds that do not fit, or an aggregate where one row is meant.

    Examples
    --------
    >>> from headway.nouns.expression import parse
    >>> late = compile_expression(parse("arr_delay > 30"), Scope.of("source 'flights'", {"arr_delay": "int"}))
    >>> late.kind, late.sql, late.row({"arr_delay": 31})
    ('bool', '("arr_delay" > CAST(30 AS BIGINT))', True)
    """
    if isinstance(expression, Literal):
        return _constant(expression)
    if isinstance(expression, Column):
        return _column(expression.name, scope)
    if expression.function in AGGREGATES:
        raise ExpressionError(
            f"{expression.function}() looks at many rows, and here is only one.",
            hint="Say over which rows: { from = '…', match = ['…'], window = '24 hours', value = "
            f"'{expression.function}(…)' }}.",
        )
    return _call(expression, scope)


def _constant(literal: Literal) -> Compiled:
    value, kind = literal.value, literal.kind
    if kind == "text":
        sql = quote_text(str(value))
    elif kind == "float":
        # From its text: a bare 0.1 is a DECIMAL to the engine, and not always the nearest DOUBLE when cast.
        sql = f"CAST('{value!r}' AS DOUBLE)"
    elif kind in {"int", "span"}:
        # A bare 5 is 32 bits wide to the engine, and 5 * 1000000000 too wide for them.
        sql = f"CAST({value} AS BIGINT)"
    else:
        sql = str(value)
    return Compiled(kind, sql, lambda _: value)  # type: ignore[arg-type]


def _column(name: str, scope: Scope) -> Compiled:
    if name in scope.refused:
        raise ExpressionError(f"{name!r} of {scope.owner} cannot be used here: {scope.refused[name]}")
    if name not in scope.columns:
        raise ExpressionError(f"{scope.owner} has no column {name!r}.", hint=did_you_mean(name, scope.columns))
    kind, sql = scope.columns[name]
    return Compiled(kind, sql, lambda row: row[name])


def _call(call: Call, scope: Scope) -> Compiled:
    function = FUNCTIONS.get(call.function)
    if function is None:
        raise ExpressionError(
            f"There is no function {call.function!r}.",
            hint=did_you_mean(call.function, [name for name in (*FUNCTIONS, *AGGREGATES) if name.isidentifier()]),
        )
    _check_zone(call, function)
    function = _written_out(call, function)
    arguments = [compile_expression(argument, scope) for argument in call.arguments]
    kinds = tuple(argument.kind for argument in arguments)
    wanted, result = _signature(call.function, function, kinds)
    cast = [_cast(argument, kind) for argument, kind in zip(arguments, wanted, strict=True)]
    texts = [argument.sql for argument in cast]
    template = function.sql_of.get(wanted, function.sql)
    if callable(template):
        sql = template(*texts)
    else:
        sql = template.format(*texts, all=", ".join(texts), rest=", ".join(texts[1:]))
    row = function.row_of.get(wanted, function.row)
    return Compiled(result, sql, _row_form(row, [argument.row for argument in cast], strict=function.strict))


def _check_zone(call: Call, function: Function) -> None:
    """Raise where a zone is written out and does not exist: the data would otherwise have to show it."""
    zone = call.arguments[-1] if call.arguments else None
    takes_zone = any("time" in (result, *shape) and shape[-1] == "text" for shape, result in function.signatures)
    if takes_zone and isinstance(zone, Literal) and zone.kind == "text" and not is_zone(str(zone.value)):
        near = did_you_mean(str(zone.value), sorted(available_timezones()))
        hint = near if near.startswith("Did") else "Write a name such as 'UTC' or 'America/New_York'."
        raise ExpressionError(f"{zone.value!r} is not a time zone.", hint=hint)


def _written_out(call: Call, function: Function) -> Function:
    """Return the function for the texts that are written out in a call.

    Raises
    ------
    ExpressionError
        Where one is none of the known ones, or must be written out and is not.
    """
    for position, known in function.choices.items():
        text = call.arguments[position] if position < len(call.arguments) else None
        if isinstance(text, Literal) and text.kind == "text" and text.value not in known:
            raise ExpressionError(
                f"{call.function}() knows no {text.value!r}.", hint=did_you_mean(str(text.value), known)
            )
    for position, make in function.fixed.items():
        text = call.arguments[position] if position < len(call.arguments) else None
        if text is None:
            continue
        if not (isinstance(text, Literal) and text.kind == "text"):
            raise ExpressionError(
                f"Argument {position + 1} of {call.function}() must be written out.", hint=function.doc
            )
        try:
            function = make(str(text.value))
        except ValueError as error:
            raise ExpressionError(str(error)) from None
    return function


def _signature(name: str, function: Function, kinds: tuple[str, ...]) -> tuple[tuple[str, ...], Kind]:
    for exact in (True, False):
        for shape, result in function.signatures:
            wanted = _spread(shape, len(kinds))
            if wanted is not None and all(
                have == want or (not exact and have == "int" and want == "float")
                for have, want in zip(kinds, wanted, strict=True)
            ):
                return wanted, result
    takes = " or ".join(dict.fromkeys(f"({', '.join(shape)})" for shape, _ in function.signatures))
    raise ExpressionError(f"{name!r} takes {takes}, and got ({', '.join(kinds)}).", hint=function.doc)


def _spread(shape: tuple[str, ...], count: int) -> tuple[str, ...] | None:
    if shape and shape[-1].endswith("*"):
        fixed, last = shape[:-1], shape[-1][:-1]
        return (*fixed, *([last] * (count - len(fixed)))) if count > len(fixed) else None
    return shape if len(shape) == count else None


def _cast(argument: Compiled, kind: str) -> Compiled:
    if argument.kind == kind:
        return argument
    row = argument.row

    def as_float(values: Row) -> float | None:
        value = row(values)
        return None if value is None else float(value)

    return Compiled("float", f"CAST({argument.sql} AS DOUBLE)", as_float)


def _row_form(call: Callable[..., Any], arguments: list[RowForm], *, strict: bool) -> RowForm:
    if not strict:
        return lambda row: call(*(argument(row) for argument in arguments))
    if len(arguments) == 1:
        (only,) = arguments

        def of_one(row: Row) -> Any:
            value = only(row)
            return None if value is None else call(value)

        return of_one
    if len(arguments) == 2:
        left, right = arguments

        def of_two(row: Row) -> Any:
            first = left(row)
            if first is None:
                return None
            second = right(row)
            return None if second is None else call(first, second)

        return of_two

    def of_many(row: Row) -> Any:
        values = [argument(row) for argument in arguments]
        return None if None in values else call(*values)

    return of_many
