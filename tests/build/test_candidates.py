"""Fitting: what every kind of model owes."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from headway.build.candidates import CANDIDATES, candidate, default_threads, fit
from headway.build.learner import importance
from headway.build.package import package
from headway.build.reasons import write_reasons
from headway.errors import BriefError, DataError
from headway.nouns.metric import roc_auc

ALL = sorted(CANDIDATES)


@pytest.mark.parametrize("name", ALL)
def test_a_fitted_model_ranks_later_examples_better_than_chance(name, fitted, later):
    """The signal in the data is found by each kind."""
    assert roc_auc(fitted[name].predict(later.features), later.label) > 0.62


@pytest.mark.parametrize("name", ALL)
def test_two_fits_give_the_same_bytes(name, train, quick, fitted):
    """Same algorithm, settings, examples and seed: the same graph."""
    again = fit(name, quick[name], train, seed=7, threads=1)
    assert package(again, signature=again.signature) == package(fitted[name], signature=again.signature)


def test_the_number_of_threads_does_not_change_the_model(train, quick):
    """LightGBM on two threads makes the trees that it makes on one."""
    few = {**quick["lightgbm"], "trees": 5}
    one, two = (fit("lightgbm", few, train, seed=7, threads=threads) for threads in (1, 2))
    assert package(one, signature=one.signature) == package(two, signature=two.signature)
    assert write_reasons(one.learner.reasons()) == write_reasons(two.learner.reasons())
    assert (one.threads, two.threads) == (1, 2)


def test_another_seed_makes_another_lightgbm(train, quick, fitted):
    """The seed reaches the learner: columns are drawn from it."""
    other = fit("lightgbm", quick["lightgbm"], train, seed=8, threads=1)
    assert package(other, signature=other.signature) != package(fitted["lightgbm"], signature=other.signature)


@pytest.mark.parametrize("name", ALL)
def test_contributions_add_up_to_the_score(name, fitted, later):
    """Base and reasons are exact, on rows with holes and unseen categories too."""
    reasons = fitted[name].contributions(later.features)
    total = reasons.base + reasons.values.sum(axis=1)
    score = 1 / (1 + np.exp(-total)) if reasons.scale == "log odds" else total
    np.testing.assert_allclose(score, fitted[name].predict(later.features), atol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_constant_and_empty_columns_give_no_reasons(name, fitted, later):
    """What does not vary in training explains nothing."""
    shares = {s.feature: s.share for s in importance(fitted[name], later.features)}
    assert sum(shares.values()) == pytest.approx(1)
    assert [shares[c] for c in ("year", "never")] == [0, 0]
    assert max(shares, key=shares.get) in ("wind", "nan", "carrier")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_is_refused(name, label, make, quick):
    """There is nothing to tell apart, and the error says so."""
    with pytest.raises(DataError, match=f"All 50 training labels are {label:g}"):
        fit(name, quick[name], make(50, label=label), seed=1)


@pytest.mark.parametrize("name", ALL)
def test_no_rows_are_refused(name, make, quick):
    """An empty training part is named."""
    with pytest.raises(DataError, match="holds no examples"):
        fit(name, quick[name], make(0), seed=1)


@pytest.mark.parametrize("name", ALL)
def test_labels_other_than_0_and_1_are_refused(name, make, quick):
    """A label that is a number is not silently taken for a class."""
    examples = make(50)
    with pytest.raises(DataError, match="found 3"):
        fit(name, quick[name], dataclasses.replace(examples, label=examples.label + 2), seed=1)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("column", ["infinite", "doubled", "score", "none"])
def test_unfit_columns_are_named(name, column, make, quick):
    """Infinite values, other types, the output's name and no columns at all."""

    def features(table):
        if column == "none":
            return pa.table({})
        values = {
            "infinite": pa.array(np.full(50, np.inf, dtype=np.float32)),
            "doubled": pa.array(np.zeros(50)),
            "score": pa.array(np.zeros(50, dtype=np.float32)),
        }
        return table.append_column(column, values[column])

    with pytest.raises(DataError, match=column if column != "none" else "no features"):
        fit(name, quick[name], make(50, features=features), seed=1)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("left", [["year"], ["never"], ["empty"], ["year", "never", "empty"]])
def test_columns_that_say_nothing_give_the_base_rate(name, left, make, quick):
    """A model of constants still fits, and scores everyone at the share of positives."""
    examples = make(400, features=lambda table: table.select(left))
    model = fit(name, quick[name], examples, seed=1)
    np.testing.assert_allclose(model.predict(examples.features), examples.label.mean(), atol=0.02)


@pytest.mark.parametrize("name", ALL)
def test_a_handful_of_rows_is_enough_to_fit(name, make):
    """The defaults follow the number of rows, so that a newcomer's small file fits."""
    examples = make(60)
    model = fit(name, candidate(name).defaults(60), examples, seed=1)
    assert model.predict(examples.features).shape == (60,)


@pytest.mark.parametrize("name", ALL)
def test_defaults_lie_within_the_space(name):
    """What is tried first could also have been proposed, for few rows and for many."""
    for rows in (10, 1_000, 200_000):
        space, kind = candidate(name).space(rows), candidate(name)
        for start in (kind.defaults(rows), *kind.then(rows)):
            assert space.keys() == start.keys()
            assert all(space[key]._contains(space[key].to_internal_repr(value)) for key, value in start.items())


def test_few_rows_begin_with_small_trees_and_many_with_usual_ones():
    """Of few, the usual ones and ones that stop by themselves come next; of many, nothing but the usual ones does."""
    few = many = candidate("lightgbm")
    leaves = [start["num_leaves"] for start in (few.defaults(5_000), *few.then(5_000))]
    assert leaves == [7, 31, 15]
    assert [start["patience"] for start in (few.defaults(5_000), *few.then(5_000))] == [0, 0, 30]
    assert many.defaults(150_000)["num_leaves"] == 31
    assert many.then(150_000) == ()
    assert "patience" not in many.defaults(150_000)


def test_early_stopping_asks_the_later_part_of_the_training_alone(train, quick, make):
    """Fewer trees where more would learn noise; the model is that of so many trees on all examples, and repeats."""
    noisy = make(1500, seed=4)
    noisy = dataclasses.replace(noisy, label=np.random.default_rng(1).integers(0, 2, 1500).astype(np.float64))
    asked = {**quick["lightgbm"], "trees": 100, "patience": 10}
    stopped = fit("lightgbm", asked, noisy, seed=7, threads=1)
    assert "stopped after" in stopped.learner.note
    rounds = int(stopped.learner.note.split()[2])
    assert rounds < 100
    plain = fit("lightgbm", {**asked, "trees": rounds, "patience": 0}, noisy, seed=7, threads=1)
    np.testing.assert_array_equal(stopped.predict(noisy.features), plain.predict(noisy.features))
    again = fit("lightgbm", asked, noisy, seed=7, threads=2)
    np.testing.assert_array_equal(stopped.predict(noisy.features), again.predict(noisy.features))


def test_without_a_later_part_all_trees_are_grown(make, quick):
    """One moment for all examples leaves nothing that is later."""
    at_once = dataclasses.replace(make(400), predict_at=np.zeros(400, dtype=np.int64))
    asked = {**quick["lightgbm"], "patience": 5}
    found = fit("lightgbm", asked, at_once, seed=7, threads=1)
    plain = fit("lightgbm", quick["lightgbm"], at_once, seed=7, threads=1)
    np.testing.assert_array_equal(found.predict(at_once.features), plain.predict(at_once.features))


def test_a_ranking_and_classes_stop_early_as_well(train):
    """Groups are kept whole; every class must be there to be asked about."""
    ranked = dataclasses.replace(train, group=np.arange(len(train)) // 6)
    asked = {"trees": 60, "learning_rate": 0.3, "num_leaves": 31, "min_child_samples": 5, "feature_fraction": 1.0}
    asked |= {"lambda_l2": 0.1, "patience": 5}
    assert "stopped" in fit("lightgbm", asked, ranked, seed=7, threads=1, task="ranking").learner.note
    sorted_out = dataclasses.replace(train, classes=("no", "yes"))
    assert "stopped" in fit("lightgbm", asked, sorted_out, seed=7, threads=1, task="category").learner.note


def test_a_large_value_does_not_run_away_with_a_sum(fitted, later):
    """The linear model holds an absurd value to ten spreads; a finite score comes out."""
    for value in (3e38, -3e38, float("inf")):
        absurd = later.features.set_column(1, "wind", pa.array(np.full(len(later), value, dtype=np.float32)))
        score = fitted["logistic"].predict(absurd)
        assert np.isfinite(score).all()
        assert ((score > 0) & (score < 1)).all()


def test_a_misspelt_algorithm_or_setting_is_named(train, quick):
    """'Did you mean' for both."""
    with pytest.raises(BriefError, match="Did you mean 'lightgbm'"):
        fit("lightgmb", {}, train, seed=1)
    with pytest.raises(BriefError, match="Did you mean 'trees'"):
        fit("lightgbm", {**quick["lightgbm"], "tres": 3}, train, seed=1)
    with pytest.raises(BriefError, match="lacks rare"):
        fit("logistic", {"penalty": 1.0}, train, seed=1)


def test_a_fit_that_did_not_converge_says_so(train, monkeypatch):
    """The note is kept with the trial; nothing is printed."""
    from headway.build import linear

    real = linear.LogisticRegression
    monkeypatch.setattr(linear, "LogisticRegression", lambda **kw: real(**{**kw, "max_iter": 1}))
    assert fit("logistic", {"penalty": 1.0, "rare": 20}, train, seed=1).learner.note == "did not converge"


def test_one_processor_stays_free_unless_there_is_only_one(monkeypatch):
    """Threads that outnumber the free processors make LightGBM many times slower."""
    for processors, wanted in ((None, 1), (1, 1), (2, 1), (4, 3), (64, 8)):
        monkeypatch.setattr("os.cpu_count", lambda n=processors: n)
        assert default_threads() == wanted
