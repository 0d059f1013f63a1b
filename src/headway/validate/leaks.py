"""Leak detectors: signs that the features know what they cannot know at prediction time.

The file hides how each sign is measured in a column at a time. None of them proves a leak, and none sees what
only several features together give away; a figure far above what the reference can do stays the best alarm.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.errors import DataError
from headway.nouns.metric import roc_auc
from headway.validate.disguise import best_pair, spellings

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

__all__ = ["LeakCheck", "find_leaks"]

# One feature alone. The departure delay, the leak that everybody falls for in flight data, has 0.942 for 'arrives
# over 30 minutes late'; the best honest feature of the same flights has 0.65, and few anywhere pass 0.85.
SOLVED_ROC_AUC = 0.90
# Two honest features together know more than one; a target cut out of their difference is told nearly without fault.
SOLVED_TOGETHER = 0.97
NEAR_UNIQUE = 0.5  # distinct values of a category over rows: it names rows, or moments
TIME_ORDER = 0.99  # rank correlation of a near-unique number with the order of the rows
UNSEEN = 0.5  # share of later rows whose category was never seen in training
TWINS = 0.01  # share of later rows with a twin in training, where no key tells two examples apart
TELLING_MISSES = 20.0  # expected labels of the other kind among the missing, of which none was found
_FOLDS = 5
_PRIOR = 10.0  # rows' worth of the base rate in a category's mean (Micci-Barreca 2001)
_MOST_ROWS = 60_000
_FEWEST = 100  # rows below which shares say nothing


class LeakCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One sign of a leak in one column, or in the rows as a whole: what was found, what was wanted.

    Examples
    --------
    >>> print(LeakCheck(name="solves alone", subject="delay", passed=False, found="ROC AUC 0.998", wanted="<= 0.95"))
    FAILED: solves alone: delay: ROC AUC 0.998, wanted <= 0.95
    """

    name: str
    subject: str
    passed: bool
    found: str
    wanted: str

    def __str__(self) -> str:
        state = "passed" if self.passed else "FAILED"
        return f"{state}: {self.name}: {self.subject}: {self.found}, wanted {self.wanted}"


def find_leaks(
    features: pa.Table,
    label: ArrayLike,
    split: ArrayLike,
    *,
    key: pa.Table | None = None,
    group: pa.Table | None = None,
    seed: int = 0,
) -> list[LeakCheck]:
    """Return every check that was made, failed ones first.

    Columns are looked at in at most 60,000 rows, taken evenly over time; rows that come twice are looked for in all.

    Parameters
    ----------
    features
        ``float32`` and ``string`` columns, the rows ordered by the moment of prediction; null means missing.
    label
        0 or 1 for each row.
    split
        The name of each row's split; ``train`` is the training one, or the first to appear where none is called so.
    key
        The columns that name the entity of each row. With it no row may come twice; without it, equal features
        may be mere chance, and a small share of twins is let pass.
    group
        The columns that name the group of each row, where no group may be in two splits: neither itself nor, under
        another name, with the same features.
    seed
        Of the folds within which a category's mean label is taken.

    Raises
    ------
    DataError
        Columns of unequal length, or a label that is not 0 or 1.
    """
    y, parts = np.asarray(label, dtype=np.float64), np.asarray(split)
    if not (features.num_rows == len(y) == len(parts) and (key is None or key.num_rows == len(y))):
        raise DataError(
            f"{features.num_rows} rows of features, {len(y)} labels and {len(parts)} splits must be equally many."
        )
    if not np.all((y == 0) | (y == 1)):
        raise DataError("Labels must be 0 or 1.", hint="Leave out examples whose label is void or not yet known.")
    if not len(y):
        return []
    training = "train" if np.any(parts == "train") else parts[0]
    order = [training, *(part for part in dict.fromkeys(parts.tolist()) if part != training)]
    checks = [_twins(features, key, parts, order)]
    if group is not None:
        checks += [_group_twice(group, parts, order), _group_twins(features, parts == training)]
    # One column's leak shows in a part of the rows as in all; a row that comes twice shows in all alone.
    rows = np.unique(np.linspace(0, len(y) - 1, min(_MOST_ROWS, len(y))).astype(np.int64))
    y, train = y[rows], (parts == training)[rows]
    fold = np.random.default_rng(seed).integers(0, _FOLDS, len(y))
    numbers: dict[str, Floats] = {}
    for name in features.column_names:
        column = features[name].take(rows).combine_chunks()
        missing = np.asarray(pc.is_null(column, nan_is_null=True))
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            codes = _codes(column)
            checks.append(_solves_alone(name, _mean_out_of_fold(codes, y, fold), y, ~missing))
            checks.append(_names_rows(name, codes, missing))
            if not checks[-1].passed:
                checks.append(_spelt(name, column, y, fold))
            checks.append(_never_seen(name, codes, train=train, missing=missing))
        else:
            values = np.asarray(column.fill_null(np.nan), dtype=np.float64)
            checks.append(_solves_alone(name, _best_order(values, missing, y, fold), y, ~missing))
            checks.append(_follows_time(name, values[~missing]))
            if checks[-2].passed:
                numbers[name] = values
        checks.append(_missing_tells(name, missing, y))
    return sorted([*checks, *_together(numbers, y)], key=lambda check: check.passed)


def _together(numbers: dict[str, Floats], label: Floats) -> list[LeakCheck]:
    """Whether two numbers give the target, none of which does alone."""
    found = best_pair(numbers, label)
    if found is None:
        return []
    (first, second), area = found
    return [
        LeakCheck(
            name="solves the target together",
            subject=f"{first} with {second}",
            passed=area <= SOLVED_TOGETHER,
            found=f"ROC AUC {area:.3f}",
            wanted=f"at most {SOLVED_TOGETHER:g}",
        )
    ]


def _spelt(name: str, column: pa.Array, label: Floats, fold: NDArray[np.int64]) -> LeakCheck:
    """Whether a part of an identifier's text gives the target."""
    areas = {}
    for part, texts in spellings(column.to_pylist()).items():
        (score,) = _mean_out_of_fold(_codes(pa.array(texts)), label, fold)
        area = roc_auc(score, label)
        areas[part] = max(area, 1 - area) if np.isfinite(area) else 0.5
    part, best = max(areas.items(), key=lambda each: each[1])
    return LeakCheck(
        name="spells the target",
        subject=name,
        passed=best <= SOLVED_ROC_AUC,
        found=f"{part}: ROC AUC {best:.3f}",
        wanted=f"at most {SOLVED_ROC_AUC:g}",
    )


def _solves_alone(name: str, scores: list[Floats], label: Floats, present: Bools) -> LeakCheck:
    areas = [roc_auc(score, label) for score in scores]
    if present.sum() >= _FEWEST:  # a leak that is often missing still solves the rows that have it
        areas += [roc_auc(score[present], label[present]) for score in scores]
    best = max((max(area, 1 - area) for area in areas if np.isfinite(area)), default=0.5)
    return LeakCheck(
        name="solves the target alone",
        subject=name,
        passed=best <= SOLVED_ROC_AUC,
        found=f"ROC AUC {best:.3f}",
        wanted=f"at most {SOLVED_ROC_AUC:g}",
    )


def _best_order(values: Floats, missing: Bools, label: Floats, fold: NDArray[np.int64]) -> list[Floats]:
    """Return the ways in which a number may solve the target: by its order, or, in bins, by nearness to a value."""
    if missing.all():
        return []
    edges = np.unique(np.quantile(values[~missing], np.arange(1, 64) / 64))
    codes = np.where(missing, len(edges) + 1, np.searchsorted(edges, values, side="left"))
    low, high = np.where(missing, -np.inf, values), np.where(missing, np.inf, values)
    return [low, high, *_mean_out_of_fold(codes, label, fold)]


def _mean_out_of_fold(codes: NDArray[np.int64], label: Floats, fold: NDArray[np.int64]) -> list[Floats]:
    """Return the mean label of each row's category in the *other* folds, drawn towards the base rate.

    In-fold means would make every near-unique column look like a leak: each row would predict itself.
    """
    size = int(codes.max()) + 1
    cell = fold * size + codes
    hits = np.bincount(cell, weights=label, minlength=_FOLDS * size).reshape(_FOLDS, size)
    rows = np.bincount(cell, minlength=_FOLDS * size).reshape(_FOLDS, size)
    others, seen = hits.sum(axis=0) - hits, rows.sum(axis=0) - rows
    base = (others.sum(axis=1) / np.maximum(seen.sum(axis=1), 1))[:, None]
    mean = (others + _PRIOR * base) / (seen + _PRIOR)
    return [mean[fold, codes]]


def _names_rows(name: str, codes: NDArray[np.int64], missing: Bools) -> LeakCheck:
    present = codes[~missing]
    share = len(np.unique(present)) / max(len(present), 1)
    return LeakCheck(
        name="names single rows",
        subject=name,
        passed=share <= NEAR_UNIQUE or len(present) < _FEWEST,
        found=f"{share:.0%} of its values are distinct",
        wanted=f"at most {NEAR_UNIQUE:.0%}",
    )


def _never_seen(name: str, codes: NDArray[np.int64], *, train: Bools, missing: Bools) -> LeakCheck:
    later = codes[~train & ~missing]
    share = float(np.isin(later, codes[train], invert=True).mean()) if len(later) else 0.0
    return LeakCheck(
        name="encodes time",
        subject=name,
        passed=share <= UNSEEN or len(later) < _FEWEST,
        found=f"{share:.0%} of later rows hold a value never seen in training",
        wanted=f"at most {UNSEEN:.0%}",
    )


def _follows_time(name: str, present: Floats) -> LeakCheck:
    distinct = len(np.unique(present))
    order = 0.0
    if distinct > NEAR_UNIQUE * len(present) and len(present) >= _FEWEST:
        ranks = np.argsort(np.argsort(present, kind="stable"), kind="stable")
        order = float(abs(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1]))  # Spearman's
    return LeakCheck(
        name="encodes time",
        subject=name,
        passed=order <= TIME_ORDER,
        found=f"rank correlation {order:.3f} with time" if order else "not near-unique",
        wanted=f"at most {TIME_ORDER:g}",
    )


def _missing_tells(name: str, missing: Bools, label: Floats) -> LeakCheck:
    """Whether what is missing has one label only, and is missing too often for that to be chance.

    Read both ways: the rows without a value, and the rows with one.
    """
    base = float(label.mean())
    said = []
    for rows, which in ((missing, "missing"), (~missing, "present")):
        count = int(rows.sum())
        hits = int(label[rows].sum())
        none = hits == 0 and count * base >= TELLING_MISSES
        only = hits == count and count * (1 - base) >= TELLING_MISSES
        if (none or only) and count < len(label):
            said.append(f"all {count} rows where it is {which} have label {int(hits > 0)}")
    return LeakCheck(
        name="missing tells the label",
        subject=name,
        passed=not said,
        found="; ".join(said) or f"missing in {missing.mean():.1%}, with both labels or too few to say",
        wanted="both labels, missing or not",
    )


def _twins(features: pa.Table, key: pa.Table | None, split: NDArray[np.str_], order: list[str]) -> LeakCheck:
    """Whether later splits hold rows that training holds, by a 64-bit fingerprint of key and features."""
    columns = [features[name] for name in features.column_names]
    columns += [] if key is None else [key[name] for name in key.column_names]
    print_ = _fingerprint(columns)
    seen, repeated, others = print_[split == order[0]], 0, 0
    for part in order[1:]:
        mine = print_[split == part]
        repeated += int(np.isin(mine, seen).sum())
        others += len(mine)
        seen = np.concatenate([seen, mine])
    share = repeated / max(others, 1)
    allowed = TWINS if key is None else 0.0
    return LeakCheck(
        name="rows repeated across splits",
        subject="features" if key is None else "key and features",
        passed=share <= allowed,
        found=f"{repeated} of {others} later rows have a twin in an earlier split",
        wanted="none" if key is not None else f"at most {TWINS:.0%}",
    )


def _group_twice(group: pa.Table, split: NDArray[np.str_], order: list[str]) -> LeakCheck:
    """Whether a group has rows in two splits."""
    print_ = _fingerprint([group[name] for name in group.column_names])
    seen, twice = np.unique(print_[split == order[0]]), 0
    for part in order[1:]:
        mine = np.unique(print_[split == part])
        twice += int(np.isin(mine, seen).sum())
        seen = np.union1d(seen, mine)
    return LeakCheck(
        name="group in two splits",
        subject=", ".join(group.column_names),
        passed=not twice,
        found=f"{twice} of {len(seen)} groups are in more than one split",
        wanted="none",
    )


def _group_twins(features: pa.Table, train: Bools) -> LeakCheck:
    """Whether rows outside training look like rows in it, of other groups, more often than those in it do like others.

    A group that is there under two names shows so. How many rows are alike by chance, the training rows say themselves.
    """
    print_ = _fingerprint([features[name] for name in features.column_names])
    names, counts = np.unique(print_[train], return_counts=True)
    by_chance = float(counts[counts > 1].sum() / max(counts.sum(), 1))
    share = float(np.isin(print_[~train], names).mean()) if not train.all() else 0.0
    allowed = TWINS + 2 * by_chance
    return LeakCheck(
        name="group under two names",
        subject="features",
        passed=share <= allowed,
        found=f"{share:.1%} of the rows outside training have a twin in it, of another group",
        wanted=f"at most {min(allowed, 1):.1%}",
    )


def _fingerprint(columns: list[pa.ChunkedArray]) -> NDArray[np.uint64]:
    """Mix the columns' values to one number a row; two rows that differ collide with odds of 2**-64."""
    mixed = np.full(len(columns[0]) if columns else 0, 0x9E3779B97F4A7C15, dtype=np.uint64)
    for position, column in enumerate(columns):
        codes = _codes(column.combine_chunks()).astype(np.uint64)
        salt = np.frombuffer(hashlib.blake2b(str(position).encode(), digest_size=8).digest(), dtype=np.uint64)[0]
        mixed = _splitmix(mixed ^ _splitmix(codes + salt))
    return mixed


def _splitmix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finaliser of SplitMix64 (Steele et al. 2014): each bit of the input moves half of the output's."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _codes(column: pa.Array) -> NDArray[np.int64]:
    """Return one small number per distinct value, a missing one being a value of its own."""
    coded = column.dictionary_encode(null_encoding="encode")
    return np.asarray(coded.indices, dtype=np.int64)
