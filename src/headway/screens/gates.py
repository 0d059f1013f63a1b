"""The gates, one line each: how it stands, on what evidence, who passed it, when and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.nouns.clock import format_moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.loop.gates import GateState
    from headway.screens.page import Page

__all__ = ["show_gates"]

_TONES = {"passed": "good", "overridden": "warn", "closed": "bad", "open": "dim"}


def show_gates(page: Page, found: Sequence[GateState], *, zone: str) -> None:
    """Write how each gate stands."""
    passed = sum(gate.state == "passed" for gate in found)
    page.title("Gates", f"{passed} of {len(found)} passed")
    page.table(
        ["gate", "state", "evidence", "by", "when", "why"],
        [
            [
                gate.gate,
                (gate.state, _TONES[gate.state]),
                gate.digest[:12],
                gate.who,
                "" if gate.at_us is None else format_moment(gate.at_us, zone=zone)[:16],
                gate.why or (f"judged by {gate.judged_by}" if gate.state == "open" else ""),
            ]
            for gate in found
        ],
        indent=2,
    )
    closed = next((gate for gate in found if gate.state == "closed"), None)
    if closed is not None:
        page.next((f"headway override {closed.closed[0]} --by NAME --why REASON", "to go on all the same"))
