"""The quick look for signal: it finds what is there, and says so wrongly no oftener than it claims."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.define.bins import binned
from headway.define.expected import _thinned
from headway.define.moved import Days
from headway.define.permuted import permutation_test
from headway.define.sample import Sample
from headway.define.signal import _precision, find_signal
from headway.nouns.metric import average_precision, metric_of, roc_auc


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


DAY_US = 86_400_000_000


def _sample(features, label, day, **what) -> Sample:
    """Return examples whose labels are known two days later."""
    at = np.asarray(day) * DAY_US + np.arange(len(label))
    later = np.zeros(len(label), dtype=bool)
    return Sample(features=features, label=label, day=day, at=at, known=at + 2 * DAY_US, later=later, **what)


def _found(features, label, day, **how):
    return find_signal(_sample(features, label, day), **how)


def _tested(features, label, day, **how):
    return permutation_test(_sample(features, label, day), **how)


def test_a_signal_that_is_there_is_found_and_named():
    """A feature on which the label depends is the best, with a lift above one and the least p-value there is."""
    rng = np.random.default_rng(1)
    features, label, day = _noise(rng)
    hint = label + 0.8 * rng.standard_normal(len(label))
    found, forward = _found(features.append_column("hint", pa.array(hint, pa.float32())), label, day, seed=1)
    assert (found.best, found.p_value) == ("hint", 1 / 200)
    assert found.lift > 2.0
    assert found.lift_together > 0.9 * found.lift
    assert found.by_feature[0] == ("hint", found.lift)
    assert found.expected.low > found.chance
    assert len(forward.score) == len(forward.rows) > 0.6 * len(label)


def test_on_noise_the_p_value_is_uniform():
    """With day-long weather and days of their own, each quantile comes as often as it says, to 3 standard errors."""
    runs = 400
    rng = np.random.default_rng(20)
    found = np.array(
        [_tested(*_noise(rng, days=40, per_day=20, spread=1.6), seed=k, permutations=39).p_value for k in range(runs)]
    )
    for quantile in (0.05, 0.1, 0.25, 0.5, 0.75, 0.9):
        share = float((found <= quantile + 1e-9).mean())
        assert abs(share - quantile) <= 3 * math.sqrt(quantile * (1 - quantile) / runs), quantile


def test_what_two_features_say_only_together_is_foretold():
    """Whether two signs differ: added up the features tell nothing, and trees of the past tell nearly all."""
    rng = np.random.default_rng(5)
    day = np.repeat(np.arange(60), 30)
    x1, x2 = rng.standard_normal((2, len(day)))
    features = pa.table({"x1": pa.array(x1, pa.float32()), "x2": pa.array(x2, pa.float32())})
    found, _ = _found(features, ((x1 > 0) != (x2 > 0)).astype(np.float64), day, seed=1, permutations=39)
    assert found.p_value > 0.05
    assert found.foretold


def test_noise_is_not_foretold():
    """Labels by lot, at rates that differ from day to day: no more than one in a few dozen looks foretold."""
    made = (_noise(np.random.default_rng(700 + seed)) for seed in range(12))
    foretold = [_found(*one, seed=1, permutations=1)[0].foretold for one in made]
    assert sum(foretold) <= 1


def test_a_plain_shuffle_would_have_been_fooled_by_days(monkeypatch):
    """Why labels are rotated: against shuffled labels the very same noise would be 'found' far oftener."""

    def shuffled(self, *, seed, count):
        draw = np.random.default_rng(seed)
        return (draw.permutation(len(self.index)) for _ in range(count))

    monkeypatch.setattr(Days, "rotations", shuffled)
    runs = 60
    rng = np.random.default_rng(21)
    false = sum(
        _tested(*_noise(rng, days=40, per_day=40, spread=1.6), seed=k, permutations=39).p_value <= 0.05
        for k in range(runs)
    )
    assert false / runs > 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


def test_the_p_value_counts_the_real_labels_among_the_moved_ones():
    """The count is exact: one more than were as good, of one more than were moved."""
    found = _tested(*_noise(np.random.default_rng(2)), seed=1, permutations=59)
    assert found.p_value == (1 + found.as_good) / 60
    assert found.as_good == int((found.moved >= found.correlation - 1e-12).sum())


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(0, 99))
def test_labels_move_within_their_stretch_only(sizes, seed):
    """Whatever the days, each example gets the label of one in its own stretch of time, of one day for a whole day."""
    day = np.repeat(np.arange(len(sizes)), sizes)
    days = Days.of(day, stretches=5)
    for source in days.rotations(seed=seed, count=3):
        assert (days.block[source] == days.block).all()
        assert all(len(set(day[source[day == one]])) == 1 for one in range(len(sizes)))


def test_what_to_expect_holds_what_comes():
    """The expected metric's interval is around what a fresh stretch of the same world gives; no skill lies outside."""
    rng = np.random.default_rng(7)
    features, label, day = _noise(rng, days=120, per_day=30, spread=0.3)
    hint = label + 1.2 * rng.standard_normal(len(label))
    with_hint = features.append_column("hint", pa.array(hint, pa.float32()))
    found, _ = _found(with_hint, label, day, seed=1, metric="roc_auc", permutations=19)
    best = roc_auc(hint, label)  # nothing else is known: no model can do better but by luck
    assert found.expected.low - 0.03 <= best
    assert found.expected.value > best - 0.05
    assert found.chance == 0.5


def test_more_data_bring_little_where_the_curve_is_flat():
    """One strong feature is learned from a few hundred rows: twice the data is said to bring next to nothing."""
    rng = np.random.default_rng(8)
    features, label, day = _noise(rng, days=150, per_day=60, spread=0.1)
    hint = label + 0.7 * rng.standard_normal(len(label))
    found, _ = _found(pa.table({"hint": pa.array(hint, pa.float32())}), label, day, seed=1, permutations=19)
    assert found.curve is not None
    assert found.curve.tells
    assert abs(found.curve.more[0].gain.value) < 0.02
    rows = [point.rows for point in found.curve.points]
    assert rows == sorted(rows)
    assert features.num_rows == len(label)


@pytest.mark.parametrize("cases", [0, 5, 595, 600])
def test_too_few_of_a_class_is_no_question_to_ask(cases):
    """With hardly any positives, or negatives, there is no answer rather than a wild one."""
    label = np.zeros(600)
    label[:cases] = 1.0
    assert _found(pa.table({"x": pa.array(np.arange(600.0), pa.float32())}), label, np.arange(600), seed=1) is None


def test_a_feature_that_is_never_there_does_no_harm():
    """Nothing but missing values is one bin without skill."""
    rng = np.random.default_rng(4)
    features, label, day = _noise(rng)
    empty = pa.nulls(len(label), pa.float32())
    found, _ = _found(features.append_column("empty", empty), label, day, seed=1, permutations=19)
    assert dict(found.by_feature)["empty"] == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_answer():
    """Everything that is drawn follows from the brief's seed."""
    features, label, day = _noise(np.random.default_rng(5))
    one, other = (_found(features, label, day, seed=3, permutations=19) for _ in range(2))
    assert one[0] == other[0]
    assert one[1].score.tolist() == other[1].score.tolist()


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
    assert _precision(seen, hits) == pytest.approx(gained / label.sum())


@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "ü", ""])), min_size=1, max_size=60))
def test_each_value_has_one_bin_and_missing_its_own(values):
    """Equal values share a bin, different common ones do not, and the first bin is for what is missing."""
    code, width = binned(pa.chunked_array([pa.array(values, pa.string())]))
    assert code.min() >= 0
    assert code.max() < width
    seen = {}
    for value, place in zip(values, code.tolist(), strict=True):
        assert (place == 0) == (value is None)
        assert seen.setdefault(value, place) == place
    assert len(set(seen.values())) == len(seen)


def _other_noise(rng: np.random.Generator, task: str, *, days: int = 40, per_day: int = 20) -> Sample:
    """Return examples of another kind of target whose days and groups have levels of their own, and that are noise."""
    features, _, day = _noise(rng, days=days, per_day=per_day)
    rows = len(day)
    level = rng.standard_normal(days)[day]
    if task == "number":
        return _sample(features, np.exp(level + 1.5 * rng.standard_normal(rows)), day, task=task)
    if task == "category":
        odds = np.stack([rng.standard_normal(days)[day] + rng.gumbel(size=rows) for _ in range(3)], axis=1)
        return _sample(features, odds.argmax(axis=1).astype(float), day, task=task, classes=("a", "b", "c"))
    group = (np.arange(rows) // 5).astype(np.int64)
    day = day[group * 5]  # a group is of one day
    liked = rng.standard_normal(rows // 5 + 1)[group]
    label = (rng.random(rows) < 1 / (1 + np.exp(-(level + liked)))).astype(np.float64)
    return _sample(features, label, day, task=task, group=group)


@pytest.mark.parametrize("task", ["number", "category", "ranking"])
def test_on_noise_of_other_targets_the_p_value_is_uniform(task):
    """Heavy tails, classes and groups, each with days of their own: no quantile comes oftener than it says."""
    runs = 200
    rng = np.random.default_rng(30)
    found = np.array([permutation_test(_other_noise(rng, task), seed=k, permutations=19).p_value for k in range(runs)])
    for quantile in (0.05, 0.1, 0.25, 0.5, 0.75, 0.9):
        share = float((found <= quantile + 1e-9).mean())
        assert abs(share - quantile) <= 3 * math.sqrt(quantile * (1 - quantile) / runs), quantile


def _told(task: str) -> tuple[Sample, str]:
    """Return examples of which one feature knows something, and the metric that is usual for such a target."""
    rng = np.random.default_rng(31)
    sample = _other_noise(rng, task, days=80, per_day=25)
    truth = sample.label if task != "number" else np.log(sample.label)
    hint = pa.array(truth + 0.8 * truth.std() * rng.standard_normal(len(sample)), pa.float32())
    told = replace(sample, features=sample.features.append_column("hint", hint))
    return told, {"number": "mae", "category": "log_loss", "ranking": "ndcg"}[task]


@pytest.mark.parametrize("task", ["number", "category", "ranking"])
def test_a_signal_in_other_targets_is_found_with_a_metric_that_suits(task):
    """The feature that knows is the best, models of the past beat no skill, and more data are spoken of."""
    sample, metric = _told(task)
    found, forward = find_signal(sample, seed=1, metric=metric, permutations=39)
    assert (found.best, found.p_value) == ("hint", 1 / 40)
    assert found.lift > 1.2
    if metric == "ndcg":
        assert found.expected.low > found.chance
    else:
        assert found.expected.value < found.chance
    assert found.curve is not None
    assert metric_of(metric).words in found.curve.words or not found.curve.tells
    assert len(forward.score) == len(forward.rows)
    assert forward.score.ndim == (2 if task == "category" else 1)


def test_a_rule_about_a_number_is_scored_on_the_same_examples():
    """A rule that is the number but for some noise does better than any quick model of a weak feature."""
    sample, metric = _told("number")
    rule = sample.label * np.exp(0.1 * np.random.default_rng(1).standard_normal(len(sample)))
    found, _ = find_signal(replace(sample, rule=rule), seed=1, metric=metric, permutations=19)
    assert found.rule.high < found.expected.low


def test_groups_stay_whole_where_a_quick_model_takes_a_part(monkeypatch):
    """One group in so many trains, and none of them is cut."""
    monkeypatch.setattr("headway.define.expected._MOST_ROWS", 300)
    sample, _ = _told("ranking")
    rows = _thinned(sample, np.arange(len(sample)))
    assert 150 <= len(rows) <= 310
    assert set(np.bincount(sample.group[rows])) <= {0, 1, 2, 3, 4, 5}
    assert (np.bincount(sample.group[rows])[sample.group[rows]] == np.bincount(sample.group)[sample.group[rows]]).all()
