"""A small shop whose parcels are late, and a ``headway`` in a process of its own."""

from __future__ import annotations

import csv
import datetime as dt
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Headway = Callable[..., subprocess.CompletedProcess[str]]

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
DAYS = 120

BRIEF = """\
[decision]
improves = "Which parcels are sent by express instead?"
action   = "The packing desk works the list from the highest risk down"
reaches  = "Packing desk screen"
owner    = "Head of logistics"
review   = "weekly"

[sources.orders]
path  = "orders.csv"
key   = ["order"]
time  = "placed"
known = { "*" = "placed", late = "delivered", delivered = "delivered" }

[target]
examples       = "orders"
predict_at     = "placed"
label          = "late"
label_known_at = "delivered"
act_on         = "top 5 per day"

[features]
region = "region"
weight = "weight"
hour   = "hour(placed, 'UTC')"
late_7 = { from = "orders", match = ["region"], window = "7 days", value = "avg(late)" }

[split]
by              = "time"
train_before    = 2024-03-01
validate_before = 2024-03-20
test_before     = 2024-04-20

[search]
trials     = 4
algorithms = ["logistic", "lightgbm"]

[success]
metric      = "average_precision"
minimum     = 0.05
good_enough = 0.99
segments    = ["region"]

[baseline]
rule = "late_7"

[value]
currency       = "EUR"
true_positive  = 12
false_positive = -3

[serve]
refresh = "10 minutes"
"""


def write_orders(path: Path, *, rows: int, days: int = DAYS, seed: int = 3) -> None:
    """Write the shop's orders: late more often in the north, when heavy, and late in the day."""
    rng = random.Random(seed)
    moments = sorted(rng.randrange(days * 86_400) for _ in range(rows))
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["order", "placed", "region", "weight", "delivered", "late"])
        for number, second in enumerate(moments):
            placed = START + dt.timedelta(seconds=second)
            region = rng.choice(["north", "south", "east"])
            weight = round(rng.uniform(0, 30), 2)
            late = rng.random() < 0.02 + 0.2 * (region == "north") + weight / 100 + 0.15 * (placed.hour > 17)
            delivered = placed + dt.timedelta(hours=20 + 40 * late)
            table.writerow([number, _text(placed), region, weight, _text(delivered), str(late).lower()])


def _text(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def headway() -> Headway:
    """Run ``python -m headway`` as a person would, and return what it wrote and its exit code."""

    def call(*words: str | Path, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "headway", *map(str, words)],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )

    return call


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a shop as it is before anything was run: a brief and 3,000 orders."""
    folder = tmp_path_factory.mktemp("shop")
    write_orders(folder / "orders.csv", rows=3_000)
    (folder / "headway.toml").write_text(BRIEF)
    return folder


@pytest.fixture(scope="session")
def deployed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the same shop, run and deployed as on 20 April 2024; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("deployed") / "shop"
    shutil.copytree(prepared, folder)
    for command in (["run"], ["deploy", "--by", "Ada"]):
        words = [sys.executable, "-m", "headway", *command, "--as-of", "2024-04-20"]
        ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
        assert ran.returncode == 0, ran.stderr
    return folder


@pytest.fixture
def shop(prepared: Path, tmp_path: Path) -> Path:
    """Make a shop of one's own, before anything was run."""
    return Path(shutil.copytree(prepared, tmp_path / "shop"))


@pytest.fixture
def live(deployed: Path, tmp_path: Path) -> Path:
    """Make a shop of one's own with a release in service."""
    return Path(shutil.copytree(deployed, tmp_path / "live"))
