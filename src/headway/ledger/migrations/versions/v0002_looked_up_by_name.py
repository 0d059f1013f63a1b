"""Indexes for walking back: a filling of the online store by its version, a snapshot by its digest."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes; no row changes."""
    op.create_index("materialisations_of_store", "materialisations", ["store", "seq"])
    op.create_index("snapshots_of_version", "snapshots", ["snapshot", "seq"])
