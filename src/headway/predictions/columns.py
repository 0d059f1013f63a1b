"""Answers as Arrow columns, for monitoring and analysis.

The file hides the turning of records into columns. Column names: the fields of ``Prediction``, ``key.<column>`` for
the entity and ``features.<name>`` for what the model saw, so that no name can meet another.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headway.errors import DataError
from headway.predictions.reader import Cursor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from headway.nouns.examples import FeatureColumn
    from headway.nouns.prediction import Prediction
    from headway.predictions.reader import Reader

__all__ = ["read_table", "to_table"]

_FIXED = pa.schema(
    [
        ("id", pa.string()),
        ("served_us", pa.int64()),
        ("predict_at_us", pa.int64()),
        ("release", pa.string()),
        ("model", pa.string()),
        ("score", pa.float64()),
        ("act", pa.bool_()),
        ("store", pa.string()),
        ("latency_us", pa.int64()),
        ("batch", pa.string()),
        ("idempotency", pa.string()),
        ("stale", pa.list_(pa.string())),
    ]
)
_TYPES = {"number": pa.float32(), "category": pa.string()}


def read_table(
    reader: Reader,
    *,
    features: Sequence[FeatureColumn] = (),
    model: str = "",
    since_us: int | None = None,
    until_us: int | None = None,
    after: Cursor | None = None,
    skip_corrupt: bool = False,
) -> tuple[pa.Table, Cursor]:
    """Return the answers behind ``after`` as a table in the order of ``served_us`` and id, and where to go on.

    Parameters
    ----------
    features
        The signature of the model whose features are wanted; give ``model``, too, if several have answered.
    model
        Only answers of this model; "" for all. The cursor passes the others.

    Raises
    ------
    StoreCorrupt
        At a damaged record, unless ``skip_corrupt``.
    DataError
        As ``to_table``.
    """
    cursor, parts = after or Cursor(), []
    for batch in reader.scan(since_us=since_us, until_us=until_us, after=after, skip_corrupt=skip_corrupt):
        cursor = batch.cursor
        chosen = [each for each in batch.predictions if each.model == model] if model else batch.predictions
        if chosen:
            parts.append(to_table(chosen, features=features))
    if not parts:
        return to_table((), features=features), cursor
    try:
        # Each part has inferred the types of its keys: whole numbers here may meet fractions there.
        table = pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise _mixed("The key", error) from error
    return table.sort_by([("served_us", "ascending"), ("id", "ascending")]), cursor


def to_table(predictions: Iterable[Prediction], *, features: Sequence[FeatureColumn] = ()) -> pa.Table:
    """Return one row per answer, in their order.

    Returns
    -------
    pyarrow.Table
        Fixed columns with fixed types; ``likeliest``, the class where a category is predicted, else null;
        ``key.<column>`` with inferred types, null where an answer has no such
        column; ``features.<name>`` as float32 or string.

    Raises
    ------
    DataError
        When an answer has other features than ``features`` says, or a key column mixes types.
    """
    rows = list(predictions)
    columns: dict[str, Any] = {
        field.name: pa.array(list(map(attrgetter(field.name), rows)), type=field.type) for field in _FIXED
    }
    columns["likeliest"] = pa.array([row.likeliest for row in rows], pa.string())
    for name in dict.fromkeys(name for row in rows for name in row.key):
        columns[f"key.{name}"] = _array([row.key.get(name) for row in rows], what=f"The key column {name!r}")
    if features:
        _refuse_other_features(rows, features=features)
        # Transposed at once: one pass over the rows, not one per feature.
        values: Iterable[tuple[Any, ...]] = (
            zip(*(row.features for row in rows), strict=True) if rows else [()] * len(features)
        )
        for feature, column in zip(features, values, strict=True):
            columns[f"features.{feature.name}"] = _array(
                column, kind=_TYPES[feature.kind], what=f"The feature {feature.name!r} ({feature.kind})"
            )
    return pa.table(columns)


def _refuse_other_features(rows: list[Prediction], *, features: Sequence[FeatureColumn]) -> None:
    for row in rows:
        if len(row.features) != len(features):
            raise DataError(
                f"Prediction {row.id} has {len(row.features)} features, the signature has {len(features)}.",
                hint=f"It was answered by model {row.model!r}: ask for one model's answers at a time.",
            )


def _array(values: Sequence[Any], *, what: str, kind: pa.DataType | None = None) -> pa.Array:
    try:
        return pa.array(values, type=kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise _mixed(what, error) from error


def _mixed(what: str, error: Exception) -> DataError:
    return DataError(
        f"{what} has values of several types in the log: {error}.", hint="Ask for one model's answers at a time."
    )
