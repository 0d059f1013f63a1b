"""Choosing one trial, and saying in one sentence why.

The file hides the order of arguments: what a model *must* meet comes first, then what is beaten in every
respect falls away, then quality decides as far as the data can tell (Breiman et al. 1984, section 3.4.3: within
one standard error of the best), and what is left is decided for the simplest.

Comparing ranks and differences only, the choice does not depend on units or on the order of the trials; and
since beaten trials fall away before anything is compared with anything, adding one never changes the choice. Nor does
the pace of the machine, as long as no trial comes near the brief's limit of latency.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.errors import DataError
from headway.nouns.interval import Interval
from headway.nouns.metric import higher_is_better
from headway.nouns.span import format_span, parse_span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from headway.nouns.brief import Success, Value
    from headway.nouns.trial import Trial

__all__ = ["select", "standard_error_of_difference", "undominated"]

_SIMPLICITY = {"glass": 0, "small": 1, "opaque": 2}
_CALLED = {"glass": "glass box", "small": "small", "opaque": "opaque"}
_MONEY = "money_per_day"  # a score of this name, when there is one, puts a price on what is given up


def select(trials: Sequence[Trial], *, success: Success, value: Value) -> tuple[Trial, str]:
    """Return the winning trial and why it won, in one sentence.

    When no trial meets the limits of the brief, the choice is made among all, and the sentence begins with
    that: the gates, which judge on other examples, have the last word.

    Raises
    ------
    DataError
        When there are no trials.
    """
    if not trials:
        raise DataError("There are no trials to choose from.", where="[search] trials")
    metric = success.metric
    admitted = [trial for trial in trials if not _broken(trial, success)]
    pool = sorted(admitted or trials, key=lambda trial: trial.number)
    front = undominated(pool, metric)
    best = max(front, key=lambda trial: (_quality(trial, metric), [-x for x in _simplicity(trial)], -trial.number))
    tied = [trial for trial in front if _is_tied(best, trial, metric)]
    winner = min(tied, key=lambda trial: (_simplicity(trial), -_quality(trial, metric), trial.number))
    why = _why(winner, best, pool, metric=metric, value=value)
    if not admitted:
        nearest = min(pool, key=lambda trial: (len(_broken(trial, success)), trial.number))
        return winner, f"No trial meets the brief ({', '.join(_broken(nearest, success))}); of those there are, {why}"
    out = len(trials) - len(admitted)
    aside = f" ({out} of {len(trials)} trials broke a limit and were set aside)" if out else ""
    return winner, f"{why}{aside}."


def standard_error_of_difference(a: Trial, b: Trial, metric: str) -> float:
    """Return the standard error of the difference in ``metric`` between two trials.

    From their resamples when both were scored on the same ones, so that what moves both does not count; else
    from the interval of ``a`` alone; zero when nothing is known.
    """
    difference = _replicates(a, b)
    if len(difference) > 1:
        return float(np.std(difference, ddof=1))
    found = a.scores[metric]
    if a.number == b.number or not isinstance(found, Interval):
        return 0.0
    from statistics import NormalDist

    return (found.high - found.low) / (2 * NormalDist().inv_cdf(0.5 + found.level / 2))


def _replicates(a: Trial, b: Trial) -> NDArray[np.float64]:
    if len(a.replicates) != len(b.replicates):
        return np.empty(0)
    difference = np.asarray(a.replicates, dtype=np.float64) - np.asarray(b.replicates, dtype=np.float64)
    finite: NDArray[np.float64] = difference[np.isfinite(difference)]
    return finite


def _is_tied(best: Trial, trial: Trial, metric: str) -> bool:
    less, more = _quality(trial, metric), _quality(best, metric)
    return less == more or more - less <= standard_error_of_difference(best, trial, metric)


def _quality(trial: Trial, metric: str) -> float:
    """Return the metric so that more is better; what is not defined is worst."""
    score = trial.score(metric)
    if np.isnan(score):
        return float("-inf")
    return score if higher_is_better(metric) else -score


def _simplicity(trial: Trial) -> tuple[float, ...]:
    """Return what is compared, in this order, between trials that are equally good; less is better.

    What a stopwatch says is not among it: a busy machine would choose another model. Latency counts as the limit that
    it may not break, far from where answers lie; that a trial broke it is said.
    """
    return (_SIMPLICITY[trial.interpretability], trial.complexity, trial.size_bytes)


def _broken(trial: Trial, success: Success) -> list[str]:
    """Return which limits of the brief the trial breaks, in words."""
    out = []
    limit_us = parse_span(success.latency_p99)
    if trial.latency_us > limit_us:  # half of its answers are slower than one in a hundred may be
        out.append(f"{trial.algorithm} takes {trial.latency_us:,.0f} us a row, the limit is {format_span(limit_us)}")
    if success.explainable and not trial.explains:
        out.append(f"{trial.algorithm} cannot give reasons, which the brief asks for")
    bar = success.minimum if higher_is_better(success.metric) else -success.minimum
    if not _quality(trial, success.metric) >= bar:
        out.append(f"{_words(success.metric)} {trial.score(success.metric):.3f} misses the minimum {success.minimum:g}")
    return out


def undominated(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """Return the trials that no other is at least as good as in every respect and better in one."""
    costs = np.array([(-_quality(trial, metric), *_simplicity(trial)) for trial in trials])
    keep = []
    for at, mine in enumerate(costs):
        beaten = np.all(costs <= mine, axis=1) & np.any(costs < mine, axis=1)
        if not beaten.any():
            keep.append(trials[at])
    return keep


def _why(winner: Trial, best: Trial, pool: list[Trial], *, metric: str, value: Value) -> str:
    name = _words(metric)
    won = f"{_described(winner)} won: {name} {winner.score(metric):.3f}"
    if winner.number != best.number:
        return (
            f"{won} is within one standard error ({standard_error_of_difference(best, winner, metric):.3f}) "
            f"of the best, {_described(best)} with {best.score(metric):.3f}, and it is simpler; "
            f"given up: {_difference(best, winner, metric)}{_price(best, winner, value)}"
        )
    simpler = [trial for trial in pool if _simplicity(trial)[:2] < _simplicity(winner)[:2]]
    if not simpler:
        others = [trial for trial in pool if trial.number != winner.number]
        if not others:
            return f"{won} of the only trial"
        return f"{won} is the best of {len(pool)} trials, and none is simpler"
    simplest = min(_SIMPLICITY[trial.interpretability] for trial in simpler)
    rivals = [trial for trial in simpler if _SIMPLICITY[trial.interpretability] == simplest]
    rival = max(rivals, key=lambda trial: (_quality(trial, metric), -trial.number))
    kind = "simpler one" if rival.interpretability == winner.interpretability else _kind(rival)
    return (
        f"{won} against {rival.score(metric):.3f} of the best {kind}, {_described(rival)}, "
        f"a difference of {_difference(winner, rival, metric)}{_price(winner, rival, value)}; "
        "no simpler model came within one standard error"
    )


def _kind(trial: Trial) -> str:
    called = _CALLED[trial.interpretability]
    return called if trial.interpretability == "glass" else f"{called} model"


def _described(trial: Trial) -> str:
    unit = "coefficient" if trial.interpretability == "glass" else "leaf"
    plural = {"coefficient": "coefficients", "leaf": "leaves"}[unit]
    return f"{trial.algorithm} ({trial.complexity:,} {unit if trial.complexity == 1 else plural})"


def _difference(better: Trial, worse: Trial, metric: str) -> str:
    """Return by how much one is better, with the percentile interval over the resamples."""
    point = _quality(better, metric) - _quality(worse, metric)
    drawn = _replicates(better, worse) * (1 if higher_is_better(metric) else -1)
    if len(drawn) < 20:  # too few for a bound in a tail of 2.5 %
        return f"{point:.3f}"
    low, high = np.quantile(drawn, [0.025, 0.975])
    return str(Interval(value=point, low=float(low), high=float(high)))


def _price(better: Trial, worse: Trial, value: Value) -> str:
    if _MONEY not in better.scores or _MONEY not in worse.scores:
        return ""
    return f" ({better.score(_MONEY) - worse.score(_MONEY):,.0f} {value.currency} a day)"


def _words(metric: str) -> str:
    return metric.replace("_", " ")
