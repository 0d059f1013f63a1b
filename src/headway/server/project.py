"""A project behind a server: what it serves, and its management port.

The file hides that the project works in one thread of the server's own, where its ledger may take its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from headway.server.run import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.api import Project

__all__ = ["ProjectManagement", "serve_project"]


def serve_project(
    project: Project,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str = "",
    level: Literal["process", "disk"] = "process",
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Answer for a project until told to stop; as ``server.run.serve``."""
    store = project.store
    serve(
        serving=store.serving,
        blobs=store.blobs,
        log=store.predictions,
        clock=project.clock,
        host=host,
        port=port,
        token=token,
        level=level,
        management=ProjectManagement(project),
        on_ready=on_ready,
    )


class ProjectManagement:
    """A project as ``server.manage.Management`` wants it."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def outcomes(self, outcomes: list[dict[str, Any]]) -> dict[str, Any]:
        """Join outcomes to predictions."""
        return self._project.outcomes(outcomes)

    def status(self) -> dict[str, Any]:
        """Return what ``headway status`` says."""
        return self._project.status()

    def activate(self, release: str, *, by: str, why: str) -> dict[str, Any]:
        """Put a release into service."""
        return _plain(self._project.activate(release, by=by, why=why))

    def rollback(self, *, by: str, why: str) -> dict[str, Any]:
        """Put the release back into service that was champion before."""
        return _plain(self._project.rollback(by=by, why=why))


def _plain(done: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(done)
    return found
