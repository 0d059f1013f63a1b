"""What ``init`` asks on a terminal; elsewhere nothing is asked, and the defaults are taken.

How a question reaches a human is a port: one function from a question, a default and choices to an answer. The file
hides which questions there are; there are few, since most of a brief can be guessed and bettered in the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from headway.define.draft import Answers
from headway.define.guess import guess

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from headway.define.looks import Looks

__all__ = ["Ask", "ask_all", "asker", "take_default"]

_TRIES = 3
T = TypeVar("T")


class Ask(Protocol):
    """Puts one question to whoever is there."""

    def __call__(self, question: str, *, default: str = "", choices: Sequence[str] = ()) -> str:
        """Return the answer; ``default`` when there is none."""
        ...


def take_default(question: str, *, default: str = "", choices: Sequence[str] = ()) -> str:  # noqa: ARG001  (the port's shape)
    """Ask nobody."""
    return default


def asker(source: TextIO, screen: TextIO) -> Ask:
    """Return a port that asks on a terminal, and one that asks nobody where either end is none."""
    if not (source.isatty() and screen.isatty()):
        return take_default

    def ask(question: str, *, default: str = "", choices: Sequence[str] = ()) -> str:
        screen.writelines(f"  {number}  {choice}\n" for number, choice in enumerate(choices, start=1))
        screen.write(f"{question} [{default or 'later'}] ")
        screen.flush()
        line = source.readline()
        answer = line.strip()
        if not line:
            screen.write("\n")  # the end of input: the rest are defaults
        if choices and answer.isdigit() and 1 <= int(answer) <= len(choices):
            return choices[int(answer) - 1]
        return answer or default

    return ask


def ask_all(looks: Looks, ask: Ask, *, given: Answers | None = None) -> Answers:
    """Return what a human answers, question by question; what was given beforehand is not asked.

    Raises
    ------
    BriefError
        When the target is neither a column nor a condition of this data.
    """
    given = given or Answers()
    target = given.target or _target(looks, ask)
    right = _number(ask, "What is gained by a right call?", given.true_positive)
    return Answers(
        target=target,
        improves=given.improves or ask("Which decision gets better? (as a question somebody asks today)"),
        action=given.action or ask("What is done differently when the prediction says so?"),
        reaches=given.reaches or ask("How does the prediction reach whoever decides?"),
        owner=given.owner or ask("Who answers for the decision?"),
        currency=given.currency or ask("In which currency are right and wrong calls counted?", default="USD"),
        true_positive=right,
        false_positive=_number(ask, "What is gained by a wrong call? (negative: lost)", given.false_positive),
    )


def _target(looks: Looks, ask: Ask) -> str:
    choice = guess(looks)
    if choice.target is None:
        return _checked(
            ask, looks, "What is to be predicted? (a condition, such as: days_late > 3)", default="", choices=()
        )
    labels = [choice.target.label, *(other.label for other in choice.other_targets[:8])]
    return _checked(
        ask, looks, "What is to be predicted? (a number, or a condition)", default=labels[0], choices=labels
    )


def _checked(ask: Ask, looks: Looks, question: str, *, default: str, choices: Sequence[str]) -> str:
    """Ask until the answer fits the data, a few times; then say what is wrong with it."""

    def fits(answer: str) -> str:
        guess(looks, target=answer)
        return answer

    return _until(lambda: fits(ask(question, default=default, choices=choices)))


def _number(ask: Ask, question: str, given: float | None) -> float | None:
    if given is not None:
        return given

    def number(answer: str) -> float | None:
        return float(answer.replace(",", "")) if answer else None

    try:
        return _until(lambda: number(ask(question)))
    except ValueError:
        return None  # the field stays marked in the file


def _until(attempt: Callable[[], T]) -> T:
    for _ in range(_TRIES - 1):
        try:
            return attempt()
        except ValueError:  # a BriefError is one
            continue
    return attempt()
