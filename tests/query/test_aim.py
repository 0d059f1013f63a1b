"""Entities at cut-offs, who is eligible, labels over a horizon and censoring: as a patient person would find them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headway.errors import BriefError
from headway.query.database import Database
from headway.query.point_in_time import PointInTime

DAY = 86_400_000_000
KINDS = {
    "people": {"who": "text", "joined": "time"},
    "orders": {"n": "int", "who": "text", "at": "time", "told": "time", "units": "int"},
}
BRIEF = """
[sources.people]
path = "people.parquet"
key = ["who"]
time = "joined"
known = "joined"
[sources.orders]
path = "orders.parquet"
key = ["n"]
time = "at"
known = "told"
[target]
entities = "people"
each = "{each} days"
starting = 1970-01-02
label = "sum(orders.units)"
horizon = "{horizon} days"
delay = "{delay} days"
among = "count(orders, interval {back} days) > 0"
act_on = "top 1 per day"
[features]
past = {{ from = "orders", match = ["who"], window = "5 days", value = "sum(units)" }}
"""
OPTIONS = st.fixed_dictionaries(
    {
        "each": st.integers(1, 4),
        "horizon": st.integers(1, 6),
        "delay": st.integers(1, 3),
        "back": st.integers(1, 6),
    }
)
PEOPLE = st.lists(
    st.fixed_dictionaries({"who": st.sampled_from("abc"), "joined": st.one_of(st.none(), st.integers(0, 12))}),
    min_size=1,
    max_size=5,
)
ORDERS = st.lists(
    st.fixed_dictionaries(
        {
            "who": st.sampled_from(["a", "b", "c", None]),
            "at": st.one_of(st.none(), st.integers(0, 20)),
            "late": st.sampled_from([0, 0, 1, 2, 5, None]),
            "units": st.one_of(st.none(), st.integers(-3, 5)),
        }
    ),
    min_size=1,
    max_size=30,
)


def _rows(people, orders):
    asked = [{"who": p["who"], "joined": None if p["joined"] is None else p["joined"] * DAY} for p in people]
    made = []
    for number, order in enumerate(orders):
        at, late = order["at"], order["late"]
        told = None if at is None or late is None else (at + late) * DAY
        made.append(
            {"n": number, "who": order["who"], "at": None if at is None else at * DAY, "told": told}
            | {"units": order["units"]}
        )
    return {"people": asked, "orders": made}


def _found(world, rows, options, as_of_us):
    definitions = world.definitions(BRIEF.format(**options))
    files = {name: world.write(name, table) for name, table in rows.items()}
    with Database(threads=1) as database:
        table = PointInTime(database, definitions, files).examples(as_of_us=as_of_us)
        return database.rows(
            'SELECT who, epoch_us(predict_at), "@label", "@censored", "feature:past" '
            f"FROM {table} ORDER BY who, predict_at"
        )


def _expected(rows, options, as_of_us):
    """Return who is asked when and what the answer is: loops, and nothing of Headway."""
    told = [order["told"] for order in rows["orders"] if order["told"] is not None and order["told"] <= as_of_us]
    end = max(told, default=None)
    expected = []
    for who in sorted({person["who"] for person in rows["people"]}):
        joined = [p["joined"] for p in rows["people"] if p["who"] == who and p["joined"] is not None]
        at = DAY
        while joined and end is not None and at <= end:

            def units(first, last, known, who=who):
                return [
                    order["units"]
                    for order in rows["orders"]
                    if order["who"] == who
                    and order["at"] is not None
                    and order["told"] is not None
                    and first < order["at"] <= last
                    and order["told"] <= known
                ]

            if min(joined) <= at and units(at - options["back"] * DAY, at, at):
                closes = at + (options["horizon"] + options["delay"]) * DAY
                bought = units(at, at + options["horizon"] * DAY, closes)
                label = sum(n for n in bought if n is not None) if closes <= end else None
                past = sum(n for n in units(at - 5 * DAY, at, at) if n is not None)
                expected.append((who, at, label, closes > end, past))
            at += options["each"] * DAY
    return expected


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=PEOPLE, orders=ORDERS, options=OPTIONS, as_of=st.integers(0, 25))
def test_examples_and_labels_over_a_horizon_equal_the_oracle(world_of, people, orders, options, as_of) -> None:
    """Who is there, who is eligible, what is counted, and whose horizon is not over."""
    rows = _rows(people, orders)
    with tempfile.TemporaryDirectory() as folder:
        found = _found(world_of(KINDS, Path(folder)), rows, options, as_of * DAY)
    assert found == _expected(rows, options, as_of * DAY)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(people=PEOPLE, orders=ORDERS, options=OPTIONS, as_of=st.integers(5, 15))
def test_nothing_changes_when_the_future_does(world_of, people, orders, options, as_of) -> None:
    """Without all that became known later there are the same examples with the same labels."""
    rows = _rows(people, orders)
    past = {
        "people": [p for p in rows["people"] if p["joined"] is not None and p["joined"] <= as_of * DAY],
        "orders": [o for o in rows["orders"] if o["told"] is not None and o["told"] <= as_of * DAY],
    }
    with tempfile.TemporaryDirectory() as folder:
        world = world_of(KINDS, Path(folder))
        assert _found(world, rows, options, as_of * DAY) == _found(world, past, options, as_of * DAY)


WRONG = [
    ('horizon = "3 days"\n', "", "nothing says over which time"),
    ('horizon = "3 days"', 'horizon = "soon"', "nothing says over which time"),
    ("sum(orders.units)", "who", "counts nothing"),
    ("sum(orders.units)", "sum(order.units)", "There is no source 'order'"),
    ("sum(orders.units)", "sum(units)", "does not say of which one source"),
    ("sum(orders.units)", "sum(orders.unit)", "has no column 'unit'"),
    ('each = "2 days"\n', "", "how often"),
    ('key = ["who"]\n', "", "has no key"),
    ("count(orders, interval 4 days) > 0", "count(orders) > 0", "how far back"),
    ("count(orders, interval 4 days) > 0", "count(orders, interval 0 days) > 0", "holds no rows"),
    ("count(orders, interval 4 days) > 0", "count(orders, interval 4 days)", "a condition is wanted"),
    ('each = "2 days"', 'each = "2 days"\npredict_at = "joined"', "follow from 'each'"),
    ('each = "2 days"', 'each = "2 days"\nexamples = "orders"', "says twice"),
    ('entities = "people"', 'entities = "peopel"', "There is no source 'peopel'"),
    ('each = "2 days"', 'each = "2 days"\nrank_within = ["whom"]', "has no column 'whom'"),
    ('past = { from = "orders", ', "past = { ", "has no row of its own"),
    ('each = "2 days"', 'each = "2 days"\nlabel_known_at = "predict_at"', "follows from the horizon"),
]


@pytest.mark.parametrize(("old", "new", "said"), WRONG, ids=[said for *_, said in WRONG])
def test_a_target_that_does_not_fit_is_refused_in_words(world_of, old, new, said) -> None:
    """Each mistake is named, with what to do."""
    text = BRIEF.format(each=2, horizon=3, delay=1, back=4)
    assert text.count(old) == 1
    with pytest.raises(BriefError) as caught:
        world_of(KINDS).definitions(text.replace(old, new))
    assert said in str(caught.value)
    assert caught.value.hint
