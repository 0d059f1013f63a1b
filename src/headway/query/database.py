"""A private DuckDB in memory: bounded, spilling, in UTC, and with its errors said in our words.

Statements go through ``execute``, and answers in Arrow through ``sql``, which since 2.0 is the only way without a
copy; no other part of the Python interface is used, since it changed between 1.x and 2.x.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from headway.errors import NO_ROOM, DataError, HeadwayError, StoreCorrupt, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    import duckdb
    import pyarrow as pa

__all__ = ["Database", "EngineError", "blamed_on"]


# The engine hands the system's own words on, bare or within JSON; "offload" is its word for spilling.
_NO_ROOM = re.compile("|".join([*(re.escape(os.strerror(number)) for number in sorted(NO_ROOM)), "failed to offload"]))

_BLOB = re.compile(r'[^"\n]*/[0-9a-f]{2}/[0-9a-f]{62}(?=")')
"""A file of the store, in the engine's words: nobody but the store names its files so."""


class EngineError(HeadwayError, ArithmeticError):
    """The engine could not compute a value: it does not fit its type, or names what there is not.

    Whoever knows which definition asked for it says so, as a DataError.
    """


@cache
def _spill() -> str:
    """Return the folder of what does not fit into the process's memory, which goes with it."""
    folder = tempfile.mkdtemp(prefix="headway-spill-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@lru_cache(maxsize=4)
def _engine(memory_gib: float, threads: int) -> duckdb.DuckDBPyConnection:
    """Return the process's engine: starting one takes tens of milliseconds, a connection to it less than one.

    It lives as long as the process.
    """
    import duckdb  # as late as the engine: who finds nothing to do does not load it

    return duckdb.connect(
        ":memory:",
        config={
            "memory_limit": f"{memory_gib}GiB",
            "temp_directory": tempfile.mkdtemp(prefix="engine-", dir=_spill()),
            "threads": threads,
            # Nothing may be fetched at run time, and no file is run for having been found.
            "autoinstall_known_extensions": "false",
        },
    )


class Database:
    """One connection to the process's engine; close it, or use it as a context manager, to give back its tables.

    What it makes is temporary and its own: no other connection sees it.

    Parameters
    ----------
    memory_gib
        Above this the engine spills to disk; what all connections hold counts together.
    threads
        Processors to use; all by default.
    """

    def __init__(self, *, memory_gib: float = 2.0, threads: int | None = None) -> None:
        self._memory_gib = memory_gib
        self._threads = threads or os.cpu_count() or 1
        self._names = 0
        self._folders: list[str] = []

    @property
    def threads(self) -> int:
        """How many processors it uses."""
        return self._threads

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        """The connection, made when first asked: who finds nothing to do does not pay for an engine."""
        connection = _engine(self._memory_gib, self._threads).cursor()
        connection.execute("SET TimeZone = 'UTC'")
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back; a second call does nothing."""
        if "_connection" in self.__dict__:
            self._connection.close()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
        self._folders.clear()

    def folder(self) -> Path:
        """Return a new folder, for rows that are too many for memory; it is taken away with the tables."""
        self._folders.append(tempfile.mkdtemp(prefix="rows-", dir=_spill()))
        return Path(self._folders[-1])

    def execute(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> None:
        """Run a statement whose answer is not wanted."""
        self._run(sql, parameters)

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Return the answer as tuples; for answers of few rows."""
        return self._run(sql, parameters).fetchall()

    def table(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pa.Table:
        """Return the answer as an Arrow table."""
        with _explained():
            relation = self._connection.sql(sql, params=parameters or None)
            return relation.to_arrow_reader(1 << 17).read_all()

    def batches(self, sql: str, *, rows: int = 1 << 17) -> pa.RecordBatchReader:
        """Return the answer as a stream of record batches, so that it never stands in memory whole."""
        with _explained():
            return self._connection.sql(sql).to_arrow_reader(rows)

    def create(self, sql: str, *, prefix: str = "t") -> str:
        """Put the answer of ``sql`` into a new temporary table and return its name."""
        name = self._fresh(prefix)
        self.execute(f"CREATE TEMP TABLE {name} AS {sql}")
        return name

    def add(self, name: str, sql: str, *, prefix: str = "t") -> str:
        """Put the answer of ``sql`` into a table that :meth:`create` made, or into a new one where there is no name."""
        if not name:
            return self.create(sql, prefix=prefix)
        self.execute(f"INSERT INTO {name} {sql}")
        return name

    def view(self, sql: str, *, prefix: str = "v") -> str:
        """Give the answer of ``sql`` a name and compute it where it is read: for what costs less than its copying."""
        name = self._fresh(prefix)
        self.execute(f"CREATE TEMP VIEW {name} AS {sql}")
        return name

    def register(self, table: pa.Table | pa.RecordBatchReader, *, prefix: str = "a", name: str = "") -> str:
        """Make Arrow data readable by name, without copying, and return the name: ``name``, or a fresh one."""
        name = name or self._fresh(prefix)
        self._connection.register(name, table)
        return name

    def drop(self, name: str) -> None:
        """Drop a table that :meth:`create` made."""
        self.execute(f"DROP TABLE IF EXISTS {name}")

    def _fresh(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}_{self._names}"

    def _run(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        with _explained():
            return self._connection.execute(sql, parameters) if parameters else self._connection.execute(sql)


@contextmanager
def _explained() -> Iterator[None]:
    """Say in our words what the machine lacks, which file is damaged, and what of the data cannot be computed."""
    import duckdb

    try:
        with _whole():
            yield
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        text = str(error)
        if reason := _NO_ROOM.search(text):
            file = re.search(r'file \\?"(.*?)\\?"', text)
            raise StoreFull(
                f"No space is left for the files that the engine works with ({reason[0]}).",
                where=file[1] if file else "",
                hint="Make room or lift the quota, or point TMPDIR elsewhere, and run it again.",
            ) from error
        if isinstance(error, duckdb.OutOfMemoryException):
            raise StoreFull("The engine needs more memory than it may take.", hint=_first_line(text)) from error
        raise
    except (duckdb.FatalException, duckdb.InternalException) as error:
        # An engine that has failed within answers nobody any more; whoever comes next gets another one.
        _engine.cache_clear()
        raise EngineError(f"The engine failed: {_first_line(str(error))}") from error
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise EngineError(_first_line(str(error))) from error
    except duckdb.NotImplementedException as error:
        zone = re.search(r"Unknown TimeZone '([^']*)'", str(error))
        if zone is None:
            raise
        hint = "Write zones as in the IANA database, such as 'UTC' or 'America/New_York'."
        raise EngineError(f"{zone[1]!r} is not a time zone.", hint=hint) from error


@contextmanager
def _whole() -> Iterator[None]:
    """Say of a file of the store that the engine cannot read that it is damaged."""
    import duckdb

    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        text = str(error)
        blob = _BLOB.search(text)
        if blob is None or _NO_ROOM.search(text):
            raise
        raise StoreCorrupt(
            "The file is damaged or gone: its rows cannot be read.",
            where=blob[0],
            hint="Restore it from a backup. What rests on it: headway data verify.",
        ) from error


@contextmanager
def blamed_on(where: str) -> Iterator[None]:
    """Say of what the engine could not compute that the data are at fault, and at which definition."""
    try:
        yield
    except EngineError as error:
        raise DataError(f"This cannot be computed from the data: {error.what}", where=where, hint=error.hint) from error


def _first_line(text: str) -> str:
    line = re.sub(r"^[\w ]*Error:\s*", "", text.strip().splitlines()[0]).rstrip(".!")
    return f"{line}."
