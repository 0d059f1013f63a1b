"""Changes are found and named on real tables, and nothing is found where nothing is wrong."""

from __future__ import annotations

import pytest
from bench.changes import found_in, reference_of, score
from bench.plants import complete_journey, flights, week_of

from bench import NotBuilt
from headway.data.changes import changes_of
from headway.data.profiles import build_reference, kinds_in, profile
from headway.nouns.change import CHANGE_KINDS
from headway.query.database import Database


@pytest.fixture(scope="module")
def database():
    """Return an engine that all tests here share."""
    with Database(threads=2) as one:
        yield one


@pytest.fixture(scope="module")
def beds(database):
    """Return the tables of the flights, by name."""
    try:
        return {bed.name: bed for bed in flights(database)}
    except NotBuilt as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def reference(database, beds):
    """Return the reference of the flights before July."""
    return reference_of(database, beds["flights"], beds["flights"].ends[1])


def _said(database, bed, reference, change):
    end = bed.ends[1]
    return found_in(database, bed, reference, change.format(f"({week_of(bed, end)})"), end)


def test_a_clean_week_says_nothing(database, beds, reference):
    """The next real week of flights is no change."""
    assert _said(database, beds["flights"], reference, "SELECT * FROM {}") == []


@pytest.mark.parametrize(
    ("sql", "kind", "column", "word"),
    [
        ("SELECT * RENAME (distance AS dist_miles) FROM {}", "column renamed", "distance", "dist_miles"),
        ("SELECT * REPLACE (distance * 1.609344 AS distance) FROM {}", "unit changed", "distance", "kilometres"),
        ("SELECT * REPLACE (lower(carrier) AS carrier) FROM {}", "case changed", "carrier", "letters"),
        (
            "SELECT * REPLACE (coalesce(dep_delay, -999) AS dep_delay) FROM {}",
            "null written as value",
            "dep_delay",
            "-999",
        ),
        ("SELECT * REPLACE (replace(origin, 'EWR', 'NWK') AS origin) FROM {}", "category renamed", "origin", "NWK"),
        (
            "SELECT * REPLACE (time_hour + INTERVAL 5 HOUR AS time_hour) FROM {}",
            "time zone shifted",
            "time_hour",
            "5 hours",
        ),
        ("SELECT * FROM {} LIMIT 3000", "rows truncated", "", "3,000 rows"),
    ],
)
def test_a_change_is_named_in_words(database, beds, reference, sql, kind, column, word):
    """What was done to a week of flights is said: its kind, its column, and the word that matters."""
    found = _said(database, beds["flights"], reference, sql)
    assert [(change.kind, change.column) for change in found[:1]] == [(kind, column)]
    assert len(found) == 1 or kind == "rows truncated"
    assert word in found[0].words + found[0].cause


def test_a_sample_of_planted_changes_is_named_rightly(database):
    """Of every twelfth fault planted into Complete Journey nine in ten are named rightly; clean windows are quiet."""
    try:
        beds = complete_journey(database)
    except NotBuilt as missing:
        pytest.skip(str(missing))
    scores = score(database, [beds[2], beds[1]], windows=20, every=12)
    assert sum(scores.named.values()) >= 0.9 * sum(scores.planted.values()), scores.misses
    assert sum(scores.alarms.values()) <= 0.01 * scores.trials
    assert sum(scores.planted.values()) > 20


def test_a_wrong_name_does_not_count(database, beds, reference):
    """The scoring can fail: another kind, and another factor of the same kind, are misses."""
    from bench.changes import named_rightly
    from bench.plants import Plant

    found = _said(database, beds["flights"], reference, "SELECT * REPLACE (distance * 1000 AS distance) FROM {}")
    right = Plant(
        kind="unit changed", severity=1, bed=beds["flights"], column="distance", end_us=0, sql="", factor=1000.0
    )
    wrong = Plant(
        kind="unit changed", severity=1, bed=beds["flights"], column="distance", end_us=0, sql="", factor=100.0
    )
    assert named_rightly(right, found)
    assert not named_rightly(wrong, found)


def test_a_profile_does_not_depend_on_threads(beds, database):
    """The same rows give the same profile to the last figure, on one thread and on two."""
    table = database.table(f"SELECT * FROM {beds['weather'].relation}")
    found = []
    for threads in (1, 2):
        with Database(threads=threads) as one:
            name = one.register(table)
            found.append(profile(one, name, kinds_in(one, name), key=("origin", "time_hour"), time="time_hour"))
    assert found[0] == found[1]


def test_an_empty_part_is_a_truncated_one(database):
    """No row at all is said, and nothing is divided by nought."""
    name = database.create("SELECT range AS a, 'x' AS b FROM range(100)")
    kinds = kinds_in(database, name)
    reference = build_reference(database, name, kinds)
    part = profile(database, name, kinds, where="false")
    assert [change.kind for change in changes_of(part, reference)] == ["rows truncated"]
    assert {change.kind for change in changes_of(part, reference)} <= set(CHANGE_KINDS)


_COUNTED = "SELECT 1600000000 + 3600 * range AS at, range % 7 AS n FROM range(2000)"


@pytest.mark.parametrize(
    ("base", "factor", "words"),
    [
        (1, 1000, "milliseconds for seconds"),
        (1, 1_000_000, "microseconds for seconds"),
        (1000, 1000, "microseconds for milliseconds"),
        (1_000_000, 0.001, "milliseconds for microseconds"),
    ],
)
def test_whole_numbers_that_count_moments_are_told_from_amounts(database, base, factor, words):
    """A count that moved on is explained by its unit, as a column of moments would be; only moved on, it is well."""
    before = database.create(_COUNTED.replace("1600000000 + 3600 * range", f"(1600000000 + 3600 * range) * {base}"))
    kinds = kinds_in(database, before)
    reference = build_reference(database, before, kinds)
    following = _COUNTED.replace("1600000000", "1607200000").replace("range(2000)", "range(500)")
    for times in (1, factor):
        sql = following.replace("AS at", "AS seconds")
        part = database.create(f"SELECT CAST(seconds * {base} * {times} AS BIGINT) AS at, n FROM ({sql})")
        found = [each for each in changes_of(profile(database, part, kinds), reference) if each.column == "at"]
        if times == 1:
            assert [each.kind for each in found if each.kind == "epoch unit changed"] == []
        else:
            assert [each.kind for each in found] == ["epoch unit changed"]
            assert words in found[0].cause
            assert found[0].detail["factor"] == pytest.approx(factor)


def test_amounts_a_thousand_times_as_large_are_no_moments(database):
    """An amount whose size is that of no moment is in another unit, and nothing is said of 1970."""
    before = database.create("SELECT hash(range) % 5000 AS amount FROM range(3000)")
    kinds = kinds_in(database, before)
    part = database.create("SELECT CAST(hash(range) % 5000 AS BIGINT) * 1000 AS amount FROM range(3000, 5000)")
    found = changes_of(profile(database, part, kinds), build_reference(database, before, kinds))
    assert "unit changed" in {each.kind for each in found}
    assert "epoch unit changed" not in {each.kind for each in found}
