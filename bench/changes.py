"""How many planted changes are found and named rightly, and how often clean windows raise a false alarm.

``python -m bench plants`` scores on Complete Journey, which nothing was tuned on, and prints the table that stands in
docs/contracts.md; ``python -m bench.changes flights`` scores on what the thresholds were tuned on. ``--misses`` lists
what was not named rightly.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import Ratio
from bench.plants import WEEK_US, Bed, Plant, accented, clean_part, complete_journey, flights, planted
from headway.data.changes import changes_of
from headway.data.profiles import build_reference, kinds_in, profile
from headway.nouns.change import CHANGE_KINDS, Change
from headway.query.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headway.nouns.profile import Reference

__all__ = ["Scores", "found_in", "named_rightly", "plants", "reference_of", "score"]

_WINDOWS = 1_000
_MISSED_AT_MOST = 0.1
_ALARMS_AT_MOST = 0.01
_LAG_US = 6 * 3_600_000_000
_BACK_WEEKS = 16  # a reference holds what a year's feed would have by then, not all of it: seasons move on


@dataclass(slots=True, kw_only=True)
class Scores:
    """What was planted, found and named, by kind; and what clean parts were called."""

    planted: Counter[str]
    found: Counter[str]
    named: Counter[str]
    windows: int
    trials: int
    alarms: Counter[str]
    windows_alarmed: int
    misses: list[str]


def plants() -> list[Ratio]:
    """Return the share of planted changes that are not named rightly, and of false alarms; the table goes to stderr."""
    with Database(threads=2) as database:
        scores = score(database, complete_journey(database), windows=_WINDOWS)
    print(_printed(scores), file=sys.stderr)
    planted, named, alarms = (sum(each.values()) for each in (scores.planted, scores.named, scores.alarms))
    missed, false = 1 - named / planted, alarms / scores.trials
    return [
        Ratio(
            name="plants: not named rightly",
            figure=100 * missed,
            limit=100 * _MISSED_AT_MOST,
            ratio=missed / _MISSED_AT_MOST,
            bound=1.0,
            unit="%",
            note=f"{planted - named} of {planted} changes planted into Complete Journey",
        ),
        Ratio(
            name="plants: false alarms",
            figure=100 * false,
            limit=100 * _ALARMS_AT_MOST,
            ratio=false / _ALARMS_AT_MOST,
            bound=1.0,
            unit="%",
            note=f"{alarms} in {scores.trials:,} pairs of column and kind of {scores.windows:,} clean windows",
        ),
    ]


def reference_of(database: Database, bed: Bed, end_us: int, *, column: str = "") -> Reference:
    """Return the reference of what came before ``end_us``; with ``column`` accented, where encodings are tried."""
    relation = bed.relation
    if bed.time:
        relation = f"(SELECT * FROM {relation} WHERE {bed.time} < make_timestamp({end_us}))"
    if column:
        relation = f"({accented(relation, column)})"
    return build_reference(
        database, relation, kinds_in(database, relation), key=bed.key, time=bed.time, now_us=end_us + _LAG_US
    )


def found_in(database: Database, bed: Bed, reference: Reference, sql: str, end_us: int) -> list[Change]:
    """Return what is said of a part, delivered a week after the reference's end."""
    name = database.create(sql, prefix="part")
    try:
        part = profile(database, name, kinds_in(database, name), key=bed.key, time=bed.time)
    finally:
        database.drop(name)
    return changes_of(part, reference, now_us=end_us + WEEK_US + _LAG_US if bed.time else None)


def named_rightly(plant: Plant, changes: Iterable[Change]) -> bool:
    """Whether a planted fault is among the changes: its kind, its column, and the factor of a unit."""
    for change in changes:
        if change.kind != plant.kind:
            continue
        column = change.column in {plant.column, ""} or plant.column == ""
        factor = plant.factor is None or abs(float(change.detail["factor"]) / plant.factor - 1) < 0.02
        if column and factor:
            return True
    return False


def _seen(plant: Plant, changes: Iterable[Change]) -> bool:
    return any(change.column in {plant.column, ""} or plant.column == "" for change in changes)


def score(database: Database, beds: Iterable[Bed], *, windows: int, every: int = 1) -> Scores:
    """Return the scores over all beds: every planted fault (or every n-th), and clean windows in all."""
    scores = Scores(
        planted=Counter(),
        found=Counter(),
        named=Counter(),
        windows=0,
        trials=0,
        alarms=Counter(),
        windows_alarmed=0,
        misses=[],
    )
    beds = list(beds)
    references: dict[Any, Reference] = {}
    for bed in beds:
        for end_us in bed.ends:
            references[bed.name, end_us, ""] = reference_of(database, bed, end_us)
            for number, plant in enumerate(planted(database, bed, end_us, seed=7)):
                if number % every:
                    continue
                at = (bed.name, end_us, plant.reference)
                if at not in references:
                    references[at] = reference_of(database, bed, end_us, column=plant.reference)
                changes = found_in(database, bed, references[at], plant.sql, end_us)
                right = named_rightly(plant, changes)
                scores.planted[plant.kind] += 1
                scores.found[plant.kind] += right or _seen(plant, changes)
                scores.named[plant.kind] += right
                if not right:
                    said = "; ".join(f"{c.kind} {c.column} {c.detail}" for c in changes) or "nothing"
                    scores.misses.append(f"{plant.kind} {plant.severity} {bed.name}.{plant.column} {end_us}: {said}")
    cells = [(bed, end_us) for bed in beds for end_us in bed.ends]
    for seed in range(windows):
        bed, end_us = cells[seed % len(cells)]
        changes = found_in(database, bed, references[bed.name, end_us, ""], clean_part(bed, end_us, seed=seed), end_us)
        scores.windows += 1
        scores.trials += len(references[bed.name, end_us, ""].whole.columns) * len(CHANGE_KINDS)
        scores.windows_alarmed += bool(changes)
        for change in changes:
            scores.alarms[f"{change.kind} {bed.name}.{change.column}"] += 1
    return scores


def _printed(scores: Scores) -> str:
    lines = ["| kind | planted | found | named rightly |", "|---|--:|--:|--:|"]
    for kind, count in scores.planted.items():
        lines.append(
            f"| {kind} | {count} | {scores.found[kind]} | {scores.named[kind]} ({scores.named[kind] / count:.0%}) |"
        )
    total = sum(scores.planted.values())
    named = sum(scores.named.values())
    lines.append(f"| all | {total} | {sum(scores.found.values())} | {named} ({named / total:.1%}) |")
    alarms = sum(scores.alarms.values())
    by_kind: dict[str, int] = defaultdict(int)
    for name, count in scores.alarms.items():
        by_kind[name] += count
    lines.append("")
    lines.append(
        f"{scores.windows:,} clean windows: {alarms} false alarms in {scores.trials:,} pairs of column and kind "
        f"({alarms / max(1, scores.trials):.4%}); {scores.windows_alarmed} windows "
        f"({scores.windows_alarmed / max(1, scores.windows):.2%}) had any."
    )
    lines += [f"- {name}: {count}" for name, count in sorted(by_kind.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    tuned = "flights" in arguments
    with Database(threads=2) as database:
        scores = score(
            database,
            flights(database) if tuned else complete_journey(database),
            windows=next((int(a) for a in arguments if a.isdigit()), _WINDOWS),
        )
    if "--misses" in arguments:
        print("\n".join(scores.misses))
    print(_printed(scores))
