"""Scores of predictions, by name, and their intervals over days.

A metric belongs to one task or several (``nouns/task.py``), has a direction, and words. What is measured, and how its
resamples are made cheap, stands in one file a task: ``metric_condition``, ``metric_number``, ``metric_category`` and
``metric_ranking``. ``docs/validation.md`` says what each means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headway.errors import DataError, did_you_mean
from headway.nouns.metric_category import CATEGORY_METRICS, checked_classes
from headway.nouns.metric_condition import CONDITION_DRAWS, average_precision, brier, checked, log_loss, roc_auc
from headway.nouns.metric_number import NUMBER_METRICS, PINBALL_PERCENT, checked_numbers
from headway.nouns.metric_ranking import RANKING_METRICS, checked_groups
from headway.nouns.resampling import day_multiplicity, interval_of_draws

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from headway.nouns.interval import Interval
    from headway.nouns.metric_category import MacroAveragePrecision
    from headway.nouns.resampling import OfSums
    from headway.nouns.task import Task

    _Figure = OfSums | MacroAveragePrecision

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = [
    "METRICS",
    "Metric",
    "average_precision",
    "brier",
    "checked",
    "day_bootstrap",
    "day_draws",
    "day_multiplicity",
    "higher_is_better",
    "interval_of_draws",
    "log_loss",
    "measured",
    "metric_of",
    "paired_day_bootstrap",
    "roc_auc",
    "silent_is_lowest",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a metric is called, which way is better, and of which tasks it can be asked.

    Attributes
    ----------
    bounded
        Whether it is a share, at most 1: a figure is then comparable between targets of any unit.
    """

    words: str
    higher: bool
    tasks: tuple[Task, ...]
    bounded: bool = True


def _metrics() -> dict[str, Metric]:
    found = {
        "average_precision": Metric(words="average precision", higher=True, tasks=("condition",)),
        "roc_auc": Metric(words="ROC AUC", higher=True, tasks=("condition",)),
        "log_loss": Metric(words="log loss", higher=False, tasks=("condition", "category"), bounded=False),
        "brier": Metric(words="Brier score", higher=False, tasks=("condition", "category")),
        "mae": Metric(words="mean absolute error", higher=False, tasks=("number",), bounded=False),
        "rmse": Metric(words="root mean squared error", higher=False, tasks=("number",), bounded=False),
        "r2": Metric(words="R²", higher=True, tasks=("number",)),
        "explained_error": Metric(words="explained absolute error", higher=True, tasks=("number",)),
        "poisson_deviance": Metric(words="Poisson deviance", higher=False, tasks=("number",), bounded=False),
        "accuracy": Metric(words="accuracy", higher=True, tasks=("category",)),
        "macro_f1": Metric(words="macro F1", higher=True, tasks=("category",)),
        "macro_average_precision": Metric(words="macro average precision", higher=True, tasks=("category",)),
        "explained_loss": Metric(words="explained log loss", higher=True, tasks=("category",)),
        "ndcg": Metric(words="NDCG", higher=True, tasks=("ranking",)),
        "map": Metric(words="mean average precision", higher=True, tasks=("ranking",)),
    }
    for percent in PINBALL_PERCENT:
        words = f"pinball loss at {percent} %"
        found[f"pinball_{percent}"] = Metric(words=words, higher=False, tasks=("number",), bounded=False)
    for k in (1, 3, 5, 10, 20):
        found[f"ndcg_{k}"] = Metric(words=f"NDCG at {k}", higher=True, tasks=("ranking",))
        found[f"precision_{k}"] = Metric(words=f"precision at {k}", higher=True, tasks=("ranking",))
    return found


_METRICS = _metrics()

METRICS: dict[str, Callable[..., float]] = {
    "average_precision": average_precision,
    "roc_auc": roc_auc,
    "log_loss": log_loss,
    "brier": brier,
}
"""Those of a condition, as functions of score and label; of any task: :func:`measured`."""


def metric_of(metric: str) -> Metric:
    """Return what there is to know about a metric.

    Raises
    ------
    DataError
        When there is none of that name.
    """
    if metric not in _METRICS:
        raise DataError(f"There is no metric {metric!r}.", hint=did_you_mean(metric, _METRICS))
    return _METRICS[metric]


def higher_is_better(metric: str) -> bool:
    """Return whether more of this metric is better.

    Examples
    --------
    >>> higher_is_better("roc_auc"), higher_is_better("log_loss"), higher_is_better("r2")
    (True, False, True)
    """
    return metric_of(metric).higher


def silent_is_lowest(score: ArrayLike) -> Floats:
    """Return the scores with NaN, where a rule says nothing, below every other.

    Examples
    --------
    >>> silent_is_lowest([0.2, float("nan")]).tolist()
    [0.2, -inf]
    """
    values = np.asarray(score, dtype=np.float64)
    return np.where(np.isnan(values), -np.inf, values)


def measured(metric: str, score: ArrayLike, label: ArrayLike, *, group: Ints | None = None) -> float:
    """Return a metric of any task.

    Parameters
    ----------
    score, label
        One entry per example; of a category, ``score`` has a column for each class.
    group
        Which examples are ranked against each other; asked of rankings alone.

    Examples
    --------
    >>> measured("mae", [1.0, 2.0], [1.0, 4.0])
    1.0
    >>> measured("accuracy", [[0.8, 0.2], [0.4, 0.6]], [0, 0])
    0.5
    """
    s, y, g, figure = _figure(metric, score, label, group)
    return METRICS[metric](s, y) if figure is None else figure.of(s, y, g)


def day_draws(
    metric: str,
    score: ArrayLike,
    label: ArrayLike,
    day: ArrayLike,
    *,
    group: Ints | None = None,
    days: ArrayLike | None = None,
    draws: int = 1000,
    seed: int,
) -> Floats:
    """Return the metric on each of ``draws`` resamples of whole days.

    The same days and seed give the same resamples, so that two scorers, or two parts of the same examples, are
    paired: take the difference of what this returns. A resample on which the metric is not defined is NaN.

    Parameters
    ----------
    group
        As in :func:`measured`.
    days
        The days that are resampled, ascending; those of the examples by default.

    Raises
    ------
    DataError
        Fewer than two days: nothing can be said about how days vary.
    """
    s, y, g, figure = _figure(metric, score, label, group)
    d = np.asarray(day, dtype=np.int64)
    if len(d) != len(y):
        raise DataError(f"{len(y)} labels but {len(d)} days.", hint="Give one day for each example.")
    resampled = np.unique(d) if days is None else np.asarray(days, dtype=np.int64)
    if len(resampled) < 2:
        raise DataError(
            f"The examples span {len(resampled)} day; an interval needs at least 2, and is fair from about 7 on.",
            hint="Choose a longer stretch of time.",
        )
    drawn = day_multiplicity(len(resampled), draws=draws, seed=seed)
    if g is not None:  # a group belongs to one day: that of its first example
        _, first, index = np.unique(g, return_index=True, return_inverse=True)
        d = d[first][index]
    at = np.searchsorted(resampled, d)
    with np.errstate(invalid="ignore", divide="ignore"):
        return CONDITION_DRAWS[metric](s, y, at, drawn) if figure is None else figure.draws(s, y, g, at, drawn)


def day_bootstrap(
    metric: str,
    score: ArrayLike,
    label: ArrayLike,
    day: ArrayLike,
    *,
    group: Ints | None = None,
    draws: int = 1000,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Return the metric with its interval, whole days being resampled (cluster bootstrap; Field & Welsh 2007).

    Examples of one day share its weather and its delays: resampling them one by one would give an interval
    that is far too short.

    Parameters
    ----------
    metric
        Its name.
    score, label, day
        One entry per example.

    Examples
    --------
    >>> score, label, day = [0.9, 0.2, 0.7, 0.4, 0.6, 0.1], [1, 0, 1, 0, 0, 1], [1, 1, 2, 2, 3, 3]
    >>> str(day_bootstrap("roc_auc", score, label, day, draws=200, seed=7))
    '0.667 [0.000, 1.000]'
    """
    drawn = day_draws(metric, score, label, day, group=group, draws=draws, seed=seed)
    value = measured(metric, score, label, group=group)
    return interval_of_draws(value, drawn, days=len(np.unique(np.asarray(day))), level=level)


def paired_day_bootstrap(
    metric: str,
    a: ArrayLike,
    b: ArrayLike,
    label: ArrayLike,
    day: ArrayLike,
    *,
    group: Ints | None = None,
    draws: int = 1000,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Return the metric of ``a`` less that of ``b``, both on the same resampled days, with its interval."""
    drawn = day_draws(metric, a, label, day, group=group, draws=draws, seed=seed)
    drawn = drawn - day_draws(metric, b, label, day, group=group, draws=draws, seed=seed)
    value = measured(metric, a, label, group=group) - measured(metric, b, label, group=group)
    return interval_of_draws(value, drawn, days=len(np.unique(np.asarray(day))), level=level)


def _figure(
    metric: str, score: ArrayLike, label: ArrayLike, group: Ints | None
) -> tuple[Floats, Floats, Ints | None, _Figure | None]:
    """Return what is measured, checked, and what measures it; None where the task is a condition."""
    tasks = metric_of(metric).tasks
    if "category" in tasks and ("condition" not in tasks or np.ndim(score) == 2):
        return *checked_classes(score, label), None, CATEGORY_METRICS[metric]
    if "number" in tasks:
        return *checked_numbers(score, label), None, NUMBER_METRICS[metric]
    if "ranking" in tasks:
        return *checked_groups(score, label, group), RANKING_METRICS[metric]
    s, y, _ = checked(score, label, probability=metric not in {"average_precision", "roc_auc"})
    return s, y, None, None
