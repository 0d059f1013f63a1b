"""What validation found: scores with intervals, money, segments, calibration, and the gates that follow.

Frozen data only; how a verdict is reached stands in ``validate/``. A figure that could not be had is None
with a reason, never NaN, so that the bytes are plain JSON and the digest is one of the content.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from headway.nouns.interval import Interval
from headway.nouns.task import Task
from headway.nouns.worth import Worth

__all__ = [
    "Calibration",
    "CalibrationBin",
    "ClassResult",
    "Comparison",
    "Gate",
    "Latency",
    "ResidualBin",
    "Residuals",
    "SegmentComparison",
    "SegmentResult",
    "Verdict",
]


class CalibrationBin(msgspec.Struct, frozen=True, kw_only=True):
    """Examples of similar score: what was predicted on average, and what share happened."""

    predicted: float
    observed: Interval
    examples: int


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How predicted and observed rates agree.

    Attributes
    ----------
    observed_over_expected
        Positives that happened over positives that were predicted; 1 is right, 1.2 is a fifth too many.
    intercept, slope
        Of the logistic recalibration (Cox 1958); 0 and 1 are right, a slope below 1 is overconfident. None
        where no finite fit exists.
    error
        Expected calibration error over bins of equally many examples.
    """

    observed_over_expected: Interval
    intercept: Interval | None
    slope: Interval | None
    error: float
    bins: tuple[CalibrationBin, ...]


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One condition: what was wanted, what was found, and whether that stops the way.

    Examples
    --------
    >>> print(Gate(name="quality", passed=True, blocking=True, found="0.312", wanted="at least 0.25"))
    passed: quality: 0.312, wanted at least 0.25
    """

    name: str
    passed: bool
    blocking: bool
    found: str
    wanted: str
    note: str = ""

    def __str__(self) -> str:
        state = "passed" if self.passed else "FAILED" if self.blocking else "warning"
        return f"{state}: {self.name}: {self.found}, wanted {self.wanted}"


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Quantiles of the time one answer takes, in microseconds, over ``calls`` measured calls."""

    p50_us: float
    p99_us: float
    calls: int


class ResidualBin(msgspec.Struct, frozen=True, kw_only=True):
    """Examples of similar prediction: what was predicted on average, and by how much labels lie above it."""

    predicted: float
    bias: Interval
    examples: int


class Residuals(msgspec.Struct, frozen=True, kw_only=True):
    """How labels lie around predicted numbers: what stands in the place of calibration.

    Attributes
    ----------
    bias
        Mean of label less prediction; 0 is right, above 0 the predictions are too low.
    bins
        The same by tenths of the predictions.
    """

    bias: Interval
    bins: tuple[ResidualBin, ...]


class ClassResult(msgspec.Struct, frozen=True, kw_only=True):
    """How well one class is told from all others.

    Attributes
    ----------
    examples
        How many were of this class.
    expected
        How many there should have been by the probabilities given.
    said, hits
        For how many it was the likeliest class, and of these how many were of it.
    ratio
        Examples over expected, whole days being resampled; 1 is right.
    average_precision
        Average precision against all others; None where none, or all, were of it.
    """

    name: str
    examples: int
    expected: float
    said: int
    hits: int
    ratio: Interval
    average_precision: Interval | None

    @property
    def precision(self) -> float | None:
        """The share of those that it was said of which it was true of; None where it was never said."""
        return self.hits / self.said if self.said else None

    @property
    def recall(self) -> float | None:
        """The share of its examples that it was said of; None where there were none."""
        return self.hits / self.examples if self.examples else None


class SegmentResult(msgspec.Struct, frozen=True, kw_only=True):
    """How well one value of one segment column fares.

    Attributes
    ----------
    score
        The brief's metric within the segment. Average precision depends on the segment's own base rate, so
        that segments are compared by ``roc_auc``, which does not.
    behind_p, harmed_p
        Adjusted p-values (Holm, over all tested segments): that the model ranks worse here than elsewhere by
        more than the tolerance; that it ranks worse here than today's rule does. None where too few.
    below_bar, harmed
        Whether those are significant; None where there is too little to say.
    too_few
        Why nothing is said, or empty.
    skill
        Of a target that is no condition: the figure that segments are compared by (``nouns/task.py``).
    """

    column: str
    value: str
    examples: int
    positives: int
    days: int
    expected_positives: float
    score: Interval | None = None
    roc_auc: Interval | None = None
    rule_roc_auc: float | None = None
    skill: Interval | None = None
    below_bar: bool | None = None
    harmed: bool | None = None
    behind_p: float | None = None
    harmed_p: float | None = None
    too_few: str = ""

    @property
    def name(self) -> str:
        """Column and value, as reports show them."""
        return f"{self.column} = {self.value}"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a model may be released, and why.

    Attributes
    ----------
    score, rule_score
        The brief's metric of the model, and of today's rule (or of no skill, where the brief names none).
    difference
        Model less rule on the same days, in the metric's own direction.
    roc_auc, calibration
        Of a condition alone; ``residuals`` of a number alone, ``classes`` of a category alone.
    base_rate
        The share of positives; of a number the mean label; of a category the share of the class that came most often.
    positives
        Of a condition and a ranking: the examples that are true, or relevant; else 0.
    """

    metric: str
    score: Interval
    rule_name: str
    rule_score: Interval
    difference: Interval
    roc_auc: Interval | None
    base_rate: float
    examples: int
    positives: int
    days: int
    money: Worth
    segments: tuple[SegmentResult, ...]
    calibration: Calibration | None
    latency: Latency | None
    gates: tuple[Gate, ...]
    reasons: tuple[str, ...]
    draws: int
    seed: int
    task: Task = "condition"
    residuals: Residuals | None = None
    classes: tuple[ClassResult, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every blocking gate is passed."""
        return all(gate.passed for gate in self.gates if gate.blocking)

    @property
    def segments_below_bar(self) -> tuple[SegmentResult, ...]:
        """The segments that the model serves significantly worse than it serves the others."""
        return tuple(segment for segment in self.segments if segment.below_bar)

    @property
    def digest(self) -> str:
        """The hash of everything found."""
        return _digest(self)


class SegmentComparison(msgspec.Struct, frozen=True, kw_only=True):
    """ROC AUC of challenger less champion within one segment; ``worse_p`` adjusted (Holm)."""

    column: str
    value: str
    examples: int
    positives: int
    difference: Interval | None = None
    worse: bool | None = None
    worse_p: float | None = None
    too_few: str = ""

    @property
    def name(self) -> str:
        """Column and value, as reports show them."""
        return f"{self.column} = {self.value}"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A challenger against the champion on the same examples.

    All differences are challenger less champion: below 0 is better for ``log_loss``, above 0 for money. The
    three intervals are None where there is too little to say.
    """

    metric: str
    champion: float
    challenger: float
    difference: Interval | None
    log_loss: Interval | None
    money: Interval | None
    currency: str
    flip_rate: float
    flips_per_day: float
    segments: tuple[SegmentComparison, ...]
    examples: int
    positives: int
    days: int
    decision: Literal["promote", "keep"]
    reason: str

    @property
    def promote(self) -> bool:
        """Whether the challenger takes over."""
        return self.decision == "promote"

    @property
    def digest(self) -> str:
        """The hash of everything found."""
        return _digest(self)


def _digest(found: msgspec.Struct) -> str:
    return hashlib.sha256(msgspec.json.encode(found, order="sorted")).hexdigest()
