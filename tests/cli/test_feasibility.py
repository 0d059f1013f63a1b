"""Broken briefs and hopeless data: what ``headway check`` says of them, asked as a person would."""

from __future__ import annotations

import csv
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


def _checked(shop: Path, headway: Any, *, code: int) -> dict[str, Any]:
    ran = headway("check", "--json", folder=shop)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("broken", ["nobody decides", "it never pays", "no label is known in time"])
def test_a_broken_brief_is_no_go_and_says_why(shop: Path, headway: Any, broken: str) -> None:
    """A purpose that nobody stated, a cost that nothing earns back, labels that come too late for every period."""
    if broken == "nobody decides":
        _edited(shop, ('improves = "', 'improves = "" # "'))
        gate = "decision"
    elif broken == "it never pays":
        _edited(shop, ("[value]", "[value]\nmonthly = 90000"))
        gate = "worth"
    else:
        _edited(shop, ('label_known_at = "delivered"', 'label_known_at = "placed + interval 400 days"'))
        gate = "data"
    checked = _checked(shop, headway, code=3)
    assert checked["advice"]["state"] == "no-go"
    assert gate in checked["closed_gates"]


def test_pure_noise_is_no_go(shop: Path, headway: Any) -> None:
    """Labels drawn by lot: the features say nothing, with cases enough to say so."""

    def by_lot(row: dict[str, str], rng: random.Random) -> dict[str, str]:
        return {**row, "late": str(rng.random() < 0.25).lower()}

    _rewritten(shop, by_lot)
    checked = _checked(shop, headway, code=3)
    assert "signal" in checked["closed_gates"]
    assert checked["facts"]["signal"]["p_value"] > 0.05
    low, high = (checked["facts"]["signal"]["expected"][end] for end in ("low", "high"))
    assert low - 0.02 <= checked["facts"]["signal"]["chance"] <= high + 0.02


def test_a_leak_is_no_go_and_named(shop: Path, headway: Any) -> None:
    """A weight that is written only when the parcel was late holds the answer."""

    def told(row: dict[str, str], rng: random.Random) -> dict[str, str]:
        return {**row, "weight": f"{rng.uniform(20, 30) if row['late'] == 'true' else rng.uniform(0, 19):.2f}"}

    _rewritten(shop, told)
    checked = _checked(shop, headway, code=3)
    assert "leak" in checked["closed_gates"]
    assert "'weight'" in checked["advice"]["words"]


def test_a_sound_brief_may_go_and_its_page_stands_alone(shop: Path, headway: Any, tmp_path: Path) -> None:
    """No gate is closed; the page has the verdict and its figures, and fetches nothing from elsewhere."""
    page = tmp_path / "out" / "page.html"
    ran = headway("check", "--page", page, folder=shop)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert str(page) in ran.stdout
    text = page.read_text()
    assert "go with conditions" in text
    assert text.count("<svg") == 3
    assert re.findall(r"(?:src|href)=\"(?!#)[^\"]*\"|<script|@import|url\((?!#)", text) == []


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
