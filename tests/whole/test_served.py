"""What a real server looks up for real flights is what the engine computes offline from the same files, to the bit."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headway.api import CLOCK_VARIABLE, Project
from headway.demo.feed import Feed
from headway.deploy.serving import read_current
from headway.loop.days import day_bounds_us
from headway.nouns.clock import FileClock
from headway.predictions.reader import Reader
from headway.query.compile import quote
from headway.query.database import Database
from headway.query.point_in_time import PointInTime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZONE = "America/New_York"
DAYS = (dt.date(2013, 10, 1), dt.date(2013, 10, 2), dt.date(2013, 10, 5))
EVERY = 3
BATCH = 50


def test_served_features_are_those_of_the_engine_bit_for_bit(flights, tmp_path):
    """Some days of October over HTTP, singly and in batches; then every feature is computed once more, offline."""
    folder = flights.copy(tmp_path / "project")
    feed = Feed(folder)
    with (
        contextlib.closing(FileClock.create(tmp_path / "clock", _bounds(DAYS[0])[0])) as clock,
        Project.open(folder, clock=clock) as project,
    ):
        project.deploy(by="a test", why="to be asked")
        world = _world(flights.copy(tmp_path / "whole"))
        asked: dict[str, int] = {}
        with _server(folder, tmp_path / "clock") as port:
            arrived = DAYS[0]
            for day in DAYS:
                while arrived <= day:
                    feed.arrive(arrived)
                    arrived += dt.timedelta(days=1)
                first_us, after_us = _bounds(day)
                clock.move_to(after_us - 1_000_000)
                project.materialize()
                _await(port, epoch=read_current(project.store.serving).epoch)
                asked |= _asked(port, world, first_us, after_us)
        positions, served = [], []
        for batch in Reader(project.store.predictions).scan():
            for prediction in batch.predictions:
                positions.append(asked.pop(prediction.id))
                served.append(prediction.features)
    assert asked == {}, "an answer is not in the log"
    offline = world.features.take(positions)
    assert len(positions) > 500
    for name, column, values in zip(offline.column_names, offline.columns, zip(*served, strict=True), strict=True):
        online, recomputed = pa.array(values, type=column.type), column.combine_chunks()
        differ = sum(one != other for one, other in zip(_bits(online), _bits(recomputed), strict=True))
        assert differ == 0, f"{name}: {differ} of {len(positions)} differ"
    # The look-ups are not all missing: an empty store would agree with nothing else than itself.
    for name in ("late_24h", "late_6h", "temp", "plane_age", "haul_km"):
        assert offline[f"feature:{name}"].null_count < len(positions) / 4
    print(f"{len(positions) * offline.num_columns:,} features of {len(positions):,} predictions compared")


def _bits(column: pa.Array) -> list[Any]:
    if not pa.types.is_floating(column.type):
        return column.to_pylist()  # type: ignore[no-any-return]
    bits = np.asarray(column.fill_null(0.0)).view(np.int32).tolist()
    return [None if missing else each for missing, each in zip(column.is_null().to_pylist(), bits, strict=True)]


def _bounds(day: dt.date) -> tuple[int, int]:
    return day_bounds_us((day - dt.date(1970, 1, 1)).days, ZONE)


@dataclass(frozen=True, kw_only=True)
class _World:
    """The flights to come, in the order in which they are asked about: requests, moments, and features offline."""

    requests: list[dict[str, Any]]
    predict_at_us: np.ndarray
    features: pa.Table

    def between(self, first_us: int, after_us: int) -> range:
        first, after = np.searchsorted(self.predict_at_us, [first_us, after_us])
        return range(int(first), int(after))


def _world(whole: Path) -> _World:
    """Compute what should be served by the engine, from history and all files that are still to arrive."""
    feed, day = Feed(whole), DAYS[0]
    while day <= DAYS[-1]:
        feed.arrive(day)
        day += dt.timedelta(days=1)
    with Project.open(whole, as_of="2014-01-03") as project, Database() as database:
        material = project.material()
        table = PointInTime(database, material.definitions, material.files).examples(
            as_of_us=1 << 60, since_us=_bounds(DAYS[0])[0], until_us=_bounds(DAYS[-1])[1]
        )
        fields = ", ".join(quote(field.name) for field in material.definitions.request_fields)
        features = [f"feature:{feature.name}" for feature in material.definitions.features]
        order = ", ".join(map(quote, ("predict_at", *material.definitions.examples.source.key)))
        requests = database.table(f"SELECT {fields} FROM {table} ORDER BY {order}").to_pylist()
        moments = database.table(f"SELECT epoch_us(predict_at) AS at FROM {table} ORDER BY {order}")["at"]
        offline = database.table(f"SELECT {', '.join(map(quote, features))} FROM {table} ORDER BY {order}")
    return _World(
        requests=[{name: value for name, value in row.items() if value is not None} for row in requests],
        predict_at_us=moments.to_numpy(),
        features=offline,
    )


@contextlib.contextmanager
def _server(folder: Path, clock: Path) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-m", "headway", "--project", str(folder), "serve", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, CLOCK_VARIABLE: str(clock)},
    ) as process:
        try:
            assert process.stdout is not None
            yield next(int(found[1]) for line in process.stdout if (found := re.search(r"http://\S+?:(\d+)", line)))
        finally:
            process.terminate()
            process.communicate(timeout=30)


def _await(port: int, *, epoch: int) -> None:
    """Wait until the server answers from what was published."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        connection.request("GET", "/health")
        if json.loads(connection.getresponse().read())["epoch"] >= epoch:
            connection.close()
            return
        time.sleep(0.02)
    raise AssertionError(f"The server did not take up epoch {epoch}.")


def _asked(port: int, world: _World, first_us: int, after_us: int) -> dict[str, int]:
    """Ask about each n-th flight of a day; return where in the world each answer's flight is."""
    positions = [at for at in world.between(first_us, after_us) if at % EVERY == 0]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    ids: dict[str, int] = {}
    for at in positions[:20]:
        ids[_post(connection, {"row": world.requests[at]})["id"]] = at
    for first in range(20, len(positions), BATCH):
        part = positions[first : first + BATCH]
        told = _post(connection, {"rows": [world.requests[at] for at in part]})["predictions"]
        ids |= dict(zip((each["id"] for each in told), part, strict=True))
    connection.close()
    return ids


def _post(connection: http.client.HTTPConnection, body: dict[str, Any]) -> Any:
    connection.request(
        "POST", "/v1/predict", body=json.dumps(body, default=_moment), headers={"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == http.HTTPStatus.OK, said
    return json.loads(said)


def _moment(value: object) -> str:
    assert isinstance(value, dt.datetime)
    return value.replace(tzinfo=dt.UTC).isoformat()
