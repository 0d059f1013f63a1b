"""The kinds of model that the search may try, simplest first.

A new kind is one entry here and one file beside: where its settings start, where they may go, and how it is
fitted. Nothing else in the stage knows a kind by name.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from headway.build.learner import Fitted, Learner
from headway.errors import BriefError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import optuna

    from headway.nouns.examples import Examples
    from headway.nouns.task import Task
    from headway.nouns.trial import Interpretability, Setting

__all__ = ["CANDIDATES", "Candidate", "aimed", "candidate", "candidate_share", "default_threads", "fit"]

_FEW_ROWS = 100_000  # below, a signal is easily drowned by what large trees make of noise
_PATIENCE = 30
_MOST_THREADS = 8  # beyond that, histograms of tabular data gain little


class _Fit(Protocol):
    def __call__(self, examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> Learner: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One kind of model.

    Attributes
    ----------
    defaults
        The settings that are tried first, for so many training rows.
    then
        Those that are tried next, in this order, before any are proposed.
    unset
        What a setting that need not be given stands for where it is not.
    space
        The settings that may be tried, for so many training rows, as Optuna's distributions.
    share
        How many trials it gets in each round after the first: kinds with more to set get more.
    explains
        Whether each prediction can come with exact additive reasons.
    """

    name: str
    interpretability: Interpretability
    explains: bool = True
    share: int
    defaults: Callable[[int], dict[str, Setting]]
    then: Callable[[int], tuple[dict[str, Setting], ...]] = lambda _: ()
    unset: Mapping[str, Setting] = field(default_factory=dict)
    space: Callable[[int], dict[str, optuna.distributions.BaseDistribution]]
    learn: _Fit


def fit(
    algorithm: str,
    settings: Mapping[str, Setting],
    examples: Examples,
    *,
    seed: int,
    threads: int | None = None,
    task: Task = "condition",
) -> Fitted:
    """Fit one algorithm with given settings.

    Parameters
    ----------
    threads
        How many; ``default_threads()`` when not given.

    Raises
    ------
    BriefError
        There is no such algorithm, or a setting is lacking or unknown.
    DataError
        Nothing can be learned from the examples.
    """
    kind = candidate(algorithm, task)
    wanted = {**kind.unset, **kind.defaults(len(examples))}
    for name in settings:
        if name not in wanted:
            raise BriefError(f"{algorithm} has no setting {name!r}.", hint=did_you_mean(name, wanted))
    lacking = sorted(set(wanted) - set(settings) - set(kind.unset))
    if lacking:
        raise BriefError(f"{algorithm} lacks {', '.join(lacking)}.", hint="Give every setting: a model must repeat.")
    count = default_threads() if threads is None else threads
    learner = kind.learn(examples, settings={**kind.unset, **settings}, seed=seed, threads=count)
    return Fitted(
        algorithm=algorithm,
        settings=dict(settings),
        seed=seed,
        threads=count,
        interpretability=kind.interpretability,
        learner=learner,
    )


def candidate(algorithm: str, task: Task = "condition", *, metric: str = "") -> Candidate:
    """Return the kind of model of that name, for a kind of target; its settings start where ``metric`` is aimed at."""
    kinds = _kinds(task)
    if algorithm not in kinds:
        raise BriefError(
            f"There is no algorithm {algorithm!r}.",
            where="[search] algorithms",
            hint=did_you_mean(algorithm, kinds),
        )
    return aimed(kinds[algorithm], metric) if task == "number" else kinds[algorithm]


def candidate_share(algorithm: str) -> int:
    """Return how many trials a kind of model gets in each round, whatever the target is."""
    return CANDIDATES["logistic" if algorithm == "linear" else algorithm].share


def default_threads(*, beside: int = 0) -> int:
    """Return how many threads a fit takes when nobody says: one processor stays free, up to eight are taken.

    Parameters
    ----------
    beside
        How many other fits run at the same time; they share.

    Notes
    -----
    LightGBM's threads wait for each other by spinning: where they outnumber the free processors, two were
    measured to be eight times slower than one.
    """
    return max(1, min(((os.cpu_count() or 1) - 1) // (1 + beside), _MOST_THREADS))


def _leaf_size(rows: int) -> int:
    """Return a sane least number of examples in a leaf: 1 % of few, 100 of many."""
    return max(5, min(100, rows // 100))


def _logistic_space(rows: int) -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "penalty": FloatDistribution(0.1, 1000.0, log=True),
        "rare": IntDistribution(2, max(4, 4 * _leaf_size(rows)), log=True),
    }


def _tree_space(rows: int) -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    size = _leaf_size(rows)
    return {
        "max_depth": IntDistribution(2, 4),
        "min_samples_leaf": IntDistribution(max(2, size // 4), 8 * size, log=True),
        "criterion": CategoricalDistribution(("gini", "entropy")),
    }


def _lightgbm_space(rows: int) -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    size = _leaf_size(rows)
    return {
        **({"patience": CategoricalDistribution((0, _PATIENCE))} if rows < _FEW_ROWS else {}),
        "trees": IntDistribution(100, 400, step=50),
        "learning_rate": FloatDistribution(0.02, 0.15, log=True),
        "num_leaves": IntDistribution(7, 127, log=True),
        "min_child_samples": IntDistribution(max(2, size // 4), 8 * size, log=True),
        "feature_fraction": FloatDistribution(0.4, 1.0),
        "lambda_l2": FloatDistribution(1e-3, 100.0, log=True),
    }


def _lightgbm_starts(rows: int) -> tuple[dict[str, Setting], ...]:
    """Return what is tried first: of many rows trees of usual size, of few small ones that are held back.

    Small data are then tried with the usual trees as well, and with small ones that stop when a later part of the
    training examples is told no better.
    """
    usual: dict[str, Setting] = {
        "trees": 200,
        "learning_rate": 0.05,
        "num_leaves": 31,
        "min_child_samples": _leaf_size(rows),
        "feature_fraction": 0.8,
        "lambda_l2": 1.0,
    }
    if rows >= _FEW_ROWS:
        return (usual,)
    leaf = min(100, 2 * _leaf_size(rows))
    small = {**usual, "num_leaves": 7, "min_child_samples": leaf, "feature_fraction": 0.5, "lambda_l2": 10.0}
    stopping = {**small, "trees": 400, "learning_rate": 0.03, "num_leaves": 15, "patience": _PATIENCE}
    return ({**small, "patience": 0}, {**usual, "patience": 0}, stopping)


def _learn_logistic(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> Learner:
    from headway.build.linear import fit_logistic

    return fit_logistic(examples, settings=settings, seed=seed, threads=threads)


def _learn_tree(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> Learner:
    from headway.build.tree import fit_tree

    return fit_tree(examples, settings=settings, seed=seed, threads=threads)


def _learn_lightgbm(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> Learner:
    from headway.build.boosted import fit_lightgbm

    return fit_lightgbm(examples, settings=settings, seed=seed, threads=threads)


CANDIDATES: Mapping[str, Candidate] = {
    "logistic": Candidate(
        name="logistic",
        interpretability="glass",
        share=1,
        defaults=lambda rows: {"penalty": 1.0, "rare": min(20, _leaf_size(rows))},
        space=_logistic_space,
        learn=_learn_logistic,
    ),
    "tree": Candidate(
        name="tree",
        interpretability="small",
        share=1,
        defaults=lambda rows: {"max_depth": 4, "min_samples_leaf": _leaf_size(rows), "criterion": "gini"},
        space=_tree_space,
        learn=_learn_tree,
    ),
    "lightgbm": Candidate(
        name="lightgbm",
        interpretability="opaque",
        share=2,
        defaults=lambda rows: _lightgbm_starts(rows)[0],
        then=lambda rows: _lightgbm_starts(rows)[1:],
        unset={"patience": 0},
        space=_lightgbm_space,
        learn=_learn_lightgbm,
    ),
}


def _kinds(task: Task) -> Mapping[str, Candidate]:
    """Return the kinds of model that learn such a target."""
    return {"condition": CANDIDATES, "category": _CATEGORIES, "number": _NUMBERS, "ranking": _RANKINGS}[task]


def _number_tree_space(rows: int) -> dict[str, optuna.distributions.BaseDistribution]:
    return {name: where for name, where in _tree_space(rows).items() if name != "criterion"}


def _learn_linear(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> Learner:
    from headway.build.linear import fit_linear

    return fit_linear(examples, settings=settings, seed=seed, threads=threads)


def _learn_order(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> Learner:
    from headway.build.linear import fit_linear

    return fit_linear(examples, settings=settings, seed=seed, threads=threads, task="ranking")


def _learn_number_tree(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> Learner:
    from headway.build.tree import fit_regression_tree

    return fit_regression_tree(examples, settings=settings, seed=seed, threads=threads)


def _learn_number_lightgbm(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> Learner:
    from headway.build.boosted import fit_lightgbm

    return fit_lightgbm(examples, settings=settings, seed=seed, threads=threads, task="number")


def _learn_multiclass(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> Learner:
    from headway.build.boosted import fit_lightgbm

    return fit_lightgbm(examples, settings=settings, seed=seed, threads=threads, task="category")


def _learn_lambdarank(examples: Examples, *, settings: Mapping[str, Setting], seed: int, threads: int) -> Learner:
    from headway.build.boosted import fit_lightgbm

    return fit_lightgbm(examples, settings=settings, seed=seed, threads=threads, task="ranking")


_LINEAR = replace(CANDIDATES["logistic"], name="linear", learn=_learn_linear)

_NUMBERS: Mapping[str, Candidate] = {
    "linear": _LINEAR,
    "tree": replace(
        CANDIDATES["tree"],
        defaults=lambda rows: {"max_depth": 4, "min_samples_leaf": _leaf_size(rows)},
        space=_number_tree_space,
        learn=_learn_number_tree,
    ),
    "lightgbm": replace(
        CANDIDATES["lightgbm"],
        defaults=lambda rows: {"objective": "l2", **CANDIDATES["lightgbm"].defaults(rows)},
        then=lambda rows: tuple({"objective": "l2", **each} for each in CANDIDATES["lightgbm"].then(rows)),
        learn=_learn_number_lightgbm,
    ),
}

_CATEGORIES: Mapping[str, Candidate] = {
    "logistic": CANDIDATES["logistic"],  # multinomial, where the examples have classes
    "tree": CANDIDATES["tree"],
    "lightgbm": replace(CANDIDATES["lightgbm"], learn=_learn_multiclass),
}

_RANKINGS: Mapping[str, Candidate] = {
    "linear": replace(_LINEAR, learn=_learn_order),
    "lightgbm": replace(CANDIDATES["lightgbm"], learn=_learn_lambdarank),
}


def aimed(kind: Candidate, metric: str) -> Candidate:
    """Return the kind with its ``objective``, where it has one, set to what ``metric`` is least for.

    What a metric asks for (Gneiting 2011): the mean (rmse, r2), the median (mae), a quantile, the rate of a count.

    Examples
    --------
    >>> candidate("lightgbm", "number", metric="pinball_90").defaults(1000)["objective"]
    'q90'
    """
    if "objective" not in kind.defaults(0):
        return kind
    aims = {"mae": "q50", "explained_error": "q50", "poisson_deviance": "poisson"}
    aim = f"q{metric.removeprefix('pinball_')}" if metric.startswith("pinball_") else aims.get(metric, "l2")

    def space(rows: int) -> dict[str, optuna.distributions.BaseDistribution]:
        from optuna.distributions import CategoricalDistribution

        return {"objective": CategoricalDistribution((aim,)), **kind.space(rows)}

    return replace(
        kind,
        defaults=lambda rows: {**kind.defaults(rows), "objective": aim},
        then=lambda rows: tuple({**each, "objective": aim} for each in kind.then(rows)),
        space=space,
    )
