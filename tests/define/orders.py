"""A shop's orders, made up but not at random: what the quick start and the tests of the Define stage look at.

About 8,000 orders of a year. Whether one comes back depends on what it is, on its discount, and above all on who
ordered: some people send back a third of what they buy. The same seed gives the same bytes.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["HEADER", "write_orders"]

HEADER = (
    "order_id", "customer_id", "ordered_at", "country", "category", "price", "discount", "items", "payment",
    "shipped_at", "returned", "closed_at",
)  # fmt: skip
_COUNTRIES = {"DE": 0.4, "FR": 0.25, "NL": 0.2, "PL": 0.15}
_CATEGORIES = {
    "books": (0.2, 18, 0.02),
    "shoes": (0.25, 80, 0.30),
    "dresses": (0.2, 65, 0.38),
    "tools": (0.2, 45, 0.06),
    "toys": (0.15, 25, 0.05),
}
_PAYMENTS = {"card": 0.5, "invoice": 0.35, "transfer": 0.15}


def write_orders(path: Path, *, rows: int = 8_000, seed: int = 7, separator: str = ",") -> None:
    """Write a CSV file of ``rows`` orders.

    An order is closed when it has come back, or, if it has not, 30 days after it was shipped: only then is it known.
    """
    random = Random(seed)  # noqa: S311  (made up, not secret)
    sends_back = {f"C{number:04d}": random.betavariate(0.5, 1.5) for number in range(900)}
    customers = list(sends_back)
    start, second = datetime(2024, 1, 1, tzinfo=UTC), timedelta(seconds=1)
    moments = sorted(random.randrange(366 * 86_400) for _ in range(rows))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerow(HEADER)
        for number, moment in enumerate(moments, start=1):
            ordered = start + moment * second
            customer = customers[min(int(random.expovariate(1 / 250)), len(customers) - 1)]
            country = _drawn(random, _COUNTRIES)
            category = _drawn(random, {name: share for name, (share, _, _) in _CATEGORIES.items()})
            payment = _drawn(random, _PAYMENTS)
            discount = random.choice((0, 0, 0, 10, 20, 30))
            price = round(_CATEGORIES[category][1] * random.lognormvariate(0, 0.4) * (1 - discount / 100), 2)
            chance = _CATEGORIES[category][2] * (0.25 + 2.2 * sends_back[customer])
            chance *= (1.5 if payment == "invoice" else 0.9) * (0.7 if discount >= 20 else 1.1)
            back = random.random() < min(chance, 0.95)
            shipped = ordered + timedelta(hours=random.uniform(6, 72))
            closed = shipped + (timedelta(days=random.uniform(3, 28)) if back else timedelta(days=30))
            writer.writerow(
                (
                    100_000 + number, customer, _iso(ordered), country, category, price, discount,
                    1 + int(random.expovariate(1.2)), payment, _iso(shipped), "yes" if back else "no", _iso(closed),
                )
            )  # fmt: skip


def _drawn(random: Random, shares: dict[str, float]) -> str:
    return random.choices(list(shares), weights=list(shares.values()))[0]


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
