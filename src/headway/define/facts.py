"""What the data say about a brief, before any model is trained: figures only, without judgement.

The file is the noun between :mod:`headway.define.feasible`, which measures, and :mod:`headway.define.questions`,
which judges. Figures that do not exist (a base rate of no labels) are ``None``, never a zero that looks like one.
"""

from __future__ import annotations

import msgspec

from headway.define.availability import Availability
from headway.define.prospect import Payoff, Signal, WorthBounds
from headway.nouns.dataset import SplitCount
from headway.nouns.task import Task

__all__ = ["Facts", "FeatureFacts", "LabelFacts", "SourceFacts"]


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


class LabelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the known labels are like, where they are no condition.

    Attributes
    ----------
    mean, median, low, high
        Of a number: the middle, and between what nine in ten lie.
    classes
        Of a category: each with its share, the commonest first.
    groups
        Of a ranking: how many.
    """

    mean: float = 0.0
    median: float = 0.0
    low: float = 0.0
    high: float = 0.0
    classes: tuple[tuple[str, float], ...] = ()
    groups: int = 0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, as of one moment.

    Attributes
    ----------
    rows, rounds
        Rows of the examples' source; the moments at which entities are asked about, None where each row is an example.
    examples
        Those with a ``predict_at`` that is not in the future.
    labelled, positives, void, unmatured
        Of the examples: with a label that is known; of these true; whose outcome will never come (no
        ``label_known_at``, or no label then); whose label becomes known later than ``as_of_us``. Labelled, void and
        unmatured are all examples.
    alike
        Whether all labels that are known are the same.
    told
        Of those labelled, how many have a label that is known at ``predict_at`` or before.
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
    rounds: int | None = None
    examples: int
    labelled: int
    positives: int
    void: int
    unmatured: int
    told: int = 0
    alike: bool = False
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
    task: Task = "condition"
    label: LabelFacts | None = None
    availability: Availability = Availability()

    @property
    def base_rate(self) -> float | None:
        """Share of labelled examples that are true."""
        return self.positives / self.labelled if self.labelled else None

    def split(self, name: str) -> SplitCount:
        """Return the counts of one split."""
        return next(split for split in self.splits if split.name == name)
