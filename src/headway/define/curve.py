"""What would more data bring? A power law through a learning curve, with its uncertainty.

The error of a learner falls as ``a + b n^-c`` with the rows it learns from (Hestness et al. 2017; other shapes exist,
and far extrapolation deserves no trust: Viering & Loog 2023). For each exponent of a grid the other two follow by least
squares with neither below nought; the best exponent wins. The whole fit is repeated for each resample of the test's
days, so the interval of what more data would bring holds the luck of the test and of the days learned from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.define.prospect import CurvePoint, LearningCurve, MoreData
from headway.nouns.interval import Interval
from headway.nouns.metric import metric_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["learning_curve", "power_law"]

_EXPONENTS = np.linspace(0.1, 1.5, 29)
_FACTORS = (2.0, 4.0)
_TELLING = 0.5
"""The interval of a gain may be this wide, in units of the skill there is, before it says nothing."""


def power_law(rows: Floats, error: Floats) -> tuple[Floats, Floats, Floats]:
    """Return ``a``, ``b`` and ``c`` of ``a + b n^-c`` for each row of ``error``: shape ``(draws, sizes)``.

    Sizes weigh by their square root: a small one is noisier.

    Examples
    --------
    >>> n = np.array([100.0, 200.0, 400.0, 800.0])
    >>> a, b, c = power_law(n, (0.2 + 3 * n**-0.5)[None, :])
    >>> round(float(a[0]), 3), round(float(b[0]), 3), round(float(c[0]), 3)
    (0.2, 3.0, 0.5)
    """
    weight = np.sqrt(rows / rows.sum())
    weight = weight / weight.sum()
    best = np.full(len(error), np.inf)
    a, b, c = np.zeros(len(error)), np.zeros(len(error)), np.full(len(error), _EXPONENTS[0])
    mean = error @ weight
    for exponent in _EXPONENTS:
        x = rows**-exponent
        x_mean = float(x @ weight)
        slope = np.maximum(((error - mean[:, None]) * (x - x_mean)) @ weight / float((x - x_mean) ** 2 @ weight), 0)
        floor = mean - slope * x_mean
        below = floor < 0
        slope = np.where(below, (error * x) @ weight / float(x * x @ weight), slope)
        floor = np.where(below, 0.0, floor)
        loss = (error - floor[:, None] - slope[:, None] * x) ** 2 @ weight
        better = loss < best - 1e-15
        best = np.where(better, loss, best)
        a, b, c = np.where(better, floor, a), np.where(better, slope, b), np.where(better, exponent, c)
    return a, b, c


def learning_curve(
    rows: Ints, value: Floats, drawn: Floats, *, metric: str, higher: bool, chance: float
) -> LearningCurve:
    """Return the curve with what more data would bring.

    Parameters
    ----------
    rows, value, drawn
        One entry (of ``drawn`` one row of resamples) a trained model; the same size may come several times.
    higher
        Whether more of the metric is better; the best there is is then taken to be 1, and else 0.
    chance
        The metric without skill.
    """
    order = np.argsort(rows, kind="stable")
    n, v, d = rows[order].astype(np.float64), value[order], drawn[order]
    d = d[:, np.isfinite(d).all(axis=0)]
    error, errors = (1 - v, 1 - d) if higher else (v, d)
    now = float(n.max())
    (a,), (b,), (c,) = power_law(n, error[None, :])
    _, drawn_b, drawn_c = power_law(n, errors.T)
    sign = 1.0 if higher else -1.0
    skill = max(abs(float(v[-1]) - chance), 1e-9)
    more = tuple(
        MoreData(
            times=factor,
            gain=_interval(
                sign * float(b) * (now ** -float(c) - (factor * now) ** -float(c)),
                sign * drawn_b * (now**-drawn_c - (factor * now) ** -drawn_c),
            ),
        )
        for factor in _FACTORS
    )
    gain = more[0].gain
    tells = abs(gain.high - gain.low) <= _TELLING * skill and errors.shape[1] > 0
    points = tuple(
        CurvePoint(rows=int(one), score=_interval(float(v[n == one].mean()), d[n == one].mean(axis=0)))
        for one in np.unique(n)
    )
    sizes = np.geomspace(n.min(), now * max(_FACTORS), 40)
    law = float(a) + float(b) * sizes ** -float(c)
    fitted = tuple((float(x), float(1 - y if higher else y)) for x, y in zip(sizes, law, strict=True))
    words = _words(gain, metric=metric_of(metric).words, skill=skill, tells=tells)
    return LearningCurve(
        points=points,
        chance=chance,
        floor=float(1 - a if higher else a),
        scale=float(b),
        exponent=float(c),
        more=more,
        fitted=fitted,
        tells=tells,
        words=words,
    )


def _interval(value: float, drawn: Floats) -> Interval:
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (-np.inf, np.inf)
    return Interval(value=value, low=float(low), high=float(high))


def _words(gain: Interval, *, metric: str, skill: float, tells: bool) -> str:
    if not tells:
        return "It cannot be told what more data would bring: the curve is too uncertain."
    small, large = sorted((abs(gain.low), abs(gain.high)))
    if large <= 0.02 * skill:
        return f"Twice the data would bring next to nothing (at most {max(large, 0.001):,.3f} of {metric})."
    if round(gain.low, 3) <= 0 <= round(gain.high, 3):
        return f"Twice the data would bring at most {large:,.3f} of {metric}, and perhaps nothing."
    moved = "raise" if gain.value > 0 else "lower"
    return f"Twice the data would {moved} {metric} by about {abs(gain.value):,.3f} [{small:,.3f}, {large:,.3f}]."
