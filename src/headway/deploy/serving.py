"""What is in service: one small file that a deployment writes and that every server follows.

``current.json`` names the release and the online store, with all that it takes to load them from blobs. It is replaced
whole, by renaming, so that a reader sees the old or the new. The file hides how a server turns it into a predictor,
and that a change of the store alone does not load the graph again.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import msgspec

from headway.deploy.predictor import Predictor
from headway.deploy.terms import terms_of
from headway.errors import NO_ROOM, NotFound, StoreCorrupt, StoreError, StoreFull
from headway.graph.scorer import GraphScorer
from headway.nouns.release import Release
from headway.online.manifest import StoreManifest
from headway.online.store import OnlineStore
from headway.query.resolver import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from headway.query.definitions import Definitions

__all__ = ["BlobSource", "Current", "Loader", "load_predictor", "publish", "read_current", "release_definitions"]

_NAME = "current.json"


class Current(msgspec.Struct, frozen=True, kw_only=True):
    """What is in service.

    Attributes
    ----------
    epoch
        Grows by one with each change; a server says in ``/health`` which one it has.
    """

    epoch: int
    release: Release
    store: StoreManifest


class BlobSource(Protocol):
    """Where graphs and steps come from; the blobs of the project."""

    def read(self, digest: str) -> bytes:
        """Return the bytes, which are what was put."""


def publish(folder: Path, *, release: Release, store: StoreManifest) -> int:
    """Put a release into service, or give it a newer store; return the epoch from which on servers have it.

    Raises
    ------
    StoreFull, StoreError
        When it cannot be written; what was in service stays.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            before = read_current(folder) if (folder / _NAME).exists() else None
            current = Current(epoch=before.epoch + 1 if before else 1, release=release, store=store)
            _replace(folder, msgspec.json.encode(current))
            return current.epoch
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        kind = StoreFull if error.errno in NO_ROOM else StoreError
        raise kind(f"What is in service could not be changed: {error.strerror}.", where=str(folder)) from error


def read_current(folder: Path) -> Current:
    """Return what is in service.

    Raises
    ------
    NotFound
        When nothing is.
    StoreCorrupt
        When the file cannot be read.
    """
    path = folder / _NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Current)
    except FileNotFoundError:
        raise NotFound("No release is in service.", where=str(path), hint="Make one: headway deploy.") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreCorrupt(
            f"What is in service cannot be read: {error}.", where=str(path), hint="Deploy the release again."
        ) from error


def release_definitions(release: Release) -> Definitions:
    """Return the definitions of a release's brief, resolved as they were when it was made."""
    return resolve(release.brief, release.columns)  # type: ignore[arg-type]  # kinds are checked by resolving


def load_predictor(current: Current, blobs: BlobSource, *, previous: Predictor | None = None) -> Predictor:
    """Return the predictor of what is in service.

    Parameters
    ----------
    previous
        The one in use; what has not changed is shared with it.

    Raises
    ------
    NotFound, StoreCorrupt
        When a blob is gone or damaged, or does not fit.
    """
    release = current.release
    same = previous is not None and previous.graph == release.graph and previous.definitions.brief == release.brief
    definitions = previous.definitions if same and previous else release_definitions(release)
    scorer = previous.scorer if same and previous else GraphScorer(blobs.read(release.graph), output=release.output)
    store = OnlineStore.load(current.store, blobs, definitions, previous=previous.store if previous else None)
    return Predictor(
        definitions,
        scorer,
        store,
        release=release.id,
        model=release.model,
        graph=release.graph,
        cutoff=release.cutoff,
        task=release.task,
        classes=release.classes,
        terms=terms_of(release, definitions),
    )


class Loader:
    """Follows what is in service; made for being asked often.

    Parameters
    ----------
    folder
        Where ``publish`` writes.
    blobs
        Where the release and its store lie.

    Attributes
    ----------
    predictor, epoch
        What was loaded last.
    """

    def __init__(self, folder: Path, blobs: BlobSource) -> None:
        self._folder = folder
        self._blobs = blobs
        self._stamp: tuple[int, int, int] | None = None
        self.predictor: Predictor | None = None
        self.epoch = 0

    def changed(self) -> bool:
        """Return whether there is something else in service than what was looked at last; costs one ``stat``."""
        return self._look() != self._stamp

    def load(self) -> Predictor:
        """Return the predictor of what is in service now. One thread at a time.

        Raises
        ------
        NotFound, StoreCorrupt
            When nothing is in service or it does not load; what was loaded before stays in ``predictor``.
        """
        self._stamp = self._look()  # before reading: a change in between is seen the next time
        current = read_current(self._folder)
        predictor = load_predictor(current, self._blobs, previous=self.predictor)
        self.predictor, self.epoch = predictor, current.epoch
        return predictor

    def _look(self) -> tuple[int, int, int] | None:
        try:
            stat = (self._folder / _NAME).stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other publishers out; the kernel lets go of the lock when a process dies."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(folder: Path, data: bytes) -> None:
    draft = folder / f".{_NAME}"
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / _NAME)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
