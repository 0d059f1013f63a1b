"""A dataset is frozen only if there is something to learn, and its examples can be told apart."""

from __future__ import annotations

import csv
import datetime as dt
import json
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.data.freeze import boundaries_us, freeze, load, to_examples
from headway.errors import BriefError, DataError
from headway.nouns.brief_text import parse_brief
from headway.query.resolver import resolve

DAY_US = 86_400_000_000
TEXT = """
[sources.asks]
path = "asks.csv"
key = ["id"]
time = "at"
zone = "Europe/Berlin"
[sources.asks.known]
"*" = "at"
bad = "told"
told = "told"
[target]
examples = "asks"
predict_at = "at"
label = "bad"
label_known_at = "told"
act_on = "top 1 per day"
[features]
size = "size"
past = { from = "asks", match = ["who"], window = "3 days", value = "avg(bad)" }
[split]
zone = "Europe/Berlin"
train_before = 2013-01-11
validate_before = 2013-01-16
test_before = 2013-01-21
[success]
minimum = 0.1
good_enough = 0.9
segments = ["who"]
[baseline]
rule = "past"
"""


def _rows(count: int = 60, **changes) -> list[dict]:
    """Return three asks a day from 1 January; each is told about five hours later."""
    rows = []
    for number in range(count):
        at = dt.datetime(2013, 1, 1) + dt.timedelta(hours=8 * number)  # noqa: DTZ001  (local clock of the source)
        row = {
            "id": number,
            "who": "ab"[number % 2],
            "at": at.isoformat(),
            "told": (at + dt.timedelta(hours=5)).isoformat(),
            "size": number % 7,
            "bad": "true" if number % 3 == 0 else "false",
        }
        rows.append({**row, **{name: make(number, row) for name, make in changes.items()}})
    return rows


def _after(**length):
    """Return a change that tells of an ask so long after it."""
    return lambda _, row: (dt.datetime.fromisoformat(row["at"]) + dt.timedelta(**length)).isoformat()


@pytest.fixture
def made(tmp_path):
    """Return a maker of datasets from rows, with their table."""

    def make(rows, text=TEXT, *, as_of=dt.datetime(2013, 3, 1, tzinfo=dt.UTC)):
        with (tmp_path / "asks.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        blobs = FolderBlobs(tmp_path / "blobs")
        brief = parse_brief(text)
        snapshots = {
            name: collect(name, source, folder=tmp_path, store=blobs) for name, source in brief.sources.items()
        }
        definitions = resolve(brief, {name: {c.name: c.kind for c in s.columns} for name, s in snapshots.items()})
        files = {name: [blobs.path(segment.blob) for segment in s.segments] for name, s in snapshots.items()}
        as_of_us = int(as_of.timestamp()) * 1_000_000
        dataset = freeze(definitions, snapshots, files, as_of_us=as_of_us, store=blobs, threads=1)
        table = pq.read_table(blobs.path(dataset.table))
        return SimpleNamespace(dataset=dataset, table=table, path=blobs.path(dataset.table), brief=brief)

    return make


def test_splits_end_at_local_midnight_and_embargo_what_was_told_later(made) -> None:
    """Asked at 16:00 and told at 23:00 is in; told a minute after midnight is not."""
    late = lambda number, row: row["told"] if number % 3 != 2 else row["told"].replace("T21", "T23")  # noqa: E731
    dataset = made(_rows(told=late)).dataset
    assert [(c.name, c.examples, c.embargoed, c.void) for c in dataset.splits] == [
        ("train", 30, 0, 0),
        ("validate", 15, 0, 0),
        ("test", 15, 0, 0),
        ("after", 0, 0, 0),
    ]
    assert [count.embargoed for count in made(_rows(told=_after(hours=8))).dataset.splits] == [1, 1, 1, 0]


def test_boundaries_are_midnights_of_the_zone(made) -> None:
    """11 January begins in Berlin an hour before it does in Greenwich."""
    ends = boundaries_us(made(_rows()).brief.split)
    assert ends["train"] == int(dt.datetime(2013, 1, 10, 23, tzinfo=dt.UTC).timestamp()) * 1_000_000


def test_labels_that_are_not_there_are_void_and_those_to_come_are_not_seen(made) -> None:
    """Frozen on 18 January nothing later counts; an ask that nobody was told about is void."""
    never = lambda number, row: "" if number % 10 == 1 else row["told"]  # noqa: E731
    counts = {c.name: c for c in made(_rows(told=never)).dataset.splits}
    assert [counts[name].void for name in ("train", "validate", "test")] == [3, 2, 1]
    early = made(_rows(), as_of=dt.datetime(2013, 1, 18, 2, tzinfo=dt.UTC)).dataset.split("test")
    assert (early.examples, early.void) == (6, 1)


def test_the_table_holds_what_the_shapes_promise(made) -> None:
    """Loading by split, features as float32, days in the zone of the split, the rule's score."""
    found = made(_rows())
    examples = to_examples(load(found.path, splits=["validate", "test"]), found.dataset.features)
    assert len(examples) == 30
    assert examples.day[0] == (dt.date(2013, 1, 11) - dt.date(1970, 1, 1)).days
    assert examples.features["size"].to_pylist()[:3] == [2.0, 3.0, 4.0]
    assert examples.rule[5] == pytest.approx(examples.features["past"].to_pylist()[5])
    assert set(examples.segments["who"].to_pylist()) == {"a", "b"}


def test_two_examples_of_one_key_are_refused(made) -> None:
    """Which of them was predicted could never be said."""
    with pytest.raises(DataError, match="2 examples of source 'asks' have the one key id = '4'") as caught:
        made(_rows(id=lambda number, _: min(number, 58) if number != 5 else 4))
    assert "and 1 more keys are doubled" in caught.value.what
    assert caught.value.where == "sources.asks.key"


@pytest.mark.parametrize(("value", "said"), [("true", "true"), ("false", "false")])
def test_a_label_of_one_class_is_refused(made, value, said) -> None:
    """There is nothing to tell apart."""
    with pytest.raises(DataError, match=f"The label is {said} for all 30 examples of the train period") as caught:
        made(_rows(bad=lambda *_: value))
    assert caught.value.where == "target.label"


def test_a_train_period_without_rows_is_refused(made) -> None:
    """All data lie later."""
    early = TEXT.replace("2013-01-11", "2012-06-11")
    with pytest.raises(DataError, match="The train period, before 2012-06-11, has no labelled example") as caught:
        made(_rows(), early)
    assert caught.value.where == "split.train_before"


def test_a_period_in_which_all_is_known_too_late_says_so(made) -> None:
    """Labels that take a month cannot train a split of ten days."""
    month = _after(days=31)
    with pytest.raises(DataError, match="the label of 30 became known too late") as caught:
        made(_rows(told=month))
    assert caught.value.where == "split.train_before"
    with pytest.raises(DataError, match="30 have no label"):
        made(_rows(told=month), as_of=dt.datetime(2013, 1, 22, tzinfo=dt.UTC))


def test_the_label_as_a_feature_is_caught_on_the_data(made) -> None:
    """It is known at the end, not when the prediction is made."""
    with pytest.raises(DataError, match="'bad' is not known at predict_at for 60 of 60 examples") as caught:
        made(_rows(), TEXT.replace('size = "size"', 'size = "size"\nleak = "if(bad, 1, 0)"'))
    assert caught.value.where == "features.leak"


ODD = ["label", "day", "split", "rule", "feature", "x.y", 'say "hi"', "Größe (cm)", "SELECT", "row"]


def test_columns_may_bear_any_name_of_ours(made) -> None:
    """Key, segment and feature called label, day, split …: the frozen table keeps them apart."""
    rows = [{**row, **dict.fromkeys(ODD, row["size"])} for row in _rows()]
    text = TEXT.replace('key = ["id"]', "key = ['id', 'label', 'day', 'split', 'say \"hi\"', 'row']")
    text = text.replace('segments = ["who"]', "segments = ['split', 'day', 'x.y']")
    features = [f'{name} = "{name}"' for name in ("label", "day", "split", "rule")]
    features.append("w = " + json.dumps('"say ""hi""" + "Größe (cm)"'))
    found = made(rows, text.replace('size = "size"', "\n".join(features)))
    assert found.table["feature:split"].to_pylist() == found.table["key:label"].to_pylist()
    assert found.table["feature:w"].to_pylist()[3] == 6.0
    assert found.table["segment:x.y"].to_pylist()[3] == "3"
    assert set(found.table["split"].to_pylist()) == {"train", "validate", "test"}


def test_a_column_called_predict_at_is_refused_where_it_would_be_confused(made) -> None:
    """And ignored where nobody uses it."""
    rows = [{**row, "Predict_At": row["size"]} for row in _rows()]
    assert made(rows).dataset.rows == 60
    with pytest.raises(BriefError, match="names the moment of the prediction"):
        made(rows, TEXT.replace('segments = ["who"]', 'segments = ["Predict_At"]'))


def test_unused_columns_cost_nothing_and_may_be_many(made) -> None:
    """Five hundred columns beside the six that count."""
    rows = [{**row, **{f"c{i}": i for i in range(500)}} for row in _rows()]
    assert made(rows).dataset.table == made(_rows()).dataset.table


def test_conditions_are_ones_and_noughts_to_a_rule(made) -> None:
    """A rule may negate a feature that is a condition, or do sums with whole numbers."""
    text = TEXT.replace('size = "size"', 'size = "size"\nbig = "size > 3"')
    text = text.replace('rule = "past"', 'rule = "if(not big, size % 3, 9)"')
    table = made(_rows(), text).table
    expected = [9.0 if size > 3 else float(size % 3) for size in table["feature:size"].to_pylist()]
    assert table["rule"].to_pylist() == expected


def test_a_sum_that_does_not_fit_is_said_and_no_traceback(made) -> None:
    """Windows add in millionths of 64 bits; who needs more divides first."""
    text = TEXT.replace('value = "avg(bad)"', 'value = "sum(size * 1e300)"')
    with pytest.raises(DataError, match="cannot be computed from the data") as caught:
        made(_rows(), text)
    assert caught.value.where == "sources.asks"


_BY_TIME = "train_before = 2013-01-11\nvalidate_before = 2013-01-16\ntest_before = 2013-01-21\n"
_BY_WHO = TEXT.replace(_BY_TIME, 'by = "group"\ngroup = ["who"]\nshares = [0.5, 0.25, 0.25]\n')
_LATE = dt.datetime(2016, 1, 1, tzinfo=dt.UTC)
_BY_LOT = TEXT.replace(_BY_TIME, 'by = "random"\n')


def _people(count, people=40):
    return _rows(count, who=lambda number, _: f"p{number * 7 % people}")


def _sides(table):
    """Return the splits that each group has rows in."""
    sides: dict[str, set[str]] = {}
    for who, split in zip(table["segment:who"].to_pylist(), table["split"].to_pylist(), strict=True):
        sides.setdefault(who, set()).add(split)
    return sides


def test_a_split_by_group_puts_no_group_on_two_sides_and_more_data_move_none(made) -> None:
    """Half of the people train; whoever is on a side stays there when others come, and the same run gives the same."""
    few, many = made(_people(240), _BY_WHO, as_of=_LATE), made(_people(2400, people=400), _BY_WHO, as_of=_LATE)
    sides = _sides(many.table)
    assert all(len(each) == 1 for each in sides.values())
    assert {who: sides[who] for who in _sides(few.table)} == _sides(few.table)
    assert made(_people(240), _BY_WHO, as_of=_LATE).dataset.digest == few.dataset.digest
    shares = {name: sum(each == {name} for each in sides.values()) / 400 for name in ("train", "validate", "test")}
    for name, wanted in (("train", 0.5), ("validate", 0.25), ("test", 0.25)):
        assert abs(shares[name] - wanted) < 4 * (wanted * (1 - wanted) / 400) ** 0.5  # four standard errors
    assert sum(count.examples for count in many.dataset.splits) == 2400
    assert many.dataset.split("after").examples == 0


def test_another_seed_draws_other_groups(made) -> None:
    """The seed of the search is what the sides are drawn by."""
    one, two = (
        made(_people(240), _BY_WHO, as_of=_LATE),
        made(_people(240), _BY_WHO + "[search]\nseed = 8\n", as_of=_LATE),
    )
    assert _sides(one.table) != _sides(two.table)


def test_a_split_at_random_holds_as_many_cases_on_each_side(made) -> None:
    """Of 240 examples 80 are cases: 48, 16 and 16 of them, whatever the seed."""
    for seed in (7, 8):
        found = made(_people(240), _BY_LOT + f"[search]\nseed = {seed}\n", as_of=_LATE).dataset.splits
        assert [(count.name, count.examples, count.positives) for count in found] == [
            ("train", 144, 48),
            ("validate", 48, 16),
            ("test", 48, 16),
            ("after", 0, 0),
        ]


def test_an_example_without_a_group_is_refused(made) -> None:
    """It could be of a group that is on another side."""
    rows = _people(240)
    rows[3]["who"] = ""
    with pytest.raises(DataError, match="1 of 240 examples have no 'who'"):
        made(rows, _BY_WHO, as_of=_LATE)


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ('by = "group"\n', "names none"),
        ('by = "group"\ngroup = ["whom"]\n', "no column 'whom'.*'who'"),
        ('by = "random"\ngroup = ["who"]\n', "has no group"),
        ('by = "random"\nshares = [0.9, 0.2, 0.2]\n', "three shares of a whole"),
        ('by = "random"\n' + _BY_TIME, "has no train_before"),
        ("train_before = 2013-01-11\ntest_before = 2013-01-21\n", "split needs 'validate_before'"),
        (_BY_TIME + "shares = [0.6, 0.2, 0.2]\n", "has no shares"),
    ],
)
def test_a_split_that_says_too_little_or_too_much_is_refused(made, split, said) -> None:
    """Each way of splitting has its own words, and wants them."""
    with pytest.raises(BriefError, match=said):
        made(_people(60), TEXT.replace(_BY_TIME, split))
