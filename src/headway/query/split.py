"""Which split an example belongs to, as the engine's text; the same for counting before a run and for freezing in one.

The file hides how sides are drawn. By time, a side ends at a local midnight. By group, the MD5 of seed and group is
read as a number in [0, 1), so that a group's side depends on nothing but its name: more data never moves it. By random,
the same is done with the example's key; of classes each one is cut alone, in the order of that number.
"""

from __future__ import annotations

import datetime as dt
from itertools import accumulate
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from headway.nouns.dataset import SplitCount
from headway.query.compile import quote, quote_text
from headway.query.example_texts import CENSORED, KNOWN_AT, LABEL, moment_sql
from headway.query.local_time import clock_sql
from headway.query.relation import PREDICT_AT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from headway.nouns.brief import Split
    from headway.nouns.examples import SplitName
    from headway.query.database import Database
    from headway.query.definitions import Definitions

__all__ = ["SPLITS", "boundaries_us", "marked_sql", "midnight_us", "side_columns", "split_counts"]

SPLITS: tuple[SplitName, ...] = ("train", "validate", "test", "after")


def midnight_us(day: dt.date, zone: str) -> int:
    """Return the moment at which a day begins in a zone, in microseconds since 1970."""
    local = dt.datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return (local - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def boundaries_us(split: Split) -> dict[str, int]:
    """Return the end of each split as a moment, local midnight of the split's zone; none where it is not by time."""
    return {name: midnight_us(day, split.zone) for name, day in split.ends.items()}


def side_columns(definitions: Definitions, ends: Mapping[str, int]) -> list[str]:
    """Return the columns ``@split``, ``@end`` (of its period; NULL if it has none) and ``@day`` over the examples."""
    moment = quote(PREDICT_AT)
    local = clock_sql(moment, quote_text(definitions.brief.split.zone))
    day = f"date_diff('day', DATE '1970-01-01', CAST({local} AS DATE)) AS {quote('@day')}"
    if definitions.brief.split.by != "time":
        return [f"{_drawn_sql(definitions)} AS {quote('@split')}", f"CAST(NULL AS TIMESTAMP) AS {quote('@end')}", day]
    names = " ".join(f"WHEN {moment} < {moment_sql(end)} THEN '{name}'" for name, end in ends.items())
    bounds = " ".join(f"WHEN {moment} < {moment_sql(end)} THEN {moment_sql(end)}" for end in ends.values())
    return [f"CASE {names} ELSE 'after' END AS {quote('@split')}", f"CASE {bounds} END AS {quote('@end')}", day]


def marked_sql(table: str, definitions: Definitions) -> str:
    """Return the examples with side, day and whether each can be used, ``@usable``: labelled before its side ends."""
    sides = ", ".join(side_columns(definitions, boundaries_us(definitions.brief.split)))
    return (
        f'SELECT *, {quote(LABEL)} IS NOT NULL AND ("@end" IS NULL OR {quote(KNOWN_AT)} < "@end") AS "@usable" '
        f"FROM (SELECT *, {sides} FROM {table})"
    )


def _drawn_sql(definitions: Definitions) -> str:
    brief = definitions.brief
    split, seed = brief.split, brief.search.seed
    bounds = dict(zip(split.parts, accumulate(split.parts.values()), strict=True))
    if split.by == "group":
        return _cut_sql(_hash_sql(split.group or (), seed), {name: f"'{_hex(end)}'" for name, end in bounds.items()})
    key = _hash_sql(definitions.examples.source.key, seed)
    if definitions.aim.task not in {"condition", "category"}:
        return _cut_sql(key, {name: f"'{_hex(end)}'" for name, end in bounds.items()})
    alike = f"PARTITION BY {quote(LABEL)}"
    place = f"(row_number() OVER ({alike} ORDER BY {key}) - 0.5) / count(*) OVER ({alike})"
    return _cut_sql(place, {name: repr(end) for name, end in bounds.items()})


def _cut_sql(place: str, bounds: Mapping[str, str]) -> str:
    *firsts, (last, _) = bounds.items()
    return f"CASE {' '.join(f'WHEN {place} < {end} THEN {quote_text(name)}' for name, end in firsts)} ELSE '{last}' END"


def _hash_sql(columns: Iterable[str], seed: int) -> str:
    """Return the hash of some columns in hexadecimal digits, whose order as text is that of the numbers."""
    # With its length before it, no value can pass for the end of another.
    texts = [f"coalesce(CAST({quote(name)} AS VARCHAR), '')" for name in columns]
    joined = " || ".join(f"CAST(length({text}) AS VARCHAR) || ':' || {text}" for text in texts)
    return f"md5('{seed}|' || {joined})"


def _hex(share: float) -> str:
    return f"{min(round(share * 2**32), 2**32 - 1):08x}"


def split_counts(database: Database, view: str, *, usable: str, positive: str) -> tuple[SplitCount, ...]:
    """Return how many examples each split holds, and what became of those that it does not.

    A label that is not there by now never came: void; unless it is known that it is still to come: censored. What
    became known too late for its split is embargoed.

    Parameters
    ----------
    view
        Examples with the columns of :func:`side_columns`.
    usable, positive
        The conditions, as the engine's text, of an example that its split may use and of one that is a case.
    """
    waiting = f"coalesce({quote(CENSORED)}, FALSE)"
    found = {
        row[0]: row[1:]
        for row in database.rows(
            f"""SELECT "@split", count(*) FILTER (WHERE {usable}),
                count(*) FILTER (WHERE {usable} AND {positive}),
                count(*) FILTER (WHERE {quote(LABEL)} IS NULL AND NOT {waiting}),
                count(*) FILTER (WHERE {quote(LABEL)} IS NULL AND {waiting}),
                count(*) FILTER (WHERE {quote(LABEL)} IS NOT NULL AND NOT {usable}),
                count(DISTINCT "@day") FILTER (WHERE {usable}) FROM {view} GROUP BY "@split" """
        )
    }
    return tuple(
        SplitCount(name=name, examples=n, positives=p, void=void, censored=open_, embargoed=late, days=days)
        for name in SPLITS
        for n, p, void, open_, late, days in [found.get(name, (0, 0, 0, 0, 0, 0))]
    )
