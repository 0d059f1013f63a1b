"""A category the whole way, on real flights: learned, judged, served, told what came, watched, learned from, traced."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import io
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from headway.api import Project
from headway.data.freeze import load
from headway.loop.days import day_bounds_us
from headway.loop.releases import facts_of
from headway.nouns.clock import ReplayClock
from headway.nouns.dataset import Dataset
from headway.nouns.event import ChallengerJudged
from headway.nouns.model import Model
from headway.nouns.verdict import Comparison
from headway.query.compile import quote
from headway.query.database import Database
from headway.query.point_in_time import PointInTime
from headway.report import write_report
from headway.screens.page import Page
from headway.screens.run import show_run
from headway.screens.status import show_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZONE = "America/New_York"
CLASSES = ("early", "late", "on time", "very late")
LIVE, LAST = dt.date(2013, 6, 16), dt.date(2013, 6, 21)
LABEL = "if(arr_delay < -10, 'early', if(arr_delay <= 15, 'on time', if(arr_delay <= 60, 'late', 'very late')))"
CHANGES = {
    'label          = "arr_delay > 30"': f'label          = "{LABEL}"',
    'act_on         = "top 40 per day"': 'act_on         = "probability of very late > 20 %"',
    "train_before    = 2013-06-01": "train_before    = 2013-05-25",
    "validate_before = 2013-06-10": "validate_before = 2013-06-01",
    "test_before     = 2013-06-20": "test_before     = 2013-06-16",
    'metric      = "average_precision"': 'metric      = "macro_average_precision"',
    "trials = 5": "trials = 2\nalgorithms = ['logistic', 'lightgbm']",
    "minimum     = 0.05": "minimum     = 0.26",
    "explainable = false": "explainable = true",
}
RULE = """[baseline]
rule = "late_24h"                        # what the desk does today: watch the carriers that ran late yesterday
"""
RETRAIN = 'when             = ["harm", "every 3 days"]\nmode             = "challenger"\nshadow           = "1 day"'


def _of_classes(template: Path, folder: Path, changes: dict[str, str]) -> Path:
    """Return a project of its own whose label is a class."""
    shutil.copytree(template, folder)
    brief = folder / "headway.toml"
    text = brief.read_text()
    head, rest = text.split("[retrain]")
    for old, new in {**CHANGES, RULE: "", **changes}.items():
        assert head.count(old) == 1, old
        head = head.replace(old, new)
    kept = [line for line in rest.splitlines() if line.split("=")[0].strip() not in {"when", "mode", "shadow"}]
    brief.write_text("\n".join([head + "[retrain]", RETRAIN, *kept, ""]))
    return folder


@dataclass(frozen=True, kw_only=True)
class Lived:
    """The project after five days in service, and what was asked and told."""

    project: Project
    report: Any
    ids: dict[int, str]
    came: dict[int, str]
    told: dict[str, Any]
    closed: tuple[Any, ...]
    answers: pa.Table
    requests: list[dict[str, Any]]


def _bounds(day: dt.date) -> tuple[int, int]:
    return day_bounds_us((day - dt.date(1970, 1, 1)).days, ZONE)


def _world(project: Project) -> tuple[list[dict[str, Any]], list[int], list[str | None], list[int]]:
    """Return the flights to come: requests, when each is asked about, of which class it will be, known when."""
    material = project.material()
    definitions = material.definitions
    with Database() as database:
        table = PointInTime(database, definitions, material.files).examples(
            as_of_us=1 << 60, since_us=_bounds(LIVE)[0], until_us=_bounds(LAST)[0]
        )
        fields = ", ".join(quote(field.name) for field in definitions.request_fields)
        columns = 'epoch_us("predict_at") AS "at", "@label" AS "came", epoch_us("@label_known_at") AS "known"'
        key = ", ".join(map(quote, ("predict_at", *definitions.examples.source.key)))
        requests = database.table(f"SELECT {fields} FROM {table} ORDER BY {key}").to_pylist()
        rest = database.table(f"SELECT {columns} FROM {table} ORDER BY {key}").to_pydict()
    rows = [{name: _plain(value) for name, value in row.items() if value is not None} for row in requests]
    return rows, rest["at"], rest["came"], rest["known"]


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=dt.UTC).isoformat() if isinstance(value, dt.datetime) else value


@pytest.fixture(scope="module")
def lived(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Train on three weeks of flights from LaGuardia, deploy, and live five days: ask, hear what came, tend."""
    folder = _of_classes(small_template, tmp_path_factory.mktemp("category") / "project", {})
    clock = ReplayClock(_bounds(LIVE)[0])
    with Project.open(folder, clock=clock) as project:
        report = project.run()
        project.deploy(by="Ada", why="to be asked", override="" if report.passed else "a short test")
        requests, at, came, known = _world(project)
        waiting: list[int] = []
        ids: dict[int, str] = {}
        told: Counter[str] = Counter()
        new: Counter[str] = Counter()
        closed: list[Any] = []
        answered: list[pa.Table] = []
        for offset in range((LAST - LIVE).days):
            first, after = _bounds(LIVE + dt.timedelta(days=offset))
            clock.move_to(after - 1_000_000)
            project.materialize()
            of_day = [place for place, moment in enumerate(at) if first <= moment < after]
            answers = project.predict([requests[place] for place in of_day])
            answered.append(answers)
            ids |= dict(zip(of_day, answers["id"].to_pylist(), strict=True))
            waiting += of_day
            clock.move_to(after + 60_000_000)
            over = [p for p in waiting if came[p] is not None and known[p] is not None and known[p] <= clock.now_us()]
            waiting = [place for place in waiting if place not in set(over)]
            labels = [{"id": ids[place], "label": came[place]} for place in over]
            if offset == 2:
                labels[0]["label"] = came[over[0]] = "diverted"
            heard = project.outcomes(labels)
            told.update({name: count for name, count in heard.items() if isinstance(count, int)})
            new.update(heard.get("new_classes", {}))
            closed += project.tend(refresh=False).days
        yield Lived(
            project=project,
            report=report,
            ids=ids,
            came={place: came[place] for place in ids if place not in waiting and came[place] is not None},
            told={**told, "new": dict(new)},
            closed=tuple(closed),
            answers=pa.concat_tables(answered),
            requests=requests,
        )


def test_classes_are_learned_and_judged(lived: Lived) -> None:
    """Better than their mix; each class has its line in the verdict, and the figures add up to the test."""
    verdict = lived.report.verdict
    assert verdict["task"] == "category"
    assert verdict["score"]["low"] > verdict["rule_score"]["high"], "no better than the mix of classes"
    assert [each["name"] for each in verdict["classes"]] == list(CLASSES)
    assert sum(each["examples"] for each in verdict["classes"]) == verdict["examples"]
    assert sum(each["said"] for each in verdict["classes"]) == verdict["examples"]
    assert sum(each["expected"] for each in verdict["classes"]) == pytest.approx(verdict["examples"], rel=1e-4)
    assert {"classes as often as predicted", "every class was there to learn"} <= {g["name"] for g in verdict["gates"]}
    assert verdict["money"]["acted_per_day"] > 0
    assert lived.report.leaks_failed == ()


def test_the_released_graph_names_its_classes(lived: Lived) -> None:
    """Whoever takes the file alone knows which column is which."""
    store = lived.project.store
    release = json.loads(store.blobs.read(facts_of(store, "r1").release))
    assert tuple(release["classes"]) == CLASSES
    graph = onnx.load_from_string(store.blobs.read(release["graph"]))
    assert json.loads(graph.metadata_props[0].value) == list(CLASSES)
    model = store.get(lived.report.model, Model)
    assert model.signature.classes == CLASSES
    assert model.parity.max_abs_difference < 1e-5


def test_answers_are_acted_on_by_the_class_that_the_brief_names(lived: Lived) -> None:
    """Each row has the likeliest class and all probabilities, and the act follows from the one that is meant."""
    table = lived.answers
    each = np.stack([table[f"probability of {name}"].to_numpy() for name in CLASSES], axis=1)
    np.testing.assert_allclose(each.sum(axis=1), 1.0, atol=1e-5)
    assert table["prediction"].to_pylist() == [CLASSES[at] for at in each.argmax(axis=1)]
    assert table["score"].to_pylist() == each[:, CLASSES.index("very late")].tolist()
    assert table["act"].to_pylist() == (each[:, CLASSES.index("very late")] > 0.2).tolist()
    assert len(set(table["prediction"].to_pylist())) > 1


def test_files_and_servers_give_the_same_answers(lived: Lived, tmp_path: Path) -> None:
    """Each format of a batch, one row over HTTP and several: the very same probabilities."""
    folder = shutil.copytree(lived.project.folder, tmp_path / "copy")
    rows = [{name: value for name, value in row.items() if value is not None} for row in lived.requests[-40:]]
    asked = tmp_path / "asked.jsonl"
    asked.write_text("\n".join(json.dumps(row) for row in rows))
    said = []
    with Project.open(folder, as_of=f"{LAST}T00:02:00-04:00") as project:
        for kind in ("csv", "jsonl", "parquet"):
            project.predict_file(asked, tmp_path / f"said.{kind}")
    said.append(pacsv.read_csv(tmp_path / "said.csv").to_pylist())
    said.append([json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()])
    said.append(pq.read_table(tmp_path / "said.parquet").to_pylist())
    flat = [
        [(row["prediction"], *(row[f"probability of {name}"] for name in CLASSES)) for row in each] for each in said
    ]
    assert flat[0] == flat[1] == flat[2]
    with _serving(folder) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        alone = [_post(connection, {"row": row}) for row in rows[:5]]
        together = _post(connection, {"rows": rows})["predictions"]
        connection.close()
    assert list(alone[0]) == ["id", "prediction", "probabilities", "act", "release", "predict_at"]
    assert list(alone[0]["probabilities"]) == list(CLASSES)
    online = [(each["prediction"], *each["probabilities"].values()) for each in together]
    assert [(each["prediction"], *each["probabilities"].values()) for each in alone] == online[:5]
    assert online == flat[0]


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[int]:
    words = ["--project", str(folder), "--as-of", f"{LAST}T00:02:00-04:00", "serve", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-m", "headway", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield next(int(found[1]) for line in process.stdout if (found := re.search(r"http://\S+?:(\d+)", line)))
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _post(connection: http.client.HTTPConnection, body: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1/predict", body=json.dumps(body), headers=headers)
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == http.HTTPStatus.OK, said
    return json.loads(said)


def test_what_came_is_told_by_name_and_a_new_class_is_counted(lived: Lived) -> None:
    """One flight was of a class that nobody had seen: it is an outcome as any other, and said aloud."""
    assert lived.told["new"] == {"diverted": 1}
    assert lived.told["accepted"] == len(lived.came)
    kept = {
        row["prediction"]: (row["label"], row["category"]) for row in lived.project.store.ledger.outcomes().to_pylist()
    }
    for place, name in lived.came.items():
        wanted = float(CLASSES.index(name)) if name in CLASSES else -1.0
        assert kept[lived.ids[place]] == (wanted, name)


def test_the_days_are_watched_by_whether_the_class_acted_on_came(lived: Lived) -> None:
    """Outcomes mature, and the true ones are those of the class that is acted on."""
    matured = sum(day.matured for day in lived.closed)
    positives = sum(day.positives for day in lived.closed)
    assert matured > 500
    assert 0 < positives <= sum(name == "very late" for name in lived.came.values())
    status = lived.project.status()
    recent = status["last_30_days"]
    share = sum(name == "very late" for name in lived.came.values()) / len(lived.came)
    assert recent["base_rate"] == pytest.approx(share, abs=0.05)
    assert recent["money_per_day"] is not None


def test_a_retraining_learns_from_it_and_its_challenger_is_judged(lived: Lived) -> None:
    """After three days the policy trains anew; the shadow is compared on the same traffic, by the class acted on."""
    done = {day.action: day.why for day in lived.closed}
    assert "retrain" in done, done
    assert done.keys() & {"keep", "promote"}, done
    judged = next(iter(lived.project.store.ledger.events(ChallengerJudged))).event
    found = lived.project.store.get(judged.evidence["comparison"], Comparison)
    assert found.metric == "average_precision"
    assert found.positives > 0


def test_the_next_run_learns_the_new_class_from_what_was_told(lived: Lived, tmp_path: Path) -> None:
    """What is only in the log is learned from as well; the sources do not say that the flight was diverted."""
    folder = shutil.copytree(lived.project.folder, tmp_path / "copy")
    lived_days = tuple(f"2013,6,{day}," for day in range(LIVE.day, 31))
    for path in (folder / "data" / "flights").glob("*.csv"):
        header, *lines = path.read_text().splitlines()
        path.write_text("\n".join([header, *(line for line in lines if not line.startswith(lived_days))]) + "\n")
    with Project.open(folder, as_of="2013-06-23") as project:
        report = project.run()
        dataset = project.store.get(report.dataset, Dataset)
        after = load(project.store.blobs.path(dataset.table), splits=("after",))
    assert dataset.unseen == {"diverted": 1}
    names = {CLASSES[int(at)] for at in after["label"].to_pylist()}
    assert names == set(CLASSES)
    gate = next(gate for gate in report.verdict["gates"] if gate["name"] == "every class was there to learn")
    assert not gate["passed"]
    assert "1 of 'diverted'" in gate["found"]


def test_a_prediction_is_traced_to_the_class_that_came(lived: Lived) -> None:
    """The answer with all its probabilities, every feature from its rows, and the class; and what acting was worth."""
    right = next(p for p, name in lived.came.items() if name == "very late" and _acted(lived, p))
    traced = lived.project.trace(lived.ids[right])
    assert traced.replayed_equal
    assert tuple(traced.prediction.probabilities) == CLASSES
    assert traced.prediction.said.startswith("very late with ")
    assert traced.outcome is not None
    assert (traced.outcome.label, traced.money) == ("very late", 150.0)
    assert traced.why is not None
    assert (traced.why.of, traced.why.adds_up) == ("very late", True)
    diverted = next(place for place, name in lived.came.items() if name == "diverted")
    found = lived.project.trace(lived.ids[diverted])
    assert found.outcome is not None
    assert found.outcome.label == "diverted"


def _acted(lived: Lived, place: int) -> bool:
    return bool(lived.project.trace(lived.ids[place]).acted_on)


def test_people_are_shown_each_class(lived: Lived, tmp_path: Path) -> None:
    """Screen, card, status and page name the classes; what is asked before training is answered, too."""
    project = lived.project
    shown = io.StringIO()
    show_run(Page(shown), lived.report, trials=project.table("trials").to_pylist())
    show_status(Page(shown), project.status(), zone=ZONE)
    page = write_report(project, tmp_path / "page.html", traced=next(iter(lived.ids.values()))).read_text()
    (card,) = [path.read_text() for path in project.folder.glob(f".headway/reports/**/*{lived.report.run}*.md")]
    for text in (shown.getvalue(), page, card):
        assert all(name in text for name in CLASSES)
    assert "| very late |" in card
    assert "class" in project.check().labels


def test_two_classes_that_are_no_condition_go_the_whole_way(small_template: Path, tmp_path: Path) -> None:
    """A text label of two values, each example acted on as the likelier one."""
    folder = _of_classes(
        small_template,
        tmp_path / "project",
        {
            f'label          = "{LABEL}"': "label          = \"if(arr_delay > 15, 'late', 'on time')\"",
            "probability of very late > 20 %": "the most likely class",
            'metric      = "macro_average_precision"': 'metric      = "log_loss"',
            "minimum     = 0.26": "minimum     = 0.69",
            "good_enough = 0.99": "good_enough = 0.68",
        },
    )
    with Project.open(folder, clock=ReplayClock(_bounds(LIVE)[0])) as project:
        report = project.run()
        assert [each["name"] for each in report.verdict["classes"]] == ["late", "on time"]
        assert report.verdict["money"]["hit_rate"] > 0.5
        project.deploy(by="Ada", why="to be asked", override="" if report.passed else "a short test")
        requests, *_ = _world(project)
        project.clock.move_to(_bounds(LIVE)[1] - 1)  # type: ignore[attr-defined]
        project.materialize()
        answers = project.predict(requests[:40])
        assert answers["act"].to_pylist() == [True] * 40
        assert set(answers["prediction"].to_pylist()) <= {"late", "on time"}
        told = project.outcomes([{"id": name, "label": "late"} for name in answers["id"].to_pylist()])
        assert told["accepted"] == 40
        traced = project.trace(answers["id"][0].as_py())
        assert traced.prediction.line == ""
        assert traced.money == (150.0 if answers["prediction"][0].as_py() == "late" else -20.0)


def test_the_label_of_an_example_is_the_name_of_its_class(lived: Lived) -> None:
    """Where it comes from, the values say what it must be."""
    store = lived.project.store
    run = next(run for run in store.ledger.runs() if run.state == "finished" and run.run == lived.report.run)
    frozen = load(store.blobs.path(store.get(str(run.dataset), Dataset).table)).slice(7, 1).to_pylist()[0]
    key = [str(_plain(frozen[name])) for name in frozen if name.startswith("key:")]
    found = lived.project.example_lineage(*key, run=run.run)
    delay = found.rows[0].values["arr_delay"]
    assert found.label == (
        "early" if delay < -10 else "on time" if delay <= 15 else "late" if delay <= 60 else "very late"
    )
