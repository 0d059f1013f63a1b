"""The commands about data, as they are typed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from headway.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

BRIEF = """
[sources.customers]
path = "customers.csv"
key  = ["customer"]

[target]
examples       = "orders"
predict_at     = "placed"
label          = "late"
label_known_at = "done"
act_on         = "top 5 per day"

[sources.orders]
path  = "orders.csv"
key   = ["order"]
time  = "placed"
known = { "*" = "placed", late = "done", done = "done" }

[split]
by              = "time"
train_before    = 2024-01-08
validate_before = 2024-01-12
test_before     = 2024-01-18

[success]
metric      = "average_precision"
minimum     = 0.05
good_enough = 0.99

[features]
tier = { from = "customers", match = ["customer"], take = "tier" }
"""


def _write(folder: Path, *, tier: str) -> None:
    (folder / "headway.toml").write_text(BRIEF)
    (folder / "customers.csv").write_text(f"customer,tier\nAda Lovelace,gold\nBob Bobson,{tier}\n")
    rows = [
        f"{n},2024-01-{n:02}T10:00:00Z,{'Ada Lovelace' if n % 2 else 'Bob Bobson'},true,2024-02-01T00:00:00Z"
        for n in range(1, 20)
    ]
    (folder / "orders.csv").write_text("\n".join(["order,placed,customer,late,done", *rows]) + "\n")


@pytest.fixture
def ask(tmp_path: Path) -> Any:
    """Return what types a command in a project with two versions of its customers."""
    from headway.api import Project

    for tier in ("plain", "gold"):
        _write(tmp_path, tier=tier)
        with Project.open(tmp_path) as project:
            project.material()

    def typed(*words: str, fails: int = 0) -> Any:
        said = CliRunner().invoke(cli, ["--project", str(tmp_path), *words])
        assert said.exit_code == fails, said.output + said.stderr
        return json.loads(said.stdout) if "--json" in words else said.stdout + said.stderr

    return typed


def test_versions_are_listed_compared_and_written_out(ask: Any, tmp_path: Path) -> None:
    """In words, and as JSON."""
    assert "customers" in ask("data", "versions")
    found = ask("data", "versions", "customers", "--json")
    assert [each["state"] for each in found] == ["living", "living"]
    assert "tier plain to gold" in ask("data", "diff", "customers~1", "customers")
    changed = ask("data", "diff", "customers~1", found[1]["version"], "--json")
    assert (changed["changed"], changed["added"], changed["examples_changed"][0]["after"]) == (1, 0, {"tier": "gold"})
    assert "2 rows" in ask("data", "checkout", "customers~1", str(tmp_path / "old.csv"))
    assert "Bob Bobson,plain" in (tmp_path / "old.csv").read_text()
    assert ask("data", "checkout", "customers", str(tmp_path / "new.parquet"), "--json")["rows"] == 2
    assert "already" in ask("data", "checkout", "customers", str(tmp_path / "old.csv"), fails=2)
    said = ask("data", "checkout", "customers", "/proc/new.csv", fails=2)
    assert "/proc/new.csv: The rows cannot be written: No such file or directory." in said
    assert "no version" in ask("data", "diff", "customer", "customers", fails=2)


def test_damage_is_named_and_ends_with_a_code(ask: Any, tmp_path: Path) -> None:
    """Whole first; then a byte is changed."""
    assert "whole" in ask("data", "verify")
    found = ask("data", "verify", "--json")
    assert (found["damaged"], found["versions"]) == ([], 3)
    segment = max((tmp_path / ".headway" / "blobs").glob("??/*"), key=lambda path: path.stat().st_size)
    segment.chmod(0o644)
    segment.write_bytes(segment.read_bytes()[:-1] + b"?")
    assert str(segment) in ask("data", "verify", fails=2)
    (damaged,) = ask("data", "verify", "--json", fails=2)["damaged"]
    assert damaged["file"] == str(segment)
    assert damaged["needed_by"]


def test_what_nobody_needs_is_let_go_and_what_is_held_stays(ask: Any) -> None:
    """Merged, held, counted; young blobs are left alone."""
    assert "Nothing to merge" in ask("data", "compact")
    assert ask("data", "compact", "--json") == []
    assert "No hold" in ask("data", "hold", "list")
    assert "name and a reason" in ask("data", "hold", "add", "customers", "--by", "", "--why", "", fails=2)
    assert "h1" in ask("data", "hold", "add", "customers", "--by", "Counsel", "--why", "case 7")
    assert ask("data", "hold", "list", "--json")[0]["by"] == "Counsel"
    assert ask("data", "gc", "--dry-run", "--json")["dry_run"] is True
    assert "Needed, and kept: 3 versions" in ask("data", "gc")
    assert "Counsel" in ask(
        "data", "erase", "--entity", "customers 'customer=Ada Lovelace'", "--by", "x", "--why", "y", fails=3
    )
    assert "is over" in ask("data", "hold", "remove", "h1", "--by", "Counsel", "--why", "settled")


def test_a_person_is_erased(ask: Any, tmp_path: Path) -> None:
    """Counted first, then done, then told."""
    entity = ("--entity", "customers 'customer=Ada Lovelace'")
    assert ask("data", "erase", *entity, "--dry-run", "--json")["removed"]["orders"] == 10
    assert "Nothing was ever erased" in ask("data", "erasures")
    said = ask("data", "erase", *entity, "--by", "Desk", "--why", "request 12")
    assert "Take it out of" in said
    assert "No row" not in said
    (known,) = ask("data", "erasures", "--json")
    assert (known["by"], known["finished"], known["removed"]["orders"]) == ("Desk", True, 10)
    assert "request 12" in ask("data", "erasures")
    assert "Ada" not in json.dumps(known)
    blobs = (tmp_path / ".headway" / "blobs").glob("??/*")
    assert not any(b"Ada Lovelace" in path.read_bytes() for path in blobs)
    assert "redacted" in ask("data", "versions", "customers")
    assert "Redacted" in ask("data", "verify")
    assert "No row of it was found" in ask("data", "erase", *entity, "--by", "Desk", "--why", "request 12 again")


def test_what_cleaning_changes_is_said(ask: Any, tmp_path: Path) -> None:
    """Rows, examples and what was learned; without any there is nothing to say."""
    assert "cleans no column" in ask("data", "clean")
    clean = '[sources.customers.clean]\nlevel = { of = "tier", case = "upper", nulls = ["PLAIN"], fill = "mode" }\n'
    brief = tmp_path / "headway.toml"
    brief.write_text(brief.read_text() + clean)
    (found,) = ask("data", "clean", "--json")
    assert (found["column"], found["rows"], found["changed"]) == ("level", 2, 2)
    assert found["examples"] == [["gold", "GOLD", 2]]
    assert found["learned"]["fill"] == "GOLD"
    said = ask("data", "clean")
    assert "gold > GOLD (2)" in said
    assert "Learned from the training period" in said
