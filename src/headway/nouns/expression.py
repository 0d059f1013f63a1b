"""Expressions as the brief writes them, as a tree.

``arr_delay > 30``, ``hour(sched_dep, 'America/New_York')``, ``sched_dep - interval 2 hours``; a column whose name is no
plain word stands in double quotes: ``"Order Date"``. The file hides the grammar. What a function means, and which types
it takes, is said in ``headway.query.functions``: the list there is closed, so that the engine's text and the one-row
form of serving can be held equal.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache, reduce
from typing import TYPE_CHECKING, Any

import msgspec

from headway.errors import ExpressionError
from headway.nouns.span import parse_span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lark import Lark, Token, Tree

__all__ = ["Call", "Column", "Expression", "Literal", "columns_of", "parse", "rename", "render"]


class Literal(msgspec.Struct, frozen=True, tag="literal"):
    """A constant; a ``span`` is held in microseconds."""

    value: bool | int | float | str | None
    kind: str


class Column(msgspec.Struct, frozen=True, tag="column"):
    """A column of the row, or of the row that was looked up."""

    name: str


class Call(msgspec.Struct, frozen=True, tag="call"):
    """A function, or an operator by its sign, applied to arguments."""

    function: str
    arguments: tuple[Literal | Column | Call, ...]


Expression = Literal | Column | Call

_GRAMMAR = r"""
?start: disjunction
?disjunction: conjunction (_OR conjunction)*
?conjunction: negation (_AND negation)*
?negation: _NOT negation -> not_
    | comparison
?comparison: sum
    | sum COMPARE sum -> compare
    | sum _IS _MISSING -> missing
    | sum _IS _NOT _MISSING -> present
    | sum _IN "(" member ("," member)* ")" -> among
    | sum _NOT _IN "(" member ("," member)* ")" -> not_among
?member: literal
    | SIGN literal -> signed
?sum: product
    | sum SIGN product -> binary
?product: unary
    | product TIMES unary -> binary
?unary: SIGN unary -> signed
    | atom
?atom: literal
    | NAME "(" [disjunction ("," disjunction)*] ")" -> call
    | NAME "." NAME -> dotted
    | NAME -> column
    | QUOTED -> quoted
    | "(" disjunction ")"
literal: INTEGER -> integer
    | DECIMAL -> decimal
    | STRING -> text
    | _INTERVAL INTEGER NAME -> interval
    | _INTERVAL STRING -> interval_text
    | _TRUE -> true
    | _FALSE -> false

_OR.2: /or\b/i
_AND.2: /and\b/i
_NOT.2: /not\b/i
_IS.2: /is\b/i
_IN.2: /in\b/i
_MISSING.2: /(missing|null)\b/i
_INTERVAL.2: /interval\b/i
_TRUE.2: /true\b/i
_FALSE.2: /false\b/i
COMPARE: "<=" | ">=" | "<>" | "!=" | "==" | "=" | "<" | ">"
SIGN: "+" | "-"
TIMES: "*" | "/" | "%"
NAME: /[A-Za-z_][A-Za-z0-9_]*/
DECIMAL.2: /\d+\.\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|\d+[eE][+-]?\d+/
INTEGER: /\d+/
STRING: /'([^']|'')*'/
QUOTED: /"([^"]|"")+"/
%ignore /\s+/
"""

_DEEPEST = 150

_SAME = {"==": "=", "<>": "!="}


def parse(text: str) -> Expression:
    """Return the tree of ``text``.

    Raises
    ------
    ExpressionError
        With the column at which the text stops making sense.

    Examples
    --------
    >>> render(parse("arr_delay > 30 and not carrier = 'UA'"))
    "((arr_delay > 30) and (not (carrier = 'UA')))"
    >>> parse("arr_delay > ")
    Traceback (most recent call last):
    ...
    headway.errors.ExpressionError: column 13: 'arr_delay > ' ends too early.
    """
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    try:
        tree = _parser().parse(text)
    except UnexpectedCharacters as error:
        found = str(error.char)
        hints = {"'": "A text ends with the ' it begins with.", '"': "A column's name ends with the \" it begins with."}
        raise ExpressionError(
            f"{_short(text)} has {found!r}, which means nothing here.",
            where=f"column {error.column}",
            hint=hints.get(found, ""),
        ) from None
    except UnexpectedToken as error:
        if error.token.type == "$END":
            raise ExpressionError(f"{_short(text)} ends too early.", where=f"column {len(text) + 1}") from None
        raise ExpressionError(
            f"{_short(text)} has {str(error.token)!r}, which cannot stand here.", where=f"column {error.column}"
        ) from None
    except UnexpectedInput as error:  # pragma: no cover - lark has no other kind today
        raise ExpressionError(f"{_short(text)} is not an expression.", where=f"column {error.column}") from None
    if _depth(tree) > _DEEPEST:
        raise ExpressionError(
            f"{_short(text)} is nested more than {_DEEPEST} deep.", hint="Derive columns for its parts, and use those."
        )
    return _build(tree)


def _short(text: str) -> str:
    return repr(text if len(text) <= 120 else f"{text[:117]}...")


def _depth(tree: Tree[Token]) -> int:
    """Return how deep a tree is, without going down it by calls: it may be deeper than those can go."""
    deepest = 0
    waiting: list[tuple[Any, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        # A chain of 'and' is one flat node here, and is built as nested calls.
        chain = node.data in {"conjunction", "disjunction"}
        waiting += [
            (part, depth + (place if chain else 1))
            for place, part in enumerate(node.children, start=1)
            if hasattr(part, "children")
        ]
    return deepest


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=False)


def _build(node: Tree[Token] | Token) -> Expression:
    rule, parts = str(node.data), node.children  # type: ignore[union-attr]
    if rule in {"integer", "decimal", "text", "interval", "interval_text", "true", "false"}:
        return _literal(rule, [str(part) for part in parts])
    if rule in {"column", "quoted"}:
        name = str(parts[0])
        return Column(name if rule == "column" else name[1:-1].replace('""', '"'))
    if rule == "dotted":
        return Column(f"{parts[0]}.{parts[1]}")
    if rule == "call":
        return Call(str(parts[0]).lower(), tuple(_build(part) for part in parts[1:]))
    if rule in {"compare", "binary"}:
        sign = str(parts[1])
        return Call(_SAME.get(sign, sign), (_build(parts[0]), _build(parts[2])))
    if rule == "signed":
        inner = _build(parts[1])
        return inner if str(parts[0]) == "+" else _negate(inner)
    if rule in {"disjunction", "conjunction"}:
        sign = "or" if rule == "disjunction" else "and"
        return reduce(lambda first, other: Call(sign, (first, other)), map(_build, parts))
    if rule in {"among", "not_among"}:
        found = _among(parts)
        return found if rule == "among" else Call("not", (found,))
    missing = {"missing": "missing", "present": "present", "not_": "not"}[rule]
    return Call(missing, (_build(parts[0]),))


def _among(parts: list[Any]) -> Call:
    value, *members = map(_build, parts)
    if not all(isinstance(member, Literal) for member in members):
        raise ExpressionError("Only constants can stand in the list of 'in'.")
    return Call("in", (value, *members))


def _negate(inner: Expression) -> Expression:
    if isinstance(inner, Literal) and isinstance(inner.value, int | float) and inner.kind in {"int", "float"}:
        return Literal(-inner.value, inner.kind)
    return Call("negate", (inner,))


def _literal(rule: str, parts: list[str]) -> Literal:
    if rule == "integer":
        return Literal(_fitting(parts[0]), "int")
    if rule == "decimal":
        number = float(parts[0])
        if math.isinf(number):
            raise ExpressionError(f"{parts[0]} is too large a number.")
        return Literal(number, "float")
    if rule == "text":
        return Literal(parts[0][1:-1].replace("''", "'"), "text")
    if rule in {"interval", "interval_text"}:
        words = " ".join(parts) if rule == "interval" else parts[0][1:-1]
        return Literal(parse_span(words), "span")
    return Literal(rule == "true", "bool")


def _fitting(digits: str) -> int:
    # Python refuses to read numbers of thousands of digits; nobody means them.
    if len(digits.lstrip("0")) > 19 or int(digits) > 2**63 - 1:
        raise ExpressionError(f"{_short(digits)[1:-1]} does not fit into 64 bits.", hint="Write it as 1e20 or so.")
    return int(digits)


def columns_of(expression: Expression) -> frozenset[str]:
    """Return the names of all columns in ``expression``.

    Examples
    --------
    >>> sorted(columns_of(parse("hour(sched_dep, zone) > 5")))
    ['sched_dep', 'zone']
    """
    return frozenset(node.name for node in _walk(expression) if isinstance(node, Column))


def rename(expression: Expression, names: Mapping[str, Expression]) -> Expression:
    """Return ``expression`` with columns replaced; a column without an entry stays."""
    if isinstance(expression, Column):
        return names.get(expression.name, expression)
    if isinstance(expression, Call):
        return Call(expression.function, tuple(rename(argument, names) for argument in expression.arguments))
    return expression


def render(expression: Expression) -> str:
    """Return ``expression`` as text that :func:`parse` reads back to the same tree."""
    if isinstance(expression, Column):
        plain = _PLAIN.fullmatch(expression.name) and expression.name.lower() not in _WORDS
        return expression.name if plain else '"' + expression.name.replace('"', '""') + '"'
    if isinstance(expression, Literal):
        return _render_literal(expression.value, expression.kind)
    name, texts = expression.function, [render(argument) for argument in expression.arguments]
    if name == "in":
        return f"({texts[0]} in ({', '.join(texts[1:])}))"
    if name == "not":
        return f"(not {texts[0]})"
    if name == "negate":
        return f"(-{texts[0]})"
    if name in {"missing", "present"}:
        return f"({texts[0]} is {'not ' if name == 'present' else ''}missing)"
    if name in _INFIX:
        return f"({texts[0]} {name} {texts[1]})"
    return f"{name}({', '.join(texts)})"


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset({"or", "and", "not", "is", "in", "missing", "null", "interval", "true", "false"})
_INFIX = frozenset({"or", "and", "=", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"})


def _render_literal(value: Any, kind: str) -> str:
    if kind == "text":
        return "'" + str(value).replace("'", "''") + "'"
    if kind == "span":
        return f"interval {value} us"
    return str(value).lower() if kind == "bool" else repr(value)


def _walk(expression: Expression) -> Iterator[Expression]:
    yield expression
    if isinstance(expression, Call):
        for argument in expression.arguments:
            yield from _walk(argument)
