"""Tests of a project behind the management port."""

from __future__ import annotations

import msgspec

from headway.server.project import ProjectManagement


class _Deployed(msgspec.Struct):
    release: str
    by: str


class _Project:
    def outcomes(self, rows):
        return {"accepted": len(rows)}

    def status(self):
        return {"release": "r1"}

    def activate(self, release, *, by, why):
        return _Deployed(release, f"{by}: {why}")

    def rollback(self, *, by, why):
        return _Deployed("r0", f"{by}: {why}")


def test_a_project_answers_in_json_values():
    """What the project returns as its nouns goes out as plain values."""
    management = ProjectManagement(_Project())
    assert management.outcomes([{}]) == {"accepted": 1}
    assert management.status() == {"release": "r1"}
    assert management.activate("r2", by="Ada", why="better") == {"release": "r2", "by": "Ada: better"}
    assert management.rollback(by="Ada", why="worse") == {"release": "r0", "by": "Ada: worse"}
