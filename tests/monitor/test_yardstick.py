"""Ranks among reference days: what they promise when days are dependent, and how soon they see a shift."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.monitor.evidence import Stream, log_evidence
from headway.monitor.streams import push_ranked
from headway.monitor.yardstick import FEWEST_DAYS, Yardstick

RUNS = 80


def storms(days: int, *, persistence: float, week: float, rng: np.random.Generator) -> np.ndarray:
    """Return daily shares like late flights': heavy-tailed, autocorrelated, with a weekly wave and sampling noise."""
    noise = rng.normal(size=days)
    z = np.empty(days)
    z[0] = noise[0]
    for t in range(1, days):
        z[t] = persistence * z[t - 1] + math.sqrt(1 - persistence**2) * noise[t]
    z += week * np.sin(2 * np.pi * np.arange(days) / 7)
    return rng.binomial(300, 1 / (1 + np.exp(2.3 - 0.9 * z))) / 300


def time_to_alarm(live: np.ndarray, yardstick: Yardstick, threshold: float) -> int:
    """Return the day on which the evidence reaches the threshold; the number of days when it does not."""
    stream = Stream()
    for day, figure in enumerate(live):
        stream = push_ranked(stream, yardstick, "base-rate-rise", float(figure), day=day)
        if log_evidence(stream) >= math.log(threshold):
            return day + 1
    return len(live)


@pytest.mark.parametrize(("persistence", "week"), [(0.0, 0.0), (0.35, 0.4), (0.6, 0.0)])
def test_dependent_days_keep_the_promise(persistence: float, week: float) -> None:
    """AR(1) days with a weekly wave, a new reference of 46 days each run: mean time to a false alarm >= 60 days.

    80 runs, cut at 400 days, which only shortens them; the bound is 2.33 standard errors below the mean.
    """
    rng = np.random.default_rng(17)
    times = []
    for _ in range(RUNS):
        days = storms(446, persistence=persistence, week=week, rng=rng)
        yardstick = Yardstick.of(days[:46], tolerance=0.1 * float(days[:46].mean()))
        assert yardstick is not None
        times.append(time_to_alarm(days[46:], yardstick, 60))
    error = float(np.std(times)) / math.sqrt(RUNS)
    assert float(np.mean(times)) - 2.33 * error >= 60


def test_a_doubled_rate_is_found_within_weeks() -> None:
    """Odds of a bad day doubled and more, as from autumn to December: median delay at most 30 days at one in 200."""
    rng = np.random.default_rng(23)
    delays = []
    for _ in range(40):
        days = storms(46 + 90, persistence=0.35, week=0.0, rng=rng)
        yardstick = Yardstick.of(days[:46], tolerance=0.1 * float(days[:46].mean()))
        assert yardstick is not None
        odds = 2.6 * days[46:] / (1 - days[46:])
        delays.append(time_to_alarm(odds / (1 + odds), yardstick, 200))
    assert float(np.median(delays)) <= 30


@given(st.lists(st.floats(-1, 1), min_size=FEWEST_DAYS, max_size=60), st.floats(-2, 2))
def test_ranks_stay_within_zero_and_one_and_mirror(figures: list[float], figure: float) -> None:
    """Up and down are each other's mirror without tolerance; with one, neither gains."""
    plain = Yardstick(values=tuple(sorted(figures)), tolerance=0.0, persistence=0.0)
    tolerant = Yardstick(values=tuple(sorted(figures)), tolerance=0.1, persistence=0.0)
    assert 0 < plain.rank(figure, "up") < 1
    assert plain.rank(figure, "up") + plain.rank(figure, "down") == pytest.approx(1)
    assert tolerant.rank(figure, "up") <= plain.rank(figure, "up")
    assert tolerant.rank(figure, "down") <= plain.rank(figure, "down")


def test_the_reference_ranks_itself_at_one_half() -> None:
    """The mean rank of the reference's own days is exactly one half, whatever their distribution."""
    values = np.random.default_rng(1).exponential(size=50)
    yardstick = Yardstick.of(values, tolerance=0.0)
    assert yardstick is not None
    assert np.mean([yardstick.rank(float(v), "up") for v in values]) == pytest.approx(0.5)


def test_persistence_follows_the_days() -> None:
    """Days that alternate have none; days that drift slowly have much, never above 0.8."""
    alternating = Yardstick.of(np.tile([0.1, 0.2], 30) + np.arange(60) * 1e-6, tolerance=0.0)
    slow = Yardstick.of(np.sin(np.arange(60) / 10), tolerance=0.0)
    assert alternating is not None
    assert slow is not None
    assert alternating.persistence == 0.0
    assert slow.persistence == 0.8
    assert slow.bound(0.9) > slow.bound(None) > slow.bound(0.1)


def test_too_few_days_give_no_yardstick() -> None:
    """Thirteen days, or more of which too many cannot say, say nothing."""
    assert Yardstick.of(np.arange(13.0), tolerance=0.0) is None
    assert Yardstick.of(np.full(50, np.nan), tolerance=0.0) is None
