"""The brief's expressions by the key under which they stand: what is wrong with one is said with that key.

The file hides how an error within a text, and the place of that text, become one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from headway.errors import BriefError
from headway.nouns.expression import parse
from headway.query.compile import compile_expression

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.nouns.expression import Expression
    from headway.query.compile import Compiled, Scope

__all__ = ["compile_at", "compile_moment", "compile_text", "parse_at"]

T = TypeVar("T")


def parse_at(text: str, where: str) -> Expression:
    """Return the expression that ``text``, under the key ``where``, says.

    Raises
    ------
    ExpressionError
        When it does not parse; with the key and the column.
    """
    return _placed(lambda: parse(text), where)


def compile_at(expression: Expression, scope: Scope, where: str) -> Compiled:
    """Return the compiled form of an expression from under the key ``where``.

    Raises
    ------
    ExpressionError
        When it does not fit the scope's columns.
    """
    return _placed(lambda: compile_expression(expression, scope), where)


def compile_text(text: str, scope: Scope, where: str) -> Compiled:
    """Return the compiled form of a text."""
    return compile_at(parse_at(text, where), scope, where)


def compile_moment(text: str, scope: Scope, where: str) -> Compiled:
    """Return the compiled form of a text that must be a moment."""
    compiled = compile_text(text, scope, where)
    if compiled.kind != "time":
        raise BriefError(
            f"{text!r} is a {compiled.kind}, and a moment is wanted.",
            where=where,
            hint="Name a column of moments, or one plus or minus an interval.",
        )
    return compiled


def _placed(attempt: Callable[[], T], where: str) -> T:
    try:
        return attempt()
    except BriefError as error:
        error.where = f"{where}, {error.where}" if error.where else where
        raise
