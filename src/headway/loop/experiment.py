"""One experiment, from snapshots to a judged, packaged model: the plan, and what each step's result depends on.

Freeze the dataset; look for leaks; search on train and validate; judge the winner once on the test; refit on all that
was known before deployment and package it. The engine remembers each step under the key of all it depends on, so an
interrupted run goes on where it stopped, and an unchanged one has nothing to do. The stages are imported where they
are called: a run that finds everything done must not wait for learning libraries to load.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec

from headway.engine.ahead import load_ahead
from headway.engine.named import cluster_of
from headway.engine.plan import Plan, Step
from headway.errors import DataError
from headway.loop.earlier import earlier_versions
from headway.loop.lived import lived_examples
from headway.loop.manifests import snapshot_of
from headway.loop.results import RunResult
from headway.loop.trials import TrialBook, score_as
from headway.nouns.act_on import Quota, Threshold, parse_act_on
from headway.nouns.dataset import Dataset
from headway.nouns.model import Model
from headway.nouns.trial import Setting, Trial

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.build.learner import Fitted
    from headway.data.across import Across
    from headway.engine.plan import Work
    from headway.graph.scorer import GraphScorer
    from headway.loop.sources import Material
    from headway.loop.store import Store
    from headway.nouns.act_on import ActOn
    from headway.nouns.brief import Brief, Split
    from headway.nouns.calls import Calls
    from headway.nouns.examples import Examples
    from headway.nouns.hindsight import Hindsight
    from headway.nouns.part import Part
    from headway.nouns.task import Task
    from headway.query.point_in_time import PointInTime

__all__ = ["DRAWS", "LEARNING", "Experiment", "Recipe"]

DRAWS = 500
"""Resamples of days behind each interval of a run: enough for two digits, cheap enough for every trial."""

_TIMED_ROWS = 300
_EVERYTHING = ("train", "validate", "test", "after")
LEARNING = ("lightgbm", "numpy", "onnx", "onnxruntime", "optuna", "scikit-learn", "scipy")
"""The libraries that a model depends on."""
_LEARNT_WITH = (
    "headway.build.boosted",
    "headway.build.linear",
    "headway.build.search",
    "headway.build.tree",
    "headway.validate.judge",
)
"""What brings these libraries along, and is asked for a second after freezing has begun."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """An algorithm with its settings, to fit without a search: what a retraining takes over from the champion."""

    algorithm: str
    settings: dict[str, Setting]


class Experiment:
    """The functions of the plan's steps, and what they hold in common: examples in memory, the last model fitted."""

    def __init__(self, store: Store, material: Material, *, as_of_us: int, recipe: Recipe | None) -> None:
        self.store = store
        self.material = material
        self.brief: Brief = material.brief
        self.recipe = recipe
        self.versions = {name: snapshot.digest for name, snapshot in sorted(material.snapshots.items())}
        self._opened = ExitStack()
        self._read: Across | PointInTime | None = None
        self.earlier = earlier_versions(store, material)
        self.lived = lived_examples(store, material, as_of_us=as_of_us)
        self.as_of_us = min(as_of_us, max(self._last_moment_us(), self.lived.last_us))
        self.fit_seconds = 0.0
        self._held: dict[str, Fitted] = {}
        self._loading = threading.Lock()
        self._table: pa.Table | None = None
        self._parts: dict[tuple[str, ...], tuple[pa.Table, Examples]] = {}

    @property
    def name(self) -> str:
        """What the run is called: the same brief, data and moment are the same run."""
        parts = (self.brief.digest, self.versions, self.as_of_us, self.recipe, self.lived.blob)
        return "run-" + hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()[:10]

    def run(self) -> RunResult:
        """Do what has not been done yet, and say what it came to."""
        with self._opened:
            result = self.store.engine.run(self._plan(), self.store.progress)
        found = result.outputs
        searched, judged, packaged = found["search"], found["judge"], found["package"]
        return RunResult(
            run=self.name,
            brief=self.brief.digest,
            as_of_us=self.as_of_us,
            dataset=found["freeze"]["dataset"],
            model=packaged["model"],
            graph=packaged["graph"],
            verdict=judged["verdict"],
            tested_graph=judged["graph"],
            cutoff=judged["cutoff"],
            algorithm=searched["algorithm"],
            settings=searched["settings"],
            study=searched["study"],
            reason=searched["reason"],
            stopped=searched["stopped"],
            trials=searched["trials"],
            leaks_checked=found["leaks"]["checked"],
            leaks_failed=tuple(found["leaks"]["failed"]),
            seconds=0.0,
            fit_seconds=self.fit_seconds,
            steps=len(result.outputs),
            reused=len(result.reused),
        )

    def _plan(self) -> Plan:
        brief = self.brief
        chosen_by = {"success": brief.success, "value": brief.value, "act_on": brief.target.act_on}
        judged_by = {**chosen_by, "rule": brief.baseline.rule, "seed": brief.search.seed, "draws": DRAWS}
        learning = ("headway.build", "headway.graph", "headway.nouns")
        return Plan(
            Step(
                name="freeze",
                function=self.freeze,
                inputs=_plain(
                    {
                        "snapshots": self.versions,
                        "as_of_us": self.as_of_us,
                        "lived": self.lived.blob,
                        **{
                            part: getattr(brief, part)
                            for part in ("sources", "target", "features", "split", "baseline", "serve")
                        },
                        "segments": brief.success.segments,
                    }
                ),
                code=("headway.data", "headway.query", "headway.nouns"),
                libraries=("duckdb", "holidays", "pyarrow"),
                time_zones=True,
            ),
            Step(
                name="leaks",
                function=self.leaks,
                inputs=_plain({"seed": brief.search.seed, "earlier": self.earlier}),
                needs=("freeze",),
                code=(
                    "headway.data.hindsight",
                    "headway.nouns.hindsight",
                    "headway.nouns.metric",
                    "headway.validate.disguise",
                    "headway.validate.leaks",
                ),
            ),
            Step(
                name="search",
                function=self.search,
                inputs=_plain({**chosen_by, "search": brief.search, "recipe": self.recipe}),
                needs=("freeze",),
                code=learning,
                libraries=LEARNING,
            ),
            Step(
                name="judge",
                function=self.judge,
                inputs=_plain(judged_by),
                needs=("freeze", "leaks", "search"),
                code=(*learning, "headway.validate"),
                libraries=LEARNING,
            ),
            Step(
                name="package",
                function=self.package,
                inputs=_plain(
                    {
                        "seed": brief.search.seed,
                        "refit": brief.split.refit,
                        **({"explainable": True} if brief.success.explainable else {}),
                    }
                ),
                needs=("freeze", "leaks", "search"),
                code=learning,
                libraries=LEARNING,
            ),
        )

    # -- the steps

    def freeze(self, _: Work) -> dict[str, Any]:
        """Freeze the examples, with their features as known at each one's moment."""
        from headway.data.freeze import freeze

        # Whoever has to freeze has to learn: the engine leaves a processor free, on which the libraries can load.
        load_ahead(*_LEARNT_WITH)
        material = self.material
        dataset = freeze(
            material.definitions,
            material.snapshots,
            material.files,
            as_of_us=self.as_of_us,
            store=self.store.blobs,
            lived=self.store.blobs.path(self.lived.blob) if self.lived.blob else None,
            read=self._read,
            cluster=cluster_of(self.brief.engine or "local"),
        )
        self._read = None
        self._opened.close()
        return {"dataset": self.store.put(dataset), "digest": dataset.digest}

    def leaks(self, work: Work) -> dict[str, Any]:
        """Look for signs that the answer is among the features; refuse to go on where one alone gives it."""
        from headway.validate.leaks import find_leaks, known_before, known_only_after, without_an_outcome

        dataset = self.store.get(work.outputs["freeze"]["dataset"], Dataset)
        table, examples = self._load(work, "train", "validate", "test")
        told = known_before(table["predict_at"].to_numpy(), table["label_known_at"].to_numpy())
        if not told.passed:
            raise DataError(
                f"There is nothing to predict: {told.found}, wanted {told.wanted}.",
                where="target.label_known_at",
                hint="Ask earlier (target.predict_at), or say when the label is really known.",
            )
        split = table["split"].to_numpy(zero_copy_only=False)
        checks = find_leaks(
            examples.features,
            _yes_or_no(examples, self._calls(work).task),
            split,
            key=examples.key,
            group=_groups(table, self.brief.split),
            seed=self.brief.search.seed,
        )
        checks += without_an_outcome(examples.features, dataset.void_missing, sum(each.void for each in dataset.splits))
        checks = sorted([told, *checks, *known_only_after(self._hindsight())], key=lambda check: check.passed)
        for check in checks:
            if not check.passed and check.name == "solves the target alone":
                raise DataError(
                    f"Feature {check.subject!r} is too good to be true: alone it has {check.found}, "
                    f"wanted {check.wanted}.",
                    where=f"features.{check.subject}",
                    hint="It most likely holds what is known only afterwards. Say when its columns are known, "
                    "or drop it.",
                )
        return {
            "checked": len(checks),
            "failed": [str(check) for check in checks if not check.passed],
            "checks": msgspec.to_builtins(checks),
        }

    def _hindsight(self) -> list[Hindsight]:
        if not self.earlier:
            return []
        from headway.data.hindsight import Earlier, hindsight
        from headway.query.database import Database

        material = self.material
        earlier = {
            name: Earlier(snapshot=snapshot_of(self.store, version.snapshot), taken_us=version.taken_us)
            for name, version in self.earlier.items()
        }
        with Database() as database:
            return hindsight(
                material.definitions, material.snapshots, earlier, store=self.store.blobs, database=database
            )

    def search(self, work: Work) -> dict[str, Any]:
        """Search for settings on train and validate; with a recipe there is nothing to search."""
        if self.recipe is not None:
            return {
                "algorithm": self.recipe.algorithm,
                "settings": self.recipe.settings,
                "study": "",
                "trials": 0,
                "reason": f"{self.recipe.algorithm} with the champion's settings, fitted again on newer data.",
                "stopped": "",
            }
        from headway.build.search import search

        calls = self._calls(work)
        asked = (self.brief.search, self.brief.success, self.brief.value)
        study = hashlib.sha256(msgspec.json.encode((work.outputs["freeze"]["digest"], *asked))).hexdigest()
        book = TrialBook(self.store)
        train_part = self._load(work, "train")[1]
        result = search(
            train_part,
            self._load(work, "validate")[1],
            search=self.brief.search,
            success=self.brief.success,
            value=self.brief.value,
            score=score_as(self.brief, calls.task),
            book=book,
            task=calls.task,
            study=study,
            progress=lambda trial, *, total: self._trial_done(work, trial, total=total),
        )
        self.fit_seconds += book.fit_seconds
        if result.fitted is not None:
            self._held[_fit_name(("train",), result.winner.algorithm, result.winner.settings)] = result.fitted
        return {
            "algorithm": result.winner.algorithm,
            "settings": result.winner.settings,
            "study": study,
            "trials": len(result.trials),
            "reason": result.reason,
            "stopped": result.stopped_because,
        }

    def judge(self, work: Work) -> dict[str, Any]:
        """Judge the chosen settings once, on examples that nothing was chosen on."""
        from headway.build.package import package
        from headway.graph.scorer import GraphScorer
        from headway.nouns.calls import Places
        from headway.validate.judge import judge
        from headway.validate.judge_task import judge_task
        from headway.validate.unordered import saying_how_split

        test, calls = self._load(work, "test")[1], self._calls(work)
        fitted = self._fitted(work, "train")
        graph = package(fitted, signature=fitted.signature)
        scorer = GraphScorer(graph)
        score = scorer.score(test.features)
        asked: dict[str, Any] = {
            "success": self.brief.success,
            "rule_name": self.brief.baseline.rule,
            "part": self._part(work, by_day=calls.task == "condition"),
            "latency_us": _latencies_us(scorer, test),
            "seed": self.brief.search.seed,
            "draws": DRAWS,
        }
        if calls.task == "condition":
            verdict = judge(score, test, value=self.brief.value, act_on=calls.act_on, **asked)
        else:
            unseen = self.store.get(work.outputs["freeze"]["dataset"], Dataset).unseen
            verdict = judge_task(score, test, calls=calls, unseen=unseen, **asked)
        return {
            "verdict": self.store.put(saying_how_split(verdict, self.brief.split)),
            "graph": self.store.blobs.put(graph),
            "cutoff": _cutoff(
                calls.score(score), Places.of(test).unit(calls.act_on), calls.act_on, part=self._part(work)
            ),
        }

    def _part(self, work: Work, *, by_day: bool = False) -> Part | None:
        """Return what the test is of all examples; None where the split is by time, and each day is there whole."""
        from headway.nouns.calls import Places
        from headway.nouns.part import Part

        if self.brief.split.by == "time":
            return None
        table, every = self._load(work, *_EVERYTHING)
        here = table["split"].to_numpy(zero_copy_only=False) == "test"
        # The verdict on a condition knows days alone, and spends the quota of a round on a day.
        places = Places(day=every.day, round=every.day) if by_day else Places.of(every)
        return Part.of(self._calls(work), places, every.label, here=here)

    def package(self, work: Work) -> dict[str, Any]:
        """Fit once more on all that the brief allows, package as one graph, and prove that it is the same model."""
        from headway.build.learner import importance
        from headway.build.package import OPSET, library_versions, package
        from headway.build.parity import prove_parity
        from headway.build.reasons import write_reasons

        splits = ("train",) if self.brief.split.refit == "train only" else _EVERYTHING
        examples, calls = self._load(work, *splits)[1], self._calls(work)
        fitted = self._fitted(work, *splits)
        graph = package(fitted, signature=fitted.signature)
        with ThreadPoolExecutor(1) as beside:
            shares = beside.submit(importance, fitted, examples.features)
            parity = prove_parity(
                graph, fitted, self._load(work, "test")[1], act_on=self._act_on, task=self._calls(work).task
            )
        model = Model(
            graph=self.store.blobs.put(graph),
            signature=msgspec.structs.replace(fitted.signature, task=calls.task, classes=calls.classes),
            algorithm=fitted.algorithm,
            settings=dict(fitted.settings),
            seed=fitted.seed,
            rows=len(examples),
            trained_from=int(examples.predict_at[0]),
            trained_to=int(examples.predict_at[-1]),
            parity=parity,
            opset=dict(OPSET),
            libraries=library_versions(),
            importance=shares.result(),
            interpretability=fitted.interpretability,
            complexity=fitted.complexity,
            reasons=self.store.blobs.put(write_reasons(fitted.learner.reasons()))
            if self.brief.success.explainable
            else msgspec.UNSET,
        )
        return {"model": self.store.put(model), "graph": model.graph, "digest": model.digest}

    # -- what the steps share

    @property
    def _act_on(self) -> ActOn:
        return parse_act_on(self.brief.target.act_on)

    def _load(self, work: Work, *splits: str) -> tuple[pa.Table, Examples]:
        """Return the rows of some splits; the file is read once, and each combination put into shape once."""
        from headway.data.freeze import load, of_splits, to_examples

        dataset = self.store.get(work.outputs["freeze"]["dataset"], Dataset)
        with self._loading:
            if self._table is None:
                self._table = load(self.store.blobs.path(dataset.table))
            if splits not in self._parts:
                table = of_splits(self._table, splits)
                self._parts[splits] = (table, to_examples(table, dataset.features, classes=dataset.classes))
            return self._parts[splits]

    def _fitted(self, work: Work, *splits: str) -> Fitted:
        """Return the chosen settings fitted on some splits; what the search has just fitted is not fitted again."""
        from headway.build.candidates import fit

        algorithm, settings = work.outputs["search"]["algorithm"], work.outputs["search"]["settings"]
        name = _fit_name(splits, algorithm, settings)
        if name not in self._held:
            began = time.monotonic()
            self._held[name] = fit(
                algorithm,
                settings,
                self._load(work, *splits)[1],
                seed=self.brief.search.seed,
                task=self._calls(work).task,
            )
            self.fit_seconds += time.monotonic() - began
        return self._held[name]

    def _calls(self, work: Work) -> Calls:
        """Return how predictions are acted on, by the kind of target that was frozen."""
        from headway.nouns.calls import calls_of

        dataset = self.store.get(work.outputs["freeze"]["dataset"], Dataset)
        return calls_of(task=dataset.task, act_on=self._act_on, value=self.brief.value, classes=dataset.classes)

    def _trial_done(self, work: Work, trial: Trial, *, total: int) -> None:
        if trial.number == 0:
            work.expect(total)
        work.advance(note=f"{trial.algorithm} {trial.score(self.brief.success.metric):.3f}")

    def _last_moment_us(self) -> int:
        """Return the last moment that the data speak of.

        The moment of training is part of every step's key. Were it the reading of a clock, nothing could ever be
        found unchanged; past the last moment in the data, waiting changes nothing that can be learned.
        """
        step = Step(
            name="last moment",
            function=self._find_last_moment,
            inputs=_plain({"snapshots": self.versions, "sources": self.brief.sources, "target": self.brief.target}),
            code=("headway.data.across", "headway.query"),
            libraries=("duckdb",),
            time_zones=True,
        )
        return int(self.store.engine.run(Plan(step)).outputs["last moment"]["last_us"])

    def _find_last_moment(self, _: Work) -> dict[str, Any]:
        from headway.data.across import seen_through
        from headway.query.database import Database

        # Kept for freezing, which comes next and would read the same again.
        database = self._opened.enter_context(Database())
        self._read = seen_through(
            self.material.definitions,
            self.material.files,
            database=database,
            cluster=cluster_of(self.brief.engine or "local"),
        )
        return {"last_us": self._read.last_moment_us()}


def _yes_or_no(examples: Examples, task: Task) -> NDArray[np.float64]:
    """Return labels of two kinds, which is what leaks are looked for by.

    Of a number, those above the middle; of a category a column for each class, against all others.
    """
    import numpy as np

    if task == "category":
        return np.asarray(examples.label[:, None] == np.arange(len(examples.classes)), dtype=np.float64)
    return examples.label if task == "condition" else (examples.label > np.median(examples.label)).astype(np.float64)


def _plain(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return msgspec.to_builtins(inputs, str_keys=True)  # type: ignore[no-any-return]


def _groups(table: pa.Table, split: Split) -> pa.Table | None:
    """Return the columns that the split goes by, as far as the frozen table has them; None where it goes by none."""
    import pyarrow as pa

    found = {
        name: next((table[column] for column in (f"key:{name}", f"group:{name}") if column in table.column_names), None)
        for name in split.group or ()
    }
    return pa.table(found) if found else None


def _fit_name(splits: tuple[str, ...], algorithm: str, settings: Mapping[str, Setting]) -> str:
    return msgspec.json.encode((splits, algorithm, dict(settings)), order="sorted").decode()


def _latencies_us(scorer: GraphScorer, examples: Examples) -> list[float]:
    columns = [examples.features[column.name].slice(0, _TIMED_ROWS).to_pylist() for column in scorer.columns]
    taken = []
    for values in zip(*columns, strict=True):
        began = time.perf_counter_ns()
        scorer.score_row(values)
        taken.append((time.perf_counter_ns() - began) / 1e3)
    return taken


def _cutoff(score: NDArray[np.float64], unit: NDArray[np.int64], act_on: ActOn, *, part: Part | None = None) -> float:
    """Return the score above which one prediction is acted on: of a quota, the k-th highest of a median unit.

    Of a part of all examples, the lowest score that its own quota of a median unit reaches.
    """
    import numpy as np

    if isinstance(act_on, Threshold):
        return act_on.score
    if not isinstance(act_on, Quota):
        return -sys.float_info.max  # all are acted on; an infinity could not be recorded
    ones, first = np.unique(unit, return_index=True)
    quota = np.full(len(ones), act_on.k) if part is None or part.quota is None else part.quota[first]
    lowest = [np.sort(score[unit == one])[::-1][:k][-1] for one, k in zip(ones, quota, strict=True)]
    return float(np.median(lowest))
