"""Whether the inputs and the scores of a day fall into the frozen bins as they used to.

The measure is exact on counts: the greatest difference of cumulative shares, `headway.nouns.summary.distance`. What
it is held against depends on what is known. Where the reference tells its days apart, the day's distance is ranked
among the distances of the reference's own days: rows of one day share its weather, so that a bound for independent
rows would accuse nearly every day. Where it does not, rows count as independent and the bound is that of Dvoretzky,
Kiefer, Wolfowitz and Massart, beyond the reference's own sampling error.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headway.monitor import words
from headway.monitor.evidence import Stream, bet, dkw_p_value, log_e_from_p, push, sampling_margin
from headway.monitor.yardstick import Yardstick
from headway.nouns.summary import distance, moved

if TYPE_CHECKING:
    from headway.monitor.reference import Reference
    from headway.nouns.summary import ColumnBins, Counts, Summary

__all__ = ["FEWEST_ROWS", "push_drift"]

FEWEST_ROWS = 50
_TOLERATED_DISTANCE = 0.02
_KOLMOGOROV_MEAN = math.sqrt(math.pi / 2) * math.log(2)
_LOUD = math.log(100)


class _Column(NamedTuple):
    bins: ColumnBins
    counts: Counts
    yardstick: Yardstick | None
    figure: float
    p: float


def push_drift(
    streams: dict[str, Stream], serving: Stream, reference: Reference, summary: Summary, *, day: int
) -> tuple[dict[str, Stream], Stream]:
    """Return the streams of all features and of the scores, and that of the serving bug, after one day.

    Below 50 rows they are returned as they were. The serving bug is "the scores shift and no input does": on a day on
    which any input lies beyond every reference day, or has been gathering evidence, no bet is made, for the inputs
    may be the reason.
    """
    if summary.rows < FEWEST_ROWS:
        return streams, serving
    found: dict[str, Stream] = {}
    quiet = True
    for name, column in _columns(reference, summary).items():
        stream = _push(streams.get(name, Stream()), column, day)
        found[name] = stream
        if name != words.SCORE:
            loud = max(stream.log_m) >= _LOUD or column.figure > column.bins.healthy + _TOLERATED_DISTANCE
            quiet = quiet and not loud
        elif quiet:
            serving = _push(serving, column, day)
    return found, serving


def _push(stream: Stream, column: _Column, day: int) -> Stream:
    shown = moved(column.bins, column.counts)
    if column.yardstick is None:
        return push(stream, (log_e_from_p(column.p),), day=day, figure=shown)
    rank = column.yardstick.rank(column.figure, "up")
    return push(stream, bet(rank, column.yardstick.bound(stream.last)), day=day, figure=shown, last=rank)


def _columns(reference: Reference, summary: Summary) -> dict[str, _Column]:
    """Every feature, and the scores last."""
    pairs = {name: (bins, summary.columns[name]) for name, bins in reference.bins.columns.items()}
    pairs[words.SCORE] = (reference.bins.score, summary.score)
    return {name: _column(reference, bins, counts) for name, (bins, counts) in pairs.items()}


def _column(reference: Reference, bins: ColumnBins, counts: Counts) -> _Column:
    n = sum(counts)
    found = distance(bins, counts)
    yardstick = Yardstick.of(np.asarray(bins.daily), tolerance=_TOLERATED_DISTANCE)
    margin = sampling_margin(reference.bins.rows, streams=len(reference.bins.columns) + 1)
    p = dkw_p_value(found, n, margin=margin + _TOLERATED_DISTANCE)
    # A window of fewer rows than a reference day lies farther off by chance alone: Kolmogorov's mean of D is c/sqrt(n).
    rows_of_a_day = reference.bins.rows / max(len(bins.daily), 1)
    noise = _KOLMOGOROV_MEAN * max(n**-0.5 - rows_of_a_day**-0.5, 0.0)
    return _Column(bins, counts, yardstick, found - noise, p)
