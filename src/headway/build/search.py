"""The search: which settings to try next, when to stop, and who won.

The file hides Optuna. What is tried next is a pure function of the seed, the trial's number and what earlier
trials gave: the sampler (TPE, Bergstra et al. 2011) is built afresh from the book for every trial. A search that
was killed and goes on therefore equals one that was never interrupted, without a snapshot of any sampler.

Each algorithm is searched on its own, since their settings have nothing in common. The first round tries the
defaults of each, simplest first: where a glass box is good enough, nothing dearer is ever looked at. What else a kind
begins with (``Candidate.then``) comes in the rounds after, before anything is proposed.

Two trials are in the making at a time, where there are two processors. So that the outcome does not depend on who
is faster, a trial is proposed from all before it but the last, however many are at work; they are counted in their
order; and one that was begun ahead and turns out not to be needed leaves no trace. Nothing is proposed before the
first round is over, since it often suffices.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from headway.build.candidates import candidate, candidate_share, default_threads, fit
from headway.build.package import package
from headway.build.select import select, undominated
from headway.errors import DataError
from headway.graph.scorer import GraphScorer
from headway.nouns.metric import higher_is_better
from headway.nouns.task import suited_algorithms
from headway.nouns.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from concurrent.futures import Future

    from numpy.typing import NDArray

    from headway.build.learner import Fitted
    from headway.nouns.brief import Search, Success, Value
    from headway.nouns.examples import Examples
    from headway.nouns.task import Task
    from headway.nouns.trial import Scored, Setting, TrialBook

__all__ = ["Progress", "Score", "SearchResult", "StoppedBecause", "algorithm_of", "proposed", "search", "seed_of"]

StoppedBecause = Literal["good enough", "budget of trials", "time cap"]

_AT_ONCE = 2
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
    workers: int | None = None,
    task: Task = "condition",
) -> SearchResult:
    """Try settings until one is good enough or the budget is spent, and choose.

    Parameters
    ----------
    book
        Where each trial is put as soon as it is its turn; those found there are not fitted again.
    study
        The name that the trials stand under in the book. Another dataset, brief or version is another study.
    now
        Seconds on a clock that never goes back. It times the fits and the cap, and nothing else.
    threads, workers
        How many threads each fit takes, and how many trials may be in the making at a time: two at most, one on a
        machine with one processor. They change the time, not the outcome.

    Raises
    ------
    DataError
        When there is nothing to learn from, or nothing to score on.
    """
    if not len(validate):
        raise DataError("The validation part holds no examples.", where="[split]", hint="Move validate_before later.")
    at_once = min(_AT_ONCE, os.cpu_count() or 1) if workers is None else min(_AT_ONCE, workers)
    names = suited_algorithms(search.algorithms, task)
    kept = _kept(book, study, search.trials)
    # What the run that was interrupted has spent: the cap holds for both together.
    spent, began = sum(trial.fit_seconds for trial in kept), now()

    def attempt(number: int, settings: dict[str, Setting]) -> tuple[Trial, Fitted] | None:
        if number and search.seconds is not None and spent + now() - began >= search.seconds:
            return None
        return _tried(
            number, algorithm_of(number, names), settings, train=train, validate=validate, seed=search.seed,
            success=success, score=score, now=now, threads=threads or default_threads(beside=at_once - 1), task=task,
        )  # fmt: skip

    def proposal(number: int) -> dict[str, Setting]:
        return _settings(number, names, trials, search=search, success=success, rows=len(train), task=task)

    trials: list[Trial] = []
    held: dict[int, Fitted] = {}
    stopped: StoppedBecause = "time cap"
    made = _in_order(kept, proposal, attempt, first_round=len(names), total=search.trials, at_once=at_once)
    with closing(made):
        for trial, fitted in made:
            trials.append(trial)
            if fitted is not None:
                book.put(study, trial)
                held = _still_worth_holding({**held, trial.number: fitted}, trials, success.metric)
            if progress is not None:
                progress(trial, total=search.trials)
            if _good_enough(trial, success):
                stopped = "good enough"
                break
            if len(trials) == search.trials:
                stopped = "budget of trials"
    winner, reason = select(trials, success=success, value=value)
    return SearchResult(
        trials=tuple(trials),
        winner=winner,
        reason=reason,
        stopped_because=stopped,
        fitted=held.get(winner.number),
    )


def _kept(book: TrialBook, study: str, most: int) -> list[Trial]:
    """Return the trials that are in the book already: the first so many, since they are put there in order."""
    kept: list[Trial] = []
    while len(kept) < most and (trial := book.get(study, len(kept))) is not None:
        kept.append(trial)
    return kept


def _in_order(
    kept: Sequence[Trial],
    proposal: Callable[[int], dict[str, Setting]],
    attempt: Callable[[int, dict[str, Setting]], tuple[Trial, Fitted] | None],
    *,
    first_round: int,
    total: int,
    at_once: int,
) -> Generator[tuple[Trial, Fitted | None], None, None]:
    """Yield the trials in their order, those that are kept and those made now, until an attempt gives nothing.

    Whoever closes it waits for none that was begun ahead.
    """
    yield from ((trial, None) for trial in kept)
    begun: dict[int, Future[tuple[Trial, Fitted] | None]] = {}
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="trial")
    try:
        for number in range(len(kept), total):
            for one in _may_begin(number, first_round, total):
                if one not in begun:
                    begun[one] = pool.submit(attempt, one, proposal(one))
            made = begun.pop(number).result()
            if made is None:
                return
            yield made
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _may_begin(number: int, first_round: int, total: int) -> list[int]:
    """Return the trials that may begin while one is awaited: what is left of the first round, or two.

    Of the first round the simplest begins first, since it may suffice; then the dearest, since it takes longest.

    Examples
    --------
    >>> _may_begin(0, 3, 8), _may_begin(1, 3, 8), _may_begin(5, 3, 8), _may_begin(7, 3, 8)
    ([0, 2, 1], [2, 1], [5, 6], [7])
    """
    if number < first_round:
        return sorted(range(number, min(first_round, total)), key=lambda one: (one != 0, -one))
    return list(range(number, min(number + _AT_ONCE, total)))


def _settings(
    number: int,
    names: Sequence[str],
    trials: Sequence[Trial],
    *,
    search: Search,
    success: Success,
    rows: int,
    task: Task,
) -> dict[str, Setting]:
    """Return what a trial tries: what its kind begins with, then what the trials before it propose, less the last."""
    algorithm = algorithm_of(number, names)
    kind = candidate(algorithm, task, metric=success.metric)
    starts = (kind.defaults(rows), *kind.then(rows))
    before = sum(algorithm_of(earlier, names) == algorithm for earlier in range(number))
    if before < len(starts):
        return starts[before]
    known = trials[: number - (_AT_ONCE - 1)]
    return proposed(algorithm, known, metric=success.metric, rows=rows, seed=seed_of(search.seed, number), task=task)


def algorithm_of(number: int, names: Sequence[str]) -> str:
    """Return which algorithm a trial tries: each once, then in rounds where each has its share.

    Examples
    --------
    >>> [algorithm_of(i, ("logistic", "tree", "lightgbm")) for i in range(7)]
    ['logistic', 'tree', 'lightgbm', 'logistic', 'tree', 'lightgbm', 'lightgbm']
    """
    if number < len(names):
        return names[number]
    a_round = [name for name in names for _ in range(candidate_share(name))]
    return a_round[(number - len(names)) % len(a_round)]


def seed_of(seed: int, number: int) -> int:
    """Return the seed that one trial's settings are drawn from, by the search's seed and the trial's number."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] & 0x7FFFFFFF)


def proposed(
    algorithm: str, history: Sequence[Trial], *, metric: str, rows: int, seed: int, task: Task = "condition"
) -> dict[str, Setting]:
    """Return the settings to try next: what TPE makes of the same algorithm's earlier trials.

    Parameters
    ----------
    history
        The trials so far; those of other algorithms are left alone.
    rows
        How many training examples there are; small data get other bounds.
    """
    import optuna  # only now: where the defaults suffice, nothing waits for it to load

    mine = [trial for trial in history if trial.algorithm == algorithm]
    kind = candidate(algorithm, task, metric=metric)
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
                given = {**kind.unset, **trial.settings}
                params = {name: given[name] for name in space}
                study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=figure))
        return dict(study.ask(space).params)
    finally:
        optuna.logging.set_verbosity(level)


def _tried(
    number: int,
    algorithm: str,
    settings: dict[str, Setting],
    *,
    train: Examples,
    validate: Examples,
    seed: int,
    success: Success,
    score: Score,
    now: Callable[[], float],
    threads: int,
    task: Task,
) -> tuple[Trial, Fitted]:
    """Fit, package, score and time one trial."""
    started = now()
    # All are fitted from the search's own seed: what differs between trials is their settings, not their luck.
    fitted = fit(algorithm, settings, train, seed=seed, threads=threads, task=task)
    fit_seconds = now() - started
    graph = package(fitted, signature=fitted.signature)
    scorer = GraphScorer(graph, output=fitted.signature.output)
    # Scored by the graph: what is chosen is what will be served.
    scored = score(validate, scorer.score(validate.features))
    if success.metric not in scored.scores:
        raise DataError(f"The scores lack {success.metric!r}, by which the brief measures.", where="[success] metric")
    kind = candidate(algorithm, task)
    trial = Trial(
        number=number,
        algorithm=algorithm,
        settings=settings,
        seed=seed,
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
