"""The coupons project done by hand: a query, four LightGBMs. ``python examples/coupons/by_hand.py FOLDER``.

Nothing of Headway is imported: what is compared must not share what it might get wrong. The days of the split are read
from the brief, so that both are judged on the same households of the same Mondays.
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

__all__ = ["KEY", "METRIC", "by_hand", "ndcg_5", "questions"]

KEY = ("household_id", "category", "predict_at")
METRIC = "ndcg_5"
SEED = 7

# Mondays at midnight where the stores are; the till's clock is UTC. The last one's week must be over in the files.
_ROUNDS = """
CREATE TABLE rounds AS
SELECT local, timezone('UTC', timezone('America/New_York', local)) AS t
FROM (SELECT unnest(generate_series(TIMESTAMP '2017-03-27', TIMESTAMP '2018-01-01', INTERVAL 7 DAY)) AS local)
WHERE t + INTERVAL 168 HOUR <= (SELECT max(transaction_timestamp) FROM read_parquet($lines))
"""

_LINES = """
CREATE TABLE lines AS
SELECT CAST(household_id AS VARCHAR) AS household, product_category AS category, basket_id, quantity, coupon_disc,
       transaction_timestamp AS bought_at
FROM read_parquet($lines) LEFT JOIN read_parquet($products) USING (product_id)  -- some products are not listed
"""

_PANEL = """
CREATE TABLE panel AS
WITH past AS (
    SELECT t, local, household, category, basket_id, quantity, coupon_disc,
        date_diff('second', bought_at, t) / 86400.0 AS ago
    FROM rounds JOIN lines ON bought_at <= t AND bought_at > t - INTERVAL 2016 HOUR
),
counted AS (
    SELECT t, local, household, category, min(ago) AS since,
        count(DISTINCT basket_id) FILTER (ago < 7) AS bought_7,
        count(DISTINCT basket_id) FILTER (ago < 14) AS bought_14,
        count(DISTINCT basket_id) FILTER (ago < 28) AS bought_28,
        count(DISTINCT basket_id) AS bought_84,
        sum(quantity) AS units_84,
        count(*) FILTER (coupon_disc > 0) AS coupons_group,
        count(*) AS lines_84
    FROM past GROUP BY ALL
),
homes AS (
    SELECT t, household, count(DISTINCT basket_id) AS visits_84,
        count(DISTINCT basket_id) FILTER (ago < 14) AS visits_14
    FROM past GROUP BY ALL
),
groups AS (
    SELECT t, category, count(*) FILTER (ago < 7) AS group_7, count(*) AS group_84 FROM past GROUP BY ALL
),
redeemed AS (  -- a day's redemptions are known when the day is over
    SELECT t, CAST(household_id AS VARCHAR) AS household, count(*) AS coupons_home
    FROM rounds JOIN read_parquet($redemptions)
        ON redemption_date + INTERVAL 1 DAY <= t AND redemption_date > t - INTERVAL 2016 HOUR
    GROUP BY ALL
),
coming AS (
    SELECT DISTINCT t, household, category, TRUE AS bought
    FROM rounds JOIN lines ON bought_at > t AND bought_at <= t + INTERVAL 168 HOUR
)
SELECT counted.*, since * bought_84 / 84.0 AS due, visits_84, bought_84 / visits_84 AS share, visits_14, group_7,
       group_84, 12.0 * group_7 / group_84 AS pace, coalesce(coupons_home, 0) AS coupons_home,
       bought IS NOT NULL AS bought
FROM counted JOIN homes USING (t, household) JOIN groups USING (t, category)
LEFT JOIN redeemed USING (t, household) LEFT JOIN coming USING (t, household, category)
WHERE lines_84 >= 2 AND category <> 'COUPON/MISC ITEMS'
ORDER BY t, household, category
"""

_NUMBERS = (
    "since", "bought_7", "bought_14", "bought_28", "bought_84", "units_84", "due", "visits_84", "share", "visits_14",
    "coupons_group", "coupons_home", "group_7", "group_84", "pace",
)  # fmt: skip


def by_hand(folder: Path) -> pa.Table:
    """Return each question of the test, whether it was bought (``label``), and the ``score`` that lists are ordered by.

    The kind of model, its settings and its number of trees are chosen on the validation weeks; learned is from those
    before alone.
    """
    split = tomllib.loads((folder / "headway.toml").read_text(encoding="utf-8"))["split"]
    panel = questions(folder)
    asked = panel["local"].astype("datetime64[D]")
    known = asked + np.timedelta64(7, "D")
    bounds = [np.datetime64(split[name]) for name in ("train_before", "validate_before", "test_before")]
    train = known < bounds[0]
    choose = (asked >= bounds[0]) & (known < bounds[1])
    test = (asked >= bounds[1]) & (known < bounds[2])
    x, y = _matrix(panel, train), panel["bought"].astype(np.float64)
    _, strip = np.unique(np.char.add(panel["t"].astype(str), panel["household"].astype(str)), return_inverse=True)
    tried = [
        _fitted(x, y, strip, train, choose, objective=objective, leaves=leaves)
        for objective in ("binary", "lambdarank")
        for leaves in (7, 31)
    ]
    model, _ = max(tried, key=lambda one: one[1])
    return pa.table(
        {
            "household_id": panel["household"][test],
            "category": panel["category"][test],
            "predict_at": pa.array(panel["t"][test].astype("datetime64[us]"), pa.timestamp("us", "UTC")),
            "label": y[test],
            "score": np.asarray(model.predict(x[test], num_threads=1)),
            "strip": strip[test],
        }
    )


def ndcg_5(score: NDArray[np.float64], label: NDArray[np.float64], strip: NDArray[np.int64]) -> float:
    """Return the mean over strips of what the first five give, over what they could (Järvelin & Kekäläinen 2002).

    Strips of which nothing was bought have no right order, and are left out. Labels are 0 or 1.
    """
    found, best = (_given(order, label, strip) for order in (score, label))
    return float(np.mean(found[best > 0] / best[best > 0]))


def _given(by: NDArray[np.float64], label: NDArray[np.float64], strip: NDArray[np.int64]) -> NDArray[np.float64]:
    order = np.lexsort((-by, strip))
    there = strip[order]
    rank = np.arange(len(order)) - np.searchsorted(there, there)
    return np.bincount(there, weights=np.where(rank < 5, label[order] / np.log2(rank + 2.0), 0.0))


def questions(folder: Path) -> dict[str, NDArray[Any]]:
    """Return every question of the year with what was known then, and whether it was ``bought``, by Monday."""
    lines, products, redemptions = (
        str(folder / "data" / f"{name}.parquet") for name in ("transactions", "products", "coupon_redemptions")
    )
    with duckdb.connect() as con:
        con.execute("SET threads = 1")
        con.execute(_ROUNDS, {"lines": lines})
        con.execute(_LINES, {"lines": lines, "products": products})
        con.execute(_PANEL, {"redemptions": redemptions})
        found = con.execute("FROM panel").fetchnumpy()
    return {name: np.asarray(column) for name, column in found.items()}


def _matrix(panel: dict[str, NDArray[Any]], train: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return numbers as they are, and product groups by how often they were bought in the training period."""
    columns = [panel[name].astype(np.float64) for name in _NUMBERS]
    values, code = np.unique(panel["category"], return_inverse=True)
    count = np.bincount(code[train], minlength=len(values))
    total = np.bincount(code[train], weights=panel["bought"][train].astype(np.float64), minlength=len(values))
    columns.append(np.where(count > 0, total / np.maximum(count, 1), np.nan)[code])
    return np.column_stack(columns)


def _fitted(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    strip: NDArray[np.int64],
    train: NDArray[np.bool_],
    choose: NDArray[np.bool_],
    *,
    objective: str,
    leaves: int,
) -> tuple[lgb.Booster, float]:
    """Return a booster that stopped when the choosing period grew no better, and its NDCG there."""
    settings: dict[str, Any] = {
        "objective": objective, "metric": "ndcg" if objective == "lambdarank" else "binary_logloss",
        "eval_at": [5], "num_leaves": leaves, "learning_rate": 0.08, "min_data_in_leaf": 100, "feature_fraction": 0.8,
        "lambda_l2": 1.0, "seed": SEED, "deterministic": True, "num_threads": 1, "verbose": -1,
    }  # fmt: skip
    # LightGBM wants the rows of a strip side by side.
    parts = []
    for part in (train, choose):
        rows = np.flatnonzero(part)[np.argsort(strip[part], kind="stable")]
        sizes = np.unique(strip[rows], return_counts=True)[1]
        parts.append(lgb.Dataset(x[rows], label=y[rows], group=sizes if objective == "lambdarank" else None))
    model = lgb.train(
        settings,
        parts[0],
        num_boost_round=300,
        valid_sets=[parts[1]],
        callbacks=[lgb.early_stopping(25, verbose=False)],
    )
    said = np.asarray(model.predict(x[choose], num_threads=1))
    return model, ndcg_5(said, y[choose], strip[choose])


if __name__ == "__main__":
    made = by_hand(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
    reached = ndcg_5(made["score"].to_numpy(), made["label"].to_numpy(), made["strip"].to_numpy())
    print(f"{made.num_rows:,} places on strips; NDCG of the first five: {reached:.4f}")
