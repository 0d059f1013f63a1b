"""Tests of what stands behind the management port, asked over HTTP."""

from __future__ import annotations

import pytest


def test_outcomes_go_to_the_project(shared):
    """A list of them, and what became of it."""
    answer = shared.ask("POST", "/v1/outcomes", {"outcomes": [{"id": "a", "label": 1}, {"id": "b", "label": None}]})
    assert (answer.status, answer.json) == (200, {"accepted": 2})


def test_unknown_outcomes_are_left_out_where_the_sender_says_so(shared):
    """As the command's --skip-unknown does."""
    told = [{"id": "unknown", "label": 1}]
    assert shared.ask("POST", "/v1/outcomes", {"outcomes": told}).status == 404
    assert shared.ask("POST", "/v1/outcomes", {"outcomes": told, "skip_unknown": True}).status == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"outcomes": [{"label": 1}]}, 422, "outcome-invalid"),
        ({"outcomes": [{"id": "unknown", "label": 1}]}, 404, "not-found"),
        ({"outcomes": []}, 422, "outcome-invalid"),
        ({"outcomes": 5}, 422, "request-invalid"),
        ({"outcome": []}, 422, "request-invalid"),
        (b"{", 400, "request-not-json"),
    ],
)
def test_outcomes_that_do_not_fit_are_refused(shared, body, status, code):
    """By the envelope here, by their content there."""
    answer = shared.ask("POST", "/v1/outcomes", body)
    assert (answer.status, answer.json["code"]) == (status, code)


def test_status_and_releases_go_to_the_project(shared):
    """Who and why go along."""
    assert shared.ask("GET", "/v1/status").json == {"release": "r1"}
    asked = {"release": "r2", "by": "Ada", "why": "better"}
    assert shared.ask("POST", "/v1/release", asked).json == asked
    assert shared.ask("POST", "/v1/rollback", {"by": "Ada", "why": "worse"}).json == {"by": "Ada", "why": "worse"}
    answer = shared.ask("POST", "/v1/release", {"release": "r2"})
    assert (answer.status, answer.json["hint"]) == (422, "Wanted: release, by, why.")
