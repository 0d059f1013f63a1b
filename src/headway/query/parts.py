"""What a snapshot's rows are to the engine: Parquet files, less the rows that later versions took out.

The file hides how deleted positions are left out, and how a row that was moved to another file still knows where it
came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from headway.query.compile import quote, quote_text

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from headway.nouns.snapshot import Segment, Snapshot

__all__ = [
    "DELETED",
    "ORIGIN",
    "ROW",
    "Part",
    "is_reserved",
    "part_of",
    "parts_of",
    "parts_sql",
    "placed_sql",
    "stretch_sql",
]

ORIGIN = "@origin"
"""In a numbered file: which of the segment's origins the row came from, by its place among them."""

ROW = "@row"
"""In a numbered file: the number of the row in the file that it came from, from 1, a header not counted."""

DELETED = "row"
"""The one column of a file of deleted positions, which count from 0."""

_RESERVED = {"file_row_number", "filename", "rowid"}


def is_reserved(column: str) -> bool:
    """Return whether a column of this name would stand in the way of one that is made while rows are read.

    The engine has names of its own for the place of a row and for its file, and takes them in any case; what is made
    here begins with ``@``.

    Examples
    --------
    >>> is_reserved("@row"), is_reserved("RowID"), is_reserved("row")
    (True, True, False)
    """
    return column.startswith("@") or column.lower() in _RESERVED


class _Blobs(Protocol):
    """Where the files are."""

    def path(self, digest: str) -> Path:
        """Return the file of a blob."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one segment: a Parquet file, the files of its deleted positions, and whether rows are numbered.

    It stands wherever a path of a Parquet file does; whoever wants the rows asks :func:`parts_sql`.

    Examples
    --------
    >>> str(Part(Path("ab/cdef")))
    'ab/cdef'
    """

    path: Path
    without: tuple[Path, ...] = ()
    numbered: bool = False

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        """What tells it from all other parts: two may be the same file less different rows."""
        return "-".join([str(self.path), *(path.name for path in self.without)])

    @property
    def plain(self) -> bool:
        """Whether the file is nothing but the rows, as they stood in the source."""
        return not self.without and not self.numbered


def part_of(segment: Segment, store: _Blobs) -> Part:
    """Return what the engine reads of a segment.

    Raises
    ------
    NotFound
        When a blob is gone.
    """
    return Part(store.path(segment.blob), tuple(store.path(each) for each in segment.deleted), segment.numbered)


def parts_of(snapshot: Snapshot, store: _Blobs) -> tuple[Part, ...]:
    """Return what the engine reads of a snapshot, a part for each segment in their order."""
    return tuple(part_of(segment, store) for segment in snapshot.segments)


def parts_sql(parts: Sequence[str | os.PathLike[str]], *, filename: str = "") -> str:
    """Return the relation with the rows of all parts.

    Parameters
    ----------
    filename
        The name of a column that says which file each row stands in; "" for none.

    Examples
    --------
    >>> parts_sql([Path("a"), Path("b")])
    "read_parquet(['a', 'b'])"
    """
    option = f", filename = {quote_text(filename)}" if filename else ""
    texts = []
    for plain, group in groupby(map(_part, parts), key=lambda part: part.plain):
        if plain:
            texts.append(f"read_parquet([{', '.join(quote_text(str(part)) for part in group)}]{option})")
            continue
        for part in group:
            hidden = [*(["file_row_number"] if part.without else []), *([ORIGIN, ROW] if part.numbered else [])]
            texts.append(f"(SELECT * EXCLUDE ({', '.join(map(quote, hidden))}) FROM {_kept_sql(part, option)})")
    return _together(texts)


def placed_sql(parts: Sequence[str | os.PathLike[str]], *, part: str, origin: str, row: str) -> str:
    """Return the relation with the rows of all parts, and three columns that say where each comes from.

    Parameters
    ----------
    part, origin, row
        Names of columns: the :attr:`Part.name` of its part, the place of its origin among the segment's, and the
        number of its row there, from 1.
    """
    texts = []
    for plain, group in groupby(map(_part, parts), key=lambda each: each.plain):
        if plain:
            listed = ", ".join(quote_text(str(each)) for each in group)
            texts.append(
                f"(SELECT * EXCLUDE (file_row_number), 0 AS {quote(origin)}, file_row_number + 1 AS {quote(row)} "
                f"FROM read_parquet([{listed}], filename = {quote_text(part)}{_NUMBERS}))"
            )
            continue
        for each in group:
            hidden = [*([ORIGIN, ROW] if each.numbered else []), *(["file_row_number"] if each.without else [])]
            stands = (
                f"{quote(ORIGIN)} AS {quote(origin)}, {quote(ROW)} AS {quote(row)}"
                if each.numbered
                else f"0 AS {quote(origin)}, file_row_number + 1 AS {quote(row)}"
            )
            texts.append(
                f"(SELECT * EXCLUDE ({', '.join(map(quote, hidden))}), {stands}, "
                f"{quote_text(each.name)} AS {quote(part)} FROM {_kept_sql(each, '')})"
            )
    return _together(texts)


def stretch_sql(
    *, path: str, without: Sequence[str], numbered: bool, first: int, last: int, start: int, position: str
) -> str:
    """Return the relation with the rows ``first <= number < last`` of one part's file, less those taken out.

    Parameters
    ----------
    start
        What is added to a row's number in the file, from 0, to give the column ``position``.
    """
    part = Part(Path(path), tuple(map(Path, without)), numbered)
    hidden = ["file_row_number", *([ORIGIN, ROW] if numbered else [])]
    rows = _kept_sql(part, "") if without else f"read_parquet({quote_text(path)}{_NUMBERS})"
    return (
        f"(SELECT * EXCLUDE ({', '.join(map(quote, hidden))}), file_row_number + {start} AS {quote(position)} "
        f"FROM {rows} WHERE file_row_number >= {first} AND file_row_number < {last})"
    )


_NUMBERS = ", file_row_number = true"


def _part(each: str | os.PathLike[str]) -> Part:
    return each if isinstance(each, Part) else Part(Path(each))


def _kept_sql(part: Part, option: str) -> str:
    """Return the file's rows without those that were taken out."""
    file = quote_text(str(part))
    if not part.without:
        return f"read_parquet({file}{option})"
    gone = ", ".join(quote_text(str(path)) for path in part.without)
    return (
        f"(SELECT * FROM read_parquet({file}{option}{_NUMBERS}) "
        f"WHERE file_row_number NOT IN (SELECT {quote(DELETED)} FROM read_parquet([{gone}])))"
    )


def _together(texts: Sequence[str]) -> str:
    if len(texts) == 1:
        return texts[0]
    return "(" + " UNION ALL BY NAME ".join(f"SELECT * FROM {text}" for text in texts) + ")"
