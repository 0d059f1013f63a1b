"""One experiment, from snapshots to a judged, packaged model: the steps, and what each one's result depends on.

Freeze the dataset; look for leaks; search on train and validate; judge the winner once on the test; refit on all that
was known before deployment and package it. Each step stands in the ledger under the key of all it depends on, so an
interrupted run goes on where it stopped, and an unchanged one has nothing to do. The stages are imported where they
are called: a run that finds everything done must not wait for learning libraries to load.
"""

from __future__ import annotations

import hashlib
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import headway
from headway.errors import DataError
from headway.loop.sources import Material
from headway.loop.store import Store
from headway.nouns.brief import Brief, Quota, Split, Threshold, parse_act_on
from headway.nouns.clock import format_moment
from headway.nouns.dataset import Dataset
from headway.nouns.event import BriefSeen, RunFailed, RunFinished, RunStarted, TrialFinished
from headway.nouns.interval import Interval
from headway.nouns.model import Model
from headway.nouns.trial import Setting, Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headway.build.learner import Fitted
    from headway.nouns.examples import Examples
    from headway.nouns.trial import Scored

__all__ = ["RunResult", "Training", "environment", "train"]

DRAWS = 500
"""Resamples of days behind each interval of a run: enough for two digits, cheap enough for every trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run came to, as digests into the store and figures to show."""

    run: str
    brief: str
    as_of_us: int
    dataset: str
    model: str
    graph: str
    verdict: str
    cutoff: float
    winner: Trial
    reason: str
    stopped: str
    trials: int
    leaks: int
    leaks_failed: tuple[str, ...]
    seconds: float
    fit_seconds: float
    resumed_steps: int
    steps: int


class Training:
    """A run in progress: the store, the material, and the steps already taken.

    Parameters
    ----------
    settings
        An algorithm and its settings to use instead of a search, as a retraining does.
    split
        Stretches of time to use instead of the brief's, as a retraining does.
    """

    def __init__(
        self,
        store: Store,
        material: Material,
        *,
        as_of_us: int,
        split: Split | None = None,
        settings: tuple[str, Mapping[str, Setting]] | None = None,
    ) -> None:
        brief = material.brief if split is None else msgspec.structs.replace(material.brief, split=split)
        self.store = store
        self.brief = brief
        self.material = Material(
            brief=brief,
            snapshots=material.snapshots,
            definitions=_with_brief(material, brief),
            files=material.files,
        )
        self.settings = settings
        self.as_of_us = self._as_of(as_of_us)
        self.reused = 0
        self.steps = 0
        self.fit_seconds = 0.0
        self._held: dict[str, Fitted] = {}
        self._examples: dict[tuple[str, ...], Examples] = {}

    # -- the steps

    def dataset(self) -> Dataset:
        """Freeze the examples."""

        def make() -> dict[str, Any]:
            from headway.data.freeze import freeze  # noqa: PLC0415

            self.store.progress.begin("features as known at each moment")
            dataset = freeze(
                self.material.definitions,
                self.material.snapshots,
                self.material.files,
                as_of_us=self.as_of_us,
                store=self.store.blobs,
            )
            self.store.progress.end()
            return {"dataset": self.store.put(dataset)}

        defined = {"sources", "target", "features", "split", "baseline", "serve", "success"}
        parts = {name: getattr(self.brief, name) for name in sorted(defined)}
        output = self._step("freeze", make, parts, self._versions(), self.as_of_us, code="data query nouns")
        return self.store.get(output["dataset"], Dataset)

    def leaks(self, dataset: Dataset) -> dict[str, Any]:
        """Look for signs of leaks in the whole dataset."""

        def make() -> dict[str, Any]:
            from headway.validate.leaks import find_leaks  # noqa: PLC0415

            self.store.progress.begin("looking for leaks")
            table, examples = self._table(dataset, ("train", "validate", "test"))
            checks = find_leaks(
                examples.features, examples.label, table["split"].to_numpy(zero_copy_only=False), key=examples.key,
                seed=self.brief.search.seed,
            )  # fmt: skip
            self.store.progress.end()
            failed = [str(check) for check in checks if not check.passed]
            return {"checked": len(checks), "failed": failed, "checks": msgspec.to_builtins(checks)}

        return self._step("leaks", make, dataset.digest, code="validate nouns")

    def search(self, dataset: Dataset) -> tuple[Trial, dict[str, Any]]:
        """Search settings on train and validate; with given settings there is one trial."""
        study = _key("study", dataset.digest, self.brief.search, self.brief.success, self.brief.value, _code("build nouns"))

        def make() -> dict[str, Any]:
            from headway.build.search import search  # noqa: PLC0415

            self.store.progress.begin("trying models", total=self.brief.search.trials)
            book = _Book(self.store)
            result = search(
                self.examples(dataset, "train"),
                self.examples(dataset, "validate"),
                search=self.brief.search,
                success=self.brief.success,
                value=self.brief.value,
                score=self._score,
                book=book,
                study=study,
                progress=self._trial_done,
            )
            self.store.progress.end()
            self.fit_seconds += sum(trial.fit_seconds for trial in result.trials if trial.number in book.fresh)
            if result.fitted is not None:
                self._held["train"] = result.fitted
            return {
                "winner": result.winner.number,
                "reason": result.reason,
                "stopped": result.stopped_because,
                "trials": len(result.trials),
            }

        output = self._step("search", make, study)
        winner = _Book(self.store).get(study, output["winner"])
        assert winner is not None
        return winner, output

    def judge(self, dataset: Dataset, algorithm: str, settings: Mapping[str, Setting]) -> dict[str, Any]:
        """Judge the chosen settings once, on examples that nothing was chosen on."""

        def make() -> dict[str, Any]:
            from headway.build.package import package  # noqa: PLC0415
            from headway.build.parity import prove_parity  # noqa: PLC0415
            from headway.graph.scorer import GraphScorer  # noqa: PLC0415
            from headway.validate.judge import judge  # noqa: PLC0415

            self.store.progress.begin("judging on the test")
            test = self.examples(dataset, "test")
            fitted = self._fitted(dataset, ("train",), algorithm, settings)
            graph = package(fitted, signature=fitted.signature)
            parity = prove_parity(graph, fitted, test, act_on=self.act_on)
            scorer = GraphScorer(graph)
            score = scorer.score(test.features)
            verdict = judge(
                score,
                test,
                success=self.brief.success,
                value=self.brief.value,
                act_on=self.act_on,
                rule_name=self.brief.baseline.rule,
                latency_us=_latencies(scorer, test),
                seed=self.brief.search.seed,
                draws=DRAWS,
            )
            self.store.progress.end()
            return {
                "verdict": self.store.put(verdict),
                "graph": self.store.blobs.put(graph),
                "parity": msgspec.to_builtins(parity),
                "cutoff": _cutoff(score, test.day, self.act_on),
            }

        return self._step(
            "judge", make, dataset.digest, algorithm, settings, self.brief.search.seed, self.brief.success,
            self.brief.value, self.brief.target, self.brief.baseline, self._versions(), code="build validate graph nouns",
        )  # fmt: skip

    def package(self, dataset: Dataset, algorithm: str, settings: Mapping[str, Setting]) -> dict[str, Any]:
        """Fit once more on all that the brief allows, package as one graph, and prove that it is the same model."""
        splits = ("train",) if self.brief.split.refit == "train only" else ("train", "validate", "test", "after")

        def make() -> dict[str, Any]:
            from headway.build.learner import importance  # noqa: PLC0415
            from headway.build.package import OPSET, library_versions, package  # noqa: PLC0415
            from headway.build.parity import prove_parity  # noqa: PLC0415

            self.store.progress.begin("packaging")
            fitted = self._fitted(dataset, splits, algorithm, settings)
            graph = package(fitted, signature=fitted.signature)
            examples = self.examples(dataset, *splits)
            parity = prove_parity(graph, fitted, self.examples(dataset, "test"), act_on=self.act_on)
            model = Model(
                graph=self.store.blobs.put(graph),
                signature=fitted.signature,
                algorithm=algorithm,
                settings=dict(settings),
                seed=self.brief.search.seed,
                rows=len(examples),
                trained_from=int(examples.predict_at[0]),
                trained_to=int(examples.predict_at[-1]),
                parity=parity,
                opset=dict(OPSET),
                libraries=library_versions(),
                importance=importance(fitted, examples.features),
                interpretability=fitted.interpretability,
                complexity=fitted.complexity,
            )
            self.store.progress.end()
            return {"model": self.store.put(model), "graph": model.graph, "digest": model.digest}

        return self._step(
            "package", make, dataset.digest, splits, algorithm, settings, self.brief.search.seed, self._versions(),
            code="build graph nouns",
        )  # fmt: skip

    # -- what the steps share

    @property
    def act_on(self) -> Quota | Threshold:
        """Which predictions are acted on."""
        return parse_act_on(self.brief.target.act_on)

    def examples(self, dataset: Dataset, *splits: str) -> Examples:
        """Return the examples of some splits in memory; loaded once."""
        if splits not in self._examples:
            self._examples[splits] = self._table(dataset, splits)[1]
        return self._examples[splits]

    def _table(self, dataset: Dataset, splits: tuple[str, ...]) -> tuple[Any, Examples]:
        from headway.data.freeze import load, to_examples  # noqa: PLC0415

        table = load(self.store.blobs.path(dataset.table), splits=splits)
        return table, to_examples(table, dataset.features)

    def _fitted(
        self, dataset: Dataset, splits: tuple[str, ...], algorithm: str, settings: Mapping[str, Setting]
    ) -> Fitted:
        from headway.build.candidates import fit  # noqa: PLC0415

        held = self._held.get("+".join(splits))
        if held is not None and (held.algorithm, dict(held.settings)) == (algorithm, dict(settings)):
            return held
        began = time.monotonic()
        fitted = fit(algorithm, settings, self.examples(dataset, *splits), seed=self.brief.search.seed)
        self.fit_seconds += time.monotonic() - began
        self._held["+".join(splits)] = fitted
        return fitted

    def _score(self, examples: Examples, predictions: NDArray[np.float64]) -> Scored:
        from headway.nouns.metric import METRICS, day_draws, interval_of_draws  # noqa: PLC0415
        from headway.nouns.trial import Scored  # noqa: PLC0415

        metric = self.brief.success.metric
        drawn = day_draws(metric, predictions, examples.label, examples.day, draws=200, seed=self.brief.search.seed)
        days = len(set(examples.day.tolist()))
        found = interval_of_draws(METRICS[metric](predictions, examples.label), drawn, days=days)
        others = {name: float(METRICS[name](predictions, examples.label)) for name in ("roc_auc", "log_loss")}
        return Scored(scores={**others, metric: found}, replicates=tuple(float(value) for value in drawn))

    def _trial_done(self, trial: Trial, *, total: int) -> None:
        score = trial.score(self.brief.success.metric)
        self.store.progress.advance(note=f"{trial.algorithm} {score:.3f} ({trial.number + 1} of {total} at most)")

    def _step(self, name: str, make: Any, *depends: Any, code: str = "") -> dict[str, Any]:  # noqa: ANN401
        key = _key(name, *depends, _code(code) if code else "")
        made = False

        def fresh() -> dict[str, Any]:
            nonlocal made
            made = True
            output: dict[str, Any] = make()
            return output

        output = self.store.remembered(key, name, fresh)
        self.steps += 1
        self.reused += not made
        return output

    def _versions(self) -> dict[str, str]:
        return {source: snapshot.digest for source, snapshot in sorted(self.material.snapshots.items())}

    def _as_of(self, as_of_us: int) -> int:
        """Return the moment of training: *now*, but no later than the last thing that the data say.

        The moment is part of every step's key. Were it the reading of a clock, nothing could ever be found
        unchanged; past the last moment in the data, waiting changes nothing that can be learned.
        """

        def make() -> dict[str, Any]:
            from headway.query.database import Database  # noqa: PLC0415
            from headway.query.point_in_time import PointInTime  # noqa: PLC0415

            with Database() as database:
                point_in_time = PointInTime(database, self.material.definitions, self.material.files)
                return {"last_us": point_in_time.last_moment_us()}

        parts = (self.brief.sources, self.brief.target, self._versions_early())
        found = self.store.remembered(_key("last moment", *parts, _code("query")), "last moment", make)
        return min(as_of_us, int(found["last_us"]))

    def _versions_early(self) -> dict[str, str]:
        return {source: snapshot.digest for source, snapshot in sorted(self.material.snapshots.items())}


def train(
    store: Store,
    material: Material,
    *,
    as_of_us: int,
    split: Split | None = None,
    settings: tuple[str, Mapping[str, Setting]] | None = None,
    brief_text: str = "",
) -> RunResult:
    """Run the whole way from snapshots to a packaged model.

    Raises
    ------
    DataError
        When a leak was found, or there is nothing to learn. The run is recorded as failed, with the reason.
    """
    began = time.monotonic()
    training = Training(store, material, as_of_us=as_of_us, split=split, settings=settings)
    brief = training.brief
    run = "run-" + _key("run", brief.digest, training._versions(), training.as_of_us, settings or ())[:10]
    text = store.blobs.put((brief_text or msgspec.json.encode(brief).decode()).encode())
    started = RunStarted(
        run=run, brief=brief.digest, as_of_us=training.as_of_us, seed=brief.search.seed, environment=environment()
    )
    finished = next((done for done in store.ledger.runs() if done.run == run and done.state == "finished"), None)
    if finished is None:
        store.record(BriefSeen(brief=brief.digest, text=text), started)
    try:
        result = _take_steps(training, run, settings)
    except (Exception, KeyboardInterrupt) as error:
        store.record(RunFailed(run=run, error=str(error) or type(error).__name__))
        raise
    result = msgspec_replace(result, seconds=time.monotonic() - began)
    if finished is None:
        store.record(
            RunFinished(
                run=run,
                dataset=result.dataset,
                model=result.model,
                verdict=result.verdict,
                winner_reason=result.reason,
                seconds=result.seconds,
                fit_seconds=result.fit_seconds,
                resumed_steps=result.resumed_steps,
            )
        )
    return result


def _take_steps(training: Training, run: str, settings: tuple[str, Mapping[str, Setting]] | None) -> RunResult:
    dataset = training.dataset()
    leaks = training.leaks(dataset)
    fatal = [line for line in leaks["failed"] if "solves the target alone" in line]
    if fatal:
        raise DataError(
            f"A feature is too good to be true: {fatal[0]}.",
            where="features",
            hint="It most likely holds what is known only afterwards. Say when its columns are known, or leave it out.",
        )
    winner, found = (None, {}) if settings is not None else training.search(dataset)
    algorithm, chosen = settings if settings is not None else (winner.algorithm, winner.settings)  # type: ignore[union-attr]
    judged = training.judge(dataset, algorithm, chosen)
    packaged = training.package(dataset, algorithm, chosen)
    if winner is None:
        winner = Trial(
            number=0, algorithm=algorithm, settings=dict(chosen), seed=training.brief.search.seed, scores={},
            fit_seconds=training.fit_seconds, latency_us=0.0, complexity=0, size_bytes=0, interpretability="opaque",
        )  # fmt: skip
    return RunResult(
        run=run,
        brief=training.brief.digest,
        as_of_us=training.as_of_us,
        dataset=training.store.put(dataset),
        model=packaged["model"],
        graph=packaged["graph"],
        verdict=judged["verdict"],
        cutoff=judged["cutoff"],
        winner=winner,
        reason=found.get("reason", "the settings of the champion, fitted again on newer data"),
        stopped=found.get("stopped", ""),
        trials=found.get("trials", 1),
        leaks=leaks["checked"],
        leaks_failed=tuple(leaks["failed"]),
        seconds=0.0,
        fit_seconds=training.fit_seconds,
        resumed_steps=training.reused,
        steps=training.steps,
    )


class _Book:
    """Trials in the ledger: each is there, with its resamples, as soon as it is done."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fresh: set[int] = set()

    def get(self, study: str, number: int) -> Trial | None:
        found = self._store.ledger.step(f"trial:{study}:{number}")
        return None if found is None else msgspec.convert(found, Trial)

    def put(self, study: str, trial: Trial) -> None:
        from headway.nouns.event import StepFinished  # noqa: PLC0415

        scores = {name: (s.value if isinstance(s, Interval) else float(s)) for name, s in trial.scores.items()}
        self._store.record(
            StepFinished(
                key=f"trial:{study}:{trial.number}", step="trial", output=msgspec.to_builtins(trial), seconds=trial.fit_seconds
            ),
            TrialFinished(
                study=study,
                number=trial.number,
                algorithm=trial.algorithm,
                settings=dict(trial.settings),
                scores=scores,
                seconds=trial.fit_seconds,
                latency_us=trial.latency_us,
                complexity=trial.complexity,
                size_bytes=trial.size_bytes,
                note=trial.note,
            ),
        )
        self.fresh.add(trial.number)


def environment() -> dict[str, str]:
    """Return what a run was made with: versions of the interpreter, of Headway and of the libraries that matter."""
    names = ("duckdb", "pyarrow", "numpy", "scikit-learn", "lightgbm", "optuna", "onnx", "onnxruntime", "tzdata")
    return {
        "headway": headway.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **{name: metadata.version(name) for name in names},
    }


def _latencies(scorer: Any, examples: Examples, *, rows: int = 300) -> list[float]:  # noqa: ANN401
    columns = [examples.features[column.name].slice(0, rows).to_pylist() for column in scorer.columns]
    taken = []
    for values in zip(*columns, strict=True):
        began = time.perf_counter_ns()
        scorer.score_row(values)
        taken.append((time.perf_counter_ns() - began) / 1e3)
    return taken


def _cutoff(score: NDArray[np.float64], day: NDArray[np.int64], act_on: Quota | Threshold) -> float:
    """Return the score above which a single prediction is acted on: of a quota, the k-th highest of a median day."""
    import numpy as np  # noqa: PLC0415

    if isinstance(act_on, Threshold):
        return act_on.score
    lowest = [np.sort(score[day == one])[::-1][: act_on.k][-1] for one in np.unique(day)]
    return float(np.median(lowest))


def _with_brief(material: Material, brief: Brief) -> Any:  # noqa: ANN401
    from headway.loop.sources import definitions_of  # noqa: PLC0415

    return material.definitions if brief is material.brief else definitions_of(brief, material.snapshots)


def msgspec_replace(result: RunResult, **changes: Any) -> RunResult:  # noqa: ANN401
    from dataclasses import replace  # noqa: PLC0415

    return replace(result, **changes)


def _key(*parts: Any) -> str:  # noqa: ANN401
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted", enc_hook=str)).hexdigest()


@lru_cache(maxsize=16)
def _code(packages: str) -> str:
    """Return a digest of the source code of some packages of Headway: a step made by other code is another step."""
    root = Path(headway.__file__).parent
    hasher = hashlib.sha256(headway.__version__.encode())
    for package in packages.split():
        for path in sorted((root / package).glob("*.py")):
            hasher.update(path.read_bytes())
    return hasher.hexdigest()


def describe(result: RunResult) -> str:
    """Return one line about a run."""
    return f"{result.run} as of {format_moment(result.as_of_us)}: {result.reason}"
