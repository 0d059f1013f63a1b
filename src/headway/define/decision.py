"""What the brief alone must say before anything is done: which decision, and how the prediction reaches who decides.

Apart from the five questions, because every run asks this, and only a check asks the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.define.answer import Gate, joined

if TYPE_CHECKING:
    from headway.nouns.brief import Brief

__all__ = ["decision_gates", "said"]

_PLACEHOLDERS = frozenset({"", "?", "...", "…", "todo", "tbd", "edit me", "n/a", "none", "unknown"})

_MEANT = {"improves": "which decision this improves", "action": "what is done differently when the prediction says so"}


def decision_gates(brief: Brief) -> tuple[Gate, ...]:
    """Return the gates that the brief alone closes: about the decision, and who receives the prediction."""
    decision = brief.decision
    gates = []
    silent = [name for name in ("improves", "action") if not said(getattr(decision, name))]
    if silent:
        gates.append(
            Gate(
                name="decision",
                why=f"nobody has said {joined([_MEANT[name] for name in silent])}.",
                todo=f"Fill in {joined([f'decision.{name}' for name in silent])} in the brief.",
                evidence={"improves": decision.improves, "action": decision.action},
            )
        )
    if not said(decision.reaches):
        gates.append(
            Gate(
                name="receiver",
                why="nobody has said how the prediction reaches whoever decides.",
                todo="Fill in decision.reaches in the brief.",
                evidence={"reaches": decision.reaches},
            )
        )
    return tuple(gates)


def said(text: str) -> bool:
    """Whether a field of the brief says something, or only holds the place of what should stand there.

    Examples
    --------
    >>> said("Which orders do we check?"), said(" TODO. ")
    (True, False)
    """
    return text.strip().strip(".").lower() not in _PLACEHOLDERS
