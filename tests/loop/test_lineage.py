"""From an example to its rows, from a column to its columns, from a snapshot to all that was built on it."""

from __future__ import annotations

import csv
import json
import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner

from headway.cli import cli
from headway.data.freeze import load
from headway.errors import NotFound
from headway.loop.lineage import column_lineage, example_lineage, snapshot_lineage
from headway.nouns.dataset import Dataset
from headway.predictions.reader import Reader

if TYPE_CHECKING:
    import deliveries


def test_an_example_is_replayed_bit_for_bit_from_the_rows_that_are_listed(lived: deliveries.Lived) -> None:
    """Of random examples of the dataset, every feature equals the frozen one, and the label's row is in the file."""
    store = lived.project.store
    run = next(run for run in store.ledger.runs() if run.state == "finished")
    table = load(store.blobs.path(store.get(str(run.dataset), Dataset).table))
    for at in random.Random(3).sample(range(table.num_rows), 6):
        frozen = table.slice(at, 1).to_pylist()[0]
        found = example_lineage(store, {"delivery": str(frozen["key:delivery"])})
        assert found.replayed_equal
        assert {f.name: f.replayed for f in found.features} == {
            name.removeprefix("feature:"): value for name, value in frozen.items() if name.startswith("feature:")
        }
        (row,) = found.rows
        with (lived.project.folder / row.file).open(newline="") as lines:
            cells = list(csv.DictReader(lines))[row.row - 1]
        assert int(cells["delivery"]) == frozen["key:delivery"]
        assert (cells["late"] == "true") == bool(found.label) == row.values["late"]
        assert found.label_columns == ("deliveries.arrived", "deliveries.late")
        assert all(one.known_at <= f"{look.until}" for f in found.features for look in f.look_ups for one in look.rows)


def test_the_project_and_the_command_line_say_the_same(lived: deliveries.Lived) -> None:
    """Each of the three in Python, as JSON and as a screen."""
    project = lived.project
    asked = ["--project", str(project.folder)]
    first = project.store.ledger.snapshots(source="depots")[0].snapshot
    table = load(
        project.store.blobs.path(project.store.get(str(project.store.ledger.runs()[-1].dataset), Dataset).table)
    )
    key = str(table["key:delivery"][0].as_py())
    for words, found in (
        (["example", key], project.example_lineage(f"delivery={key}")),
        (["column", "busy_6h"], project.column_lineage("busy_6h")),
        (["snapshot", first[:12]], project.snapshot_lineage(first)),
    ):
        said = CliRunner().invoke(cli, [*asked, "lineage", *words, "--json"])
        assert json.loads(said.stdout) == json.loads(msgspec.json.encode(found))
        shown = CliRunner().invoke(cli, [*asked, "lineage", *words])
        assert words[1][:6] in shown.stdout


def test_an_example_that_is_not_there_is_refused(lived: deliveries.Lived) -> None:
    """By its key, and by a part of a key that was not given or is no such value."""
    store = lived.project.store
    newest = next(run for run in store.ledger.runs() if run.state == "finished")
    with pytest.raises(NotFound, match="no example with delivery '7'") as caught:
        example_lineage(store, {"delivery": "7"})
    assert caught.value.where == f"dataset {newest.dataset[:12]}"
    with pytest.raises(NotFound, match="delivery is not given"):
        example_lineage(store, {"delivry": "7"})
    with pytest.raises(NotFound, match="'x' is no int"):
        example_lineage(store, {"delivery": "x"})


def test_a_column_is_followed_both_ways(lived: deliveries.Lived) -> None:
    """A feature to raw columns, a derived column through its look-up, a raw column to the features and the label."""
    definitions = lived.project.material().definitions
    busy = column_lineage(definitions, "busy_6h")
    assert {"deliveries.depot", "deliveries.leaves", "depots.region"} <= set(busy.comes_from)
    assert column_lineage(definitions, "deliveries.region").comes_from == (
        "deliveries.depot",
        "depots.depot",
        "depots.region",
    )
    late = column_lineage(definitions, "deliveries.late")
    assert late.comes_from == ()
    assert set(late.used_by) == {"late_24h", "label"}
    with pytest.raises(NotFound, match=r"'deliveries\.lat'") as caught:
        column_lineage(definitions, "deliveries.lat")
    assert "deliveries.late" in caught.value.hint


def test_a_snapshot_knows_all_that_was_built_on_it(lived: deliveries.Lived) -> None:
    """The first version of the deliveries: its dataset, its run, its model, its releases, and every answer of these."""
    store = lived.project.store
    first = store.ledger.snapshots(source="deliveries")[0]
    found = snapshot_lineage(store, first.snapshot[:12])
    run = store.ledger.run(store.ledger.release("r1").run)
    assert (found.version, found.runs, found.datasets) == (first.snapshot, (run.run,), (run.dataset,))
    assert {run.model, store.ledger.release("r1").model} <= set(found.models)
    assert run.model != store.ledger.release("r1").model
    assert "r1" in found.releases
    predictions = [each for batch in Reader(store.predictions).scan() for each in batch.predictions]
    assert sum(found.answered.values()) == sum(each.release in found.releases for each in predictions)
    depots = snapshot_lineage(store, store.ledger.snapshots(source="depots")[0].snapshot)
    assert sum(depots.looked_into.values()) == len(predictions)
    assert sum(found.looked_into.values()) < len(predictions)
    with pytest.raises(NotFound, match="no version 'zz'"):
        snapshot_lineage(store, "zz")
