"""Leaks planted into real flights: each is refused, stops the run, or is kept out of the dataset; clean data pass."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from headway.api import Project
from headway.errors import DataError
from headway.nouns.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

AS_OF = "2013-06-25"
HEAT = "999.0"


def _change(folder: Path, changes: dict[str, str]) -> None:
    brief = folder / "headway.toml"
    text = brief.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the brief"
        text = text.replace(old, new)
    brief.write_text(text, encoding="utf-8")


def _rewrite(path: Path, change: Callable[[dict[str, str]], None]) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def _frozen(folder: Path) -> tuple[Dataset, pa.Table]:
    """Run the project, and return its dataset with the table."""
    with Project.open(folder, as_of=AS_OF) as project:
        dataset = project.store.get(project.run().dataset, Dataset)
        return dataset, pq.read_table(project.store.blobs.path(dataset.table))


def test_clean_flights_pass_every_leak_check(small_ran_once) -> None:
    """The control: the very project that the traps are set in trips none of them."""
    assert small_ran_once.report.leaks_failed == ()
    assert small_ran_once.report.leaks_checked > 20
    assert small_ran_once.report.passed


def test_the_arrival_delay_as_a_feature_is_refused_by_when_it_is_known(small) -> None:
    """The brief says that it is known at arrival; it cannot be told two hours before departure."""
    _change(small, {'distance  = "distance"': 'distance  = "arr_delay"'})
    with (
        Project.open(small, as_of=AS_OF) as project,
        pytest.raises(DataError, match=r"'arr_delay' is not known at predict_at .* may not look into the future"),
    ):
        project.run()


def test_the_arrival_delay_declared_as_known_early_stops_the_run(small) -> None:
    """Where the brief is wrong about when it is known, the data give it away: alone it solves the target."""
    _change(small, {'distance  = "distance"': 'distance  = "arr_delay"', 'arr_delay  = "actual_arr"\n': ""})
    with Project.open(small, as_of=AS_OF) as project:
        with pytest.raises(DataError, match=r"'distance' is too good to be true"):
            project.run()
        assert project.runs()["state"].to_pylist() == ["failed"]


def test_rows_after_the_cut_off_change_no_byte_of_the_dataset(small, small_ran_once) -> None:
    """The file holds flights of the days after the run's moment; what they say, and what arrived since, is not seen."""

    def scramble(row: dict[str, str]) -> None:
        if row["month"] == "6" and int(row["day"]) >= 25:
            row["arr_delay"] = row["dep_delay"] = "777"

    _rewrite(small / "data" / "flights" / "spring.csv", scramble)
    with Project.open(small_ran_once.folder) as project:
        clean = project.store.get(small_ran_once.report.dataset, Dataset)
    trapped, table = _frozen(small)
    assert trapped.snapshots["flights"] != clean.snapshots["flights"]
    assert trapped.table == clean.table
    assert pc.max(table["predict_at"]).as_py() <= 1_372_132_800_000_000  # 25 June, midnight in New York


@pytest.mark.parametrize("late", [False, True])
def test_a_measurement_that_arrived_late_is_not_looked_up(small, late) -> None:
    """Its time is in the past, but it came two days later; had it come in ten minutes, flights would have had it."""

    def publish(row: dict[str, str]) -> None:
        moment = row["time_hour"]
        row["available_at"] = moment.replace(":00:00", ":10:00")
        if (row["month"], row["day"], row["hour"]) == ("6", "12", "15"):
            row["temp"] = HEAT
            row["available_at"] = "2013-06-14T00:00:00Z" if late else row["available_at"]

    _rewrite(small / "data" / "weather" / "spring.csv", publish)
    _change(small, {'known    = "time_hour + interval 10 minutes"': 'known    = "available_at"'})
    _, table = _frozen(small)
    hot = pc.sum(pc.equal(table["feature:temp"], float(HEAT))).as_py()
    assert (hot == 0) if late else (hot > 5)


def test_an_example_copied_across_the_splits_is_refused(small) -> None:
    """The same flight twice would be learned from and judged on; it is named by its key."""
    path = small / "data" / "flights" / "spring.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join([*lines, lines[5]]), encoding="utf-8")
    with Project.open(small, as_of=AS_OF) as project, pytest.raises(DataError, match="have the one key"):
        project.run()


def test_a_value_that_is_known_only_after_the_flight_is_told_by_an_earlier_file_and_by_flights_that_never_flew(
    small,
) -> None:
    """The time in the air, said to be known a month before: the file of 15 June lacked it, and cancelled flights do."""
    _change(small, {'distance  = "distance"': 'distance  = "air_time"', 'air_time   = "actual_arr"\n': ""})
    path = small / "data" / "flights" / "spring.csv"
    whole = path.read_bytes()

    def not_flown_yet(row: dict[str, str]) -> None:
        if (int(row["month"]), int(row["day"])) >= (6, 15):
            row["air_time"] = "NA"

    _rewrite(path, not_flown_yet)
    with Project.open(small, as_of="2013-06-15") as project:
        project.material()
    path.write_bytes(whole)
    with Project.open(small, as_of=AS_OF) as project:
        failed = project.run().leaks_failed
    assert [line.split(": ")[1:3] for line in sorted(failed)] == [
        ["known only after", "flights.air_time"],
        ["missing without an outcome", "distance"],
    ]
