"""JSON lines: one object a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import msgspec

from headway.errors import SourceError
from headway.query.compile import quote_text
from headway.sources.opened import Opened, described
from headway.sources.packing import PACKED, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from headway.query.database import Database

__all__ = ["open_json_lines"]

_HEAD_BYTES = 1 << 20


def open_json_lines(path: Path, database: Database) -> Opened:
    """Return a file of JSON objects, a column for every name that any of them has.

    Raises
    ------
    SourceError
        With the first line that is no object.
    """
    if path.suffix.lower() not in PACKED and not path.read_bytes()[:_HEAD_BYTES].strip():
        raise SourceError(f"{path.name} is empty.", where=str(path), hint="One JSON object a line is wanted.")
    file = quote_text(str(path))
    fixed = "format = 'newline_delimited', records = 'true'"
    try:
        columns = described(f"read_json({file}, {fixed}, sample_size = -1)", database)
    except duckdb.Error:
        _refuse_broken_line(path)
        raise
    listed = ", ".join(f"{quote_text(name)}: {quote_text(kind)}" for name, kind in columns.items())
    text = f"read_json({file}, {fixed}, columns = {{{listed}}})"
    return Opened(columns=columns, relation=lambda _: text, typed=False, first_line=1)


def _refuse_broken_line(path: Path) -> None:
    """Raise for the first line that is no JSON object; the engine's own count of lines is not to be relied on."""
    with text_of(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                if line.strip():
                    msgspec.json.decode(line, type=dict[str, object])
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                reason = str(error).rstrip(".")
                raise SourceError(
                    f"{path.name}: this line is not a JSON object: {reason}.", where=f"{path}:{number}"
                ) from None
