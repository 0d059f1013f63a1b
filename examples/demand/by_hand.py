"""The demand project done by hand: one panel of weeks, six LightGBMs. ``python examples/demand/by_hand.py FOLDER``.

Nothing of Headway is imported: what is compared must not share what it might get wrong. The days of the split are read
from the brief, so that both are judged on the same Mondays.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import lightgbm as lgb
import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["KEY", "METRIC", "SHARE", "by_hand", "loss", "questions"]

KEY = ("store_id", "category", "predict_at")
METRIC = "pinball_75"
SEED = 7
SHARE = 0.75
"""An order is to cover three weeks of four."""

# Mondays at midnight where the stores are; the till's clock is UTC. The last one's week must be over in the files.
_ROUNDS = """
CREATE TABLE rounds AS
SELECT local, timezone('UTC', timezone('America/New_York', local)) AS t
FROM (SELECT unnest(generate_series(TIMESTAMP '2017-03-27', TIMESTAMP '2018-01-01', INTERVAL 7 DAY)) AS local)
WHERE t + INTERVAL 168 HOUR <= (SELECT max(transaction_timestamp) FROM read_parquet($lines))
"""

_LINES = """
CREATE TABLE lines AS
SELECT CAST(store_id AS VARCHAR) AS store, product_category AS category, household_id, quantity,
       retail_disc / nullif(sales_value + retail_disc, 0) AS off, transaction_timestamp AS sold_at
FROM read_parquet($lines) LEFT JOIN read_parquet($products) USING (product_id)  -- some products are not listed
"""

_PANEL = """
CREATE TABLE panel AS
WITH past AS (
    SELECT t, local, store, category, quantity, household_id, off, date_diff('second', sold_at, t) / 86400.0 AS ago
    FROM rounds JOIN lines ON sold_at <= t AND sold_at > t - INTERVAL 2016 HOUR
),
counted AS (
    SELECT t, local, store, category,
        coalesce(sum(quantity) FILTER (ago < 7), 0) AS sold_1,
        coalesce(sum(quantity) FILTER (ago >= 7 AND ago < 14), 0) AS sold_2,
        coalesce(sum(quantity) FILTER (ago >= 14 AND ago < 21), 0) AS sold_3,
        coalesce(sum(quantity) FILTER (ago >= 21 AND ago < 28), 0) AS sold_4,
        coalesce(sum(quantity) FILTER (ago < 28), 0) AS sold_28,
        sum(quantity) AS sold_84,
        max(quantity) FILTER (ago < 28) AS most,
        count(DISTINCT household_id) FILTER (ago < 28) AS buyers,
        avg(off) FILTER (ago < 7) AS off_7, avg(off) AS off_84,
        count(*) FILTER (ago < 56) AS lines_56
    FROM past GROUP BY ALL
),
stores AS (
    SELECT t, store, count(*) FILTER (ago < 7) AS store_7, count(*) FILTER (ago < 28) AS store_28 FROM past GROUP BY ALL
),
groups AS (
    SELECT t, category, count(*) FILTER (ago < 7) AS group_7, count(*) AS group_84 FROM past GROUP BY ALL
),
coming AS (
    SELECT t, store, category, sum(quantity) AS units
    FROM rounds JOIN lines ON sold_at > t AND sold_at <= t + INTERVAL 168 HOUR GROUP BY ALL
)
SELECT counted.*, 3.0 * sold_28 / nullif(sold_84, 0) AS pace, store_7, store_28, group_7, group_84,
       dayofyear(local) AS day_of_year, coalesce(units, 0) AS units
FROM counted JOIN stores USING (t, store) JOIN groups USING (t, category) LEFT JOIN coming USING (t, store, category)
WHERE lines_56 >= 24 AND category <> 'COUPON/MISC ITEMS'
ORDER BY t, store, category
"""

_NUMBERS = (
    "sold_1", "sold_2", "sold_3", "sold_4", "sold_28", "sold_84", "pace", "most", "buyers", "off_7", "off_84",
    "store_7", "store_28", "group_7", "group_84", "day_of_year",
)  # fmt: skip
_GROUPS = ("store", "category")


def by_hand(folder: Path) -> pa.Table:
    """Return each question of the test, its ``label`` (units sold) and ``score`` (units ordered).

    Settings and the number of trees are chosen on the validation weeks; learned is from those before alone.
    """
    split = tomllib.loads((folder / "headway.toml").read_text(encoding="utf-8"))["split"]
    panel = questions(folder)
    asked = panel["local"].astype("datetime64[D]")
    known = asked + np.timedelta64(7, "D")
    bounds = [np.datetime64(split[name]) for name in ("train_before", "validate_before", "test_before")]
    train = known < bounds[0]
    choose = (asked >= bounds[0]) & (known < bounds[1])
    test = (asked >= bounds[1]) & (known < bounds[2])
    x, y = _matrix(panel, train), panel["units"].astype(np.float64)
    tried = [
        _fitted(x, y, train, choose, leaves=leaves, rate=rate, seed=SEED)
        for leaves in (15, 31, 63)
        for rate in (0.03, 0.08)
    ]
    model, _ = min(tried, key=lambda one: one[1])
    return pa.table(
        {
            "store_id": panel["store"][test],
            "category": panel["category"][test],
            "predict_at": pa.array(panel["t"][test].astype("datetime64[us]"), pa.timestamp("us", "UTC")),
            "label": y[test],
            # Nobody orders less than nothing.
            "score": np.maximum(np.asarray(model.predict(x[test], num_threads=1)), 0.0),
        }
    )


def loss(said: NDArray[np.float64], units: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the pinball loss of each order: a unit short costs thrice a unit too many (Koenker & Bassett 1978)."""
    return np.maximum(SHARE * (units - said), (SHARE - 1) * (units - said))


def questions(folder: Path) -> dict[str, NDArray[Any]]:
    """Return every question of the year with what was known then, and the ``units`` that were sold, by Monday."""
    lines, products = (str(folder / "data" / f"{name}.parquet") for name in ("transactions", "products"))
    with duckdb.connect() as con:
        con.execute("SET threads = 1")
        con.execute(_ROUNDS, {"lines": lines})
        con.execute(_LINES, {"lines": lines, "products": products})
        con.execute(_PANEL)
        found = con.execute("FROM panel").fetchnumpy()
    # A hole comes as a masked place.
    return {
        name: np.ma.filled(column.astype(np.float64), np.nan) if np.ma.isMaskedArray(column) else column
        for name, column in found.items()
    }


def _matrix(panel: dict[str, NDArray[Any]], train: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return numbers as they are, and stores and groups as codes by their mean week in the training period."""
    columns = [panel[name].astype(np.float64) for name in _NUMBERS]
    units = panel["units"].astype(np.float64)
    for name in _GROUPS:
        values, code = np.unique(panel[name], return_inverse=True)
        count = np.bincount(code[train], minlength=len(values))
        total = np.bincount(code[train], weights=units[train], minlength=len(values))
        columns.append(np.where(count > 0, total / np.maximum(count, 1), np.nan)[code])
    return np.column_stack(columns)


def _fitted(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    train: NDArray[np.bool_],
    choose: NDArray[np.bool_],
    *,
    leaves: int,
    rate: float,
    seed: int,
) -> tuple[lgb.Booster, float]:
    """Return a booster that stopped when the choosing period grew no better, and its loss there."""
    settings: dict[str, Any] = {
        "objective": "quantile", "alpha": SHARE, "num_leaves": leaves, "learning_rate": rate,
        "min_data_in_leaf": 40, "feature_fraction": 0.8, "lambda_l2": 1.0, "seed": seed, "deterministic": True,
        "num_threads": 1, "verbose": -1,
    }  # fmt: skip
    model = lgb.train(
        settings,
        lgb.Dataset(x[train], label=y[train]),
        num_boost_round=400,
        valid_sets=[lgb.Dataset(x[choose], label=y[choose])],
        callbacks=[lgb.early_stopping(30, verbose=False)],
    )
    return model, float(loss(np.asarray(model.predict(x[choose], num_threads=1)), y[choose]).mean())


if __name__ == "__main__":
    made = by_hand(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
    lost = loss(made["score"].to_numpy(), made["label"].to_numpy()).mean()
    print(f"{made.num_rows:,} orders; pinball loss at {SHARE:.0%}: {lost:.4f}")
