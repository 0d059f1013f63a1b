"""What every kind of source becomes: a relation of the engine, its columns with the types that were found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headway.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from headway.query.database import Database

__all__ = ["Opened", "described", "one_line", "plainly", "refuse_twins"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One item of a source as the engine sees it.

    Attributes
    ----------
    columns
        Name to engine type, as found.
    relation
        Given types to read columns by instead (text formats alone can), returns the relation's text.
    typed
        Whether ``relation`` heeds the types.
    own_types
        Whether values bring types of their own all the same, as JSON's do: only what is wanted as text is then read
        otherwise than it was found.
    first_line
        The line on which the first row stands; 0 where rows have no lines.
    certain
        Where the types follow from a sample: returns the same with types that follow from all values. Reading what a
        sample says ends with the engine's error at the first value that would have said something else.
    """

    columns: Mapping[str, str]
    relation: Callable[[Mapping[str, str]], str]
    typed: bool
    first_line: int
    own_types: bool = False
    certain: Callable[[], Opened] | None = None


def described(relation: str, database: Database) -> dict[str, str]:
    """Return the columns of a relation: name to engine type."""
    return {row[0]: row[1] for row in database.rows(f"DESCRIBE SELECT * FROM {relation}")}


def plainly(relation: str, database: Database, *, first_line: int = 0) -> Opened:
    """Return a relation that brings its own types."""
    return Opened(
        columns=described(relation, database), relation=lambda _: relation, typed=False, first_line=first_line
    )


def refuse_twins(names: Iterable[str], *, shown: str, where: str) -> None:
    """Raise for two columns of one name: the engine knows no capitals, and would call the second something else.

    Raises
    ------
    SourceError
        Naming both.
    """
    seen: dict[str, str] = {}
    for name in names:
        twin = seen.get(name.casefold())
        if twin is not None:
            same = "twice" if twin == name else f"and {twin!r}, which differ in small and capital letters alone"
            raise SourceError(f"{shown} has the column {name!r} {same}.", where=where, hint="Rename one.")
        seen[name.casefold()] = name


def one_line(text: str) -> str:
    r"""Return the first line of a library's complaint, as one sentence.

    Examples
    --------
    >>> one_line("IO Error: No such file.\nCandidates: …")
    'No such file.'
    """
    line = re.sub(r"^[\w ]*Error:\s*", "", (text.strip() or "no reason was given").splitlines()[0])
    return f"{line.rstrip('. ')}."
