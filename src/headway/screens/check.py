"""Go or not: the verdict, the money, what is to be done first, and then the five questions with their evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.screens.contracts import show_broken

if TYPE_CHECKING:
    from headway.loop.results import Checked
    from headway.screens.page import Cell, Page

__all__ = ["show_check"]

_MARKS = {"answered": ("✓", "good"), "doubtful": ("?", "warn"), "open": ("✗", "bad")}
_ADVICE = {"go": "good", "go with conditions": "warn", "no-go": "bad"}


def show_check(page: Page, checked: Checked, *, written: str = "") -> None:
    """Write what ``check`` found."""
    state = checked.advice["state"]
    page.title("Check", state, tone=_ADVICE.get(state, ""))
    page.words(checked.advice["words"], indent=2)
    show_broken(page, checked.contracts)
    closed = {gate["name"] for answer in checked.answers for gate in answer["gates"]}
    # What a leak would earn is no promise.
    money = [] if "leak" in closed else _money(checked.facts["payoff"])
    page.facts([*money, *([("page", written)] if written else [])], indent=2)
    _gates(page, checked)
    _conditions(page, checked.advice["conditions"])
    for number, answer in enumerate(checked.answers, start=1):
        mark, tone = _MARKS.get(answer["state"], ("-", ""))
        page.gap()
        page.title(f"{mark} {number}. {answer['question']}", answer["state"], tone=tone)
        page.words(answer["words"], indent=4)
        page.facts([(label, value) for label, value in answer["evidence"]], indent=4)
    if checked.closed_gates:
        first = checked.closed_gates[0]
        page.next(
            ("headway check", "again, when the brief answers it"),
            (f"headway override {first} --by NAME --why REASON", "to go on all the same"),
        )
    else:
        page.next(("headway run", "to train, validate and package"))


def _money(payoff: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return what it is worth, for whoever reads two lines."""
    if payoff is None:
        return []
    worth = payoff["worth"]
    net, back = worth["monthly_net"], worth["payback"]["months"]
    found = [
        (
            "worth a month",
            (
                f"{net['value']:,.0f} {worth['currency']}, between {net['low']:,.0f} and {net['high']:,.0f}, against "
                f"{worth['counterfactual']} and after running cost"
            ),
        )
    ]
    if payoff["build"]:
        found.append(
            ("payback", "never" if back is None else f"{back:.1f} months for {payoff['build']:,.0f} of building")
        )
    return found


def _gates(page: Page, checked: Checked) -> None:
    for gate in (gate for answer in checked.answers for gate in answer["gates"]):
        closed = gate["name"] in checked.closed_gates
        page.gap()
        page.words(
            f"gate {gate['name']}: {'closed' if closed else 'overridden'}: {gate['why']}",
            tone="bad" if closed else "warn",
            indent=2,
        )
        if closed:
            page.words(gate["todo"], indent=4)


def _conditions(page: Page, conditions: list[dict[str, str]]) -> None:
    if not conditions:
        return
    page.gap()
    page.title("Conditions", str(len(conditions)), tone="warn")
    lines: list[tuple[str, Cell]] = []
    for number, condition in enumerate(conditions, start=1):
        lines += [(f"{number}.", (condition["why"], "warn")), ("", condition["todo"])]
    page.facts(lines, indent=2)
