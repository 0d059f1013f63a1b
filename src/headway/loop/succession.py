"""Who serves next: what the policy says is done — retrain, let it run in the shadow, judge, promote, roll back.

A challenger takes over the champion's settings. It is validated on the last weeks, which it has not learned from, then
fitted on all that is known; in the shadow it answers the same traffic, and only evidence from there promotes it.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.errors import HeadwayError
from headway.loop.days import local_day
from headway.loop.experiment import DRAWS, Recipe
from headway.loop.releases import (
    activate,
    facts_of,
    make_release,
    predecessor,
    quota_of,
    release_of,
    roll_back,
    withdraw,
)
from headway.loop.train import train
from headway.loop.watched import comparable, features_of, labels_of, rule_scores, scores_by
from headway.monitor.policy import History, decide
from headway.nouns.brief import Split
from headway.nouns.event import ChallengerJudged, ReleaseRolledBack, RetrainingDecided
from headway.nouns.examples import Examples
from headway.nouns.finding import day_text
from headway.nouns.model import Model
from headway.nouns.task import WAYS
from headway.predictions.columns import read_table
from headway.predictions.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from headway.loop.sources import Material
    from headway.loop.store import Store
    from headway.monitor.policy import Action
    from headway.monitor.watch import Watch
    from headway.nouns.brief import Brief, Success
    from headway.nouns.release import Release

__all__ = ["POLICY", "act_on_policy"]

POLICY = "policy"
"""How the ledger names who acted, when nobody did."""

_JUDGED_DAYS = 28
"""A challenger is first validated on this much of the recent past, which it has not learned from."""


def act_on_policy(
    store: Store, brief: Brief, sources: Callable[[], Material], day: int, watch: Watch
) -> tuple[str, str]:
    """Ask the policy and do what it says; return what was done, and why."""
    action = decide(brief.retrain, today=day + 1, findings=watch.open.values(), history=_history(store, brief))
    if action.verb == "nothing":
        return "nothing", action.why
    try:
        done, why = _done(store, brief, sources, day, action)
    except HeadwayError as error:
        done, why = "failed", f"{action.verb}: {error}"
    # Recorded once it is done: what a kill cut short is decided again, and its finished steps are found again.
    evidence = {"findings": list(action.because), "day": day_text(day)}
    store.record(RetrainingDecided(action=done if done == "failed" else action.verb, why=action.why, evidence=evidence))
    return done, why


def _done(store: Store, brief: Brief, sources: Callable[[], Material], day: int, action: Action) -> tuple[str, str]:
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
    labels, _ = labels_of(store, table, live)
    known = np.isfinite(labels)
    features = features_of(table, live).filter(pa.array(known))
    examples = _live_examples(live, table.filter(pa.array(known)), features, labels[known])
    ours, theirs = scores_by(store, live, features), scores_by(store, challenger, features)
    if live.task not in {"condition", "category"}:
        why = f"Keep the champion: challengers of a target that is a {live.task} are not compared on live traffic yet."
        return _kept(store, challenger, live, why, {"day": day_text(day)})
    if not comparable(live, challenger):
        why = "Keep the champion: each acts on the class that it holds likeliest, which no outcome compares yet."
        return _kept(store, challenger, live, why, {"day": day_text(day)})
    if ours is None or theirs is None:
        why = "Keep the champion: the two see different features, so the same traffic cannot be scored by both."
        return _kept(store, challenger, live, why, {"day": day_text(day)})
    found = compare(
        ours,
        theirs,
        examples,
        success=_as_condition(brief.success, live),
        value=brief.value,
        act_on=quota_of(live),
        seed=brief.search.seed,
        draws=DRAWS,
    )
    evidence = {"comparison": store.put(found), "day": day_text(day)}
    if found.decision == "keep":
        return _kept(store, challenger, live, found.reason, evidence)
    _record_verdict(store, challenger, live, "promote", found.reason, evidence)
    activate(store, challenger.id, role="champion", by=POLICY, why=found.reason)
    return "promote", found.reason


def _as_condition(success: Success, live: Release) -> Success:
    """Return what a category is compared by, as the condition that it is followed as: the brief's metric if it can."""
    if live.task == "condition" or success.metric in WAYS["condition"].metrics:
        return success
    return msgspec.structs.replace(success, metric="average_precision")


def _kept(store: Store, challenger: Release, live: Release, why: str, evidence: Mapping[str, str]) -> tuple[str, str]:
    _record_verdict(store, challenger, live, "keep", why, evidence)
    withdraw(store, challenger.id, by=POLICY, why=why)
    return "keep", why


def _record_verdict(  # noqa: PLR0917  (what the event holds, in its order)
    store: Store, challenger: Release, live: Release, verdict: str, why: str, evidence: Mapping[str, str]
) -> None:
    store.record(
        ChallengerJudged(challenger=challenger.id, champion=live.id, verdict=verdict, why=why, evidence=dict(evidence))
    )


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
