"""``tree``: one decision tree small enough to be read aloud.

The file hides scikit-learn's tree arrays. The score is the share of positives in the leaf, as trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from headway.build.encode import Encoding, checked_examples, fit_encoding
from headway.build.forms import Ensemble, float32_at_most
from headway.build.reasons import PathReasons

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.nouns.examples import Examples
    from headway.nouns.model import Signature
    from headway.nouns.trial import Setting

__all__ = ["TreeLearner", "fit_tree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLearner:
    """One decision tree over encoded columns."""

    encoding: Encoding
    model: Any
    note: str = ""

    @property
    def signature(self) -> Signature:
        """The columns it takes."""
        return self.encoding.signature

    @property
    def complexity(self) -> int:
        """How many leaves it has."""
        return int(self.model.get_n_leaves())

    def predict(self, features: pa.Table) -> NDArray[np.float64]:
        """Return the share of positives in each row's leaf."""
        # Unchecked: the matrix is float32 already, and an infinite value, which the check refuses, has a branch too.
        positive: NDArray[np.float64] = self.model.predict_proba(self.encoding.matrix(features), check_input=False)[
            :, 1
        ]
        return positive

    def reasons(self) -> PathReasons:
        """Return the tree's nodes and the share of positives in each."""
        nodes, form = self.model.tree_, self.form()
        return PathReasons(
            encoding=self.encoding,
            column=tuple(form.column.tolist()),
            threshold=tuple(form.threshold.tolist()),
            yes=tuple(form.yes.tolist()),
            no=tuple(form.no.tolist()),
            missing_yes=tuple(form.missing_yes.tolist()),
            share=tuple(nodes.value[:, 0, 1].tolist()),
        )

    def form(self) -> Ensemble:
        """Return the tree's nodes."""
        nodes = self.model.tree_
        leaf = nodes.children_left < 0
        threshold = np.where(leaf, 0.0, nodes.threshold)
        number = np.arange(nodes.node_count)
        column = np.where(leaf, -1, nodes.feature)
        # Where training saw no hole the encoder fills it, so the tree meets the fill and not NaN.
        fills = np.array([self.encoding.fills.get(c.name, np.nan) for c in self.signature.columns])[column]
        missing_yes = np.where(np.isnan(fills), nodes.missing_go_to_left.astype(bool), fills <= threshold)
        return Ensemble(
            encoding=self.encoding,
            tree=np.zeros(nodes.node_count, dtype=np.int64),
            node=number,
            column=column,
            threshold=float32_at_most(threshold),
            yes=np.where(leaf, 0, nodes.children_left),
            no=np.where(leaf, 0, nodes.children_right),
            missing_yes=missing_yes & ~leaf,
            leaf=np.where(leaf, nodes.value[:, 0, 1], 0.0).astype(np.float32),
            link="identity",
        )


def fit_tree(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> TreeLearner:
    """Fit one decision tree.

    Parameters
    ----------
    settings
        ``max_depth``, ``min_samples_leaf``, ``criterion``: as in scikit-learn.
    threads
        Not used: one tree is grown by one.

    Raises
    ------
    DataError
        When nothing can be learned from the examples.
    """
    del threads
    checked_examples(examples)
    encoding = fit_encoding(examples)
    model = DecisionTreeClassifier(
        max_depth=int(settings["max_depth"]),
        min_samples_leaf=int(settings["min_samples_leaf"]),
        criterion=str(settings["criterion"]),
        random_state=seed,
    )
    model.fit(encoding.matrix(examples.features), examples.label.astype(np.int64))
    return TreeLearner(encoding=encoding, model=model)
