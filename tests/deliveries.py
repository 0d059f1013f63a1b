"""A small business that lives: parcels that may come late, predicted, deployed, answered and tended for two weeks.

Three sources: deliveries (a file a month, later a file a day), the weather at each depot, and the depots themselves. A
depot's name holds what HTML takes for its own, since names come from files. ``lived`` builds the whole in some seconds.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headway.api import Project
from headway.nouns.clock import ReplayClock, parse_moment

if TYPE_CHECKING:
    from pathlib import Path

HARMFUL = '<b>South</b> & "Co" <script>alert(1)</script>'
DEPOTS = ("North", "East", HARMFUL)
FIRST, LIVE, LAST = dt.date(2024, 1, 1), dt.date(2024, 3, 18), dt.date(2024, 3, 26)
ROWS_A_DAY = 48
HOUR = dt.timedelta(hours=1)

BRIEF = """
[decision]
improves = "Which customers are called before their parcel is <i>late</i>?"
action   = "The desk calls the likeliest, an hour before the van leaves"
reaches  = "A list in the desk's queue"
owner    = "Head of <delivery>"
review   = "weekly"

[sources.deliveries]
path     = "data/deliveries/*.csv"
key      = ["delivery"]
time     = "leaves"
licence  = "own"
personal = false
[sources.deliveries.derive]
region   = { from = "depots", match = ["depot"], take = "region" }
[sources.deliveries.known]
"*"      = "leaves - interval 1 day"
late     = "arrived"
arrived  = "arrived"

[sources.weather]
path  = "data/weather/*.csv"
key   = ["depot", "at"]
time  = "at"
known = "at + interval 10 minutes"

[sources.depots]
path = "data/depots.csv"
key  = ["depot"]

[target]
examples       = "deliveries"
predict_at     = "leaves - interval 1 hour"
label          = "late"
label_known_at = "arrived"
act_on         = "top 6 per day"

[features]
depot     = "depot"
distance  = "distance"
hour      = "hour(leaves, 'Europe/Berlin')"
rain      = { from = "weather", match = ["depot"], take = "rain", max_age = "6 hours" }
wind      = { from = "weather", match = ["depot"], take = "wind", max_age = "6 hours" }
late_24h  = { from = "deliveries", match = ["depot"], window = "24 hours", value = "avg(late)" }
busy_6h   = { from = "deliveries", match = ["region"], window = "6 hours" }
carried   = { from = "deliveries", match = ["depot"], window = "3 days", value = "sum(distance)" }
depot_age = { from = "depots", match = ["depot"], value = "year(predict_at, 'UTC') - opened" }

[split]
by              = "time"
zone            = "Europe/Berlin"
train_before    = 2024-02-16
validate_before = 2024-03-02
test_before     = 2024-03-18

[search]
trials     = 2
seed       = 7
algorithms = ["logistic"]

[success]
metric      = "average_precision"
minimum     = 0.05
good_enough = 0.95
segments    = ["depot"]

[baseline]
rule = "late_24h"

[value]
currency       = "EUR"
true_positive  = 20
false_positive = -3
build          = 2000
monthly        = 50
retraining_per_month = 10

[serve]
refresh = "10 minutes"

[retrain]
when             = ["harm", "every 30 days"]
budget_per_month = 2
"""


@dataclass(frozen=True)
class Lived:
    """The project after its two weeks, with what the test may want to compare with."""

    project: Project
    clock: ReplayClock
    ids: dict[int, str]
    corrected: str
    voided: str


_LIVED: list[Lived] = []


def lived_once(folder: Path) -> Lived:
    """Return the business, built by the first who asks in this process."""
    if not _LIVED:
        _LIVED.append(lived(folder))
    return _LIVED[0]


def begun(folder: Path) -> Project:
    """Return the project before its first run."""
    _write(folder, _deliveries())
    return Project.open(folder, clock=ReplayClock(_moment(LIVE)))


def lived(folder: Path, *, last: dt.date = LAST) -> Lived:
    """Build the business in ``folder``: train, deploy, and live until ``last``."""
    return live(begun(folder), last=last, mischief=True)


def live(project: Project, *, last: dt.date, mischief: bool = False) -> Lived:
    """Train, deploy, and live until ``last``; with ``mischief`` releases come and go, and outcomes go astray."""
    deliveries, folder = _deliveries(), project.folder
    clock = project.clock
    assert isinstance(clock, ReplayClock)
    project.run()
    project.deploy(by="Ada", why="The first one <for all>.")
    ids: dict[int, str] = {}
    waiting: list[dict[str, Any]] = []
    corrected = voided = ""
    for offset in range((last - LIVE).days):
        day = LIVE + dt.timedelta(days=offset)
        of_day = [each for each in deliveries if each["leaves"].date() == day]
        _write_day(folder, day, of_day)
        clock.move_to(_moment(day + dt.timedelta(days=1)) - 1_000_000)
        if mischief and offset == 3:
            project.deploy(by="Bob", why="Nobody remembers.")
        elif mischief and offset == 4:
            project.rollback(by="Ada", why="Bob did not ask <anyone>.")
        else:
            project.materialize()
        asked = [{name: each[name] for name in ("delivery", "leaves", "depot", "distance")} for each in of_day]
        answers = project.predict(asked)["id"].to_pylist()
        ids |= dict(zip((each["delivery"] for each in of_day), answers, strict=True))
        waiting += of_day
        clock.move_to(_moment(day + dt.timedelta(days=1)) + 60_000_000)
        known = [each for each in waiting if _us(each["arrived"]) <= clock.now_us()]
        waiting = [each for each in waiting if _us(each["arrived"]) > clock.now_us()]
        told = [
            {"id": ids[each["delivery"]], "label": each["late"], "known_at": _text(each["arrived"])} for each in known
        ]
        if mischief and offset == 0:
            told[0]["label"], voided = None, told[0]["id"]
        if not mischief or day < last - dt.timedelta(days=2):  # then nobody delivers them any more: a real finding
            project.outcomes(told)
        project.tend(refresh=False)
        if mischief and offset == 1:
            wrong, corrected = told[1], told[1]["id"]
            clock.move_to(clock.now_us() + 1_000_000)
            project.outcomes([{**wrong, "label": not wrong["label"], "known_at": _text(_of(clock.now_us()))}])
    return Lived(project=project, clock=clock, ids=ids, corrected=corrected, voided=voided)


def _deliveries() -> list[dict[str, Any]]:
    rng = random.Random(11)
    rows = []
    for offset in range((LAST - FIRST).days):
        day, rough = FIRST + dt.timedelta(days=offset), rng.random() < 0.3
        for _ in range(ROWS_A_DAY):
            leaves = dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(minutes=rng.randrange(5 * 60, 21 * 60))
            depot, distance = rng.choice(DEPOTS), round(rng.uniform(1, 60), 1)
            risk = 0.05 + 0.25 * rough + 0.004 * distance + 0.1 * (depot == "East")
            late = rng.random() < risk
            took = dt.timedelta(minutes=20 + 2 * distance + (90 if late else 0))
            each = {"leaves": leaves, "depot": depot, "distance": distance, "late": late, "arrived": leaves + took}
            rows.append({**each, "rough": rough})
    rows.sort(key=lambda row: row["leaves"])
    return [{"delivery": 1_000 + number, **row} for number, row in enumerate(rows)]


def _write(folder: Path, deliveries: list[dict[str, Any]]) -> None:
    for name in ("deliveries", "weather"):
        (folder / "data" / name).mkdir(parents=True)
    (folder / "headway.toml").write_text(BRIEF)
    rng = random.Random(5)
    with (folder / "data" / "depots.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["depot", "region", "opened"])
        regions = ("town", "country", "country")
        table.writerows([name, regions[at], 1990 + 7 * at] for at, name in enumerate(DEPOTS))
    rough = {each["leaves"].date() for each in deliveries if each["rough"]}
    with (folder / "data" / "weather" / "all.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["depot", "at", "rain", "wind"])
        at = dt.datetime.combine(FIRST, dt.time(), dt.UTC)
        while at.date() < LAST:
            for depot in DEPOTS:
                if rng.random() < 0.9:
                    rain = rng.uniform(2, 9) if at.date() in rough else rng.uniform(0, 3)
                    table.writerow([depot, _text(at), f"{rain:.2f}", rng.choice(["", rng.randrange(60)])])
            at += 2 * HOUR
    for month in (1, 2, 3):
        past = [each for each in deliveries if each["leaves"].month == month and each["leaves"].date() < LIVE]
        _write_file(folder / "data" / "deliveries" / f"2024-{month:02}.csv", past)


def _write_day(folder: Path, day: dt.date, rows: list[dict[str, Any]]) -> None:
    _write_file(folder / "data" / "deliveries" / f"day-{day}.csv", rows)


def _write_file(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["delivery", "leaves", "depot", "distance", "late", "arrived"])
        for row in rows:
            leaves, arrived, late = _text(row["leaves"]), _text(row["arrived"]), str(row["late"]).lower()
            table.writerow([row["delivery"], leaves, row["depot"], row["distance"], late, arrived])


def _text(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _us(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def _of(us: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)


def _moment(day: dt.date) -> int:
    return parse_moment(day.isoformat(), zone="Europe/Berlin")
