"""The five questions that a brief has to answer before anything is built, each with its evidence, and the verdict.

Pure: brief and figures go in, answers come out. The file hides what counts as an answer. A question about the decision,
or about who receives the prediction, that nobody has answered closes a gate; so do data from which nothing can be
learned (:mod:`headway.define.supply`), and money that not even perfect foresight would earn back. Whoever passes a
closed gate does it under a name and with a reason; :attr:`Gate.digest` says on what evidence, so that the permission
does not outlive what it was given for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from headway.define.answer import QUESTIONS, Advice, Answer, Doubt, Gate, advice_of, answered, gate_of
from headway.define.decision import decision_gates, said
from headway.define.phrasing import length, listed, money, sentence
from headway.define.promise import earned_doubts, earned_evidence, earning_gates
from headway.define.supply import data_answer
from headway.define.supply_evidence import labels_said
from headway.nouns.brief import Brief, Value
from headway.nouns.span import DAY, parse_span
from headway.nouns.worth import DAYS_PER_MONTH

if TYPE_CHECKING:
    from headway.define.facts import Facts
    from headway.define.prospect import WorthBounds

__all__ = ["QUESTIONS", "Advice", "Answer", "Gate", "advice_of", "five_questions", "gate_of"]

LATE_LABEL_US = 60 * DAY


def five_questions(brief: Brief, facts: Facts) -> tuple[Answer, ...]:
    """Return the five answers, in the order in which the questions are asked."""
    data = data_answer(brief, facts)
    if any(gate.name == "leak" for gate in data.gates):
        facts = msgspec.structs.replace(facts, payoff=None)  # what a leak would earn is no promise
    return (
        _decision(brief, facts),
        data,
        _production(brief, facts),
        _degradation(brief, facts),
        _ownership(brief),
    )


def _decision(brief: Brief, facts: Facts) -> Answer:
    decision = brief.decision
    silent = [gate for gate in decision_gates(brief) if gate.name == "decision"]
    doubts = []
    if _is_default(brief.value):
        doubts.append(
            Doubt(
                why="The money is still the default.",
                todo="Say what a right and a wrong call are worth: value.true_positive and value.false_positive.",
            )
        )
    words = (
        f"{sentence(decision.improves)} {sentence(decision.action)}"
        if not silent
        else "The brief does not say which decision gets better."
    )
    evidence = [("acted on", brief.target.act_on)]
    if facts.labelled:
        evidence.append(("labels", f"{facts.labelled:,} examples: {labels_said(facts)}"))
    return answered(
        "decision",
        words,
        [*evidence, *_bounds(facts.worth), *earned_evidence(facts)],
        doubts=[*doubts, *earned_doubts(facts)],
        gates=[*silent, *_worthless(brief, facts)],
        open_=bool(silent),
    )


def _bounds(worth: WorthBounds | None) -> list[tuple[str, str]]:
    """Return what acting is worth between no skill and perfect foresight."""
    if worth is None:
        return []
    if worth.by_error:
        by_rule = "" if worth.rule is None else f", {money(-worth.rule, worth.currency)} by today's rule"
        return [("errors cost per day", f"{money(-worth.random, worth.currency)} with one number for all{by_rule}")]
    perfect, blind = money(worth.perfect, worth.currency), money(worth.random, worth.currency)
    rule = [] if worth.rule is None else [("today's rule", f"{money(worth.rule, worth.currency)} per day")]
    found = [("cases per day", f"{worth.positives_per_day:.1f} for {worth.actions_per_day:.1f} actions")]
    return [*found, ("worth per day", f"{blind} by lot, {perfect} with perfect foresight"), *rule]


def _is_default(value: Value) -> bool:
    plain = Value()
    by_call = (value.true_positive, value.false_positive) == (plain.true_positive, plain.false_positive)
    return by_call and value.over is None and value.under is None


def _worthless(brief: Brief, facts: Facts) -> list[Gate]:
    """Close the gate when even perfect foresight would not pay for the running."""
    value, worth = brief.value, facts.worth
    if worth is None or _is_default(value):
        return []
    daily = (value.monthly + (value.retraining_per_month or 0.0)) / DAYS_PER_MONTH
    # Who uses a number as it is uses some number today; nobody is made to follow a rule that loses.
    today = (worth.random if worth.rule is None else worth.rule) if worth.by_error else max(worth.rule or 0.0, 0.0)
    if worth.perfect - today > daily:
        return earning_gates(facts)
    than = f", {money(today, worth.currency)} of which today's rule earns already" if today else ""
    gain = f"even perfect foresight is worth {money(worth.perfect, worth.currency)} per day{than}"
    if worth.by_error:
        gain = f"even without any error no more than {money(worth.perfect - today, worth.currency)} per day were saved"
    return [
        Gate(
            name="worth",
            why=f"{gain}, and running costs {money(daily, worth.currency)}.",
            todo="Look at value and target.act_on, or choose another decision.",
            evidence={"perfect": worth.perfect, "today": today, "daily_cost": daily},
        )
    ]


def _production(brief: Brief, facts: Facts) -> Answer:
    decision = brief.decision
    evidence = [
        ("a request carries", listed(facts.request) or "nothing"),
        ("looked up by the server", listed(facts.looked_up) or "nothing"),
        ("slowest answer in a hundred", brief.success.latency_p99),
    ]
    gates, doubts = [], []
    if facts.looked_up:
        evidence.append(("look-ups may lag", brief.serve.refresh))
        if parse_span(brief.serve.refresh) == 0 and _moving(brief):
            doubts.append(
                Doubt(
                    why="serve.refresh is 0: training looks up without any lag, which serving cannot promise.",
                    todo="Say how far look-ups may lag: serve.refresh = '10 minutes', say.",
                )
            )
    if not said(decision.reaches):
        gates += [gate for gate in decision_gates(brief) if gate.name == "receiver"]
        words = "The brief does not say who receives the prediction."
    else:
        asked = f"{len(facts.request)} fields" if len(facts.request) != 1 else "one field"
        count = len(facts.looked_up)
        looked_up = {0: "nothing is looked up", 1: "one feature is looked up"}.get(
            count, f"{count} features are looked up"
        )
        words = f"It reaches: {sentence(decision.reaches)} A request carries {asked}; {looked_up}."
    return answered("production", words, evidence, doubts=doubts, gates=gates, open_=bool(gates))


def _moving(brief: Brief) -> bool:
    """Whether a feature looks into a source that changes with time."""
    specs = [spec for spec in brief.features.values() if not isinstance(spec, str)]
    return any(spec.window or (spec.from_ and brief.sources[spec.from_].time) for spec in specs)


def _degradation(brief: Brief, facts: Facts) -> Answer:
    monitor, delay = brief.monitor, facts.delay_median_us
    evidence = [
        ("window", monitor.window),
        ("a false page", f"at most {monitor.false_alarm}"),
        ("alerts go to", monitor.alert.get("to") or "nobody"),
    ]
    doubts = []
    if delay is None:
        doubts.append(
            Doubt(
                why="No label ever becomes known: performance cannot be watched, only drift.",
                todo="Find out how the outcome could be recorded: target.label_known_at.",
            )
        )
        words = "Nobody will know: no outcome is ever known."
    else:
        late = length(facts.delay_p90_us or delay)
        evidence.append(("a label is known after", f"{length(delay)} at the median, {late} for nine in ten"))
        words = (
            f"Outcomes are joined as they become known, half of them within {length(delay)}; "
            "each day is held against the days the model was judged on."
        )
        if delay > LATE_LABEL_US:
            doubts.append(
                Doubt(
                    why=f"Half of the labels take longer than {length(LATE_LABEL_US)}, {length(delay)} at the median: "
                    "until then only drift can be seen.",
                    todo="Look for an earlier sign of the outcome to watch beside it.",
                )
            )
    if facts.task == "condition" and facts.labelled and facts.days:
        cases = facts.positives / facts.days
        evidence.append(("true labels per day", f"{cases:.1f}"))
        if cases < 1:
            doubts.append(
                Doubt(
                    why=f"There are {cases:.2f} true labels a day: a fall in quality takes weeks to show.",
                    todo="Watch drift meanwhile, or ask about more cases.",
                )
            )
    if not monitor.alert.get("to"):
        doubts.append(Doubt(why="Alerts go nowhere.", todo="Set monitor.alert: { to = 'log' }."))
    return answered("degradation", words, evidence, doubts=doubts, open_=delay is None)


def _ownership(brief: Brief) -> Answer:
    owner, review = brief.decision.owner, brief.decision.review
    value, retrain = brief.value, brief.retrain
    budget = value.retraining_per_month
    evidence = [
        ("owner", owner if said(owner) else "nobody"),
        ("review", review if said(review) else "never"),
        ("retrained when", listed(retrain.when) or "never"),
        (
            "at most",
            "once in 30 days" if retrain.budget_per_month == 1 else f"{retrain.budget_per_month} times in 30 days",
        ),
        ("budget", "not said" if budget is None else f"{money(budget, value.currency)} per month"),
    ]
    doubts = []
    if not said(owner):
        doubts.append(Doubt(why="Nobody owns the decision.", todo="Name who answers for it: decision.owner."))
    if not said(review):
        doubts.append(Doubt(why="Nobody reviews it.", todo="Say how often the owner looks at it: decision.review."))
    if budget is None:
        doubts.append(
            Doubt(
                why="There is no budget for retraining.", todo="Set value.retraining_per_month; 0 says that it is free."
            )
        )
    if said(owner):
        spent = (
            "without a budget for retraining"
            if budget is None
            else f"with {money(budget, value.currency)} per month for retraining"
        )
        words = f"{owner} owns it, {spent}."
    else:
        words = "The brief does not say who owns it."
    return answered("ownership", words, evidence, doubts=doubts, open_=not said(owner))
