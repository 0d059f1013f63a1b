"""One round of keeping a model alive: read what is new, refresh what is looked up, watch, and do what the policy says.

Each pass closes the local days that are over, in order: the day's traffic and the cohorts whose outcomes have come in
are shown to the watch; its state and what it found are recorded in one transaction, so a pass that was killed is taken
up again without a verdict changed or repeated. Then the policy decides, once a day: retrain, judge, roll back, nothing.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.deploy.serving import release_definitions
from headway.graph.scorer import GraphScorer
from headway.loop.releases import (
    activate,
    facts_of,
    make_release,
    materialise,
    predecessor,
    quota_of,
    reference_of,
    release_of,
    roll_back,
    withdraw,
)
from headway.loop.train import DRAWS, Recipe, train
from headway.monitor.day import Cohort, Day, Traffic
from headway.monitor.policy import Action, History, decide
from headway.monitor.watch import Watch, observe
from headway.nouns.brief import Brief, FeatureSpec, Split
from headway.nouns.event import (
    Alerted,
    ChallengerJudged,
    FindingCleared,
    FindingRaised,
    ReleaseRolledBack,
    RetrainingDecided,
    WindowClosed,
)
from headway.nouns.examples import Examples
from headway.nouns.finding import Finding, day_text
from headway.nouns.model import Model
from headway.predictions.columns import read_table
from headway.predictions.reader import Cursor, Reader
from headway.query.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from headway.loop.sources import Material
    from headway.loop.store import Store
    from headway.nouns.release import Release

__all__ = ["DayClosed", "OpenCohort", "Tended", "day_bounds_us", "local_day", "rule_scores", "tend"]

POLICY = "policy"
"""How the ledger names who acted, when nobody did."""

_MATURE_DAYS = 1
"""How many days after a prediction's day its outcomes are looked at; the monitor waits for coverage beyond that."""

_JUDGED_DAYS = 28
"""A challenger is first validated on this much of the recent past, which it has not learned from."""


class DayClosed(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass made of one day."""

    day: str
    release: str
    predictions: int
    matured: int
    positives: int
    found: tuple[Finding, ...]
    action: str
    why: str


class Tended(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass did."""

    as_of_us: int
    release: str
    days: tuple[DayClosed, ...]
    store_rows: int
    seconds: float


class OpenCohort(msgspec.Struct, frozen=True, kw_only=True):
    """A day whose outcomes are still to be looked at, with the blob of its predictions."""

    day: int
    predictions: str


class _State(msgspec.Struct, frozen=True, kw_only=True):
    """Where the last pass stopped: the watch, the log's cursor, the last closed day and its predictions."""

    watch: Watch = Watch()
    cursor: str = Cursor().to_json()
    last_day: int | None = None
    open_cohorts: tuple[OpenCohort, ...] = ()


def tend(store: Store, brief: Brief, sources: Callable[[], Material], *, refresh: bool = True) -> Tended:
    """Take one round.

    Parameters
    ----------
    sources
        Reads the sources as they are now; asked only when something has to be computed from them.
    refresh
        Whether to fill the online store anew.

    Raises
    ------
    NotFound
        When nothing is deployed.
    """
    began = time.monotonic()
    filled = materialise(store, sources()) if refresh else {"rows": 0}
    days = []
    for day in _days_over(store, brief):
        closed = _close(store, brief, sources, day)
        days.append(closed)
        if closed.action in {"rollback", "promote"}:
            filled = materialise(store, sources())
    champion = store.ledger.champion()
    return Tended(
        as_of_us=store.now_us(),
        release=champion.release if champion is not None else "",
        days=tuple(days),
        store_rows=int(filled["rows"]),
        seconds=time.monotonic() - began,
    )


def local_day(moment_us: int, zone: str) -> int:
    """Return the day, counted from 1970-01-01, that a clock in ``zone`` shows."""
    local = dt.datetime.fromtimestamp(moment_us / 1e6, tz=ZoneInfo(zone)).date()
    return (local - dt.date(1970, 1, 1)).days


def day_bounds_us(day: int, zone: str) -> tuple[int, int]:
    """Return the first moment of a local day, and the first one after it."""
    date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    midnights = (
        dt.datetime.combine(each, dt.time(), tzinfo=ZoneInfo(zone)) for each in (date, date + dt.timedelta(days=1))
    )
    first, after = (round(midnight.timestamp() * 1e6) for midnight in midnights)
    return first, after


def _state(store: Store) -> _State:
    newest = store.ledger.windows()
    if not newest:
        return _State()
    last = max(newest, key=lambda window: window.window)
    return store.get(last.summary["state"], _State)


def _days_over(store: Store, brief: Brief) -> range:
    """Return the local days that are over and not closed yet, from the first one with a release in service."""
    zone = brief.split.zone
    today = local_day(store.now_us(), zone)
    state = _state(store)
    if state.last_day is not None:
        return range(state.last_day + 1, today)
    first = next((span for span in store.ledger.role_history() if span.role == "champion"), None)
    return range(today, today) if first is None else range(local_day(first.from_us, zone), today)


def _close(store: Store, brief: Brief, sources: Callable[[], Material], day: int) -> DayClosed:
    """Close one day: watch, record, decide, act."""
    state = _state(store)
    zone = brief.split.zone
    live_id = store.ledger.live_at(day_bounds_us(day, zone)[1] - 1)
    champion = store.ledger.champion()
    assert champion is not None
    live = release_of(store, live_id or champion.release)
    traffic, cursor = _traffic_of(store, live, state, day, zone)
    behind = _predecessor_of(store, live.id)
    cohorts, still_open = _matured(store, state, day, live, behind)
    shown = Day(
        day=day,
        release=live.id,
        traffic=_shown_traffic(traffic, live, store, behind),
        cohorts=cohorts,
    )
    watch, found = observe(state.watch, reference_of(store, live.id), shown)
    if traffic.num_rows:
        still_open = (*still_open, OpenCohort(day=day, predictions=store.blobs.put(_to_bytes(traffic))))
    after = _State(watch=watch, cursor=cursor.to_json(), last_day=day, open_cohorts=still_open)
    matured = sum(len(cohort.labels) for cohort in cohorts)
    positives = int(sum(np.nansum(cohort.labels) for cohort in cohorts))
    _record(
        store,
        live,
        day,
        before=state.watch,
        after=after,
        found=found,
        rows=traffic.num_rows,
        matured=matured,
        positives=positives,
    )
    action, why = _act(store, brief, sources, day, watch)
    return DayClosed(
        day=day_text(day),
        release=live.id,
        predictions=traffic.num_rows,
        matured=matured,
        positives=positives,
        found=found,
        action=action,
        why=why,
    )


# -- what is shown to the watch


def _traffic_of(store: Store, live: Release, state: _State, day: int, zone: str) -> tuple[pa.Table, Cursor]:
    """Return the day's predictions by the live release; the cursor moves only past what is no longer needed."""
    first_us, after_us = day_bounds_us(day, zone)
    reader = Reader(store.predictions)
    table, cursor = read_table(
        reader,
        features=live.signature,
        model=live.model,
        since_us=first_us,
        after=Cursor.from_json(state.cursor),
        skip_corrupt=True,
    )
    served = table["served_us"]
    today = table.filter(pc.and_(pc.greater_equal(served, first_us), pc.less(served, after_us)))
    later = pc.any(pc.greater_equal(served, after_us)).as_py()
    return today, Cursor.from_json(state.cursor) if later else cursor


def _features(table: pa.Table, release: Release) -> pa.Table:
    return pa.table({column.name: table[f"features.{column.name}"].combine_chunks() for column in release.signature})


def _scores_by(store: Store, release: Release | None, features: pa.Table) -> NDArray[np.float64] | None:
    """Return what a release says of the features as they were served; None where it takes others."""
    if release is None or not {column.name for column in release.signature} <= set(features.column_names):
        return None
    return GraphScorer(store.blobs.read(release.graph)).score(features)


def _shown_traffic(table: pa.Table, live: Release, store: Store, behind: Release | None) -> Traffic:
    features = _features(table, live)
    looked_up = _looked_up(live)
    # The log says which features were too old; what is late is the source that they come from.
    source_of = {feature: source for source, names in looked_up.items() for feature in names}
    late = [{source_of.get(name, name) for name in names} for names in table["stale"].to_pylist()]
    latencies = table["latency_us"].to_numpy().astype(np.float64)
    return Traffic(
        features=features,
        scores=table["score"].to_numpy(),
        previous_scores=_scores_by(store, behind, features),
        replayed_scores=_scores_by(store, live, features),
        latencies_us=latencies if len(latencies) else None,
        stale=Counter(source for sources in late for source in sources),
        looked_up=looked_up,
    )


def _looked_up(release: Release) -> dict[str, tuple[str, ...]]:
    """Return, by source, the features that are looked up in it."""
    found: dict[str, tuple[str, ...]] = {}
    for name, spec in release.brief.features.items():
        if isinstance(spec, FeatureSpec) and spec.from_:
            found[spec.from_] = (*found.get(spec.from_, ()), name)
    return found


def _matured(
    store: Store, state: _State, day: int, live: Release, behind: Release | None
) -> tuple[tuple[Cohort, ...], tuple[OpenCohort, ...]]:
    """Return the cohorts that are old enough to be looked at, and the days that still are not."""
    cohorts, still_open = [], []
    for cohort in state.open_cohorts:
        if cohort.day > day - _MATURE_DAYS:
            still_open.append(cohort)
            continue
        table = _from_bytes(store.blobs.read(cohort.predictions))
        release = live if table["release"][0].as_py() == live.id else release_of(store, table["release"][0].as_py())
        before = behind if release is live else _predecessor_of(store, release.id)
        labels, void = _labels(store, table)
        features = _features(table, release)
        cohorts.append(
            Cohort(
                day=cohort.day,
                release=release.id,
                scores=table["score"].to_numpy(),
                labels=labels,
                void=void,
                rule=rule_scores(release, features),
                previous=before.id if before is not None else "",
                previous_scores=_scores_by(store, before, features),
            )
        )
    return tuple(cohorts), tuple(still_open)


def _labels(store: Store, table: pa.Table) -> tuple[NDArray[np.float64], int]:
    """Return the outcomes of predictions as known now (NaN: void or unknown), and how many are void."""
    outcomes = store.ledger.outcomes_of(table["id"].to_pylist())
    at = pc.index_in(table["id"], value_set=outcomes["prediction"])
    labels = pc.take(outcomes["label"], at).to_numpy(zero_copy_only=False).astype(np.float64)
    void = pc.sum(pc.equal(pc.take(outcomes["status"], at), "void")).as_py() or 0
    return labels, int(void)


def rule_scores(release: Release, features: pa.Table) -> NDArray[np.float64] | None:
    """Return what today's rule says of served features; None where the brief names none."""
    name = release.brief.baseline.rule
    if not name or features.num_rows == 0:
        return None
    if name in features.column_names:
        return np.asarray(features[name].to_numpy(zero_copy_only=False), dtype=np.float64)
    rule = release_definitions(release).rule
    assert rule is not None
    with Database() as database:
        table = database.register(features)
        said = database.table(f"SELECT CAST({rule.sql} AS DOUBLE) AS said FROM {table}")
    return np.asarray(said["said"].to_numpy(zero_copy_only=False), dtype=np.float64)


def _predecessor_of(store: Store, release: str) -> Release | None:
    """Return the champion before ``release``, unless it was found bad: what it is compared with on its own traffic."""
    spans = [span for span in store.ledger.role_history() if span.role == "champion"]
    bad = {entry.event.release for entry in store.ledger.events(ReleaseRolledBack)}  # type: ignore[union-attr]
    first = next((at for at, span in enumerate(spans) if span.release == release), 0)
    before = [span.release for span in spans[:first] if span.release != release and span.release not in bad]
    return release_of(store, before[-1]) if before else None


# -- what is recorded


def _record(
    store: Store,
    live: Release,
    day: int,
    *,
    before: Watch,
    after: _State,
    found: tuple[Finding, ...],
    rows: int,
    matured: int,
    positives: int,
) -> None:
    """Record the day in one transaction: the state, what was found, what is over, who was told."""
    zone = live.brief.split.zone
    close_us = day_bounds_us(day, zone)[1]
    summary = {"rows": rows, "matured": matured, "positives": positives, "state": store.put(after)}
    events: list[Any] = [WindowClosed(window=day_text(day), release=live.id, summary=summary)]
    for finding in found:
        events.append(
            FindingRaised(
                finding=finding.id,
                kind=finding.kind,
                signal=finding.signal,
                subject=finding.subject,
                level=finding.level,
                since_us=day_bounds_us(finding.since, zone)[0],
                at_us=close_us,
                message=finding.message,
                todo=finding.todo,
                evidence={**finding.evidence, "how sure": finding.how_sure},
            )
        )
        if finding.level == "alert":
            events.append(Alerted(finding=finding.id, to=live.brief.monitor.alert.get("to", "log")))
    still = {finding.id for finding in after.watch.open.values()}
    events += [
        FindingCleared(finding=finding.id, at_us=close_us)
        for finding in before.open.values()
        if finding.id not in still
    ]
    store.record(*events, effective_us=close_us)


# -- what is done


def _act(store: Store, brief: Brief, sources: Callable[[], Material], day: int, watch: Watch) -> tuple[str, str]:
    """Ask the policy and do what it says; return what was done, and why."""
    action = decide(brief.retrain, today=day + 1, findings=watch.open.values(), history=_history(store, brief))
    if action.verb == "nothing":
        return "nothing", action.why
    store.record(
        RetrainingDecided(
            action=action.verb, why=action.why, evidence={"findings": list(action.because), "day": day_text(day)}
        )
    )
    if action.verb == "rollback":
        back_to = roll_back(store, by=POLICY, why=action.why)
        return "rollback", f"back to {back_to}: {action.why}"
    if action.verb == "retrain":
        return _retrain(store, sources(), day, action)
    return _judge(store, brief, day)


def _history(store: Store, brief: Brief) -> History:
    zone = brief.split.zone
    spans = store.ledger.role_history()
    champion = store.ledger.champion()
    # A release that was put back is as old as when it first went live: its data are.
    live = next((s for s in spans if champion and s.release == champion.release and s.role == "champion"), None)
    shadow = next((s for s in reversed(spans) if s.role == "shadow" and s.until_us is None), None)
    decided = list(store.ledger.events(RetrainingDecided))
    retrained = tuple(
        local_day(entry.effective_us, zone)
        for entry in decided
        if entry.event.action == "retrain"  # type: ignore[union-attr]
    )
    rollbacks = tuple(
        local_day(entry.effective_us, zone)
        for entry in store.ledger.events(ReleaseRolledBack)
        if entry.event.by == POLICY  # type: ignore[union-attr]
    )
    return History(
        deployed=local_day(live.from_us, zone) if live is not None else None,
        can_roll_back=bool(predecessor(store)),
        retrained=retrained,
        rollbacks=rollbacks,
        shadow_since=local_day(shadow.from_us, zone) if shadow is not None else None,
    )


def _retrain(store: Store, material: Material, day: int, action: Action) -> tuple[str, str]:
    """Fit the champion's settings on what is known by now, validate on the recent past, let it run in the shadow."""
    champion = store.ledger.champion()
    assert champion is not None
    live = release_of(store, champion.release)
    model = store.get(facts_of(store, live.id).model, Model)
    today = dt.date(1970, 1, 1) + dt.timedelta(days=day + 1)
    split = Split(
        zone=material.brief.split.zone,
        train_from=material.brief.split.train_from,
        train_before=today - dt.timedelta(days=_JUDGED_DAYS + 1),
        validate_before=today - dt.timedelta(days=_JUDGED_DAYS),
        test_before=today,
        refit=material.brief.split.refit,
    )
    recipe = Recipe(algorithm=model.algorithm, settings=model.settings)
    result = train(store, material, as_of_us=store.now_us(), split=split, recipe=recipe)
    challenger = make_release(store, material, result, by=POLICY, override=f"as a challenger only: {action.why}")
    activate(store, challenger.id, role="shadow", by=POLICY, why=action.why)
    return "retrain", f"{challenger.id} is in the shadow: {action.why}"


def _judge(store: Store, brief: Brief, day: int) -> tuple[str, str]:
    """Compare the challenger with the champion on the traffic that both have answered, and promote or keep."""
    from headway.validate.compare import compare

    champion = store.ledger.champion()
    (shadow,) = store.ledger.in_role("shadow")[:1]
    assert champion is not None
    live, challenger = release_of(store, champion.release), release_of(store, shadow.release)
    since = next(s for s in reversed(store.ledger.role_history()) if s.release == shadow.release and s.role == "shadow")
    table, _ = read_table(
        Reader(store.predictions), features=live.signature, model=live.model, since_us=since.from_us, skip_corrupt=True
    )
    labels, _ = _labels(store, table)
    known = np.isfinite(labels)
    features = _features(table, live).filter(pa.array(known))
    examples = _live_examples(live, table.filter(pa.array(known)), features, labels[known])
    ours, theirs = _scores_by(store, live, features), _scores_by(store, challenger, features)
    assert ours is not None
    assert theirs is not None
    found = compare(
        ours,
        theirs,
        examples,
        success=brief.success,
        value=brief.value,
        act_on=quota_of(live),
        seed=brief.search.seed,
        draws=DRAWS,
    )
    store.record(
        ChallengerJudged(
            challenger=challenger.id,
            champion=live.id,
            verdict=found.decision,
            why=found.reason,
            evidence={"comparison": store.put(found), "day": day_text(day)},
        )
    )
    if found.decision == "promote":
        activate(store, challenger.id, role="champion", by=POLICY, why=found.reason)
        return "promote", found.reason
    withdraw(store, challenger.id, by=POLICY, why=found.reason)
    return "keep", found.reason


def _live_examples(live: Release, table: pa.Table, features: pa.Table, labels: NDArray[np.float64]) -> Examples:
    brief = live.brief
    zone = brief.split.zone
    moments = pc.cast(table["predict_at_us"], pa.timestamp("us", tz="UTC"))
    local = pc.local_timestamp(pc.cast(moments, pa.timestamp("us", tz=zone)))
    day = pc.cast(pc.cast(local, pa.date32()), pa.int32()).to_numpy().astype(np.int64)
    segments = {name: features[name] for name in brief.success.segments if name in features.column_names}
    rule = rule_scores(live, features)
    return Examples(
        features=features,
        label=labels,
        day=day,
        rule=np.full(len(labels), np.nan) if rule is None else rule,
        segments=pa.table(segments) if segments else pa.table({"all": pa.array([""] * len(labels))}).select([]),
        predict_at=table["predict_at_us"].to_numpy(),
        key=table.select([name for name in table.column_names if name.startswith("key.")]),
    )


def _to_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _from_bytes(data: bytes) -> pa.Table:
    return pa.ipc.open_file(data).read_all()
