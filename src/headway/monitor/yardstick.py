"""What healthy days look like: a live day's figure is measured by its rank among the reference's days.

The unit is the day, not the row: rows of one day share its storm, so a thousand of them are worth about one. Ranks,
not means: a figure such as the share of late flights is 3 % on a calm day and 45 % on a stormy one, and a test of its
mean would wait for the tail. A rank asks instead whether the *typical* day has become a bad one; it needs no
distribution and is bounded, which is what a bet needs.

Three things keep a healthy model from being accused:

- **tolerance**: the figure is moved towards health by ``tolerance`` (natural units) before it is ranked; a change
  smaller than that is of no practical interest;
- **persistence**: a bad day is likelier after a bad day. The healthy mean of today's rank is predicted from yesterday's
  rank by the reference's lag-one autocorrelation (estimated from ranks): a bet may be
  made against any bound that is fixed before the figure is seen.

- **sampling**, for signals that page: few reference days know their own median badly, and an unlucky reference would
  page again and again; the mean rank that counts as healthy is raised by one standard error of it. Signals that only
  report do without: a shift that is found a week earlier is worth a false report now and then.
"""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FEWEST_DAYS", "Yardstick"]

FEWEST_DAYS = 14
_UNIFORM_SD = 12**-0.5


class Yardstick(msgspec.Struct, frozen=True, kw_only=True):
    """The figure of each reference day, ascending, and what may differ without meaning anything.

    Attributes
    ----------
    values
        One figure per reference day, ascending.
    tolerance
        In the figure's own units, at least zero.
    persistence
        The lag-one autocorrelation of the ranks that is allowed for, in [0, 0.8].
    margin
        How far above one half the mean rank of a healthy day may lie, in [0, 0.2].
    """

    values: tuple[float, ...]
    tolerance: float
    persistence: float
    margin: float = 0.0

    @classmethod
    def of(cls, figures: NDArray[np.float64], *, tolerance: float, pages: bool = False) -> Yardstick | None:
        """Return the yardstick of these days' figures, in the order of the days; NaN days are left out.

        With ``pages`` the reference's own sampling error is allowed for. ``None`` with fewer than 14 days: nothing
        can be said then, and the signal stays silent.
        """
        figures = np.asarray(figures, dtype=np.float64)
        figures = figures[~np.isnan(figures)]
        n = len(figures)
        if n < FEWEST_DAYS:
            return None
        ranks = np.searchsorted(np.sort(figures), figures, side="left") + np.searchsorted(
            np.sort(figures), figures, side="right"
        )
        centred = ranks - ranks.mean()
        spread = float((centred**2).sum())
        found = float((centred[1:] * centred[:-1]).sum()) / spread if spread else 0.0
        persistence = min(max(found, 0.0), 0.8)
        error = _UNIFORM_SD * math.sqrt((1 + persistence) / (1 - persistence) / n)
        return cls(
            values=tuple(np.sort(figures).tolist()),
            tolerance=tolerance,
            persistence=persistence,
            margin=min(error, 0.2) if pages else 0.0,
        )

    @property
    def mean(self) -> float:
        """The mean of the reference's days."""
        return sum(self.values) / len(self.values)

    def rank(self, figure: float, direction: Literal["up", "down"]) -> float:
        """Return the share of reference days that ``figure`` is beyond, in (0, 1), ties half counted.

        Examples
        --------
        >>> Yardstick(values=(0.1, 0.2, 0.3), tolerance=0.05, persistence=0.0).rank(0.3, "up")
        0.625
        """
        sign = 1.0 if direction == "up" else -1.0
        moved = figure - sign * self.tolerance
        n = len(self.values)
        below = (bisect.bisect_left(self.values, moved) + bisect.bisect_right(self.values, moved) + 1) / (2 * (n + 1))
        return below if direction == "up" else 1.0 - below

    def bound(self, last: float | None) -> float:
        """Return the most that the mean of today's rank is on a healthy day after a day of rank ``last``."""
        healthy = 0.5 + self.margin
        return healthy if last is None else max(healthy + self.persistence * (last - healthy), 0.1)
