"""The first schema: events, and the projections of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_GUARD_SQLITE = """
    CREATE TRIGGER events_no_{verb} BEFORE {verb} ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
"""
_REFUSE_POSTGRESQL = """
    CREATE FUNCTION refuse_change_of_events() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$
"""
_GUARD_POSTGRESQL = """
    CREATE TRIGGER events_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_events()
"""


def upgrade() -> None:
    """Create everything."""
    serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "briefs",
        sa.Column("brief", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("seen_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("seq", serial, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("recorded_us", sa.BigInteger, nullable=False),
        sa.Column("effective_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Index("events_of_kind", "kind", "seq"),
    )
    op.create_table(
        "findings",
        sa.Column("finding", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("signal", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("todo", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("first_us", sa.BigInteger, nullable=False),
        sa.Column("cleared_us", sa.BigInteger),
        sa.Column("alerted", sa.Text, nullable=False),
        sa.Column("seq", serial, nullable=False),
        sa.Index("findings_in_order", "seq"),
    )
    op.create_table(
        "materialisations",
        sa.Column("seq", serial, primary_key=True, autoincrement=False),
        sa.Column("store", sa.Text, nullable=False),
        sa.Column("as_of_us", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "outcome_history",
        sa.Column("prediction", sa.Text, primary_key=True),
        sa.Column("seq", serial, primary_key=True, autoincrement=False),
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("label", sa.Double),
        sa.Column("known_us", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("received_us", sa.BigInteger, nullable=False),
        sa.Column("batch", sa.Text, nullable=False),
    )
    op.create_table(
        "outcomes",
        sa.Column("prediction", sa.Text, primary_key=True),
        sa.Column("label", sa.Double),
        sa.Column("known_us", sa.BigInteger, nullable=False),
        sa.Column("confirmed_us", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("received_us", sa.BigInteger, nullable=False),
        sa.Column("batch", sa.Text, nullable=False),
        sa.Column("seq", serial, nullable=False),
        sa.Index("outcomes_since", "seq"),
    )
    op.create_table(
        "releases",
        sa.Column("release", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("brief", sa.Text, nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("seq", serial, nullable=False),
        sa.Index("releases_in_order", "seq"),
    )
    op.create_table(
        "roles",
        sa.Column("seq", serial, primary_key=True, autoincrement=False),
        sa.Column("release", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("from_us", sa.BigInteger, nullable=False),
        sa.Column("until_us", sa.BigInteger),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Index("roles_in_time", "role", "from_us"),
        sa.Index("roles_of_release", "release", "seq"),
    )
    op.create_table(
        "runs",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("brief", sa.Text, nullable=False),
        sa.Column("as_of_us", sa.BigInteger, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("started_us", sa.BigInteger, nullable=False),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("dataset", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("verdict", sa.Text),
        sa.Column("winner_reason", sa.Text),
        sa.Column("seconds", sa.Double),
        sa.Column("fit_seconds", sa.Double),
        sa.Column("resumed_steps", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("seq", serial, nullable=False),
        sa.Index("runs_in_order", "seq"),
        sa.Index("runs_of_model", "model"),
    )
    op.create_table(
        "snapshots",
        sa.Column("seq", serial, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("added_rows", sa.BigInteger, nullable=False),
        sa.Column("taken_us", sa.BigInteger, nullable=False),
        sa.Index("snapshots_of_source", "source", "seq"),
    )
    op.create_table(
        "steps",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("finished_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "trials",
        sa.Column("study", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("scores", sa.Text, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("latency_us", sa.Double, nullable=False),
        sa.Column("complexity", sa.Double, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("finished_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "windows",
        sa.Column("window", sa.Text, primary_key=True),
        sa.Column("release", sa.Text, primary_key=True),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("closed_us", sa.BigInteger, nullable=False),
        sa.Column("seq", serial, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(_GUARD_SQLITE.format(verb=verb))
    else:
        op.execute(_REFUSE_POSTGRESQL)
        op.execute(_GUARD_POSTGRESQL)
