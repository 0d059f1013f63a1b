"""Whether a request was answered before: the same key gets the same answer, from whichever process.

The file hides that there is no store of keys: the log itself knows them. Each process keeps those of the last day in
memory, and catches up with what it and its neighbours have logged since. So the answer and the key are written by
one ``write`` and cannot part, and nothing needs repair after a crash.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from headway.errors import RequestError, StoreBusy
from headway.nouns.span import DAY
from headway.predictions.reader import Cursor, Reader
from headway.predictions.segment import parse_id, store_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from headway.nouns.clock import Clock
    from headway.nouns.prediction import Prediction

__all__ = ["Idempotency"]

_MAX_KEY_CHARS = 255
_STRIPES = 64
_PATIENCE_S = 2.0


class _Answered(msgspec.Struct, frozen=True, gc=False):
    """What the log says about one row's key; the rest of the record is passed over."""

    id: str
    served_us: int
    idempotency: str
    body_digest: str
    row_number: int
    rows: int


class _Known(NamedTuple):
    served_us: int
    body_digest: str
    ids: tuple[str, ...]


class Idempotency:
    """The keys of the last day, and what was answered under them. For one thread, as a server's loop is.

    Parameters
    ----------
    folder
        The folder of the log.
    clock
        Says what the last day is.
    keep_us
        How long a key counts.
    max_keys
        How many are kept; those that were not asked for the longest go first.

    Raises
    ------
    StoreError
        When the log cannot be read. Damaged records are passed over: they must not keep a server from starting.
    """

    def __init__(self, folder: Path, *, clock: Clock, keep_us: int = DAY, max_keys: int = 100_000) -> None:
        self._folder = folder
        self._clock = clock
        self._keep_us = keep_us
        self._max_keys = max_keys
        self._reader = Reader(folder)
        self._cursor = Cursor()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._partial: dict[tuple[int, str], list[str]] = {}
        self.catch_up()

    def __len__(self) -> int:
        return len(self._known)

    @contextlib.contextmanager
    def hold(self, key: str, body_digest: str) -> Iterator[list[Prediction] | None]:
        """Hold ``key`` against all other processes while it is looked up and, if it is new, answered.

        The body of the ``with`` gets what was answered before, or None; then it must log its answer, with the key,
        before it leaves. It must not wait for anything else on the way, since others wait for it.

        Raises
        ------
        RequestError
            As ``seen``.
        StoreBusy
            When another process has held the key (or one of its stripe) for two seconds.
        """
        _refuse_malformed(key)
        stripe = zlib.crc32(key.encode()) % _STRIPES
        path = self._folder / f"keys-{stripe:02x}.lock"
        try:
            # Opened anew each time: a lock belongs to the opened file, so this excludes threads as well.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise store_error(error, file=path, doing="locking an idempotency key") from error
        try:
            _lock(descriptor, key=key, path=path)
            yield self.seen(key, body_digest)
        finally:
            os.close(descriptor)

    def seen(self, key: str, body_digest: str) -> list[Prediction] | None:
        """Return what was answered under ``key`` in the last day, in the order of the rows; None if nothing was.

        Raises
        ------
        RequestError
            When the key is malformed, or came with another body before.
        """
        _refuse_malformed(key)
        self.catch_up()
        known = self._known.get(key)
        if known is None or known.served_us < self._oldest_us():
            return None
        if known.body_digest != body_digest:
            raise RequestError(
                f"The idempotency key {key!r} was used before, with another body.",
                hint="Send the same body to get the same answer, or a new key with a new request.",
            )
        self._known.move_to_end(key)
        return [self._reader.read(each) for each in known.ids]

    def catch_up(self) -> None:
        """Take in what all processes have logged since the last time. Worth calling now and then while idle."""
        oldest_us = self._oldest_us()
        batches = self._reader.scan_as(_Answered, since_us=oldest_us, after=self._cursor, skip_corrupt=True)
        for batch in batches:
            self._cursor = batch.cursor
            for answered in batch.predictions:
                if answered.idempotency:
                    self._take_in(answered, oldest_us=oldest_us)
        while len(self._known) > self._max_keys:
            self._known.popitem(last=False)

    def _take_in(self, answered: _Answered, *, oldest_us: int) -> None:
        """Keep the answer once all rows of its request are there; a request cut off by a crash never is.

        The first complete answer of the day stands; rows of one request follow one another in one segment.
        """
        key = answered.idempotency
        place = (parse_id(answered.id, folder=self._folder).number, key)
        ids = self._partial.pop(place, [])
        ids = [answered.id] if answered.row_number == 0 else [*ids, answered.id]
        if len(ids) != answered.row_number + 1:
            return
        if len(ids) < answered.rows:
            self._partial[place] = ids
            return
        before = self._known.get(key)
        if before is None or before.served_us < oldest_us:
            self._known[key] = _Known(answered.served_us, answered.body_digest, tuple(ids))
            self._known.move_to_end(key)

    def _oldest_us(self) -> int:
        return self._clock.now_us() - self._keep_us


def _refuse_malformed(key: str) -> None:
    if not (0 < len(key) <= _MAX_KEY_CHARS and key.isascii() and key.isprintable()):
        shown = key if len(key) <= 80 else key[:77] + "..."
        raise RequestError(
            f"The idempotency key {shown!r} is not one to {_MAX_KEY_CHARS} printable ASCII characters.",
            hint="A random UUID per request serves well.",
        )


def _lock(descriptor: int, *, key: str, path: Path) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                raise StoreBusy(
                    f"A request with the idempotency key {key!r} is being answered.",
                    where=str(path),
                    hint="Send it again in a moment.",
                ) from None
            time.sleep(0.001)
        else:
            return
