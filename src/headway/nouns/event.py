"""What happened: the facts that the ledger keeps, in the past tense.

A store that was written today is read by every later version, so these structs only grow: a field is added
with a default, never renamed, retyped or removed, and a new kind of event goes with a new schema version (an
older Headway then says that it is too old instead of stumbling over a word it does not know).

Moments are integer microseconds since 1970-01-01 UTC (``_us``); digests are 64 hexadecimal digits; the other
ids are text. When an event happened and when it was recorded are not fields: the ledger keeps both beside it.
"""

from __future__ import annotations

from typing import Any, TypeAlias, get_args

import msgspec

__all__ = [
    "KINDS",
    "Alerted",
    "BriefSeen",
    "ChallengerJudged",
    "ContractBroken",
    "ErasureBegun",
    "ErasureFinished",
    "Event",
    "FindingCleared",
    "FindingRaised",
    "GateJudged",
    "GateOverridden",
    "HoldPlaced",
    "HoldReleased",
    "OutcomesReceived",
    "ProjectOpened",
    "ReleaseActivated",
    "ReleaseMade",
    "ReleaseRolledBack",
    "ReleaseWithdrawn",
    "RetrainingDecided",
    "RunFailed",
    "RunFinished",
    "RunStarted",
    "SnapshotTaken",
    "SnapshotsCollected",
    "StepFinished",
    "StoreMaterialised",
    "TrialFinished",
    "WindowClosed",
    "kind_of",
]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="event"):
    """What all events share: they cannot be changed, and their JSON names them."""


class ProjectOpened(_Fact, frozen=True, kw_only=True):
    """A store was begun, by this version of Headway."""

    name: str
    version: str


class BriefSeen(_Fact, frozen=True, kw_only=True):
    """A brief was used whose meaning (``brief``) was new; ``text`` is the digest of the file as written."""

    brief: str
    text: str


class SnapshotTaken(_Fact, frozen=True, kw_only=True):
    """A source was read; ``snapshot`` is the digest of its manifest."""

    source: str
    snapshot: str
    rows: int
    files: int
    added_rows: int = 0


class ContractBroken(_Fact, frozen=True, kw_only=True):
    """A version of a source breaks what was agreed of it.

    Attributes
    ----------
    snapshot, previous
        Digests of the version that was found and of the one in force till then.
    contract
        Digest of the contract.
    blocked
        Whether the version was refused; otherwise it was taken all the same.
    failed
        What does not hold, in words.
    """

    source: str
    snapshot: str
    previous: str
    contract: str
    blocked: bool
    failed: tuple[str, ...]


class StepFinished(_Fact, frozen=True, kw_only=True):
    """A step of a plan came to its end; whoever has the same ``key`` need not do it again."""

    key: str
    step: str
    output: dict[str, Any]
    seconds: float


class RunStarted(_Fact, frozen=True, kw_only=True):
    """An experiment began, or was taken up again after it had been interrupted."""

    run: str
    brief: str
    as_of_us: int
    seed: int
    environment: dict[str, Any] = {}


class TrialFinished(_Fact, frozen=True, kw_only=True):
    """One candidate of a search was fitted and scored. A score that does not exist is left out."""

    study: str
    number: int
    algorithm: str
    settings: dict[str, Any]
    scores: dict[str, float]
    seconds: float
    latency_us: float = 0.0
    complexity: float = 0.0
    size_bytes: int = 0
    note: str = ""


class RunFinished(_Fact, frozen=True, kw_only=True):
    """An experiment has its model and the verdict on it (digests)."""

    run: str
    dataset: str
    model: str
    verdict: str
    winner_reason: str
    seconds: float
    fit_seconds: float
    resumed_steps: int = 0


class RunFailed(_Fact, frozen=True, kw_only=True):
    """An experiment ended without a model."""

    run: str
    error: str


class GateJudged(_Fact, frozen=True, kw_only=True):
    """A gate between two stages was judged on its evidence; ``closed`` has what closes it, each by its own digest."""

    gate: str
    digest: str
    passed: bool
    closed: dict[str, str] = {}
    by: str = ""
    why: str = ""
    evidence: dict[str, Any] = {}


class GateOverridden(_Fact, frozen=True, kw_only=True):
    """Somebody passed a closed gate, under a name and with a reason."""

    gate: str
    by: str
    why: str
    evidence: dict[str, Any] = {}


class ReleaseMade(_Fact, frozen=True, kw_only=True):
    """A model was packaged for service; it serves nobody yet."""

    release: str
    model: str
    run: str
    brief: str
    dataset: str
    by: str


class ReleaseActivated(_Fact, frozen=True, kw_only=True):
    """A release took a role: ``champion`` (there is one), ``shadow``, ``challenger``, ``canary``."""

    release: str
    role: str
    by: str
    why: str
    replaces: str = ""


class ReleaseRolledBack(_Fact, frozen=True, kw_only=True):
    """A release left all its roles, and ``back_to`` became champion."""

    release: str
    back_to: str
    by: str
    why: str


class ReleaseWithdrawn(_Fact, frozen=True, kw_only=True):
    """A release left all its roles without a successor, as a challenger does that lost."""

    release: str
    by: str
    why: str


class StoreMaterialised(_Fact, frozen=True, kw_only=True):
    """The feature store of the serving path was filled with what was known at ``as_of_us``.

    Attributes
    ----------
    snapshots
        By source the version that it was filled from. Others may have read newer ones while it was.
    """

    store: str
    as_of_us: int
    rows: int
    snapshots: dict[str, str] = {}


class OutcomesReceived(_Fact, frozen=True, kw_only=True):
    """A batch of outcomes was joined; the counts below add up to its rows.

    Attributes
    ----------
    batch
        Digest of the batch as Arrow, without the unknown ones: what a rebuild reads.
    accepted, void
        First outcomes of their predictions, with a label and without one.
    corrected
        Replaced an outcome that said otherwise and was known no later.
    doubled
        Said what was there already.
    stale
        Said otherwise, but was known earlier than what stands; kept as history only.
    unknown
        Ids that no prediction has.
    new_classes
        Of a category, how many outcomes are of which class that the release which answered does not know; not there
        where there is none.
    """

    batch: str
    accepted: int
    corrected: int
    doubled: int
    void: int
    unknown: int
    stale: int = 0
    new_classes: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class WindowClosed(_Fact, frozen=True, kw_only=True):
    """A span of traffic (``window``: its local day) of one release was summarised; late outcomes close it again."""

    window: str
    release: str
    summary: dict[str, Any]


class FindingRaised(_Fact, frozen=True, kw_only=True):
    """Monitoring saw something, or saw it change; ``finding`` stays the same while it lasts."""

    finding: str
    kind: str
    signal: str
    subject: str
    level: str
    since_us: int
    at_us: int
    message: str
    todo: str
    evidence: dict[str, Any] = {}


class FindingCleared(_Fact, frozen=True, kw_only=True):
    """A finding is over."""

    finding: str
    at_us: int


class RetrainingDecided(_Fact, frozen=True, kw_only=True):
    """The policy was asked, and this is what it said and why."""

    action: str
    why: str
    evidence: dict[str, Any] = {}


class ChallengerJudged(_Fact, frozen=True, kw_only=True):
    """A challenger was compared with the champion on the same traffic."""

    challenger: str
    champion: str
    verdict: str
    why: str
    evidence: dict[str, Any] = {}


class Alerted(_Fact, frozen=True, kw_only=True):
    """Somebody was told of a finding."""

    finding: str
    to: str


class SnapshotsCollected(_Fact, frozen=True, kw_only=True):
    """Versions that nothing needs were forgotten (digests), and this many blobs with them."""

    snapshots: tuple[str, ...]
    blobs: int
    size_bytes: int


class HoldPlaced(_Fact, frozen=True, kw_only=True):
    """Somebody forbade to delete or erase anything of ``subject``: a source, a version of one (digest), or ``all``."""

    hold: str
    subject: str
    by: str
    why: str


class HoldReleased(_Fact, frozen=True, kw_only=True):
    """A hold is over."""

    hold: str
    by: str
    why: str


class ErasureBegun(_Fact, frozen=True, kw_only=True):
    """Somebody asked for an entity of ``source`` to be erased; who that is stands nowhere, not even as a hash."""

    erasure: str
    source: str
    columns: tuple[str, ...]
    by: str
    why: str


class ErasureFinished(_Fact, frozen=True, kw_only=True):
    """An erasure is complete; ``removed`` counts the rows by where they stood.

    Attributes
    ----------
    snapshots
        Versions (digests) that hold fewer rows now than their name says.
    datasets, models
        Those built on rows of the entity: the dataset's table lacks them now, the model has learned from them.
    """

    erasure: str
    removed: dict[str, int]
    snapshots: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


Event: TypeAlias = (
    ProjectOpened
    | BriefSeen
    | SnapshotTaken
    | ContractBroken
    | StepFinished
    | RunStarted
    | TrialFinished
    | RunFinished
    | RunFailed
    | GateOverridden
    | GateJudged
    | ReleaseMade
    | ReleaseActivated
    | ReleaseRolledBack
    | ReleaseWithdrawn
    | StoreMaterialised
    | OutcomesReceived
    | WindowClosed
    | FindingRaised
    | FindingCleared
    | RetrainingDecided
    | ChallengerJudged
    | Alerted
    | SnapshotsCollected
    | HoldPlaced
    | HoldReleased
    | ErasureBegun
    | ErasureFinished
)

KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
"""Every event by the name that its JSON carries."""


def kind_of(event: Event | type[Event]) -> str:
    """Return the name under which an event is written.

    Examples
    --------
    >>> kind_of(FindingCleared(finding="drift-of-wind", at_us=0))
    'FindingCleared'
    """
    return (event if isinstance(event, type) else type(event)).__name__
