"""``python -m bench.one_curve FOLDER ROWS``: make so many payments, prepare them, and write what it took as JSON.

A process of its own, because the peak of its memory is asked for.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

__all__ = ["BRIEF", "lay_out", "main"]

_END_US = 1_704_240_000_000_000  # 3 January 2024: the last payment's truth is known
BRIEF = """
[sources.payments]
path = "payments.parquet"
key = ["id"]
time = "at"
[sources.payments.known]
"*" = "at"
bad = "told"
told = "told"
[target]
examples = "payments"
predict_at = "at"
label = "bad"
label_known_at = "told"
act_on = "score > 0.5"
[features]
paid    = "amount"
often   = { from = "payments", match = ["customer"], window = "7 days" }
spent   = { from = "payments", match = ["customer"], window = "30 days", value = "sum(amount)" }
highest = { from = "payments", match = ["customer"], window = "90 days", value = "max(amount)" }
busy    = { from = "payments", match = ["shop"], window = "1 day" }
risky   = { from = "payments", match = ["shop"], window = "30 days", value = "avg(bad)" }
[split]
train_before = 2023-09-01
validate_before = 2023-11-01
test_before = 2024-01-01
[success]
minimum = 0.1
good_enough = 0.9
[baseline]
rule = "risky"
"""


def lay_out(folder: Path, rows: int) -> None:
    """Write a year of payments, in the order in which they happened: a hundred a customer, ten thousand a shop."""
    import duckdb

    con = duckdb.connect(config={"memory_limit": "1GiB", "threads": 2})
    con.execute("SET enable_progress_bar = false")
    con.execute(
        f"""COPY (
            SELECT i AS id, 'c' || (hash(i) % {max(1, rows // 100)}) AS customer,
                   's' || (hash(i + 1e9::BIGINT) % {max(1, rows // 10_000)}) AS shop,
                   make_timestamp(1672531200000000 + i * (31536000000000 // {rows})) AS at,
                   (hash(i + 2e9::BIGINT) % 100000) / 100.0::DOUBLE AS amount,
                   hash(i + 3e9::BIGINT) % 50 = 0 AS bad,
                   make_timestamp(1672531200000000 + i * (31536000000000 // {rows})) + INTERVAL 1 DAY AS told
            FROM range({rows}) t(i)
        ) TO '{folder / "payments.parquet"}' (FORMAT parquet, COMPRESSION zstd)"""
    )
    con.close()


def main(folder: str, rows: str) -> None:
    """Lay the payments out, take the snapshot, and freeze."""
    from headway.blobs import FolderBlobs
    from headway.data.collect import collect
    from headway.data.freeze import freeze
    from headway.nouns.brief_text import parse_brief
    from headway.query.parts import parts_of
    from headway.query.resolver import resolve

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    lay_out(place, int(rows))
    brief, blobs = parse_brief(BRIEF), FolderBlobs(place / "blobs")
    began = time.perf_counter()
    snapshots = {name: collect(name, source, folder=place, store=blobs) for name, source in brief.sources.items()}
    collected = time.perf_counter()
    peak = _peak_bytes()
    definitions = resolve(brief, {name: {c.name: c.kind for c in found.columns} for name, found in snapshots.items()})
    files = {name: parts_of(snapshot, blobs) for name, snapshot in snapshots.items()}
    dataset = freeze(definitions, snapshots, files, as_of_us=_END_US, store=blobs, threads=2)
    told = {
        "collect_s": collected - began,
        "freeze_s": time.perf_counter() - collected,
        "collect_bytes": peak,
        "peak_bytes": _peak_bytes(),
        "examples": sum(count.examples for count in dataset.splits),
        "table": dataset.table,
    }
    print(json.dumps(told))


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
