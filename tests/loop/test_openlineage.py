"""The history as OpenLineage events, held to the schemas of the spec (``openlineage/``, with their own licence)."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from referencing import Registry, Resource

from headway.cli import cli
from headway.errors import StoreError
from headway.loop.openlineage_facets import place_of_file
from headway.nouns.dataset import Dataset
from headway.nouns.event import ReleaseActivated, ReleaseRolledBack, RunFailed, RunStarted, SnapshotTaken

if TYPE_CHECKING:
    import deliveries
    from headway.api import Project

_SPEC = Path(__file__).parent / "openlineage"
_FORMATS = FormatChecker()


@_FORMATS.checks("date-time", raises=ValueError)
def _is_moment(text: object) -> bool:
    return dt.datetime.fromisoformat(str(text)).tzinfo is not None


@_FORMATS.checks("uri", raises=ValueError)
def _is_uri(text: object) -> bool:
    return bool(urlsplit(str(text)).scheme)


@_FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(text: object) -> bool:
    return str(uuid.UUID(str(text))) == text


_SCHEMAS = [json.loads(path.read_text()) for path in sorted(_SPEC.rglob("*.json"))]
_REGISTRY: Registry[Any] = Registry().with_resources(
    (schema["$id"], Resource.from_contents(schema)) for schema in _SCHEMAS
)


def _hold(found: Any, reference: str) -> None:
    Draft202012Validator({"$ref": reference}, registry=_REGISTRY, format_checker=_FORMATS).validate(found)


def _facets(event: dict[str, Any]) -> list[dict[str, Any]]:
    found = [*event["run"]["facets"].values()]
    for each in (*event["inputs"], *event["outputs"]):
        for name in ("facets", "inputFacets", "outputFacets"):
            found += each.get(name, {}).values()
    return found


def _exported(project: Project, folder: Path) -> list[dict[str, Any]]:
    path = folder / "out.jsonl"
    said = project.openlineage(path)
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert (said.file, said.events, sum(said.jobs.values())) == (str(path), len(events), len(events))
    return events


def _validate(events: list[dict[str, Any]]) -> set[str]:
    """Hold every event and every facet to the schema that it names itself; return the facets' schemas."""
    seen = set()
    for event in events:
        _hold(event, "https://openlineage.io/spec/2-0-2/OpenLineage.json")
        _hold(event, event["schemaURL"])
        for facet in _facets(event):
            _hold(facet, facet["_schemaURL"])
            seen.add(facet["_schemaURL"].rpartition("/")[2])
    return seen


def test_every_event_and_every_facet_is_valid_by_the_schema_that_it_names(
    lived: deliveries.Lived, tmp_path: Path
) -> None:
    """Of a whole life; and the check can fail: without what the spec requires, the same event does not pass."""
    events = _exported(lived.project, tmp_path)
    assert _validate(events) == {
        "ColumnLineageDatasetFacet",
        "DataQualityAssertionsDatasetFacet",
        "DatasetVersionDatasetFacet",
        "OutputStatisticsOutputDatasetFacet",
        "ParentRunFacet",
        "SchemaDatasetFacet",
    }
    for broken in (
        {**events[0], "eventTime": "yesterday"},
        {**events[0], "run": {"runId": "r1"}},
        {**events[0], "eventType": "DONE"},
        {**events[0], "job": {"name": "run"}},
    ):
        with pytest.raises(ValidationError):
            _validate([broken])
    lineage = next(
        f for event in events for f in _facets(event) if f["_schemaURL"].endswith("ColumnLineageDatasetFacet")
    )
    with pytest.raises(ValidationError):
        _hold({**lineage, "fields": {"feature:rain": {}}}, lineage["_schemaURL"])


def test_each_execution_starts_once_and_ends_once(lived: deliveries.Lived, tmp_path: Path) -> None:
    """A reading for each snapshot, a deployment for each activation and roll-back, each with an id of its own."""
    events = _exported(lived.project, tmp_path)
    told: dict[tuple[str, str], list[str]] = {}
    for event in events:
        told.setdefault((event["job"]["name"], event["run"]["runId"]), []).append(event["eventType"])
    assert set(map(tuple, told.values())) == {("START", "COMPLETE")}
    ledger = lived.project.store.ledger
    count = {job: sum(name.partition(".")[0] == job for name, _ in told) for job in ("snapshot", "deploy", "train")}
    assert count["snapshot"] == len(list(ledger.events(SnapshotTaken)))
    assert count["deploy"] == len(list(ledger.events(ReleaseActivated))) + len(list(ledger.events(ReleaseRolledBack)))
    assert count["train"] == sum(run.state == "finished" for run in ledger.runs())
    assert len({run for _, run in told}) == len(told)
    assert [e["eventTime"] for e in events] == sorted(e["eventTime"] for e in events)


def test_the_way_from_the_files_to_the_service_holds_together(lived: deliveries.Lived, tmp_path: Path) -> None:
    """What one job puts out, by name and version, is what the next takes in; the parts of a run name their parent."""
    events = [event for event in _exported(lived.project, tmp_path) if event["eventType"] == "COMPLETE"]
    by_job = {event["job"]["name"]: event for event in reversed(events)}
    store = lived.project.store
    run = store.ledger.run(store.ledger.release("r1").run)

    def versions(of: list[dict[str, Any]]) -> dict[str, str]:
        return {each["name"]: each["facets"]["version"]["datasetVersion"] for each in of}

    frozen = store.get(str(run.dataset), Dataset)
    assert versions(by_job["freeze"]["inputs"]) == {f"source.{name}": v for name, v in frozen.snapshots.items()}
    for name, version in frozen.snapshots.items():
        assert versions(by_job[f"snapshot.{name}"]["outputs"]) == {f"source.{name}": version}
    assert versions(by_job["freeze"]["outputs"]) == versions(by_job["train"]["inputs"]) == {"examples": run.dataset}
    assert versions(by_job["train"]["outputs"]) == versions(by_job["deploy"]["inputs"]) == {"model": run.model}
    assert versions(by_job["deploy"]["outputs"]) == {"service.champion": "r1"}
    for job in ("freeze", "train"):
        assert by_job[job]["run"]["facets"]["parent"]["run"] == {"runId": by_job["run"]["run"]["runId"]}
    read = [
        sorted(each["name"] for each in event["inputs"]) for event in events if "deliveries" in event["job"]["name"]
    ]
    assert read[0] == [f"data/deliveries/2024-0{month}.csv" for month in (1, 2, 3)]
    assert read[1] == ["data/deliveries/day-2024-03-18.csv"], "only what is new is read"


def test_columns_and_tests_say_what_the_project_says(lived: deliveries.Lived, tmp_path: Path) -> None:
    """Column lineage equals the project's own, field for field; the verdict's gates are the model's assertions."""
    events = [event for event in _exported(lived.project, tmp_path) if event["eventType"] == "COMPLETE"]
    (frozen,) = next(event for event in events if event["job"]["name"] == "freeze")["outputs"]
    fields = frozen["facets"]["columnLineage"]["fields"]
    for feature in ("rain", "late_24h", "busy_6h", "depot_age"):
        inputs = {f"{each['name']}.{each['field']}" for each in fields[f"feature:{feature}"]["inputFields"]}
        assert inputs == {f"source.{each}" for each in lived.project.column_lineage(feature).comes_from}
    assert set(fields) <= {each["name"] for each in frozen["facets"]["schema"]["fields"]}
    deploy = next(event for event in events if event["job"]["name"] == "deploy")
    tests = deploy["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert {"gate", "verdict"} == {each["assertion"] for each in tests}
    assert all(each["success"] for each in tests if each.get("severity") == "error")
    train = next(event for event in events if event["job"]["name"] == "train")
    leaks = train["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert {each["assertion"] for each in leaks} == {"leak"}
    freeze = next(event for event in reversed(events) if event["job"]["name"] == "snapshot.deliveries")
    assert freeze["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] > 3_000


def test_a_run_that_failed_ends_in_fail_and_a_killed_one_only_starts(begun: Project, tmp_path: Path) -> None:
    """Both stay valid; a run that is taken up again does not start twice."""
    started = RunStarted(run="run-x", brief="b", as_of_us=1, seed=1)
    begun.store.record(started, started, RunFailed(run="run-x", error="The disk is full."))
    begun.store.record(RunStarted(run="run-y", brief="b", as_of_us=1, seed=1))
    events = _exported(begun, tmp_path)
    _validate(events)
    assert [event["eventType"] for event in events] == ["START", "FAIL", "START"]
    assert events[1]["run"]["facets"]["errorMessage"]["message"] == "The disk is full."
    begun.store.record(started)
    again = _exported(begun, tmp_path)
    assert again[:3] == events
    assert again[3]["run"]["runId"] != events[0]["run"]["runId"], "begun anew after its end, it is another execution"


def test_a_broken_contract_and_a_forgotten_version_are_told(begun: Project, tmp_path: Path) -> None:
    """The dataset's source carries what its contract found, in words; what is gone is named without its columns."""
    brief = begun.folder / "headway.toml"
    brief.write_text(brief.read_text().replace("personal = false", 'personal = false\ncontract = "warn"', 1))
    begun.run()
    path = begun.folder / "data" / "deliveries" / "2024-03.csv"
    header, *lines = path.read_text().splitlines()
    cells = [line.split(",") for line in lines]
    metres = [",".join([*row[:3], str(float(row[3]) * 1_000), *row[4:]]) for row in cells]
    path.write_text("\n".join([header, *metres]) + "\n")
    begun.run()
    events = _exported(begun, tmp_path)
    _validate(events)
    first, second = (e for e in events if (e["job"]["name"], e["eventType"]) == ("freeze", "COMPLETE"))
    (tests,) = (
        each["inputFacets"]["dataQualityAssertions"]["assertions"] for each in second["inputs"] if "inputFacets" in each
    )
    assert not [each for each in first["inputs"] if "inputFacets" in each], "nothing came before the first version"
    assert [each for each in tests if not each["success"] and "distance" in each["description"]]
    old = begun.store.ledger.snapshots(source="deliveries")[0].snapshot
    manifest = begun.store.ledger.step(f"snapshot:{old}")
    assert manifest is not None
    begun.store.blobs.path(manifest["blob"]).unlink()
    events = _exported(begun, tmp_path)
    _validate(events)
    told = [each for e in events for each in e["outputs"] if each["facets"]["version"]["datasetVersion"] == old]
    assert [sorted(each["facets"]) for each in told] == [["version"]]


def test_a_file_of_a_store_is_named_without_whoever_may_open_it() -> None:
    """No name, no secret and no signature of a URL stands in what is exported."""
    assert place_of_file("s3://key:secret@bucket/till/a.csv?X-Signature=abc") == ("s3://bucket", "till/a.csv")


def test_the_same_history_gives_the_same_bytes(lived: deliveries.Lived, tmp_path: Path) -> None:
    """By the command line too, which says how many events it wrote."""
    lived.project.openlineage(tmp_path / "one.jsonl")
    asked = ["--project", str(lived.project.folder), "lineage", "export", "--out", str(tmp_path / "two.jsonl")]
    said = CliRunner().invoke(cli, [*asked, "--json"])
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert json.loads(said.stdout)["events"] == len((tmp_path / "two.jsonl").read_text().splitlines())
    assert "run events" in CliRunner().invoke(cli, asked).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.jsonl", "two.jsonl"]


def test_a_file_that_cannot_be_written_is_said_in_words(begun: Project, tmp_path: Path) -> None:
    """A folder that is not there; and a folder in the place of the file leaves no draft behind."""
    with pytest.raises(StoreError, match="No such file or directory") as caught:
        begun.openlineage(tmp_path / "nowhere" / "out.jsonl")
    assert "--out" in caught.value.hint
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        begun.openlineage(tmp_path / "folder")
    assert not list(tmp_path.glob(".folder-*"))
