"""The five questions: what answers them, what leaves them doubtful, what closes a gate."""

from __future__ import annotations

import msgspec
import pytest

from headway.define.availability import LookUp, Outage, Swing
from headway.define.decision import decision_gates
from headway.define.facts import LabelFacts
from headway.define.questions import QUESTIONS, advice_of, five_questions, gate_of
from headway.define.supply import data_answer
from headway.define.supply_evidence import labels_said
from headway.nouns.brief import Decision, Value
from headway.nouns.dataset import SplitCount
from headway.nouns.span import DAY

replace = msgspec.structs.replace

DECISION = Decision(
    improves="Which orders get a call before they are sent?",
    action="Customer care calls and suggests another size",
    reaches="The care desk's list, every morning",
    owner="Head of care",
    review="weekly",
)
VALUE = Value(currency="EUR", true_positive=12.0, false_positive=-1.0, monthly=20.0, retraining_per_month=10.0)


@pytest.fixture(name="facts", scope="module")
def _facts(shop):
    """Figures of the shop, gathered once."""
    return shop.facts()


@pytest.fixture(name="brief", scope="module")
def _brief(shop):
    """Fill in what only a human can say."""
    sources = {
        name: replace(source, licence="our own", owner="Sales", access="the desk", personal=True, retention="unlimited")
        for name, source in shop.brief.sources.items()
    }
    return replace(shop.brief, decision=DECISION, value=VALUE, sources=sources)


def _answer(brief, facts, name):
    return next(answer for answer in five_questions(brief, facts) if answer.name == name)


def test_a_full_brief_over_good_data_goes(brief, facts):
    """All five are answered, in their order, with evidence and without a condition."""
    answers = five_questions(brief, facts)
    assert [answer.name for answer in answers] == list(QUESTIONS)
    assert [(answer.state, answer.doubts) for answer in answers] == [("answered", ())] * 5
    assert all(answer.evidence and answer.words.endswith((".", "?")) for answer in answers)
    assert gate_of(answers) == ()
    assert advice_of(answers).state == "go"


@pytest.mark.parametrize(("field", "gate"), [("improves", "decision"), ("action", "decision"), ("reaches", "receiver")])
@pytest.mark.parametrize("silence", ["", "  ", "edit me", "TODO", "?"])
def test_silence_about_decision_or_receiver_closes_a_gate(brief, facts, field, gate, silence):
    """Nothing, blanks and placeholders are all silence; the gate says which line to fill in."""
    quiet = replace(brief, decision=replace(DECISION, **{field: silence}))
    answers = five_questions(quiet, facts)
    (closed,) = gate_of(answers)
    assert (closed.name, f"decision.{field}" in closed.todo) == (gate, True)
    assert [answer.name for answer in answers if answer.blocking] == [
        "decision" if gate == "decision" else "production"
    ]
    assert advice_of(answers).state == "no-go"
    assert decision_gates(quiet) == (closed,)


def test_a_gate_has_the_same_digest_only_for_the_same_evidence(brief):
    """A permission to pass is for what was known when it was given."""

    def digest(**said):
        return decision_gates(replace(brief, decision=replace(DECISION, **said)))[0].digest

    assert digest(improves="") == digest(improves="")
    assert digest(improves="") != digest(improves="", action="")
    assert digest(improves="", owner="someone else") == digest(improves="")


@pytest.mark.parametrize(
    ("question", "changes", "words"),
    [
        ("decision", {"value": Value(retraining_per_month=10.0)}, "money is still the default"),
        ("ownership", {"decision": replace(DECISION, owner="")}, "Nobody owns"),
        ("ownership", {"decision": replace(DECISION, review="")}, "Nobody reviews"),
        ("ownership", {"value": replace(VALUE, retraining_per_month=None)}, "no budget for retraining"),
    ],
)
def test_what_a_human_left_open_is_a_condition_and_stops_nothing(brief, facts, question, changes, words):
    """Money, owner, review and budget are asked for; the way stays free."""
    answers = five_questions(replace(brief, **changes), facts)
    asked = next(answer for answer in answers if answer.name == question)
    assert any(words in doubt.why for doubt in asked.doubts)
    assert asked.state != "answered"
    assert gate_of(answers) == ()
    assert advice_of(answers).state == "go with conditions"
    assert asked.doubts[0] in advice_of(answers).conditions


def test_an_error_that_has_a_price_is_money_that_was_said(brief, facts):
    """Of a number that is used as it is, over and under say what is worth what."""
    priced = replace(brief, value=Value(over=-0.3, under=-0.9, retraining_per_month=10.0))
    assert not [doubt for doubt in _answer(priced, facts, "decision").doubts if "still the default" in doubt.why]


def test_days_that_nobody_asks_about_are_not_lacking(brief, facts):
    """Asked every seventh day, one day in seven has examples; half as many are too few."""
    weekly = replace(brief, target=replace(brief.target, each="7 days"))
    for covered, doubted in ((0.15, False), (0.07, True)):
        answer = _answer(weekly, replace(facts, days_covered=covered), "data")
        assert any("of the days have an example" in doubt.why for doubt in answer.doubts) == doubted


def test_unsaid_licence_owner_and_persons_of_a_source_are_asked_for(brief, facts):
    """Provenance is part of whether data may be used."""
    source = replace(brief.sources["orders"], licence="", access="", personal=None, retention="")
    answer = _answer(replace(brief, sources={"orders": source}), facts, "data")
    (doubt,) = answer.doubts
    assert doubt.why == "Source 'orders' does not say: licence, access, personal, retention."
    assert "[sources.orders]" in doubt.todo


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"personal": True, "access": "?"}, "nobody's permission to read it is named"),
        ({"retention": "300 days"}, "may be kept for 300 days, and its oldest rows are 366 days old"),
        ({"retention": "1 year"}, None),
        ({"retention": "11 months"}, "may be kept for 11 months"),
        ({"retention": "as long as needed"}, "which is no length of time"),
        ({"personal": False, "access": "anybody"}, None),
    ],
)
def test_persons_without_permission_and_rows_kept_too_long_are_said(brief, facts, changes, words):
    """As of two days after the last order: who may read about people, and how long a year of orders may be kept."""
    source = replace(brief.sources["orders"], **changes)
    soon = replace(facts, as_of_us=facts.first_us + 366 * 86_400_000_000)
    doubts = _answer(replace(brief, sources={"orders": source}), soon, "data").doubts
    assert [words in doubt.why and bool(doubt.todo) for doubt in doubts] == ([True] if words else [])


def _with(facts, **changes):
    return replace(facts, availability=replace(facts.availability, **changes))


DAY_US = 86_400_000_000
WEATHER = LookUp(
    source="weather", mine=("place",), theirs=("place",), features=("wind",), kind="latest", absent=0.0, unnamed=0.0,
    nothing=0.0, median_us=DAY_US // 24, p95_us=DAY_US // 12, worst_us=28 * DAY_US // 24, worst_at_us=20_000 * DAY_US,
    bound="max_age", limit_us=DAY_US // 4, step_us=DAY_US // 24,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"absent": 0.2}, "20% of the examples have a place that weather does not"),
        ({"tied": 0.5}, "a look-up takes one of them, and many would match"),
        ({"stale": 0.2, "step_us": DAY_US}, "older than its max_age of 6 hours for 20% of the predictions: the source"),
        (
            {"outages": (Outage(first_day=16_069, last_day=16_070, examples=700, share=0.9),)},
            (
                "stood still on 2013-12-30 to 2013-12-31: older than its max_age of 6 hours for 90% of 700 "
                "predictions, 28 hours at worst, when its last row was of 2024-10-02"
            ),
        ),
        ({}, None),
        ({"absent": 0.2, "kind": "window"}, None),
    ],
)
def test_what_a_prediction_would_find_is_doubted_with_what_to_do(brief, facts, changes, words):
    """Keys that are not there, rows that cannot be told apart, sources that are late or stood still."""
    doubts = _answer(brief, _with(facts, look_ups=(replace(WEATHER, **changes),)), "data").doubts
    assert [words in doubt.why and bool(doubt.todo) for doubt in doubts] == ([True] if words else [])


@pytest.mark.parametrize(
    ("swing", "words"),
    [
        (
            Swing(of="year", seen=1.2, shows=True, low=0.1, high=0.2, low_name="2024-02", high_name="2024-12"),
            "(2024-12)",
        ),
        (Swing(of="year", seen=2.1, shows=True, low=0.1, high=0.2, low_name="2024-02", high_name="2024-12"), None),
        (Swing(of="year", seen=0.5), None),
        (Swing(of="week", seen=1.5), "no weekday was seen twice"),
    ],
)
def test_a_season_that_was_not_seen_twice_is_a_condition(brief, facts, swing, words):
    """Only where the data swing, and only until the history is long enough."""
    doubts = _answer(brief, _with(facts, swings=(swing,)), "data").doubts
    assert [words in doubt.why for doubt in doubts] == ([True] if words else [])


def test_labels_that_came_too_late_for_their_period_are_said_where_they_differ_in_kind(brief, facts):
    """Left out are the slow ones; where every label takes as long, nothing is selected."""
    late = tuple(replace(split, embargoed=split.examples // 4) for split in facts.splits)
    slow = replace(facts.availability.maturity, median_us=DAY_US, p99_us=9 * DAY_US)
    (doubt,) = _answer(brief, _with(replace(facts, splits=late), maturity=slow), "data").doubts
    assert "20% of train" in doubt.why
    even = replace(slow, median_us=9 * DAY_US)
    assert _answer(brief, _with(replace(facts, splits=late), maturity=even), "data").doubts == ()


def test_a_history_of_hardly_more_than_a_label_takes_is_said(brief, facts):
    """Train, validate and test each want as long as a label takes."""
    answer = _answer(brief, replace(facts, delay_median_us=200 * DAY_US), "data")
    assert any("covers 1.8 times what a label takes (200 days)" in doubt.why for doubt in answer.doubts)


@pytest.mark.parametrize(
    ("task", "label", "words"),
    [
        ("number", LabelFacts(mean=7.5, low=-33.0, high=97.0), "7.5 on average, nine in ten between -33 and 97"),
        (
            "category",
            LabelFacts(classes=(("a", 0.7), ("b", 0.2), ("c", 0.1))),
            "3 classes, from 'a' (70%) to 'c' (10%)",
        ),
        ("ranking", LabelFacts(groups=400), "of them relevant, in 400 groups of 20"),
    ],
)
def test_labels_of_each_kind_are_said_in_its_own_words(facts, task, label, words):
    """A number has a middle, a category classes, a ranking groups; none of them is 'true'."""
    said = labels_said(replace(facts, task=task, label=label))
    assert words in said
    assert "true" not in said


def test_money_by_error_speaks_of_errors(brief, facts):
    """Without any error so much were saved, and where that does not pay for the running the gate is closed."""
    value = Value(over=-1.0, under=-2.0, monthly=9_000.0, retraining_per_month=0.0)
    worth = replace(facts.worth, by_error=True, perfect=0.0, random=-300.0, rule=-200.0)
    priced = replace(brief, value=value)
    answers = five_questions(priced, replace(facts, worth=worth, task="number", payoff=None))
    (closed,) = gate_of(answers)
    assert "even without any error no more than 200 EUR" in closed.why.replace("USD", "EUR")
    assert ("errors cost per day", "300 EUR with one number for all, 200 EUR by today's rule") in [
        (label, said.replace("USD", "EUR")) for label, said in answers[0].evidence
    ]


def test_look_ups_without_lag_are_doubted_where_something_moves(brief, facts):
    """Training that looks up to the very moment promises what serving cannot keep."""
    answer = _answer(replace(brief, serve=replace(brief.serve, refresh="0 minutes")), facts, "production")
    assert any("serve.refresh" in doubt.why for doubt in answer.doubts)


def test_money_that_foresight_would_not_earn_back_closes_a_gate(brief, facts):
    """Running costs above the worth of perfect foresight: no model can pay."""
    dear = replace(brief, value=replace(VALUE, monthly=100_000.0))
    (closed,) = gate_of(five_questions(dear, facts))
    assert closed.name == "worth"
    assert closed.evidence["perfect"] == facts.worth.perfect < closed.evidence["daily_cost"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"examples": 0, "labelled": 0}, "no example"),
        ({"labelled": 0}, "no example has a label"),
        ({"splits": "train"}, "train period has no labelled example"),
        ({"splits": "one class"}, "label is true for every example of the test period"),
    ],
)
def test_data_from_which_nothing_can_be_learned_close_a_gate(brief, facts, changes, why):
    """No examples, no labels, an empty split, one class: each says which field to look at."""
    if changes.get("splits") == "train":
        empty = SplitCount(name="train", examples=0, positives=0, embargoed=7)
        changes = {"splits": (empty, *facts.splits[1:])}
    elif changes.get("splits") == "one class":
        same = SplitCount(name="test", examples=9, positives=9)
        changes = {"splits": (*facts.splits[:2], same, facts.splits[3])}
    (closed,) = gate_of(five_questions(brief, replace(facts, **changes)))
    assert (closed.name, why in closed.why, bool(closed.todo)) == ("data", True, True)


def test_a_horizon_longer_than_the_data_is_named(brief, facts):
    """Where all outcomes are still open, the age of the oldest example and the horizon are said."""
    target = replace(brief.target, horizon="90 days", label_known_at="")
    young = replace(facts, labelled=0, void=3, unmatured=40, first_us=facts.as_of_us - 20 * DAY)
    (closed,) = gate_of(five_questions(replace(brief, target=target), young))
    assert "of 40 the outcome is not known yet, 3 have none, and will have none" in closed.why
    assert "the oldest is 20 days old" in closed.why
    assert "shorter than 90 days" in closed.todo


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"void": 4_000}, "are void"),
        ({"days_covered": 0.5}, "of the days have an example"),
        ({"signal": None}, "Too few labelled examples to ask"),
        ({"signal": 0.4}, "too few to say none"),
        ({"features": 0.6}, "Missing in more than half"),
        ({"splits": 5}, "rarer class"),
        ({"told": 3}, "The label of 3 of"),
        ({"sources": 3}, "whose key stands there already"),
    ],
)
def test_doubtful_data_are_conditions(brief, facts, changes, words):
    """Each figure beyond its bound is one sentence, and stops nothing."""
    if changes.get("signal"):
        changes = {"signal": replace(facts.signal, p_value=changes["signal"], cases=40, foretold=False)}
    elif "features" in changes:
        changes = {"features": (replace(facts.features[0], missing=0.6), *facts.features[1:])}
    elif "splits" in changes:
        changes = {"splits": (*facts.splits[:2], replace(facts.split("test"), positives=5), facts.splits[3])}
    elif "sources" in changes:
        changes = {"sources": (replace(facts.sources[0], doubled_rows=3),)}
    answer = _answer(brief, replace(facts, **changes), "data")
    assert [doubt for doubt in answer.doubts if words in doubt.why and doubt.todo]
    assert (answer.state, answer.blocking) == ("doubtful", False)


@pytest.mark.parametrize(
    ("changes", "gate"),
    [({"p_value": 0.4, "foretold": False}, "signal"), ({"best_auc": 0.991}, "leak"), ({"p_value": 0.04}, None)],
)
def test_no_signal_and_too_good_a_signal_close_a_gate(brief, facts, changes, gate):
    """Enough cases and nothing found is a no; so is one feature that holds the answer."""
    answers = five_questions(brief, replace(facts, signal=replace(facts.signal, **changes)))
    assert [closed.name for closed in gate_of(answers)] == ([gate] if gate else [])


def test_features_that_say_something_only_together_are_a_condition(brief, facts):
    """Added up they tell nothing, but models of the past foretold what came after: that is said, and stops nothing."""
    together = replace(facts, signal=replace(facts.signal, p_value=0.6, foretold=True))
    answers = five_questions(brief, together)
    assert gate_of(answers) == ()
    data = next(answer for answer in answers if answer.name == "data")
    assert any("Only together do the features say something" in doubt.why and doubt.todo for doubt in data.doubts)
    assert "nothing sure" not in data.words


def test_labels_that_are_known_when_they_are_asked_for_close_a_gate(brief, facts):
    """More than one in a hundred, and there is nothing to predict; the gate says how many and where to look."""
    told = facts.labelled // 50
    (closed,) = gate_of(five_questions(brief, replace(facts, told=told)))
    assert closed.name == "leak"
    assert (
        f"the label of {told:,} of {facts.labelled:,} examples is known when the prediction is asked for" in closed.why
    )
    assert "target.label_known_at" in closed.todo


def test_money_that_a_quick_model_surely_loses_closes_a_gate(brief, facts):
    """Where the whole interval of the monthly net lies below nothing, the leader is told no."""
    net = replace(facts.payoff.worth.monthly_net, value=-9.0, low=-20.0, high=-1.0)
    lost = replace(facts.payoff, worth=replace(facts.payoff.worth, monthly_net=net), net_of_nothing=net)
    (closed,) = gate_of(five_questions(brief, replace(facts, payoff=lost)))
    assert (closed.name, "per month" in closed.why) == ("worth", True)


def test_a_rule_that_a_quick_model_does_not_beat_is_a_condition(brief, facts):
    """A search may do better than a model without one; against doing nothing it earns, so the way stays free."""
    net = replace(facts.payoff.worth.monthly_net, value=-9.0, low=-20.0, high=-1.0)
    behind = replace(facts.payoff, worth=replace(facts.payoff.worth, monthly_net=net))
    answers = five_questions(brief, replace(facts, payoff=behind))
    assert gate_of(answers) == ()
    assert any("surely less than today's rule" in doubt.why for doubt in answers[0].doubts)


def test_labels_that_come_late_or_never_are_said_under_degradation(brief, facts):
    """Without outcomes nobody will know; with outcomes after a quarter only drift can be seen till then."""
    never = _answer(brief, replace(facts, delay_median_us=None, delay_p90_us=None), "degradation")
    assert never.state == "open"
    late = _answer(brief, replace(facts, delay_median_us=100 * 86_400_000_000), "degradation")
    assert any("100 days" in doubt.why for doubt in late.doubts)


def test_answers_can_be_written_as_json(brief, facts):
    """What the API hands on is plain data."""
    answers = five_questions(replace(brief, decision=Decision()), facts)
    assert msgspec.json.decode(msgspec.json.encode(answers))[0]["gates"][0]["name"] == "decision"


@pytest.mark.parametrize("task", ["number", "category", "ranking"])
def test_a_label_that_never_varies_closes_the_gate_and_is_not_called_too_few(brief, facts, task):
    """More examples of the one label would tell no more."""
    answer = data_answer(brief, replace(facts, task=task, alike=True, signal=None))
    assert [(gate.name, gate.why) for gate in answer.gates] == [("data", "the label is the same for every example.")]
    assert not any("Too few" in doubt.why for doubt in answer.doubts)


def test_labels_are_alike_only_where_no_two_differ(shop):
    """Orders that came back and orders that did not are two labels."""
    assert shop.facts().alike is False
