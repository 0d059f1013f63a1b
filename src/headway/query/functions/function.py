"""What an entry of the closed list is: kinds of values, and a function with both of its forms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["KINDS", "SQL_TYPES", "Function", "Kind", "Signature", "whole"]

Kind = Literal["bool", "int", "float", "text", "time", "span"]
Signature = tuple[tuple[str, ...], Kind]

KINDS: tuple[Kind, ...] = ("int", "float", "text", "time", "span", "bool")

SQL_TYPES: dict[str, str] = {
    "bool": "BOOLEAN",
    "int": "BIGINT",
    "float": "DOUBLE",
    "text": "VARCHAR",
    "time": "TIMESTAMP",
    "span": "BIGINT",
}
"""How each kind is held by the engine; a moment is a zone-less timestamp that is always UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One entry of the list.

    Attributes
    ----------
    signatures
        Argument kinds and result kind, tried in order; an ``int`` fits where a ``float`` is wanted. ``*`` after the
        last kind repeats it.
    sql
        DuckDB text with ``{0}``, ``{1}``, … for the arguments, ``{all}`` for all of them; or what makes it of them.
    row
        The same for one row.
    sql_of
        DuckDB text for the argument kinds that need one of their own; ``row_of`` likewise.
    strict
        Whether a missing argument makes the result missing (then ``row`` never sees ``None``).
    choices
        By position, the texts that an argument may be, where it is written out.
    fixed
        By position, what makes the function for a text that must be written out; it raises ValueError, whose words
        say what may stand there.
    unit
        What the result is measured in; empty where that depends on the arguments, or there is none.
    doc
        One sentence for the reference page.
    """

    signatures: tuple[Signature, ...]
    sql: str | Callable[..., str]
    row: Callable[..., Any]
    doc: str
    sql_of: dict[tuple[str, ...], str] = field(default_factory=dict)
    row_of: dict[tuple[str, ...], Callable[..., Any]] = field(default_factory=dict)
    strict: bool = True
    choices: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    fixed: Mapping[int, Callable[[str], Function]] = field(default_factory=dict)
    unit: str = ""


INT64 = 2**63


def whole(value: int) -> int | None:
    """Return a whole number that fits 64 bits; others are missing, as the engine's ``try`` makes them."""
    return value if -INT64 <= value < INT64 else None
