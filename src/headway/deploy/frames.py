"""Rows of requests in whatever kind of frame they come, as an Arrow table.

The file hides the kinds: Arrow, whatever speaks Arrow's C interface (Polars, pandas), columns by name, rows as dicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from headway.errors import RequestError

__all__ = ["as_arrow"]


def as_arrow(rows: Any) -> pa.Table:
    """Return rows as an Arrow table; a column that only some of the dicts have is missing in the others.

    Raises
    ------
    RequestError
        When they are none of the kinds that are understood, or the values of a column do not belong together.

    Examples
    --------
    >>> as_arrow([{"a": 1}, {"a": 2, "b": "x"}]).to_pylist()
    [{'a': 1, 'b': None}, {'a': 2, 'b': 'x'}]
    """
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if hasattr(rows, "__arrow_c_stream__"):
        # Polars frames, pandas frames since 2.2, and whatever else speaks Arrow's C interface.
        return pa.table(rows)
    if isinstance(rows, Mapping):
        return pa.table({str(name): _column(str(name), values) for name, values in rows.items()})
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, Mapping):
                raise _unknown(row, where=f"the table, row {number}", hint="Pass each row as a dict.")
        names = dict.fromkeys(name for row in rows for name in row)
        return pa.table({str(name): _column(str(name), [row.get(name) for row in rows]) for name in names})
    raise _unknown(rows, where="the table", hint="Pass an Arrow table, a frame, or a list of dicts.")


def _unknown(rows: Any, *, where: str, hint: str) -> RequestError:
    return RequestError(f"Rows of type {type(rows).__name__} are not understood.", where=where, hint=hint)


def _column(name: str, values: Any) -> Any:
    if isinstance(values, list | tuple):
        # Moments with a zone, without one and as text are each read by their own rule, which text keeps apart.
        kinds = {"text" if isinstance(value, str) else value.tzinfo is None for value in values if _is_moment(value)}
        if len(kinds) > 1:
            values = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        said = str(error).strip().splitlines()[0].rstrip(".")
        raise RequestError(
            f"The values of {name!r} do not belong together in one column: {said}.", where=f"the table, column {name}"
        ) from None


def _is_moment(value: Any) -> bool:
    return isinstance(value, str | datetime)
