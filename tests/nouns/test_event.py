"""Events keep their names for ever, and their JSON tells them apart."""

from __future__ import annotations

import msgspec
import pytest

from headway.ledger.chain import read_body
from headway.nouns import event as happened
from headway.nouns.canonical import canonical_json

RELEASED_FIELDS = {
    "Alerted": "finding to",
    "BriefSeen": "brief text",
    "ChallengerJudged": "challenger champion verdict why evidence",
    "ContractBroken": "source snapshot previous contract blocked failed",
    "ErasureBegun": "erasure source columns by why",
    "ErasureFinished": "erasure removed snapshots datasets models",
    "FindingCleared": "finding at_us",
    "FindingRaised": "finding kind signal subject level since_us at_us message todo evidence",
    "GateJudged": "gate digest passed closed by why evidence",
    "GateOverridden": "gate by why evidence",
    "HoldPlaced": "hold subject by why",
    "HoldReleased": "hold by why",
    "OutcomesReceived": "batch accepted corrected doubled void unknown stale",
    "ProjectOpened": "name version",
    "ReleaseActivated": "release role by why replaces",
    "ReleaseMade": "release model run brief dataset by",
    "ReleaseRolledBack": "release back_to by why",
    "ReleaseWithdrawn": "release by why",
    "RetrainingDecided": "action why evidence",
    "RunFailed": "run error",
    "RunFinished": "run dataset model verdict winner_reason seconds fit_seconds resumed_steps",
    "RunStarted": "run brief as_of_us seed environment",
    "SnapshotTaken": "source snapshot rows files added_rows",
    "SnapshotsCollected": "snapshots blobs size_bytes",
    "StepFinished": "key step output seconds",
    "StoreMaterialised": "store as_of_us rows",
    "TrialFinished": "study number algorithm settings scores seconds latency_us complexity size_bytes note",
    "WindowClosed": "window release summary",
}


@pytest.mark.parametrize("kind", sorted(RELEASED_FIELDS))
def test_released_fields_stay_and_new_ones_have_defaults(kind: str) -> None:
    """A field that stores hold is still there, and one that they lack can do without."""
    fields = msgspec.structs.fields(happened.KINDS[kind])
    assert set(RELEASED_FIELDS[kind].split()) <= {field.name for field in fields}
    for field in fields:
        if field.name not in RELEASED_FIELDS[kind].split():
            assert not field.required


def test_every_kind_is_listed_and_exported() -> None:
    """A new kind of event is noticed here, and gets a new schema version."""
    assert sorted(happened.KINDS) == sorted(RELEASED_FIELDS)
    assert set(happened.KINDS) <= set(happened.__all__)


def test_the_json_names_the_event_and_reads_back() -> None:
    """The union is told apart by one field, whatever the events' own fields are called."""
    cleared = happened.FindingCleared(finding="drift", at_us=5)
    assert canonical_json(cleared) == '{"at_us":5,"event":"FindingCleared","finding":"drift"}'
    assert read_body(canonical_json(cleared)) == cleared


def test_fields_of_a_later_version_are_passed_over() -> None:
    """An added field does not stop an older reader within the same schema."""
    body = '{"at_us":5,"event":"FindingCleared","finding":"drift","mood":"better"}'
    assert read_body(body) == happened.FindingCleared(finding="drift", at_us=5)


def test_events_cannot_be_changed() -> None:
    """What happened has happened."""
    with pytest.raises(AttributeError):
        happened.Alerted(finding="drift", to="log").to = "nobody"  # type: ignore[misc]
