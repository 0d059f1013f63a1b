"""A contract is inferred from what was taken, survives an edit, and says what a delivery did."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from headway.errors import NotFound
from headway.screens.page import Page
from headway.screens.status import show_status

SOURCE = "deliveries"


@pytest.fixture
def read(begun):
    """Return the project after its sources were read once."""
    begun.material()
    return begun


def _file(project):
    return max((project.folder / "data" / "deliveries").glob("*.csv"))


def _broken(text, snapshot):
    """Return a part in which a number is far from all that it ever was."""
    header, *lines = text.splitlines()
    columns = header.split(",")
    names = (c.name for c in snapshot.columns if c.kind in {"int", "float"})
    at = columns.index(next(name for name in names if name not in snapshot.columns[0].name))
    broken = [",".join("-99999999" if i == at else v for i, v in enumerate(line.split(","))) for line in lines]
    return "\n".join([header, *broken]) + "\n"


def test_what_was_edited_stays_when_a_contract_is_inferred_anew(read):
    """A person's figure outlives the next inference; all else follows the data."""
    read.data.infer_contract(SOURCE)
    path = read.folder / "contracts" / f"{SOURCE}.json"
    edited = json.loads(path.read_text())
    column = next(name for name, each in edited["columns"].items() if each["at_most"] is not None)
    edited["columns"][column]["at_most"] = 123456.0
    path.write_text(json.dumps(edited))
    again = read.data.infer_contract(SOURCE)
    assert again.columns[column].at_most == 123456.0
    assert again == read.data.contract(SOURCE)


def test_a_renamed_column_of_a_delivery_is_named(read, tmp_path):
    """A file whose header says otherwise is not refused by its reader, but told in words."""
    read.data.infer_contract(SOURCE)
    header, *lines = _file(read).read_text().splitlines()
    old = header.split(",")[-1]
    other = tmp_path / "other.csv"
    other.write_text("\n".join([header.replace(old, f"{old}_new"), *lines]) + "\n")
    held = read.data.check_contract(SOURCE, other)
    renamed = [result.change for result in held.failed if result.clause == "column renamed"]
    assert [(change.column, change.detail["to"]) for change in renamed] == [(old, f"{old}_new")]
    assert any(result.state == "not run" for result in held.results)


def test_what_is_wrong_is_placed_in_the_file_that_came(read, tmp_path):
    """A clause and a change name the file as it was delivered, and the row as it stands there."""
    read.data.infer_contract(SOURCE)
    before = read.material().snapshots[SOURCE]
    good = _file(read).read_text().splitlines()
    bad = _broken(_file(read).read_text(), before).splitlines()
    came = tmp_path / "came.csv"
    came.write_text("\n".join([*good[:4], *bad[4:]]) + "\n")
    held = read.data.check_contract(SOURCE, came)
    assert any("first in row 4 of " in result.words and "came.csv" in result.words for result in held.failed)
    placed = [result.change for result in held.failed if result.change is not None and result.change.row]
    assert placed
    assert all((change.row, change.file.endswith("came.csv")) == (4, True) for change in placed)


def test_a_check_takes_nothing(read, tmp_path):
    """To hold a file against the contract leaves the version in force, and the ledger, as they were."""
    read.data.infer_contract(SOURCE)
    before = read.store.ledger.snapshots(source=SOURCE)
    read.data.check_contract(SOURCE, _file(read))
    assert read.store.ledger.snapshots(source=SOURCE) == before


def test_a_source_without_a_contract_says_how_to_get_one(read):
    """Who asks too early is told the command, and a misspelt source its name."""
    with pytest.raises(NotFound, match="contract infer"):
        read.data.contract(SOURCE)
    with pytest.raises(NotFound, match="Did you mean 'deliveries'"):
        read.data.contract("deliverys")


@pytest.mark.parametrize(("word", "taken"), [("block", False), ("warn", True), ("", True)])
def test_a_part_that_breaks_its_contract_is_taken_only_where_the_brief_lets_it(begun, word, taken):
    """With 'block' the version before stays in force, today and when asked again; otherwise the new one is taken."""
    brief = begun.folder / "headway.toml"
    text = brief.read_text()
    if word:
        head = f"[sources.{SOURCE}]\n"
        assert head in text
        brief.write_text(text.replace(head, f'{head}contract = "{word}"\n'))
    before = begun.material().snapshots[SOURCE]
    (_file(begun).parent / "zz.csv").write_text(_broken(_file(begun).read_text(), before))
    assert (begun.material().snapshots[SOURCE].digest != before.digest) is taken
    assert (begun.material().snapshots[SOURCE].digest != before.digest) is taken
    told = [line for line in begun.history() if line["kind"] == "ContractBroken"]
    broken = begun.status().get("contracts", [])
    assert len(told) == len(broken) == (1 if word else 0)
    if word:
        assert ("was not taken" in told[0]["what"]) is not taken
        assert told[0]["why"]
        assert (broken[0]["source"], broken[0]["blocked"]) == (SOURCE, not taken)
        screen = io.StringIO()
        show_status(Page(screen), begun.status())
        assert "Source deliveries breaks its contract since" in " ".join(screen.getvalue().split())


def _visits(first, days):
    """Return CSV lines of visits, a hundred a day, for so many days from the day ``first`` of 2024."""
    begin = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=first)
    moments = [(day * 100 + n, begin + timedelta(days=day, minutes=14 * n)) for day in range(days) for n in range(100)]
    return [f"{first * 100 + at},{moment:%Y-%m-%dT%H:%M:%SZ},{'abc'[at * 7 % 3]}" for at, moment in moments]


@pytest.mark.parametrize("apart", [True, False])
def test_a_day_is_held_against_days(begun, tmp_path, apart):
    """A feed that comes daily, as files or in one that grows, is not short by six days; half of a day is short."""
    brief = begun.folder / "headway.toml"
    source = '[sources.visits]\npath = "data/visits/*.csv"\nkey = ["id"]\ntime = "seen"\ncontract = "block"\n\n[target]'
    brief.write_text(brief.read_text().replace("[target]", source))
    folder = begun.folder / "data" / "visits"
    folder.mkdir()
    head = "id,seen,shop"
    for day in range(0, 60, 1 if apart else 60):
        lines = _visits(day, 1 if apart else 60)
        (folder / f"v{day:02}.csv").write_text("\n".join([head, *lines]) + "\n")
    before = begun.material().snapshots["visits"]
    begun.data.infer_contract("visits")
    came = tmp_path / "v60.csv"
    came.write_text("\n".join([head, *_visits(60, 1)]) + "\n")
    assert begun.data.check_contract("visits", came).failed == ()
    if apart:
        half = tmp_path / "half.csv"
        half.write_text("\n".join([head, *_visits(60, 1)[:40]]) + "\n")
        assert {result.clause for result in begun.data.check_contract("visits", half).failed} >= {"rows truncated"}
        (folder / "v60.csv").write_text(came.read_text())
    else:
        with (folder / "v00.csv").open("a") as file:
            file.write("\n".join(_visits(60, 1)) + "\n")
    assert begun.material().snapshots["visits"].digest != before.digest
    assert "contracts" not in begun.status()


def test_what_came_before_ends_the_broken_contract_when_it_comes_again(begun):
    """The version in force is the newest that came then; the same broken part, come once more, is told once more."""
    brief = begun.folder / "headway.toml"
    brief.write_text(brief.read_text().replace(f"[sources.{SOURCE}]\n", f'[sources.{SOURCE}]\ncontract = "block"\n'))
    last = _file(begun)
    before = begun.material().snapshots[SOURCE]
    good, bad = last.read_text(), _broken(last.read_text(), before)
    for times in (1, 2):
        last.write_text(bad)
        for _ in range(2):
            begun.material()
            assert begun.status()["contracts"]
        assert len([line for line in begun.history() if line["kind"] == "ContractBroken"]) == times
        last.write_text(good)
        assert begun.material().snapshots[SOURCE].digest == before.digest
        assert "contracts" not in begun.status()
    assert len(begun.data.versions(SOURCE)) == 1


def test_a_mended_part_ends_the_broken_contract_in_the_status(begun):
    """As soon as a version is taken that keeps the contract, only the history speaks of the one that did not."""
    brief = begun.folder / "headway.toml"
    brief.write_text(brief.read_text().replace(f"[sources.{SOURCE}]\n", f'[sources.{SOURCE}]\ncontract = "block"\n'))
    last = _file(begun)
    text = last.read_text()
    last.unlink()
    before = begun.material().snapshots[SOURCE]
    last.write_text(_broken(text, before))
    begun.material()
    assert begun.status()["contracts"]
    last.write_text(text)
    begun.material()
    assert "contracts" not in begun.status()
