"""Labelled examples that quick models look at, and what of them stands for the label: shapes, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headway.nouns.calls import Places

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.nouns.task import Task

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Sample", "above_middle"]

_MOST_CLASSES = 8  # of a category, beyond which one more says little about whether there is a signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Examples in the order of time; every array has one entry each.

    Attributes
    ----------
    features
        Numbers and texts.
    label
        As ``nouns/task.py`` says for the task.
    day
        The local day, as a number that does not fall.
    at, known
        When each is predicted and its label known, in microseconds.
    later
        Whether each is of the validation side, and not of the training side.
    rule
        What today's rule says, NaN where it is silent; None where there is none.
    group
        Which examples are ranked against each other; None where the task is no ranking.
    classes
        The names of the classes, in the order of their positions.
    of_rows
        How many examples these stand for.
    """

    features: pa.Table
    label: Floats
    day: Ints
    at: Ints
    known: Ints
    later: NDArray[np.bool_]
    task: Task = "condition"
    rule: Floats | None = None
    group: Ints | None = None
    classes: tuple[str, ...] = ()
    of_rows: int = 0

    def __len__(self) -> int:
        return len(self.label)

    def places(self, rows: Ints) -> Places:
        """Return where some of the examples stand: day, round and group."""
        group = None if self.group is None else self.group[rows]
        return Places(day=self.day[rows], round=self.at[rows], group=group)

    @property
    def cases(self) -> list[Floats]:
        """The label as one or several questions of yes or no, each 0 or 1.

        Of a number, or a relevance, whether it lies above the middle; of a category one question for each of the
        commonest classes.
        """
        if self.task == "condition":
            return [self.label]
        if self.task in {"number", "ranking"}:
            return [above_middle(self.label).astype(np.float64)]
        return [(self.label == one).astype(np.float64) for one in self._commonest]

    @property
    def response(self) -> Floats:
        """What an additive model is fitted to: ``(n,)``, or ``(n, classes)``.

        Of a number its rank, so that a few huge ones do not decide; of a ranking what lies above its group's mean.
        """
        if self.task == "number":
            from scipy.stats import rankdata

            ranked: Floats = rankdata(self.label) / len(self.label)
            return ranked
        if self.task == "category":
            return np.stack(self.cases, axis=1)
        if self.group is not None:
            _, at = np.unique(self.group, return_inverse=True)
            centred: Floats = self.label - (np.bincount(at, weights=self.label) / np.bincount(at))[at]
            return centred
        return self.label

    @property
    def _commonest(self) -> Ints:
        values, count = np.unique(self.label, return_counts=True)
        return np.sort(values[np.argsort(-count, kind="stable")[:_MOST_CLASSES]]).astype(np.int64)


def above_middle(label: Floats) -> NDArray[np.bool_]:
    """Return which labels lie above the middle one; where none does, which are as high.

    Examples
    --------
    >>> above_middle(np.array([0.0, 0.0, 2.0])).tolist(), above_middle(np.array([3.0, 5.0, 5.0])).tolist()
    ([False, False, True], [False, True, True])
    """
    middle = np.median(label) if len(label) else 0.0
    above = label > middle
    return above if above.any() else label >= middle
