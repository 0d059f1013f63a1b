"""Frozen bins and summaries: exact merging, whatever the split, and counts that a plain loop confirms."""

from __future__ import annotations

import functools
import itertools
import math
import time
from collections import Counter

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import DataError
from headway.nouns.summary import (
    FrozenBins,
    Summary,
    distance,
    latency_quantile_us,
    merge,
    moved,
    summarise,
)

NUMBERS = st.lists(
    st.one_of(st.none(), st.floats(width=32, allow_nan=True, allow_infinity=True)), min_size=1, max_size=60
)


def table(rows: int, seed: int, *, shift: float = 0.0) -> tuple[pa.Table, np.ndarray]:
    """Return a table of one number and one category with nulls, and scores."""
    rng = np.random.default_rng(seed)
    wind = rng.normal(size=rows).astype(np.float32) + np.float32(shift)
    wind[rng.random(rows) < 0.05] = np.nan
    place = [None if rng.random() < 0.05 else f"p{int(k)}" for k in rng.zipf(1.5, rows) % 200]
    features = pa.table({"wind": pa.array(wind, from_pandas=True), "place": pa.array(place, pa.string())})
    return features, rng.random(rows)


@given(st.lists(st.integers(0, 400), max_size=6), st.randoms(use_true_random=False), st.integers(0, 3))
def test_split_shuffled_and_merged_counts_are_those_of_the_whole(cuts: list[int], random, seed: int) -> None:
    """Any split into windows, any order of rows and of merging: the same summary to the bit."""
    features, scores = table(400, seed)
    bins = FrozenBins.freeze(features, scores)
    times = np.random.default_rng(seed).lognormal(8, 1, 400)
    whole = summarise(bins, features, scores, latencies_us=times, errors=3, stale={"wind": 7}, known=9, positives=2)
    order = list(range(400))
    random.shuffle(order)
    mixed, mixed_scores, mixed_times = features.take(order), scores[order], times[order]
    bounds = [0, *sorted(cuts), 400]
    parts = [
        summarise(bins, mixed.slice(a, b - a), mixed_scores[a:b], latencies_us=mixed_times[a:b])
        for a, b in itertools.pairwise(bounds)
    ]
    none = features.slice(0, 0)
    parts.append(summarise(bins, none, np.array([]), errors=3, stale={"wind": 7}, known=9, positives=2))
    random.shuffle(parts)
    assert functools.reduce(merge, parts) == whole
    assert functools.reduce(lambda a, b: merge(b, a), parts) == whole


@given(NUMBERS, NUMBERS)
def test_every_number_falls_into_the_bin_between_its_edges(reference: list, live: list) -> None:
    """Counts equal those of a plain loop over rows, for nulls, NaN and infinities too."""
    column = pa.table({"x": pa.array(reference, pa.float32())})
    bins = FrozenBins.freeze(column, np.zeros(len(reference)))
    edges = bins.columns["x"].edges
    expected = Counter(
        0 if x is None or math.isnan(x) else 1 + sum(np.float32(edge) <= np.float32(x) for edge in edges) for x in live
    )
    found = summarise(bins, pa.table({"x": pa.array(live, pa.float32())}), np.zeros(len(live)))
    assert found.columns["x"] == tuple(expected.get(i, 0) for i in range(bins.columns["x"].size))
    assert sum(bins.columns["x"].counts) == len(reference)


def test_categories_are_named_other_unseen_or_null() -> None:
    """The 63 most frequent have a counter each; rarer ones share one, and what the reference lacks another."""
    names = [f"c{i:03d}" for i in range(70) for _ in range(100 - i)]
    features = pa.table({"c": pa.array([*names, None])})
    bins = FrozenBins.freeze(features, np.zeros(len(names) + 1))
    column = bins.columns["c"]
    assert column.names[0] == "c000"
    assert len(column.names) == 63
    live = pa.table({"c": pa.array(["c000", "c069", "never", None, "c062"])})
    counts = summarise(bins, live, np.zeros(5)).columns["c"]
    assert (counts[0], counts[1], counts[2], counts[64], counts[-1]) == (1, 1, 1, 1, 1)


def test_bins_and_summaries_survive_json() -> None:
    """decode(encode(x)) = x, float32 edges included."""
    features, scores = table(500, 1)
    bins = FrozenBins.freeze(features, scores, day=np.arange(500) // 50)
    summary = summarise(bins, features, scores)
    assert msgspec.json.decode(msgspec.json.encode(bins), type=FrozenBins) == bins
    assert msgspec.json.decode(msgspec.json.encode(summary), type=Summary) == summary
    assert len(bins.columns["wind"].daily) == 10


def test_distance_and_share_moved_are_zero_for_the_reference_and_grow_with_a_shift() -> None:
    """A shift by one deviation moves Kolmogorov's D to 2 Phi(1/2) - 1 = 0.383, within sampling error."""
    features, scores = table(20_000, 2)
    bins = FrozenBins.freeze(features, scores)
    shifted, _ = table(20_000, 3, shift=1.0)
    same, away = summarise(bins, features, scores), summarise(bins, shifted, scores)
    column = bins.columns["wind"]
    assert distance(column, same.columns["wind"]) == 0.0
    assert moved(column, same.columns["wind"]) == 0.0
    assert distance(column, away.columns["wind"]) == pytest.approx(0.383 * 0.95, abs=0.02)
    assert distance(column, ()) == 0.0


def test_latency_quantiles_are_at_most_a_tenth_too_high() -> None:
    """Against numpy on log-normal times; NaN without answers."""
    times = np.random.default_rng(1).lognormal(8, 1.2, 5_000)
    features, scores = table(10, 1)
    summary = summarise(FrozenBins.freeze(features, scores), features, scores, latencies_us=times)
    for q in (0.5, 0.99):
        exact = float(np.quantile(times, q, method="inverted_cdf"))
        assert exact <= latency_quantile_us(summary, q) <= exact * 1.0906
    assert np.isnan(latency_quantile_us(Summary(bins=""), 0.5))


def test_the_mean_score_is_exact_to_nine_digits() -> None:
    """Fixed point keeps what floating sums would lose to their order."""
    features, scores = table(1000, 4)
    summary = summarise(FrozenBins.freeze(features, scores), features, scores)
    assert summary.mean_score == pytest.approx(float(scores.mean()), abs=1e-9)


def test_summaries_of_other_bins_and_tables_without_a_column_are_refused() -> None:
    """Neither is merged nor counted in silence; a near name is proposed."""
    features, scores = table(100, 1)
    other, _ = table(100, 2)
    bins = FrozenBins.freeze(features, scores)
    foreign = summarise(FrozenBins.freeze(other, scores), other, scores)
    with pytest.raises(DataError, match="different bins"):
        merge(summarise(bins, features, scores), foreign)
    with pytest.raises(DataError, match=r"lacks the feature 'wind'.*Did you mean 'wnd'"):
        summarise(bins, features.rename_columns(["wnd", "place"]), scores)
    with pytest.raises(DataError, match="as many scores"):
        summarise(bins, features, scores[:5])
    with pytest.raises(DataError, match="at least one"):
        FrozenBins.freeze(features.slice(0, 0), np.array([]))
    with pytest.raises(DataError, match="float32 or string"):
        FrozenBins.freeze(pa.table({"n": pa.array([1, 2])}), np.zeros(2))


def test_counting_costs_a_small_multiple_of_sorting() -> None:
    """200,000 rows of eight numbers are counted in at most four times what sorting the same columns takes."""
    rng = np.random.default_rng(1)
    numbers = {f"x{i}": rng.normal(size=200_000).astype(np.float32) for i in range(8)}
    features, scores = pa.table(numbers), rng.random(200_000)
    bins = FrozenBins.freeze(features.slice(0, 20_000), scores[:20_000])
    ratios = []
    for _ in range(3):
        start = time.perf_counter()
        for values in numbers.values():
            np.sort(values, kind="stable")
        middle = time.perf_counter()
        summarise(bins, features, scores)
        ratios.append((time.perf_counter() - middle) / (middle - start))
    assert min(ratios) <= 4
