"""From an example to what its label counts: of entities at cut-offs, and of rows with a label over a horizon."""

from __future__ import annotations

import csv
import datetime as dt
import json
import random

import pytest
from click.testing import CliRunner

from headway.api import Project
from headway.cli import cli
from headway.data.freeze import load
from headway.nouns.dataset import Dataset

AS_OF = "2024-09-01"
BRIEF = """
[decision]
improves = "Who is written to?"
action   = "Write"
reaches  = "A list"
owner    = "Sales"
review   = "weekly"
[sources.sales]
path  = "sales.csv"
key   = ["id"]
time  = "at"
known = "told"
[sources.people]
path  = "people.csv"
key   = ["number"]
time  = "joined"
known = "joined"
[sources.people.derive]
who = "lower(name)"
[target]
TARGET
horizon = "7 days"
delay   = "1 day"
[features]
often = { from = "sales", match = ["who"], window = "7 days", offset = "1 day" }
units = { from = "sales", match = ["who"], window = "20 days", value = "sum(units)" }
month = "month(predict_at, 'UTC')"
[split]
train_before    = 2024-05-01
validate_before = 2024-06-15
test_before     = 2024-08-15
[search]
trials     = 1
algorithms = ["logistic"]
[success]
metric      = "roc_auc"
minimum     = 0.1
good_enough = 0.9
"""
TARGETS = {
    "people": """
entities = "people"
entity   = ["who"]
each     = "5 days"
starting = 2024-02-01
label    = "count(sales) = 0 or sum(sales.units) > 9"
act_on   = "top 5"
""",
    "buyers": """
entities = "sales"
entity   = ["who"]
each     = "5 days"
starting = 2024-02-01
label    = "sum(sales.units) > 4"
act_on   = "top 5"
""",
    "sales": """
examples   = "sales"
predict_at = "told"
match      = ["who"]
label      = "count(sales) > 1"
act_on     = "top 5 per day"
""",
}


@pytest.fixture(scope="module")
def projects(tmp_path_factory):
    """Return a project for each target, after its run; all have the same sales of the same people."""
    rnd, folder = random.Random(11), tmp_path_factory.mktemp("horizons")
    begin = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    people = [[n, f"W{n % 25}", begin + dt.timedelta(days=rnd.randrange(60))] for n in range(30)]
    at = [begin + dt.timedelta(hours=rnd.randrange(24 * 240)) for _ in range(1_200)]
    sales = [
        [n, f"w{rnd.randrange(25)}", moment, moment + dt.timedelta(hours=rnd.choice([0, 0, 5, 30])), rnd.randrange(5)]
        for n, moment in enumerate(at)
    ]
    rnd.shuffle(sales)
    found = {}
    # Of every third sale an earlier draft, which another row takes the place of.
    drafts = [[n, who, at, told - dt.timedelta(minutes=1), units + 7] for n, who, at, told, units in sales[::3]]
    once = 'once = { order = "told" }\n[sources.people]'
    for name, target in {**TARGETS, "drafts": TARGETS["people"]}.items():
        (folder / name).mkdir()
        told = [*drafts, *sales] if name == "drafts" else sales
        for file, header, rows in (("people", "number,name,joined", people), ("sales", "id,who,at,told,units", told)):
            with (folder / name / f"{file}.csv").open("w", newline="") as lines:
                csv.writer(lines).writerows([header.split(","), *([_text(cell) for cell in row] for row in rows)])
        (folder / name / "headway.toml").write_text(
            BRIEF.replace("TARGET", target).replace(
                "[sources.people]", once if name == "drafts" else "[sources.people]"
            )
        )
        with Project.open(folder / name, as_of=AS_OF) as project:
            project.run()
        found[name] = folder / name
    return found


def _text(cell):
    return cell.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(cell, dt.datetime) else cell


def _frozen(project):
    """Return the examples of the newest run, as the dataset has them."""
    dataset = project.store.get(str(project.store.ledger.runs()[0].dataset), Dataset)
    return load(project.store.blobs.path(dataset.table)).to_pylist()


def _moment(text):
    return dt.datetime.fromisoformat(text)


@pytest.mark.parametrize("name", TARGETS)
def test_the_rows_of_a_label_are_those_of_the_horizon_and_make_it_again(projects, name) -> None:
    """Found by reading the file from top to bottom: this person's, after the prediction, known when the label is."""
    label = {
        "people": lambda units: not units or sum(units) > 9,
        "buyers": lambda units: sum(units) > 4,
        "sales": lambda units: len(units) > 1,
    }[name]
    folder = projects[name]
    with (folder / "sales.csv").open(newline="") as lines:
        sales = list(enumerate(csv.DictReader(lines), start=1))
    who_of = {row["id"]: row["who"] for _, row in sales}
    with Project.open(folder, as_of=AS_OF) as project:
        counts = set()
        for example in random.Random(5).sample(_frozen(project), 12):
            key = [example[column] for column in example if column.startswith("key:")]
            found = project.example_lineage(*(_text(part) if hasattr(part, "year") else str(part) for part in key))
            who = who_of[str(key[0])] if name == "sales" else key[0]
            first, last = _moment(found.predict_at), _moment(found.label_known_at)
            assert last - first == dt.timedelta(days=8)
            wanted = {
                number: int(row["units"])
                for number, row in sales
                if row["who"] == who
                and first < _moment(row["at"]) <= last - dt.timedelta(days=1)
                and _moment(row["told"]) <= last
            }
            (look_up,) = found.label_look_ups
            assert look_up.count == len(wanted)
            assert {row.row for row in look_up.rows} <= set(wanted)
            assert len(look_up.rows) == min(len(wanted), 5)
            assert bool(found.label) == label(list(wanted.values()))
            if name != "sales":
                assert all(row.values == {"units": wanted[row.row]} for row in look_up.rows)
            counts.add(look_up.count)
            assert found.replayed_equal
            assert [one.replayed for one in found.features] == [
                example[f"feature:{one.name}"] for one in found.features
            ]
        assert len(counts) > 1


def test_an_entity_is_asked_about_by_the_rows_that_were_known_by_then(projects) -> None:
    """Of people called the same in small letters each row that was there; of buyers their first five sales."""
    with (projects["people"] / "people.csv").open(newline="") as lines:
        people = list(csv.DictReader(lines))
    with (projects["buyers"] / "sales.csv").open(newline="") as lines:
        sales = list(csv.DictReader(lines))
    several = 0
    with Project.open(projects["people"], as_of=AS_OF) as project:
        for example in random.Random(6).sample(_frozen(project), 12):
            who, moment = example["key:who"], example["key:predict_at"].replace(tzinfo=dt.UTC)
            found = project.example_lineage(who, _text(moment))
            wanted = [row for row in people if row["name"].lower() == who and _moment(row["joined"]) <= moment]
            assert [(row.key["number"], row.known_at, row.values["who"]) for row in found.rows] == [
                (int(row["number"]), row["joined"], who) for row in sorted(wanted, key=lambda row: row["joined"])
            ]
            several += len(wanted) > 1
            assert found.label_columns == (*("people.who", "sales.at", "sales.told", "sales.units", "sales.who"),)
    assert several
    with Project.open(projects["buyers"], as_of=AS_OF) as project:
        found = project.example_lineage("w3", "2024-05-01T00:00:00Z")
    told = sorted(row["told"] for row in sales if row["who"] == "w3" and row["told"] <= found.predict_at)
    assert [row.known_at for row in found.rows] == told[:5]
    assert all(row.values["who"] == "w3" for row in found.rows)


def test_a_label_that_counts_names_columns_that_there_are(projects) -> None:
    """Of a row: the moment that the horizon begins with, whom it is about, and what is counted."""
    with Project.open(projects["sales"], as_of=AS_OF) as project:
        example = _frozen(project)[0]
        found = project.example_lineage(str(example["key:id"]))
        assert found.label_columns == ("sales.at", "sales.told", "sales.who")
        assert [row.row for row in found.rows if row.key == {"id": example["key:id"]}] == [found.rows[0].row]
        assert set(project.column_lineage("sales.who").used_by) == {"often", "units", "label"}
        assert project.column_lineage("sales.units").used_by == ("units",)


def test_a_column_is_followed_through_entities(projects) -> None:
    """To the raw column that their own is made of, and from there to the features and the label."""
    sold = ("people.name", "sales.at", "sales.told", "sales.who")
    with Project.open(projects["people"], as_of=AS_OF) as project:
        assert project.column_lineage("often").comes_from == sold
        assert project.column_lineage("month").comes_from == ()
        assert project.column_lineage("people.who").comes_from == ("people.name",)
        for column in ("people.name", "people.who", "sales.at"):
            assert project.column_lineage(column).used_by == ("often", "units", "label"), column
        assert project.column_lineage("sales.units").used_by == ("units", "label")
        assert project.column_lineage("people.number").used_by == ()


@pytest.mark.parametrize("name", TARGETS)
def test_a_history_is_exported_with_the_columns_of_entities(projects, name, tmp_path) -> None:
    """Every column that a feature is said to follow from stands in the schema of its source."""
    with Project.open(projects[name], as_of=AS_OF) as project:
        project.openlineage(tmp_path / "lineage.jsonl")
    events = [json.loads(line) for line in (tmp_path / "lineage.jsonl").read_text().splitlines()]
    made = [one for event in events for one in (*event.get("inputs", ()), *event.get("outputs", ()))]
    there = {
        (one["name"], field["name"])
        for one in made
        for field in one.get("facets", {}).get("schema", {}).get("fields", ())
    }
    (fields, *_) = (one["facets"]["columnLineage"]["fields"] for one in made if "columnLineage" in one["facets"])
    said = {(each["name"], each["field"]) for field in fields.values() for each in field["inputFields"]}
    assert {("source.sales", "at"), ("source.sales", "units")} <= said
    assert said <= there
    assert set(fields) == {"feature:often", "feature:units", "feature:month"}


def test_the_screen_tells_what_is_counted_from_what_is_asked_about(projects) -> None:
    """Both are named, and no column that is none."""
    asked = ["--project", str(projects["people"]), "--as-of", AS_OF, "lineage"]
    shown = CliRunner().invoke(cli, [*asked, "example", "w3", "2024-05-01T00:00:00Z"]).stdout
    label, about, features = (shown.index(words) for words in ("label ", "asked about", "3 features"))
    assert label < about < features
    assert "sales.csv row" in shown[label:about]
    assert "people.csv row" in shown[about:features]
    assert "the moment of the prediction" in CliRunner().invoke(cli, [*asked, "column", "month"]).stdout


def test_of_rows_that_are_one_event_the_one_that_counts_is_listed(projects) -> None:
    """Drafts change no example, and stand behind none: what is listed is what is listed where there are none."""
    frozen, listed = {}, {}
    for name in ("people", "drafts"):
        with Project.open(projects[name], as_of=AS_OF) as project:
            frozen[name] = _frozen(project)
            examples = random.Random(7).sample(frozen[name], 8)
            keys = [
                [_text(v) if hasattr(v, "year") else str(v) for c, v in e.items() if c[:4] == "key:"] for e in examples
            ]
            found = [project.example_lineage(*key) for key in keys]
        assert all(each.replayed_equal for each in found)
        listed[name] = [
            [(row.key["id"], row.values) for look in (*each.label_look_ups, *_looked(each)) for row in look.rows]
            for each in found
        ]
    assert frozen["drafts"] == frozen["people"]
    assert listed["drafts"] == listed["people"]
    assert any(listed["drafts"])


def _looked(example):
    return [look for feature in example.features for look in feature.look_ups]
