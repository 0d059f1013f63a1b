"""Why a row got its score: exact additive reasons, kept beside the graph as plain data.

The graph gives the score alone, so that serving stays fast; whoever asks *why* later, of a prediction long gone,
reads the reasons from these bytes. The file hides how: a sum is its own reason; a single tree books each step
on the column it looked at (Saabas 2014); many trees have SHAP values (Lundberg et al. 2020), which LightGBM
computes from its own text form of the model. Nothing in the bytes is executable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from headway.build.encode import Encoding, looked_up, number
from headway.build.forms import Additive, Classwise, Link, standardised
from headway.errors import StoreCorrupt

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.nouns.model import Signature

Scale = Literal["log odds", "probability", "answer", "log", "log weight"]

_SCALES: dict[Link, Scale] = {"logistic": "log odds", "log": "log", "identity": "answer", "softmax": "log weight"}

__all__ = [
    "Contributions",
    "PathReasons",
    "Reasons",
    "Scale",
    "ShapReasons",
    "SumReasons",
    "mean_terms",
    "read_reasons",
    "write_reasons",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """Why each row got its score: ``base`` and the row's ``values`` add up to it.

    Attributes
    ----------
    base
        One number; of classes an array with one each.
    values
        ``(rows, columns)``, in the order of the signature; of classes ``(rows, columns, classes)``.
    scale
        Of what the sum is: ``log odds``, the ``probability`` itself, the ``answer`` (a number, or a score to rank by),
        the ``log`` of it, or a class's ``log weight`` (its share among all is its probability).
    """

    base: float | NDArray[np.float64]
    values: NDArray[np.float64]
    scale: Scale


class SumReasons(msgspec.Struct, frozen=True, kw_only=True, tag="sum"):
    """A sum of terms; each column's reason is its term, less the term's mean in training."""

    parts: tuple[Additive, ...]
    means: tuple[tuple[float, ...], ...]

    @property
    def signature(self) -> Signature:
        """The columns that the reasons are about."""
        return self.parts[0].signature

    def contributions(self, features: pa.Table) -> Contributions:
        """Return the reasons of each row."""
        means = np.array(self.means)
        base = np.array([part.intercept for part in self.parts]) + means.sum(axis=1)
        values = np.stack([_terms(part, features) for part in self.parts], axis=2) - means.T
        if self.signature.classes:
            return Contributions(base=base, values=values, scale="log weight")
        return Contributions(base=float(base[0]), values=values[:, :, 0], scale=_SCALES[self.parts[0].link])

    @classmethod
    def of(cls, form: Additive | Classwise, means: tuple[tuple[float, ...], ...]) -> SumReasons:
        """Return the reasons of a sum, relative to its mean terms."""
        return cls(parts=_parts(form), means=means)


class PathReasons(msgspec.Struct, frozen=True, kw_only=True, tag="path"):
    """One tree; each column's reason is what the steps that looked at it changed.

    Attributes
    ----------
    column, threshold, yes, no, missing_yes
        The nodes, the root first; ``column`` is -1 in a leaf.
    share
        Of the training examples that came by each node the share of positives, or of each class; or the mean label.
    """

    encoding: Encoding
    column: tuple[int, ...]
    threshold: tuple[float, ...]
    yes: tuple[int, ...]
    no: tuple[int, ...]
    missing_yes: tuple[bool, ...]
    share: tuple[tuple[float, ...], ...]
    scale: Scale = "probability"

    @property
    def signature(self) -> Signature:
        """The columns that the reasons are about."""
        return self.encoding.signature

    def contributions(self, features: pa.Table) -> Contributions:
        """Return the reasons of each row."""
        matrix = self.encoding.matrix(features)
        column, threshold, share = np.array(self.column), np.array(self.threshold), np.array(self.share)
        missing_yes = np.array(self.missing_yes)
        values = np.zeros((*matrix.shape, share.shape[1]))
        at = np.zeros(len(matrix), dtype=np.int64)
        while len(going := np.flatnonzero(column[at] >= 0)):
            node = at[going]
            x = matrix[going, column[node]].astype(np.float64)
            is_yes = np.where(np.isnan(x), missing_yes[node], x <= threshold[node])
            at[going] = np.where(is_yes, np.array(self.yes)[node], np.array(self.no)[node])
            values[going, column[node]] += share[at[going]] - share[node]
        if self.signature.classes:
            return Contributions(base=share[0], values=values, scale=self.scale)
        return Contributions(base=float(share[0, 0]), values=values[:, :, 0], scale=self.scale)


class ShapReasons(msgspec.Struct, frozen=True, kw_only=True, tag="shap"):
    """Many trees, as LightGBM writes them."""

    encoding: Encoding
    trees: str
    link: Link = "logistic"

    @property
    def signature(self) -> Signature:
        """The columns that the reasons are about."""
        return self.encoding.signature

    def contributions(self, features: pa.Table) -> Contributions:
        """Return the reasons of each row; reading the trees takes longer than a few rows do."""
        import lightgbm as lgb

        matrix = self.encoding.matrix(features)
        # One row of zeros stands at the end: LightGBM takes no empty matrix, and the base is the same for all.
        asked = np.concatenate([matrix, np.zeros((1, matrix.shape[1]), dtype=np.float32)])
        booster: Any = lgb.Booster(model_str=self.trees)
        shap = np.asarray(booster.predict(asked, pred_contrib=True, num_threads=1))
        if classes := len(self.signature.classes):
            each = shap.reshape(len(shap), classes, -1)
            values = each[:-1, :, :-1].transpose(0, 2, 1)
            return Contributions(base=each[-1, :, -1], values=values, scale=_SCALES[self.link])
        return Contributions(base=float(shap[-1, -1]), values=shap[:-1, :-1], scale=_SCALES[self.link])


Reasons = SumReasons | PathReasons | ShapReasons


def write_reasons(reasons: Reasons) -> bytes:
    """Return the bytes that ``read_reasons`` reads; the same reasons give the same bytes."""
    return msgspec.msgpack.encode(reasons, order="sorted")


def read_reasons(data: bytes) -> Reasons:
    """Return the reasons that were written.

    Raises
    ------
    StoreCorrupt
        When the bytes are something else.
    """
    try:
        reasons: Reasons = msgspec.msgpack.decode(data, type=Reasons)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(
            f"These {len(data):,} bytes are not a model's reasons: {error}", hint="Package the model again."
        ) from error
    return reasons


def mean_terms(form: Additive | Classwise, training: pa.Table) -> tuple[tuple[float, ...], ...]:
    """Return the mean of each column's term over the examples that a sum, or each class's, has learned from."""
    return tuple(tuple(_terms(part, training).mean(axis=0).tolist()) for part in _parts(form))


def _parts(form: Additive | Classwise) -> tuple[Additive, ...]:
    return form.parts if isinstance(form, Classwise) else (form,)


def _terms(form: Additive, features: pa.Table) -> NDArray[np.float64]:
    """Return ``(rows, columns)`` terms of a sum."""
    out = np.empty((features.num_rows, len(form.signature.columns)))
    for at, column in enumerate(form.signature.columns):
        if column.kind == "category":
            codes = form.categories[column.name]
            out[:, at] = looked_up(features, column.name, codes.known, default=codes.unknown)
        else:
            term = form.numbers[column.name]
            values = standardised(number(features, column.name), centre=term.centre, rate=term.rate)
            out[:, at] = np.where(np.isnan(values), term.missing, values.astype(np.float64) * term.weight)
    return out
