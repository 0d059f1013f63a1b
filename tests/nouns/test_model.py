"""The model as a noun."""

import msgspec
import pytest

from headway.nouns.examples import FeatureColumn
from headway.nouns.model import Model, Parity, Share, Signature


def _model(**changes):
    given = {
        "graph": "ab" * 32,
        "signature": Signature(
            columns=(FeatureColumn(name="hour", kind="number"), FeatureColumn(name="dest", kind="category"))
        ),
        "algorithm": "tree",
        "settings": {"max_depth": 3, "criterion": "gini"},
        "seed": 7,
        "rows": 10,
        "trained_from": 0,
        "trained_to": 9,
        "parity": Parity(rows=10, max_abs_difference=1e-8, tolerance=1e-5),
        "opset": {"ai.onnx": 13, "ai.onnx.ml": 3},
        "libraries": {"numpy": "2.0"},
        "importance": (Share(feature="hour", share=1.0),),
        "interpretability": "small",
        "complexity": 5,
    }
    return Model(**{**given, **changes})


def test_the_digest_does_not_depend_on_the_order_of_keys():
    """Canonical JSON: the same facts, the same name."""
    turned = _model(settings={"criterion": "gini", "max_depth": 3}, opset={"ai.onnx.ml": 3, "ai.onnx": 13})
    assert turned.digest == _model().digest
    assert len(_model().digest) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"graph": "cd" * 32},
        {"seed": 8},
        {"rows": 11},
        {"settings": {"max_depth": 3, "criterion": "entropy"}},
        {"libraries": {}},
    ],
)
def test_every_fact_changes_the_digest(change):
    """Another graph, seed, number of rows, setting or library is another model."""
    assert _model(**change).digest != _model().digest


def test_a_model_survives_json():
    """It is kept as JSON beside its graph, and keeps its name."""
    back = msgspec.json.decode(msgspec.json.encode(_model()), type=Model)
    assert back == _model()
    assert back.digest == _model().digest
    assert back.signature.names == ("hour", "dest")
