"""Beyond one machine: three verbs over rows that lie elsewhere, and nothing else.

Rows are repartitioned, so that those that belong together lie together; mapped, Arrow to Arrow, wherever they lie; and
merged into one stream here. What is mapped, and by what rows belong together, is for whoever asks: an engine knows
neither tables nor features, and whoever asks knows no scheduler, shuffle, retry or spill. These are the engine's own.

A second engine is a second file like ``ray_cluster.py`` and a class that inherits
:class:`headway.testing.clusters.ClusterContract`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BY", "Cluster", "Rows", "Work"]

BY = "@by"
"""The column by which rows are repartitioned: a whole number, equal for rows that belong together."""

Work = Callable[[Mapping[str, "pa.Table"]], "pa.Table"]
"""What is done where rows lie: from Arrow tables by name to one Arrow table.

It must be a pure function of its rows, in whatever order they come: a part whose worker is lost is computed again.
Given tables without rows it returns one without rows, with the same columns.
"""


Rows: TypeAlias = Any
"""A handle to rows that lie elsewhere, in parts that one worker can hold; only the cluster that gave it can read it."""


class Cluster(Protocol):
    """Where work is done beyond this process; rows are of its own kind, and only it can read them."""

    def repartition(self, rows: Mapping[str, Rows]) -> Rows:
        """Bring together the rows, of all tables, with the same :data:`BY`.

        Returns
        -------
        Rows
            Of which each part is mapped with one table for each name; a table may be without rows.
        """
        ...

    def map(
        self,
        rows: Rows | Sequence[pa.Table],
        work: Work,
        *,
        beside: Mapping[str, pa.Table] | None = None,
        kept: bool = False,
    ) -> Rows:
        """Do work over each part, independently of all others.

        Parameters
        ----------
        rows
            What came of a map (the work gets it under the name ``rows``) or of a repartitioning; or small tables that
            say what is to be read, a part each.
        beside
            Tables that every part gets along, whole; they must be small.
        kept
            Whether what comes of it is used more than once, so that it is held rather than computed again.
        """
        ...

    def merge(self, rows: Rows) -> pa.RecordBatchReader:
        """Return all rows as one stream, in any order.

        Raises
        ------
        HeadwayError
            Whatever the work raised, as if it had been done here.
        """
        ...

    def close(self) -> None:
        """Give back what was taken; a second call does nothing."""
        ...
