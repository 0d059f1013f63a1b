"""Tests of the hot path: answers over HTTP are right, logged first, and repeatable."""

from __future__ import annotations

import http.client
import json
import threading
import time

import msgspec

from headway.deploy.serving import publish
from headway.predictions.reader import Reader


def logged(server):
    """Return all that is in the log, by id."""
    found = [each for batch in Reader(server.folder / "log").scan() for each in batch.predictions]
    assert len({each.id for each in found}) == len(found)
    return {each.id: each for each in found}


def test_one_row_is_answered_with_what_the_engine_computes(shared, made):
    """The features in the log are those that training would have seen, bit for bit."""
    for row, expected in list(zip(made[2], made[3], strict=True))[:20]:
        answer = shared.predict({"row": row})
        assert answer.status == 200, answer.body
        assert list(answer.json) == ["id", "score", "act", "release", "predict_at"]
        kept = Reader(shared.folder / "log").read(answer.json["id"])
        assert kept.features == expected
        assert (kept.score, kept.act, kept.release) == (answer.json["score"], answer.json["act"], "r1")
        assert {name: value for name, value in kept.row.items() if value is not None} == row
        assert kept.store == made[1].digest
        assert kept.latency_us > 0


def test_several_rows_are_answered_in_their_order_as_each_alone(shared, rows):
    """A small batch has the very scores of its rows, one by one."""
    some = rows[:7]
    together = shared.predict({"rows": some}).json["predictions"]
    alone = [shared.predict({"row": row}).json for row in some]
    assert [each["score"] for each in together] == [each["score"] for each in alone]
    assert [logged(shared)[each["id"]].key["order"] for each in together] == [row["order"] for row in some]
    assert list(shared.predict({"rows": rows[:1]}).json) == ["predictions"]


def test_a_repeated_key_gets_the_very_same_reply(shared, rows):
    """Same key, same body: the same bytes, and nothing new in the log."""
    body, before = {"rows": rows[:3]}, len(logged(shared))
    first = shared.predict(body, headers={"Idempotency-Key": "a-1"})
    again = shared.predict(body, headers={"Idempotency-Key": "a-1"})
    assert (first.status, first.body) == (again.status, again.body)
    assert len(logged(shared)) == before + 3
    other = shared.predict(body, headers={"Idempotency-Key": "a-2"})
    assert other.body != first.body


def test_a_repeated_key_with_another_body_is_refused(shared, rows):
    """A key names one request."""
    shared.predict({"row": rows[0]}, headers={"Idempotency-Key": "b"})
    before = len(logged(shared))
    answer = shared.predict({"row": rows[1]}, headers={"Idempotency-Key": "b"})
    assert answer.status == 422
    assert "another body" in answer.json["error"]
    assert len(logged(shared)) == before


def test_a_key_that_is_no_key_is_refused(shared, rows):
    """Keys are printable and short."""
    answer = shared.predict({"row": rows[0]}, headers={"Idempotency-Key": "x" * 300})
    assert answer.status == 422


def test_a_refused_request_does_not_use_up_its_key(shared, rows):
    """After a mistake the same key may be sent with the right body."""
    assert shared.predict({"row": {}}, headers={"Idempotency-Key": "c"}).status == 422
    assert shared.predict({"row": rows[0]}, headers={"Idempotency-Key": "c"}).status == 200


def test_a_key_gets_the_same_reply_from_the_process_that_replaces_a_killed_one(place):
    """What was answered before a kill -9 is answered alike after it."""
    first = place.start()
    body = {"row": place.rows[0]}
    before = first.predict(body, headers={"Idempotency-Key": "d"})
    first.kill()
    second = place.start()
    after = second.predict(body, headers={"Idempotency-Key": "d"})
    assert (before.status, before.body) == (after.status, after.body)
    assert len(logged(second)) == 1


def test_kill_9_under_load_keeps_every_answer_in_the_log_once(place):
    """Four clients ask as fast as they can while the process is killed; whoever got an id finds it in the log."""
    server = place.start()
    answered: list[list[str]] = [[] for _ in range(4)]

    def ask(mine, row):
        connection = server.connect()
        try:
            while True:
                reply = server.predict({"row": row}, connection=connection)
                mine.append((reply.json["id"], row["order"]))
        except (OSError, json.JSONDecodeError, http.client.HTTPException):
            return  # the connection was cut with the process
        finally:
            connection.close()

    threads = [
        threading.Thread(target=ask, args=(mine, row)) for mine, row in zip(answered, place.rows[:4], strict=True)
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while sum(map(len, answered)) < 300 and time.monotonic() < deadline:
        time.sleep(0.01)
    server.kill()
    for thread in threads:
        thread.join(timeout=20)
    told = [each for mine in answered for each in mine]
    assert len(told) >= 300
    kept = logged(server)
    assert len({name for name, _ in told}) == len(told)
    assert all(kept[name].key["order"] == order for name, order in told)
    assert len(kept) <= len(told) + 4  # one a client may have been logged and not yet told
    assert place.start().predict({"row": place.rows[0]}).status == 200


def test_a_new_release_is_taken_up_under_load_without_a_lost_request(place):
    """Each answer comes whole from the old release or the new one, and after the swap only from the new one."""
    server = place.start()
    row = place.rows[0]
    old = server.predict({"row": row}).json["score"]
    seen: list[tuple[bool, int, str, float]] = []
    swapped, stop = threading.Event(), threading.Event()

    def ask():
        connection = server.connect()
        while not stop.is_set():
            after = swapped.is_set()  # when it is asked: an answer from before may be noted down late
            answer = server.predict({"row": row}, connection=connection)
            seen.append((after, answer.status, answer.json["release"], answer.json["score"]))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    epoch = place.publish(name="r2", bias=1.5)
    deadline = time.monotonic() + 20
    while server.ask("GET", "/health").json["epoch"] < epoch:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    swapped.set()
    while sum(after for after, *_ in seen) < 30:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join(timeout=20)
    new = server.predict({"row": row}).json["score"]
    assert old != new
    assert {status for _, status, *_ in seen} == {200}
    assert {(release, score) for *_, release, score in seen} == {("r1", old), ("r2", new)}
    assert {release for after, _, release, _ in seen if after} == {"r2"}


def test_a_newer_store_is_taken_up_without_a_new_graph(server, place):
    """Refreshing what is looked up changes the store that answers name, and nothing else."""
    newer = msgspec.structs.replace(place.store, as_of_us=place.store.as_of_us + 60_000_000)
    epoch = publish(place.folder / "serving", release=place.project.release(), store=newer)
    deadline = time.monotonic() + 20
    while server.ask("GET", "/health").json["epoch"] < epoch:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    answer = server.predict({"row": place.rows[0]})
    assert Reader(server.folder / "log").read(answer.json["id"]).store == newer.digest


def test_what_does_not_load_leaves_the_old_release_in_service(server, place):
    """A release without its graph is named in /health, and the one before goes on answering."""
    broken = msgspec.structs.replace(place.project.release(name="r9"), graph="0" * 64)
    publish(place.folder / "serving", release=broken, store=place.store)
    deadline = time.monotonic() + 20
    while not (health := server.ask("GET", "/health").json)["problems"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert health["status"] == "degraded"
    assert health["release"] == "r1"
    assert server.predict({"row": place.rows[0]}).json["release"] == "r1"
    place.publish(name="r2")
    while server.ask("GET", "/health").json["release"] != "r2":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert server.ask("GET", "/health").json["problems"] == []


def test_sigterm_answers_what_has_come_and_ends_well(place):
    """The process ends with 0, its log closed and summed up."""
    server = place.start()
    for row in place.rows[:20]:
        assert server.predict({"row": row}).status == 200
    assert server.terminate() == 0
    assert server.process.stdout.read().strip() == "ended"
    assert Reader(server.folder / "log").count() == 20
