"""The way from a prediction back to source rows, and forward to outcome and money, as a tree."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from headway.screens.figures import counted, money, short
from headway.screens.page import Branch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headway.loop.traced import Derived, LookUp, Replayed, Trace
    from headway.screens.page import Page

__all__ = ["show_trace"]

_FILES = 4
"""So many files of a snapshot are named on a screen."""
_REASONS = 6
"""So many reasons are shown on a screen."""


def show_trace(page: Page, traced: Trace) -> None:
    """Write a trace."""
    root = Branch(f"prediction {traced.prediction.id}", tone="strong")
    _answer(root, traced)
    _way_back(root, traced)
    _why(root, traced)
    _features(root, traced)
    _forward(root, traced)
    page.tree(root)


def _answer(root: Branch, traced: Trace) -> None:
    found = traced.prediction
    acted = "act" if found.act else "do not act"
    line = f"from {found.cutoff:.4f} on" if found.line else "every prediction is acted on"
    answer = root.add(
        f"score {found.score:.4f}: {acted} ({line})"
        if not found.probabilities
        else f"{found.said}: {acted}" + (f" (above {found.line})" if found.line else "")
    )
    for name, share in sorted(found.probabilities.items(), key=lambda each: -each[1]):
        answer.add(f"{name}: {share:.1%}", tone="dim")
    root.add(f"of {_pairs(found.key)}, as of {found.predict_at}")
    served = f"served {found.served_at} in {found.latency_us / 1e3:.1f} ms"
    root.add(served + (f", in batch {found.batch}" if found.batch else ""))
    if found.stale:
        root.add(f"looked up too old: {', '.join(found.stale)}", tone="warn")


def _way_back(root: Branch, traced: Trace) -> None:
    one = traced.release
    release = root.add(f"release {one.id}: {one.role} since {one.since}, by {one.by}: {one.why}")
    kind = traced.model
    model = release.add(f"model {short(kind.digest)}: {kind.algorithm} ({_pairs(kind.settings)}), seed {kind.seed}")
    model.add(f"learned from {counted(kind.rows, 'row')}, {kind.trained_from} to {kind.trained_to}")
    run = model.add(f"run {traced.run.id} as of {traced.run.as_of}: {traced.run.reason}")
    run.add(f"verdict: {traced.verdict}")
    rows = ", ".join(f"{count:,} {name}" for name, count in traced.dataset.rows.items() if count)
    dataset = run.add(f"dataset {short(traced.dataset.id)}: {rows}; {traced.dataset.void:,} without an outcome")
    for snapshot in traced.snapshots:
        words = f"snapshot of {snapshot.source} {short(snapshot.version)}: {counted(snapshot.rows, 'row')}"
        branch = dataset.add(f"{words}, {' and '.join(snapshot.used_for)}")
        for file in snapshot.files[:_FILES]:
            branch.add(f"{file.file}  {short(file.digest)}  {counted(file.rows, 'row')}", tone="dim")
        if rest := snapshot.files[_FILES:]:
            count = sum(file.rows for file in rest)
            words = f"and {counted(len(rest), 'more file')}, {counted(count, 'row')}; --json names them all"
            branch.add(words, tone="dim")


def _why(root: Branch, traced: Trace) -> None:
    why = traced.why
    if why is None:
        root.add("why: no reasons were kept; the brief does not ask for them (success.explainable)", tone="dim")
        return
    of = f" of {why.of}" if why.of else ""
    sound = "" if why.adds_up else "; NOT the answer that was given"
    branch = root.add(
        f"why: {why.base:+.4g} {why.scale}{of} on average, {why.total:+.4g} here{sound}",
        tone="" if why.adds_up else "bad",
    )
    for reason in why.reasons[:_REASONS]:
        branch.add(f"{reason.feature} = {_value(reason.value)}: {reason.contribution:+.4g}   ({reason.in_words})")
    if rest := why.reasons[_REASONS:]:
        together = sum(reason.contribution for reason in rest)
        branch.add(f"and {len(rest)} more, {together:+.4g} together; --json names them all", tone="dim")


def _features(root: Branch, traced: Trace) -> None:
    equal = "the same bits as recomputed from these rows" if traced.replayed_equal else "NOT as recomputed"
    branch = root.add(f"{len(traced.features)} features, {equal}", tone="" if traced.replayed_equal else "bad")
    for derived in traced.derived:
        one = branch.add(f"{derived.name} = {_value(derived.value)}{_meaning(derived)}")
        for look_up in derived.look_ups:
            _look_up(one, look_up)
    for feature in traced.features:
        _feature(branch, feature)


def _feature(branch: Branch, feature: Replayed) -> None:
    differs = "" if feature.equal else f", but {_value(feature.replayed)} when recomputed"
    one = branch.add(
        f"{feature.name} = {_value(feature.served)}{differs}{_meaning(feature)}",
        tone="" if feature.equal else "bad",
    )
    if not feature.look_ups and feature.lineage:
        one.add(f"from {', '.join(feature.lineage)}", tone="dim")
    for look_up in feature.look_ups:
        _look_up(one, look_up)


def _meaning(column: Derived | Replayed) -> str:
    return "" if column.definition == column.name else f"   ({column.definition})"


def _look_up(branch: Branch, look_up: LookUp) -> None:
    span = f" after {look_up.after}" if look_up.after else ""
    until = f" until {look_up.until}" if look_up.until else ""
    found = counted(look_up.count, "row")
    one = branch.add(f"{look_up.source} where {_pairs(look_up.match)}{span}{until}: {found}", tone="dim")
    for row in look_up.rows:
        known = f", known {row.known_at}" if row.known_at else ""
        one.add(f"{row.file} row {row.row:,}{known}: {_pairs(row.values)}", tone="dim")
    if look_up.count > len(look_up.rows):
        one.add(f"and {look_up.count - len(look_up.rows):,} more", tone="dim")


def _forward(root: Branch, traced: Trace) -> None:
    outcome = traced.outcome
    if outcome is None:
        root.add("outcome: not known yet")
        return
    label = "void, it will never be known" if outcome.label is None else _value(outcome.label)
    label = label.lower() if isinstance(outcome.label, bool) else label
    branch = root.add(f"outcome: {label}, known {outcome.known_at}, {outcome.status}", tone="strong")
    for told in outcome.told:
        branch.add(f"said before: {_pairs(told)}", tone="dim")
    acted = "acted on" if traced.acted_on else "not acted on"
    branch.add(f"{acted}, worth {money(traced.money, traced.currency)}")


def _value(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in values.items())
