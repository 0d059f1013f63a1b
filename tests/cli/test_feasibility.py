"""Broken briefs and hopeless data: what ``headway check`` says of them, asked as a person would."""

from __future__ import annotations

import csv
import html
import json
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def _edited(shop: Path, *changes: tuple[str, str]) -> None:
    brief = shop / "headway.toml"
    text = brief.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    brief.write_text(text)


def _rewritten(shop: Path, change: Any) -> None:
    """Write the orders again, each row changed."""
    rng = random.Random(11)
    with (shop / "orders.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [change(row, rng) for row in rows]
    with (shop / "orders.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


class _Said:
    """What a check said: as JSON, and on its page as a reader sees it."""

    def __init__(self, told: dict[str, Any], page: str) -> None:
        self.told, self.page = told, page
        body = html.unescape(re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]+>", " ", page, flags=re.DOTALL))
        self.read = " ".join(body.split())

    @property
    def state(self) -> str:
        return str(self.told["advice"]["state"])

    def gate(self, name: str) -> dict[str, Any]:
        """Return one gate of the answers."""
        return next(gate for answer in self.told["answers"] for gate in answer["gates"] if gate["name"] == name)


def _checked(shop: Path, headway: Any, *, code: int) -> _Said:
    page = shop / "page.html"
    ran = headway("check", "--json", "--page", page, folder=shop)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return _Said(json.loads(ran.stdout), page.read_text(encoding="utf-8"))


BROKEN = {
    "nobody decides": (
        ('improves = "', 'improves = "" # "'), "decision", "nobody has said which decision this improves",
        "Fill in decision.improves in the brief.",
    ),
    "it never pays": (
        ("[value]", "[value]\nmonthly = 90000"), "worth", "even perfect foresight is worth",
        "Look at value and target.act_on, or choose another decision.",
    ),
    "no label is known in time": (
        ('label_known_at = "delivered"', 'label_known_at = "placed + interval 400 days"'), "data",
        "the train period has no labelled example", "Move split.train_before, or look at target.label_known_at.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_brief_is_no_go_and_says_why_and_what_to_do(shop: Path, headway: Any, broken: str) -> None:
    """A purpose that nobody stated, a cost that nothing earns back, labels that come too late for every period."""
    change, gate, why, todo = BROKEN[broken]
    _edited(shop, change)
    said = _checked(shop, headway, code=3)
    assert said.state == "no-go"
    assert said.told["closed_gates"] == [gate]
    assert why in said.gate(gate)["why"]
    assert said.gate(gate)["todo"] == todo
    assert said.told["advice"]["words"].startswith(f"No-go: {said.gate(gate)['why'][:40]}")
    # The page: the verdict first, the reason and what to do right under it, before any figure.
    assert (
        said.read.index("no-go") < said.read.index(why[1:]) < said.read.index(todo) < said.read.index("Worth a month")
    )


def test_pure_noise_is_no_go(shop: Path, headway: Any) -> None:
    """Labels drawn by lot: the features say nothing, with cases enough to say so, and the page promises nothing."""

    def by_lot(row: dict[str, str], rng: random.Random) -> dict[str, str]:
        return {**row, "late": str(rng.random() < 0.25).lower()}

    _rewritten(shop, by_lot)
    said = _checked(shop, headway, code=3)
    signal = said.told["facts"]["signal"]
    assert said.state == "no-go"
    assert "signal" in said.told["closed_gates"]
    assert signal["p_value"] > 0.05
    assert f"(p = {signal['p_value']:.2f}" in said.gate("signal")["why"]
    low, high = (signal["expected"][end] for end in ("low", "high"))
    assert low - 0.02 <= signal["chance"] <= high + 0.02
    assert "The features tell nothing about the label that chance would not" in said.read
    assert "Do the data say anything? no p =" in said.read


def test_an_outcome_that_is_known_before_it_is_predicted_is_no_go_and_stops_a_run(shop: Path, headway: Any) -> None:
    """What is known when a parcel is placed cannot be predicted then, whatever its own row gives to a window."""
    _edited(shop, ('label_known_at = "delivered"', 'label_known_at = "placed"'))
    said = _checked(shop, headway, code=3)
    assert said.told["closed_gates"] == ["leak"]
    assert "is known when the prediction is asked for" in said.gate("leak")["why"]
    assert "per month" not in said.read  # nor do the conditions promise, or doubt, what a leak would earn
    passed = headway("override", "leak", "--by", "x", "--why", "to see what the run says", folder=shop)
    assert passed.returncode == 0, passed.stderr
    ran = headway("run", folder=shop)
    assert ran.returncode != 0
    assert "There is nothing to predict" in ran.stderr


def test_a_leak_is_no_go_and_named(shop: Path, headway: Any) -> None:
    """A weight that is written only when the parcel was late holds the answer."""

    def told(row: dict[str, str], rng: random.Random) -> dict[str, str]:
        return {**row, "weight": f"{rng.uniform(20, 30) if row['late'] == 'true' else rng.uniform(0, 19):.2f}"}

    _rewritten(shop, told)
    said = _checked(shop, headway, code=3)
    assert said.told["closed_gates"] == ["leak"]
    assert said.told["facts"]["signal"]["best"] == "weight"
    assert "'weight'" in said.gate("leak")["why"]
    assert "features.weight" in said.gate("leak")["todo"]
    assert "tells the label almost perfectly" in said.read
    # What a leak would earn is no promise: the page keeps it to itself.
    assert "Do the data say anything? too much" in said.read
    assert said.read.count("Not said: it would rest on what is known only afterwards.") == 3


def test_a_sound_brief_may_go_and_its_page_stands_alone(shop: Path, headway: Any, tmp_path: Path) -> None:
    """No gate is closed; verdict, money, conditions and evidence come in this order, and nothing is fetched."""
    page = tmp_path / "out" / "page.html"
    ran = headway("check", "--page", page, folder=shop)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert str(page) in ran.stdout
    said = _Said({}, page.read_text(encoding="utf-8"))
    order = [
        "go with conditions", "Worth a month", "Payback", "Do the data say anything?", "What it is worth",
        "What the data say", "What is there when it counts", "Whose data they are", "Five questions",
    ]  # fmt: skip
    at = [said.read.index(words) for words in order]
    assert at == sorted(at)
    assert "does not say: licence, owner, access, personal, retention. Ask whoever answers for it" in said.read
    assert said.page.count("<svg") == 4
    assert re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"|<script|@import|url\((?!#)", said.page) == []
    # On the terminal as on the page: the verdict, the money, what to do, and only then the evidence.
    lines = ran.stdout.splitlines()
    firsts = ("Check  go", "worth a month", "Conditions", "1. What decision")
    places = [next(n for n, line in enumerate(lines) if words in line) for words in firsts]
    assert places == sorted(places)


def test_a_brief_about_people_asks_for_permission_and_for_how_long(shop: Path, headway: Any) -> None:
    """Personal data that nobody permitted, and rows that are older than they may be: both are conditions."""
    _edited(shop, ('path  = "orders.csv"', 'path  = "orders.csv"\npersonal = true\nretention = "30 days"'))
    said = _checked(shop, headway, code=0)
    conditions = [condition["why"] for condition in said.told["advice"]["conditions"]]
    assert any("nobody's permission to read it is named" in why for why in conditions)
    assert any("may be kept for 30 days" in why for why in conditions)
    assert "read by permission of" in said.read


def test_gates_are_shown_with_state_evidence_and_who(shop: Path, headway: Any) -> None:
    """Open before a check, judged after it, told in the history; an override names who and why."""
    assert {gate["state"] for gate in json.loads(headway("gates", "--json", folder=shop).stdout)} == {"open"}
    _edited(shop, ('reaches  = "', 'reaches  = "" # "'))
    _checked(shop, headway, code=3)
    shown = headway("gates", folder=shop, HEADWAY_USER="Bo").stdout
    assert "define-data" in shown
    assert "closed" in shown
    assert headway("override", "receiver", "--by", "Ada", "--why", "a trial", folder=shop).returncode == 0
    first = json.loads(headway("gates", "--json", folder=shop).stdout)[0]
    assert (first["state"], first["who"], first["why"]) == ("overridden", "Ada", "a trial")
    told = headway("history", folder=shop).stdout
    assert "Gate define-data is closed by receiver" in told
    assert "Ada" in told
