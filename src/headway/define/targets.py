"""Candidate targets among the columns of a source, with what the data say about each.

A candidate is a condition over one column: a column of two values, a value of a status column, or a delay beyond a
natural bound. The file hides how the label's being known is found: a moment that is there for both classes, or one that
is there only where the condition holds (then its lateness says how long one has to wait to be sure).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.define.looks import ColumnLook, TargetLook
from headway.define.words import identifier_score, outcome_like, positive_value, target_score, tokens
from headway.query.compile import quote, quote_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.query.database import Database

__all__ = ["condition", "find_targets"]

_LEAST_RATE, _MOST_RATE, _USUAL_RATE = 0.001, 0.5, 0.15
_BOUNDS = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240)
_STATUS_VALUES = 12
_DETAILED = 4


def find_targets(
    columns: Sequence[ColumnLook], table: str, database: Database, *, time: str, later: tuple[str, ...]
) -> tuple[TargetLook, ...]:
    """Return what could be predicted, the likeliest first."""
    found: list[TargetLook] = []
    for position, column in enumerate(columns):
        if column.kind in {"time", "other"} or column.distinct < 2:
            continue
        for label in _labels(column, table, database):
            rate = _rate(label, column, table, database)
            if rate is None or rate in {0.0, 1.0}:
                continue
            usual = 1.0 if _LEAST_RATE <= rate <= _MOST_RATE else -1.0
            # A file is often written with what matters most at its end.
            score = target_score(column.name) + usual + 0.01 * position / len(columns) + _status_bonus(label, column)
            found.append(TargetLook(column=column.name, label=condition(column, label), base_rate=rate, score=score))
    found.sort(key=lambda target: (-target.score, target.column))
    detailed = [_detail(target, columns, table, database, time=time, later=later) for target in found[:_DETAILED]]
    return (*detailed, *found[_DETAILED:])


def condition(column: ColumnLook, label: str) -> str:
    """Return a condition in the brief's words: of a column that is one already, its name."""
    if column.kind == "bool":
        return column.name if label == "true" else f"not {column.name}"
    return f"{column.name} {label}"


def _status_bonus(label: str, column: ColumnLook) -> float:
    return 2.0 if column.distinct > 2 and label.startswith("=") else 0.0


def _labels(column: ColumnLook, table: str, database: Database) -> list[str]:
    """Return the conditions that are worth asking of a column, without its name."""
    if column.kind == "bool":
        return ["true"]
    if column.distinct == 2 and column.kind in {"int", "text"}:
        rows = database.rows(
            f"SELECT {quote(column.name)} FROM {table} WHERE {quote(column.name)} IS NOT NULL "
            f"GROUP BY {quote(column.name)} ORDER BY count(*), {quote(column.name)}"
        )
        rarer, common = (str(row[0]) for row in rows)
        value = positive_value((rarer, common), rarer=rarer)
        return [f"= {quote_text(value) if column.kind == 'text' else value}"]
    if column.kind == "text" and column.distinct <= _STATUS_VALUES and outcome_like(column.name):
        rows = database.rows(
            f"SELECT DISTINCT {quote(column.name)} FROM {table} WHERE {quote(column.name)} IS NOT NULL ORDER BY 1"
        )
        return [f"= {quote_text(row[0])}" for row in rows if target_score(row[0]) >= 3.0]
    if (
        column.kind in {"int", "float"}
        and column.distinct > 10
        and {"delay", "late", "lateness", "overdue"} & set(tokens(column.name))
    ):
        return [_bound(column, table, database)]
    return []


def _bound(column: ColumnLook, table: str, database: Database) -> str:
    """Return the round number above which about one in seven lies."""
    name = quote(column.name)
    shares = ", ".join(f"avg(CAST({name} > {bound} AS INT)) FILTER (WHERE {name} IS NOT NULL)" for bound in _BOUNDS)
    (found,) = database.rows(f"SELECT {shares} FROM {table}")
    return f"> {min(zip(_BOUNDS, found, strict=True), key=lambda pair: abs(pair[1] - _USUAL_RATE))[0]}"


def _sql(label: str, column: ColumnLook) -> str:
    return quote(column.name) if column.kind == "bool" else f"({quote(column.name)} {label})"


def _rate(label: str, column: ColumnLook, table: str, database: Database) -> float | None:
    ((rate,),) = database.rows(f"SELECT avg(CAST({_sql(label, column)} AS INT)) FROM {table}")
    return None if rate is None else float(rate)


def _detail(
    target: TargetLook,
    columns: Sequence[ColumnLook],
    table: str,
    database: Database,
    *,
    time: str,
    later: tuple[str, ...],
) -> TargetLook:
    """Return the target with when it is known, and with what gives it away."""
    column = next(column for column in columns if column.name == target.column)
    label = _sql(target.label.removeprefix(f"{column.name} "), column) if column.kind != "bool" else quote(column.name)
    both, one_sided, delay = [], "", None
    for name in later:
        there = f"avg(CAST({quote(name)} IS NOT NULL AS INT))"
        (of_true, of_false) = database.rows(
            f"SELECT {there} FILTER (WHERE {label}), {there} FILTER (WHERE NOT {label}) FROM {table}"
        )[0]
        if of_true is not None and of_false is not None and min(of_true, of_false) >= 0.9:
            both.append(name)
        elif of_true is not None and of_true >= 0.9 and (of_false or 0.0) <= 0.02 and not one_sided:
            one_sided = name
    both.sort(key=lambda name: -_nearness(name, target.column, database, table, time))
    if both or one_sided:
        lag = f"epoch_us({quote((both or [one_sided])[0])}) - epoch_us({quote(time)})"
        ((delay,),) = database.rows(f"SELECT quantile_disc({lag}, 0.95) FROM {table}")
    return TargetLook(
        column=target.column,
        label=target.label,
        base_rate=target.base_rate,
        score=target.score,
        known_by=tuple(both),
        only_when_true=one_sided,
        delay_us=delay,
        tells=_tells(target, label, columns, table, database, time=time),
    )


def _nearness(name: str, column: str, database: Database, table: str, time: str) -> float:
    """Return how well a moment answers to a target: by a common word, else by coming last (the safe side)."""
    common = (
        1000.0 if {word[:5] for word in tokens(name)} & {word[:5] for word in tokens(column) if len(word) > 2} else 0.0
    )
    known = 100.0 if {"known", "closed", "final", "settled"} & set(tokens(name)) else 0.0
    ((delay,),) = database.rows(f"SELECT avg(epoch_us({quote(name)}) - epoch_us({quote(time)})) FROM {table}")
    return common + known + float(delay or 0) / 1e15


def _tells(
    target: TargetLook, label: str, columns: Sequence[ColumnLook], table: str, database: Database, *, time: str
) -> tuple[str, ...]:
    """Return columns that, cut into a few groups, leave less than a twentieth of the rarer class in doubt."""
    told = []
    ((cases, others),) = database.rows(
        f"SELECT count(*) FILTER (WHERE {label}), count(*) FILTER (WHERE NOT {label}) FROM {table}"
    )
    for column in columns:
        if column.name in {target.column, time} or column.kind == "other":
            continue
        if identifier_score(column.name) >= 1.0:
            continue
        name = quote(column.name)
        few = column.distinct <= 100
        group = (
            name
            if few
            else f"{name} IS NULL"
            if column.kind in {"text", "time"}
            else f"ntile(20) OVER (ORDER BY {name})"
        )
        ((doubt,),) = database.rows(
            f"SELECT sum(least(a, b)) FROM (SELECT count(*) FILTER (WHERE y) AS a, count(*) FILTER (WHERE NOT y) AS b "
            f"FROM (SELECT {group} AS g, {label} AS y FROM {table}) WHERE y IS NOT NULL GROUP BY g)"
        )
        if float(doubt or 0) < 0.05 * min(cases, others):
            told.append(column.name)
    return tuple(told)
