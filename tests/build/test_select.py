"""Choosing one trial."""

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.build.select import select, standard_error_of_difference
from headway.errors import DataError
from headway.nouns.brief import Success, Value
from headway.nouns.interval import Interval
from headway.nouns.trial import Trial

SUCCESS = Success(minimum=0.1, good_enough=0.9)
KINDS = {"glass": "logistic", "small": "tree", "opaque": "lightgbm"}


def _trial(
    number, quality, kind="opaque", *, complexity=100, spread=0.0, seed=0, metric="average_precision", **changes
):
    """Return a trial whose resamples scatter around its quality: half in common with all others, half its own."""
    common = np.random.default_rng(99).normal(size=200)
    own = np.random.default_rng(seed or number).normal(size=200)
    given = {
        "number": number,
        "algorithm": KINDS[kind],
        "settings": {},
        "seed": 0,
        "scores": {metric: Interval(value=quality, low=quality - 0.02, high=quality + 0.02)},
        "replicates": tuple(float(x) for x in quality + 0.01 * common + spread * own),
        "fit_seconds": 1.0,
        "latency_us": 50.0,
        "complexity": complexity,
        "size_bytes": 1000,
        "interpretability": kind,
    }
    return Trial(**{**given, **changes})


def test_clearly_better_quality_wins_over_simplicity():
    """And the sentence says against what, by how much, and how sure."""
    trials = [
        _trial(0, 0.27, "glass"),
        _trial(1, 0.22, "small", complexity=16),
        _trial(2, 0.33, complexity=63, spread=0.01),
    ]
    winner, reason = select(trials, success=SUCCESS, value=Value())
    assert winner.number == 2
    assert reason.startswith(
        "lightgbm (63 leaves) won: average precision 0.330 against 0.270 of the best glass box, "
        "logistic (100 coefficients), a difference of 0.060 [0.0"
    )
    assert reason.endswith("; no simpler model came within one standard error.")


def test_within_one_standard_error_the_simplest_wins():
    """And the sentence says what was given up."""
    trials = [_trial(0, 0.325, "glass"), _trial(1, 0.33, spread=0.02)]
    winner, reason = select(trials, success=SUCCESS, value=Value())
    assert winner.number == 0
    assert "logistic (100 coefficients) won: average precision 0.325 is within one standard error (0.0" in reason
    assert "given up: 0.005 [-0.0" in reason


def test_what_is_given_up_is_priced_when_money_was_scored():
    """In the brief's currency."""
    trials = [_trial(0, 0.325, "glass"), _trial(1, 0.33, spread=0.02)]
    trials = [
        msgspec.structs.replace(t, scores={**t.scores, "money_per_day": money})
        for t, money in zip(trials, (900.0, 1000.0), strict=True)
    ]
    assert "(100 EUR a day)" in select(trials, success=SUCCESS, value=Value(currency="EUR"))[1]


def test_paired_resamples_tell_apart_what_intervals_cannot():
    """Intervals that overlap widely are no tie when the difference hardly varies."""
    a, b = _trial(0, 0.30, "glass"), _trial(1, 0.33, spread=0.001)
    assert a.scores["average_precision"].high > b.scores["average_precision"].low
    assert select([a, b], success=SUCCESS, value=Value())[0].number == 1
    assert standard_error_of_difference(b, a, "average_precision") == pytest.approx(0.0014, rel=1)
    bare = [
        msgspec.structs.replace(
            t, replicates=(), scores={"average_precision": Interval(value=v, low=v - 0.1, high=v + 0.1)}
        )
        for t, v in ((a, 0.30), (b, 0.33))
    ]
    assert select(bare, success=SUCCESS, value=Value())[0].number == 0


def test_limits_of_the_brief_come_before_quality():
    """Too slow, without reasons, below the minimum: set aside, and counted in the sentence."""
    good = _trial(0, 0.2, "glass")
    for bad, success in (
        (_trial(1, 0.5, latency_us=60_000.0), SUCCESS),
        (_trial(1, 0.5, explains=False), Success(minimum=0.1, good_enough=0.9, explainable=True)),
    ):
        winner, reason = select([good, bad], success=success, value=Value())
        assert winner.number == 0
        assert "1 of 2 trials broke a limit" in reason
    worst = _trial(2, 0.05, "glass", complexity=1)
    assert select([good, worst], success=SUCCESS, value=Value())[0].number == 0


def test_when_nothing_meets_the_limits_the_sentence_begins_with_that():
    """A winner is named all the same: the gates say no, with the evidence."""
    winner, reason = select([_trial(0, 0.05, "glass"), _trial(1, 0.08, spread=0.001)], success=SUCCESS, value=Value())
    assert winner.number == 1
    assert reason.startswith("No trial meets the brief (average precision 0.0")


def test_of_a_loss_less_is_better():
    """Log loss: the lowest wins, and the difference is not negative."""
    success = Success(metric="log_loss", minimum=0.6, good_enough=0.01)
    trials = [_trial(0, 0.5, "glass", metric="log_loss"), _trial(1, 0.3, metric="log_loss", spread=0.01)]
    winner, reason = select(trials, success=success, value=Value())
    assert winner.number == 1
    assert "a difference of 0.200 [0.1" in reason
    assert select([_trial(0, 0.7, metric="log_loss")], success=success, value=Value())[1].startswith("No trial meets")


def test_an_undefined_score_never_wins():
    """NaN is worst, not best."""
    odd = _trial(0, float("nan"), "glass", replicates=())
    assert select([odd, _trial(1, 0.2)], success=SUCCESS, value=Value())[0].number == 1
    assert select([odd], success=SUCCESS, value=Value())[1].startswith("No trial meets the brief")


def test_no_trials_is_an_error():
    """With the place to look at."""
    with pytest.raises(DataError, match=r"\[search\] trials"):
        select([], success=SUCCESS, value=Value())


def test_one_trial_wins_alone():
    """Without a comparison that is not there."""
    assert select([_trial(0, 0.4)], success=SUCCESS, value=Value())[1] == (
        "lightgbm (100 leaves) won: average precision 0.400 of the only trial."
    )


@st.composite
def _trials(draw):
    count = draw(st.integers(1, 7))
    return [
        _trial(
            number,
            draw(st.sampled_from([0.05, 0.2, 0.21, 0.22, 0.25, 0.3, 0.31])),
            draw(st.sampled_from(sorted(KINDS))),
            complexity=draw(st.sampled_from([1, 10, 100])),
            spread=draw(st.sampled_from([0.0, 0.005, 0.05])),
            latency_us=draw(st.sampled_from([20.0, 50.0, 60_000.0])),
            fit_seconds=draw(st.sampled_from([1.0, 2.0])),
            explains=draw(st.booleans()),
        )
        for number in range(count)
    ]


@given(trials=_trials(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_order_of_trials_does_not_matter(trials, data):
    """Same trials, same winner, same sentence."""
    success = Success(minimum=0.1, good_enough=0.9, explainable=True)
    assert select(trials, success=success, value=Value()) == select(
        data.draw(st.permutations(trials)), success=success, value=Value()
    )


def test_a_beaten_trial_does_not_win_by_its_noise():
    """It is tied with the best only because its own resamples scatter; what beats it is not tied."""
    best, steady = _trial(0, 0.33, complexity=100), _trial(1, 0.30, "small", complexity=16)
    noisy = _trial(2, 0.29, "small", complexity=17, spread=0.2)
    assert standard_error_of_difference(best, noisy, "average_precision") > 0.04
    assert select([best, steady], success=SUCCESS, value=Value())[0].number == 0
    assert select([best, steady, noisy], success=SUCCESS, value=Value())[0].number == 0


@given(trials=_trials(), data=st.data())
@settings(max_examples=100, deadline=None)
def test_adding_a_dominated_trial_never_changes_the_choice(trials, data):
    """One that another beats in every respect, however noisy its resamples."""
    success = Success(minimum=0.1, good_enough=0.9, explainable=True)
    better = data.draw(st.sampled_from(trials))
    quality = better.score("average_precision") - data.draw(st.sampled_from([0.0, 0.001, 0.02]))
    worse = msgspec.structs.replace(
        _trial(len(trials), quality, better.interpretability, spread=data.draw(st.sampled_from([0.0, 0.2]))),
        complexity=better.complexity + data.draw(st.integers(0, 5)),
        latency_us=better.latency_us,
        size_bytes=better.size_bytes + 1,
        explains=better.explains and data.draw(st.booleans()),
    )
    before = select(trials, success=success, value=Value())[0]
    assert select([*trials, worse], success=success, value=Value())[0] == before


@given(trials=_trials(), data=st.data())
@settings(max_examples=60, deadline=None)
def test_the_pace_of_the_machine_does_not_matter(trials, data):
    """Whatever a stopwatch says of fits and, within the limit, of answers: the same trial wins."""
    success = Success(minimum=0.1, good_enough=0.9, latency_p99="50 ms")
    pace = st.floats(0.1, 400.0)
    timed = [
        msgspec.structs.replace(
            t,
            fit_seconds=t.fit_seconds * data.draw(pace),
            latency_us=t.latency_us if t.latency_us > 50_000 else t.latency_us * data.draw(pace),
        )
        for t in trials
    ]
    assert (
        select(timed, success=success, value=Value())[0].number
        == select(trials, success=success, value=Value())[0].number
    )


@given(trials=_trials(), powers=st.tuples(*[st.integers(-8, 8)] * 3))
@settings(max_examples=60, deadline=None)
def test_units_do_not_matter(trials, powers):
    """Seconds or hours, bytes or pages, leaves or dozens of them: the same trial wins."""
    success = Success(minimum=0.1, good_enough=0.9, latency_p99="50 ms")
    seconds, size, leaves = (2.0**power for power in powers)
    scaled = [
        msgspec.structs.replace(
            t, fit_seconds=t.fit_seconds * seconds, size_bytes=t.size_bytes * size, complexity=t.complexity * leaves
        )
        for t in trials
    ]
    assert (
        select(scaled, success=success, value=Value())[0].number
        == select(trials, success=success, value=Value())[0].number
    )


@given(trials=_trials(), power=st.integers(-3, 3))
@settings(max_examples=60, deadline=None)
def test_the_scale_of_the_metric_and_of_latency_does_not_matter(trials, power):
    """Limits and figures in another unit alike."""
    factor = 2.0**power
    scaled = [
        msgspec.structs.replace(
            t,
            scores={"average_precision": t.score("average_precision") * factor},
            replicates=tuple(r * factor for r in t.replicates),
            latency_us=t.latency_us * factor,
        )
        for t in trials
    ]
    first = Success(minimum=0.125, good_enough=0.9, latency_p99="48 ms")
    other = Success(minimum=0.125 * factor, good_enough=9.0, latency_p99=f"{48 * factor} ms")
    assert (
        select(trials, success=first, value=Value())[0].number == select(scaled, success=other, value=Value())[0].number
    )


def test_every_pair_says_one_true_sentence():
    """The sentence ends in one full stop, names the winner first, whatever the pair."""
    some = [
        _trial(i, q, kind, spread=0.01, complexity=c)
        for i, (q, kind, c) in enumerate(itertools.product((0.2, 0.21, 0.4), KINDS, (1, 50)))
    ]
    for a, b in itertools.permutations(some, 2):
        winner, reason = select([a, b], success=SUCCESS, value=Value())
        assert reason.startswith(f"{winner.algorithm} (")
        assert reason.endswith(".")
        assert "; of those" not in reason
