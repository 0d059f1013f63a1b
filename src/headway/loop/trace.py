"""One prediction, walked back to the rows it rests on and forward to what came of it.

Back: release, model, run, verdict, dataset, snapshots; then each feature, looked up once more among the raw rows of the
files as they were when the answer was given. Nothing about rows was stored: the log keeps the moment and the version
of the online store, the ledger says which snapshots that was filled from, and the definitions say what was asked
(``replay.py``). Why: what each feature added to the answer, where the brief asks for it (``why.py``). Forward: the
outcome, whether it was acted on, and the money by the brief's value. The file hides where each of these lies.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.errors import NotFound, StoreCorrupt
from headway.loop.manifests import files_of, snapshot_of
from headway.loop.releases import facts_of, release_of
from headway.loop.replay import replay
from headway.loop.sources import Material
from headway.loop.traced import (
    Trace,
    TracedDataset,
    TracedFile,
    TracedModel,
    TracedOutcome,
    TracedPrediction,
    TracedRelease,
    TracedRun,
    TracedSnapshot,
)
from headway.loop.watched import labels_of
from headway.loop.why import why
from headway.nouns.act_on import Quota, Threshold, parse_act_on
from headway.nouns.calls import Calls
from headway.nouns.clock import format_moment
from headway.nouns.dataset import Dataset
from headway.nouns.model import Model
from headway.nouns.verdict import Verdict
from headway.predictions.columns import to_table
from headway.predictions.reader import Reader
from headway.query.parts import parts_of
from headway.validate.words import metric_words, money_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headway.loop.store import Store
    from headway.nouns.prediction import Prediction
    from headway.nouns.release import Release
    from headway.nouns.snapshot import Snapshot
    from headway.nouns.task import Task

__all__ = ["trace"]


def trace(store: Store, prediction_id: str, *, rows: int = 5) -> Trace:
    """Return the way of a prediction, back to its source rows and forward to its money.

    Parameters
    ----------
    rows
        So many source rows are listed of each window; all of them are counted.

    Raises
    ------
    NotFound
        When no prediction has this id.
    StoreCorrupt
        When something on the way is damaged or gone.
    """
    found = _read(store, prediction_id)
    release = release_of(store, found.release)
    facts = facts_of(store, found.release)
    dataset = store.get(release.dataset, Dataset)
    as_of_us, looked_into = _looked_into(store, found, release)
    learned_from = {name: snapshot_of(store, digest) for name, digest in dataset.snapshots.items()}
    material = Material(
        brief=release.brief,
        as_of_us=as_of_us,
        snapshots=looked_into,
        columns=release.columns,
        files={name: parts_of(snapshot, store.blobs) for name, snapshot in looked_into.items()},
    )
    served = dict(zip((column.name for column in release.signature), found.features, strict=True))
    derived, features = replay(store, material, found, served, as_of_us=as_of_us, shown=rows)
    outcome = _outcome(store, found.id, release)
    model = store.get(facts.model, Model)
    return Trace(
        prediction=_prediction(found, release, served, as_of_us=as_of_us, lag_us=material.definitions.lag_us),
        release=_release(store, found, release),
        model=_model(model),
        run=_run(store, release.run),
        verdict=_verdict(store.get(facts.verdict, Verdict)),
        dataset=_dataset(release.dataset, dataset),
        snapshots=_snapshots(learned_from, looked_into),
        derived=derived,
        features=features,
        replayed_equal=all(feature.equal for feature in features),
        why=why(store, found, release, model),
        outcome=outcome,
        acted_on=found.act,
        money=_money(store, found, release),
        currency=release.brief.value.currency,
    )


def _read(store: Store, prediction_id: str) -> Prediction:
    try:
        return Reader(store.predictions).read(prediction_id.strip())
    except NotFound as error:
        error.hint = f"{error.hint} Ids stand in the replies ('id') and in what 'headway predict' wrote.".strip()
        raise


def _looked_into(store: Store, found: Prediction, release: Release) -> tuple[int, dict[str, Snapshot]]:
    """Return as of when, and in which snapshots, the answer's look-ups were made.

    Before a store is filled for the first time, it is what had been read when the answer was given.
    """
    filling = store.ledger.filling_of(found.store)
    sources = release.brief.sources
    if filling is not None:
        as_of_us, newest = filling.as_of_us, store.ledger.filled_from(filling, sources)
    else:
        as_of_us, newest = found.served_us, store.ledger.read_by(sources, moment_us=found.served_us)
    if missing := [name for name in release.brief.sources if name not in newest]:
        raise StoreCorrupt(
            f"The ledger has no snapshot of source {missing[0]!r} from before prediction {found.id}.",
            where=store.ledger.where,
            hint="Restore the ledger from a backup.",
        )
    return as_of_us, {name: snapshot_of(store, newest[name]) for name in release.brief.sources}


def _prediction(
    found: Prediction, release: Release, served: Mapping[str, Any], *, as_of_us: int, lag_us: int
) -> TracedPrediction:
    return TracedPrediction(
        id=found.id,
        served_at=format_moment(found.served_us),
        predict_at=format_moment(found.predict_at_us),
        look_at=format_moment(found.predict_at_us - lag_us),
        score=found.score,
        act=found.act,
        cutoff=release.cutoff,
        key=found.key,
        row=found.row,
        features=dict(served),
        stale=found.stale,
        store=found.store,
        store_as_of=format_moment(as_of_us),
        latency_us=found.latency_us,
        batch=found.batch,
        said=_said(found, release),
        line="" if release.cutoff == -sys.float_info.max else _amount(release.cutoff, release),
        probabilities=found.probabilities or {},
    )


def _said(found: Prediction, release: Release) -> str:
    """Return an answer in words."""
    if not found.probabilities:
        return _amount(found.score, release)
    act_on = parse_act_on(release.brief.target.act_on)
    meant = act_on.of if isinstance(act_on, Threshold) else found.likeliest
    also = "" if meant == found.likeliest else f" (the likeliest class is {found.likeliest})"
    return f"{meant} with {_amount(found.score, release)}{also}"


def _amount(score: float, release: Release) -> str:
    return f"{100 * score:.1f} %" if release.task in {"condition", "category"} else f"{score:.4g}"


def _release(store: Store, found: Prediction, release: Release) -> TracedRelease:
    spans = [span for span in store.ledger.roles_of(release.id) if span.role == "champion"]
    then = [span for span in spans if span.from_us <= found.served_us]
    span = then[-1] if then else (spans[0] if spans else None)
    return TracedRelease(
        id=release.id,
        role=span.role if span is not None else "",
        by=span.by if span is not None else "",
        why=span.why if span is not None else "",
        since=format_moment(span.from_us) if span is not None else "",
        until=format_moment(span.until_us) if span is not None and span.until_us is not None else "",
        made_at=format_moment(release.made_us),
        made_by=release.by,
    )


def _model(model: Model) -> TracedModel:
    return TracedModel(
        digest=model.digest,
        graph=model.graph,
        algorithm=model.algorithm,
        settings=model.settings,
        seed=model.seed,
        rows=model.rows,
        trained_from=format_moment(model.trained_from),
        trained_to=format_moment(model.trained_to),
    )


def _run(store: Store, name: str) -> TracedRun:
    run = store.ledger.run(name)
    return TracedRun(
        id=run.run,
        as_of=format_moment(run.as_of_us),
        seed=run.seed,
        reason=run.winner_reason or "",
        environment=run.environment,
        brief=run.brief,
    )


def _verdict(verdict: Verdict) -> str:
    """Return the verdict in one line."""
    failed = [gate.name for gate in verdict.gates if gate.blocking and not gate.passed]
    money = verdict.money
    state = "passed" if verdict.passed else f"failed {', '.join(failed)}"
    return (
        f"{state}: {metric_words(verdict.metric)} {verdict.score} "
        f"on {verdict.examples:,} unseen cases of {verdict.days} days, against {verdict.rule_score} of "
        f"{verdict.rule_name or 'no skill'}; worth {money_words(money.gain, money.currency)} a day more than "
        f"{money.counterfactual}"
    )


def _dataset(name: str, dataset: Dataset) -> TracedDataset:
    return TracedDataset(
        id=name,
        table=dataset.table,
        as_of=format_moment(dataset.as_of_us),
        rows={split.name: split.examples for split in dataset.splits},
        positives={split.name: split.positives for split in dataset.splits},
        void=sum(split.void for split in dataset.splits),
        snapshots=dataset.snapshots,
    )


def _snapshots(learned_from: Mapping[str, Snapshot], looked_into: Mapping[str, Snapshot]) -> tuple[TracedSnapshot, ...]:
    uses: dict[str, tuple[Snapshot, list[str]]] = {}
    for use, snapshots in (("learned from", learned_from), ("looked into", looked_into)):
        for snapshot in snapshots.values():
            uses.setdefault(snapshot.digest, (snapshot, []))[1].append(use)
    return tuple(
        TracedSnapshot(
            source=snapshot.source,
            version=version,
            rows=snapshot.rows,
            used_for=tuple(used_for),
            files=tuple(TracedFile(file=file, digest=digest, rows=rows) for file, digest, rows in files_of(snapshot)),
        )
        for version, (snapshot, used_for) in sorted(uses.items(), key=lambda item: item[1][0].source)
    )


def _outcome(store: Store, prediction: str, release: Release) -> TracedOutcome | None:
    stands = store.ledger.outcomes_of([prediction]).to_pylist()
    if not stands:
        return None
    (row,) = stands
    told: tuple[dict[str, Any], ...] = ()
    if row["status"] == "corrected":
        told = tuple(
            {
                "label": _label(each.label, each.category, release),
                "known_at": format_moment(each.known_us),
                "received_at": format_moment(each.received_us),
                "status": each.status,
            }
            for each in store.ledger.told_of(prediction)
        )
    return TracedOutcome(
        label=_label(row["label"], row["category"], release),
        known_at=format_moment(row["known_us"]),
        received_at=format_moment(row["received_us"]),
        status=row["status"],
        told=told,
    )


def _label(value: float | None, category: str | None, release: Release) -> bool | float | str | None:
    """Return an outcome in the terms of its target: the class, the number, or whether it came true."""
    if value is None or release.task == "category":
        return category
    return value > 0 if release.task == "condition" else value


def _money(store: Store, found: Prediction, release: Release) -> float | None:
    """Return what acting on one answer was worth; None where that is not known, or hangs on the others of its day."""
    act_on = parse_act_on(release.brief.target.act_on)
    label, _ = labels_of(store, to_table([found]), release)
    if np.isnan(label[0]) or (release.task == "number" and isinstance(act_on, Quota)):
        return None
    if not found.act:
        return 0.0
    task: Task = "condition" if release.task == "category" else release.task
    calls = Calls(task=task, act_on=act_on, value=release.brief.value)
    return float(calls.paid(np.array([found.score]), label, np.zeros(1, dtype=np.int64))[0])
