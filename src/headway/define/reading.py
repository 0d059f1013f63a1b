"""Files as relations of the engine, read as the Data stage will read them; the file hides formats and their complaints.

A path may be a file, a pattern, or a folder; a folder of files with the same columns is one source, otherwise each
file is its own. An SQLite file is as many sources as it has tables.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headway.define.spelling import in_plain_letters
from headway.errors import SourceError, did_you_mean
from headway.nouns.brief import Source
from headway.query.compile import quote
from headway.sources.complaints import explained
from headway.sources.delimited import UnclearDays
from headway.sources.embedded import tables_of
from headway.sources.formats import FORMATS, format_of
from headway.sources.opening import opened as opened_file
from headway.sources.packing import PACKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from headway.query.database import Database
    from headway.sources.opened import Opened as OpenedFile

__all__ = ["Opened", "explained", "opened"]

_TABLES = {"sqlite", "duckdb"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One source that can be read: its place in a brief, and the engine's text of its rows.

    In the columns ``unclear`` stand days that could be other days; they are read as text, and the brief must say so.
    """

    name: str
    path: str
    table: str
    files: int
    reader: str
    relation: str
    unclear: frozenset[str] = frozenset()


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
    with contextlib.ExitStack() as as_long:
        found: list[Opened] = []
        for place in paths:
            found += _sources(str(place), folder, _Reader(as_long, database))
        yield _named_apart(found)


class _Reader:
    """Opens files as the Data stage will, for as long as the look lasts."""

    def __init__(self, as_long: contextlib.ExitStack, database: Database) -> None:
        self._as_long, self._database = as_long, database
        self._open: dict[tuple[Path, str], OpenedFile] = {}
        self._unclear: dict[Path, set[str]] = {}

    def file(self, path: Path, table: str = "") -> OpenedFile:
        """Return a file, opened once."""
        if (path, table) not in self._open:
            if path.stat().st_size == 0:
                raise SourceError(
                    f"{path.name} is empty.", where=str(path), hint="A header and at least one row are wanted."
                )
            try:
                source = Source(path=str(path), table=table, types=dict.fromkeys(self.unclear([path]), "text"))
                with explained(path, path.name):
                    entered = opened_file(path, source, _name(_stem(path)), database=self._database)
                    file = self._as_long.enter_context(entered)
                    # The rows are read many ways: what a sample says of the types would end some of them midway.
                    self._open[path, table] = file if file.certain is None else file.certain()
            except UnclearDays as error:
                self._unclear.setdefault(path, set()).add(error.column)
                return self.file(path, table)
        return self._open[path, table]

    def unclear(self, files: Iterable[Path]) -> frozenset[str]:
        """Return the columns that are read as text, because in one of the files their days could be other days."""
        return frozenset(column for path in files for column in self._unclear.get(path, ()))

    def whole(self, files: Sequence[Path]) -> str:
        """Return all files as one relation; later ones are read as the first, numbers wide enough for all."""
        parts = [self.file(path) for path in files]
        if len(parts) == 1:
            return parts[0].relation({})
        types = {**parts[0].columns, **dict.fromkeys(self.unclear(files), "VARCHAR")}
        for path, part in zip(files[1:], parts[1:], strict=True):
            for column in set(types) ^ set(part.columns):
                raise SourceError(
                    f"{path.name} and {files[0].name} differ in the column {column!r}.",
                    where=str(path),
                    hint="Look at one of them; the brief says what becomes of it: missing_columns, extra_columns.",
                )
            for column, kind in part.columns.items():
                if {types.get(column), kind} == {"BIGINT", "DOUBLE"}:
                    types[column] = "DOUBLE"
        texts = []
        for part in parts:
            wanted = {name: types[name] for name, kind in part.columns.items() if types.get(name, kind) != kind}
            texts.append(f"SELECT {', '.join(map(quote, types))} FROM {part.relation(wanted)}")
        return f"({' UNION ALL '.join(texts)})"


def _sources(place: str, folder: Path, reader: _Reader) -> list[Opened]:
    files = _files(place)
    formats = {_format(file) for file in files}
    if formats & _TABLES or len(formats) > 1:
        groups = [[file] for file in files]
    elif len(files) == 1 or _is_pattern(place) or _alike(files, reader):
        groups = [files]
    else:
        groups = [[file] for file in files]
    found = []
    for group in groups:
        if _format(group[0]) in _TABLES:
            found += _tables(group[0], folder, reader)
        else:
            found.append(_one(group, place, folder, reader))
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
            f"Folder {place!r} holds no file that can be read.", hint=f"Known endings: {', '.join(FORMATS)}."
        )
    near = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    hint = did_you_mean(path.name, near) if near else f"There is no folder {str(path.parent)!r} either."
    raise SourceError(f"There is no file {place!r}.", hint=hint)


def _format(path: Path, *, quiet: bool = False) -> str:
    found = format_of(path)
    if not found and not quiet:
        raise SourceError(
            f"The name of {path.name!r} does not say its format.",
            where=str(path),
            hint=f"Rename it to end in one of {', '.join(FORMATS)}; .gz, .zst and .zip may follow those of text.",
        )
    return found


def _alike(files: list[Path], reader: _Reader) -> bool:
    """Whether files have the same columns, and so are one source."""
    return len({tuple(reader.file(file).columns) for file in files}) == 1


def _one(files: list[Path], place: str, folder: Path, reader: _Reader) -> Opened:
    first = files[0]
    relation = reader.whole(files)
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
        name=_name(stem),
        path=_within(path, folder),
        table="",
        files=len(files),
        reader=_format(first),
        relation=relation,
        unclear=reader.unclear(files),
    )


def _tables(path: Path, folder: Path, reader: _Reader) -> list[Opened]:
    tables = tables_of(path, _format(path))
    if not tables:
        raise SourceError(f"{path.name} holds no table.", where=str(path))
    return [
        Opened(
            name=_name(table if len(tables) > 1 else _stem(path)),
            path=_within(str(path), folder),
            table=table if len(tables) > 1 else "",
            files=1,
            reader=_format(path),
            relation=reader.file(path, table).relation({}),
        )
        for table in tables
    ]


def _stem(path: Path) -> str:
    name = path.name
    while Path(name).suffix.lower() in {*PACKED, *FORMATS}:
        name = Path(name).stem
    return name


def _name(text: str) -> str:
    """Return a name that a brief can use for a source.

    Examples
    --------
    >>> _name("2013 flights-new")
    'flights_new'
    """
    cleaned = re.sub(r"\W+", "_", in_plain_letters(text), flags=re.ASCII).strip("_")
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
