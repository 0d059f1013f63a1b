"""What is in prospect before anything is built: the nouns of signal, learning curve and money.

:mod:`headway.define.signal` and :mod:`headway.define.payoff` measure them, :mod:`headway.define.promise` says them in
words.
"""

from __future__ import annotations

import msgspec

from headway.nouns.interval import Interval
from headway.nouns.task import Task
from headway.nouns.worth import Worth

__all__ = ["Assumption", "CurvePoint", "LearningCurve", "MoreData", "Payoff", "Signal", "WorthBounds"]


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """The metric of a quick model that was trained on so many rows."""

    rows: int
    score: Interval


class MoreData(msgspec.Struct, frozen=True, kw_only=True):
    """What so many times the data would add to the metric, by the fitted law."""

    times: float
    gain: Interval


class LearningCurve(msgspec.Struct, frozen=True, kw_only=True):
    """How a quick model grows with what it learns from.

    Attributes
    ----------
    chance
        What no skill scores on the same examples.
    floor, scale, exponent
        Of the law: the metric it tends to, and how fast.
    fitted
        Rows and metric by the law, from the fewest to four times the most.
    tells
        Whether the curve is sure enough for ``more`` to say something; ``words`` say it.
    """

    points: tuple[CurvePoint, ...]
    chance: float
    floor: float
    scale: float
    exponent: float
    more: tuple[MoreData, ...]
    fitted: tuple[tuple[float, float], ...]
    tells: bool
    words: str


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the features say anything about the label, and how much, by models that take seconds.

    Attributes
    ----------
    rows, of_rows, cases, blocks
        Labelled examples of train and validate that were used, evenly over time, of how many; those that are cases
        (:attr:`headway.define.sample.Sample.cases`); and the stretches of time they were cut into.
    p_value, permutations, correlation
        A quick additive model against itself on labels moved in time, and its correlation with what happened.
    best, best_auc
        The feature that ranks best on its own, and the ROC AUC that it has alone, each way of reading it allowed.
    lift, lift_together
        Average precision over base rate, of ``best`` alone and of all features' log odds summed, each scored on
        stretches of time that its rates were not counted on. 1 is no skill.
    by_feature
        Lift of each feature alone, best first.
    metric, expected, chance, rule
        What a boosted model of the past makes of the brief's metric on what came after; what no skill, and what
        today's rule would have.
    foretold
        Whether that model surely tells what came after better than no skill (ROC AUC, or what else segments of such a
        target are compared by): evidence of its own, which sees what features say only together.
    curve
        What more data would bring; ``None`` where there are too few to ask.
    """

    task: Task = "condition"
    rows: int
    of_rows: int = 0
    cases: int = 0
    blocks: int
    best: str
    best_auc: float = 0.5
    lift: float
    lift_together: float
    p_value: float
    permutations: int = 0
    correlation: float = 0.0
    by_feature: tuple[tuple[str, float], ...]
    metric: str = ""
    expected: Interval | None = None
    chance: float | None = None
    foretold: bool = False
    rule: Interval | None = None
    curve: LearningCurve | None = None


class Assumption(msgspec.Struct, frozen=True, kw_only=True):
    """One assumption of the brief, changed alone: what it does to the monthly net.

    Attributes
    ----------
    low, high, net_low, net_high
        The values tried, and the monthly net at each.
    break_even
        The value at which the monthly net is nought; ``None`` where none of its sign is.
    turns
        Whether the net changes its sign between ``low`` and ``high``.
    """

    name: str
    value: float
    low: float
    high: float
    net_low: float
    net_high: float
    break_even: float | None = None
    turns: bool = False


class Payoff(msgspec.Struct, frozen=True, kw_only=True):
    """What acting on a quick model would have been worth, on days that it had not seen.

    Attributes
    ----------
    worth
        Against today's rule, and against doing nothing, a day; the monthly net and the payback.
    net_of_nothing
        The monthly net against doing nothing, after running cost; None where a number is used as it is.
    build, monthly_cost
        Spent once; spent each month, retraining included.
    assumptions
        Those of the brief, the one that matters most first.
    share
        Of each day's examples that were looked at; the budget of actions was cut to the same share.
    """

    worth: Worth
    net_of_nothing: Interval | None
    build: float
    monthly_cost: float
    assumptions: tuple[Assumption, ...]
    share: float = 1.0


class WorthBounds(msgspec.Struct, frozen=True, kw_only=True):
    """What acting is worth a day between no skill and perfect foresight, before running cost; all in ``currency``.

    Attributes
    ----------
    actions_per_day, positives_per_day
        What ``act_on`` can carry on a mean day with perfect foresight, and how many cases there are.
    random, perfect
        The same number of actions, drawn by lot, and by perfect foresight. Where a number is used as it is: one number
        for all, and no error. Where the likeliest class is: the commonest for all, and the right one.
    rule
        Today's rule with the same number of actions; ``None`` where the brief names none.
    by_error
        Whether a number is used as it is, so that its error is what costs.
    """

    currency: str
    actions_per_day: float
    positives_per_day: float
    random: float
    perfect: float
    rule: float | None = None
    by_error: bool = False
