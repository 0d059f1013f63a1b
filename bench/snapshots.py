"""A snapshot against plain Parquet writing with the same codec, and the bytes that each kind of change adds.

The table is made once, as CSV and as Parquet, so that the rows, not the reading of text, decide what is compared. Plain
writing is one ``COPY`` of the engine from the same file, with the same codec and row groups, and the same sync to disk.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench import NotBuilt, Ratio, ratio_of

if TYPE_CHECKING:
    import duckdb

__all__ = ["snapshots", "snapshots_of_a_large_table"]

_BOUND = 1.5
_ROWS = 1_000_000
_LARGE_ROWS = 12_500_000  # 1 GB as CSV
_ROW_GROUP = 122_880

# A table as they are: a key, names, categories, amounts, moments, flags; some of it missing.
_COLUMNS = """
    range AS id, 'customer-' || (hash(range) % 5000000) AS customer, 'city ' || (hash(range * 3) % 900) AS city,
    ['web', 'shop', 'phone', 'partner'][(1 + hash(range * 5) % 4)::BIGINT] AS channel,
    round((hash(range * 7) % 1000000) / 997, 2) AS amount, (hash(range * 11) % 40)::BIGINT AS pieces,
    CASE WHEN hash(range * 13) % 10 > 0 THEN round((hash(range * 17) % 100000) / 1000, 3) END AS weight,
    TIMESTAMP '2020-01-01' + to_seconds((hash(range * 19) % 150000000)::BIGINT) AS placed,
    hash(range * 23) % 3 = 0 AS returned
"""


def snapshots() -> list[Ratio]:
    """Return the ratio and the bytes for a table of a million rows."""
    return _measured(_ROWS, repeats=21)


def snapshots_of_a_large_table() -> list[Ratio]:
    """Return the same for a table of about one gigabyte."""
    return [row for row in _measured(_LARGE_ROWS, repeats=3) if row.unit == "s"]


def _measured(rows: int, *, repeats: int) -> list[Ratio]:
    try:
        from headway.blobs import FolderBlobs
        from headway.data.collect import collect
        from headway.nouns.brief import Source
    except ImportError as missing:
        raise NotBuilt(str(missing)) from None
    import duckdb

    con = duckdb.connect(config={"threads": os.cpu_count() or 1})
    with tempfile.TemporaryDirectory(prefix="headway-bench-") as temporary:
        folder = Path(temporary)
        found = []
        for form, options in (("csv", "FORMAT csv, HEADER"), ("parquet", "FORMAT parquet, COMPRESSION snappy")):
            file = folder / f"table.{form}"
            con.execute(f"COPY (SELECT {_COLUMNS} FROM range({rows})) TO '{file}' ({options})")
            stores = iter(range(1_000))
            size = file.stat().st_size / 1e6
            found.append(
                ratio_of(
                    f"snapshot: {form}",
                    lambda path=file.name, stores=stores: collect(
                        "s",
                        Source(path=path),
                        folder=folder,
                        store=FolderBlobs(folder / f"blobs-{path}-{next(stores)}"),
                    ),
                    lambda file=file: _plain(con, file, folder / "plain.parquet"),
                    bound=_BOUND,
                    repeats=repeats,
                    note=f"{rows:,} rows, {size:,.0f} MB as {form}, over COPY to Parquet (zstd) of the same file",
                )
            )
        if rows == _ROWS:
            found += _changes(con, folder, rows)
    con.close()
    return found


def _plain(con: duckdb.DuckDBPyConnection, file: Path, target: Path) -> None:
    reader = "read_csv" if file.suffix == ".csv" else "read_parquet"
    con.execute(
        f"COPY (SELECT * FROM {reader}('{file}')) TO '{target}' "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
    )
    with target.open("rb") as written:
        os.fsync(written.fileno())


def _changes(con: duckdb.DuckDBPyConnection, folder: Path, rows: int) -> list[Ratio]:
    """Return the bytes that each change of a file that is dumped again whole adds, beside what it may add."""
    from headway.blobs import FolderBlobs
    from headway.data.collect import collect
    from headway.nouns.brief import Source

    blobs = FolderBlobs(folder / "changing")
    source, file = Source(path="table.parquet"), folder / "table.parquet"
    base = collect("s", source, folder=folder, store=blobs)
    size = sum(blob.size_bytes for blob in blobs.listed())
    some = f"hash(id) % {rows // 100} = 7"
    more = f"hash(id) % {rows // 100} = 8"
    changes = {
        "100 rows edited": ("SELECT * REPLACE (CASE WHEN {some} THEN -1.5 ELSE amount END AS amount) FROM old", 50e3),
        "100 rows taken out": ("SELECT * FROM old WHERE NOT ({more})", 50e3),
        "1 % more rows": (
            f"SELECT * FROM old UNION ALL SELECT {_COLUMNS} FROM range({rows}, {rows * 101 // 100})",
            0.015 * size,
        ),
        "another order": ("SELECT * FROM old ORDER BY hash(id * 29)", 1e3),
    }
    con.execute(f"CREATE TABLE old AS SELECT * FROM read_parquet('{file}')")
    found = []
    for name, (text, limit) in changes.items():
        con.execute(f"COPY ({text.replace('{some}', some).replace('{more}', more)}) TO '{file}' (FORMAT parquet)")
        before = sum(blob.size_bytes for blob in blobs.listed())
        collect("s", source, folder=folder, store=blobs, previous=base)
        added = sum(blob.size_bytes for blob in blobs.listed()) - before
        found.append(
            Ratio(
                name=f"snapshot: {name}",
                figure=added / 1e3,
                limit=limit / 1e3,
                ratio=added / limit,
                bound=1.0,
                unit="kB",
                note=f"dumped again whole; the base takes {size / 1e6:,.1f} MB",
            )
        )
    return found
