"""Traffic in counters: frozen bins, and summaries that merge by addition.

The file hides how a value finds its counter. Bins are frozen once, from the examples that a release was judged on;
every later window is counted in the very same bins. All that a summary holds is integers, so merging is exact,
associative and commutative: hours add up to days, workers to a whole, whatever the order. The size of a summary
does not depend on the number of rows, and rows are read in blocks, so that neither does the memory.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

__all__ = ["ColumnBins", "FrozenBins", "Summary", "distance", "latency_quantile_us", "merge", "moved", "summarise"]

_BINS = 64
_NAMES = 63
_REST = 4_096
_BLOCK_ROWS = 65_536
_DAY_ROWS = 30
_SCORE_UNITS = 2**32
_PER_OCTAVE = 8
_LATENCY_EDGES_US = 2.0 ** (np.arange(27 * _PER_OCTAVE + 1) / _PER_OCTAVE)

Counts = tuple[int, ...]


class ColumnBins(msgspec.Struct, frozen=True, kw_only=True):
    """The bins of one column, with the reference's counts.

    Attributes
    ----------
    kind
        ``number`` counts in the order ``[null, bin 0, bin 1, …]``, ``category`` in the order
        ``[null, unseen, names[0], names[1], …, other]``.
    edges
        Inner edges of a number, float32, ascending: bin ``i`` holds ``edges[i - 1] <= x < edges[i]``.
    names
        The most frequent categories, the most frequent first.
    rest
        The reference's other categories; beyond 4,096 of them unseen cannot be told from other.
    counts
        Of the reference rows.
    daily
        The distance (`distance`) of each reference day from the whole reference, days ascending: what a healthy day
        may differ. Days of fewer than 30 rows are left out.
    """

    kind: Literal["number", "category"]
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    counts: Counts = ()
    daily: tuple[float, ...] = ()

    @property
    def size(self) -> int:
        """The number of counters."""
        return len(self.edges) + 2 if self.kind == "number" else len(self.names) + 3

    @property
    def healthy(self) -> float:
        """The distance that one reference day in a hundred exceeds; zero where days are not known."""
        return float(np.quantile(self.daily, 0.99, method="higher")) if self.daily else 0.0


class FrozenBins(msgspec.Struct, frozen=True, kw_only=True):
    """The bins of every feature and of the score; `freeze` makes them."""

    rows: int
    columns: dict[str, ColumnBins]
    score: ColumnBins

    @property
    def digest(self) -> str:
        """The hash that a summary carries, so that only summaries of the same bins are merged or compared."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    @classmethod
    def freeze(
        cls, features: pa.Table, scores: NDArray[np.float64], *, day: NDArray[np.int64] | None = None
    ) -> FrozenBins:
        """Return bins from the reference examples.

        Parameters
        ----------
        features
            ``float32`` and ``string`` columns; null or NaN means missing.
        scores
            What the release says of the same rows, shape ``(n,)``.
        day
            The day of each row, shape ``(n,)``; without it the day-to-day variation is taken to be nil.

        Raises
        ------
        DataError
            Without rows, or when the shapes differ.
        """
        rows = features.num_rows
        if rows == 0 or len(scores) != rows or (day is not None and len(day) != rows):
            found = f"{rows} rows of features, {len(scores)} scores, {rows if day is None else len(day)} days"
            raise DataError(f"The reference needs as many scores and days as rows, at least one; found {found}.")
        days = None if day is None else np.unique(day, return_inverse=True)[1].astype(np.int64)
        columns = {name: _freeze_column(features.column(name), days) for name in features.column_names}
        score = _freeze_column(pa.chunked_array([np.asarray(scores, dtype=np.float32)]), days)
        return cls(rows=rows, columns=columns, score=score)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One window of traffic, in integers.

    Attributes
    ----------
    bins
        The digest of the bins that were counted in.
    rows
        Predictions made.
    columns, score
        Counts in the order that `ColumnBins` says.
    score_units
        The sum of the scores in units of 2**-32: an integer, for floating sums depend on their order.
    latency
        Answers per time, eight bins to a doubling, from one microsecond up.
    answers, errors, refused
        Answers timed; requests that failed for our fault (5xx), and for the client's (4xx).
    stale
        Per look-up: predictions whose looked-up row was older than its ``max_age``.
    known, positives, void
        Outcomes so far: known, of those true, and those that will never come.
    """

    bins: str
    rows: int = 0
    columns: dict[str, Counts] = {}
    score: Counts = ()
    score_units: int = 0
    latency: Counts = (0,) * (len(_LATENCY_EDGES_US) + 1)
    answers: int = 0
    errors: int = 0
    refused: int = 0
    stale: dict[str, int] = {}
    known: int = 0
    positives: int = 0
    void: int = 0

    @property
    def mean_score(self) -> float:
        """The mean score; NaN without rows."""
        return self.score_units / _SCORE_UNITS / self.rows if self.rows else float("nan")


def summarise(
    bins: FrozenBins,
    features: pa.Table,
    scores: NDArray[np.float64],
    *,
    latencies_us: NDArray[np.float64] | None = None,
    errors: int = 0,
    refused: int = 0,
    stale: Mapping[str, int] | None = None,
    known: int = 0,
    positives: int = 0,
    void: int = 0,
) -> Summary:
    """Return the summary of one window.

    Parameters
    ----------
    bins
        What to count in; every column of it must be in ``features``, others are ignored.
    features, scores
        The window's rows; shapes as in `FrozenBins.freeze`. No rows at all is a window too.
    latencies_us
        Microseconds per answer, any number of them.

    Raises
    ------
    DataError
        When a column is absent or the shapes differ.

    Examples
    --------
    >>> table = pa.table({"wind": pa.array([1.0, 2.0, None], pa.float32())})
    >>> bins = FrozenBins.freeze(table, np.array([0.1, 0.2, 0.3]))
    >>> summarise(bins, table, np.array([0.1, 0.2, 0.3])).columns["wind"]
    (1, 1, 1)
    """
    if features.num_rows != len(scores):
        raise DataError(f"A window needs as many scores as rows; found {len(scores)} and {features.num_rows}.")
    for name in bins.columns:
        if name not in features.column_names:
            raise DataError(f"The window lacks the feature {name!r}.", hint=did_you_mean(name, features.column_names))
    totals = {name: np.zeros(column.size, dtype=np.int64) for name, column in bins.columns.items()}
    score = np.zeros(bins.score.size, dtype=np.int64)
    units = 0
    for block, part in _blocks(features, scores):
        for name, column in bins.columns.items():
            totals[name] += np.bincount(_codes(column, block.column(name)), minlength=column.size)
        score += np.bincount(_codes(bins.score, pa.chunked_array([part.astype(np.float32)])), minlength=bins.score.size)
        whole = np.floor(np.nan_to_num(part))  # apart, so that numbers of any usual size fit
        rest = np.rint((np.nan_to_num(part) - whole) * _SCORE_UNITS)
        units += int(whole.astype(np.int64).sum()) * _SCORE_UNITS + int(rest.astype(np.int64).sum())
    times = np.asarray([] if latencies_us is None else latencies_us, dtype=np.float64)
    latency = np.bincount(np.searchsorted(_LATENCY_EDGES_US, times, side="left"), minlength=len(_LATENCY_EDGES_US) + 1)
    return Summary(
        bins=bins.digest,
        rows=len(scores),
        columns={name: _counts(total) for name, total in totals.items()},
        score=_counts(score),
        score_units=units,
        latency=_counts(latency),
        answers=len(times),
        errors=errors,
        refused=refused,
        stale=dict(stale or {}),
        known=known,
        positives=positives,
        void=void,
    )


def merge(one: Summary, other: Summary) -> Summary:
    """Return the summary of both windows together: exact, in any order and grouping.

    Raises
    ------
    DataError
        When they were counted in different bins.
    """
    if one.bins != other.bins:
        raise DataError(
            f"Summaries of different bins do not merge: {one.bins[:12]} and {other.bins[:12]}.",
            hint="Summarise each release's traffic in that release's own bins.",
        )
    both: dict[str, object] = {"bins": one.bins}
    for field in Summary.__struct_fields__[1:]:
        both[field] = _add(getattr(one, field), getattr(other, field))
    return msgspec.convert(both, Summary)


def distance(column: ColumnBins, counts: Counts) -> float:
    """Return the greatest difference between the two cumulative shares, in [0, 1] (Kolmogorov's D over the bins).

    Zero when either side is empty. For a category the order is that of frequency, nulls and unseen first, so that
    the Dvoretzky-Kiefer-Wolfowitz bound holds for it too.
    """
    ours, theirs = np.asarray(counts, dtype=np.float64), np.asarray(column.counts, dtype=np.float64)
    if not ours.sum() or not theirs.sum():
        return 0.0
    return float(np.abs(np.cumsum(ours / ours.sum() - theirs / theirs.sum())).max())


def moved(column: ColumnBins, counts: Counts) -> float:
    """Return the share of rows that would have to change their bin (total variation), in [0, 1]."""
    ours, theirs = np.asarray(counts, dtype=np.float64), np.asarray(column.counts, dtype=np.float64)
    if not ours.sum() or not theirs.sum():
        return 0.0
    return float(np.abs(ours / ours.sum() - theirs / theirs.sum()).sum() / 2)


def latency_quantile_us(summary: Summary, q: float) -> float:
    """Return a time that at least ``q`` of the answers took at most, no more than 9.1 % too high; NaN without any."""
    if not summary.answers:
        return float("nan")
    at = int(np.searchsorted(np.cumsum(summary.latency), q * summary.answers, side="left"))
    return float(_LATENCY_EDGES_US[min(at, len(_LATENCY_EDGES_US) - 1)])


def _freeze_column(values: pa.ChunkedArray, days: NDArray[np.int64] | None) -> ColumnBins:
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        column = _category_bins(values)
    elif pa.types.is_floating(values.type):
        column = _number_bins(values)
    else:
        raise DataError(f"A feature is of type {values.type}; features are float32 or string.")
    codes = _codes(column, values)
    column = msgspec.structs.replace(column, counts=_counts(np.bincount(codes, minlength=column.size)))
    return column if days is None else msgspec.structs.replace(column, daily=_daily_distances(column, codes, days))


def _number_bins(values: pa.ChunkedArray) -> ColumnBins:
    numbers = _numbers(values)
    numbers = numbers[~np.isnan(numbers)]
    if not len(numbers):
        return ColumnBins(kind="number")
    # "higher" takes values that occur: an edge between two neighbours would move with float rounding.
    edges = np.unique(np.quantile(numbers, np.arange(1, _BINS) / _BINS, method="higher").astype(np.float32))
    return ColumnBins(kind="number", edges=tuple(float(edge) for edge in edges))


def _category_bins(values: pa.ChunkedArray) -> ColumnBins:
    found = pc.value_counts(values.cast(pa.string()).drop_null())
    pairs = sorted(
        zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True),
        key=lambda pair: (-pair[1], pair[0]),
    )
    names = tuple(name for name, _ in pairs)
    return ColumnBins(kind="category", names=names[:_NAMES], rest=tuple(sorted(names[_NAMES : _NAMES + _REST])))


def _codes(column: ColumnBins, values: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return the counter of each value."""
    if column.kind == "number":
        numbers = _numbers(values)
        codes = np.searchsorted(np.asarray(column.edges, dtype=np.float32), numbers, side="right") + 1
        return np.where(np.isnan(numbers), 0, codes)
    texts = values.cast(pa.string())
    at = pc.index_in(texts, value_set=pa.array(column.names, pa.string()))
    named = pc.fill_null(at, -1).to_numpy().astype(np.int64)
    codes = np.where(named >= 0, named + 2, 1)
    if column.rest:
        rest = pc.is_in(texts, value_set=pa.array(column.rest, pa.string())).to_numpy()
        full = len(column.rest) == _REST
        codes[(named < 0) & (rest | full)] = column.size - 1
    codes[pc.is_null(texts).to_numpy()] = 0
    return codes


def _numbers(values: pa.ChunkedArray) -> NDArray[np.float32]:
    return np.asarray(values.cast(pa.float32()).to_numpy(), dtype=np.float32)


def _daily_distances(column: ColumnBins, codes: NDArray[np.int64], days: NDArray[np.int64]) -> tuple[float, ...]:
    table = np.bincount(days * column.size + codes, minlength=(int(days.max()) + 1) * column.size)
    by_day = table.reshape(-1, column.size)
    by_day = by_day[by_day.sum(axis=1) >= _DAY_ROWS]
    return tuple(distance(column, _counts(row)) for row in by_day)


def _blocks(features: pa.Table, scores: NDArray[np.float64]) -> Iterator[tuple[pa.Table, NDArray[np.float64]]]:
    for start in range(0, len(scores), _BLOCK_ROWS):
        part = np.asarray(scores[start : start + _BLOCK_ROWS], dtype=np.float64)
        yield features.slice(start, _BLOCK_ROWS), part


def _counts(values: NDArray[np.int64]) -> Counts:
    return tuple(values.tolist())


def _add(one: object, other: object) -> object:
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    if isinstance(one, tuple) and isinstance(other, tuple):
        return tuple(a + b for a, b in zip(one or (0,) * len(other), other or (0,) * len(one), strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            key: _add(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
            for key in sorted(one.keys() | other.keys())
        }
    raise TypeError(f"{type(one).__name__} and {type(other).__name__} do not add up")
