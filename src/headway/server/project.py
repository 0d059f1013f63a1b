"""A project behind a server: what it serves, and its management port.

The file hides that the project works in one thread of the server's own, where its ledger may take its time.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from headway.nouns.clock import FixedClock
from headway.nouns.span import SECOND, format_span, parse_span
from headway.server.run import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from headway.api import Project

__all__ = ["ProjectManagement", "serve_project"]

_GRACE_S = 5.0
"""How long a filling may take to its end before it is cut; a cut one leaves the store as it was."""


def serve_project(
    project: Project,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str = "",
    level: Literal["process", "disk"] = "process",
    on_ready: Callable[[str], None] | None = None,
    keep_fresh: bool = False,
) -> None:
    """Answer for a project until told to stop; as ``server.run.serve``.

    Parameters
    ----------
    keep_fresh
        Fill the online store again and again, as often as the brief promises, in a process of its own: what it
        computes must not make a prediction wait.
    """
    store = project.store
    with _kept_fresh(project) if keep_fresh else nullcontext():
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


@contextmanager
def _kept_fresh(project: Project) -> Iterator[None]:
    """Run ``headway materialize --every …`` beside the server, twice in the time that look-ups may lag."""
    lag_us = parse_span(project.brief.serve.refresh)
    if not lag_us or isinstance(project.clock, FixedClock):
        yield  # no lag is promised, or the time stands still: there is no rhythm to keep
        return
    every = format_span(max(lag_us // 2, SECOND))
    command = [
        sys.executable,
        "-m",
        "headway",
        "--project",
        str(project.folder),
        "--quiet",
        "materialize",
        "--every",
        every,
    ]
    filler = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603  (our own words)
    try:
        yield
    finally:
        filler.send_signal(signal.SIGTERM)
        try:
            filler.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            filler.kill()
            filler.wait()


class ProjectManagement:
    """A project as ``server.manage.Management`` wants it."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def outcomes(self, outcomes: list[dict[str, Any]], *, skip_unknown: bool) -> dict[str, Any]:
        """Join outcomes to predictions."""
        return self._project.outcomes(outcomes, strict=not skip_unknown)

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
