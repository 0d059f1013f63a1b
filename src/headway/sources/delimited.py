"""CSV and its kin: text whose first line names the columns.

The dialect is read off the header alone (its delimiter), and all else is fixed: left to guess, the engine's sniffer
would take a ragged file for one whose header stands further down, or an open quote for a letter.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import duckdb

from headway.errors import SourceError
from headway.query.compile import quote, quote_text
from headway.sources.opened import Opened
from headway.sources.packing import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from headway.nouns.brief import Source
    from headway.query.database import Database

__all__ = ["open_csv"]

_HEAD_BYTES = 1 << 20
_DELIMITERS = ",;\t|"


def open_csv(path: Path, source: Source, database: Database) -> Opened:
    """Return a file of delimited text, its columns' types found by a look at all of it.

    Raises
    ------
    SourceError
        When it has no header, is no UTF-8, or has days that can be read in two ways.
    """
    header, delimiter = _header(path)
    nulls = ", ".join(map(quote_text, source.nulls)) or quote_text("\0")
    fixed = (
        f"quote = '\"', escape = '\"', comment = '', skip = 0, header = true, nullstr = [{nulls}], strict_mode = true"
    )
    if delimiter:
        fixed += f", delim = {quote_text(delimiter)}"
    file = quote_text(str(path))

    def read(types: Mapping[str, str], more: str = "") -> str:
        listed = ", ".join(f"{quote_text(column)}: {quote_text(kind)}" for column, kind in types.items())
        return f"read_csv({file}, auto_detect = false, columns = {{{listed}}}, {fixed}{more})"

    try:
        ((found, days, moments),) = database.rows(
            f"SELECT Columns, DateFormat, TimestampFormat FROM sniff_csv({file}, sample_size = -1, {fixed})"
        )
    except duckdb.InvalidInputException:
        # The sniffer only says that nothing fits; a plain reading says on which line.
        database.rows(f"SELECT count(*) FROM {read(dict.fromkeys(header, 'VARCHAR'))}")
        raise
    names = header or [column["name"] for column in found]
    # DuckDB 2.0 dies of a BIGNUM that does not fit elsewhere; as doubles such numbers are seen and refused.
    kinds = ("DOUBLE" if column["type"] == "BIGNUM" else column["type"] for column in found)
    columns = dict(zip(names, kinds, strict=True))
    forms = {"dateformat": days, "timestampformat": moments}
    formats = "".join(f", {option} = {quote_text(form)}" for option, form in forms.items() if form)
    for kind, form in (("DATE", days), ("TIMESTAMP", moments)):
        named = [column for column, found_kind in columns.items() if found_kind == kind]
        _refuse_ambiguous(named, form or "", read(dict.fromkeys(columns, "VARCHAR")), path=path, database=database)
    return Opened(columns=columns, relation=lambda types: read({**columns, **types}, formats), typed=True, first_line=2)


def _header(path: Path) -> tuple[list[str], str]:
    """Return the names in a CSV file's header, and the delimiter."""
    with text_of(path) as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip():
        raise SourceError(f"{path.name} is empty.", where=str(path), hint="A header and at least one row are wanted.")
    cut = head.rfind(b"\n") + 1 if len(head) == _HEAD_BYTES else len(head)
    try:
        text = head[: cut or len(head)].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = head.count(b"\n", 0, error.start) + 1
        raise SourceError(
            f"{path.name} is not UTF-8 text: byte {head[error.start]:#04x}.",
            where=f"{path}:{line}",
            hint="Save it as UTF-8.",
        ) from None
    records = {mark: next(csv.reader(io.StringIO(text, newline=""), delimiter=mark), []) for mark in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda mark: len(records[mark]))
    names = records[delimiter]
    for position, column in enumerate(names):
        twins = [other for other in names[:position] if other.casefold() == column.casefold()]
        if twins:
            same = (
                "twice" if twins[0] == column else f"and {twins[0]!r}, which differ in small and capital letters alone"
            )
            raise SourceError(f"{path.name} has the column {column!r} {same}.", where=f"{path}:1", hint="Rename one.")
        if not column.strip():
            raise SourceError(f"Column {position + 1} of {path.name} has no name.", where=f"{path}:1", hint="Name it.")
    return names, delimiter


def _refuse_ambiguous(names: list[str], form: str, relation: str, *, path: Path, database: Database) -> None:
    """Raise when all days of a file can be read day first as well as month first: a guess might be silently wrong."""
    if "%d" not in form or "%m" not in form or form.startswith("%Y"):
        return
    other = form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")
    for name in names:
        misread = f"{quote(name)} IS NOT NULL AND try_strptime({quote(name)}, {quote_text(other)}) IS NULL"
        ((telling,),) = database.rows(f"SELECT count(*) FROM {relation} WHERE {misread}")
        if telling == 0:
            raise SourceError(
                f"The days in column {name!r} of {path.name} can be read day first and month first.",
                where=str(path),
                hint="Write days as 2013-12-31.",
            )
