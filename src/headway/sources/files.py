"""Files of this machine: which ones a path names, and what each is when it is looked at."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import blake3

from headway.errors import SourceError, did_you_mean
from headway.sources.complaints import explained
from headway.sources.formats import FORMATS, format_of, is_hidden
from headway.sources.item import Item

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headway.nouns.brief import Source
    from headway.query.database import Database
    from headway.sources.opened import Opened

__all__ = ["file_item", "file_items", "find_files"]

_WILD = frozenset("*?[")


def find_files(path: str, folder: Path, *, given: str = "", where: str = "") -> list[Path]:
    """Return the files that a path names, sorted: a file, a pattern, or all files of a folder that can be read.

    Hidden files are found only by who names them, or gives a pattern that begins as their names do.

    Parameters
    ----------
    folder
        What the path is relative to.
    given
        The format that files have, whatever their names say.
    where
        The place in the brief, for errors.

    Raises
    ------
    SourceError
        When there is none.
    """
    try:
        pattern = Path(path).expanduser()
        absolute = pattern if pattern.is_absolute() else folder / pattern
        base, rest = _there(absolute)
        if absolute.is_dir():
            seen = (each for each in absolute.iterdir() if each.is_file() and not is_hidden(each.name))
            found = sorted(each for each in seen if format_of(each, given))
        elif absolute.is_file():  # whatever its name looks like
            found = [absolute]
        else:
            matching = base.glob(str(Path(*rest))) if _WILD & set(path) else ()
            meant = is_hidden(rest[-1])
            found = sorted(each for each in matching if each.is_file() and (meant or not is_hidden(each.name)))
        near = [] if found else [each.name for each in base.iterdir()]
    except (ValueError, RuntimeError) as error:  # no pattern, no such home, a nought in the name
        raise SourceError(f"{path!r} is no path: {error}.", where=where) from None
    except OSError as error:
        raise SourceError(f"{path!r} cannot be looked into: {error.strerror}.", where=where) from None
    if not found:
        if not rest:
            hint = f"The folder holds no file whose name ends in {', '.join(FORMATS)}, hidden ones aside."
        elif len(rest) > 1 and not _WILD & set(rest[0]):
            hint = f"There is no folder {base / rest[0]} either."
        else:
            hint = did_you_mean(rest[0], near) if near else f"The folder {base} is empty."
        raise SourceError(f"There is no file {path!r}.", where=where, hint=hint)
    return found


def _there(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the folders of a path that are there by these very names, and what follows: it alone is a pattern."""
    base = Path(path.anchor)
    parts = path.relative_to(base).parts
    for position, part in enumerate(parts):
        if not (base / part).is_dir():
            return base, parts[position:]
        base /= part
    return base, ()


def file_items(name: str, source: Source, path: str, *, folder: Path) -> list[Item]:
    """Return the files that ``path`` names, as items of source ``name``."""
    found = find_files(path, folder, given=source.format, where=f"sources.{name}.path")
    return [file_item(each, source, name, shown=os.path.relpath(each, folder)) for each in found]


def file_item(path: Path, source: Source, name: str, *, shown: str) -> Item:
    """Return one file as an item; what it is when it was first looked at, it must be after it was read."""
    with explained(path, shown):
        before = _stamp(path)

    def settled() -> None:
        with explained(path, shown):
            if _stamp(path) != before:
                raise SourceError(f"{shown} changed while it was read.", where=str(path), hint="Try again.")

    def digest() -> str:
        with explained(path, shown):
            return _digest(path)

    return Item(
        name=shown,
        where=str(path),
        size_bytes=before[0],
        digest=digest,
        opened=partial(_opened_as, path, source, name, shown),
        settled=settled,
    )


@contextmanager
def _opened_as(path: Path, source: Source, name: str, shown: str, database: Database) -> Iterator[Opened]:
    from headway.sources.opening import opened

    with explained(path, shown), opened(path, source, name, database=database) as file:
        yield file


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    if found.st_size == 0:
        raise SourceError(f"{path.name} is empty.", where=str(path), hint="A header and at least one row are wanted.")
    return found.st_size, found.st_mtime_ns


def _digest(path: Path) -> str:
    """Return the digest of a file's bytes; one that has not been touched since is not read again by this process."""
    waiting = path.with_name(f"{path.name}-wal")  # what a database has written, and not yet put in its place
    parts = [path, waiting] if waiting.is_file() else [path]
    return _digest_of(
        tuple((part, found.st_size, found.st_mtime_ns, found.st_ino) for part in parts for found in [part.stat()])
    )


@lru_cache(maxsize=65_536)
def _digest_of(parts: tuple[tuple[Path, int, int, int], ...]) -> str:
    hasher = blake3.blake3(max_threads=blake3.blake3.AUTO)
    for path, *_ in parts:
        hasher.update_mmap(path)
    return str(hasher.hexdigest())
