"""Where the answers to a batch go: a file that is there whole, or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from headway.deploy.rows import format_of
from headway.errors import NO_ROOM, StoreError, StoreFull

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

__all__ = ["ResultFile"]


class _Writer(Protocol):
    def write_table(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


class _JsonLines:
    def __init__(self, file: pa.NativeFile) -> None:
        self._file = file
        self._encoder = msgspec.json.Encoder()

    def write_table(self, table: pa.Table) -> None:
        self._file.write(self._encoder.encode_lines(table.to_pylist()))

    def close(self) -> None:
        pass


class ResultFile:
    """A file of answers, CSV, JSON lines or Parquet by its name; a context manager.

    It stands under its name once the ``with`` is left without an error: until then what was there stays there.

    Parameters
    ----------
    path
        Where it will stand.
    schema
        Of the tables to come.

    Raises
    ------
    SourceError
        When the name does not say a format.
    StoreFull, StoreError
        When it cannot be written.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._format = format_of(path)
        self._schema = schema
        self._draft = path.with_name(f".{path.name}-{os.getpid()}.part")

    def __enter__(self) -> Self:
        try:
            self._file = pa.OSFile(str(self._draft), "wb")
        except OSError as error:
            raise _spoken(error, self._path) from error
        self._writer = _writer(self._format, self._file, self._schema)
        return self

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        try:
            self._writer.write_table(table)
        except OSError as error:
            raise _spoken(error, self._path) from error

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._writer.close()
                self._file.close()
                self._publish()
            else:
                self._file.close()
        except OSError as error:
            raise _spoken(error, self._path) from error
        finally:
            self._draft.unlink(missing_ok=True)

    def _publish(self) -> None:
        with self._draft.open("rb+") as file:
            os.fsync(file.fileno())
        self._draft.replace(self._path)
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _writer(name: str, file: Any, schema: pa.Schema) -> _Writer:
    made: Any
    if name == "csv":
        made = pacsv.CSVWriter(file, schema)
    elif name == "jsonl":
        made = _JsonLines(file)
    else:
        made = pq.ParquetWriter(file, schema, compression="zstd")
    return made  # type: ignore[no-any-return]


def _spoken(error: OSError, path: Path) -> StoreError:
    if isinstance(error, StoreError):
        return error
    kind = StoreFull if error.errno in NO_ROOM else StoreError
    return kind(f"The answers cannot be written: {error.strerror or error}.", where=str(path))
