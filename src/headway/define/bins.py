"""Features cut into bins, as indicator columns: what a quick model and a look at one feature alone both start from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["binned", "is_text"]


def is_text(column: pa.ChunkedArray) -> bool:
    """Whether a column holds categories rather than numbers."""
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def binned(column: pa.ChunkedArray, *, quantiles: int = 16, categories: int = 63) -> tuple[Ints, int]:
    """Return a bin for each value, and how many bins there are; bin 0 is 'missing'.

    Numbers are cut at their quantiles; of texts the commonest have a bin each, and bin 1 is all others.

    Examples
    --------
    >>> binned(pa.chunked_array([pa.array(["a", None, "b", "a"])]))[0].tolist()
    [2, 0, 3, 2]
    """
    if is_text(column):
        return _of_texts(column, categories)
    values = column.to_numpy().astype(np.float64)
    there = np.isfinite(values)
    if not there.any():
        return np.zeros(len(values), dtype=np.int64), 1
    edges = np.unique(np.quantile(values[there], np.linspace(0, 1, quantiles + 1)[1:-1], method="lower"))
    return np.where(there, 1 + np.searchsorted(edges, values, side="left"), 0), len(edges) + 2


def _of_texts(column: pa.ChunkedArray, categories: int) -> tuple[Ints, int]:
    encoded = pc.dictionary_encode(column.combine_chunks())
    index = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    counts = np.bincount(index[index >= 0], minlength=len(encoded.dictionary))
    place = np.full(len(counts) + 1, 1, dtype=np.int64)  # 1: one of the many rare ones
    common = np.argsort(-counts, kind="stable")[:categories]
    place[common] = np.arange(len(common)) + 2
    place[-1] = 0
    return place[index], len(common) + 2
