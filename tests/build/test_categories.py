"""Learning which of several classes it will be: against known results, and as one graph."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from headway.build.candidates import fit
from headway.build.encode import fit_encoding
from headway.build.learner import importance
from headway.build.package import package
from headway.build.parity import prove_parity
from headway.build.reasons import read_reasons, write_reasons
from headway.errors import DataError, ParityError
from headway.graph.scorer import GraphScorer
from headway.nouns.act_on import Likeliest, Threshold
from headway.nouns.examples import Examples
from headway.nouns.metric import measured
from headway.nouns.task import WAYS

CLASSES = ("early", "late", "on time")
ALL = WAYS["category"].algorithms


@pytest.fixture(scope="module")
def sorted_out(train, later):
    """Give examples whose class follows wind and carrier, earlier and later."""

    def of(examples, classes=CLASSES):
        wind = np.nan_to_num(examples.features["wind"].to_numpy(zero_copy_only=False), nan=10.0)
        carrier = np.array(examples.features["carrier"].to_pylist()) == "B6"
        sums = np.stack([1.0 - 0.05 * wind, -1.0 + 0.1 * wind + 1.5 * carrier, 0.0 * wind], axis=1)[:, : len(classes)]
        share = np.exp(sums) / np.exp(sums).sum(axis=1, keepdims=True)
        drawn = np.random.default_rng(len(wind)).random(len(wind))
        label = (drawn[:, None] > share.cumsum(axis=1)[:, :-1]).sum(axis=1).astype(np.float64)
        return dataclasses.replace(examples, label=label, classes=classes)

    return {count: (of(train, CLASSES[:count]), of(later, CLASSES[:count])) for count in (2, 3)}


@pytest.fixture(scope="module")
def learned(sorted_out, quick):
    """Give each algorithm fitted to two classes and to three."""
    return {
        (name, count): fit(name, quick[name], sorted_out[count][0], seed=7, threads=1, task="category")
        for name in ALL
        for count in sorted_out
    }


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", ALL)
def test_classes_are_told_apart_on_later_examples(name, count, learned, sorted_out):
    """Better than their mix does, by the loss that counts every probability."""
    later = sorted_out[count][1]
    said = learned[name, count].predict(later.features)
    assert said.shape == (len(later), count)
    assert measured("explained_loss", said, later.label) > 0.05


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", ALL)
def test_one_graph_gives_a_probability_for_each_class(name, count, learned, sorted_out):
    """It is the trained model, on rows with holes and unseen words, too; and its classes stand in it by name."""
    later, fitted = sorted_out[count][1], learned[name, count]
    graph = package(fitted, signature=fitted.signature)
    found = prove_parity(graph, fitted, later, task="category", act_on=Likeliest())
    assert found.max_abs_difference < 1e-5
    assert found.decisions_changed == 0
    outputs = [(o.name, o.shape) for o in ort.InferenceSession(graph).get_outputs()]
    assert outputs == [("score", ["n", count])]
    (named,) = onnx.load_from_string(graph).metadata_props
    assert (named.key, json.loads(named.value)) == ("classes", list(CLASSES[:count]))
    assert package(fitted, signature=fitted.signature) == graph


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 33, 1200])
def test_a_batch_scores_classes_as_its_rows_do_bit_for_bit(name, rows, learned, sorted_out):
    """Whatever the shape of the batch, a row's probabilities are its own."""
    later, fitted = sorted_out[3][1], learned[name, 3]
    scorer = GraphScorer(package(fitted, signature=fitted.signature))
    table = later.features.slice(5, rows)
    lists = list(zip(*(table[c.name].to_pylist() for c in scorer.columns), strict=True))
    batch = scorer.score(table)
    assert [scorer.score_row(row).tolist() for row in lists] == batch.tolist()
    assert scorer.score_rows(lists).tolist() == batch.tolist()
    assert scorer.score_rows([]).shape == (0, 3)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", ALL)
def test_reasons_add_up_to_every_class(name, count, learned, sorted_out):
    """From bytes alone: the base and the reasons of a class give its share, or by softmax all probabilities."""
    later, fitted = sorted_out[count][1], learned[name, count]
    why = read_reasons(write_reasons(fitted.learner.reasons())).contributions(later.features)
    total = why.base + why.values.sum(axis=1)
    weight = np.exp(total) if why.scale == "log weight" else total
    np.testing.assert_allclose(
        weight / weight.sum(axis=1, keepdims=True), fitted.predict(later.features), rtol=1e-4, atol=1e-5
    )
    assert importance(fitted, later.features)[0].feature in {"wind", "carrier", "nan"}


def test_the_glass_box_is_the_multinomial_regression():
    """As scikit-learn fits it to the standardised columns alone, up to where the solver stops."""
    rng = np.random.default_rng(5)
    x = rng.normal(3, 2, (600, 3)).astype(np.float32)
    sums = x @ rng.normal(0, 1, (3, 3))
    y = (sums + rng.gumbel(0, 1, sums.shape)).argmax(axis=1).astype(np.float64)
    day = np.arange(600)
    table = pa.table({f"x{i}": x[:, i] for i in range(3)})
    examples = Examples(
        features=table, label=y, day=day, rule=y, segments=pa.table({}), predict_at=day, key=pa.table({"id": day}),
        classes=("a", "b", "c"),
    )  # fmt: skip
    fitted = fit("logistic", {"penalty": 5.0, "rare": 5}, examples, seed=1, threads=1, task="category")
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    known = LogisticRegression(C=1 / 5.0, tol=1e-8).fit(z, y)
    np.testing.assert_allclose(fitted.predict(table), known.predict_proba(z), atol=6e-3)


def test_categories_stand_in_the_order_of_their_mix_of_classes(sorted_out):
    """Along one line, on which the one that differs stands at an end; with two classes in the order of one's share."""
    codes = fit_encoding(sorted_out[3][0]).codes["carrier"].known
    common = [codes[word] for word in ("AA", "B6", "DL", "UA")]
    assert codes["B6"] in {min(common), max(common)}
    train = sorted_out[2][0]
    codes = fit_encoding(train).codes["carrier"].known
    words = np.array([word or "" for word in train.features["carrier"].to_pylist()])
    smoothed = {w: (train.label[words == w].sum() + 20 * train.label.mean()) / (np.sum(words == w) + 20) for w in codes}
    ranked = sorted(codes, key=codes.__getitem__)
    assert ranked in (sorted(codes, key=smoothed.__getitem__), sorted(codes, key=smoothed.__getitem__)[::-1])


def test_the_acts_that_the_graph_would_change_are_counted(learned, sorted_out):
    """Of the class that is acted on; and a graph of other probabilities is refused."""
    later, fitted = sorted_out[3][1], learned["lightgbm", 3]
    graph = package(fitted, signature=fitted.signature)
    found = prove_parity(graph, fitted, later, task="category", act_on=Threshold(score=0.4, of="late"))
    assert found.decisions_changed <= 1
    with pytest.raises(ParityError, match="differs from the trained model"):
        prove_parity(graph, learned["tree", 3], later, task="category")


@pytest.mark.parametrize(("label", "said"), [(0.0, "one class"), ("only two", "no example of class 'on time'")])
def test_a_class_that_never_comes_is_said_by_name(label, said, sorted_out, quick):
    """A model cannot be made to answer what it has never seen."""
    train = sorted_out[3][0]
    labels = np.minimum(train.label, 1.0) if label == "only two" else np.full(len(train), label)
    with pytest.raises(DataError, match=said):
        fit("tree", quick["tree"], dataclasses.replace(train, label=labels), seed=1, task="category")
