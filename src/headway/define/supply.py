"""Is the data available, accessible and good enough? The second question, answered from the figures.

The file hides the bounds: what is too few, too old, too often missing, too short a history; and what closes the gate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.define.answer import Answer, Doubt, Gate, answered
from headway.define.phrasing import day_text, length, listed, percent
from headway.define.promise import SIGNIFICANT, expected_doubts, signal_gates
from headway.define.stewardship import source_doubts
from headway.define.supply_evidence import data_evidence, labels_said, swing_said
from headway.nouns.clock import format_moment
from headway.nouns.span import DAY, MINUTE, parse_span
from headway.nouns.task import MOST_TOLD

if TYPE_CHECKING:
    from headway.define.availability import LookUp
    from headway.define.facts import Facts
    from headway.nouns.brief import Brief

__all__ = ["data_answer"]

LEAST_CASES = 30
"""Fewer positives in a split than this, and its average precision is anybody's guess: the standard error of a share of
30 is at best a tenth."""
MUCH_MISSING, MUCH_STALE, MUCH_VOID, MANY_DAYS = 0.5, 0.05, 0.2, 0.9
MUCH_ABSENT, MUCH_EMBARGOED, MUCH_TRUNCATED = 0.1, 0.05, 0.25
UNEVEN = 1.2
"""Labels that take so many times as long as others are missing selectively at the end of a period."""
TWICE = 2.0
"""What a season does is known when it was seen so often."""
HORIZONS = 3.0
"""Train, validate and test want so many horizons one after the other."""


def data_answer(brief: Brief, facts: Facts) -> Answer:
    """Return the answer to the second question."""
    gates = _unlearnable(brief, facts) or _told(facts) or signal_gates(facts)
    doubts = [
        *_thin(brief, facts),
        *_told_doubts(facts),
        *_immature(facts),
        *_short(facts),
        *_gaps(facts),
        *_look_up_doubts(facts, zone=brief.split.zone),
        *source_doubts(brief, facts),
        *_signal_doubts(facts),
        *expected_doubts(brief, facts),
    ]
    if gates:
        words = f"No: {gates[0].why}"
    else:
        words = f"There are {facts.labelled:,} labelled examples over {facts.days:,} days: {labels_said(facts)}."
        if facts.signal is not None:
            together = facts.signal.p_value > SIGNIFICANT and facts.signal.foretold
            much = "something" if facts.signal.p_value <= SIGNIFICANT or together else "nothing sure"
            words += f" The features say {much} about the label{', but only together' if together else ''}."
    evidence = data_evidence(facts, zone=brief.split.zone)
    return answered("data", words, evidence, doubts=doubts, gates=gates, open_=bool(gates))


# -- gates


def _unlearnable(brief: Brief, facts: Facts) -> list[Gate]:
    why, todo = _why_unlearnable(brief, facts)
    if not why:
        return []
    counts = {split.name: [split.examples, split.positives] for split in facts.splits}
    evidence = {"examples": facts.examples, "labelled": facts.labelled, "splits": counts}
    return [Gate(name="data", why=why, todo=todo, evidence=evidence)]


def _why_unlearnable(brief: Brief, facts: Facts) -> tuple[str, str]:
    if not facts.examples:
        return "there is no example.", "Look at target.predict_at, and at the moments of the examples' source."
    if not facts.labelled:
        return _why_unlabelled(brief, facts)
    for split in facts.splits:
        if split.name == "after":
            continue
        if not split.examples:
            rest = [f"{split.embargoed:,} are labelled only after it"] if split.embargoed else []
            rest += [f"{split.void:,} have no label by now"] if split.void else []
            rest += [f"the horizon of {split.censored:,} is not over"] if split.censored else []
            because = f" ({', '.join(rest)})" if rest else ""
            return (
                f"the {split.name} period has no labelled example{because}.",
                f"Move split.{split.name}_before, or look at target.label_known_at.",
            )
        if facts.task == "condition" and split.positives in {0, split.examples}:
            one = "true" if split.positives else "false"
            return (
                f"the label is {one} for every example of the {split.name} period.",
                "Look at target.label, or widen the period.",
            )
    if facts.alike and facts.task != "condition":
        return "the label is the same for every example.", "Look at target.label, or widen the period."
    return "", ""


def _why_unlabelled(brief: Brief, facts: Facts) -> tuple[str, str]:
    rest = []
    if facts.unmatured:
        rest.append(f"of {facts.unmatured:,} the outcome is not known yet")
    if facts.void:
        rest.append(f"{facts.void:,} have none, and will have none")
    because = f" ({', '.join(rest)})" if rest else ""
    todo = "Look at target.label and target.label_known_at."
    over_horizon = bool(brief.target.end) and brief.target.label_known_at == brief.target.end
    if over_horizon and facts.unmatured and facts.first_us is not None:
        because += f"; the oldest is {length(facts.as_of_us - facts.first_us)} old"
        todo = f"Choose a horizon shorter than {brief.target.horizon} (target.horizon), or wait for more data."
    return f"no example has a label that is known{because}.", todo


def _told(facts: Facts) -> list[Gate]:
    if not facts.labelled or facts.told / facts.labelled <= MOST_TOLD:
        return []
    return [
        Gate(
            name="leak",
            why=f"{_told_said(facts)}: there is nothing to predict, and features that look back upon labels see it.",
            todo="Ask earlier (target.predict_at), or say when the label is really known (target.label_known_at).",
            evidence={"told": facts.told, "labelled": facts.labelled},
        )
    ]


def _told_said(facts: Facts) -> str:
    return f"the label of {facts.told:,} of {facts.labelled:,} examples is known when the prediction is asked for"


# -- doubts


def _told_doubts(facts: Facts) -> list[Doubt]:
    if not facts.told or _told(facts):
        return []
    return [
        Doubt(
            why=f"{_told_said(facts).capitalize()}.",
            todo="Ask why: clocks that differ, or outcomes that were dated back? Leave these out of the examples.",
        )
    ]


def _thin(brief: Brief, facts: Facts) -> list[Doubt]:
    rarer = {split.name: min(split.positives, split.examples - split.positives) for split in facts.splits}
    doubts = [
        Doubt(
            why=f"The {name} period has only {count} examples of the rarer class: its score will be vague.",
            todo=f"Widen it: split.{name}_before.",
        )
        for name, count in rarer.items()
        if facts.task == "condition" and name != "after" and 0 < count < LEAST_CASES
    ]
    if facts.examples and facts.void / facts.examples > MUCH_VOID:
        doubts.append(
            Doubt(
                why=f"{percent(facts.void / facts.examples)} of the examples are void.",
                todo="Ask whether target.label_known_at is right, and why so many outcomes never come.",
            )
        )
    # Who asks every seventh day cannot have examples on more than one day in seven.
    asked = DAY / max(parse_span(brief.target.each), DAY) if brief.target.each else 1.0
    if facts.days and facts.days_covered < MANY_DAYS * asked:
        doubts.append(
            Doubt(
                why=f"Only {percent(facts.days_covered)} of the days have an example.",
                todo="Ask whether days are lacking in the data, or nothing happened on them.",
            )
        )
    return doubts


def _immature(facts: Facts) -> list[Doubt]:
    found = facts.availability.maturity
    if found is None or found.p99_us <= UNEVEN * found.median_us:
        return []  # every label takes as long as any other: what is left out is not of a kind
    shares = {s.name: s.embargoed / (s.examples + s.embargoed) for s in facts.splits if s.embargoed}
    much = {name: share for name, share in shares.items() if name != "after" and share > MUCH_EMBARGOED}
    if not much:
        return []
    said_ = listed(f"{percent(share)} of {name}" for name, share in much.items())
    return [
        Doubt(
            why=f"Labels that came too late for their period are left out: {said_}. Those left in are the quick ones, "
            "which may be of another kind.",
            todo="Use longer periods, so that fewer are left out, or a label that is known sooner.",
        )
    ]


def _short(facts: Facts) -> list[Doubt]:
    doubts = []
    if facts.delay_median_us and facts.days * DAY < HORIZONS * facts.delay_median_us:
        times = facts.days * DAY / facts.delay_median_us
        doubts.append(
            Doubt(
                why=f"The history covers {times:.1f} times what a label takes ({length(facts.delay_median_us)}): "
                "train, validate and test want at least three.",
                todo="Find older data, or a label that is known sooner.",
            )
        )
    for swing in facts.availability.swings:
        if swing.of == "week" and facts.days and swing.seen < TWICE:
            doubts.append(
                Doubt(
                    why=f"The history is {facts.days} days: no weekday was seen twice.",
                    todo="Collect more days before a verdict is believed.",
                )
            )
        if swing.of == "year" and swing.shows and swing.seen < TWICE:
            doubts.append(
                Doubt(
                    why=f"From month to month the label swings {swing_said(swing, facts)}; {swing.seen:.1f} years of "
                    "history have not seen any season twice: what returns every year cannot be told from what changed "
                    "for good.",
                    todo="Use older data if there are any; else expect the next turn of the season to look like drift.",
                )
            )
    return doubts


def _gaps(facts: Facts) -> list[Doubt]:
    missing = [feature.name for feature in facts.features if feature.missing > MUCH_MISSING]
    if not missing:
        return []
    return [
        Doubt(
            why=f"Missing in more than half of the examples: {listed(missing)}.",
            todo="Ask whether that is right, and drop what says too little.",
        )
    ]


def _look_up_doubts(facts: Facts, *, zone: str) -> list[Doubt]:
    doubts = []
    for one in facts.availability.look_ups:
        way = f"Source {one.source!r}, matched by {listed(one.mine)}," if one.mine else f"Source {one.source!r}"
        limit = length(one.limit_us) if one.limit_us is not None else ""
        if one.absent > MUCH_ABSENT and one.kind != "window":
            doubts.append(
                Doubt(
                    why=f"{percent(one.absent)} of the examples have a {listed(one.mine)} that {one.source} does not.",
                    todo=f"Ask whether the keys are spelt alike, and whether {one.source} is complete.",
                )
            )
        if one.tied:
            doubts.append(
                Doubt(
                    why=f"{percent(one.tied)} of the rows of {one.source} share {listed(one.theirs)} and moment with "
                    "another row that says otherwise: a look-up takes one of them, and many would match.",
                    todo=f"Match on more columns, or aggregate over a window: features.{one.features[0]}.",
                )
            )
        if one.bound != "max_age" or one.limit_us is None:
            continue
        if one.stale > MUCH_STALE:
            often = ""
            if one.step_us is not None and one.step_us > one.limit_us:
                often = f": the source has a row every {length(one.step_us)}"
            doubts.append(
                Doubt(
                    why=f"{way} is older than its max_age of {limit} for {percent(one.stale)} of the "
                    f"predictions{often}.",
                    todo="Have the source come sooner, or allow a greater max_age.",
                )
            )
        elif one.outages:
            doubts.append(_outage_said(one, way, limit, zone=zone))
    return doubts


def _outage_said(one: LookUp, way: str, limit: str, *, zone: str) -> Doubt:
    def when(first: int, last: int) -> str:
        return day_text(first) if first == last else f"{day_text(first)} to {day_text(last)}"

    times = listed((when(each.first_day, each.last_day) for each in one.outages), most=4)
    count = sum(each.examples for each in one.outages)
    share = sum(each.share * each.examples for each in one.outages) / count
    worst = ""
    if one.worst_us is not None and one.worst_at_us is not None:
        last = format_moment((one.worst_at_us - one.worst_us) // MINUTE * MINUTE, zone=zone)[:16].replace("T", " ")
        worst = f", {length(one.worst_us)} at worst, when its last row was of {last}"
    return Doubt(
        why=f"{way} stood still on {times}: older than its max_age of {limit} for {percent(share)} of {count:,} "
        f"predictions{worst}.",
        todo="Ask why, and decide who is told when it happens again; predictions are then made without it.",
    )


def _signal_doubts(facts: Facts) -> list[Doubt]:
    # Of labels that are all alike the gate speaks: more of them would tell no more.
    if facts.signal is None and facts.labelled and not facts.alike:
        return [
            Doubt(
                why="Too few labelled examples to ask whether the features say anything.",
                todo="Collect more, or ask about more cases.",
            )
        ]
    return []
