"""Small data with everything in it that data have: categories, holes, constants, and a signal."""

import numpy as np
import pyarrow as pa
import pytest

from headway.nouns.examples import Examples


def _make(rows=2000, *, seed=0, days=20, first_day=100, unseen=False, label=None, features=None):
    rng = np.random.default_rng(seed)
    carriers = np.array(["AA", "B6", "DL", "UA", "ÖS", "R1", "R2"])
    carrier = carriers[rng.choice(7, size=rows, p=[0.3, 0.25, 0.2, 0.15, 0.08, 0.01, 0.01])].astype(object)
    if unseen:
        carrier[::7] = "ZZ"
    wind = rng.gamma(2, 5, rows).astype(np.float32)
    hour = rng.integers(5, 24, rows).astype(np.float32)
    odds = -2 + 0.08 * wind + 0.05 * (hour - 14) + np.where(carrier == "B6", 0.8, 0.0)
    y = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    holes = rng.random(rows) < 0.1
    day = np.sort(rng.integers(first_day, first_day + days, rows))
    table = {
        "hour": pa.array(hour),
        "wind": pa.array(wind, mask=holes),
        "nan": pa.array(np.where(rng.random(rows) < 0.05, np.nan, wind * 2 - hour).astype(np.float32)),
        "year": pa.array(np.full(rows, 2013, dtype=np.float32)),
        "never": pa.nulls(rows, pa.float32()),
        "rain": pa.array(np.where(rng.random(rows) < 0.9, 0, rng.exponential(1, rows)).astype(np.float32)),
        "carrier": pa.array(carrier, mask=rng.random(rows) < 0.05),
        "empty": pa.nulls(rows, pa.string()),
        "origin": pa.array(np.array(["EWR", "JFK", "LGA"], dtype=object)[rng.integers(0, 3, rows)]),
    }
    table = pa.table(table) if features is None else features(pa.table(table))
    return Examples(
        features=table,
        label=y if label is None else np.full(rows, label),
        day=day.astype(np.int64),
        rule=hour.astype(np.float64),
        segments=table.select(["origin"]) if "origin" in table.column_names else pa.table({}),
        predict_at=day.astype(np.int64) * 86_400_000_000,
        key=pa.table({"id": np.arange(rows)}),
    )


@pytest.fixture(scope="session")
def make():
    """Give the maker of examples; same arguments, same examples."""
    return _make


@pytest.fixture(scope="session")
def train(make):
    """Examples to learn from."""
    return make(2400, seed=1)


@pytest.fixture(scope="session")
def later(make):
    """Later examples, with a carrier that training never saw."""
    return make(1200, seed=2, first_day=130, unseen=True)


def _quick():
    return {
        "logistic": {"penalty": 1.0, "rare": 20},
        "tree": {"max_depth": 4, "min_samples_leaf": 20, "criterion": "gini"},
        "lightgbm": {
            "trees": 40,
            "learning_rate": 0.1,
            "num_leaves": 15,
            "min_child_samples": 20,
            "feature_fraction": 0.8,
            "lambda_l2": 1.0,
        },
    }


@pytest.fixture(scope="session")
def quick():
    """Give settings of each algorithm that fit in a moment."""
    return _quick()


@pytest.fixture(scope="session")
def fitted(train, quick):
    """Each algorithm, fitted."""
    from headway.build.candidates import fit

    return {name: fit(name, settings, train, seed=7, threads=1) for name, settings in quick.items()}
