"""What an earlier version of a source did not hold although the brief says that it was known by then.

Whoever declares that a column is known early says that a file of that moment had it. Where a version of that time was
kept, it can be asked. The file hides which rows bear witness: those of one key in both versions, whose value was, by
the brief's own words, known a day before the earlier version was taken (files are written before they are read), and
that have a value by now; of these the ones known last, since the oldest have been filled whatever is declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headway.nouns.hindsight import Hindsight
from headway.nouns.span import DAY
from headway.query.compile import compile_expression, quote
from headway.query.example_texts import moment_sql
from headway.query.parts import parts_of
from headway.query.point_in_time import PointInTime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headway.data.segments import SegmentStore
    from headway.nouns.snapshot import Snapshot
    from headway.query.database import Database
    from headway.query.definitions import Definitions
    from headway.query.relation import Relation

__all__ = ["Earlier", "hindsight"]

_WITNESSES = 1_000
"""So many rows a column are asked, the last ones known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A version of a source, and when it was taken."""

    snapshot: Snapshot
    taken_us: int


def hindsight(
    definitions: Definitions,
    snapshots: Mapping[str, Snapshot],
    earlier: Mapping[str, Earlier],
    *,
    store: SegmentStore,
    database: Database,
) -> list[Hindsight]:
    """Return what earlier versions say of the columns that features and labels are made from, by source and column.

    Columns whose known time nobody declares are left out, and so are sources without a key, those whose rows of then
    are all still there as they were, and those whose columns are no longer the same.

    Parameters
    ----------
    snapshots, earlier
        The version in use of every source, and an earlier one where there is one.
    """
    files = {name: parts_of(snapshot, store) for name, snapshot in snapshots.items()}
    found = []
    for name, before in sorted(earlier.items()):
        relation = definitions.relations[name]
        columns = _columns(definitions, relation)
        if not columns or not relation.source.key or not _touched(before.snapshot, snapshots[name]):
            continue
        kinds = {column.name: column.kind for column in before.snapshot.columns}
        if any(kinds.get(column) != relation.raw[column] for column in relation.raw_inputs(definitions.reads(name))):
            continue
        then, now = (
            PointInTime(database, definitions, {**files, name: parts}).table(name)
            for parts in (parts_of(before.snapshot, store), files[name])
        )
        found += _witnesses(relation, columns, then=then, now=now, by_us=before.taken_us - DAY, database=database)
    return found


def _columns(definitions: Definitions, relation: Relation) -> list[str]:
    used = definitions.reads(relation.name) - {*relation.source.key, relation.source.time}
    return sorted(column for column in used if column in relation.known)


def _touched(before: Snapshot, now: Snapshot) -> bool:
    kept = {(segment.blob, segment.deleted) for segment in now.segments}
    return any((segment.blob, segment.deleted) not in kept for segment in before.segments)


def _witnesses(
    relation: Relation, columns: Sequence[str], *, then: str, now: str, by_us: int, database: Database
) -> list[Hindsight]:
    key = relation.source.key
    keys = ", ".join(map(quote, key))
    known = {column: compile_expression(relation.known[column], relation.scope()).sql for column in columns}
    moments = ", ".join(f"{sql} AS {quote(f'@known:{column}')}" for column, sql in known.items())
    held = ", ".join(map(quote, columns))
    same = " AND ".join(f"a.{quote(column)} = b.{quote(column)}" for column in key)
    pairs = ", ".join(
        f"a.{quote(column)} AS {quote(f'@then:{column}')}, b.{quote(column)} AS {quote(f'@now:{column}')}, "
        f"{quote(f'@known:{column}')}"
        for column in columns
    )
    # A key that is there twice would be compared with another row than its own.
    single = f"QUALIFY count(*) OVER (PARTITION BY {keys}) = 1"
    joined = database.create(
        f"SELECT {', '.join(f'a.{quote(column)}' for column in key)}, {pairs} "
        f"FROM (SELECT {keys}, {held}, {moments} FROM {then} {single}) a "
        f"JOIN (SELECT {keys}, {held} FROM {now} {single}) b ON {same}",
        prefix="twice",
    )
    return [
        Hindsight(source=relation.name, column=column, rows=rows, filled=filled, changed=changed)
        for column in columns
        for rows, filled, changed in database.rows(_asked_sql(joined, column, keys, by_us))
    ]


def _asked_sql(joined: str, column: str, keys: str, by_us: int) -> str:
    then, now, known = (quote(f"@{word}:{column}") for word in ("then", "now", "known"))
    return (
        f"SELECT count(*), count(*) FILTER (was IS NULL), count(*) FILTER (was <> has) FROM ("
        f"SELECT {then} AS was, {now} AS has FROM {joined} WHERE {known} <= {moment_sql(by_us)} AND {now} IS NOT NULL "
        f"ORDER BY {known} DESC, {keys} LIMIT {_WITNESSES})"
    )
