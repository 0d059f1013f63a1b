"""What each event does to the tables that are asked; a fold, the same when it happens and when it is replayed.

Nothing here reads a clock, a file or a setting: all that a projection needs stands in the event and its entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from headway.errors import NotFound
from headway.ledger import tables
from headway.ledger.upsert import upsert
from headway.nouns import event as happened

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.ledger.chain import Entry

__all__ = ["project"]


def project(connection: sa.Connection, entry: Entry) -> None:
    """Carry ``entry`` into the tables.

    ``OutcomesReceived`` is not carried here: its rows are in its batch, see ``outcomes.settled``.

    Raises
    ------
    NotFound
        When it speaks of a run, release or finding that there is none of; nothing is written then.
    """
    handler = _HANDLERS.get(type(entry.event))
    if handler is not None:
        handler(connection, entry.event, entry)


def _put(connection: sa.Connection, table: sa.Table, row: dict[str, Any], *, keep: tuple[str, ...] = ()) -> None:
    """Insert ``row``, or replace the one with its key but for the columns of ``keep``."""
    keys = [column.name for column in table.primary_key]
    insert = upsert(connection, table).values(row)
    changed = {name: insert.excluded[name] for name in row if name not in keys and name not in keep}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed))


def _fields(event: happened.Event, **more: Any) -> dict[str, Any]:
    return msgspec.structs.asdict(event) | more


def _brief_seen(connection: sa.Connection, event: happened.BriefSeen, entry: Entry) -> None:
    _put(connection, tables.briefs, _fields(event, seen_us=entry.effective_us), keep=("seen_us",))


def _snapshot_taken(connection: sa.Connection, event: happened.SnapshotTaken, entry: Entry) -> None:
    _put(connection, tables.snapshots, _fields(event, seq=entry.seq, taken_us=entry.effective_us))


def _step_finished(connection: sa.Connection, event: happened.StepFinished, entry: Entry) -> None:
    _put(connection, tables.steps, _fields(event, finished_us=entry.effective_us))


def _trial_finished(connection: sa.Connection, event: happened.TrialFinished, entry: Entry) -> None:
    _put(connection, tables.trials, _fields(event, finished_us=entry.effective_us))


def _run_started(connection: sa.Connection, event: happened.RunStarted, entry: Entry) -> None:
    ended = ("ended_us", "dataset", "model", "verdict", "winner_reason", "seconds", "fit_seconds", "resumed_steps")
    row = _fields(event, state="running", started_us=entry.effective_us, seq=entry.seq, error=None)
    _put(connection, tables.runs, row | dict.fromkeys(ended), keep=("started_us", "seq"))


def _run_finished(connection: sa.Connection, event: happened.RunFinished, entry: Entry) -> None:
    _change(connection, tables.runs, _fields(event, state="finished", ended_us=entry.effective_us, error=None))


def _run_failed(connection: sa.Connection, event: happened.RunFailed, entry: Entry) -> None:
    _change(connection, tables.runs, _fields(event, state="failed", ended_us=entry.effective_us))


def _release_made(connection: sa.Connection, event: happened.ReleaseMade, entry: Entry) -> None:
    _put(
        connection,
        tables.releases,
        _fields(event, made_us=entry.effective_us, seq=entry.seq),
        keep=("made_us", "seq"),
    )


def _release_activated(connection: sa.Connection, event: happened.ReleaseActivated, entry: Entry) -> None:
    for release in filter(None, (event.release, event.replaces)):
        _leave_roles(connection, release, entry)
    _take_role(connection, event.release, event.role, by=event.by, why=event.why, entry=entry)


def _release_rolled_back(connection: sa.Connection, event: happened.ReleaseRolledBack, entry: Entry) -> None:
    for release in (event.release, event.back_to):
        _leave_roles(connection, release, entry)
    _take_role(connection, event.back_to, "champion", by=event.by, why=event.why, entry=entry)


def _release_withdrawn(connection: sa.Connection, event: happened.ReleaseWithdrawn, entry: Entry) -> None:
    _leave_roles(connection, event.release, entry)


def _store_materialised(connection: sa.Connection, event: happened.StoreMaterialised, entry: Entry) -> None:
    _put(connection, tables.materialisations, _fields(event, seq=entry.seq, made_us=entry.effective_us))


def _window_closed(connection: sa.Connection, event: happened.WindowClosed, entry: Entry) -> None:
    _put(connection, tables.windows, _fields(event, closed_us=entry.effective_us, seq=entry.seq))


def _finding_raised(connection: sa.Connection, event: happened.FindingRaised, entry: Entry) -> None:
    row = _fields(event, first_us=event.at_us, cleared_us=None, alerted="", seq=entry.seq)
    _put(connection, tables.findings, row, keep=("first_us", "alerted", "seq"))


def _finding_cleared(connection: sa.Connection, event: happened.FindingCleared, entry: Entry) -> None:  # noqa: ARG001  one shape for all
    _change(connection, tables.findings, {"finding": event.finding, "cleared_us": event.at_us})


def _alerted(connection: sa.Connection, event: happened.Alerted, entry: Entry) -> None:  # noqa: ARG001  one shape for all
    _change(connection, tables.findings, {"finding": event.finding, "alerted": event.to})


def _change(connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> None:
    """Change the columns of ``row`` in the one row with its key."""
    (key,) = table.primary_key
    changed = {name: value for name, value in row.items() if name != key.name}
    if connection.execute(sa.update(table).where(key == row[key.name]).values(changed)).rowcount != 1:
        raise NotFound(f"The ledger knows no {key.name} {row[key.name]!r}.")


def _leave_roles(connection: sa.Connection, release: str, entry: Entry) -> None:
    if connection.scalar(sa.select(tables.releases.c.seq).where(tables.releases.c.release == release)) is None:
        raise NotFound(f"The ledger knows no release {release!r}.")
    _end(connection, tables.roles.c.release == release, entry)


def _take_role(connection: sa.Connection, release: str, role: str, *, by: str, why: str, entry: Entry) -> None:
    if role not in tables.ROLES:
        raise ValueError(f"A release cannot become {role!r}; the roles are {', '.join(tables.ROLES)}.")
    if role == "champion":
        _end(connection, tables.roles.c.role == role, entry)
    row = {"seq": entry.seq, "release": release, "role": role, "by": by, "why": why, "from_us": entry.effective_us}
    _put(connection, tables.roles, row | {"until_us": None})


def _end(connection: sa.Connection, which: sa.ColumnElement[bool], entry: Entry) -> None:
    spans = sa.update(tables.roles).where(which, tables.roles.c.until_us.is_(None))
    connection.execute(spans.values(until_us=entry.effective_us))


_HANDLERS: dict[type[Any], Callable[[sa.Connection, Any, Entry], None]] = {
    happened.Alerted: _alerted,
    happened.BriefSeen: _brief_seen,
    happened.FindingCleared: _finding_cleared,
    happened.FindingRaised: _finding_raised,
    happened.ReleaseActivated: _release_activated,
    happened.ReleaseMade: _release_made,
    happened.ReleaseRolledBack: _release_rolled_back,
    happened.ReleaseWithdrawn: _release_withdrawn,
    happened.RunFailed: _run_failed,
    happened.RunFinished: _run_finished,
    happened.RunStarted: _run_started,
    happened.SnapshotTaken: _snapshot_taken,
    happened.StepFinished: _step_finished,
    happened.StoreMaterialised: _store_materialised,
    happened.TrialFinished: _trial_finished,
    happened.WindowClosed: _window_closed,
}
