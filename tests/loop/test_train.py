"""Tests for a run: what is done again, what is not, and what it leaves behind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from headway.errors import DataError, StoreBusy
from headway.nouns.model import Model

if TYPE_CHECKING:
    from headway.api import Project


def test_an_unchanged_run_does_nothing_and_says_so(begun: Project) -> None:
    """The same brief, data and moment are the same run, to the same bytes."""
    one = begun.run()
    two = begun.run()
    assert not one.unchanged
    assert two.unchanged
    assert (one.run, one.model, one.dataset) == (two.run, two.model, two.dataset)
    assert two.fit_seconds == 0.0


def test_waiting_changes_nothing_once_all_is_known(begun: Project) -> None:
    """Past the last moment of the data, the clock alone makes no new run."""
    from headway.nouns.clock import ReplayClock
    from headway.nouns.span import DAY

    one = begun.run()
    clock = begun.clock
    assert isinstance(clock, ReplayClock)
    clock.move_to(clock.now_us() + 400 * DAY)
    later = begun.run()
    again = begun.run()
    assert again.unchanged
    assert later.run == again.run
    assert one.features == later.features


def test_a_changed_setting_does_again_only_what_depends_on_it(begun: Project) -> None:
    """Another seed searches anew over the dataset that is there."""
    one = begun.run()
    brief = begun.folder / "headway.toml"
    text = brief.read_text()
    changed = re.sub(r"seed\s*=\s*\d+", "seed = 99", text)
    brief.write_text(changed if changed != text else text.replace("[search]", "[search]\nseed = 99"))
    two = begun.run()
    assert two.run != one.run
    assert two.dataset == one.dataset
    assert not two.unchanged


def test_every_run_leaves_a_card(begun: Project) -> None:
    """The card stands where the report says, and names the model."""
    report = begun.run()
    text = Path(report.card).read_text(encoding="utf-8")
    model = begun.store.get(report.model, Model)
    assert model.digest[:12] in text
    assert "late" in text


def test_a_run_that_is_busy_is_refused_by_name(begun: Project) -> None:
    """Two runs on one store would do everything twice; reading goes on."""
    with begun.store.ledger.lease("run", owner="somebody"), pytest.raises(StoreBusy, match="'run'"):
        begun.run()
    assert begun.runs().num_rows == 0


def test_a_feature_that_holds_the_answer_stops_the_run(begun: Project) -> None:
    """A column that says 'late' before anybody can know it is found as a leak, and the run is recorded as failed."""
    brief = begun.folder / "headway.toml"
    text = brief.read_text()
    leaking = text.replace('late     = "arrived"', 'late     = "leaves - interval 1 day"').replace(
        "[features]", '[features]\ntold = "late"'
    )
    assert leaking != text
    brief.write_text(leaking)
    with pytest.raises(DataError, match="too good to be true"):
        begun.run()
    assert begun.runs()["state"].to_pylist() == ["failed"]


def test_the_tables_of_a_project_are_arrow(begun: Project) -> None:
    """Runs, datasets and findings come as tables."""
    report = begun.run()
    assert begun.runs()["run"].to_pylist() == [report.run]
    assert begun.datasets()["train"].to_pylist() == [report.rows["train"]]
    assert begun.findings().num_rows == 0
    assert msgspec.json.encode(report)


def test_a_number_that_is_used_as_it_is_has_a_cutoff_that_can_be_recorded() -> None:
    """Every prediction is acted on, however low; and an infinity would not go into the ledger."""
    import numpy as np

    from headway.loop.experiment import _cutoff
    from headway.nouns.act_on import Everything
    from headway.nouns.canonical import canonical_json

    cutoff = _cutoff(np.array([-1e300, 2.0]), np.array([0, 0]), Everything())
    assert cutoff < -1e300
    assert canonical_json({"cutoff": cutoff})
