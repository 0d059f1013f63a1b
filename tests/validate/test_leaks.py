"""Leaks that are planted are found, and honest data are left alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import DataError
from headway.validate.disguise import _explained
from headway.validate.leaks import LeakCheck, find_leaks

ROWS = 3000


def _honest(seed, rows=ROWS):
    """Features that predict the label honestly well, with missing values and a seasonal drift."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows).astype(np.float32)
    wind = (rng.gamma(2, 4, rows) + 5 * np.sin(np.arange(rows) / rows * 6)).astype(np.float32)
    carrier = rng.choice(["AA", "B6", "DL", "F9"], rows, p=[0.4, 0.3, 0.25, 0.05])
    odds = -2.2 + 1.4 * x + 0.05 * wind + 0.5 * (carrier == "F9")
    label = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    gone = rng.random(rows) < 0.15 + 0.1 * label  # missing depends on the label, honestly
    features = pa.table(
        {
            "x": pa.array(x),
            "wind": pa.array(wind, mask=gone),
            "carrier": pa.array(carrier.tolist()),
            "hour": pa.array((np.arange(rows) % 24).astype(np.float32)),
        }
    )
    split = np.where(np.arange(rows) < 0.6 * rows, "train", np.where(np.arange(rows) < 0.8 * rows, "validate", "test"))
    key = pa.table({"flight": pa.array([f"{c}{i}" for i, c in enumerate(carrier)])})
    return features, label, split, key


def _failed(checks: list[LeakCheck]) -> set[tuple[str, str]]:
    return {(check.name, check.subject) for check in checks if not check.passed}


def _with(features: pa.Table, **columns) -> pa.Table:
    for name, values in columns.items():
        features = features.append_column(name, values)
    return features


def test_honest_data_raise_no_alarm():
    """0 failures in 60 draws x 15 checks: by the rule of three a table is falsely accused in under 5 % of cases."""
    for seed in range(60):
        features, label, split, key = _honest(seed)
        assert _failed(find_leaks(features, label, split, key=key)) == set()


def test_pure_noise_of_any_cardinality_does_not_solve_the_target():
    """Out-of-fold means do not let a row predict itself, however few rows share its category."""
    rng = np.random.default_rng(3)
    label = (rng.random(2000) < 0.1).astype(float)
    for values in (2, 50, 600, 1500):
        noise = pa.table({"noise": pa.array([f"v{i}" for i in rng.integers(0, values, 2000)])})
        check = next(c for c in find_leaks(noise, label, np.full(2000, "train")) if c.name == "solves the target alone")
        assert check.passed
        assert float(check.found.split()[-1]) < 0.6


@pytest.mark.parametrize("kind", ["rising", "falling", "nearness", "category", "with gaps"])
def test_a_feature_that_is_the_answer_in_disguise_is_found(kind):
    """Either direction, by nearness to a value, as a category, and with two fifths of it missing."""
    features, label, split, key = _honest(1)
    rng = np.random.default_rng(9)
    delay = (label * 3 + rng.normal(0, 0.6, ROWS)).astype(np.float32)
    planted = {
        "rising": pa.array(delay),
        "falling": pa.array(-delay),
        "nearness": pa.array(
            np.where(label > 0, rng.normal(0, 0.1, ROWS), rng.choice([-3, 3], ROWS)).astype(np.float32)
        ),
        "category": pa.array(np.where(label > 0, "late", rng.choice(["early", "on time"], ROWS)).tolist()),
        "with gaps": pa.array((label * 9 + rng.normal(size=ROWS)).astype(np.float32), mask=rng.random(ROWS) < 0.4),
    }[kind]
    found = _failed(find_leaks(_with(features, leak=planted), label, split, key=key))
    assert found == {("solves the target alone", "leak")}


def test_a_target_that_is_the_difference_of_two_columns_is_found():
    """When it was due and when it came: neither says anything alone, their difference is the answer."""
    features, label, split, key = _honest(1)
    rng = np.random.default_rng(4)
    due = rng.normal(0, 10, ROWS)
    came = due + np.where(label > 0, rng.uniform(2, 3, ROWS), rng.uniform(0, 2, ROWS))
    planted = _with(features, due=pa.array(due.astype(np.float32)), came=pa.array(came.astype(np.float32)))
    found = _failed(find_leaks(planted, label, split, key=key))
    assert found == {("solves the target together", "due with came")}


def test_an_identifier_that_spells_the_target_is_found():
    """As many values as rows, so that no value comes twice; but the first letters are the answer."""
    features, label, split, key = _honest(5)
    number = pa.array([f"{'RF' if y else 'PN'}{i * 7919 % 100_003}" for i, y in enumerate(label)])
    found = _failed(find_leaks(_with(features, booking=number), label, split, key=key))
    assert ("spells the target", "booking") in found


def test_a_strong_but_honest_feature_passes():
    """A ROC AUC of 0.85 to 0.9 is what a very good feature has at most."""
    features, label, split, key = _honest(2)
    strong = pa.array((label * 1.7 + np.random.default_rng(1).normal(size=ROWS)).astype(np.float32))
    checks = find_leaks(_with(features, strong=strong), label, split, key=key)
    assert _failed(checks) == set()
    found = next(c.found for c in checks if c.subject == "strong" and c.name == "solves the target alone")
    assert 0.85 < float(found.split()[-1]) < 0.9


def test_a_leak_that_is_not_the_whole_answer_is_found():
    """As a departure delay tells of the arrival: a ROC AUC of about 0.94, as measured on real flights."""
    features, label, split, key = _honest(2)
    delay = pa.array((label * 2.2 + np.random.default_rng(1).normal(size=ROWS)).astype(np.float32))
    checks = find_leaks(_with(features, dep_delay=delay), label, split, key=key)
    assert _failed(checks) == {("solves the target alone", "dep_delay")}
    assert 0.92 < float(checks[0].found.split()[-1]) < 0.96


def test_rows_copied_into_a_later_split_are_found():
    """One copied row out of thousands is enough where a key says that it is the very same example."""
    features, label, split, key = _honest(4)
    order = np.concatenate([np.arange(ROWS), [5]])
    copied = find_leaks(features.take(order), label[order], np.append(split, "test"), key=key.take(order))
    assert _failed(copied) == {("rows repeated across splits", "key and features")}
    assert "1 of 1201" in copied[0].found


def test_equal_features_of_different_entities_are_no_leak_with_a_key():
    """Two flights may look alike; only the same flight twice is one."""
    rng = np.random.default_rng(0)
    features = pa.table({"hour": pa.array(rng.integers(0, 24, 1000).astype(np.float32))})
    label, split = (rng.random(1000) < 0.3).astype(float), np.where(np.arange(1000) < 600, "train", "test")
    key = pa.table({"id": pa.array(np.arange(1000))})
    assert _failed(find_leaks(features, label, split, key=key)) == set()
    assert _failed(find_leaks(features, label, split)) == {("rows repeated across splits", "features")}


def test_a_category_that_names_rows_is_found():
    """A booking number has as many values as there are rows."""
    features, label, split, key = _honest(5)
    number = pa.array([f"PNR{i * 7919 % 100_003}" for i in range(ROWS)])
    found = _failed(find_leaks(_with(features, booking=number), label, split, key=key))
    assert ("names single rows", "booking") in found


def test_a_date_as_text_is_found_as_time():
    """Sixty days are few categories, but the later ones were never trained on."""
    features, label, split, key = _honest(6)
    date = pa.array([f"2013-{i // 1500 + 1:02d}-{i // 50 % 30 + 1:02d}" for i in range(ROWS)])
    found = _failed(find_leaks(_with(features, date=date), label, split, key=key))
    assert found == {("encodes time", "date")}


def test_a_running_number_is_found_as_time():
    """An id that grows tells the model which month it is."""
    features, label, split, key = _honest(7)
    rng = np.random.default_rng(7)
    number = pa.array((np.arange(ROWS) * 10 + rng.integers(0, 30, ROWS)).astype(np.float32))
    assert _failed(find_leaks(_with(features, id=number), label, split, key=key)) == {("encodes time", "id")}


@pytest.mark.parametrize("positives_only", [True, False])
def test_a_column_that_is_missing_only_for_one_label_is_found(positives_only):
    """The refund is empty unless the flight was late, half of the time at least."""
    features, label, split, key = _honest(8)
    rng = np.random.default_rng(8)
    gone = (label == positives_only) & (rng.random(ROWS) < 0.5)
    refund = pa.array(rng.normal(size=ROWS).astype(np.float32), mask=gone)
    found = _failed(find_leaks(_with(features, refund=refund), label, split, key=key))
    assert ("missing tells the label", "refund") in found


def test_a_column_present_only_for_one_label_is_found():
    """The other way round: where there is a value at all, the answer is yes."""
    features, label, split, key = _honest(8)
    rng = np.random.default_rng(8)
    claim = pa.array(["yes"] * ROWS, mask=~((label > 0) & (rng.random(ROWS) < 0.6)))
    assert ("missing tells the label", "claim") in _failed(
        find_leaks(_with(features, claim=claim), label, split, key=key)
    )


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_all_pairs_at_once_rank_as_one_fit_after_the_other(seed):
    """The matrix products give each pair's squared multiple correlation over the rows that have both values."""
    rng = np.random.default_rng(seed)
    rows, places = 500, 6
    values = rng.normal(size=(rows, places)) * 10.0 ** rng.integers(-3, 4, places) + 10.0 ** rng.integers(-3, 4, places)
    values[:, 1] = values[:, 0] + rng.choice([-1, 1], rows) * 1e-3 * values[:, 0].std()
    values[:, 2] = 7.0
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 5] = np.where(rng.random(rows) < 0.3, values[:, 5], np.nan)
    label = (np.nan_to_num(values[:, 3]) > np.nanmedian(values[:, 3])).astype(float)
    found = _explained(values, label)
    for i, j in combinations(range(places), 2):
        both = np.isfinite(values[:, [i, j]]).all(axis=1)
        if both.sum() < 200:
            assert np.isnan(found[i, j])
            continue
        if 2 in (i, j):  # what never changes tells nothing together that the other does not tell alone
            assert found[i, j] == 0
            continue
        x, y = values[both][:, [i, j]], label[both] - label[both].mean()
        scaled = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
        weights, *_ = np.linalg.lstsq(scaled, y, rcond=None)
        assert found[i, j] == pytest.approx(np.var(scaled @ weights) / np.var(y), abs=1e-6)


def test_a_few_missing_values_say_nothing():
    """Ten missing values without a positive are chance at a base rate of a fifth."""
    features, label, split, key = _honest(10)
    gone = np.zeros(ROWS, dtype=bool)
    gone[np.flatnonzero(label == 0)[:10]] = True
    rare = pa.array(np.random.default_rng(1).normal(size=ROWS).astype(np.float32), mask=gone)
    assert _failed(find_leaks(_with(features, rare=rare), label, split, key=key)) == set()


def test_an_empty_column_and_a_constant_one_pass():
    """They are useless, and no leak."""
    features, label, split, key = _honest(11)
    empty, same = pa.array([None] * ROWS, pa.float32()), pa.array(["x"] * ROWS)
    wordless = pa.array([None] * ROWS, pa.string())
    planted = _with(features, empty=empty, same=same, wordless=wordless)
    assert _failed(find_leaks(planted, label, split, key=key)) == set()


def test_columns_of_unequal_length_are_refused():
    """A wrong call is named before anything is computed on it."""
    features, label, split, _ = _honest(0)
    with pytest.raises(DataError, match="equally many"):
        find_leaks(features, label[:-1], split)


def test_the_same_data_give_the_same_checks_and_failures_come_first():
    """The folds follow from the seed alone."""
    features, label, split, key = _honest(1)
    leaky = _with(features, leak=pa.array(label.astype(np.float32)))
    first = find_leaks(leaky, label, split, key=key)
    assert first == find_leaks(leaky, label, split, key=key)
    assert [check.passed for check in first] == sorted(check.passed for check in first)


def test_a_group_in_two_splits_is_found():
    """One household of which a row is judged on that others were learned from is one too many."""
    features, label, split, key = _honest(12)
    sides = {name: 1000 * number for number, name in enumerate(np.unique(split))}
    by_side = np.array([sides[name] for name in split]) + np.arange(ROWS) % 50
    apart = find_leaks(features, label, split, key=key, group=pa.table({"household": by_side}))
    assert _failed(apart) == set()
    by_side[-1] = by_side[0]
    torn = find_leaks(features, label, split, key=key, group=pa.table({"household": by_side}))
    assert _failed(torn) == {("group in two splits", "household")}


def test_groups_that_are_there_under_two_names_are_found():
    """Forty rows of the test are copies of training rows under new names: no key and no group tells."""
    features, label, split, key = _honest(13)
    later = np.flatnonzero(split != "train")[:40]
    order = np.arange(ROWS)
    order[later] = np.flatnonzero(split == "train")[:40]
    group = pa.table({"household": np.arange(ROWS)})
    assert _failed(find_leaks(features, label, split, key=key, group=group)) == set()
    copied = find_leaks(features.take(order), label[order], split, key=key, group=group)
    assert _failed(copied) == {("group under two names", "features")}


def test_training_is_what_is_called_so_wherever_it_stands():
    """A split by group begins with any side; the first row's is not the training one for that."""
    features, label, split, key = _honest(14)
    turned = np.arange(ROWS)[::-1]
    ahead = find_leaks(features, label, split, key=key)
    behind = find_leaks(features.take(turned), label[turned], split[turned], key=key.take(turned))
    twins = [next(check for check in each if check.name.startswith("rows")) for each in (ahead, behind)]
    assert twins[0] == twins[1]


def test_what_gives_one_of_several_classes_away_is_found():
    """Each class is held against all others: a mark of the middle one has no order that the outer ones follow."""
    features, _, split, key = _honest(5)
    rng = np.random.default_rng(6)
    number = np.asarray(features["x"]) + rng.normal(size=ROWS)
    place = np.digitize(number, [-1.0, 1.0])
    classes = (place[:, None] == np.arange(3)).astype(np.float64)
    assert not _failed(find_leaks(features, classes, split, key=key))
    planted = _with(features, mark=pa.array((np.abs(number) + rng.normal(0, 0.05, ROWS)).astype(np.float32)))
    assert ("solves the target alone", "mark") in _failed(find_leaks(planted, classes, split, key=key))
