"""On the flights, Headway's model is held against the one done by hand, on the same flights of the same days."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bench import reference as by_hand
from headway.graph.scorer import GraphScorer
from headway.loop.releases import test_examples as examples_of_the_test
from headway.nouns.metric import average_precision, paired_day_bootstrap

TEST = (dt.date(2013, 8, 15), dt.date(2013, 10, 1))


@pytest.fixture(scope="module")
def judged(flights):
    """Return the test's examples, and what the model says of them that was trained before and never saw them."""
    store = flights.project.store
    examples = examples_of_the_test(store, flights.report.dataset)
    result = flights.project._finished(flights.report.run)
    return examples, GraphScorer(store.blobs.read(result.tested_graph)).score(examples.features)


@pytest.fixture(scope="module")
def done_by_hand(tmp_path_factory):
    """Prepare with the hand-written query, and fit once."""
    con = by_hand.connect()
    table = by_hand.prepare(con, by_hand.lay_out(tmp_path_factory.mktemp("by-hand")))
    con.close()
    return table, by_hand.fit(table)


def _places(table: pa.Table, key: pa.Table) -> np.ndarray:
    """Return the row of ``table`` that has each key."""
    moments = [key["sched_dep"].cast(pa.timestamp("us")), table["sched_dep"].cast(pa.timestamp("us"))]
    asked, there = (
        pc.binary_join_element_wise(
            part["carrier"].cast(pa.string()),
            part["flight"].cast(pa.string()),
            part["origin"].cast(pa.string()),
            moment.cast(pa.int64()).cast(pa.string()),
            "|",
        )
        for part, moment in zip((key, table), moments, strict=True)
    )
    found = pc.index_in(asked, value_set=there.combine_chunks() if isinstance(there, pa.ChunkedArray) else there)
    assert found.null_count == 0
    return np.asarray(found, dtype=np.int64)


def test_the_model_is_no_worse_than_the_one_done_by_hand(flights, judged, done_by_hand):
    """Average precision from 15 August to 30 September: the paired interval leaves no room for 'worse'."""
    examples, score = judged
    table, fitted = done_by_hand
    places = _places(table, examples.key)
    assert fitted.splits.test[places].all()
    # What Headway leaves out of its test: flights of the last hours, whose arrival nobody knew at its end.
    left_out = int(fitted.splits.test.sum()) - len(places)
    assert 0 <= left_out < 100
    assert np.array_equal(fitted.label[places], examples.label)
    first, after = ((day - dt.date(1970, 1, 1)).days for day in TEST)
    assert first <= examples.day.min() <= examples.day.max() < after
    ours = average_precision(score, examples.label)
    theirs = average_precision(fitted.score[places], examples.label)
    less = paired_day_bootstrap(
        "average_precision", fitted.score[places], score, examples.label, examples.day, draws=1_000, seed=7
    )
    print(f"average precision: Headway {ours:.3f}, by hand {theirs:.3f}; by hand less Headway {less}")
    assert less.low <= 0.0, f"by hand is better by {less}"
    assert 0.25 < ours < 0.45, "far above is a leak until proven otherwise"


def test_no_sign_of_a_leak_is_found_and_the_known_counts_hold(flights):
    """All checks ran and passed; cancelled and diverted flights are void, and counted."""
    assert flights.report.leaks_checked > 0
    assert flights.report.leaks_failed == ()
    assert flights.report.features == 19
    assert flights.report.passed, flights.report.gates
    assert flights.report.rows["train"] > 160_000
    assert 0 < flights.report.void < 9_430


def test_the_rule_of_today_is_beaten_by_a_margin_that_chance_does_not_give(judged):
    """The carrier's lateness of the last day, scored on the same flights."""
    examples, score = judged
    rule = np.where(np.isnan(examples.rule), -1.0, examples.rule)
    more = paired_day_bootstrap("average_precision", score, rule, examples.label, examples.day, draws=500, seed=7)
    print(f"Headway less the rule: {more}")
    assert more.low > 0.05
