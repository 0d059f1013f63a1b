"""A run whose split is not by time goes the whole way, and says so wherever its verdict is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headway.nouns.verdict import Verdict

if TYPE_CHECKING:
    from headway.api import Project

BY_TIME = """by              = "time"
zone            = "Europe/Berlin"
train_before    = 2024-02-16
validate_before = 2024-03-02
test_before     = 2024-03-18
"""
BY_SENDER = 'by = "group"\ngroup = ["sender"]\nzone = "Europe/Berlin"\n'
BY_LOT = 'by = "random"\nzone = "Europe/Berlin"\n'


def _split(project: Project, by: str) -> None:
    for path in sorted((project.folder / "data" / "deliveries").glob("*.csv")):
        header, *lines = path.read_text().splitlines()
        sent = [f"{line},S{int(line.split(',')[0]) % 83}" for line in lines]
        path.write_text("\n".join([f"{header},sender", *sent]) + "\n")
    brief = project.folder / "headway.toml"
    text = brief.read_text()
    assert text.count(BY_TIME) == 1
    brief.write_text(text.replace(BY_TIME, by))


@pytest.mark.parametrize(("by", "how"), [(BY_SENDER, "by group (sender)"), (BY_LOT, "at random")])
def test_a_split_that_is_not_by_time_is_said_aloud(begun: Project, by: str, how: str) -> None:
    """By a gate that warns, a reason of the verdict, and the card; the model may go out all the same."""
    _split(begun, by)
    checked = begun.check()
    report = begun.run()
    run = begun.runs().to_pylist()[-1]
    assert run["state"] != "failed"
    gate = next(gate for gate in report.verdict["gates"] if gate["name"] == "split by time")
    assert (gate["passed"], gate["blocking"], gate["found"]) == (False, False, f"split {how}")
    verdict = msgspec_verdict(report.verdict)
    assert any(f"the split is not by time but {how}" in reason for reason in verdict.reasons)
    # Six a day are acted on in all: of the test's fifth of a day one or two, each of which stands for several.
    assert verdict.money.acted_per_day == pytest.approx(6, rel=0.1)
    assert checked.facts["payoff"]["worth"]["acted_per_day"] == pytest.approx(6, rel=0.1)
    card = Path(report.card).read_text(encoding="utf-8")
    assert "The split is not by time" in card
    assert "drawn at random" in card
    assert report.leaks_failed == ()
    assert {each["name"]: each["examples"] for each in checked.facts["splits"] if each["examples"]} == {
        name: rows for name, rows in report.rows.items() if rows
    }


def msgspec_verdict(plain: dict[str, object]) -> Verdict:
    """Return the verdict that a report shows."""
    import msgspec

    return msgspec.convert(plain, Verdict, strict=False)


def test_features_are_ranked_over_a_split_without_time(begun: Project) -> None:
    """What a feature adds is measured on the validation side, whichever way the sides are drawn."""
    _split(begun, BY_LOT)
    found = begun.suggest()
    assert found
    assert all(row["low"] <= row["gain"] <= row["high"] for row in found)
