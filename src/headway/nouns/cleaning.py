"""How a column is cleaned: declared in the brief, and never done to what was read.

A cleaned column stands beside the one that it is made of. What is learned from data (a median, a bound) is learned from
the training period alone and kept in :class:`Fitted`, which a release carries along: what serving does to a row is what
training did.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

__all__ = ["UNITS", "Clean", "Fitted", "Once", "converted"]

UNITS: dict[tuple[str, str], tuple[float, float]] = {
    ("F", "C"): (5 / 9, -160 / 9),
    ("C", "F"): (9 / 5, 32.0),
    ("K", "C"): (1.0, -273.15),
    ("mi", "km"): (1.609344, 0.0),
    ("nmi", "km"): (1.852, 0.0),
    ("ft", "m"): (0.3048, 0.0),
    ("in", "cm"): (2.54, 0.0),
    ("mph", "km/h"): (1.609344, 0.0),
    ("kn", "km/h"): (1.852, 0.0),
    ("lb", "kg"): (0.45359237, 0.0),
    ("gal", "l"): (3.785411784, 0.0),
    ("cent", "dollar"): (0.01, 0.0),
    ("ms", "s"): (0.001, 0.0),
    ("percent", "share"): (0.01, 0.0),
}
"""From one unit to another: factor and what is added after it. Lengths and masses are exact by the treaty of 1959."""


class Fitted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a column's cleaning has learned from the training period; written by training, never by hand.

    Attributes
    ----------
    low, high
        Bounds beyond which a value is an outlier.
    fill
        What stands in for a missing value; ``fill_by`` has it for each group that there was.
    """

    low: float | None = None
    high: float | None = None
    fill: float | str | None = None
    fill_by: dict[str, float | str] = {}


class Clean(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cleaned column. What is declared is done in the order in which it stands here."""

    of: Annotated[str, Meta(min_length=1, description="The column that is cleaned; it stays as it is.")]
    nulls: Annotated[
        tuple[str | int | float, ...], Meta(description="Values that mean 'missing', such as -999 or 'unknown'.")
    ] = ()
    trim: Annotated[bool, Meta(description="Take spaces off both ends of a text.")] = False
    case: Annotated[Literal["", "lower", "upper"], Meta(description="One way to write a text.")] = ""
    map: Annotated[dict[str, str], Meta(description="What each category is called: { there = 'here' }.")] = {}
    otherwise: Annotated[
        str,
        Meta(description="What a category that 'map' does not name becomes; 'missing' for none. Default: it stays."),
    ] = ""
    parse: Annotated[Literal["", "number", "moment"], Meta(description="Read a text as a number or a moment.")] = ""
    # What is not set is not written: a brief that does not speak of it keeps its digest.
    decimal: Annotated[
        Literal[".", ","] | msgspec.UnsetType,
        Meta(description="What stands before the decimals of numbers; the other one may stand between thousands."),
    ] = msgspec.UNSET
    format: Annotated[
        str | Annotated[tuple[str, ...], Meta(min_length=1)],
        Meta(description="How the moments are written, such as '%d/%m/%Y %H:%M'; several ways are tried in turn."),
    ] = "%Y-%m-%d"
    zone: Annotated[str, Meta(description="The zone of the clock that moments were read from.")] = ""
    convert: Annotated[str, Meta(description="From one unit to another: 'F to C', 'mi to km', 'cent to dollar' …")] = ""
    low: Annotated[float | None, Meta(description="Less than this is an outlier.")] = None
    high: Annotated[float | None, Meta(description="More than this is an outlier.")] = None
    quantiles: Annotated[
        tuple[float, float] | None, Meta(description="Bounds by shares of the training period: [0.01, 0.99].")
    ] = None
    outliers: Annotated[Literal["missing", "clip"], Meta(description="What becomes of an outlier.")] = "missing"
    fill: Annotated[
        float | str | None,
        Meta(description="What stands in for a missing value; 'mean', 'median', 'mode' are learned."),
    ] = None
    by: Annotated[tuple[str, ...], Meta(description="Learn what stands in for each value of these columns.")] = ()
    indicator: Annotated[str, Meta(description="A further column: whether the value was missing.")] = ""
    fitted: Annotated[Fitted | None, Meta(description="What was learned; written by training.")] = None

    @property
    def statistic(self) -> str:
        """What is learned to stand in for a missing value; empty where nothing is."""
        return str(self.fill) if self.fill in {"mean", "median", "mode"} else ""

    @property
    def learns(self) -> bool:
        """Whether anything is learned from data."""
        return bool(self.statistic) or self.quantiles is not None


class Once(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of rows that are the same event, one counts."""

    by: Annotated[
        tuple[str, ...], Meta(description="The columns that make rows the same; the source's time counts with them.")
    ] = ()
    order: Annotated[str, Meta(description="The column that says which row counts.")] = ""
    keep: Annotated[Literal["first", "last"], Meta(description="The first by 'order', or the last.")] = "last"


def converted(text: str) -> tuple[float, float]:
    """Return the factor and the summand of a conversion such as ``'F to C'``.

    Raises
    ------
    KeyError
        When it is none that is known.

    Examples
    --------
    >>> factor, summand = converted("F to C")
    >>> round(212 * factor + summand, 9)
    100.0
    """
    first, _, second = text.partition(" to ")
    return UNITS[first.strip().lstrip("°"), second.strip().lstrip("°")]
