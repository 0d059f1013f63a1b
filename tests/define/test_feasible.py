"""The facts: counted again by hand from the file, and as of a moment."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from headway.blobs import FolderBlobs
from headway.data.freeze import freeze
from headway.errors import DataError
from headway.nouns.brief import parse_act_on

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment_us(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def _rows(shop) -> list[dict]:
    with (shop.folder / "orders.csv").open() as file:
        return list(csv.DictReader(file))


def test_splits_and_embargo_are_those_of_a_count_by_hand(shop):
    """An example belongs to a split if it was predicted, and its label known, before the split ends."""
    split = shop.brief.split
    ends = {"train": split.train_before, "validate": split.validate_before, "test": split.test_before}
    counted: dict[str, Counter] = defaultdict(Counter)
    for row in _rows(shop):
        ordered, closed = _moment_us(row["ordered_at"]), _moment_us(row["return_until"])
        for name, end in ends.items():
            end_us = _moment_us(f"{end}T00:00:00+00:00")
            if ordered < end_us:
                counted[name]["examples" if closed < end_us else "embargoed"] += 1
                counted[name]["positives"] += closed < end_us and row["returned"] == "yes"
                break
    facts = shop.facts()
    for name in ends:
        found = facts.split(name)
        assert (found.examples, found.embargoed, found.positives) == (
            counted[name]["examples"], counted[name]["embargoed"], counted[name]["positives"],
        )  # fmt: skip


@pytest.mark.parametrize("known_at", ["sched_dep + interval 1 day", "sched_dep + minutes(1440 + arr_delay)"])
@pytest.mark.parametrize("late", ["2023-04-22", "2023-04-28", "2030-01-01"])
def test_what_is_counted_is_what_freezing_counts(airport, begin, late, known_at):
    """Void, embargoed, examples and days of each period, while labels are still coming and after all have come."""
    as_of_us = _moment_us(f"{late}T12:00:00+00:00")
    began = 'label_known_at = "sched_dep + interval 1 day"'
    begun = begin(airport, airport / "trips", change=lambda text: text.replace(began, f'label_known_at = "{known_at}"'))
    assert begun.brief.target.label_known_at == known_at
    facts = begun.facts(as_of_us)
    frozen = freeze(
        begun.definitions, begun.snapshots, begun.files, as_of_us=as_of_us, store=FolderBlobs(begun.folder / "blobs")
    )
    assert facts.splits == frozen.splits
    assert facts.void > 0
    assert facts.labelled + facts.void + facts.unmatured == facts.examples
    assert facts.void + facts.unmatured == sum(split.void + split.censored for split in frozen.splits)
    assert (facts.unmatured > 0) == (late < "2030")
    assert facts.split("train").embargoed > 0


ASKED_AGAIN = """
[sources.trips]
path = "trips/*.csv"
key = ["sched_dep", "carrier", "trip_no"]
time = "sched_dep"
known = "sched_dep"
[target]
entities = "trips"
entity = ["tailnum"]
each = "5 days"
starting = 2023-03-10
label = "count(trips) < 5"
horizon = "2 days"
act_on = "top 5"
[features]
often = { from = "trips", match = ["tailnum"], window = "5 days" }
[split]
train_before = 2023-04-04
validate_before = 2023-04-19
test_before = 2023-05-03
[success]
minimum = 0.1
good_enough = 0.9
"""


def test_a_horizon_that_the_data_do_not_cover_is_open_and_not_void(airport, begin):
    """Long after the last row, the planes of the last round still have no label, and none is said never to come."""
    facts = begin(airport, airport / "trips", change=lambda _: ASKED_AGAIN).facts()
    assert (facts.void, facts.unmatured) == (0, 40)
    assert facts.split("test").censored == 40
    assert facts.labelled + facts.unmatured == facts.examples == 11 * 40


def test_money_between_lot_and_foresight_is_that_of_a_count_by_hand(shop):
    """Three calls a day, by lot and with perfect foresight, in the brief's money."""
    quota = parse_act_on(shop.brief.target.act_on).k
    days: dict[str, list[int]] = defaultdict(list)
    for row in _rows(shop):
        days[row["ordered_at"][:10]].append(int(row["returned"] == "yes"))
    perfect = sum(min(quota, len(day), sum(day)) for day in days.values()) / 365
    by_lot = sum(min(quota, len(day)) * sum(day) / len(day) for day in days.values()) / 365
    worth = shop.facts().worth
    assert worth.perfect == pytest.approx(perfect)
    assert worth.random == pytest.approx(by_lot)
    assert worth.random < worth.rule < worth.perfect
    assert worth.positives_per_day == pytest.approx(sum(map(sum, days.values())) / 365)


def test_the_facts_as_of_a_day_do_not_see_what_came_later(shop):
    """Later orders do not count, and labels that were not known yet are not seen."""
    then = _moment_us("2024-07-01T00:00:00+00:00")
    rows = [row for row in _rows(shop) if _moment_us(row["ordered_at"]) <= then]
    known = [row for row in rows if _moment_us(row["return_until"]) <= then]
    facts = shop.facts(then)
    assert (facts.rows, facts.examples, facts.labelled, facts.unmatured) == (
        8_000,
        len(rows),
        len(known),
        len(rows) - len(known),
    )
    assert facts.positives == sum(row["returned"] == "yes" for row in known)
    assert facts.split("test").examples == 0


def test_the_delay_of_a_label_and_the_span_are_those_of_the_file(shop):
    """Half of the labels are known within a month and a day, and the orders cover each day of the year."""
    rows = _rows(shop)
    delays = sorted(_moment_us(row["return_until"]) - _moment_us(row["ordered_at"]) for row in rows)
    facts = shop.facts()
    assert facts.delay_median_us == pytest.approx(delays[len(rows) // 2], rel=1e-3)
    assert facts.delay_p90_us == pytest.approx(delays[len(rows) * 9 // 10], rel=1e-3)
    assert (facts.days, facts.days_covered, facts.void) == (365, 1.0, 0)
    assert facts.first_us == _moment_us(rows[0]["ordered_at"])


def test_labels_known_by_their_own_prediction_are_counted(airport, begin, shop):
    """Known at the very moment of departure, all are; known a day later, none is."""
    began = 'label_known_at = "sched_dep + interval 1 day"'
    at_once = begin(
        airport, airport / "trips", change=lambda text: text.replace(began, 'label_known_at = "sched_dep"')
    ).facts()
    assert at_once.told == at_once.labelled > 0
    assert shop.facts().told == 0


def test_the_features_of_the_orders_say_something(shop):
    """The generator hides a signal in category and customer; a quick look finds it."""
    signal = shop.facts().signal
    assert signal.p_value == pytest.approx(1 / 200)
    assert signal.best == "category"
    assert signal.lift_together > signal.lift > 1.3


def test_doubled_and_unnamed_rows_of_a_source_are_counted(tmp_path, begin):
    """A dimension with two rows of one key, and one without a key, is what questions are there to find."""
    lines = [f"{n},2024-0{1 + n // 100}-{1 + n % 28:02d},{n % 7},{int(n % 6 == 0)}" for n in range(600)]
    (tmp_path / "t.csv").write_text("id,created_at,size,churned\n" + "\n".join(lines) + "\n")
    (tmp_path / "sizes.csv").write_text("code,name\n0,a\n1,b\n1,c\n,d\n")
    source = '[sources.sizes]\npath = "sizes.csv"\nkey = ["code"]\n\n[target]'
    begun = begin(tmp_path, tmp_path / "t.csv", change=lambda text: text.replace("[target]", source))
    sizes = next(found for found in begun.facts().sources if found.name == "sizes")
    assert (sizes.rows, sizes.doubled_rows, sizes.unnamed_rows) == (4, 1, 1)


def test_a_source_that_stops_early_is_seen_to_lag(airport, begin):
    """Weather without its last days lies behind the last trip by as much."""
    lines = (airport / "weather.csv").read_text().splitlines()
    (airport / "weather.csv").write_text("\n".join(lines[: -2 * 24 * 5]) + "\n")
    begun = begin(airport, airport / "trips", airport / "weather.csv")
    weather = next(found for found in begun.facts().sources if found.name == "weather")
    assert weather.behind_us == 5 * 86_400_000_000
    stale = next(feature for feature in begun.facts().features if feature.name == "weather_temp").stale
    assert 0.03 < stale < 0.09


def test_labels_that_never_vary_are_all_alike(airport, begin):
    """Of planes that all fly no more than a million times, every label that is known is the same."""
    never = ASKED_AGAIN.replace("count(trips) < 5", "count(trips) < 1000000")
    assert begin(airport, airport / "trips", change=lambda _: never).facts().alike


def test_a_relevance_below_nought_is_refused_in_words(airport, begin):
    """A ranking of planes by less than nothing is the brief's fault, and is told before any tree meets it."""
    ranked = ASKED_AGAIN.replace("count(trips) < 5", "count(trips) - 9").replace('"top 5"', '"top 3 per group"')
    ranked = ranked.replace("[features]", 'rank_within = ["predict_at"]\n[features]')
    ranked = ranked.replace("minimum", 'metric = "ndcg"\nminimum')
    with pytest.raises(DataError, match="cannot be below 0"):
        begin(airport, airport / "trips", change=lambda _: ranked).facts()
