"""One prediction over HTTP, against the least that could answer: both as processes, asked by turns."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import re
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bench import Ratio
from bench.flights import AS_OF, scratch, trained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headway.demo.world import World

__all__ = ["prediction"]

_BOUND = 4.0
_WARM_UP, _ASKED = 200, 1_500


def prediction() -> Ratio:
    """Return the median time of ``POST /v1/predict`` with one row over that of a handler that only runs the graph."""
    from headway.api import Project
    from headway.loop.releases import facts_of, release_of
    from headway.nouns.model import Model

    run = trained()
    with Project.open(run.folder, as_of=AS_OF) as project:
        deployed = project.deploy(by="bench", why="to be measured", override="to be measured")
        model = project.store.get(facts_of(project.store, deployed.release).model, Model)
        graph = project.store.blobs.path(release_of(project.store, deployed.release).graph)
        world = _yesterday(project)
    place = scratch()
    features = [name.removeprefix("feature:") for name in world.features.column_names]
    inputs = [dict(zip(features, row.values(), strict=True)) for row in world.features.to_pylist()]
    (place / "inputs.json").write_text(json.dumps(inputs), encoding="utf-8")
    bodies = [json.dumps({"row": world.row(at)}).encode() for at in range(len(inputs))]
    ours = [sys.executable, "-m", "headway", "--project", str(run.folder), "--as-of", AS_OF, "serve", "--port", "0"]
    bare = [sys.executable, "-m", "bench.bare", str(graph), str(place / "inputs.json")]
    with _process(ours) as port, _process(bare) as bare_port:
        taken, bare_taken = _by_turns(port, bare_port, bodies)
    p50, bare_p50 = statistics.median(taken), statistics.median(bare_taken)
    p99 = statistics.quantiles(taken, n=100)[98]
    return Ratio(
        name="prediction: p50",
        figure=p50 * 1e3,
        limit=bare_p50 * 1e3,
        ratio=p50 / bare_p50,
        bound=_BOUND,
        unit="ms",
        note=f"{len(taken):,} flights over one kept connection; p99 {p99 * 1e3:.2f} ms; "
        f"{model.algorithm}, {len(features)} features",
    )


def _yesterday(project: Any) -> World:
    """Return the flights of the last day before 1 October, with their features."""
    from headway.demo.world import World

    end = dt.datetime(2013, 10, 1, tzinfo=ZoneInfo("America/New_York"))
    until_us = round(end.timestamp()) * 1_000_000
    return World.of(project.brief, project.folder, since_us=until_us - 86_400_000_000, until_us=until_us)


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator[int]:
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if address := re.search(r"http://\S+?:(\d+)", line):
                yield int(address[1])
                break
        else:
            raise RuntimeError(f"{' '.join(command[1:4])} did not start: {''.join(said)}")
    finally:
        process.terminate()
        process.wait(timeout=30)


def _by_turns(port: int, bare_port: int, bodies: list[bytes]) -> tuple[list[float], list[float]]:
    taken: tuple[list[float], list[float]] = ([], [])
    connections = [http.client.HTTPConnection("127.0.0.1", each, timeout=60) for each in (port, bare_port)]
    for turn in range(_WARM_UP + _ASKED):
        body = bodies[turn % len(bodies)]
        for connection, seconds in zip(connections, taken, strict=True):
            began = time.perf_counter()
            connection.request("POST", "/v1/predict", body=body, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read()
            if turn >= _WARM_UP:
                seconds.append(time.perf_counter() - began)
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"Answered {answer.status}: {said[:300]!r}")
    for connection in connections:
        connection.close()
    return taken
