"""Files as relations of the engine, read as the Data stage will read them; the file hides formats and their complaints.

A path may be a file, a pattern, or a folder; a folder of files with the same columns is one source, otherwise each
file is its own. An SQLite file is as many sources as it has tables.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import gzip
import os
import re
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from headway.errors import SourceError, did_you_mean
from headway.query.compile import quote, quote_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headway.query.database import Database

__all__ = ["Opened", "explained", "opened"]

_FORMATS = {
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
_SNIFFED_WHOLE_BYTES = 256 << 20
_SNIFFED_ROWS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One source that can be read: its place in a brief, and the engine's text of its rows."""

    name: str
    path: str
    table: str
    files: int
    reader: str
    relation: str


@contextlib.contextmanager
def opened(paths: Sequence[Path | str], *, folder: Path, database: Database) -> Iterator[list[Opened]]:
    """Yield the sources that ``paths`` name; what was unpacked is gone afterwards.

    Parameters
    ----------
    folder
        Where the brief will stand: the paths of the sources are written relative to it.

    Raises
    ------
    SourceError
        When there is no such file, or it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="headway-look-") as unpacked:
        found: list[Opened] = []
        for place in paths:
            found += _sources(str(place), folder, Path(unpacked), database)
        yield _named_apart(found)


def _sources(place: str, folder: Path, unpacked: Path, database: Database) -> list[Opened]:
    files = _files(place)
    by_format: dict[str, list[Path]] = {}
    for file in files:
        by_format.setdefault(_format(file), []).append(file)
    if "sqlite" in by_format or len(by_format) > 1:
        groups = [[file] for file in files]
    else:
        groups = (
            [files]
            if len(files) == 1 or _is_pattern(place) or _alike(files, unpacked, database)
            else [[file] for file in files]
        )
    found = []
    for group in groups:
        if _format(group[0]) == "sqlite":
            found += _tables(group[0], folder, database)
        else:
            found.append(_one(group, place, folder, unpacked, database))
    return found


def _is_pattern(place: str) -> bool:
    return any(letter in place for letter in "*?[")


def _files(place: str) -> list[Path]:
    path = Path(place).expanduser()
    if _is_pattern(place):
        files = sorted(Path(name) for name in glob.glob(str(path), recursive=True) if Path(name).is_file())  # noqa: PTH207  (may be absolute)
    elif path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and _format(file, quiet=True))
    else:
        files = [path] if path.is_file() else []
    if files:
        return files
    if path.is_dir():
        raise SourceError(
            f"Folder {place!r} holds no file that can be read.", hint=f"Known endings: {', '.join(_FORMATS)}."
        )
    near = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, near) if near else f"There is no folder {str(path.parent)!r} either."
    raise SourceError(f"There is no file {place!r}.", hint=hint)


def _format(path: Path, *, quiet: bool = False) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _PACKED]
    found = _FORMATS.get(suffixes[-1], "") if suffixes else ""
    if not found and not quiet:
        raise SourceError(
            f"The name of {path.name!r} does not say its format.",
            where=str(path),
            hint=f"Rename it to end in one of {', '.join(_FORMATS)}; .gz and .zip may follow.",
        )
    return found


def _alike(files: list[Path], unpacked: Path, database: Database) -> bool:
    """Whether files have the same columns, and so are one source."""
    headers = set()
    for file in files:
        with explained(file):
            headers.add(
                tuple(
                    row[0]
                    for row in database.rows(
                        f"DESCRIBE SELECT * FROM {_reader([_plain(file, unpacked)], _format(file))}"
                    )
                )
            )
    return len(headers) == 1


def _one(files: list[Path], place: str, folder: Path, unpacked: Path, database: Database) -> Opened:
    first, table_format = files[0], _format(files[0])
    plain = [_plain(file, unpacked) for file in files]
    with explained(first):
        types = {}
        if table_format in {"csv", "jsonl"} and len(files) > 1:
            # Later files are read as the first one, as the Data stage does it.
            described = database.rows(f"DESCRIBE SELECT * FROM {_reader(plain[:1], table_format)}")
            types = {row[0]: row[1] for row in described}
        relation = _reader(plain, table_format, types)
        if table_format == "csv":
            _refuse_ragged(first, plain[0], relation, database)
    if len(files) == 1 and not Path(place).expanduser().is_dir():
        path, stem = str(first), _stem(first)
    elif _is_pattern(place):
        path, stem = place, _stem(Path(place)).replace("*", "").replace("?", "") or Path(place).parent.name
        stem = Path(place).parent.name if not re.search(r"[A-Za-z]", stem) and Path(place).parent.name else stem
    else:
        # A folder with one kind of files is one source; of several kinds, each file stands for itself.
        whole = len(files) == len(_files(place))
        path, stem = (place, Path(place).resolve().name) if whole else (str(first), _stem(first))
    return Opened(
        name=_name(stem), path=_within(path, folder), table="", files=len(files), reader=table_format, relation=relation
    )


def _reader(files: list[Path], table_format: str, types: dict[str, str] | None = None) -> str:
    listed = "[" + ", ".join(quote_text(str(file)) for file in files) + "]"
    if table_format == "parquet":
        return f"read_parquet({listed})"
    rows = -1 if sum(file.stat().st_size for file in files) <= _SNIFFED_WHOLE_BYTES else _SNIFFED_ROWS
    given = ", ".join(f"{quote_text(name)}: {quote_text(kind)}" for name, kind in (types or {}).items())
    if table_format == "jsonl":
        columns = f", columns = {{{given}}}" if given else ""
        return f"read_json({listed}, format = 'newline_delimited'{columns}, sample_size = {rows})"
    columns = f", types = {{{given}}}" if given else ""
    return f"read_csv({listed}, header = true, nullstr = ['', 'NA'], strict_mode = true, sample_size = {rows}{columns})"


def _refuse_ragged(file: Path, plain: Path, relation: str, database: Database) -> None:
    """Raise for lines of unequal length: the engine's reader would take the whole line for one column."""
    columns = [row[0] for row in database.rows(f"DESCRIBE SELECT * FROM {relation}")]
    separator = next((letter for letter in ",;\t|" if letter in columns[0]), "")
    if len(columns) > 1 or not separator:
        return
    opening = gzip.open if file.suffix.lower() == ".gz" else open
    with opening(plain, mode="rt", encoding="utf-8", errors="replace", newline="") as text:
        reader = csv.reader(text, delimiter=separator)
        wanted = len(next(reader))
        for fields in reader:
            if fields and len(fields) != wanted:
                raise SourceError(
                    f"This line has {len(fields)} fields, and the header has {wanted}.",
                    where=f"{file}:{reader.line_num}",
                )


def _plain(path: Path, unpacked: Path) -> Path:
    if path.stat().st_size == 0:
        raise SourceError(f"{path.name} is empty.", where=str(path), hint="A header and at least one row are wanted.")
    if path.suffix.lower() != ".zip":
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                raise SourceError(f"{path.name} holds {len(members)} files, and one is wanted.", where=str(path))
            handle, target = tempfile.mkstemp(dir=unpacked, suffix=f"-{Path(members[0].filename).name}")
            with archive.open(members[0]) as packed, os.fdopen(handle, "wb") as plain:
                while block := packed.read(1 << 20):
                    plain.write(block)
            return Path(target)
    except (zipfile.BadZipFile, EOFError) as error:
        raise SourceError(f"{path.name} is not a whole zip file: {error}.", where=str(path)) from None


def _tables(path: Path, folder: Path, database: Database) -> list[Opened]:
    import adbc_driver_sqlite.dbapi as driver

    try:
        with driver.connect(f"file:{path}?mode=ro") as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' "
                "ORDER BY name"
            )
            tables = [row[0] for row in cursor.fetchall()]
            if not tables:
                raise SourceError(f"{path.name} holds no table.", where=str(path))
            found = []
            for table in tables:
                cursor.execute(f"SELECT * FROM {quote(table)}")
                relation = database.register(cursor.fetch_arrow_table())
                found.append(
                    Opened(
                        name=_name(table if len(tables) > 1 else _stem(path)),
                        path=_within(str(path), folder),
                        table=table if len(tables) > 1 else "",
                        files=1,
                        reader="sqlite",
                        relation=relation,
                    )
                )
            return found
    except driver.Error as error:
        raise SourceError(f"{path.name} cannot be read as SQLite: {error}.", where=str(path)) from None


def _stem(path: Path) -> str:
    name = path.name
    while Path(name).suffix.lower() in {*_PACKED, *_FORMATS}:
        name = Path(name).stem
    return name


def _name(text: str) -> str:
    """Return a name that a brief can use for a source.

    Examples
    --------
    >>> _name("2013 flights-new")
    'flights_new'
    """
    cleaned = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return re.sub(r"^[\d_]+", "", cleaned) or "data"


def _named_apart(found: list[Opened]) -> list[Opened]:
    """Return the same sources with names that occur once."""
    from dataclasses import replace

    taken: set[str] = set()
    apart = []
    for source in found:
        name, number = source.name, 2
        while name in taken:
            name, number = f"{source.name}_{number}", number + 1
        taken.add(name)
        apart.append(replace(source, name=name))
    return apart


def _within(path: str, folder: Path) -> str:
    """Return a path as the brief writes it: relative to the brief's folder where it lies inside."""
    absolute = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  (resolve() would follow links and drop patterns)
    root = Path(os.path.abspath(folder))  # noqa: PTH100  (as above)
    return absolute.relative_to(root).as_posix() if absolute.is_relative_to(root) else str(absolute)


@contextlib.contextmanager
def explained(path: Path | str) -> Iterator[None]:
    """Say in our words what the engine's readers found wrong with a file."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        line = re.search(r"Line:?\s*(\d+)", text)
        where = f"{path}:{line[1]}" if line else str(path)
        ragged = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
        if ragged:
            raise SourceError(
                f"This line has {ragged[2]} fields, and the header has {ragged[1]}.", where=where
            ) from None
        first = re.sub(r"^[\w ]*Error:\s*", "", text.strip().splitlines()[0])
        raise SourceError(f"It cannot be read: {first.rstrip('.')}.", where=where) from None
    except UnicodeDecodeError as error:
        raise SourceError(f"It is not UTF-8 text: {error.reason}.", where=str(path)) from None
