"""How each statistical signal turns one day into a bet: the file hides which figure is held against which bound.

Two kinds of figure. *Ranked* ones are held against the reference's days (`Yardstick`). *Paired* ones hold two choices
made on the very same rows against each other (live release and previous one, model and rule, model and doing
nothing); their healthy mean is zero by meaning, so that they need no reference. A paired figure is clipped from below
at one ``scale`` and bets against a tolerance of a share of it: a day on which the live release is far better must not
hide many on which it is worse, and the scale is what makes the bet bounded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from headway.monitor import figures
from headway.monitor.day import YES_OR_NO
from headway.monitor.evidence import Stream, bet, push
from headway.nouns.money import decide, decide_by_rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from headway.monitor.day import Cohort
    from headway.monitor.reference import Reference
    from headway.monitor.yardstick import Yardstick
    from headway.nouns.brief import Value

__all__ = ["RANKED", "Pair", "paired", "push_paired", "push_ranked"]

RANKED: dict[str, tuple[str, Literal["up", "down"], Callable[[NDArray[np.float64], NDArray[np.float64]], float]]] = {
    "base-rate-rise": ("base-rate", "up", figures.base_rate),
    "base-rate-fall": ("base-rate", "down", figures.base_rate),
    "scores-too-low": ("too-low", "up", figures.calibration_error),
    "scores-too-high": ("too-high", "down", figures.calibration_error),
    "loss": ("loss", "up", figures.loss_beyond_expected),
    "ranking": ("ranking", "down", figures.ranking),
}
"""Per signal: the yardstick, the harmful direction, and how the day's figure is measured."""

_LOSS_SCALE = 0.075
_MONEY_SCALE = 0.2
_RANKING_SCALE = 0.03
_TOLERATED = 0.25


class Pair(NamedTuple):
    """One day's paired figure: above zero is worse; ``scale`` is what counts as one unit of worse."""

    figure: float
    scale: float


def push_ranked(stream: Stream, yardstick: Yardstick, signal: str, figure: float, *, day: int) -> Stream:
    """Return the stream after a day with this natural figure; NaN leaves it as it was."""
    if math.isnan(figure):
        return stream
    rank = yardstick.rank(figure, RANKED[signal][1])
    return push(stream, bet(rank, yardstick.bound(stream.last)), day=day, figure=figure, last=rank)


def push_paired(stream: Stream, pair: Pair, *, day: int) -> Stream:
    """Return the stream after a day with this paired figure; NaN leaves it as it was."""
    if math.isnan(pair.figure):
        return stream
    y = max(pair.figure / pair.scale, -1.0) + 1.0
    return push(stream, bet(y, 1.0 + _TOLERATED), day=day, figure=pair.figure)


def paired(reference: Reference, cohort: Cohort) -> dict[str, Pair]:
    """Return the paired figures that this cohort, made by the release of ``reference``, can tell."""
    known = cohort.known
    if reference.task not in YES_OR_NO or known.sum() < figures.FEWEST_LABELS:
        return {}
    # Decisions are made on all rows of the day, known outcome or not: that is how the action met them.
    day = np.full(len(cohort.labels), cohort.day)
    acted = decide(cohort.scores, day, reference.act_on) if cohort.acted is None else cohort.acted
    found = {"money": _worse(reference.value, cohort, acted, np.zeros_like(acted))}
    if cohort.rule is not None:
        ruled = decide_by_rule(cohort.rule, day, reference.act_on, acted=acted)
        found["money-rule"] = _worse(reference.value, cohort, acted, ruled)
    if cohort.previous_scores is not None:
        before = decide(cohort.previous_scores, day, reference.act_on)
        found["release-money"] = _worse(reference.value, cohort, acted, before)
        found |= _against_previous(reference, cohort, cohort.previous_scores)
    return found


def _worse(value: Value, cohort: Cohort, acted: NDArray[np.bool_], instead: NDArray[np.bool_]) -> Pair:
    """Return how much more the day would have earned with the other actions; what is unknown earns nothing."""
    known = cohort.known
    paid = np.where(cohort.labels > 0, value.true_positive, value.false_positive)
    actions = max(int(acted[known].sum()), int(instead[known].sum()))
    stake = abs(value.true_positive - value.false_positive) * actions
    figure = float(paid[instead & known].sum() - paid[acted & known].sum())
    return Pair(figure, _MONEY_SCALE * stake) if stake else Pair(math.nan, 1.0)


def _against_previous(reference: Reference, cohort: Cohort, previous: NDArray[np.float64]) -> dict[str, Pair]:
    both = cohort.known & ~np.isnan(previous)
    if both.sum() < figures.FEWEST_LABELS:
        return {}
    labels, ours, theirs = cohort.labels[both], cohort.scores[both], previous[both]
    worse = float((figures.log_losses(ours, labels) - figures.log_losses(theirs, labels)).mean())
    # The scale is a share of the loss itself: that much more than the previous release is one unit of harm.
    scale = _LOSS_SCALE * reference.usual_loss
    ranked = figures.ranking(theirs, labels) - figures.ranking(ours, labels)
    return {"release-loss": Pair(worse, scale), "release-ranking": Pair(ranked, _RANKING_SCALE)}
