"""Rows that are worked on in parts, so that memory is for one of them.

Those of one part are a table. Those of many wait in files, laid out as they come: without a sort, in no memory, and in
less room than the engine would spill them into. The file hides which of the two it is, and what the files are called.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from headway.query.asking import PART
from headway.query.compile import quote, quote_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from headway.query.database import Database

__all__ = ["Parted"]

_NOTHING = "nothing.parquet"
_FORMAT = "(FORMAT parquet"


class Parted:
    """Rows by the number that their column ``@part`` has.

    Parameters
    ----------
    parts
        How many there are.
    known_well
        Each is a table when it is worked on. Of a table's columns the engine knows more than of a file's, such as how
        long the longest text is, and sorts them in half the time; who sorts nothing need not copy them.

    Examples
    --------
    >>> from headway.query.database import Database
    >>> with Database() as database:
    ...     rows = Parted(database, parts=2)
    ...     rows.add('SELECT i, i % 2 AS "@part" FROM range(5) t(i)')
    ...     [sorted(database.rows(f"SELECT * FROM {table}")) for table in rows]
    [[(0,), (2,), (4,)], [(1,), (3,)]]
    """

    def __init__(self, database: Database, *, parts: int, known_well: bool = True) -> None:
        self._database = database
        self._parts = parts
        self._known_well = known_well
        self._table = ""
        self._folder: Path | None = None
        self._added = 0

    def add(self, sql: str) -> None:
        """Lay out the answer of ``sql``, which has the same columns every time."""
        rows = f"SELECT * EXCLUDE ({quote(PART)}) FROM ({sql})"
        if self._parts == 1:
            self._table = self._database.add(self._table, rows)
            return
        if self._folder is None:
            self._folder = self._database.folder()
            # A part that nothing is of has its columns from here.
            self._database.execute(f"COPY ({rows} LIMIT 0) TO {quote_text(str(self._folder / _NOTHING))} {_FORMAT})")
        self._added += 1
        self._database.execute(
            f"COPY ({sql}) TO {quote_text(str(self._folder))} {_FORMAT}, COMPRESSION uncompressed, "
            f"PARTITION_BY ({quote(PART)}), OVERWRITE_OR_IGNORE, FILENAME_PATTERN 'rows{self._added}_{{i}}')"
        )

    def __iter__(self) -> Iterator[str]:
        """Give the table of each part, which is dropped before the next one's is made; what is given is gone."""
        if self._folder is None:
            yield self._table
            self._database.drop(self._table)
            return
        laid = (each for each in self._folder.iterdir() if each.is_dir())
        files = {int(each.name.rpartition("=")[2]): sorted(each.iterdir()) for each in laid}
        for part in range(self._parts):
            listed = ", ".join(quote_text(str(each)) for each in files.get(part, [self._folder / _NOTHING]))
            rows = f"read_parquet([{listed}], hive_partitioning = false)"
            if not self._known_well:
                yield rows
                continue
            table = self._database.create(f"SELECT * FROM {rows}", prefix="part")
            yield table
            self._database.drop(table)
        shutil.rmtree(self._folder)
