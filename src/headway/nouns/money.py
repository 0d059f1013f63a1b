"""What acting on predictions is worth, in the brief's currency, a day.

The file hides how a budget of actions is spent: which predictions of a day are acted on, and which the rule
in use today would have acted on with the very same budget. What an action earns in each task is in ``nouns/calls.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.errors import DataError
from headway.nouns.act_on import Everything, Likeliest, Threshold
from headway.nouns.calls import Calls, Places
from headway.nouns.interval import Interval
from headway.nouns.metric import day_multiplicity, interval_of_draws, silent_is_lowest
from headway.nouns.worth import DAYS_PER_MONTH, Payback, Worth

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from headway.nouns.act_on import ActOn
    from headway.nouns.brief import Value
    from headway.nouns.part import Part

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

__all__ = [
    "decide",
    "decide_by_rule",
    "earned_per_day",
    "mean_per_day",
    "worth",
    "worth_of",
    "worth_per_day",
]


def decide(score: ArrayLike, day: ArrayLike, act_on: ActOn, *, part: Part | None = None) -> Bools:
    """Return which examples are acted on.

    With a quota, the ``k`` highest scores of each day (or whatever unit ``day`` names: a round, a group), those that
    come first winning a tie, and silent (NaN) ones last: a desk that has room works whatever is next on its list.
    With a threshold, the scores above it; else all. Of a part of all examples, as many as its quota says.

    Examples
    --------
    >>> from headway.nouns.act_on import Quota
    >>> decide([0.2, 0.9, 0.9, 0.1], [1, 1, 1, 2], Quota(k=1)).tolist()
    [False, True, False, True]
    >>> decide([0.2, 0.9], [1, 1], Threshold(score=0.5)).tolist()
    [False, True]
    """
    s = silent_is_lowest(score)
    if isinstance(act_on, Everything | Likeliest):
        return np.ones(len(s), dtype=np.bool_)
    if isinstance(act_on, Threshold):
        return s > act_on.score
    d = np.asarray(day)
    _, first, index = np.unique(d, return_index=True, return_inverse=True)
    quota = np.full(len(first), act_on.k) if part is None or part.quota is None else part.quota[first]
    return _highest_of_each_day(s, index, quota)


def decide_by_rule(rule: ArrayLike, day: ArrayLike, act_on: ActOn, *, acted: Bools, part: Part | None = None) -> Bools:
    """Return which examples today's rule acts on with the same budget as the model.

    With a quota, its ``k`` highest of each day. With a threshold: a yes-or-no rule (values 0 and 1) acts where
    it says yes; a rule on any other scale has no cut of its own, so that it acts on its highest of each day,
    as many as the model ``acted`` on that day.
    """
    s = silent_is_lowest(rule)
    if not isinstance(act_on, Threshold):
        return decide(s, day, act_on, part=part)
    if np.isin(s[np.isfinite(s)], (0.0, 1.0)).all():
        return s > 0
    if act_on.kind == "number":  # the rule is a number as the prediction is one, and has the same bar
        return s > act_on.score
    _, index = np.unique(np.asarray(day), return_inverse=True)
    return _highest_of_each_day(s, index, np.bincount(index, weights=acted).astype(np.int64))


def worth_per_day(
    acted: ArrayLike, label: ArrayLike, day: ArrayLike, value: Value, *, days: ArrayLike | None = None
) -> Floats:
    """Return what the actions of each day were worth, against doing nothing.

    Parameters
    ----------
    acted, label, day
        One entry per example.
    days
        The days to answer for, ascending; all from the first to the last by default. A day without an action
        is worth 0.

    Examples
    --------
    >>> from headway.nouns.brief import Value
    >>> worth_per_day([True, True, False], [1, 0, 1], [5, 5, 7], Value(true_positive=150, false_positive=-20)).tolist()
    [130.0, 0.0, 0.0]
    """
    y = np.asarray(label, dtype=np.float64)
    return earned_per_day(acted, np.where(y > 0, value.true_positive, value.false_positive), day, days=days)


def earned_per_day(acted: ArrayLike, paid: ArrayLike, day: ArrayLike, *, days: ArrayLike | None = None) -> Floats:
    """Return what the actions of each day earned, where acting on an example earns what ``paid`` says of it."""
    a, y, d = np.asarray(acted, dtype=np.bool_), np.asarray(paid, dtype=np.float64), np.asarray(day)
    if not len(a) == len(y) == len(d):
        raise DataError(f"{len(a)} decisions, {len(y)} labels and {len(d)} days must be equally many.")
    range_of_days = np.arange(d.min(), d.max() + 1) if days is None else np.asarray(days)
    slot = np.searchsorted(range_of_days, d)
    if (slot >= len(range_of_days)).any() or (range_of_days[slot] != d).any():
        raise DataError("Some examples lie on a day that is not among the days to answer for.")
    return np.bincount(slot, weights=np.where(a, y, 0.0), minlength=len(range_of_days)).astype(np.float64)


def mean_per_day(per_day: Floats, *, draws: int = 1000, seed: int, level: float = 0.95) -> Interval:
    """Return the mean of a daily series with its interval, whole days being resampled."""
    if len(per_day) < 2:
        raise DataError("Money a day needs at least 2 days for an interval.", hint="Choose a longer stretch of time.")
    drawn = day_multiplicity(len(per_day), draws=draws, seed=seed) @ per_day / len(per_day)
    return interval_of_draws(float(per_day.mean()), drawn, days=len(per_day), level=level)


def worth(
    score: ArrayLike,
    rule: ArrayLike | None,
    label: ArrayLike,
    day: ArrayLike,
    *,
    value: Value,
    act_on: ActOn,
    part: Part | None = None,
    draws: int = 1000,
    seed: int,
) -> Worth:
    """Return what acting on the scores of a condition is worth; see :func:`worth_of`."""
    d = np.asarray(day)
    calls = Calls(task="condition", act_on=act_on, value=value)
    said, came = np.asarray(score, dtype=np.float64), np.asarray(label, dtype=np.float64)
    return worth_of(calls, said, came, Places(day=d, round=d), rule=rule, part=part, draws=draws, seed=seed)


def worth_of(
    calls: Calls,
    said: Floats,
    label: Floats,
    places: Places,
    *,
    rule: ArrayLike | None,
    part: Part | None = None,
    draws: int = 1000,
    seed: int,
) -> Worth:
    """Return what acting on predictions is worth against today's rule, or doing nothing where there is none.

    The gain is an interval of the *paired* difference: model and rule meet the same days. A number that is used as it
    is has no "doing nothing": without a rule it is held against the one number for all that would have cost least.

    Parameters
    ----------
    part
        What of all examples these are, where they are a part that was drawn across time: the quota is then cut, and
        what is said is what acting on all of them is worth. None where all examples of these days are here.
    """
    value, day, unit = calls.value, places.day, places.unit(calls.act_on)
    stands_for = np.ones(len(label)) if part is None else part.stands_for
    acted = decide(calls.score(said), unit, calls.act_on, part=part)
    model = earned_per_day(acted, stands_for * calls.paid(said, label, unit, part), day)
    said_today = calls.said_today(None if rule is None else np.asarray(rule, dtype=np.float64), label)
    other = None
    if said_today is not None:
        by_rule = decide_by_rule(said_today, unit, calls.act_on, acted=acted, part=part)
        other = earned_per_day(by_rule, stands_for * calls.paid(said_today, label, unit, part), day)
    gain = mean_per_day(model if other is None else model - other, draws=draws, seed=seed)
    monthly_cost = value.monthly + (value.retraining_per_month or 0.0)
    net = _scaled(gain, by=DAYS_PER_MONTH, less=monthly_cost)
    hits, weight = calls.right(said, label, unit, part)[acted], stands_for[acted]
    has_rule = rule is not None and said_today is not None
    return Worth(
        currency=value.currency,
        counterfactual="today's rule" if has_rule else "doing nothing" if other is None else "one number for all",
        model=mean_per_day(model, draws=draws, seed=seed),
        rule=None if other is None else mean_per_day(other, draws=draws, seed=seed),
        gain=gain,
        monthly_net=net,
        payback=_payback(value.build, net),
        acted_per_day=float(weight.sum() / len(model)),
        hit_rate=float((hits * weight).sum() / weight.sum()) if len(hits) and not calls.by_error else None,
        days=len(model),
    )


def _highest_of_each_day(score: Floats, index: NDArray[np.intp], quota: NDArray[np.int64]) -> Bools:
    order = np.lexsort((-score, index))  # stable: first come, first served
    first = np.searchsorted(index[order], index[order], side="left")
    taken = np.arange(len(order)) - first < quota[index[order]]
    acted = np.zeros(len(score), dtype=np.bool_)
    acted[order] = taken
    return acted


def _scaled(interval: Interval, *, by: float, less: float) -> Interval:
    value, low, high = (part * by - less for part in (interval.value, interval.low, interval.high))
    return Interval(value=value, low=low, high=high, level=interval.level)


def _payback(build: float, net: Interval) -> Payback:
    """Months to earn ``build`` back; falls as the net grows, so that the bounds change places."""

    def months(monthly: float) -> float | None:
        return build / monthly if monthly > 0 else None

    return Payback(months=months(net.value), soonest=months(net.high), latest=months(net.low))
