"""What to expect of a model: a quick one, trained on the past and scored on what came after, again and again.

Boosted trees with fixed settings, so that nothing is chosen and nothing can be overfitted by choosing. Time is cut into
six stretches; each of the last four is predicted by a model of all before it whose labels were known by then (rolling
origin: Tashman 2000). On the last of them the same model is trained on ever fewer days, which gives the learning curve.
A search may do better; it seldom does much worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from headway.define.bins import is_text
from headway.define.moved import Days
from headway.nouns.metric import METRICS, day_draws, higher_is_better, interval_of_draws, silent_is_lowest

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.nouns.interval import Interval

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

__all__ = ["Forward", "Trained", "forward_scores", "scored", "trained_on_less"]

_STRETCHES, _FIRST_TEST = 6, 2
_MOST_ROWS = 20_000
_LEAST_CASES = 5
_TREES = 60
_SIZES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
_REPEATS = 2
_DRAWS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Examples of the later stretches, each scored by a model of its past: positions, scores, and the stretch."""

    rows: Ints
    score: Floats
    stretch: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Models trained on ever more days: rows trained on, the metric, and its resamples by day of the test."""

    rows: Ints
    value: Floats
    drawn: Floats


def forward_scores(features: pa.Table, label: Floats, day: Ints, *, at: Ints, known: Ints, seed: int) -> Forward:
    """Return the later examples, scored by models of what was known before their stretch.

    All arrays are in the order of time, the label 0 or 1.
    """
    matrix, categories = _matrix(features)
    block = Days.of(day, stretches=_STRETCHES).block
    rows, scores, stretches = [], [], []
    for one in range(_FIRST_TEST, _STRETCHES):
        test = np.flatnonzero(block == one)
        if not len(test):
            continue
        train = np.flatnonzero((block < one) & (known < at[test].min()))
        if not _both(label[train]) or not _both(label[test]):
            continue
        rows.append(test)
        scores.append(_fitted(matrix, label, _thinned(train), categories, seed=seed).predict(matrix[test]))
        stretches.append(np.full(len(test), one))
    if not rows:
        return Forward(rows=np.zeros(0, np.int64), score=np.zeros(0), stretch=np.zeros(0, np.int64))
    return Forward(rows=np.concatenate(rows), score=np.concatenate(scores), stretch=np.concatenate(stretches))


def scored(forward: Forward, score: Floats, label: Floats, day: Ints, *, metric: str, seed: int) -> Interval | None:
    """Return the metric's mean over stretches, each weighing by its examples, with an interval over days.

    Scores of different models are never ranked against each other. ``score``, ``label`` and ``day`` belong to
    ``forward.rows``; ``None`` where days are too few for an interval.
    """
    values, drawn, weights, days = [], [], [], 0
    for one in np.unique(forward.stretch):
        here = forward.stretch == one
        found = len(np.unique(day[here]))
        if found < 2 or not _both(label[here]):
            continue
        s = silent_is_lowest(score[here]) if higher_is_better(metric) else score[here]
        values.append(METRICS[metric](s, label[here]))
        drawn.append(day_draws(metric, s, label[here], day[here], draws=_DRAWS, seed=seed + int(one)))
        weights.append(float(here.sum()))
        days += found
    if not values:
        return None
    mean = float(np.average(values, weights=weights))
    resampled = np.stack(drawn)
    usable = np.isfinite(resampled).all(axis=0)
    if usable.sum() < _DRAWS // 2:
        return None
    return interval_of_draws(mean, np.average(resampled[:, usable], axis=0, weights=weights), days=days)


def trained_on_less(
    features: pa.Table, label: Floats, day: Ints, *, at: Ints, known: Ints, metric: str, seed: int
) -> Trained | None:
    """Return models trained on ever more whole days of the past, all scored on the last third; None if too few."""
    matrix, categories = _matrix(features)
    block = Days.of(day, stretches=_STRETCHES).block
    test = np.flatnonzero(block >= _STRETCHES - 2)
    past = np.flatnonzero((block < _STRETCHES - 2) & (known < at[test].min())) if len(test) else test
    if len(np.unique(day[test])) < 2 or not _both(label[test]):
        return None
    past = _thinned(past)
    past_days = np.unique(day[past])
    rng = np.random.default_rng(seed)
    rows, values, drawn = [], [], []
    for size in _SIZES:
        for _ in range(_REPEATS if size < 1 else 1):
            kept = rng.choice(past_days, max(2, round(size * len(past_days))), replace=False) if size < 1 else past_days
            train = past[np.isin(day[past], kept)]
            if not _both(label[train]):
                continue
            score = _fitted(matrix, label, train, categories, seed=seed).predict(matrix[test])
            rows.append(len(train))
            values.append(METRICS[metric](score, label[test]))
            drawn.append(day_draws(metric, score, label[test], day[test], draws=_DRAWS, seed=seed))
    if len(set(rows)) < 4:
        return None
    return Trained(rows=np.array(rows), value=np.array(values), drawn=np.stack(drawn))


def _both(label: Floats) -> bool:
    cases = float(label.sum())
    return min(cases, len(label) - cases) >= _LEAST_CASES


def _thinned(rows: Ints) -> Ints:
    """Return no more rows than a quick model takes, evenly over time."""
    step = -(-len(rows) // _MOST_ROWS) if len(rows) else 1
    return rows[::step]


def _matrix(features: pa.Table) -> tuple[Floats, list[int]]:
    """Return all features as numbers, missing as NaN, and which of them stand for categories."""
    columns, categories = [], []
    for position, name in enumerate(features.column_names):
        column = features[name].combine_chunks()
        if is_text(features[name]):
            categories.append(position)
            encoded = pc.dictionary_encode(column).indices
            columns.append(encoded.cast("float64").to_numpy(zero_copy_only=False))
        else:
            columns.append(column.cast("float64").to_numpy(zero_copy_only=False))
    return np.stack(columns, axis=1), categories


def _fitted(matrix: Floats, label: Floats, rows: Ints, categories: list[int], *, seed: int) -> Any:
    import lightgbm

    settings = {
        "objective": "binary",
        "num_leaves": 15,
        "learning_rate": 0.08,
        "min_data_in_leaf": max(5, min(50, len(rows) // 40)),
        "lambda_l2": 5.0,
        "cat_smooth": 30.0,
        "feature_fraction": 0.8,
        "max_bin": 63,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }
    data = lightgbm.Dataset(
        matrix[rows], label[rows], categorical_feature=categories, params=settings, free_raw_data=True
    )
    return lightgbm.train(settings, data, num_boost_round=_TREES)
