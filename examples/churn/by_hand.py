"""The churn project done by hand: one query, one LightGBM. ``python examples/churn/by_hand.py FOLDER``.

Nothing of Headway is imported: what is compared must not share what it might get wrong. The days of the split are read
from the brief, so that both are judged on the same households of the same Mondays.
"""

from __future__ import annotations

import datetime as dt
import sys
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import lightgbm
import numpy as np
import pyarrow as pa
from sklearn.metrics import average_precision_score

__all__ = ["KEY", "METRIC", "by_hand", "prepared"]

KEY = ("household_id", "predict_at")
METRIC = "average_precision"
HORIZON = dt.timedelta(days=14)
CATEGORIES = ("campaign_type", "age", "income", "household_size", "kids_count", "home_ownership")

# A window ends with the question, which it includes; the horizon begins after it.
_QUERY = """
with lines as (from read_parquet($folder || '/transactions.parquet')),
baskets as (
    select household_id, basket_id, any_value(store_id) as store_id, any_value(transaction_timestamp) as paid_at,
        count(*) as lines, -- to the cent: a sum of fractions depends on the order of its rows
        round(sum(sales_value), 2) as sales, round(sum(retail_disc), 2) as discount
    from lines group by household_id, basket_id
),
mondays as (select unnest(generate_series($first::timestamp, $last::timestamp, interval 7 days)) as predict_at),
asked as (
    select household_id, predict_at,
        date_diff('second', max(paid_at), predict_at) / 86400.0 as days_since,
        count(*) filter (paid_at > predict_at - interval 7 days) as baskets_7d,
        count(*) filter (paid_at > predict_at - interval 14 days) as baskets_14d,
        count(*) filter (paid_at > predict_at - interval 28 days) as baskets_28d,
        count(*) as baskets_60d,
        coalesce(sum(lines) filter (paid_at > predict_at - interval 14 days), 0) as lines_14d,
        sum(lines) as lines_60d,
        coalesce(round(sum(sales) filter (paid_at > predict_at - interval 14 days), 2), 0) as sales_14d,
        round(sum(sales), 2) as sales_60d, round(sum(discount), 2) as discount_60d,
        count(distinct store_id) as stores_60d
    from mondays join baskets on paid_at <= predict_at and paid_at > predict_at - interval 60 days
    group by household_id, predict_at
),
variety as (
    select household_id, predict_at, count(distinct product_id) as products_60d
    from mondays
    join lines on transaction_timestamp <= predict_at and transaction_timestamp > predict_at - interval 60 days
    group by household_id, predict_at
),
bought as (
    select distinct household_id, predict_at
    from mondays join baskets on paid_at > predict_at and paid_at <= predict_at + interval 14 days
),
sent as (
    select household_id, predict_at,
        count(*) filter (start_date > predict_at - interval 60 days) as campaigns_60d,
        date_diff('second', predict_at, arg_max(end_date, (start_date, campaign_id))) / 86400.0 as campaign_ends,
        arg_max(campaign_type, (start_date, campaign_id)) as campaign_type
    from mondays, read_parquet($folder || '/campaigns.parquet') as campaigns
    join read_parquet($folder || '/campaign_descriptions.parquet') as campaign_descriptions using (campaign_id)
    where start_date <= predict_at
    group by household_id, predict_at
),
redeemed as (  -- a day's redemptions are known when the day is over
    select household_id, predict_at,
        count(*) filter (redemption_date > predict_at - interval 60 days) as coupons_60d,
        date_diff('second', max(redemption_date), predict_at) / 86400.0 as coupon_since
    from mondays join read_parquet($folder || '/coupon_redemptions.parquet') as coupon_redemptions
        on redemption_date + interval 1 day <= predict_at
    group by household_id, predict_at
)
select asked.*, products_60d,
    days_since * baskets_60d / 60.0 as gaps_away,
    baskets_14d / baskets_60d as pace,
    sales_14d / nullif(sales_60d, 0) as spend_pace,
    coalesce(campaigns_60d, 0) as campaigns_60d, campaign_ends, campaign_type,
    coalesce(coupons_60d, 0) as coupons_60d, coupon_since,
    age, income, household_size, kids_count, home_ownership,
    bought.household_id is null as label
from asked
join variety using (household_id, predict_at)
left join bought using (household_id, predict_at)
left join sent using (household_id, predict_at)
left join redeemed using (household_id, predict_at)
left join read_parquet($folder || '/demographics.parquet') as demographics using (household_id)
order by predict_at, household_id
"""


def by_hand(folder: Path) -> pa.Table:
    """Return key, label and score of the test's examples, of a project that :mod:`prepare` has laid out."""
    brief = tomllib.loads((folder / "headway.toml").read_text(encoding="utf-8"))
    table = prepared(folder)
    asked = np.asarray(table["predict_at"].cast(pa.timestamp("s")).to_numpy())
    ends = [np.datetime64(brief["split"][f"{name}_before"], "s") for name in ("train", "validate", "test")]
    # Whoever stands at the end of a part knows no label whose horizon is still running.
    begins = [np.datetime64(brief["target"]["starting"], "s"), *ends]
    parts = [(asked >= begins[at]) & (asked + np.timedelta64(HORIZON) < ends[at]) for at in range(3)]
    columns = [name for name in table.column_names if name not in {*KEY, "label"}]
    matrix = np.column_stack([_numbers(table[name], coded=name in CATEGORIES) for name in columns])
    label = table["label"].to_numpy().astype(np.float64)
    score = _fitted(matrix, label, parts=parts, columns=columns).predict(matrix[parts[2]], num_threads=1)
    held = table.select([*KEY, "label"]).filter(pa.array(parts[2]))
    return held.append_column("score", pa.array(np.asarray(score, dtype=np.float64)))


def prepared(folder: Path) -> pa.Table:
    """Return key, features and label of everyone who was asked about, by moment and household."""
    brief = tomllib.loads((folder / "headway.toml").read_text(encoding="utf-8"))
    con = duckdb.connect()
    con.execute("set enable_progress_bar = false")
    first, last = brief["target"]["starting"], brief["split"]["test_before"]
    given = {"folder": str(folder / "data"), "first": first.isoformat(), "last": last.isoformat()}
    return con.sql(_QUERY, params=given).to_arrow_table()


def _numbers(column: pa.ChunkedArray, *, coded: bool) -> Any:
    """Return numbers as they are, and categories as places in a dictionary; NaN where nothing is known."""
    if coded:
        column = column.combine_chunks().dictionary_encode().indices
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _fitted(matrix: Any, label: Any, *, parts: list[Any], columns: list[str]) -> lightgbm.Booster:
    """Fit to the training part, with as many trees as the validation part asks for."""
    settings = {
        "objective": "binary", "metric": METRIC, "learning_rate": 0.03, "num_leaves": 31, "min_child_samples": 100,
        "feature_fraction": 0.6, "lambda_l2": 1.0, "seed": 7, "num_threads": 1, "deterministic": True,
        "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    codes = [columns.index(name) for name in CATEGORIES]
    train, validate = (
        lightgbm.Dataset(matrix[part], label=label[part], categorical_feature=codes, feature_name=columns)
        for part in parts[:2]
    )
    stop = lightgbm.early_stopping(50, verbose=False)
    return lightgbm.train(settings, train, num_boost_round=500, valid_sets=[validate], callbacks=[stop])


if __name__ == "__main__":
    held = by_hand(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
    value = average_precision_score(held["label"].to_numpy(), held["score"].to_numpy())
    print(f"{METRIC} {value:.3f} of {held.num_rows:,} examples")
