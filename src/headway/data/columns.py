"""What happened to one column: its new part against the column before, tried cause by cause.

Hidden is the order of the causes (a type, a mark for 'missing', one value only, a broken encoding, another way of
writing, another unit, other names) and what counts as natural for a column: what its stretches did among themselves.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from headway.data.categories import category_changes, unseen
from headway.data.moments import count_change, moment_changes
from headway.data.numbers import Fit, distance, explain, noise
from headway.nouns.change import Change, Check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.nouns.profile import ColumnProfile

__all__ = ["MARKS", "judge", "novelty"]

MARKS = frozenset(
    {"", "na", "n/a", "n.a.", "nan", "null", "none", "nil", "-", "--", "?", ".", "missing", "#n/a", "(null)", "\\n"}
)
"""Texts that are often written for 'missing', in small letters."""

_NUMBERS = frozenset({-1.0, -9.0, -99.0, -999.0, -9999.0, -99999.0, 9999.0, 99999.0, 999999.0, 999.0, -1e9, -32768.0})
_RECENT = 4
_ALL = 0.999


def judge(
    new: ColumnProfile,
    whole: ColumnProfile,
    history: Sequence[ColumnProfile],
    *,
    span: tuple[int, int] | None,
    keyed: bool,
    is_time: bool,
) -> list[Change]:
    """Return what happened to a column.

    Parameters
    ----------
    whole, history
        The column before: all of it, and its last stretches.
    span
        The moments between which the source's events should lie.
    keyed, is_time
        Whether the column belongs to the key; whether it is the source's time.
    """
    before = list(history) or [whole]
    if new.present == 0 and whole.present > 0:
        return [_missing(new, before)] if _jumped(new, before) else []
    if other := _type(new, whole):
        return [other]
    found, rest = _marks(new, whole, before)
    if found is None and _jumped(rest, before):
        found = _missing(rest, before)
    changes = [found] if found else []
    if new.kind == "time":
        told = moment_changes(rest, whole, before, span=span if is_time else None)
        if told:
            return changes + told
    if constant := _constant(rest, before):
        return [*changes, constant]
    if new.kind in {"int", "float"}:
        moved = count_change(rest, whole) or _moved(rest, whole, before, keyed=keyed)
        changes += [moved] if moved else []
    elif new.kind == "text":
        changes += category_changes(rest, whole, before)
    return changes


def novelty(new: ColumnProfile, whole: ColumnProfile, history: Sequence[ColumnProfile]) -> tuple[float, Check | None]:
    """Return the share of values that are like none before, beyond what is natural, and the check they fail."""
    if not new.present or new.kind != whole.kind:
        return 0.0, None
    if new.kind == "text":
        return unseen(new, whole, history)
    if new.kind not in {"int", "float"} or whole.least is None or whole.most is None:
        return 0.0, None
    outside, least, most = _outside(new, whole)
    natural = max((_outside(b, a)[0] for a, b in itertools.pairwise(history)), default=0.0)
    if natural > 0.3:
        return 0.0, None
    bad = Check(column=new.name, test="between", least=least, most=most)
    return (outside - natural if outside > 2 * natural + 0.01 else 0.0), bad


def _outside(new: ColumnProfile, old: ColumnProfile) -> tuple[float, float, float]:
    """Return the share of numbers beyond all before, with a margin, and the bounds."""
    if old.least is None or old.most is None or not new.quantiles:
        return 0.0, 0.0, 0.0
    margin = 0.25 * (old.most - old.least)
    least, most = old.least - margin, old.most + margin
    share = sum(not least <= value <= most for value in new.quantiles) / len(new.quantiles)
    return share * (1 - new.zeros), least, most


# -- types, marks, missing values, one value only


def _type(new: ColumnProfile, whole: ColumnProfile) -> Change | None:
    numbers = {"int", "float"}
    if new.kind == whole.kind or not whole.present or (new.kind in numbers and whole.kind in numbers):
        return None
    words = f"{new.name!r} holds {_WORDS[new.kind]} where it held {_WORDS[whole.kind]}."
    cause = "The export writes the column in another form."
    if new.kind == "text" and whole.kind in numbers | {"time", "bool"}:
        shape = new.shapes
        fits = shape.get("number", 0.0) if whole.kind in numbers else shape.get("moment", 0.0)
        marks = {value: share for value, share in new.shares.items() if value.strip().casefold() in MARKS}
        if marks and fits + sum(marks.values()) > 0.97 and fits > 0.02:
            return _marked(new, sorted(marks), sum(marks.values()))
        if shape.get("comma", 0.0) > 0.1:
            cause = f"Numbers are written with a comma for the point, such as {new.odd['comma'][0]!r}."
        elif shape.get("suffixed", 0.0) > 0.1:
            cause = f"Numbers are written with their unit, such as {new.odd['suffixed'][0]!r}."
        elif fits > _ALL:
            cause = "The values are the same, but quoted as text."
        elif fits > 0.5:
            cause = f"{1 - fits:.1%} of the values are none, and so all are read as texts."
    elif whole.kind == "time" and new.kind in numbers:
        cause = "Moments are written as numbers: counted since 1970, or as a serial number of days."
    return Change(
        kind="type changed", column=new.name, words=words, cause=cause, detail={"from": whole.kind, "to": new.kind}
    )


_WORDS = {"bool": "true and false", "int": "whole numbers", "float": "numbers", "text": "texts", "time": "moments"}


def _marks(
    new: ColumnProfile, whole: ColumnProfile, before: Sequence[ColumnProfile]
) -> tuple[Change | None, ColumnProfile]:
    """Return values that stand for 'missing' as a change, and the column without them."""
    numbers = new.kind in {"int", "float"}
    if new.kind not in {"int", "float", "text"}:
        return None, new
    marks = {}
    for value, share in new.shares.items():
        usual = max(column.share_of(value) for column in (*before, whole))
        if numbers:
            number = float(value)
            outside = whole.least is not None and whole.most is not None and not whole.least <= number <= whole.most
            special = number in _NUMBERS and (outside or usual < 0.2 * share)
        else:
            special = value.strip().casefold() in MARKS
        if special and share > 0.004 and share > 3 * usual + 0.002 and new.counts[value] >= 3:
            marks[value] = share
    if not marks or sum(marks.values()) > 0.98:
        return None, new
    return _marked(new, list(marks), sum(marks.values())), _without(new, set(marks))


def _without(new: ColumnProfile, values: set[str]) -> ColumnProfile:
    taken = sum(new.counts[value] for value in values)
    counts = {value: count for value, count in new.counts.items() if value not in values}
    present = max(1, new.present - taken)
    numbers = {float(value) for value in values} if new.kind in {"int", "float"} else set()
    return msgspec.structs.replace(
        new,
        missing=new.rows - present,
        counts=counts,
        quantiles=tuple(value for value in new.quantiles if value not in numbers),
        distinct=max(1, new.distinct - len(values)),
        zeros=min(1.0, new.zeros * new.present / present),
    )


def _marked(new: ColumnProfile, marks: Sequence[str], share: float) -> Change:
    shown = ", ".join(repr(mark) for mark in marks[:3])
    values = tuple(float(m) for m in marks) if new.kind in {"int", "float"} else tuple(marks)
    return Change(
        kind="null written as value",
        column=new.name,
        words=f"{share:.1%} of {new.name!r} is {shown}, which was never a value of it.",
        cause=f"'missing' is written as {shown}; name it among the source's nulls.",
        share=share,
        detail={"mark": marks[0]},
        bad=Check(column=new.name, test="other", values=values),
    )


def _jumped(new: ColumnProfile, before: Sequence[ColumnProfile]) -> bool:
    rates = [column.missing_rate for column in before]
    spread = max(rates) - min(rates)
    error = 4 * (max(0.001, *rates) / max(1, new.rows)) ** 0.5
    return new.missing_rate > max(rates) + max(0.02, 0.75 * spread, error) and new.missing >= 3


def _missing(new: ColumnProfile, before: Sequence[ColumnProfile]) -> Change:
    usual = max(column.missing_rate for column in before)
    return Change(
        kind="missing jumped",
        column=new.name,
        words=f"{new.missing_rate:.1%} of {new.name!r} is missing; before, it was {usual:.1%} at most.",
        cause="A system no longer fills the field, or a join no longer finds its rows.",
        share=new.missing_rate,
        detail={"rate": round(new.missing_rate, 4), "usual": round(usual, 4)},
        bad=Check(column=new.name, test="present"),
    )


def _constant(new: ColumnProfile, before: Sequence[ColumnProfile]) -> Change | None:
    # Moments are counted by day: a part of one day is no constant.
    one = new.distinct == 1 or (new.least is not None and new.least == new.most)
    one = one or (len(new.counts) == 1 and new.kind != "time")
    if not one or new.present < 20 or any(column.distinct < 2 for column in before):
        return None
    value = next(iter(new.counts), "")
    usual = max(max(column.shares.values(), default=0.0) for column in before)
    if usual ** min(new.present, 10_000) > 1e-6:
        return None
    return Change(
        kind="constant column",
        column=new.name,
        words=f"{new.name!r} holds nothing but {value!r}.",
        cause="A default stands where values should be.",
        detail={"value": value},
    )


# -- numbers


def _moved(new: ColumnProfile, whole: ColumnProfile, before: Sequence[ColumnProfile], *, keyed: bool) -> Change | None:
    recent = list(before[-_RECENT:])
    if not new.quantiles or not any(column.quantiles for column in recent) or new.present < 30:
        return None
    away = min(distance(new.quantiles, column.quantiles) for column in recent)
    bound = _natural(before, new)
    outside, least, most = _outside(new, whole)
    usual = max((_outside(b, a)[0] for a, b in itertools.pairwise(before)), default=0.0)
    beyond = outside > 2 * usual + 0.01
    if away <= bound and not beyond:
        return None
    if keyed and beyond is False and bound > 0.3:
        return None
    fit = explain(new.quantiles, [column.quantiles for column in recent if column.quantiles])
    if fit is not None and _explains(fit, away, bound):
        return _unit(new, fit, (least, most))
    if away <= 1.5 * bound + 0.05:
        return None
    return Change(
        kind="distribution moved",
        column=new.name,
        words=f"The numbers of {new.name!r} lie elsewhere: up to {away:.0%} of them on another side of a bound "
        f"({bound:.0%} at most was natural).",
        cause="No conversion of units explains it; look at what the numbers count.",
        share=away,
        detail={"distance": round(away, 4), "natural": round(bound, 4)},
        bad=Check(column=new.name, test="between", least=least, most=most) if beyond else None,
    )


def _natural(before: Sequence[ColumnProfile], new: ColumnProfile) -> float:
    """Return the distance that is natural: what each stretch had from those before it, with a margin."""
    held = [column for column in before if column.quantiles]
    gaps = [
        min(distance(column.quantiles, other.quantiles) for other in held[max(0, at - _RECENT) : at])
        for at, column in enumerate(held)
        if at
    ]
    size = (new.present * (1 - new.zeros), min(c.present * (1 - c.zeros) for c in held) if held else 0)
    chance = noise(min(size[0], 20_000), min(size[1], 20_000))
    if not gaps:
        return max(0.08, chance)
    return max(1.35 * max(gaps) + 0.02, chance)


def _explains(fit: Fit, away: float, bound: float) -> bool:
    if fit.share < 0.05:
        return False
    return fit.left < 0.35 * away or (fit.left <= 0.6 * away and fit.left <= bound)


def _unit(new: ColumnProfile, fit: Fit, span: tuple[float, float]) -> Change:
    conversion = fit.conversion
    part = "All" if fit.share > 0.95 else f"About {fit.share:.0%}"
    return Change(
        kind="unit changed",
        column=new.name,
        words=f"{part} of the numbers of {new.name!r} are in another unit: {conversion.name}.",
        cause=f"Undone, the numbers lie where they lay before (within {fit.left:.1%}).",
        share=fit.share,
        detail={"conversion": conversion.name, "factor": conversion.factor, "offset": conversion.offset},
        bad=Check(column=new.name, test="between", least=span[0], most=span[1]),
    )
