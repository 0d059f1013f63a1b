"""``logistic`` and ``linear``: glass boxes, whose whole working can be read as a sum of points.

The file hides the design matrix: standardised numbers with an indicator where some are missing, one column per
category that is common enough, a ridge penalty on all. A category that is rare or new adds nothing.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from headway.build.encode import Codes, checked_examples, counted, number, signature_of
from headway.build.forms import Additive, Classwise, NumberTerm, standardised
from headway.build.reasons import SumReasons, mean_terms

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.nouns.examples import Examples
    from headway.nouns.model import Signature
    from headway.nouns.trial import Setting

__all__ = ["LinearLearner", "fit_linear", "fit_logistic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Design:
    """Which columns of the matrix each feature fills.

    Attributes
    ----------
    scales
        Centre and rate of each number.
    place
        First matrix column of each feature; a number with holes has its indicator in the next one.
    holes
        The numbers that were missing somewhere in training.
    known
        The matrix column of each common category, by feature.
    """

    signature: Signature
    scales: Mapping[str, tuple[float, float]]
    place: Mapping[str, int]
    holes: frozenset[str]
    known: Mapping[str, Mapping[str, int]]
    width: int

    def blocks(self, features: pa.Table) -> list[sp.csr_matrix]:
        """Return the design of each feature, in the order of the signature."""
        return [
            self._number(features, c.name) if c.kind == "number" else self._category(features, c.name)
            for c in self.signature.columns
        ]

    def _number(self, features: pa.Table, name: str) -> sp.csr_matrix:
        centre, rate = self.scales[name]
        values = standardised(number(features, name), centre=centre, rate=rate).astype(np.float64)
        missing = np.isnan(values)
        plain = np.where(missing, 0.0, values)
        return sp.csr_matrix(np.column_stack([plain, missing]) if name in self.holes else plain[:, None])

    def _category(self, features: pa.Table, name: str) -> sp.csr_matrix:
        words, rows = counted(features, name)
        known, first = self.known[name], self.place[name]
        at = np.array([known[word] - first if word in known else -1 for word in words], dtype=np.int64)[rows]
        there = np.flatnonzero(at >= 0)
        return sp.csr_matrix((np.ones(len(there)), (there, at[there])), shape=(len(rows), len(known)))


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearLearner:
    """A logistic, multinomial or linear regression over named columns."""

    design: _Design
    model: Any
    means: tuple[tuple[float, ...], ...]
    note: str
    numbers: bool = False

    @property
    def signature(self) -> Signature:
        """The columns it takes."""
        return self.design.signature

    @property
    def complexity(self) -> int:
        """Coefficients that are not zero."""
        return int(np.count_nonzero(self.model.coef_))

    def predict(self, features: pa.Table) -> NDArray[np.float64]:
        """Return the probability of the positive class of each row, of each class, or the number that is expected."""
        design = sp.hstack(self.design.blocks(features), format="csr")
        if self.numbers:
            expected: NDArray[np.float64] = self.model.predict(design)
            return expected
        probability: NDArray[np.float64] = self.model.predict_proba(design)
        return probability if self.signature.classes else probability[:, 1]

    def reasons(self) -> SumReasons:
        """Return the sum, and its mean terms in training."""
        return SumReasons.of(self.form(), self.means)

    def form(self) -> Additive | Classwise:
        """Return the sum, one term a column; with classes a sum for each."""
        weights, intercepts = np.atleast_2d(self.model.coef_), np.atleast_1d(self.model.intercept_)
        if not self.signature.classes:
            return self._sum(weights[0], float(intercepts[0]))
        if len(weights) == 1:  # of two classes the first one is what the other is told from
            weights, intercepts = np.vstack([np.zeros_like(weights), weights]), np.array([0.0, *intercepts])
        return Classwise(parts=tuple(map(self._sum, weights, intercepts.tolist())))

    def _sum(self, weights: NDArray[np.float64], intercept: float) -> Additive:
        design = self.design
        numbers, categories = {}, {}
        for column in self.signature.columns:
            first = design.place[column.name]
            if column.kind == "number":
                centre, rate = design.scales[column.name]
                missing = float(weights[first + 1]) if column.name in design.holes else 0.0
                numbers[column.name] = NumberTerm(
                    centre=centre, rate=rate, weight=float(weights[first]), missing=missing
                )
            else:
                known = {word: float(weights[at]) for word, at in design.known[column.name].items()}
                categories[column.name] = Codes(known=known, unknown=0.0)
        return Additive(
            signature=self.signature,
            numbers=numbers,
            categories=categories,
            intercept=intercept,
            link="identity" if self.numbers or self.signature.classes else "logistic",
        )


def fit_logistic(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> LinearLearner:
    """Fit a ridge-penalised logistic regression; of classes a multinomial one, all of whose weights are penalised.

    Parameters
    ----------
    settings
        ``penalty``: weight of the squared coefficients, times the number of examples it outweighs
        (``1 / C`` of scikit-learn); ``rare``: categories with fewer examples add nothing.
    threads
        Not used: the sparse solver has one.

    Raises
    ------
    DataError
        When nothing can be learned from the examples.
    """
    del threads
    checked_examples(examples, task="category" if examples.classes else "condition")
    design = _design_of(examples, rare=int(settings["rare"]))
    blocks = design.blocks(examples.features)
    model = LogisticRegression(C=1 / float(settings["penalty"]), max_iter=500, tol=1e-3, random_state=seed)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(sp.hstack(blocks, format="csr"), examples.label)
    note = "did not converge" if any(issubclass(w.category, ConvergenceWarning) for w in caught) else ""
    learner = LinearLearner(design=design, model=model, means=(), note=note)
    return replace(learner, means=mean_terms(learner.form(), examples.features))


def fit_linear(
    examples: Examples,
    *,
    settings: Mapping[str, Setting],
    seed: int,
    threads: int,
    task: Literal["number", "ranking"] = "number",
) -> LinearLearner:
    """Fit a ridge regression (Hoerl & Kennard 1970): least squares with a price on squared coefficients.

    For a ranking it is the pointwise way: relevance is expected of each row alone, and the group ordered by it.

    Parameters
    ----------
    settings
        ``penalty``: weight of the squared coefficients of standardised columns; ``rare``: categories with fewer
        examples add nothing.
    threads
        Not used: the sparse solver has one.

    Raises
    ------
    DataError
        When nothing can be learned from the examples.
    """
    del threads
    checked_examples(examples, task=task)
    design = _design_of(examples, rare=int(settings["rare"]))
    matrix = sp.hstack(design.blocks(examples.features), format="csr")
    model = Ridge(alpha=float(settings["penalty"]), solver="sparse_cg", tol=1e-10, max_iter=5_000, random_state=seed)
    model.fit(matrix, examples.label)
    learner = LinearLearner(design=design, model=model, means=(), note="", numbers=True)
    return replace(learner, means=mean_terms(learner.form(), examples.features))


def _design_of(examples: Examples, *, rare: int) -> _Design:
    found = _design(examples, rare=rare)
    # No number, and every category is rare: rare ones are better than nothing.
    return found if found.width else _design(examples, rare=1)


def _design(examples: Examples, *, rare: int) -> _Design:
    features, signature = examples.features, signature_of(examples.features, classes=examples.classes)
    scales, place, holes, known, width = {}, {}, set(), {}, 0
    for column in signature.columns:
        place[column.name] = width
        if column.kind == "number":
            values = number(features, column.name)
            missing = np.isnan(values)
            scales[column.name] = _scale(values[~missing])
            if missing.any() and not missing.all():
                holes.add(column.name)
            width += 2 if column.name in holes else 1
        else:
            words, rows = counted(features, column.name)
            count = np.bincount(rows, minlength=len(words))
            common = sorted(word for word, n in zip(words, count, strict=True) if n >= rare)
            known[column.name] = {word: width + at for at, word in enumerate(common)}
            width += len(common)
    return _Design(signature=signature, scales=scales, place=place, holes=frozenset(holes), known=known, width=width)


def _scale(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return centre and rate as ``float32`` values; what does not vary stands at zero and learns no weight."""
    if not len(values) or values.min() == values.max():
        return (float(values[0]) if len(values) else 0.0), 1.0
    spread = float(values.std(dtype=np.float64))
    rate = float(np.float32(1 / spread)) if spread > 1e-30 else 1.0  # beyond, float32 has no 1 / spread
    return float(np.float32(values.mean(dtype=np.float64))), rate
