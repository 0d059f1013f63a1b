"""Labels moved in time: what labels could have been, had they nothing to do with the features.

A plain shuffle destroys what labels of one day have in common (a bad day stays a bad day, and meets one day's weather),
and with it the honesty of a test: the units that could have been exchanged are days. So within each stretch of time
whole days of labels are rotated against the days of features, and every day's labels are rotated within the day, all
days of one draw by the same share of their length: where the same entities come round after round in the same order,
each keeps its own history of labels (restricted permutations: Anderson & ter Braak 2003; toroidal shifts: Harms et al.
2001). The file hides how days of different size are laid on each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["Days"]


@dataclass(frozen=True, slots=True)
class Days:
    """Examples by day: where each day begins, how many it has, which stretch it belongs to; each example's day."""

    start: Ints
    size: Ints
    stretch: Ints
    index: Ints

    @classmethod
    def of(cls, day: Ints, *, stretches: int) -> Days:
        """Cut examples, whose days do not fall, into ``stretches`` of whole days that are about equally long.

        Examples
        --------
        >>> Days.of(np.array([3, 3, 4, 7]), stretches=2).block.tolist()
        [0, 0, 1, 1]
        """
        _, start, index, size = np.unique(day, return_index=True, return_inverse=True, return_counts=True)
        stretch = start * stretches // max(len(day), 1)
        return cls(start.astype(np.int64), size.astype(np.int64), stretch.astype(np.int64), index.astype(np.int64))

    @property
    def block(self) -> Ints:
        """The stretch of each example."""
        return self.stretch[self.index]

    def rotations(self, *, seed: int, count: int) -> Iterator[Ints]:
        """Yield, ``count`` times, for each example the example whose label it gets.

        Days differ in size: the place within the day is scaled to the other day's size. Drawn from all rotations, the
        one that moves nothing among them, so that ``(1 + b) / (1 + n)`` is an exact p-value (Phipson & Smyth 2010).
        """
        rng = np.random.default_rng(seed)
        first = np.searchsorted(self.stretch, self.stretch, side="left")
        many = np.searchsorted(self.stretch, self.stretch, side="right") - first
        place = np.arange(len(self.index)) - self.start[self.index]
        own = np.arange(len(self.start)) - first
        for _ in range(count):
            by = np.floor(rng.random(int(self.stretch[-1]) + 1)[self.stretch] * many).astype(np.int64)
            other = (first + (own + by) % many)[self.index]
            within = place * self.size[other] // self.size[self.index]
            offset = np.floor(rng.random() * self.size).astype(np.int64)
            yield self.start[other] + (within + offset[other]) % self.size[other]
