"""One graph: what goes in, what comes out, and that it is the trained model."""

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.build.candidates import CANDIDATES, fit
from headway.build.forms import Ensemble, float32_at_most
from headway.build.package import OPSET, library_versions, package
from headway.build.parity import prove_parity
from headway.errors import DataError, ParityError
from headway.graph.scorer import GraphScorer
from headway.nouns.brief import Quota, Threshold
from headway.nouns.examples import FeatureColumn
from headway.nouns.model import Signature

ALL = sorted(CANDIDATES)


@pytest.fixture(scope="module")
def graphs(fitted):
    """Each algorithm's packaged graph."""
    return {name: package(model, signature=model.signature) for name, model in fitted.items()}


@pytest.mark.parametrize("name", ALL)
def test_each_column_is_an_input_and_the_score_the_only_output(name, graphs, train):
    """Named, typed, in order; no operator that runtimes may lack."""
    session = ort.InferenceSession(graphs[name])
    assert [i.name for i in session.get_inputs()] == train.features.column_names
    assert {i.type for i in session.get_inputs()} == {"tensor(float)", "tensor(string)"}
    assert [(o.name, o.type) for o in session.get_outputs()] == [("score", "tensor(float)")]
    model = onnx.load_from_string(graphs[name])
    assert {o.domain or "ai.onnx": o.version for o in model.opset_import} == OPSET


@pytest.mark.parametrize("name", ALL)
def test_packaging_twice_gives_the_same_bytes(name, graphs, fitted):
    """No random name, no time stamp."""
    assert package(fitted[name], signature=fitted[name].signature) == graphs[name]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 33, 1200, 10_000])
def test_a_batch_scores_as_its_rows_do_bit_for_bit(name, rows, graphs, later):
    """Of a sum and of trees alike."""
    table = later.features.take(np.arange(rows) % len(later))
    scorer = GraphScorer(graphs[name])
    batch = scorer.score(table)
    shown = np.arange(0, rows, max(1, rows // 200))
    lists = list(zip(*(table[c.name].take(shown).to_pylist() for c in scorer.columns), strict=True))
    assert [scorer.score_row(row) for row in lists] == batch[shown].tolist()
    assert scorer.score(table.slice(0, rows // 2 + 1)).tolist() == batch[: rows // 2 + 1].tolist()


def test_another_process_packages_the_same_bytes(graphs, tmp_path):
    """No order of hashing, no address in memory gets into the graph."""
    script = (
        "import sys, hashlib, runpy; c = runpy.run_path(sys.argv[1]);"
        "from headway.build.candidates import fit; from headway.build.package import package;"
        "train = c['_make'](2400, seed=1);"
        "models = [fit(n, s, train, seed=7, threads=1) for n, s in sorted(c['_quick']().items())];"
        "print([hashlib.sha256(package(m, signature=m.signature)).hexdigest() for m in models])"
    )
    here = str(Path(__file__).with_name("conftest.py"))
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, here], capture_output=True, text=True, check=True, env=environment, cwd=tmp_path
    )
    assert done.stdout.strip() == str([hashlib.sha256(graphs[name]).hexdigest() for name in ALL])


@pytest.mark.parametrize("name", ALL)
def test_the_graph_scores_as_the_trained_model_does(name, graphs, fitted, later):
    """To single precision, on unseen categories and on every column missing in turn."""
    parity = prove_parity(graphs[name], fitted[name], later, act_on=Quota(k=5))
    assert parity.rows > len(later)
    assert parity.max_abs_difference < 1e-6
    assert parity.decisions_changed == 0
    assert prove_parity(graphs[name], fitted[name], later, act_on=Threshold(score=0.5)).decisions_changed == 0


@pytest.mark.parametrize("name", ["tree", "lightgbm"])
def test_rows_on_and_beside_every_threshold_take_the_trained_branch(name, graphs, fitted, later):
    """Each split's threshold, and the next float32 on both sides of it, as LightGBM and scikit-learn compare them."""
    form = fitted[name].learner.form()
    assert isinstance(form, Ensemble)
    numbers = {c.name: at for at, c in enumerate(form.encoding.signature.columns) if c.kind == "number"}
    near = {}
    for column, at in numbers.items():
        values = np.unique(form.threshold[form.column == at])
        up, down = np.nextafter(values, np.float32(np.inf)), np.nextafter(values, np.float32(-np.inf))
        near[column] = np.concatenate([values, up, down, np.zeros(1, np.float32)])
    rows = max(len(values) for values in near.values())
    table = later.features.slice(0, 1).take(np.zeros(rows, dtype=np.int64))
    for column, values in near.items():
        at = table.column_names.index(column)
        table = table.set_column(at, column, pa.array(np.resize(values, rows), pa.float32()))
    assert rows > (20 if name == "tree" else 50) or name == "tree"
    np.testing.assert_allclose(GraphScorer(graphs[name]).score(table), fitted[name].predict(table), atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_values_next_to_zero_take_the_trained_branch(name, make, quick):
    """LightGBM has thresholds at 1e-35 on both sides of 0, and reads what lies between as 0."""
    around = np.round(np.random.default_rng(4).normal(size=2000), 1).astype(np.float32)
    examples = make(2000, features=lambda table: pa.table({"x": around, "carrier": table["carrier"]}))
    examples = dataclasses.replace(examples, label=(around < 0).astype(np.float64))
    model = fit(name, quick[name], examples, seed=1, threads=1)
    edge = np.float32(1e-35)
    near = [
        np.float32(0),
        edge,
        np.nextafter(edge, np.float32(1)),
        np.nextafter(edge, np.float32(0)),
        np.float32(1e-45),
    ]
    values = np.array([*near, *(-x for x in near)], dtype=np.float32)
    table = pa.table({"x": values, "carrier": ["AA"] * len(values)})
    scored = GraphScorer(package(model, signature=model.signature)).score(table)
    np.testing.assert_allclose(scored, model.predict(table), atol=1e-6)


def test_a_hole_where_training_had_none_is_read_as_the_median(make, quick):
    """Not as what most examples of the branch do, which is where scikit-learn sends it."""
    rng = np.random.default_rng(6)
    z = rng.random(3000) < 0.3
    x = np.where(z, rng.uniform(80, 100, 3000), rng.uniform(0, 100, 3000)).astype(np.float32)
    rate = np.where(z, np.where(x <= 85, 0.5, 0.95), 0.05)
    examples = make(3000, features=lambda _: pa.table({"z": z.astype(np.float32), "x": x}))
    examples = dataclasses.replace(examples, label=(rng.random(3000) < rate).astype(np.float64))
    hole = pa.table({"z": pa.array([1.0], pa.float32()), "x": pa.array([None], pa.float32())})
    for name in ALL:
        model = fit(name, quick[name], examples, seed=1, threads=1)
        score = GraphScorer(package(model, signature=model.signature)).score(hole)[0]
        assert abs(score - model.predict(hole)[0]) < 1e-6
    assert fit("tree", quick["tree"], examples, seed=1).predict(hole)[0] == pytest.approx(0.5, abs=0.1)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(width=32, allow_nan=False))
def test_rounding_a_threshold_down_changes_no_comparison(threshold, value):
    """For a float32 x, x <= t says the same for t and for the rounded t."""
    rounded = float32_at_most(np.array([threshold]))[0]
    assert (np.float32(value) <= rounded) == (float(np.float32(value)) <= threshold)


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_row_is_scored_as_the_trained_model_does(name, data, graphs, fitted):
    """Whatever a caller sends: huge, tiny, infinite, missing, unheard of."""
    model = fitted[name]
    strategies = {
        "number": st.none() | st.floats(width=32, allow_nan=False) | st.sampled_from([0.0, -0.0, 1e-38, 3e38, 2013.0]),
        "category": st.none()
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
        | st.sampled_from(["B6", "AA", "JFK"]),
    }
    row = [data.draw(strategies[c.kind]) for c in model.signature.columns]
    types = {"number": pa.float32(), "category": pa.string()}
    table = pa.table({c.name: pa.array([v], types[c.kind]) for c, v in zip(model.signature.columns, row, strict=True)})
    scorer = GraphScorer(graphs[name])
    assert abs(scorer.score_row(row) - model.predict(table)[0]) < 1e-5
    assert scorer.score_row(row) == scorer.score(table)[0]


def test_holes_that_lightgbm_did_not_sample_are_packaged_as_it_predicts(make, quick, monkeypatch):
    """Making its bins from a sample of many rows it may meet no NaN, and then takes NaN for 0; the graph agrees."""
    from headway.build import boosted

    real = boosted.lgb.Dataset
    few = {"bin_construct_sample_cnt": 60}
    monkeypatch.setattr(boosted.lgb, "Dataset", lambda *a, params, **kw: real(*a, params={**params, **few}, **kw))
    examples = make(3000, seed=5)
    balance = examples.features["hour"].to_numpy() - np.float32(14.5)
    balance[17] = np.nan
    features = pa.table({"balance": balance, "carrier": examples.features["carrier"]})
    examples = dataclasses.replace(examples, features=features)
    model = fit("lightgbm", quick["lightgbm"], examples, seed=1, threads=1)
    assert np.isnan(model.learner.encoding.fills["balance"])
    kinds = {line for line in model.learner.model.model_to_string().splitlines() if line.startswith("decision_type")}
    assert not any(int(kind) & 8 for line in kinds for kind in line.split("=")[1].split()), "8: NaN has its own way"
    graph = package(model, signature=model.signature)
    assert prove_parity(graph, model, examples).max_abs_difference < 1e-6


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("left", [["hour"], ["carrier"], ["empty"], ["never"], ["carrier", "wind"]])
def test_few_columns_are_packaged_too(name, left, make, quick):
    """Numbers alone, categories alone, nothing but holes."""
    examples = make(300, features=lambda table: table.select(left))
    model = fit(name, quick[name], examples, seed=1)
    assert prove_parity(package(model, signature=model.signature), model, examples).max_abs_difference < 1e-6


def test_another_signature_is_refused(fitted):
    """Other columns, another order, another kind."""
    model = fitted["tree"]
    columns = model.signature.columns
    with pytest.raises(DataError, match="Did you mean 'hour'"):
        package(model, signature=Signature(columns=(FeatureColumn(name="houre", kind="number"), *columns[1:])))
    with pytest.raises(DataError, match="another order"):
        package(model, signature=Signature(columns=columns[::-1]))


def _bent(graph, by):
    """Return the same graph with one weight moved."""
    model = onnx.load_from_string(graph)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "target_weights":
                attribute.floats[0] += by
    return model.SerializeToString()


def test_a_graph_that_differs_is_refused_and_rows_are_named(graphs, fitted, later):
    """One leaf moved by a hundredth is found."""
    with pytest.raises(ParityError, match=r"more than 1e-05 on [\d,]+ of [\d,]+ rows: row \d+: 0\.\d+ for 0\.\d+"):
        prove_parity(_bent(graphs["tree"], 0.01), fitted["tree"], later)


def test_a_graph_that_gives_no_number_is_refused(graphs, fitted, later):
    """NaN is no small difference."""
    with pytest.raises(ParityError, match="nan for"):
        prove_parity(_bent(graphs["tree"], float("nan")), fitted["tree"], later)


def test_changed_decisions_are_counted(graphs, fitted, later):
    """Under a tolerance wide enough to let it pass, examples that change sides are reported."""
    bent = _bent(graphs["tree"], 0.3)
    leaf = fitted["tree"].learner.form().leaf
    first = float(leaf[fitted["tree"].learner.form().column < 0][0])
    cut = Threshold(score=first + 0.15)
    moved = np.isclose(fitted["tree"].predict(later.features), first, atol=1e-7).sum()
    assert prove_parity(bent, fitted["tree"], later, tolerance=0.4, act_on=cut).decisions_changed == moved > 0
    assert prove_parity(bent, fitted["tree"], later, tolerance=0.4, act_on=Quota(k=3)).decisions_changed > 0


def test_library_versions_name_what_took_part():
    """Each has a version."""
    versions = library_versions()
    assert {"lightgbm", "onnxruntime", "scikit-learn"} <= versions.keys()
    assert all(versions.values())
