"""A table as a log of immutable segments: what a changed file adds to them and takes from them, and reading them back.

A file that was handed over again is compared with its version before by fingerprints. Rows that are still there stay
where they are; those that are gone are named by position; only those that are new are written. The file hides how the
two versions are compared, and the form of the Parquet files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headway.data.fingerprints import Marks, mark_of, marks_of_file, sum_of_marks
from headway.errors import StoreCorrupt
from headway.nouns.snapshot import NOTHING, Origin, Segment
from headway.query.compile import quote, quote_text
from headway.query.parts import DELETED, ORIGIN, ROW, Part, part_of, placed_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from headway.nouns.snapshot import Snapshot
    from headway.query.database import Database

__all__ = [
    "ROW_GROUP",
    "FileVersion",
    "SegmentStore",
    "changed",
    "compacted",
    "deleted_rows",
    "live_marks",
    "merged",
    "put_deleted",
    "whole",
]

ROW_GROUP = 122_880

_SMALL_BYTES = 1 << 16
"""A segment below this is written anew: what is saved would not be worth another file to be opened by every reader."""

_MOST_CHANGED = 0.5
"""Where more of the rows than this are new or gone, the file is written whole: nothing much is shared."""

_MANY = 16
"""So many segments of one file are merged down to two when it changes: the largest, and all the others."""


class SegmentStore(Protocol):
    """Where segments go; the blobs of the store."""

    def put(self, data: Path) -> str:
        """Copy a file in and return its digest."""

    def adopt(self, path: Path) -> str:
        """Move a file in and return its digest."""

    def has(self, digest: str) -> bool:
        """Whether a blob is there."""

    def path(self, digest: str) -> Path:
        """Return the file of a blob."""

    def scratch(self) -> AbstractContextManager[Path]:
        """Lend a folder whose files can be adopted by a rename."""


class FileVersion(NamedTuple):
    """A file as it stands: its name, the digest of its bytes and of how they are read, and its size."""

    file: str
    digest: str
    size_bytes: int


def deleted_rows(segment: Segment, store: SegmentStore) -> NDArray[np.int64]:
    """Return the positions in a segment's blob that are no longer there, in order."""
    found = [pq.read_table(store.path(each))[DELETED].to_numpy() for each in segment.deleted]
    return np.sort(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)


def whole(written: Path, version: FileVersion, kinds: Mapping[str, str], store: SegmentStore) -> Segment:
    """Return the segment of a file that was written to Parquet as it stands; the file at ``written`` is moved in."""
    return _stored(written, version, marks_of_file(written, kinds), store)


def _stored(written: Path, version: FileVersion, marks: Marks, store: SegmentStore) -> Segment:
    return Segment(
        file=version.file,
        file_digest=version.digest,
        size_bytes=version.size_bytes,
        rows=len(marks.first),
        blob=store.adopt(written),
        mark=mark_of(marks),
    )


def changed(
    written: Path,
    version: FileVersion,
    before: Sequence[Segment],
    kinds: Mapping[str, str],
    *,
    store: SegmentStore,
    database: Database,
) -> tuple[Segment, ...]:
    """Return the segments of a file that was there before: those of its former version, less and more some rows.

    Parameters
    ----------
    written
        The file's rows as Parquet, in the order of the file; moved in if nothing much is shared.
    before
        The segments of the version before, or of any other file that this one may have rows in common with.
    kinds
        The columns that make up a row, with their kinds.
    """
    marks = marks_of_file(written, kinds)
    # What was kept before rows had fingerprints cannot be taken from, and what is small need not be; nor is there
    # anything to take for a file without rows, which has its segment all the same: an engine reads columns from it.
    if not len(marks.first) or not before or any(not each.mark for each in before) or _small(before, store):
        return (_stored(written, version, marks, store),)
    old = [live_marks(segment, store, kinds) for segment in before]
    both = Marks(
        np.concatenate([each.first for each, _ in old]),
        np.concatenate([each.second for each, _ in old]),
    )
    gone, new = _difference(both, marks)
    if len(gone) + len(new) > _MOST_CHANGED * max(len(marks.first), 1):
        return (_stored(written, version, marks, store),)
    segments = _less(before, [rows for _, rows in old], gone, both, version=version, store=store)
    if len(new):
        segments.append(_more(written, version, marks, new, store=store, database=database))
    if len(segments) > _MANY:
        segments.sort(key=lambda segment: -segment.rows)
        segments[1:] = [merged(segments[1:], version=version, kinds=kinds, store=store, database=database)]
    return tuple(segments)


def live_marks(
    segment: Segment, store: SegmentStore, kinds: Mapping[str, str]
) -> tuple[Marks, NDArray[np.int64] | None]:
    """Return the fingerprints of a segment's rows, and their positions in its blob (None: all of them, in order)."""
    marks = marks_of_file(store.path(segment.blob), kinds)
    if not segment.deleted:
        return marks, None
    there = np.ones(len(marks.first), dtype=bool)
    there[deleted_rows(segment, store)] = False
    return marks.take(there), np.flatnonzero(there)


def _small(segments: Sequence[Segment], store: SegmentStore) -> bool:
    return sum(store.path(segment.blob).stat().st_size for segment in segments) < _SMALL_BYTES


def _difference(old: Marks, new: Marks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the old rows that are gone, and of the new ones that are new.

    Each row counts as often as it stands there.
    Rows that still stand at their place, from the beginning or from the end, are told first by one comparison: few
    are left to be sorted, whether rows were changed, appended, or put in at one place.
    """
    count = min(len(old.first), len(new.first))
    rest_old, rest_new = np.arange(len(old.first)), np.arange(len(new.first))
    same = (old.first[:count] == new.first[:count]) & (old.second[:count] == new.second[:count])
    rest_old, rest_new = _without(rest_old, same), _without(rest_new, same)
    count = min(len(rest_old), len(rest_new))
    if count:
        a, b = rest_old[len(rest_old) - count :], rest_new[len(rest_new) - count :]
        same = (old.first[a] == new.first[b]) & (old.second[a] == new.second[b])
        rest_old = np.concatenate([rest_old[: len(rest_old) - count], a[~same]])
        rest_new = np.concatenate([rest_new[: len(rest_new) - count], b[~same]])
    if not len(rest_old) or not len(rest_new):
        return rest_old, rest_new
    left_old, left_new = _unmatched(old.take(rest_old), new.take(rest_new))
    return rest_old[left_old], rest_new[left_new]


def _without(places: NDArray[np.int64], same: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.concatenate([places[: len(same)][~same], places[len(same) :]])


def _unmatched(old: Marks, new: Marks) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows of two lots have no partner in the other, as masks."""
    first, second = np.concatenate([old.first, new.first]), np.concatenate([old.second, new.second])
    is_new = np.arange(len(first)) >= len(old.first)
    order = np.lexsort((is_new, second, first))
    first, second, is_new = first[order], second[order], is_new[order]
    begins = np.concatenate([[True], (first[1:] != first[:-1]) | (second[1:] != second[:-1])])
    group = np.cumsum(begins) - 1
    start = np.flatnonzero(begins)
    olds = np.bincount(group, weights=~is_new).astype(np.int64)
    news = np.bincount(group, weights=is_new).astype(np.int64)
    turn = np.arange(len(first)) - start[group] - np.where(is_new, olds[group], 0)
    alone = turn >= np.where(is_new, olds[group], news[group])
    mask = np.empty(len(first), dtype=bool)
    mask[order] = alone
    return mask[: len(old.first)], mask[len(old.first) :]


def _less(
    before: Sequence[Segment],
    positions: Sequence[NDArray[np.int64] | None],
    gone: NDArray[np.int64],
    marks: Marks,
    *,
    version: FileVersion,
    store: SegmentStore,
) -> list[Segment]:
    """Return the segments of the version before as parts of this one, without the rows that are gone."""
    segments, begin = [], 0
    for segment, places in zip(before, positions, strict=True):
        here = gone[(gone >= begin) & (gone < begin + segment.rows)]
        origins = segment.origins or (Origin(file=segment.file, digest=segment.file_digest),)
        own = (Origin(file=version.file, digest=version.digest),)
        changes: dict[str, Any] = {
            "file": version.file,
            "file_digest": version.digest,
            "size_bytes": version.size_bytes,
            "origins": () if origins == own else origins,
        }
        if len(here):
            within = np.sort(here - begin if places is None else places[here - begin])
            changes["rows"] = segment.rows - len(here)
            changes["deleted"] = (*segment.deleted, put_deleted(within, store))
            changes["mark"] = sum_of_marks([segment.mark], [mark_of(marks.take(here))])
        begin += segment.rows
        if changes.get("rows", segment.rows) or segment.redacted:
            segments.append(msgspec.structs.replace(segment, **changes))
    return segments


def put_deleted(rows: NDArray[np.int64], store: SegmentStore) -> str:
    """Keep deleted positions, which are in order, and return their blob."""
    with store.scratch() as folder:
        path = folder / "deleted.parquet"
        table = pa.table({DELETED: pa.array(rows, pa.int64())})
        pq.write_table(
            table,
            path,
            compression="zstd",
            use_dictionary=False,
            column_encoding={DELETED: "DELTA_BINARY_PACKED"},
            store_schema=False,
        )
        return store.adopt(path)


def _more(
    written: Path,
    version: FileVersion,
    marks: Marks,
    new: NDArray[np.int64],
    *,
    store: SegmentStore,
    database: Database,
) -> Segment:
    """Return a segment of the rows at the places ``new`` of a file."""
    wanted = database.register(pa.table({"@wanted": pa.array(np.sort(new), pa.int64())}))
    file = quote_text(str(written))
    select = (
        f"SELECT * EXCLUDE (file_row_number), 0::USMALLINT AS {quote(ORIGIN)}, file_row_number + 1 AS {quote(ROW)} "
        f"FROM read_parquet({file}, file_row_number = true) "
        f'WHERE file_row_number IN (SELECT "@wanted" FROM {wanted}) ORDER BY file_row_number'
    )
    with store.scratch() as folder:
        path = folder / "added.parquet"
        _copy(select, path, database)
        return Segment(
            file=version.file,
            file_digest=version.digest,
            size_bytes=version.size_bytes,
            rows=len(new),
            blob=store.adopt(path),
            numbered=True,
            mark=mark_of(marks.take(new)),
        )


def merged(
    segments: Sequence[Segment],
    *,
    version: FileVersion,
    kinds: Mapping[str, str],
    store: SegmentStore,
    database: Database,
) -> Segment:
    """Return one segment with the rows of several of one file, each with where it came from, deleted ones left out.

    Raises
    ------
    StoreCorrupt
        When the rows are not those that the segments say.
    """
    origins = list(dict.fromkeys(origin for each in segments for origin in _origins(each)))
    texts = []
    for segment in segments:
        places = [origins.index(origin) for origin in _origins(segment)]
        texts.append(_numbered_sql(part_of(segment, store), places, kinds))
    select = f"SELECT * FROM ({' UNION ALL BY NAME '.join(texts)}) ORDER BY {quote(ORIGIN)}, {quote(ROW)}"
    with store.scratch() as folder:
        path = folder / "merged.parquet"
        _copy(select, path, database)
        marks, wanted = marks_of_file(path, kinds), sum_of_marks([segment.mark for segment in segments])
        rows = sum(segment.rows for segment in segments)
        if all(segment.mark for segment in segments) and (mark_of(marks), len(marks.first)) != (wanted, rows):
            raise StoreCorrupt(
                f"The segments of {version.file} hold other rows than their manifest says.",
                where=str(store.path(segments[0].blob)),
                hint="'headway data verify' says which file is damaged.",
            )
        return Segment(
            file=version.file,
            file_digest=version.digest,
            size_bytes=version.size_bytes,
            rows=rows,
            blob=store.adopt(path),
            numbered=True,
            origins=tuple(origins),
            mark=mark_of(marks) if rows else NOTHING,
            redacted=sum(segment.redacted for segment in segments),
        )


def compacted(snapshot: Snapshot, *, store: SegmentStore, database: Database) -> Snapshot:
    """Return the same version in as few segments as there are files, with nothing in them that is deleted.

    Raises
    ------
    StoreCorrupt
        When a segment's rows are not those that the manifest says.
    """
    kinds = {column.name: column.kind for column in snapshot.columns}
    of_file: dict[tuple[str, str], list[Segment]] = {}
    for segment in snapshot.segments:
        of_file.setdefault((segment.file, segment.file_digest), []).append(segment)
    segments: list[Segment] = []
    for (file, digest), group in of_file.items():
        if len(group) == 1 and not group[0].deleted:
            segments += group
            continue
        version = FileVersion(file, digest, group[0].size_bytes)
        segments.append(merged(group, version=version, kinds=kinds, store=store, database=database))
    return msgspec.structs.replace(snapshot, segments=tuple(segments))


def _origins(segment: Segment) -> tuple[Origin, ...]:
    return segment.origins or (segment.origin(0),)


def _numbered_sql(part: Part, places: Sequence[int], kinds: Mapping[str, str]) -> str:
    """Return the rows of a part with the place of each one's origin among those of the merged segment."""
    columns = ", ".join(map(quote, kinds))
    listed = ", ".join(map(str, places))
    located = placed_sql([part], part="@part", origin="@from", row=ROW)
    place = f'[{listed}]["@from" + 1]::USMALLINT AS {quote(ORIGIN)}'
    return f"SELECT {columns}, {place}, {quote(ROW)} FROM {located}"


def _copy(select: str, path: Path, database: Database) -> None:
    database.execute(
        f"COPY ({select}) TO {quote_text(str(path))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
    )
