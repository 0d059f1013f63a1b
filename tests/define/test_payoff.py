"""What it is worth: counted again by hand, and what each assumption does to it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from headway.define.payoff import payoff, tornado
from headway.nouns.brief import Quota, Threshold, Value
from headway.nouns.worth import DAYS_PER_MONTH

replace = msgspec.structs.replace
VALUE = Value(currency="EUR", true_positive=30.0, false_positive=-5.0, build=9_000.0, monthly=600.0)


def _scores(days=40, per_day=50, seed=1):
    rng = np.random.default_rng(seed)
    label = (rng.random(days * per_day) < 0.2).astype(np.float64)
    score = np.clip(0.2 + 0.3 * label + 0.2 * rng.standard_normal(len(label)), 0, 1)
    return score, rng.random(len(label)), label, np.repeat(np.arange(days), per_day)


def test_the_money_is_that_of_a_count_by_hand():
    """Each day's five highest, right ones and wrong ones, less the running cost, against nothing and against a rule."""
    score, rule, label, day = _scores()
    found = payoff(score, rule, label, day, value=VALUE, act_on=Quota(k=5), seed=1)

    def by_hand(ranked):
        total = 0.0
        for one in range(40):
            here = np.flatnonzero(day == one)
            for row in here[np.argsort(-ranked[here], kind="stable")[:5]]:
                total += 30.0 if label[row] else -5.0
        return total / 40

    assert found.worth.model.value == pytest.approx(by_hand(score))
    assert found.worth.gain.value == pytest.approx(by_hand(score) - by_hand(rule))
    assert found.net_of_nothing.value == pytest.approx(by_hand(score) * DAYS_PER_MONTH - 600)
    assert found.net_of_nothing.low < found.net_of_nothing.value < found.net_of_nothing.high


def test_break_even_values_are_where_the_net_is_nought():
    """Put into the brief, each gives a monthly net of nothing."""
    score, rule, label, day = _scores()
    found = payoff(score, rule, label, day, value=VALUE, act_on=Quota(k=5), seed=1)
    named = {one.name: one for one in found.assumptions}
    assert set(named) == {"true_positive", "false_positive", "monthly", "actions a day"}
    for name in ("true_positive", "monthly"):
        even = replace(VALUE, **{name: named[name].break_even})
        again = payoff(score, rule, label, day, value=even, act_on=Quota(k=5), seed=1)
        assert again.worth.monthly_net.value == pytest.approx(0, abs=1e-6)
    order = [abs(one.net_high - one.net_low) for one in found.assumptions[:-1]]
    assert order == sorted(order, reverse=True)


def test_an_assumption_turns_the_verdict_where_its_break_even_is_within_reach():
    """Between half and one and a half of what the brief says, the net changes its sign, or it does not."""
    within, beyond = (
        tornado(
            Value(true_positive=10.0, false_positive=0.0), lambda value, cost=cost: 30 * value.true_positive - cost
        )[0]
        for cost in (200.0, 100.0)
    )
    assert (within.turns, beyond.turns) == (True, False)
    assert within.low < within.break_even < within.high
    assert beyond.break_even < beyond.low


def test_one_example_in_four_tells_of_the_same_money():
    """The budget is cut alike and each action stands for four: the money is that of all examples, to a tenth."""
    score, rule, label, day = _scores(days=200, per_day=200)
    whole = payoff(score, rule, label, day, value=VALUE, act_on=Quota(k=40), seed=1)
    part = payoff(score[::4], rule[::4], label[::4], day[::4], value=VALUE, act_on=Quota(k=40), seed=1, step=4)
    assert part.share == 0.25
    assert part.worth.acted_per_day == whole.worth.acted_per_day == 40
    assert part.worth.model.value == pytest.approx(whole.worth.model.value, rel=0.1)


def test_without_a_rule_it_is_held_against_doing_nothing():
    """A threshold, and nobody's rule: the gain is what the model earns."""
    score, _, label, day = _scores()
    found = payoff(score, None, label, day, value=VALUE, act_on=Threshold(score=0.5), seed=1)
    assert found.worth.counterfactual == "doing nothing"
    assert found.worth.gain == found.worth.model
    assert "actions a day" not in {one.name for one in found.assumptions}
