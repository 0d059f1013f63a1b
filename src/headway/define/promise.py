"""What signal and money promise, in words: the evidence for a leader, what is doubtful, and what closes a gate.

The file hides the bounds: when a signal is none, when one is too good to be true, and when money says no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.define.answer import Doubt, Gate
from headway.define.phrasing import amounts
from headway.nouns.metric import higher_is_better, metric_of
from headway.nouns.task import SOLVED_ROC_AUC

if TYPE_CHECKING:
    from headway.define.facts import Facts
    from headway.define.prospect import Payoff, Signal
    from headway.nouns.brief import Brief
    from headway.nouns.interval import Interval

__all__ = [
    "ENOUGH_CASES",
    "SIGNIFICANT",
    "earned_doubts",
    "earned_evidence",
    "earning_gates",
    "expected_doubts",
    "signal_evidence",
    "signal_gates",
]

SIGNIFICANT = 0.05
_FINDS = {
    "condition": "true labels",
    "number": "labels above the middle",
    "category": "each class",
    "ranking": "what is relevant",
}
ENOUGH_CASES = 100
"""With so many of the rarer class, finding nothing says that there is little; with fewer, only that it was not seen."""


def signal_gates(facts: Facts) -> list[Gate]:
    """Return what closes the way: one feature that holds the answer, or features that hold none of it."""
    signal = facts.signal
    if signal is None:
        return []
    if signal.best_auc > SOLVED_ROC_AUC:
        return [
            Gate(
                name="leak",
                why=f"one feature alone tells the label almost perfectly ({signal.best!r}, ROC AUC "
                f"{signal.best_auc:.3f}): it most likely holds what is known only afterwards.",
                todo=f"Ask when features.{signal.best} is filled in; say so under known, or drop it.",
                evidence={"feature": signal.best, "roc_auc": signal.best_auc, "rows": signal.rows},
            )
        ]
    enough = min(signal.cases, signal.rows - signal.cases) >= ENOUGH_CASES
    if signal.p_value > SIGNIFICANT and enough and not signal.foretold:
        of = f"{signal.cases:,} cases among " if signal.task == "condition" else ""
        return [
            Gate(
                name="signal",
                why=f"the features tell nothing about the label that chance would not (p = {signal.p_value:.2f}, "
                f"{of}{signal.rows:,} examples).",
                todo="Look for features that say more (headway features suggest), or for another target.",
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
        ),
        (
            "best feature",
            (
                f"{signal.best} alone finds {_FINDS[signal.task]} {signal.lift:.2f} times as well as chance, all "
                f"together {signal.lift_together:.2f} times"
            ),
        ),
    ]
    if signal.expected is not None and signal.chance is not None:
        rule = f", today's rule {signal.rule.value:,.3f}" if signal.rule is not None else ""
        less = "" if higher_is_better(signal.metric) else "; less is better"
        found.append(
            (
                f"expected {metric_of(signal.metric).words}",
                f"{signal.expected}; no skill {signal.chance:,.3f}{rule}{less}",
            )
        )
    if signal.curve is not None:
        found.append(("more data", signal.curve.words))
    return found


def expected_doubts(brief: Brief, facts: Facts) -> list[Doubt]:
    """Return what is doubtful about the strength of the signal."""
    signal = facts.signal
    if signal is None:
        return []
    doubts = []
    if signal.p_value > SIGNIFICANT and signal.foretold:
        doubts.append(
            Doubt(
                why="Only together do the features say something: added up they tell no more than chance would "
                f"(p = {signal.p_value:.2f}), but quick models of the past surely foretold what came after.",
                todo="Ask whether the features are meant to work together so; a simple model will not find it.",
            )
        )
    elif signal.p_value > SIGNIFICANT and not signal_gates(facts):
        doubts.append(
            Doubt(
                why=f"No signal was found (p = {signal.p_value:.2f}), but {signal.cases:,} cases are too few to say "
                "none.",
                todo="Collect more cases, or ask about more examples.",
            )
        )
    if signal.expected is not None and signal.metric == brief.success.metric:
        up = higher_is_better(signal.metric)
        minimum = brief.success.minimum
        if signal.expected.high < minimum if up else signal.expected.low > minimum:
            more = f" {signal.curve.words}" if signal.curve is not None else ""
            doubts.append(
                Doubt(
                    why=f"A quick model reaches {signal.expected} of {metric_of(signal.metric).words} before the test "
                    f"period; success.minimum asks for {minimum:g}.",
                    todo=f"Look for features that say more, or ask for less.{more}",
                )
            )
    return doubts


def earned_evidence(facts: Facts) -> list[tuple[str, str]]:
    """Return what a quick model would have earned, as lines."""
    payoff = facts.payoff
    if payoff is None:
        return []
    worth = payoff.worth
    return [
        (f"a quick model, against {worth.counterfactual}", f"{amounts(worth.gain)} {worth.currency} per day"),
        ("per month, after running cost", f"{amounts(worth.monthly_net)} {worth.currency}"),
        ("payback", str(worth.payback) if payoff.build else "nothing was spent on building"),
    ]


def earned_doubts(facts: Facts) -> list[Doubt]:
    """Return what is doubtful about the money."""
    payoff = facts.payoff
    if payoff is None or earning_gates(facts):
        return []
    doubts = []
    net = payoff.worth.monthly_net
    if net.high < 0:
        doubts.append(
            Doubt(
                why=f"A quick model earns surely less than {payoff.worth.counterfactual} and running cost: per month "
                f"{amounts(net)} {payoff.worth.currency}.",
                todo="Only a model that is searched for could pay: run it, and believe its verdict on the test alone.",
            )
        )
    elif net.low < 0:
        doubts.append(
            Doubt(
                why=f"It may not pay: per month {amounts(net)} {payoff.worth.currency} after running cost.",
                todo=f"Look at {_largest(payoff)} first: the money hangs on it most.",
            )
        )
    doubts += [
        Doubt(
            why=f"The verdict hangs on value.{one.name} = {one.value:g}: it turns at {one.break_even:,.4g}.",
            todo="Have whoever owns the money confirm this figure.",
        )
        for one in payoff.assumptions
        if one.turns and one.break_even is not None
    ]
    return doubts


def earning_gates(facts: Facts) -> list[Gate]:
    """Close the gate where even the upper end of what a quick model earns does not pay for the running.

    Held against doing nothing: that today's rule is hard to beat for a model without a search is a condition.
    """
    payoff = facts.payoff
    net = None if payoff is None else _of_nothing(payoff)
    if payoff is None or net is None or net.high >= 0:
        return []
    return [
        Gate(
            name="worth",
            why=f"a quick model earns {amounts(net)} {payoff.worth.currency} per month after running cost: surely less "
            "than nothing.",
            todo=f"Look at {_largest(payoff)} and target.act_on, or choose another decision.",
            evidence={
                "monthly_net": [net.low, net.high],
                "monthly_cost": payoff.monthly_cost,
            },
        )
    ]


def _of_nothing(payoff: Payoff) -> Interval | None:
    """Return the monthly net where nothing is done today; of numbers without a rule, where one is used for all."""
    if payoff.net_of_nothing is not None:
        return payoff.net_of_nothing
    return payoff.worth.monthly_net if payoff.worth.counterfactual == "one number for all" else None


def _largest(payoff: Payoff) -> str:
    named = [one.name for one in payoff.assumptions if " " not in one.name]
    return f"value.{named[0]}" if named else "value"
