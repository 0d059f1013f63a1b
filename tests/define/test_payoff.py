"""What it is worth: counted again by hand, and what each assumption does to it."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from headway.define.payoff import payoff, tornado
from headway.nouns.act_on import Everything, Quota, Threshold
from headway.nouns.brief import Value
from headway.nouns.calls import Calls, Places
from headway.nouns.worth import DAYS_PER_MONTH

replace = msgspec.structs.replace
FIVE = Quota(k=5)
VALUE = Value(currency="EUR", true_positive=30.0, false_positive=-5.0, build=9_000.0, monthly=600.0)


def _scores(days=40, per_day=50, seed=1):
    rng = np.random.default_rng(seed)
    label = (rng.random(days * per_day) < 0.2).astype(np.float64)
    score = np.clip(0.2 + 0.3 * label + 0.2 * rng.standard_normal(len(label)), 0, 1)
    return score, rng.random(len(label)), label, np.repeat(np.arange(days), per_day)


def _payoff(score, rule, label, day, *, value=VALUE, act_on=FIVE, step=1):
    calls = Calls(task="condition", act_on=act_on, value=value)
    return payoff(calls, score, label, Places(day=day, round=day), rule=rule, seed=1, step=step)


def test_the_money_is_that_of_a_count_by_hand():
    """Each day's five highest, right ones and wrong ones, less the running cost, against nothing and against a rule."""
    score, rule, label, day = _scores()
    found = _payoff(score, rule, label, day)

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
    found = _payoff(score, rule, label, day)
    named = {one.name: one for one in found.assumptions}
    assert set(named) == {"true_positive", "false_positive", "monthly", "actions a day"}
    for name in ("true_positive", "monthly"):
        even = replace(VALUE, **{name: named[name].break_even})
        again = _payoff(score, rule, label, day, value=even)
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
    whole = _payoff(score, rule, label, day, act_on=Quota(k=40))
    part = _payoff(score[::4], rule[::4], label[::4], day[::4], act_on=Quota(k=40), step=4)
    assert part.share == 0.25
    assert part.worth.acted_per_day == whole.worth.acted_per_day == 40
    assert part.worth.model.value == pytest.approx(whole.worth.model.value, rel=0.1)


def test_without_a_rule_it_is_held_against_doing_nothing():
    """A threshold, and nobody's rule: the gain is what the model earns."""
    score, _, label, day = _scores()
    found = _payoff(score, None, label, day, act_on=Threshold(score=0.5))
    assert found.worth.counterfactual == "doing nothing"
    assert found.worth.gain == found.worth.model
    assert "actions a day" not in {one.name for one in found.assumptions}


def _orders(days=30, per_day=12, seed=5):
    """Return what was needed, what a model said, a rule that says too much, and the day."""
    rng = np.random.default_rng(seed)
    needed = rng.poisson(20, days * per_day).astype(np.float64)
    return (
        needed,
        needed + rng.normal(0, 2, len(needed)),
        np.full(len(needed), 26.0),
        np.repeat(np.arange(days), per_day),
    )


def test_money_by_unit_of_error_is_that_of_a_count_by_hand():
    """Each unit too many and too few costs what the brief says; a rule that is a number is held against the model."""
    needed, said, rule, day = _orders()
    value = Value(over=-0.5, under=-2.0, monthly=30.0, build=500.0)
    calls = Calls(task="number", act_on=Everything(), value=value)
    found = payoff(calls, said, needed, Places(day=day, round=day), rule=rule, seed=1)

    def cost(numbers):
        return -(0.5 * np.maximum(numbers - needed, 0) + 2.0 * np.maximum(needed - numbers, 0)).sum() / 30

    assert found.worth.model.value == pytest.approx(cost(said))
    assert found.worth.gain.value == pytest.approx(cost(said) - cost(rule))
    assert found.net_of_nothing is None
    named = {one.name: one for one in found.assumptions}
    assert set(named) == {"over", "under", "monthly"}
    assert named["over"].value < 0 < named["monthly"].break_even


def test_where_one_number_for_all_is_the_rule_the_break_even_is_found_between():
    """The best single number moves with what an error costs, so the net is no straight line: it is searched for."""
    needed, said, _, day = _orders()
    plain = Calls(task="number", act_on=Everything(), value=Value(over=-0.5, under=-2.0))
    places = Places(day=day, round=day)
    gain = payoff(plain, said, needed, places, rule=None, seed=1).worth.gain.value
    assert gain > 0
    value = Value(over=-0.5, under=-2.0, monthly=gain * DAYS_PER_MONTH * 0.8)
    found = payoff(Calls(task="number", act_on=Everything(), value=value), said, needed, places, rule=None, seed=1)
    assert found.worth.counterfactual == "one number for all"
    turning = [one for one in found.assumptions if one.name in {"over", "under"} and one.turns]
    assert turning
    for one in turning:
        even = replace(value, **{one.name: one.break_even})
        again = payoff(Calls(task="number", act_on=Everything(), value=even), said, needed, places, rule=None, seed=1)
        assert abs(again.worth.monthly_net.value) < 0.01 * value.monthly


def test_of_a_ranking_that_is_there_in_part_each_group_stands_for_so_many():
    """The budget of a group is its own: one group in three tells of three times its money."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(300), 6)
    label = (rng.random(len(group)) < 0.2).astype(np.float64)
    said = label + rng.normal(0, 0.7, len(group))
    calls = Calls(task="ranking", act_on=Quota(k=2, per="group"), value=Value(true_positive=4.0, false_positive=-1.0))

    def of(rows, step):
        places = Places(day=group[rows] // 10, round=group[rows] // 10, group=group[rows])
        return payoff(calls, said[rows], label[rows], places, rule=None, seed=1, step=step)

    whole, part = of(np.flatnonzero(group >= 0), 1), of(np.flatnonzero(group % 3 == 0), 3)
    assert part.worth.model.value == pytest.approx(whole.worth.model.value, rel=0.15)
    assert part.worth.acted_per_day == pytest.approx(whole.worth.acted_per_day, rel=0.05)
    assert [one.name for one in whole.assumptions][-1] == "actions a group"
