"""Leak detectors: signs that the features know what they cannot know at prediction time.

The file hides how each sign is measured, in a column at a time or two. None of them proves a leak, and none sees what
only several features together give away; a figure far above what the reference can do stays the best alarm. That a
value was not known when the brief says it was, is no sign but a contradiction: the data of then, or the cases whose
outcome never came, say otherwise.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.errors import DataError
from headway.nouns.hindsight import least_share
from headway.nouns.metric import roc_auc
from headway.nouns.task import MOST_TOLD, SOLVED_ROC_AUC
from headway.validate.disguise import best_pair, spellings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Self

    from numpy.typing import ArrayLike, NDArray

    from headway.nouns.hindsight import Hindsight

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

__all__ = ["LeakCheck", "find_leaks", "known_before", "known_only_after", "without_an_outcome"]

# Two honest features together know more than one; a target cut out of their difference is told nearly without fault.
SOLVED_TOGETHER = 0.97
NEAR_UNIQUE = 0.5  # distinct values of a category over rows: it names rows, or moments
TIME_ORDER = 0.99  # rank correlation of a near-unique number with the order of the rows
UNSEEN = 0.5  # share of later rows whose category was never seen in training
TWINS = 0.01  # share of later rows with a twin in training, where no key tells two examples apart
TELLING_MISSES = 20.0  # expected labels of the other kind among the missing, of which none was found
LATE = 0.05  # share of values that came, or became others, after they were declared known: more is no correction
TELLING_GAPS = 0.5  # by how much oftener a feature is missing where the outcome never came than where it did
_FEWEST_LATE = 20
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
        0 or 1 for each row; or ``(rows, classes)``, a column for each class, none of which may be given away.
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
    y = y[:, None] if y.ndim == 1 else y
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
    train = (parts == training)[rows]
    targets = list(np.ascontiguousarray(y[rows].T))
    fold = np.random.default_rng(seed).integers(0, _FOLDS, len(rows))
    numbers: dict[str, Floats] = {}
    for name in features.column_names:
        column = features[name].take(rows).combine_chunks()
        missing = np.asarray(pc.is_null(column, nan_is_null=True))
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            codes = _codes(column)
            cells = [_Cells.of(codes, y, fold) for y in targets]
            checks.append(
                _worst(
                    _solves_alone(name, [each.areas(missing=codes[missing][:1])], present=len(missing) - missing.sum())
                    for each in cells
                )
            )
            checks.append(_names_rows(name, codes, missing))
            if not checks[-1].passed:
                checks.append(_worst(_spelt(name, column, y, fold) for y in targets))
            checks.append(_never_seen(name, codes, train=train, missing=missing))
        else:
            values = np.asarray(column.fill_null(np.nan), dtype=np.float64)
            # Everything that follows asks for the order of the values, which is found once.
            distinct, place = np.unique(values[~missing], return_inverse=True)
            areas = [_areas_of_number(distinct, place, missing, y, fold) for y in targets]
            checks.append(_worst(_solves_alone(name, each, present=len(place)) for each in areas))
            checks.append(_follows_time(name, values[~missing], len(distinct)))
            if checks[-2].passed:
                numbers[name] = values
        checks.append(_worst(_missing_tells(name, missing, y) for y in targets))
    together = [check for y in targets for check in _together(numbers, y)]
    return sorted([*checks, *([_worst(together)] if together else [])], key=lambda check: check.passed)


def _worst(checks: Iterable[LeakCheck]) -> LeakCheck:
    """Return, of one check against each target, the first that is not passed; else the first."""
    found = list(checks)
    return next((check for check in found if not check.passed), found[0])


def known_before(predict_at: ArrayLike, known_at: ArrayLike) -> LeakCheck:
    """Return whether labels are known at the moment of their own prediction, or before it.

    Of such an example there is nothing to predict, and a feature that looks back upon labels sees its own.

    Examples
    --------
    >>> check = known_before([1, 2, 3, 4], [9, 9, 3, 9])
    >>> check.passed, check.found
    (False, '1 of 4 labels are known when the prediction is asked for')
    """
    told = np.asarray(known_at) <= np.asarray(predict_at)
    return LeakCheck(
        name="known before it is predicted",
        subject="label",
        passed=bool(told.sum() <= MOST_TOLD * len(told)),
        found=f"{int(told.sum()):,} of {len(told):,} labels are known when the prediction is asked for",
        wanted=f"at most {MOST_TOLD:.0%}",
    )


def known_only_after(seen: Iterable[Hindsight]) -> list[LeakCheck]:
    """Return whether columns had, in an earlier version of their source, what the brief says was known by then.

    A few corrections are honest: at least 20 values, and with a confidence of 99.9 % more than one in twenty of those
    that were asked, must have come or become others later.

    Examples
    --------
    >>> from headway.nouns.hindsight import Hindsight
    >>> seen = Hindsight(source="flights", column="arr_delay", rows=1000, filled=900, changed=0)
    >>> (check,) = known_only_after([seen])
    >>> check.passed, check.subject, check.found
    (False, 'flights.arr_delay', '900 of 1,000 values came, and 0 changed, after they were declared known')
    """
    checks = []
    for column in seen:
        late = column.filled + column.changed
        checks.append(
            LeakCheck(
                name="known only after",
                subject=f"{column.source}.{column.column}",
                passed=late < _FEWEST_LATE or least_share(late, column.rows) <= LATE,
                found=f"{column.filled:,} of {column.rows:,} values came, and {column.changed:,} changed, after they "
                "were declared known",
                wanted=f"at most {LATE:.0%}",
            )
        )
    return checks


def without_an_outcome(features: pa.Table, void_missing: Mapping[str, int], void: int) -> list[LeakCheck]:
    """Return whether features are missing just where the outcome never came: then they come with it, or after it.

    A flight that was cancelled has no arrival delay; if it has no flying time either, that is not known before the
    flight. A column may be missing oftener there for honest reasons: the difference of the two shares must be more
    than a half, beyond chance (99.9 %).

    Parameters
    ----------
    features
        Of the examples that have a label.
    void_missing
        By feature, how many of the ``void`` examples, which have none, miss it.

    Examples
    --------
    >>> table = pa.table({"flown": [1.0, 2.0] * 100, "carrier": ["AA", "UA"] * 100})
    >>> for check in without_an_outcome(table, {"flown": 98, "carrier": 0}, 100):
    ...     print(check.passed, check.subject, check.found)
    False flown missing in 98% of the cases without an outcome, 0% of the others
    True carrier missing in 0% of the cases without an outcome, 0% of the others
    """
    checks = []
    for name, gaps in void_missing.items():
        column = features[name]
        here = int(pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0)
        most = 1 - least_share(len(column) - here, len(column))
        checks.append(
            LeakCheck(
                name="missing without an outcome",
                subject=name,
                passed=gaps < _FEWEST_LATE or least_share(gaps, void) - most <= TELLING_GAPS,
                found=f"missing in {gaps / max(void, 1):.0%} of the cases without an outcome, "
                f"{here / max(len(column), 1):.0%} of the others",
                wanted=f"a difference of at most {TELLING_GAPS:.0%}",
            )
        )
    return checks


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
        areas[part], _ = _Cells.of(_codes(pa.array(texts)), label, fold).areas()
    part, best = max(areas.items(), key=lambda each: each[1])
    return LeakCheck(
        name="spells the target",
        subject=name,
        passed=best <= SOLVED_ROC_AUC,
        found=f"{part}: ROC AUC {best:.3f}",
        wanted=f"at most {SOLVED_ROC_AUC:g}",
    )


def _solves_alone(name: str, areas: list[tuple[float, float]], *, present: int) -> LeakCheck:
    """Whether the best of several ways to read a column solves the target: over all rows, or those that have it."""
    # A leak that is often missing still solves the rows that have it.
    found = [area for areas_of in areas for area in areas_of[: 2 if present >= _FEWEST else 1]]
    best = max(found, default=0.5)
    return LeakCheck(
        name="solves the target alone",
        subject=name,
        passed=best <= SOLVED_ROC_AUC,
        found=f"ROC AUC {best:.3f}",
        wanted=f"at most {SOLVED_ROC_AUC:g}",
    )


@dataclass(frozen=True, slots=True)
class _Cells:
    """How many rows, and how many of them with the label, each value has in each fold: all that a ROC AUC needs."""

    rows: Floats
    hits: Floats

    @classmethod
    def of(cls, codes: NDArray[np.int64], label: Floats, fold: NDArray[np.int64]) -> Self:
        size = int(codes.max()) + 1
        cell = fold * size + codes
        rows = np.bincount(cell, minlength=_FOLDS * size).astype(np.float64)
        hits = np.bincount(cell, weights=label, minlength=_FOLDS * size).astype(np.float64)
        return cls(rows.reshape(_FOLDS, size), hits.reshape(_FOLDS, size))

    def areas(self, *, missing: NDArray[np.int64] | tuple[int, ...] = ()) -> tuple[float, float]:
        """Return the ROC AUC of the mean label in the *other* folds, over all values and over those not ``missing``.

        In-fold means would make every near-unique column look like a leak: each row would predict itself. Means are
        drawn towards the base rate.
        """
        others, seen = self.hits.sum(axis=0) - self.hits, self.rows.sum(axis=0) - self.rows
        base = (others.sum(axis=1) / np.maximum(seen.sum(axis=1), 1))[:, None]
        mean = (others + _PRIOR * base) / (seen + _PRIOR)
        there = np.isin(np.arange(self.rows.shape[1]), missing, invert=True)
        return _area(mean, self.rows, self.hits), _area(mean[:, there], self.rows[:, there], self.hits[:, there])


def _area(score: Floats, rows: Floats, hits: Floats) -> float:
    """Return the ROC AUC, in the better direction, of scores: how many rows have each, how many of them the label."""
    if not rows.size:
        return 0.5
    score, rows, hits = score.ravel(), rows.ravel(), hits.ravel()
    label = np.repeat([1.0, 0.0], len(score))
    area = roc_auc(np.tile(score, 2), label, weight=np.concatenate([hits, rows - hits]))
    return max(area, 1 - area) if np.isfinite(area) else 0.5


def _areas_of_number(
    distinct: Floats, place: NDArray[np.int64], missing: Bools, label: Floats, fold: NDArray[np.int64]
) -> list[tuple[float, float]]:
    """Return how well a number solves the target: by its order, or, in bins, by nearness to a value.

    Parameters
    ----------
    distinct, place
        The values in order, and for each row that has one, which of them it is.
    """
    if missing.all():
        return []
    rows = np.bincount(place).astype(np.float64)
    hits = np.bincount(place, weights=label[~missing]).astype(np.float64)
    order, without = np.arange(len(rows), dtype=np.float64), float(missing.sum())
    hits_without = float(label[missing].sum())
    alone = _area(order, rows, hits)
    # What is missing may stand below all values, or above them.
    ends = [
        _area(np.append(order, end), np.append(rows, without), np.append(hits, hits_without))
        for end in (-1.0, float(len(rows)))
    ]
    edges = np.unique(np.quantile(distinct[np.sort(place)], np.arange(1, 64) / 64))
    codes = np.full(len(label), len(edges) + 1)
    codes[~missing] = np.searchsorted(edges, distinct, side="left")[place]
    return [*((end, alone) for end in ends), _Cells.of(codes, label, fold).areas(missing=(len(edges) + 1,))]


def _names_rows(name: str, codes: NDArray[np.int64], missing: Bools) -> LeakCheck:
    present = codes[~missing]
    share = int(np.count_nonzero(np.bincount(present))) / max(len(present), 1)
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


def _follows_time(name: str, present: Floats, distinct: int) -> LeakCheck:
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
        repeated += int(pc.sum(pc.is_in(pa.array(mine), pa.array(seen))).as_py() or 0)
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
        codes = _codes(column.combine_chunks())
        salt = np.frombuffer(hashlib.blake2b(str(position).encode(), digest_size=8).digest(), dtype=np.uint64)[0]
        names = _splitmix(np.arange(codes.max(initial=-1) + 1, dtype=np.uint64) + salt)
        mixed = _splitmix(mixed ^ names[codes])
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
