"""The open store of a project: ledger, blobs, prediction log and what the server reads, under ``.headway/``.

The file hides where things lie. Stages never see it; ``loop`` hands them what they need.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from headway.blobs import FolderBlobs
from headway.engine.local import LocalEngine
from headway.engine.progress import NoProgress, Progress
from headway.errors import NotFound
from headway.ledger import Ledger, LedgerBook
from headway.nouns.clock import Clock, SystemClock
from headway.nouns.event import Event, ProjectOpened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from headway.graph.scorer import GraphScorer

__all__ = ["STORE", "Store"]

STORE = ".headway"

_STEPS_AT_ONCE = 2
"""Judging and packaging fit a model each, on one processor each."""

_SCORERS = 4
"""Graphs held in memory: champion, the one before, a challenger, and one to spare."""

T = TypeVar("T")


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
    progress: Progress = field(default_factory=NoProgress)
    _kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    _scorers: dict[str, GraphScorer] = field(default_factory=dict)

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
            folder=folder,
            ledger=ledger,
            blobs=FolderBlobs(root / "blobs"),
            clock=clock,
            progress=progress or NoProgress(),
        )
        if fresh:
            store.record(ProjectOpened(name=folder.resolve().name, version=version))
        return store

    def __enter__(self) -> Self:
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

    def scorer(self, graph: str) -> GraphScorer:
        """Return what runs a graph, loaded once: a day of tending asks the same few releases again and again."""
        from headway.graph.scorer import GraphScorer

        if graph not in self._scorers:
            while len(self._scorers) >= _SCORERS:
                del self._scorers[next(iter(self._scorers))]
            self._scorers[graph] = GraphScorer(self.blobs.read(graph))
        return self._scorers[graph]

    @property
    def book(self) -> LedgerBook:
        """Where finished steps are remembered."""
        return LedgerBook(self.ledger, now_us=SystemClock().now_us)

    @property
    def engine(self) -> LocalEngine:
        """What runs plans: here, and only what has not been done yet."""
        return LocalEngine(self.book, workers=_STEPS_AT_ONCE)

    def recalled(self, key: str) -> dict[str, Any] | None:
        """Return what was kept under ``key``; ``None`` where nothing was."""
        found = self._kept.get(key) or self.book.get(key)
        if found is not None:
            self._kept[key] = found
        return found

    def remembered(self, key: str, step: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what was kept under ``key``, or make it now and keep it."""
        found = self.recalled(key)
        if found is None:
            began = time.monotonic()
            found = self._kept[key] = make()
            self.book.put(key, step=step, output=found, seconds=time.monotonic() - began)
        return found
