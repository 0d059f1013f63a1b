"""Evidence that may be looked at every day: e-detectors, with a promised mean time between false alarms.

The file hides the arithmetic. A *stream* collects, window by window, e-values ``e >= 0`` whose mean is at most one
while nothing is wrong. The Shiryaev-Roberts recursion ``M <- (1 + M) e`` then satisfies ``E[M_T] <= E[T]`` for every
stopping rule, so that alarming at ``M >= A`` keeps the mean time to a false alarm at or above ``A`` windows, however
the streams depend on one another, and so does any weighted mean of streams (Shin, Ramdas & Rinaldo, "E-detectors: a
nonparametric framework for sequential change detection", NEJSDS 2023). All of it is kept in logarithms.

Two sources of e-values:

- **bets** on a bounded-below figure ``y >= 0`` whose mean, given the past, is at most ``m``: ``1 - k + k y / m`` for a
  fixed grid of fractions ``k``, mixed (Waudby-Smith & Ramdas, "Estimating means of bounded random variables by
  betting", JRSS B 2024). ``m`` may change from day to day if it is fixed before ``y`` is seen;
- **p-values** by the calibrator ``(1 - p + p ln p) / (p ln^2 p)`` (Vovk & Wang, "E-values: calibration, combination
  and applications", Ann. Stat. 2021), here of the Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "FRACTIONS",
    "Stream",
    "bet",
    "combined",
    "dkw_p_value",
    "log_e_from_p",
    "log_evidence",
    "push",
    "sampling_margin",
]

FRACTIONS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""What share of the stake each of the mixed bettors risks. None risks all: one good day must not ruin the evidence."""

_MOST_RUN = 8.0


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one stream.

    Attributes
    ----------
    log_m
        The natural logarithm of M for each bettor; empty before the first window.
    run
        Page's CUSUM of the second boldest bettor, for *since when* and for *is it over*; never part of the promise.
    since
        The day on which that CUSUM last left zero.
    last
        The rank of the last window, from which the next bound is predicted.
    total, count
        The sum of the natural figure since ``since``, and of how many windows: for the message.
    """

    log_m: tuple[float, ...] = ()
    run: float = 0.0
    since: int = 0
    last: float | None = None
    total: float = 0.0
    count: int = 0

    @property
    def mean(self) -> float:
        """The mean of the natural figure since ``since``."""
        return self.total / self.count if self.count else 0.0


def bet(y: float, bound: float) -> tuple[float, ...]:
    """Return the log e-values of the bets that the mean of ``y`` exceeds ``bound``.

    Parameters
    ----------
    y
        The day's figure, at least zero.
    bound
        The most that its mean, given the past, is while nothing is wrong; above zero.

    Examples
    --------
    >>> [round(math.exp(e), 2) for e in bet(1.0, 0.5)][:3]
    [1.1, 1.25, 1.5]
    """
    return tuple(math.log1p(fraction * (y / bound - 1.0)) for fraction in FRACTIONS)


def push(stream: Stream, log_e: tuple[float, ...], *, day: int, figure: float, last: float | None = None) -> Stream:
    """Return the stream after one more window with these log e-values, one per bettor, from this natural figure."""
    before = stream.log_m or (-math.inf,) * len(log_e)
    log_m = tuple(_log_add(0.0, m) + e for m, e in zip(before, log_e, strict=True))
    step = log_e[-2] if len(log_e) > 1 else log_e[0]
    starts = stream.run <= 0.0
    # The cap lets a finding close within days of the trouble's end, rather than after as long as it lasted.
    run = min(max(stream.run + step, 0.0), _MOST_RUN)
    total, count = (figure, 1) if starts else (stream.total + figure, stream.count + 1)
    return Stream(log_m=log_m, run=run, since=day if starts else stream.since, last=last, total=total, count=count)


def log_evidence(stream: Stream) -> float:
    """Return ln M, the bettors mixed with equal shares; -inf before the first window."""
    if not stream.log_m:
        return -math.inf
    top = max(stream.log_m)
    return top + math.log(sum(math.exp(m - top) for m in stream.log_m) / len(stream.log_m))


def combined(evidence: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Return ln of the sum of ``w M`` over streams, from their ln M; weights must not sum to more than one."""
    terms = [math.log(weights[name]) + value for name, value in evidence.items() if value > -math.inf]
    if not terms:
        return -math.inf
    top = max(terms)
    return top + math.log(sum(math.exp(term - top) for term in terms))


def log_e_from_p(p: float) -> float:
    """Return the logarithm of the e-value that ``p`` is worth: -ln 2 at p = 1, about -ln p - 2 ln(-ln p) when small.

    Examples
    --------
    >>> round(math.exp(log_e_from_p(1.0)), 3), round(math.exp(log_e_from_p(0.001)), 1)
    (0.5, 20.8)
    """
    return _log_e(math.log(max(p, 1e-300)))


def dkw_p_value(distance: float, n: int, *, margin: float) -> float:
    """Return the p-value of an observed cumulative distance, beyond a margin that counts as no difference.

    ``min(1, 2 exp(-2 n (distance - margin)^2))`` for ``distance > margin``, else 1 (Massart, Ann. Prob. 1990).
    """
    beyond = max(distance - margin, 0.0)
    return max(min(1.0, 2.0 * math.exp(-2.0 * n * beyond * beyond)), 1e-300) if beyond else 1.0


def sampling_margin(rows: int, *, streams: int, failure: float = 0.01) -> float:
    """Return how far a reference of ``rows`` rows may lie from the truth, for all ``streams`` at once.

    ``sqrt(ln(2 F / failure) / (2 n))``. Without it false alarms are certain in the end: the reference's own error is
    constant, and the windows are many.

    Examples
    --------
    >>> round(sampling_margin(50_000, streams=20), 4)
    0.0091
    """
    return math.sqrt(math.log(2.0 * streams / failure) / (2.0 * rows))


def _log_e(log_p: float) -> float:
    if log_p > -1e-3:
        # The quotient is 0/0 at p = 1; its series there is 1/2 - ln(p)/6.
        return math.log(0.5 - log_p / 6.0)
    p = math.exp(log_p)
    return math.log(1.0 - p + p * log_p) - log_p - 2.0 * math.log(-log_p)


def _log_add(a: float, b: float) -> float:
    top = max(a, b)
    return top + math.log1p(math.exp(min(a, b) - top))
