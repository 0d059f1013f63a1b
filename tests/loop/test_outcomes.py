"""Tests for outcomes as they come in: by id and by key, void, corrected, doubled, unknown, malformed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import deliveries
from headway.errors import OutcomeError

if TYPE_CHECKING:
    from pathlib import Path

    from headway.api import Project


@pytest.fixture
def answered(tmp_path: Path) -> tuple[Project, list[dict[str, Any]]]:
    """Return a business that has lived for two days, and its predictions of which no outcome is known yet."""
    lived = deliveries.lived(tmp_path, last=deliveries.LIVE + deliveries.dt.timedelta(days=2))
    project = lived.project
    told = set(project.store.ledger.outcomes()["prediction"].to_pylist())
    open_ones = [
        {"id": prediction.id, "key": prediction.key}
        for batch in _reader(project).scan()
        for prediction in batch.predictions
        if prediction.id not in told
    ]
    return project, open_ones


def _reader(project: Project) -> Any:
    from headway.predictions.reader import Reader

    return Reader(project.store.predictions)


def test_an_outcome_stands_once_however_often_it_is_told(answered: tuple[Project, list[dict[str, Any]]]) -> None:
    """The second telling is counted as doubled, and changes nothing."""
    project, predictions = answered
    row = {"id": predictions[0]["id"], "label": True}
    assert project.outcomes([row])["accepted"] == 1
    again = project.outcomes([row])
    assert (again["accepted"], again["doubled"]) == (0, 1)


def test_a_corrected_outcome_replaces_what_stood(answered: tuple[Project, list[dict[str, Any]]]) -> None:
    """What is told later, and otherwise, is what stands from then on."""
    project, predictions = answered
    name = predictions[0]["id"]
    project.outcomes([{"id": name, "label": "yes"}])
    assert project.outcomes([{"id": name, "label": "no"}])["corrected"] == 1
    assert project.store.ledger.outcomes_of([name])["label"].to_pylist() == [0.0]


def test_an_outcome_without_a_label_is_void(answered: tuple[Project, list[dict[str, Any]]]) -> None:
    """Void is neither true nor false, and is counted as itself."""
    project, predictions = answered
    name = predictions[0]["id"]
    assert project.outcomes([{"id": name, "label": ""}])["void"] == 1
    assert project.store.ledger.outcomes_of([name]).select(["label", "status"]).to_pylist() == [
        {"label": None, "status": "void"}
    ]


def test_an_outcome_finds_its_predictions_by_key(answered: tuple[Project, list[dict[str, Any]]]) -> None:
    """Who does not know ids names the entity, as the source does."""
    project, predictions = answered
    key = predictions[0]["key"]
    same = sum(each["key"] == key for each in predictions)
    assert project.outcomes([{**key, "label": 1}])["accepted"] == same
    assert project.outcomes([{next(iter(key)): 987_654_321, "label": 1}])["unknown"] == 1


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"id": "000001-0000020-00000000", "label": 1}, "no prediction"),
        ({"id": "nonsense", "label": 1}, "no prediction"),
        ({"label": 1}, "nothing in them names a prediction"),
        ({"id": "KNOWN"}, "no column 'label'"),
        ({"id": "KNOWN", "label": "perhaps"}, "label is 'perhaps'"),
        ({"id": "KNOWN", "label": 1, "known_at": "soon"}, "known_at is 'soon'"),
    ],
)
def test_a_malformed_batch_is_refused_whole(
    answered: tuple[Project, list[dict[str, Any]]], row: dict[str, Any], part: str
) -> None:
    """One bad row refuses all, and the ledger is as it was."""
    project, predictions = answered
    good = {"id": predictions[1]["id"], "label": 1}
    bad = {name: predictions[0]["id"] if value == "KNOWN" else value for name, value in row.items()}
    before = project.store.ledger.head()
    with pytest.raises(OutcomeError) as refused:
        project.outcomes([bad, good] if "id" not in bad or "label" not in bad else [good, bad])
    assert part in str(refused.value)
    assert project.store.ledger.head() == before


def test_a_file_of_outcomes_is_read_by_its_name(answered: tuple[Project, list[dict[str, Any]]], tmp_path: Path) -> None:
    """CSV and JSON lines say the same; a file that is not there is named."""
    project, predictions = answered
    one, other = tmp_path / "outcomes.csv", tmp_path / "outcomes.jsonl"
    one.write_text(f"prediction,label\n{predictions[0]['id']},true\n")
    other.write_text(f'{{"id": "{predictions[1]["id"]}", "label": false}}\n')
    assert project.outcomes(one)["accepted"] == 1
    assert project.outcomes(other)["accepted"] == 1
    with pytest.raises(OutcomeError, match="There is no file"):
        project.outcomes(tmp_path / "gone.csv")
