"""What acting could be worth at best and at worst: by perfect foresight, by lot, and by what is done today."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.define.prospect import WorthBounds
from headway.nouns.act_on import Likeliest
from headway.nouns.money import decide, decide_by_rule, earned_per_day

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.nouns.calls import Calls, Places

    Floats = NDArray[np.float64]

__all__ = ["worth_bounds"]


def worth_bounds(calls: Calls, label: Floats, places: Places, *, rule: Floats | None) -> WorthBounds:
    """Return what acting is worth a day between no skill and perfect foresight.

    Parameters
    ----------
    rule
        Today's rule, NaN where it is silent; None where there is none.

    Examples
    --------
    Two days of three examples, one call a day; it is right on the first day, and there is no case on the second.

    >>> from headway.nouns.act_on import Quota
    >>> from headway.nouns.brief import Value
    >>> from headway.nouns.calls import Calls, Places
    >>> day = np.array([1, 1, 1, 2, 2, 2])
    >>> calls = Calls(task="condition", act_on=Quota(k=1), value=Value(true_positive=30, false_positive=-6))
    >>> found = worth_bounds(calls, np.array([1.0, 0, 0, 0, 0, 0]), Places(day=day, round=day), rule=None)
    >>> found.perfect, found.random
    (12.0, 0.0)
    """
    day, unit = places.day, places.unit(calls.act_on)
    known = _foresight(calls, label)
    acted = decide(calls.score(known), unit, calls.act_on)
    paid = calls.paid(known, label, unit)
    perfect = earned_per_day(acted, paid, day)
    says = calls.said_today(rule, label)
    by_rule = None
    if rule is not None and says is not None:
        chosen = decide_by_rule(says, unit, calls.act_on, acted=acted)
        by_rule = float(earned_per_day(chosen, calls.paid(says, label, unit), day).mean())
    right = calls.right(known, label, unit)
    return WorthBounds(
        currency=calls.value.currency,
        actions_per_day=float(acted.sum() / len(perfect)),
        positives_per_day=float(right.sum() / len(perfect)),
        random=_without_skill(calls, label, acted, paid, places),
        perfect=float(perfect.mean()),
        rule=by_rule,
        by_error=calls.by_error,
    )


def _foresight(calls: Calls, label: Floats) -> Floats:
    """Return the answers of one who knows: the label itself; of a category all probability on the right class."""
    if calls.task != "category":
        return label
    said: Floats = (label[:, None] == np.arange(len(calls.classes))).astype(np.float64)
    return said


def _without_skill(calls: Calls, label: Floats, acted: NDArray[np.bool_], paid: Floats, places: Places) -> float:
    day, unit = places.day, places.unit(calls.act_on)
    if calls.by_error:
        constant = calls.said_today(None, label)
        assert constant is not None, "a number is used today, too"
        return float(earned_per_day(acted, calls.paid(constant, label, unit), day).mean())
    if isinstance(calls.act_on, Likeliest):
        commonest = np.full(len(label), np.bincount(label.astype(np.int64)).argmax(), dtype=np.float64)
        return float(earned_per_day(acted, calls.paid(commonest, label, unit), day).mean())
    # By lot each example of a unit is as likely to be among those acted on as any other.
    _, at = np.unique(unit, return_inverse=True)
    size = np.bincount(at)
    share = np.bincount(at, weights=acted) / size
    every = np.ones(len(label), dtype=np.bool_)
    return float(earned_per_day(every, paid * share[at], day).mean())
