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
from headway.define.sample import above_middle
from headway.nouns.metric import day_draws, higher_is_better, interval_of_draws, measured, silent_is_lowest
from headway.nouns.today import answers_today, quantile_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.define.sample import Sample
    from headway.nouns.interval import Interval
    from headway.nouns.task import MetricName

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Forward", "Trained", "forward_scores", "learnable", "quick_scorer", "scored", "trained_on_less"]

_STRETCHES, _FIRST_TEST = 6, 2
_MOST_ROWS = 20_000
_LEAST_CASES = 5
_TREES = 60
_SIZES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
_REPEATS = 2
_DRAWS = 300
_DOUBT, _PRIOR = 0.01, 1.0
_MOST_RELEVANT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """Examples of the later stretches, each scored by a model of its past: positions, scores, and the stretch."""

    rows: Ints
    score: Floats
    stretch: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """Models trained on ever more days: rows trained on, the metric, and its resamples by day of the test.

    ``chance`` is the metric of no skill on the same test.
    """

    rows: Ints
    value: Floats
    drawn: Floats
    chance: float


def forward_scores(sample: Sample, *, metric: MetricName, seed: int) -> Forward:
    """Return the later examples, scored by models of what was known before their stretch."""
    matrix, categories = _matrix(sample.features)
    block = Days.of(sample.day, stretches=_STRETCHES).block
    rows, scores, stretches = [], [], []
    for one in range(_FIRST_TEST, _STRETCHES):
        test = np.flatnonzero(block == one)
        if not len(test):
            continue
        train = np.flatnonzero((block < one) & (sample.known < sample.at[test].min()))
        if not learnable(sample, train) or not learnable(sample, test):
            continue
        model = _fitted(sample, matrix, _thinned(sample, train), categories, metric=metric, seed=seed)
        rows.append(test)
        scores.append(model(matrix[test]))
        stretches.append(np.full(len(test), one))
    if not rows:
        return Forward(rows=np.zeros(0, np.int64), score=np.zeros(0), stretch=np.zeros(0, np.int64))
    return Forward(rows=np.concatenate(rows), score=np.concatenate(scores), stretch=np.concatenate(stretches))


def scored(
    sample: Sample, forward: Forward, score: Floats, *, metric: MetricName, seed: int, level: float = 0.95
) -> Interval | None:
    """Return the metric's mean over stretches, each weighing by its examples, with an interval over days.

    Scores of different models are never ranked against each other. ``score`` belongs to ``forward.rows``; ``None``
    where days are too few for an interval.
    """
    values, drawn, weights, days = [], [], [], 0
    for one in np.unique(forward.stretch):
        here = forward.stretch == one
        rows = forward.rows[here]
        found = len(np.unique(sample.day[rows]))
        if found < 2 or not learnable(sample, rows):
            continue
        s = silent_is_lowest(score[here]) if sample.task == "condition" and higher_is_better(metric) else score[here]
        group = None if sample.group is None else sample.group[rows]
        values.append(measured(metric, s, sample.label[rows], group=group))
        drawn.append(
            day_draws(metric, s, sample.label[rows], sample.day[rows], group=group, draws=_DRAWS, seed=seed + int(one))
        )
        weights.append(float(here.sum()))
        days += found
    if not values or not np.isfinite(values).all():
        return None
    mean = float(np.average(values, weights=weights))
    resampled = np.stack(drawn)
    usable = np.isfinite(resampled).all(axis=0)
    if usable.sum() < _DRAWS // 2:
        return None
    return interval_of_draws(mean, np.average(resampled[:, usable], axis=0, weights=weights), days=days, level=level)


def trained_on_less(sample: Sample, *, metric: MetricName, seed: int) -> Trained | None:
    """Return models trained on ever more whole days of the past, all scored on the last third; None if too few."""
    matrix, categories = _matrix(sample.features)
    day, group = sample.day, sample.group
    block = Days.of(day, stretches=_STRETCHES).block
    test = np.flatnonzero(block >= _STRETCHES - 2)
    past = np.flatnonzero((block < _STRETCHES - 2) & (sample.known < sample.at[test].min())) if len(test) else test
    if len(np.unique(day[test])) < 2 or not learnable(sample, test):
        return None
    past = _thinned(sample, past)
    past_days = np.unique(day[past])
    rng = np.random.default_rng(seed)
    label, of = sample.label[test], None if group is None else group[test]
    rows, values, drawn = [], [], []
    for size in _SIZES:
        for _ in range(_REPEATS if size < 1 else 1):
            kept = past_days
            if size < 1:
                kept = rng.choice(past_days, min(max(2, round(size * len(past_days))), len(past_days)), replace=False)
            train = past[np.isin(day[past], kept)]
            if not learnable(sample, train):
                continue
            score = _fitted(sample, matrix, train, categories, metric=metric, seed=seed)(matrix[test])
            rows.append(len(train))
            values.append(measured(metric, score, label, group=of))
            drawn.append(day_draws(metric, score, label, day[test], group=of, draws=_DRAWS, seed=seed))
    if len(set(rows)) < 4:
        return None
    blind = answers_today(label, None, task=sample.task, metric=metric, classes=len(sample.classes))
    return Trained(
        rows=np.array(rows),
        value=np.array(values),
        drawn=np.stack(drawn),
        chance=measured(metric, blind, label, group=of),
    )


def quick_scorer(
    sample: Sample, *, train: Ints, asked: Ints, metric: MetricName, seed: int
) -> Callable[[Sequence[str]], Floats]:
    """Return what tells, of some features by name, what the quick model trained with them says of the rows asked.

    It sees all of them at every tree, so that one feature more is all that differs between two of them.
    """
    matrix, categories = _matrix(sample.features)
    place = {name: position for position, name in enumerate(sample.features.column_names)}

    def scores(features: Sequence[str]) -> Floats:
        columns = [place[name] for name in features]
        texts = [position for position, column in enumerate(columns) if column in categories]
        seen = matrix[:, columns]
        model = _fitted(sample, seen, train, texts, metric=metric, seed=seed, feature_fraction=1.0)
        return model(seen[asked])

    return scores


def learnable(sample: Sample, rows: Ints) -> bool:
    """Whether there are a few examples of each kind."""
    label = sample.label[rows]
    if sample.task == "number":
        return len(label) >= 2 * _LEAST_CASES and bool(np.ptp(label))
    if sample.task == "category":
        return int((np.unique(label, return_counts=True)[1] >= _LEAST_CASES).sum()) > 1
    cases = int((above_middle(label) if sample.task == "ranking" else label > 0).sum())
    return min(cases, len(label) - cases) >= _LEAST_CASES


def _thinned(sample: Sample, rows: Ints) -> Ints:
    """Return no more rows than a quick model takes, evenly over time; groups stay whole."""
    step = -(-len(rows) // _MOST_ROWS) if len(rows) else 1
    if sample.group is None or step == 1:
        return rows[::step]
    names, first, at = np.unique(sample.group[rows], return_index=True, return_inverse=True)
    turn = np.empty(len(names), dtype=np.int64)
    turn[np.argsort(first, kind="stable")] = np.arange(len(names))
    taken: Ints = rows[turn[at] % step == 0]
    return taken


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


def _objective(sample: Sample, metric: MetricName) -> dict[str, Any]:
    """Return what the trees aim at: what the metric is least for, or LambdaMART (Burges 2010) for an order."""
    if sample.task == "condition":
        return {"objective": "binary"}
    if sample.task == "category":
        return {"objective": "multiclass", "num_class": len(sample.classes)}
    if sample.task == "ranking":
        return {"objective": "lambdarank", "label_gain": list(range(_MOST_RELEVANT + 1))}
    if (share := quantile_of(metric)) is not None:
        return {"objective": "quantile", "alpha": share}
    if metric == "poisson_deviance":
        return {"objective": "poisson"}
    return {"objective": "regression" if metric in {"rmse", "r2"} else "regression_l1"}


def _fitted(
    sample: Sample,
    matrix: Floats,
    rows: Ints,
    categories: list[int],
    *,
    metric: MetricName,
    seed: int,
    feature_fraction: float = 0.8,
) -> Callable[[Floats], Floats]:
    import lightgbm

    settings = {
        **_objective(sample, metric),
        "num_leaves": 15,
        "learning_rate": 0.08,
        "min_data_in_leaf": max(5, min(50, len(rows) // 40)),
        "lambda_l2": 5.0,
        "cat_smooth": 30.0,
        "feature_fraction": feature_fraction,
        "max_bin": 63,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }
    sizes = None
    if sample.group is not None:  # a group's rows stand side by side
        rows = rows[np.argsort(sample.group[rows], kind="stable")]
        sizes = np.unique(sample.group[rows], return_counts=True)[1]
    label = sample.label[rows]
    if sample.task == "ranking":  # relevance is a whole number there, and what it gains is looked up
        label = np.minimum(np.rint(label), _MOST_RELEVANT)
    data = lightgbm.Dataset(
        matrix[rows],
        label,
        group=sizes,
        categorical_feature=categories,
        params=settings,
        free_raw_data=True,
    )
    model = lightgbm.train(settings, data, num_boost_round=_TREES)
    if sample.task != "category":
        return lambda asked: np.asarray(model.predict(asked), dtype=np.float64)
    mix = np.bincount(sample.label[rows].astype(np.int64), minlength=len(sample.classes)) + _PRIOR

    def probabilities(asked: Floats) -> Floats:
        # A class that this past has not seen gets a little all the same: it is no surprise without end.
        said = np.asarray(model.predict(asked), dtype=np.float64)
        return np.asarray((1 - _DOUBT) * said + _DOUBT * mix / mix.sum())

    return probabilities
