"""What signal and money promise, in words: the evidence for a leader, what is doubtful, and what closes a gate.

The file hides the bounds: when a signal is none, when one is too good to be true, and when money says no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.define.answer import Gate
from headway.nouns.metric import higher_is_better

if TYPE_CHECKING:
    from headway.define.facts import Facts, Payoff, Signal
    from headway.nouns.brief import Brief
    from headway.nouns.interval import Interval

__all__ = [
    "ENOUGH_CASES",
    "SIGNIFICANT",
    "TOO_GOOD",
    "earned_doubts",
    "earned_evidence",
    "earning_gates",
    "expected_doubts",
    "signal_evidence",
    "signal_gates",
]

SIGNIFICANT = 0.05
TOO_GOOD = 0.98
"""ROC AUC of one feature alone beyond which it is a leak until proven otherwise; validation draws the same line."""
ENOUGH_CASES = 100
"""With so many of the rarer class, finding nothing says that there is little; with fewer, only that it was not seen."""


def signal_gates(facts: Facts) -> list[Gate]:
    """Return what closes the way: one feature that holds the answer, or features that hold none of it."""
    signal = facts.signal
    if signal is None:
        return []
    if signal.best_auc >= TOO_GOOD:
        return [
            Gate(
                name="leak",
                why=f"one feature alone tells the label almost perfectly (ROC AUC {signal.best_auc:.3f}, "
                f"{signal.best!r}): it most likely holds what is known only afterwards.",
                todo=f"Say under known when the columns of features.{signal.best} are known, or drop it.",
                evidence={"feature": signal.best, "roc_auc": signal.best_auc, "rows": signal.rows},
            )
        ]
    if signal.p_value > SIGNIFICANT and min(signal.cases, signal.rows - signal.cases) >= ENOUGH_CASES:
        return [
            Gate(
                name="signal",
                why=f"the features tell nothing about the label that chance would not (p = {signal.p_value:.2f}, "
                f"{signal.cases:,} cases among {signal.rows:,} examples).",
                todo="Look for features that say more, or for another target.",
                evidence={"p_value": signal.p_value, "correlation": signal.correlation, "rows": signal.rows},
            )
        ]
    return []


def signal_evidence(signal: Signal) -> list[tuple[str, str]]:
    """Return p-value, expected metric and learning curve as lines."""
    sampled = f" of {signal.of_rows:,}, evenly over time" if signal.of_rows > signal.rows else ""
    found = [
        (
            "signal",
            f"p = {signal.p_value:.3f}: {signal.rows:,} examples{sampled}; labels moved {signal.permutations} times",
        )
    ]
    if signal.expected is not None and signal.chance is not None:
        rule = f", today's rule {signal.rule.value:.3f}" if signal.rule is not None else ""
        found.append(
            (f"expected {signal.metric.replace('_', ' ')}", f"{signal.expected}; no skill {signal.chance:.3f}{rule}")
        )
    if signal.curve is not None:
        found.append(("more data", signal.curve.words))
    return found


def expected_doubts(brief: Brief, facts: Facts) -> list[str]:
    """Return what is doubtful about the strength of the signal."""
    signal = facts.signal
    if signal is None:
        return []
    doubts = []
    if signal.p_value > SIGNIFICANT and not signal_gates(facts):
        doubts.append(
            f"No signal was found (p = {signal.p_value:.2f}), but {signal.cases:,} cases are too few to say none."
        )
    if signal.expected is not None and signal.metric == brief.success.metric:
        up = higher_is_better(signal.metric)
        short = signal.expected.high < brief.success.minimum if up else signal.expected.low > brief.success.minimum
        if short:
            doubts.append(
                f"A quick model reaches {signal.expected}, success.minimum asks for {brief.success.minimum:g}."
            )
    return doubts


def earned_evidence(facts: Facts) -> list[tuple[str, str]]:
    """Return what a quick model would have earned, as lines."""
    payoff = facts.payoff
    if payoff is None:
        return []
    worth = payoff.worth
    against = "today's rule" if worth.rule is not None else "doing nothing"
    return [
        (f"a quick model, against {against}", f"{_amounts(worth.gain)} {worth.currency} per day"),
        ("per month, after running cost", f"{_amounts(worth.monthly_net)} {worth.currency}"),
        ("payback", str(worth.payback) if payoff.build else "nothing was spent on building"),
    ]


def earned_doubts(facts: Facts) -> list[str]:
    """Return what is doubtful about the money."""
    payoff = facts.payoff
    if payoff is None or earning_gates(facts):
        return []
    doubts = []
    net = payoff.worth.monthly_net
    if net.low < 0:
        doubts.append(f"It may not pay: per month {_amounts(net)} {payoff.worth.currency} after running cost.")
    doubts += [
        f"The verdict hangs on value.{one.name} = {one.value:g}: it turns at {one.break_even:,.4g}."
        for one in payoff.assumptions
        if one.turns and one.break_even is not None
    ]
    return doubts


def earning_gates(facts: Facts) -> list[Gate]:
    """Close the gate where even the upper end of what a quick model earns does not pay for the running."""
    payoff = facts.payoff
    if payoff is None or payoff.worth.monthly_net.high >= 0:
        return []
    return [
        Gate(
            name="worth",
            why=f"a quick model earns {_amounts(payoff.worth.monthly_net)} {payoff.worth.currency} per month after "
            "running cost: surely less than nothing.",
            todo=f"Look at {_largest(payoff)} and target.act_on, or choose another decision.",
            evidence={
                "monthly_net": [payoff.worth.monthly_net.low, payoff.worth.monthly_net.high],
                "monthly_cost": payoff.monthly_cost,
            },
        )
    ]


def _largest(payoff: Payoff) -> str:
    named = [one.name for one in payoff.assumptions if " " not in one.name]
    return f"value.{named[0]}" if named else "value"


def _amounts(interval: Interval) -> str:
    digits = 0 if max(abs(interval.low), abs(interval.high)) >= 100 else 2
    return f"{interval.value:,.{digits}f} [{interval.low:,.{digits}f}, {interval.high:,.{digits}f}]"
