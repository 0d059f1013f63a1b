"""What happened to a table, in words: the kinds of silent change, one found change, and the check its bad rows fail.

The file hides nothing; it is the vocabulary that whoever finds changes, and whoever reads of them, share.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = ["CHANGE_KINDS", "Change", "Check", "Value"]

Value: TypeAlias = bool | int | float | str

CHANGE_KINDS: dict[str, str] = {
    "column renamed": "a column stands there under another name",
    "column dropped": "a column is no longer there",
    "column added": "a column is there that was not",
    "type changed": "the values of a column are of another type",
    "day and month swapped": "days were written day first and read month first, or the other way round",
    "epoch unit changed": "moments are counted in another unit: seconds, milliseconds …",
    "time zone shifted": "moments are off by whole hours",
    "unit changed": "numbers are in another unit",
    "category renamed": "a category has another name",
    "category split": "one category became several",
    "categories merged": "several categories became one",
    "case changed": "categories differ in small and capital letters",
    "whitespace changed": "categories differ in blanks",
    "new category": "there is a category that was never there",
    "encoding broken": "letters were read in another encoding than they were written in",
    "null written as value": "'missing' is written as a text or a number",
    "missing jumped": "more values are missing than ever",
    "duplicates": "rows stand there twice",
    "key not unique": "different rows have the same key",
    "source added": "rows of another origin are mixed in",
    "freshness lost": "the newest event is older than it should be",
    "rows truncated": "rows are missing",
    "constant column": "a column holds one value only",
    "distribution moved": "numbers lie elsewhere, and no simple cause explains it",
}
"""Every kind of change that is looked for, with what it says."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A test of one value, which the engine and a single row of Python answer alike.

    Attributes
    ----------
    test
        ``present``: there is a value. ``among``: it is one of ``values``. ``between``: it lies from ``least`` to
        ``most``, both included. ``other``: it is none of ``values``. A missing value passes all but the first.
        ``day``: the day of the moment, in UTC, is one of ``values``.
    """

    column: str
    test: Literal["present", "among", "other", "between", "day"]
    values: tuple[Value, ...] = ()
    least: float | None = None
    most: float | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change that was found, or would be a fault.

    Attributes
    ----------
    kind
        One of ``CHANGE_KINDS``.
    column
        Empty where it is about the whole table.
    words
        What was found, as a sentence.
    cause
        What most likely happened.
    share
        The share of rows that are concerned.
    detail
        The figures and names behind the words: the factor of a unit, the old and the new name.
    bad
        The check that the first bad row fails; None where no row is at fault alone.
    file, row
        The first bad row, once it was looked for: the file and the row in it, from 1 and without a header.
    """

    kind: str
    words: str
    column: str = ""
    cause: str = ""
    share: float = 1.0
    detail: dict[str, Value] = {}
    bad: Check | None = None
    file: str = ""
    row: int | None = None
