"""The rows of a batch, from a file or a table, piece by piece and under the contract of a request.

The file hides formats. Each reader yields tables with ``@row`` (from 1) and the request's fields as the engine keeps
them; what does not fit the contract is refused with its row, before anything is predicted.
"""

from __future__ import annotations

import csv
from itertools import islice
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from headway.deploy.contract import MAX_TEXT_CHARS, WANTED, Contract
from headway.errors import NotFound, RequestError, SourceError, did_you_mean
from headway.query.compile import quote, quote_text
from headway.sources import formats

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from headway.nouns.brief import Source
    from headway.query.database import Database

__all__ = ["FORMATS", "ROW", "Rows", "format_of"]

ROW = "@row"
FORMATS = {ending: form for ending, form in formats.FORMATS.items() if form in {"csv", "jsonl", "parquet"}}
"""What can be read piece by piece, by the ending of its name."""
_ARROW = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string(), "time": pa.int64()}
_SUFFIX_OF_A_ZONE = r".*\d(Z|z|[+-]\d{2}(:?\d{2})?)"


class Rows:
    """Reads the rows of batches for one contract.

    Parameters
    ----------
    database
        Reads numbers and moments out of text, by the same rules as the sources are read.
    source
        The source whose rows these are like: its texts that mean 'missing' in a CSV file, the zone of moments that
        carry none, and what its files call the columns, which are taken by either name.

    Attributes
    ----------
    ignored
        Columns that the last file had and the model does not take.
    """

    def __init__(self, contract: Contract, database: Database, *, source: Source) -> None:
        nulls, zone = source.nulls, source.zone
        self._rename = source.rename
        self._contract = contract
        self._database = database
        self._nulls = nulls
        self._zone = zone
        self._kinds = {field.name: field.kind for field in contract.fields}
        self.ignored: tuple[str, ...] = ()

    def read(self, path: Path, *, rows: int) -> Iterator[pa.Table]:
        """Yield the rows of a file in tables of about ``rows``.

        Raises
        ------
        NotFound
            When there is no such file.
        SourceError
            When it cannot be read at all.
        RequestError
            When a column or a value breaks the contract, with the file and the row.
        """
        if not path.is_file():
            near = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
            raise NotFound(f"There is no file {path.name!r}.", where=str(path), hint=did_you_mean(path.name, near))
        read = {"csv": self._csv, "jsonl": self._jsonl, "parquet": self._parquet}[format_of(path)]
        first = 1
        try:
            for table in read(path, rows):
                yield self._checked(table, first, str(path))
                first += table.num_rows
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeDecodeError, OSError) as error:
            if isinstance(error, SourceError):
                raise
            said = str(error).strip().splitlines()[0][:300].rstrip(".")
            raise SourceError(f"{path.name} cannot be read: {said}.", where=str(path)) from error
        if first == 1:
            raise SourceError(f"{path.name} has no row.", where=str(path))

    def of_table(self, table: pa.Table, *, rows: int) -> Iterator[pa.Table]:
        """Yield the rows of an Arrow table, typed and checked in the same way."""
        table = self._renamed(table)
        self._check_names(table.column_names, where="the table")
        for first in range(0, table.num_rows, rows):
            yield self._checked(self._typed(table.slice(first, rows), first + 1, "the table"), first + 1, "the table")

    # -- formats

    def _csv(self, path: Path, rows: int) -> Iterator[pa.Table]:
        delimiter, header = self._header(path)
        called = [self._rename.get(name, name) for name in header]
        self._check_names(called, where=str(path))
        reader = pacsv.open_csv(
            path,
            read_options=pacsv.ReadOptions(use_threads=False, block_size=max(1 << 16, rows * 128)),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                include_columns=[header[called.index(name)] for name in self._kinds if name in called],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
                null_values=list(self._nulls),
            ),
        )
        first = 1
        for batch in reader:
            table = self._renamed(pa.Table.from_batches([batch]))
            yield self._from_texts(table, first, str(path))
            first += table.num_rows

    def _header(self, path: Path) -> tuple[str, list[str]]:
        """Return what parts the fields of a file, and its header: the mark under which most names are known."""
        marks = ("\t", ",", ";", "|") if path.suffix.lower() == ".tsv" else (",", ";", "\t", "|")
        headers = {}
        with path.open(newline="", encoding="utf-8-sig") as file:
            for mark in marks:
                file.seek(0)
                headers[mark] = next(csv.reader(file, delimiter=mark), [])
        known = {mark: sum(self._rename.get(name, name) in self._kinds for name in headers[mark]) for mark in marks}
        best = max(marks, key=lambda mark: known[mark])
        return best, headers[best]

    def _renamed(self, table: pa.Table) -> pa.Table:
        """Return a table with its columns called as in the brief, where they came as in the source's own files."""
        return table.rename_columns([self._rename.get(name, name) for name in table.column_names])

    def _jsonl(self, path: Path, rows: int) -> Iterator[pa.Table]:
        with path.open("rb") as file:
            first = 1
            lines = (line for line in file if line.strip())
            while some := list(islice(lines, rows)):
                columns = self._contract.decode_lines(some, first=first, where=str(path))
                yield pa.table({name: pa.array(v, _ARROW[self._kinds[name]]) for name, v in columns.items()})
                first += len(some)

    def _parquet(self, path: Path, rows: int) -> Iterator[pa.Table]:
        with pq.ParquetFile(path) as file:
            called = [self._rename.get(name, name) for name in file.schema_arrow.names]
            self._check_names(called, where=str(path))
            present = [file.schema_arrow.names[called.index(name)] for name in self._kinds if name in called]
            first = 1
            for batch in file.iter_batches(batch_size=rows, columns=present):
                table = self._renamed(pa.Table.from_batches([batch]))
                yield self._typed(table, first, str(path))
                first += table.num_rows

    # -- values

    def _from_texts(self, table: pa.Table, first: int, where: str) -> pa.Table:
        """Return columns of text as columns of their kinds."""
        texts = ", ".join(
            f"{_from_text(quote(name), self._kinds[name], self._zone)} AS {quote(name)}" for name in table.column_names
        )
        if not texts:
            return table
        typed = self._over(table, texts)
        for name in table.column_names:
            self._refuse(pc.and_(pc.is_valid(table[name]), pc.is_null(typed[name])), table[name], name, first, where)
        return typed

    def _typed(self, table: pa.Table, first: int, where: str) -> pa.Table:
        """Return Arrow columns of any fitting type as columns of their kinds; NaN, as pandas has it, is missing."""
        columns = {}
        for name in (each for each in self._kinds if each in table.column_names):
            kind, column = self._kinds[name], table[name]
            if pa.types.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            if not pa.types.is_null(column.type) and not _is_of(column.type, kind):
                raise RequestError(
                    f"Column {name!r} is {column.type}; wanted: {WANTED[kind]}.", where=f"{where}, column {name}"
                )
            if pa.types.is_floating(column.type):
                column = pc.if_else(pc.is_nan(column), None, column)
            if kind == "time" and _is_text(column.type):
                columns[name] = self._from_texts(pa.table({name: column.cast(pa.string())}), first, where)[name]
            else:
                columns[name] = (
                    self._moments(column) if kind == "time" else self._cast(column, kind, name, first, where)
                )
        return pa.table(columns) if columns else table.select([])

    def _cast(self, column: pa.ChunkedArray, kind: str, name: str, first: int, where: str) -> pa.ChunkedArray:
        if kind == "float":
            column = column.cast(pa.float64())
            self._refuse(pc.and_(pc.is_valid(column), pc.invert(pc.is_finite(column))), column, name, first, where)
            return column
        try:
            return column.cast(_ARROW[kind])
        except pa.ArrowInvalid:
            fits = [_casts(each, kind) for each in column]
            self._refuse(pa.array([not each for each in fits]), column, name, first, where)
            raise

    def _moments(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return moments as microseconds in UTC; those without a zone are local to the source."""
        if pa.types.is_null(column.type):
            return column.cast(pa.int64())
        if pa.types.is_date(column.type):
            column = column.cast(pa.timestamp("us"))
        if column.type.tz is None and self._zone != "UTC":
            local = pa.table({"local": column.cast(pa.timestamp("us"), safe=False)})
            moment = f"epoch_us(timezone({quote_text(self._zone)}, CAST({quote('local')} AS TIMESTAMP)))"
            return self._over(local, f"{moment} AS moment")["moment"]
        return column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64())

    def _over(self, table: pa.Table, columns: str) -> pa.Table:
        name = self._database.register(table, prefix="rows")
        try:
            return self._database.table(f"SELECT {columns} FROM {name}")
        finally:
            self._database.execute(f"DROP VIEW {name}")  # or the engine keeps the rows

    # -- the contract

    def _check_names(self, names: list[str], *, where: str) -> None:
        self.ignored = self._contract.check_columns(names, where=where)

    def _checked(self, table: pa.Table, first: int, where: str) -> pa.Table:
        """Return the table with ``@row``, all fields there, none missing that must not be."""
        columns: dict[str, Any] = {ROW: pa.array(range(first, first + table.num_rows), pa.int64())}
        for field in self._contract.fields:
            there = field.name in table.column_names
            column = table[field.name] if there else pa.nulls(table.num_rows, _ARROW[field.kind])
            if field.required:
                self._refuse(pc.is_null(column), column, field.name, first, where)
            if field.kind == "text":
                length = pc.utf8_length(column)
                bad = pc.or_(pc.equal(length, 0), pc.greater(length, MAX_TEXT_CHARS))
                self._refuse(bad, column, field.name, first, where)
            columns[field.name] = column
        terms = self._contract.terms
        if terms is not None and terms.blocks:
            terms.refuse(columns, first=first, where=where)
        return pa.table(columns)

    def _refuse(self, bad: Any, column: Any, name: str, first: int, where: str) -> None:
        """Raise about the first row at which ``bad`` holds, if there is one."""
        at = pc.index(pc.if_else(pc.is_null(bad), pa.scalar(value=False), bad), value=True).as_py()
        if at >= 0:
            raise self._contract.misfit(name, column[at].as_py(), where=f"{where}, row {first + at}, column {name}")


def format_of(path: Path) -> str:
    """Return the format that a file's name says.

    Raises
    ------
    SourceError
        When it says none that is known.

    Examples
    --------
    >>> from pathlib import Path
    >>> format_of(Path("today.CSV"))
    'csv'
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise SourceError(
            f"The name {path.name!r} does not say which format the file has.",
            where=str(path),
            hint=f"Known endings: {', '.join(FORMATS)}.",
        )
    return found


def _from_text(column: str, kind: str, zone: str) -> str:
    trimmed = f"trim({column})"
    if kind == "bool":
        return f"(CASE lower({trimmed}) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END)"
    if kind == "int":  # '7.0' is how a column with gaps is often written; '7.5' is none
        whole = f"regexp_replace({trimmed}, '\\.0*$', '')"
        return f"(CASE WHEN regexp_full_match({whole}, '[+-]?\\d+') THEN TRY_CAST({whole} AS BIGINT) END)"
    if kind == "float":
        number = f"TRY_CAST({trimmed} AS DOUBLE)"
        return f"(CASE WHEN isfinite({number}) THEN {number} END)"
    if kind == "time":
        trimmed = f"upper({trimmed})"  # ISO 8601 allows a small t and z, the engine does not
        local = f"epoch_us(timezone({quote_text(zone)}, TRY_CAST({trimmed} AS TIMESTAMP)))"
        absolute = f"epoch_us(TRY_CAST({trimmed} AS TIMESTAMPTZ))"
        has_zone = f"regexp_full_match({trimmed}, '{_SUFFIX_OF_A_ZONE}') AND contains({trimmed}, ':')"
        return f"(CASE WHEN {has_zone} THEN {absolute} ELSE {local} END)"
    return column


def _is_of(found: pa.DataType, kind: str) -> bool:
    types = pa.types
    number = types.is_integer(found) or types.is_floating(found) or types.is_decimal(found)
    fits = {
        "bool": types.is_boolean(found),
        "int": number,
        "float": number,
        "text": _is_text(found),
        "time": types.is_timestamp(found) or types.is_date(found) or _is_text(found),
    }
    return bool(fits[kind])


def _is_text(found: pa.DataType) -> bool:
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found))


def _casts(value: pa.Scalar, kind: str) -> bool:
    try:
        value.cast(_ARROW[kind])
    except pa.ArrowInvalid:
        return False
    return True
