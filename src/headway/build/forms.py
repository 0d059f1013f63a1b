"""The two plain shapes that every candidate boils down to: a sum of terms, and a sum of trees.

What a learner knows about itself ends here; packaging starts here. All figures are ``float32`` values, since
that is what the graph computes with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from headway.build.encode import Codes, Encoding
from headway.nouns.model import Signature

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LIMIT",
    "Additive",
    "Classwise",
    "Ensemble",
    "Form",
    "Link",
    "NumberTerm",
    "float32_at_most",
    "softmax",
    "standardised",
]

Link = Literal["logistic", "log", "identity", "softmax"]

LIMIT = 10.0
"""Standardised numbers are held within this many spreads of the centre, in training as in production: a sum,
unlike a tree, would otherwise answer an absurd value with an absurd score, or overflow."""


class NumberTerm(msgspec.Struct, frozen=True, kw_only=True):
    """``weight * clip((x - centre) * rate, -LIMIT, LIMIT)``, or ``missing`` where there is no x."""

    centre: float
    rate: float
    weight: float
    missing: float


class Additive(msgspec.Struct, frozen=True, kw_only=True):
    """A sum of one term a column: log odds, or with the link ``identity`` the number or score itself."""

    signature: Signature
    numbers: dict[str, NumberTerm]
    categories: dict[str, Codes]
    intercept: float
    link: Literal["logistic", "identity"] = "logistic"


class Classwise(msgspec.Struct, frozen=True, kw_only=True):
    """One sum for each class; the softmax of all is the answer. They share everything but weights."""

    parts: tuple[Additive, ...]

    @property
    def signature(self) -> Signature:
        """The columns it takes, and the classes."""
        return self.parts[0].signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """A sum of trees over an encoded matrix; one entry per node, trees one after the other, roots first.

    Attributes
    ----------
    tree, node
        Which tree, and which node of it.
    column
        The column that an inner node looks at; -1 for a leaf.
    threshold
        ``x <= threshold`` goes to ``yes``, else to ``no``.
    missing_yes
        Whether a missing x goes to ``yes``.
    leaf
        What a leaf adds, ``(nodes,)``; or ``(nodes, classes)``, to each class.
    link
        ``logistic``: the sum is log odds; ``log``: it is the logarithm of a rate; ``identity``: it is the answer;
        ``softmax``: the sums are the logarithms of the classes' relative weights.
    """

    encoding: Encoding
    tree: NDArray[np.int64]
    node: NDArray[np.int64]
    column: NDArray[np.int64]
    threshold: NDArray[np.float32]
    yes: NDArray[np.int64]
    no: NDArray[np.int64]
    missing_yes: NDArray[np.bool_]
    leaf: NDArray[np.float32]
    link: Link


Form = Additive | Classwise | Ensemble


def softmax(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``exp(sums)`` divided by its total over the last axis, without overflow.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    weight = np.exp(sums - sums.max(axis=-1, keepdims=True))
    share: NDArray[np.float64] = weight / weight.sum(axis=-1, keepdims=True)
    return share


def float32_at_most(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the greatest ``float32`` that is not above each threshold.

    For every ``float32`` x, ``x <= t`` then holds exactly when it holds for the rounded t. Rounding to the
    nearest, as converters do, sends the x that lies between t and the next ``float32`` down the wrong branch.

    Examples
    --------
    >>> t = np.array([0.1, 0.5])
    >>> bool((float32_at_most(t).astype(np.float64) <= t).all()), float(np.float32(0.1)) > 0.1
    (True, True)
    """
    with np.errstate(over="ignore"):  # a threshold of 1e300 parts what is missing from all else
        nearest = threshold.astype(np.float32)
        below = np.nextafter(nearest, np.float32(-np.inf), dtype=np.float32)
    return np.where(nearest.astype(np.float64) > threshold, below, nearest)


def standardised(values: NDArray[np.float32], *, centre: float, rate: float) -> NDArray[np.float32]:
    """Return ``values`` as the graph sees them, operation by operation in ``float32``; NaN stays NaN."""
    with np.errstate(over="ignore"):
        spread = (values - np.float32(centre)) * np.float32(rate)
    held: NDArray[np.float32] = np.clip(spread, np.float32(-LIMIT), np.float32(LIMIT))
    return held
