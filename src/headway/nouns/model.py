"""The model as a noun: everything that made the artefact, named by one hash. The graph itself lies in a blob."""

from __future__ import annotations

import hashlib

import msgspec

from headway.nouns.examples import FeatureColumn
from headway.nouns.task import Task
from headway.nouns.trial import Interpretability, Setting

__all__ = ["Model", "Parity", "Share", "Signature"]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into the graph, in this order, and what comes out: one score, or with ``classes`` one for each."""

    columns: tuple[FeatureColumn, ...]
    output: str = "score"
    task: Task = "condition"
    classes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs, in order."""
        return tuple(column.name for column in self.columns)


class Parity(msgspec.Struct, frozen=True, kw_only=True):
    """How far the packaged graph is from what was trained, and on how many rows that was looked at.

    Attributes
    ----------
    decisions_changed
        Examples that are acted on under one and not under the other; all lie within the tolerance of the cut.
    """

    rows: int
    max_abs_difference: float
    tolerance: float
    decisions_changed: int = 0


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What part of the model's reasons one feature gives: mean absolute contribution, the shares adding up to 1."""

    feature: str
    share: float


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """The packaged winner.

    Attributes
    ----------
    graph
        Digest of the graph's bytes.
    trained_from, trained_to
        First and last ``predict_at`` learned from: microseconds since 1970-01-01 UTC.
    opset
        Operator set version by domain.
    libraries
        Version by package, of whatever took part in fitting and packaging.
    reasons
        Digest of what gives each answer's reasons (``build/reasons.py``); not there where the brief does not ask for
        them (``success.explainable``).

    Examples
    --------
    >>> from headway.nouns.examples import FeatureColumn
    >>> model = Model(
    ...     graph="ab", signature=Signature(columns=(FeatureColumn(name="hour", kind="number"),)), algorithm="tree",
    ...     settings={"max_depth": 3}, seed=7, rows=10, trained_from=0, trained_to=9,
    ...     parity=Parity(rows=10, max_abs_difference=0.0, tolerance=1e-5), opset={"ai.onnx": 13}, libraries={},
    ...     importance=(), interpretability="small", complexity=5,
    ... )
    >>> model.digest[:8] == msgspec.structs.replace(model, settings={"max_depth": 4}).digest[:8]
    False
    """

    graph: str
    signature: Signature
    algorithm: str
    settings: dict[str, Setting]
    seed: int
    rows: int
    trained_from: int
    trained_to: int
    parity: Parity
    opset: dict[str, int]
    libraries: dict[str, str]
    importance: tuple[Share, ...]
    interpretability: Interpretability
    complexity: int
    reasons: str | msgspec.UnsetType = msgspec.UNSET

    @property
    def digest(self) -> str:
        """SHA-256 of the model as canonical JSON: the name of the model."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()
