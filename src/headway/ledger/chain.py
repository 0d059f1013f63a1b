"""The chain: every row carries the hash of the row before it, so that no past can be changed unseen.

SHA-256 over a plain JSON list, not something faster: whoever audits a store should be able to check the chain in
any language, from a dump of one table, with what stands in this file.
"""

from __future__ import annotations

import hashlib
import json

import msgspec

from headway.errors import StoreCorrupt
from headway.nouns.event import Event, kind_of

__all__ = ["GENESIS", "Entry", "Head", "Row", "decoded", "link", "linked", "read_body"]

GENESIS = "0" * 64
"""What stands as the previous hash in the first row."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a chain; kept elsewhere, it proves that the past up to ``seq`` is unchanged and complete."""

    seq: int
    hash: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table ``events``; ``body`` is the event as canonical JSON."""

    seq: int
    kind: str
    recorded_us: int
    effective_us: int
    body: str
    previous: str
    hash: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One event with its place in the chain, when it was recorded, and when it took effect."""

    seq: int
    recorded_us: int
    effective_us: int
    event: Event
    hash: str


_BODY: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def read_body(body: str) -> Event:
    """Return the event that ``body`` is the JSON of; fields that a later version added are passed over."""
    return _BODY.decode(body)


def link(*, seq: int, kind: str, recorded_us: int, effective_us: int, body: str, previous: str) -> str:
    """Return the hash of a row.

    Examples
    --------
    >>> link(seq=1, kind="FindingCleared", recorded_us=5, effective_us=5, body="{}", previous=GENESIS)[:16]
    '3d52b4ac0d203a69'
    """
    parts = [seq, kind, recorded_us, effective_us, previous, body]
    return hashlib.sha256(json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def linked(event: Event, *, body: str, after: Head, recorded_us: int, effective_us: int) -> Row:
    """Return the row that follows ``after``."""
    seq, kind = after.seq + 1, kind_of(event)
    digest = link(
        seq=seq, kind=kind, recorded_us=recorded_us, effective_us=effective_us, body=body, previous=after.hash
    )
    return Row(
        seq=seq,
        kind=kind,
        recorded_us=recorded_us,
        effective_us=effective_us,
        body=body,
        previous=after.hash,
        hash=digest,
    )


def decoded(row: Row, *, where: str) -> Entry:
    """Return the entry of a row.

    Raises
    ------
    StoreCorrupt
        When its body is no event.
    """
    try:
        event = read_body(row.body)
    except msgspec.MsgspecError as error:
        raise StoreCorrupt(
            f"Event {row.seq} ({row.kind}) cannot be read: {error}.",
            where=where,
            hint="Restore the ledger from a backup; 'verify' says how far it is intact.",
        ) from error
    return Entry(seq=row.seq, recorded_us=row.recorded_us, effective_us=row.effective_us, event=event, hash=row.hash)
