"""What the monitor is shown at the close of one day: that day's traffic, and the older cohorts whose truth came in.

A *cohort* is the predictions of one day, by the time of the prediction, not of the outcome. It is shown once, when
nearly all of its outcomes can be known; what comes later is for the books, not for the monitor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from headway.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.nouns.task import Task

__all__ = ["YES_OR_NO", "Cohort", "Day", "Traffic"]

YES_OR_NO: frozenset[Task] = frozenset({"condition", "category"})
"""Targets whose outcomes are followed as true or false: a category by whether the class acted on has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One day's predictions by the live release, ``n`` rows in any order.

    Attributes
    ----------
    features
        Table of ``n`` rows with at least the columns of the reference; null means missing.
    scores
        Shape ``(n,)``, in [0, 1] where the task is a condition or a category.
    previous_scores
        What the release before says of the same rows, shape ``(n,)``; ``None`` where it is not re-scored.
    replayed_scores
        What the released model says offline of the rows as served, shape ``(n,)``; ``None`` where not recomputed.
    latencies_us
        Microseconds per answer, any length; ``None`` where nothing was timed (batch).
    errors, refused
        Requests answered 5xx, and 4xx.
    stale
        Per look-up name, how many of the rows were served although the newest row was older than its ``max_age``.
    looked_up
        Per look-up name, the features that it gives: what is missing because it is stale is said once.
    oldest_hours
        Per look-up name, the age of the oldest row used or refused, in hours; for the message.
    """

    features: pa.Table
    scores: NDArray[np.float64]
    previous_scores: NDArray[np.float64] | None = None
    replayed_scores: NDArray[np.float64] | None = None
    latencies_us: NDArray[np.float64] | None = None
    errors: int = 0
    refused: int = 0
    stale: Mapping[str, int] = field(default_factory=dict)
    looked_up: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    oldest_hours: Mapping[str, float] = field(default_factory=dict)
    task: Task = "condition"

    def __post_init__(self) -> None:
        _fitting(self.scores, "the traffic", self.task)
        others = {"previous_scores": self.previous_scores, "replayed_scores": self.replayed_scores}
        _same_length(self.features.num_rows, scores=self.scores, **others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The predictions of one earlier day with what became of them, ``n`` rows in any fixed order.

    Attributes
    ----------
    day
        The day of the predictions, in days since 1970-01-01.
    release
        Who made them. Only figures that do not depend on the release are taken from another one's cohort.
    scores
        Shape ``(n,)``, in [0, 1].
    labels
        Shape ``(n,)``: 0.0, 1.0, or NaN where void or not known yet.
    void
        How many of the NaN will never be known.
    acted
        Which were really acted on, shape ``(n,)``; ``None`` derives it from ``act_on``.
    rule
        What today's rule said, shape ``(n,)``, higher meaning likelier; ``None`` where there is no rule.
    previous, previous_scores
        The release before, and what it says of the same rows, shape ``(n,)``.
    """

    day: int
    release: str
    scores: NDArray[np.float64]
    labels: NDArray[np.float64]
    void: int = 0
    acted: NDArray[np.bool_] | None = None
    rule: NDArray[np.float64] | None = None
    previous: str = ""
    previous_scores: NDArray[np.float64] | None = None
    task: Task = "condition"

    def __post_init__(self) -> None:
        others = {"scores": self.scores, "acted": self.acted, "rule": self.rule, "previous": self.previous_scores}
        _same_length(len(self.labels), **others)
        _fitting(self.scores, f"cohort {self.day}", self.task)
        known = self.labels[~np.isnan(self.labels)]
        if self.task in YES_OR_NO and not np.isin(known, (0.0, 1.0)).all():
            raise DataError("The labels of a cohort are 0, 1 or NaN; others were found.", where=f"cohort {self.day}")

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which outcomes are known, shape ``(n,)``."""
        return np.asarray(~np.isnan(self.labels))

    @property
    def coverage(self) -> float:
        """The share of predictions that are known or void; 1 of an empty cohort."""
        return (float(self.known.sum()) + self.void) / len(self.labels) if len(self.labels) else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """All that one day shows.

    Attributes
    ----------
    day
        Days since 1970-01-01 in the zone of the split. Days come in ascending order; one may be missing.
    release
        The live release: the one whose reference `observe` is given. On the day of a change, the caller shows the
        traffic of the release that was live at the close.
    cohorts
        Those that matured since the last day, none or several, days ascending.
    """

    day: int
    release: str
    traffic: Traffic
    cohorts: tuple[Cohort, ...] = ()


def _same_length(rows: int, **arrays: NDArray[np.generic] | None) -> None:
    for name, values in arrays.items():
        if values is not None and len(values) != rows:
            raise DataError(f"{name} has {len(values)} entries for {rows} rows.", hint="Pass one entry per prediction.")


def _fitting(scores: NDArray[np.float64], where: str, task: Task) -> None:
    if task not in YES_OR_NO:
        if not np.isfinite(scores).all():
            raise DataError("Predictions are finite numbers; others were found.", where=where)
        return
    if len(scores) and not ((scores >= 0) & (scores <= 1)).all():
        raise DataError("Scores are probabilities; NaN or values outside [0, 1] were found.", where=where)
