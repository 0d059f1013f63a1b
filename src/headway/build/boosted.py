"""``lightgbm``: gradient-boosted trees.

The file hides LightGBM's parameters for sameness and its dump of trees. Categories are ordered codes (see
``build/encode.py``), not LightGBM's own category splits: those are sets, which no ONNX tree operator that all
runtimes have can hold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
import pyarrow as pa

from headway.build.encode import Encoding, checked_examples, fit_encoding
from headway.build.forms import Ensemble, Link, float32_at_most
from headway.build.reasons import ShapReasons
from headway.graph.shares import in_shares

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from headway.nouns.examples import Examples
    from headway.nouns.model import Signature
    from headway.nouns.task import Task
    from headway.nouns.trial import Setting

__all__ = ["BoostedLearner", "fit_lightgbm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoostedLearner:
    """A LightGBM booster over encoded columns."""

    encoding: Encoding
    model: lgb.Booster
    ensemble: Ensemble
    note: str = ""

    @property
    def signature(self) -> Signature:
        """The columns it takes."""
        return self.encoding.signature

    @property
    def complexity(self) -> int:
        """How many leaves all trees have together."""
        return int(np.sum(self.ensemble.column < 0))

    def predict(self, features: pa.Table) -> NDArray[np.float64]:
        """Return the probability of the positive class of each row, or of each class, the number, or the score."""
        if not features.num_rows:
            return np.empty((0, len(self.signature.classes)) if self.signature.classes else 0)
        return in_shares(
            lambda part: np.asarray(self.model.predict(self.encoding.matrix(part), num_threads=1)), features
        )

    def reasons(self) -> ShapReasons:
        """Return the trees as text."""
        # What follows the trees is how they were made, down to the number of threads; reading does without it.
        trees, end, _ = self.model.model_to_string().partition("end of trees\n")
        return ShapReasons(encoding=self.encoding, trees=trees + end, link=self.ensemble.link)

    def form(self) -> Ensemble:
        """Return all trees' nodes."""
        return self.ensemble


_LATER = 0.2  # of the training examples, by time: what early stopping asks
_ZERO = float(np.float32(1e-35))

# One row per node, in the order of the fields of ``Ensemble``.
_NODE = np.dtype([
    ("tree", np.int64), ("node", np.int64), ("column", np.int64), ("threshold", np.float64), ("yes", np.int64),
    ("no", np.int64), ("met_nan", np.bool_), ("default_left", np.bool_), ("leaf", np.float64),
])  # fmt: skip


def _ensemble(model: lgb.Booster, encoding: Encoding, *, link: Link) -> Ensemble:
    rows: list[tuple[Any, ...]] = []
    for at, tree in enumerate(model.dump_model()["tree_info"]):
        rows += _nodes(tree["tree_structure"], at)
    nodes = np.array(rows, dtype=_NODE)
    leaf = nodes["leaf"].astype(np.float32)
    if classes := len(encoding.signature.classes):  # one tree a class in each round, in turn
        leaf = np.where((nodes["tree"] % classes)[:, None] == np.arange(classes), leaf[:, None], np.float32(0))
    column, threshold = nodes["column"], nodes["threshold"]
    # LightGBM reads all within 1e-35 of 0 as 0 (kZeroThreshold), so what lies on the lower edge is not below it.
    threshold = np.where(threshold == -_ZERO, np.nextafter(threshold, -np.inf), threshold)
    fills = np.array([encoding.fills.get(c.name, np.nan) for c in encoding.signature.columns])[column]
    # A hole is what the encoder fills in; or NaN, which LightGBM sends the default way if it met NaN when it
    # made its bins, and else takes for 0 (Tree::NumericalDecision).
    as_nan = np.where(nodes["met_nan"], nodes["default_left"], threshold >= 0)
    return Ensemble(
        encoding=encoding,
        tree=nodes["tree"],
        node=nodes["node"],
        column=column,
        threshold=float32_at_most(threshold),
        yes=nodes["yes"],
        no=nodes["no"],
        missing_yes=np.where(np.isnan(fills), as_nan, fills <= threshold) & (column >= 0),
        leaf=leaf,
        link=link,
    )


def _nodes(root: dict[str, Any], tree: int) -> list[tuple[Any, ...]]:
    """Return the nodes of one dumped tree, the root first, numbered as they come."""
    out: list[tuple[Any, ...]] = []
    waiting = [root]
    for number, node in enumerate(waiting):  # grows while it is walked: breadth first
        if "split_feature" not in node:
            out.append((tree, number, -1, 0.0, 0, 0, False, False, node["leaf_value"]))
            continue
        assert node["decision_type"] == "<=", "category splits are never asked for"
        yes = len(waiting)
        waiting += [node["left_child"], node["right_child"]]
        met_nan = node["missing_type"] == "NaN"
        out.append(
            (tree, number, node["split_feature"], node["threshold"], yes, yes + 1, met_nan, node["default_left"], 0.0)
        )
    return out


def fit_lightgbm(
    examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int, task: Task = "condition"
) -> BoostedLearner:
    """Fit gradient-boosted trees: to the log loss, to what a number is measured by, or to the order within groups.

    Of classes, each round grows a tree for every one.

    Parameters
    ----------
    settings
        ``trees``, ``learning_rate``, ``num_leaves``, ``min_child_samples``, ``feature_fraction``, ``lambda_l2``;
        ``patience``: where it is above 0, the trees are at most ``trees``, and so many as tell the later fifth of the
        training examples best when they learn from the earlier ones alone (as many rounds more add nothing); of a
        number also ``objective``: ``l2`` (the mean), ``poisson`` (the mean of a count), or ``qNN``, the quantile of
        ``NN`` percent.
    threads
        How many threads; the model does not depend on it.

    Raises
    ------
    DataError
        When nothing can be learned from the examples.
    """
    checked_examples(examples, task=task)
    objective, link = _objective(task, settings, classes=len(examples.classes))
    parameters = {
        **objective,
        "learning_rate": float(settings["learning_rate"]),
        "num_leaves": int(settings["num_leaves"]),
        "min_child_samples": int(settings["min_child_samples"]),
        "feature_fraction": float(settings["feature_fraction"]),
        "lambda_l2": float(settings["lambda_l2"]),
        "seed": seed,
        "num_threads": threads,
        "deterministic": True,
        "force_row_wise": True,  # else the layout, and with it the order of sums, is chosen by a stopwatch
        "verbosity": -1,
    }
    rounds, patience = int(settings["trees"]), int(settings.get("patience", 0))
    note = ""
    if patience:
        told = _told_best_after(examples, parameters, rounds=rounds, patience=patience)
        note = f"stopped after {told} of {rounds} rounds" if told < rounds else ""
        rounds = told
    encoding = fit_encoding(examples)
    model = lgb.train(parameters, _data(encoding, examples, parameters), num_boost_round=rounds)
    ensemble = _ensemble(model, encoding, link=link)
    return BoostedLearner(encoding=encoding, model=model, ensemble=ensemble, note=note)


def _data(encoding: Encoding, examples: Examples, parameters: dict[str, Any]) -> lgb.Dataset:
    matrix = encoding.matrix(examples.features)
    if examples.group is None:
        return lgb.Dataset(matrix, label=examples.label, params=parameters)
    order = np.argsort(examples.group, kind="stable")  # groups stand side by side
    sizes = np.unique(examples.group, return_counts=True)[1]
    return lgb.Dataset(matrix[order], label=examples.label[order], group=sizes, params=parameters)


def _told_best_after(examples: Examples, parameters: dict[str, Any], *, rounds: int, patience: int) -> int:
    """Return after how many rounds the later examples are told best by what the earlier ones teach.

    All rounds where there is no later part to ask, or only one kind of label in either.
    """
    moment = examples.predict_at
    if examples.group is not None:  # a group stands as a whole where it begins
        _, first, of = np.unique(examples.group, return_index=True, return_inverse=True)
        moment = moment[first][of]
    late = moment >= np.quantile(moment, 1 - _LATER, method="higher")
    earlier, later = (_taken(examples, rows) for rows in (~late, late))
    if min(len(np.unique(part.label)) for part in (earlier, later)) < max(2, len(examples.classes)):
        return rounds
    encoding = fit_encoding(earlier)
    found = lgb.train(
        parameters,
        _data(encoding, earlier, parameters),
        num_boost_round=rounds,
        valid_sets=[_data(encoding, later, parameters)],
        callbacks=[lgb.early_stopping(patience, first_metric_only=True, verbose=False)],
    )
    return int(found.best_iteration) or rounds


def _taken(examples: Examples, rows: NDArray[np.bool_]) -> Examples:
    return replace(
        examples,
        features=examples.features.filter(pa.array(rows)),
        label=examples.label[rows],
        group=None if examples.group is None else examples.group[rows],
    )


def _objective(task: Task, settings: Mapping[str, Setting], *, classes: int) -> tuple[dict[str, Any], Link]:
    """Return LightGBM's parameters for what is aimed at, and what makes the answer of the trees' sum."""
    if task == "condition":
        return {"objective": "binary"}, "logistic"
    if task == "category":
        return {"objective": "multiclass", "num_class": classes}, "softmax"
    if task == "ranking":  # LambdaMART (Burges 2010)
        return {"objective": "lambdarank"}, "identity"
    aim = str(settings["objective"])
    if aim == "poisson":
        return {"objective": "poisson"}, "log"
    if aim == "q50":
        return {"objective": "regression_l1"}, "identity"
    if aim.startswith("q"):
        return {"objective": "quantile", "alpha": int(aim[1:]) / 100}, "identity"
    return {"objective": "regression"}, "identity"
