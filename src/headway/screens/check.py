"""The five questions, each with its mark, its words and its evidence, and whether the way is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headway.loop.results import Checked
    from headway.screens.page import Page

__all__ = ["show_check"]

_MARKS = {"answered": ("✓", "good"), "doubtful": ("?", "warn"), "open": ("✗", "bad")}
_ADVICE = {"go": "good", "go with conditions": "warn", "no-go": "bad"}


def show_check(page: Page, checked: Checked, *, written: str = "") -> None:
    """Write what ``check`` found."""
    state = checked.advice["state"]
    page.title("Check", state, tone=_ADVICE.get(state, ""))
    page.words(checked.advice["words"], indent=2)
    if written:
        page.facts([("page", written)], indent=2)
    for number, answer in enumerate(checked.answers, start=1):
        mark, tone = _MARKS.get(answer["state"], ("-", ""))
        page.gap()
        page.title(f"{mark} {number}. {answer['question']}", answer["state"], tone=tone)
        page.words(answer["words"], indent=4)
        page.facts([(label, value) for label, value in answer["evidence"]], indent=4)
        for doubt in answer["doubts"]:
            page.words(f"? {doubt}", tone="warn", indent=4)
        for gate in answer["gates"]:
            closed = gate["name"] in checked.closed_gates
            page.words(
                f"gate {gate['name']}: {'closed' if closed else 'overridden'}: {gate['why']}",
                tone="bad" if closed else "warn",
                indent=4,
            )
            if closed:
                page.words(gate["todo"], indent=4)
    if checked.closed_gates:
        first = checked.closed_gates[0]
        page.next(
            ("headway check", "again, when the brief answers it"),
            (f"headway override {first} --by NAME --why REASON", "to go on all the same"),
        )
    else:
        page.next(("headway run", "to train, validate and package"))
