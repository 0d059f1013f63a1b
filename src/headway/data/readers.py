"""The formats: a file opened as something that the engine can read, its columns with their types.

The file hides how each format is read, and how its readers complain. A dialect of CSV is read off the header alone
(its delimiter), and all else is fixed: left to guess, the engine's sniffer would take a ragged file for one whose
header stands further down, or an open quote for a letter.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote as quote_url

import duckdb
import msgspec

from headway.errors import NO_ROOM, HeadwayError, SourceError, StoreFull, did_you_mean
from headway.query.compile import quote, quote_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pyarrow as pa

    from headway.nouns.brief import Source
    from headway.query.database import Database

__all__ = ["FORMATS", "Opened", "explained", "format_of", "opened"]

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
_PACKED = {".gz", ".zip", ".zst"}
_HEAD_BYTES = 1 << 20
_DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A file as the engine sees it.

    Attributes
    ----------
    columns
        Name to engine type, as found.
    relation
        Given types to read columns by instead (text formats alone can), returns the relation's text.
    typed
        Whether ``relation`` heeds the types.
    first_line
        The line on which the first row stands; 0 where rows have no lines.
    """

    columns: Mapping[str, str]
    relation: Callable[[Mapping[str, str]], str]
    typed: bool
    first_line: int


def format_of(path: Path, given: str = "") -> str:
    """Return the format of a file: the given one, or what its name says; empty when that says nothing.

    Examples
    --------
    >>> format_of(Path("a.csv.gz")), format_of(Path("b.PARQUET")), format_of(Path("c.doc"))
    ('csv', 'parquet', '')
    """
    if given:
        return given
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED]
    return FORMATS.get(suffixes[-1], "") if suffixes else ""


@contextmanager
def opened(path: Path, source: Source, name: str, *, database: Database) -> Iterator[Opened]:
    """Yield a file of source ``name``, open as long as the context; a zip is unpacked for the while.

    Raises
    ------
    SourceError
        Naming the file, and the line where there is one.
    """
    if path.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory(prefix="headway-zip-") as folder:
            member = _unzip(path, Path(folder))
            yield _open(member, source, name, format_of(member, source.format) or format_of(path), database)
    else:
        yield _open(path, source, name, format_of(path, source.format), database)


def _open(path: Path, source: Source, name: str, kind: str, database: Database) -> Opened:
    if not kind:
        raise SourceError(
            f"The name of {path.name!r} does not say its format.",
            where=str(path),
            hint=f"Set sources.{name}.format = 'csv', 'jsonl', 'parquet' or 'sqlite'.",
        )
    if kind == "csv":
        return _open_csv(path, source, database)
    if kind == "jsonl":
        return _open_jsonl(path, database)
    if kind == "sqlite":
        text = database.register(_sqlite_table(path, source, name))
    else:
        text = f"read_parquet({quote_text(str(path))})"
    return Opened(columns=_described(text, database), relation=lambda _: text, typed=False, first_line=0)


def _described(relation: str, database: Database) -> dict[str, str]:
    return {row[0]: row[1] for row in database.rows(f"DESCRIBE SELECT * FROM {relation}")}


# -- CSV


def _open_csv(path: Path, source: Source, database: Database) -> Opened:
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
    """Return the names in a CSV file's header, and the delimiter; nothing for a packing that only the engine opens."""
    if path.suffix.lower() == ".zst":
        return [], ""
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"{path.name} is not a whole gzip file: {error}.", where=str(path)) from None
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


# -- JSON lines, SQLite, zip


def _open_jsonl(path: Path, database: Database) -> Opened:
    if path.suffix.lower() not in _PACKED and not path.read_bytes()[:_HEAD_BYTES].strip():
        raise SourceError(f"{path.name} is empty.", where=str(path), hint="One JSON object a line is wanted.")
    file = quote_text(str(path))
    fixed = "format = 'newline_delimited', records = 'true'"
    try:
        columns = _described(f"read_json({file}, {fixed}, sample_size = -1)", database)
    except duckdb.Error:
        _refuse_broken_line(path)
        raise
    listed = ", ".join(f"{quote_text(name)}: {quote_text(kind)}" for name, kind in columns.items())
    text = f"read_json({file}, {fixed}, columns = {{{listed}}})"
    return Opened(columns=columns, relation=lambda _: text, typed=False, first_line=1)


def _refuse_broken_line(path: Path) -> None:
    """Raise for the first line that is no JSON object; the engine's own count of lines is not to be relied on."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                if line.strip():
                    msgspec.json.decode(line, type=dict[str, object])
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                reason = str(error).rstrip(".")
                raise SourceError(
                    f"{path.name}: this line is not a JSON object: {reason}.", where=f"{path}:{number}"
                ) from None


def _sqlite_table(path: Path, source: Source, name: str) -> pa.Table:
    import adbc_driver_sqlite.dbapi as driver  # only who reads SQLite needs it

    try:
        with driver.connect(f"file:{quote_url(str(path))}?mode=ro") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
            tables = [row[0] for row in cursor.fetchall()]
            table = source.table or (tables[0] if len(tables) == 1 else "")
            if table not in tables:
                found = f"has no table {table!r}" if table else f"has {len(tables)} tables, and none is named"
                hint = did_you_mean(table, tables) if table else f"Set sources.{name}.table. {did_you_mean('', tables)}"
                raise SourceError(f"{path.name} {found}.", where=str(path), hint=hint.strip())
            cursor.execute(f"SELECT * FROM {quote(table)}")
            return cursor.fetch_arrow_table()
    except driver.Error as error:
        raise SourceError(f"{path.name} cannot be read as SQLite: {_one_line(str(error))}", where=str(path)) from None


def _unzip(path: Path, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                names = ", ".join(member.filename for member in members[:5])
                raise SourceError(
                    f"{path.name} holds {len(members)} files, and one is wanted.",
                    where=str(path),
                    hint=f"In it: {names}.",
                )
            # The member's own name is not trusted with a path.
            target = folder / (Path(members[0].filename).name or "data")
            with archive.open(members[0]) as packed, target.open("wb") as unpacked:
                while block := packed.read(1 << 20):
                    unpacked.write(block)
            return target
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{path.name} is not a whole zip file: {error}.", where=str(path)) from None
    except (NotImplementedError, RuntimeError) as error:  # packed in a way that Python does not know, or encrypted
        raise SourceError(f"{path.name} cannot be unpacked: {error}.", where=str(path)) from None


# -- complaints


@contextmanager
def explained(path: Path, shown: str) -> Iterator[None]:
    """Say in our words what the engine's readers, or the machine, found wrong with a file."""
    try:
        yield
    except StoreFull:
        raise  # the machine's want, and no fault of the file
    except (duckdb.Error, HeadwayError) as error:
        if isinstance(error, HeadwayError) and not isinstance(error.__cause__, duckdb.Error):
            raise
        raise _complaint(str(error.__cause__ or error), path, shown) from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{shown} is not UTF-8 text: {error.reason}.", where=str(path)) from None
    except OSError as error:
        if isinstance(error, HeadwayError):
            raise
        if error.errno in NO_ROOM:
            raise StoreFull(
                f"No space is left to read {shown} ({error.strerror}).",
                where=str(error.filename or tempfile.gettempdir()),
                hint="Make room or lift the quota, or point TMPDIR elsewhere, and run it again.",
            ) from error
        raise SourceError(f"{shown} cannot be read: {error.strerror or error}.", where=str(path)) from None


def _complaint(text: str, path: Path, shown: str) -> SourceError:
    line = re.search(r"[Ll]ine:?\s+(\d+)", text)
    where = f"{path}:{line[1]}" if line else str(path)
    if count := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        return SourceError(
            f"{shown} is ragged: this line has {count[2]} fields, and the header has {count[1]}.", where=where
        )
    if "unterminated quote" in text:
        return SourceError(f"{shown} opens a quote that is never closed.", where=where)
    if "unicode" in text.lower() or "utf-8" in text.lower():
        return SourceError(f"{shown} is not UTF-8 text.", where=where, hint="Save it as UTF-8.")
    if value := re.search(r'Error when converting column "(.*)"\. (.*)', text):
        return SourceError(f"{shown} cannot be read: column {value[1]!r}: {value[2]}.", where=where)
    return SourceError(f"{shown} cannot be read: {_one_line(text)}", where=where)


def _one_line(text: str) -> str:
    line = re.sub(r"^[\w ]*Error:\s*", "", text.strip().splitlines()[0])
    return f"{line.rstrip('. ')}."
