"""The quick look for signal: it finds what is there, and says so wrongly no oftener than it claims."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.define.signal import _bins, _precision, find_signal
from headway.nouns.metric import average_precision


def _noise(
    rng: np.random.Generator, *, days: int = 60, per_day: int = 25, spread: float = 0.8
) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """Return features that know nothing of the label, and a label whose rate differs from day to day."""
    day = np.repeat(np.arange(days), rng.integers(per_day // 2, 2 * per_day, days))
    rows = len(day)
    rate = 1 / (1 + np.exp(-(-1.7 + spread * rng.standard_normal(days))))
    label = (rng.random(rows) < rate[day]).astype(np.float64)
    weather = rng.standard_normal(days)[day]  # one value a day, as weather has
    return (
        pa.table(
            {
                "weather": pa.array(weather, pa.float32()),
                "price": pa.array(rng.standard_normal(rows), pa.float32()),
                "shop": [f"s{k}" for k in rng.integers(0, 12, rows)],
            }
        ),
        label,
        day,
    )


def test_a_signal_that_is_there_is_found_and_named():
    """A feature on which the label depends is the best, with a lift above one and the least p-value there is."""
    rng = np.random.default_rng(1)
    features, label, day = _noise(rng)
    hint = label + 0.8 * rng.standard_normal(len(label))
    found = find_signal(features.append_column("hint", pa.array(hint, pa.float32())), label, day, seed=1)
    assert (found.best, found.p_value) == ("hint", 1 / 200)
    assert found.lift > 2.0
    assert found.lift_together > 0.9 * found.lift
    assert found.by_feature[0] == ("hint", found.lift)


def test_noise_is_called_a_signal_no_oftener_than_stated():
    """With day-long weather and days of their own, p <= 0.05 comes in at most 5 % of cases, to 3 standard errors."""
    runs = 200
    rng = np.random.default_rng(20)
    false = sum(
        find_signal(*_noise(rng, days=40, per_day=40, spread=1.6), seed=k, rotations=59).p_value <= 0.05
        for k in range(runs)
    )
    assert false / runs <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_a_plain_shuffle_would_have_been_fooled_by_days():
    """Why labels are rotated: against shuffled labels the very same noise would be 'found' far oftener."""
    runs, false = 60, 0
    rng = np.random.default_rng(21)
    for _ in range(runs):
        features, label, day = _noise(rng, days=40, per_day=40, spread=1.6)
        weather = features.select(["weather"])
        real = find_signal(weather, label, day, seed=0, rotations=1).lift * label.mean()
        shuffled = [
            find_signal(weather, rng.permutation(label), day, seed=0, rotations=1).lift * label.mean()
            for _ in range(19)
        ]
        false += (1 + sum(value >= real for value in shuffled)) / 20 <= 0.05
    assert false / runs > 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("cases", [0, 5, 595, 600])
def test_too_few_of_a_class_is_no_question_to_ask(cases):
    """With hardly any positives, or negatives, there is no answer rather than a wild one."""
    label = np.zeros(600)
    label[:cases] = 1.0
    assert find_signal(pa.table({"x": pa.array(np.arange(600.0), pa.float32())}), label, np.arange(600), seed=1) is None


def test_a_feature_that_is_never_there_does_no_harm():
    """Nothing but missing values is one bin without skill."""
    rng = np.random.default_rng(4)
    features, label, day = _noise(rng)
    empty = pa.nulls(len(label), pa.float32())
    found = find_signal(features.append_column("empty", empty), label, day, seed=1)
    assert dict(found.by_feature)["empty"] == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_answer():
    """Rotations are drawn from the brief's seed."""
    features, label, day = _noise(np.random.default_rng(5))
    assert find_signal(features, label, day, seed=3) == find_signal(features, label, day, seed=3)


@given(st.integers(0, 10_000))
def test_precision_from_counts_is_that_of_the_rows(seed):
    """The gain computed from bins equals average precision of the rows less the base rate, stretch by stretch."""
    rng = np.random.default_rng(seed)
    rows, width = 400, 7
    block, code = np.arange(rows) * 5 // rows, rng.integers(0, width, rows)
    label = (rng.random(rows) < 0.1 + 0.08 * code).astype(np.float64)
    seen = np.bincount(block * width + code, minlength=5 * width).reshape(5, width).astype(float)
    hits = np.bincount(block * width + code, weights=label, minlength=5 * width).reshape(5, width)
    gained = 0.0
    for one in range(5):
        here, others = block == one, block != one
        base = label[others].mean()
        n, right = (
            np.bincount(code[others], minlength=width),
            np.bincount(code[others], weights=label[others], minlength=width),
        )
        # A hair by which ties between bins of equal rate are broken as in the counts: the first bin first.
        score = ((right + 20 * base) / (n + 20))[code[here]] - 1e-12 * code[here]
        if label[here].sum():
            gained += label[here].sum() * (average_precision(score, label[here]) - label[here].mean())
    assert float(_precision(seen, hits)[0]) == pytest.approx(gained / label.sum())


@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "ü", ""])), min_size=1, max_size=60))
def test_each_value_has_one_bin_and_missing_its_own(values):
    """Equal values share a bin, different common ones do not, and the first bin is for what is missing."""
    code, width = _bins(pa.chunked_array([pa.array(values, pa.string())]))
    assert code.min() >= 0
    assert code.max() < width
    seen = {}
    for value, place in zip(values, code.tolist(), strict=True):
        assert (place == 0) == (value is None)
        assert seen.setdefault(value, place) == place
    assert len(set(seen.values())) == len(seen)
