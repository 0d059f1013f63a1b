"""The open store of a project: ledger, blobs, prediction log and what the server reads, under ``.headway/``.

The file hides where things lie. Stages never see it; ``loop`` hands them what they need.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from headway.blobs import FolderBlobs
from headway.errors import NotFound
from headway.ledger import Ledger
from headway.nouns.clock import Clock, SystemClock
from headway.nouns.event import Event, ProjectOpened

__all__ = ["STORE", "Progress", "Silent", "Store"]

STORE = ".headway"

T = TypeVar("T")


class Progress:
    """Who wants to know how long work goes: the terminal draws bars, a pipe stays silent."""

    def begin(self, what: str, *, total: int | None = None) -> None:
        """Begin a piece of work of ``total`` parts, or of unknown length."""

    def advance(self, parts: int = 1, *, note: str = "") -> None:
        """Say that parts of it are done."""

    def end(self) -> None:
        """Say that it is done."""


Silent = Progress


@dataclass(slots=True, kw_only=True)
class Store:
    """Everything that outlives a command. Use it as a context manager.

    Attributes
    ----------
    folder
        The project's folder, which holds ``headway.toml``.
    clock
        What time it is; nothing else is asked.
    """

    folder: Path
    ledger: Ledger
    blobs: FolderBlobs
    clock: Clock
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def open(
        cls, folder: Path, *, clock: Clock | None = None, progress: Progress | None = None, version: str = ""
    ) -> Store:
        """Open the store of the project in ``folder``, making one where there is none."""
        clock = clock or SystemClock()
        root = folder / STORE
        fresh = not (root / "ledger.db").exists()
        root.mkdir(parents=True, exist_ok=True)
        ledger = Ledger.open(root / "ledger.db")
        store = cls(
            folder=folder, ledger=ledger, blobs=FolderBlobs(root / "blobs"), clock=clock, progress=progress or Progress()
        )
        if fresh:
            store.record(ProjectOpened(name=folder.resolve().name, version=version))
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the ledger; a second call does nothing."""
        self.ledger.close()

    @property
    def predictions(self) -> Path:
        """The folder of the prediction log."""
        return self.folder / STORE / "predictions"

    @property
    def serving(self) -> Path:
        """The folder of what a server watches."""
        return self.folder / STORE / "serving"

    @property
    def reports(self) -> Path:
        """The folder of pages written for people."""
        return self.folder / STORE / "reports"

    @property
    def owner(self) -> str:
        """Who works here, as the ledger names them."""
        return os.environ.get("HEADWAY_USER") or os.environ.get("USER") or f"uid {os.getuid()}"

    def now_us(self) -> int:
        """Return the moment that counts as now."""
        return self.clock.now_us()

    def record(self, *events: Event, effective_us: int | None = None) -> None:
        """Put events into the ledger, all or none."""
        self.ledger.append_many(events, now_us=SystemClock().now_us(), effective_us=effective_us or self.now_us())

    def put(self, noun: msgspec.Struct) -> str:
        """Keep a noun as canonical JSON and return its digest as a blob."""
        return self.blobs.put(msgspec.json.encode(noun, order="sorted"))

    def get(self, digest: str, kind: type[T]) -> T:
        """Return the noun that :meth:`put` kept.

        Raises
        ------
        NotFound
            When there is no such blob.
        """
        if not self.blobs.has(digest):
            raise NotFound(f"The store has no {kind.__name__} {digest[:12]!r}.")
        return msgspec.json.decode(self.blobs.read(digest), type=kind)

    def remembered(self, key: str, step: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what was made under ``key`` before, or make it now and remember it."""
        found = self.ledger.step(key)
        if found is not None:
            return found
        import time  # noqa: PLC0415

        from headway.nouns.event import StepFinished  # noqa: PLC0415

        began = time.monotonic()
        output = make()
        self.record(StepFinished(key=key, step=step, output=output, seconds=time.monotonic() - began))
        return output
