"""Excel's workbooks: one sheet, whose first row that holds anything names the columns."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headway.errors import MissingExtra, SourceError
from headway.sources.embedded import chosen
from headway.sources.opened import one_line, plainly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from headway.nouns.brief import Source
    from headway.query.database import Database
    from headway.sources.opened import Opened

__all__ = ["open_workbook"]

_WHOLE = 2.0**63


def open_workbook(path: Path, source: Source, name: str, database: Database) -> Opened:
    """Return a sheet of a workbook: the one that ``table`` names, or the only one.

    A column of numbers that are all whole is one of whole numbers; days and moments are moments; where a column holds
    several kinds of value, it is text.

    Raises
    ------
    SourceError
        When the file is not whole, there is no such sheet, or a column has no name.
    MissingExtra
        When the reader of workbooks is not installed.
    """
    try:
        import python_calamine as calamine
    except ImportError:
        raise MissingExtra.of("python-calamine", extra="excel") from None
    try:
        with calamine.CalamineWorkbook.from_path(str(path)) as workbook:
            sheets = workbook.sheet_names
            sheet = chosen(source.table, sheets, shown=path.name, where=str(path), source=name, thing="sheet")
            rows = workbook.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
    except calamine.CalamineError as error:
        raise SourceError(
            f"{path.name} is not a whole Excel workbook: {one_line(str(error))}",
            where=str(path),
            hint="Open it in a spreadsheet, save it as .xlsx, and see that no password is asked for.",
        ) from None
    start = next((number for number, row in enumerate(rows) if any(cell != "" for cell in row)), None)
    if start is None:
        raise SourceError(f"Sheet {sheet!r} of {path.name} is empty.", where=str(path))
    table = _table(rows, start, path=path, sheet=sheet, nulls=source.nulls)
    return plainly(database.register(table), database, first_line=start + 2)


def _table(rows: list[list[Any]], start: int, *, path: Path, sheet: str, nulls: Sequence[str]) -> pa.Table:
    header, body = rows[start], rows[start + 1 :]
    while body and all(cell == "" for cell in body[-1]):  # formatted and left empty
        body.pop()
    missing = {"", *nulls}
    columns: dict[str, pa.Array] = {}
    for position, cells in enumerate(zip(*body, strict=True) if body else [()] * len(header)):
        column = str(header[position]).strip()
        if not column:
            if all(cell == "" for cell in cells):
                continue
            raise SourceError(
                f"Column {position + 1} of sheet {sheet!r} of {path.name} has no name.",
                where=f"{path}:{start + 1}",
                hint="Name it.",
            )
        twin = next((other for other in columns if other.casefold() == column.casefold()), None)
        if twin is not None:
            raise SourceError(
                f"Sheet {sheet!r} of {path.name} has the columns {twin!r} and {column!r}, which are the same name.",
                where=f"{path}:{start + 1}",
                hint="Rename one.",
            )
        columns[column] = _column([None if isinstance(cell, str) and cell in missing else cell for cell in cells])
    return pa.table(columns)


def _column(cells: list[Any]) -> pa.Array:
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds and kinds <= {int, float}:
        whole = all(cell is None or (float(cell).is_integer() and abs(cell) < _WHOLE) for cell in cells)
        return pa.array(
            [None if cell is None else int(cell) if whole else float(cell) for cell in cells],
            pa.int64() if whole else pa.float64(),
        )
    if kinds and kinds <= {dt.date, dt.datetime}:
        return pa.array(
            [dt.datetime.combine(cell, dt.time()) if type(cell) is dt.date else cell for cell in cells],
            pa.timestamp("us"),
        )
    if kinds == {bool}:
        return pa.array(cells, pa.bool_())
    return pa.array([None if cell is None else _written(cell) for cell in cells], pa.string())


def _written(cell: object) -> str:
    """Return a cell as text: a number that is whole without its fraction, as a spreadsheet shows it."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).lower() if isinstance(cell, bool) else str(cell)
