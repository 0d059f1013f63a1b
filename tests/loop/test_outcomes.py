"""Tests for outcomes as they come in: by id and by key, void, corrected, doubled, unknown, malformed."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pytest

import deliveries
from headway.errors import OutcomeError
from headway.loop.outcomes import _key_text

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


def test_an_unknown_key_is_refused_unless_it_may_be_left_out(answered: tuple[Project, list[dict[str, Any]]]) -> None:
    """A key that nothing was predicted of is a slip of the pen as an unknown id is, and nothing of its batch counts."""
    project, predictions = answered
    rows = [{**predictions[0]["key"], "label": 1}, {"delivery": 987_654_321, "label": 1}]
    before = project.store.ledger.head()
    with pytest.raises(OutcomeError, match="There is no prediction of delivery 987654321") as refused:
        project.outcomes(rows)
    assert "row 2" in str(refused.value)
    assert project.store.ledger.head() == before
    left_out = project.outcomes(rows, strict=False)
    assert (left_out["accepted"], left_out["unknown"]) == (1, 1)


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a business whose deliveries have an id as 001000, with answers to four of the live day."""
    folder = tmp_path_factory.mktemp("coded")
    project = deliveries.begun(folder)
    for path in (folder / "data" / "deliveries").glob("*.csv"):
        header, *lines = path.read_text().splitlines()
        renamed = header.replace("delivery", "id", 1)
        path.write_text("\n".join([renamed, *(f"00{line}" for line in lines)]) + "\n")
    brief = folder / "headway.toml"
    text = brief.read_text().replace('key      = ["delivery"]', 'key      = ["id"]\ntypes    = { id = "text" }')
    brief.write_text(text)
    project.run()
    project.deploy(by="Ada", why="First.")
    asked = {"leaves": "2024-03-18T12:00:00Z", "depot": "North", "distance": 10.0}
    (folder / "asked.jsonl").write_text(
        "\n".join(json.dumps({"id": code, **asked}) for code in ("004696", "004697", "004698", "4699")) + "\n"
    )
    project.predict_file(folder / "asked.jsonl", folder / "answers.csv")
    return project


def test_a_key_that_looks_like_a_number_is_read_as_the_text_it_is(coded: Project, tmp_path: Path) -> None:
    """The id 004696 is found by it in every format, and no other is."""
    table, lines, other = tmp_path / "told.csv", tmp_path / "told.jsonl", tmp_path / "other.csv"
    table.write_text("id,label\n004696,yes\n4699,\n")
    lines.write_text('{"id": "004696", "label": 1}\n{"id": "004697", "label": 0}\n')
    other.write_text("id,label\n4696,yes\n")
    received = coded.outcomes(table)
    assert (received["accepted"], received["void"]) == (1, 1)
    received = coded.outcomes(lines)
    assert (received["accepted"], received["doubled"]) == (1, 1)
    with pytest.raises(OutcomeError, match="There is no prediction of id '4696'") as refused:
        coded.outcomes(other)
    assert "'id' is a column of the key here; ids of predictions are told as 'prediction'." in str(refused.value)


def test_a_key_called_id_is_told_apart_from_the_id_of_a_prediction(coded: Project) -> None:
    """By itself id is the key; as in a batch of answers, key_id is, and id beside it names the prediction."""
    with (coded.folder / "answers.csv").open(newline="") as file:
        answer = {row["key_id"]: row["id"] for row in csv.DictReader(file)}["004698"]
    told: list[dict[str, Any]] = [
        {"id": "004698"},
        {"key_id": "004698"},
        {"prediction": answer},
        {"prediction_id": answer, "id": "another"},
        {"key_id": "another", "id": answer},
    ]
    received = [coded.outcomes([{**row, "label": 1}]) for row in told]
    assert [(each["accepted"], each["doubled"]) for each in received] == [(1, 0)] + [(0, 1)] * 4
    assert coded.store.ledger.outcomes_of([answer])["label"].to_pylist() == [1.0]


@pytest.mark.parametrize(
    ("kind", "said", "logged"),
    [
        ("int", "7", 7),
        ("int", "007", 7),
        ("int", 7.0, 7),
        ("int", str(2**53 + 1), 2**53 + 1),
        ("float", "1", 1.0),
        ("bool", "true", True),
        ("time", "2024-03-18T13:00:00+01:00", "2024-03-18T12:00:00Z"),
        ("text", "2024-03-18", "2024-03-18"),
    ],
)
def test_a_key_is_compared_by_its_kind_however_it_is_written(kind: str, said: Any, logged: Any) -> None:
    """A file knows no kinds, or its own: the source's decide what is equal."""
    assert _key_text(said, kind) == _key_text(logged, kind)


@pytest.mark.parametrize(
    ("kind", "said", "logged"),
    [("text", "007", "7"), ("int", str(2**53 + 1), 2**53), ("int", "7.5", 7), ("text", "1", "1.0")],
)
def test_keys_of_different_entities_stay_different(kind: str, said: Any, logged: Any) -> None:
    """Nothing is rounded, and a text is none but itself."""
    assert _key_text(said, kind) != _key_text(logged, kind)


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


@pytest.mark.parametrize(
    ("line", "part"),
    [('{"id": "KNOWN"}', "has no 'label'"), ('{"label": true}', "has no 'id'"), ("[1, 2]", "[1, 2] is no outcome")],
)
def test_a_later_row_that_is_not_like_the_first_is_named(
    answered: tuple[Project, list[dict[str, Any]]], tmp_path: Path, line: str, part: str
) -> None:
    """By its number in the file; nothing is recorded."""
    project, predictions = answered
    first, second = (predictions[place]["id"] for place in (0, 1))
    path = tmp_path / "outcomes.jsonl"
    path.write_text(f'{{"id": "{first}", "label": true}}\n{line.replace("KNOWN", second)}\n')
    before = project.store.ledger.head()
    with pytest.raises(OutcomeError, match="row 2") as refused:
        project.outcomes(path)
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
