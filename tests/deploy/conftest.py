"""The project of orders, its online store and a release of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from headway.deploy.serving import Current, load_predictor
from headway.online.fill import fill
from headway.query.database import Database

if "orders" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("orders", Path(__file__).parent.parent / "orders.py")
    sys.modules["orders"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["orders"])
orders = sys.modules["orders"]

AS_OF_US = orders.us("2024-03-20T00:00:00")
SINCE_US = orders.us("2024-03-01T00:00:00")


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """Return the orders."""
    return orders.make_project(tmp_path_factory.mktemp("orders"), orders=500)


@pytest.fixture(scope="session")
def store(project):
    """Return the manifest of the project's online store."""
    with Database(threads=1) as database:
        return fill(
            project.definitions,
            project.point_in_time(database),
            as_of_us=AS_OF_US,
            since_us=SINCE_US,
            blobs=project.blobs,
        )


@pytest.fixture(scope="session")
def rows(project):
    """Return all orders as rows of requests, those after the store's end too."""
    with Database(threads=1) as database:
        point_in_time = project.point_in_time(database)
        table = point_in_time.examples(as_of_us=orders.us("2024-04-02T00:00:00"))
        return orders.requests_of(project, database, table)


@pytest.fixture(scope="session")
def predictor(project, store):
    """Return the predictor of the release ``r1``."""
    return load_predictor(Current(epoch=1, release=project.release(), store=store), project.blobs)


@pytest.fixture
def row(rows):
    """Return a row that a test may change."""
    return dict(rows[0])
