"""What is done today, and every guard rail that may forbid it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import BriefError
from headway.monitor.policy import History, decide, retraining_interval_days
from headway.nouns.brief import Retrain
from headway.nouns.finding import Finding

POLICY = Retrain(when=("harm", "every 30 days"), budget_per_month=2)
TODAY = 16_000


def finding(signal: str, kind: str, level: str = "alert") -> Finding:
    """Return a finding that is open."""
    return Finding(kind=kind, signal=signal, subject="x", level=level, since=TODAY - 3, found_on=TODAY, message="Bad.")


HARM = finding("ranking", "performance")
BROKEN = finding("stale", "operational")
BAD = finding("release-loss", "performance")
DRIFT = finding("drift", "data", "report")


def verb(*findings: Finding, policy: Retrain = POLICY, **history) -> str:
    """Return what is decided."""
    action = decide(policy, today=TODAY, findings=findings, history=History(**({"deployed": TODAY - 10} | history)))
    assert action.why
    return action.verb


def test_drift_alone_never_retrains() -> None:
    """However many inputs have moved."""
    assert verb(DRIFT, DRIFT) == "nothing"


def test_harm_retrains() -> None:
    """An alert on performance, and the finding is named."""
    action = decide(POLICY, today=TODAY, findings=[HARM], history=History(deployed=TODAY - 10))
    assert (action.verb, action.because) == ("retrain", (HARM.id,))


def test_harm_is_ignored_where_the_brief_does_not_name_it() -> None:
    """A schedule alone means the schedule alone."""
    assert verb(HARM, policy=Retrain(when=("every 30 days",))) == "nothing"


def test_the_schedule_counts_from_the_last_training() -> None:
    """Thirty days after the deployment, or after the last retraining."""
    assert verb(deployed=TODAY - 29) == "nothing"
    assert verb(deployed=TODAY - 30) == "retrain"
    assert verb(deployed=TODAY - 60, retrained=(TODAY - 29,)) == "nothing"


def test_broken_operations_block_retraining() -> None:
    """Neither harm nor schedule trains on a fault."""
    assert verb(HARM, BROKEN, deployed=TODAY - 40) == "nothing"


def test_budget_and_cooling_off_block_retraining() -> None:
    """Two in thirty days are the budget here; seven days must lie between."""
    assert verb(HARM, retrained=(TODAY - 20, TODAY - 10)) == "nothing"
    assert verb(HARM, retrained=(TODAY - 31, TODAY - 10)) == "retrain"
    assert verb(HARM, retrained=(TODAY - 6,)) == "nothing"


def test_a_bad_release_is_rolled_back_before_anything_else() -> None:
    """Even with a challenger in the shadow; without a release behind it, nothing is done and that is said."""
    assert verb(BAD, HARM, can_roll_back=True, shadow_since=TODAY - 9) == "rollback"
    assert verb(BAD, can_roll_back=False) == "nothing"


def test_two_rollbacks_break_the_circuit() -> None:
    """A third bad release, or harm after two, waits for a person."""
    assert verb(BAD, can_roll_back=True, rollbacks=(TODAY - 9, TODAY - 3)) == "nothing"
    assert verb(HARM, rollbacks=(TODAY - 9, TODAY - 3)) == "nothing"


def test_a_challenger_is_judged_when_its_shadow_is_over() -> None:
    """Not before, and no other is trained meanwhile."""
    assert verb(HARM, shadow_since=TODAY - 6) == "nothing"
    assert verb(shadow_since=TODAY - 7) == "judge"


def test_an_entry_that_is_neither_is_refused() -> None:
    """The error repeats it and says what to write."""
    with pytest.raises(BriefError, match="'sometimes'"):
        retraining_interval_days(Retrain(when=("sometimes",)))
    with pytest.raises(BriefError, match="a day or more"):
        retraining_interval_days(Retrain(when=("every 2 hours",)))
    assert retraining_interval_days(Retrain(when=())) is None


@given(st.lists(st.integers(TODAY - 90, TODAY), max_size=8), st.booleans(), st.integers(0, 3))
def test_no_history_ever_exceeds_the_budget(retrained: list[int], harmed: bool, budget: int) -> None:  # noqa: FBT001
    """Whatever was done before, a retraining fits into its thirty days."""
    policy = Retrain(when=("harm", "every 5 days"), budget_per_month=budget)
    found = [HARM] if harmed else []
    history = History(deployed=TODAY - 90, retrained=tuple(sorted(retrained)))
    if decide(policy, today=TODAY, findings=found, history=history).verb == "retrain":
        assert sum(TODAY - day < 30 for day in retrained) < budget
