"""Rows that come as a stream, and are wanted more than once: put down as a file of columns for the while."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headway.errors import SourceError
from headway.query.compile import quote_text
from headway.sources.opened import plainly, refuse_twins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from headway.query.database import Database
    from headway.sources.opened import Opened

__all__ = ["open_parquet", "spooled"]


@contextmanager
def spooled(stream: pa.RecordBatchReader, *, where: str) -> Iterator[Path]:
    """Yield a Parquet file with the rows of a stream, which never stands in memory whole.

    Raises
    ------
    SourceError
        When a column is of a type that has no place in a file of columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory(prefix="headway-spool-") as folder:
        path = Path(folder) / "rows.parquet"
        try:
            with pq.ParquetWriter(path, stream.schema, compression="lz4", write_statistics=False) as writer:
                for batch in stream:
                    writer.write_batch(batch)
        except pa.ArrowNotImplementedError as error:
            raise SourceError(
                f"A column is of a type that cannot be kept: {str(error).splitlines()[0].rstrip('.')}.",
                where=where,
                hint="Leave it out, or make it a text or a number.",
            ) from None
        yield path


def open_parquet(path: Path, database: Database, *, shown: str, where: str) -> Opened:
    """Return a Parquet file as the engine reads it.

    Parameters
    ----------
    shown
        What the rows came from, for errors.
    where
        Where errors point.

    Raises
    ------
    SourceError
        When two of its columns have one name.
    """
    file = quote_text(str(path))
    opened = plainly(f"read_parquet({file})", database)
    schema = database.rows(f"SELECT name, num_children FROM parquet_schema({file})")
    refuse_twins(_top_columns(schema), shown=shown, where=where)
    return opened


def _top_columns(schema: Sequence[tuple[str, int | None]]) -> list[str]:
    """Return the names of a file's columns; below each that is nested, its parts are listed."""
    names, parts = [], 0
    for name, children in schema[1:]:
        if parts == 0:
            names.append(name)
            parts = children or 0
        else:
            parts += (children or 0) - 1
    return names
