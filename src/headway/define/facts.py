"""What the data say about a brief, before any model is trained: figures only, without judgement.

The file is the noun between :mod:`headway.define.feasible`, which measures, and :mod:`headway.define.questions`,
which judges. Figures that do not exist (a base rate of no labels) are ``None``, never a zero that looks like one.
"""

from __future__ import annotations

import msgspec

from headway.nouns.dataset import SplitCount
from headway.nouns.interval import Interval
from headway.nouns.worth import Worth

__all__ = [
    "Assumption",
    "CurvePoint",
    "Facts",
    "FeatureFacts",
    "LearningCurve",
    "MoreData",
    "Payoff",
    "Signal",
    "SourceFacts",
    "WorthBounds",
]


class SourceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One source.

    Attributes
    ----------
    first_us, last_us
        The span of its event times; ``None`` for a source without time.
    unnamed_rows
        Rows of which a key column is missing.
    doubled_rows
        Rows beyond the first of each key; ``None`` where the brief declares no key.
    behind_us
        How long before the last example its last event lies that was known by then; ``None`` without time, or where
        nothing was.
    """

    name: str
    rows: int
    files: int
    first_us: int | None = None
    last_us: int | None = None
    unnamed_rows: int = 0
    doubled_rows: int | None = None
    behind_us: int | None = None


class FeatureFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One feature over all examples: the share where it is missing, and the share where what was found was too old."""

    name: str
    kind: str
    missing: float
    stale: float = 0.0


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
    floor, scale, exponent
        Of the law: the metric it tends to, and how fast.
    fitted
        Rows and metric by the law, from the fewest to four times the most.
    tells
        Whether the curve is sure enough for ``more`` to say something; ``words`` say it.
    """

    points: tuple[CurvePoint, ...]
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
        Labelled examples of train and validate that were used, evenly over time, of how many; those that are true; and
        the stretches of time they were cut into.
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
    curve
        What more data would bring; ``None`` where there are too few to ask.
    """

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
    rule: Interval | None = None
    curve: LearningCurve | None = None


class Assumption(msgspec.Struct, frozen=True, kw_only=True):
    """One assumption of the brief, changed alone: what it does to the monthly net.

    Attributes
    ----------
    low, high, net_low, net_high
        The values tried, and the monthly net at each.
    break_even
        The value at which the monthly net is nought; ``None`` where none is.
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
        The monthly net against doing nothing, after running cost.
    build, monthly_cost
        Spent once; spent each month, retraining included.
    assumptions
        Those of the brief, the one that matters most first.
    share
        Of each day's examples that were looked at; the budget of actions was cut to the same share.
    """

    worth: Worth
    net_of_nothing: Interval
    build: float
    monthly_cost: float
    assumptions: tuple[Assumption, ...]
    share: float = 1.0


class WorthBounds(msgspec.Struct, frozen=True, kw_only=True):
    """What acting is worth a day between no skill and perfect foresight, before running cost; all in ``currency``.

    Attributes
    ----------
    actions_per_day, positives_per_day
        What ``act_on`` can carry on a mean day, and how many cases there are. With a threshold, as many actions are
        assumed as there are cases.
    random, perfect
        The same number of actions, drawn by lot, and by perfect foresight.
    rule
        Today's rule with the same number of actions; ``None`` where the brief names none.
    """

    currency: str
    actions_per_day: float
    positives_per_day: float
    random: float
    perfect: float
    rule: float | None = None


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, as of one moment.

    Attributes
    ----------
    rows
        Rows of the examples' source.
    examples
        Those with a ``predict_at`` that is not in the future.
    labelled, positives, void, unmatured
        Of the examples: with a label that is known; of these true; whose outcome will never come (no
        ``label_known_at``, or no label then); whose label becomes known later than ``as_of_us``. Labelled, void and
        unmatured are all examples.
    days, days_covered
        Local days from the first to the last example, and the share of them that have one.
    delay_median_us, delay_p90_us
        From the prediction to its label being known; ``None`` where none is known.
    splits
        As the dataset will have them, after the embargo; void there are those unmatured too, which nothing but the
        source's future can tell from the void.
    """

    as_of_us: int
    rows: int
    examples: int
    labelled: int
    positives: int
    void: int
    unmatured: int
    first_us: int | None
    last_us: int | None
    days: int
    days_covered: float
    delay_median_us: int | None
    delay_p90_us: int | None
    splits: tuple[SplitCount, ...]
    sources: tuple[SourceFacts, ...]
    features: tuple[FeatureFacts, ...]
    request: tuple[str, ...]
    looked_up: tuple[str, ...]
    worth: WorthBounds | None = None
    signal: Signal | None = None
    payoff: Payoff | None = None
    task: str = "condition"

    @property
    def base_rate(self) -> float | None:
        """Share of labelled examples that are true."""
        return self.positives / self.labelled if self.labelled else None

    def split(self, name: str) -> SplitCount:
        """Return the counts of one split."""
        return next(split for split in self.splits if split.name == name)
