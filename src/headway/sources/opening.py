"""Opening a file of any format as a relation of the engine; which files there are is ``files.py``'s matter.

Apart from it, because whoever only looks whether a file has changed must not wait for the libraries that read it.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from headway.errors import SourceError
from headway.sources.arrow_file import opened_arrow
from headway.sources.delimited import open_csv
from headway.sources.embedded import opened_duckdb, opened_sqlite
from headway.sources.formats import FORMATS, format_of
from headway.sources.json_lines import open_json_lines
from headway.sources.packing import PACKED, unzipped
from headway.sources.spool import open_parquet
from headway.sources.workbook import open_workbook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from headway.nouns.brief import Source
    from headway.query.database import Database
    from headway.sources.opened import Opened

__all__ = ["opened"]


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
            member = unzipped(path, Path(folder))
            kind = format_of(member, source.format) or format_of(path)
            with _open(member, kind, source, name, database) as file:
                yield file
    else:
        with _open(path, format_of(path, source.format), source, name, database) as file:
            yield file


def _open(path: Path, kind: str, source: Source, name: str, database: Database) -> AbstractContextManager[Opened]:
    if path.suffix.lower() in PACKED - {".zip"} and kind not in {"csv", "jsonl", ""}:
        raise SourceError(
            f"{path.name} is packed, and {kind} packs its own columns.", where=str(path), hint="Unpack it."
        )
    match kind:
        case "csv":
            return nullcontext(open_csv(path, source, database))
        case "jsonl":
            return nullcontext(open_json_lines(path, database))
        case "parquet":
            return nullcontext(open_parquet(path, database, shown=path.name, where=str(path)))
        case "excel":
            return nullcontext(open_workbook(path, source, name, database))
        case "arrow":
            return opened_arrow(path, database)
        case "sqlite":
            return opened_sqlite(path, source, name, database)
        case "duckdb":
            return opened_duckdb(path, source, name, database)
    raise SourceError(
        f"The name of {path.name!r} does not say its format.",
        where=str(path),
        hint=f"Set sources.{name}.format: {', '.join(sorted(set(FORMATS.values())))}.",
    )
