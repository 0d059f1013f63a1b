"""Packaging: one ONNX graph from named, typed columns to one score.

The graph takes each column as an input of its own, ``float`` or ``string`` of shape ``[n, 1]``, NaN or ``""`` where it
is missing, and gives ``score``: ``float`` of shape ``[n, 1]``, the
probability of the positive class, the number that is expected, or the score that a group is ordered by; or of shape
``[n, classes]``, a probability for each class, whose names stand in the metadata under ``classes``.

The file hides the operators. They are chosen so that a row gets the same bits alone and in a batch: look-ups,
element-wise arithmetic and trees, each of which treats rows apart; no matrix product and no reduction, whose
order of sums depends on shape and alignment. Only operators of long standing are used (ai.onnx 13,
ai.onnx.ml 3), so that every runtime down to the browser has them. The graphs are written node by node and not by
converters: ``docs/decisions/one-graph.md`` says why.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from headway.build.encode import Codes
from headway.build.forms import LIMIT, Additive, Classwise, Ensemble
from headway.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from headway.build.forms import Link
    from headway.build.learner import Fitted
    from headway.nouns.model import Signature

__all__ = ["OPSET", "library_versions", "package"]

OPSET = {"ai.onnx": 13, "ai.onnx.ml": 3}
_IR_VERSION = 8
_ML = "ai.onnx.ml"
_LIBRARIES = ("lightgbm", "numpy", "onnx", "onnxruntime", "optuna", "pyarrow", "scikit-learn", "scipy")


def package(fitted: Fitted, *, signature: Signature) -> bytes:
    """Return the graph of a fitted model; the same model gives the same bytes.

    Parameters
    ----------
    signature
        The inputs that the caller will send; must be those that the model was fitted on.

    Raises
    ------
    DataError
        When the signature is another one.
    """
    _same(signature, fitted.signature)
    form = fitted.learner.form()
    writer = _Writer(signature)
    if isinstance(form, Additive):
        _write_sum(writer, form)
    elif isinstance(form, Classwise):
        _write_sums(writer, form)
    else:
        _write_trees(writer, form)
    return writer.bytes()


def library_versions() -> dict[str, str]:
    """Return the version of each library that takes part in fitting and packaging."""
    return {name: version(name) for name in _LIBRARIES}


def _same(given: Signature, fitted: Signature) -> None:
    if given == fitted:
        return
    for name in sorted(set(given.names) - set(fitted.names)):
        raise DataError(f"The model was not fitted on a column {name!r}.", hint=did_you_mean(name, fitted.names))
    for name in sorted(set(fitted.names) - set(given.names)):
        raise DataError(f"The model was fitted on a column {name!r}, which the signature lacks.")
    raise DataError("The signature has the columns of the fitted model in another order, or of another kind.")


class _Writer:
    """Collects nodes and constants; inner names start with '/', which no feature's name does."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node with one output, and return the output's name."""
        domain = _ML if operator in ("LabelEncoder", "TreeEnsembleRegressor") else ""
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=output, domain=domain, **attributes))
        return output

    def split(self, source: str, pieces: int) -> list[str]:
        """Cut ``[n, pieces]`` into columns."""
        outputs = [f"{source}/{at}" for at in range(pieces)]
        self._nodes.append(helper.make_node("Split", [source], outputs, name=f"{source}/split", axis=1))
        return outputs

    def constant(self, name: str, values: object) -> str:
        """Add a constant of ``float32``, and return its name."""
        self._constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name

    def whole(self, name: str, values: object) -> str:
        """Add a constant of ``int64``, and return its name."""
        self._constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.int64), name))
        return name

    def looked_up(self, column: str, codes: Codes, to: str) -> str:
        """Add the dictionary from texts to numbers, in the order of the texts."""
        words = sorted(codes.known)
        if not words:  # the operator takes no empty dictionary; what stands here is what any other text gets
            words, values = [""], [codes.unknown]
        else:
            values = [codes.known[word] for word in words]
        return self.add(
            "LabelEncoder", [column], to, keys_strings=words, values_floats=values, default_float=codes.unknown
        )

    def bytes(self) -> bytes:
        """Return the checked model."""
        kinds = {"number": TensorProto.FLOAT, "category": TensorProto.STRING}
        inputs = [helper.make_tensor_value_info(c.name, kinds[c.kind], ["n", 1]) for c in self._signature.columns]
        classes = self._signature.classes
        output = helper.make_tensor_value_info(self._signature.output, TensorProto.FLOAT, ["n", len(classes) or 1])
        graph = helper.make_graph(self._nodes, "headway", inputs, [output], self._constants)
        domains = [helper.make_opsetid("" if name == "ai.onnx" else name, number) for name, number in OPSET.items()]
        model = helper.make_model(graph, opset_imports=domains, ir_version=_IR_VERSION, producer_name="headway")
        if classes:
            helper.set_model_props(model, {"classes": msgspec.json.encode(classes).decode()})
        onnx.checker.check_model(model)
        written: bytes = model.SerializeToString(deterministic=True)
        return written


def _write_sum(writer: _Writer, form: Additive) -> None:
    """``intercept + sum of terms``, through the link; numbers side by side until each has its term."""
    terms = [writer.looked_up(name, codes, f"/term/{name}") for name, codes in form.categories.items()]
    if form.numbers:
        numbers = list(form.numbers.values())
        raw, held = _write_standardised(writer, form)
        weighed = writer.add("Mul", [held, writer.constant("/weight", [[t.weight for t in numbers]])], "/weighed")
        missing = writer.constant("/missing", [[t.missing for t in numbers]])
        points = writer.add("Where", [writer.add("IsNaN", [raw], "/hole"), missing, weighed], "/points")
        terms += writer.split(points, len(numbers))
    terms.append(writer.constant("/intercept", [[form.intercept]]))
    _write_linked(writer, form.signature.output, form.link, lambda last: writer.add("Sum", terms, last))


def _write_standardised(writer: _Writer, form: Additive) -> tuple[str, str]:
    """Write the numbers side by side, raw and standardised."""
    numbers = list(form.numbers.values())
    raw = writer.add("Concat", list(form.numbers), "/numbers", axis=1)
    centred = writer.add("Sub", [raw, writer.constant("/centre", [[t.centre for t in numbers]])], "/centred")
    spread = writer.add("Mul", [centred, writer.constant("/rate", [[t.rate for t in numbers]])], "/spread")
    limits = [writer.constant("/low", -LIMIT), writer.constant("/high", LIMIT)]
    return raw, writer.add("Clip", [spread, *limits], "/held")


def _write_sums(writer: _Writer, form: Classwise) -> None:
    """Write a sum for each class side by side, ``[n, classes]``: a term is a row of weights, looked up or scaled."""
    first = form.parts[0]
    terms = []
    if first.numbers:
        raw, held = _write_standardised(writer, first)
        columns, holes = writer.split(held, len(first.numbers)), writer.split(raw, len(first.numbers))
        for at, name in enumerate(first.numbers):
            of = [part.numbers[name] for part in form.parts]
            weights = writer.constant(f"/weight/{at}", [[term.weight for term in of]])
            weighed = writer.add("Mul", [columns[at], weights], f"/weighed/{at}")
            missing = writer.constant(f"/missing/{at}", [[term.missing for term in of]])
            hole = writer.add("IsNaN", [holes[at]], f"/hole/{at}")
            terms.append(writer.add("Where", [hole, missing, weighed], f"/points/{at}"))
    for at, (name, codes) in enumerate(first.categories.items()):
        words = sorted(codes.known)
        places = Codes(known={word: float(place) for place, word in enumerate(words)}, unknown=float(len(words)))
        place = writer.add(
            "Cast", [writer.looked_up(name, places, f"/place/{name}")], f"/at/{at}", to=int(TensorProto.INT64)
        )
        of_class = [part.categories[name] for part in form.parts]
        rows = [[each.known[word] for each in of_class] for word in words] + [[each.unknown for each in of_class]]
        found = writer.add("Gather", [writer.constant(f"/row/{at}", rows), place], f"/looked/{at}", axis=0)
        terms.append(writer.add("Squeeze", [found, writer.whole(f"/middle/{at}", [1])], f"/term/{at}"))
    terms.append(writer.constant("/intercept", [[part.intercept for part in form.parts]]))
    _write_linked(writer, form.signature.output, "softmax", lambda last: writer.add("Sum", terms, last))


def _write_trees(writer: _Writer, form: Ensemble) -> None:
    signature = form.encoding.signature
    codes: Mapping[str, Codes] = form.encoding.codes
    columns = [
        writer.looked_up(c.name, codes[c.name], f"/code/{c.name}") if c.name in codes else c.name
        for c in signature.columns
    ]
    matrix = writer.add("Concat", columns, "/columns", axis=1)

    def summed(last: str) -> str:
        return _write_ensemble(writer, form, matrix, last)

    _write_linked(writer, signature.output, form.link, summed)


_LINKS: dict[Link, str] = {"logistic": "Sigmoid", "log": "Exp", "identity": "", "softmax": "Softmax"}


def _write_linked(writer: _Writer, output: str, link: Link, summed: Callable[[str], str]) -> None:
    """Write a sum, and what makes the answer of it."""
    operator = _LINKS[link]
    if operator:
        writer.add(operator, [summed("/odds")], output, **({"axis": 1} if operator == "Softmax" else {}))
    else:
        summed(output)


def _write_ensemble(writer: _Writer, form: Ensemble, matrix: str, last: str) -> str:
    is_leaf = form.column < 0
    at, target, weight = _leaves(form, is_leaf)
    return writer.add(
        "TreeEnsembleRegressor",
        [matrix],
        last,
        n_targets=form.leaf.shape[1] if form.leaf.ndim == 2 else 1,
        aggregate_function="SUM",
        post_transform="NONE",
        nodes_treeids=form.tree.tolist(),
        nodes_nodeids=form.node.tolist(),
        nodes_modes=np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_featureids=np.maximum(form.column, 0).tolist(),
        nodes_values=form.threshold.tolist(),
        nodes_truenodeids=form.yes.tolist(),
        nodes_falsenodeids=form.no.tolist(),
        nodes_missing_value_tracks_true=form.missing_yes.astype(np.int64).tolist(),
        target_treeids=form.tree[at].tolist(),
        target_nodeids=form.node[at].tolist(),
        target_ids=target.tolist(),
        target_weights=weight.tolist(),
    )


def _leaves(
    form: Ensemble, is_leaf: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return what each leaf adds to what: node, target and weight; a leaf that adds nothing to a class says nothing."""
    at = np.flatnonzero(is_leaf)
    if form.leaf.ndim == 1:
        return at, np.zeros(len(at), dtype=np.int64), form.leaf[at]
    counts = form.leaf[at] != 0
    counts[:, 0] |= ~counts.any(axis=1)  # the operator wants something of every leaf
    row, target = np.nonzero(counts)
    return at[row], target, form.leaf[at[row], target]
