"""From named columns to the matrix that trees learn from.

The file hides how a category becomes a number. Codes are the ranks of the categories by their smoothed mean
label in training: on these a tree's ``<=`` can part the categories as well as any subset can when the target is
binary (Breiman et al. 1984, theorem 4.5; exact for one split on the whole sample), and in the graph the encoder
is a single dictionary. Where the label is one of several classes, the categories stand in the order of their mix of
classes along the first principal component of all mixes (Coppersmith, Hong & Hosking 1999, "Partitioning nominal
attributes in decision trees"), which with two classes is the same order. A category never seen in training gets a
code of its own, half-way between the ranks, where its expected mean, that of all examples, stands. A missing category
is a category, named ``""``.

A number that was never missing in training is filled with its median, so that a hole in production reads as
"ordinary"; one that was is left NaN for the learner to place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.errors import DataError, did_you_mean
from headway.nouns.examples import FeatureColumn
from headway.nouns.model import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from headway.nouns.examples import Examples
    from headway.nouns.task import Task

__all__ = ["Codes", "Encoding", "checked_examples", "counted", "fit_encoding", "looked_up", "number", "signature_of"]

OUTPUT = "score"
_MOST_GRADES = 31  # the gain of a grade doubles with each: beyond, one example would outweigh all others
_SMOOTHING = 20.0  # as many examples at the overall mean are added to each category


class Codes(msgspec.Struct, frozen=True, kw_only=True):
    """The number that stands for each category, and the one for all others."""

    known: dict[str, float]
    unknown: float


class Encoding(msgspec.Struct, frozen=True, kw_only=True):
    """How each column becomes a ``float32``.

    Attributes
    ----------
    fills
        For each numeric column what stands in for a missing value; NaN where the learner handles it.
    codes
        For each category column its codes.
    """

    signature: Signature
    fills: dict[str, float]
    codes: dict[str, Codes]

    def matrix(self, features: pa.Table) -> NDArray[np.float32]:
        """Return the ``(rows, columns)`` matrix in the order of the signature."""
        out = np.empty((features.num_rows, len(self.signature.columns)), dtype=np.float32)
        for at, column in enumerate(self.signature.columns):
            if column.kind == "number":
                values = number(features, column.name)
                fill = np.float32(self.fills[column.name])
                out[:, at] = np.where(np.isnan(values), fill, values)
            else:
                codes = self.codes[column.name]
                out[:, at] = looked_up(features, column.name, codes.known, default=codes.unknown)
        return out


def signature_of(features: pa.Table, *, classes: tuple[str, ...] = ()) -> Signature:
    """Return the inputs that a table of features stands for, and the classes that are told apart.

    Raises
    ------
    DataError
        When there is no column, a column is neither ``float32`` nor text, or one bears the output's name.
    """
    if not features.num_columns:
        raise DataError("There are no features to learn from.", hint="Declare some under [features].")
    columns = []
    for field in features.schema:
        if field.name == OUTPUT:
            raise DataError(
                f"A feature is called {OUTPUT!r}, which is the name of the model's output.", hint="Rename the feature."
            )
        if field.type == pa.float32():
            columns.append(FeatureColumn(name=field.name, kind="number"))
        elif pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            columns.append(FeatureColumn(name=field.name, kind="category"))
        else:
            raise DataError(f"Feature {field.name!r} is {field.type}; wanted float32 or string.", where=field.name)
    task: Task = "category" if classes else "condition"
    return Signature(columns=tuple(columns), output=OUTPUT, task=task, classes=classes)


def checked_examples(examples: Examples, *, task: Task = "condition") -> None:
    """Refuse examples that nothing can be learned from.

    Raises
    ------
    DataError
        No rows; labels that the task does not know, or all alike; an infinite feature.
    """
    label = examples.label
    if not len(label):
        raise DataError(
            "The training part holds no examples.",
            where="[split]",
            hint="Move train_before later, or look at the dates.",
        )
    _CHECKS[task](label)
    came = np.bincount(label.astype(np.int64), minlength=len(examples.classes)) if task == "category" else np.ones(1)
    if lacking := [name for name, count in zip(examples.classes, came, strict=False) if not count]:
        raise DataError(
            f"The training part has no example of class {lacking[0]!r}.",
            where="[target] label",
            hint="Choose a longer training period, or merge the class with another.",
        )
    for column in signature_of(examples.features).columns:
        if column.kind == "number":
            infinite = int(np.isinf(number(examples.features, column.name)).sum())
            if infinite:
                raise DataError(
                    f"Feature {column.name!r} is infinite in {infinite:,} of {len(label):,} training examples.",
                    where=f"[features] {column.name}",
                    hint="A division by zero? Make it missing instead.",
                )


def _check_condition(label: NDArray[np.float64]) -> None:
    if not np.isin(label, (0.0, 1.0)).all():
        odd = label[~np.isin(label, (0.0, 1.0))]
        raise DataError(f"Labels must be 0 or 1; found {odd[0]:g} ({len(odd):,} such).", where="[target] label")
    positives = int(label.sum())
    if positives in (0, len(label)):
        raise DataError(
            f"All {len(label):,} training labels are {label[0]:g}: there is nothing to tell apart.",
            where="[target] label",
            hint="Check the condition, or choose a longer training period.",
        )


def _check_class(label: NDArray[np.float64]) -> None:
    found = np.unique(label)
    if len(found) < 2:
        raise DataError(
            f"All {len(label):,} training examples are of one class: there is nothing to tell apart.",
            where="[target] label",
            hint="Check the label, or choose a longer training period.",
        )


def _check_number(label: NDArray[np.float64]) -> None:
    if not np.isfinite(label).all():
        raise DataError("A label is no finite number.", where="[target] label", hint="Make it missing instead: void.")
    _check_varies(label)


def _check_relevance(label: NDArray[np.float64]) -> None:
    if not (np.isin(label, np.arange(_MOST_GRADES)).all()):
        raise DataError(
            f"The relevance of a ranking is a whole number from 0 to {_MOST_GRADES - 1}; found {label.max():g}.",
            where="[target] label",
            hint="Write it in grades, such as least(units, 5).",
        )
    _check_varies(label)


def _check_varies(label: NDArray[np.float64]) -> None:
    if label.min() == label.max():
        raise DataError(
            f"All {len(label):,} training labels are {label[0]:g}: there is nothing to tell apart.",
            where="[target] label",
            hint="Check the label, or choose a longer training period.",
        )


_CHECKS: dict[Task, Callable[[NDArray[np.float64]], None]] = {
    "condition": _check_condition,
    "number": _check_number,
    "category": _check_class,
    "ranking": _check_relevance,
}


def fit_encoding(examples: Examples) -> Encoding:
    """Learn fills and codes from training examples."""
    signature = signature_of(examples.features, classes=examples.classes)
    targets = _targets(examples)
    fills, codes = {}, {}
    for column in signature.columns:
        if column.kind == "number":
            values = number(examples.features, column.name)
            fills[column.name] = float("nan") if np.isnan(values).any() else float(np.float32(np.median(values)))
        else:
            codes[column.name] = _ordered(examples.features, column.name, targets)
    return Encoding(signature=signature, fills=fills, codes=codes)


def _targets(examples: Examples) -> NDArray[np.float64]:
    """Return what a category's examples are averaged by, ``(rows, targets)``: the label, or one column a class."""
    if not examples.classes:
        return examples.label[:, None]
    return np.asarray(examples.label[:, None] == np.arange(len(examples.classes)), dtype=np.float64)


def _ordered(features: pa.Table, name: str, targets: NDArray[np.float64]) -> Codes:
    words, rows = counted(features, name)
    prior = targets.mean(axis=0)
    count = np.bincount(rows, minlength=len(words))[:, None]
    total = np.stack([np.bincount(rows, weights=each, minlength=len(words)) for each in targets.T], axis=1)
    mean = (total + _SMOOTHING * prior) / (count + _SMOOTHING)
    place, middle = _along_one_line(mean, prior, count)
    order = sorted(range(len(words)), key=lambda i: (place[i], words[i]))
    known = {words[i]: float(rank) for rank, i in enumerate(order)}
    return Codes(known=known, unknown=float(np.sum(place < middle)) - 0.5)


def _along_one_line(
    mean: NDArray[np.float64], prior: NDArray[np.float64], count: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Return where each category stands by its mean targets, and where the mean of all examples does."""
    if mean.shape[1] == 1:
        return mean[:, 0], float(prior[0])
    away = mean - prior
    _, axes = np.linalg.eigh((away * count).T @ away)  # ascending: the last one is along which they spread most
    line = axes[:, -1] * np.sign(axes[np.argmax(np.abs(axes[:, -1])), -1])
    # Rounded, so that two categories with the same mix are equal whichever way the sums were taken.
    return np.round(away @ line, 12), 0.0


def number(features: pa.Table, name: str) -> NDArray[np.float32]:
    """Return a numeric column, NaN where it is missing."""
    values = _column(features, name)
    if not (pa.types.is_floating(values.type) or pa.types.is_null(values.type)):
        raise DataError(f"Feature {name!r} is {values.type}; wanted float32.", where=name)
    filled = pc.fill_null(values.cast(pa.float32()), np.float32("nan")).to_numpy()
    return np.asarray(filled, dtype=np.float32)


def counted(features: pa.Table, name: str) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct texts of a column and, for each row, which of them it holds; missing is ``""``."""
    values = _column(features, name)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_null(values.type)):
        raise DataError(f"Feature {name!r} is {values.type}; wanted string.", where=name)
    coded = pc.fill_null(values.cast(pa.string()), "").dictionary_encode().combine_chunks()
    return coded.dictionary.to_pylist(), coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def looked_up(features: pa.Table, name: str, known: Mapping[str, float], *, default: float) -> NDArray[np.float32]:
    """Return for each row what stands for its text."""
    words, rows = counted(features, name)
    values = np.array([known.get(word, default) for word in words], dtype=np.float32)
    return values[rows] if len(words) else np.empty(0, dtype=np.float32)


def _column(features: pa.Table, name: str) -> Any:
    if name not in features.column_names:
        raise DataError(f"There is no feature {name!r}.", hint=did_you_mean(name, features.column_names))
    return features.column(name)
