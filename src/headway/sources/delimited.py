"""CSV and its kin: text whose first line names the columns.

The dialect is read off the header alone (its delimiter), and all else is fixed: left to guess, the engine's sniffer
would take a ragged file for one whose header stands further down, or an open quote for a letter.

What a column is follows from all its values. To look at all of them takes as long as to read them, on one processor:
of a large file only the beginning is looked at, and it is read so strictly that whatever else a value might say ends
the reading. Then all is looked at.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import duckdb

from headway.errors import SourceError
from headway.query.compile import quote, quote_text
from headway.query.database import EngineError
from headway.sources.opened import Opened
from headway.sources.packing import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from headway.nouns.brief import Source
    from headway.query.database import Database

__all__ = ["UnclearDays", "open_csv"]

_HEAD_BYTES = 1 << 20
_LARGE_BYTES = 1 << 23
_SAMPLE_ROWS = 20_480
_BEGINNING_ROWS = 2_048

# What a value must look like so that a look at all values would take it for what the beginning says; of any other the
# engine makes an error. Left to itself it would read 3.7 as the whole number 4, 007 as 7, and 0 as false. The texts are
# compared rather than matched: a pattern would take longer than all the rest, and so would right() and lower().
_STRICTLY = {
    "BIGINT": "CAST(CAST({0} AS BIGINT) AS VARCHAR) = {0}",
    # No plus, no blanks, no '1_000', no '007'.
    "DOUBLE": "{0} >= '-' AND {0}[-1] >= '.' AND NOT contains({0}, '_') "
    "AND NOT {0} BETWEEN '00' AND '09~' AND NOT {0} BETWEEN '-00' AND '-09~'",
    "BOOLEAN": "{0} IN ('true', 'false', 'True', 'False', 'TRUE', 'FALSE')",
}
# Each column is looked at where it is made: a condition on the rows would read the numbers twice. What is missing is
# neither fit nor unfit, and stays.
_FITTING = "CASE WHEN NOT ({0}) THEN CAST(error('of another type than at the beginning') AS {1}) ELSE {2} END AS {3}"
_EXACT = frozenset({"VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
"""Read as these, a value is either what a look at all would have found, or an error."""

_WORDS = "('infinity', '-infinity', 'epoch')"
"""What the engine takes for days in any form, and then reads by that form: as the first day of 1900."""

_DAY = re.compile(r"%([dmyY])(.?)%([dmyY])(.?)%([dmyY])")
_FIRST = {"d": "day first", "m": "month first", "y": "year first"}

_DELIMITERS = ",;\t|"


class UnclearDays(SourceError):
    """Days that could be other days: whoever reads their column, ``column``, as text gets round it."""

    column = ""

    @classmethod
    def of(cls, column: str, what: str, *, path: Path) -> Self:
        """Return the error about a column."""
        hint = (
            "Write days as 2013-12-31; or say under types that the column is a text, and under clean how they are "
            "written."
        )
        error = cls(what, where=str(path), hint=hint)
        error.column = column
        return error


def open_csv(path: Path, source: Source, database: Database) -> Opened:
    """Return a file of delimited text, its columns' types those that all their values have.

    Raises
    ------
    SourceError
        When it has no header, is no UTF-8, or has days that can be read in two ways.
    """
    file = _Text.of(path, source)
    if path.stat().st_size > _LARGE_BYTES and (sampled := file.sampled(database)) is not None:
        return sampled
    return file.looked_through(database)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """A file whose dialect is known; ``dialect`` is the engine's text of it, ``texts`` what the brief says is text."""

    path: Path
    header: list[str]
    dialect: str
    texts: frozenset[str]
    zone: str

    @classmethod
    def of(cls, path: Path, source: Source) -> Self:
        header, delimiter = _header(path)
        nulls = ", ".join(map(quote_text, source.nulls)) or quote_text("\0")
        dialect = (
            f"quote = '\"', escape = '\"', comment = '', skip = 0, header = true, nullstr = [{nulls}], "
            "strict_mode = true"
        )
        if delimiter:
            dialect += f", delim = {quote_text(delimiter)}"
        texts = frozenset(there for there in header if source.types.get(source.rename.get(there, there)) == "text")
        return cls(path=path, header=header, dialect=dialect, texts=texts, zone=source.zone)

    def read(self, types: Mapping[str, str], more: str = "") -> str:
        """Return the engine's text for reading the file's columns as given types."""
        listed = ", ".join(f"{quote_text(column)}: {quote_text(kind)}" for column, kind in types.items())
        file = quote_text(str(self.path))
        return f"read_csv({file}, auto_detect = false, columns = {{{listed}}}, {self.dialect}{more})"

    def looked_through(self, database: Database) -> Opened:
        """Return the file with the types that follow from all its values."""
        columns, forms = self._look(database, rows=-1)
        formed = {name: (kind, forms[kind]) for name, kind in columns.items() if kind in forms}
        words = ", ".join(f"count(*) FILTER (lower(trim({quote(name)})) IN {_WORDS})" for name in formed)
        texts = self.read(dict.fromkeys(columns, "VARCHAR"))
        (counts,) = database.rows(f"SELECT {words} FROM {texts}") if formed else [()]
        worded = {name: form for (name, form), count in zip(formed.items(), counts, strict=True) if count}

        def relation(types: Mapping[str, str]) -> str:
            here = {name: form for name, form in worded.items() if name not in types}
            read = self.read({**columns, **dict.fromkeys(here, "VARCHAR"), **types}, _options(forms))
            if not here:
                return read
            said = ", ".join(f"{_by_form(name, *form)} AS {quote(name)}" for name, form in here.items())
            return f"(SELECT * REPLACE ({said}) FROM {read})"

        return Opened(columns=columns, relation=relation, typed=True, first_line=2)

    def sampled(self, database: Database) -> Opened | None:
        """Return the file with the types that follow from its beginning; None where that says too little."""
        columns, forms = self._look(database, rows=_SAMPLE_ROWS)
        kinds = set(columns.values())
        if not kinds <= _STRICTLY.keys() | _EXACT or ("DATE" in kinds and "DATE" not in forms):
            return None
        # Moments that need not carry an offset are read as text, and then nothing shows that another value is none.
        if "TIMESTAMP WITH TIME ZONE" in kinds and self.zone != "UTC":
            return None

        def relation(types: Mapping[str, str]) -> str:
            own = {name: kind for name, kind in columns.items() if name not in types}
            strict = [name for name, kind in own.items() if kind in _STRICTLY]
            read = self.read({**columns, **dict.fromkeys(strict, "VARCHAR"), **types}, _options(forms))
            made = []
            for name, kind in own.items():
                column = quote(name)
                if kind in _STRICTLY:
                    made.append((_STRICTLY[kind].format(column), kind, f"CAST({column} AS {kind})", column))
                elif kind in forms:  # the first day of 1900 may have been a word
                    made.append((f"{column} <> {kind} '1900-01-01'", kind, column, column))
            said = ", ".join(_FITTING.format(*each) for each in made)
            return f"(SELECT * REPLACE ({said}) FROM {read})" if said else read

        counts = ", ".join(f"count({quote(column)})" for column in columns)
        try:
            ((*held,),) = database.rows(f"SELECT {counts} FROM (SELECT * FROM {relation({})} LIMIT {_BEGINNING_ROWS})")
        except (duckdb.Error, EngineError):
            return None
        if not all(held):  # of a column that is empty so far nobody knows what it is
            return None
        return Opened(
            columns=columns,
            relation=relation,
            typed=True,
            first_line=2,
            certain=lambda: self.looked_through(database),
        )

    def _look(self, database: Database, *, rows: int) -> tuple[dict[str, str], dict[str, str]]:
        """Return the columns with the types that so many rows have, -1 for all, and how days and moments are written.

        Raises
        ------
        UnclearDays
            When days can be read in two ways.
        """
        file = quote_text(str(self.path))
        try:
            ((found, days, moments),) = database.rows(
                "SELECT Columns, DateFormat, TimestampFormat "
                f"FROM sniff_csv({file}, sample_size = {rows}, {self.dialect})"
            )
        except duckdb.InvalidInputException:
            # The sniffer only says that nothing fits; a plain reading says on which line.
            database.rows(f"SELECT count(*) FROM {self.read(dict.fromkeys(self.header, 'VARCHAR'))}")
            raise
        # DuckDB 2.0 dies of a BIGNUM that does not fit elsewhere; as doubles such numbers are seen and refused.
        kinds = ("DOUBLE" if column["type"] == "BIGNUM" else column["type"] for column in found)
        columns = {**dict(zip(self.header, kinds, strict=True)), **dict.fromkeys(self.texts, "VARCHAR")}
        forms = {kind: form for kind, form in (("DATE", days), ("TIMESTAMP", moments)) if form}
        texts = self.read(dict.fromkeys(columns, "VARCHAR"))
        for kind in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"):
            named = [column for column, found_kind in columns.items() if found_kind == kind]
            if kind in forms:
                _refuse_ambiguous(named, forms[kind], texts, path=self.path, database=database)
            else:
                some = f"(SELECT * FROM {texts} LIMIT {rows})" if rows > 0 else texts
                _refuse_short_years(named, some, path=self.path, database=database)
        return columns, forms


def _options(forms: Mapping[str, str]) -> str:
    """Return the engine's text of how a file's days and moments are written."""
    options = {"DATE": "dateformat", "TIMESTAMP": "timestampformat"}
    return "".join(f", {options[kind]} = {quote_text(form)}" for kind, form in forms.items())


def _by_form(name: str, kind: str, form: str) -> str:
    """Return the engine's text of what a text column says in a form, or in a word: infinity is missing."""
    text = f"trim({quote(name)})"
    word = f"CASE WHEN lower({text}) = 'epoch' THEN TIMESTAMP '1970-01-01' END"
    return (
        f"CAST(CASE WHEN lower({text}) IN {_WORDS} THEN {word} ELSE strptime({text}, {quote_text(form)}) END AS {kind})"
    )


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
    if not names:
        raise SourceError(
            f"{path.name} begins with a blank line, and its first line must name the columns.",
            where=f"{path}:1",
            hint="Take out what stands above the header.",
        )
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
    """Raise when all days of a file can be read in another order too: a guess might be silently wrong."""
    chosen = _DAY.search(form)
    if chosen is None or form.startswith("%Y"):
        return
    order, marks = chosen.group(1, 3, 5), chosen.group(2, 4)
    # A year of four digits shows where it stands; one of two looks like any day of a month.
    orders = ("dmy", "mdy", "ymd") if "y" in order else ("dmY", "mdY")
    others = {other: f"%{other[0]}{marks[0]}%{other[1]}{marks[1]}%{other[2]}" for other in orders}
    others = {
        _FIRST[other[0]]: form.replace(chosen[0], day) for other, day in others.items() if other != "".join(order)
    }
    for name in names:
        misread = ", ".join(
            f"count(*) FILTER ({quote(name)} IS NOT NULL AND try_strptime({quote(name)}, {quote_text(other)}) IS NULL)"
            for other in others.values()
        )
        (telling,) = database.rows(f"SELECT {misread} FROM {relation}")
        for also, count in zip(others, telling, strict=True):
            if count == 0:
                what = f"The days in column {name!r} of {path.name} can be read {_FIRST[order[0]]} and {also}."
                raise UnclearDays.of(name, what, path=path)


def _refuse_short_years(names: list[str], relation: str, *, path: Path, database: Database) -> None:
    """Raise when moments do not begin with a whole year: the engine would take 24-12-31 10:00 for the year 24."""
    shorts = ", ".join(
        f"first({quote(name)}) FILTER (regexp_matches({quote(name)}, '^\\s*[0-9]{{1,3}}[^0-9]'))" for name in names
    )
    (found,) = database.rows(f"SELECT {shorts} FROM {relation}") if names else [()]
    for name, short in zip(names, found, strict=True):
        if short is not None:
            what = f"A year in column {name!r} of {path.name} has no four digits: {short!r}."
            raise UnclearDays.of(name, what, path=path)
