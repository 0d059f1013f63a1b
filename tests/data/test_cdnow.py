"""Frequency, recency and age of CDNOW's customers, as Headway's features, give the published BG/NBD model."""

from __future__ import annotations

import csv
from importlib import metadata

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import gammaln

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.nouns.brief_text import parse_brief
from headway.query.database import Database
from headway.query.parts import parts_of
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve

# The first 39 weeks are those up to 30 September 1997; a customer's age is counted up to that day. What was bought on a
# day is known when it is over: at midnight, nothing of 1 October is.
BRIEF = """
[sources.sales]
path = "sales.csv"
time = "day"
known = "day + interval 1 days"
types = { day = "time", customer = "text" }
[sources.sales.derive]
number = "days_between(local_time(1997, 1, 1, 0, 'UTC'), day)"
[target]
entities = "sales"
entity = ["customer"]
each = "400 days"
starting = 1997-10-01
label = "count(sales)"
horizon = "39 days"
act_on = "every prediction"
[features]
days  = { from = "sales", match = ["customer"], window = "all", value = "distinct(day)" }
first = { from = "sales", match = ["customer"], window = "all", value = "min(number)" }
last  = { from = "sales", match = ["customer"], window = "all", value = "max(number)" }
frequency = { of = ["days"], value = "days - 1" }
recency   = { of = ["first", "last"], value = "(last - first) / 7" }
age = { of = ["first"], value = "(days_between(local_time(1997, 1, 1, 0, 'UTC'), predict_at) - 1 - first) / 7" }
[split]
train_before = 1997-11-01
validate_before = 1997-12-01
test_before = 1998-01-01
[success]
metric = "mae"
minimum = 10
good_enough = 0.1
"""


def _log_likelihood(parameters, x, recency, age):
    """Return the log-likelihood of BG/NBD (Fader, Hardie & Lee 2005, equation 6) for r, alpha, a, b as logarithms."""
    r, alpha, a, b = np.exp(parameters)
    buys = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stays = gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    alive = -(r + x) * np.log(alpha + age)
    gone = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + recency)
    return float(np.sum(buys + stays + np.where(x > 0, np.logaddexp(alive, gone), alive)))


def test_customers_buy_and_leave_as_published(tmp_path) -> None:
    """Of the sample of 2,357 customers: r 0.243, alpha 4.414, a 0.793, b 2.426, log-likelihood -9582.4."""
    try:
        sales = metadata.distribution("lifetimes").locate_file("lifetimes/datasets/CDNOW_sample.txt")
    except metadata.PackageNotFoundError:
        pytest.skip("the package lifetimes is not installed")
    with (tmp_path / "sales.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["customer", "day", "amount"])
        for line in sales.read_text().splitlines():
            _, customer, day, _, amount = line.split()
            rows.writerow([f"c{customer}", f"{day[:4]}-{day[4:6]}-{day[6:]}T00:00:00Z", amount])
    brief, blobs = parse_brief(BRIEF), FolderBlobs(tmp_path / "blobs")
    snapshot = collect("sales", brief.sources["sales"], folder=tmp_path, store=blobs)
    definitions = resolve(brief, {"sales": {column.name: column.kind for column in snapshot.columns}})
    with Database() as database:
        point_in_time = PointInTime(database, definitions, {"sales": parts_of(snapshot, blobs)})
        table = point_in_time.examples(as_of_us=point_in_time.last_moment_us())
        columns = ", ".join(f'CAST("feature:{name}" AS DOUBLE) AS {name}' for name in ("frequency", "recency", "age"))
        found = database.table(f"SELECT {columns} FROM {table} ORDER BY customer")
    x, recency, age = (np.round(found[name].to_numpy(), 6) for name in ("frequency", "recency", "age"))
    assert len(x) == 2_357
    assert (x[0], round(recency[0], 2), round(age[0], 2)) == (2, 30.43, 38.86)
    assert x.sum() == 2_457
    fitted = minimize(
        lambda parameters: -_log_likelihood(parameters, x, recency, age),
        np.zeros(4),
        method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-8, "maxiter": 5_000, "maxfev": 5_000},
    )
    assert fitted.success
    assert np.exp(fitted.x) == pytest.approx([0.243, 4.414, 0.793, 2.426], abs=6e-4)
    assert -fitted.fun == pytest.approx(-9582.4, abs=0.05)
