"""Is the problem feasible? One pass of the engine over the examples, from which all figures follow.

The file hides which statements are asked, in which order. It computes the examples exactly as training will (the same
component, the same cut-offs), so that what it counts is what a run will find.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headway.define.availability import Availability, Swing
from headway.define.bounds import worth_bounds
from headway.define.facts import Facts, FeatureFacts, LabelFacts, SourceFacts
from headway.define.freshness import carried_for_look_ups, look_ups
from headway.define.maturity import label_maturity
from headway.define.payoff import payoff
from headway.define.sampling import sampled
from headway.define.seasons import swings
from headway.define.signal import find_signal
from headway.errors import DataError
from headway.nouns.brief import Source, Split, parse_act_on
from headway.nouns.calls import Calls, calls_of
from headway.nouns.task import suited_metric
from headway.query.compile import quote
from headway.query.database import Database
from headway.query.example_texts import CENSORED, KNOWN_AT, LABEL, moment_sql
from headway.query.point_in_time import PointInTime
from headway.query.relation import PREDICT_AT
from headway.query.split import marked_sql, midnight_us, split_counts

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from headway.define.prospect import Payoff, Signal, WorthBounds
    from headway.define.sample import Sample
    from headway.nouns.dataset import SplitCount
    from headway.nouns.snapshot import Snapshot
    from headway.query.definitions import Definitions

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
    BriefError
        When the metric is none of such a target.
    DataError
        When a feature looks into the future, or a look-up has two answers.
    """
    brief = definitions.brief
    suited_metric(brief.success.metric, definitions.aim.task)
    with Database() as database:
        point_in_time = PointInTime(database, definitions, files)
        cadence = definitions.aim.cadence
        whence = definitions.examples.name if cadence is None else cadence.source
        rows = _count(database, point_in_time.table(whence))
        table = point_in_time.examples(
            as_of_us=as_of_us, since_us=_start_us(brief.split), keep=carried_for_look_ups(definitions)
        )
        view = database.create(marked_sql(table, definitions), prefix="marked")
        task = definitions.aim.task
        # What counts as a case, as freezing counts it: of classes none is the one.
        positive = {"condition": quote(LABEL), "category": "FALSE"}.get(task, f"{quote(LABEL)} > 0")
        totals = _totals(database, view, as_of_us, positive)
        if task == "ranking":
            _no_relevance_below_nought(database, view)
        earlier = f"{view} WHERE \"@usable\" AND \"@split\" IN ('train', 'validate')"
        # The test is for one judgement only: what is fitted leaves it alone.
        sample, step = sampled(database, earlier, definitions, most=_SIGNAL_ROWS)
        splits = split_counts(database, view, usable='"@usable"', positive=positive)
        signal, earned = (None, None)
        if sample is not None:
            of_day = 1 if brief.split.by == "time" else _drawn_from(splits)
            signal, earned = _promised(sample, step * of_day, definitions)
        every, _ = sampled(database, f"{view} WHERE {quote(LABEL)} IS NOT NULL", definitions, features=False)
        return Facts(
            as_of_us=as_of_us,
            task=task,
            rows=rows,
            rounds=None if cadence is None else _rounds(database, view),
            splits=splits,
            sources=tuple(
                _source(
                    database, point_in_time.table(name), source, snapshot=snapshots[name], last_us=totals["last_us"]
                )
                for name, source in brief.sources.items()
            ),
            features=_features(database, view, definitions, totals["examples"]),
            request=tuple(field.name for field in definitions.request_fields),
            looked_up=tuple(feature.name for feature in definitions.features if feature.timelines),
            worth=None if every is None else _worth(every, definitions),
            signal=signal,
            payoff=earned,
            label=None if every is None else _label(every),
            availability=Availability(
                maturity=label_maturity(database, view, as_of_us=as_of_us),
                look_ups=look_ups(database, point_in_time, definitions, view),
                swings=_swings(every),
            ),
            **totals,
        )


def _no_relevance_below_nought(database: Database, view: str) -> None:
    """Refuse here what freezing refuses, before the trees that rank meet it."""
    ((least,),) = database.rows(f"SELECT min({quote(LABEL)}) FROM {view}")
    if least is not None and least < 0:
        raise DataError(
            f"A relevance is {least:g}; it cannot be below 0.",
            where="target.label",
            hint="Rank by what is 0 for the irrelevant and more for what matters more.",
        )


def _start_us(split: Split) -> int | None:
    return None if split.train_from is None else midnight_us(split.train_from, split.zone)


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
               quantile_disc({delay}, 0.9) FILTER (WHERE {label} IS NOT NULL),
               count(*) FILTER (WHERE {label} IS NOT NULL AND {known} <= {moment}),
               coalesce(min({label}) = max({label}), FALSE)
        FROM {view}
        """
    )
    examples, labelled, positives, void, unmatured, first, last, days, covered, median, late, told, alike = found
    return {
        "examples": examples,
        "labelled": labelled,
        "positives": positives,
        "void": void,
        "unmatured": unmatured,
        "told": told,
        "alike": alike,
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


def _rounds(database: Database, view: str) -> int:
    return int(database.rows(f"SELECT count(DISTINCT {quote(PREDICT_AT)}) FROM {view}")[0][0])


def _worth(every: Sample, definitions: Definitions) -> WorthBounds:
    places = every.places(np.arange(len(every)))
    return worth_bounds(_calls(every, definitions), every.label, places, rule=every.rule)


def _calls(sample: Sample, definitions: Definitions) -> Calls:
    brief = definitions.brief
    act_on = parse_act_on(brief.target.act_on)
    return calls_of(task=sample.task, act_on=act_on, value=brief.value, classes=sample.classes)


def _label(every: Sample) -> LabelFacts:
    label = every.label
    if every.task == "number":
        low, median, high = np.quantile(label, [0.05, 0.5, 0.95])
        return LabelFacts(mean=float(label.mean()), median=float(median), low=float(low), high=float(high))
    if every.task == "category":
        share = np.bincount(label.astype(np.int64), minlength=len(every.classes)) / len(label)
        ranked = sorted(zip(every.classes, share.tolist(), strict=True), key=lambda one: (-one[1], one[0]))
        return LabelFacts(classes=tuple(ranked))
    return LabelFacts(groups=0 if every.group is None else len(np.unique(every.group)))


def _swings(every: Sample | None) -> tuple[Swing, ...]:
    if every is None:
        return ()
    # Of a category the share of its commonest class; of the rest what a leader would ask about.
    values = every.label if every.task == "number" else every.cases[0]
    day, at = np.unique(every.day, return_inverse=True)
    return swings(day, np.bincount(at, weights=values).astype(np.float64), np.bincount(at).astype(np.float64))


def _drawn_from(splits: Sequence[SplitCount]) -> float:
    """Return how many times as many examples a day has as are looked at: the test is drawn from it, too."""
    counts = {split.name: split.examples for split in splits}
    return sum(counts.values()) / (counts["train"] + counts["validate"])


def _promised(sample: Sample, step: float, definitions: Definitions) -> tuple[Signal | None, Payoff | None]:
    """Return what quick models of the past promise of what came after: signal and money."""
    brief = definitions.brief
    found = find_signal(sample, seed=brief.search.seed, metric=brief.success.metric)
    if found is None:
        return None, None
    signal, forward = found
    rows = forward.rows
    if len(np.unique(sample.day[rows])) < _LEAST_DAYS:
        return signal, None
    rule = None if sample.rule is None else sample.rule[rows]
    return signal, payoff(
        _calls(sample, definitions),
        forward.score,
        sample.label[rows],
        sample.places(rows),
        rule=rule,
        seed=brief.search.seed,
        step=step,
    )
