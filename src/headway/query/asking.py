"""Look-ups as they are asked: a timeline, as of a column of the examples; and which of them share the work.

A look-up sees only rows of its own key, so those that look into one source by one key can be answered over some keys at
a time: a part here, after another; a part there, on a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from headway.query.timeline import Timeline

    K = TypeVar("K")

__all__ = ["NUMBER", "PART", "Asking", "grouped"]

NUMBER = "@number"
"""The example's number, by which what was found goes back to it."""
PART = "@part"
"""Which part a row is of, by its key or by the number of its example: 0, 1, …"""


@dataclass(frozen=True, slots=True)
class Asking:
    """A timeline that is asked.

    Attributes
    ----------
    moment
        The column of the examples against which ages are measured.
    look_at
        The column of the moment as of which is looked.
    """

    timeline: Timeline
    moment: str
    look_at: str

    @property
    def steps_of(self) -> tuple[object, ...]:
        """What it shares with those whose steps are made of the same rows, whether of all or of some keys'."""
        return self.timeline.source, self.timeline.theirs, self.timeline.whole

    @property
    def asked_by(self) -> tuple[object, ...]:
        """What it shares with those that are asked by the same columns of the examples."""
        return *self.steps_of, self.timeline.mine, self.moment, self.look_at

    @property
    def asks(self) -> set[str]:
        """The columns of the examples that it looks at: what is measured against the moment is an age alone."""
        return {*self.timeline.mine, self.look_at, *([self.moment] if self.timeline.stale else [])}

    @property
    def reads(self) -> set[str]:
        """The columns of the source that it looks at."""
        return {*self.timeline.theirs, *self.timeline.reads, *(name for name, _ in self.timeline.columns)}

    @property
    def outputs(self) -> list[str]:
        """The columns that it gives."""
        stale = [self.timeline.stale] if self.timeline.stale else []
        return [*(name for name, _ in self.timeline.outputs), *stale]

    def join_sql(self, examples: str, steps: str) -> str:
        """Return the text that adds what it gives to the examples."""
        return self.timeline.join_sql(examples, steps, moment=self.moment, look_at=self.look_at)


def grouped(askings: Iterable[Asking], by: Callable[[Asking], K]) -> list[list[Asking]]:
    """Return the askings in groups, in the order of each one's first."""
    groups: dict[K, list[Asking]] = {}
    for asking in askings:
        groups.setdefault(by(asking), []).append(asking)
    return list(groups.values())
