"""Taking outcomes out of the ledger's tables, and the bytes of whatever was taken out of its file.

Events are never changed: they hold no rows. What they name (batches of outcomes) is redacted among the blobs. A
database keeps deleted rows in free pages and in its write-ahead log until they are written over; here both are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from headway.errors import StoreBusy
from headway.ledger import tables
from headway.ledger.failures import speaking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.ledger.ledger import Ledger

__all__ = ["erase_outcomes", "scrub"]

_AT_ONCE = 500


def erase_outcomes(ledger: Ledger, predictions: Sequence[str]) -> int:
    """Delete what was ever said of these predictions, and return how many outcomes stood."""
    count = 0
    with ledger._writing() as connection:  # noqa: SLF001  (the ledger's own package)
        for table in (tables.outcome_history, tables.outcomes):
            count = 0
            for first in range(0, len(predictions), _AT_ONCE):
                these = table.c.prediction.in_(predictions[first : first + _AT_ONCE])
                count += connection.execute(sa.delete(table).where(these)).rowcount
    return count


def scrub(ledger: Ledger) -> None:
    """Write over what was deleted: free pages and write-ahead log of SQLite, dead rows of PostgreSQL.

    Raises
    ------
    StoreBusy
        When another process keeps the database busy; what was deleted may still stand in its log then.
    """
    with speaking(ledger.where):
        connection = ledger._engine.raw_connection()  # noqa: SLF001  (the ledger's own package)
        try:
            sqlite = ledger._engine.dialect.name == "sqlite"  # noqa: SLF001
            if not sqlite:
                connection.driver_connection.autocommit = True  # type: ignore[union-attr]  # VACUUM stands alone
            cursor = connection.cursor()
            for statement in _SQLITE if sqlite else _POSTGRESQL:
                cursor.execute(statement)
            # A checkpoint that a reader keeps from its end says so in a row, and is no error to SQLite.
            told = cursor.fetchone() if sqlite else None
            busy = told is not None and bool(told[0])
            cursor.close()
        finally:
            connection.close()
    if busy:
        raise StoreBusy(
            "Somebody reads an old state of the ledger, so that its write-ahead log cannot be emptied.",
            where=ledger.where,
            hint="Ask for the erasure again: it finishes what is left.",
        )


_SQLITE = (
    "PRAGMA secure_delete = ON",
    "VACUUM",
    "PRAGMA wal_checkpoint(TRUNCATE)",
)
_POSTGRESQL = ("VACUUM FULL outcomes", "VACUUM FULL outcome_history")
