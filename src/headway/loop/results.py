"""What a project's verbs come to, as plain data to show; and the runs and datasets that are there to be shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from headway.errors import NotFound
from headway.nouns.trial import Setting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa

    from headway.ledger import Run
    from headway.loop.store import Store
    from headway.nouns.brief import Brief
    from headway.nouns.dataset import Dataset
    from headway.nouns.verdict import Verdict

__all__ = ["Checked", "Deployed", "RunReport", "RunResult", "datasets", "finished_run", "models_of", "report_of"]


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a run came to: digests of what it put into the store, and figures to show.

    ``model``, ``verdict`` and ``dataset`` are blobs; ``seconds`` and ``fit_seconds`` are of this call alone.
    """

    run: str
    brief: str
    as_of_us: int
    dataset: str
    model: str
    graph: str
    verdict: str
    tested_graph: str
    cutoff: float
    algorithm: str
    settings: dict[str, Setting]
    study: str
    reason: str
    stopped: str
    trials: int
    leaks_checked: int
    leaks_failed: tuple[str, ...]
    seconds: float
    fit_seconds: float
    steps: int
    reused: int


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What ``check`` found: the five questions with their evidence, and whether the way is open.

    Attributes
    ----------
    labels
        What the known labels are like, in a few words.
    contracts
        Which sources break their contract now, as :func:`~headway.loop.breaches.broken_contracts` tells it.
    """

    advice: dict[str, Any]
    labels: str
    answers: tuple[dict[str, Any], ...]
    closed_gates: tuple[str, ...]
    facts: dict[str, Any]
    contracts: tuple[dict[str, Any], ...] = ()


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``run`` came to, in figures to show.

    Attributes
    ----------
    contracts
        Which sources break their contract now, as :func:`~headway.loop.breaches.broken_contracts` tells it: what was
        refused of them is not in the model.
    """

    run: str
    as_of_us: int
    unchanged: bool
    features: int
    rows: dict[str, int]
    void: int
    leaks_checked: int
    leaks_failed: tuple[str, ...]
    trials: int
    study: str
    algorithm: str
    reason: str
    stopped: str
    verdict: dict[str, Any]
    passed: bool
    gates: tuple[str, ...]
    model: str
    dataset: str
    card: str
    seconds: float
    fit_seconds: float
    contracts: tuple[dict[str, Any], ...] = ()


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """What ``deploy`` and ``rollback`` put into service."""

    release: str
    model: str
    replaces: str
    store: str
    store_rows: int


def report_of(
    result: RunResult, card: str, dataset: Dataset, verdict: Verdict, *, contracts: Sequence[dict[str, Any]] = ()
) -> RunReport:
    """Return a run's result with what it says of its dataset and its model, and of the sources' contracts."""
    return RunReport(
        run=result.run,
        as_of_us=result.as_of_us,
        unchanged=result.reused == result.steps,
        features=len(dataset.features),
        rows={split.name: split.examples for split in dataset.splits},
        void=sum(split.void for split in dataset.splits),
        leaks_checked=result.leaks_checked,
        leaks_failed=result.leaks_failed,
        trials=result.trials,
        study=result.study,
        algorithm=result.algorithm,
        reason=result.reason,
        stopped=result.stopped,
        verdict=json.loads(msgspec.json.encode(verdict)),
        passed=verdict.passed,
        gates=tuple(str(gate) for gate in verdict.gates),
        model=result.model,
        dataset=result.dataset,
        card=card,
        seconds=result.seconds,
        fit_seconds=result.fit_seconds,
        contracts=tuple(contracts),
    )


def finished_run(store: Store, brief: Brief, run: str = "") -> RunResult:
    """Return the result of a run; of the newest of this brief where none is named.

    Raises
    ------
    NotFound
        When it is not there, or has not finished.
    """
    done = [each for each in store.ledger.runs() if each.state == "finished"]
    # The newest comes first. A retraining has other stretches of time, so a brief of its own: it is released by
    # whoever judges it, not by being the newest.
    own = [each.run for each in done if each.brief == brief.digest] or [each.run for each in done]
    wanted = run or (own[0] if own else "")
    found = store.book.get(f"run:{wanted}") if wanted else None
    if found is None:
        what = f"There is no finished run {run!r}." if run else "No run has finished."
        raise NotFound(what, hint="Make one: headway run.")
    return msgspec.convert(found, RunResult)


def models_of(store: Store, runs: Iterable[Run]) -> set[str]:
    """Return the models of runs, and those that their releases serve, by their digest as blobs.

    What a release serves may have learned once more, from all rows: it is another model than that of its run.
    """
    made = {run.run: run.model for run in runs}
    served = {each.model for each in store.ledger.releases() if each.run in made}
    return {model for model in made.values() if model} | served


def datasets(store: Store) -> pa.Table:
    """Return all frozen datasets as a table: which run, how many rows, from which versions of the sources."""
    import pyarrow as pa

    from headway.nouns.dataset import Dataset

    rows: list[dict[str, Any]] = []
    for run in store.ledger.runs():
        if run.dataset is not None:
            dataset = store.get(run.dataset, Dataset)
            rows.append(
                {
                    "dataset": dataset.digest,
                    "run": run.run,
                    "as_of_us": dataset.as_of_us,
                    **{str(split.name): split.examples for split in dataset.splits},
                    "void": sum(split.void for split in dataset.splits),
                    "features": len(dataset.features),
                    "snapshots": json.dumps(dataset.snapshots),
                }
            )
    return pa.Table.from_pylist(rows)
