"""The card: a leader's minute on top, an auditor's details below, and nothing that breaks out of its cell."""

from __future__ import annotations

import datetime as dt
import json

import msgspec
import pytest

from headway.nouns.brief import Brief, Decision, Quota, Source, Split, Target
from headway.validate.card import CardFacts, FeatureFact, card, card_markdown
from headway.validate.judge import judge


@pytest.fixture
def brief(success, value):
    """Return a brief with a name that tries to break the table."""
    return Brief(
        decision=Decision(improves="Which flights?", action="Rebook", owner="Head of | <b>operations</b>"),
        sources={
            "flights": Source(path="flights.csv", licence="CC0", personal=False),
            "people": Source(path="people.csv", personal=True),
            "weather": Source(path="weather.csv"),
        },
        target=Target(
            examples="flights",
            predict_at="sched_dep - interval 2 hours",
            label="arr_delay > 30 and dep_delay < 90",
            label_known_at="actual_arr",
            act_on="top 10 per day",
        ),
        features={"hour": "hour(sched_dep)"},
        split=Split(
            train_before=dt.date(2013, 7, 1), validate_before=dt.date(2013, 8, 15), test_before=dt.date(2013, 10, 1)
        ),
        success=success,
        value=value,
    )


@pytest.fixture
def facts():
    """Return what the run knows beyond the brief."""
    return CardFacts(
        model="lightgbm-7",
        made_at="2013-10-01 00:00 UTC",
        why_chosen="It was the best, and fast enough.",
        rows={"train": 160_000, "void": 9_430},
        periods={"train": "January to June"},
        snapshots={"flights": "b3:abc"},
        features=(
            FeatureFact(name="hour", definition="hour(sched_dep)", lineage="flights.sched_dep", importance=0.31),
            FeatureFact(name="wind|x", definition="weather.wind", lineage="weather.wind_speed"),
        ),
        training={"algorithm": "lightgbm"},
        environment={"lightgbm": "4.7.0"},
        reproduce=("headway run",),
        limits=("Not for charter flights.",),
    )


@pytest.fixture
def verdict(world, success, value):
    """Return a verdict with segments that are too small, and one that is below the bar."""
    score, examples, _ = world(1, carriers=10)
    return judge(
        score, examples, success=success, value=value, act_on=Quota(k=10), rule_name="late_24h", seed=7, draws=200
    )


def test_the_top_says_whether_how_much_how_good_and_for_whom(brief, verdict, facts):
    """Before the first heading of detail, in sentences without a term of statistics but the metric's name."""
    top = card_markdown(brief, verdict, facts).split("## ")[0]
    assert "It may be released" in top
    assert "USD" in top
    assert "a day more than today's rule" in top
    assert f"average precision is {verdict.score}" in top
    assert "Segments clearly served worse: none" in top
    assert "payback: " in top


def test_a_failed_model_says_so_first(brief, verdict, facts):
    """With the gates that stop it by name."""
    gates = tuple(
        msgspec.structs.replace(gate, passed=False) if gate.name == "quality" else gate for gate in verdict.gates
    )
    failed = msgspec.structs.replace(verdict, gates=gates)
    assert card(brief, failed, facts)["summary"][0] == "It may not be released: quality."
    assert "| quality | **failed** |" in card_markdown(brief, failed, facts)


def test_every_table_keeps_its_columns(brief, verdict, facts):
    """A pipe or a tag in a name is text: each row has as many cells as its head."""
    text = card_markdown(brief, verdict, facts)
    width = 0
    for line in text.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = line.replace("\\|", "").count("|") - 1
        width = width or cells
        assert cells == width, line
    assert "<b>" not in text
    assert "wind\\|x" in text


def test_every_segment_gate_feature_and_limit_is_in_the_card(brief, verdict, facts):
    """Those too small to say anything about too."""
    text = card_markdown(brief, verdict, facts)
    for segment in verdict.segments:
        assert f"| {segment.name} |" in text
    assert "too few to say" in text
    for gate in verdict.gates:
        assert f"| {gate.name} |" in text
    assert "Not for charter flights." in text
    assert "31.0 %" in text
    assert "It uses data about identifiable people: people." in text
    assert "Nobody has said whether these data are about identifiable people: weather." in text
    assert "`arr_delay > 30 and dep_delay < 90`" in text


def test_the_dict_is_plain_json_and_names_what_it_was_made_from(brief, verdict, facts):
    """What the JSON twin of the page shows."""
    shown = json.loads(json.dumps(card(brief, verdict, facts), allow_nan=False))
    assert shown["digests"] == {"brief": brief.digest, "verdict": verdict.digest}
    assert shown["passed"] is True
    assert shown["quality"]["score"]["value"] == verdict.score.value
    assert shown["data"]["sources"]["flights"]["version"] == "b3:abc"


def test_the_same_facts_give_the_same_bytes(brief, verdict, facts):
    """No clock is read."""
    assert card_markdown(brief, verdict, facts) == card_markdown(brief, verdict, facts)


def test_a_card_of_bare_facts_says_what_is_unknown(brief, verdict):
    """Empty is not left out."""
    text = card_markdown(brief, verdict, CardFacts(model="m", made_at="now"))
    assert "dataset: `unknown`" in text
    assert "| flights | flights.csv | unknown |" in text
