"""Small data sets of several shapes, and the way from files to definitions and facts."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.define.draft import draft
from headway.define.feasible import gather
from headway.define.look import look
from headway.nouns.brief_text import parse_brief
from headway.query.resolver import resolve

if TYPE_CHECKING:
    from headway.define.facts import Facts
    from headway.define.looks import Looks
    from headway.nouns.brief import Brief
    from headway.query.definitions import Definitions

NEVER_US = 4_102_444_800_000_000  # the year 2100: everything is known


QUICK_START = Path(__file__).resolve().parents[2] / "docs" / "quickstart.md"
UNTIL = datetime(2025, 1, 1, tzinfo=UTC)


def blocks(language: str) -> list[str]:
    """Return the code of the quick start in one language, in the order of the page."""
    return re.findall(rf"```{language}\n(.*?)```", QUICK_START.read_text(encoding="utf-8"), flags=re.DOTALL)


def _write_orders(path: Path, **how: object) -> None:
    """Write the shop's orders as the quick start does, up to a fixed day."""
    scope = {"__name__": "orders"}
    exec(blocks("python")[0], scope)  # noqa: S102  (our own page, which a reader would run just so)
    scope["write_orders"](path, UNTIL, **how)


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A folder after ``init``: what was seen, what was written, and what it resolves to."""

    folder: Path
    looks: Looks
    text: str
    brief: Brief
    definitions: Definitions
    snapshots: dict
    files: dict

    def facts(self, as_of_us: int = NEVER_US) -> Facts:
        """Gather the facts as of a moment."""
        return gather(self.definitions, self.snapshots, self.files, as_of_us=as_of_us)


def begin_at(folder: Path, *paths: Path, answers=None, change=lambda text: text) -> Begun:
    """Look at files, draft a brief, and take it as far as its definitions, through the real Data stage."""
    looks = look(paths, folder=folder)
    text = change(draft(looks, answers))
    brief = parse_brief(text)
    blobs = FolderBlobs(folder / "blobs")
    snapshots = {name: collect(name, source, folder=folder, store=blobs) for name, source in brief.sources.items()}
    kinds = {name: {column.name: column.kind for column in found.columns} for name, found in snapshots.items()}
    return Begun(
        folder=folder,
        looks=looks,
        text=text,
        brief=brief,
        definitions=resolve(brief, kinds),
        snapshots=snapshots,
        files={name: [blobs.path(part.blob) for part in found.segments] for name, found in snapshots.items()},
    )


@pytest.fixture(name="begin")
def _begin():
    """Hand tests the way from files to definitions."""
    return begin_at


@pytest.fixture(name="begin_once", scope="session")
def _begin_once():
    """Hand fixtures that are shared the same way."""
    return begin_at


@pytest.fixture(name="quick_start", scope="session")
def _quick_start():
    """Hand tests the code of the quick start, by language."""
    return blocks


@pytest.fixture(name="write_orders", scope="session")
def _orders_writer():
    """Hand tests the shop's orders."""
    return _write_orders


@pytest.fixture(name="shop", scope="session")
def _shop(tmp_path_factory) -> Begun:
    """Begin with the shop's orders, and edit nothing."""
    folder = tmp_path_factory.mktemp("shop")
    _write_orders(folder / "orders.csv")
    return begin_at(folder, folder / "orders.csv")


@pytest.fixture(name="airport")
def _airport(tmp_path) -> Path:
    """Like the flights: trips over two days' files, weather by the hour, planes, places; a delay as the outcome."""
    rng = random.Random(3)
    start = datetime(2023, 3, 1, tzinfo=UTC)
    places = {"AAA": (40.1, -73.2), "BBB": (41.5, -74.9), "CCC": (38.2, -80.0), "DDD": (35.2, -90.0)}
    (tmp_path / "trips").mkdir()
    for part in range(2):
        lines = ["sched_dep,carrier,trip_no,tailnum,origin,dest,distance,dep_delay,arr_delay"]
        for hour in range(24 * 30):
            moment = start + timedelta(days=30 * part, hours=hour)
            for number, (carrier, origin) in enumerate((("XX", "AAA"), ("YY", "BBB"), ("XX", "BBB"), ("ZZ", "CCC"))):
                dep = rng.gauss(5 if carrier == "XX" else -5, 20)
                gone = rng.random() < 0.03
                delays = "NA,NA" if gone else f"{dep:.0f},{dep + rng.gauss(0, 18):.0f}"
                dest = rng.choice(["CCC", "DDD", "AAA", "BBB"])
                lines.append(
                    f"{moment:%Y-%m-%dT%H:%M:%SZ},{carrier},{100 + number},N{rng.randrange(40):03d},{origin},{dest},"
                    f"{rng.randrange(200, 2000)},{delays}"
                )
        (tmp_path / "trips" / f"part{part}.csv").write_text("\n".join(lines) + "\n")
    weather = ["origin,time_hour,temp,wind"]
    hours = [start + timedelta(hours=hour) for hour in range(24 * 60)]
    weather += [
        f"{origin},{hour:%Y-%m-%dT%H:%M:%SZ},{rng.gauss(10, 5):.2f},{rng.gauss(9, 3):.2f}"
        for hour in hours
        for origin in ("AAA", "BBB")
    ]
    (tmp_path / "weather.csv").write_text("\n".join(weather) + "\n")
    planes = ["tailnum,seats,maker"] + [f"N{n:03d},{50 + n},{'EMB' if n % 2 else 'AIR'}" for n in range(38)]
    (tmp_path / "planes.csv").write_text("\n".join(planes) + "\n")
    airports = ["faa,lat,lon,alt"] + [
        f"{name},{lat},{lon},{n * 13}" for n, (name, (lat, lon)) in enumerate(places.items())
    ]
    (tmp_path / "airports.csv").write_text("\n".join(airports) + "\n")
    return tmp_path
