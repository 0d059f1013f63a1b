"""Is it worth it? What a quick model would have earned on days that it had not seen, and what that hangs on.

The money is computed as a verdict computes it (``nouns.money``), on the scores that models of the past gave to what
came after. Each assumption of the brief is then changed alone (a tornado: Howard 1988), by half of itself each way,
and the value is found at which the monthly net is nought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from headway.define.facts import Assumption, Payoff
from headway.nouns.brief import Quota
from headway.nouns.interval import Interval
from headway.nouns.money import decide as acted_on
from headway.nouns.money import mean_per_day, worth, worth_per_day
from headway.nouns.worth import DAYS_PER_MONTH

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from headway.nouns.brief import Threshold, Value

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["SWING", "payoff", "tornado"]

SWING = 0.5
"""By how much of itself each assumption is changed, each way: what people get wrong without noticing."""

_DRAWS = 1000
_FEW_DRAWS = 2  # only the point is wanted
_MONEY = ("true_positive", "false_positive", "monthly", "retraining_per_month")


def payoff(
    score: Floats,
    rule: Floats | None,
    label: Floats,
    day: Ints,
    *,
    value: Value,
    act_on: Quota | Threshold,
    seed: int,
    step: int = 1,
) -> Payoff:
    """Return what acting on ``score`` is worth, and what that hangs on.

    Parameters
    ----------
    rule
        Today's rule; None where there is none.
    step
        One in so many examples is here: the budget of actions is cut alike, and each action stands for so many.
    """
    budget, stands_for = _thinned(act_on, step)
    money = _times(value, stands_for)
    found = worth(score, rule, label, day, value=money, act_on=budget, draws=_DRAWS, seed=seed)
    found = msgspec.structs.replace(found, acted_per_day=found.acted_per_day * stands_for)
    cost = value.monthly + (value.retraining_per_month or 0.0)
    acted = acted_on(score, day, budget)
    earned = mean_per_day(worth_per_day(acted, label, day, money), draws=_DRAWS, seed=seed)

    def net(changed: Value, capacity: Quota | Threshold = act_on) -> float:
        spent, each = _thinned(capacity, step)
        money = _times(changed, each)
        return worth(score, rule, label, day, value=money, act_on=spent, draws=_FEW_DRAWS, seed=seed).monthly_net.value

    return Payoff(
        worth=found,
        net_of_nothing=Interval(
            value=earned.value * DAYS_PER_MONTH - cost,
            low=earned.low * DAYS_PER_MONTH - cost,
            high=earned.high * DAYS_PER_MONTH - cost,
            level=earned.level,
        ),
        build=value.build,
        monthly_cost=cost,
        assumptions=(*tornado(value, net), *_capacity(value, act_on, net)),
        share=1 / step,
    )


def tornado(value: Value, net: Callable[[Value], float]) -> tuple[Assumption, ...]:
    """Return what each sum of money in the brief does to the monthly net, the greatest first.

    The net is a straight line in each of them, so its zero follows from two points.

    Examples
    --------
    >>> from headway.nouns.brief import Value
    >>> (one,) = tornado(Value(true_positive=10, false_positive=0), lambda v: 30 * v.true_positive - 200)
    >>> one.name, one.net_low, one.net_high, round(one.break_even, 2), one.turns
    ('true_positive', -50.0, 250.0, 6.67, True)
    """
    found = []
    for name in _MONEY:
        now = getattr(value, name)
        if not now:
            continue
        low, high = sorted((now * (1 - SWING), now * (1 + SWING)))
        at_low = net(msgspec.structs.replace(value, **{name: low}))
        at_high = net(msgspec.structs.replace(value, **{name: high}))
        slope = (at_high - at_low) / (high - low)
        found.append(
            Assumption(
                name=name,
                value=now,
                low=low,
                high=high,
                net_low=at_low,
                net_high=at_high,
                break_even=low - at_low / slope if slope else None,
                turns=(at_low > 0) != (at_high > 0),
            )
        )
    return tuple(sorted(found, key=lambda one: -abs(one.net_high - one.net_low)))


def _capacity(
    value: Value, act_on: Quota | Threshold, net: Callable[[Value, Quota | Threshold], float]
) -> tuple[Assumption, ...]:
    """Return what fewer and more actions a day would do; of a threshold nobody says how many there are."""
    if not isinstance(act_on, Quota) or act_on.k < 2:
        return ()
    low, high = round(act_on.k * (1 - SWING)), round(act_on.k * (1 + SWING))
    at_low, at_high = (net(value, msgspec.structs.replace(act_on, k=k)) for k in (low, high))
    return (
        Assumption(
            name="actions a day",
            value=act_on.k,
            low=low,
            high=high,
            net_low=at_low,
            net_high=at_high,
            turns=(at_low > 0) != (at_high > 0),
        ),
    )


def _thinned(act_on: Quota | Threshold, step: int) -> tuple[Quota | Threshold, float]:
    """Return the budget for one example in ``step``, and how many actions each of its actions stands for."""
    if not isinstance(act_on, Quota):
        return act_on, float(step)
    k = max(1, round(act_on.k / step))
    return msgspec.structs.replace(act_on, k=k), act_on.k / k


def _times(value: Value, by: float) -> Value:
    return msgspec.structs.replace(
        value, true_positive=value.true_positive * by, false_positive=value.false_positive * by
    )
