"""Fillings of the online store: the version of each source that one was made from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; earlier fillings did not say."""
    op.add_column("materialisations", sa.Column("snapshots", sa.Text, nullable=False, server_default="{}"))
