"""Leases: one ``run``, ``tend`` or ``fill`` at a time on a store, refused by name, and never left behind.

The lock is the operating system's (a lock on a file, or a PostgreSQL session), so a holder that is killed loses
it in that instant; a row saying "I am running" would outlive its writer. Who holds it stands beside the lock, in
a file of its own, because a locked file cannot be read on Windows. *Since when* is that file's own date.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import os
import re
import socket
from typing import TYPE_CHECKING

import sqlalchemy as sa
from filelock import FileLock, Timeout

from headway.errors import StoreBusy, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["lease_by_file", "lease_by_session"]

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_APPLICATION_NAME_BYTES = 63  # PostgreSQL cuts it there
_ASK_AGAIN_S = 0.02
_LOCK_NOT_AVAILABLE = "55P03"  # PostgreSQL's code for a lock_timeout that is over


@contextlib.contextmanager
def lease_by_file(folder: Path, name: str, *, owner: str, patience_s: float = 0.0) -> Iterator[None]:
    """Hold ``name`` among the processes that see ``folder``.

    Raises
    ------
    StoreBusy
        When somebody holds it for longer than ``patience_s``; says who, and since when.
    """
    _checked(name)
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / f"{name}.owner"
    lock = FileLock(folder / f"{name}.lock", timeout=patience_s, poll_interval=_ASK_AGAIN_S, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise _busy(name, _told(note), where=str(folder)) from None
    try:
        temporary = folder / f"{name}.{os.getpid()}"
        try:
            temporary.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "owner": owner}))
            temporary.replace(note)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StoreFull(
                f"The lease {name!r} cannot be noted ({error.strerror}).", where=str(folder), hint="Make room."
            ) from error
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def lease_by_session(
    engine: sa.Engine, name: str, *, owner: str, where: str, patience_s: float = 0.0
) -> Iterator[None]:
    """Hold ``name`` among the sessions of a PostgreSQL schema; the server lets go when the session dies."""
    _checked(name)
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        schema = connection.scalar(sa.text("SELECT current_schema()"))
        digest = hashlib.sha256(f"headway lease {schema} {name}".encode()).digest()
        high, low = (int.from_bytes(digest[at : at + 4], "big", signed=True) for at in (0, 4))
        # The server wakes whoever waits; a lock_timeout of nought would be waiting for ever.
        waits = {"timeout": f"{max(1, round(patience_s * 1e3))}ms"}
        connection.execute(sa.text("SELECT set_config('lock_timeout', :timeout, false)"), waits)
        try:
            connection.execute(sa.text("SELECT pg_advisory_lock(:high, :low)"), {"high": high, "low": low})
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", "") != _LOCK_NOT_AVAILABLE:
                raise
            raise _busy(name, _session(connection, high=high, low=low), where=where) from None
        told = f"pid {os.getpid()} on {socket.gethostname()}{f' ({owner})' if owner else ''}"
        shown = told.encode()[:_APPLICATION_NAME_BYTES].decode(errors="ignore")
        connection.execute(sa.text("SELECT set_config('application_name', :told, false)"), {"told": shown})
        yield
    finally:
        connection.invalidate()  # ends the session, and with it the lock
        connection.close()


def _checked(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"A lease is called by a lower-case word such as 'run', not {name!r}.")


def _busy(name: str, holder: str, *, where: str) -> StoreBusy:
    return StoreBusy(
        f"{name!r} is being done already, by {holder}.",
        where=where,
        hint="Wait for it to end, or end it; looking at the store is possible all the while.",
    )


def _told(note: Path) -> str:
    """Who holds the lock, as the holder noted it; it may have come, or gone, only this moment."""
    try:
        holder = json.loads(note.read_text())
        since = dt.datetime.fromtimestamp(note.stat().st_mtime, dt.UTC)
        owner = f" ({holder['owner']})" if holder["owner"] else ""
        return f"pid {holder['pid']} on {holder['host']}{owner} since {since:%Y-%m-%d %H:%M:%S} UTC"
    except (OSError, ValueError, KeyError):
        return "a process that has not noted its name"


def _session(connection: sa.Connection, *, high: int, low: int) -> str:
    row = connection.execute(
        sa.text(
            "SELECT application_name, backend_start FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND granted AND classid::int8 = :high AND objid::int8 = :low"
        ),
        {"high": high % 2**32, "low": low % 2**32},
    ).first()
    if row is None:
        return "a session that has just ended"
    return f"{row[0]} since {row[1].astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
