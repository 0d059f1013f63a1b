"""What an earlier version of a source lacks although the brief says that it was known by then."""

from __future__ import annotations

import random

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.data.hindsight import Earlier, hindsight
from headway.nouns.brief_text import parse_brief
from headway.query.database import Database
from headway.query.resolver import resolve
from headway.validate.leaks import known_only_after

DAY = 86_400_000_000
TAKEN_ON = 60
BRIEF = """
[sources.orders]
path = "orders.csv"
key = ["id"]
time = "day"
types = {{ day = "time", paid_on = "time" }}
known = {{ "*" = "day", paid = "{paid}", note = "day", paid_on = "paid_on" }}
[target]
examples = "orders"
predict_at = "day + interval 1 hours"
label = "paid > 3"
label_known_at = "paid_on"
act_on = "top 1 per day"
[features]
price = "price"
note = "note"
usual = {{ from = "orders", match = ["shop"], window = "30 days", value = "avg(paid)" }}
[split]
train_before = 1970-02-01
validate_before = 1970-02-20
test_before = 1970-04-01
[success]
minimum = 0.1
good_enough = 0.9
"""
COLUMNS = ["id", "day", "shop", "price", "note", "paid", "paid_on"]


def _orders(seed, *, days=90, per_day=20):
    """Return orders, each with a price and a note from its day on, and how much was paid up to nine days later."""
    rnd = random.Random(seed)
    rows = []
    for number in range(days * per_day):
        day = number // per_day
        rows.append(
            {
                "id": number,
                "day": day,
                "shop": rnd.choice("abc"),
                "price": rnd.choice([round(rnd.uniform(1, 9), 2), None]),
                "note": rnd.choice(["gift", "urgent", None]),
                "paid": rnd.randint(0, 9),
                "paid_on": day + rnd.randint(1, 9),
            }
        )
    return rows


def _as_seen(rows, on, *, keep=lambda row: True):
    """Return the file of a day: orders of up to then, what has not been paid by then without an amount."""
    table = {name: [] for name in COLUMNS}
    for row in rows:
        if row["day"] <= on and keep(row):
            paid = row["paid_on"] <= on
            seen = {**row, "paid": row["paid"] if paid else None, "paid_on": row["paid_on"] if paid else None}
            for name in COLUMNS:
                table[name].append(seen[name])
    moments = {name: pa.array([None if d is None else d * DAY for d in table[name]], pa.timestamp("us"))
               for name in ("day", "paid_on")}  # fmt: skip
    return pa.table({**table, **moments})


@pytest.fixture
def look_back(tmp_path, monkeypatch):
    """Return what asks a first file about a second one, with the moment from which on 'paid' is declared known."""
    monkeypatch.setattr("headway.data.segments._SMALL_BYTES", 0)

    def looked(first: pa.Table, second: pa.Table, paid: str):
        brief = parse_brief(BRIEF.format(paid=paid))
        blobs, taken = FolderBlobs(tmp_path / "blobs"), []
        for table in (first, second):
            pacsv.write_csv(table, tmp_path / "orders.csv")
            previous = taken[-1] if taken else None
            taken.append(collect("orders", brief.sources["orders"], folder=tmp_path, store=blobs, previous=previous))
        definitions = resolve(brief, {"orders": {column.name: column.kind for column in taken[1].columns}})
        earlier = {"orders": Earlier(snapshot=taken[0], taken_us=TAKEN_ON * DAY + DAY // 2)}
        with Database(threads=1) as database:
            found = hindsight(definitions, {"orders": taken[1]}, earlier, store=blobs, database=database)
        return {each.column: each for each in found}

    return looked


def test_values_that_came_after_they_were_declared_known_are_counted(look_back) -> None:
    """Paid is said to be known on the day; the file of day 60 lacks what was paid later, for orders of up to day 59."""
    rows = _orders(1)
    found = look_back(_as_seen(rows, TAKEN_ON), _as_seen(rows, 89), "day")
    witnesses = sorted((row["day"], row["id"]) for row in rows if row["day"] <= TAKEN_ON - 1)[-1000:]
    late = [number for _, number in witnesses if rows[number]["paid_on"] > TAKEN_ON]
    assert (found["paid"].rows, found["paid"].filled, found["paid"].changed) == (1000, len(late), 0)
    assert {check.subject for check in known_only_after(found.values()) if not check.passed} == {"orders.paid"}


def test_values_that_come_when_they_are_declared_known_pass(look_back) -> None:
    """The same orders with the moment of the payment: what the first file lacks was not claimed by then."""
    rows = _orders(2)
    found = look_back(_as_seen(rows, TAKEN_ON), _as_seen(rows, 89), "paid_on")
    assert {name: (each.filled, each.changed) for name, each in found.items()} == dict.fromkeys(
        ("note", "paid", "paid_on", "price", "shop"), (0, 0)
    )
    assert all(check.passed for check in known_only_after(found.values()))


def test_a_value_that_is_written_over_later_is_found_and_a_few_corrections_are_not(look_back) -> None:
    """All notes become others afterwards; of the prices, two in a hundred are put right."""
    rows, rnd = _orders(3), random.Random(3)
    later = [
        {
            **row,
            "note": row["note"] and f"done {row['note']}",
            "price": row["price"] + 1 if row["price"] and rnd.random() < 0.02 else row["price"],
        }
        for row in rows
    ]
    found = look_back(_as_seen(rows, TAKEN_ON), _as_seen(later, 89), "paid_on")
    assert found["note"].changed > 700
    assert 5 < found["price"].changed < 40
    assert {check.subject for check in known_only_after(found.values()) if not check.passed} == {"orders.note"}


def test_a_file_that_only_grows_has_nothing_to_tell(look_back) -> None:
    """Every row of then stands there as it stood: no row is compared."""
    rows = _orders(4)
    first = _as_seen(rows, TAKEN_ON, keep=lambda row: row["paid_on"] <= TAKEN_ON)
    second = pa.concat_tables([first, _as_seen(rows, 89, keep=lambda row: row["day"] > TAKEN_ON)])
    assert look_back(first, second, "day") == {}
