"""From the files of a source to a snapshot: immutable Parquet segments, of which two versions share what they can.

A file is read once: its segments are found again by the digest of the file and of how it is read, so a source that
gained one daily file costs the reading of one file. Of a file that changed only the changes are kept
(``segments.py``). What the first file's columns are, the columns of all later ones must be; a value that does not fit
is named, never bent.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec

from headway.data.kinds import kept, kind_of
from headway.errors import SourceError, did_you_mean
from headway.nouns.snapshot import Snapshot, SourceColumn
from headway.query.compile import quote, quote_text
from headway.query.database import Database, EngineError
from headway.query.functions import SQL_TYPES
from headway.query.parts import is_reserved
from headway.sources.aligned import aligned
from headway.sources.item import Held
from headway.sources.places import items_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import pyarrow.parquet as pq

    from headway.data.segments import SegmentStore
    from headway.nouns.brief import Source
    from headway.nouns.snapshot import Segment
    from headway.query.functions import Kind
    from headway.sources.item import Item
    from headway.sources.opened import Opened

__all__ = ["collect"]

# Part of how a file is read: another number here, and every file is read anew.
_READING = "3"


def collect(
    name: str,
    source: Source,
    *,
    folder: Path,
    store: SegmentStore,
    previous: Snapshot | None = None,
    progress: Callable[[str], None] = lambda _: None,
    threads: int | None = None,
) -> Snapshot:
    """Return a snapshot of the source as it is now, reading only files that are new.

    Parameters
    ----------
    folder
        Where the brief stands; the source's path is relative to it.
    previous
        The snapshot before: its segments are used again, and its columns are what later files must have. When the
        brief says to read the source otherwise (another format, zone, type …), it counts for nothing.
    progress
        Told the name of each file that is read.

    Raises
    ------
    SourceError
        When a file cannot be read, or does not have the columns of the files before; nothing was taken then.
    """
    how = _how(source)
    if previous is not None and not any(segment.file_digest.endswith(f"-{how}") for segment in previous.segments):
        previous = None
    columns = None if previous is None else previous.columns
    known = _Known(previous, store)
    segments: list[Segment] = []
    with Database(threads=threads) as database, items_of(name, source, folder=folder, held=known.held(how)) as items:
        wanted = {column.name: SQL_TYPES[cast("Kind", column.kind)] for column in columns or ()}
        if columns is None and len(items) > 1:
            types, wanted = _widened(source, items, database)
            source = msgspec.structs.replace(source, types={**source.types, **types})
        versions = [f"{item.digest()}-{how}" for item in items]
        known.expect(zip((item.name for item in items), versions, strict=True))
        for item, digest in zip(items, versions, strict=True):
            if same := known.same(digest, file=item.name, size_bytes=item.size_bytes):
                segments += same
                continue
            progress(item.name)
            reading = _Reading(name=name, source=source, item=item, database=database, columns=columns)
            with item.opened(database) as opened:
                file = aligned(opened, wanted, source, item=item.name)
                if previous is not None and source.extra_columns == "add" and set(file.columns) - set(wanted):
                    return collect(name, source, folder=folder, store=store, progress=progress, threads=threads)
                columns, found = reading.take_surely(file, store, digest=digest, before=known.before(item.name))
            item.settled()
            segments += found
    assert columns is not None
    return Snapshot(source=name, columns=columns, segments=tuple(segments))


class _Known:
    """What the snapshot before holds, by file: what is there again, and what a file that changed may be compared to."""

    def __init__(self, previous: Snapshot | None, store: SegmentStore) -> None:
        self._store = store
        self._by_digest: dict[str, list[Segment]] = {}
        for segment in () if previous is None else previous.segments:
            parts = self._by_digest.setdefault(segment.file_digest, [])
            if not parts or parts[0].file == segment.file:  # a second file of the same bytes has the same rows
                parts.append(segment)
        self._kinds = {} if previous is None else {column.name: column.kind for column in previous.columns}
        self._free: dict[str, list[Segment]] = {}
        self._names: set[str] = set()

    def held(self, how: str) -> list[Held]:
        """Return the items that were read before."""
        return [
            Held(
                name=parts[0].file,
                digest=digest.removesuffix(f"-{how}"),
                rows=sum(part.rows + part.redacted for part in parts),
            )
            for digest, parts in self._by_digest.items()
        ]

    def expect(self, items: Iterable[tuple[str, str]]) -> None:
        """Learn what there is now: what is there no more is free to be compared with what is new."""
        present = list(items)
        self._names = {name for name, _ in present}
        again = {digest for _, digest in present}
        self._free = {parts[0].file: parts for digest, parts in self._by_digest.items() if digest not in again}

    def same(self, digest: str, *, file: str, size_bytes: int) -> list[Segment]:
        """Return the segments of a file that was read before, under the name that it has now; none if it was not."""
        parts = self._by_digest.get(digest, [])
        if not all(self._store.has(blob) for part in parts for blob in (part.blob, *part.deleted)):
            return []
        return [
            msgspec.structs.replace(part, file=file, size_bytes=size_bytes, mark=part.mark or self._mark(part))
            for part in parts
        ]

    def before(self, file: str) -> list[Segment]:
        """Return what a new file may have rows in common with: its version before, or a file that is gone."""
        gone = [name for name in self._free if name not in self._names]
        parts = self._free.pop(file if file in self._free else gone[-1], []) if file in self._free or gone else []
        return parts if all(self._store.has(blob) for part in parts for blob in (part.blob, *part.deleted)) else []

    def _mark(self, part: Segment) -> str:
        """Return the mark of a segment that was kept before there were any."""
        from headway.data.fingerprints import mark_of, marks_of_file

        return mark_of(marks_of_file(self._store.path(part.blob), self._kinds))


def _widened(source: Source, items: Sequence[Item], database: Database) -> tuple[dict[str, Kind], dict[str, str]]:
    """Return the columns of which the first of many files says too little, each with a kind that fits all files.

    A day without rain holds whole zeros only, and a day on which nothing was measured holds what looks like text. Also
    returned is which columns the table has, with their types: those of the first file, or of all of them.
    """
    first: dict[str, str] = {}
    wanted: dict[str, str] = {}
    seen: dict[str, set[str]] = {}
    for item in items:
        with item.opened(database) as opened:
            file = opened if opened.certain is None else opened.certain()
            kinds = {column: kind_of(kind) or "text" for column, kind in file.columns.items()}
            texts = [column for column, kind in kinds.items() if kind == "text"]
            counts = ", ".join(f"count({quote(column)})" for column in texts)
            held = database.rows(f"SELECT {counts} FROM {file.relation({})}")[0] if texts else ()
        first = first or kinds
        if not wanted or source.extra_columns == "add":
            wanted |= {column: kind for column, kind in file.columns.items() if column not in wanted}
        empty = {column for column, count in zip(texts, held, strict=True) if not count}
        for column, kind in kinds.items():
            if column not in empty:
                seen.setdefault(column, set()).add(kind)
    # Numbers here and text there is no question of width: whoever reads on is told the first value that does not fit.
    fits = {
        column: "float" if kinds == {"int", "float"} else next(iter(kinds))
        for column, kinds in seen.items()
        if len(kinds) == 1 or kinds == {"int", "float"}
    }
    types = {
        column: cast("Kind", kind)
        for column, kind in fits.items()
        if column not in source.types and column in wanted and kind != first.get(column)
    }
    return types, wanted


def _how(source: Source) -> str:
    types = sorted(f"{column}={kind}" for column, kind in source.types.items())
    parts = [_READING, source.format, source.table, source.zone, *source.nulls, *types]
    # What says nothing leaves the digests of what was read before as they are.
    said = [source.query, source.grows_by, *(f"{there}={here}" for there, here in sorted(source.rename.items()))]
    said += [source.missing_columns, source.extra_columns]
    if said != ["", "", "refuse", "refuse"]:
        parts += said
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One file on its way to a segment; ``columns`` are those of the files before it."""

    name: str
    source: Source
    item: Item
    database: Database
    columns: tuple[SourceColumn, ...] | None

    def take_surely(
        self, file: Opened, store: SegmentStore, *, digest: str, before: Sequence[Segment]
    ) -> tuple[tuple[SourceColumn, ...], tuple[Segment, ...]]:
        """Do as :meth:`take` does; where a sample said too little of the types, once more with those of all values."""
        import duckdb  # who finds no new file does not load it

        try:
            return self.take(file, store, digest=digest, before=before)
        except (duckdb.Error, EngineError):
            if file.certain is None:
                raise
            return self.take(file.certain(), store, digest=digest, before=before)

    def take(
        self, file: Opened, store: SegmentStore, *, digest: str, before: Sequence[Segment]
    ) -> tuple[tuple[SourceColumn, ...], tuple[Segment, ...]]:
        """Put the file's rows into ``store`` and return its columns and segments; what ``before`` has is shared."""
        from headway.data.segments import FileVersion, changed

        kinds = self._kinds(file)
        types = {**file.columns, **self._read_as_text(file, kinds)}
        columns = {name: kept(name, types[name], kind, zone=self.source.zone) for name, kind in kinds.items()}
        relation = file.relation({name: kind for name, kind in types.items() if kind != file.columns[name]})
        self._refuse_unfit(file, relation, kinds, {name: c.sql for name, c in columns.items() if not c.safe})
        texts = ", ".join(f"{column.sql} AS {quote(name)}" for name, column in columns.items())
        guessed = [
            name for name, kind in kinds.items() if file.typed and kind == "float" and name not in self.source.types
        ]
        version = FileVersion(self.item.name, digest, self.item.size_bytes)
        with store.scratch() as folder:
            written = folder / "rows.parquet"
            self._write(f"SELECT {texts} FROM {relation}", written, file=file, guessed=guessed)
            segments = changed(written, version, before, kinds, store=store, database=self.database)
        taken = tuple(SourceColumn(name=name, kind=kind, read_as=types[name]) for name, kind in kinds.items())
        return self.columns or taken, segments

    def _kinds(self, file: Opened) -> dict[str, str]:
        """Return the kind of each column: as in the files before, as the brief says, or as it looks."""
        declared = self.source.types
        for column in declared:
            if column not in file.columns:
                raise SourceError(
                    f"Source {self.name!r}: {self.item.name} has no column {column!r}.",
                    where=f"sources.{self.name}.types.{column}",
                    hint=did_you_mean(column, file.columns),
                )
        self._refuse_reserved(list(file.columns))
        if self.columns is not None:
            self._compare(list(file.columns))
            return {column.name: column.kind for column in self.columns}
        kinds = {}
        for name, engine_type in file.columns.items():
            kind = kind_of(engine_type)
            if kind is None:
                raise SourceError(
                    f"Column {name!r} of source {self.name!r} is a {engine_type}, which has no place in a table.",
                    where=self.item.name,
                    hint="Leave it out of the file.",
                )
            kinds[name] = declared.get(name, kind)
        return kinds

    def _refuse_reserved(self, found: list[str]) -> None:
        """Raise for the first column that could be read today, and would fail whatever reads its version later."""
        for column in filter(is_reserved, found):
            called = column.lstrip("@") if column.startswith("@") else f"{column}_"
            raise SourceError(
                f"Column {column!r} of source {self.name!r} has a name that Headway needs for itself.",
                where=self.item.name,
                hint=f"Call it otherwise: sources.{self.name}.rename = {{{json.dumps(column, ensure_ascii=False)} = "
                f"{json.dumps(called or 'column', ensure_ascii=False)}}}.",
            )

    def _compare(self, found: list[str]) -> None:
        wanted = [column.name for column in self.columns or ()]
        missing = [column for column in wanted if column not in found]
        added = [column for column in found if column not in wanted]
        if missing:
            raise SourceError(
                f"Source {self.name!r}: {self.item.name} has no column {missing[0]!r}, which was there before.",
                where=self.item.name,
                hint=did_you_mean(missing[0], added or found),
            )
        if added:
            raise SourceError(
                f"Source {self.name!r}: {self.item.name} has a column {added[0]!r} that was not there before.",
                where=self.item.name,
                hint=f"Leave it out; or set sources.{self.name}.types.{added[0]}, and all files are read anew.",
            )

    def _read_as_text(self, file: Opened, kinds: Mapping[str, str]) -> dict[str, str]:
        """Return which columns of a text file are read as they stand: 007 is no 7 to whoever wants a text.

        Where some moments carry an offset, the engine takes those that carry none for moments in UTC.
        """
        if not file.typed:
            return {}
        zoned = "TIMESTAMP WITH TIME ZONE" if self.source.zone != "UTC" else ""
        looks = {name: kind_of(engine_type) for name, engine_type in file.columns.items()}
        fits = {("int", "float")}
        other = [
            name
            for name, kind in kinds.items()
            if kind == "text"
            or (not file.own_types and looks[name] != kind and (looks[name], kind) not in fits)
            or file.columns[name] == zoned
        ]
        return dict.fromkeys(other, "VARCHAR")

    def _refuse_unfit(self, file: Opened, relation: str, kinds: Mapping[str, str], texts: Mapping[str, str]) -> None:
        """Raise for the first column with a value that its text, in which it would become missing, cannot keep."""
        unfit = {}
        for name, sql in texts.items():
            column = quote(name)
            unfit[name] = f"{column} IS NOT NULL AND {sql} IS NULL"
            if kinds[name] == "float":  # what is written as no number is one that is missing
                unfit[name] += f" AND TRY_CAST({column} AS DOUBLE) IS NULL"
            elif kinds[name] == "time":  # and so is a moment that never comes
                unfit[name] += f" AND coalesce(isfinite(TRY_CAST({column} AS TIMESTAMP)), true)"
        counts = ", ".join(f"count(*) FILTER ({condition})" for condition in unfit.values())
        found = self.database.rows(f"SELECT {counts} FROM {relation}")[0] if unfit else ()
        for name, count in zip(unfit, found, strict=True):
            if count:
                self._refuse_value(file, relation, name, kinds[name], unfit[name])

    def _refuse_value(self, file: Opened, relation: str, name: str, kind: str, unfit: str) -> None:
        column = quote(name)
        ((row, value),) = self.database.rows(
            f"SELECT row, value FROM (SELECT row_number() OVER () AS row, CAST({column} AS VARCHAR) AS value, "
            f"{unfit} AS unfit FROM {relation}) WHERE unfit ORDER BY row LIMIT 1"
        )
        wanted = {"int": "a whole number of 64 bits", "float": "a number", "bool": "true or false", "time": "a moment"}
        before = f" The files before have {wanted[kind]} there." if self.columns is not None else ""
        raise SourceError(
            f"Source {self.name!r}: column {name!r} holds {value!r} in row {row}, which is not {wanted[kind]}.{before}",
            where=f"{self.item.where}:{row - 1 + file.first_line}" if file.first_line else self.item.where,
            hint=f"Mend it, or set sources.{self.name}.types.{name} to what the column holds"
            + (" ('text' for numbers that are names)." if kind == "int" else "."),
        )

    def _refuse_large(self, file: Opened, written: str, name: str) -> None:
        """Raise for what was most likely the name of something, and was taken for an amount and rounded."""
        column = quote(name)
        bad = self.database.rows(
            f"SELECT file_row_number, {column} FROM read_parquet({written}, file_row_number = true) "
            f"WHERE abs({column}) >= 9223372036854775808 ORDER BY file_row_number LIMIT 1"
        )
        for row, value in bad:
            raise SourceError(
                f"Source {self.name!r}: column {name!r} holds {value:.0f} or so in row {row + 1}, which is not a whole "
                "number of 64 bits.",
                where=f"{self.item.where}:{row + file.first_line}",
                hint=f"Set sources.{self.name}.types.{name} = 'text' if it is a name, 'float' if it is an amount.",
            )

    def _write(self, select: str, path: Path, *, file: Opened, guessed: list[str]) -> None:
        import pyarrow.parquet as pq

        from headway.data.segments import ROW_GROUP

        written = quote_text(str(path))
        self.database.execute(
            f"COPY ({select}) TO {written} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
        )
        metadata = pq.read_metadata(path)
        if metadata.num_rows == 0 and self.columns is None:
            raise SourceError(f"{self.item.name} has a header and no row.", where=self.item.where)
        for name in guessed:
            if _may_hold(metadata, name, 2.0**63):
                self._refuse_large(file, written, name)


def _may_hold(metadata: pq.FileMetaData, name: str, size: float) -> bool:
    """Whether a column of numbers may hold one of this size, or a larger one, by what the file says of its blocks."""
    groups = (metadata.row_group(place) for place in range(metadata.num_row_groups))
    columns = [group.column(place) for group in groups for place in range(group.num_columns)]
    for column in (column for column in columns if column.path_in_schema == name):
        found = column.statistics
        if found is None or not found.has_min_max:
            if found is None or found.null_count != column.num_values:
                return True
        elif max(abs(found.min), abs(found.max)) >= size:
            return True
    return False
