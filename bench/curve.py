"""Preparing 1, 5 and 20 million rows with five windows: time against n log n, and the peak of memory."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

from bench import Ratio
from bench.flights import child

__all__ = ["LARGER", "SMALLEST", "curve"]

SMALLEST, LARGER = 1_000_000, (5_000_000, 20_000_000)
_MOST_BYTES = 3 * 2**30


def curve() -> list[Ratio]:
    """Return, for each size, the seconds over those that the smallest lets expect, and the peak over three GiB.

    Each is a process of its own, from a snapshot to a frozen dataset: every row is an event and an example. The largest
    takes minutes, in which a shared machine may become another one: the smallest is measured before and after each.
    """
    with tempfile.TemporaryDirectory(prefix="headway-bench-") as temporary:
        folder = Path(temporary)
        around = [_told(folder, SMALLEST)]
        found = []
        for rows in LARGER:
            told = _told(folder, rows)
            around.append(_told(folder, SMALLEST))
            found += _rows(rows, told, fmean(each["freeze_s"] for each in around[-2:]))
    middle = sorted(around, key=lambda each: each["freeze_s"])[len(around) // 2]
    return [*_rows(SMALLEST, middle, middle["freeze_s"]), *found]


def _told(temporary: Path, rows: int) -> dict[str, Any]:
    folder = temporary / str(rows)
    told: dict[str, Any] = child("bench.one_curve", str(folder), str(rows))[0]
    shutil.rmtree(folder)
    return told


def _rows(rows: int, told: dict[str, Any], smallest_s: float) -> list[Ratio]:
    expected = smallest_s * (rows * math.log(rows)) / (SMALLEST * math.log(SMALLEST))
    return [
        Ratio(
            name=f"curve: {rows // 1_000_000} million rows",
            figure=told["freeze_s"],
            limit=expected,
            ratio=told["freeze_s"] / expected,
            bound=1.0,
            note=f"over n log n from {smallest_s:.1f} s of the smallest; {told['examples']:,} examples, five windows; "
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
