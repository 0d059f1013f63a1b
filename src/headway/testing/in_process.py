"""The smallest cluster: the three verbs in this process, over parts in memory.

It is what an engine amounts to with nothing plugged in, and what a test over many small worlds can afford.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from headway.engine.cluster import BY

if TYPE_CHECKING:
    from headway.engine.cluster import Work

__all__ = ["InProcess"]

Part = Mapping[str, pa.Table]


@dataclass(frozen=True, slots=True)
class _Held:
    """Parts, each with its tables by name, and their schemas."""

    parts: tuple[Part, ...]
    schemas: Mapping[str, pa.Schema]

    @property
    def schema(self) -> pa.Schema:
        return next(iter(self.schemas.values()))


class InProcess:
    """A cluster of one process.

    Parameters
    ----------
    parts
        Into how many parts rows are repartitioned.

    Examples
    --------
    >>> cluster = InProcess(2)
    >>> numbers = pa.table({BY: [0, 1, 2, 3], "n": [10, 11, 12, 13]})
    >>> read = cluster.map([numbers], lambda tables: tables["rows"])
    >>> def summed(tables):
    ...     return pa.table({"sum": pa.array([pc.sum(tables["rows"]["n"]).as_py() or 0])})
    >>> sorted(cluster.merge(cluster.map(cluster.repartition({"rows": read}), summed)).read_all()["sum"].to_pylist())
    [22, 24]
    """

    def __init__(self, parts: int = 3) -> None:
        self._parts = parts

    def repartition(self, rows: Mapping[str, _Held]) -> _Held:
        """Bring together the rows, of all tables, with the same ``@by``."""
        whole = {name: pa.concat_tables(part["rows"] for part in held.parts) for name, held in rows.items()}
        places = {name: pc.bit_wise_and(table[BY], 2**31 - 1).to_numpy() % self._parts for name, table in whole.items()}
        parts = tuple(
            {name: table.filter(pa.array(places[name] == place)) for name, table in whole.items()}
            for place in range(self._parts)
        )
        return _Held(parts, {name: table.schema for name, table in whole.items()})

    def map(
        self,
        rows: _Held | Sequence[pa.Table],
        work: Work,
        *,
        beside: Mapping[str, pa.Table] | None = None,
        kept: bool = False,  # noqa: ARG002  (all is held)
    ) -> _Held:
        """Do work over each part."""
        parts = rows.parts if isinstance(rows, _Held) else tuple({"rows": table} for table in rows)
        made = tuple({"rows": work({**part, **(beside or {})})} for part in parts)
        return _Held(made, {"rows": made[0]["rows"].schema})

    def merge(self, rows: _Held) -> pa.RecordBatchReader:
        """Return all rows as one stream."""
        return pa.concat_tables(part["rows"] for part in rows.parts).to_reader()

    def close(self) -> None:
        """Do nothing."""
