"""The project: the one deep class that people, the command line and the HTTP server hold.

It puts the parts together — folder, clock, store, progress — and hides all of them. Every method does one thing that a
person would ask for by name and returns plain data; nothing here prints, and nothing here asks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import headway
from headway.errors import BriefError, HeadwayError, NotFound
from headway.nouns.clock import Clock, FileClock, FixedClock, SystemClock, parse_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    import pyarrow as pa

    from headway.define.facts import Facts
    from headway.define.questions import Answer
    from headway.deploy.batch import BatchReport
    from headway.engine.progress import Progress
    from headway.loop.gates import GateState
    from headway.loop.lineage import ColumnLineage, ExampleLineage, SnapshotLineage
    from headway.loop.openlineage import Exported
    from headway.loop.project_data import ProjectData
    from headway.loop.results import Checked, Deployed, RunReport, RunResult
    from headway.loop.sources import Material
    from headway.loop.store import Store
    from headway.loop.tend import Tended
    from headway.loop.traced import Trace
    from headway.nouns.brief import Brief
    from headway.nouns.verdict import Verdict

__all__ = ["BRIEF_FILE", "CLOCK_VARIABLE", "Project"]

BRIEF_FILE = "headway.toml"

CLOCK_VARIABLE = "HEADWAY_CLOCK"
"""Names a clock file: a replay sets it for the processes that must live in its time."""


class Project:
    """A folder with a brief, and everything that has become of it.

    Use it as a context manager, or close it.

    Examples
    --------
    >>> with Project.open("flights") as project:            # doctest: +SKIP
    ...     project.run()
    ...     project.deploy(by="Ada")
    ...     project.predict([{"carrier": "UA", "origin": "EWR"}])
    """

    def __init__(self, folder: Path, *, clock: Clock, progress: Progress | None = None) -> None:
        self.folder = folder
        self._clock = clock
        self._progress = progress
        self._store: Store | None = None
        self._parsed: tuple[str, Brief] | None = None

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str] = ".",
        *,
        as_of: str = "",
        clock: Clock | None = None,
        progress: Progress | None = None,
    ) -> Project:
        """Open the project in ``folder``, or in the nearest folder above that has a brief.

        Parameters
        ----------
        as_of
            A day or a moment that counts as now; nothing that became known later is seen.
        clock
            What tells the time instead of the wall.

        Raises
        ------
        NotFound
            When no folder up to the root has a ``headway.toml``.
        """
        start = Path(folder).resolve()
        found = next((each for each in (start, *start.parents) if (each / BRIEF_FILE).is_file()), None)
        if found is None:
            raise NotFound(
                f"There is no {BRIEF_FILE} in {start} or above it.",
                hint="Begin one from your data: headway init --data FILE.",
            )
        project = cls(found, clock=clock or SystemClock(), progress=progress)
        if as_of:
            project._clock = FixedClock(parse_moment(as_of, zone=project.brief.split.zone))
        elif clock is None and os.environ.get(CLOCK_VARIABLE):
            project._clock = FileClock(Path(os.environ[CLOCK_VARIABLE]))
        return project

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what is held open; the project opens it again when asked something."""
        if self._store is not None:
            self._store.close()
            self._store = None

    # -- Define

    @property
    def brief_text(self) -> str:
        """The brief as written."""
        path = self.folder / BRIEF_FILE
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise BriefError(f"The brief is not UTF-8 text: {error.reason}.", where=str(path)) from None

    @property
    def brief(self) -> Brief:
        """The problem definition, read anew each time: it may have been edited."""
        from headway.nouns.brief_text import parse_brief

        text = self.brief_text
        if self._parsed is None or self._parsed[0] != text:
            self._parsed = text, parse_brief(text, file=BRIEF_FILE)
        return self._parsed[1]

    def check(self) -> Checked:
        """Hold the brief against the data, and answer the five questions with evidence.

        Raises
        ------
        BriefError, SourceError, DataError
            Naming the line of the brief, or the file, that cannot stand.
        """
        from headway.define.questions import advice_of, gate_of
        from headway.define.supply_evidence import labels_said
        from headway.loop.breaches import broken_contracts
        from headway.loop.gates import judge_define, still_closed
        from headway.loop.results import Checked

        answers, facts = self._answers()
        judge_define(self.store, self.brief, gate_of(answers))
        return Checked(
            advice=msgspec.to_builtins(advice_of(answers)),
            answers=tuple(msgspec.to_builtins(answer) for answer in answers),
            closed_gates=tuple(gate.name for gate in still_closed(self.store, gate_of(answers))),
            labels=labels_said(facts),
            facts=msgspec.to_builtins(facts),
            contracts=tuple(broken_contracts(self.store)),
        )

    def override(self, gate: str, *, by: str, why: str) -> None:
        """Pass a closed gate under a name and with a reason, which the ledger keeps.

        The permission is for what the gate was closed on: when that changes, it is closed again.

        Raises
        ------
        NotFound
            When no such gate is closed.
        """
        from headway.loop.gates import closed_gate, override

        closed = closed_gate(self.store, self.brief, gate, asked=lambda: self._answers()[0])
        override(self.store, closed, by=by, why=why)

    def gates(self) -> tuple[GateState, ...]:
        """Say how each gate between two stages stands, on what evidence, and who passed it when."""
        from headway.loop.gates import gates

        return gates(self.store, self.brief)

    def _answers(self) -> tuple[tuple[Answer, ...], Facts]:
        """Return the five answers and the figures behind them."""
        from headway.define.feasible import gather
        from headway.define.questions import five_questions

        with self._placed():
            material = self.material()
            facts = gather(material.definitions, material.snapshots, material.files, as_of_us=self.store.now_us())
        return five_questions(material.brief, facts), facts

    # -- Data, Build, Validate

    def features(self) -> list[dict[str, Any]]:
        """Return what each feature is: type, unit, lineage to columns, what may be missing, and what it costs.

        Raises
        ------
        BriefError, SourceError
            Naming the line of the brief, or the file, that cannot stand.
        """
        from headway.loop.features import listed

        with self._placed():
            return listed(self.store, self.material())

    def suggest(self, *, write: int = 0) -> list[dict[str, Any]]:
        """Return features that the brief could have, what makes its metric best on the validation side first.

        Parameters
        ----------
        write
            So many of those that surely add something are written into the brief, whose comments stay.

        Raises
        ------
        DataError
            When a side has too few examples, or too much alike.
        """
        from headway.loop.features import write_features
        from headway.loop.suggest import suggest

        with self._placed():
            material = self.material()
            found = suggest(material.definitions, material.files, as_of_us=self.store.now_us())
            if write:
                write_features(self.folder / BRIEF_FILE, [each.toml for each in found if each.low > 0][:write])
        return [msgspec.to_builtins(each) for each in found]

    def run(self) -> RunReport:
        """Take the whole way from the sources to a judged and packaged model; only what has changed is done.

        Raises
        ------
        GateClosed
            When a question about the decision is open.
        StoreBusy
            When another process is at it.
        """
        from headway.define.decision import decision_gates
        from headway.loop.breaches import broken_contracts
        from headway.loop.gates import failed_verdict, judge_gate, refuse_closed, refuse_undecided
        from headway.loop.results import report_of
        from headway.loop.train import train
        from headway.nouns.dataset import Dataset
        from headway.nouns.verdict import Verdict

        refuse_undecided(self.store, self.brief)
        with self._placed(), self.store.ledger.lease("run", owner=self.store.owner):
            material = self.material()
            broken = broken_contracts(self.store)  # as the sources were read for this run
            refuse_closed(self.store, self.brief, names=("data-build",))
            result = train(self.store, material, as_of_us=self.store.now_us(), brief_text=self.brief_text)
            card = self.store.reports / f"{result.run}-card.md"
            if not card.exists():  # the same run has the same card
                from headway.loop.card import write_card

                write_card(self.store, material, result, card)
        verdict = self.store.get(result.verdict, Verdict)
        judge_gate(self.store, self.brief, "define-data", decision_gates(self.brief))
        judge_gate(self.store, self.brief, "build-validate", why=result.reason)
        judge_gate(self.store, self.brief, "validate-deploy", failed_verdict(result.run, result.verdict, verdict))
        dataset = self.store.get(result.dataset, Dataset)
        return report_of(result, str(card), dataset, verdict, contracts=broken)

    # -- Deploy

    def deploy(self, run: str = "", *, by: str = "", why: str = "", override: str = "") -> Deployed:
        """Make a release of a run (the newest by default) and put it into service.

        Raises
        ------
        NotFound
            When there is no finished run.
        GateClosed
            When its verdict failed and nobody overrides it.
        """
        from headway.loop.gates import refuse_closed, refuse_undecided
        from headway.loop.releases import activate, make_release

        refuse_undecided(self.store, self.brief)
        result = self._finished(run)
        by = by or self.store.owner

        def release(material: Material) -> None:
            refuse_closed(self.store, self.brief, names=("data-build",))
            made = make_release(self.store, material, result, by=by, override=override)
            activate(self.store, made.id, by=by, why=why or result.reason)

        return self._into_service(release)

    def rollback(self, *, to: str = "", by: str = "", why: str = "") -> Deployed:
        """Put the release before the present one back into service."""
        from headway.loop.releases import roll_back

        return self._into_service(
            lambda _: roll_back(self.store, to=to, by=by or self.store.owner, why=why or "asked for")
        )

    def materialize(self) -> dict[str, Any]:
        """Fill the online store with what is known now."""
        from headway.loop.filling import materialise

        with self._placed():
            return materialise(self.store, self.material)

    def activate(self, release: str, *, by: str, why: str) -> Deployed:
        """Put a release that was made before into service."""
        from headway.loop.releases import activate

        return self._into_service(lambda _: activate(self.store, release, by=by, why=why))

    def _into_service(self, change: Callable[[Material], object]) -> Deployed:
        from headway.loop.filling import fill_online, filling
        from headway.loop.results import Deployed

        with filling(self.store):
            material = self.material()  # what cannot be read is said before anything changes
            before = self.store.ledger.champion()
            change(material)
            filled = fill_online(self.store, material)
            after = self.store.ledger.champion()
        assert after is not None
        return Deployed(
            release=after.release,
            model=after.model,
            replaces=before.release if before is not None and before.release != after.release else "",
            store=filled["store"],
            store_rows=filled["rows"],
        )

    def predict(self, rows: Any) -> Any:
        """Answer a table of requests with the release in service, and log the answers.

        Parameters
        ----------
        rows
            An Arrow table, a Polars or pandas frame, or a sequence of dicts, with the columns of a request. Moments
            are timestamps or ISO 8601 text; one without a zone is local to the source.

        Returns
        -------
        pyarrow.Table or pandas.DataFrame
            ``id``, ``score``, ``act``, ``release``, ``predict_at``, in the order of ``rows``; pandas for pandas.
        """
        from headway.deploy.batch import predict_table
        from headway.deploy.frames import as_arrow
        from headway.deploy.serving import load_predictor, read_current

        predictor = load_predictor(read_current(self.store.serving), self.store.blobs)
        found = predict_table(predictor, as_arrow(rows), log=self.store.predictions, now_us=self.store.now_us())
        return found.to_pandas() if type(rows).__module__.split(".")[0] == "pandas" else found

    def predict_file(self, source: str | os.PathLike[str], out: str | os.PathLike[str]) -> BatchReport:
        """Answer all rows of a file into another, with the release in service, and log the answers.

        Look-ups go to the sources as they are now, as of each row's own moment, so rows of any age can be asked about.

        Raises
        ------
        RequestError
            When a row breaks the contract; nothing was logged or written then.
        """
        from headway.deploy.batch import Batch
        from headway.deploy.serving import read_current, release_definitions
        from headway.graph.scorer import GraphScorer

        current = read_current(self.store.serving)
        release = current.release
        with self._placed():
            material = self.material()
            batch = Batch(
                release_definitions(release),
                GraphScorer(self.store.blobs.read(release.graph), output=release.output),
                release,
                files=material.files,
                as_of_us=self.store.now_us(),
                store=current.store.digest,
            )
            return batch.predict_file(Path(source), Path(out), log=self.store.predictions, now_us=self.store.now_us())

    # -- Monitor, Loop

    def outcomes(
        self, rows: str | os.PathLike[str] | Sequence[Mapping[str, Any]], *, strict: bool = True
    ) -> dict[str, Any]:
        """Join what really happened to what was predicted; a file, or rows.

        Parameters
        ----------
        strict
            Refuse all of them when a prediction is not known; else such outcomes are left out and counted.

        Returns
        -------
        dict
            How many were accepted, corrected, doubled, void, unknown.
        """
        from headway.loop.outcomes import read_outcomes, receive

        if isinstance(rows, str | os.PathLike):
            path = Path(rows)
            found, where = read_outcomes(path), path.name
        else:
            found, where = [dict(row) for row in rows], ""
        event = receive(self.store, self.brief, found, where=where, strict=strict)
        return msgspec.to_builtins(event)  # type: ignore[no-any-return]

    def tend(self, *, refresh: bool = True) -> Tended:
        """Take one round of keeping the model alive.

        Parameters
        ----------
        refresh
            Whether to fill the online store anew, too.

        Raises
        ------
        StoreBusy
            When another process is at it.
        """
        from headway.loop.tend import tend

        with self._placed(), self.store.ledger.lease("tend", owner=self.store.owner):
            return tend(self.store, self.brief, self.material, refresh=refresh)

    # -- what has become of it

    def trace(self, prediction: str) -> Trace:
        """Walk from a prediction back to the source rows behind it, and forward to outcome and money."""
        from headway.loop.trace import trace

        return trace(self.store, prediction)

    def example_lineage(self, *key: str, run: str = "") -> ExampleLineage:
        """Return the source rows of an example's label and features; its key's values in order, or NAME=VALUE."""
        from headway.loop.lineage import example_lineage

        columns = self.brief.example_key
        named = (each.partition("=") for each in key if "=" in each)
        given = {name: value for name, _, value in named if name in columns} or dict(zip(columns, key, strict=False))
        return example_lineage(self.store, given, run=run)

    def column_lineage(self, name: str) -> ColumnLineage:
        """Return what a feature or ``source.column`` comes from, and what uses it."""
        from headway.loop.lineage import column_lineage

        return column_lineage(self.material().definitions, name)

    def snapshot_lineage(self, digest: str) -> SnapshotLineage:
        """Return all that was built on a version of a source."""
        from headway.loop.lineage import snapshot_lineage

        return snapshot_lineage(self.store, digest)

    def openlineage(self, path: str | os.PathLike[str]) -> Exported:
        """Write the project's history as OpenLineage run events, a line each, to a file; nothing is sent anywhere."""
        from headway.loop.openlineage import export_openlineage

        return export_openlineage(self.store, Path(path))

    def status(self) -> dict[str, Any]:
        """Say how things stand, in figures that fit one screen."""
        from headway.loop.status import status

        return status(self.store, self.brief)

    def history(self) -> list[dict[str, Any]]:
        """Return what happened, oldest first, one plain line each."""
        from headway.loop.status import history

        return history(self.store)

    def table(self, name: str) -> pa.Table:
        """Return ``runs``, ``trials``, ``releases``, ``findings``, ``windows``, ``outcomes`` or ``snapshots``."""
        return self.store.ledger.table(name)

    def runs(self) -> pa.Table:
        """Return all runs as a table."""
        return self.table("runs")

    def datasets(self) -> pa.Table:
        """Return all frozen datasets as a table: which run, how many rows, from which versions of the sources."""
        from headway.loop.results import datasets

        return datasets(self.store)

    def findings(self) -> pa.Table:
        """Return all findings as a table."""
        return self.table("findings")

    def verdict(self, run: str = "") -> Verdict:
        """Return what the test said of a run's model."""
        from headway.nouns.verdict import Verdict

        return self.store.get(self._finished(run).verdict, Verdict)

    # -- the parts

    @property
    def data(self) -> ProjectData:
        """The versions of the sources: listed, compared, written out, checked, compacted, collected, erased from."""
        from headway.loop.project_data import ProjectData

        return ProjectData(self.store, lambda: self.brief)

    @property
    def clock(self) -> Clock:
        """What tells the time here."""
        return self._clock

    @property
    def store(self) -> Store:
        """The open store, opened when first asked for."""
        if self._store is None:
            from headway.loop.store import Store

            self._store = Store.open(
                self.folder, clock=self._clock, progress=self._progress, version=headway.__version__
            )
        return self._store

    def material(self) -> Material:
        """Read the sources as they are now, and resolve the brief against them."""
        from headway.loop.sources import take_snapshots

        return take_snapshots(self.store, self.brief)

    def _finished(self, run: str) -> RunResult:
        from headway.loop.results import finished_run

        return finished_run(self.store, self.brief, run)

    def _placed(self) -> _Placed:
        return _Placed(self)


class _Placed:
    """Gives errors that name a key of the brief the line at which the key stands."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, HeadwayError):
            from headway.nouns.brief_text import place

            place(error, self._project.brief_text, BRIEF_FILE)
