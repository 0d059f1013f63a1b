"""The gates between the stages: what each stands on, who passed it, and whether that still holds.

A gate is bound to its evidence by a digest of all that was looked at. Whoever judges it says so in the ledger, once for
each evidence; a gate whose evidence has changed since is open again, whatever was said before. A closed one is passed
only by an override, which names who and why, and holds for the very evidence that it was given on. The file hides what
each gate's evidence is.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from headway.define.decision import decision_gates
from headway.errors import GateClosed, NotFound, did_you_mean
from headway.nouns.canonical import canonical_json
from headway.nouns.event import GateJudged, GateOverridden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from headway.define.answer import Answer, Gate
    from headway.loop.store import Store
    from headway.nouns.brief import Brief
    from headway.nouns.verdict import Verdict

__all__ = [
    "STAGES",
    "GateState",
    "closed_gate",
    "failed_verdict",
    "gates",
    "judge_define",
    "judge_gate",
    "overridden",
    "override",
    "refuse_closed",
    "refuse_undecided",
    "still_closed",
    "verdict_evidence",
]

STAGES: dict[str, str] = {
    "define-data": "headway check",
    "data-build": "headway check",
    "build-validate": "headway run",
    "validate-deploy": "headway run",
}
"""The gates in their order, each with the command that judges it."""

_DEFINES = ("sources", "target", "features", "split", "baseline", "value", "success", "serve")


class GateState(msgspec.Struct, frozen=True, kw_only=True):
    """How a gate stands.

    Attributes
    ----------
    state
        ``open``: nobody has judged it on what there is now. ``closed`` stops the way; ``overridden`` does not.
    digest, evidence
        What it stands on now.
    closed
        What closes it, by name; :func:`override` takes these names.
    who, why, at_us
        Of the judgement, or of the override.
    """

    gate: str
    state: Literal["open", "passed", "closed", "overridden"]
    digest: str
    evidence: dict[str, Any]
    closed: tuple[str, ...] = ()
    who: str = ""
    why: str = ""
    at_us: int | None = None
    judged_by: str = ""


def gates(store: Store, brief: Brief) -> tuple[GateState, ...]:
    """Return how each gate stands on the evidence of now."""
    return tuple(_state(store, name, _evidence(store, brief, name)) for name in STAGES)


def judge_gate(store: Store, brief: Brief, name: str, closed: Sequence[Gate] = (), *, why: str = "") -> None:
    """Record whether a gate is passed; nothing is recorded where the same was said of the same evidence."""
    evidence = _evidence(store, brief, name)
    digest = _digest(name, evidence)
    found: dict[str, str] = {gate.name: gate.digest for gate in closed}
    last = _judged(store, name)
    if last is not None and (last[1].digest, last[1].closed) == (digest, found):
        return
    why = why or " ".join(gate.why for gate in closed)
    store.record(
        GateJudged(gate=name, digest=digest, passed=not found, closed=found, by=store.owner, why=why, evidence=evidence)
    )


def override(store: Store, gate: Gate, *, by: str, why: str) -> None:
    """Pass a closed gate under a name and with a reason, on the evidence that it is closed on.

    Raises
    ------
    GateClosed
        Without a name or a reason.
    """
    if not by.strip() or not why.strip():
        raise GateClosed(
            "An override needs a name and a reason.", where=gate.name, hint="Say who (--by) and why (--why)."
        )
    evidence = {"digest": gate.digest, **gate.evidence}
    store.record(GateOverridden(gate=gate.name, by=by, why=why, evidence=evidence))


def closed_gate(store: Store, brief: Brief, name: str, *, asked: Callable[[], tuple[Answer, ...]]) -> Gate:
    """Return a closed gate that nobody has passed, by its name.

    Parameters
    ----------
    asked
        Answers the five questions, where the decision is named and it is the data that may close a gate.

    Raises
    ------
    NotFound
        When no such gate is closed.
    """
    closed = {found.name: found for found in still_closed(store, _all_closed(store, brief, asked))}
    if name not in closed:
        raise NotFound(f"No gate {name!r} is closed.", hint=did_you_mean(name, closed) or "The way is free.")
    return closed[name]


def _all_closed(store: Store, brief: Brief, asked: Callable[[], tuple[Answer, ...]]) -> tuple[Gate, ...]:
    """Return the gates that the brief, the data and the last verdict close, passed by somebody or not."""
    from headway.define.answer import gate_of
    from headway.nouns.verdict import Verdict

    closed = decision_gates(brief) or gate_of(asked())
    own = (run for run in store.ledger.runs() if run.state == "finished" and run.brief == brief.digest)
    for run in own:
        if run.verdict:
            return (*closed, *failed_verdict(run.run, run.verdict, store.get(run.verdict, Verdict)))
    return closed


def still_closed(store: Store, closed: Iterable[Gate]) -> tuple[Gate, ...]:
    """Return those of some closed gates that nobody has passed on the evidence that they stand on."""
    return tuple(gate for gate in closed if overridden(store, gate.name, gate.digest) is None)


def overridden(store: Store, name: str, digest: str) -> tuple[GateOverridden, int] | None:
    """Return the override of a gate on this very evidence and when it was given; None where there is none."""
    for entry in reversed(list(store.ledger.events(GateOverridden))):
        event = entry.event
        if isinstance(event, GateOverridden) and (event.gate, event.evidence.get("digest")) == (name, digest):
            return event, entry.effective_us
    return None


def refuse_closed(store: Store, brief: Brief, *, names: Sequence[str]) -> None:
    """Raise where a gate was judged and found closed on the evidence of now, and nobody has overridden it.

    Raises
    ------
    GateClosed
        Naming the gate and what closes it.
    """
    for found in gates(store, brief):
        if found.gate in names and found.state == "closed":
            first = found.closed[0]
            raise GateClosed(
                f"The gate {found.gate} is closed: {found.why}",
                where="headway.toml",
                hint=f"{found.judged_by} says more. Or: headway override {first} --by NAME --why REASON.",
            )


def refuse_undecided(store: Store, brief: Brief) -> None:
    """Raise where the brief leaves open which decision gets better, or how the prediction reaches who decides.

    Raises
    ------
    GateClosed
        Saying what is to be filled in.
    """
    for gate in still_closed(store, decision_gates(brief)):
        raise GateClosed(
            f"The way is closed: {gate.why}",
            where="headway.toml",
            hint=f"{gate.todo} Or: headway override {gate.name} --by NAME --why REASON.",
        )


def verdict_evidence(run: str, verdict_digest: str, failed: Sequence[str]) -> dict[str, Any]:
    """Return what an override of a failed verdict stands on."""
    return {"run": run, "verdict": verdict_digest, "failed": list(failed)}


def _state(store: Store, name: str, evidence: dict[str, Any]) -> GateState:
    digest = _digest(name, evidence)
    plain = GateState(gate=name, state="open", digest=digest, evidence=evidence, judged_by=STAGES[name])
    last = _judged(store, name)
    if last is None or last[1].digest != digest:
        return plain
    at_us, event = last
    said = msgspec.structs.replace(plain, who=event.by, why=event.why, at_us=at_us)
    if event.passed:
        return msgspec.structs.replace(said, state="passed")
    passes = {each: overridden(store, each, of) for each, of in event.closed.items()}
    left = tuple(each for each, found in passes.items() if found is None)
    if left:
        return msgspec.structs.replace(said, state="closed", closed=left)
    given = [found for found in passes.values() if found is not None]
    return msgspec.structs.replace(
        said,
        state="overridden",
        who=", ".join(dict.fromkeys(one.by for one, _ in given)),
        why="; ".join(one.why for one, _ in given),
        at_us=max(when for _, when in given),
    )


def _judged(store: Store, name: str) -> tuple[int, GateJudged] | None:
    found = None
    for entry in store.ledger.events(GateJudged):
        if isinstance(entry.event, GateJudged) and entry.event.gate == name:
            found = (entry.effective_us, entry.event)
    return found


def _evidence(store: Store, brief: Brief, name: str) -> dict[str, Any]:
    """Return what a gate stands on now, by digest where it is large."""
    if name == "define-data":
        decision = brief.decision
        return {"improves": decision.improves, "action": decision.action, "reaches": decision.reaches}
    problem = _digest("brief", msgspec.to_builtins({part: getattr(brief, part) for part in _DEFINES}, str_keys=True))
    if name == "data-build":
        last = {each: store.ledger.snapshots(source=each) for each in sorted(brief.sources)}
        return {"brief": problem, "snapshots": {each: taken[-1].snapshot for each, taken in last.items() if taken}}
    # The newest comes first.
    run = next((r for r in store.ledger.runs() if r.state == "finished" and r.brief == brief.digest), None)
    if run is None:
        return {"run": None}
    if name == "build-validate":
        return {"run": run.run, "dataset": run.dataset, "model": run.model}
    return {"run": run.run, "verdict": run.verdict, "model": run.model}


def _digest(name: str, evidence: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json({"gate": name, "evidence": dict(evidence)}).encode()).hexdigest()


def judge_define(store: Store, brief: Brief, closed: Sequence[Gate]) -> None:
    """Record what a check found: the decision's own gates, and those of the data."""
    by_brief = {gate.name for gate in decision_gates(brief)}
    judge_gate(store, brief, "define-data", [gate for gate in closed if gate.name in by_brief])
    judge_gate(store, brief, "data-build", [gate for gate in closed if gate.name not in by_brief])


def failed_verdict(run: str, digest: str, verdict: Verdict) -> tuple[Gate, ...]:
    """Return the closed gate of a verdict that failed; nothing where it passed."""
    from headway.define.answer import Gate

    failed = [str(gate) for gate in verdict.gates if gate.blocking and not gate.passed]
    if not failed:
        return ()
    return (
        Gate(
            name="verdict",
            why=f"The model may not be released: {'; '.join(failed)}.",
            todo="Better it, or take the responsibility.",
            evidence=verdict_evidence(run, digest, failed),
        ),
    )
