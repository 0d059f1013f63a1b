"""Appending to the prediction log: what ``append`` has returned an id for is never lost.

The file hides segments, their turn-over, and how far the disk lags behind. A writer belongs to one process and owns
the file it appends to; any number of processes write to one folder at once and never wait for each other. There are
two levels of promise:

``process``
    The record has left the process, by one ``write``, before ``append`` returns: it survives a kill -9. A thread
    calls ``fdatasync`` every 20 ms while there is something to sync, which bounds what a loss of power can take.
``disk``
    ``append`` returns once the record is on the disk. Threads that wait at the same time share one ``fdatasync``.

A ``fdatasync`` that fails ends the writer: the kernel may have dropped the pages, so that a later success would prove
nothing (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from headway.errors import HeadwayError, RequestError, StoreError
from headway.predictions import segment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Self

    from headway.nouns.prediction import Prediction

__all__ = ["Writer"]

_SYNC_EVERY_S = 0.020
_fdatasync = getattr(os, "fdatasync", os.fsync)  # macOS has none


@dataclass(slots=True)
class _Live:
    """The segment that is being written. ``end`` is behind the last record whose id was given out."""

    header: segment.Header
    path: Path
    descriptor: int
    end: int
    count: int = 0
    first_served_us: int = 2**63 - 1
    last_served_us: int = -(2**63)
    unsure: bool = False  # set while a write is on its way: if it still is at the next one, that write was cut off

    def summary(self) -> segment.Summary:
        return segment.Summary(
            size=self.end, count=self.count, first_served_us=self.first_served_us, last_served_us=self.last_served_us
        )


class Writer:
    """The end of the prediction log that grows. Safe to share between threads; not across a fork.

    Parameters
    ----------
    folder
        The folder of the log; made if missing.
    level
        What ``append`` promises: see the module.
    segment_bytes
        A segment that has this size is closed and the next one begun; at most 128 MiB.

    Raises
    ------
    StoreError
        When the folder cannot be made or written.
    """

    def __init__(
        self, folder: Path, *, level: Literal["process", "disk"] = "process", segment_bytes: int = 64 * 2**20
    ) -> None:
        if not 0 < segment_bytes <= segment.MAX_OFFSET // 2:
            msg = f"segment_bytes must be between 1 and {segment.MAX_OFFSET // 2}, not {segment_bytes}"
            raise ValueError(msg)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise segment.store_error(error, file=folder, doing="making the folder of the prediction log") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StoreError("The prediction log cannot be written: permission denied.", where=str(folder))
        self.folder = folder
        self.level = level
        self._segment_bytes = segment_bytes
        self._encoder = msgspec.msgpack.Encoder()
        self._process = os.getpid()
        self._live: _Live | None = None
        self._retired: list[_Live] = []
        self._names_changed = False
        self._failure: StoreError | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._written = 0  # bytes over all segments, so that one number orders what is synced
        self._synced = 0
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._progress = threading.Condition()
        self._syncer = threading.Thread(target=self._keep_syncing, name="prediction-log-sync", daemon=True)
        self._syncer.start()

    def append(self, prediction: Prediction) -> str:
        """Log one answer and return its id; the same as ``append_many`` of one."""
        return self.append_many((prediction,))[0]

    def append_many(self, predictions: Sequence[Prediction]) -> list[str]:
        """Log several answers by one write, and return their ids in the same order.

        Whatever ``id`` they carry is replaced. If it fails, none of them counts as logged; those that did reach the
        file before the process was killed may be read back, under ids that nobody was told.

        Raises
        ------
        RequestError
            When an answer holds a value that no log can keep (an integer beyond 64 bits, a broken text), or is too
            large.
        StoreFull
            When there is no room; the file is as it was, and a later call may succeed.
        StoreError
            When the disk fails, or the writer is closed or another process's.
        """
        if not predictions:
            return []
        with self._lock:
            self._refuse_if_unusable()
            live = self._segment_to_write()
            ids, data = self._encode(predictions, live=live)
            self._write(live, data)
            for prediction in predictions:
                served_us = prediction.served_us
                live.first_served_us = min(live.first_served_us, served_us)
                live.last_served_us = max(live.last_served_us, served_us)
            live.count += len(ids)
            self._written += len(data)
            written = self._written
            if not self._dirty.is_set():
                self._dirty.set()
        if self.level == "disk":
            self._wait_for(written)
        return ids

    def sync(self) -> None:
        """Return once everything logged so far is on the disk."""
        self._dirty.set()
        self._wait_for(self._written)

    def close(self) -> None:
        """Sync, sum up the segment and let go of it. Closing twice is harmless.

        Raises
        ------
        StoreError
            When the last records could not be synced.
        """
        if self._closed or os.getpid() != self._process:
            return
        with self._lock:
            self._closed = True
            self._retire()
        self._closing.set()
        self._dirty.set()
        self._syncer.join()
        for live in self._retired:  # only after a failed sync is anything left here
            os.close(live.descriptor)
        self._retired.clear()
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_if_unusable(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise StoreError("The prediction log was closed by this process.", where=str(self.folder))
        if os.getpid() != self._process:
            raise StoreError(
                f"This writer of the prediction log belongs to process {self._process}.",
                where=str(self.folder),
                hint="Open a writer after the fork, not before.",
            )

    def _encode(self, predictions: Sequence[Prediction], *, live: _Live) -> tuple[list[str], bytes | bytearray]:
        """Return ids and frames; the id is known beforehand, so that each record carries its own."""
        ids, frames = [], []
        offset = live.end
        for prediction in predictions:
            prediction_id = live.header.id_at(offset)
            frame = bytearray(512)
            try:
                self._encoder.encode_into(
                    msgspec.structs.replace(prediction, id=prediction_id), frame, segment.FRAME_BYTES
                )
            except (TypeError, ValueError, OverflowError) as error:
                raise RequestError(
                    f"A prediction cannot be logged: {error}.",
                    hint="Numbers must fit in 64 bits; texts must be Unicode.",
                ) from error
            if len(frame) - segment.FRAME_BYTES > segment.MAX_PAYLOAD_BYTES:
                raise RequestError(f"A prediction of {len(frame)} bytes is too large; {segment.MAX_PAYLOAD_BYTES} fit.")
            live.header.seal(frame, offset=offset)
            offset += len(frame)
            ids.append(prediction_id)
            frames.append(frame)
        if offset > segment.MAX_OFFSET:
            raise RequestError(
                f"{len(predictions)} predictions are too many to be logged at once.", hint="Send smaller batches."
            )
        return ids, frames[0] if len(frames) == 1 else b"".join(frames)

    def _write(self, live: _Live, data: bytes | bytearray) -> None:
        live.unsure = True
        try:
            done = os.write(live.descriptor, data)
            while done < len(data):  # the disk is full, or a limit is near: the next call says which
                done += os.write(live.descriptor, memoryview(data)[done:])
        except OSError as error:
            self._cut_back(live)
            raise segment.store_error(error, file=live.path, doing="a prediction in the log") from error
        live.end += len(data)
        live.unsure = False

    def _cut_back(self, live: _Live) -> None:
        """Take a half-written record away. If even that fails the segment stays unsure, and is left for another."""
        with contextlib.suppress(OSError):  # the first error is the one to report
            os.ftruncate(live.descriptor, live.end)
            os.lseek(live.descriptor, live.end, os.SEEK_SET)
            live.unsure = False

    def _segment_to_write(self) -> _Live:
        live = self._live
        if live is None or live.unsure or live.end >= self._segment_bytes:
            begun = self._begin_segment()
            self._retire()
            live = self._live = begun
        return live

    def _retire(self) -> None:
        if self._live is not None:
            self._retired.append(self._live)
            self._live = None

    def _begin_segment(self) -> _Live:
        """Make the next segment.

        It gets its name, by renaming, with its header in it and its lock held: a reader never sees it otherwise.
        """
        path = self.folder / f".new-{os.getpid()}-{threading.get_ident()}"
        descriptor = -1
        try:
            with _exclusive(self.folder / "lock"):
                number = max(segment.numbers(self.folder), default=0) + 1
                header = segment.Header(number, os.urandom(16))
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                raw = header.to_bytes()
                if os.write(descriptor, raw) != len(raw):
                    os.write(descriptor, raw)  # raises, and says why
                final = segment.segment_path(self.folder, number)
                path.rename(final)
        except OSError as error:
            if descriptor >= 0:
                os.close(descriptor)
            with contextlib.suppress(OSError):  # the first error is the one to report
                path.unlink(missing_ok=True)
            raise segment.store_error(error, file=self.folder, doing="a new segment of the prediction log") from error
        self._names_changed = True
        return _Live(header, final, descriptor, len(raw))

    def _wait_for(self, written: int) -> None:
        with self._progress:
            self._progress.wait_for(lambda: self._synced >= written or self._failure is not None)
        if self._failure is not None:
            raise self._failure

    def _keep_syncing(self) -> None:
        while not self._closing.is_set():
            self._dirty.wait()
            if self.level == "process":
                self._closing.wait(_SYNC_EVERY_S)  # let more come together
            self._sync_once()
            if self._failure is not None:
                return
        self._sync_once()

    def _sync_once(self) -> None:
        with self._lock:
            self._dirty.clear()
            written, live, retired = self._written, self._live, tuple(self._retired)
            names_changed, self._names_changed = self._names_changed, False
        try:
            for each in (*retired, *((live,) if live is not None else ())):
                _fdatasync(each.descriptor)
            if names_changed:
                _sync_folder(self.folder)
        except OSError as error:
            with self._progress:
                self._failure = StoreError(
                    f"The prediction log could not be brought to the disk: {error.strerror}.",
                    where=str(self.folder),
                    hint="What was answered in the last moments may be lost. Check the disk, then start again.",
                )
                self._progress.notify_all()
            return
        for each in retired:
            self._finish(each)
        with self._progress:
            self._synced = written
            self._progress.notify_all()

    def _finish(self, live: _Live) -> None:
        if not live.unsure:
            with contextlib.suppress(HeadwayError):  # a summary only saves readers work
                segment.write_summary(self.folder, live.header.number, live.summary())
        os.close(live.descriptor)
        with self._lock:
            self._retired.remove(live)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file at ``path``; the kernel lets go of it when a process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
