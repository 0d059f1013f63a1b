"""Arrow's own files (also called Feather), with and without an index at their end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from headway.errors import SourceError
from headway.sources.opened import one_line
from headway.sources.spool import open_parquet, spooled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from headway.query.database import Database
    from headway.sources.opened import Opened

__all__ = ["opened_arrow"]

_FILE = b"ARROW1"


@contextmanager
def opened_arrow(path: Path, database: Database) -> Iterator[Opened]:
    """Yield the rows of an Arrow file.

    Raises
    ------
    SourceError
        When the file is not whole, or no Arrow file.
    """
    try:
        with pa.memory_map(str(path)) as file:
            whole = file.read(len(_FILE)) == _FILE
            file.seek(0)
            with _batches(file, whole=whole) as stream, spooled(stream, where=str(path)) as rows:
                yield open_parquet(rows, database, shown=path.name, where=str(path))
    except pa.ArrowException as error:
        raise SourceError(f"{path.name} is not a whole Arrow file: {one_line(str(error))}", where=str(path)) from None
    except OSError as error:
        if error.errno is not None or isinstance(error, SourceError):
            raise
        raise SourceError(f"{path.name} is not a whole Arrow file: {one_line(str(error))}", where=str(path)) from None


@contextmanager
def _batches(file: pa.MemoryMappedFile, *, whole: bool) -> Iterator[pa.RecordBatchReader]:
    if not whole:
        with pa.ipc.open_stream(file) as stream:
            yield stream
        return
    with pa.ipc.open_file(file) as indexed:
        batches = (indexed.get_batch(number) for number in range(indexed.num_record_batches))
        yield pa.RecordBatchReader.from_batches(indexed.schema, batches)
