"""Segments: the weak one is found, chance is not, and too little is no answer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from headway.validate.segments import compare_segments, holm, judge_segments, too_few


def _by_name(results):
    return {result.name: result for result in results}


def _carrier(examples):
    return np.array(examples.segments["carrier"].to_pylist())


def _judged(score, examples, **given):
    settings = {"metric": "average_precision", "has_rule": True, "draws": 200, "seed": 7, **given}
    return judge_segments(score, examples, **settings)


def test_a_segment_whose_scores_are_noise_is_below_the_bar(world):
    """And it alone."""
    score, examples, _ = world(1, days=30, per_day=200)
    weak = _carrier(examples) == "C1"
    score = np.where(weak, np.random.default_rng(1).permutation(score), score)
    found = _judged(score, examples)
    assert [result.name for result in found if result.below_bar] == ["carrier = C1"]
    assert _by_name(found)["carrier = C1"].behind_p < 1e-3


def test_a_segment_that_the_rule_serves_better_is_harmed(world):
    """Noise from the model where today's rule has skill."""
    score, examples, _ = world(2, days=30, per_day=200, rule_skill=1.5)
    weak = _carrier(examples) == "C1"
    found = _judged(np.where(weak, np.random.default_rng(1).permutation(score), score), examples)
    assert [result.name for result in found if result.harmed] == ["carrier = C1"]


def test_a_higher_base_rate_does_not_put_a_segment_below_the_bar(world):
    """Average precision falls with the base rate; a segment is not to blame for being punctual."""
    score, examples, _ = world(3, days=30, per_day=200)
    rng = np.random.default_rng(1)
    rare = (_carrier(examples) == "C1") & (examples.label > 0) & (rng.random(len(examples)) < 0.6)
    kept = np.flatnonzero(~rare)
    fewer = type(examples)(
        features=examples.features.take(kept),
        label=examples.label[kept],
        day=examples.day[kept],
        rule=examples.rule[kept],
        segments=examples.segments.take(kept),
        predict_at=examples.predict_at[kept],
        key=examples.key.take(kept),
    )
    found = _by_name(_judged(score[kept], fewer))
    assert found["carrier = C1"].score.value < 0.75 * found["carrier = C0"].score.value
    assert not found["carrier = C1"].below_bar


def test_segments_alike_are_rarely_accused(world, monkeypatch):
    """Holm keeps the chance of even one false finding at 5 % (120 worlds of about 6 tested segments; s.e. 2 %).

    Measured: 4.2 % falsely 'harmed', where rule and model are the same score with noise of their own (equally
    good, the hardest honest case); 5.0 % falsely 'below the bar' without the tolerance of 0.05, none with it.
    """
    harmed = below = without_tolerance = 0
    for seed in range(120):
        score, examples, x = world(seed, days=14, per_day=120, carriers=6)
        rng = np.random.default_rng(1_000_000 + seed)
        examples.rule[:] = x + rng.normal(0, 0.5, len(x))
        model = 1 / (1 + np.exp(2 - x - rng.normal(0, 0.5, len(x))))
        found = _judged(model, examples, metric="roc_auc", draws=80, seed=seed)
        harmed += any(result.harmed for result in found)
        below += any(result.below_bar for result in found)
        with monkeypatch.context() as patched:
            patched.setattr("headway.validate.segments.TOLERANCE", 0.0)
            found = _judged(score, examples, metric="roc_auc", has_rule=False, draws=80, seed=seed)
        without_tolerance += any(result.below_bar for result in found)
    assert harmed / 120 <= 0.05 + 3 * 0.02
    assert without_tolerance / 120 <= 0.05 + 3 * 0.02
    assert below <= 2


def test_too_few_is_an_answer_of_its_own(world):
    """Neither below the bar nor not: nothing is said, and why."""
    score, examples, _ = world(4, carriers=12)
    small = [result for result in _judged(score, examples) if result.too_few]
    assert small
    for result in small:
        assert (result.below_bar, result.harmed, result.score, result.behind_p) == (None, None, None, None)
        assert result.positives < 25
        assert "at least 25 are needed" in result.too_few


def test_each_floor_has_its_sentence():
    """Positives, negatives and days, in this order."""
    days = np.arange(100) % 20
    assert "positives" in too_few(np.r_[np.ones(5), np.zeros(95)], days)
    assert "negatives" in too_few(np.r_[np.ones(95), np.zeros(5)], days)
    assert "days" in too_few(np.r_[np.ones(50), np.zeros(50)], days // 10)
    assert too_few(np.r_[np.ones(50), np.zeros(50)], days) == ""


def test_every_example_is_in_one_segment_of_each_column(world):
    """Counts add up, and a missing value is a segment of its own."""
    score, examples, _ = world(5)
    gone = pa.array(examples.segments["carrier"].to_pylist(), mask=np.arange(len(examples)) % 7 == 0)
    with_gaps = examples.segments.set_column(1, "carrier", gone)
    found = _judged(score, type(examples)(**{**_fields(examples), "segments": with_gaps}))
    assert "carrier = (missing)" in _by_name(found)
    for column in ("origin", "carrier"):
        mine = [result for result in found if result.column == column]
        assert sum(result.examples for result in mine) == len(examples)
        assert sum(result.positives for result in mine) == examples.label.sum()


def _fields(examples):
    return {name: getattr(examples, name) for name in type(examples).__slots__}


def test_a_challenger_worse_in_one_segment_is_caught_there(world):
    """The overall score hides it: the segment is small."""
    score, examples, _ = world(6, days=30, per_day=200)
    weak = _carrier(examples) == "C2"
    worse = np.where(weak, np.random.default_rng(1).permutation(score), score)
    found = compare_segments(score, worse, examples, tolerance=0.05, draws=200, seed=7, min_days=5)
    assert [result.name for result in found if result.worse] == ["carrier = C2"]


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12))
def test_holm_keeps_order_and_never_lowers_a_p_value(p_values):
    """Tests that were not made do not count; one alone stays as it is."""
    adjusted = holm(p_values)
    made = [(p, a) for p, a in zip(p_values, adjusted, strict=True) if p is not None]
    assert [p is None for p in p_values] == [a is None for a in adjusted]
    assert all(p <= a <= 1 for p, a in made)
    assert [a for _, a in sorted(made)] == sorted(a for _, a in made)
    if len(made) == 1:
        assert made[0][0] == made[0][1]
    if made:
        assert min(a for _, a in made) == min(1.0, len(made) * min(p for p, _ in made))
