"""Of what format a file is, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.sources.packing import PACKED

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FORMATS", "format_of", "is_hidden"]

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xlsb": "excel",
    ".xls": "excel",
    ".ods": "excel",
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}


def is_hidden(name: str) -> bool:
    """Whether a file is not meant to be seen, by its name: what Excel has open is locked by such a one.

    Examples
    --------
    >>> is_hidden(".b.csv"), is_hidden("~$b.xlsx"), is_hidden("b.csv")
    (True, True, False)
    """
    return name.startswith((".", "~$"))


def format_of(path: Path, given: str = "") -> str:
    """Return the format of a file: the given one, or what its name says; empty when that says nothing.

    Examples
    --------
    >>> from pathlib import Path
    >>> format_of(Path("a.csv.gz")), format_of(Path("b.PARQUET")), format_of(Path("c.doc"))
    ('csv', 'parquet', '')
    """
    if given:
        return given
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    return FORMATS.get(suffixes[-1], "") if suffixes else ""
