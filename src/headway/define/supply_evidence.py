"""The figures of the data, in words: what stands beside the answer to the second question, whatever the verdict is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.define.phrasing import length, listed, percent
from headway.define.promise import signal_evidence
from headway.nouns.clock import format_moment
from headway.nouns.span import MINUTE

if TYPE_CHECKING:
    from headway.define.availability import LookUp, Swing
    from headway.define.facts import Facts

__all__ = ["data_evidence", "labels_said", "swing_said"]


def labels_said(facts: Facts) -> str:
    """Return what the labels are like, in a few words."""
    label = facts.label
    if label is None:
        return "none has a label"
    if facts.task == "number":
        return f"{label.mean:,.4g} on average, nine in ten between {label.low:,.4g} and {label.high:,.4g}"
    if facts.task == "category":
        first, last = label.classes[0], label.classes[-1]
        return (
            f"{len(label.classes)} classes, from {first[0]!r} ({percent(first[1])}) to {last[0]!r} ({percent(last[1])})"
        )
    if facts.task == "ranking":
        of = f"in {label.groups:,} groups of {facts.labelled / max(label.groups, 1):,.3g}"
        return f"{percent(facts.base_rate or 0.0)} of them relevant, {of}"
    return f"{percent(facts.base_rate or 0.0)} of them true"


def data_evidence(facts: Facts, *, zone: str) -> list[tuple[str, str]]:
    """Return what is shown beside the answer to the second question: what it is, and what was found."""
    found = [("examples", _examples(facts))]
    if facts.first_us is not None and facts.last_us is not None:
        first, last = (format_moment(moment, zone=zone)[:10] for moment in (facts.first_us, facts.last_us))
        found.append(("from, to", f"{first}, {last}"))
    found.append(("history", _history(facts)))
    found += _maturity(facts, zone=zone)
    for split in facts.splits:
        if split.name != "after":
            cases = f", {split.positives:,} true" if facts.task == "condition" else ""
            late = f"; {split.embargoed:,} embargoed" if split.embargoed else ""
            found.append((split.name, f"{split.examples:,} examples{cases}, {split.days} days{late}"))
    found += [(_way(one), _found(one)) for one in facts.availability.look_ups]
    worst = max(facts.features, key=lambda feature: feature.missing, default=None)
    if worst is not None and worst.missing:
        found.append(("most often missing", f"{worst.name}, {percent(worst.missing)}"))
    if facts.signal is not None:
        found += signal_evidence(facts.signal)
    return found


def _examples(facts: Facts) -> str:
    void = f"; {facts.void:,} void: their outcome never comes" if facts.void else ""
    if facts.rounds is not None:
        return f"{facts.examples:,}, asked about in {facts.rounds:,} rounds{void}"
    return f"{facts.examples:,} of {facts.rows:,} rows{void}"


def _history(facts: Facts) -> str:
    years = facts.days / 365.25
    span = f"{facts.days:,} days" if facts.days < 60 else f"{facts.days / 7:.0f} weeks, {years:.1f} years"
    swings = [swing_said(swing, facts) for swing in facts.availability.swings if swing.shows]
    return f"{span}; the label swings {' and '.join(swings)}" if swings else span


def swing_said(swing: Swing, facts: Facts) -> str:
    """Return between which two months, or days of the week, the label swings, and how far."""
    assert swing.low is not None
    assert swing.high is not None
    low, high = ((f"{one:,.3g}" if facts.task == "number" else percent(one)) for one in (swing.low, swing.high))
    return f"from {low} ({swing.low_name}) to {high} ({swing.high_name})"


def _maturity(facts: Facts, *, zone: str) -> list[tuple[str, str]]:
    found = facts.availability.maturity
    if found is None:
        return [("not yet labelled", f"{facts.unmatured:,}")]
    if found.median_us == found.p99_us:
        known = f"99% within {length(found.p99_us)} of the prediction"
    else:
        known = f"half {length(found.median_us)} after the prediction, 95% after {length(found.p95_us)}"
        known += f", 99% after {length(found.p99_us)}"
    since = format_moment(-(-found.since_us // MINUTE) * MINUTE, zone=zone)[:16].replace("T", " ")
    if not found.immature:
        young = f"none: no example is younger than {length(found.p99_us)}"
    else:
        of = f"the newest {found.immature:,} examples, since {since}"
        wait = f"{found.waiting:,} wait for a label, {found.expected:,.0f} of them will get one"
        young = f"{of}: {wait}" if found.waiting else f"{of}: all have a label already"
    return [("labels are known", known), ("not yet mature", young)]


def _way(one: LookUp) -> str:
    near = "nearest to" if one.kind == "nearest" else "by"
    return f"{one.source} {near} {listed(one.mine)}" if one.mine else f"{one.source}, all rows"


def _found(one: LookUp) -> str:
    if one.kind in {"static", "nearest"}:
        return _matched(one)
    if one.median_us is None:
        return "nothing was ever known when a prediction was asked for"
    ages = f"{length(one.median_us)} old at the median, {length(one.p95_us or 0)} for 95%"
    ages += f", {length(one.worst_us or 0)} at worst"
    if one.limit_us is not None:
        ages += f"; beyond the {one.bound} of {length(one.limit_us)} for {percent(one.stale)}"
    return f"{ages}; {_matched(one)}"


def _matched(one: LookUp) -> str:
    if not one.nothing:
        return "every example finds one" if one.kind == "nearest" else "every example finds a row"
    parts = [f"{percent(one.nothing)} of the examples find none"]
    if one.unnamed:
        parts.append(f"{percent(one.unnamed)} lack {'the place' if one.kind == 'nearest' else 'the key'}")
    if one.absent:
        parts.append(f"{percent(one.absent)} have a key that is not there")
    return ", ".join(parts)
