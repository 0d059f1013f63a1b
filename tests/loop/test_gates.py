"""Tests for gates: bound to their evidence, open again when it changes, passed by an override alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from headway.errors import GateClosed
from headway.loop.gates import STAGES

if TYPE_CHECKING:
    from headway.api import Project


def _states(project: Project) -> dict[str, str]:
    return {gate.gate: gate.state for gate in project.gates()}


def _edit(project: Project, old: str, new: str) -> None:
    brief = project.folder / "headway.toml"
    text = brief.read_text()
    assert old in text
    brief.write_text(text.replace(old, new, 1))


def test_gates_are_open_until_somebody_judges_them_and_each_passing_is_told_once(begun: Project) -> None:
    """Check and run judge theirs; the same on the same evidence is said once; history has a line each."""
    assert _states(begun) == dict.fromkeys(STAGES, "open")
    begun.run()
    begun.run()
    found = {gate.gate: gate for gate in begun.gates()}
    assert [found[name].state for name in ("define-data", "build-validate", "validate-deploy")] == ["passed"] * 3
    assert found["validate-deploy"].who == begun.store.owner
    told = [line["what"] for line in begun.history() if line["kind"] == "GateJudged"]
    assert len(told) == 3
    assert any(found["validate-deploy"].digest[:12] in line for line in told)


def test_a_gate_whose_evidence_has_changed_is_open_again(begun: Project) -> None:
    """Another receiver, another brief: what was passed was passed for something else."""
    begun.run()
    _edit(begun, "reaches", 'review = "weekly"\nreaches') if "review" not in begun.brief_text else None
    before = {gate.gate: gate.digest for gate in begun.gates()}
    text = (begun.folder / "headway.toml").read_text()
    lines = [f'{line.rstrip(chr(34))} soon"' if line.startswith("reaches") else line for line in text.splitlines()]
    (begun.folder / "headway.toml").write_text("\n".join(lines))
    after = {gate.gate: gate for gate in begun.gates()}
    assert after["define-data"].digest != before["define-data"]
    assert after["define-data"].state == "open"


def test_a_failed_verdict_is_overridden_by_name_and_only_for_itself(begun: Project) -> None:
    """Override, not deploy, takes the responsibility; deploy then goes; another verdict closes the gate again."""
    text = (begun.folder / "headway.toml").read_text()
    lines = {"minimum": "minimum = 0.98", "good_enough": "good_enough = 0.99"}
    changed = "\n".join(lines.get(line.partition(" ")[0], line) for line in text.splitlines())
    (begun.folder / "headway.toml").write_text(changed)
    begun.run()
    assert _states(begun)["validate-deploy"] == "closed"
    with pytest.raises(GateClosed, match="may not be released"):
        begun.deploy()
    begun.override("verdict", by="Ada", why="ten users")
    gate = begun.gates()[-1]
    assert (gate.state, gate.who, gate.why) == ("overridden", "Ada", "ten users")
    begun.deploy()
    (begun.folder / "headway.toml").write_text(changed.replace("0.98", "0.97"))
    begun.run()
    assert _states(begun)["validate-deploy"] == "closed"
    with pytest.raises(GateClosed, match="may not be released"):
        begun.deploy()


def test_what_check_found_hopeless_stops_run_and_deploy_until_overridden(begun: Project) -> None:
    """A gate of the data that was judged closed refuses the run; the override is for these very data and brief."""
    begun.run()
    _edit(begun, "[value]", "[value]\nmonthly = 900000000.0") if "monthly" not in begun.brief_text else _edit(
        begun, "monthly", "monthly = 900000000.0 #"
    )
    checked = begun.check()
    assert checked.closed_gates == ("worth",)
    assert _states(begun)["data-build"] == "closed"
    for way in (begun.run, begun.deploy):
        with pytest.raises(GateClosed, match="headway override worth"):
            way()
    begun.override("worth", by="Ada", why="a loss leader")
    assert _states(begun)["data-build"] == "overridden"
    assert begun.run().run
