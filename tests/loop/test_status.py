"""One screen that says how things stand, and a line for each thing that happened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from headway.loop.daily import daily
from headway.loop.history import _HEARTBEAT, _WORDS
from headway.loop.status import health
from headway.nouns.clock import ReplayClock
from headway.nouns.event import KINDS, FindingCleared, FindingRaised, RetrainingDecided
from headway.nouns.span import DAY
from headway.predictions.reader import Reader

if TYPE_CHECKING:
    import deliveries
    from headway.api import Project


def _raise(project: Project, name: str, *, level: str, message: str, since_us: int) -> None:
    now_us = project.store.now_us()
    project.store.record(
        FindingRaised(
            finding=name,
            kind="performance",
            signal="ranking",
            subject=name,
            level=level,
            since_us=since_us,
            at_us=now_us,
            message=message,
            todo="Look.",
            evidence={"how sure": "likely real"},
        )
    )


def test_status_before_anything_is_deployed_says_what_to_do(begun: Project) -> None:
    """A project of an hour ago has a status, too."""
    stands = begun.status()
    assert stands["state"] == "nothing deployed"
    assert "headway run" in stands["in_words"]
    assert (stands["live"], stands["tested"], stands["last_30_days"], stands["online_store"]) == (None,) * 4
    assert stands["decision"]["owner"] == "Head of <delivery>"
    assert stands["retraining"]["next_scheduled"] == ""
    assert json.loads(json.dumps(stands)) == stands


def test_status_names_the_live_release_and_who_put_it_there(lived: deliveries.Lived) -> None:
    """After a rollback the release before is live, since then, and the screen says by whom and why."""
    live = lived.project.status()["live"]
    assert (live["release"], live["by"], live["why"]) == ("r1", "Ada", "Bob did not ask <anyone>.")
    assert live["learned_from_rows"] > 2_000


def test_status_shows_test_and_life_with_intervals_beside_the_rule(lived: deliveries.Lived) -> None:
    """No figure travels without its interval, and none without what is done today."""
    stands = lived.project.status()
    tested, recent = stands["tested"], stands["last_30_days"]
    for found in (
        tested["score"],
        tested["rule_score"],
        tested["gain_per_day"],
        recent["money_per_day"],
        recent["gain_per_day"],
    ):
        assert found["low"] <= found["value"] <= found["high"]
    difference = recent["money_per_day"]["value"] - recent["rule_per_day"]["value"]
    assert recent["gain_per_day"]["value"] == pytest.approx(difference)
    assert f"over {recent['days']} days".lower() in stands["in_words"].lower()
    assert recent["currency"] == "EUR"


def test_money_of_the_life_is_that_of_a_plain_recount(lived: deliveries.Lived) -> None:
    """Day by day: sort the day's known answers by score, act on the first six, add up what they were worth."""
    project = lived.project
    found = daily(project.store, project.brief)
    outcomes = {row["prediction"]: row["label"] for row in project.table("outcomes").to_pylist()}
    by_day: dict[int, list[tuple[float, float]]] = {}
    for batch in Reader(project.store.predictions).scan():
        for each in batch.predictions:
            label = outcomes.get(each.id)
            day = (each.served_us + 3_600_000_000) // DAY  # Berlin in winter
            if label is not None:
                by_day.setdefault(day, []).append((each.score, label))
    for day, model, ripe in zip(found.day.tolist(), found.model.tolist(), found.ripe.tolist(), strict=True):
        if ripe:
            best = sorted(by_day[day], key=lambda pair: -pair[0])[:6]
            assert model == pytest.approx(sum(20 if label else -3 for _, label in best))


def test_days_whose_outcomes_are_missing_are_not_judged(lived: deliveries.Lived) -> None:
    """Of the last two days no outcome has come: they count as served and not as earned."""
    found = daily(lived.project.store, lived.project.brief)
    assert found.ripe.tolist() == [True] * 6 + [False] * 2
    assert np.isnan(found.model).tolist() == [False] * 6 + [True] * 2
    assert found.known.tolist()[-2:] == [0, 0]
    assert found.predictions.sum() == len(lived.ids)
    assert found.void.sum() == 1


def test_status_counts_the_rollback_and_the_budget(lived: deliveries.Lived) -> None:
    """What the policy may still do is on the screen."""
    found = lived.project.status()["retraining"]
    assert (found["rollbacks_ever"], found["budget"], found["last_30_days"]) == (1, 2, 0)
    assert found["next_scheduled"] == "2024-04-21"


def test_status_says_how_old_the_online_store_is(lived: deliveries.Lived) -> None:
    """Older than promised is said, not left to be computed."""
    filled = lived.project.status()["online_store"]
    assert filled["promised"] == "10 minutes"
    assert filled["age"] == "1 minute"
    assert filled["kept"] is True


_MOVING = ("rain", "wind", "late_24h", "busy_6h", "carried")


@pytest.mark.parametrize(("without", "state"), [((), "watch"), (_MOVING, "healthy")])
def test_a_model_whose_look_ups_are_too_old_is_not_called_healthy(
    begun: Project, without: tuple[str, ...], state: str
) -> None:
    """The server calls itself degraded then; where nothing is looked up that moves, nothing is amiss."""
    brief = begun.folder / "headway.toml"
    lines = (
        brief.read_text().replace('"late_24h"', '"distance"').replace("trials     = 2", "trials     = 1").splitlines()
    )
    brief.write_text("\n".join(line for line in lines if not line.startswith(without)) + "\n")
    report = begun.run()
    begun.deploy(by="Ada", why="First.", override="" if report.passed else "a test")
    assert begun.status()["state"] == "healthy"
    assert isinstance(begun.clock, ReplayClock)
    begun.clock.move_to(begun.clock.now_us() + 3 * DAY)
    stands = begun.status()
    assert (stands["state"], stands["online_store"]["kept"]) == (state, state == "healthy")
    assert ("read 3 days ago; 10 minutes is promised" in stands["in_words"]) == (state == "watch")
    begun.materialize()
    assert begun.status()["state"] == "healthy"


def test_findings_stand_worst_first_and_decide_the_state(begun: Project) -> None:
    """An alert goes before a report however young it is; what is over is not shown."""
    now_us = begun.store.now_us()
    assert begun.status()["health"]["findings"] == []
    _raise(begun, "old", level="report", message="An old report.", since_us=now_us - 9 * DAY)
    assert _health(begun) == ("watch", ["An old report."])
    _raise(begun, "new", level="alert", message="A new alert.", since_us=now_us - DAY)
    assert _health(begun) == ("act", ["A new alert.", "An old report."])
    begun.store.record(FindingCleared(finding="new", at_us=now_us))
    assert _health(begun) == ("watch", ["An old report."])
    begun.store.record(FindingCleared(finding="old", at_us=now_us))
    assert _health(begun) == ("healthy", [])


def _health(project: Project) -> tuple[str, list[str]]:
    found = health(project.store, project.brief)
    return found["state"], [each["what"] for each in found["findings"]]


def test_status_shows_what_the_monitor_really_found(lived: deliveries.Lived) -> None:
    """That outcomes stay away is on the screen, in plain words, with what to do."""
    stands = lived.project.status()
    assert stands["state"] in {"watch", "act"}
    words = [each["what"] for each in stands["health"]["findings"]]
    assert any("of the outcomes have come in" in each for each in words), words
    assert all(each["what_to_do"] and each["how_sure"] for each in stands["health"]["findings"])


def test_retrainings_of_the_last_month_count_against_the_budget(begun: Project) -> None:
    """One of 40 days ago is history."""
    now_us = begun.store.now_us()
    for days_ago in (40, 20, 2):
        begun.store.record(RetrainingDecided(action="retrain", why="Harm."), effective_us=now_us - days_ago * DAY)
    begun.store.record(RetrainingDecided(action="judge", why="It is time."), effective_us=now_us)
    found = begun.status()["retraining"]
    assert (found["last_30_days"], found["ever"]) == (2, 3)


def test_history_tells_the_story_in_order_without_the_heartbeat(lived: deliveries.Lived) -> None:
    """Who did what when and why; steps, trials and closed days are for machines."""
    lines = lived.project.history()
    kinds = [line["kind"] for line in lines]
    assert not {"StepFinished", "TrialFinished", "WindowClosed", "StoreMaterialised"} & set(kinds)
    story = [kind for kind in kinds if kind.startswith(("Project", "Run", "Release"))]
    assert story[:5] == ["ProjectOpened", "RunStarted", "RunFinished", "ReleaseMade", "ReleaseActivated"]
    back = next(line for line in lines if line["kind"] == "ReleaseRolledBack")
    assert (back["who"], back["why"]) == ("Ada", "Bob did not ask <anyone>.")
    assert back["what"] == "Release r2 was rolled back; r1 is live again."
    assert [line["at_us"] for line in lines] == sorted(line["at_us"] for line in lines)


def test_every_kind_of_event_has_words_or_is_heartbeat() -> None:
    """A kind of event that is added later may not be forgotten here."""
    assert set(_WORDS) | {kind.__name__ for kind in _HEARTBEAT} == set(KINDS)


def test_a_retrained_run_can_be_reported_on(lived: deliveries.Lived) -> None:
    """Whatever run is finished is remembered whole, however it came about."""
    project = lived.project
    for run in project.store.ledger.runs():
        if run.state == "finished":
            assert project.verdict(run.run).passed in {True, False}
