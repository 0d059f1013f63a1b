"""A small world to judge in: days that differ, carriers of very unequal size, a rule with some skill."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headway.nouns.brief import Success, Value
from headway.nouns.examples import Examples


@pytest.fixture
def value() -> Value:
    """Return what a rebooking is worth."""
    return Value(currency="USD", true_positive=150, false_positive=-20, build=20_000, monthly=800)


@pytest.fixture
def success() -> Success:
    """Return what the brief asks for."""
    return Success(minimum=0.15, good_enough=0.35, latency_p99="20 ms", segments=("origin", "carrier"))


@pytest.fixture
def world():
    """Return ``make(seed, ...) -> (probabilities, examples, x)``; the probabilities are the best possible ones."""

    def make(seed, *, days=20, per_day=150, carriers=6, rule_skill=0.3, day_spread=0.4):
        rng = np.random.default_rng(seed)
        size = days * per_day
        day = np.repeat(np.arange(15_000, 15_000 + days), per_day)
        x = rng.normal(size=size)
        odds = -2 + 1.2 * x
        label = (rng.random(size) < 1 / (1 + np.exp(-odds - rng.normal(0, day_spread, days)[day - 15_000]))).astype(
            float
        )
        share = 1 / np.arange(1, carriers + 1) ** 1.5
        carrier = rng.choice(carriers, size, p=share / share.sum())
        rule = rule_skill * x + rng.normal(size=size)
        rule[rng.random(size) < 0.05] = np.nan
        examples = Examples(
            features=pa.table({"x": pa.array(x.astype(np.float32))}),
            label=label,
            day=day,
            rule=rule,
            segments=pa.table(
                {
                    "origin": pa.array(np.array(["EWR", "JFK", "LGA"])[rng.integers(0, 3, size)].tolist()),
                    "carrier": pa.array([f"C{c}" for c in carrier]),
                }
            ),
            predict_at=day * 86_400_000_000,
            key=pa.table({"id": pa.array(np.arange(size))}),
        )
        return 1 / (1 + np.exp(-odds)), examples, x

    return make
