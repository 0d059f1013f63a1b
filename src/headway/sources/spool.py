"""Rows that come as a stream, and are wanted more than once: put down as a file of columns for the while."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headway.errors import SourceError
from headway.query.compile import quote_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

__all__ = ["parquet_sql", "spooled"]


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


def parquet_sql(path: Path) -> str:
    """Return a Parquet file as the engine reads it."""
    return f"read_parquet({quote_text(str(path))})"
