"""What changed between two versions of a source: rows by key, columns, and how values are distributed.

What two versions share is not compared: a segment that stands in both cancels, and of one that lacks other rows in
each only those rows are read. The file hides that, and the SQL.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from headway.data.segments import deleted_rows
from headway.query.compile import quote, quote_text
from headway.query.parts import part_of, parts_of, parts_sql

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.data.segments import SegmentStore
    from headway.nouns.snapshot import Segment, Snapshot
    from headway.query.database import Database

__all__ = ["ChangedRow", "ColumnShift", "Difference", "difference"]

_CATEGORIES = 1_000
"""A text with more different values than this is not a category: its values are not counted one by one."""


class ChangedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that both versions have under one key, and its values before and after where they differ."""

    key: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]


class ColumnShift(msgspec.Struct, frozen=True, kw_only=True):
    """How the values of a column are distributed in the two versions.

    Attributes
    ----------
    changed
        In how many rows of one key the value changed; 0 where rows were not compared by key.
    missing
        The share of rows without a value, before and after.
    shift
        For numbers and moments the difference of the means in standard deviations of the version before; for texts
        and conditions the total variation distance, half the sum of the differences of the shares, from 0 to 1. None
        where there is nothing to compare, or a text that has too many values to be a category.
    """

    column: str
    kind: str
    changed: int
    missing: tuple[float, float]
    shift: float | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one version on the way to another.

    Attributes
    ----------
    by_key
        The columns that tell which row is which; none where the source has no key, or it is not unique: then a row
        whose values changed is one that was removed and one that was added.
    columns_added, columns_removed, columns_changed
        Names; of those whose kind changed with the kinds before and after.
    """

    source: str
    before: str
    after: str
    rows_before: int
    rows_after: int
    by_key: tuple[str, ...]
    added: int
    removed: int
    changed: int
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    columns_changed: dict[str, tuple[str, str]]
    columns: tuple[ColumnShift, ...]
    examples_added: tuple[dict[str, Any], ...] = ()
    examples_removed: tuple[dict[str, Any], ...] = ()
    examples_changed: tuple[ChangedRow, ...] = ()


def difference(
    before: Snapshot, after: Snapshot, *, key: Sequence[str], store: SegmentStore, database: Database, examples: int = 5
) -> Difference:
    """Return what changed from one version of a source to another.

    Parameters
    ----------
    key
        The columns of the source's key; none if it has none.
    examples
        How many rows are shown of each kind, the first ones by key.
    """
    kinds, others = ({column.name: column.kind for column in each.columns} for each in (before, after))
    common = [name for name, kind in kinds.items() if others.get(name) == kind]
    tables = [
        database.create(_only_sql(mine, theirs, common, store, database), prefix="only")
        for mine, theirs in ((before, after), (after, before))
    ]
    keyed = tuple(key) if key and set(key) <= set(common) and _unique(database, tables, key) else ()
    rows = _Rows(database, tables, common, key=keyed, shown=examples)
    changes = rows.changed_by_column()
    shifts = _Shifts(database, parts_sql(parts_of(before, store)), parts_sql(parts_of(after, store)))
    found = Difference(
        source=after.source,
        before=before.digest,
        after=after.digest,
        rows_before=before.rows,
        rows_after=after.rows,
        by_key=keyed,
        added=rows.count(added=True),
        removed=rows.count(added=False),
        changed=rows.changed(),
        columns_added=tuple(name for name in others if name not in kinds),
        columns_removed=tuple(name for name in kinds if name not in others),
        columns_changed={name: (kind, others[name]) for name, kind in kinds.items() if others.get(name, kind) != kind},
        columns=tuple(shifts.of(name, kinds[name], changed=changes.get(name, 0)) for name in common),
        examples_added=rows.examples(added=True),
        examples_removed=rows.examples(added=False),
        examples_changed=rows.examples_changed(),
    )
    for table in tables:
        database.drop(table)
    return found


def _only_sql(mine: Snapshot, theirs: Snapshot, columns: Sequence[str], store: SegmentStore, database: Database) -> str:
    """Return the rows of ``mine`` that do not stand in a segment of ``theirs`` at the same place."""
    shared = Counter((each.blob, each.deleted) for each in theirs.segments)
    one_of = {each.blob: each for each in theirs.segments if _alone(each, theirs) and _alone(each, mine)}
    names = ", ".join(map(quote, columns)) or "1 AS one"
    texts = []
    for segment in mine.segments:
        if shared[segment.blob, segment.deleted]:
            shared[segment.blob, segment.deleted] -= 1
        elif segment.blob in one_of:
            places = np.setdiff1d(deleted_rows(one_of[segment.blob], store), deleted_rows(segment, store))
            wanted = database.register(pa.table({"@place": pa.array(places, pa.int64())}))
            file = quote_text(str(store.path(segment.blob)))
            texts.append(
                f"SELECT {names} FROM read_parquet({file}, file_row_number = true) "
                f'WHERE file_row_number IN (SELECT "@place" FROM {wanted})'
            )
        else:
            texts.append(f"SELECT {names} FROM {parts_sql([part_of(segment, store)])}")
    if not texts:
        return f"SELECT {names} FROM {parts_sql(parts_of(mine, store))} WHERE FALSE"
    return " UNION ALL ".join(texts)


def _alone(segment: Segment, snapshot: Snapshot) -> bool:
    return sum(each.blob == segment.blob for each in snapshot.segments) == 1


def _unique(database: Database, tables: Sequence[str], key: Sequence[str]) -> bool:
    names = ", ".join(map(quote, key))
    doubled = [database.rows(f"SELECT 1 FROM {t} GROUP BY {names} HAVING count(*) > 1 LIMIT 1") for t in tables]
    return not any(doubled)


class _Rows:
    """The rows that stand in one version only, told apart by key or as a whole."""

    def __init__(
        self, database: Database, tables: Sequence[str], columns: Sequence[str], *, key: tuple[str, ...], shown: int
    ) -> None:
        before, after = tables
        self._database = database
        self._key = key
        self._shown = shown
        self._others = [name for name in columns if name not in key]
        self._order = ", ".join(map(quote, key or columns)) or "1"
        same = " AND ".join(f"a.{quote(name)} IS NOT DISTINCT FROM b.{quote(name)}" for name in key)
        if key:
            self._sides = {
                True: f"SELECT b.* FROM {after} b ANTI JOIN {before} a ON {same}",
                False: f"SELECT a.* FROM {before} a ANTI JOIN {after} b ON {same}",
            }
        else:
            self._sides = {
                True: f"SELECT * FROM {after} EXCEPT ALL SELECT * FROM {before}",
                False: f"SELECT * FROM {before} EXCEPT ALL SELECT * FROM {after}",
            }
        differ = " OR ".join(f"a.{quote(name)} IS DISTINCT FROM b.{quote(name)}" for name in self._others)
        self._both = f"{before} a JOIN {after} b ON {same} WHERE {differ}" if key and self._others else ""

    def count(self, *, added: bool) -> int:
        ((found,),) = self._database.rows(f"SELECT count(*) FROM ({self._sides[added]})")
        return int(found)

    def examples(self, *, added: bool) -> tuple[dict[str, Any], ...]:
        text = f"SELECT * FROM ({self._sides[added]}) ORDER BY {self._order} LIMIT {self._shown}"
        return tuple(self._database.table(text).to_pylist())

    def changed(self) -> int:
        if not self._both:
            return 0
        ((found,),) = self._database.rows(f"SELECT count(*) FROM {self._both}")
        return int(found)

    def changed_by_column(self) -> dict[str, int]:
        if not self._both:
            return {}
        counts = ", ".join(f"count(*) FILTER (a.{quote(n)} IS DISTINCT FROM b.{quote(n)})" for n in self._others)
        (found,) = self._database.rows(f"SELECT {counts} FROM {self._both}")
        return dict(zip(self._others, map(int, found), strict=True))

    def examples_changed(self) -> tuple[ChangedRow, ...]:
        if not self._both:
            return ()
        order = ", ".join(f"a.{quote(name)}" for name in self._key)
        limited = f"FROM {self._both} ORDER BY {order} LIMIT {self._shown}"
        pairs = [self._database.table(f"SELECT {side}.* {limited}").to_pylist() for side in ("a", "b")]
        return tuple(
            ChangedRow(
                key={name: old[name] for name in self._key},
                before={name: old[name] for name in self._others if old[name] != new[name]},
                after={name: new[name] for name in self._others if old[name] != new[name]},
            )
            for old, new in zip(*pairs, strict=True)
        )


class _Shifts:
    """How the values of each column are distributed in two relations."""

    def __init__(self, database: Database, before: str, after: str) -> None:
        self._database = database
        self._sides = (before, after)

    def of(self, name: str, kind: str, *, changed: int) -> ColumnShift:
        return ColumnShift(
            column=name,
            kind=kind,
            changed=changed,
            missing=(self._missing(self._sides[0], name), self._missing(self._sides[1], name)),
            shift=self._of_categories(name) if kind in {"text", "bool"} else self._of_numbers(name, kind),
        )

    def _missing(self, side: str, name: str) -> float:
        ((rows, held),) = self._database.rows(f"SELECT count(*), count({quote(name)}) FROM {side}")
        return (rows - held) / rows if rows else 0.0

    def _of_numbers(self, name: str, kind: str) -> float | None:
        value = f"epoch_us({quote(name)})" if kind == "time" else quote(name)
        text = f"CAST({value} AS DOUBLE)"
        (old,), (new,) = (
            self._database.rows(f"SELECT avg({text}), stddev_samp({text}) FROM {side}") for side in self._sides
        )
        if old[0] is None or new[0] is None:
            return None
        if not old[1] or not math.isfinite(old[1]):
            return 0.0 if old[0] == new[0] else None
        return float(round((new[0] - old[0]) / old[1], 6))

    def _of_categories(self, name: str) -> float | None:
        column = quote(name)
        shares = []
        for side in self._sides:
            found = self._database.rows(
                f"SELECT CAST({column} AS VARCHAR), count(*) FROM {side} WHERE {column} IS NOT NULL "
                f"GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {_CATEGORIES + 1}"
            )
            if not found or len(found) > _CATEGORIES:
                return None
            total = sum(count for _, count in found)
            shares.append({value: count / total for value, count in found})
        old, new = shares
        distance = sum(abs(old.get(value, 0.0) - new.get(value, 0.0)) for value in sorted({*old, *new})) / 2
        return float(round(distance, 6))
