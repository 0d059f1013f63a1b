"""What a source is read in: items, each read once, whole, and found again by its digest.

A file is an item, and so are an object in a bucket, a table of a database, and the rows that a growing table has
gained since it was last read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from headway.query.database import Database
    from headway.sources.opened import Opened

__all__ = ["Held", "Item"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An item that was read before: what it was called, its digest, and how many rows it had."""

    name: str
    digest: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that is read as one.

    Attributes
    ----------
    name
        What lineage calls it: a path relative to the brief, a URL without credentials, or a table with its bounds.
    where
        Where errors point.
    size_bytes
        Its size; 0 where only reading would tell.
    digest
        Returns what tells this content from any other. An item whose digest was seen before need not be opened.
    opened
        Makes it readable by a database, for as long as the context; an engine's complaint is said in our words.
    settled
        Raises a SourceError when the item is no longer what ``digest`` said; asked after it was read.
    """

    name: str
    where: str
    size_bytes: int
    digest: Callable[[], str]
    opened: Callable[[Database], AbstractContextManager[Opened]]
    settled: Callable[[], None] = lambda: None
