"""Tests of health and metrics: they say how the process is faring."""

from __future__ import annotations

import re
import shutil
import subprocess

import msgspec
import pytest

from headway.deploy.serving import Current, load_predictor, publish
from headway.errors import StoreFull
from headway.nouns.clock import FixedClock
from headway.server.health import health
from headway.server.service import Service


def test_health_says_what_is_in_service(shared, made):
    """Release, model, epoch, and how old the store is."""
    answer = shared.ask("GET", "/health")
    assert answer.status == 200
    assert answer.json == {
        "status": "ready",
        "release": "r1",
        "model": "model-of-r1",
        "epoch": 1,
        "now": "2024-03-20T00:00:00Z",
        "store": {"digest": made[1].digest, "as_of": "2024-03-20T00:00:00Z", "age_s": 0.0, "late": False},
        "log": "ok",
        "problems": [],
    }


@pytest.fixture
def service(made, tmp_path):
    """Return a service in this process."""
    project, store, *_ = made
    predictor = load_predictor(Current(epoch=1, release=project.release(), store=store), project.blobs)
    service = Service(predictor, epoch=1, log=tmp_path / "log", clock=FixedClock(store.as_of_us))
    yield service
    service.close()


@pytest.mark.parametrize(
    ("minutes", "status", "late"), [(0, "ready", False), (10, "ready", False), (11, "degraded", True)]
)
def test_a_store_older_than_promised_degrades(service, minutes, status, late):
    """The brief promises ten minutes; it goes on answering, and says so."""
    service.clock = FixedClock(service.predictor.store.as_of_us + minutes * 60_000_000)
    found = health(service)
    said = msgspec.json.decode(found.body)
    assert (found.status, said["status"], said["store"]["late"]) == (200, status, late)
    assert bool(said["problems"]) is late


def test_a_process_that_ends_or_cannot_log_should_get_no_more(service):
    """503 tells whoever routes traffic to send it elsewhere."""
    service.draining = True
    assert (health(service).status, msgspec.json.decode(health(service).body)["status"]) == (503, "draining")
    service.draining = False
    service.log_problem = str(StoreFull("No room."))
    assert (health(service).status, msgspec.json.decode(health(service).body)["status"]) == (503, "failing")
    service.log_problem = ""
    assert health(service).status == 200


def test_a_log_without_room_is_507_and_answers_nothing(place):
    """What cannot be logged is not answered; once there is room again, it is."""
    server = place.start()
    log = server.folder / "log"
    assert server.predict({"row": place.rows[0]}).status == 200
    limit = max(path.stat().st_size for path in log.iterdir())
    # A limit on the size of files stands in for a full disk; the process is told of both by the same call.
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed")
    subprocess.run(["prlimit", "--pid", str(server.process.pid), f"--fsize={limit + 10}:unlimited"], check=True)
    answer = server.predict({"row": place.rows[0]})
    assert (answer.status, answer.json["code"]) == (507, "store-full")
    assert server.ask("GET", "/health").status == 503
    subprocess.run(["prlimit", "--pid", str(server.process.pid), "--fsize=unlimited:unlimited"], check=True)
    assert server.predict({"row": place.rows[0]}).status == 200
    assert server.ask("GET", "/health").status == 200


def test_metrics_count_what_was_asked(server, place):
    """Each line is of the text format, and the counters add up."""
    for body in ({"row": place.rows[0]}, {"rows": place.rows[:3]}, {"row": {}}):
        server.predict(body)
    answer = server.ask("GET", "/metrics")
    text = answer.body.decode()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'headway_requests_total{path="/v1/predict",status="200"} 2' in text
    assert 'headway_requests_total{path="/v1/predict",status="422"} 1' in text
    assert "headway_predictions_total 4" in text
    assert 'headway_predict_seconds_bucket{le="+Inf"} 2' in text
    sample = r'[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [-+0-9.e]+'
    assert all(re.fullmatch(rf"# TYPE [a-z_]+ [a-z]+|{sample}", line) for line in text.splitlines())


def test_paths_of_strangers_do_not_fill_the_metrics(shared):
    """A scan of a thousand paths is one counter."""
    for number in range(5):
        shared.ask("GET", f"/admin/{number}")
    text = shared.ask("GET", "/metrics").body.decode()
    assert 'headway_requests_total{path="other",status="404"} 5' in text
    assert "admin" not in text


def test_a_refresh_shows_in_health(server, place):
    """The driver of a replay waits for the epoch that its publishing returned."""
    newer = msgspec.structs.replace(place.store, as_of_us=place.store.as_of_us - 3_600_000_000)
    epoch = publish(place.folder / "serving", release=place.project.release(), store=newer)
    for _ in range(500):
        said = server.ask("GET", "/health").json
        if said["epoch"] == epoch:
            break
    assert (said["status"], said["store"]["age_s"]) == ("degraded", 3_600.0)
