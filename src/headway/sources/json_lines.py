"""JSON lines: one object a line.

Values bring types of their own. A column in which all agree has their type; of any other the values are kept as texts:
a string without its quotes, a number with all its digits, what is nested as it is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import msgspec

from headway.errors import SourceError
from headway.query.compile import quote_text
from headway.sources.opened import Opened, described, refuse_twins
from headway.sources.packing import PACKED, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from headway.query.database import Database

__all__ = ["open_json_lines"]

_HEAD_BYTES = 1 << 20
_TYPES = ("BOOLEAN", "BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT", "DOUBLE", "DATE", "TIMESTAMP")
# However many names there are, and however few objects have them all, an object is a row and no list of pairs.
_LOOK = "sample_size = -1, map_inference_threshold = -1, field_appearance_threshold = 0"


def open_json_lines(path: Path, database: Database) -> Opened:
    """Return a file of JSON objects, a column for every name that any of them has.

    Raises
    ------
    SourceError
        With the first line that is no object, or has a value without a name; or when two names differ in capitals
        alone.
    """
    if path.suffix.lower() not in PACKED and not path.read_bytes()[:_HEAD_BYTES].strip():
        raise SourceError(f"{path.name} is empty.", where=str(path), hint="One JSON object a line is wanted.")
    file = quote_text(str(path))
    fixed = "format = 'newline_delimited', records = 'true'"
    try:
        found = described(f"read_json({file}, {fixed}, {_LOOK})", database)
    except duckdb.Error:
        _refuse_broken_line(path)
        raise
    if not all(name.strip() for name in found):
        _refuse_broken_line(path)
    if any(_stands_for_a_twin(name, found) for name in found):
        names = database.rows(
            f"SELECT DISTINCT unnest(json_keys(json)) FROM read_json_objects({file}, format = 'newline_delimited') "
            "ORDER BY 1"
        )
        refuse_twins((name for (name,) in names), shown=path.name, where=str(path))
    columns = {name: kind if kind.startswith(_TYPES) and kind[-1] != "]" else "VARCHAR" for name, kind in found.items()}

    def relation(types: Mapping[str, str]) -> str:
        listed = ", ".join(f"{quote_text(name)}: {quote_text(types.get(name, kind))}" for name, kind in columns.items())
        return f"read_json({file}, {fixed}, columns = {{{listed}}})"

    return Opened(columns=columns, relation=relation, typed=True, own_types=True, first_line=1)


def _stands_for_a_twin(name: str, names: Mapping[str, str]) -> bool:
    """Whether the engine may have made up a name: of two that differ in capitals it calls the second ``A_1``."""
    stem, _, number = name.rpartition("_")
    return number.isdigit() and stem.casefold() in {other.casefold() for other in names}


def _refuse_broken_line(path: Path) -> None:
    """Raise for the first line that is no JSON object, or one with a value that has no name.

    The engine's own count of lines is not to be relied on.
    """
    empty = True
    with text_of(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                names = msgspec.json.decode(line, type=dict[str, object]) if line.strip() else {}
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                reason = str(error).rstrip(".")
                raise SourceError(
                    f"{path.name}: this line is not a JSON object: {reason}.", where=f"{path}:{number}"
                ) from None
            if not all(name.strip() for name in names):
                raise SourceError(f"{path.name}: a value has no name.", where=f"{path}:{number}", hint="Name it.")
            empty = empty and not names
    if empty:
        raise SourceError(f"{path.name} holds no value.", where=str(path), hint="One JSON object a line is wanted.")
