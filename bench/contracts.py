"""How fast a table is profiled and held to its contract, against a bare scan of the same columns."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import Ratio, by_turns
from bench.plants import flights
from headway.data.contract import check_part
from headway.data.profiles import build_reference, kinds_in, profile
from headway.nouns.contract import infer
from headway.query.database import Database

__all__ = ["contract"]

_TIMES = 6


def contract(*, repeats: int = 3) -> Ratio:
    """Return the seconds of profiling and checking two million flights over those of hashing their columns."""
    with Database(threads=2) as database, tempfile.TemporaryDirectory(prefix="headway-bench-") as folder:
        bed = flights(database)[0]
        path = Path(folder) / "flights.parquet"
        again = f"SELECT f.* FROM {bed.relation} f, range({_TIMES})"
        database.execute(f"COPY ({again}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        relation = f"read_parquet('{path}', file_row_number = true)"
        plain = f"read_parquet('{path}')"
        kinds = kinds_in(database, plain)
        rows = database.rows(f"SELECT count(*) FROM {plain}")[0][0]
        reference = build_reference(database, bed.relation, kinds, time=bed.time)
        agreed = infer("flights", reference)

        def checked() -> None:
            part = profile(database, relation, kinds, time=bed.time, row="file_row_number")
            check_part(database, plain, part, contract=agreed, reference=reference)

        def scanned() -> None:
            columns = ", ".join(f'max(hash("{name}"))' for name in kinds)
            database.rows(f"SELECT {columns} FROM {plain}")

        checked()
        scanned()
        mine, bare = by_turns(checked, scanned, repeats=repeats)
    return Ratio(
        name="contract",
        figure=mine,
        limit=bare,
        ratio=mine / bare,
        note=f"{rows:,} rows of {len(kinds)} columns at {rows / mine / 1e6:.2f} million rows/s",
    )
