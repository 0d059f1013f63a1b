"""The ledger: events are appended, chained and projected in one transaction, or not at all.

Writers queue for the one lock of the store; what ``append`` returned is on the disk. Whatever is asked is answered
from the projections (:class:`~headway.ledger.views.Views`), which ``rebuild`` can make anew from the events.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from headway.errors import StoreCorrupt, StoreError
from headway.ledger import tables
from headway.ledger.chain import GENESIS, Entry, Head, Row, decoded, link, linked
from headway.ledger.failures import speaking
from headway.ledger.lease import lease_by_file, lease_by_session
from headway.ledger.opening import connected, place_of, prepared
from headway.ledger.projections import project
from headway.ledger.provenance import Provenance
from headway.nouns.canonical import canonical_json
from headway.nouns.event import KINDS, Event, OutcomesReceived, kind_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    import pyarrow as pa

__all__ = ["Ledger"]

_PAGE = 2_000
_BUSY_TIMEOUT_S = 30.0


class Ledger(Provenance):
    """An open ledger; share it among threads, open one in each process.

    Examples
    --------
    >>> import tempfile
    >>> from headway.nouns.event import ProjectOpened
    >>> with Ledger.open(tempfile.mkdtemp() + "/ledger.sqlite") as ledger:
    ...     ledger.append(ProjectOpened(name="flights", version="1.0"), now_us=1_380_585_600_000_000)
    1
    """

    @classmethod
    def open(
        cls, where: str | os.PathLike[str], *, create: bool = True, busy_timeout_s: float = _BUSY_TIMEOUT_S
    ) -> Self:
        """Open the ledger in a file or behind a URL, in this version's schema.

        Parameters
        ----------
        where
            A path, or a URL such as ``postgresql://user@host/database``.
        create
            Whether to begin one where there is none.
        busy_timeout_s
            How long a writer waits for another before it gives up with ``StoreBusy``.

        Raises
        ------
        NotFound
            When there is none, and none shall be begun.
        StoreTooNew, StoreCorrupt, StoreBusy, StoreFull, StoreError
            When it cannot be used; says why and what to do.
        """
        place = place_of(where)
        engine = connected(place, busy_timeout_s=busy_timeout_s)
        try:
            prepared(place, engine, create=create)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, place)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def where(self) -> str:
        """What messages call this ledger; never with a password."""
        return self._place.shown

    def append(self, event: Event, *, now_us: int, effective_us: int | None = None) -> int:
        """Append one event and return its sequence number; see :meth:`append_many`."""
        return self.append_many([event], now_us=now_us, effective_us=effective_us)[0]

    def append_many(self, events: Iterable[Event], *, now_us: int, effective_us: int | None = None) -> range:
        """Append events and carry them into the projections, all or none; return their sequence numbers.

        Parameters
        ----------
        events
            In the order in which they happened.
        now_us
            When they are recorded.
        effective_us
            When they took effect, where that is not now.

        Raises
        ------
        StoreBusy, StoreFull
            When it cannot be written; nothing is then.
        NotFound
            When an event speaks of a run, release or finding that there is none of.
        StoreError
            When an event holds something that has no JSON, such as NaN.
        """
        ready = [(event, self._body(event)) for event in events]
        if any(isinstance(event, OutcomesReceived) for event, _ in ready):
            raise ValueError("Outcomes come with their batch: use receive_outcomes.")
        with self._writing() as connection:
            head = _head(connection)
            rows: list[Row] = []
            for event, body in ready:
                after = Head(seq=rows[-1].seq, hash=rows[-1].hash) if rows else head
                moment_us = now_us if effective_us is None else effective_us
                rows.append(linked(event, body=body, after=after, recorded_us=now_us, effective_us=moment_us))
            _insert(connection, rows)
            for row in rows:
                project(connection, decoded(row, where=self.where))
        return range(head.seq + 1, head.seq + 1 + len(rows))

    def receive_outcomes(
        self,
        batch: pa.Table,
        *,
        put: Callable[[bytes], str],
        now_us: int,
        effective_us: int | None = None,
        unknown: int = 0,
        new_classes: Mapping[str, int] | None = None,
    ) -> OutcomesReceived:
        """Join a batch of outcomes to what stands, and record how many rows fared how.

        Parameters
        ----------
        batch
            Columns ``prediction`` (text), ``label`` (float; null: void), ``known_us``, and ``category`` (text) where
            classes are told; of known predictions only.
        put
            Keeps the batch's bytes and returns their digest, such as ``blobs.put``: what a rebuild reads.
        now_us, effective_us
            As in :meth:`append_many`.
        unknown
            How many rows the caller left out because no prediction has their id.
        new_classes
            How many rows name which class that the release that answered does not know.

        Raises
        ------
        OutcomeError
            When the batch lacks a column, an id or a moment, or a label is NaN.
        """
        from headway.ledger.outcomes import checked_batch, settled, written_batch  # Arrow, which few commands need

        table = checked_batch(batch)
        digest = put(written_batch(table))
        moment_us = now_us if effective_us is None else effective_us
        with self._writing() as connection:
            head = _head(connection)
            counts = settled(connection, table, batch=digest, seq=head.seq + 1, received_us=moment_us)
            named = dict(new_classes) if new_classes else msgspec.UNSET
            event = OutcomesReceived(batch=digest, unknown=unknown, new_classes=named, **counts)
            body = self._body(event)
            _insert(connection, [linked(event, body=body, after=head, recorded_us=now_us, effective_us=moment_us)])
        return event

    def head(self) -> Head:
        """Return the end of the chain. Kept elsewhere, it is what ``verify`` can be held to."""
        with speaking(self.where), self._engine.connect() as connection:
            return _head(connection)

    def events(self, kind: type[Event] | str | None = None, *, since: int = 0) -> Iterator[Entry]:
        """Yield the entries after ``since`` in order; of one kind, or all.

        Raises
        ------
        StoreCorrupt
            When one cannot be read.
        """
        name = kind if kind is None or isinstance(kind, str) else kind_of(kind)
        if name is not None and name not in KINDS:
            raise ValueError(f"There is no event {name!r}.")
        return self._entries(name, since)

    def _entries(self, kind: str | None, since: int) -> Iterator[Entry]:
        while True:
            with speaking(self.where), self._engine.connect() as connection:
                rows = _page(connection, since, kind=kind)
            if not rows:
                return
            yield from (decoded(row, where=self.where) for row in rows)
            since = rows[-1].seq

    def verify(self, anchor: Head | None = None) -> Head:
        """Check every link and the database's own structure, and return the head.

        Parameters
        ----------
        anchor
            A head kept from earlier: without one, a chain whose end was cut off, or that its owner wrote anew as
            a whole, still links.

        Raises
        ------
        StoreCorrupt
            At the first broken link; says which event, and how it is broken.
        """
        previous = Head(seq=0, hash=GENESIS)
        met = anchor is None or anchor.seq == 0
        with speaking(self.where), self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                report = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
                if report != "ok":
                    raise StoreCorrupt(f"The file is damaged: {report}.", where=self.where, hint=_RESTORE)
            while rows := _page(connection, previous.seq, floor=previous.seq == 0):
                for row in rows:
                    self._check_link(row, previous)
                    previous = Head(seq=row.seq, hash=row.hash)
                    if anchor is not None and anchor.seq == row.seq:
                        met = anchor.hash == row.hash
        if not met:
            raise StoreCorrupt(
                f"The chain does not hold the event {anchor.seq if anchor else 0} that was remembered.",
                where=self.where,
                hint="It was cut off, or written anew. " + _RESTORE,
            )
        return previous

    def _check_link(self, row: Row, previous: Head) -> None:
        parts = msgspec.structs.asdict(row)
        del parts["hash"]
        if row.seq != previous.seq + 1:
            broken = f"Event {row.seq} follows event {previous.seq}: some were taken out, or put in"
        elif row.previous != previous.hash:
            broken = f"Event {row.seq} does not continue event {previous.seq}"
        elif link(**parts) != row.hash:
            broken = f"Event {row.seq} ({row.kind}) was changed after it was recorded"
        else:
            return
        raise StoreCorrupt(f"{broken}.", where=self.where, hint=_RESTORE)

    def rebuild(self, read_blob: Callable[[str], bytes], *, redacted: Callable[[str], bool] = lambda _: False) -> int:
        """Empty the projections, replay every event into them, and return how many there were.

        Readers see the old tables until the new ones are complete.

        Parameters
        ----------
        read_blob
            Returns the bytes behind a digest, such as ``blobs.read``: where the batches of outcomes are.
        redacted
            Whether something was erased from the blob of that digest: then its event counts rows that are gone.
        """
        count = since = 0
        with self._writing() as connection:
            for table in tables.projections:
                connection.execute(sa.delete(table))
            while rows := _page(connection, since):
                for entry in (decoded(row, where=self.where) for row in rows):
                    if isinstance(entry.event, OutcomesReceived):
                        gone = redacted(entry.event.batch)
                        self._settle_again(connection, entry, entry.event, read_blob, fewer=gone)
                    else:
                        project(connection, entry)
                count, since = count + len(rows), rows[-1].seq
        return count

    def _settle_again(
        self,
        connection: sa.Connection,
        entry: Entry,
        event: OutcomesReceived,
        read_blob: Callable[[str], bytes],
        *,
        fewer: bool,
    ) -> None:
        from headway.ledger.outcomes import COUNTS, read_batch, settled

        table = read_batch(read_blob(event.batch))
        counts = settled(connection, table, batch=event.batch, seq=entry.seq, received_us=entry.effective_us)
        told = {name: getattr(event, name) for name in COUNTS}
        if counts != told and not (fewer and sum(counts.values()) < sum(told.values())):
            raise StoreCorrupt(
                f"Event {entry.seq} says {told} of its outcomes; its batch, settled again, says {counts}.",
                where=self.where,
                hint=_RESTORE,
            )

    @contextlib.contextmanager
    def lease(self, name: str, *, owner: str = "", patience_s: float = 0.0) -> Iterator[None]:
        """Hold ``name`` (``"run"``, ``"tend"``) alone on this store; given back when the process dies in any way.

        Parameters
        ----------
        name
            What must not be done twice at a time.
        owner
            What the refusal tells others about the holder, beside its process and host.
        patience_s
            How long to wait for one's turn.

        Raises
        ------
        StoreBusy
            When another holds it for longer than that; names that one, and since when.
        """
        if self._place.path is not None:
            with lease_by_file(self._place.leases, name, owner=owner, patience_s=patience_s):
                yield
        else:
            with lease_by_session(self._engine, name, owner=owner, where=self.where, patience_s=patience_s):
                yield

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with speaking(self.where), self._engine.connect() as plain:
            connection = plain.execution_options(headway_writes=True)
            with connection.begin():
                if connection.dialect.name == "postgresql":  # readers are not held up by this mode
                    connection.execute(sa.text("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE"))
                yield connection

    def _body(self, event: Event) -> str:
        try:
            return canonical_json(event)
        except ValueError as error:
            raise StoreError(f"{kind_of(event)} cannot be recorded. {error}", where=self.where) from None


_RESTORE = "Restore the ledger from a backup."


def _head(connection: sa.Connection) -> Head:
    events = tables.events
    last = connection.execute(sa.select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(1)).first()
    return Head(seq=0, hash=GENESIS) if last is None else Head(seq=last.seq, hash=last.hash)


def _insert(connection: sa.Connection, rows: list[Row]) -> None:
    if rows:
        connection.execute(sa.insert(tables.events), [msgspec.structs.asdict(row) for row in rows])


def _page(connection: sa.Connection, since: int, *, kind: str | None = None, floor: bool = False) -> list[Row]:
    """Return the next rows after ``since``; from whatever is lowest, when ``floor`` asks for that."""
    events = tables.events
    query = sa.select(events).order_by(events.c.seq).limit(_PAGE)
    if not floor:
        query = query.where(events.c.seq > since)
    if kind is not None:
        query = query.where(events.c.kind == kind)
    found: list[dict[str, Any]] = [dict(row) for row in connection.execute(query).mappings()]
    return [Row(**row) for row in found]
