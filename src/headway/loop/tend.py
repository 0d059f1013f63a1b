"""One round of keeping a model alive: read what is new, refresh what is looked up, watch, and do what the policy says.

Each pass closes the local days that are over, in order: the day's traffic and the cohorts whose outcomes have come in
are shown to the watch; its state and what it found are recorded in one transaction, so a pass that was killed is taken
up again without a verdict changed or repeated. Then the policy decides, once a day: retrain, judge, roll back, nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from headway.loop.days import day_bounds_us, local_day
from headway.loop.filling import materialise
from headway.loop.releases import reference_of, release_of
from headway.loop.succession import act_on_policy
from headway.loop.watched import (
    OpenCohort,
    matured_cohorts,
    predecessor_of,
    shown_traffic,
    to_bytes,
    traffic_of,
)
from headway.monitor.day import Day
from headway.monitor.watch import Watch, observe
from headway.nouns.event import Alerted, FindingCleared, FindingRaised, WindowClosed
from headway.nouns.finding import Finding, day_text
from headway.nouns.task import Task
from headway.predictions.reader import Cursor

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.loop.sources import Material
    from headway.loop.store import Store
    from headway.nouns.brief import Brief
    from headway.nouns.release import Release

__all__ = ["DayClosed", "Tended", "tend"]


class DayClosed(msgspec.Struct, frozen=True, kw_only=True):
    """What one pass made of one day.

    Attributes
    ----------
    predictions
        How many were given on the day.
    matured
        Of how many earlier ones the outcome was due.
    came, void
        Of how many of these something was told; of how many of those, that it will never be known.
    positives
        How many came true: of a category as the class that is acted on, of a ranking as relevant.
    mean_label
        Of the outcomes that are known; None where there is none.
    """

    day: str
    release: str
    predictions: int
    matured: int
    came: int
    void: int
    positives: int
    mean_label: float | None
    task: Task
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
    filled = materialise(store, sources) if refresh else {"rows": 0}
    days = []
    for day in _days_over(store, brief):
        closed = _close(store, brief, sources, day)
        days.append(closed)
        if closed.action in {"rollback", "promote"}:
            filled = materialise(store, sources)
    champion = store.ledger.champion()
    return Tended(
        as_of_us=store.now_us(),
        release=champion.release if champion is not None else "",
        days=tuple(days),
        store_rows=int(filled["rows"]),
        seconds=time.monotonic() - began,
    )


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
    traffic, cursor = traffic_of(store, live, state.cursor, day, zone)
    behind = predecessor_of(store, live.id)
    cohorts, still_open = matured_cohorts(store, state.open_cohorts, day, live, behind)
    shown = Day(
        day=day,
        release=live.id,
        traffic=shown_traffic(store, traffic, live, behind),
        cohorts=cohorts,
    )
    watch, found = observe(state.watch, reference_of(store, live.id), shown)
    if traffic.num_rows:
        still_open = (*still_open, OpenCohort(day=day, predictions=store.blobs.put(to_bytes(traffic))))
    after = _State(watch=watch, cursor=cursor, last_day=day, open_cohorts=still_open)
    matured = sum(len(cohort.labels) for cohort in cohorts)
    known = np.concatenate([np.empty(0), *(cohort.labels[cohort.known] for cohort in cohorts)])
    positives, void = int((known > 0).sum()), sum(cohort.void for cohort in cohorts)
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
    action, why = act_on_policy(store, brief, sources, day, watch)
    return DayClosed(
        day=day_text(day),
        release=live.id,
        predictions=traffic.num_rows,
        matured=matured,
        came=len(known) + void,
        void=void,
        positives=positives,
        mean_label=float(known.mean()) if len(known) else None,
        task=live.task,
        found=found,
        action=action,
        why=why,
    )


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
