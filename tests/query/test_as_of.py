"""An as-of look-up said four ways: our steps, our steps key by key, pandas' merge_asof, and Arrow's as-of join.

Where the others mean the same they must agree: exact matches count, so does an age of exactly the tolerance, the last
of several rows of one moment wins, a missing value of the latest row stays missing, and clocks may be put forward or
back in between. Where they differ stands in the tests: a missing key finds nothing here, while pandas lets it find
other missing ones; a row without a moment is no row here, and an error there.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MINUTE = 60_000_000
WALL = {"year": "int", "month": "int", "day": "int", "hhmm": "int"}
KINDS = {
    "asks": {"id": "int", "k": "text", "n": "int", "y": "bool", **WALL},
    "events": {"id": "int", "k": "text", "n": "int", "x": "int", **WALL},
}
BRIEF = """
[sources.asks]
path = "asks.parquet"
key = ["id"]
time = "at"
derive = {{ at = "local_time(year, month, day, hhmm, '{zone}')" }}
known = {{ "*" = "at" }}
[sources.events]
path = "events.parquet"
key = ["id"]
time = "at"
derive = {{ at = "local_time(year, month, day, hhmm, '{zone}')" }}
known = {{ "*" = "at" }}
[target]
examples = "asks"
predict_at = "at"
label = "y"
label_known_at = "at"
act_on = "top 1 per day"
[features]
x = {{ from = "events", match = {match}, take = "x", max_age = "{age} minutes" }}
"""
# Half hours on the clock, around the hours that come not at all and twice; and on a day like any other.
DAYS = [
    ("Europe/Berlin", dt.datetime(2013, 3, 31)),  # noqa: DTZ001
    ("Europe/Berlin", dt.datetime(2013, 10, 27)),  # noqa: DTZ001
    ("America/New_York", dt.datetime(2013, 11, 3)),  # noqa: DTZ001
    ("UTC", dt.datetime(2013, 7, 1)),  # noqa: DTZ001
]
keys, halves = st.sampled_from(["a", "b", None]), st.integers(0, 12)
events = st.lists(
    st.tuples(keys, st.sampled_from([0, 1, None]), st.one_of(halves, st.none()), st.sampled_from([1, -7, 0, None])),
    max_size=30,
)
asks = st.lists(st.tuples(keys, st.sampled_from([0, 1]), halves), min_size=1, max_size=20)


def _reading(day, half):
    """Return what a clock reads so many half hours into a day: the row's columns, and as one moment without a zone."""
    if half is None:
        return dict.fromkeys(WALL), pd.NaT
    clock = day + dt.timedelta(minutes=30 * half)
    return {"year": clock.year, "month": clock.month, "day": clock.day, "hhmm": clock.hour * 100 + clock.minute}, clock


def _frame(rows, zone):
    """Return rows as pandas has them: what is skipped in spring goes on by the hour, what comes twice is the second."""
    frame = pd.DataFrame(rows, columns=["id", "k", "n", "x", "clock"])
    clock = pd.to_datetime(frame["clock"])
    moments = clock.dt.tz_localize(zone, ambiguous=[False] * len(frame), nonexistent=pd.Timedelta(hours=1))
    return frame.assign(at=moments).drop(columns="clock")


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(
    events=events,
    asks=asks,
    where=st.sampled_from(DAYS),
    by=st.sampled_from([["k"], ["n"], ["k", "n"]]),
    age=st.sampled_from([0, 30, 60, 150]),
)
def test_an_as_of_look_up_equals_that_of_pandas_and_arrow_whole_and_key_by_key(
    world_of, events, asks, where, by, age
) -> None:
    """Ties, gaps, exact matches, tolerance, composite keys, and a clock that is put forward or back in between."""
    zone, day = where
    happened = [{"id": i, "k": k, "n": n, "x": x, "half": half} for i, (k, n, half, x) in enumerate(events)]
    asked = [{"id": i, "k": k, "n": n, "x": None, "half": half} for i, (k, n, half) in enumerate(asks)]

    def found(happened, asked):
        with tempfile.TemporaryDirectory() as folder:
            world = world_of(KINDS, Path(folder))
            written = {
                name: world.write(name, [{**row, "y": True, **_reading(day, row["half"])[0]} for row in rows], files=2)
                for name, rows in {"events": happened, "asks": asked}.items()
            }
            definitions = world.definitions(BRIEF.format(zone=zone, match=by, age=age))
            rows = world.features(definitions, written, as_of_us=2_000_000_000_000_000)
        return {row["id"]: row["x"] for row in rows}

    def named(rows, key):
        return [row for row in rows if tuple(row[name] for name in by) == key]

    whole = found(happened, asked)
    names = {tuple(row[name] for name in by) for row in asked}
    parts = [found(named(happened, key), named(asked, key)) for key in sorted(names, key=repr)]
    assert {i: x for part in parts for i, x in part.items()} == whole

    framed = [
        _frame([{**row, "clock": _reading(day, row["half"])[1]} for row in rows], zone) for rows in (asked, happened)
    ]
    left, right = framed
    right = right.dropna(subset=[*by, "at"]).sort_values(["at", "id"])
    left = left.dropna(subset=by).sort_values(["at", "id"])
    if len(left) and len(right):
        kinds = {"k": "str", "n": "int64"}
        left, right = (frame.astype({name: kinds[name] for name in by}) for frame in (left, right))
        joined = pd.merge_asof(
            left[["id", "at", *by]], right[["at", "x", *by]], on="at", by=by, tolerance=pd.Timedelta(minutes=age)
        )
        by_pandas = dict(zip(joined["id"], joined["x"], strict=True))
        assert {i: None if pd.isna(x) else x for i, x in by_pandas.items()} == {i: whole[i] for i in by_pandas}
    nameless = {row["id"] for row in asked if None in (row[name] for name in by)}
    assert all(whole[i] is None for i in nameless)

    # Arrow takes one of several rows of one moment, and does not say which: it is shown the last of each.
    last = right.drop_duplicates([*by, "at"], keep="last").sort_values("at")
    columns = {"k": pa.string(), "n": pa.int64(), "at": pa.int64(), "x": pa.int64(), "id": pa.int64()}
    tables = []
    for frame in (left.sort_values("at"), last):
        cells = frame.assign(at=[moment.value // 1000 for moment in frame["at"]]).astype(object)
        cells = cells.where(cells.notna(), None)
        tables.append(pa.table({name: pa.array(cells[name].tolist(), kind) for name, kind in columns.items()}))
    joined = (
        tables[0]
        .select(["id", "at", *by])
        .join_asof(tables[1].select(["at", "x", *by]), on="at", by=by, tolerance=-age * MINUTE)
    )
    by_arrow = dict(zip(joined["id"].to_pylist(), joined["x"].to_pylist(), strict=True))
    assert by_arrow == {i: whole[i] for i in by_arrow}
