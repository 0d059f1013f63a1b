"""What is known of the flights of 2013, and must come out of the demo's brief: counts, instants, staleness, splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import headway
from headway.data.freeze import freeze, load, to_examples
from headway.nouns.brief_text import parse_brief
from headway.query.database import Database
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve


@pytest.fixture(scope="module")
def engine(flights):
    """Return a database, and the flights in it as the definitions see them."""
    with Database() as database:
        yield database, PointInTime(database, flights.definitions, flights.files)


@pytest.fixture(scope="module")
def examples(engine, flights):
    """Return the table of all examples with their features."""
    database, point_in_time = engine
    return database, point_in_time.examples(as_of_us=flights.as_of_us)


def _derived(flights, point_in_time) -> str:
    """Return the flights with all their derived columns."""
    (segment,) = flights.files["flights"]
    return point_in_time.relation_sql(flights.definitions.relations["flights"], f"read_parquet('{segment}')")


def _count(database, sql) -> int:
    return database.rows(f"SELECT count(*) FROM {sql}")[0][0]


def test_all_rows_are_collected_with_their_kinds(flights) -> None:
    """336,776 flights, 26,115 hours of weather, 3,322 planes, 1,458 airports."""
    assert {name: snapshot.rows for name, snapshot in flights.snapshots.items()} == {
        "flights": 336_776,
        "weather": 26_115,
        "planes": 3_322,
        "airports": 1_458,
    }
    kinds = {column.name: column.kind for column in flights.snapshots["flights"].columns}
    assert kinds["dep_delay"] == kinds["sched_arr_time"] == "int"
    assert kinds["tailnum"] == "text"


def test_the_counts_of_the_joins_are_the_known_ones(examples) -> None:
    """No plane row 52,606; no airport row 7,602; no departure delay 8,255; void 9,430."""
    database, table = examples
    assert _count(database, table) == 336_776
    # Of the planes found 5,306 have no year: 57,912 - 5,306 = 52,606.
    assert _count(database, f'{table} WHERE "feature:plane_age" IS NULL') == 52_606 + 5_306
    assert _count(database, f'{table} WHERE "feature:haul_km" IS NULL') == 7_602
    assert _count(database, f'{table} WHERE "@label" IS NULL') == 9_430


def test_planes_and_departures_are_missing_as_often_as_is_known(engine, flights) -> None:
    """Counted on the sources, by a plain anti-join."""
    database, point_in_time = engine
    rows, planes = point_in_time.table("flights"), point_in_time.table("planes")
    assert _count(database, f"{rows} ANTI JOIN {planes} USING (tailnum)") == 52_606
    (segment,) = flights.files["flights"]
    assert _count(database, f"read_parquet('{segment}') WHERE dep_delay IS NULL") == 8_255


def test_every_flight_has_weather_as_of_but_not_of_the_very_hour(engine, flights) -> None:
    """1,556 have none of the exact hour; as of two hours before departure, each has some."""
    database, point_in_time = engine
    rows, weather = point_in_time.table("flights"), point_in_time.table("weather")
    exact = f"{rows} x ANTI JOIN {weather} w ON x.origin = w.origin AND date_trunc('hour', x.sched_dep) = w.time_hour"
    assert _count(database, exact) == 1_556
    timeline = next(t for t in flights.definitions.timelines if t.source == "weather")
    steps = point_in_time.steps(timeline)
    found = (
        f"(SELECT x.origin, x.sched_dep - INTERVAL 130 MINUTE AS t FROM {rows} x) x "
        f'ASOF LEFT JOIN {steps} s ON x.origin = s."@key0" AND x.t >= s."@at" WHERE s."@at" IS NULL'
    )
    assert _count(database, found) == 0


def test_weather_of_the_last_two_days_is_stale_and_max_age_shows_it(examples, flights) -> None:
    """The file ends on 30 December: 776 flights of the 31st find only what is older than six hours."""
    database, table = examples
    stale = next(timeline.stale for timeline in flights.definitions.timelines if timeline.stale)
    where = f'{table} WHERE "{stale}"'
    assert _count(database, where) == 776
    assert _count(database, f'{where} AND "feature:temp" IS NOT NULL') == 0
    assert _count(database, f"{where} AND (month, day) <> (12, 31)") == 0
    assert flights.dataset.stale["temp"] == 776
    assert flights.dataset.missing["precip"] == 776


NAMED = [
    # carrier, flight, origin, local date: scheduled departure, scheduled arrival, actual arrival (UTC)
    ("UA", 1545, "EWR", (1, 1), "2013-01-01 10:15", "2013-01-01 14:19", "2013-01-01 14:30"),
    ("HA", 51, "JFK", (1, 4), "2013-01-04 14:00", "2013-01-05 01:30", "2013-01-05 01:16"),
    ("HA", 51, "JFK", (7, 15), "2013-07-15 14:00", "2013-07-16 00:30", "2013-07-16 00:11"),
    ("US", 245, "EWR", (1, 4), "2013-01-04 11:30", "2013-01-04 17:14", "2013-01-04 17:04"),
    ("US", 15, "JFK", (7, 15), "2013-07-15 10:45", "2013-07-15 16:08", "2013-07-15 16:01"),
    ("UA", 1071, "EWR", (1, 4), "2013-01-05 01:59", "2013-01-05 05:50", "2013-01-05 06:09"),
    ("B6", 745, "JFK", (7, 4), "2013-07-05 03:59", "2013-07-05 07:50", "2013-07-05 09:01"),
    ("B6", 35, "JFK", (3, 9), "2013-03-10 02:45", "2013-03-10 05:34", "2013-03-10 07:03"),
    ("B6", 713, "JFK", (3, 9), "2013-03-10 02:55", "2013-03-10 06:42", "2013-03-10 07:44"),
    ("B6", 727, "JFK", (3, 9), "2013-03-10 04:59", "2013-03-10 08:38", "2013-03-10 09:04"),
    ("B6", 1503, "JFK", (11, 2), "2013-11-03 03:59", "2013-11-03 07:40", "2013-11-03 07:50"),
    ("VX", 413, "JFK", (11, 2), "2013-11-02 20:55", "2013-11-03 03:15", "2013-11-03 08:14"),
]


@pytest.mark.parametrize("flight", NAMED, ids=lambda flight: f"{flight[0]}{flight[1]}-{flight[3][0]}-{flight[3][1]}")
def test_named_flights_are_right_in_utc(engine, flights, flight) -> None:
    """Over midnight, through changes of the clock, to zones without summer time and airports without a row."""
    database, point_in_time = engine
    carrier, number, origin, (month, day), *instants = flight
    found = database.rows(
        f"SELECT strftime(sched_dep, '%Y-%m-%d %H:%M'), strftime(sched_arr, '%Y-%m-%d %H:%M'), "
        f"strftime(actual_arr, '%Y-%m-%d %H:%M') FROM ({_derived(flights, point_in_time)}) "
        "WHERE carrier = ? AND flight = ? AND origin = ? AND month = ? AND day = ?",
        [carrier, number, origin, month, day],
    )
    assert found == [tuple(instants)]


def test_the_splits_are_counted_with_their_embargo(flights) -> None:
    """137 flights asked about before 1 July landed after its midnight: they train nothing."""
    counts = {count.name: count for count in flights.dataset.splits}
    found = {name: (c.examples, c.positives, c.void, c.embargoed, c.days) for name, c in counts.items()}
    assert found == {
        "train": (160_541, 26_870, 5_480, 137, 181),
        "validate": (41_296, 9_441, 1_498, 94, 45),
        "test": (42_618, 3_962, 769, 51, 47),
        "after": (82_609, 11_054, 1_683, 0, 92),
    }
    assert sum(c.void for c in counts.values()) == 9_430
    assert sum(c.examples + c.void + c.embargoed for c in counts.values()) == 336_776


def test_the_frozen_table_is_in_order_and_in_shape(flights) -> None:
    """By predict_at and key; features are float32 or text; labels are there."""
    table = load(flights.blobs.path(flights.dataset.table), splits=["train", "validate", "test"])
    found = to_examples(table, flights.dataset.features)
    assert len(found) == flights.dataset.rows - flights.dataset.split("after").examples
    assert np.all(np.diff(found.predict_at) >= 0)
    assert {str(kind) for kind in found.features.schema.types} == {"float", "string"}
    assert set(np.unique(found.label)) == {0.0, 1.0}
    assert found.key.column_names == ["carrier", "flight", "origin", "sched_dep"]
    assert found.segments.column_names == ["origin", "carrier"]


@pytest.mark.parametrize("threads", [1, 4])
def test_the_dataset_has_the_same_bytes_on_any_number_of_threads(flights, threads) -> None:
    """Sums are exact and orders total, so nothing depends on who came first."""
    again = freeze(
        flights.definitions,
        flights.snapshots,
        flights.files,
        as_of_us=flights.as_of_us,
        store=flights.blobs,
        threads=threads,
    )
    assert again.digest == flights.dataset.digest


def _split(path, folder, cuts):
    """Cut a Parquet file into several at the given rows."""
    table, paths = pq.read_table(path), []
    for number, (first, last) in enumerate(zip([0, *cuts], [*cuts, table.num_rows], strict=True)):
        paths.append(folder / f"part-{path.stem[:8]}-{number}.parquet")
        pq.write_table(table.slice(first, last - first), paths[-1])
    return paths


def test_the_dataset_does_not_depend_on_how_rows_are_cut_into_files(flights, tmp_path) -> None:
    """The same rows over one file or many, in whatever order of files."""
    files = {name: list(paths) for name, paths in flights.files.items()}
    files["flights"] = _split(files["flights"][0], tmp_path, [1, 1000, 50_000, 200_000])[::-1]
    files["weather"] = _split(files["weather"][0], tmp_path, [7, 9_000])
    again = freeze(flights.definitions, flights.snapshots, files, as_of_us=flights.as_of_us, store=flights.blobs)
    assert again.table == flights.dataset.table
    assert again.splits == flights.dataset.splits


SPRING_US = 1_364_774_400_000_000  # 2013-04-01 00:00 UTC
SPRING = ("2013-07-01", "2013-02-10"), ("2013-08-15", "2013-02-24"), ("2013-10-01", "2013-03-15")


def _early(flights):
    """Return the demo's definitions with splits in the first quarter."""
    text = (Path(headway.__file__).parent / "demo" / "headway.toml").read_text()
    for old, new in SPRING:
        assert old in text
        text = text.replace(old, new)
    kinds = {name: {c.name: c.kind for c in s.columns} for name, s in flights.snapshots.items()}
    return resolve(parse_brief(text), kinds)


def _as_known(flights, engine, folder, *, scrambled: bool):
    """Return files with only what was known on 1 April: late columns blanked, or filled with nonsense."""
    database, point_in_time = engine
    (hours,) = flights.files["weather"]
    moment = f"make_timestamp({SPRING_US}::BIGINT)"
    relation = flights.definitions.relations["flights"]
    full = f"({_derived(flights, point_in_time)})"
    late = {"dep_time": "actual_dep", "dep_delay": "actual_dep"}
    late |= dict.fromkeys(["arr_time", "arr_delay", "air_time"], "actual_arr")
    # Later than it was, so that it stays unknown; and what was cancelled in the future flies after all.
    noise = "CAST(hash(flight, sched_dep) % 700 AS BIGINT)"

    def future(name: str) -> str:
        wrong = f"CASE WHEN {late[name]} > {moment} THEN {name} + {noise} WHEN sched_dep > {moment} THEN {noise} END"
        return f"CASE WHEN {late[name]} <= {moment} THEN {name} ELSE {wrong if scrambled else 'NULL'} END AS {name}"

    columns = ", ".join(future(name) if name in late else f'"{name}"' for name in relation.raw)
    kept = "TRUE" if scrambled else f"sched_dep - INTERVAL 30 DAY <= {moment}"
    paths = {name: list(files) for name, files in flights.files.items()}
    paths["flights"] = [folder / f"flights-{scrambled}.parquet"]
    database.execute(f"COPY (SELECT {columns} FROM {full} WHERE {kept}) TO '{paths['flights'][0]}' (FORMAT parquet)")
    paths["weather"] = [folder / f"weather-{scrambled}.parquet"]
    seen = f"time_hour + INTERVAL 10 MINUTE <= {moment}"
    temp = "temp * -7 + 400" if scrambled else "temp"
    database.execute(
        f"COPY (SELECT * REPLACE (CASE WHEN {seen} THEN temp ELSE {temp} END AS temp) FROM read_parquet('{hours}') "
        f"WHERE {'TRUE' if scrambled else seen}) TO '{paths['weather'][0]}' (FORMAT parquet)"
    )
    return paths


def test_a_dataset_of_an_earlier_moment_equals_one_from_files_that_end_there(flights, engine, tmp_path) -> None:
    """Frozen as of 1 April, the year's files and files that know no more than 1 April did give the same bytes."""
    early = _early(flights)
    whole = freeze(early, flights.snapshots, flights.files, as_of_us=SPRING_US, store=flights.blobs)
    known = _as_known(flights, engine, tmp_path, scrambled=False)
    ended = freeze(early, flights.snapshots, known, as_of_us=SPRING_US, store=flights.blobs)
    assert ended.table == whole.table
    assert (ended.splits, ended.missing, ended.stale) == (whole.splits, whole.missing, whole.stale)
    assert whole.split("after").examples > 10_000


def test_no_feature_of_real_flights_changes_when_the_future_does(flights, engine, tmp_path) -> None:
    """Every delay that was not known on 1 April is replaced by nonsense, and all later weather: not a bit moves."""
    database, _ = engine
    scrambled = _as_known(flights, engine, tmp_path, scrambled=True)
    names = ", ".join(f'"feature:{feature.name}"' for feature in flights.definitions.features)
    march_us = SPRING_US - 31 * 86_400_000_000
    frozen = []
    for files in (flights.files, scrambled):
        point_in_time = PointInTime(database, flights.definitions, files)
        table = point_in_time.examples(as_of_us=SPRING_US, since_us=march_us)
        order = "predict_at, carrier, flight, origin"
        frozen.append(database.table(f"SELECT {names} FROM {table} ORDER BY {order}"))
    assert frozen[0].num_rows > 25_000
    assert frozen[0].equals(frozen[1])
