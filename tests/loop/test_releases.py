"""Tests for releases: made, refused, put into service, taken back, filled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from headway.deploy.serving import read_current
from headway.errors import GateClosed, NotFound
from headway.loop.releases import predecessor, release_of
from headway.nouns.event import GateOverridden

if TYPE_CHECKING:
    from pathlib import Path

    import deliveries
    from headway.api import Project


def test_nothing_is_deployed_before_a_run(begun: Project) -> None:
    """The error says what to do first."""
    with pytest.raises(NotFound, match="headway run"):
        begun.deploy()


def test_a_verdict_that_failed_stops_the_way_until_somebody_answers_for_it(begun: Project) -> None:
    """A bar that no model reaches closes the gate; an override needs a name and a reason, and both are kept."""
    brief = begun.folder / "headway.toml"
    text = brief.read_text()
    changed = "\n".join(
        {"minimum": "minimum = 0.98", "good_enough": "good_enough = 0.99"}.get(line.partition(" ")[0], line)
        for line in text.splitlines()
    )
    assert changed != text
    brief.write_text(changed)
    report = begun.run()
    assert not report.passed
    with pytest.raises(GateClosed, match="may not be released"):
        begun.deploy()
    assert begun.store.ledger.releases() == []
    begun.deploy(by="Ada", override="the pilot has ten users")
    kept = [entry.event for entry in begun.store.ledger.events(GateOverridden)]
    assert [(event.by, event.why) for event in kept if isinstance(event, GateOverridden)] == [
        ("Ada", "the pilot has ten users")
    ]


def test_a_rollback_restores_the_previous_release(begun: Project) -> None:
    """What servers read names the old release again, byte for byte; a second rollback has nowhere to go."""
    begun.run()
    first = begun.deploy(by="Ada")
    before = read_current(begun.store.serving).release
    second = begun.deploy(by="Ada", why="once more")
    assert (second.release, second.replaces) == ("r2", "r1")
    assert begun.rollback(why="worse").release == first.release
    assert read_current(begun.store.serving).release == before
    assert predecessor(begun.store) == ""
    with pytest.raises(NotFound, match="stands behind"):
        begun.rollback()


def test_an_unknown_release_is_refused_with_a_near_name(lived: deliveries.Lived) -> None:
    """The error names what there is."""
    with pytest.raises(NotFound, match="There is no release 'r99'"):
        release_of(lived.project.store, "r99")


def test_a_dimension_that_has_not_changed_is_not_filled_again(begun: Project) -> None:
    """The second filling takes over the blob of the depots, and fills what moves."""
    begun.run()
    begun.deploy()
    one = {t.name: t.blob for t in read_current(begun.store.serving).store.timelines}
    begun.materialize()
    other = {t.name: t.blob for t in read_current(begun.store.serving).store.timelines}
    assert one == other
    assert any(begun.store.book.get(key) for key in _dimension_keys(begun))


def _dimension_keys(project: Project) -> list[str]:
    from headway.loop.filling import _dimension_keys

    return list(_dimension_keys(project.material()).values())


def test_a_purpose_that_nobody_has_stated_stops_the_run(begun: Project) -> None:
    """The gate names the field; an override holds only for what it was given for."""
    brief = begun.folder / "headway.toml"
    text = brief.read_text()
    brief.write_text("\n".join("" if line.startswith("reaches") else line for line in text.splitlines()))
    with pytest.raises(GateClosed, match="who"):
        begun.run()
    begun.override("receiver", by="Ada", why="it is a trial")
    begun.run()
    brief.write_text("\n".join("" if line.startswith(("reaches", "action")) else line for line in text.splitlines()))
    with pytest.raises(GateClosed, match="decision"):
        begun.run()


def test_a_gate_that_is_open_cannot_be_overridden(begun: Project, tmp_path: Path) -> None:
    """A permission for nothing would be a permission for anything."""
    assert tmp_path.exists()
    with pytest.raises(NotFound, match="No gate"):
        begun.override("receiver", by="Ada", why="just in case")


def test_facts_that_a_crash_left_behind_are_not_taken_for_the_next_release(begun: Project) -> None:
    """A release that never was made has its number taken by the next one, and nothing of what it left."""
    report = begun.run()
    begun.store.book.put("release:r1", step="release", output=dict.fromkeys(_FACTS, "0" * 64), seconds=0.0)
    assert begun.deploy().release == "r1"
    assert release_of(begun.store, "r1").run == report.run


_FACTS = ("release", "reference", "verdict", "model")


@pytest.mark.parametrize("written", [True, False])
def test_the_contract_in_force_travels_with_the_release(begun: Project, written: bool) -> None:  # noqa: FBT001
    """What servers read holds the edited file, or what the data suggest; editing later changes no release."""
    brief = begun.folder / "headway.toml"
    brief.write_text(brief.read_text().replace("[sources.deliveries]\n", '[sources.deliveries]\ncontract = "block"\n'))
    begun.run()
    path = begun.folder / "contracts" / "deliveries.json"
    inferred = begun.data.infer_contract("deliveries")
    if written:
        path.write_text(path.read_text().replace('"late_at_most_days": ', '"late_at_most_days": 1'))
    else:
        path.unlink()
    made = begun.deploy(by="Ada").release
    contract = release_of(begun.store, made).contract
    assert contract == (begun.data.contract("deliveries") if written else inferred)
    assert read_current(begun.store.serving).release.contract == contract
    assert (contract == inferred) is not written


def test_a_release_of_a_brief_without_contracts_carries_none(begun: Project) -> None:
    """A file that lies there is for who asks for it; the release's bytes do not name it."""
    begun.run()
    begun.data.infer_contract("deliveries")
    made = begun.deploy(by="Ada").release
    assert b'"contract":{' not in release_of(begun.store, made).to_json()
