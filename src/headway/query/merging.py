"""Look-ups that are one: those of one source by one key in one way share a timeline, and carry what each takes.

The file hides how expressions follow when the columns that they speak of get other names.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from headway.nouns.expression import Column, Expression, columns_of, rename

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headway.query.timeline import Timeline

__all__ = ["identity", "merge", "renamed"]


def renamed(expression: Expression, names: Mapping[str, str]) -> Expression:
    """Return ``expression`` with timelines called by their merged names."""
    columns = {
        column: Column(f"{new}.{column.removeprefix(f'{old}.')}")
        for column in columns_of(expression)
        for old, new in names.items()
        if column.startswith(f"{old}.")
    }
    return rename(expression, columns)


def identity(timeline: Timeline) -> Timeline:
    """Return what two look-ups must share to be one timeline: all but what is taken from the row that is found."""
    return replace(timeline, name="", columns=(), aggregates=(), reads=())


def merge(timelines: list[Timeline]) -> dict[Timeline, Timeline]:
    """Return, for each identity, the one timeline that carries all columns asked of it."""
    groups: dict[Timeline, list[Timeline]] = {}
    for timeline in timelines:
        groups.setdefault(identity(timeline), []).append(timeline)
    merged = {}
    for position, (shared, group) in enumerate(groups.items()):
        first = group[0]
        columns = dict(column for timeline in group for column in timeline.columns)
        aggregates = dict.fromkeys(aggregate for timeline in group for aggregate in timeline.aggregates)
        merged[shared] = replace(
            first,
            name=f"{first.source}_{position}",
            columns=tuple(sorted(columns.items())),
            aggregates=tuple(aggregates),
            reads=tuple(sorted({column for timeline in group for column in timeline.reads})),
        )
    return merged
