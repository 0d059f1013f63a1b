"""Do the features say anything about the label? A quick test that trains no model.

Each feature is cut into bins; the rate of positives by bin, counted on some stretches of time, ranks the examples of
another. Whether the best feature's average precision could be chance is asked of labels *moved in time*: within each
stretch whole days of labels are rotated against the days of features, and each day's labels are rotated within the
day. So what labels of a day have in common stays in common (a bad day stays a bad day, and meets one day's weather),
which a plain shuffle destroys, and with it the honesty of the test: the units that could have been exchanged are days
(restricted permutations: Anderson & ter Braak 2003; toroidal shifts: Harms & al. 2001, as ecologists call them). The
greatest over all features is compared with the greatest over all features, so that many features do not find something
by their number (Westfall & Young 1993).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.define.facts import Signal
from headway.nouns.metric import average_precision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["find_signal"]

_BLOCKS = 5
_QUANTILES = 16
_CATEGORIES = 63
_PRIOR_ROWS = 20.0
_LEAST_ROWS, _LEAST_CASES = 100, 10


def find_signal(features: pa.Table, label: Floats, day: Ints, *, seed: int, rotations: int = 199) -> Signal | None:
    """Return what the features say about the label; ``None`` when there are too few examples to ask.

    Parameters
    ----------
    features
        Numbers and texts, one row an example, in the order of time.
    label
        0.0 or 1.0 each.
    day
        The local day of each, as a number that does not fall.
    rotations
        How many times labels are moved; the least p-value is one over one more.
    """
    rows, cases = len(label), int(label.sum())
    if rows < _LEAST_ROWS or min(cases, rows - cases) < _LEAST_CASES or not features.num_columns:
        return None
    days = _Days.of(day)
    block = days.block[days.index]
    moved = [label[source] for source in days.rotations(seed=seed, count=rotations)]
    codes = {name: _bins(features[name]) for name in features.column_names}
    null = np.full(rotations, -np.inf)
    real: dict[str, float] = {}
    log_odds = np.zeros(rows)
    for name, (code, width) in codes.items():
        cell = block * width + code
        seen = np.bincount(cell, minlength=_BLOCKS * width).reshape(_BLOCKS, width).astype(np.float64)
        hits = _cases(cell, label, width)
        real[name] = float(_precision(seen, hits)[0])
        null = np.maximum(null, _precision(seen, np.stack([_cases(cell, y, width) for y in moved])))
        rate = _rates(seen, hits)
        log_odds += (np.log(rate) - np.log1p(-rate)).reshape(-1)[cell]
    base = cases / rows
    best = max(real, key=lambda name: (real[name], name))
    # The statistic is the precision gained over each stretch's own base rate; a lift is easier to read.
    ranked = sorted(real.items(), key=lambda item: (-item[1], item[0]))
    return Signal(
        rows=rows,
        blocks=_BLOCKS,
        best=best,
        lift=1.0 + real[best] / base,
        lift_together=1.0 + _gain(log_odds, label, block) / base,
        p_value=(1.0 + int((null >= real[best] - 1e-12).sum())) / (1.0 + rotations),
        by_feature=tuple((name, 1.0 + gain / base) for name, gain in ranked),
    )


def _bins(column: pa.ChunkedArray) -> tuple[Ints, int]:
    """Return a bin for each value, the first being 'missing', and how many bins there are."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        encoded = pc.dictionary_encode(column.combine_chunks())
        index = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        counts = np.bincount(index[index >= 0], minlength=len(encoded.dictionary))
        place = np.full(len(counts) + 1, 1, dtype=np.int64)  # 1: one of the many rare ones
        common = np.argsort(-counts, kind="stable")[:_CATEGORIES]
        place[common] = np.arange(len(common)) + 2
        place[-1] = 0
        return place[index], len(common) + 2
    values = column.to_numpy().astype(np.float64)
    there = np.isfinite(values)
    if not there.any():
        return np.zeros(len(values), dtype=np.int64), 1
    edges = np.unique(np.quantile(values[there], np.linspace(0, 1, _QUANTILES + 1)[1:-1], method="lower"))
    return np.where(there, 1 + np.searchsorted(edges, values, side="left"), 0), len(edges) + 2


def _cases(cell: Ints, label: Floats, width: int) -> Floats:
    counted: Floats = np.bincount(cell, weights=label, minlength=_BLOCKS * width).astype(np.float64)
    return counted.reshape(_BLOCKS, width)


def _rates(seen: Floats, hits: Floats) -> Floats:
    """Return, for each stretch, the rate by bin on all other stretches, drawn towards the base rate where thin."""
    others, right = seen.sum(0) - seen, hits.sum(-2, keepdims=True) - hits
    base = right.sum(-1, keepdims=True) / others.sum(-1, keepdims=True)
    rates: Floats = np.clip((right + _PRIOR_ROWS * base) / (others + _PRIOR_ROWS), 1e-6, 1 - 1e-6)
    return rates


def _precision(seen: Floats, hits: Floats) -> Floats:
    """Return the mean gain in average precision over the base rate, stretches weighing by their cases.

    ``seen`` is ``(blocks, bins)``, ``hits`` that or ``(labels, blocks, bins)``: average precision needs no more than
    the counts, since all examples of a bin are tied.
    """
    tables = hits if hits.ndim == 3 else hits[None]
    order = np.argsort(-_rates(seen, tables), axis=-1, kind="stable")
    right = np.cumsum(np.take_along_axis(tables, order, -1), -1)
    rows = np.cumsum(np.take_along_axis(np.broadcast_to(seen, tables.shape), order, -1), -1)
    precision = np.divide(right, rows, out=np.zeros_like(right), where=rows > 0)
    weighed = (np.diff(right, prepend=0.0, axis=-1) * precision).sum(-1)  # average precision times cases
    total = right[..., -1]
    chance = total * total / rows[..., -1]
    gained: Floats = (weighed - chance).sum(-1) / total.sum(-1)
    return gained


def _gain(score: Floats, label: Floats, block: Ints) -> float:
    gained = 0.0
    for one in range(_BLOCKS):
        here = block == one
        if cases := label[here].sum():
            gained += cases * (average_precision(score[here], label[here]) - cases / here.sum())
    return float(gained / label.sum())


@dataclass(frozen=True, slots=True)
class _Days:
    """Examples by day: where each day begins, how many it has, which stretch it belongs to; each example's day."""

    start: Ints
    size: Ints
    block: Ints
    index: Ints

    @classmethod
    def of(cls, day: Ints) -> _Days:
        _, start, index, size = np.unique(day, return_index=True, return_inverse=True, return_counts=True)
        return cls(start.astype(np.int64), size.astype(np.int64), start * _BLOCKS // len(day), index.astype(np.int64))

    def rotations(self, *, seed: int, count: int) -> Iterator[Ints]:
        """Yield, for each example, the example whose label it gets.

        Days differ in size: the place within the day is scaled to the other day's size.
        """
        rng = np.random.default_rng(seed)
        first = np.searchsorted(self.block, self.block, side="left")
        many = np.searchsorted(self.block, self.block, side="right") - first
        place = np.arange(len(self.index)) - self.start[self.index]
        for _ in range(count):
            by = rng.integers(1, np.maximum(many[np.searchsorted(self.block, np.arange(_BLOCKS)) % len(many)], 2))
            other = (first + (np.arange(len(many)) - first + by[self.block]) % many)[self.index]
            within = place * self.size[other] // self.size[self.index]
            offset = rng.integers(0, self.size)
            yield self.start[other] + (within + offset[other]) % self.size[other]
