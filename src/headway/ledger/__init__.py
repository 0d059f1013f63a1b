"""What happened, in order, unchangeable; and the tables that follow from it.

Import it where it is used: it brings SQLAlchemy and pyarrow with it.
"""

from __future__ import annotations

from headway.ledger.book import LedgerBook
from headway.ledger.chain import Entry, Head
from headway.ledger.ledger import Ledger
from headway.ledger.views import (
    Finding,
    Materialisation,
    Release,
    RoleSpan,
    Run,
    Snapshot,
    Trial,
    Views,
    Window,
)

__all__ = [
    "Entry",
    "Finding",
    "Head",
    "Ledger",
    "LedgerBook",
    "Materialisation",
    "Release",
    "RoleSpan",
    "Run",
    "Snapshot",
    "Trial",
    "Views",
    "Window",
]
