"""The hand-written reference is right, and the facts of the data are what docs/flights.md says they are."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from bench.reference import KEY, Splits, connect, fit_and_score, lay_out, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

MINUTE = 60_000_000
HOUR = 60 * MINUTE


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    """Return a folder with the four CSV files."""
    return lay_out(tmp_path_factory.mktemp("flights"))


@pytest.fixture(scope="session")
def examples(data_dir) -> pa.Table:
    """Return all examples as the reference prepares them."""
    with connect() as con:
        return prepare(con, data_dir)


@pytest.fixture(scope="session")
def con(data_dir, examples) -> Iterator[duckdb.DuckDBPyConnection]:
    """Return a database with the examples as ``e``, the raw rows as ``raw``, and both side by side as ``paired``."""
    with connect() as con:
        con.register("given", examples)
        con.execute("create table e as select * from given")
        for name, table in (("raw", "flights"), ("airports", "airports"), ("planes", "planes"), ("weather", "weather")):
            con.execute(
                f"create table {name} as select * from read_csv($path, nullstr = 'NA')",
                {"path": str(data_dir / f"{table}.csv")},
            )
        con.execute(
            """
            create table paired as
            select e.*, raw.dep_time, raw.arr_time, raw.sched_arr_time, raw.air_time, raw.time_hour,
                   coalesce(tzone, 'America/Puerto_Rico') as zone,
                   timezone('America/New_York', timezone('UTC', e.sched_dep)) as sched_dep_here,
                   timezone('America/New_York', timezone('UTC', e.actual_dep)) as actual_dep_here,
                   timezone(zone, timezone('UTC', e.sched_arr)) as sched_arr_there,
                   timezone(zone, timezone('UTC', e.actual_arr)) as actual_arr_there
            from raw
            left join airports on faa = raw.dest
            join e on e.carrier = raw.carrier and e.flight = raw.flight and e.origin = raw.origin
                  and e.sched_dep = timezone('UTC', timezone('America/New_York', make_timestamp(
                      raw.year, raw.month, raw.day, raw.hour, raw.minute, 0)))
            """
        )
        yield con


def one(con: duckdb.DuckDBPyConnection, sql: str) -> tuple:
    """Return the only row of the answer."""
    row = con.execute(sql).fetchone()
    assert row is not None
    return row


def test_every_flight_is_one_example_and_its_key_is_unique(con):
    """Carrier, flight, origin and scheduled departure name one flight; no join loses or doubles one."""
    key = ", ".join(KEY)
    assert one(con, f"select count(*), count(distinct ({key})) from e") == (336_776, 336_776)
    assert one(con, "select count(*) from paired") == (336_776,)


def test_the_files_have_their_known_numbers_of_rows(con):
    """A changed package would change every figure below."""
    names = ("raw", "weather", "airports", "planes")
    assert [one(con, f"select count(*) from {name}")[0] for name in names] == [336_776, 26_115, 1_458, 3_322]


def test_joins_miss_as_many_rows_as_is_known(con):
    """The known answers of the look-ups, against the raw files."""
    assert one(con, "select count(*) from raw anti join planes using (tailnum)") == (52_606,)
    assert one(con, "select count(*) from raw where tailnum is null") == (2_512,)
    assert one(con, "select count(*) from raw anti join airports on faa = dest") == (7_602,)
    assert one(con, "select count(*) from raw anti join weather using (origin, time_hour)") == (1_556,)
    assert one(con, "select count(*) from e where weather_hour is null") == (0,)
    # 5,306 more flights have a plane whose year of manufacture is missing.
    assert one(con, "select count(*) from e where plane_age is null") == (52_606 + 5_306,)


def test_only_puerto_rico_and_the_virgin_islands_have_no_airport_row(con):
    """Four destinations take their zone from us."""
    rows = con.execute("select distinct dest from raw anti join airports on faa = dest order by dest").fetchall()
    assert rows == [("BQN",), ("PSE",), ("SJU",), ("STT",)]


def test_void_flights_are_counted(con):
    """8,255 never left (cancelled), 1,175 left and never arrived at their destination (diverted)."""
    assert one(con, "select count(*) from e where actual_dep is null") == (8_255,)
    assert one(con, "select count(*) from e where actual_dep is not null and actual_arr is null") == (1_175,)
    assert one(con, "select count(*) from e where late is null") == (9_430,)
    assert one(con, "select count(*) from e where actual_dep is null and actual_arr is not null") == (0,)


def test_every_actual_departure_reads_the_clock_that_the_file_says(con):
    """The derived instant, read in New York, equals ``dep_time`` in all 328,521 rows (2400 is midnight)."""
    right = "(hour(actual_dep_here) * 100 + minute(actual_dep_here)) % 2400 = dep_time % 2400"
    assert one(con, f"select count(dep_time), count(*) filter ({right}) from paired") == (328_521, 328_521)


def test_every_actual_arrival_but_one_reads_the_clock_that_the_file_says(con):
    """One flight landed in the hour that New York skipped: the file kept winter time, the instant is right."""
    right = "(hour(actual_arr_there) * 100 + minute(actual_arr_there)) % 2400 = arr_time % 2400"
    known = "actual_arr is not null"
    assert one(con, f"select count(*), count(*) filter ({right}) from paired where {known}") == (327_346, 327_345)
    wrong = con.execute(
        f"select carrier, flight, dest, arr_time, strftime(actual_arr_there, '%m-%d %H:%M') "
        f"from paired where {known} and not {right}"
    ).fetchall()
    assert wrong == [("B6", 35, "PBI", 203, "03-10 03:03")]


def test_time_in_the_air_fits_between_the_derived_instants(con):
    """From gate to gate a flight takes 5 to 235 minutes more than it flies: no instant is off by a zone."""
    spare = "date_diff('minute', actual_dep, actual_arr) - air_time"
    assert one(con, f"select min({spare}), median({spare}), max({spare}) from paired") == (5, 28, 235)


def test_time_hour_agrees_with_the_local_clock(con):
    """The file's own UTC hour of departure is the one derived from the local clock."""
    assert one(
        con, "select count(*) from paired where date_trunc('hour', sched_dep) <> timezone('UTC', time_hour)"
    ) == (0,)


def test_no_schedule_falls_into_a_skipped_or_repeated_hour(con):
    """Each scheduled local time of 2013 is one instant, so the first reading of the clock is the only one."""
    for clock, zone in (("sched_dep_here", "'America/New_York'"), ("sched_arr_there", "zone")):
        there = f"timezone({zone}, timezone('UTC', timezone('UTC', timezone({zone}, {clock})) + to_hours(h)))"
        repeated = f"select count(*) from paired, (values (-1), (1)) as v(h) where {there} = {clock}"
        assert one(con, repeated) == (0,)
    skipped = (
        "select count(*) from paired where not (hour(sched_arr_there) * 100 + minute(sched_arr_there) = sched_arr_time)"
    )
    assert one(con, skipped) == (0,)
    # The same question about actual arrivals does find one: flight 413 landed at the first of two 01:14.
    repeated = repeated.replace("sched_arr_there", "actual_arr_there")
    assert one(con, repeated) == (1,)


def test_arrivals_follow_departures_within_a_day(con):
    """The longest schedule is 11:40 (Honolulu), the shortest 0:50."""
    span = "date_diff('minute', sched_dep, sched_arr)"
    assert one(con, f"select min({span}), max({span}) from e") == (50, 700)
    assert one(con, "select count(*) from e where actual_arr <= sched_dep") == (0,)


def test_trips_that_cross_midnight_are_counted(con):
    """Scheduled past midnight of the destination, pushed past it by delay, or departed on another date."""
    assert one(con, "select count(*) from paired where sched_arr_there::date <> sched_dep_here::date") == (6_078,)
    assert one(con, "select count(*) from paired where actual_arr_there::date <> sched_arr_there::date") == (7_347,)
    assert one(con, "select count(*) from paired where actual_dep_here::date <> sched_dep_here::date") == (1_236,)


# carrier, flight, origin, dest; scheduled departure, scheduled arrival, actual arrival, in UTC.
NAMED = [
    # The first row of the file: Central time.
    ("UA", 1545, "EWR", "IAH", "2013-01-01 10:15", "2013-01-01 14:19", "2013-01-01 14:30"),
    # Ten zones west in winter, summer, and a day late.
    ("HA", 51, "JFK", "HNL", "2013-01-04 14:00", "2013-01-05 01:30", "2013-01-05 01:16"),
    ("HA", 51, "JFK", "HNL", "2013-07-15 14:00", "2013-07-16 00:30", "2013-07-16 00:11"),
    ("HA", 51, "JFK", "HNL", "2013-01-09 14:00", "2013-01-10 01:30", "2013-01-10 22:42"),
    # Phoenix has no summer time: two hours from New York in winter, three in summer.
    ("US", 245, "EWR", "PHX", "2013-01-04 11:30", "2013-01-04 17:14", "2013-01-04 17:04"),
    ("US", 15, "JFK", "PHX", "2013-07-15 10:45", "2013-07-15 16:08", "2013-07-15 16:01"),
    # Puerto Rico neither: an hour ahead in winter, equal in summer; all four without an airport row.
    ("B6", 709, "JFK", "SJU", "2013-01-04 11:15", "2013-01-04 15:00", "2013-01-04 14:51"),
    ("AA", 655, "JFK", "STT", "2013-01-04 13:10", "2013-01-04 17:15", "2013-01-04 17:35"),
    ("UA", 1071, "EWR", "BQN", "2013-01-05 01:59", "2013-01-05 05:50", "2013-01-05 06:09"),
    ("B6", 745, "JFK", "PSE", "2013-07-05 03:59", "2013-07-05 07:50", "2013-07-05 09:01"),
    # Four zones west, Alaska.
    ("UA", 887, "EWR", "ANC", "2013-07-06 20:15", "2013-07-07 03:53", "2013-07-07 03:54"),
    # The night of 9 to 10 March: New York skips 02:00 to 03:00 at 07:00 UTC.
    ("B6", 35, "JFK", "PBI", "2013-03-10 02:45", "2013-03-10 05:34", "2013-03-10 07:03"),
    ("B6", 713, "JFK", "SJU", "2013-03-10 02:55", "2013-03-10 06:42", "2013-03-10 07:44"),
    ("B6", 727, "JFK", "BQN", "2013-03-10 04:59", "2013-03-10 08:38", "2013-03-10 09:04"),
    ("B6", 677, "JFK", "LAX", "2013-03-10 01:45", "2013-03-10 07:57", "2013-03-10 08:35"),
    # The night of 2 to 3 November: New York repeats 01:00 to 02:00 at 06:00 UTC, Los Angeles three hours later.
    ("B6", 1503, "JFK", "SJU", "2013-11-03 03:59", "2013-11-03 07:40", "2013-11-03 07:50"),
    ("AA", 185, "JFK", "LAX", "2013-11-03 01:40", "2013-11-03 07:40", "2013-11-03 07:43"),
    ("VX", 413, "JFK", "LAX", "2013-11-02 20:55", "2013-11-03 03:15", "2013-11-03 08:14"),
]


@pytest.mark.parametrize("flight", NAMED, ids=lambda f: f"{f[0]}{f[1]}-{f[3]}-{f[4][5:10]}")
def test_named_flights_have_their_right_instants(con, flight):
    """Scheduled departure, scheduled arrival and actual arrival in UTC, checked by hand."""
    *key, departs, arrives, arrived = flight
    found = con.execute(
        "select strftime(sched_arr, '%Y-%m-%d %H:%M'), strftime(actual_arr, '%Y-%m-%d %H:%M') from e "
        "where carrier = $1 and flight = $2 and origin = $3 and dest = $4 and sched_dep = $5::timestamp",
        [*key, departs],
    ).fetchall()
    assert found == [(arrives, arrived)]


def test_weather_grows_stale_on_the_last_day_and_max_age_makes_it_missing(con):
    """The file ends on 30 December 23:00 UTC; all 776 flights of 31 December have none younger than six hours."""
    age = "date_diff('minute', weather_hour, predict_at)"
    assert one(con, f"select max({age}) from e") == (27 * 60 + 59,)
    stale = con.execute(
        f"select sched_dep_here::date, count(*) from paired where {age} > 360 group by all order by all"
    ).fetchall()
    assert stale == [(dt.date(2013, 12, 31), 776)]
    assert one(con, f"select max({age}) from e where {age} <= 360") == (239,)
    assert one(con, f"select min({age}) from e where {age} > 360") == (540,)
    gap = "date_diff('hour', lag(time_hour) over (partition by origin order by time_hour), time_hour)"
    assert one(con, f"select max(gap) from (select {gap} as gap from weather)") == (6,)
    assert one(con, f"select count(temp), count(wind_speed), count(visib) from e where {age} > 360") == (0, 0, 0)
    assert one(con, f"select count(*) from e where {age} < 10") == (0,)


def test_late_arrivals_rise_in_summer_and_in_december(con):
    """Per cent of arrivals more than 30 minutes late, January to December."""
    rows = con.execute(
        "select round(100 * avg(late::integer), 1) from paired where late is not null "
        "group by month(sched_dep_here) order by month(sched_dep_here)"
    ).fetchall()
    assert [share for (share,) in rows] == [14.2, 14.3, 15.3, 18.9, 14.9, 22.9, 23.3, 15.8, 8.6, 9.5, 9.8, 21.1]


def test_few_windows_of_a_carrier_and_many_of_an_origin_are_empty(con):
    """Early in the morning nobody who left in the last six hours has arrived."""
    empty = "count(*) filter (carrier_late_24h is null), count(*) filter (origin_late_6h is null)"
    assert one(con, f"select {empty} from e") == (405, 58_940)
    shares = con.execute(
        "select hour, avg((origin_late_6h is null)::integer) from e where hour between 6 and 8 group by 1 order by 1"
    ).fetchall()
    assert [round(share, 2) for _, share in shares] == [0.64, 0.7, 0.84]


def test_the_weather_of_the_repeated_hour_is_two_rows(con):
    """On 3 November the file names both hours that read 01:00, and its ``time_hour`` tells them apart."""
    rows = con.execute(
        "select hour, strftime(timezone('UTC', time_hour), '%H:%M') from weather "
        "where origin = 'JFK' and month = 11 and day = 3 order by time_hour limit 2"
    ).fetchall()
    assert rows == [(1, "05:00"), (1, "06:00")]


@pytest.mark.parametrize(("key", "window_h"), [("carrier", 24), ("origin", 6)])
def test_windowed_lateness_equals_a_naive_recount(examples, key, window_h):
    """Count by hand, for 400 random examples, who departed in the window and had arrived by then."""
    by, given = np.array(examples[key].to_pylist()), _float(examples[f"{key}_late_{window_h}h"])
    asked, departs, arrived = (_microseconds(examples, name) for name in ("predict_at", "sched_dep", "actual_arr"))
    late = _float(examples["late"].cast("float32"))
    for row in np.random.default_rng(11).choice(len(asked), 400, replace=False):
        now = asked[row]
        chosen = (by == by[row]) & (departs > now - window_h * HOUR) & (departs <= now) & (arrived <= now)
        expected = np.float32(late[chosen].mean(dtype=np.float64)) if chosen.any() else np.nan
        np.testing.assert_equal(given[row], expected)


def test_what_happens_later_changes_no_feature(data_dir, examples, tmp_path):
    """Scramble every delay that was not known by 20 June: what was asked before keeps each feature, bit by bit."""
    cut = int(dt.datetime(2013, 6, 20, 15, tzinfo=dt.UTC).timestamp()) * 1_000_000
    for name in ("airports", "planes", "weather"):
        (tmp_path / f"{name}.csv").symlink_to(data_dir / f"{name}.csv")
    with connect() as con:
        con.register("given", examples)
        con.execute(
            """
            copy (
                select raw.* replace (
                    -- A later delay, or none: never one that would have been known before the cut.
                    case when epoch_us(g.actual_arr) > $cut
                         then case when hash(raw.flight, raw.day) % 3 > 0 then raw.arr_delay + 400 end
                         else raw.arr_delay end as arr_delay,
                    case when epoch_us(g.actual_dep) > $cut then null else raw.dep_delay end as dep_delay
                )
                from read_csv($flights, nullstr = 'NA', all_varchar = false, types = {'time_hour': 'VARCHAR'}) raw
                join given g on g.carrier = raw.carrier and g.flight = raw.flight and g.origin = raw.origin
                 and g.sched_dep = timezone('UTC', timezone('America/New_York', make_timestamp(
                     raw.year, raw.month, raw.day, raw.hour, raw.minute, 0)))
            ) to '"""
            + str(tmp_path / "flights.csv")
            + "' (header, nullstr 'NA')",
            {"cut": cut, "flights": str(data_dir / "flights.csv")},
        )
        scrambled = prepare(con, tmp_path)
    columns = [*KEY, "dest", "tailnum", "sched_arr", "predict_at"]
    columns += examples.column_names[examples.column_names.index("weather_hour") :]
    before, after = (
        [_asked(table, cut, early=early).select(columns) for table in (examples, scrambled)] for early in (True, False)
    )
    assert 150_000 < before[0].num_rows < 170_000
    assert before[0].equals(before[1])
    assert not after[0].equals(after[1]), "the scrambling must show somewhere"


def test_splits_withhold_labels_that_were_not_known_in_time(examples):
    """The embargo keeps 137 flights out of training: asked before 1 July, arrived after it."""
    splits = Splits.of(examples)
    assert [int(mask.sum()) for mask in (splits.train, splits.test, splits.live)] == [160_541, 42_669, 82_609]
    assert not (splits.train & splits.test).any()
    asked, known = (_microseconds(examples, name) for name in ("predict_at", "actual_arr"))
    july = int(dt.datetime(2013, 7, 1, 4, tzinfo=dt.UTC).timestamp()) * 1_000_000
    assert known[splits.train].max() < july
    assert int(((asked < july) & (known >= july) & (known != np.iinfo(np.int64).max)).sum()) == 137


def test_a_small_fit_beats_the_rule_without_being_too_good(examples):
    """Base rates and the rule have their known figures; far above 0.35 would be a leak."""
    figures = fit_and_score(examples, trees=40)
    assert figures["base_test"] == pytest.approx(0.0932, abs=5e-5)
    assert figures["base_live"] == pytest.approx(0.1338, abs=5e-5)
    assert figures["rule_test"] == pytest.approx(0.140, abs=5e-4)
    assert 0.29 < figures["ap_test"] < 0.37
    assert 0.32 < figures["ap_live"] < 0.42


def _microseconds(table: pa.Table, name: str) -> np.ndarray:
    column = table[name].cast("timestamp[us]").cast("int64")
    return column.fill_null(np.iinfo(np.int64).max).to_numpy()


def _float(column: pa.ChunkedArray) -> np.ndarray:
    return column.to_numpy()


def _asked(table: pa.Table, cut: int, *, early: bool) -> pa.Table:
    """Return the examples asked by ``cut``, or after it, in the order of their keys."""
    chosen = (_microseconds(table, "predict_at") <= cut) == early
    return table.filter(pa.array(chosen)).sort_by([(name, "ascending") for name in KEY])
