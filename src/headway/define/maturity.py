"""How long does a label take? The share that is known so long after the prediction, and which examples are too young.

A young example without a label may get one yet, or never: which, nobody can tell. So neither is counted as anything
before its time: the share known by an age is the product-limit estimate (Kaplan & Meier 1958), in which an example
without a label counts as one still waiting at the age that it has. What never gets a label makes the curve end below
one (a cured fraction: Maller & Zhou 1996); it is then scaled to those that do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headway.define.availability import Maturity
from headway.nouns.span import DAY, MINUTE
from headway.query.compile import quote
from headway.query.example_texts import CENSORED, KNOWN_AT, LABEL, moment_sql
from headway.query.relation import PREDICT_AT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.query.database import Database

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["label_maturity", "product_limit"]

_POINTS = 80


def label_maturity(database: Database, view: str, *, as_of_us: int) -> Maturity | None:
    """Return how long labels take, by the examples in ``view``; None where none has a label."""
    known, moment, label = quote(KNOWN_AT), quote(PREDICT_AT), quote(LABEL)
    # To the minute: exact enough, and so few different ages that they can be counted. An open horizon waits until
    # just before it is over.
    age = f"(CASE WHEN {label} IS NULL AND {quote(CENSORED)} THEN least({known}, {moment_sql(as_of_us)}) "
    age += f"- to_microseconds({MINUTE}) WHEN {label} IS NULL THEN {moment_sql(as_of_us)} ELSE {known} END)"
    counts = database.table(
        f"SELECT greatest(ceil((epoch_us({age}) - epoch_us({moment})) / {MINUTE}), 0)::BIGINT AS minutes, "
        f"count({label}) AS known, count(*) - count({label}) AS waiting FROM {view} GROUP BY 1 ORDER BY 1"
    )
    minutes, events, waiting = (counts[name].to_numpy().astype(np.int64) for name in ("minutes", "known", "waiting"))
    if not events.any():
        return None
    share = product_limit(events, waiting)
    ever = float(share[-1])
    scaled = share / ever

    def reached(part: float) -> int:
        return int(minutes[np.searchsorted(scaled, part - 1e-12)]) * MINUTE

    mature_us = reached(0.99)
    # The data may end before now does: a horizon that they do not cover is open, however long it has been over.
    ((oldest,),) = database.rows(
        f"SELECT epoch_us(min({moment}) FILTER (WHERE {label} IS NULL AND {quote(CENSORED)})) FROM {view}"
    )
    since_us = min([as_of_us - mature_us, *([] if oldest is None else [oldest - 1])])
    young = database.table(
        f"SELECT CASE WHEN {quote(CENSORED)} THEN 0 ELSE ({as_of_us} - epoch_us({moment})) // {MINUTE} END AS minutes, "
        f"count(*) AS n, count(*) - count({label}) AS waiting FROM {view} WHERE {moment} > {moment_sql(since_us)} "
        "GROUP BY 1"
    )
    unlabelled = young["waiting"].to_numpy()
    at = np.searchsorted(minutes, young["minutes"].to_numpy(), side="right")
    by_then = np.concatenate([[0.0], share])[at]
    left = np.divide(ever - by_then, 1 - by_then, out=np.zeros(len(by_then)), where=by_then < 1)
    return Maturity(
        points=_drawn(minutes, scaled),
        median_us=reached(0.5),
        p95_us=reached(0.95),
        p99_us=mature_us,
        worst_us=int(minutes[events > 0].max()) * MINUTE,
        never=1 - ever,
        since_us=since_us,
        immature=int(young["n"].to_numpy().sum()),
        waiting=int(unlabelled.sum()),
        expected=float(unlabelled @ np.clip(left, 0, 1)),
    )


def product_limit(known: Ints, waiting: Ints) -> Floats:
    """Return the share known by each age, ages ascending: how many became known at it, and how many wait at it.

    Examples
    --------
    Ten examples: four labels after a while, two examples that are no older than that, four labels later.

    >>> product_limit(np.array([4, 4]), np.array([2, 0])).tolist()
    [0.4, 1.0]
    """
    leaving = known + waiting
    at_risk = leaving[::-1].cumsum()[::-1]
    left = np.divide(known, at_risk, out=np.zeros(len(known)), where=at_risk > 0)
    share: Floats = 1 - np.cumprod(1 - left)
    return share


def _drawn(minutes: Ints, share: Floats) -> tuple[tuple[float, float], ...]:
    """Return the curve at so many ages that it can be drawn, from none to a little beyond 99 %."""
    end = int(minutes[np.searchsorted(share, 0.99 - 1e-12)])
    ages = np.unique(np.linspace(0, max(1.25 * end, 1), _POINTS).astype(np.int64))
    at = np.searchsorted(minutes, ages, side="right")
    by_then = np.concatenate([[0.0], share])[at]
    return tuple((float(age * MINUTE / DAY), float(one)) for age, one in zip(ages, by_then, strict=True))
