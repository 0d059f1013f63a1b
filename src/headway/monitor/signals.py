"""The table of statistical signals: what each bets on, with which share of the promise, and what it says.

Signals stand in families. A family alarms when the weighted sum of its streams reaches its own figure, so each family
has its own mean time to a false alarm; the rates of the two paging families add up to one in ``A`` windows:
``0.9 / A`` for *outcomes* and ``0.1 / A`` for *serving*. A rate is promised because rates add up whatever the
dependence between families, which see different things at different times. *World* and *drift* never page;
a false report costs a glance, so that each may be wrong four times as often as the promise says of pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from headway.nouns.finding import FindingKind

if TYPE_CHECKING:
    from headway.nouns.task import Task

__all__ = ["FAMILIES", "SIGNALS", "Family", "Signal", "promise", "said_of"]

Family = Literal["outcomes", "serving", "world", "drift"]

FAMILIES: dict[Family, float] = {"outcomes": 0.9, "serving": 0.1, "world": 4.0, "drift": 4.0}
"""How often a family may be wrong, as a share of the promised rate of false alarms."""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of bets and its words.

    ``message`` may name ``{now}`` (mean since the onset) and ``{then}`` (mean of the reference).
    """

    name: str
    subject: str
    kind: FindingKind
    family: Family
    weight: float
    direction: Literal["up", "down"] = "up"
    shown: Literal["percent", "points", "nats", "money", "plain"] = "plain"
    message: str
    todo: str


_CALIBRATE = (
    "Rank-based decisions are not touched; where the probability itself is used, recalibrate or retrain on recent data."
)

SIGNALS: tuple[Signal, ...] = (
    Signal(
        name="ranking",
        subject="scores",
        kind="performance",
        family="outcomes",
        weight=0.2,
        direction="down",
        message="The model tells true from false less well: AUC by day {now}, {then} when it was judged",
        todo="Retrain on recent data; if a release was just made, compare it with the one before.",
    ),
    Signal(
        name="loss",
        subject="scores",
        kind="performance",
        family="outcomes",
        weight=0.15,
        shown="nats",
        message="The model is wrong more often than it says: loss beyond its own expectation {now}, {then} when judged",
        todo="Recalibrate or retrain on recent data.",
    ),
    Signal(
        name="money",
        subject="against doing nothing",
        kind="business",
        family="outcomes",
        weight=0.1,
        shown="percent",
        message="Acting on the model loses {now} a day, against doing nothing",
        todo="Stop acting on it, or act on fewer; then retrain.",
    ),
    Signal(
        name="money-rule",
        subject="against the rule",
        kind="business",
        family="outcomes",
        weight=0.1,
        shown="money",
        message="Today's rule earns {now} a day more than the model",
        todo="Use the rule until a better model is released; retrain.",
    ),
    Signal(
        name="release-loss",
        subject="against the previous release",
        kind="performance",
        family="outcomes",
        weight=0.2,
        shown="nats",
        message="The live release is worse than the one it replaced: log loss {now} higher on the same traffic",
        todo="Roll back to the previous release, then find out what was different in how it was made.",
    ),
    Signal(
        name="release-ranking",
        subject="against the previous release",
        kind="performance",
        family="outcomes",
        weight=0.15,
        message="The live release ranks worse than the one it replaced: AUC by day {now} lower on the same traffic",
        todo="Roll back to the previous release, then find out what was different in how it was made.",
    ),
    Signal(
        name="release-money",
        subject="against the previous release",
        kind="business",
        family="outcomes",
        weight=0.1,
        shown="money",
        message="The live release earns {now} a day less than the one it replaced, on the same traffic",
        todo="Roll back to the previous release, then find out what was different in how it was made.",
    ),
    Signal(
        name="serving-bug",
        subject="scores",
        kind="operational",
        family="serving",
        weight=1.0,
        shown="percent",
        message="The scores have shifted by {now} although neither the inputs nor the release changed",
        todo="Compare served features and scores with their offline recomputation; fix or roll back, do not retrain.",
    ),
    Signal(
        name="base-rate-rise",
        subject="label",
        kind="concept",
        family="world",
        weight=0.45,
        shown="percent",
        message="The label is true more often: {now} of outcomes, {then} when the release was judged",
        todo="Expect more cases than the action was planned for; retrain or recalibrate if calibration suffers too.",
    ),
    Signal(
        name="base-rate-fall",
        subject="label",
        kind="concept",
        family="world",
        weight=0.15,
        direction="down",
        shown="percent",
        message="The label is true less often: {now} of outcomes, {then} when the release was judged",
        todo="Expect fewer cases, and a smaller share of right actions; nothing else if calibration holds.",
    ),
    Signal(
        name="scores-too-low",
        subject="calibration",
        kind="performance",
        family="world",
        weight=0.25,
        shown="points",
        message="The scores are too low: outcomes minus scores {now} on average, {then} when the release was judged",
        todo=_CALIBRATE,
    ),
    Signal(
        name="scores-too-high",
        subject="calibration",
        kind="performance",
        family="world",
        weight=0.15,
        direction="down",
        shown="points",
        message="The scores are too high: outcomes minus scores {now} on average, {then} when the release was judged",
        todo=_CALIBRATE,
    ),
)


_NUMBER_WORDS = {
    "base-rate-rise": "The numbers have risen: {now} on average, {then} when the release was judged",
    "base-rate-fall": "The numbers have fallen: {now} on average, {then} when the release was judged",
    "scores-too-low": "The predictions are too low: label minus prediction {now} on average, {then} when judged",
    "scores-too-high": "The predictions are too high: label minus prediction {now} on average, {then} when judged",
}


def said_of(signal: Signal, task: Task) -> Signal:
    """Return a signal in the words of the kind of target that is watched.

    Examples
    --------
    >>> said_of(SIGNALS[8], "number").message
    'The numbers have risen: {now} on average, {then} when the release was judged'
    """
    if task != "number" or signal.name not in _NUMBER_WORDS:
        return signal
    return msgspec.structs.replace(
        signal,
        message=_NUMBER_WORDS[signal.name],
        shown="plain",
        todo="Look at what changed in the world or the sources; retrain on recent data if the error matters.",
    )


def promise(windows: float, family: Family) -> float:
    """Return the figure at which a family alarms, given the promised mean number of windows between false alarms.

    Examples
    --------
    >>> round(promise(365.0, "outcomes"), 1), promise(365.0, "serving")
    (405.6, 3650.0)
    """
    return windows / FAMILIES[family]
