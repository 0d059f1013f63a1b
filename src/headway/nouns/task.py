"""What kind of thing is predicted. Everything that differs between kinds of target asks for it by this name.

===========  ==============================================  =====================================================
task         the label                                        the model's answer
===========  ==============================================  =====================================================
condition    0.0 or 1.0                                       the probability that the condition holds
category     position in ``classes``, as a float              a probability for each class
number       the number itself (a count, a sum, an amount)    the number that is expected
ranking      relevance, 0 or more, within a group             a score; only its order within the group has a meaning
===========  ==============================================  =====================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from headway.errors import BriefError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "MOST_TOLD",
    "SOLVED_ROC_AUC",
    "WAYS",
    "Algorithm",
    "MetricName",
    "Task",
    "Ways",
    "suited_algorithms",
    "suited_metric",
]

Task = Literal["condition", "category", "number", "ranking"]

Algorithm = Literal["logistic", "linear", "tree", "lightgbm"]

MetricName = Literal[
    "average_precision", "roc_auc", "log_loss", "brier",
    "mae", "rmse", "r2", "explained_error", "poisson_deviance",
    "pinball_5", "pinball_10", "pinball_20", "pinball_25", "pinball_75", "pinball_80", "pinball_90", "pinball_95",
    "accuracy", "macro_f1", "macro_average_precision", "explained_loss",
    "ndcg", "ndcg_1", "ndcg_3", "ndcg_5", "ndcg_10", "ndcg_20", "map",
    "precision_1", "precision_3", "precision_5", "precision_10", "precision_20",
]  # fmt: skip
"""What quality may be measured by; which of them suit a task is in ``WAYS``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What differs between kinds of target, as names; ``docs/decisions/kinds-of-target.md`` says why each was chosen.

    Attributes
    ----------
    metrics
        What the brief may measure by, the usual one first.
    algorithms
        What is tried, the simplest first.
    beside
        What every trial is scored by beside the brief's metric.
    loss
        What uses every example and is least for the right answer: it leads among near ties.
    compared_by
        What segments are compared by: it does not move with a segment's own base rate, spread or mix.
    """

    metrics: tuple[MetricName, ...]
    algorithms: tuple[Algorithm, ...]
    beside: tuple[MetricName, ...]
    loss: MetricName
    compared_by: MetricName


WAYS: dict[Task, Ways] = {
    "condition": Ways(
        metrics=("average_precision", "roc_auc", "log_loss", "brier"),
        algorithms=("logistic", "tree", "lightgbm"),
        beside=("roc_auc", "log_loss"),
        loss="log_loss",
        compared_by="roc_auc",
    ),
    "number": Ways(
        metrics=(
            "mae", "rmse", "r2", "explained_error", "poisson_deviance", "pinball_5", "pinball_10", "pinball_20",
            "pinball_25", "pinball_75", "pinball_80", "pinball_90", "pinball_95",
        ),
        algorithms=("linear", "tree", "lightgbm"),
        beside=("mae", "rmse", "r2"),
        loss="mae",
        compared_by="explained_error",
    ),
    "category": Ways(
        metrics=("log_loss", "accuracy", "macro_f1", "macro_average_precision", "brier", "explained_loss"),
        algorithms=("logistic", "tree", "lightgbm"),
        beside=("log_loss", "accuracy"),
        loss="log_loss",
        compared_by="explained_loss",
    ),
    "ranking": Ways(
        metrics=(
            "ndcg", "ndcg_1", "ndcg_3", "ndcg_5", "ndcg_10", "ndcg_20", "map", "precision_1", "precision_3",
            "precision_5", "precision_10", "precision_20",
        ),
        algorithms=("linear", "lightgbm"),
        beside=("ndcg", "map"),
        loss="ndcg",
        compared_by="ndcg",
    ),
}  # fmt: skip


SOLVED_ROC_AUC = 0.90
"""One feature alone that tells cases apart better than this holds the answer, until proven otherwise. The departure
delay, the leak that everybody falls for in flight data, has 0.942 for 'arrives over 30 minutes late'; the best honest
feature of the same flights has 0.65, and few anywhere pass 0.85."""

MOST_TOLD = 0.01
"""The share of labels that may be known when their own prediction is asked for. Of these there is nothing to predict,
and what looks back upon labels sees them; a few are clocks that differ, or entries that were dated back."""


def suited_metric(metric: str, task: Task) -> str:
    """Return the metric where it can be asked of such a target.

    Raises
    ------
    BriefError
        Naming those that can.

    Examples
    --------
    >>> suited_metric("mae", "number")
    'mae'
    """
    known = WAYS[task].metrics
    if metric not in known:
        raise BriefError(
            f"The metric {metric!r} is not one of a target that is a {task}.",
            where="success.metric",
            hint=f"Write metric = {known[0]!r}, or one of {', '.join(known[1:])}.",
        )
    return metric


def suited_algorithms(named: Sequence[str], task: Task) -> tuple[Algorithm, ...]:
    """Return which algorithms are tried, the simplest first; ``logistic`` and ``linear`` both name the plain sum.

    Raises
    ------
    BriefError
        When the task has none of those that are named.

    Examples
    --------
    >>> suited_algorithms(("logistic", "tree", "lightgbm"), "number")
    ('linear', 'tree', 'lightgbm')
    """
    known = WAYS[task].algorithms
    sums = {"logistic", "linear"}
    wanted = {name for one in named for name in (sums if one in sums else {one})}
    found = tuple(name for name in known if name in wanted)
    if not found:
        raise BriefError(
            f"None of the algorithms {', '.join(named)} learns a target that is a {task}.",
            where="search.algorithms",
            hint=did_you_mean(named[0], known),
        )
    return found
