"""How sources fit together: which columns of one name rows of another."""

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
    values = _Values(tables, database)
    return tuple(
        join
        for mine in looks
        for theirs in looks
        if mine.name != theirs.name
        for join in _between(mine, theirs, values)
    )


class _Values:
    """Compares the values of two columns of two sources."""

    def __init__(self, tables: Mapping[str, str], database: Database) -> None:
        self._tables = tables
        self._database = database

    def shared(self, mine: Look, own: str, theirs: Look, other: str) -> float:
        """Return which share of my different values is there on the other side."""
        m, t = (
            f"(SELECT DISTINCT {quote(c)} AS v FROM {self._tables[s]})"
            for c, s in ((own, mine.name), (other, theirs.name))
        )
        ((share,),) = self._database.rows(
            f"SELECT avg(CAST(t.v IS NOT NULL AS INT)) FROM {m} m LEFT JOIN {t} t ON m.v = t.v WHERE m.v IS NOT NULL"
        )
        return float(share or 0.0)


def _between(mine: Look, theirs: Look, values: _Values) -> list[JoinLook]:
    by_name = {column.name: column for column in mine.columns}

    def common(name: str, least: float) -> bool:
        """Whether both have the column, of one kind, with values in common."""
        if name not in by_name or not _same(by_name[name], theirs.column(name)):
            return False
        return values.shared(mine, name, theirs, name) >= least

    for key in theirs.keys:
        entity = [column for column in key if column != theirs.time]
        if not entity or any(map(calendar_part, entity)):
            continue
        if all(common(name, _FOUND) for name in entity):
            shape: Literal["asof", "static"] = "asof" if theirs.time in key and mine.time else "static"
            return [_join(mine, theirs, [(name, name) for name in entity], shape)]
    found = _by_value(mine, theirs, values)
    if not found and theirs.time and mine.time:
        names = [column.name for column in theirs.columns if identifier_score(column.name) >= 1.0]
        found = [_join(mine, theirs, [(name, name)], "events") for name in names if common(name, _FOUND / 5)]
    return found


def _by_value(mine: Look, theirs: Look, values: _Values) -> list[JoinLook]:
    """Return joins to a text key that bears another name here: ``dest`` names an airport by its ``faa``."""
    keys = [theirs.column(key[0]) for key in theirs.keys if len(key) == 1]
    candidates = [
        column
        for column in mine.columns
        if column.kind == "text" and column.distinct > 2 and (column.name,) not in mine.keys
    ]
    return [
        _join(mine, theirs, [(column.name, key.name)], "static")
        for key in keys
        if key.kind == "text"
        for column in candidates
        if column.distinct <= key.distinct and values.shared(mine, column.name, theirs, key.name) >= _FOUND_BY_VALUE
    ]


def _join(
    mine: Look, theirs: Look, pairs: list[tuple[str, str]], shape: Literal["static", "asof", "events"]
) -> JoinLook:
    return JoinLook(mine=mine.name, theirs=theirs.name, pairs=tuple(pairs), shape=shape)


def _same(mine: ColumnLook, theirs: ColumnLook) -> bool:
    return mine.kind == theirs.kind and mine.kind in {"int", "text"}
