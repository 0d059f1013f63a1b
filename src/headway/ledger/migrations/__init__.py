"""How a store of an earlier version becomes one of this version; run by Alembic when such a ledger is opened."""
