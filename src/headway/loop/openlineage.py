"""The history of a project as OpenLineage run events: readings of sources, frozen datasets, trainings, deployments.

Everything follows from the ledger and from what it names, so that the same ledger gives the same bytes; nothing is sent
anywhere. The file hides which events of the ledger make up an execution, and what went in and came out of it.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass, field
from functools import singledispatchmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headway.errors import NO_ROOM, NotFound, StoreError, StoreFull
from headway.loop.lineage import brief_of, column_lineage
from headway.loop.manifests import files_of, snapshot_of
from headway.loop.openlineage_facets import Execution, assertion, dataset, facet, place_of_file, schema_of
from headway.loop.sources import definitions_of
from headway.nouns.dataset import Dataset
from headway.nouns.event import (
    GateJudged,
    ProjectOpened,
    ReleaseActivated,
    ReleaseMade,
    ReleaseRolledBack,
    RunFailed,
    RunFinished,
    RunStarted,
    SnapshotTaken,
    StepFinished,
)
from headway.nouns.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headway.ledger import Entry
    from headway.loop.store import Store
    from headway.nouns.snapshot import Snapshot

__all__ = ["Exported", "export_openlineage", "openlineage"]


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and where: events in all, and by job."""

    file: str
    events: int
    jobs: dict[str, int]


def openlineage(store: Store) -> Iterator[dict[str, Any]]:
    """Yield the run events of a project's history, in the order of the ledger.

    An execution that was interrupted and not taken up again has a START alone. A version or a dataset that was
    collected since is named without its columns.

    Raises
    ------
    StoreCorrupt
        When the ledger, or something that it names, is damaged.
    """
    teller = _Teller(store)
    for entry in store.ledger.events():
        yield from teller.tell(entry.event, entry)


def export_openlineage(store: Store, path: Path) -> Exported:
    """Write the events as JSON lines, whole or not at all.

    Raises
    ------
    StoreFull, StoreError
        When the file cannot be written.
    """
    jobs: dict[str, int] = {}
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as draft:
            try:
                for event in openlineage(store):
                    jobs[event["job"]["name"]] = jobs.get(event["job"]["name"], 0) + 1
                    draft.write(msgspec.json.encode(event) + b"\n")
                draft.flush()
                os.fsync(draft.fileno())
                Path(draft.name).chmod(0o644)
                Path(draft.name).replace(path)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        kind = StoreFull if error.errno in NO_ROOM else StoreError
        raise kind(
            f"The lineage cannot be written: {error.strerror}.", where=str(path), hint="Name another file with --out."
        ) from error
    return Exported(file=str(path), events=sum(jobs.values()), jobs=jobs)


@dataclass(slots=True)
class _Begun:
    """A run that has begun: what is known of it until it ends."""

    execution: Execution
    run: str
    began_us: int
    frozen_us: int = 0
    leaks: list[dict[str, Any]] = field(default_factory=list)


class _Teller:
    """Turns one entry of the ledger after the other into run events, remembering what later ones refer to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.namespace = "headway"
        self.begun: dict[str, _Begun] = {}
        self.current: _Begun | None = None
        self.files: dict[str, set[tuple[str, str]]] = {}
        self.contracts: dict[str, list[dict[str, Any]]] = {}
        self.releases: dict[str, ReleaseMade] = {}
        self.verdicts: dict[str, str] = {}
        self.gates: dict[tuple[str, str], dict[str, Any]] = {}

    @singledispatchmethod
    def tell(self, _: Any, entry: Entry) -> Iterator[dict[str, Any]]:  # noqa: ARG002  (the shape of all of them)
        """Yield the run events that follow from an entry; most have none."""
        yield from ()

    @tell.register(ProjectOpened)
    def _project_opened(self, event: ProjectOpened, _: Entry) -> Iterator[dict[str, Any]]:
        self.namespace = f"headway://{event.name}"
        yield from ()

    @tell.register(SnapshotTaken)
    def _snapshot_taken(self, event: SnapshotTaken, entry: Entry) -> Iterator[dict[str, Any]]:
        reading = self._execution(f"snapshot.{event.source}", event.snapshot, entry)
        snapshot = self._snapshot(event.snapshot)
        files = [] if snapshot is None else files_of(snapshot)
        # What this reading read: a file that stood so in the version before was not opened again.
        before = self.files.get(event.source, set())
        self.files[event.source] = {(name, digest) for name, digest, _ in files}
        read = [dataset(place_of_file(n), version=digest) for n, digest, _ in files if (n, digest) not in before]
        output = self._source(event.source, event.snapshot, rows=event.rows)
        yield reading.event("START", at_us=entry.effective_us, inputs=read)
        yield reading.event("COMPLETE", at_us=entry.effective_us, inputs=read, outputs=[output])

    @tell.register(RunStarted)
    def _run_started(self, event: RunStarted, entry: Entry) -> Iterator[dict[str, Any]]:
        if event.run in self.begun:  # taken up again after it had been interrupted
            self.current = self.begun[event.run]
            return
        self.current = self.begun[event.run] = _Begun(
            self._execution("run", event.run, entry), event.run, entry.effective_us
        )
        yield self.current.execution.event("START", at_us=entry.effective_us)

    @tell.register(StepFinished)
    def _step_finished(self, event: StepFinished, entry: Entry) -> Iterator[dict[str, Any]]:
        if event.key.startswith("contract:"):
            found = [assertion("contract", passed=False, description=words) for words in event.output["failed"]]
            self.contracts[event.key.rpartition(":")[2]] = found or [assertion("contract", passed=True)]
        elif event.step == "freeze" and "digest" in event.output and self.current is not None:
            self.current.frozen_us = entry.effective_us
        elif event.step == "leaks" and self.current is not None:
            self.current.leaks = [_of_leak(check) for check in event.output.get("checks", ())]
        yield from ()

    @tell.register(RunFinished)
    def _run_finished(self, event: RunFinished, entry: Entry) -> Iterator[dict[str, Any]]:
        begun = self._ended(event.run)
        if begun is None:
            return
        self.verdicts[event.run] = event.verdict
        examples = self._dataset(event.dataset)
        # A step's time is the machine's own, which a project's clock need not agree with; without one it was reused.
        frozen_us = min(max(begun.frozen_us, begun.began_us), entry.effective_us)
        freeze = Execution(
            namespace=self.namespace, job="freeze", identity=begun.execution.identity, parent=begun.execution
        )
        inputs = (
            []
            if examples is None
            else [
                self._source(name, version, assertions=self.contracts.get(version, []))
                for name, version in sorted(examples.snapshots.items())
            ]
        )
        frozen = self._examples(begun.run, event.dataset, examples)
        yield freeze.event("START", at_us=begun.began_us, inputs=inputs)
        yield freeze.event("COMPLETE", at_us=frozen_us, inputs=inputs, outputs=[frozen])
        train = Execution(
            namespace=self.namespace, job="train", identity=begun.execution.identity, parent=begun.execution
        )
        learned = dataset(
            (self.namespace, "examples"), version=event.dataset, facets=_schema(frozen), assertions=begun.leaks
        )
        model = dataset((self.namespace, "model"), version=event.model)
        yield train.event("START", at_us=frozen_us, inputs=[learned])
        yield train.event("COMPLETE", at_us=entry.effective_us, inputs=[learned], outputs=[model])
        yield begun.execution.event("COMPLETE", at_us=entry.effective_us, inputs=inputs, outputs=[model])

    @tell.register(RunFailed)
    def _run_failed(self, event: RunFailed, entry: Entry) -> Iterator[dict[str, Any]]:
        if (begun := self._ended(event.run)) is not None:
            message = facet("errorMessage", message=event.error, programmingLanguage="Python")
            yield begun.execution.event("FAIL", at_us=entry.effective_us, facets={"errorMessage": message})

    @tell.register(GateJudged)
    def _gate_judged(self, event: GateJudged, _: Entry) -> Iterator[dict[str, Any]]:
        run = event.evidence.get("run")
        if isinstance(run, str):
            why = event.why or " ".join(event.closed)
            self.gates[run, event.gate] = assertion("gate", passed=event.passed, name=event.gate, description=why)
        yield from ()

    @tell.register(ReleaseMade)
    def _release_made(self, event: ReleaseMade, _: Entry) -> Iterator[dict[str, Any]]:
        self.releases[event.release] = event
        yield from ()

    @tell.register(ReleaseActivated)
    def _release_activated(self, event: ReleaseActivated, entry: Entry) -> Iterator[dict[str, Any]]:
        return self._deployed(event.release, event.role, entry)

    @tell.register(ReleaseRolledBack)
    def _release_rolled_back(self, event: ReleaseRolledBack, entry: Entry) -> Iterator[dict[str, Any]]:
        return self._deployed(event.back_to, "champion", entry)

    # -- what they share

    def _deployed(self, release: str, role: str, entry: Entry) -> Iterator[dict[str, Any]]:
        made = self.releases[release]
        deploy = self._execution("deploy", f"{release}\n{made.model}\n{role}", entry)
        tests = [found for (run, _), found in sorted(self.gates.items()) if run == made.run]
        tests += self._tests(self.verdicts.get(made.run, ""))
        inputs = [dataset((self.namespace, "model"), version=self._model_of(made), assertions=tests)]
        output = dataset((self.namespace, f"service.{role}"), version=release)
        yield deploy.event("START", at_us=entry.effective_us, inputs=inputs)
        yield deploy.event("COMPLETE", at_us=entry.effective_us, inputs=inputs, outputs=[output])

    def _model_of(self, made: ReleaseMade) -> str:
        """Return the model as training named it; a release's own name of it says how it was packaged, too."""
        return self.store.ledger.run(made.run).model or made.model

    def _execution(self, job: str, digest: str, entry: Entry) -> Execution:
        # A source may go back to a version, and a release to a role: the place in the ledger tells them apart.
        return Execution(namespace=self.namespace, job=job, identity=(digest, str(entry.seq)))

    def _ended(self, run: str) -> _Begun | None:
        self.current = None
        return self.begun.pop(run, None)  # begun once more after its end, it is another execution

    def _snapshot(self, version: str) -> Snapshot | None:
        with contextlib.suppress(NotFound):  # collected: its name is all that is left
            return snapshot_of(self.store, version)
        return None

    def _dataset(self, digest: str) -> Dataset | None:
        with contextlib.suppress(NotFound):
            return self.store.get(digest, Dataset)
        return None

    def _tests(self, verdict: str) -> list[dict[str, Any]]:
        with contextlib.suppress(NotFound):
            gates = self.store.get(verdict, Verdict).gates if verdict else ()
            return [
                assertion(
                    "verdict",
                    passed=gate.passed,
                    blocks=gate.blocking,
                    name=gate.name,
                    description=gate.note,
                    expected=gate.wanted,
                    actual=gate.found,
                )
                for gate in gates
            ]
        return []

    def _source(
        self, name: str, version: str, *, rows: int | None = None, assertions: list[dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        snapshot = self._snapshot(version)
        columns = {} if snapshot is None else {"schema": schema_of((c.name, c.kind) for c in snapshot.columns)}
        return dataset(
            (self.namespace, f"source.{name}"), version=version, facets=columns, rows=rows, assertions=assertions or ()
        )

    def _examples(self, run: str, digest: str, examples: Dataset | None) -> dict[str, Any]:
        place = (self.namespace, "examples")
        if examples is None:
            return dataset(place, version=digest)
        snapshots = {name: self._snapshot(version) for name, version in examples.snapshots.items()}
        facets = {"schema": schema_of(_columns(examples))}
        known = {name: snapshot for name, snapshot in snapshots.items() if snapshot is not None}
        if len(known) == len(snapshots):
            facets["columnLineage"] = facet("columnLineage", fields=self._lineage(run, examples, known))
        return dataset(place, version=digest, facets=facets, rows=examples.rows)

    def _lineage(self, run: str, examples: Dataset, snapshots: dict[str, Snapshot]) -> dict[str, Any]:
        """Return the raw columns behind each feature; a look-up's keys and moments count, as they choose the rows."""
        definitions = definitions_of(brief_of(self.store, self.store.ledger.run(run)), snapshots)
        fields: dict[str, Any] = {}
        for column in examples.features:
            found = column_lineage(definitions, column.name)
            fields[f"feature:{column.name}"] = {
                "inputFields": [
                    {
                        "namespace": self.namespace,
                        "name": f"source.{source}",
                        "field": name,
                        "transformations": [
                            {"type": "DIRECT", "subtype": "TRANSFORMATION", "description": found.definition}
                        ],
                    }
                    for source, _, name in (each.partition(".") for each in found.comes_from)
                ]
            }
        return fields


def _columns(examples: Dataset) -> list[tuple[str, str]]:
    return [
        *(("split", "category"), ("predict_at", "time"), ("label_known_at", "time"), ("label", "number")),
        *((f"key:{name}", "key") for name in examples.key),
        *((f"segment:{name}", "category") for name in examples.segments),
        *((f"feature:{column.name}", column.kind) for column in examples.features),
    ]


def _schema(found: dict[str, Any]) -> dict[str, Any]:
    facets = found["facets"]
    return {"schema": facets["schema"]} if "schema" in facets else {}


def _of_leak(check: dict[str, Any]) -> dict[str, Any]:
    return assertion(
        "leak", passed=check["passed"], name=check["name"], description=check["subject"],
        expected=check["wanted"], actual=check["found"],
    )  # fmt: skip
