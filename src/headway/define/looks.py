"""What a look at data files finds: columns, keys, times, candidate targets, joins. Frozen, and without any file open.

:mod:`headway.define.look` fills it in, :mod:`headway.define.draft` writes a brief from it.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

__all__ = ["ColumnLook", "JoinLook", "Kind", "Look", "Looks", "TargetLook", "can_be_written"]

Kind = Literal["bool", "int", "float", "text", "time", "other"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = frozenset({"or", "and", "not", "is", "in", "missing", "null", "interval", "true", "false"})


def can_be_written(name: str) -> bool:
    """Return whether an expression of the brief can name a column.

    Examples
    --------
    >>> can_be_written("order_id"), can_be_written("order id"), can_be_written("in")
    (True, False, False)
    """
    return bool(_NAME.fullmatch(name)) and name.lower() not in {*_WORDS, "predict_at"}


class ColumnLook(msgspec.Struct, frozen=True, kw_only=True):
    """One column, over the rows that were sampled.

    Attributes
    ----------
    kind
        ``other`` is what a table of plain values has no place for (a list, a structure, a time of day).
    engine_type
        What the engine's reader made of it.
    missing
        Share of rows without a value.
    distinct
        Number of different values.
    examples
        The most frequent values, at most three.
    low, high
        The least and the greatest, as text; moments as ISO 8601 in UTC.
    read_as
        The kind that the brief must declare, where the file's reader makes something else of it: moments that a file
        holds as text, times of day, days that could be other days.
    there
        What the file calls it, where that is another name.
    clean
        How the brief must clean it, as fields of a cleaned column: texts that say numbers or moments. The column of
        the file then stays beside it.
    """

    name: str
    kind: Kind
    engine_type: str
    missing: float
    distinct: int
    examples: tuple[str, ...] = ()
    low: str = ""
    high: str = ""
    read_as: str = ""
    there: str = ""
    clean: dict[str, str | tuple[str, ...]] = {}

    @property
    def raw(self) -> str:
        """The column that the source has: of a cleaned one what it is made of, of a renamed one the new name."""
        return self.there or self.name if self.clean else self.name


class TargetLook(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could be predicted.

    Attributes
    ----------
    column, label
        The column, and the condition in the brief's words.
    base_rate
        Share of the rows with a value for which the condition holds; ``None`` for a condition that a human wrote.
    score
        How much it looks like a target; comparable within one look.
    known_by
        Columns of moments at which it may have become known: later than the event, and there for both classes.
    only_when_true
        A column of moments that is there only where the condition holds, such as ``returned_at``.
    delay_us
        Time from the event to the first of ``known_by``, or else to ``only_when_true``, for 19 of 20 rows.
    tells
        Columns that alone almost give the answer away.
    """

    column: str
    label: str
    base_rate: float | None
    score: float
    known_by: tuple[str, ...] = ()
    only_when_true: str = ""
    delay_us: int | None = None
    tells: tuple[str, ...] = ()


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One source.

    Attributes
    ----------
    name, path, table
        As the brief will have them.
    rows, sampled
        Rows in all files, and how many of them were looked at closely.
    keys
        The smallest sets of columns that tell rows apart, best first.
    time
        The column of the event's moment; empty when there is none.
    later
        Columns of moments that lie after the event: filled in later.
    earlier
        Columns of moments that lie before it.
    outcomes
        Other columns that seem to be filled in later.
    first_us, last_us
        The span of the event's moments over all rows.
    last_seen_us
        The last moment in any column that lies later: how far the file knows.
    clock
        Whether the moments have a time of day.
    zoned
        Whether the moments carry their zone.
    step_us
        Typical time from a row to the next of the same entity, for sources keyed by entity and time.
    """

    name: str
    path: str
    table: str = ""
    files: int = 1
    rows: int
    sampled: int
    columns: tuple[ColumnLook, ...]
    keys: tuple[tuple[str, ...], ...] = ()
    time: str = ""
    later: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    targets: tuple[TargetLook, ...] = ()
    first_us: int | None = None
    last_us: int | None = None
    last_seen_us: int | None = None
    clock: bool = True
    zoned: bool = True
    step_us: int | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """The best candidate key; empty when rows cannot be told apart."""
        return self.keys[0] if self.keys else ()

    def column(self, name: str) -> ColumnLook:
        """Return one column."""
        return next(column for column in self.columns if column.name == name)


class JoinLook(msgspec.Struct, frozen=True, kw_only=True):
    """How one source can look into another.

    Attributes
    ----------
    pairs
        Columns that must be equal: mine, theirs.
    shape
        ``static``: one row a key; ``asof``: the latest row of a key; ``events``: many rows a key, over a window.
    """

    mine: str
    theirs: str
    pairs: tuple[tuple[str, str], ...]
    shape: Literal["static", "asof", "events"]


class Looks(msgspec.Struct, frozen=True, kw_only=True):
    """All sources, and how they fit together."""

    sources: tuple[Look, ...]
    joins: tuple[JoinLook, ...] = ()

    def source(self, name: str) -> Look:
        """Return one source."""
        return next(look for look in self.sources if look.name == name)
