"""Tests for tending: days closed once and in order, states that survive, retraining with a verdict."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

import deliveries
from headway.errors import NotFound
from headway.loop.days import day_bounds_us, local_day
from headway.nouns.event import ChallengerJudged, RetrainingDecided
from headway.nouns.span import DAY, HOUR

if TYPE_CHECKING:
    from pathlib import Path

    from headway.api import Project


def test_a_local_day_is_as_long_as_its_clock_says() -> None:
    """On the day the clocks go forward in New York there are 23 hours, on the day they go back 25."""
    for date, hours in ((dt.date(2013, 3, 10), 23), (dt.date(2013, 7, 1), 24), (dt.date(2013, 11, 3), 25)):
        day = (date - dt.date(1970, 1, 1)).days
        first, after = day_bounds_us(day, "America/New_York")
        assert (after - first) // HOUR == hours
        assert local_day(first, "America/New_York") == day
        assert local_day(after - 1, "America/New_York") == day


def test_nothing_can_be_tended_before_anything_is_deployed(begun: Project) -> None:
    """The error says what to do."""
    begun.run()
    with pytest.raises(NotFound, match="Deploy"):
        begun.tend()


def test_a_day_is_closed_once(lived: deliveries.Lived) -> None:
    """A second pass at the same moment closes nothing, finds nothing, decides nothing."""
    project = lived.project
    before = project.store.ledger.head()
    again = project.tend(refresh=False)
    assert again.days == ()
    assert project.store.ledger.head() == before


def test_every_day_since_the_deployment_is_closed_in_order(lived: deliveries.Lived) -> None:
    """No day is skipped and none comes twice, whatever was deployed or rolled back in between."""
    days = [window.window for window in lived.project.store.ledger.windows()]
    first = deliveries.LIVE
    count = (deliveries.LAST - first).days
    assert days == [(first + dt.timedelta(days=offset)).isoformat() for offset in range(count)]


def test_a_missed_week_is_made_up_for_day_by_day(tmp_path: Path) -> None:
    """Who tends on the seventh day gets seven days closed, each by itself."""
    lived = deliveries.lived(tmp_path, last=deliveries.LIVE + dt.timedelta(days=2))
    lived.clock.move_to(lived.clock.now_us() + 5 * DAY)
    closed = lived.project.tend(refresh=False).days
    assert len(closed) == 5
    assert all(day.predictions == 0 for day in closed)


def test_a_retraining_becomes_a_shadow_and_gets_a_verdict(tmp_path: Path) -> None:
    """On schedule a challenger is fitted; after its time in the shadow it is judged, and the reason is kept."""
    project = deliveries.begun(tmp_path)
    brief = project.folder / "headway.toml"
    text = brief.read_text()
    brief.write_text(
        text.replace('"every 30 days"', '"every 2 days"').replace("[retrain]", '[retrain]\nshadow = "2 days"')
    )
    moved = deliveries.live(project, last=deliveries.LIVE + dt.timedelta(days=7))
    ledger = moved.project.store.ledger
    told = [entry.event for entry in ledger.events(RetrainingDecided)]
    decided = [event.action for event in told if isinstance(event, RetrainingDecided)]
    assert decided[:2] == ["retrain", "judge"]
    verdicts = [entry.event for entry in ledger.events(ChallengerJudged) if isinstance(entry.event, ChallengerJudged)]
    assert verdicts
    assert verdicts[0].verdict in {"promote", "keep"}
    assert verdicts[0].why
    assert ledger.in_role("shadow") == [] or len(verdicts) < len([each for each in decided if each == "judge"]) + 1
