"""The demonstration without its installation, against preparing and fitting by hand once."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from bench import Ratio
from bench import reference as by_hand
from bench.flights import child, scratch

__all__ = ["demonstration"]

_BOUND = 12.0
_MOST_BYTES = 4 * 2**30


def demonstration() -> list[Ratio]:
    """Return the seconds of the demonstration over those of the reference, and its memory over four GiB.

    The reference is done before and after, so that a machine that changes its pace meanwhile counts half on each side.
    """
    before = _by_hand_s()
    told, seconds = child("bench.one_demo", str(scratch() / "demo"))
    limit = statistics.mean([before, _by_hand_s()])
    parts = ", ".join(f"{name} {taken:.1f}" for name, taken in told["seconds"].items())
    peak = told["own_bytes"] + told["server_bytes"]
    return [
        Ratio(
            name="demo",
            figure=seconds,
            limit=limit,
            ratio=seconds / limit,
            bound=_BOUND,
            note=f"{told['served']:,} served; {parts}; over reference.sql and one fit of 300 trees",
        ),
        Ratio(
            name="demo: peak memory",
            figure=peak / 2**20,
            limit=_MOST_BYTES / 2**20,
            ratio=peak / _MOST_BYTES,
            bound=1.0,
            unit="MiB",
            note=f"its own {told['own_bytes'] / 2**20:.0f}, the largest it started {told['server_bytes'] / 2**20:.0f}",
        ),
    ]


def _by_hand_s() -> float:
    with tempfile.TemporaryDirectory(prefix="headway-bench-") as folder:
        data_dir = by_hand.lay_out(Path(folder))
        con = by_hand.connect()
        began = time.perf_counter()
        table = by_hand.prepare(con, data_dir)
        prepared = time.perf_counter() - began
        con.close()
    return prepared + by_hand.fit(table).seconds_fit
