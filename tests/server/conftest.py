"""A project in service: a real process, real HTTP, a log on a real disk."""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from headway.deploy.serving import publish
from headway.online.fill import fill
from headway.query.database import Database

_spec = importlib.util.spec_from_file_location("orders", Path(__file__).parent.parent / "orders.py")
assert _spec is not None
assert _spec.loader is not None
orders = importlib.util.module_from_spec(_spec)
sys.modules["orders"] = orders
_spec.loader.exec_module(orders)

AS_OF_US = orders.us("2024-03-20T00:00:00")
SINCE_US = orders.us("2024-03-10T00:00:00")

# A server as the command line makes one, with a management port that remembers what it was asked.
_SERVER = """
import json, logging, sys
from pathlib import Path
from headway.blobs import FolderBlobs
from headway.errors import NotFound, OutcomeError
from headway.nouns.clock import FixedClock
from headway.server.run import serve

options = json.loads(sys.argv[1])
folder = Path(options["folder"])
logging.basicConfig(filename=folder / "server.log", level=logging.INFO)


class Management:
    def outcomes(self, outcomes, *, skip_unknown):
        for outcome in outcomes:
            if "id" not in outcome:
                raise OutcomeError("The outcome has no id.", hint="Send the id of the prediction.")
            if outcome["id"] == "unknown" and not skip_unknown:
                raise NotFound("No prediction has the id 'unknown'.")
            if outcome["id"] == "unforeseen":
                raise KeyError("secret detail")
        return {"accepted": len(outcomes)}

    def status(self):
        return {"release": "r1"}

    def activate(self, release, *, by, why):
        return {"release": release, "by": by, "why": why}

    def rollback(self, *, by, why):
        return {"by": by, "why": why}


def ready(address):
    print(address, flush=True)


serve(
    serving=folder / "serving", blobs=FolderBlobs(folder / "blobs"), log=folder / "log",
    clock=FixedClock(options["now_us"]), host=options["host"], port=options["port"], token=options["token"],
    management=Management(), on_ready=ready,
)
print("ended", flush=True)
"""


@dataclass
class Answer:
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass
class Server:
    """A serving process, and one connection to it."""

    process: subprocess.Popen[str]
    host: str
    port: int
    folder: Path
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = self.connect()

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection."""
        return http.client.HTTPConnection(self.host, self.port, timeout=20)

    def ask(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, connection: Any = None
    ) -> Answer:
        """Send one request; a body that is no bytes is sent as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = connection or self.connection
        connection.request(method, path, data, headers or {})
        reply = connection.getresponse()
        return Answer(reply.status, reply.read(), {name.lower(): value for name, value in reply.getheaders()})

    def predict(self, body: Any, **options: Any) -> Answer:
        """Ask for predictions."""
        return self.ask("POST", "/v1/predict", body, **options)

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """Ask the process to end, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@dataclass
class Place:
    """A project whose release can be published and served."""

    project: Any
    folder: Path
    store: Any
    rows: list[dict[str, Any]]
    expected: list[tuple[Any, ...]]
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    servers: list[Server] = field(default_factory=list)

    def publish(self, **release: Any) -> int:
        """Put a release into service here."""
        return publish(self.folder / "serving", release=self.project.release(**release), store=self.store)

    def close(self) -> None:
        """End all processes."""
        for server in self.servers:
            server.connection.close()
        for process in self.started:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def start(self, *, port: int = 0, token: str = "", host: str = "127.0.0.1", fails: bool = False) -> Any:
        """Start a serving process; with ``fails`` return its errors instead."""
        options = {"folder": str(self.folder), "now_us": AS_OF_US, "port": port, "token": token, "host": host}
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, json.dumps(options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if fails else None,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "error"},
        )
        self.started.append(process)
        if fails:
            return process.communicate(timeout=30)[1]
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), address
        reached = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104
        self.servers.append(Server(process, reached, int(address.rpartition(":")[2]), self.folder))
        return self.servers[-1]


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return the project, its online store, and rows with the features that the engine gives them."""
    project = orders.make_project(tmp_path_factory.mktemp("orders"), orders=400)
    with Database(threads=1) as database:
        point_in_time = project.point_in_time(database)
        store = fill(project.definitions, point_in_time, as_of_us=AS_OF_US, since_us=SINCE_US, blobs=project.blobs)
        table = point_in_time.examples(as_of_us=AS_OF_US, since_us=SINCE_US)
        rows = orders.requests_of(project, database, table)
        names = ", ".join(f'"feature:{feature.name}"' for feature in project.definitions.features)
        features = database.table(f'SELECT {names} FROM {table} ORDER BY "order"').to_pylist()
    return project, store, rows, [tuple(row.values()) for row in features]


def set_up(made, folder):
    """Return a folder with the release ``r1`` in service."""
    project, store, rows, expected = made
    (folder / "blobs").symlink_to(project.folder / "blobs")
    there = Place(project, folder, store, rows, expected)
    there.publish()
    return there


@pytest.fixture
def place(made, tmp_path):
    """Return a folder of its own, with the release ``r1`` in service; processes end with the test."""
    there = set_up(made, tmp_path)
    yield there
    there.close()


@pytest.fixture
def server(place):
    """Return a running server of the test's own."""
    return place.start()


@pytest.fixture(scope="session")
def rows(made):
    """Return rows of requests."""
    return made[2]


@pytest.fixture(scope="module")
def shared(made, tmp_path_factory):
    """Return a running server for all tests of a file, which leave it as it is."""
    there = set_up(made, tmp_path_factory.mktemp("served"))
    yield there.start()
    there.close()
