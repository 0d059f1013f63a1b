"""What the database drivers raise, in the store's words: full, busy, corrupt, or unusable and why."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import sqlalchemy as sa

from headway.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["speaking"]

# SQLite says "full" for ENOSPC alone; a quota or a limit on file sizes comes as a failed write or a failed growth
# of the shared-memory file, indistinguishable from a dying disk.
_FULL = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_TRUNCATE,
}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}

# PostgreSQL's SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_STATES = {"53100": StoreFull, "55P03": StoreBusy, "40P01": StoreBusy, "XX001": StoreCorrupt, "XX002": StoreCorrupt}

_SAYS: dict[type[StoreError], tuple[str, str]] = {
    StoreFull: (
        "The ledger cannot grow",
        "Make room or lift the quota (or suspect the disk), and run it again: nothing acknowledged was lost.",
    ),
    StoreBusy: ("Another process is writing to the ledger", "Try again when it is done."),
    StoreCorrupt: ("The ledger's file is damaged, or is none", "Restore it from a backup."),
    StoreError: ("The ledger cannot be used", "Check that its folder, or its server, is there and may be written to."),
}


@contextlib.contextmanager
def speaking(where: str) -> Iterator[None]:
    """Turn the driver's errors within into the store's; ``where`` names the ledger, without a password."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        found = _kind_of(error.orig)
        what, hint = _SAYS[found]
        reason = str(error.orig).strip().partition("\n")[0]
        raise found(f"{what}: {reason}.", where=where, hint=hint) from error


def _kind_of(error: BaseException | None) -> type[StoreError]:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) or 0
        if code in _FULL:
            return StoreFull
        if code & 0xFF in _BUSY:
            return StoreBusy
        if code & 0xFF in _CORRUPT:
            return StoreCorrupt
        return StoreError
    return _STATES.get(str(getattr(error, "sqlstate", "")), StoreError)
