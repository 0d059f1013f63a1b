"""A small shop's world, as files, and briefs that ask it everything: what engines are compared on.

Amounts are such that floating sums depend on their order; keys are skewed, tied and missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from headway.query.functions import Kind

__all__ = ["BRIEFS", "KINDS", "NOW_US", "written"]

_HOUR_US = 3_600_000_000
NOW_US = 100 * 24 * _HOUR_US

KINDS: dict[str, dict[str, Kind]] = {
    "asks": {
        "id": "int", "who": "text", "shop": "int", "at": "time", "told": "time", "size": "int", "amount": "float",
        "bad": "bool", "north": "float", "east": "float",
    },
    "orders": {"who": "text", "shop": "int", "at": "time", "paid": "float", "kind": "text"},
    "shops": {"shop": "int", "city": "text", "lat": "float", "lon": "float"},
}  # fmt: skip

_ARROW = {"int": pa.int64(), "text": pa.string(), "time": pa.timestamp("us"), "float": pa.float64(), "bool": pa.bool_()}

_SOURCES = """
[sources.asks]
path = "asks.parquet"
key = ["id"]
time = "at"
[sources.asks.known]
"*" = "at"
bad = "told"
told = "told"
[sources.asks.derive]
late = "hour(at, 'Europe/Berlin') >= 18"
city = { from = "shops", match = ["shop"], take = "city" }
[sources.orders]
path = "orders.parquet"
key = ["who", "at"]
time = "at"
known = "at + interval 3 hours"
ONCE
[sources.shops]
path = "shops.parquet"
key = ["shop"]
"""
_REST = """
[split]
train_before = 1970-03-01
validate_before = 1970-03-15
test_before = 1970-04-01
[success]
minimum = 0.1
good_enough = 0.9
"""
_ROWS = """
[target]
examples = "asks"
predict_at = "at"
label = "bad"
label_known_at = "told"
act_on = "top 1 per day"
[features]
size = "size"
evening = "late"
town = "city"
past = { from = "asks", match = ["who"], window = "9 days", value = "avg(bad)" }
spent = { from = "asks", match = ["who"], window = "30 days", value = "sum(amount)" }
spread = { from = "orders", match = ["who"], window = "30 days", value = "std(paid)" }
rising = { from = "orders", match = ["who"], window = "30 days", value = "trend(paid)" }
most = { from = "orders", match = ["shop"], window = "12 days", value = "max(paid)" }
final = { from = "orders", match = ["shop"], window = "12 days", value = "last(kind)" }
kinds = { from = "orders", match = ["shop"], window = "12 days", value = "distinct(kind)" }
close = { nearest = ["north", "east"], from = "shops", lat = "lat", lon = "lon" }
closest = { nearest = ["north", "east"], from = "shops", lat = "lat", lon = "lon", take = "city" }
before = { from = "orders", match = ["who"], take = "paid", max_age = "8 days" }
both = { from = "orders", match = ["who", "shop"], window = "all" }
everywhere = { from = "orders", match = [], window = "5 days", value = "avg(paid)" }
dearest = { from = "orders", match = [], window = "5 days", value = "max(paid)" }
share = { from = "orders", match = ["shop"], window = "all", value = "share()" }
risk = { from = "asks", match = ["shop"], window = "all", value = "avg(bad)", smooth = 20.0 }
"""
_ENTITIES = """
[target]
entities = "orders"
entity = ["who"]
each = "4 days"
starting = 1970-01-20
among = "count(orders, interval 20 days) > 0"
label = "count(orders) = 0"
horizon = "6 days"
delay = "3 hours"
act_on = "score > 0.5"
[features]
often = { from = "orders", match = ["who"], window = "20 days" }
paid = { from = "orders", match = ["who"], window = "20 days", value = "sum(paid)" }
kind = { from = "orders", match = ["who"], take = "kind" }
"""
_ONCE = '[sources.orders.once]\nby = ["who"]\norder = "paid"\n'
_CLEAN = """
[sources.orders.clean.fair]
of = "paid"
quantiles = [0.05, 0.9]
outliers = "clip"
fill = "median"
[sources.orders.clean.mean]
of = "paid"
fill = "mean"
by = ["kind", "shop"]
[sources.orders.clean.middle]
of = "paid"
fill = "median"
by = ["kind"]
[sources.orders.clean.sort]
of = "kind"
fill = "mode"
by = ["shop"]
"""

BRIEFS = {
    "rows": _SOURCES.replace("ONCE\n", "") + _ROWS + _REST,
    "entities": _SOURCES.replace("ONCE\n", _ONCE) + _ENTITIES + _REST,
    "cleaned": _SOURCES.replace("ONCE\n", _CLEAN) + _ENTITIES + _REST,
}
"""By what they ask about: rows that are examples, entities again and again, what cleaning learns."""


def written(folder: Path, *, asks: int = 1_500, orders: int = 4_000) -> dict[str, list[Path]]:
    """Write the world, each source over several files, and return these; a second call finds them."""
    rng = np.random.default_rng(7)

    def moments(count: int) -> list[int]:
        return [int(hour) * _HOUR_US for hour in np.sort(rng.integers(0, 95 * 24, count))]

    def among(choices: list[object], count: int) -> list[object]:
        weights = 1.0 / np.arange(1, len(choices) + 1)
        return [choices[place] for place in rng.choice(len(choices), count, p=weights / weights.sum())]

    people: list[object] = ["ann", "bob", None, *(f"p{number}" for number in range(60))]
    shops: list[object] = [*range(12), None]
    amounts: list[object] = [0.1, 0.2, 1e9 / 3, 1e-7, -1e9 / 3, 12.5, None, *rng.normal(size=40).tolist()]
    at = moments(asks)
    tables: dict[str, dict[str, list[object]]] = {
        "asks": {
            "id": list(range(asks)),
            "who": among(people, asks),
            "shop": among(shops, asks),
            "at": list(at),
            "told": [moment + int(wait) * _HOUR_US for moment, wait in zip(at, rng.integers(1, 90, asks), strict=True)],
            "size": rng.integers(0, 9, asks).tolist(),
            "amount": among(amounts, asks),
            "bad": (rng.random(asks) < 0.3).tolist(),
            "north": among([None, *rng.uniform(45, 50, 30).tolist()], asks),
            "east": rng.uniform(5, 15, asks).tolist(),
        },
        "orders": {
            "who": among(people, orders),
            "shop": among(shops, orders),
            "at": list(moments(orders)),
            "paid": among(amounts, orders),
            "kind": among(["new", "old", "gift", None], orders),
        },
        "shops": {
            "shop": list(range(11)),
            "city": [("Ulm", "Bern", "Graz")[number % 3] for number in range(11)],
            "lat": rng.uniform(45, 50, 11).tolist(),
            "lon": rng.uniform(5, 15, 11).tolist(),
        },
    }
    return {name: _files(folder, name, columns) for name, columns in tables.items()}


def _files(folder: Path, name: str, columns: dict[str, list[object]]) -> list[Path]:
    table = pa.table({column: pa.array(columns[column], _ARROW[kind]) for column, kind in KINDS[name].items()})
    size, paths = -(-len(table) // 3), []
    for part in range(3):
        path = folder / f"{name}-{part}.parquet"
        if not path.exists():
            pq.write_table(table.slice(part * size, size), path, row_group_size=300)
        paths.append(path)
    return paths
