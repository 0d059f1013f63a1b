"""What is said today, without a model: by a rule, or one answer for all; in the shape of a model's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.nouns.task import Task

    Floats = NDArray[np.float64]

__all__ = ["answers_today", "quantile_of"]


def answers_today(label: Floats, rule: Floats | None, *, task: Task, metric: str, classes: int = 0) -> Floats:
    """Return the answers that stand for what is done today.

    A rule about a number is that number; where it is silent, and where there is none, the one number for all that the
    metric is least for: the median, the mean, or the quantile asked for. Of a category it is the mix of classes, of a
    condition its rate.

    Parameters
    ----------
    rule
        NaN where it is silent; None where there is none.

    Examples
    --------
    >>> answers_today(np.array([1.0, 2.0, 9.0]), None, task="number", metric="mae").tolist()
    [2.0, 2.0, 2.0]
    >>> answers_today(np.array([0.0, 1.0, 1.0, 1.0]), None, task="category", metric="log_loss", classes=2)[0].tolist()
    [0.25, 0.75]
    """
    if task == "category":
        mix = np.bincount(label.astype(np.int64), minlength=classes) / len(label)
        return np.tile(mix, (len(label), 1))
    if task == "ranking":
        return np.zeros(len(label)) if rule is None else np.where(np.isnan(rule), -np.inf, rule)
    if task == "condition":
        return np.full(len(label), label.mean()) if rule is None else rule
    share = quantile_of(metric) or 0.5
    by_mean = metric in {"rmse", "r2", "poisson_deviance"}
    constant = float(label.mean() if by_mean else np.quantile(label, share))
    return np.full(len(label), constant) if rule is None else np.where(np.isfinite(rule), rule, constant)


def quantile_of(metric: str) -> float | None:
    """Return which share of labels a prediction is to lie above, where the metric asks for a quantile.

    Examples
    --------
    >>> quantile_of("pinball_75"), quantile_of("mae")
    (0.75, None)
    """
    return int(metric.removeprefix("pinball_")) / 100 if metric.startswith("pinball_") else None
