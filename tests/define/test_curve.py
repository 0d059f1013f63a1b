"""The learning curve: a law that is there is found, and where nothing can be told it is said."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headway.define.curve import learning_curve, power_law

ROWS = np.array([500, 1_000, 2_000, 4_000, 8_000])


@given(st.floats(0.0, 0.5), st.floats(0.5, 5.0), st.sampled_from([0.2, 0.35, 0.5, 0.8, 1.2]))
def test_a_power_law_is_found_again(floor, scale, exponent):
    """Points on a curve give the curve back, and so what twice the rows bring."""
    error = floor + scale * ROWS.astype(float) ** -exponent
    a, b, c = power_law(ROWS.astype(float), error[None, :])
    twice = 16_000.0
    assert abs((a + b * twice**-c)[0] - (floor + scale * twice**-exponent)) < 1e-3 * scale


def _curve(rng, *, noise, draws=400):
    truth = 0.3 + 2.0 * ROWS.astype(float) ** -0.4
    seen = truth + noise * rng.standard_normal(len(ROWS))
    drawn = seen[:, None] + noise * rng.standard_normal((len(ROWS), draws))
    found = learning_curve(ROWS, 1 - seen, 1 - drawn, metric="roc_auc", higher=True, chance=0.5)
    return found, float(truth[-1] - (0.3 + 2.0 * 16_000.0**-0.4))


def test_the_interval_of_what_more_data_bring_holds_the_truth():
    """Over a hundred noisy curves of a known law, it does about as often as it says, to 3 standard errors."""
    rng = np.random.default_rng(3)
    runs = 100
    held = 0
    for _ in range(runs):
        found, truth = _curve(rng, noise=0.001)
        held += found.more[0].gain.low <= truth <= found.more[0].gain.high
    assert held / runs >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / runs)


def test_a_curve_that_is_all_noise_says_that_it_cannot_tell():
    """Where the interval is as wide as the skill there is, the words do not name a gain."""
    truth = np.full(len(ROWS), 0.505)
    rng = np.random.default_rng(4)
    drawn = truth[:, None] + 0.05 * rng.standard_normal((len(ROWS), 300))
    found = learning_curve(ROWS, truth, drawn, metric="roc_auc", higher=True, chance=0.5)
    assert not found.tells
    assert found.words.startswith("It cannot be told")


def test_a_loss_that_falls_is_a_gain_below_nought():
    """For a metric that should be low, what more data bring is negative, and the law tends to its floor."""
    loss = 0.2 + 3.0 * ROWS.astype(float) ** -0.5
    found = learning_curve(ROWS, loss, np.tile(loss[:, None], 50), metric="log_loss", higher=False, chance=0.69)
    assert found.more[1].gain.value < found.more[0].gain.value < 0
    assert abs(found.floor - 0.2) < 1e-3
