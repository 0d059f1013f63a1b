"""What may be acted on, as a sentence."""

from __future__ import annotations

import pytest

from headway.errors import BriefError
from headway.nouns.act_on import FORMS, Everything, Likeliest, Quota, Threshold, parse_act_on, suited


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("top 200", Quota(k=200, per="round")),
        ("Top 3 per group", Quota(k=3, per="group")),
        ("prediction > -3.5", Threshold(score=-3.5, kind="number")),
        ("prediction > 1e3", Threshold(score=1000.0, kind="number")),
        ("probability of 'very late' > 60 %", Threshold(score=0.6, of="very late")),
        ("the most likely class", Likeliest()),
        ("every prediction", Everything()),
    ],
)
def test_a_sentence_has_one_meaning(text, meaning):
    """Of each form; capitals and quotes do not matter."""
    assert parse_act_on(text) == meaning


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("top 25 by day", "top 25 per day"),
        ("the top 3 per group", "top 3 per group"),
        ("predicted > 30", "prediction > 30"),
        ("most likely clas", "the most likely class"),
        ("top 0 per day", "top 40 per day"),
        ("probability > 160 %", "probability > 60 %"),
    ],
)
def test_what_is_meant_is_guessed(text, hint):
    """With the numbers that were written, where they can stand."""
    with pytest.raises(BriefError) as caught:
        parse_act_on(text)
    assert hint in caught.value.hint


@pytest.mark.parametrize("task", FORMS)
def test_each_form_suits_its_task(task):
    """What an error proposes can be written."""
    for form in FORMS[task]:
        assert suited(parse_act_on(form), task=task)


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("prediction > 4", "condition"),
        ("probability > 0.5", "number"),
        ("top 3 per group", "number"),
        ("top 3 per day", "category"),
        ("every prediction", "ranking"),
    ],
)
def test_what_cannot_be_said_of_a_task_is_refused(text, task):
    """Naming what could be."""
    with pytest.raises(BriefError, match=f"a target that is a {task}") as caught:
        suited(parse_act_on(text), task=task)
    assert FORMS[task][0] in caught.value.hint


def test_a_class_that_is_none_is_refused():
    """With the nearest one."""
    with pytest.raises(BriefError, match="late"):
        suited(parse_act_on("probability of lat > 0.5"), task="category", classes=("late", "on time"))
