"""Legal holds: what may neither be collected nor erased, by whom it was forbidden, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from headway.errors import DataError, NotFound, did_you_mean
from headway.loop.naming import version_called
from headway.nouns.clock import format_moment
from headway.nouns.event import HoldPlaced, HoldReleased

if TYPE_CHECKING:
    from headway.loop.store import Store

__all__ = ["Hold", "open_holds", "place_hold", "release_hold"]


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold that stands. ``subject`` is a source, a version of one (digest), or ``all``."""

    hold: str
    subject: str
    by: str
    why: str
    since: str


def open_holds(store: Store) -> list[Hold]:
    """Return the holds that stand, oldest first."""
    over = {entry.event.hold for entry in store.ledger.events(HoldReleased)}  # type: ignore[union-attr]  # of one kind
    return [
        Hold(
            hold=event.hold, subject=event.subject, by=event.by, why=event.why, since=format_moment(entry.effective_us)
        )
        for entry in store.ledger.events(HoldPlaced)
        if isinstance(event := entry.event, HoldPlaced) and event.hold not in over
    ]


def place_hold(store: Store, subject: str, *, by: str, why: str) -> Hold:
    """Forbid to delete or erase anything of a source, of a version of one, or of ``all``.

    Raises
    ------
    DataError
        When nobody says who, or why.
    NotFound
        When there is no such source or version.
    """
    _signed(by, why)
    sources = {taken.source for taken in store.ledger.snapshots()}
    if subject != "all" and subject not in sources:
        subject = version_called(store, subject)
    number = 1 + sum(1 for _ in store.ledger.events(HoldPlaced))
    store.record(HoldPlaced(hold=f"h{number}", subject=subject, by=by, why=why))
    return open_holds(store)[-1]


def release_hold(store: Store, hold: str, *, by: str, why: str) -> None:
    """End a hold.

    Raises
    ------
    DataError
        When nobody says who, or why.
    NotFound
        When no such hold stands.
    """
    _signed(by, why)
    standing = [each.hold for each in open_holds(store)]
    if hold not in standing:
        raise NotFound(f"No hold {hold!r} stands.", hint=did_you_mean(hold, standing) or "There is none.")
    store.record(HoldReleased(hold=hold, by=by, why=why))


def _signed(by: str, why: str) -> None:
    if not by.strip() or not why.strip():
        raise DataError("This needs a name and a reason.", hint="Say who (--by) and why (--why).")
