"""Answers of the ledger as Arrow tables, in a file of its own: most commands ask for none, and need not load Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["OUTCOMES", "schema_of", "table_of"]

OUTCOMES = pa.schema(
    [
        pa.field("prediction", pa.string()),
        pa.field("label", pa.float64()),
        pa.field("known_us", pa.int64()),
        pa.field("status", pa.string()),
        pa.field("received_us", pa.int64()),
        pa.field("seq", pa.int64()),
        pa.field("category", pa.string()),
    ]
)
"""What outcomes look like: a null label is void; ``category`` is the class that came, where the target is one."""


def schema_of(columns: Iterable[tuple[str, sa.types.TypeEngine[Any]]]) -> pa.Schema:
    """Return the schema for columns of the database, given as names with types."""
    return pa.schema([pa.field(name, _arrow_type(kind)) for name, kind in columns])


def table_of(rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.Table:
    """Return rows as a table; none make an empty one."""
    columns: Sequence[Any] = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _arrow_type(kind: sa.types.TypeEngine[Any]) -> pa.DataType:
    if isinstance(kind, sa.Integer):
        return pa.int64()
    return pa.float64() if isinstance(kind, sa.Double) else pa.string()
