"""What is asked on a terminal, and that nothing is asked elsewhere."""

from __future__ import annotations

import io

import pytest

from headway.define.ask import ask_all, asker, take_default
from headway.define.draft import Answers, draft
from headway.define.look import look
from headway.errors import BriefError
from headway.nouns.brief_text import parse_brief


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nobody_is_asked_where_there_is_no_terminal(shop):
    """A pipe at either end takes the defaults, and nothing is written or read."""
    screen = io.StringIO()
    assert asker(_Terminal("1\n"), screen) is take_default
    assert asker(io.StringIO("1\n"), _Terminal()) is take_default
    assert screen.getvalue() == ""
    assert parse_brief(draft(shop.looks, ask_all(shop.looks, take_default))) == shop.brief


def test_answers_on_a_terminal_go_into_the_brief(airport):
    """Choices by number, texts, and money; a number that is none is asked for again."""
    looks = look([airport / "trips"], folder=airport)
    typed = "2\na lot\n150\nWhom to rebook?\nCall them\nA list\n\nEUR\n-20\n"
    screen = _Terminal()
    answers = ask_all(looks, asker(_Terminal(typed), screen))
    brief = parse_brief(draft(looks, answers))
    assert brief.target.label.startswith("dep_delay > ")
    assert (brief.value.true_positive, brief.value.false_positive, brief.value.currency) == (150.0, -20.0, "EUR")
    assert (brief.decision.improves, brief.decision.reaches, brief.decision.owner) == ("Whom to rebook?", "A list", "")
    assert "1  arr_delay > " in screen.getvalue()


def test_the_end_of_input_takes_the_defaults(shop):
    """Ctrl-D leaves the rest to the file."""
    answers = ask_all(shop.looks, asker(_Terminal(""), _Terminal()))
    assert (answers.target, answers.improves, answers.true_positive) == ("returned", "", None)


def test_a_target_that_does_not_fit_is_asked_for_again_and_then_refused(shop):
    """Three wrong answers end in the reason why."""
    answers = ask_all(
        shop.looks, asker(_Terminal("retuned\nprice > 100\n"), _Terminal()), given=Answers(true_positive=1.0)
    )
    assert answers.target == "price > 100"
    with pytest.raises(BriefError, match="a column 'retuned'"):
        ask_all(shop.looks, asker(_Terminal("retuned\n" * 3), _Terminal()))


def test_what_was_given_is_not_asked(shop):
    """Options of the command go before questions."""
    asked = []

    def ask(question, *, default="", choices=()):
        asked.append(question)
        return default

    given = Answers(
        improves="a",
        action="b",
        reaches="c",
        owner="d",
        target="returned",
        currency="EUR",
        true_positive=1.0,
        false_positive=0.0,
    )
    assert ask_all(shop.looks, ask, given=given) == given
    assert asked == []
