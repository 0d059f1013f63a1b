"""What happened, one plain line each: when, who, what, why.

The file hides the wording of every event, and which events are only the heartbeat: steps, trials, closed days without a
word to say and the refilling of the online store are for machines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.nouns import event as events
from headway.nouns.clock import format_moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.loop.store import Store

__all__ = ["history"]

_HEARTBEAT = (events.StepFinished, events.TrialFinished, events.WindowClosed, events.StoreMaterialised)
_SHORT = 12

Line = tuple[str, str, str]
"""Who, what, why."""


def history(store: Store) -> list[dict[str, Any]]:
    """Return what happened, oldest first.

    Returns
    -------
    list of dict
        ``at`` (ISO 8601), ``at_us``, ``kind`` (the event's name), ``who`` ("" for nobody in particular), ``what``,
        ``why``.
    """
    lines = []
    for entry in store.ledger.events():
        if isinstance(entry.event, _HEARTBEAT):
            continue
        kind = type(entry.event).__name__
        who, what, why = _WORDS[kind](entry.event)
        moment = {"at": format_moment(entry.effective_us), "at_us": entry.effective_us}
        lines.append({**moment, "kind": kind, "who": who, "what": what, "why": why})
    return lines


def _opened(event: events.ProjectOpened) -> Line:
    return "", f"Project {event.name} was begun, with Headway {event.version or 'of unknown version'}.", ""


def _brief(event: events.BriefSeen) -> Line:
    return "", f"Brief {event.brief[:_SHORT]} was used.", ""


def _snapshot(event: events.SnapshotTaken) -> Line:
    grown = f", {event.added_rows:+,}" if event.added_rows != event.rows else ""
    files = f"{event.files:,} file" + ("s" if event.files != 1 else "")
    return "", f"Source {event.source} was read: {event.rows:,} rows{grown}, in {files}.", ""


def _contract(event: events.ContractBroken) -> Line:
    then = "was not taken, the version before stays in force" if event.blocked else "was taken all the same"
    more = f" And {len(event.failed) - 1:,} more." if len(event.failed) > 1 else ""
    return "", f"A version of source {event.source} breaks its contract and {then}.", f"{event.failed[0]}{more}"


def _run_started(event: events.RunStarted) -> Line:
    return "", f"Run {event.run} began, as of {format_moment(event.as_of_us)}.", ""


def _run_finished(event: events.RunFinished) -> Line:
    took = f"{event.seconds:,.0f} s, {event.fit_seconds:,.0f} s of it learning"
    return "", f"Run {event.run} finished ({took}).", event.winner_reason


def _run_failed(event: events.RunFailed) -> Line:
    return "", f"Run {event.run} failed.", event.error


def _overridden(event: events.GateOverridden) -> Line:
    return event.by, f"Gate {event.gate!r} was passed although it was closed.", event.why


def _gate(event: events.GateJudged) -> Line:
    said = "was passed" if event.passed else f"is closed by {', '.join(event.closed)}"
    return event.by, f"Gate {event.gate} {said} (evidence {event.digest[:_SHORT]}).", event.why


def _made(event: events.ReleaseMade) -> Line:
    return event.by, f"Release {event.release} was made from {event.run}.", ""


def _activated(event: events.ReleaseActivated) -> Line:
    if event.role == "champion":
        instead = f" instead of {event.replaces}" if event.replaces else ""
        return event.by, f"Release {event.release} went live{instead}.", event.why
    return event.by, f"Release {event.release} became {event.role}: it answers, and nobody acts on it.", event.why


def _rolled_back(event: events.ReleaseRolledBack) -> Line:
    return event.by, f"Release {event.release} was rolled back; {event.back_to} is live again.", event.why


def _withdrawn(event: events.ReleaseWithdrawn) -> Line:
    return event.by, f"Release {event.release} was withdrawn.", event.why


def _outcomes(event: events.OutcomesReceived) -> Line:
    counted = {
        "new": event.accepted,
        "void": event.void,
        "corrected": event.corrected,
        "told twice": event.doubled,
        "outdated": event.stale,
        "unknown": event.unknown,
    }
    said = ", ".join(f"{count:,} {name}" for name, count in counted.items() if count)
    return "", f"Outcomes came in: {said or 'none'}.", ""


def _found(event: events.FindingRaised) -> Line:
    return (
        "",
        f"{'ALERT' if event.level == 'alert' else 'Report'}: {event.message}",
        str(event.evidence.get("how sure", "")),
    )


def _cleared(event: events.FindingCleared) -> Line:
    return "", f"Over: {event.finding}.", ""


def _decided(event: events.RetrainingDecided) -> Line:
    what = {"retrain": "train anew", "judge": "judge the challenger", "rollback": "roll back"}
    return "policy", f"The policy says: {what.get(event.action, event.action)}.", event.why


def _judged(event: events.ChallengerJudged) -> Line:
    verdict = "takes over from" if event.verdict == "promote" else "does not replace"
    return "policy", f"Challenger {event.challenger} {verdict} {event.champion}.", event.why


def _alerted(event: events.Alerted) -> Line:
    return "", f"Told {event.to} of {event.finding}.", ""


def _collected(event: events.SnapshotsCollected) -> Line:
    return "", f"{len(event.snapshots):,} old versions were let go: {event.size_bytes / 1e6:,.1f} MB.", ""


def _held(event: events.HoldPlaced) -> Line:
    return event.by, f"Hold {event.hold}: nothing of {event.subject[:_SHORT]} may be deleted.", event.why


def _released(event: events.HoldReleased) -> Line:
    return event.by, f"Hold {event.hold} is over.", event.why


def _erasing(event: events.ErasureBegun) -> Line:
    named = ", ".join(event.columns)
    return event.by, f"Erasure {event.erasure} began: an entity of {event.source}, named by {named}.", event.why


def _erased(event: events.ErasureFinished) -> Line:
    counted = ", ".join(f"{count:,} in {place}" for place, count in sorted(event.removed.items()) if count)
    return "", f"Erasure {event.erasure} is done: {counted or 'nothing was found'}.", ""


_WORDS: dict[str, Callable[[Any], Line]] = {
    "ProjectOpened": _opened,
    "BriefSeen": _brief,
    "SnapshotTaken": _snapshot,
    "ContractBroken": _contract,
    "RunStarted": _run_started,
    "RunFinished": _run_finished,
    "RunFailed": _run_failed,
    "GateOverridden": _overridden,
    "GateJudged": _gate,
    "ReleaseMade": _made,
    "ReleaseActivated": _activated,
    "ReleaseRolledBack": _rolled_back,
    "ReleaseWithdrawn": _withdrawn,
    "OutcomesReceived": _outcomes,
    "FindingRaised": _found,
    "FindingCleared": _cleared,
    "RetrainingDecided": _decided,
    "ChallengerJudged": _judged,
    "Alerted": _alerted,
    "SnapshotsCollected": _collected,
    "HoldPlaced": _held,
    "HoldReleased": _released,
    "ErasureBegun": _erasing,
    "ErasureFinished": _erased,
}
