"""A project behind a server: what is served is in its folder, and what is managed goes to its one class.

The file hides how a project's plain methods become the port that the server asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from headway.server.run import serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.api import Project

__all__ = ["serve_project"]


def serve_project(
    project: Project,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str = "",
    level: Literal["process", "disk"] = "process",
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Answer predictions over HTTP, as the release in service, until told to stop.

    Parameters
    ----------
    token
        What every caller must send; needed on any address but this machine's own.
    level
        When an answer counts as logged: once written, or once it is on the disk.
    on_ready
        Called with the address once connections are taken.

    Raises
    ------
    GateClosed
        When it would listen to more than this machine, without a token.
    NotFound
        When nothing is deployed.
    """
    serve(
        serving=project.store.serving,
        blobs=project.store.blobs,
        log=project.store.predictions,
        clock=project.clock,
        host=host,
        port=port,
        token=token,
        level=level,
        management=_Management(project),
        on_ready=on_ready,
    )


class _Management:
    """The project as a server sees it: JSON in, JSON out."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def outcomes(self, outcomes: list[dict[str, Any]]) -> dict[str, Any]:
        return self._project.outcomes(outcomes)

    def status(self) -> dict[str, Any]:
        return self._project.status()

    def activate(self, release: str, *, by: str, why: str) -> dict[str, Any]:
        return _plain(self._project.activate(release, by=by, why=why))

    def rollback(self, *, by: str, why: str) -> dict[str, Any]:
        return _plain(self._project.rollback(by=by, why=why))


def _plain(result: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(result)
    return plain
