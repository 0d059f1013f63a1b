"""The five questions that a brief has to answer before anything is built, each with its evidence, and the verdict.

Pure: brief and figures go in, answers come out. The file hides what counts as an answer and which figures make one
doubtful. A question about the decision, or about who receives the prediction, that nobody has answered closes a gate;
so do data from which nothing can be learned, and money that not even perfect foresight would earn back. Whoever passes
a closed gate does it under a name and with a reason; :attr:`Gate.digest` says on what evidence, so that the permission
does not outlive what it was given for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.define.answer import QUESTIONS, Advice, Answer, Gate, advice_of, gate_of
from headway.define.decision import decision_gates, said
from headway.define.promise import (
    SIGNIFICANT,
    earned_doubts,
    earned_evidence,
    earning_gates,
    expected_doubts,
    signal_evidence,
    signal_gates,
)
from headway.nouns.brief import Brief, Value
from headway.nouns.brief_text import unanswered
from headway.nouns.clock import format_moment
from headway.nouns.span import DAY, HOUR, MINUTE, SECOND, parse_span
from headway.nouns.worth import DAYS_PER_MONTH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headway.define.facts import Facts

__all__ = ["QUESTIONS", "Advice", "Answer", "Gate", "advice_of", "five_questions", "gate_of"]

LEAST_CASES = 30
"""Fewer positives in a split than this, and its average precision is anybody's guess: the standard error of a share of
30 is at best a tenth."""
MUCH_MISSING, MUCH_STALE, MUCH_VOID, MANY_DAYS = 0.5, 0.05, 0.2, 0.9
LATE_LABEL_US = 60 * DAY


def five_questions(brief: Brief, facts: Facts) -> tuple[Answer, ...]:
    """Return the five answers, in the order in which the questions are asked."""
    return (
        _decision(brief, facts),
        _data(brief, facts),
        _production(brief, facts),
        _degradation(brief, facts),
        _ownership(brief),
    )


# -- 1


def _decision(brief: Brief, facts: Facts) -> Answer:
    decision, value, worth = brief.decision, brief.value, facts.worth
    evidence, doubts, gates = [("acted on", brief.target.act_on)], [], []
    if facts.base_rate is not None:
        evidence.append(("base rate", f"{_percent(facts.base_rate)} of {facts.labelled:,} labelled examples"))
    if worth is not None:
        by_foresight, by_lot = _money(worth.perfect, worth.currency), _money(worth.random, worth.currency)
        evidence += [
            ("cases per day", f"{worth.positives_per_day:.1f} for {worth.actions_per_day:.1f} actions"),
            ("worth per day", f"{by_lot} by lot, {by_foresight} with perfect foresight"),
        ]
        if worth.rule is not None:
            evidence.append(("today's rule", f"{_money(worth.rule, worth.currency)} per day"))
    silent = [name for name in ("improves", "action") if not said(getattr(decision, name))]
    if silent:
        gates += [gate for gate in decision_gates(brief) if gate.name == "decision"]
    if _is_default(value):
        doubts.append("The money is still the default: set value.true_positive and value.false_positive.")
    gates += _worthless(brief, facts)
    evidence += earned_evidence(facts)
    doubts += earned_doubts(facts)
    words = (
        f"{decision.improves} {_sentence(decision.action)}"
        if not silent
        else "The brief does not say which decision gets better."
    )
    return _answer("decision", words, evidence, doubts, gates, open_=bool(silent))


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
    today = max(worth.rule or 0.0, 0.0)
    if worth.perfect - today > daily:
        return earning_gates(facts)
    than = f", {_money(today, worth.currency)} of which today's rule earns already" if today else ""
    return [
        Gate(
            name="worth",
            why=f"even perfect foresight is worth {_money(worth.perfect, worth.currency)} per day{than}, and running "
            f"costs {_money(daily, worth.currency)}.",
            todo="Look at value and target.act_on, or choose another decision.",
            evidence={"perfect": worth.perfect, "today": today, "daily_cost": daily},
        )
    ]


# -- 2


def _data(brief: Brief, facts: Facts) -> Answer:
    evidence = _data_evidence(facts, zone=brief.split.zone)
    gates = _unlearnable(facts) or signal_gates(facts)
    doubts = [
        *_thin(brief, facts),
        *_gaps(facts),
        *_source_doubts(brief, facts),
        *_signal_doubts(facts),
        *expected_doubts(brief, facts),
    ]
    if gates:
        words = f"No: {gates[0].why}"
    else:
        rate = facts.base_rate or 0.0
        words = (
            f"There are {facts.labelled:,} labelled examples over {facts.days:,} days, {_percent(rate)} of them true."
        )
        if facts.signal is not None:
            much = "something" if facts.signal.p_value <= SIGNIFICANT else "nothing sure"
            words += f" The features say {much} about the label."
    return _answer("data", words, evidence, doubts, gates, open_=bool(gates))


def _data_evidence(facts: Facts, *, zone: str) -> list[tuple[str, str]]:
    evidence = [("examples", f"{facts.examples:,} of {facts.rows:,} rows")]
    if facts.first_us is not None and facts.last_us is not None:
        evidence.append(
            (
                "from, to",
                f"{format_moment(facts.first_us, zone=zone)[:10]}, {format_moment(facts.last_us, zone=zone)[:10]}",
            )
        )
    evidence.append(("void", f"{facts.void:,}, their outcome never comes"))
    evidence.append(("not yet labelled", f"{facts.unmatured:,}"))
    evidence.append(("history", f"{facts.days / 7:.0f} weeks, {facts.days / 365.25:.1f} years"))
    for split in facts.splits:
        if split.name != "after":
            late = f"; {split.embargoed:,} embargoed" if split.embargoed else ""
            evidence.append(
                (split.name, f"{split.examples:,} examples, {split.positives:,} true, {split.days} days{late}")
            )
    worst = max(facts.features, key=lambda feature: feature.missing, default=None)
    if worst is not None and worst.missing:
        evidence.append(("most often missing", f"{worst.name}, {_percent(worst.missing)}"))
    if facts.signal is not None:
        signal = facts.signal
        alone = f"{signal.best} alone ranks {signal.lift:.2f} times as well as chance"
        evidence.append(("best feature", f"{alone}, all together {signal.lift_together:.2f} times"))
        evidence += signal_evidence(signal)
    return evidence


def _unlearnable(facts: Facts) -> list[Gate]:
    why, todo = "", ""
    if not facts.examples:
        why, todo = "there is no example.", "Look at target.predict_at, and at the moments of the examples' source."
    elif not facts.labelled:
        why, todo = "no example has a label that is known.", "Look at target.label and target.label_known_at."
    else:
        for split in facts.splits:
            if split.name == "after":
                continue
            if not split.examples:
                rest = [f"{split.embargoed:,} are labelled only after it"] if split.embargoed else []
                rest += [f"{split.void:,} have no label by now"] if split.void else []
                because = f" ({', '.join(rest)})" if rest else ""
                why, todo = (
                    f"the {split.name} period has no labelled example{because}.",
                    f"Move split.{split.name}_before.",
                )
                break
            if facts.task == "condition" and split.positives in {0, split.examples}:
                one = "true" if split.positives else "false"
                why, todo = (
                    f"the label is {one} for every example of the {split.name} period.",
                    "Look at target.label, or widen the period.",
                )
                break
    if not why:
        return []
    counts = {split.name: [split.examples, split.positives] for split in facts.splits}
    return [
        Gate(
            name="data",
            why=why,
            todo=todo,
            evidence={"examples": facts.examples, "labelled": facts.labelled, "splits": counts},
        )
    ]


def _thin(brief: Brief, facts: Facts) -> list[str]:
    rarer = {split.name: min(split.positives, split.examples - split.positives) for split in facts.splits}
    doubts = [
        f"The {name} period has only {count} examples of the rarer class: its score will be vague."
        for name, count in rarer.items()
        if facts.task == "condition" and name != "after" and 0 < count < LEAST_CASES
    ]
    if facts.examples and facts.void / facts.examples > MUCH_VOID:
        doubts.append(f"{_percent(facts.void / facts.examples)} of the examples are void: is label_known_at right?")
    # Who asks every seventh day cannot have examples on more than one day in seven.
    asked = DAY / max(parse_span(brief.target.each), DAY) if brief.target.each else 1.0
    if facts.days and facts.days_covered < MANY_DAYS * asked:
        doubts.append(f"Only {_percent(facts.days_covered)} of the days have an example.")
    return doubts


def _gaps(facts: Facts) -> list[str]:
    missing = [feature.name for feature in facts.features if feature.missing > MUCH_MISSING]
    stale = [feature.name for feature in facts.features if feature.stale > MUCH_STALE]
    doubts = [f"Missing in more than half of the examples: {_listed(missing)}."] if missing else []
    return doubts + (
        [f"Too old in more than {_percent(MUCH_STALE)} of the look-ups: {_listed(stale)}."] if stale else []
    )


def _source_doubts(brief: Brief, facts: Facts) -> list[str]:
    doubts = []
    for source in facts.sources:
        if source.doubled_rows:
            doubts.append(f"Source {source.name!r} has {source.doubled_rows:,} rows whose key stands there already.")
        if source.behind_us is not None and source.behind_us > 2 * DAY and source.name != brief.target.examples:
            doubts.append(f"Source {source.name!r} ends {_span(source.behind_us)} before the last example.")
        if silent := unanswered(brief.sources[source.name]):
            doubts.append(f"Source {source.name!r} does not say: {_listed(silent)}.")
    return doubts


def _signal_doubts(facts: Facts) -> list[str]:
    if facts.signal is None:
        asked = facts.labelled and facts.task == "condition"
        return ["Too few labelled examples to ask whether the features say anything."] if asked else []
    return []


# -- 3, 4, 5


def _production(brief: Brief, facts: Facts) -> Answer:
    decision = brief.decision
    evidence = [
        ("a request carries", _listed(facts.request) or "nothing"),
        ("looked up by the server", _listed(facts.looked_up) or "nothing"),
        ("slowest answer in a hundred", brief.success.latency_p99),
    ]
    gates, doubts = [], []
    if facts.looked_up:
        evidence.append(("look-ups may lag", brief.serve.refresh))
        if parse_span(brief.serve.refresh) == 0 and _moving(brief):
            doubts.append("serve.refresh is 0: training looks up without any lag, which serving cannot promise.")
    if not said(decision.reaches):
        gates += [gate for gate in decision_gates(brief) if gate.name == "receiver"]
        words = "The brief does not say who receives the prediction."
    else:
        asked = f"{len(facts.request)} fields" if len(facts.request) != 1 else "one field"
        looked_up = f"{len(facts.looked_up)} features are looked up"
        words = f"It reaches: {_sentence(decision.reaches)} A request carries {asked}; {looked_up}."
    return _answer("production", words, evidence, doubts, gates, open_=bool(gates))


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
        doubts.append("No label ever becomes known: performance cannot be watched, only drift.")
        words = "Nobody will know: no outcome is ever known."
    else:
        evidence.append(
            (
                "a label is known after",
                f"{_span(delay)} at the median, {_span(facts.delay_p90_us or delay)} for nine in ten",
            )
        )
        words = (
            f"Outcomes are joined as they become known, half of them within {_span(delay)}; "
            "each day is held against the days the model was judged on."
        )
        if delay > LATE_LABEL_US:
            doubts.append(f"Half of the labels take longer than {_span(delay)}: until then only drift can be seen.")
    if facts.labelled and facts.days:
        cases = facts.positives / facts.days
        evidence.append(("true labels per day", f"{cases:.1f}"))
        if cases < 1:
            doubts.append(f"There are {cases:.2f} true labels a day: a fall in quality takes weeks to show.")
    if not monitor.alert.get("to"):
        doubts.append("Alerts go nowhere: set monitor.alert.")
    return _answer("degradation", words, evidence, doubts, [], open_=delay is None)


def _ownership(brief: Brief) -> Answer:
    owner, review = brief.decision.owner, brief.decision.review
    value, retrain = brief.value, brief.retrain
    budget = value.retraining_per_month
    evidence = [
        ("owner", owner if said(owner) else "nobody"),
        ("review", review if said(review) else "never"),
        ("retrained when", _listed(retrain.when) or "never"),
        ("at most", f"{retrain.budget_per_month} times in 30 days"),
        ("budget", "not said" if budget is None else f"{_money(budget, value.currency)} per month"),
    ]
    doubts = [] if said(owner) else ["Nobody owns the decision: set decision.owner."]
    doubts += [] if said(review) else ["Nobody reviews it: set decision.review."]
    doubts += [] if budget is not None else ["There is no budget for retraining: set value.retraining_per_month."]
    if said(owner):
        spent = (
            "without a budget for retraining"
            if budget is None
            else f"with {_money(budget, value.currency)} per month for retraining"
        )
        words = f"{owner} owns it, {spent}."
    else:
        words = "The brief does not say who owns it."
    return _answer("ownership", words, evidence, doubts, [], open_=not said(owner))


# -- small ones


def _answer(
    name: str,
    words: str,
    evidence: list[tuple[str, str]],
    doubts: list[str],
    gates: list[Gate],
    *,
    open_: bool,
) -> Answer:
    return Answer(
        name=name,
        question=QUESTIONS[name],
        state="open" if open_ else "doubtful" if doubts or gates else "answered",
        words=words,
        evidence=tuple(evidence),
        doubts=tuple(doubts),
        todo=gates[0].todo if gates else doubts[0] if doubts else "",
        gates=tuple(gates),
    )


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text[-1:] in {".", "!", "?"} else f"{text}."


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def _money(amount: float, currency: str) -> str:
    return f"{amount:,.0f} {currency}" if abs(amount) >= 100 else f"{amount:,.2f} {currency}"


def _span(us: int) -> str:
    """Return a length in the unit that a person would choose.

    Examples
    --------
    >>> _span(17_400_000_000), _span(30 * DAY)
    ('4.83 hours', '30 days')
    """
    for unit, size in (("day", DAY), ("hour", HOUR), ("minute", MINUTE), ("second", SECOND)):
        if us >= 2 * size or unit == "second":
            return f"{us / size:.3g} {unit}s"
    raise AssertionError


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
