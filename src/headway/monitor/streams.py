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
from headway.monitor.evidence import Stream, bet, push
from headway.nouns.money import decide, decide_by_rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from headway.monitor.day import Cohort
    from headway.monitor.reference import Reference
    from headway.monitor.yardstick import Yardstick

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
_RIGHT_SCALE = 0.2
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
    if known.sum() < figures.FEWEST_LABELS:
        return {}
    # Decisions are made on all rows of the day, known outcome or not: that is how the action met them.
    day = np.full(len(cohort.labels), cohort.day)
    acted = decide(cohort.scores, day, reference.act_on) if cohort.acted is None else cohort.acted
    right = figures.right_share(acted, cohort.labels)
    found: dict[str, Pair] = {}
    gain, cost = reference.value.true_positive, reference.value.false_positive
    if cost < 0 < gain:
        found["money"] = Pair(-cost / (gain - cost) - right, _RIGHT_SCALE)
    if cohort.rule is not None:
        ruled = decide_by_rule(cohort.rule, day, reference.act_on, acted=acted)
        found["money-rule"] = Pair(figures.right_share(ruled, cohort.labels) - right, _RIGHT_SCALE)
    if cohort.previous_scores is not None:
        found |= _against_previous(reference, cohort, right, day)
    return found


def _against_previous(reference: Reference, cohort: Cohort, right: float, day: NDArray[np.int64]) -> dict[str, Pair]:
    previous = cohort.previous_scores
    assert previous is not None  # noqa: S101 - said to the type checker; the caller has looked
    both = cohort.known & ~np.isnan(previous)
    labels = cohort.labels[both]
    theirs = figures.log_losses(previous[both], labels)
    worse = float((figures.log_losses(cohort.scores[both], labels) - theirs).mean()) if len(labels) else math.nan
    ranked = figures.ranking(previous[both], labels) - figures.ranking(cohort.scores[both], labels)
    # The scale is a share of the loss itself: that much more than the previous release is one unit of harm.
    scale = _LOSS_SCALE * reference.usual_loss
    before = figures.right_share(decide(previous, day, reference.act_on), cohort.labels)
    return {
        "release-loss": Pair(worse, scale),
        "release-ranking": Pair(ranked, _RANKING_SCALE),
        "release-money": Pair(before - right, _RIGHT_SCALE),
    }
