"""Preparing 1, 5 and 20 million rows with five windows: time against n log n, and the peak of memory."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path

from bench import Ratio
from bench.flights import child

__all__ = ["SIZES", "curve"]

SIZES = (1_000_000, 5_000_000, 20_000_000)
_MOST_BYTES = 3 * 2**30


def curve() -> list[Ratio]:
    """Return, for each size, the seconds over those that the smallest lets expect, and the peak over three GiB.

    Each is a process of its own, from a snapshot to a frozen dataset: every row is an event and an example.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="headway-bench-") as temporary:
        for rows in SIZES:
            folder = Path(temporary) / str(rows)
            told, _ = child("bench.one_curve", str(folder), str(rows))
            shutil.rmtree(folder)
            found.append((rows, told))
    first_rows, first = found[0]
    ratios = []
    for rows, told in found:
        expected = first["freeze_s"] * (rows * math.log(rows)) / (first_rows * math.log(first_rows))
        ratios += [
            Ratio(
                name=f"curve: {rows // 1_000_000} million rows",
                figure=told["freeze_s"],
                limit=expected,
                ratio=told["freeze_s"] / expected,
                bound=1.0,
                note=f"over n log n from the first; {told['examples']:,} examples, five windows; "
                f"reading the snapshot took {told['collect_s']:.1f} s more",
            ),
            Ratio(
                name=f"curve: {rows // 1_000_000} million rows, memory",
                figure=told["peak_bytes"] / 2**20,
                limit=_MOST_BYTES / 2**20,
                ratio=told["peak_bytes"] / _MOST_BYTES,
                bound=1.0,
                unit="MiB",
                note="the peak of the whole process, reading the snapshot included",
            ),
        ]
    return ratios
