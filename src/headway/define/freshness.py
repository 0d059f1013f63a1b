"""How old is what a prediction finds, and does it find anything? Each source as it is looked into, at ``predict_at``.

The file hides the statements: one as-of join for each way of matching a source, over all examples, with the lag that
serving is promised; keys that a source never has; rows that a look-up could not choose between.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.define.availability import LookUp, Outage
from headway.query.compile import quote
from headway.query.nearest import answers
from headway.query.relation import LOOK_AT, PREDICT_AT
from headway.query.timeline import AT, EVENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.query.database import Database
    from headway.query.definitions import Definitions
    from headway.query.point_in_time import PointInTime
    from headway.query.timeline import Timeline

__all__ = ["carried_for_look_ups", "look_ups"]

_MOST = 0.5  # of a day's look-ups: the source was out
_LEAST = 10  # examples of a day, below which a share says nothing


def carried_for_look_ups(definitions: Definitions) -> tuple[str, ...]:
    """Return the columns that examples must carry so that :func:`look_ups` can ask."""
    named = {mine for timeline in definitions.timelines for mine in timeline.mine}
    return tuple(sorted(named & set(definitions.examples.kinds) - {PREDICT_AT}))


def look_ups(database: Database, point_in_time: PointInTime, definitions: Definitions, view: str) -> tuple[LookUp, ...]:
    """Return how each source, in each way that features match it, looks from the examples in ``view``."""
    ways: dict[tuple[Any, ...], list[Timeline]] = {}
    for timeline in definitions.timelines:
        moving = timeline.shape in {"asof", "window"}
        way = (timeline.source, timeline.mine, timeline.theirs, moving or timeline.shape, timeline.where)
        ways.setdefault(way, []).append(timeline)
    looked = {"static": _static, "nearest": _nearest}
    return tuple(
        looked.get(alike[0].shape, _moving)(database, point_in_time, definitions, view, alike)
        for alike in ways.values()
    )


def _static(
    database: Database, point_in_time: PointInTime, definitions: Definitions, view: str, alike: Sequence[Timeline]
) -> LookUp:
    return LookUp(**_keys(database, definitions, view, alike, point_in_time.steps(alike[0])), kind="static")


def _nearest(
    database: Database, point_in_time: PointInTime, definitions: Definitions, view: str, alike: Sequence[Timeline]
) -> LookUp:
    """Return for how many examples no place answers: they lie nowhere, or no place was known yet."""
    first = alike[0]
    asked = database.view(
        f"SELECT *, {quote(PREDICT_AT)} - to_microseconds({definitions.lag_us}::BIGINT) AS {quote(LOOK_AT)} FROM {view}"
    )
    found = answers(first, asked, point_in_time.steps(first), look_at=LOOK_AT, database=database)
    alike_in = [*zip(first.mine, first.keys, strict=True), *([] if first.timeless else [(LOOK_AT, AT)])]
    equal = " AND ".join(f"x.{quote(mine)} = s.{quote(key)}" for mine, key in alike_in)
    keys = ", ".join(quote(key) for _, key in alike_in)
    nowhere = " OR ".join(f"x.{quote(mine)} IS NULL" for mine in first.mine)
    ((rows, nameless, nothing),) = database.rows(
        f"SELECT count(*), count(*) FILTER (WHERE {nowhere}), count(*) FILTER (WHERE s.there IS NULL) "
        f"FROM {asked} x LEFT JOIN (SELECT DISTINCT {keys}, TRUE AS there FROM {found}) s ON {equal}"
    )
    whole = max(rows, 1)
    return LookUp(
        **_named(definitions, alike), kind="nearest", absent=0.0, unnamed=nameless / whole, nothing=nothing / whole
    )


def _moving(
    database: Database, point_in_time: PointInTime, definitions: Definitions, view: str, alike: Sequence[Timeline]
) -> LookUp:
    first = alike[0]
    bare = {"shape": "asof", "order": (), "columns": (), "aggregates": (), "max_age_us": None}
    latest = replace(first, **bare, window_us=0, offset_us=0)  # type: ignore[arg-type]
    steps = point_in_time.steps(latest)
    ages_allowed = [one.max_age_us for one in alike if one.max_age_us is not None]
    reaches = [one.reach_us for one in alike if one.shape == "window" and one.reach_us is not None]
    limit = min(ages_allowed or reaches, default=None)
    moment = f"x.{quote(PREDICT_AT)}"
    equal = "".join(f"x.{quote(m)} = s.{quote(k)} AND " for m, k in zip(first.mine, latest.keys, strict=False))
    ages = database.create(
        f'SELECT {moment} AS moment, x."@day" AS day, epoch_us({moment}) - epoch_us(s."{EVENT}") AS age FROM {view} x '
        f'ASOF LEFT JOIN {steps} s ON {equal}{moment} - to_microseconds({definitions.lag_us}::BIGINT) >= s."{AT}"',
        prefix="ages",
    )
    (found,) = database.rows(
        "SELECT count(*), count(age), quantile_disc(age, 0.5), quantile_disc(age, 0.95), max(age), "
        f"epoch_us(arg_max(moment, age)), count(*) FILTER (WHERE {_old(limit)}) FROM {ages}"
    )
    rows, there, median, late, worst, worst_at, stale = found
    takes_one = any(timeline.shape == "asof" for timeline in alike)
    return LookUp(
        **{**_keys(database, definitions, view, alike, steps), "nothing": 1 - there / max(rows, 1)},
        kind="latest" if takes_one else "window",
        median_us=median,
        p95_us=late,
        worst_us=worst,
        worst_at_us=worst_at,
        bound="max_age" if ages_allowed else "window" if reaches else "",
        limit_us=limit,
        stale=stale / max(rows, 1),
        outages=_outages(database, ages, limit),
        step_us=_step(database, steps, latest.keys),
        tied=_tied(database, point_in_time, definitions, alike) if takes_one else 0.0,
        truncated=_truncated(database, point_in_time, view, alike),
    )


def _named(definitions: Definitions, alike: Sequence[Timeline]) -> dict[str, Any]:
    """Return what is matched, and for which features."""
    first, asking = alike[0], set(alike)
    return {
        "source": first.source,
        "mine": first.mine,
        "theirs": first.theirs,
        "features": tuple(f.name for f in definitions.features if asking & set(f.timelines)),
    }


def _keys(
    database: Database, definitions: Definitions, view: str, alike: Sequence[Timeline], steps: str
) -> dict[str, Any]:
    """Return what is matched, for which features, and for which share of the examples the source has no such key."""
    first = alike[0]
    found = _named(definitions, alike)
    if not first.mine:
        return found | {"absent": 0.0, "unnamed": 0.0, "nothing": 0.0}
    keys = ", ".join(map(quote, first.keys[: len(first.theirs)]))
    equal = " AND ".join(f"x.{quote(m)} = s.{quote(k)}" for m, k in zip(first.mine, first.keys, strict=False))
    unnamed = " OR ".join(f"x.{quote(mine)} IS NULL" for mine in first.mine)
    ((rows, nameless, absent),) = database.rows(
        f"SELECT count(*), count(*) FILTER (WHERE {unnamed}), count(*) FILTER (WHERE NOT ({unnamed}) AND s.there IS "
        f"NULL) FROM {view} x LEFT JOIN (SELECT DISTINCT {keys}, TRUE AS there FROM {steps}) s ON {equal}"
    )
    whole = max(rows, 1)
    return found | {
        "absent": absent / whole,
        "unnamed": nameless / whole,
        "nothing": (absent + nameless) / whole,
    }


def _old(limit: int | None) -> str:
    return "FALSE" if limit is None else f"age > {limit}"


def _outages(database: Database, ages: str, limit: int | None) -> tuple[Outage, ...]:
    """Return the days on end on which most look-ups found nothing fresh, where on other days they do."""
    if limit is None:
        return ()
    table = database.table(
        f"SELECT day, count(*) AS n, count(*) FILTER (WHERE age IS NULL OR {_old(limit)}) AS old FROM {ages} "
        "GROUP BY day ORDER BY day"
    )
    day, rows, old = (table[name].to_numpy().astype(np.int64) for name in ("day", "n", "old"))
    out = (old > _MOST * rows) & (rows >= _LEAST)
    if not len(day) or out.mean() > _MOST:
        return ()
    runs = np.flatnonzero(np.diff(np.concatenate([[False], out, [False]]).astype(np.int8)))
    return tuple(
        Outage(
            first_day=int(day[first]),
            last_day=int(day[end - 1]),
            examples=int(rows[first:end].sum()),
            share=float(old[first:end].sum() / rows[first:end].sum()),
        )
        for first, end in runs.reshape(-1, 2)
    )


def _step(database: Database, steps: str, keys: Sequence[str]) -> int | None:
    names = ", ".join(map(quote, keys))
    ((step,),) = database.rows(
        f'SELECT quantile_disc(gap, 0.5) FROM (SELECT epoch_us("{EVENT}") - lag(epoch_us("{EVENT}")) OVER '
        f'(PARTITION BY {names} ORDER BY "{EVENT}") AS gap FROM {steps}) WHERE gap > 0'
    )
    return None if step is None else int(step)


def _tied(database: Database, point_in_time: PointInTime, definitions: Definitions, alike: Sequence[Timeline]) -> float:
    """Return the share of the source's rows that share match and moment with one of another key that says otherwise."""
    first = alike[0]
    source = definitions.relations[first.source].source
    at = [*first.theirs, source.time]
    taken = sorted({name for timeline in alike if timeline.shape == "asof" for name, _ in timeline.columns} - set(at))
    if not taken or (source.key and set(source.key) <= set(at)):
        return 0.0
    said = f"count(DISTINCT ({', '.join(map(quote, taken))}))"
    where = f"WHERE {first.where}" if first.where else ""
    ((share,),) = database.rows(
        f"SELECT coalesce(sum(n) FILTER (WHERE said > 1) / sum(n), 0) FROM (SELECT count(*) AS n, {said} AS said "
        f"FROM {point_in_time.table(first.source)} {where} GROUP BY {', '.join(map(quote, at))})"
    )
    return float(share)


def _truncated(database: Database, point_in_time: PointInTime, view: str, alike: Sequence[Timeline]) -> float:
    """Return the share of the examples whose longest window begins before the source does."""
    reach = max((timeline.reach_us or 0 for timeline in alike if timeline.shape == "window"), default=0)
    if not reach:
        return 0.0
    first = alike[0]
    ((share,),) = database.rows(
        f"SELECT avg(CAST({quote(PREDICT_AT)} - to_microseconds({reach}::BIGINT) < first AS INT)) FROM {view}, "
        f"(SELECT min({first.event}) AS first FROM {point_in_time.table(first.source)})"
    )
    return float(share or 0.0)
