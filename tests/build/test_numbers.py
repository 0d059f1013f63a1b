"""Learning a number, and an order: against known results, and as one graph."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from headway.build.candidates import candidate, fit
from headway.build.learner import importance
from headway.build.package import package
from headway.build.parity import prove_parity
from headway.build.reasons import read_reasons, write_reasons
from headway.errors import DataError
from headway.graph.scorer import GraphScorer
from headway.nouns.metric import measured

SMALL = {
    "trees": 40,
    "learning_rate": 0.1,
    "num_leaves": 7,
    "min_child_samples": 20,
    "feature_fraction": 1.0,
    "lambda_l2": 1.0,
}
NUMBERS = {
    "linear": {"penalty": 1.0, "rare": 5},
    "tree": {"max_depth": 4, "min_samples_leaf": 20},
    "lightgbm": {**SMALL, "objective": "l2"},
}


@pytest.fixture(scope="module")
def counted(train, later):
    """Give examples whose label is a count that follows wind and hour, earlier and later."""

    def of(examples):
        wind = np.nan_to_num(examples.features["wind"].to_numpy(zero_copy_only=False), nan=10.0)
        hour = examples.features["hour"].to_numpy()
        rate = np.exp(0.5 + 0.06 * wind + 0.03 * (hour - 14))
        label = np.random.default_rng(len(wind)).poisson(rate).astype(np.float64)
        return dataclasses.replace(examples, label=label, group=np.arange(len(label)) // 6)

    return of(train), of(later)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_learned_packaged_and_explained(name, counted):
    """Later examples are told better than by their mean; the graph is the model; reasons add up."""
    train, later = counted
    fitted = fit(name, NUMBERS[name], train, seed=7, threads=1, task="number")
    assert measured("r2", fitted.predict(later.features), later.label) > 0.2
    graph = package(fitted, signature=fitted.signature)
    assert prove_parity(graph, fitted, later, task="number").max_abs_difference < 1e-5
    why = read_reasons(write_reasons(fitted.learner.reasons())).contributions(later.features)
    total = why.base + why.values.sum(axis=1)
    np.testing.assert_allclose(total, fitted.predict(later.features), rtol=1e-4, atol=1e-4)
    assert importance(fitted, later.features)[0].feature in {"wind", "nan", "hour"}


def test_the_linear_one_is_the_closed_form():
    """Ridge on standardised columns: solve (X'X + aI) w = X'(y - mean)."""
    rng = np.random.default_rng(5)
    x = rng.normal(3, 2, (400, 3)).astype(np.float32)
    y = x @ [2.0, -1.0, 0.5] + rng.normal(0, 1, 400)
    table = pa.table({f"x{i}": x[:, i] for i in range(3)})
    day = np.arange(400)
    from headway.nouns.examples import Examples

    examples = Examples(
        features=table, label=y, day=day, rule=y, segments=pa.table({}), predict_at=day, key=pa.table({"id": day})
    )
    fitted = fit("linear", {"penalty": 50.0, "rare": 5}, examples, seed=1, threads=1, task="number")
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    weights = np.linalg.solve(z.T @ z + 50 * np.eye(3), z.T @ (y - y.mean()))
    np.testing.assert_allclose(fitted.predict(table), y.mean() + z @ weights, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("metric", "share"), [("pinball_90", 0.9), ("pinball_20", 0.2), ("mae", 0.5)])
def test_what_is_measured_is_what_is_aimed_at(metric, share, counted):
    """A quantile asked for has that share of the labels below it, on examples it has not seen."""
    train, later = counted
    objective = candidate("lightgbm", "number", metric=metric).defaults(1000)["objective"]
    fitted = fit("lightgbm", {**SMALL, "objective": objective}, train, seed=7, threads=1, task="number")
    said = fitted.predict(later.features)
    below = (np.mean(later.label < said) + np.mean(later.label <= said)) / 2
    assert below == pytest.approx(share, abs=0.08)


def test_a_rate_is_positive_and_its_graph_is_the_model(counted):
    """The Poisson objective answers through exp, in the graph as in training."""
    train, later = counted
    fitted = fit("lightgbm", {**SMALL, "objective": "poisson"}, train, seed=7, threads=1, task="number")
    graph = package(fitted, signature=fitted.signature)
    prove_parity(graph, fitted, later, task="number")
    assert GraphScorer(graph).score(later.features).min() > 0
    assert measured("poisson_deviance", fitted.predict(later.features), later.label) < 1.6


@pytest.mark.parametrize(("name", "settings"), [("linear", NUMBERS["linear"]), ("lightgbm", SMALL)])
def test_an_order_is_learned_and_packaged(name, settings, counted):
    """Within groups of six, later ones are ordered better than by chance; the graph gives the same order."""
    train, later = (dataclasses.replace(e, label=np.minimum(e.label // 2, 4.0)) for e in counted)
    fitted = fit(name, settings, train, seed=7, threads=1, task="ranking")
    graph = package(fitted, signature=fitted.signature)
    prove_parity(graph, fitted, later, task="ranking")
    found = measured("ndcg", GraphScorer(graph).score(later.features), later.label, group=later.group)
    chance = measured("ndcg", np.zeros(len(later)), later.label, group=later.group)
    assert found > chance + 0.05


@pytest.mark.parametrize(
    ("task", "label", "said"),
    [
        ("number", 3.0, "nothing to tell apart"),
        ("number", np.inf, "no finite number"),
        ("ranking", 40.0, "from 0 to 30"),
    ],
)
def test_labels_that_teach_nothing_are_refused(task, label, said, counted):
    """In words."""
    train, _ = counted
    with pytest.raises(DataError, match=said):
        fit(
            "linear", NUMBERS["linear"], dataclasses.replace(train, label=np.full(len(train), label)), seed=1, task=task
        )
