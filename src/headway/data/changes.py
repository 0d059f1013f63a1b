"""Names what happened to a table: its new part against a reference, each difference explained by the simplest cause.

The part's figures are compared with those of the stretches before it. How far these differ among themselves is natural;
only what goes beyond is a change, and it is called by the simplest cause whose inverse makes both agree again: a unit,
a way of writing days, another name. The file hides the order in which causes are tried; columns are judged in
``columns.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from headway.data.columns import judge, novelty
from headway.data.numbers import distance
from headway.nouns.change import Change, Check
from headway.nouns.profile import DAY_US, ColumnProfile, Profile, Reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["changes_of", "placed"]

_LEAST_NEW = 0.02


def changes_of(part: Profile, reference: Reference, *, now_us: int | None = None) -> list[Change]:
    """Return what happened to the part, the whole table first, then column by column.

    Parameters
    ----------
    now_us
        The moment at which the part was delivered; without it nothing is said of freshness.
    """
    if part.rows == 0:
        return [Change(kind="rows truncated", words="There is no row.", cause="The file was cut, or an export failed.")]
    found = [*_columns(part, reference)]
    doubles = list(_doubles(part, reference))
    mixed = _mixed(part, reference)
    delivered = [] if doubles or mixed else list(_delivery(part, reference, now_us=now_us))
    per_column: list[Change] = []
    for name, column in part.columns.items():
        if name in reference.whole.columns:
            history = [window.columns[name] for window in reference.windows if name in window.columns]
            stale = any(change.kind == "freshness lost" for change in delivered)
            per_column += judge(
                column,
                reference.whole.columns[name],
                history,
                span=_span(part, reference, now_us) if not stale else None,
                keyed=name in reference.key,
                is_time=name == reference.time,
            )
    if mixed:
        explained = set(str(mixed.detail["columns"]).split(", "))
        per_column = [c for c in per_column if c.column not in explained and c.kind != "distribution moved"]
        doubles = [] if doubles and doubles[0].share < 0.5 * mixed.share else doubles
    whole = [*found, *([mixed] if mixed else []), *doubles, *delivered]
    if any(c.kind in {"rows truncated", "freshness lost", "duplicates", "key not unique"} for c in whole):
        # Half a week is another mix of hours: what a fraction of the rows says is what is missing, not what changed.
        per_column = [
            c for c in per_column if c.kind != "distribution moved" and (c.kind != "unit changed" or c.share > 0.5)
        ]
    return whole + per_column


def _span(part: Profile, reference: Reference, now_us: int | None) -> tuple[int, int] | None:
    """Return the moments between which the part's events should lie."""
    if reference.whole.last_us is None or part.first_us is None or not reference.period_days:
        return None
    end = now_us if now_us is not None and reference.lag_us is not None else None
    start = reference.whole.last_us - DAY_US
    return start, end + DAY_US if end is not None else start + (reference.period_days + 2) * DAY_US


# -- columns that came and went


def _columns(part: Profile, reference: Reference) -> Iterable[Change]:
    before = _recent(reference)
    gone = [name for name in reference.whole.columns if name not in part.columns]
    came = [name for name in part.columns if name not in reference.whole.columns]
    pairs = sorted(
        ((_likeness(before.columns.get(old), part.columns[new], old, new), old, new) for old in gone for new in came),
        reverse=True,
    )
    for likeness, old, new in pairs:
        if likeness >= 0.6 and old in gone and new in came:
            gone.remove(old)
            came.remove(new)
            yield Change(
                kind="column renamed",
                column=old,
                words=f"The column {old!r} is now called {new!r}.",
                cause=f"The values of {new!r} look like those that {old!r} had.",
                detail={"from": old, "to": new, "likeness": round(likeness, 3)},
            )
    for old in gone:
        yield Change(
            kind="column dropped",
            column=old,
            words=f"The column {old!r} is no longer there.",
            cause="It was left out of the export; no new column looks like it.",
        )
    for new in came:
        column = part.columns[new]
        yield Change(
            kind="column added",
            column=new,
            words=f"There is a new column {new!r} ({column.kind}).",
            cause="The export has a column more; no column is gone that looks like it.",
        )


def _likeness(old: ColumnProfile | None, new: ColumnProfile, old_name: str, new_name: str) -> float:
    """Return from 0 to 1 how much two columns look alike: in their values first, a little in their names."""
    import difflib

    if old is None:
        return 0.0
    name = difflib.SequenceMatcher(None, _bare(old_name), _bare(new_name)).ratio()
    if name == 1.0:
        return 1.0
    if old.kind != new.kind and {old.kind, new.kind} != {"int", "float"}:
        return 0.4 * name
    missing = abs(old.missing_rate - new.missing_rate)
    if old.present == 0 or new.present == 0:
        values = 0.5 if old.present == new.present else 0.0
    elif old.kind == "time":  # moments move on; the hours of the day stay
        clocks = [[hour / max(1, sum(column.hours)) for hour in column.hours] for column in (old, new)]
        values = 1 - sum(abs(mine - other) for mine, other in zip(*clocks, strict=False)) / 2
    elif old.kind in {"int", "float"}:
        values = 1 - distance(old.quantiles, new.quantiles) - abs(old.zeros - new.zeros)
        least = [abs(c.distinct) / max(1, min(c.present, 5_000)) for c in (old, new)]
        values -= abs(least[0] - least[1]) * 0.5
    else:
        shares = (old.shares, new.shares)
        values = sum(min(share, shares[1].get(value, 0.0)) for value, share in shares[0].items())
        if not old.complete:
            shapes = {shape for column in (old, new) for shape in column.shapes}
            values = max(values, 0.9 - sum(abs(old.shapes.get(s, 0) - new.shapes.get(s, 0)) for s in shapes))
    return max(0.0, values - missing) * 0.85 + 0.15 * name


def _bare(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _recent(reference: Reference) -> Profile:
    return reference.windows[-1] if reference.windows else reference.whole


# -- rows that stand there twice


def _doubles(part: Profile, reference: Reference) -> Iterable[Change]:
    before = [*reference.windows, reference.whole]
    natural = max((w.doubled or 0) / max(1, w.rows) for w in before)
    doubled = (part.doubled or 0) / part.rows
    if part.doubled is not None and doubled > 1.5 * natural + 0.003 and part.doubled > 2:
        yield Change(
            kind="duplicates",
            words=f"{part.doubled:,} of {part.rows:,} rows ({doubled:.1%}) stand there twice, alike in every column; "
            f"before, {natural:.1%} did.",
            cause="The export was written twice, or a join multiplied its rows.",
            share=doubled,
        )
    if part.keys_doubled is None:
        return
    natural = max((w.keys_doubled or 0) / max(1, w.rows) for w in before)
    other = (part.keys_doubled - (part.doubled or 0)) / part.rows
    if other > 1.5 * natural + 0.003 and part.keys_doubled > 2:
        yield Change(
            kind="key not unique",
            words=f"{part.keys_doubled:,} rows have a key ({', '.join(reference.key)}) that another row has, and "
            "differ in other columns.",
            cause="The rows are of a finer grain than the key, or numbers were given out anew.",
            share=other,
            detail={"key": ", ".join(reference.key)},
        )


# -- rows of another origin


def _mixed(part: Profile, reference: Reference) -> Change | None:
    """Return the change that says that several columns have the same share of values that were never there."""
    shares: dict[str, tuple[float, Check | None]] = {}
    for name, column in part.columns.items():
        whole = reference.whole.columns.get(name)
        if whole is None:
            continue
        history = [window.columns[name] for window in reference.windows if name in window.columns]
        share, bad = novelty(column, whole, history)
        if _LEAST_NEW <= share < 0.9:
            shares[name] = share, bad
    best: list[str] = []
    for share, _ in shares.values():
        alike = [name for name, (other, _) in shares.items() if share / 1.15 - 0.01 <= other <= share * 1.15 + 0.01]
        best = alike if len(alike) > len(best) else best
    if len(best) < 2:
        return None
    share = sum(shares[name][0] for name in best) / len(best)
    if not _more_rows(part, reference, share):
        return None
    return Change(
        kind="source added",
        words=f"About {share:.0%} of the rows have values in {', '.join(best)} that were never there before, in all of "
        "these columns at once; and there are more rows than there were.",
        cause="Rows of another origin (a region, a system, a supplier) were added to the mix.",
        share=share,
        detail={"columns": ", ".join(best)},
        bad=next((shares[name][1] for name in best if shares[name][1] is not None), None),
    )


def _more_rows(part: Profile, reference: Reference, share: float) -> bool:
    """Whether the part without the new rows is as large as parts were, rather than with them."""
    if not reference.windows:
        usual = [float(reference.whole.rows)]
    else:
        usual = [float(window.rows) for window in reference.windows[-6:]]
    low, high = min(usual), max(usual)
    rest = part.rows * (1 - share)
    return bool(rest >= 0.7 * low and part.rows > 0.9 * low and rest <= 1.5 * high)


# -- what was delivered, and how old it is


def _delivery(part: Profile, reference: Reference, *, now_us: int | None) -> Iterable[Change]:
    rows = [float(window.rows) for window in reference.windows]
    days = reference.period_days
    if not rows or not days or part.first_us is None or part.last_us is None or reference.whole.last_us is None:
        if not reference.time and part.rows < 0.96 * reference.whole.rows:
            yield _truncated(part.rows, reference.whole.rows)
        return
    covered = max(1.0, (part.last_us - part.first_us) / DAY_US)
    lag = None
    if now_us is not None and reference.lag_us is not None:
        lag = now_us - part.last_us - reference.lag_us
        allowed = max(0.6 * days, 1.0) * DAY_US
        fresh = part.last_us > reference.whole.last_us
        # Moments of 1970 are no old events, but miscounted ones; the column says so.
        old = allowed < lag < 1_000 * DAY_US and not fresh
        if old and part.first_us <= reference.whole.last_us - 0.5 * days * DAY_US:
            yield Change(
                kind="freshness lost",
                column=reference.time,
                words=f"The newest event is {lag / DAY_US:.1f} days older than it should be; nothing is newer than "
                "what was there before.",
                cause="The feed stands still, or an old file was delivered again.",
                detail={"late_days": round(lag / DAY_US, 2)},
            )
            return
    if covered > 1.6 * days:
        return
    ratios = [now / (sum(before) / len(before)) for before, now in _before_each(rows)]
    natural = max((1 - ratio for ratio in ratios), default=0.0)
    usual = sum(rows[-4:]) / len(rows[-4:])
    short = 1 - part.rows / usual
    tail = lag is not None and lag > max(0.1 * days, 0.6) * DAY_US
    if short > max(0.05, (1.0 if tail else 1.3) * natural + (0.02 if tail else 0.06)):
        yield _truncated(part.rows, round(usual))


def _before_each(values: Sequence[float]) -> Iterable[tuple[Sequence[float], float]]:
    return ((values[max(0, at - 4) : at], values[at]) for at in range(1, len(values)))


def _truncated(rows: int, usual: int) -> Change:
    return Change(
        kind="rows truncated",
        words=f"There are {rows:,} rows where about {usual:,} are usual ({1 - rows / usual:.0%} less).",
        cause="The file was cut, or the export has a limit of rows.",
        share=1 - rows / usual,
        detail={"rows": rows, "usual": usual},
    )


def placed(change: Change, *, file: str, row: int | None) -> Change:
    """Return the change with the first bad row filled in."""
    return msgspec.structs.replace(change, file=file, row=row)
