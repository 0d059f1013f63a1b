"""How sources fit together: which columns of one name rows of another."""
# ruff: noqa: S608  (writing SQL is what it does: names go through quote())

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from headway.define.looks import JoinLook
from headway.define.words import calendar_part, identifier_score
from headway.query.compile import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headway.define.looks import ColumnLook, Look
    from headway.query.database import Database

__all__ = ["find_joins"]

_FOUND = 0.5
"""Share of my different values that must be found on the other side."""
_FOUND_BY_VALUE = 0.9
"""The same, where the names differ and the values alone must tell."""


def find_joins(looks: Sequence[Look], tables: Mapping[str, str], database: Database) -> tuple[JoinLook, ...]:
    """Return how each source can look into each other one."""
    joins = []
    for mine in looks:
        for theirs in looks:
            if mine.name != theirs.name:
                joins += _between(mine, theirs, tables, database)
    return tuple(joins)


def _between(mine: Look, theirs: Look, tables: Mapping[str, str], database: Database) -> list[JoinLook]:
    def join(pairs: tuple[tuple[str, str], ...], shape: Literal["static", "asof", "events"]) -> JoinLook:
        return JoinLook(mine=mine.name, theirs=theirs.name, pairs=pairs, shape=shape)

    def overlap(own: ColumnLook, other: ColumnLook) -> float:
        return _overlap(own.name, tables[mine.name], other.name, tables[theirs.name], database)

    by_name = {column.name: column for column in mine.columns}
    for key in theirs.keys:
        entity = [column for column in key if column != theirs.time]
        if not entity or len(entity) == len(key) > 1:
            continue
        if all(name in by_name and _same(by_name[name], theirs.column(name)) for name in entity) and not any(
            map(calendar_part, entity)
        ):
            if all(overlap(by_name[name], theirs.column(name)) >= _FOUND for name in entity):
                moving = theirs.time in key and bool(theirs.time) and bool(mine.time)
                return [join(tuple((name, name) for name in entity), "asof" if moving else "static")]
    found = _by_value(mine, theirs, overlap, join)
    if not found and theirs.time and mine.time:
        found = [
            join(((column.name, column.name),), "events")
            for column in theirs.columns
            if column.name in by_name
            and identifier_score(column.name) >= 1.0
            and _same(by_name[column.name], column)
            and overlap(by_name[column.name], column) >= _FOUND / 5
        ]
    return found


def _by_value(mine: Look, theirs: Look, overlap, join) -> list[JoinLook]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Return joins to a text key that bears another name here: ``dest`` names an airport by its ``faa``."""
    keys = [theirs.column(key[0]) for key in theirs.keys if len(key) == 1]
    return [
        join(((column.name, key.name),), "static")
        for key in keys
        if key.kind == "text"
        for column in mine.columns
        if column.kind == "text" and 2 < column.distinct <= key.distinct and (column.name,) not in mine.keys
        and overlap(column, key) >= _FOUND_BY_VALUE
    ]  # fmt: skip


def _same(mine: ColumnLook, theirs: ColumnLook) -> bool:
    return mine.kind == theirs.kind and mine.kind in {"int", "text"}


def _overlap(mine: str, my_table: str, theirs: str, their_table: str, database: Database) -> float:
    ((share,),) = database.rows(
        f"SELECT avg(CAST(t.v IS NOT NULL AS INT)) FROM (SELECT DISTINCT {quote(mine)} AS v FROM {my_table} "
        f"WHERE {quote(mine)} IS NOT NULL) m LEFT JOIN (SELECT DISTINCT {quote(theirs)} AS v FROM {their_table}) t ON m.v = t.v"
    )
    return float(share or 0.0)
