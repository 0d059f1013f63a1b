"""Holds a part of a source against its contract, and finds the first bad row.

Hidden is the engine's text of a check. Each clause of the contract ends as passed, failed or not run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from headway.data.changes import changes_of
from headway.nouns.contract import Contract, Result, checks_of
from headway.nouns.profile import DAY_US
from headway.query.compile import quote, quote_text
from headway.query.functions import SQL_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headway.nouns.change import Change, Check, Value
    from headway.nouns.contract import ColumnContract, ResultState
    from headway.nouns.profile import ColumnProfile, Profile, Reference
    from headway.query.database import Database

__all__ = ["check_part", "first_bad", "known_of", "sql_of"]


def sql_of(check: Check, kind: str) -> str:
    """Return the engine's condition that a value of a column of ``kind`` passes; it is never NULL.

    Examples
    --------
    >>> from headway.nouns.change import Check
    >>> sql_of(Check(column="age", test="present"), "int")
    '("age" IS NOT NULL)'
    """
    column = quote(check.column)
    if check.test == "present":
        return f"({column} IS NOT NULL)"
    if check.test == "day":
        condition = f"strftime({column}, '%Y-%m-%d') IN ({_listed(check.values)})" if check.values else "false"
    elif check.test == "between":
        number = f"CAST(epoch_us({column}) AS DOUBLE)" if kind == "time" else f"CAST({column} AS DOUBLE)"
        parts = [f"isfinite({number})"]
        parts += [f"{number} >= {_number(check.least)}"] if check.least is not None else []
        parts += [f"{number} <= {_number(check.most)}"] if check.most is not None else []
        condition = " AND ".join(parts)
    else:
        condition = _among(column, check.values, kind)
        condition = condition if check.test == "among" else f"NOT ({condition})"
    return f"({column} IS NULL OR coalesce({condition}, false))"


def _among(column: str, values: Sequence[Value], kind: str) -> str:
    texts = [value for value in values if isinstance(value, str)]
    numbers = [float(value) for value in values if not isinstance(value, str)]
    if kind == "text":
        return f"{column} IN ({_listed(texts)})" if texts else "false"
    number = f"CAST({column} AS DOUBLE)"
    return f"{number} IN ({', '.join(map(_number, numbers))})" if numbers else "false"


def _listed(values: Sequence[Value]) -> str:
    return ", ".join(quote_text(str(value)) for value in values)


def _number(value: float | None) -> str:
    assert value is not None
    return f"'{value!r}'::DOUBLE" if math.isfinite(value) else f"'{'-' if value < 0 else ''}inf'::DOUBLE"


def first_bad(
    database: Database, relation: str, check: Check, kind: str, *, row: str = "row_number() OVER ()", file: str = "''"
) -> tuple[str, int] | None:
    """Return the file and the row, from 1, of the first value that fails a check; None where all pass.

    Parameters
    ----------
    row, file
        Expressions of the row's number in its file and of the file's name.
    """
    return _first(database, relation, f"NOT {sql_of(check, kind)}", row=row, file=file)


def _first(database: Database, relation: str, bad: str, *, row: str, file: str) -> tuple[str, int] | None:
    """Return the file and the row of the first of which ``bad`` is true."""
    found = database.rows(
        f'SELECT "@file", "@row" FROM (SELECT {file} AS "@file", {row} AS "@row", {bad} AS "@bad" FROM {relation}) '
        'WHERE "@bad" ORDER BY "@file", "@row" LIMIT 1'
    )
    return (str(found[0][0]), int(found[0][1])) if found else None


def _first_again(
    database: Database, relation: str, columns: Sequence[str], *, row: str, file: str
) -> tuple[str, int] | None:
    """Return the file and the row of the first that is like an earlier one in some columns."""
    same = f"hash({', '.join(map(quote, columns))})"
    place = f"struct_pack(f := {file}, r := {row})"
    found = database.rows(
        f'SELECT again.f, again.r FROM (SELECT min("@place", 2)[2] AS again FROM '
        f'(SELECT {same} AS "@same", {place} AS "@place" FROM {relation}) GROUP BY "@same") '
        "WHERE again IS NOT NULL ORDER BY again LIMIT 1"
    )
    return (str(found[0][0]), int(found[0][1])) if found else None


def check_part(
    database: Database,
    relation: str,
    part: Profile,
    *,
    contract: Contract,
    reference: Reference | None,
    now_us: int | None = None,
    row: str = "row_number() OVER ()",
    file: str = "''",
) -> list[Result]:
    """Return every clause of the contract with its state, and after them what the reference says has changed."""
    kinds = {name: column.kind for name, column in part.columns.items()}
    results = [*_schema(contract, part), *_values(database, relation, contract, part, row=row, file=file)]
    results += [*_shares(contract, part), *_whole(contract, part, reference, now_us)]
    if reference is None:
        return [*results, Result(clause="changes", state="not run", words="There is nothing to hold the part against.")]
    changes = changes_of(part, reference, now_us=now_us)
    for change in changes:
        if change.kind in {"duplicates", "key not unique"}:
            same = reference.key if change.kind == "key not unique" else list(kinds)
            place = _first_again(database, relation, same, row=row, file=file)
        else:
            bad = _bad_sql(change, kinds, contract.columns)
            place = _first(database, relation, bad, row=row, file=file) if bad else None
        placed = change if place is None else msgspec.structs.replace(change, file=place[0], row=place[1])
        results.append(
            Result(clause=change.kind, state="failed", column=change.column, words=change.words, change=placed)
        )
    return results or [Result(clause="changes", state="passed")]


def _bad_sql(change: Change, kinds: Mapping[str, str], agreed: Mapping[str, ColumnContract]) -> str:
    """Return the condition of a row that is at fault; empty where no row is at fault alone."""
    if change.bad is not None:
        return f"NOT {sql_of(change.bad, kinds[change.bad.column])}" if change.bad.column in kinds else ""
    if change.kind == "type changed" and kinds.get(change.column) == "text" and change.column in agreed:
        column = quote(change.column)
        return f"{column} IS NOT NULL AND TRY_CAST({column} AS {SQL_TYPES[agreed[change.column].kind]}) IS NULL"
    return ""


def _schema(contract: Contract, part: Profile) -> list[Result]:
    results = []
    for name, column in contract.columns.items():
        there = part.columns.get(name)
        fits = there is not None and (there.kind == column.kind or (there.kind, column.kind) == ("int", "float"))
        # A column without any value is of no type.
        fits = fits or (there is not None and there.present == 0)
        words = "" if fits else f"{name!r} is {'not there' if there is None else there.kind}; wanted: {column.kind}."
        results.append(Result(clause="type", state="passed" if fits else "failed", column=name, words=words))
    return results


def _values(
    database: Database, relation: str, contract: Contract, part: Profile, *, row: str, file: str
) -> list[Result]:
    """Return the checks of single values: what the profile knows of all rows is not counted again, the rest at once."""
    kinds = {name: column.kind for name, column in part.columns.items()}
    able = [c for c in checks_of(contract) if _able(c, kinds.get(c.column, ""), contract)]
    bad = {check: known for check in able if (known := known_of(check, part.columns[check.column])) is not None}
    open_ = [check for check in able if check not in bad]
    if open_:
        counts = ", ".join(f"count(*) FILTER (NOT {sql_of(check, kinds[check.column])})" for check in open_)
        bad.update(zip(open_, database.rows(f"SELECT {counts} FROM {relation}")[0], strict=True))
    results = []
    for check in checks_of(contract):
        if check not in bad:
            words = "The column is not there, or of another type."
            results.append(Result(clause=check.test, state="not run", column=check.column, words=words))
            continue
        place = first_bad(database, relation, check, kinds[check.column], row=row, file=file) if bad[check] else None
        at = f", first in row {place[1]}{f' of {place[0]}' if place[0] else ''}" if place else ""
        words = f"{bad[check]:,} values of {check.column!r} fail{at}." if place else ""
        state: ResultState = "failed" if bad[check] else "passed"
        results.append(Result(clause=check.test, state=state, column=check.column, words=words))
    return results


def known_of(check: Check, column: ColumnProfile) -> int | None:
    """Return how many values fail a check, where a profile tells it of all rows; None where they must be looked at."""
    if check.test == "present":
        return column.missing
    if column.present == 0:
        return 0
    if check.test == "between" and column.least is not None and column.most is not None:
        within = (check.least is None or column.least >= check.least) and (
            check.most is None or column.most <= check.most
        )
        # What is no number counts as the greatest, and is within nothing.
        return 0 if within and math.isfinite(column.least) and math.isfinite(column.most) else None
    if check.test in {"among", "other"} and column.kind == "text" and column.complete:
        listed = {value for value in check.values if isinstance(value, str)}
        count = sum(n for value, n in column.counts.items() if value in listed)
        return column.present - count if check.test == "among" else count
    return None


def _able(check: Check, kind: str, contract: Contract) -> bool:
    wanted = contract.columns[check.column].kind
    return bool(kind) and (kind == wanted or {kind, wanted} == {"int", "float"} or check.test == "present")


def _shares(contract: Contract, part: Profile) -> list[Result]:
    results = []
    for name, column in contract.columns.items():
        there = part.columns.get(name)
        if there is None or part.rows == 0:
            results.append(Result(clause="missing", state="not run", column=name, words="There is nothing to count."))
            continue
        bad = there.missing_rate > column.missing_at_most
        words = f"{there.missing_rate:.1%} of {name!r} is missing; at most {column.missing_at_most:.1%} may."
        results.append(
            Result(clause="missing", state="failed" if bad else "passed", column=name, words=words if bad else "")
        )
    return results


def _whole(contract: Contract, part: Profile, reference: Reference | None, now_us: int | None) -> list[Result]:
    results = []
    if contract.key_unique:
        doubled = part.keys_doubled
        state: ResultState = "not run" if doubled is None else "failed" if doubled else "passed"
        words = f"{doubled:,} rows have a key that another has." if doubled else ""
        if doubled is None:
            words = "A column of the key is not there."
        results.append(Result(clause="key unique", state=state, words=words))
    if contract.rows_at_least is not None and contract.rows_at_most is not None:
        first_us, last_us = part.first_us, part.last_us
        days = 0.0 if first_us is None or last_us is None else (last_us - first_us) / DAY_US
        periods = max(1.0, days / contract.period_days) if contract.period_days else 1.0
        fits = contract.rows_at_least <= part.rows / periods <= contract.rows_at_most
        state = "passed" if fits else "failed"
        words = f"{part.rows:,} rows; from {contract.rows_at_least:,} to {contract.rows_at_most:,} a period are usual."
        if reference is not None and 0 < reference.period_days < contract.period_days and days < contract.period_days:
            state, fits = "not run", False
            words = f"Rows are agreed for {contract.period_days} days, and the part covers fewer, as parts do."
        results.append(Result(clause="rows", state=state, words="" if fits else words))
    if contract.late_at_most_days is None or now_us is None or part.last_us is None:
        results.append(Result(clause="fresh", state="not run", words="Nobody knows how fresh the source should be."))
    else:
        late = (now_us - part.last_us) / DAY_US
        fits = late <= contract.late_at_most_days
        words = f"The newest event is {late:.1f} days old; at most {contract.late_at_most_days} are agreed."
        results.append(Result(clause="fresh", state="passed" if fits else "failed", words="" if fits else words))
    return results
