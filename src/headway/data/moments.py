"""What happened to moments: day and month swapped, counted in another unit, shifted by whole hours.

Days are held against the stretch of time in which they should lie; hours of the day against those of the stretches
before, turned round the clock. Numbers that count moments since 1970 are known by their size. The file hides all three.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import numpy as np

from headway.nouns.change import Change, Check
from headway.nouns.profile import DAY_US

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from headway.nouns.profile import ColumnProfile

__all__ = ["count_change", "moment_changes"]

_EPOCH = date(1970, 1, 1)
_UNITS = {1e3: "milliseconds for seconds", 1e6: "microseconds for seconds", 1e-3: "seconds for milliseconds"}
_PER_SECOND = {"seconds": 1.0, "milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
_YEARS_S = (315_532_800, 4_102_444_800)  # from 1980 to 2100: no two units of a count of moments overlap
_YEAR_S = 366 * 86_400
_SHIFTS_FROM = 2  # one hour is what summer time does by itself


def moment_changes(
    new: ColumnProfile, whole: ColumnProfile, before: Sequence[ColumnProfile], *, span: tuple[int, int] | None
) -> list[Change]:
    """Return what happened to a column of moments.

    Parameters
    ----------
    span
        Between which moments they should lie; by default where they lay before, and a tenth of that further.
    """
    if not new.quantiles or not whole.quantiles or new.present < 5:
        return []
    least, most = span or _usual(whole)
    for find in (_counted, _swapped):
        found = find(new, least, most)
        if found is not None:
            return [found]
    shifted = _shifted(new, before)
    return [shifted] if shifted else []


def count_change(new: ColumnProfile, whole: ColumnProfile) -> Change | None:
    """Return that numbers that counted moments since 1970 count them in another unit; None where they do not.

    What counts moments moves on by itself, so that no conversion of units makes it agree with what was there before:
    it is enough that, in the other unit, it lies within a year of that.
    """
    if whole.least is None or whole.most is None or not new.quantiles:
        return None
    before = next((unit for unit, per_s in _PER_SECOND.items() if _within(whole.least, whole.most, per_s)), None)
    if before is None:
        return None
    scale = _PER_SECOND[before]
    least, most = whole.least / scale - _YEAR_S, whole.most / scale + _YEAR_S
    counts = np.asarray(new.quantiles, float)
    for unit, per_s in _PER_SECOND.items():
        there = (counts >= least * per_s) & (counts <= most * per_s)
        if unit == before or there.mean() < 0.01:
            continue
        factor = per_s / scale
        return Change(
            kind="epoch unit changed",
            column=new.name,
            words=f"{there.mean():.0%} of {new.name!r} count {factor:,g} times what they should, such as "
            f"{counts[there][0]:.0f}.",
            cause=f"Moments are counted since 1970 in {unit} for {before}.",
            share=float(there.mean()),
            detail={"factor": factor},
            bad=Check(column=new.name, test="between", least=least * scale, most=most * scale),
        )
    return None


def _within(least: float, most: float, per_s: float) -> bool:
    return _YEARS_S[0] * per_s <= least and most <= _YEARS_S[1] * per_s


def _usual(whole: ColumnProfile) -> tuple[int, int]:
    assert whole.least is not None
    assert whole.most is not None
    margin = max(30 * DAY_US, 0.1 * (whole.most - whole.least))
    return int(whole.least - margin), int(whole.most + margin)


def _counted(new: ColumnProfile, least: int, most: int) -> Change | None:
    moments = np.asarray(new.quantiles)
    # A year of slack on both sides: nobody takes one unit for the other within it.
    far = (moments < least - 366 * DAY_US) | (moments > most + 366 * DAY_US)
    if far.mean() < 0.01:
        return None
    for factor, words in _UNITS.items():
        back = moments[far] / factor
        if ((back > least - 366 * DAY_US) & (back < most + 366 * DAY_US)).mean() > 0.95:
            return Change(
                kind="epoch unit changed",
                column=new.name,
                words=f"{far.mean():.0%} of {new.name!r} lie in {_year(float(moments[far][0]))}.",
                cause=f"Moments are counted since 1970 in {words}.",
                share=float(far.mean()),
                detail={"factor": factor},
                bad=Check(column=new.name, test="between", least=least - 366 * DAY_US, most=most + 366 * DAY_US),
            )
    return None


def _year(us: float) -> str:
    try:
        return f"the year {datetime.fromtimestamp(us / 1e6, tz=UTC).year}"
    except (OverflowError, ValueError, OSError):
        return "no year that there is"


def _swapped(new: ColumnProfile, least: int, most: int) -> Change | None:
    inside = _days(least), _days(most)
    outside, turned, bad = 0, 0, []
    for text, count in new.counts.items():
        day = date.fromisoformat(text)
        if inside[0] <= day <= inside[1]:
            continue
        outside += count
        if day.day <= 12:
            other = date(day.year, day.day, day.month)
            if inside[0] <= other <= inside[1]:
                turned += count
                bad.append(text)
    if turned < max(3, 0.005 * new.present) or turned < 0.9 * outside:
        return None
    first = date.fromisoformat(bad[0])
    share = turned / new.present
    return Change(
        kind="day and month swapped",
        column=new.name,
        words=f"{share:.0%} of {new.name!r} lie where none should, such as {first}.",
        cause=f"Day and month are swapped: {first} was {date(first.year, first.day, first.month)}.",
        share=share,
        bad=Check(column=new.name, test="day", values=tuple(_between(inside, bad))),
    )


def _between(inside: tuple[date, date], bad: Sequence[str]) -> list[str]:
    first, last = inside
    days = min((last - first).days + 1, 4_000)
    return [str(np.datetime64(first) + step) for step in range(days) if str(np.datetime64(first) + step) not in bad]


def _days(us: int) -> date:
    return date.fromordinal(_EPOCH.toordinal() + us // DAY_US)


def _shifted(new: ColumnProfile, before: Sequence[ColumnProfile]) -> Change | None:
    recent = [_clock(column) for column in before[-4:] if sum(column.hours)]
    now = _clock(new)
    if not recent or not sum(new.hours):
        return None
    away = min(_apart(now, one) for one in recent)
    gaps = [
        min(_apart(_clock(column), _clock(other)) for other in before[max(0, at - 4) : at])
        for at, column in enumerate(before)
        if at
    ]
    rows = min(new.present, 20_000)
    bound = max(1.4 * max(gaps, default=0.05) + 0.02, 1.2 * (24 / rows) ** 0.5)
    if away <= bound:
        return None
    fits = {hours: min(_apart(np.roll(now, -hours), one) for one in recent) for hours in range(-12, 13) if hours}
    hours = min(fits, key=lambda shift: (fits[shift], abs(shift)))
    if abs(hours) < _SHIFTS_FROM or fits[hours] > max(0.5 * away, 0.0) or fits[hours] > bound * 1.2:
        return None
    return Change(
        kind="time zone shifted",
        column=new.name,
        words=f"The hours of {new.name!r} are those before, {abs(hours)} hours {'later' if hours > 0 else 'earlier'}.",
        cause="Moments were written in another time zone than they are read in.",
        detail={"hours": hours},
    )


def _clock(column: ColumnProfile) -> NDArray[np.float64]:
    hours = np.asarray(column.hours, float)
    return hours / max(1.0, float(hours.sum()))


def _apart(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(np.abs(first - second).sum() / 2)
