"""Examples in memory: the columns that Build, Validate and Monitor take.

The file hides nothing; it fixes shapes. Every array has one entry per example, all in the same order:
by ``predict_at``, then by key. Features are ``float32`` or ``string`` Arrow columns, never anything else, so
that a threshold learned in training is the very threshold that the packaged graph compares with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["Examples", "FeatureColumn", "SplitName"]

SplitName = Literal["train", "validate", "test", "after"]


class FeatureColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One input of the model: its name, and whether it is a number (float32) or a category (string)."""

    name: str
    kind: Literal["number", "category"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Labelled examples of one stretch of time, column-wise.

    Attributes
    ----------
    features
        Table of ``float32`` and ``string`` columns; null means missing.
    label
        As ``nouns/task.py`` says for the task. Never NaN: examples whose label is void or not yet known are not in
        here.
    day
        Days since 1970-01-01 in the zone of the split: the unit that is resampled, since examples of one
        day share its weather.
    rule
        What today's rule says, higher meaning likelier; NaN where the rule is silent.
    segments
        Table of ``string`` columns, one per segment that the brief names.
    predict_at
        Microseconds since 1970-01-01 UTC.
    key
        The columns that name the entity of each example.
    group
        Which examples are ranked against each other, as whole numbers; None where the task is no ranking.
    classes
        What the labels are positions in, where the task is ``category``.
    """

    features: pa.Table
    label: NDArray[np.float64]
    day: NDArray[np.int64]
    rule: NDArray[np.float64]
    segments: pa.Table
    predict_at: NDArray[np.int64]
    key: pa.Table
    group: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.label)
