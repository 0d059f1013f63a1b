"""What a fitted candidate can do, whatever it is inside.

A learner takes named columns, not a matrix: how it encodes them is its own affair. ``Fitted`` is the learner
together with what made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from headway.nouns.model import Share, Signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.build.forms import Form
    from headway.build.reasons import Contributions, Reasons
    from headway.nouns.trial import Interpretability, Setting

__all__ = ["Fitted", "Learner", "importance"]

_SAMPLE = 256  # rows that importance is averaged over: SHAP values of many trees take milliseconds a row


class Learner(Protocol):
    """A fitted pipeline, from named columns to the model's answer (``nouns/task.py``)."""

    @property
    def signature(self) -> Signature:
        """The columns it takes."""

    @property
    def complexity(self) -> int:
        """How many leaves or coefficients it has."""

    @property
    def note(self) -> str:
        """What a reader should know about the fit; empty when there is nothing."""

    def predict(self, features: pa.Table) -> NDArray[np.float64]:
        """Return the answer to each row as the learning library computes it; of classes a column for each."""

    def reasons(self) -> Reasons:
        """Return what explains each row's score, as plain data."""

    def form(self) -> Form:
        """Return what there is to package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A learner and what made it: the same algorithm, settings, examples and seed make the same one again.

    Attributes
    ----------
    threads
        How many threads fitted it. It changes the time, not the model.
    """

    algorithm: str
    settings: Mapping[str, Setting]
    seed: int
    threads: int
    interpretability: Interpretability
    learner: Learner

    @property
    def signature(self) -> Signature:
        """The columns it takes, and the output."""
        return self.learner.signature

    @property
    def complexity(self) -> int:
        """How many leaves or coefficients it has."""
        return self.learner.complexity

    def predict(self, features: pa.Table) -> NDArray[np.float64]:
        """Return the answer to each row; of classes a column for each."""
        return self.learner.predict(features)

    def contributions(self, features: pa.Table) -> Contributions:
        """Return the exact additive reasons of each row."""
        return self.learner.reasons().contributions(features)


def importance(fitted: Fitted, features: pa.Table) -> tuple[Share, ...]:
    """Return what share of the reasons each feature gives, the greatest first.

    The mean absolute contribution over rows taken evenly from ``features`` (for trees: mean absolute SHAP value,
    Lundberg et al. 2020), over classes, too, where there are some, divided by the sum over features. All zero where
    the model is a constant.
    """
    rows = np.unique(np.linspace(0, features.num_rows - 1, min(_SAMPLE, features.num_rows)).astype(np.int64))
    reasons = fitted.contributions(features.take(rows)).values
    weight = np.abs(reasons).reshape(*reasons.shape[:2], -1).mean(axis=(0, 2))
    shares = weight / weight.sum() if weight.sum() > 0 else np.zeros_like(weight)
    order = sorted(range(len(shares)), key=lambda i: (-shares[i], fitted.signature.names[i]))
    return tuple(Share(feature=fitted.signature.names[i], share=float(shares[i])) for i in order)
