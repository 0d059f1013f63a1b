"""How available the data are when it counts: counted again by hand, and against worlds whose truth is known."""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.define.maturity import product_limit
from headway.define.seasons import swings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000

BRIEF = """
[sources.orders]
path = "orders.csv"
key = ["order"]
time = "placed"
known = { "*" = "placed", late = "delivered", delivered = "delivered" }
[sources.weather]
path = "weather.csv"
key = ["place", "hour"]
time = "hour"
known = "hour + interval 10 minutes"
[sources.shops]
path = "shops.csv"
key = ["shop"]
[target]
examples = "orders"
predict_at = "placed"
label = "late"
label_known_at = "delivered"
act_on = "top 5 per day"
[features]
wind = { from = "weather", match = { shop = "place" }, take = "wind", max_age = "6 hours" }
size = { from = "shops", match = ["shop"], take = "size" }
late_2 = { from = "orders", match = ["shop"], window = "2 days", value = "avg(late)" }
[split]
train_before = 2024-02-01
validate_before = 2024-02-15
test_before = 2024-03-01
[success]
minimum = 0.1
good_enough = 0.9
"""
START = datetime(2024, 1, 1, tzinfo=UTC)
DEAD = (datetime(2024, 2, 20, tzinfo=UTC), datetime(2024, 2, 22, 6, tzinfo=UTC))


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _us(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@pytest.fixture(name="rows", scope="module")
def _rows() -> list[dict]:
    """Make two months of orders from three shops, of which one in twenty is never delivered."""
    rng = random.Random(4)
    rows = []
    for number, minute in enumerate(sorted(rng.sample(range(60 * 1440), 2_400))):
        placed = START + timedelta(minutes=minute)
        late = rng.random() < 0.3
        taken = timedelta(minutes=rng.randrange(600, 2_000) + 3_000 * late)
        delivered = None if rng.random() < 0.05 else placed + taken
        rows.append(
            {"order": number, "shop": rng.choice("AAABBC"), "placed": placed, "delivered": delivered, "late": late}
        )
    return rows


@pytest.fixture(name="facts", scope="module")
def _facts(tmp_path_factory, rows, begin_once):
    """Gather the facts as of the first of March."""
    folder = tmp_path_factory.mktemp("orders")
    with (folder / "orders.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["order", "shop", "placed", "delivered", "late"])
        for row in rows:
            there = _text(row["delivered"]) if row["delivered"] else ""
            table.writerow([row["order"], row["shop"], _text(row["placed"]), there, str(row["late"]).lower()])
    hours = [START + timedelta(hours=hour) for hour in range(60 * 24)]
    weather = [f"{place},{_text(hour)},{hour.hour}" for hour in hours for place in "AB" if not DEAD[0] < hour < DEAD[1]]
    (folder / "weather.csv").write_text("\n".join(["place,hour,wind", *weather]) + "\n")
    (folder / "shops.csv").write_text("shop,size\nA,1\nB,2\n")
    begun = begin_once(folder, folder / "orders.csv", change=lambda _: BRIEF)
    return begun.facts(_us(datetime(2024, 3, 1, tzinfo=UTC)))


def _way(facts, source):
    return next(one for one in facts.availability.look_ups if one.source == source)


def test_a_label_is_mature_after_what_ninety_nine_in_hundred_take(facts, rows):
    """Half, 95 % and 99 % of the labels are known when the file says so, to within what few young ones can move."""
    found = facts.availability.maturity
    taken = sorted((row["delivered"] - row["placed"]) // timedelta(microseconds=1) for row in rows if row["delivered"])
    for share, said in ((0.5, found.median_us), (0.95, found.p95_us), (0.99, found.p99_us)):
        assert said == pytest.approx(taken[int(share * len(taken))], rel=0.02)
    assert found.never == pytest.approx(sum(not row["delivered"] for row in rows) / len(rows), abs=0.004)


def test_the_immature_are_the_newest_and_some_of_them_still_wait(facts, rows):
    """Counted by hand: those younger than a mature label, those without one, and about how many will get it."""
    found, now = facts.availability.maturity, datetime(2024, 3, 1, tzinfo=UTC)
    young = [row for row in rows if now - row["placed"] < timedelta(microseconds=found.p99_us)]
    waiting = [row for row in young if not row["delivered"] or row["delivered"] > now]
    assert (found.immature, found.waiting) == (len(young), len(waiting))
    came = sum(row["delivered"] is not None for row in waiting)
    assert found.expected == pytest.approx(came, abs=3 * np.sqrt(max(came, 1)))
    assert found.since_us == _us(now) - found.p99_us


def test_what_is_known_so_far_is_not_taken_for_what_takes_long(facts):
    """The curve rises to one: that the newest have no label yet does not make labels look slow."""
    days, share = zip(*facts.availability.maturity.points, strict=True)
    assert list(days) == sorted(days)
    assert list(share) == sorted(share)
    assert share[0] == 0.0
    assert share[-1] >= 0.99


@given(st.integers(0, 10_000))
def test_without_anything_waiting_the_estimate_is_a_plain_share(seed):
    """Where each label is known, the product-limit estimate is how many were known by then."""
    known = np.random.default_rng(seed).integers(0, 5, 8)
    known[-1] += 1
    waiting = np.zeros(8, dtype=np.int64)
    assert product_limit(known, waiting) == pytest.approx(np.cumsum(known) / known.sum())


def test_the_estimate_is_right_though_half_are_too_young():
    """Of a thousand examples of every age, the share known by an age is the truth to three standard errors."""
    rng = np.random.default_rng(6)
    delay, age = rng.geometric(0.1, 4_000), rng.integers(1, 30, 4_000)
    ages = np.arange(1, 31)
    known = np.array([((delay == one) & (delay <= age)).sum() for one in ages])
    waiting = np.array([((age == one) & (delay > age)).sum() for one in ages])
    share = product_limit(known, waiting)
    for one in (5, 10, 20):
        truth = 1 - 0.9**one
        assert share[one - 1] == pytest.approx(truth, abs=3 * np.sqrt(truth * (1 - truth) / (age >= one).sum()))


def test_how_old_the_latest_row_is_is_that_of_a_walk_through_the_file(facts, rows):
    """For each order the newest weather that was known by then, hour by hour."""
    ages = []
    for row in rows:
        if row["shop"] == "C":
            continue
        hour = (row["placed"] - timedelta(minutes=10)).replace(minute=0, second=0)
        while DEAD[0] < hour < DEAD[1]:
            hour -= timedelta(hours=1)
        if hour >= START:
            ages.append((row["placed"] - hour) // timedelta(microseconds=1))
    found = _way(facts, "weather")
    assert found.worst_us == max(ages)
    assert found.median_us == pytest.approx(sorted(ages)[len(ages) // 2], abs=60_000_000)
    assert found.stale == pytest.approx(sum(age > 6 * HOUR_US for age in ages) / len(rows))
    assert (found.kind, found.limit_us, found.step_us, found.features) == ("latest", 6 * HOUR_US, HOUR_US, ("wind",))
    assert DEAD[0] <= EPOCH + timedelta(microseconds=found.worst_at_us) <= DEAD[1] + timedelta(hours=1)


def test_the_days_on_which_a_source_stood_still_are_named(facts):
    """Two days without weather, and no other day."""
    (outage,) = _way(facts, "weather").outages
    days = [str((EPOCH + timedelta(days=day)).date()) for day in (outage.first_day, outage.last_day)]
    assert days == ["2024-02-20", "2024-02-21"]
    assert outage.share > 0.8


def test_a_key_that_a_source_does_not_have_is_counted(facts, rows):
    """Shop C has neither size nor weather: one order in six."""
    share = sum(row["shop"] == "C" for row in rows) / len(rows)
    for source in ("shops", "weather"):
        assert _way(facts, source).absent == pytest.approx(share)
    assert _way(facts, "shops").kind == "static"
    assert _way(facts, "shops").nothing == pytest.approx(share)


def test_a_window_that_reaches_back_beyond_the_file_is_counted(facts, rows):
    """The orders of the first two days have less than two days behind them."""
    first = min(row["placed"] for row in rows)
    share = sum(row["placed"] - first < timedelta(days=2) for row in rows) / len(rows)
    found = _way(facts, "orders")
    assert (found.kind, found.limit_us) == ("window", 2 * DAY_US)
    assert found.truncated == pytest.approx(share)


def test_rows_that_a_look_up_cannot_choose_between_are_many_to_many(tmp_path, begin):
    """Two stations a place, and only the place is matched: two hours in three the two of them disagree."""
    lines = [
        f"{n},A,{_text(START + timedelta(hours=n))},{_text(START + timedelta(hours=n + 30))},{n % 3 == 0}"
        for n in range(900)
    ]
    (tmp_path / "orders.csv").write_text("order,shop,placed,delivered,late\n" + "\n".join(lines) + "\n")
    weather = [
        f"A,{place},{_text(START + timedelta(hours=n))},{n % 3 and at}"
        for n in range(900)
        for at, place in enumerate("xy")
    ]
    (tmp_path / "weather.csv").write_text("\n".join(["place,station,hour,wind", *weather]) + "\n")
    (tmp_path / "shops.csv").write_text("shop,size\nA,1\n")
    text = BRIEF.replace('key = ["place", "hour"]', 'key = ["place", "station", "hour"]')
    facts = begin(tmp_path, tmp_path / "orders.csv", change=lambda _: text).facts()
    assert _way(facts, "weather").tied == pytest.approx(2 / 3)
    assert _way(facts, "shops").absent == 0.0


PLACES = """
[sources.depots]
path = "depots.csv"
key = ["depot"]
[sources.kiosks]
path = "kiosks.csv"
key = ["kiosk"]
time = "opened"
known = "opened"
"""
LOOKING = """
depot = { nearest = ["lat", "lon"], from = "depots", lat = "lat", lon = "lon" }
kiosk = { nearest = ["lat", "lon"], from = "kiosks", lat = "lat", lon = "lon" }
busy = { from = "orders", match = [], window = "2 days", value = "count()" }
"""


def test_places_and_windows_over_all_rows_are_looked_into_as_features_do(tmp_path, begin):
    """One order in four says not where it is; the only kiosk opens after half of them; all orders see all orders."""
    lines = [
        f"{n},A,{_text(START + timedelta(hours=n))},{_text(START + timedelta(hours=n + 30))},{n % 3 == 0},"
        + ("" if n % 4 == 0 else f"{50 + n % 7},{n % 11}")
        + ("," if n % 4 == 0 else "")
        for n in range(900)
    ]
    (tmp_path / "orders.csv").write_text("order,shop,placed,delivered,late,lat,lon\n" + "\n".join(lines) + "\n")
    (tmp_path / "depots.csv").write_text("depot,lat,lon\nx,51,3\ny,55,9\n")
    (tmp_path / "kiosks.csv").write_text(f"kiosk,lat,lon,opened\nk,52,4,{_text(START + timedelta(hours=450))}\n")
    (tmp_path / "weather.csv").write_text(f"place,hour,wind\nA,{_text(START)},1\n")
    (tmp_path / "shops.csv").write_text("shop,size\nA,1\n")
    text = BRIEF.replace("[target]", f"{PLACES}[target]").replace("[split]", f"{LOOKING}[split]")
    text = text.replace('{ "*" = "placed", late', '{ "*" = "placed - interval 1 hour", late')
    facts = begin(tmp_path, tmp_path / "orders.csv", change=lambda _: text).facts()
    depots, kiosks = _way(facts, "depots"), _way(facts, "kiosks")
    assert (depots.kind, depots.mine, depots.absent) == ("nearest", ("lat", "lon"), 0.0)
    assert depots.nothing == depots.unnamed == pytest.approx(0.25)
    assert kiosks.unnamed == pytest.approx(0.25)
    assert kiosks.nothing == pytest.approx(0.25 + 0.75 * 0.5, abs=2 / 900)
    (everything,) = [one for one in facts.availability.look_ups if one.features == ("busy",)]
    assert (everything.kind, everything.mine, everything.nothing) == ("window", (), 0.0)
    assert everything.worst_us <= HOUR_US


def _days(rate, *, days, per_day=60, seed=1):
    rng = np.random.default_rng(seed)
    day = np.arange(19_000, 19_000 + days)
    count = rng.poisson(per_day, days).astype(np.float64)
    return day, rng.binomial(count.astype(int), np.clip(rate(day), 0, 1)).astype(np.float64), count


def test_a_swing_of_weekday_and_season_is_found_and_named():
    """Saturdays are high, and so are winters: lowest and highest have their names."""
    day, total, count = _days(
        lambda day: 0.2 + 0.1 * ((day + 3) % 7 == 5) + 0.1 * np.cos(2 * np.pi * day / 365.25), days=400
    )
    week, year = swings(day, total, count)
    assert (week.shows, week.high_name) == (True, "Saturday")
    assert year.shows
    assert year.high_name[-2:] in {"12", "01", "02"}
    assert year.low < 0.17
    assert year.high > 0.25
    assert (round(week.seen), round(year.seen, 1)) == (57, 1.1)


def test_where_nothing_swings_one_is_found_no_oftener_than_said():
    """Of a thousand worlds without a swing, one in a hundred shows one, to three standard errors."""
    runs = 400
    found = [swings(*_days(lambda day: np.full(len(day), 0.2), days=200, seed=seed)) for seed in range(runs)]
    for which in (0, 1):
        share = sum(one[which].shows for one in found) / runs
        assert share <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / runs)


def test_too_few_days_are_not_asked_about_seasons():
    """Ten days show neither weekday nor month."""
    week, year = swings(*_days(lambda day: np.full(len(day), 0.2), days=10))
    assert (week.shows, week.low, year.shows, year.low) == (False, None, False, None)
