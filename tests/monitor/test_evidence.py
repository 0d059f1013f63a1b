"""The arithmetic of evidence, and the promise that it keeps in simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.monitor.evidence import (
    FRACTIONS,
    Stream,
    bet,
    combined,
    dkw_p_value,
    log_e_from_p,
    log_evidence,
    push,
    sampling_margin,
)


@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=40))
def test_the_recursion_in_logarithms_equals_the_plain_one(figures: list[float]) -> None:
    """M <- (1 + M) e, mixed over bettors, written without a logarithm."""
    stream = Stream()
    plain = [0.0] * len(FRACTIONS)
    for day, figure in enumerate(figures):
        stream = push(stream, bet(figure, 1.0), day=day, figure=figure)
        plain = [(1 + m) * (1 + k * (figure - 1)) for m, k in zip(plain, FRACTIONS, strict=True)]
    assert log_evidence(stream) == pytest.approx(math.log(sum(plain) / len(plain)), rel=1e-9, abs=1e-9)


def test_a_bet_has_mean_one_at_its_bound() -> None:
    """The mean e-value of a two-point figure with mean 0.3 at bound 0.3 is one for every bettor."""
    worth = [0.3 * math.exp(win) + 0.7 * math.exp(lose) for win, lose in zip(bet(1.0, 0.3), bet(0.0, 0.3), strict=True)]
    assert worth == pytest.approx([1.0] * len(FRACTIONS))


def test_a_calibrated_p_value_has_mean_one() -> None:
    """The integral of the calibrator over uniform p is one; over ln p it is summed by the trapezoid rule.

    What lies below p = e^-600 is 1/600 exactly: the integral of dp / (p ln^2 p).
    """
    log_p = -np.concatenate([np.linspace(0, 60, 60_001), np.linspace(60, 600, 54_001)[1:]])
    values = np.array([math.exp(log_e_from_p(math.exp(x)) + x) for x in log_p])
    assert np.trapezoid(values[::-1], log_p[::-1]) + 1 / 600 == pytest.approx(1.0, abs=1e-4)


@given(st.floats(1e-300, 1.0))
def test_calibration_is_finite_and_falls_with_p(p: float) -> None:
    """No p-value breaks it, and a larger one is never worth more."""
    assert math.isfinite(log_e_from_p(p))
    assert log_e_from_p(p) >= log_e_from_p(min(1.0, p * 1.5)) - 1e-9


def test_the_dkw_bound_holds_for_uniform_rows() -> None:
    """Of 2,000 samples of 200 rows, no larger share lies below p = 0.1 than a tenth, within three standard errors."""
    rng = np.random.default_rng(5)
    x = np.sort(rng.random((2000, 200)), axis=1)
    grid = np.arange(1, 201) / 200
    d = np.maximum(np.abs(x - grid), np.abs(x - grid + 1 / 200)).max(axis=1)
    share = float(np.mean([dkw_p_value(value, 200, margin=0.0) < 0.1 for value in d]))
    assert share <= 0.1 + 3 * math.sqrt(0.09 / 2000)
    assert dkw_p_value(0.1, 200, margin=0.1) == 1.0


def test_the_sampling_margin_covers_the_reference() -> None:
    """sqrt(ln(2 F / failure) / (2 n)) for 200 streams and 50,000 rows."""
    assert sampling_margin(50_000, streams=200) == pytest.approx(math.sqrt(math.log(40_000) / 100_000))


def test_streams_combine_to_their_weighted_sum() -> None:
    """The joint evidence is ln of the sum of w M; streams without any count nothing."""
    found = combined({"a": math.log(10), "b": math.log(4), "c": -math.inf}, {"a": 0.5, "b": 0.25, "c": 0.25})
    assert found == pytest.approx(math.log(6))
    assert combined({}, {}) == -math.inf


@pytest.mark.parametrize("mean", [0.5, 0.3])
def test_the_mean_time_to_a_false_alarm_keeps_the_promise(mean: float) -> None:
    """Independent uniform figures, bound at or above their mean: mean time to reach 50 is at least 50 days.

    200 runs, cut at 500 days, which only shortens them; the lower bound is 2.33 standard errors below the mean.
    """
    rng = np.random.default_rng(11)
    times = []
    for _ in range(200):
        stream, day = Stream(), 0
        while day < 500 and log_evidence(stream) < math.log(50):
            day += 1
            figure = float(rng.random()) * 2 * mean
            stream = push(stream, bet(figure, 0.5), day=day, figure=figure)
        times.append(day)
    mean_time, error = float(np.mean(times)), float(np.std(times)) / math.sqrt(len(times))
    assert mean_time - 2.33 * error >= 50


def test_since_names_the_day_of_a_sudden_change() -> None:
    """After 60 quiet days and a jump, `since` is the first day of the jump, within two days."""
    rng = np.random.default_rng(2)
    stream = Stream()
    for day in range(80):
        figure = float(rng.random() * 0.8 if day < 60 else 0.8 + 0.2 * rng.random())
        stream = push(stream, bet(figure, 0.5), day=day, figure=figure)
    assert abs(stream.since - 60) <= 2
    assert stream.mean == pytest.approx(0.9, abs=0.05)
