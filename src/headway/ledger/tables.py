"""The tables: one that is the truth (``events``), and the projections that can be made from it anew.

A projection holds nothing that the events, and the batches of outcomes in the blobs, do not say. Mappings are
kept as canonical JSON text, so that SQLite and PostgreSQL hold the same characters.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from headway.nouns.canonical import canonical_json

__all__ = [
    "ROLES",
    "Json",
    "briefs",
    "events",
    "findings",
    "materialisations",
    "metadata",
    "outcome_history",
    "outcomes",
    "projections",
    "releases",
    "roles",
    "runs",
    "snapshots",
    "steps",
    "trials",
    "windows",
]

ROLES = ("champion", "shadow", "challenger", "canary")

metadata = sa.MetaData()

# SQLite's own row number must be called INTEGER; everywhere else a sequence number is 64 bits wide.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Moment = sa.BigInteger()


class Json(sa.types.TypeDecorator[Any]):
    """A mapping as canonical JSON text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:  # noqa: ARG002  SQLAlchemy's signature
        """Return the text that is stored."""
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002  as above
        """Return the mapping that was stored."""
        return None if value is None else json.loads(value)


events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", Serial, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("recorded_us", Moment, nullable=False),
    sa.Column("effective_us", Moment, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Index("events_of_kind", "kind", "seq"),
)

_GUARDS = {
    "sqlite": [
        f"""
        CREATE TRIGGER events_no_{verb} BEFORE {verb} ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
        """
        for verb in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        """
        CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$
        """,
        """
        CREATE TRIGGER events_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events()
        """,
    ],
}


@sa.event.listens_for(events, "after_create")
def _guard(_: sa.Table, connection: sa.Connection, **__: Any) -> None:
    """Let the database itself refuse to change an event."""
    for text in _GUARDS[connection.dialect.name]:
        connection.exec_driver_sql(text)


briefs = sa.Table(
    "briefs",
    metadata,
    sa.Column("brief", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("seen_us", Moment, nullable=False),
)

snapshots = sa.Table(
    "snapshots",
    metadata,
    sa.Column("seq", Serial, primary_key=True, autoincrement=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("snapshot", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("files", sa.BigInteger, nullable=False),
    sa.Column("added_rows", sa.BigInteger, nullable=False),
    sa.Column("taken_us", Moment, nullable=False),
    sa.Index("snapshots_of_source", "source", "seq"),
    sa.Index("snapshots_of_version", "snapshot", "seq"),
)

steps = sa.Table(
    "steps",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("output", Json, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("finished_us", Moment, nullable=False),
)

runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("brief", sa.Text, nullable=False),
    sa.Column("as_of_us", Moment, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("environment", Json, nullable=False),
    sa.Column("started_us", Moment, nullable=False),
    sa.Column("ended_us", Moment),
    sa.Column("dataset", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("verdict", sa.Text),
    sa.Column("winner_reason", sa.Text),
    sa.Column("seconds", sa.Double),
    sa.Column("fit_seconds", sa.Double),
    sa.Column("resumed_steps", sa.BigInteger),
    sa.Column("error", sa.Text),
    sa.Column("seq", Serial, nullable=False),
    sa.Index("runs_in_order", "seq"),
    sa.Index("runs_of_model", "model"),
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("algorithm", sa.Text, nullable=False),
    sa.Column("settings", Json, nullable=False),
    sa.Column("scores", Json, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("latency_us", sa.Double, nullable=False),
    sa.Column("complexity", sa.Double, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("finished_us", Moment, nullable=False),
)

releases = sa.Table(
    "releases",
    metadata,
    sa.Column("release", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("run", sa.Text, nullable=False),
    sa.Column("brief", sa.Text, nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("made_us", Moment, nullable=False),
    sa.Column("seq", Serial, nullable=False),
    sa.Index("releases_in_order", "seq"),
)

# Who served in which role, from when to when. A release has at most one open span; of champions there is one.
roles = sa.Table(
    "roles",
    metadata,
    sa.Column("seq", Serial, primary_key=True, autoincrement=False),
    sa.Column("release", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("from_us", Moment, nullable=False),
    sa.Column("until_us", Moment),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Index("roles_of_release", "release", "seq"),
    sa.Index("roles_in_time", "role", "from_us"),
)

materialisations = sa.Table(
    "materialisations",
    metadata,
    sa.Column("seq", Serial, primary_key=True, autoincrement=False),
    sa.Column("store", sa.Text, nullable=False),
    sa.Column("as_of_us", Moment, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("made_us", Moment, nullable=False),
    sa.Column("snapshots", Json, nullable=False, server_default="{}"),
    sa.Index("materialisations_of_store", "store", "seq"),
)

# What stands for each prediction since known_us, said for the last time at confirmed_us. Of a category, category is
# the class that came and label its place among the classes of the release that answered; -1 where it knows none such.
outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("prediction", sa.Text, primary_key=True),
    sa.Column("label", sa.Double),
    sa.Column("category", sa.Text),
    sa.Column("known_us", Moment, nullable=False),
    sa.Column("confirmed_us", Moment, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("received_us", Moment, nullable=False),
    sa.Column("batch", sa.Text, nullable=False),
    sa.Column("seq", Serial, nullable=False),
    sa.Index("outcomes_since", "seq"),
)

# Everything that was ever said, each thing once.
outcome_history = sa.Table(
    "outcome_history",
    metadata,
    sa.Column("prediction", sa.Text, primary_key=True),
    sa.Column("seq", Serial, primary_key=True, autoincrement=False),
    sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("label", sa.Double),
    sa.Column("category", sa.Text),
    sa.Column("known_us", Moment, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("received_us", Moment, nullable=False),
    sa.Column("batch", sa.Text, nullable=False),
)

windows = sa.Table(
    "windows",
    metadata,
    sa.Column("window", sa.Text, primary_key=True),
    sa.Column("release", sa.Text, primary_key=True),
    sa.Column("summary", Json, nullable=False),
    sa.Column("closed_us", Moment, nullable=False),
    sa.Column("seq", Serial, nullable=False),
)

findings = sa.Table(
    "findings",
    metadata,
    sa.Column("finding", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("signal", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("since_us", Moment, nullable=False),
    sa.Column("at_us", Moment, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("todo", sa.Text, nullable=False),
    sa.Column("evidence", Json, nullable=False),
    sa.Column("first_us", Moment, nullable=False),
    sa.Column("cleared_us", Moment),
    sa.Column("alerted", sa.Text, nullable=False),
    sa.Column("seq", Serial, nullable=False),
    sa.Index("findings_in_order", "seq"),
)

projections: tuple[sa.Table, ...] = tuple(table for table in metadata.sorted_tables if table is not events)
"""Every table that a rebuild empties and fills again."""
