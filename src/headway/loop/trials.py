"""The trials of a search: how each is scored, and how it is kept in the ledger as soon as it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from headway.nouns.event import StepFinished, TrialFinished
from headway.nouns.interval import Interval
from headway.nouns.task import WAYS
from headway.nouns.trial import Scored, Trial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headway.build.search import Score
    from headway.loop.store import Store
    from headway.nouns.brief import Brief
    from headway.nouns.examples import Examples
    from headway.nouns.task import Task

__all__ = ["TrialBook", "score_as"]

_TRIAL_DRAWS = 200


def score_as(brief: Brief, task: Task) -> Score:
    """Return what scores a trial as the brief measures: its metric with an interval over days, and others beside."""
    import numpy as np

    from headway.nouns.metric import day_draws, interval_of_draws, measured

    metric, seed = brief.success.metric, brief.search.seed

    def score(examples: Examples, predictions: NDArray[np.float64]) -> Scored:
        label, day, group = examples.label, examples.day, examples.group
        drawn = day_draws(metric, predictions, label, day, group=group, draws=_TRIAL_DRAWS, seed=seed)
        value = measured(metric, predictions, label, group=group)
        found = interval_of_draws(value, drawn, days=len(np.unique(day)))
        scores: dict[str, Interval | float] = {
            name: measured(name, predictions, label, group=group) for name in WAYS[task].beside
        }
        return Scored(scores={**scores, metric: found}, replicates=tuple(drawn.tolist()))

    return score


class TrialBook:
    """Trials in the ledger: each is there, with its resamples, as soon as it is done."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fit_seconds = 0.0

    def get(self, study: str, number: int) -> Trial | None:
        """Return a trial that is done."""
        found = self._store.book.get(f"trial:{study}:{number}")
        return None if found is None else msgspec.convert(found, Trial)

    def put(self, study: str, trial: Trial) -> None:
        """Keep a trial that has just been done."""
        self.fit_seconds += trial.fit_seconds
        scores = {name: (s.value if isinstance(s, Interval) else float(s)) for name, s in trial.scores.items()}
        self._store.record(
            StepFinished(
                key=f"trial:{study}:{trial.number}",
                step="trial",
                output=msgspec.to_builtins(trial),
                seconds=trial.fit_seconds,
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
