"""Many rows shared out among the processors, for models that treat each row apart.

Not by the threads that the learning libraries have: LightGBM's wait for each other by spinning, and two models that
answer at the same time would spin against each other.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["in_shares"]

_LEAST = 4_096  # rows for which a thread is worth its while
_MOST = 65_536  # rows handed over at once: bounds memory


def in_shares(answer: Callable[[pa.Table], NDArray[np.float64]], rows: pa.Table) -> NDArray[np.float64]:
    """Return ``answer(rows)``, asked for a share of the rows at a time and several side by side.

    Parameters
    ----------
    answer
        Gives one number, or one row of numbers, for each row, whatever the others are; called from several threads.

    Examples
    --------
    >>> import pyarrow as pa
    >>> in_shares(lambda part: part["x"].to_numpy() * 2.0, pa.table({"x": [1, 2]})).tolist()
    [2.0, 4.0]
    """
    at_once = os.cpu_count() or 1
    share = min(_MOST, max(_LEAST, -(-rows.num_rows // at_once)))
    if rows.num_rows <= share:
        return answer(rows)
    with ThreadPoolExecutor(at_once, thread_name_prefix="share") as pool:
        return np.concatenate(
            list(pool.map(answer, [rows.slice(first, share) for first in range(0, rows.num_rows, share)]))
        )
