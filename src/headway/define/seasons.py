"""How the label swings with the weekday and from month to month, and how often the history has seen that.

Days are what is compared, not examples: examples of one day share its luck. Weekdays are held against what the same
weekdays do in other weeks; months against the weeks in them, a week being free of the weekday (one-way analysis of
variance, Fisher 1925). A swing that chance would make once in a hundred times, and that is as large as a tenth of the
mean, is one.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np

from headway.define.availability import Swing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["swings"]

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_YEAR = 365.25
_CHANCE, _LARGE = 0.01, 0.1
_LEAST_WEEKS, _LEAST_MONTHS = 4, 3
_FULL_WEEK = 5
"""Days with examples: of so many, a week's mean is hardly a weekday's."""


def swings(day: Ints, total: Floats, count: Ints) -> tuple[Swing, ...]:
    """Return the swing of the week and of the year.

    Parameters
    ----------
    day
        Ascending days since 1970-01-01 that have labels.
    total, count
        Of each the sum of its labels, and how many there are.
    """
    span = int(day[-1] - day[0]) + 1 if len(day) else 0
    return (_of_week(day, total, count, span), _of_year(day, total, count, span))


def _of_week(day: Ints, total: Floats, count: Ints, span: int) -> Swing:
    plain = Swing(of="week", seen=span / 7)
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    if span < 7 * _LEAST_WEEKS or len(np.unique(weekday)) < 2:
        return plain
    means = total / count
    groups = [(_WEEKDAYS[one], means[weekday == one], weekday == one) for one in range(7)]
    return _swing(
        plain, [(name, each, total[of].sum() / count[of].sum()) for name, each, of in groups if len(each) > 1]
    )


def _of_year(day: Ints, total: Floats, count: Ints, span: int) -> Swing:
    plain = Swing(of="year", seen=span / _YEAR)
    week = (day + 3) // 7
    weeks, at, days = np.unique(week, return_inverse=True, return_counts=True)
    # Asked once a week, or less often, each round stands for itself.
    full = days >= min(_FULL_WEEK, int(days.max(initial=0)))
    if not full.any():
        return plain
    sums, counts = np.bincount(at, weights=total), np.bincount(at, weights=count)
    means = (sums / counts)[full]
    month = np.array([_month(int(one) * 7) for one in weeks[full]])
    names, first = np.unique(month, return_index=True)
    named = names[np.argsort(first)]
    groups = [
        (name, means[month == name], sums[full][month == name].sum() / counts[full][month == name].sum())
        for name in named
    ]
    return _swing(plain, [group for group in groups if len(group[1]) > 1], least=_LEAST_MONTHS)


def _month(day: int) -> str:
    """Return the month in which most of the week lies that begins on ``day``: the Thursday's."""
    date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    return f"{date:%Y-%m}"


def _swing(plain: Swing, groups: list[tuple[str, Floats, float]], *, least: int = 2) -> Swing:
    if len(groups) < least:
        return plain
    lowest, highest = min(groups, key=lambda group: group[2]), max(groups, key=lambda group: group[2])
    every = np.concatenate([means for _, means, _ in groups])
    large = highest[2] - lowest[2] > _LARGE * abs(float(every.mean()))
    return Swing(
        of=plain.of,
        seen=plain.seen,
        shows=bool(large and _p_value([means for _, means, _ in groups]) < _CHANCE),
        low=float(lowest[2]),
        high=float(highest[2]),
        low_name=str(lowest[0]),
        high_name=str(highest[0]),
    )


def _p_value(groups: list[Floats]) -> float:
    """Return the chance of means as far apart: the F test of one-way analysis of variance."""
    from scipy.special import fdtrc

    every = np.concatenate(groups)
    between = sum(len(group) * (group.mean() - every.mean()) ** 2 for group in groups)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    of_groups, of_days = len(groups) - 1, len(every) - len(groups)
    if of_days < 1 or within <= 0:
        return 0.0 if between > 0 and of_days >= 1 else 1.0
    return float(fdtrc(of_groups, of_days, (between / of_groups) / (within / of_days)))
