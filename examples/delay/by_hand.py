"""The delay project done by hand: one query, one LightGBM. ``python examples/delay/by_hand.py FOLDER``.

Nothing of Headway is imported: what is compared must not share what it might get wrong. The days of the split are read
from the brief, so that both are judged on the same flights.
"""

from __future__ import annotations

import datetime as dt
import sys
import tomllib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import lightgbm
import numpy as np
import pyarrow as pa

__all__ = ["KEY", "METRIC", "by_hand"]

KEY = ("carrier", "flight", "origin", "sched_dep")
METRIC = "mae"
CATEGORIES = ("carrier", "origin", "dest")
FEATURES = (
    *CATEGORIES, "distance", "hour", "weekday",
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
    "late_24h", "late_6h", "leave_4h", "usual", "plane_24h", "plane_age",
)  # fmt: skip

# name: what flights have in common, how far back, whose mean, from when on it is known
_WINDOWS = {
    "late_24h": ("carrier", "24 hours", "arr_delay", "actual_arr"),
    "late_6h": ("origin", "6 hours", "arr_delay", "actual_arr"),
    "leave_4h": ("origin", "4 hours", "dep_delay", "actual_dep"),
    "usual": ("carrier || ' ' || dest", "30 days", "arr_delay", "actual_arr"),
    "plane_24h": ("tailnum", "24 hours", "arr_delay", "actual_arr"),
}

_MEASURED = FEATURES[6:15]

_TIMED = """
with flights as (
    select *, timezone('America/New_York', make_timestamp(
        year, month, day, sched_dep_time // 100, sched_dep_time % 100, 0)) as departs
    from read_csv($folder || '/flights.csv', nullstr = 'NA')
),
zoned as (  -- four airports are not in the file; all four keep Puerto Rico's time
    select f.*, coalesce(a.tzone, 'America/Puerto_Rico') as zone, timezone(zone, departs) as there,
        date_trunc('day', there) + to_minutes(sched_arr_time // 100 * 60 + sched_arr_time % 100) as same_day,
        timezone(zone, case when same_day > there then same_day else same_day + interval 1 day end) as arrives
    from flights as f left join read_csv($folder || '/airports.csv', nullstr = 'NA') as a on a.faa = f.dest
)
select carrier, flight, origin, dest, tailnum, distance, dep_delay, arr_delay,
    sched_dep_time // 100 as hour, isodow(make_date(year, month, day)) - 1 as weekday,
    make_timestamp(epoch_us(departs)) as sched_dep,
    sched_dep - interval 2 hours as predict_at,
    predict_at - interval 10 minutes as seen_at,  -- the board may be ten minutes old
    sched_dep + to_minutes(dep_delay) as actual_dep,
    make_timestamp(epoch_us(arrives)) + to_minutes(arr_delay) as actual_arr
from zoned
"""

_WEATHER = """
select origin, make_timestamp(epoch_us(time_hour)) as hour_of, temp, dewp, humid, wind_dir, wind_speed, wind_gust,
    precip, pressure, visib
from read_csv($folder || '/weather.csv', nullstr = 'NA', types = {'time_hour': 'TIMESTAMPTZ'})
"""


def _steps(name: str) -> str:
    """Return the query of a window's running sums.

    A flight enters when it has happened and is known, and leaves when it is too old; what enters leaves, so the sums of
    one key come to nought before the next begins.
    """
    key, window, value, known = _WINDOWS[name]
    some = f"from timed where {value} is not null and {key} is not null"
    return f"""
        select key, moment, sum(n) over until_then as n, sum(total) over until_then as total from (
            select {key} as key, greatest({known}, sched_dep) as moment, 1 as n, {value} as total {some}
            union all
            select {key}, greatest({known}, sched_dep + interval {window}), -1, -{value} {some}
        ) window until_then as (order by key, moment)"""


def _query() -> str:
    joins = "\n".join(
        f"asof left join ({_steps(name)}) as {name}_steps"
        f" on {name}_steps.key = t.{name}_key and seen_at >= {name}_steps.moment"
        for name in _WINDOWS
    )
    keys = ", ".join(f"{key} as {name}_key" for name, (key, *_) in _WINDOWS.items())
    measured = ", ".join(
        f"case when predict_at - hour_of <= interval 6 hours then {it} end as {it}" for it in _MEASURED
    )
    means = ", ".join(f"{name}_steps.total / nullif({name}_steps.n, 0) as {name}" for name in _WINDOWS)
    return f"""
        select t.*, {measured}, {means}, year(predict_at) - p.year as plane_age
        from (select *, {keys} from timed) as t
        asof left join weather as w on w.origin = t.origin and seen_at >= w.hour_of + interval 10 minutes
        left join read_csv($folder || '/planes.csv', nullstr = 'NA') as p on p.tailnum = t.tailnum
        {joins}
        order by t.sched_dep, t.carrier, t.flight, t.origin"""


def by_hand(folder: Path) -> pa.Table:
    """Return key, label and score of the test's flights, of a project that :mod:`prepare` has laid out."""
    brief = tomllib.loads((folder / "headway.toml").read_text(encoding="utf-8"))["split"]
    table = prepared(folder)
    asked, known = (_microseconds(table[name]) for name in ("predict_at", "actual_arr"))
    first = brief.get("train_from", dt.date(1970, 1, 1))
    begins, *ends = (_midnight(day, brief["zone"]) for day in (first, *(brief[f"{part}_before"] for part in _PARTS)))
    # Whoever stands at the end of a part knows of no flight that is still in the air.
    parts = [
        (asked >= begin) & (asked < end) & (known < end) for begin, end in zip((begins, *ends), ends, strict=False)
    ]
    matrix = np.column_stack([_numbers(table[name], coded=name in CATEGORIES) for name in FEATURES])
    label = _numbers(table["arr_delay"], coded=False)
    score = _fitted(matrix, label, parts=parts).predict(matrix[parts[2]], num_threads=1)
    held = table.select([*KEY, "arr_delay"]).filter(pa.array(parts[2])).rename_columns([*KEY, "label"])
    return held.append_column("score", pa.array(np.asarray(score, dtype=np.float64)))


_PARTS = ("train", "validate", "test")


def prepared(folder: Path) -> pa.Table:
    """Return key, moments, features and delay of every flight, by departure."""
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    con.execute("set enable_progress_bar = false")
    given = {"folder": str(folder / "data")}
    for name, query in (("timed", _TIMED), ("weather", _WEATHER)):
        con.execute(f"create table {name} as {query}", given)
    return con.sql(_query(), params=given).to_arrow_table()


def _midnight(day: dt.date, zone: str) -> int:
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()) * 1_000_000


def _microseconds(column: pa.ChunkedArray) -> Any:
    """Return moments; what never comes lies beyond every end."""
    whole = column.cast(pa.timestamp("us")).cast(pa.int64())
    return whole.fill_null(np.iinfo(np.int64).max).to_numpy()


def _numbers(column: pa.ChunkedArray, *, coded: bool) -> Any:
    """Return numbers as they are, and categories as places in a dictionary; NaN where nothing is known."""
    if coded:
        column = column.combine_chunks().dictionary_encode().indices
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))


def _fitted(matrix: Any, label: Any, *, parts: list[Any]) -> lightgbm.Booster:
    """Fit to the training part, with as many trees as the validation part asks for."""
    settings = {
        "objective": "regression_l1", "metric": "l1", "learning_rate": 0.1, "num_leaves": 31,
        "min_child_samples": 100, "feature_fraction": 0.8, "lambda_l2": 1.0, "seed": 7, "num_threads": 1,
        "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    train, validate = (
        lightgbm.Dataset(
            matrix[part],
            label=label[part],
            feature_name=list(FEATURES),
            categorical_feature=list(CATEGORIES),
            params=settings,
        )
        for part in parts[:2]
    )
    stop = lightgbm.early_stopping(30, verbose=False)
    return lightgbm.train(settings, train, num_boost_round=300, valid_sets=[validate], callbacks=[stop])


if __name__ == "__main__":
    held = by_hand(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
    error = np.abs(held["label"].to_numpy() - held["score"].to_numpy()).mean()
    print(f"{METRIC} {error:.2f} minutes of {held.num_rows:,} flights")
