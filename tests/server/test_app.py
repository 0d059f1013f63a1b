"""Tests of who may come in, and of what is said to whoever makes a mistake."""

from __future__ import annotations

import json
import socket

import pytest

from headway.predictions.reader import Reader
from headway.server.statuses import STATUSES, status_of

SAID = {"code", "error", "where", "hint"}


@pytest.fixture(scope="module")
def row(made):
    """Return a row that is answered."""
    return made[2][0]


def count(server):
    """Return how many answers are in the log."""
    return Reader(server.folder / "log").count()


def test_each_mistake_is_a_4xx_with_a_code_and_a_hint(shared, row):
    """Extra, mistyped, NaN, huge, missing; no JSON, too large, elsewhere, otherwise: nothing of it is logged."""
    before = count(shared)
    cases = [
        (422, "request-invalid", json.dumps({"row": {**row, "extra": 1}}), "extra"),
        (422, "request-invalid", json.dumps({"row": {**row, "yaer": 1}}), "Did you mean 'year'?"),
        (422, "request-invalid", json.dumps({"row": {**row, "year": "x"}}), "row.year"),
        (422, "request-invalid", json.dumps({"row": {**row, "amount": float("nan")}}), "row.amount"),
        (
            422,
            "request-invalid",
            json.dumps({"row": {**row, "amount": 0}}).replace('"amount": 0', '"amount": 1e999'),
            "row.amount",
        ),
        (422, "request-invalid", json.dumps({"row": {**row, "year": 10**30}}), "row.year"),
        (422, "request-invalid", json.dumps({"row": {**row, "product": "x" * 2_000}}), "row.product"),
        (422, "request-invalid", json.dumps({"row": {n: v for n, v in row.items() if n != "hhmm"}}), "row.hhmm"),
        (422, "request-invalid", json.dumps({"row": {**row, "day": 99}}), "does not say when"),
        (422, "request-invalid", json.dumps({"rows": []}), "empty"),
        (422, "request-invalid", json.dumps({"rows": [row] * 101}), "at most 100"),
        (422, "request-invalid", json.dumps({"rows": [row, {**row, "year": None}]}), "rows[1].year"),
        (422, "request-invalid", json.dumps([row]), "row"),
        (400, "request-not-json", "year=2024", "no JSON"),
        (400, "request-not-json", "", "no JSON"),
        (413, "request-too-large", json.dumps({"row": {**row, "coupon": "x" * 70_000}}), "65,536"),
    ]
    for status, code, body, part in cases:
        answer = shared.predict(body.encode())
        assert answer.status == status, (part, answer.body)
        assert set(answer.json) == SAID
        assert answer.json["code"] == code
        assert part in str(answer.json), answer.json
    assert count(shared) == before
    assert shared.predict({"row": row}).status == 200


def test_a_body_of_unknown_length_is_cut_at_the_limit(shared):
    """A client that never says how much is coming is not read to the end."""
    with socket.create_connection((shared.host, shared.port), timeout=20) as client:
        client.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(64):
                client.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        except OSError:
            pass  # the server has hung up, as it may
        said = client.recv(65_536)
    assert said.startswith(b"HTTP/1.1 413 ")


def test_bytes_that_are_no_http_get_400(shared, row):
    """And the next client is served."""
    with socket.create_connection((shared.host, shared.port), timeout=20) as client:
        client.sendall(b"\x00\x01\x02 nonsense\r\n\r\n")
        assert b" 400 " in client.recv(4_096)
    assert shared.predict({"row": row}, connection=None).status == 200


def test_an_unknown_path_names_the_nearest(shared):
    """404, with a guess."""
    answer = shared.ask("POST", "/v1/predcit", {})
    assert (answer.status, answer.json["code"]) == (404, "path-unknown")
    assert answer.json["hint"] == "Did you mean '/v1/predict'?"


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", "/v1/predict", "POST"), ("DELETE", "/health", "GET")])
def test_a_wrong_method_says_which_is_right(shared, method, path, allowed):
    """405 carries the header that HTTP wants."""
    answer = shared.ask(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == allowed
    assert set(answer.json) == SAID


def test_what_was_not_foreseen_names_an_incident_and_keeps_its_secrets(shared):
    """A 500 says nothing but a number, under which the log has the traceback."""
    answer = shared.ask("POST", "/v1/outcomes", {"outcomes": [{"id": "unforeseen", "label": 1}]})
    assert answer.status == 500
    assert "secret" not in answer.body.decode()
    incident = answer.json["where"].split()[1]
    log = (shared.folder / "server.log").read_text()
    assert incident in log
    assert "secret detail" in log


def test_a_page_of_another_site_is_refused(shared, row):
    """A browser must not ask on behalf of a page from elsewhere, nor under a name that was made to point here."""
    for name, value in (("Origin", "https://evil.example"), ("Host", "evil.example"), ("Origin", "http://[")):
        answer = shared.predict({"row": row}, headers={name: value})
        assert (answer.status, answer.json["code"]) == (403, "origin-refused")
        assert shared.ask("GET", "/v1/status", headers={name: value}).status == 403
    assert shared.predict({"row": row}, headers={"Origin": "http://localhost:3000"}).status == 200


def test_a_token_opens_everything_and_its_lack_nothing(place):
    """With a token set, only health may be asked without."""
    server = place.start(token="open sesame")  # noqa: S106
    right = {"Authorization": "Bearer open sesame"}
    body = {"row": place.rows[0]}
    for headers in ({}, {"Authorization": "Bearer open"}, {"Authorization": "open sesame"}, {"Authorization": ""}):
        answer = server.predict(body, headers=headers)
        assert (answer.status, answer.json["code"]) == (401, "token-wrong")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert server.ask("GET", "/metrics", headers=headers).status == 401
        assert server.ask("GET", "/nowhere", headers=headers).status == 401
    assert server.predict(body, headers=right).status == 200
    assert server.predict(body, headers={**right, "Host": "models.example"}).status == 200
    assert server.ask("GET", "/health").status == 200


def test_listening_to_all_the_world_needs_a_token(place):
    """Without one the server does not start, and says why; with one it does."""
    said = place.start(host="0.0.0.0", fails=True)  # noqa: S104
    assert "GateClosed" in said
    assert "HEADWAY_TOKEN" in said
    server = place.start(host="0.0.0.0", token="t")  # noqa: S104, S106
    assert server.predict({"row": place.rows[0]}, headers={"Authorization": "Bearer t"}).status == 200


def test_a_taken_port_is_named(place):
    """The second server on one port says so."""
    server = place.start()
    said = place.start(port=server.port, fails=True)
    assert "HeadwayError" in said
    assert f":{server.port} cannot be listened on" in said


def test_nothing_in_service_stops_the_start(place):
    """There is nothing to answer with before the first deployment."""
    (place.folder / "serving" / "current.json").unlink()
    assert "headway deploy" in place.start(fails=True)


def test_every_error_has_a_status():
    """The table covers the whole tree, and its own additions."""
    from headway.errors import HeadwayError

    def all_below(kind):
        return {kind, *(each for below in kind.__subclasses__() for each in all_below(below))}

    for kind in all_below(HeadwayError):
        error = kind.__new__(kind)
        assert 400 <= status_of(error) < 600
    assert STATUSES[HeadwayError] == 500
