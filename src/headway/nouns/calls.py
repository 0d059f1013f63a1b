"""What a call is, is right by, and earns, for each kind of target: from a model's answer to money.

=========  ==========================  ==================================================================
task       acted on                    right when
=========  ==========================  ==================================================================
condition  quota, or a probability     the condition holds
number     above a bar                 the label is above the same bar
number     quota                       the label is among as many highest of its day (round)
number     every prediction            never asked: each unit too high or too low costs what the brief says
category   the most likely class       it is that class
category   probability of one class    it is that class
ranking    quota                       it is relevant at all
=========  ==========================  ==================================================================

The file hides that table, and in which unit (day, round, group) a quota is spent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headway.errors import BriefError
from headway.nouns.act_on import ActOn, Everything, Likeliest, Quota, Threshold, suited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from headway.nouns.brief import Value
    from headway.nouns.examples import Examples
    from headway.nouns.part import Part
    from headway.nouns.task import Task

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

__all__ = ["Calls", "Places", "calls_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where each example stands: its day, its round (``predict_at``), and its group where there is one."""

    day: Ints
    round: Ints
    group: Ints | None = None

    @classmethod
    def of(cls, examples: Examples) -> Places:
        """Return the places of examples."""
        return cls(day=examples.day, round=examples.predict_at, group=examples.group)

    def unit(self, act_on: ActOn) -> Ints:
        """Return the unit of each example that a quota is spent in; days where there is no quota."""
        per = act_on.per if isinstance(act_on, Quota) else "day"
        if per == "group":
            assert self.group is not None, "a quota per group is suited to rankings alone, which have groups"
            return self.group
        return self.round if per == "round" else self.day


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """How predictions of one brief are acted on, and what that earns.

    What the model says is one number per example, or of a category a row with a column for each class.
    """

    task: Task
    act_on: ActOn
    value: Value
    classes: tuple[str, ...] = ()

    @property
    def by_error(self) -> bool:
        """Whether each prediction is used as it is, so that its error is what costs."""
        return isinstance(self.act_on, Everything)

    def score(self, said: Floats) -> Floats:
        """Return the one number of each example that decides: of a category, the probability of the class meant."""
        if said.ndim == 1:
            return said
        if isinstance(self.act_on, Threshold):
            return np.asarray(said[:, self.classes.index(self.act_on.of)], dtype=np.float64)
        return np.asarray(said.max(axis=1), dtype=np.float64)

    def watched(self, said: Floats, label: Floats) -> tuple[Floats, Floats]:
        """Return answers and outcomes as they are followed day by day, one number each.

        A category is followed as the condition that its action turns on: that the class acted on is the class that
        came. Its answer is that class's probability, its outcome 1 or 0; a class that is none of ours (-1) is a 0.
        What is not known stays NaN. Of all other targets nothing changes.

        Examples
        --------
        >>> from headway.nouns.brief import Value
        >>> calls = Calls(task="category", act_on=Likeliest(), value=Value(), classes=("early", "late"))
        >>> score, right = calls.watched(np.array([[0.3, 0.7], [0.6, 0.4]]), np.array([1.0, -1.0]))
        >>> score.tolist(), right.tolist()
        ([0.7, 0.6], [1.0, 0.0])
        """
        if self.task != "category":
            return said, label
        meant = self.classes.index(self.act_on.of) if isinstance(self.act_on, Threshold) else said.argmax(axis=1)
        return self.score(said), np.where(np.isnan(label), np.nan, (label == meant).astype(np.float64))

    def right(self, said: Floats, label: Floats, unit: Ints, part: Part | None = None) -> Bools:
        """Return which examples it would be right to act on."""
        act_on = self.act_on
        if self.task == "category":
            if isinstance(act_on, Threshold):
                return np.asarray(label == self.classes.index(act_on.of))
            return np.asarray(label == said.argmax(axis=1)) if said.ndim == 2 else np.asarray(label == said)
        if self.task == "number" and isinstance(act_on, Threshold):
            return np.asarray(label > act_on.score)
        if part is not None and part.bar is not None:  # its whole unit says what is among the highest
            return np.asarray(label >= part.bar)
        if self.task == "number" and isinstance(act_on, Quota):
            return _among_highest(label, unit, act_on.k)
        return np.asarray(label > 0)

    def paid(self, said: Floats, label: Floats, unit: Ints, part: Part | None = None) -> Floats:
        """Return what acting on each example earns.

        A number that is used as it is costs ``over`` per unit above the label and ``under`` per unit below it: the
        newsvendor's loss (Arrow, Harris & Marschak 1951), least for the quantile ``under / (over + under)``.
        """
        if self.by_error:
            over, under = self.value.over or 0.0, self.value.under or 0.0
            return np.asarray(over * np.maximum(said - label, 0) + under * np.maximum(label - said, 0))
        right = self.right(said, label, unit, part)
        return np.where(right, self.value.true_positive, self.value.false_positive)

    def said_today(self, rule: Floats | None, label: Floats) -> Floats | None:
        """Return what is acted on today: the rule, or nothing; None stands for doing nothing.

        Where each number is used as it is, somebody uses some number today; without a rule, and where the rule is
        silent, that is the one number which would have cost least. A rule of one number tells no likeliest class, so
        that this is held against doing nothing.
        """
        if self.by_error:
            over, under = -(self.value.over or 0.0), -(self.value.under or 0.0)
            constant = float(np.quantile(label, under / (over + under)))
            return np.full(len(label), constant) if rule is None else np.where(np.isnan(rule), constant, rule)
        return None if isinstance(self.act_on, Likeliest) else rule


def calls_of(*, task: Task, act_on: ActOn, value: Value, classes: Sequence[str] = ()) -> Calls:
    """Return how predictions of a target are acted on, or refuse what does not go together.

    Raises
    ------
    BriefError
        When ``act_on`` cannot be said of such a target, or ``[value]`` does not say what an error costs.
    """
    found = suited(act_on, task=task, classes=classes)
    if isinstance(found, Everything) and not (value.over and value.under):
        raise BriefError(
            "Every prediction is used as it is, and [value] does not say what an error costs.",
            where="value",
            hint="Write over = -0.5 and under = -2.0: what is lost per unit too high, and per unit too low.",
        )
    return Calls(task=task, act_on=found, value=value, classes=tuple(classes))


def _among_highest(label: Floats, unit: Ints, k: int) -> Bools:
    """Return which labels reach the ``k``-th highest of their unit."""
    order = np.lexsort((-label, unit))
    ordered = unit[order]
    first = np.searchsorted(ordered, ordered, side="left")
    last = np.searchsorted(ordered, ordered, side="right") - 1
    bar = label[order][np.minimum(first + k - 1, last)]
    out = np.zeros(len(label), dtype=np.bool_)
    out[order] = label[order] >= bar
    return out
