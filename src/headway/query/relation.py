"""A source as the brief has it: its columns, raw and derived, and when each of them is known.

The file hides how one column follows from others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from headway.nouns.expression import Call, Expression
from headway.query.compile import Compiled, Scope
from headway.query.functions import Kind

if TYPE_CHECKING:
    from headway.nouns.brief import Source
    from headway.query.timeline import Timeline

__all__ = ["DAY_OF_SPLIT", "LOOK_AT", "PREDICT_AT", "Derived", "Kinds", "Relation"]

PREDICT_AT = "predict_at"
LOOK_AT = "@look_at"
DAY_OF_SPLIT = "day"
"""In ``rank_within``: all examples of one local day, unless a column bears this name."""

Kinds = Mapping[str, Kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """One derived column: what it is computed from, in both forms."""

    name: str
    compiled: Compiled
    inputs: frozenset[str]
    timelines: tuple[Timeline, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """A source with its derived columns and the moment each column is known.

    Attributes
    ----------
    raw
        Columns as they are in the source, with kinds.
    derived
        Derived columns in the order of computation.
    known
        For each column that declares it (or inherits it from its inputs), the expression of when it is known.
    """

    name: str
    source: Source
    raw: Kinds
    derived: tuple[Derived, ...]
    known: Mapping[str, Expression]

    @property
    def kinds(self) -> dict[str, Kind]:
        """All columns, raw and derived."""
        return {**self.raw, **{column.name: column.compiled.kind for column in self.derived}}

    @property
    def static(self) -> bool:
        """Whether this is a dimension: no event time and no known time."""
        return not self.source.time and not self.source.known

    @property
    def same_by(self) -> tuple[str, ...]:
        """The columns by which rows are the same event, and the one that says which of them counts, if there is one."""
        once = self.source.once
        if once is None:
            return ()
        return (*self.alike_by, *((once.order,) if once.order else ()))

    @property
    def alike_by(self) -> tuple[str, ...]:
        """The columns by which rows are the same event; none where the brief says nothing of doubles."""
        once = self.source.once
        if once is None:
            return ()
        time = (self.source.time,) if self.source.time else ()
        return tuple(dict.fromkeys((*(once.by or self.source.key), *time)))

    def scope(self, *, extra: Kinds | None = None, refused: Mapping[str, str] | None = None) -> Scope:
        """Return the scope of an expression over this source's rows."""
        return Scope.of(f"source {self.name!r}", {**self.kinds, **(extra or {})}, refused=refused)

    def known_at(self, columns: Iterable[str]) -> Expression | None:
        """Return when all of ``columns`` are known; ``None`` when one of them never says so."""
        moments: dict[Expression, None] = {}
        for column in sorted(columns):
            if column not in self.known:
                return None
            moments[self.known[column]] = None
        return reduce(lambda first, second: Call("later", (first, second)), moments) if moments else None

    def closure(self, columns: Iterable[str]) -> frozenset[str]:
        """Return ``columns`` and all columns, raw and derived, from which they follow."""
        needed = set(columns)
        for column in reversed(self.derived):  # a column follows from earlier ones only
            if column.name in needed:
                needed |= column.inputs
        return frozenset(needed)

    def loaded(self, wanted: Iterable[str]) -> list[str]:
        """Return the columns that stand in memory while those that are wanted are read: all that they follow from.

        Where nothing else says which of two doubles counts, these do.
        """
        needed = self.closure({*wanted, *self.same_by})
        return [column for column in self.kinds if column in needed]

    def raw_inputs(self, columns: Iterable[str]) -> frozenset[str]:
        """Return the raw columns from which ``columns`` follow."""
        return self.closure(columns) - {column.name for column in self.derived}
