"""The deliveries, lived once for all tests of a process."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if "deliveries" not in sys.modules:  # tests are no package; whoever comes first loads it for all
    _spec = importlib.util.spec_from_file_location("deliveries", Path(__file__).parent.parent / "deliveries.py")
    assert _spec is not None
    assert _spec.loader is not None
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["deliveries"] = _module
    _spec.loader.exec_module(_module)

import deliveries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headway.api import Project


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> deliveries.Lived:
    """Return the business after its first days in service."""
    return deliveries.lived_once(tmp_path_factory.mktemp("deliveries"))


@pytest.fixture
def begun(tmp_path: Path) -> Project:
    """Return a project of which nothing but the brief is there."""
    return deliveries.begun(tmp_path)


PERSON = "Zebulon Quirrelmoss"


def _with_customers(folder: Path) -> None:
    """Give each delivery a customer, of whom one has a name that stands nowhere else."""
    names = [f"Customer {number:03}" for number in range(60)] + [PERSON]
    for path in sorted((folder / "data" / "deliveries").glob("*.csv")):
        header, *lines = path.read_text().splitlines()
        if "customer" not in header:
            named = [f"{line},{names[int(line.split(',')[0]) % len(names)]}" for line in lines]
            path.write_text("\n".join([f"{header},customer", *named]) + "\n")
    listed = [f"{name},{'gold' if number % 3 else 'plain'}" for number, name in enumerate(names)]
    (folder / "data" / "customers.csv").write_text("\n".join(["customer,tier", *listed]) + "\n")
    brief = deliveries.BRIEF.replace("[target]", _CUSTOMERS).replace('hour      = "hour', _FEATURES)
    (folder / "headway.toml").write_text(brief)


_CUSTOMERS = """[sources.customers]
path = "data/customers.csv"
key  = ["customer"]

[target]"""
_FEATURES = """tier      = { from = "customers", match = ["customer"], take = "tier" }
often     = { from = "deliveries", match = ["customer"], window = "3 days" }
hour      = "hour"""


@pytest.fixture(scope="session")
def _shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    with deliveries.begun(folder) as project:
        _with_customers(folder)
        project.run()
        project.deploy(by="Ada", why="First.")
        day = [each for each in deliveries._deliveries() if each["leaves"].date() == deliveries.LIVE]
        deliveries._write_day(folder, deliveries.LIVE, day)
        _with_customers(folder)
        project.clock.move_to(deliveries._moment(deliveries.LIVE) + 86_340_000_000)  # type: ignore[attr-defined]
        project.materialize()
        names = [f"Customer {number:03}" for number in range(60)] + [PERSON]
        asked = [
            {name: each[name] for name in ("delivery", "leaves", "depot", "distance")}
            | {"customer": names[each["delivery"] % len(names)]}
            for each in day
        ]
        ids = project.predict(asked)["id"].to_pylist()
        project.clock.move_to(deliveries._moment(deliveries.LIVE) + 3 * 86_400_000_000)  # type: ignore[attr-defined]
        told = [
            {"id": known, "label": each["late"], "known_at": deliveries._text(each["arrived"])}
            for known, each in zip(ids, day, strict=True)
        ]
        project.outcomes(told)
    return folder


@pytest.fixture
def shop(_shop: Path, tmp_path: Path) -> Iterator[Project]:
    """Return a project of its own with customers, one of them called PERSON: trained, deployed, asked, told."""
    from headway.api import Project

    shutil.copytree(_shop, tmp_path / "shop")
    with Project.open(tmp_path / "shop", clock=deliveries.ReplayClock(deliveries._moment(deliveries.LAST))) as project:
        yield project
