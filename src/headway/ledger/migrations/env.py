"""What Alembic runs: the migrations, within the transaction of whoever opens the ledger."""

from __future__ import annotations

from alembic import context

from headway.ledger.tables import metadata

if (config := getattr(context, "config", None)) is not None:  # absent when a tool merely imports every module
    context.configure(connection=config.attributes["connection"], target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
