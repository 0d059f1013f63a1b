"""What the engine says was known when equals what a naive oracle says, over random worlds."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.errors import DataError
from headway.query.database import Database
from headway.query.point_in_time import PointInTime

MINUTE = 60_000_000
KINDS = {
    "asks": {
        "id": "int", "k": "text", "n": "int", "from": "text", "to": "text", "at": "time", "y": "bool", "told": "time",
    },
    "events": {
        "id": "int", "k": "text", "n": "int", "at": "time", "known_at": "time", "late_at": "time",
        "x": "int", "f": "float", "b": "bool", "s": "text",
    },
    "places": {"p": "text", "lat": "float", "lon": "float", "size": "int"},
}  # fmt: skip
BRIEF = """
[sources.asks]
path = "asks.parquet"
key = ["id"]
time = "at"
known = {{ "*" = "at - interval 1 minutes", y = "told" }}
[sources.events]
path = "events.parquet"
key = {key}
time = "at"
known = {{ "*" = "known_at", f = "late_at" }}
[sources.places]
path = "places.parquet"
key = ["p"]
[target]
examples = "asks"
predict_at = "at"
label = "y"
label_known_at = "told"
act_on = "top 1 per day"
[serve]
refresh = "{lag} minutes"
[features]
x       = {{ from = "events", match = ["k"], take = "x" }}
s       = {{ from = "events", match = ["k"], take = "s" }}
fresh   = {{ from = "events", match = ["k"], take = "b", max_age = "{age} minutes" }}
both    = {{ from = "events", match = ["k", "n"], value = "x * 3 - 1" }}
other   = {{ from = "events", match = {{ to = "k" }}, take = "x" }}
f       = {{ from = "events", match = ["n"], take = "f" }}
mean_b  = {{ from = "events", match = ["k"], window = "{short} minutes", value = "avg(b)" }}
sum_x   = {{ from = "events", match = ["k"], window = "{short} minutes", value = "sum(x)" }}
mean_f  = {{ from = "events", match = ["k"], window = "{long} minutes", value = "avg(f)" }}
sum_f   = {{ from = "events", match = ["n", "k"], window = "{long} minutes", value = "sum(f)" }}
rows    = {{ from = "events", match = ["n"], window = "{long} minutes" }}
there   = {{ from = "events", match = ["n"], window = "{short} minutes", value = "count(s)" }}
size    = {{ from = "places", match = {{ from = "p" }}, take = "size" }}
km      = {{ distance = ["from", "to"], from = "places", lat = "lat", lon = "lon" }}
"""

# A grid so coarse that everything ties with something, and some of it never happens or never is known.
texts = st.sampled_from(["a", "b", "c", None])
numbers = st.sampled_from([0, 1, None])
minutes = st.integers(0, 24)
maybe_minutes = st.one_of(st.none(), minutes, minutes, minutes)


@st.composite
def _events(draw):
    at, known = draw(maybe_minutes), draw(maybe_minutes)
    return {
        "id": draw(st.integers(0, 3)),
        "k": draw(texts),
        "n": draw(numbers),
        "at": at,
        "known_at": known,
        "late_at": draw(st.one_of(st.just(known), maybe_minutes)),
        "x": draw(st.one_of(st.none(), st.integers(-3, 3))),
        "f": draw(st.one_of(st.none(), st.integers(-800, 800).map(lambda eighths: eighths / 8))),
        "b": draw(st.sampled_from([True, False, None])),
        "s": draw(texts),
    }


@st.composite
def _asks(draw):
    return {
        "k": draw(texts),
        "n": draw(numbers),
        "from": draw(texts),
        "to": draw(texts),
        "at": draw(minutes),
        "y": draw(st.sampled_from([True, False, None])),
        "told": draw(maybe_minutes),
    }


places = st.lists(
    st.builds(
        lambda p, lat, lon, size: {"p": p, "lat": lat, "lon": lon, "size": size},
        st.sampled_from(["a", "b", "c"]),
        st.one_of(st.none(), st.floats(-90, 90)),
        st.floats(-180, 180),
        st.one_of(st.none(), st.integers(0, 9)),
    ),
    max_size=3,
    unique_by=lambda row: row["p"],
)
settings_of_the_brief = st.fixed_dictionaries(
    {
        "key": st.sampled_from([["id"], ["k", "at"], ["n", "id", "at"], ["s", "at", "id"]]),
        "lag": st.sampled_from([0, 0, 3]),
        "age": st.sampled_from([1, 5]),
        "short": st.sampled_from([2, 6]),
        "long": st.sampled_from([6, 11, 40]),
    }
)
worlds = st.tuples(
    st.lists(_asks(), min_size=1, max_size=12), st.lists(_events(), max_size=40), places, settings_of_the_brief
)


def _in_us(row):
    moments = ("at", "known_at", "late_at", "told")
    return {name: value * MINUTE if name in moments and value is not None else value for name, value in row.items()}


def _written(world, asks, events, places):
    numbered = [_in_us({"id": i, **ask}) for i, ask in enumerate(asks)]
    rows = {"asks": numbered, "events": [_in_us(row) for row in events], "places": places}
    return rows, {name: world.write(name, table, files=1 + len(table) % 3) for name, table in rows.items()}


def _expected(oracle, rows, options, ask):
    """Return what a patient person would find for one ask."""
    events, look = rows["events"], ask["at"] - options["lag"] * MINUTE
    ties = [name for name in options["key"] if name != "at"]

    def latest(columns, known, **key):
        return oracle.as_of(events, key=key, known=known, event="at", moment=look, ties=ties, carried=sorted(columns))

    def windowed(function, column, length, known, **key):
        inside = oracle.in_window(
            events, key=key, known=known, event="at", moment=look, length=options[length] * MINUTE
        )
        return oracle.aggregate(function, [(row["at"], row[column] if column else ...) for row in inside])

    k, n = ask["k"], ask["n"]
    by_k, by_to = latest({"x", "s"}, ["known_at"], k=k), latest({"x"}, ["known_at"], k=ask["to"])
    aged, both = latest({"b"}, ["known_at"], k=k), latest({"x"}, ["known_at"], k=k, n=n)
    by_n = latest({"f"}, ["known_at", "late_at"], n=n)
    fresh = aged is not None and ask["at"] - aged["at"] <= options["age"] * MINUTE
    here, there = (oracle.static(rows["places"], key={"p": ask[name]}) or {} for name in ("from", "to"))
    late = ["known_at", "late_at"]
    return {
        "x": by_k and by_k["x"],
        "s": by_k and by_k["s"],
        "fresh": aged["b"] if fresh else None,
        "both": None if both is None or both["x"] is None else both["x"] * 3 - 1,
        "other": by_to and by_to["x"],
        "f": by_n and by_n["f"],
        "mean_b": windowed("avg", "b", "short", ["known_at"], k=k),
        "sum_x": windowed("sum", "x", "short", ["known_at"], k=k),
        "mean_f": windowed("avg", "f", "long", late, k=k),
        "sum_f": windowed("sum", "f", "long", late, n=n, k=k),
        "rows": windowed("count", None, "long", ["known_at"], n=n),
        "there": windowed("count", "s", "short", ["known_at"], n=n),
        "size": here.get("size"),
        "km": oracle.great_circle_km(here.get("lat"), here.get("lon"), there.get("lat"), there.get("lon")),
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(made=worlds)
def test_every_look_up_equals_the_oracle(world_of, oracle, made) -> None:
    """As-of look-ups, windows, dimensions and distances, by row, over ties, gaps, corrections and late knowledge."""
    asks, events, places, options = made
    with tempfile.TemporaryDirectory() as folder:
        world = world_of(KINDS, Path(folder))
        rows, files = _written(world, asks, events, places)
        definitions = world.definitions(BRIEF.format(**options))
        found = world.features(definitions, files, as_of_us=60 * MINUTE)
    assert [row["id"] for row in found] == [ask["id"] for ask in rows["asks"]]
    for ask, row in zip(rows["asks"], found, strict=True):
        expected = _expected(oracle, rows, options, ask)
        km = expected.pop("km")
        assert row["km"] == (None if km is None else pytest.approx(km, rel=1e-5, abs=1e-3))
        for name, value in expected.items():
            wanted = value if isinstance(value, str) else oracle.float32(value)
            assert row[name] == wanted, (name, ask)
        known = ask["told"] is not None and ask["told"] <= 60 * MINUTE
        assert row["@label"] == (ask["y"] if known else None)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(made=worlds, data=st.data(), cutoff=minutes)
def test_no_feature_changes_when_the_future_does(world_of, made, data, cutoff) -> None:
    """Scramble, delete and add whatever became known after a moment: no feature asked for by then moves a bit."""
    asks, events, places, options = made
    hidden = st.one_of(st.none(), st.integers(cutoff + 1, 40))
    future = []
    for row in events:
        known, late = row["known_at"], row["late_at"]
        if known is None or known > cutoff:  # the whole row lies in the future: gone, or another one
            if data.draw(st.booleans()):
                future.append({**data.draw(_events()), "known_at": data.draw(hidden)})
        elif late is None or late > cutoff:  # one value of it does
            value = data.draw(st.one_of(st.none(), st.floats(-100, 100)))
            future.append({**row, "f": value, "late_at": data.draw(hidden)})
        else:
            future.append(row)
    future += [{**row, "known_at": data.draw(hidden)} for row in data.draw(st.lists(_events(), max_size=5))]
    told = [
        ask if ask["told"] is not None and ask["told"] <= cutoff else {**ask, "y": data.draw(st.booleans())}
        for ask in asks
    ]
    with tempfile.TemporaryDirectory() as folder:
        world = world_of(KINDS, Path(folder))
        definitions = world.definitions(BRIEF.format(**options))
        _, files = _written(world, asks, events, places)
        before = world.features(definitions, files, as_of_us=cutoff * MINUTE)
        _, files = _written(world, told, data.draw(st.permutations(future)), places)
        after = world.features(definitions, files, as_of_us=cutoff * MINUTE)
    assert repr(before) == repr(after)


def _one(world, **changes):
    """Return files of one ask and three events, so that the first of January 1970 tells a story."""
    ask = {"k": "a", "n": 1, "from": "a", "to": "b", "at": 10, "y": True, "told": 20, **changes}
    row = {"id": 0, "k": "a", "n": 1, "x": 1, "f": 0.5, "b": True, "s": "a"}
    events = [
        {**row, "at": 5, "known_at": 6, "late_at": 6, "x": 1},
        {**row, "at": 5, "known_at": 8, "late_at": 8, "x": 2},
        {**row, "at": 4, "known_at": 9, "late_at": 9, "x": 3},
    ]
    return _written(world, [ask], events, [])[1]


OPTIONS = {"key": ["id"], "lag": 0, "age": 5, "short": 6, "long": 11}


def test_a_correction_that_became_known_later_counts(world_of) -> None:
    """Two rows of one key and event time: the later known one is the correction; a late older event is none."""
    world = world_of(KINDS)
    definitions = world.definitions(BRIEF.format(**OPTIONS))
    assert world.features(definitions, _one(world), as_of_us=60 * MINUTE)[0]["x"] == 2
    assert world.features(definitions, _one(world, at=7), as_of_us=60 * MINUTE)[0]["x"] == 1
    assert world.features(definitions, _one(world, at=6), as_of_us=60 * MINUTE)[0]["x"] == 1
    assert world.features(definitions, _one(world, at=5), as_of_us=60 * MINUTE)[0]["x"] is None


def test_the_lag_of_serving_is_learned_with(world_of) -> None:
    """With a refresh every three minutes, what became known two minutes before is not seen."""
    world = world_of(KINDS)
    lagged = world.definitions(BRIEF.format(**{**OPTIONS, "lag": 3}))
    assert world.features(lagged, _one(world), as_of_us=60 * MINUTE)[0]["x"] == 1
    assert world.features(lagged, _one(world, at=11), as_of_us=60 * MINUTE)[0]["x"] == 2


def test_the_rows_behind_a_look_up_are_found_again(world_of) -> None:
    """Lineage by replay: the rows that a window counted, and the one row that was the latest."""
    world = world_of(KINDS)
    definitions, files = world.definitions(BRIEF.format(**OPTIONS)), _one(world)
    with Database(threads=1) as database:
        point_in_time = PointInTime(database, definitions, files)
        table = point_in_time.table("events")
        asof = next(t for t in definitions.timelines if t.shape == "asof" and t.mine == ("k",) and not t.max_age_us)
        window = next(t for t in definitions.timelines if t.shape == "window" and t.mine == ("k",))
        ten = {"key0": "a", "look_at": "1970-01-01 00:10:00"}
        assert [row["x"] for row in database.table(asof.rows_sql(table), ten).to_pylist()] == [2]
        assert [row["x"] for row in database.table(window.rows_sql(table), ten).to_pylist()] == [1, 2]


def test_a_row_without_a_part_of_its_key_gives_way_in_the_step_and_behind_it(world_of) -> None:
    """Of two rows of one moment; and one that does not say when it happens is never the latest."""
    world = world_of(KINDS)
    definitions = world.definitions(BRIEF.format(**{**OPTIONS, "key": ["n", "id", "at"]}))
    blank = dict.fromkeys(KINDS["events"])
    rows = [
        {**blank, "k": "a", "n": None, "id": 9, "at": 3, "known_at": 4, "x": 1},
        {**blank, "k": "a", "n": 0, "id": 1, "at": 3, "known_at": 4, "x": 2},
        {**blank, "k": "a", "n": 9, "id": 9, "at": None, "known_at": 5, "x": 3},
        {**blank, "k": "b", "n": 9, "id": 9, "at": None, "known_at": 5, "x": 4},
    ]
    asks = [{**dict.fromkeys(KINDS["asks"]), "k": key, "at": 8} for key in ("a", "b")]
    files = _written(world, asks, rows, [])[1]
    assert [row["x"] for row in world.features(definitions, files, as_of_us=60 * MINUTE)] == [2, None]
    with Database(threads=1) as database:
        table = PointInTime(database, definitions, files).table("events")
        asof = next(t for t in definitions.timelines if t.shape == "asof" and t.mine == ("k",) and not t.max_age_us)
        for key, x in (("a", [2]), ("b", [])):
            asked = {"key0": key, "look_at": "1970-01-01 00:08:00"}
            assert [row["x"] for row in database.table(asof.rows_sql(table), asked).to_pylist()] == x


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(made=worlds)
def test_the_row_behind_a_look_up_is_the_one_that_its_step_was_made_of(world_of, made) -> None:
    """For every key and minute; also where the key's columns are missing, or the row says not when it happens."""
    asks, events, there, options = made
    with tempfile.TemporaryDirectory() as folder, Database(threads=1) as database:
        world = world_of(KINDS, Path(folder))
        definitions = world.definitions(BRIEF.format(**options))
        _, files = _written(world, asks, events, there)
        point_in_time = PointInTime(database, definitions, files)
        table = point_in_time.table("events")
        for timeline in (each for each in definitions.timelines if each.shape == "asof"):
            steps = database.table(timeline.steps_sql(table)).to_pylist()
            columns = [name for name, _ in timeline.columns]
            keys = {tuple(row[name] for name in timeline.theirs) for row in database.table(f"FROM {table}").to_pylist()}
            for key in keys:
                mine = [step for step in steps if tuple(step[name] for name in timeline.keys) == key]
                for minute in range(0, 26, 5):
                    moment = datetime(1970, 1, 1) + timedelta(minutes=minute)  # noqa: DTZ001  (as the engine has it)
                    asked = {f"key{n}": value for n, value in enumerate(key)} | {"look_at": str(moment)}
                    found = database.table(timeline.rows_sql(table), asked).to_pylist()
                    last = max((s for s in mine if s["@at"] <= moment), key=lambda s: s["@at"], default=None)
                    expected = [] if last is None else [(last["@event"], *(last[name] for name in columns))]
                    assert [(row["at"], *(row[name] for name in columns)) for row in found] == expected


LEAKS = {
    "a feature": ("y", "y"),
    "the key of a look-up": ("y", '{ from = "places", match = { secret = "p" }, take = "size" }'),
    "the key of a window": ("secret", '{ from = "events", match = { secret = "k" }, window = "5 minutes" }'),
}


@pytest.mark.parametrize("use", LEAKS)
def test_a_value_that_is_known_later_is_refused_however_it_is_used(world_of, use) -> None:
    """As a feature, or as what something is looked up by: both would look into the future."""
    kinds = {**KINDS, "asks": {**KINDS["asks"], "secret": "text"}}
    world = world_of(kinds)
    text = BRIEF.format(**OPTIONS).replace('y = "told"', 'y = "told", secret = "told"')
    definition = LEAKS[use][1]
    definitions = world.definitions(
        text + (f"leak = {definition}" if definition[0] == "{" else f'leak = "{definition}"')
    )
    ask = {"k": "a", "n": 1, "from": "a", "to": "b", "at": 10, "y": True, "told": 20, "secret": "a"}
    _, files = _written(world, [ask], [], [])
    with pytest.raises(DataError, match="not known at predict_at for 1 of 1 examples") as caught:
        world.features(definitions, files, as_of_us=60 * MINUTE)
    assert caught.value.where == "features.leak"
    assert "1970-01-01T00:20:00Z, and predicted at 1970-01-01T00:10:00Z" in caught.value.what


def test_a_moment_of_prediction_that_is_known_later_is_refused(world_of) -> None:
    """Whoever stood there could not have known that it was time."""
    world = world_of({**KINDS, "asks": {**KINDS["asks"], "real": "time"}})
    text = (
        BRIEF.format(**OPTIONS)
        .replace('y = "told"', 'y = "told", real = "told"')
        .replace('predict_at = "at"', 'predict_at = "real - interval 1 minutes"')
    )
    ask = {"k": "a", "n": 1, "from": "a", "to": "b", "at": 10, "y": True, "told": 20, "real": 12 * MINUTE}
    _, files = _written(world, [ask], [], [])
    with pytest.raises(DataError, match="'real' is not known") as caught:
        world.features(world.definitions(text), files, as_of_us=60 * MINUTE)
    assert caught.value.where == "target.predict_at"


def test_a_dimension_with_two_rows_of_one_key_is_refused(world_of) -> None:
    """A look-up would have to choose."""
    world = world_of(KINDS)
    place = {"p": "a", "lat": 1.0, "lon": 1.0, "size": 1}
    ask = {"k": "a", "n": 1, "from": "a", "to": "b", "at": 10, "y": True, "told": 20}
    _, files = _written(world, [ask], [], [place, place])
    with pytest.raises(DataError, match="'places' has 2 rows with p = 'a'") as caught:
        world.features(world.definitions(BRIEF.format(**OPTIONS)), files, as_of_us=60 * MINUTE)
    assert caught.value.where == "sources.places"


def test_a_zone_in_the_data_that_does_not_exist_is_said_with_its_definition(world_of) -> None:
    """What the engine cannot compute is the data's fault, and no traceback."""
    world = world_of(KINDS)
    text = BRIEF.format(**OPTIONS) + '\nbad = "hour(at, k)"'
    ask = {"k": "Mars/Olympus", "n": 1, "from": "a", "to": "b", "at": 10, "y": True, "told": 20}
    _, files = _written(world, [ask], [], [])
    with pytest.raises(DataError, match="'Mars/Olympus' is not a time zone"):
        world.features(world.definitions(text), files, as_of_us=60 * MINUTE)


def test_a_number_too_large_for_the_model_is_missing(world_of) -> None:
    """float32 ends at 3.4e38; beyond is no number a model could use."""
    world = world_of(KINDS)
    text = BRIEF.format(**OPTIONS) + '\nlarge = "n * 1e300"\nfine = "n * 1e30"'
    found = world.features(world.definitions(text), _one(world), as_of_us=60 * MINUTE)[0]
    assert found["large"] is None
    assert found["fine"] == pytest.approx(1e30, rel=1e-6)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(made=worlds, at_once=st.sampled_from([1, 7, 1 << 22]))
def test_a_few_keys_at_a_time_and_a_few_examples_give_the_same(world_of, monkeypatch, made, at_once) -> None:
    """Steps of a source that is too large for one go are made of some of its keys after the others.

    Such a source stays in its files, and what was found goes back to some of the examples after the others.
    """
    asks, events, places, options = made
    with tempfile.TemporaryDirectory() as folder:
        world = world_of(KINDS, Path(folder))
        _, files = _written(world, asks, events, places)
        definitions = world.definitions(BRIEF.format(**options))
        whole = world.features(definitions, files, as_of_us=60 * MINUTE)
        with monkeypatch.context() as patched:
            patched.setattr("headway.query.point_in_time._ROWS_AT_ONCE", 3)
            patched.setattr("headway.query.point_in_time._ROWS_A_THREAD", 3)
            patched.setattr("headway.query.point_in_time._FOUND_AT_ONCE", at_once)
            assert repr(world.features(definitions, files, as_of_us=60 * MINUTE)) == repr(whole)
