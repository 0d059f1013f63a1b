"""The search: which settings to try next, when to stop, and who won.

The file hides Optuna. What is tried next is a pure function of the seed, the trial's number and what earlier
trials gave: the sampler (TPE, Bergstra et al. 2011) is built afresh from the book for every trial. A search that
was killed and goes on therefore equals one that was never interrupted, without a snapshot of any sampler.

Each algorithm is searched on its own, since their settings have nothing in common. The first round tries the
defaults of each, simplest first: where a glass box is good enough, nothing dearer is ever fitted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import optuna

from headway.build.candidates import CANDIDATES, candidate, fit
from headway.build.package import package
from headway.build.select import select, undominated
from headway.errors import DataError
from headway.graph.scorer import GraphScorer
from headway.nouns.metric import higher_is_better
from headway.nouns.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from headway.build.learner import Fitted
    from headway.nouns.brief import Search, Success, Value
    from headway.nouns.examples import Examples
    from headway.nouns.trial import Scored, Setting, TrialBook

__all__ = ["Progress", "Score", "SearchResult", "StoppedBecause", "algorithm_of", "proposed", "search", "seed_of"]

StoppedBecause = Literal["good enough", "budget of trials", "time cap"]

_TIMED_ROWS = 101
_WARM_ROWS = 20
_TRIALS_BEFORE_TPE = 5
_MOST_HELD = 32  # models in memory, a few megabytes each


class Score(Protocol):
    """How good predictions are, as the brief measures it."""

    def __call__(self, examples: Examples, predictions: NDArray[np.float64]) -> Scored:
        """Return the scores; ``predictions`` are probabilities, in the order of the examples."""


class Progress(Protocol):
    """Who wants to know how far the search is."""

    def __call__(self, trial: Trial, *, total: int) -> None:
        """Take note of a finished trial, of ``total`` at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """What the search found.

    Attributes
    ----------
    trials
        All of them, in order.
    reason
        One sentence: why the winner won.
    stopped_because
        ``time cap`` means that a repetition may try more, or fewer.
    fitted
        The winner's model, where this process fitted it and still holds it; ``fit`` gives the same one again.
    """

    trials: tuple[Trial, ...]
    winner: Trial
    reason: str
    stopped_because: StoppedBecause
    fitted: Fitted | None


def search(
    train: Examples,
    validate: Examples,
    *,
    search: Search,
    success: Success,
    value: Value,
    score: Score,
    book: TrialBook,
    study: str,
    progress: Progress | None = None,
    now: Callable[[], float] = time.monotonic,
    threads: int | None = None,
) -> SearchResult:
    """Try settings until one is good enough or the budget is spent, and choose.

    Parameters
    ----------
    book
        Where each trial is put as soon as it is done; those found there are not fitted again.
    study
        The name that the trials stand under in the book. Another dataset, brief or version is another study.
    now
        Seconds on a clock that never goes back. It times the fits and the cap, and nothing else.

    Raises
    ------
    DataError
        When there is nothing to learn from, or nothing to score on.
    """
    if not len(validate):
        raise DataError("The validation part holds no examples.", where="[split]", hint="Move validate_before later.")
    names = tuple(name for name in CANDIDATES if name in {candidate(a).name for a in search.algorithms})
    began = now()
    spent_before = 0.0  # by the run that was interrupted: the cap holds for both together
    trials: list[Trial] = []
    held: dict[int, Fitted] = {}
    stopped: StoppedBecause = "budget of trials"
    for number in range(search.trials):
        if search.seconds is not None and trials and spent_before + now() - began >= search.seconds:
            stopped = "time cap"
            break
        trial = book.get(study, number)
        if trial is None:
            trial, fitted = _tried(
                number, names, trials, train=train, validate=validate, search=search, success=success, score=score,
                now=now, threads=threads,
            )  # fmt: skip
            book.put(study, trial)
            held = _still_worth_holding({**held, number: fitted}, [*trials, trial], success.metric)
        else:
            spent_before += trial.fit_seconds
        trials.append(trial)
        if progress is not None:
            progress(trial, total=search.trials)
        if _good_enough(trial, success):
            stopped = "good enough"
            break
    winner, reason = select(trials, success=success, value=value)
    return SearchResult(
        trials=tuple(trials),
        winner=winner,
        reason=reason,
        stopped_because=stopped,
        fitted=held.get(winner.number),
    )


def algorithm_of(number: int, names: Sequence[str]) -> str:
    """Return which algorithm a trial tries: each once, then in rounds where each has its share.

    Examples
    --------
    >>> [algorithm_of(i, ("logistic", "tree", "lightgbm")) for i in range(7)]
    ['logistic', 'tree', 'lightgbm', 'logistic', 'tree', 'lightgbm', 'lightgbm']
    """
    if number < len(names):
        return names[number]
    a_round = [name for name in names for _ in range(CANDIDATES[name].share)]
    return a_round[(number - len(names)) % len(a_round)]


def seed_of(seed: int, number: int) -> int:
    """Return the seed that one trial's settings are drawn from, by the search's seed and the trial's number."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] & 0x7FFFFFFF)


def proposed(algorithm: str, history: Sequence[Trial], *, metric: str, rows: int, seed: int) -> dict[str, Setting]:
    """Return the settings to try next: the defaults, then what TPE makes of the same algorithm's earlier trials.

    Parameters
    ----------
    history
        The trials so far; those of other algorithms are left alone.
    rows
        How many training examples there are; small data get other defaults and bounds.
    """
    kind = candidate(algorithm)
    mine = [trial for trial in history if trial.algorithm == algorithm]
    if not mine:
        return kind.defaults(rows)
    space = kind.space(rows)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_TRIALS_BEFORE_TPE)
    direction: Literal["maximize", "minimize"] = "maximize" if higher_is_better(metric) else "minimize"
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(sampler=sampler, direction=direction)
        for trial in mine:
            figure = trial.score(metric)
            if np.isfinite(figure):  # an undefined score teaches nothing
                study.add_trial(
                    optuna.trial.create_trial(params=dict(trial.settings), distributions=space, value=figure)
                )
        return dict(study.ask(space).params)
    finally:
        optuna.logging.set_verbosity(level)


def _tried(
    number: int,
    names: Sequence[str],
    history: Sequence[Trial],
    *,
    train: Examples,
    validate: Examples,
    search: Search,
    success: Success,
    score: Score,
    now: Callable[[], float],
    threads: int | None,
) -> tuple[Trial, Fitted]:
    """Propose, fit, package, score and time one trial."""
    algorithm = algorithm_of(number, names)
    drawn_from = seed_of(search.seed, number)
    settings = proposed(algorithm, history, metric=success.metric, rows=len(train), seed=drawn_from)
    started = now()
    # All are fitted from the search's own seed: what differs between trials is their settings, not their luck.
    fitted = fit(algorithm, settings, train, seed=search.seed, threads=threads)
    fit_seconds = now() - started
    graph = package(fitted, signature=fitted.signature)
    scorer = GraphScorer(graph, output=fitted.signature.output)
    # Scored by the graph: what is chosen is what will be served.
    scored = score(validate, scorer.score(validate.features))
    if success.metric not in scored.scores:
        raise DataError(f"The scores lack {success.metric!r}, by which the brief measures.", where="[success] metric")
    kind = candidate(algorithm)
    trial = Trial(
        number=number,
        algorithm=algorithm,
        settings=settings,
        seed=search.seed,
        scores=scored.scores,
        replicates=scored.replicates,
        fit_seconds=fit_seconds,
        latency_us=_latency_us(scorer, validate),
        complexity=fitted.complexity,
        size_bytes=len(graph),
        interpretability=kind.interpretability,
        explains=kind.explains,
        note=fitted.learner.note,
    )
    return trial, fitted


def _latency_us(scorer: GraphScorer, examples: Examples) -> float:
    """Return the median microseconds of one row, features at hand, on this machine."""
    rows = np.linspace(0, len(examples) - 1, _TIMED_ROWS + _WARM_ROWS).astype(np.int64)
    columns = [examples.features.column(c.name).take(rows).to_pylist() for c in scorer.columns]
    taken_ns = []
    for row in zip(*columns, strict=True):
        started = time.perf_counter_ns()
        scorer.score_row(row)
        taken_ns.append(time.perf_counter_ns() - started)
    return float(np.median(taken_ns[_WARM_ROWS:])) / 1_000


def _good_enough(trial: Trial, success: Success) -> bool:
    figure = trial.score(success.metric)
    return figure >= success.good_enough if higher_is_better(success.metric) else figure <= success.good_enough


def _still_worth_holding(held: dict[int, Fitted], trials: Sequence[Trial], metric: str) -> dict[int, Fitted]:
    """Return the models that could still win, the latest few: what is beaten in every respect cannot."""
    front = [trial.number for trial in undominated([trial for trial in trials if trial.number in held], metric)]
    return {number: held[number] for number in front[-_MOST_HELD:]}
