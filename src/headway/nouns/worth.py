"""What a model is worth, as figures: the noun; how they come about is in ``nouns/money.py``."""

from __future__ import annotations

from typing import Literal

import msgspec

from headway.nouns.interval import Interval

__all__ = ["DAYS_PER_MONTH", "Counterfactual", "Payback", "Worth"]

Counterfactual = Literal["today's rule", "doing nothing", "one number for all"]

DAYS_PER_MONTH = 365.25 / 12


class Payback(msgspec.Struct, frozen=True, kw_only=True):
    """Months until the gain has paid for the building; None stands for never.

    Examples
    --------
    >>> print(Payback(months=4.31, soonest=3.2, latest=None))
    4.3 months [3.2, never]
    """

    months: float | None
    soonest: float | None
    latest: float | None

    def __str__(self) -> str:
        def text(months: float | None) -> str:
            return "never" if months is None else f"{months:.1f}"

        unit = " months" if self.months is not None else ""
        return f"{text(self.months)}{unit} [{text(self.soonest)}, {text(self.latest)}]"


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What acting on a model's predictions is worth.

    Attributes
    ----------
    model, rule
        Per day, against doing nothing, before running cost; ``rule`` is None where the brief names none.
    gain
        Per day, against ``counterfactual``: what would be done without the model.
    monthly_net
        The gain over a month of 365.25 / 12 days, less what running and retraining cost.
    acted_per_day
        Mean number of actions a day.
    hit_rate
        Share of the model's actions that were right; None where it never acted.
    """

    currency: str
    counterfactual: Counterfactual
    model: Interval
    rule: Interval | None
    gain: Interval
    monthly_net: Interval
    payback: Payback
    acted_per_day: float
    hit_rate: float | None
    days: int
