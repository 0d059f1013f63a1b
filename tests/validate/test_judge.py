"""The verdict: each gate opens and closes for its own reason, and says so."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from headway.errors import DataError
from headway.nouns.brief import Quota, Success, Threshold, Value
from headway.nouns.metric import average_precision, brier, roc_auc
from headway.nouns.verdict import Verdict
from headway.validate.judge import judge, rule_to_score


def _gate(verdict, name):
    return next(gate for gate in verdict.gates if gate.name == name)


def _judged(score, examples, success, value, **given):
    settings = {"act_on": Quota(k=10), "rule_name": "late_24h", "seed": 7, "draws": 300, **given}
    return judge(score, examples, success=success, value=value, **settings)


def test_a_good_model_passes_every_blocking_gate(world, success, value):
    """And its figures are those of the metrics, taken alone."""
    score, examples, _ = world(1)
    found = _judged(score, examples, success, value, latency_us=np.full(200, 900.0))
    assert found.passed
    assert found.reasons[0] == "All gates that may stop a release are passed."
    assert found.score.value == average_precision(score, examples.label)
    assert found.difference.value == pytest.approx(found.score.value - found.rule_score.value)
    assert found.score.low < found.score.value < found.score.high
    assert found.base_rate == examples.label.mean()
    assert (found.examples, found.days) == (3000, 20)


def test_a_verdict_survives_its_bytes_and_its_digest_tells_verdicts_apart(world, success, value):
    """Plain JSON without NaN; the same inputs give the same digest, other ones another."""
    score, examples, _ = world(1, carriers=12)
    found = _judged(score, examples, success, value)
    text = msgspec.json.encode(found)
    assert b"NaN" not in text
    assert msgspec.json.decode(text, type=Verdict) == found
    assert found.digest == _judged(score, examples, success, value).digest
    assert found.digest != _judged(score, examples, success, value, seed=8).digest


def test_a_score_below_the_minimum_closes_the_quality_gate(world, success, value):
    """The reason names what was found and what was wanted."""
    score, examples, _ = world(1)
    found = _judged(score, examples, msgspec.structs.replace(success, minimum=0.6, good_enough=0.7), value)
    assert not found.passed
    assert not _gate(found, "quality").passed
    assert found.reasons[0].startswith("Not to be released: quality is average precision 0.")
    assert "at least 0.6" in found.reasons[0]


def test_a_minimum_within_the_interval_passes_but_is_minded(world, success, value):
    """The point decides, and the owner is told that luck is not excluded."""
    score, examples, _ = world(1)
    point = average_precision(score, examples.label)
    found = _judged(score, examples, msgspec.structs.replace(success, minimum=point - 0.001), value)
    assert _gate(found, "quality").passed
    assert any("luck is not excluded" in reason for reason in found.reasons)


def test_a_model_that_is_the_rule_does_not_beat_it(world, success, value):
    """The lower bound of a difference of nothing is not above 0."""
    _, examples, _ = world(1, rule_skill=2.0)
    rule = np.nan_to_num(examples.rule, nan=-99)
    score = 1 / (1 + np.exp(-rule))
    found = _judged(score, examples, success, value)
    assert not _gate(found, "better than today").passed
    assert not _gate(found, "earns more than today's rule").passed
    assert not found.passed


def test_without_a_rule_the_model_is_held_against_no_skill(world, success, value):
    """Average precision's no-skill value is the base rate; money is against doing nothing."""
    score, examples, _ = world(1)
    silent = dataclasses.replace(examples, rule=np.full(len(examples), np.nan))
    for given in ("", "late_24h"):
        found = _judged(score, silent, success, value, rule_name=given)
        assert found.rule_score.value == pytest.approx(examples.label.mean())
        assert found.money.counterfactual == "doing nothing"
        assert found.rule_name == ""
        assert any("rule said nothing" in reason for reason in found.reasons) == bool(given)


def test_an_action_that_costs_more_than_it_brings_closes_the_money_gate(world, success):
    """A model may rank well and still not be worth acting on."""
    score, examples, _ = world(1)
    dear = Value(true_positive=10, false_positive=-100)
    found = _judged(score, examples, success, dear)
    assert _gate(found, "better than today").passed
    assert not _gate(found, "earns more than doing nothing").passed
    assert not found.passed


@pytest.mark.parametrize(("slow_calls", "passed"), [(1, True), (3, False)])
def test_the_latency_gate_looks_at_the_slowest_hundredth(world, success, value, slow_calls, passed):
    """One slow answer of 200 is within it, three are not."""
    score, examples, _ = world(1)
    times = np.full(200, 800.0)
    times[:slow_calls] = 90_000.0
    found = _judged(score, examples, success, value, latency_us=times)
    assert _gate(found, "latency").passed == passed
    assert found.latency is not None
    assert found.latency.p50_us == 800


def test_an_unmeasured_latency_is_no_pass(world, success, value):
    """There is no such gate then, and the reasons say so."""
    score, examples, _ = world(1)
    found = _judged(score, examples, success, value)
    assert "latency" not in {gate.name for gate in found.gates}
    assert "Latency was not measured." in found.reasons


def test_miscalibration_is_minded_and_does_not_stop_a_ranking(world, success, value):
    """Doubled odds: same order, wrong sizes."""
    score, examples, _ = world(1)
    found = _judged(2 * score / (1 + score), examples, success, value)
    assert not _gate(found, "calibration").passed
    assert found.passed


def test_a_score_that_is_too_good_is_minded(world, success, value):
    """The label itself, blurred: a leak until proven otherwise."""
    _, examples, _ = world(1)
    leaked = np.clip(examples.label * 0.8 + np.random.default_rng(1).uniform(0, 0.3, len(examples)), 0, 1)
    assert not _gate(_judged(leaked, examples, success, value), "plausible").passed


def test_the_rule_is_given_the_kindest_probabilities_where_the_metric_needs_some(world):
    """Isotonic on these very examples: never worse than the base rate, in the order of the rule."""
    _, examples, _ = world(1, rule_skill=1.0)
    kind = rule_to_score(examples, metric="brier", has_rule=True)
    assert brier(kind, examples.label) < brier(np.full(len(kind), examples.label.mean()), examples.label)
    heard = ~np.isnan(examples.rule)
    order = np.argsort(examples.rule[heard])
    assert (np.diff(kind[heard][order]) >= 0).all()
    assert (kind[~heard] <= kind[heard].min()).all()


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_a_metric_of_which_less_is_better_is_read_so(world, value, metric):
    """Minimum means at most; better than today means wholly below 0."""
    score, examples, _ = world(1)
    loose = Success(metric=metric, minimum=0.5, good_enough=0.01)
    found = _judged(score, examples, loose, value)
    assert _gate(found, "quality").wanted == "at most 0.5"
    assert found.passed
    assert found.difference.high < 0
    strict = Success(metric=metric, minimum=0.02, good_enough=0.01)
    assert not _gate(_judged(score, examples, strict, value), "quality").passed


def test_a_threshold_brief_is_judged_too(world, success, value):
    """Actions follow the score; the rule acts as often as the model on each day."""
    score, examples, _ = world(1)
    found = _judged(score, examples, success, value, act_on=Threshold(score=0.3))
    assert found.money.acted_per_day == pytest.approx((score > 0.3).sum() / 20)
    assert found.money.hit_rate == pytest.approx(examples.label[score > 0.3].mean())


def test_an_identical_order_gives_an_identical_ranking_verdict(world, success, value):
    """Average precision, its interval and the money of a quota see the order alone."""
    score, examples, _ = world(2)
    first = _judged(score, examples, success, value)
    second = _judged(score**3, examples, success, value)
    assert (first.score, first.difference, first.money) == (second.score, second.difference, second.money)
    assert roc_auc(score, examples.label) == first.roc_auc.value


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s, e: (s[:-1], e), "scores for"),
        (lambda s, e: (s + 1, e), "no probabilities"),
        (lambda s, e: (np.where(s > 0.5, np.nan, s), e), "no probabilities"),
        (lambda s, e: (s, dataclasses.replace(e, label=np.zeros(len(s)))), "have the label 0"),
        (lambda s, e: (s, dataclasses.replace(e, label=s)), "must be 0 or 1"),
        (lambda s, e: (s, dataclasses.replace(e, day=np.full(len(s), 3))), "1 day"),
    ],
)
def test_what_cannot_be_judged_is_refused(world, success, value, change, said):
    """With a sentence that says what was found, and never a verdict on it."""
    score, examples = change(*world(1)[:2])
    with pytest.raises(DataError, match=said):
        _judged(score, examples, success, value)
