"""How far two distributions of numbers lie apart, and which conversion of units makes them agree.

Distances are Kolmogorov and Smirnov's: the greatest difference of two distribution functions. A part of the rows may
be converted and the rest not, so the share is fitted, too: with F the distribution before and G that of all values
converted, ``(1 - p) F + p G`` is fitted to what was found by least squares, and the conversion whose mixture lies
nearest is the explanation. The file hides the conversions that are tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["CONVERSIONS", "Conversion", "Fit", "distance", "explain", "noise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A conversion of units: ``value * factor + offset``."""

    name: str
    factor: float
    offset: float = 0.0

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the values in the other unit."""
        return np.asarray(values * self.factor + self.offset)


def _both(name: str, back: str, factor: float) -> list[Conversion]:
    return [Conversion(name=name, factor=factor), Conversion(name=back, factor=1 / factor)]


CONVERSIONS: tuple[Conversion, ...] = (
    *_both("x1000 (such as kilo to one)", "÷1000 (such as one to kilo)", 1000.0),
    *_both("x100 (such as dollars to cents)", "÷100 (such as cents to dollars)", 100.0),
    *_both("x60 (such as minutes to seconds)", "÷60 (such as seconds to minutes)", 60.0),
    *_both("x1.609 (miles to kilometres)", "÷1.609 (kilometres to miles)", 1.609344),
    *_both("x2.205 (kilograms to pounds)", "÷2.205 (pounds to kilograms)", 2.2046226),
    *_both("x2.54 (inches to centimetres)", "÷2.54 (centimetres to inches)", 2.54),
    *_both("x3.281 (metres to feet)", "÷3.281 (feet to metres)", 3.2808399),
    *_both("x10", "÷10", 10.0),
    Conversion(name="°F to °C", factor=5 / 9, offset=-160 / 9),
    Conversion(name="°C to °F", factor=1.8, offset=32.0),
    Conversion(name="the sign turned", factor=-1.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How well a conversion of a ``share`` of the values explains what was found; ``left`` is the distance left."""

    conversion: Conversion
    share: float
    left: float


def distance(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples, or of two lists of quantiles.

    Examples
    --------
    >>> distance([1, 2, 3, 4], [1, 2, 3, 4]), distance([1, 2], [3, 4]), distance([1, 2, 3, 4], [3, 4, 5, 6])
    (0.0, 1.0, 0.5)
    """
    if not len(first) or not len(second):
        return 0.0 if len(first) == len(second) else 1.0
    a, b = np.sort(np.asarray(first, float)), np.sort(np.asarray(second, float))
    at = np.concatenate([a, b])
    return float(np.abs(_below(a, at) - _below(b, at)).max())


def noise(rows: float, others: float) -> float:
    """Return the distance that chance alone exceeds once in ten thousand pairs of samples (Smirnov 1948)."""
    if rows < 1 or others < 1:
        return 1.0
    return 2.23 * float(np.sqrt(1 / rows + 1 / others))


def explain(found: Sequence[float], before: Sequence[Sequence[float]], *, factors: Sequence[float] = ()) -> Fit | None:
    """Return the conversion that best explains the quantiles ``found`` by one of those ``before``.

    Parameters
    ----------
    factors
        Further factors to try.
    """
    conversions = (*CONVERSIONS, *(Conversion(name=f"x{factor:.4g}", factor=factor) for factor in factors))
    new = np.sort(np.asarray(found, float))
    best: Fit | None = None
    for quantiles in before:
        old = np.sort(np.asarray(quantiles, float))
        if not old.size or not new.size:
            continue
        for conversion in conversions:
            fit = _fit(new, old, conversion)
            if best is None or fit.left < best.left - 1e-9:
                best = fit
    return best


def _fit(new: NDArray[Any], old: NDArray[Any], conversion: Conversion) -> Fit:
    turned = np.sort(conversion.of(old))
    at = np.concatenate([new, old, turned])
    found, base, whole = _below(new, at), _below(old, at), _below(turned, at)
    step = whole - base
    square = float(step @ step)
    share = float(np.clip((found - base) @ step / square, 0.0, 1.0)) if square > 0 else 0.0
    if share > 0.97:
        share = 1.0
    left = float(np.abs(found - base - share * step).max())
    return Fit(conversion=conversion, share=share, left=left)


def _below(values: NDArray[Any], at: NDArray[Any]) -> NDArray[Any]:
    """Return the distribution function; values that a conversion rounds differently count as equal."""
    slack = 1e-6 * np.abs(at) + 1e-12
    return np.asarray(np.searchsorted(values, at + slack, side="right") / values.size)
