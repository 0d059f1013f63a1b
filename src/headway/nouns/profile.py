"""What a table looks like, in figures small enough to be kept: its profile, which contracts are held against.

A profile holds no row. Its quantiles come from a fixed sample of the rows (by row number, so that the same rows give
the same profile), its counts of rows, of missing values and of distinct keys from all of them. The file hides which
figures those are; how a table is measured is in ``data/profiles.py``.
"""

from __future__ import annotations

import msgspec

__all__ = ["DAY_US", "MOST_VALUES", "QUANTILES", "ColumnProfile", "Profile", "Reference"]

QUANTILES = 201
"""How many quantiles are kept, from the least value to the greatest."""

MOST_VALUES = 400
"""How many different values are counted each on its own; a text column with more is no category."""

DAY_US = 86_400_000_000


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One column.

    Attributes
    ----------
    kind
        bool, int, float, text or time; as found.
    rows, missing, distinct
        Counts; ``distinct`` is close, not exact, above a few thousand.
    least, most
        The range of numbers, and of moments in microseconds since 1970 in UTC.
    zeros
        The share of present numbers that are zero.
    quantiles
        Of the numbers that are not zero, and of moments in microseconds.
    counts
        How many rows hold a value, the most frequent first: texts, numbers as text, days of moments as '2013-12-31'.
    complete
        Whether ``counts`` has every value; otherwise it is scaled up from a sample.
    hours
        Rows by hour of the day in UTC, for moments.
    shapes
        Shares of the present texts that are padded, upper, lower, number, comma (a decimal comma), moment, mojibake
        and so on.
    odd
        Up to a few values of each shape that is a fault, for whoever reads of it.
    """

    name: str
    kind: str
    rows: int
    missing: int = 0
    distinct: int = 0
    least: float | None = None
    most: float | None = None
    zeros: float = 0.0
    quantiles: tuple[float, ...] = ()
    counts: dict[str, int] = {}
    complete: bool = False
    hours: tuple[int, ...] = ()
    shapes: dict[str, float] = {}
    odd: dict[str, tuple[str, ...]] = {}

    @property
    def present(self) -> int:
        """Rows that hold a value."""
        return self.rows - self.missing

    @property
    def missing_rate(self) -> float:
        """The share of rows without a value."""
        return self.missing / self.rows if self.rows else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """``counts`` as shares of the rows that hold a value."""
        return {value: count / self.present for value, count in self.counts.items()} if self.present else {}

    def share_of(self, value: str) -> float:
        """Return one of the ``shares``; 0 for a value that is not counted."""
        return self.counts.get(value, 0) / self.present if self.present else 0.0


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A table, or the stretch of one from ``first_us`` to ``last_us``.

    Attributes
    ----------
    doubled
        Rows that stand there again, alike in every column; None where nobody looked.
    keys_doubled
        Rows whose key another row has; None where there is no key.
    first_us, last_us
        The first and the last event, where the source has a column of time.
    """

    rows: int
    columns: dict[str, ColumnProfile]
    doubled: int | None = None
    keys_doubled: int | None = None
    first_us: int | None = None
    last_us: int | None = None


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What a part is held against: the whole table, and its last stretches one by one, the newest last.

    How far the stretches differ among themselves is what counts as natural.

    Attributes
    ----------
    period_days
        The length of a stretch; 0 for a table without time, which is delivered whole.
    lag_us
        How old the newest event was when the reference was made; None where nobody can tell.
    """

    whole: Profile
    windows: tuple[Profile, ...] = ()
    key: tuple[str, ...] = ()
    time: str = ""
    period_days: int = 0
    lag_us: int | None = None
