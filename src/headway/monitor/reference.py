"""What a release looked like when it was judged: all that later days are held against.

The reference is the held-out evaluation of the release (its test period), not its training data: the last stretch
before deployment, scored by a model that had not seen it. Days that are older, or seen in training, promise a level
that the release never had in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from headway.errors import DataError
from headway.monitor import figures
from headway.monitor.day import YES_OR_NO
from headway.monitor.yardstick import Yardstick
from headway.nouns.act_on import ActOn, Likeliest
from headway.nouns.brief import Value
from headway.nouns.summary import FrozenBins
from headway.nouns.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from headway.nouns.examples import Examples

    _Measures = Mapping[str, tuple[Callable[[NDArray[np.float64], NDArray[np.float64]], float], float]]

__all__ = ["Agreement", "Reference"]

_TOLERATED_SHARE = 0.1
_TOLERATED_LOSS = 0.1
_TOLERATED_AUC = 0.02
_PAGES = frozenset({"loss", "ranking"})
_ZERO_IS_HEALTHY = {"too-low": 1.0, "too-high": -1.0, "loss": 1.0}
"""Figures whose ideal is zero, with the harmful direction."""


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How alike two releases score the same rows: Spearman's correlation and the mean absolute difference."""

    correlation: float
    difference: float

    @classmethod
    def of(cls, one: NDArray[np.float64], other: NDArray[np.float64]) -> Agreement:
        """Return it for two arrays of scores of the same rows."""
        return cls(correlation=figures.rank_correlation(one, other), difference=float(np.abs(one - other).mean()))


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The reference of one release; `freeze` makes it, JSON holds it.

    Attributes
    ----------
    yardsticks
        Per figure (``base-rate``, ``too-low``, ``too-high``, ``loss``, ``ranking``), its reference days. A figure
        without 14 usable days has none, and its signals stay silent.
    rows_a_day
        The predictions to be expected of a day.
    usual_loss
        The mean log loss on the evaluation examples, in nats.
    windows
        The promised mean number of windows between false pages.
    weights
        Each feature's share of the evidence on drift, summing to one.
    agreement
        With the release before, on the evaluation examples; ``None`` where there is none.
    latency_p99_us
        The limit that the brief sets; ``None`` for no limit.
    coverage
        The share of outcomes that may be expected of a mature cohort.
    """

    release: str
    bins: FrozenBins
    yardsticks: dict[str, Yardstick]
    rows_a_day: float
    usual_loss: float
    act_on: ActOn
    value: Value
    windows: float
    weights: dict[str, float]
    agreement: Agreement | None = None
    latency_p99_us: float | None = None
    coverage: float = 0.95
    task: Task = "condition"

    @classmethod
    def freeze(
        cls,
        examples: Examples,
        scores: NDArray[np.float64],
        *,
        release: str,
        act_on: ActOn,
        value: Value,
        windows: float,
        importance: Mapping[str, float] | None = None,
        previous_scores: NDArray[np.float64] | None = None,
        latency_p99_us: float | None = None,
        sample: float = 1.0,
        task: Task = "condition",
    ) -> Reference:
        """Return the reference of a release.

        Parameters
        ----------
        examples
            Those the release was judged on; of a category with labels 1 and 0 (see ``Calls.watched``).
        scores
            Of the same examples by a model that had not learned from them, shape ``(n,)``.
        windows
            See `headway.nouns.brief.false_alarm_windows`.
        importance
            Per feature, any scale; without it all features count alike.
        previous_scores
            The previous release's, of the same examples.
        sample
            The share of the examples' rate that live traffic will have; above 1 where these were drawn from more.

        Raises
        ------
        DataError
            When there are no examples, or the shapes differ.
        """
        if len(scores) != len(examples):
            raise DataError(f"{len(scores)} scores were given for {len(examples)} examples.")
        bins = FrozenBins.freeze(examples.features, scores, day=examples.day)
        days = figures.by_day(examples.day)
        return cls(
            release=release,
            bins=bins,
            yardsticks=_yardsticks(scores, examples.label, days, task, act_on),
            rows_a_day=float(np.median([len(rows) for rows in days])) * sample,
            usual_loss=float(figures.log_losses(scores, examples.label).mean()) if task in YES_OR_NO else 0.0,
            act_on=act_on,
            value=value,
            windows=windows,
            weights=_weights(tuple(bins.columns), importance or {}),
            agreement=None if previous_scores is None else Agreement.of(scores, previous_scores),
            latency_p99_us=latency_p99_us,
            task=task,
        )


def _yardsticks(
    scores: NDArray[np.float64],
    labels: NDArray[np.float64],
    days: list[NDArray[np.int64]],
    task: Task,
    act_on: ActOn,
) -> dict[str, Yardstick]:
    """Return each figure's days. Tolerances are shares of the level itself, so that no unit has to be asked for."""
    if task == "ranking":
        return {}
    if task == "number":
        apart = _TOLERATED_SHARE * float(np.abs(labels - np.median(labels)).mean())
        return _made(
            scores,
            labels,
            days,
            dict.fromkeys(("base-rate",), (figures.base_rate, apart))
            | dict.fromkeys(("too-low", "too-high"), (figures.calibration_error, apart)),
        )
    level = float(labels.mean())
    measures = {
        "base-rate": (figures.base_rate, _TOLERATED_SHARE * min(level, 1 - level)),
        "too-low": (figures.calibration_error, _TOLERATED_SHARE * min(level, 1 - level)),
        "too-high": (figures.calibration_error, _TOLERATED_SHARE * min(level, 1 - level)),
        "loss": (figures.loss_beyond_expected, _TOLERATED_LOSS * float(figures.log_losses(scores, labels).mean())),
        "ranking": (figures.ranking, _TOLERATED_AUC),
    }
    if isinstance(act_on, Likeliest):  # how often it is right is the model's doing, not the world's
        del measures["base-rate"]
    return _made(scores, labels, days, measures)


def _made(
    scores: NDArray[np.float64], labels: NDArray[np.float64], days: list[NDArray[np.int64]], measures: _Measures
) -> dict[str, Yardstick]:
    found: dict[str, Yardstick] = {}
    for name, (measure, tolerance) in measures.items():
        by_day = np.array([measure(scores[rows], labels[rows]) for rows in days])
        usable = by_day[~np.isnan(by_day)]
        if not len(usable):
            continue  # no day can say: there is no level, and no yardstick either
        if name in _ZERO_IS_HEALTHY:
            # A release that was judged below zero must not be accused of coming closer to it.
            by_day = by_day + _ZERO_IS_HEALTHY[name] * max(-_ZERO_IS_HEALTHY[name] * float(usable.mean()), 0.0)
        yardstick = Yardstick.of(by_day, tolerance=tolerance, pages=name in _PAGES)
        if yardstick is not None:
            found[name] = yardstick
    return found


def _weights(names: tuple[str, ...], importance: Mapping[str, float]) -> dict[str, float]:
    """Half by importance, half alike: a feature that the model ignores today may still betray a broken source."""
    total = sum(max(importance.get(name, 0.0), 0.0) for name in names)
    even = 1.0 / len(names) if names else 0.0
    return {name: 0.5 * even + 0.5 * (importance.get(name, 0.0) / total if total else even) for name in names}
