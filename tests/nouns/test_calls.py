"""What a call earns, for each kind of target: small enough to be added up by hand."""

from __future__ import annotations

import numpy as np
import pytest

from headway.errors import BriefError
from headway.nouns.act_on import parse_act_on
from headway.nouns.brief import Value
from headway.nouns.calls import Places, calls_of
from headway.nouns.money import worth_of

VALUE = Value(true_positive=10, false_positive=-4)
DAY = np.array([1, 1, 1, 2, 2, 2])
PLACES = Places(day=DAY, round=DAY, group=np.array([5, 5, 6, 6, 7, 7]))


def _worth(task, act_on, said, label, *, rule=None, value=VALUE, classes=()):
    calls = calls_of(task=task, act_on=parse_act_on(act_on), value=value, classes=classes)
    said, label = np.array(said, dtype=float), np.array(label, dtype=float)
    return worth_of(calls, said, label, PLACES, rule=rule, draws=50, seed=1)


def test_a_number_above_the_bar_is_right_where_the_label_is():
    """Two acted on, one right: 6 on the first day, nothing on the second."""
    found = _worth("number", "prediction > 45", [50, 60, 1, 2, 3, 45], [46, 45, 90, 0, 0, 0], rule=[0, 0, 99, 0, 0, 0])
    assert (found.model.value, found.hit_rate, found.acted_per_day) == (3.0, 0.5, 1.0)
    assert found.rule.value == 5.0, "the rule is a number with the same bar"


def test_a_quota_of_numbers_is_right_where_the_label_is_among_as_many():
    """The highest label of each day is the one that was to be found."""
    found = _worth("number", "top 1 per day", [9, 2, 3, 9, 2, 3], [8, 1, 2, 1, 2, 9])
    assert found.model.value == (10 - 4) / 2


def test_a_number_used_as_it_is_costs_by_its_error():
    """One too high costs 0.5, one too low 2: against the rule's, and against the best one number for all."""
    value = Value(over=-0.5, under=-2.0)
    label = [1.0, 2, 3, 4, 5, 6]
    found = _worth("number", "every prediction", [2.0, 1, 3, 4, 5, 6], label, rule=[3.0] * 6, value=value)
    assert found.model.value == -2.5 / 2
    assert found.rule.value == -(1.0 + 0.5 + 2 + 4 + 6) / 2
    assert (found.counterfactual, found.hit_rate) == ("today's rule", None)
    none = _worth("number", "every prediction", [2.0, 1, 3, 4, 5, 6], label, value=value)
    costs = [sum(0.5 * max(c - y, 0) + 2 * max(y - c, 0) for y in label) for c in np.arange(0, 8, 0.01)]
    assert none.counterfactual == "one number for all"
    assert none.rule.value == pytest.approx(-min(costs) / 2), "the quantile 0.8 of the labels costs least"


def test_the_likeliest_class_is_right_where_it_came():
    """Four of six."""
    said = np.eye(3)[[0, 1, 2, 0, 1, 2]] * 0.4 + 0.2
    found = _worth("category", "the most likely class", said, [0, 1, 2, 0, 0, 0], classes=("a", "b", "c"))
    assert (found.hit_rate, found.counterfactual) == (pytest.approx(4 / 6), "doing nothing")
    assert found.model.value == (4 * 10 - 2 * 4) / 2


def test_the_probability_of_one_class_decides_where_it_is_asked():
    """Only those above it, right where that class came."""
    said = np.array([[0.7, 0.3], [0.2, 0.8], [0.3, 0.7], [0.5, 0.5], [0.9, 0.1], [0.4, 0.6]])
    found = _worth("category", "probability of b > 65 %", said, [0, 1, 0, 0, 0, 1], classes=("a", "b"))
    assert (found.hit_rate, found.acted_per_day) == (0.5, 1.0)


def test_a_quota_per_group_takes_the_highest_of_each():
    """Three groups of two, one each; relevant at all is right."""
    found = _worth("ranking", "top 1 per group", [3, 1, 2, 5, 1, 4], [2, 0, 1, 0, 0, 0])
    assert (found.acted_per_day, found.hit_rate) == (1.5, pytest.approx(1 / 3))


def test_what_an_error_costs_must_be_said():
    """'every prediction' without over and under is worth nothing that could be counted."""
    with pytest.raises(BriefError, match="does not say what an error costs"):
        _worth("number", "every prediction", [1] * 6, [1] * 6)
