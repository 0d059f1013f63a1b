"""Windows of every kind equal a patient person's arithmetic, and serving gives the engine's bits."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.blobs import FolderBlobs
from headway.errors import BriefError
from headway.online.fill import fill
from headway.online.store import OnlineStore
from headway.query.database import Database
from headway.query.point_in_time import PointInTime
from headway.query.row_form import RowForm

MINUTE = 60_000_000
KINDS = {
    "asks": {"id": "int", "k": "text", "a": "float", "at": "time", "y": "bool", "told": "time"},
    "events": {
        "id": "int", "k": "text", "at": "time", "known_at": "time", "x": "int", "f": "float", "b": "bool", "s": "text",
    },
}  # fmt: skip
FUNCTIONS = ["std(f)", "std(x)", "trend(f)", "trend(x)", "max(f)", "max(x)", "min(f)", "min(b)", "distinct(s)"]
FUNCTIONS += ["distinct(x)", "first(s)", "first(f)", "last(x)", "last(s)", "sum(f)", "avg(b)", "count()", "count(f)"]
SHAPES = {
    "plain": 'match = ["k"], window = "7 minutes"',
    "wide": 'match = ["k"], window = "30 minutes"',
    "ago": 'match = ["k"], window = "5 minutes", offset = "6 minutes"',
    "some": 'match = ["k"], window = "20 minutes", where = "x > 0 or b"',
    "ever": 'match = ["k"], window = "all"',
    "everybody": 'match = [], window = "9 minutes"',
}
BRIEF = """
[sources.asks]
path = "asks.parquet"
key = ["id"]
time = "at"
known = { "*" = "at - interval 1 minutes", y = "told" }
[sources.events]
path = "events.parquet"
key = ["id", "at"]
time = "at"
known = "known_at"
[target]
examples = "asks"
predict_at = "at"
label = "y"
label_known_at = "told"
act_on = "top 1 per day"
[serve]
refresh = "1 minutes"
[features]
"""
LENGTHS = {"plain": (7, 0), "wide": (30, 0), "ago": (5, 6), "some": (20, 0), "ever": (10**6, 0), "everybody": (9, 0)}


def _name(shape, function):
    return f"{shape}_{function.replace('(', '_').replace(')', '')}"


def _brief(extra=""):
    lines = [
        f'{_name(shape, function)} = {{ from = "events", {text}, value = "{function}" }}'
        for shape, text in SHAPES.items()
        for function in FUNCTIONS
    ]
    return BRIEF + "\n".join(lines) + "\n" + extra


def _world(rnd, events=40, asks=14):
    """Return rows on a grid so coarse that everything ties; some never happen, or are never known."""

    def gap(value, share=0.15):
        return None if rnd.random() < share else value

    def event(number):
        at = gap(rnd.randint(0, 25), 0.05)
        # Most are known at once or a little later; some after they have left every window.
        known = None if at is None else gap(at + rnd.choice([-1, 0, 0, 1, 2, 5, 9, 40]), 0.08)
        return {
            "id": number,
            "k": gap(rnd.choice("ab"), 0.1),
            "at": at,
            "known_at": known,
            "x": gap(rnd.randint(-3, 3)),
            "f": gap(rnd.choice([rnd.randint(-800, 800) / 8, 0.0, -0.0])),
            "b": gap(rnd.random() < 0.5),
            "s": gap(rnd.choice("pqr")),
        }

    rows = [event(number) for number in range(rnd.randint(0, events))]
    questions = [
        {
            "id": i,
            "k": gap(rnd.choice("abc"), 0.1),
            "a": float(i),
            "at": rnd.randint(0, 45),
            "y": True,
            "told": 50,
        }
        for i in range(asks)
    ]
    return rows, questions


def _us(rows):
    moments = ("at", "known_at", "told")
    return [{n: v * MINUTE if n in moments and v is not None else v for n, v in row.items()} for row in rows]


def _expected(oracle, shape, function, events, ask):
    length, offset = LENGTHS[shape]
    look = ask["at"] - 1  # the lag of serving
    found = []
    for row in events:
        if row["at"] is None or row["known_at"] is None or row["known_at"] > look:
            continue
        if shape != "everybody" and (row["k"] is None or row["k"] != ask["k"]):
            continue
        if shape == "some" and not ((row["x"] is not None and row["x"] > 0) or row["b"]):
            continue
        if look - offset - length < row["at"] <= look - offset:
            found.append(row)
    found.sort(key=lambda row: (row["at"], row["id"]))
    name, column = function.rstrip(")").split("(")
    return oracle.aggregate(name, [(row["at"] * MINUTE, row[column] if column else ...) for row in found])


def _both(world, text, events, asks, folder):
    """Return the definitions, the engine's features and those of serving, by ask."""
    files = {"asks": world.write("asks", _us(asks)), "events": world.write("events", _us(events), files=2)}
    definitions = world.definitions(text)
    offline = world.features(definitions, files, as_of_us=90 * MINUTE)
    with Database(threads=2) as database:
        point_in_time = PointInTime(database, definitions, files)
        blobs = FolderBlobs(folder / "blobs")
        manifest = fill(definitions, point_in_time, as_of_us=90 * MINUTE, since_us=None, blobs=blobs)
        late = fill(definitions, point_in_time, as_of_us=90 * MINUTE, since_us=20 * MINUTE, blobs=blobs)
        forms = [RowForm(definitions, OnlineStore.load(each, blobs, definitions)) for each in (manifest, late)]
    names = [feature.name for feature in definitions.features]
    fields = [field.name for field in definitions.request_fields]
    online = []
    for ask in _us(asks):
        row = {name: ask[name] for name in fields}
        answers = [form.join(row).features for form in forms[: 1 + (ask["at"] >= 20 * MINUTE)]]
        assert repr(answers[0]) == repr(answers[-1])
        online.append(dict(zip(names, answers[0], strict=True)))
    return offline, online


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6))
def test_every_aggregate_over_every_window_equals_the_oracle_and_serving_the_engine(world_of, oracle, seed) -> None:
    """Eighteen aggregates over six windows: ties, gaps, late knowledge, all time, everybody, a week ago."""
    events, asks = _world(random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        offline, online = _both(world_of(KINDS, Path(folder)), _brief(), events, asks, Path(folder))
    for ask, said, served in zip(asks, offline, online, strict=True):
        for shape in SHAPES:
            for function in FUNCTIONS:
                name = _name(shape, function)
                wanted = _expected(oracle, shape, function, events, ask)
                assert repr(served[name]) == repr(said[name]), (name, ask)
                if isinstance(wanted, float):
                    wanted = pytest.approx(wanted, rel=1e-6, abs=1e-9)
                assert said[name] == wanted, (name, ask)


def test_windows_give_the_same_steps_on_any_number_of_threads_and_in_any_order(world_of, tmp_path) -> None:
    """Bit for bit, the rows shuffled."""
    rnd = random.Random(3)
    events, asks = _world(rnd, events=400)
    world = world_of(KINDS)
    definitions = world.definitions(_brief())
    found = []
    for threads in (1, 2):
        rnd.shuffle(events)
        files = {"asks": world.write("asks", _us(asks)), "events": world.write("events", _us(events), files=threads)}
        found.append(world.features(definitions, files, as_of_us=90 * MINUTE, threads=threads))
    assert repr(found[0]) == repr(found[1])


COMPOSED = """
short = { from = "events", match = ["k"], window = "5 minutes", value = "sum(x)" }
long = { from = "events", match = ["k"], window = "20 minutes", value = "sum(x)" }
ratio = { of = ["short", "long"], value = "short / long" }
mixed = { of = ["short"], value = "coalesce(short, 0) + a" }
often = { from = "events", match = ["k"], window = "all", value = "share()" }
risk = { from = "events", match = ["k"], window = "all", value = "avg(b)", smooth = 5 }
since = { from = "events", match = ["k"], where = "x > 0", value = "minutes_between(at, predict_at)" }
"""


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**6))
def test_ratios_encodings_and_time_since_equal_the_oracle(world_of, seed) -> None:
    """A window over another, a share of all, an average drawn to that of all, the time since a condition held."""
    events, asks = _world(random.Random(seed))
    with tempfile.TemporaryDirectory() as folder:
        offline, online = _both(world_of(KINDS, Path(folder)), BRIEF + COMPOSED, events, asks, Path(folder))
    for ask, said, served in zip(asks, offline, online, strict=True):
        look = ask["at"] - 1
        known = [e for e in events if None not in (e["at"], e["known_at"]) and max(e["known_at"], e["at"]) <= look]
        mine = [e for e in known if e["k"] is not None and e["k"] == ask["k"]]

        def total(length, mine=mine, look=look):
            return sum(e["x"] for e in mine if e["x"] is not None and e["at"] > look - length)

        told, by_all = [e["b"] for e in mine if e["b"] is not None], [e["b"] for e in known if e["b"] is not None]
        mean = sum(by_all) / len(by_all) if by_all else None
        # A row that is known before it happens is the latest already, as for any look-up.
        told_of = [e for e in events if None not in (e["at"], e["known_at"], e["k"], e["x"]) and e["known_at"] <= look]
        positive = [e["at"] for e in told_of if e["k"] == ask["k"] and e["x"] > 0]
        wanted = {
            "ratio": total(5) / total(20) if total(20) else None,
            "mixed": total(5) + ask["a"],
            "often": len(mine) / len(known) if known else None,
            "risk": (sum(told) + 5 * mean) / (len(told) + 5) if mean is not None else None,
            "since": ask["at"] - max(positive) if positive else None,
        }
        for name, value in wanted.items():
            assert said[name] == (None if value is None else pytest.approx(value, rel=1e-6)), (name, ask)
            assert repr(said[name]) == repr(served[name]), (name, ask)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('bad = { from = "events", match = ["k"], take = "x", offset = "1 day" }', "belongs to a window"),
        ('bad = { from = "events", match = ["k"], window = "1 day", value = "sum(x)", smooth = 2 }', "Only an average"),
        ('bad = { from = "events", match = [], window = "1 day", value = "share()" }', "needs a match"),
        ('bad = { from = "events", match = ["k"], window = "1 day", where = "x" }', "a condition is wanted"),
        ('bad = { from = "events", match = ["k"], window = "1 day", value = "trend(s)" }', "not a number"),
        ('bad = { from = "events", match = ["k"], window = "2 days", max_age = "1 day" }', "window = '1 day'"),
        ('bad = { from = "events", match = ["k"], window = "0 days" }', "holds no rows"),
        ('bad = { from = "events", match = ["k"], window = "1 day", take = "x" }', r"last\(x\)"),
        ('bad = { of = ["nobody"], value = "nobody + 1" }', "no feature 'nobody'"),
        ('ok = "a"\nbad = { of = ["ok"], value = "a + 1" }', "does not speak of"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(world_of, line, said) -> None:
    """With the feature's name."""
    with pytest.raises(BriefError, match=said) as caught:
        world_of(KINDS).definitions(BRIEF + line)
    assert caught.value.where.startswith("features.bad")
