"""Releases: made from a run, given a role, taken back.

A release is data in the store; what a server answers with is the one that ``serving/current.json`` names. Making it
current (:mod:`headway.loop.filling`) is the last and only visible step of a deployment, and undoing it is the same
step backwards.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from headway.errors import GateClosed, NotFound, did_you_mean
from headway.loop.contracts import agreed_contract
from headway.loop.gates import failed_verdict, overridden
from headway.loop.gates import override as pass_gate
from headway.nouns.act_on import Quota, parse_act_on
from headway.nouns.brief import false_alarm_windows
from headway.nouns.calls import Calls, Places
from headway.nouns.dataset import Dataset
from headway.nouns.event import (
    ReleaseActivated,
    ReleaseMade,
    ReleaseRolledBack,
    ReleaseWithdrawn,
    StepFinished,
)
from headway.nouns.model import Model
from headway.nouns.release import Release
from headway.nouns.span import parse_span
from headway.nouns.verdict import Verdict

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.loop.results import RunResult
    from headway.loop.sources import Material
    from headway.loop.store import Store
    from headway.monitor.reference import Reference
    from headway.nouns.act_on import ActOn
    from headway.nouns.brief import Split
    from headway.nouns.examples import Examples
    from headway.nouns.part import Part

__all__ = [
    "CLASS_SAID",
    "ReleaseFacts",
    "activate",
    "calls_of_release",
    "facts_of",
    "make_release",
    "predecessor",
    "quota_of",
    "reference_of",
    "release_of",
    "roll_back",
    "test_examples",
    "test_part",
    "with_class",
    "withdraw",
]

CLASS_SAID = "(class)"
"""What the likeliest class is called among the watched columns; no feature can be called so."""


class ReleaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Blobs that belong to a release: itself, what monitoring holds it against, the verdict on it."""

    release: str
    reference: str
    verdict: str
    model: str


def make_release(
    store: Store,
    material: Material,
    result: RunResult,
    *,
    by: str,
    override: str = "",
    graph: str = "",
    model: str = "",
) -> Release:
    """Make a release of a run; it serves nobody yet.

    Parameters
    ----------
    override
        Why a failed gate is passed all the same; kept under ``by``.
    graph, model
        Blobs to release instead of the run's own, as whoever tests the monitoring may want.

    Raises
    ------
    GateClosed
        When the verdict failed a gate that blocks, and nobody overrides it.
    """
    verdict = store.get(result.verdict, Verdict)
    closed = failed_verdict(result.run, result.verdict, verdict)
    if closed and overridden(store, "verdict", closed[0].digest) is None:
        if not override:
            raise GateClosed(
                closed[0].why,
                where=result.run,
                hint="Better it, or take the responsibility: headway deploy --override 'why' --by 'name'.",
            )
        pass_gate(store, closed[0], by=by, why=override)
    named = store.get(model or result.model, Model)
    number = 1 + len(store.ledger.releases())
    examples = material.brief.target.examples
    release = Release(
        id=f"r{number}",
        model=named.digest,
        graph=graph or result.graph,
        signature=named.signature.columns,
        output=named.signature.output,
        brief=material.brief.placeless,
        columns={name: dict(relation.raw) for name, relation in material.definitions.relations.items()},
        cutoff=result.cutoff,
        made_us=store.now_us(),
        task=named.signature.task,
        classes=named.signature.classes,
        run=result.run,
        dataset=result.dataset,
        by=by,
        # Who is asked about again and again is asked about by name: such a request is no row of a source.
        contract=agreed_contract(store, material.brief, examples, material.snapshots[examples])
        if examples
        else msgspec.UNSET,
    )
    facts = ReleaseFacts(
        release=store.blobs.put(release.to_json()),
        reference=store.put(_reference(store, release, result, named)),
        verdict=result.verdict,
        model=model or result.model,
    )
    # Both or neither: facts without a release would be taken for those of the next one, which gets the same number.
    store.record(
        StepFinished(key=f"release:{release.id}", step="release", output=msgspec.to_builtins(facts), seconds=0.0),
        ReleaseMade(
            release=release.id,
            model=release.model,
            run=result.run,
            brief=material.brief.digest,
            dataset=result.dataset,
            by=by,
        ),
    )
    return release


def _reference(store: Store, release: Release, result: RunResult, model: Model) -> Reference:
    """Freeze what live days will be held against: the test period, scored by the model that had not seen it."""
    from headway.graph.scorer import GraphScorer
    from headway.monitor.reference import Reference

    examples = test_examples(store, result.dataset)
    tested = GraphScorer(store.blobs.read(result.tested_graph)).score(examples.features)
    champion = store.ledger.champion()
    previous = None
    if champion is not None:
        before = release_of(store, champion.release)
        if {c.name for c in before.signature} <= set(examples.features.column_names):
            previous = calls_of_release(before).score(
                GraphScorer(store.blobs.read(before.graph)).score(examples.features)
            )
    brief, calls = release.brief, calls_of_release(release)
    dataset = store.get(result.dataset, Dataset)
    of_all = 1.0 if brief.split.by == "time" else dataset.rows / dataset.split("test").examples
    scores, label = calls.watched(tested, examples.label)
    features = with_class(examples.features, release, tested)
    return Reference.freeze(
        dataclasses.replace(examples, label=label, features=features),
        scores,
        release=release.id,
        act_on=calls.act_on,
        value=brief.value,
        # Days of a test that was drawn across time hold a part of what live days will.
        sample=brief.monitor.share * of_all,
        task=release.task,
        windows=false_alarm_windows(brief.monitor),
        importance={share.feature: share.share for share in model.importance},
        previous_scores=previous,
        latency_p99_us=float(parse_span(brief.success.latency_p99)),
    )


def test_examples(store: Store, dataset: str) -> Examples:
    """Return the test split of a dataset."""
    from headway.data.freeze import load, to_examples

    frozen = store.get(dataset, Dataset)
    table = load(store.blobs.path(frozen.table), splits=("test",))
    return to_examples(table, frozen.features, classes=frozen.classes)


def test_part(store: Store, dataset: str, calls: Calls, *, split: Split) -> Part | None:
    """Return what the test split is of all examples, a quota being spent day by day; None where it is by time."""
    from headway.data.freeze import load
    from headway.nouns.part import Part

    if split.by == "time":
        return None
    table = load(store.blobs.path(store.get(dataset, Dataset).table))
    day = table["day"].to_numpy().astype(np.int64)
    here = table["split"].to_numpy(zero_copy_only=False) == "test"
    return Part.of(calls, Places(day=day, round=day), table["label"].to_numpy(), here=here)


def facts_of(store: Store, release: str) -> ReleaseFacts:
    """Return the blobs of a release.

    Raises
    ------
    NotFound
        When there is no such release.
    """
    found = store.book.get(f"release:{release}")
    if found is None:
        known = [made.release for made in store.ledger.releases()]
        raise NotFound(f"There is no release {release!r}.", hint=did_you_mean(release, known))
    return msgspec.convert(found, ReleaseFacts)


def release_of(store: Store, release: str) -> Release:
    """Return a release by its id."""
    return Release.from_json(store.blobs.read(facts_of(store, release).release))


def reference_of(store: Store, release: str) -> Reference:
    """Return what monitoring holds a release against."""
    from headway.monitor.reference import Reference

    return store.get(facts_of(store, release).reference, Reference)


def activate(store: Store, release: str, *, role: str = "champion", by: str, why: str) -> None:
    """Give a release a role."""
    release_of(store, release)
    champion = store.ledger.champion()
    replaces = champion.release if champion is not None and role == "champion" else ""
    store.record(ReleaseActivated(release=release, role=role, by=by, why=why, replaces=replaces))


def withdraw(store: Store, release: str, *, by: str, why: str) -> None:
    """Take every role from a release."""
    store.record(ReleaseWithdrawn(release=release, by=by, why=why))


def predecessor(store: Store) -> str:
    """Return the release that was champion before the present one and has not been rolled back; "" without one."""
    champion = store.ledger.champion()
    spans = [span for span in store.ledger.role_history() if span.role == "champion"]
    bad = {entry.event.release for entry in store.ledger.events(ReleaseRolledBack)}  # type: ignore[union-attr]
    for span in reversed(spans):
        if champion is not None and span.release != champion.release and span.release not in bad:
            return span.release
    return ""


def roll_back(store: Store, *, by: str, why: str, to: str = "") -> str:
    """Put the release before the present one (or ``to``) back, and return its id.

    Raises
    ------
    NotFound
        When nothing stands behind the present release.
    """
    champion = store.ledger.champion()
    if champion is None:
        raise NotFound("Nothing is deployed, so nothing can be rolled back.", hint="Deploy a release: headway deploy.")
    back_to = to or predecessor(store)
    if not back_to:
        raise NotFound(
            f"No release stands behind {champion.release}.",
            hint="Name one: headway rollback --to r1; or deploy another.",
        )
    release_of(store, back_to)
    store.record(ReleaseRolledBack(release=champion.release, back_to=back_to, by=by, why=why))
    return back_to


def quota_of(release: Release) -> ActOn:
    """Return which predictions of live traffic are acted on; a pilot has its share of a quota."""
    act_on, share = parse_act_on(release.brief.target.act_on), release.brief.monitor.share
    if not isinstance(act_on, Quota) or act_on.per == "group":  # a group is asked about whole or not at all
        return act_on
    return msgspec.structs.replace(act_on, k=max(1, round(act_on.k * share)))


def calls_of_release(release: Release) -> Calls:
    """Return how live predictions of a release are acted on."""
    return Calls(task=release.task, act_on=quota_of(release), value=release.brief.value, classes=release.classes)


def with_class(features: pa.Table, release: Release, said: NDArray[np.float64]) -> pa.Table:
    """Return features beside the class that a release holds likeliest: how often each is said is watched like them."""
    if not release.classes:
        return features
    import pyarrow as pa

    named = pa.array([release.classes[at] for at in said.argmax(axis=1)], pa.string())
    return features.append_column(CLASS_SAID, named)
