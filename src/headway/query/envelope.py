"""The greatest, least, first and last value over a window: what cannot be taken back when a row leaves.

Each row holds for a stretch of the steps of its key, from the one at which it enters up to the one at which it leaves.
What is wanted is the best of all stretches over each step. A stretch of ``m`` steps is two overlapping blocks of
``2**floor(log2 m)`` steps (the sparse table of Bender & Farach-Colton 2000, turned round: there two blocks answer a
question, here two blocks tell it); the best of each block is handed down to its two halves, level by level, until the
blocks are single steps. That is ``n log n`` grouping by the engine, which spills, in any order and on any number of
threads the same: the best of the best is the best.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.query.windows import Aggregate

__all__ = ["envelope_sql"]

_LEVELS = 32
"""More steps than two to this power no window will ever hold."""


def envelope_sql(aggregates: Sequence[tuple[int, Aggregate]], *, equal: str) -> tuple[list[str], list[str]]:
    """Return common table expressions, the last being ``best``, and the columns that it has beside ``@pos``.

    They read ``stays`` (``enters``, ``leaves``, ``x0`` …, ``@rank``) and ``numbered`` (``@at``, ``@pos``).

    Parameters
    ----------
    aggregates
        The extremes, with their places in the timeline.
    equal
        The condition that the keys of ``y`` (stays) and ``z`` (numbered) are equal.
    """
    held, best = [], []
    for place, aggregate in aggregates:
        value, rank = f"x{place}", f"r{place}"
        pick = "max" if aggregate.function in {"max", "last"} else "min"
        if aggregate.function in {"max", "min"}:
            held.append(value)
            best.append(f"{pick}({value}) AS {value}")
        else:
            held += [value, rank]
            best += [f"arg_{pick}({value}, {rank}) AS {value}", f"{pick}({rank}) AS {rank}"]
    carried, chosen = ", ".join(held), ", ".join(best)
    parts = [
        f"""entered AS (
            SELECT y.*, z."@pos" AS p FROM stays y JOIN numbered z ON {equal} AND y.enters = z."@at"
            WHERE enters < leaves
        )""",
        f"""spans AS (
            SELECT p, CAST(floor(log2(z."@pos" - p)) AS BIGINT) AS k, z."@pos" - p AS m, {carried}
            FROM entered y JOIN numbered z ON {equal} AND y.leaves = z."@at"
        )""",
        f"""blocks AS MATERIALIZED (
            SELECT p AS "@pos", k, {chosen} FROM (
                SELECT p, k, {carried} FROM spans UNION ALL
                SELECT p + m - (1::BIGINT << k) AS p, k, {carried} FROM spans
            ) GROUP BY p, k
        )""",
    ]
    above = ""
    for level in range(_LEVELS, -1, -1):
        halves = (
            f'UNION ALL SELECT "@pos" + h AS "@pos", {carried} FROM {above}, (VALUES (0), ({2**level}::BIGINT)) o(h)'
            if above
            else ""
        )
        name = f"level{level}" if level else "best"
        parts.append(
            f"""{name} AS (
                SELECT "@pos", {chosen} FROM (SELECT "@pos", {carried} FROM blocks WHERE k = {level} {halves})
                GROUP BY "@pos"
            )"""
        )
        above = name
    return parts, [f"x{place} AS e{place}" for place, _ in aggregates]
