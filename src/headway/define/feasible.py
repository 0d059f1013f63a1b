"""Is the problem feasible? One pass of the engine over the examples, from which all figures follow.

The file hides which statements are asked. It computes the examples exactly as training will (the same component, the
same cut-offs), so that what it counts is what a run will find; it trains nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headway.define.facts import Facts, FeatureFacts, Payoff, Signal, SourceFacts, WorthBounds
from headway.define.payoff import payoff
from headway.define.signal import find_signal
from headway.nouns.brief import Quota, Source, Split, Threshold, parse_act_on
from headway.nouns.money import decide, decide_by_rule, worth_per_day
from headway.query.compile import quote
from headway.query.database import Database
from headway.query.definitions import PREDICT_AT, Definitions
from headway.query.point_in_time import CENSORED, KNOWN_AT, LABEL, PointInTime, moment_sql
from headway.query.split import boundaries_us, midnight_us, side_columns, split_counts

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.nouns.snapshot import Snapshot

__all__ = ["gather"]

_SIGNAL_ROWS = 60_000
_LEAST_DAYS = 5


def gather(
    definitions: Definitions,
    snapshots: Mapping[str, Snapshot],
    files: Mapping[str, Sequence[os.PathLike[str]]],
    *,
    as_of_us: int,
) -> Facts:
    """Return what the data say about a brief.

    Parameters
    ----------
    definitions
        The brief, resolved against the snapshots' columns.
    snapshots, files
        For each source its snapshot, and the Parquet files of that.
    as_of_us
        Now: later predictions do not count, and labels that became known later are not seen.

    Raises
    ------
    DataError
        When a feature looks into the future, or a look-up has two answers.
    """
    brief = definitions.brief
    with Database() as database:
        point_in_time = PointInTime(database, definitions, files)
        cadence = definitions.aim.cadence
        whence = definitions.examples.name if cadence is None else cadence.source
        rows = _count(database, point_in_time.table(whence))
        table = point_in_time.examples(as_of_us=as_of_us, since_us=_start_us(brief.split))
        view = database.create(_marked_sql(table, definitions), prefix="marked")
        task = definitions.aim.task
        # What counts as a case, as freezing counts it: of classes none is the one.
        positive = {"condition": quote(LABEL), "category": "FALSE"}.get(task, f"{quote(LABEL)} > 0")
        totals = _totals(database, view, as_of_us, positive)
        yes_or_no = task == "condition"  # the quick models and their money know labels of yes and no
        signal, earned = _signal(database, view, definitions) if yes_or_no else (None, None)
        return Facts(
            as_of_us=as_of_us,
            task=task,
            rows=rows,
            splits=split_counts(database, view, usable='"@usable"', positive=positive),
            sources=tuple(
                _source(
                    database, point_in_time.table(name), source, snapshot=snapshots[name], last_us=totals["last_us"]
                )
                for name, source in brief.sources.items()
            ),
            features=_features(database, view, definitions, totals["examples"]),
            request=tuple(field.name for field in definitions.request_fields),
            looked_up=tuple(feature.name for feature in definitions.features if feature.timelines),
            worth=_worth(database.table(_labelled_sql(view, definitions)), definitions)
            if yes_or_no and totals["labelled"]
            else None,
            signal=signal,
            payoff=earned,
            **totals,
        )


def _start_us(split: Split) -> int | None:
    return None if split.train_from is None else midnight_us(split.train_from, split.zone)


def _marked_sql(table: str, definitions: Definitions) -> str:
    """Return the examples with split, day and whether they can be used: labelled before their split ends."""
    sides = ", ".join(side_columns(definitions, boundaries_us(definitions.brief.split)))
    return (
        f'SELECT *, {quote(LABEL)} IS NOT NULL AND ("@end" IS NULL OR {quote(KNOWN_AT)} < "@end") AS "@usable" '
        f"FROM (SELECT *, {sides} FROM {table})"
    )


def _count(database: Database, table: str) -> int:
    return int(database.rows(f"SELECT count(*) FROM {table}")[0][0])


def _totals(database: Database, view: str, as_of_us: int, positive: str) -> dict[str, Any]:
    label, known, moment = quote(LABEL), quote(KNOWN_AT), quote(PREDICT_AT)
    delay = f"epoch_us({known}) - epoch_us({moment})"
    # The data may end before now does: a horizon that was over, but that they do not cover, is still open, too.
    waiting = f"coalesce({quote(CENSORED)} OR {known} > {moment_sql(as_of_us)}, FALSE)"
    (found,) = database.rows(
        f"""
        SELECT count(*), count({label}), count(*) FILTER (WHERE {positive}),
               count(*) FILTER (WHERE {label} IS NULL AND NOT {waiting}),
               count(*) FILTER (WHERE {waiting}),
               epoch_us(min({moment})), epoch_us(max({moment})),
               coalesce(max("@day") - min("@day") + 1, 0), count(DISTINCT "@day"),
               quantile_disc({delay}, 0.5) FILTER (WHERE {label} IS NOT NULL),
               quantile_disc({delay}, 0.9) FILTER (WHERE {label} IS NOT NULL)
        FROM {view}
        """
    )
    examples, labelled, positives, void, unmatured, first, last, days, covered, median, late = found
    return {
        "examples": examples,
        "labelled": labelled,
        "positives": positives,
        "void": void,
        "unmatured": unmatured,
        "first_us": first,
        "last_us": last,
        "days": days,
        "days_covered": covered / days if days else 0.0,
        "delay_median_us": median,
        "delay_p90_us": late,
    }


def _features(database: Database, view: str, definitions: Definitions, examples: int) -> tuple[FeatureFacts, ...]:
    aging = [timeline for timeline in definitions.timelines if timeline.stale]
    counts = [f"count(*) FILTER (WHERE {quote(f'feature:{f.name}')} IS NULL)" for f in definitions.features]
    counts += [f"count(*) FILTER (WHERE {quote(timeline.stale)})" for timeline in aging]
    (found,) = database.rows(f"SELECT {', '.join(counts)} FROM {view}")
    old = dict(zip((t.name for t in aging), found[len(definitions.features) :], strict=True))
    whole = max(examples, 1)
    return tuple(
        FeatureFacts(
            name=feature.name,
            kind=feature.kind,
            missing=missing / whole,
            stale=max((old.get(timeline.name, 0) for timeline in feature.timelines), default=0) / whole,
        )
        for feature, missing in zip(definitions.features, found, strict=False)
    )


def _source(database: Database, table: str, source: Source, *, snapshot: Snapshot, last_us: int | None) -> SourceFacts:
    span = f"epoch_us(min({quote(source.time)})), epoch_us(max({quote(source.time)}))" if source.time else "NULL, NULL"
    keys = ", ".join(map(quote, source.key))
    whole = " AND ".join(f"{quote(column)} IS NOT NULL" for column in source.key) or "TRUE"
    distinct = f"count(DISTINCT ({keys})) FILTER (WHERE {whole})" if keys else "NULL"
    (found,) = database.rows(f"SELECT {span}, count(*) FILTER (WHERE NOT ({whole})), count(*), {distinct} FROM {table}")
    first, last, unnamed, rows, names = found
    behind = None
    if source.time and last_us is not None:
        time = quote(source.time)
        ((seen,),) = database.rows(f"SELECT epoch_us(max({time})) FROM {table} WHERE {time} <= {moment_sql(last_us)}")
        behind = None if seen is None else last_us - seen
    return SourceFacts(
        name=snapshot.source,
        rows=rows,
        files=len(snapshot.segments),
        first_us=first,
        last_us=last,
        unnamed_rows=unnamed,
        doubled_rows=None if names is None else rows - unnamed - names,
        behind_us=behind,
    )


def _labelled_sql(view: str, definitions: Definitions) -> str:
    """Return label, day and rule of all labelled examples, in the order in which they are predicted."""
    named = ", ".join(f"{quote(f'feature:{f.name}')} AS {quote(f.name)}" for f in definitions.features)
    rule = f"CAST({definitions.rule.sql} AS DOUBLE)" if definitions.rule is not None else "CAST(NULL AS DOUBLE)"
    key = ", ".join(
        f"{quote(column)} AS {quote(f'@key{i}')}" for i, column in enumerate(definitions.examples.source.key)
    )
    order = ", ".join(quote(f"@key{i}") for i in range(len(definitions.examples.source.key)))
    return (
        f'SELECT "@label", "@day", {rule} AS "@rule" FROM (SELECT CAST({quote(LABEL)} AS DOUBLE) AS "@label", "@day", '
        f'{quote(PREDICT_AT)} AS "@moment", {key}, {named} FROM {view} WHERE {quote(LABEL)} IS NOT NULL) '
        f'ORDER BY "@moment", {order}'
    )


def _worth(table: pa.Table, definitions: Definitions) -> WorthBounds:
    value, act_on = definitions.brief.value, parse_act_on(definitions.brief.target.act_on)
    label = table["@label"].to_numpy()
    day = table["@day"].to_numpy().astype(np.int64)
    slot = day - day.min()
    days = int(slot.max()) + 1
    cases: NDArray[np.float64] = np.bincount(slot, weights=label, minlength=days).astype(np.float64)
    seen = np.bincount(slot, minlength=days).astype(np.float64)
    actions: NDArray[np.float64] = np.minimum(seen, float(act_on.k)) if isinstance(act_on, Quota) else cases
    hits: NDArray[np.float64] = np.minimum(actions, cases)
    by_lot = actions * np.divide(cases, seen, out=np.zeros(days), where=seen > 0)
    rule = None
    if definitions.rule is not None:
        score = table["@rule"].to_numpy(zero_copy_only=False).astype(np.float64)
        best = decide(label, day, act_on)
        rule = float(worth_per_day(decide_by_rule(score, day, act_on, acted=best), label, day, value).mean())

    def mean(right: NDArray[np.float64]) -> float:
        return float((right * value.true_positive + (actions - right) * value.false_positive).mean())

    return WorthBounds(
        currency=value.currency,
        actions_per_day=float(actions.mean()),
        positives_per_day=float(cases.mean()),
        random=mean(by_lot),
        perfect=mean(hits),
        rule=rule,
    )


def _signal(database: Database, view: str, definitions: Definitions) -> tuple[Signal | None, Payoff | None]:
    """Look for signal in train and validate; the test is for one judgement only, and is left alone."""
    brief = definitions.brief
    usable = "\"@usable\" AND \"@split\" IN ('train', 'validate')"
    count = _count(database, f"(SELECT 1 FROM {view} WHERE {usable})")
    if count == 0:
        return None, None
    step = -(-count // _SIGNAL_ROWS)
    features = ", ".join(f"{quote(f'feature:{f.name}')} AS {quote(f.name)}" for f in definitions.features)
    rule = f"CAST({definitions.rule.sql} AS DOUBLE)" if definitions.rule is not None else "CAST(NULL AS DOUBLE)"
    order = ", ".join([quote(PREDICT_AT), *map(quote, definitions.examples.source.key)])
    moments = f'epoch_us({quote(PREDICT_AT)}) AS "@at", epoch_us({quote(KNOWN_AT)}) AS "@known"'
    table = database.table(
        f"""SELECT *, {rule} AS "@rule" FROM (SELECT {features}, {quote(LABEL)} AS "@y", "@day", {moments}, "@n" FROM (
            SELECT *, row_number() OVER (ORDER BY {order}) AS "@n"
            FROM {view} WHERE {usable}) WHERE ("@n" - 1) % {step} = 0) ORDER BY "@n" """
    )
    label = table["@y"].to_numpy(zero_copy_only=False).astype(np.float64)
    day, at, known = (table[name].to_numpy().astype(np.int64) for name in ("@day", "@at", "@known"))
    says = table["@rule"].to_numpy(zero_copy_only=False).astype(np.float64)
    by_rule = says if definitions.rule is not None and np.isfinite(says).any() else None
    found = find_signal(
        table.select([feature.name for feature in definitions.features]),
        label,
        day,
        at=at,
        known=known,
        seed=brief.search.seed,
        metric=brief.success.metric,
        rule=by_rule,
        of_rows=count,
    )
    if found is None:
        return None, None
    signal, forward = found
    act_on = parse_act_on(brief.target.act_on)
    if len(np.unique(day[forward.rows])) < _LEAST_DAYS or not isinstance(act_on, Quota | Threshold):
        return signal, None
    return signal, payoff(
        forward.score,
        None if by_rule is None else by_rule[forward.rows],
        label[forward.rows],
        day[forward.rows],
        value=brief.value,
        act_on=act_on,
        seed=brief.search.seed,
        step=step,
    )
