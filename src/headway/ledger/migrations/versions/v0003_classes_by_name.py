"""Outcomes of categories: the class that came, by name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was told before was of no category."""
    op.add_column("outcomes", sa.Column("category", sa.Text))
    op.add_column("outcome_history", sa.Column("category", sa.Text))
