"""Running a packaged graph."""

import subprocess
import sys

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper

from headway.errors import DataError, StoreCorrupt
from headway.graph.scorer import GraphScorer


def _graph(output="score", kind=TensorProto.FLOAT):
    """Return a graph of 60 random trees over two numbers and a dictionary of texts, then a sigmoid."""
    rng = np.random.default_rng(3)
    trees, nodes, modes, columns, values, yes, no, weights, leaves = [], [], [], [], [], [], [], [], []
    for tree in range(60):
        for node in range(15):
            leaf = node >= 7
            trees.append(tree)
            nodes.append(node)
            modes.append("LEAF" if leaf else "BRANCH_LEQ")
            columns.append(int(rng.integers(3)))
            values.append(float(rng.normal()))
            yes.append(0 if leaf else 2 * node + 1)
            no.append(0 if leaf else 2 * node + 2)
            if leaf:
                leaves.append((tree, node))
                weights.append(float(rng.normal() / 10))
    made = [
        helper.make_node(
            "LabelEncoder", ["c"], ["/c"], domain="ai.onnx.ml",
            keys_strings=["", "a", "é"], values_floats=[-1.0, 0.3, 0.9], default_float=-0.2,
        ),
        helper.make_node("Concat", ["x", "y", "/c"], ["/m"], axis=1),
        helper.make_node(
            "TreeEnsembleRegressor", ["/m"], ["/o"], domain="ai.onnx.ml", n_targets=1, nodes_treeids=trees,
            nodes_nodeids=nodes, nodes_modes=modes, nodes_featureids=columns, nodes_values=values,
            nodes_truenodeids=yes, nodes_falsenodeids=no, nodes_missing_value_tracks_true=[1] * len(trees),
            target_treeids=[t for t, _ in leaves], target_nodeids=[n for _, n in leaves],
            target_ids=[0] * len(leaves), target_weights=weights,
        ),
        helper.make_node("Sigmoid", ["/o"], [output]),
    ]  # fmt: skip
    inputs = [
        helper.make_tensor_value_info("x", kind, ["n", 1]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1]),
        helper.make_tensor_value_info("c", TensorProto.STRING, ["n", 1]),
    ]
    if kind != TensorProto.FLOAT:
        made = [helper.make_node("Cast", ["x"], [output], to=TensorProto.FLOAT)]
    graph = helper.make_graph(made, "g", inputs, [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 1])])
    domains = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=domains, ir_version=8).SerializeToString()


def _table(rows, seed=0):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "x": pa.array(rng.normal(size=rows).astype(np.float32), mask=rng.random(rows) < 0.1),
            "c": pa.array(rng.choice(["a", "é", "zz", ""], rows), mask=rng.random(rows) < 0.1),
            "other": pa.nulls(rows),
            "y": pa.array(rng.normal(size=rows).astype(np.float32)),
        }
    )


@pytest.fixture(scope="module")
def scorer():
    """Give the scorer of the graph above."""
    return GraphScorer(_graph())


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 33, 1000, 10_000])
def test_a_batch_scores_as_its_rows_do_bit_for_bit(rows, scorer):
    """Alone, in a small batch, in a large one: the same bits."""
    table = _table(rows, seed=rows)
    batch = scorer.score(table)
    lists = list(zip(*(table[c.name].to_pylist() for c in scorer.columns), strict=True))
    shown = range(0, rows, max(1, rows // 500))
    assert [scorer.score_row(lists[i]) for i in shown] == [batch[i] for i in shown]
    assert scorer.score_rows(lists).tolist() == batch.tolist()
    assert batch.dtype == np.float64
    assert len(set(batch)) > rows / 3


def test_large_tables_are_scored_in_parts_without_a_seam(scorer, monkeypatch):
    """The size of the parts changes nothing."""
    table = _table(1000)
    whole = scorer.score(table)
    monkeypatch.setattr("headway.graph.shares._MOST", 37)
    assert (scorer.score(table) == whole).all()
    assert scorer.score(table.slice(0, 0)).shape == (0,)
    assert scorer.score_rows([]).shape == (0,)


def test_columns_are_named_and_typed(scorer):
    """In the order of the graph's inputs."""
    assert [(c.name, c.kind) for c in scorer.columns] == [("x", "number"), ("y", "number"), ("c", "category")]


def test_other_arrow_types_of_the_same_meaning_score_alike(scorer):
    """Doubles, whole numbers, dictionaries, large strings, chunks and columns of nulls."""
    plain = pa.table({"x": pa.array([1, 2, None], pa.float32()), "y": pa.nulls(3, pa.float32()), "c": ["a", None, "q"]})
    want = scorer.score(plain)
    large = pa.array(["a", None, "q"], pa.large_string())
    for x in (pa.array([1, 2, None], pa.int64()), pa.array([1, 2, None], pa.float64())):
        for c in (large, plain["c"].dictionary_encode(), pa.chunked_array([["a", None], ["q"]])):
            table = pa.table({"c": c, "y": pa.nulls(3), "x": x})
            assert (scorer.score(table) == want).all()


def test_a_lacking_or_mistyped_column_is_named(scorer):
    """With what it is and what it should be."""
    with pytest.raises(DataError, match="Did you mean 'yy'"):
        scorer.score(_table(2).rename_columns(["x", "c", "other", "yy"]))
    with pytest.raises(DataError, match="Column 'c' is int64; the model takes a text"):
        scorer.score(pa.table({"x": [1.0], "y": [1.0], "c": [1]}))
    with pytest.raises(DataError, match="Column 'x' is string; the model takes a number"):
        scorer.score(pa.table({"x": ["1"], "y": [1.0], "c": ["a"]}))


@pytest.mark.parametrize(
    "graph", [b"", b"no graph", _graph()[:-100], _graph(output="y_hat"), _graph(kind=TensorProto.INT64)]
)
def test_bytes_that_are_no_packaged_model_are_refused(graph):
    """Empty, alien, cut short, another output, another kind of input."""
    with pytest.raises(StoreCorrupt):
        GraphScorer(graph)


def test_scoring_needs_no_training_library():
    """The serving path loads neither scikit-learn nor LightGBM, Optuna or onnx."""
    script = (
        "import sys, headway.graph.scorer;"
        "print([m for m in ('sklearn', 'lightgbm', 'optuna', 'onnx', 'scipy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_graph_of_this_file_is_valid():
    """The referee's own check."""
    onnx.checker.check_model(onnx.load_from_string(_graph()))
