"""``tree``: one decision tree small enough to be read aloud.

The file hides scikit-learn's tree arrays. The score is the share of positives in the leaf, as trained. Of several
classes it is each one's share, one example at the mix of all being added to each leaf (an m-estimate, Cestnik 1990):
a class that a small leaf has never seen is unlikely there, and not impossible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

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

__all__ = ["TreeLearner", "fit_regression_tree", "fit_tree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLearner:
    """One decision tree over encoded columns."""

    encoding: Encoding
    model: Any
    note: str = ""
    numbers: bool = False

    @property
    def signature(self) -> Signature:
        """The columns it takes."""
        return self.encoding.signature

    @property
    def complexity(self) -> int:
        """How many leaves it has."""
        return int(self.model.get_n_leaves())

    def predict(self, features: pa.Table) -> NDArray[np.float64]:
        """Return the share of positives, of each class, or the mean label, in each row's leaf."""
        if self.numbers:
            mean: NDArray[np.float64] = self.model.predict(self.encoding.matrix(features), check_input=False)
            return mean
        # Unchecked: the matrix is float32 already, and an infinite value, which the check refuses, has a branch too.
        if self.signature.classes:
            matrix = self.encoding.matrix(features)
            shares: NDArray[np.float64] = self._values()[self.model.apply(matrix, check_input=False)]
            return shares
        positive: NDArray[np.float64] = self.model.predict_proba(self.encoding.matrix(features), check_input=False)[
            :, 1
        ]
        return positive

    def reasons(self) -> PathReasons:
        """Return the tree's nodes and the share of positives in each."""
        form = self.form()
        return PathReasons(
            encoding=self.encoding,
            column=tuple(form.column.tolist()),
            threshold=tuple(form.threshold.tolist()),
            yes=tuple(form.yes.tolist()),
            no=tuple(form.no.tolist()),
            missing_yes=tuple(form.missing_yes.tolist()),
            share=tuple(map(tuple, self._values().reshape(len(form.column), -1).tolist())),
            scale="answer" if self.numbers else "probability",
        )

    def _values(self) -> NDArray[np.float64]:
        """Return what stands for each node: the share of positives, or of each class, or the mean label."""
        values: NDArray[np.float64] = self.model.tree_.value[:, 0, :]
        if not self.signature.classes:
            return values[:, 0 if self.numbers else 1]
        count = self.model.tree_.n_node_samples[:, None]
        smoothed: NDArray[np.float64] = (values * count + values[0]) / (count + 1)
        return smoothed

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
            leaf=np.where(leaf, self._values().T, 0.0).T.astype(np.float32),
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
    checked_examples(examples, task="category" if examples.classes else "condition")
    encoding = fit_encoding(examples)
    model = DecisionTreeClassifier(
        max_depth=int(settings["max_depth"]),
        min_samples_leaf=int(settings["min_samples_leaf"]),
        criterion=str(settings["criterion"]),
        random_state=seed,
    )
    model.fit(encoding.matrix(examples.features), examples.label.astype(np.int64))
    return TreeLearner(encoding=encoding, model=model)


def fit_regression_tree(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> TreeLearner:
    """Fit one tree to numbers: each leaf says the mean label of its examples, which the squared error is least for.

    Parameters
    ----------
    settings
        ``max_depth``, ``min_samples_leaf``: as in scikit-learn.
    threads
        Not used: one tree is grown by one.

    Raises
    ------
    DataError
        When nothing can be learned from the examples.
    """
    del threads
    checked_examples(examples, task="number")
    encoding = fit_encoding(examples)
    model = DecisionTreeRegressor(
        max_depth=int(settings["max_depth"]), min_samples_leaf=int(settings["min_samples_leaf"]), random_state=seed
    )
    model.fit(encoding.matrix(examples.features), examples.label)
    return TreeLearner(encoding=encoding, model=model, numbers=True)
