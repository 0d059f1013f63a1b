"""Is it worth it? What a quick model would have earned on days that it had not seen, and what that hangs on.

The money is computed as a verdict computes it (``nouns.money``), on the scores that models of the past gave to what
came after. Each assumption of the brief is then changed alone (a tornado: Howard 1988), by half of itself each way,
and the value is found at which the monthly net is nought.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from headway.define.prospect import Assumption, Payoff
from headway.nouns.act_on import Quota
from headway.nouns.interval import Interval
from headway.nouns.money import worth_of
from headway.nouns.worth import DAYS_PER_MONTH

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from headway.nouns.act_on import ActOn
    from headway.nouns.brief import Value
    from headway.nouns.calls import Calls, Places
    from headway.nouns.worth import Worth

    Floats = NDArray[np.float64]

__all__ = ["SWING", "payoff", "tornado"]

SWING = 0.5
"""By how much of itself each assumption is changed, each way: what people get wrong without noticing."""

_DRAWS = 1000
_FEW_DRAWS = 2  # only the point is wanted
_BY_CALL, _BY_ERROR = ("true_positive", "false_positive"), ("over", "under")
_COSTS = ("monthly", "retraining_per_month")


def payoff(
    calls: Calls, said: Floats, label: Floats, places: Places, *, rule: Floats | None, seed: int, step: float = 1
) -> Payoff:
    """Return what acting on what a model ``said`` is worth, and what that hangs on.

    Parameters
    ----------
    rule
        Today's rule, NaN where it is silent; None where there is none.
    step
        One in so many examples (of a ranking: groups) is here: the budget of actions is cut alike, and each action
        stands for so many.
    """

    def earned(changed: Value, act_on: ActOn, *, draws: int) -> tuple[Worth, float]:
        budget, stands_for = _thinned(act_on, step)
        cut = replace(calls, act_on=budget, value=_times(changed, stands_for))
        return worth_of(cut, said, label, places, rule=rule, draws=draws, seed=seed), stands_for

    found, stands_for = earned(calls.value, calls.act_on, draws=_DRAWS)
    found = msgspec.structs.replace(found, acted_per_day=found.acted_per_day * stands_for)
    value = calls.value
    cost = value.monthly + (value.retraining_per_month or 0.0)

    def net(changed: Value, act_on: ActOn = calls.act_on) -> float:
        return earned(changed, act_on, draws=_FEW_DRAWS)[0].monthly_net.value

    assumptions = tornado(value, net, by_error=calls.by_error)
    return Payoff(
        worth=found,
        # A number that is used as it is has no "doing nothing".
        net_of_nothing=None
        if calls.by_error
        else Interval(
            value=found.model.value * DAYS_PER_MONTH - cost,
            low=found.model.low * DAYS_PER_MONTH - cost,
            high=found.model.high * DAYS_PER_MONTH - cost,
            level=found.model.level,
        ),
        build=value.build,
        monthly_cost=cost,
        assumptions=(*assumptions, *_capacity(value, calls.act_on, net)),
        share=1 / step,
    )


def tornado(value: Value, net: Callable[[Value], float], *, by_error: bool = False) -> tuple[Assumption, ...]:
    """Return what each sum of money in the brief does to the monthly net, the greatest first.

    Parameters
    ----------
    by_error
        Whether a number is used as it is, so that ``over`` and ``under`` count instead of right and wrong calls.

    Examples
    --------
    >>> from headway.nouns.brief import Value
    >>> (one,) = tornado(Value(true_positive=10, false_positive=0), lambda v: 30 * v.true_positive - 200)
    >>> one.name, one.net_low, one.net_high, round(one.break_even, 2), one.turns
    ('true_positive', -50.0, 250.0, 6.67, True)
    """
    found = []
    for name in (*(_BY_ERROR if by_error else _BY_CALL), *_COSTS):
        now = getattr(value, name)
        if not now:
            continue
        low, high = sorted((now * (1 - SWING), now * (1 + SWING)))
        at_low = net(msgspec.structs.replace(value, **{name: low}))
        at_high = net(msgspec.structs.replace(value, **{name: high}))
        turns = (at_low > 0) != (at_high > 0)

        def at(amount: float, name: str = name) -> float:
            return net(msgspec.structs.replace(value, **{name: amount}))

        found.append(
            Assumption(
                name=name,
                value=now,
                low=low,
                high=high,
                net_low=at_low,
                net_high=at_high,
                break_even=_of_its_sign(
                    now, _break_even((low, at_low), (high, at_high), at, straight=name not in _BY_ERROR)
                ),
                turns=turns,
            )
        )
    return tuple(sorted(found, key=lambda one: -abs(one.net_high - one.net_low)))


def _of_its_sign(now: float, found: float | None) -> float | None:
    """Return a break-even where it means what the sum means: no cost is a gain."""
    return found if found is not None and found * now > 0 else None


def _break_even(
    low: tuple[float, float], high: tuple[float, float], net: Callable[[float], float], *, straight: bool
) -> float | None:
    """Return where the net is nought: on the straight line through two points, or else between them; None if nowhere.

    Of what an error costs the net is no straight line: what one number for all would be hangs on it, too.
    """
    slope = (high[1] - low[1]) / (high[0] - low[0])
    if straight:
        return low[0] - low[1] / slope if slope else None
    if (low[1] > 0) == (high[1] > 0):
        return None
    from scipy.optimize import brentq

    return float(brentq(net, low[0], high[0], xtol=1e-4 * abs(high[0] - low[0])))


def _capacity(value: Value, act_on: ActOn, net: Callable[[Value, ActOn], float]) -> tuple[Assumption, ...]:
    """Return what fewer and more actions would do; of what is no quota nobody says how many there are."""
    if not isinstance(act_on, Quota) or act_on.k < 2:
        return ()
    low, high = round(act_on.k * (1 - SWING)), round(act_on.k * (1 + SWING))
    at_low, at_high = (net(value, msgspec.structs.replace(act_on, k=k)) for k in (low, high))
    return (
        Assumption(
            name=f"actions a {act_on.per}",
            value=act_on.k,
            low=low,
            high=high,
            net_low=at_low,
            net_high=at_high,
            turns=(at_low > 0) != (at_high > 0),
        ),
    )


def _thinned(act_on: ActOn, step: float) -> tuple[ActOn, float]:
    """Return the budget for one example in ``step``, and how many actions each of its actions stands for."""
    if not isinstance(act_on, Quota) or act_on.per == "group":  # a group is there whole, or not at all
        return act_on, float(step)
    k = max(1, round(act_on.k / step))
    return msgspec.structs.replace(act_on, k=k), act_on.k / k


def _times(value: Value, by: float) -> Value:
    return msgspec.structs.replace(
        value,
        true_positive=value.true_positive * by,
        false_positive=value.false_positive * by,
        over=None if value.over is None else value.over * by,
        under=None if value.under is None else value.under * by,
    )
