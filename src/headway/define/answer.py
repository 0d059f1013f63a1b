"""The five questions, an answer to one, a gate that an answer closes, and the verdict over all of them.

The nouns of the Define stage; :mod:`headway.define.questions` fills them in. A gate has a stable name, and a digest of
the evidence on which it stands, so that the permission to pass it does not outlive what it was given for.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from headway.nouns.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["QUESTIONS", "Advice", "Answer", "Doubt", "Gate", "advice_of", "answered", "gate_of", "joined"]

State = Literal["answered", "doubtful", "open"]

QUESTIONS: dict[str, str] = {
    "decision": "What decision does this improve?",
    "data": "Is the data available, accessible and good enough?",
    "production": "What is the way to production?",
    "degradation": "How will we know that it degrades?",
    "ownership": "Who owns it, and what is the retraining budget?",
}
"""The five, by the names that stay."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A closed gate.

    Attributes
    ----------
    name
        Stable: ``decision``, ``receiver``, ``data``, ``leak``, ``signal``, ``worth`` or ``verdict``.
    why, todo
        What closed it, and what opens it.
    evidence
        What it stands on; the same evidence has the same :attr:`digest`.
    """

    name: Literal["decision", "receiver", "data", "leak", "signal", "worth", "verdict"]
    why: str
    todo: str
    evidence: dict[str, Any]

    @property
    def digest(self) -> str:
        """The hash of name and evidence."""
        return hashlib.sha256(canonical_json({"gate": self.name, "evidence": self.evidence}).encode()).hexdigest()


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """What is doubtful, and what to do about it: a condition of going on. It does not stop the way."""

    why: str
    todo: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One of the five questions, answered as far as brief and data answer it.

    Attributes
    ----------
    name
        The key of :data:`QUESTIONS`.
    words
        One or two plain sentences.
    evidence
        What was looked at, and the figure.
    doubts
        What is doubtful or left open; none of them stops the way.
    gates
        The gates that this answer closes.
    """

    name: str
    question: str
    state: State
    words: str
    evidence: tuple[tuple[str, str], ...]
    doubts: tuple[Doubt, ...] = ()
    gates: tuple[Gate, ...] = ()

    @property
    def blocking(self) -> bool:
        """Whether this stops the way."""
        return bool(self.gates)


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """Go or not: the verdict of the Define stage, in one sentence, with its conditions."""

    state: Literal["go", "go with conditions", "no-go"]
    words: str
    conditions: tuple[Doubt, ...] = ()


def answered(
    name: str,
    words: str,
    evidence: Iterable[tuple[str, str]],
    *,
    doubts: Iterable[Doubt] = (),
    gates: Iterable[Gate] = (),
    open_: bool,
) -> Answer:
    """Return an answer; its state follows from what is open, closed and doubtful."""
    left, closed = tuple(doubts), tuple(gates)
    return Answer(
        name=name,
        question=QUESTIONS[name],
        state="open" if open_ else "doubtful" if left or closed else "answered",
        words=words,
        evidence=tuple(evidence),
        doubts=left,
        gates=closed,
    )


def gate_of(answers: tuple[Answer, ...]) -> tuple[Gate, ...]:
    """Return the closed gates; an empty tuple means that the way is free."""
    return tuple(gate for answer in answers for gate in answer.gates)


def advice_of(answers: tuple[Answer, ...]) -> Advice:
    """Return go, go with conditions, or no-go, and why."""
    gates = gate_of(answers)
    conditions = tuple(doubt for answer in answers for doubt in answer.doubts)
    if gates:
        return Advice(state="no-go", words=f"No-go: {joined([gate.why for gate in gates])}", conditions=conditions)
    if conditions:
        count = f"{len(conditions)} conditions" if len(conditions) > 1 else "one condition"
        return Advice(
            state="go with conditions",
            words=f"Go with {count}: nothing stops the way, and what is doubtful is listed.",
            conditions=conditions,
        )
    return Advice(state="go", words="Go: all five questions are answered, and the data bear it out.")


def joined(words: list[str]) -> str:
    """Return words as one phrase; sentences keep only the last full stop.

    Examples
    --------
    >>> joined(["tea", "milk", "sugar"]), joined(["it rains.", "Ann, who knows, stays in."])
    ('tea, milk and sugar', 'it rains; and Ann, who knows, stays in.')
    """
    bare = [word.removesuffix(".") for word in words]
    clauses = any(word.endswith(".") for word in words)  # which have commas and ands of their own
    first, last = ("; ", "; and ") if clauses else (", ", " and ")
    text = last.join([first.join(bare[:-1]), bare[-1]] if len(bare) > 1 else bare)
    return text + ("." if words[-1].endswith(".") else "")
