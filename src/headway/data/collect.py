"""From the files of a source to a snapshot: immutable Parquet segments, one a file.

A file is read once: a segment is found again by the digest of the file and of how it is read, so a source that
gained one daily file costs the reading of one file. The file hides formats, and how their readers complain.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import blake3
import duckdb

from headway.errors import SourceError, did_you_mean
from headway.nouns.brief import Source
from headway.nouns.snapshot import Segment, Snapshot, SourceColumn
from headway.query.compile import quote, quote_text
from headway.query.database import Database

__all__ = ["FORMATS", "SegmentStore", "collect", "find_files"]

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

_KINDS = {
    "BOOLEAN": "bool",
    "TINYINT": "int",
    "SMALLINT": "int",
    "INTEGER": "int",
    "BIGINT": "int",
    "UTINYINT": "int",
    "USMALLINT": "int",
    "UINTEGER": "int",
    "UBIGINT": "int",
    "HUGEINT": "int",
    "FLOAT": "float",
    "DOUBLE": "float",
    "VARCHAR": "text",
    "UUID": "text",
    "DATE": "time",
    "TIMESTAMP": "time",
    "TIMESTAMP_S": "time",
    "TIMESTAMP_MS": "time",
    "TIMESTAMP_NS": "time",
    "TIMESTAMP WITH TIME ZONE": "time",
}
_READ_AS = {"bool": "BOOLEAN", "int": "BIGINT", "float": "DOUBLE", "text": "VARCHAR", "time": "TIMESTAMP"}


class SegmentStore(Protocol):
    """Where segments go; the blobs of the store."""

    def put(self, data: Path) -> str:
        """Adopt a file and return its digest."""

    def has(self, digest: str) -> bool:
        """Whether a blob is there."""


def find_files(source: Source, folder: Path, *, name: str) -> list[Path]:
    """Return the files that a source's path names, sorted.

    Raises
    ------
    SourceError
        When there is none.
    """
    pattern = Path(source.path).expanduser()
    absolute = pattern if pattern.is_absolute() else folder / pattern
    if any(letter in source.path for letter in "*?["):
        anchor = Path(absolute.anchor)
        found = sorted(path for path in anchor.glob(str(absolute.relative_to(anchor))) if path.is_file())
    elif absolute.is_dir():
        found = sorted(path for path in absolute.iterdir() if path.is_file() and _format(source, path, quiet=True))
    else:
        found = [absolute] if absolute.is_file() else []
    if not found:
        near = [path.name for path in absolute.parent.iterdir()] if absolute.parent.is_dir() else []
        hint = did_you_mean(absolute.name, near) if near else f"There is no folder {absolute.parent} either."
        raise SourceError(f"Source {name!r}: no file {source.path!r}.", where=f"sources.{name}.path", hint=hint)
    return found


def collect(
    name: str,
    source: Source,
    *,
    folder: Path,
    store: SegmentStore,
    previous: Snapshot | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Snapshot:
    """Return a snapshot of the source as it is now, reading only files that are new.

    Parameters
    ----------
    folder
        Where the brief stands; the source's path is relative to it.
    previous
        The snapshot before: its segments are used again, and its columns are what later files must have.
    progress
        Told the name of each file that is read.

    Raises
    ------
    SourceError
        When a file cannot be read, or does not have the columns of the files before; nothing was taken then.
    """
    how = hashlib.sha256(
        "\0".join([source.format, source.table, source.zone, *source.nulls, *sorted(f"{k}={v}" for k, v in source.types.items())]).encode()
    ).hexdigest()[:12]
    taken = {} if previous is None else {segment.file_digest: segment for segment in previous.segments}
    columns = None if previous is None else previous.columns
    segments: list[Segment] = []
    with Database() as database:
        for path in find_files(source, folder, name=name):
            shown = os.path.relpath(path, folder)
            digest = f"{_digest(path)}-{how}"
            known = taken.get(digest)
            if known is not None and store.has(known.blob):
                segments.append(Segment(file=shown, file_digest=digest, size_bytes=known.size_bytes, rows=known.rows, blob=known.blob))
                continue
            progress(shown)
            with _readable(path, source, name, database) as (relation, table_format):
                columns, segment = _segment(
                    name, source, path, shown, relation, table_format, columns=columns, database=database, store=store, digest=digest
                )
            segments.append(segment)
    assert columns is not None
    return Snapshot(source=name, columns=columns, segments=tuple(segments))


def _digest(path: Path) -> str:
    hasher = blake3.blake3(max_threads=blake3.blake3.AUTO)
    hasher.update_mmap(path)
    return str(hasher.hexdigest())


def _format(source: Source, path: Path, *, quiet: bool = False) -> str:
    if source.format:
        return source.format
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in {".gz", ".zip", ".zst"}]
    found = FORMATS.get(suffixes[-1], "") if suffixes else ""
    if not found and not quiet:
        raise SourceError(
            f"The name of {path.name!r} does not say its format.", hint="Set format = 'csv', 'jsonl', 'parquet' or 'sqlite'."
        )
    return found


@contextmanager
def _readable(path: Path, source: Source, name: str, database: Database) -> Iterator[tuple[str, str]]:
    """Yield a relation function's text, still without types, and the format; a zip is unpacked for the while."""
    if path.stat().st_size == 0:
        raise SourceError(f"{path.name} is empty.", where=str(path), hint="A header and at least one row are wanted.")
    kind = _format(source, path)
    if path.suffix.lower() == ".zip":
        with tempfile.TemporaryDirectory(prefix="headway-zip-") as folder:
            yield quote_text(str(_unzip(path, Path(folder)))), kind
    elif kind == "sqlite":
        registered = database.register(_sqlite_table(path, source, name))
        yield registered, kind
    else:
        yield quote_text(str(path)), kind


def _unzip(path: Path, folder: Path) -> Path:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                raise SourceError(f"{path.name} holds {len(members)} files, and one is wanted.", where=str(path))
            # The member's own name is not trusted with a path.
            target = folder / Path(members[0].filename).name
            with archive.open(members[0]) as packed, target.open("wb") as unpacked:
                while block := packed.read(1 << 20):
                    unpacked.write(block)
            return target
    except zipfile.BadZipFile as error:
        raise SourceError(f"{path.name} is not a whole zip file: {error}.", where=str(path)) from None


def _sqlite_table(path: Path, source: Source, name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202  (driver's reader)
    import adbc_driver_sqlite.dbapi as driver  # noqa: PLC0415  (only who reads SQLite needs it)

    try:
        with driver.connect(f"file:{path}?mode=ro") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
            tables = [row[0] for row in cursor.fetchall()]
            table = source.table or (tables[0] if len(tables) == 1 else "")
            if table not in tables:
                found = f"has no table {table!r}" if table else f"has {len(tables)} tables, and none is named"
                hint = did_you_mean(table, tables) if table else f"Set sources.{name}.table. {did_you_mean('', tables)}"
                raise SourceError(f"{path.name} {found}.", where=str(path), hint=hint)
            cursor.execute(f"SELECT * FROM {quote(table)}")
            return cursor.fetch_arrow_table()
    except driver.Error as error:
        raise SourceError(f"{path.name} cannot be read as SQLite: {error}.", where=str(path)) from None


def _segment(
    name: str,
    source: Source,
    path: Path,
    shown: str,
    file: str,
    table_format: str,
    *,
    columns: tuple[SourceColumn, ...] | None,
    database: Database,
    store: SegmentStore,
    digest: str,
) -> tuple[tuple[SourceColumn, ...], Segment]:
    with _explained(path, shown):
        types = {column.name: column.read_as for column in columns or ()}
        types |= {column: _READ_AS[kind] for column, kind in source.types.items() if column not in types}
        if columns is not None or source.types:
            found = [row[0] for row in database.rows(f"DESCRIBE SELECT * FROM {_relation(file, table_format, source, None)}")]
            _compare(name, shown, found, types, exact=columns is not None)
        relation = _relation(file, table_format, source, types or None)
        described = database.rows(f"DESCRIBE SELECT * FROM {relation}")
        if columns is None:
            columns = tuple(_column(row[0], row[1], name, shown) for row in described)
        texts = ", ".join(_stored(column, dict((r[0], r[1]) for r in described)[column.name], source) for column in columns)
        handle, temporary = tempfile.mkstemp(suffix=".parquet", prefix="headway-")
        os.close(handle)
        try:
            database.execute(
                f"COPY (SELECT {texts} FROM {relation}) TO {quote_text(temporary)} (FORMAT parquet, COMPRESSION zstd)"
            )
            (rows,) = database.rows(f"SELECT count(*) FROM read_parquet({quote_text(temporary)})")[0]
            if rows == 0:
                raise SourceError(f"{path.name} has a header and no row.", where=str(path))
            blob = store.put(Path(temporary))
        finally:
            Path(temporary).unlink(missing_ok=True)
    segment = Segment(file=shown, file_digest=digest, size_bytes=path.stat().st_size, rows=rows, blob=blob)
    return columns, segment


def _relation(file: str, table_format: str, source: Source, types: Mapping[str, str] | None) -> str:
    if table_format == "sqlite":
        return file
    if table_format == "parquet":
        return f"read_parquet({file})"
    listed = ", ".join(f"{quote_text(name)}: {quote_text(kind)}" for name, kind in (types or {}).items())
    if table_format == "jsonl":
        given = f", columns = {{{listed}}}" if types else ""
        return f"read_json({file}, format = 'newline_delimited'{given}, sample_size = -1)"
    nulls = ", ".join(quote_text(null) for null in source.nulls)
    given = f", types = {{{listed}}}" if types else ""
    return f"read_csv({file}, header = true, nullstr = [{nulls}], sample_size = -1, strict_mode = true{given})"


def _column(name: str, engine_type: str, source: str, shown: str) -> SourceColumn:
    kind = "float" if engine_type.startswith("DECIMAL") else _KINDS.get(engine_type)
    if kind is None:
        raise SourceError(
            f"Column {name!r} of source {source!r} is a {engine_type}, which has no place in a table.",
            where=shown,
            hint="Flatten it, or leave it out.",
        )
    return SourceColumn(name=name, kind=kind, read_as=engine_type)


def _stored(column: SourceColumn, engine_type: str, source: Source) -> str:
    """Return the text that turns a column as read into a column as kept: six kinds, moments in UTC, no NaN."""
    name = quote(column.name)
    if column.kind == "time":
        if engine_type == "TIMESTAMP WITH TIME ZONE":
            return f"timezone('UTC', {name}) AS {name}"
        local = f"CAST({name} AS TIMESTAMP)"
        if source.zone == "UTC":
            return f"{local} AS {name}"
        return f"timezone('UTC', timezone({quote_text(source.zone)}, {local})) AS {name}"
    if column.kind == "float":
        return f"CASE WHEN isfinite(CAST({name} AS DOUBLE)) THEN CAST({name} AS DOUBLE) END AS {name}"
    return f"CAST({name} AS {_READ_AS[column.kind]}) AS {name}"


def _compare(name: str, shown: str, found: list[str], wanted: Mapping[str, str], *, exact: bool) -> None:
    missing = [column for column in wanted if column not in found]
    added = [column for column in found if column not in wanted] if exact else []
    if missing:
        raise SourceError(
            f"Source {name!r}: {shown} has no column {missing[0]!r}, which was there before.",
            where=shown,
            hint=did_you_mean(missing[0], added or found),
        )
    if added:
        raise SourceError(
            f"Source {name!r}: {shown} has a column {added[0]!r} that was not there before.",
            where=shown,
            hint="Leave it out, or begin a new source.",
        )


@contextmanager
def _explained(path: Path, shown: str) -> Iterator[None]:
    """Say in our words what the engine's readers found wrong with a file."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        line = re.search(r"Line:?\s*(\d+)", text)
        where = f"{path}:{line[1]}" if line else str(path)
        expected = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
        if expected:
            raise SourceError(
                f"{shown} is ragged: this line has {expected[2]} fields, and the header has {expected[1]}.", where=where
            ) from None
        first = re.sub(r"^[\w ]*Error:\s*", "", text.strip().splitlines()[0])
        raise SourceError(f"{shown} cannot be read: {first.rstrip('.')}.", where=where) from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{shown} is not UTF-8 text: {error.reason}.", where=str(path)) from None
