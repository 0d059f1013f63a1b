"""What one prediction rests on, asked of the ledger by key alone: no question here reads more for a longer history.

Each is a walk of an index that ends at the first row, or at the few rows of one prediction or release; a test holds
the plans of all of them to that. The file hides which index serves which question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from headway.ledger import tables
from headway.ledger.views import RoleSpan, Snapshot, Views

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Filling", "Provenance", "Told"]


class Filling(msgspec.Struct, frozen=True, kw_only=True):
    """One filling of the online store, its place in the line of events, and the versions that it was made from."""

    seq: int
    store: str
    as_of_us: int
    made_us: int
    snapshots: dict[str, str]


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was said of a prediction's outcome; a ``label`` of None is void."""

    label: float | None
    known_us: int
    received_us: int
    status: str
    category: str | None = None


class Provenance(Views):
    """The reading side of a ledger, with what a trace asks it."""

    def filling_of(self, store: str) -> Filling | None:
        """Return the first filling that made this version of the online store; None where it is not known."""
        table = tables.materialisations
        chosen = sa.select(table).where(table.c.store == store).order_by(table.c.seq)
        return next(iter(self._many(Filling, chosen.limit(1))), None)

    def filled_from(self, filling: Filling, sources: Iterable[str]) -> dict[str, str]:
        """Return the version of each source that a filling was made from; without those never read.

        Where the filling does not say, it is what had been read last before it.
        """
        told = {source: filling.snapshots[source] for source in sources if source in filling.snapshots}
        earlier = [source for source in sources if source not in told]
        return told | self._newest(earlier, tables.snapshots.c.seq < filling.seq)

    def read_by(self, sources: Iterable[str], *, moment_us: int) -> dict[str, str]:
        """Return the version of each source that was read last by a moment; without those never read."""
        return self._newest(sources, tables.snapshots.c.taken_us <= moment_us)

    def _newest(self, sources: Iterable[str], bound: sa.ColumnElement[bool]) -> dict[str, str]:
        table, newest = tables.snapshots, {}
        for source in sources:
            chosen = sa.select(table).where(table.c.source == source, bound).order_by(table.c.seq.desc())
            if found := self._many(Snapshot, chosen.limit(1)):
                newest[source] = found[0].snapshot
        return newest

    def taken(self, snapshot: str) -> list[Snapshot]:
        """Return when a version was read, oldest first: more than once where a source went back to it."""
        table = tables.snapshots
        return self._many(Snapshot, sa.select(table).where(table.c.snapshot == snapshot).order_by(table.c.seq))

    def told_of(self, prediction: str) -> list[Told]:
        """Return all that was ever said of one prediction's outcome, oldest first."""
        table = tables.outcome_history
        chosen = sa.select(table).where(table.c.prediction == prediction)
        return self._many(Told, chosen.order_by(table.c.seq, table.c.place))

    def roles_of(self, release: str) -> list[RoleSpan]:
        """Return the roles that a release has had, in order."""
        table = tables.roles
        return self._many(RoleSpan, sa.select(table).where(table.c.release == release).order_by(table.c.seq))
