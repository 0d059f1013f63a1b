"""Taking the rows of one entity out of immutable files: new files without them, and what that does to a manifest.

The file hides how positions move when rows go, and which of the store's files are tables at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from headway.data.fingerprints import mark_of
from headway.data.segments import ROW_GROUP, deleted_rows, live_marks, put_deleted
from headway.query.compile import quote, quote_text
from headway.query.parts import ORIGIN, ROW

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from headway.data.segments import SegmentStore
    from headway.nouns.snapshot import Snapshot
    from headway.query.database import Database

__all__ = ["Eraser", "columns_of", "holds_text", "is_arrow", "is_parquet", "keys_sql", "read_arrow"]


def is_parquet(path: Path) -> bool:
    """Return whether a file is Parquet."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def is_arrow(path: Path, *, streams: bool = True) -> bool:
    """Return whether a file is an Arrow file, or (unless left out) an Arrow stream."""
    with path.open("rb") as file:
        return file.read(4) in {b"ARRO", *([b"\xff\xff\xff\xff"] if streams else [])}


def columns_of(path: Path) -> dict[str, pa.DataType]:
    """Return the columns of a Parquet file, with their types."""
    return {field.name: field.type for field in pq.read_schema(path)}


def holds_text(path: Path, text: str) -> bool:
    """Return whether a text stands anywhere in a file: in its bytes, or in a table's values once they are unpacked."""
    if text.encode() in path.read_bytes():
        return True
    if is_parquet(path):
        tables: list[pa.Table] = [pq.read_table(path)]
    elif is_arrow(path):
        tables = [read_arrow(path)]
    else:
        return False
    return any(
        bool(pc.any(pc.match_substring(column.cast(pa.large_string()), text)).as_py())
        for table in tables
        for column in table.columns
        if pa.types.is_string(column.type)
        or pa.types.is_large_string(column.type)
        or pa.types.is_dictionary(column.type)
    )


def read_arrow(path: Path) -> pa.Table:
    """Return the table in an Arrow file, or stream."""
    with path.open("rb") as file:
        data = file.read()
    reader = pyarrow.ipc.open_file if data.startswith(b"ARROW1") else pyarrow.ipc.open_stream
    return reader(data).read_all()


def keys_sql(wanted: Mapping[str, Any], kinds: Mapping[str, str], *, prefix: str = "w") -> tuple[str, dict[str, Any]]:
    """Return a condition that the values of some columns are these, and its parameters, whose names begin alike.

    Parameters
    ----------
    kinds
        The columns that are there, with their kinds. Where one is of another kind than the value, a number and the text
        that spells it are the same; where one is not there, no row is meant.
    """
    if not set(wanted) <= set(kinds):
        return "FALSE", {}
    texts = [
        _equal_sql(quote(column), kinds[column], f"${prefix}{place}", _kind(value))
        for place, (column, value) in enumerate(wanted.items())
    ]
    return " AND ".join(texts), {f"{prefix}{place}": value for place, value in enumerate(wanted.values())}


def _equal_sql(column: str, kind: str, value: str, of: str) -> str:
    if kind == of or {kind, of} == {"int", "float"}:
        return f"{column} = {value}"
    if not kind or "text" not in {kind, of}:
        return f"{value} IS NULL"  # which it never is
    if "time" in {kind, of}:
        return f"TRY_CAST({column} AS TIMESTAMP) = TRY_CAST({value} AS TIMESTAMP)"
    # As it is spelled: 04711 may be somebody else than 4711, and nobody else's rows may go.
    return f"{_spelled(column, kind)} = {_spelled(value, of)}"


def _spelled(value: str, kind: str) -> str:
    text = f"CAST({value} AS VARCHAR)"
    return f"regexp_replace({text}, '\\.0$', '')" if kind == "float" else text


def _kind(value: object) -> str:
    kinds = {str: "text", bool: "bool", int: "int", float: "float"}
    return kinds.get(type(value), "time")


class Eraser:
    """Writes files anew without the rows that a condition is true of; each file once.

    Parameters
    ----------
    store
        The blobs: files are found there, and new ones put.
    """

    def __init__(self, store: SegmentStore, database: Database) -> None:
        self._store = store
        self._database = database
        self._places: dict[tuple[str, str], NDArray[np.int64]] = {}
        self._rewritten: dict[str, str] = {}

    def places(self, blob: str, condition: str, parameters: Mapping[str, Any]) -> NDArray[np.int64]:
        """Return the positions of a Parquet blob's rows that a condition is true of."""
        if (blob, condition) not in self._places:
            file = quote_text(str(self._store.path(blob)))
            found = self._database.table(
                f"SELECT file_row_number AS place FROM read_parquet({file}, file_row_number = true) "
                f"WHERE coalesce({condition}, FALSE) ORDER BY place",
                dict(parameters),
            )
            self._places[blob, condition] = found["place"].to_numpy().astype(np.int64)
        return self._places[blob, condition]

    def table(self, blob: str, condition: str, parameters: Mapping[str, Any]) -> tuple[str, int]:
        """Return the blob of a table without some of its rows, and how many those are; the same blob for none."""
        gone = self.places(blob, condition, parameters)
        return (self._without(blob, gone, numbered=False), len(gone)) if len(gone) else (blob, 0)

    def snapshot(
        self, snapshot: Snapshot, condition: str, parameters: Mapping[str, Any]
    ) -> tuple[Snapshot, dict[str, str]]:
        """Return a snapshot without some rows, and by blob that holds them the one without.

        Rows that no version shows any more, since they were deleted, go from the files all the same.
        """
        kinds = {column.name: column.kind for column in snapshot.columns}
        segments, replaced, removed = [], {}, 0
        for segment in snapshot.segments:
            gone = self.places(segment.blob, condition, parameters)
            if not len(gone):
                segments.append(segment)
                continue
            blob = replaced[segment.blob] = self._without(segment.blob, gone, numbered=not segment.numbered)
            deleted = deleted_rows(segment, self._store)
            left = np.setdiff1d(deleted, gone)
            left -= np.searchsorted(gone, left)
            fewer = len(gone) - len(np.intersect1d(gone, deleted))
            changed = msgspec.structs.replace(
                segment,
                blob=blob,
                deleted=(put_deleted(left, self._store),) if len(left) else (),
                numbered=True,
                rows=segment.rows - fewer,
                redacted=segment.redacted + fewer,
            )
            changed = msgspec.structs.replace(changed, mark=mark_of(live_marks(changed, self._store, kinds)[0]))
            segments.append(changed)
            removed += fewer
        name = snapshot.digest if removed else snapshot.redacted_from
        return msgspec.structs.replace(snapshot, segments=tuple(segments), redacted_from=name), replaced

    def _without(self, blob: str, gone: NDArray[np.int64], *, numbered: bool) -> str:
        """Return the blob of a file without the rows at some positions; where asked, the others keep their numbers."""
        if blob not in self._rewritten:
            wanted = self._database.register(pa.table({"@gone": pa.array(gone, pa.int64())}))
            file = quote_text(str(self._store.path(blob)))
            more = f", 0::USMALLINT AS {quote(ORIGIN)}, file_row_number + 1 AS {quote(ROW)}" if numbered else ""
            with self._store.scratch() as folder:
                path = folder / "rest.parquet"
                self._database.execute(
                    f"COPY (SELECT * EXCLUDE (file_row_number){more} "
                    f"FROM read_parquet({file}, file_row_number = true) "
                    f'WHERE file_row_number NOT IN (SELECT "@gone" FROM {wanted}) ORDER BY file_row_number) '
                    f"TO {quote_text(str(path))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
                )
                self._rewritten[blob] = self._store.adopt(path)
        return self._rewritten[blob]
