"""The contract of a source: what its next part must be, as frozen data with pure functions.

It is inferred from a reference, written as JSON that a person may edit, and named by the hash of what it says. Its
checks of single values are one list of :class:`~headway.nouns.change.Check`; the engine's text of a check is in
``data/contract.py``, its answer for one value here, and a property test holds both equal.
"""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from headway.errors import DataError, did_you_mean
from headway.nouns.change import Change, Check, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headway.nouns.profile import ColumnProfile, Reference

__all__ = [
    "ColumnContract",
    "Contract",
    "Result",
    "ResultState",
    "checks_of",
    "contract_of",
    "infer",
    "merged",
    "passes",
    "row_checks",
    "text_of",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_NAMED = 50  # more categories than that, and nobody reads the list


class ColumnContract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is expected of one column.

    Attributes
    ----------
    missing_at_most
        The largest share of missing values; 0 means that a value must be there.
    at_least, at_most
        Bounds of numbers: the range so far with a margin of a quarter.
    values
        The categories, where there are few.
    unseen
        What becomes of a value that is none of them.
    """

    kind: Literal["bool", "int", "float", "text", "time"]
    missing_at_most: float = 1.0
    at_least: float | None = None
    at_most: float | None = None
    values: tuple[str, ...] = ()
    unseen: Literal["fail", "allow"] = "allow"


class Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is expected of a source's next part.

    Attributes
    ----------
    rows_at_least, rows_at_most
        Rows in a period of ``period_days``; in a whole delivery where that is 0.
    late_at_most_days
        How old the newest event may be; None where nobody can tell.
    """

    source: str
    columns: dict[str, ColumnContract]
    key: tuple[str, ...] = ()
    key_unique: bool = False
    time: str = ""
    period_days: int = 0
    rows_at_least: int | None = None
    rows_at_most: int | None = None
    late_at_most_days: float | None = None

    @property
    def digest(self) -> str:
        """The version of the contract: the hash of what it says."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()


ResultState = Literal["passed", "failed", "not run"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One clause of a contract held against a part; what could not be looked at is never 'passed'."""

    clause: str
    state: ResultState
    column: str = ""
    words: str = ""
    change: Change | None = None


def infer(source: str, reference: Reference) -> Contract:
    """Return the contract that a reference suggests.

    Examples
    --------
    >>> from headway.nouns.profile import ColumnProfile, Profile, Reference
    >>> age = ColumnProfile(name="age", kind="int", rows=10, least=20, most=60, quantiles=(20, 40, 60))
    >>> found = infer("people", Reference(whole=Profile(rows=10, columns={"age": age})))
    >>> found.columns["age"].at_least, found.columns["age"].at_most, found.columns["age"].missing_at_most
    (10.0, 70.0, 0.0)
    """
    rows = [window.rows for window in reference.windows] or [reference.whole.rows]
    days = reference.period_days
    lag = reference.lag_us
    windows = [window.columns for window in reference.windows]
    return Contract(
        source=source,
        columns={
            name: _column(column, [window[name] for window in windows if name in window], key=name in reference.key)
            for name, column in reference.whole.columns.items()
        },
        key=reference.key,
        key_unique=bool(reference.key) and reference.whole.keys_doubled == 0,
        time=reference.time,
        period_days=days,
        rows_at_least=math.floor(0.7 * min(rows)),
        rows_at_most=math.ceil(1.5 * max(rows)),
        late_at_most_days=None if lag is None else round(lag / 86_400e6 + 1.5 * days, 2),
    )


def _column(column: ColumnProfile, windows: list[ColumnProfile], *, key: bool) -> ColumnContract:
    rates = [each.missing_rate for each in (column, *windows)]
    spread = max(rates) - min(rates)
    missing = 0.0 if column.missing == 0 else min(1.0, round(max(rates) + max(0.02, 0.75 * spread), 4))
    least = most = None
    # Identifiers of new rows lie beyond all that there were.
    if not key and column.kind in {"int", "float"} and column.least is not None and column.most is not None:
        margin = 0.25 * (column.most - column.least)
        least, most = column.least - margin, column.most + margin
    named = column.kind == "text" and column.complete and len(column.counts) <= _MOST_NAMED
    return ColumnContract(
        kind=column.kind,  # type: ignore[arg-type]
        missing_at_most=missing,
        at_least=least,
        at_most=most,
        values=tuple(sorted(column.counts)) if named else (),
        unseen="fail" if named else "allow",
    )


def checks_of(contract: Contract) -> tuple[Check, ...]:
    """Return the checks that every single row must pass, in the order of the columns."""
    checks = []
    for name, column in contract.columns.items():
        if column.missing_at_most == 0:
            checks.append(Check(column=name, test="present"))
        if column.at_least is not None or column.at_most is not None:
            checks.append(Check(column=name, test="between", least=column.at_least, most=column.at_most))
        if column.values and column.unseen == "fail":
            checks.append(Check(column=name, test="among", values=column.values))
    return tuple(checks)


def row_checks(contract: Contract, kinds: Mapping[str, str]) -> tuple[Check, ...]:
    """Return the checks of a contract that a row asked about must pass, whose fields have these kinds.

    A field of another type than was agreed passes nothing but a missing value: its check wants one of no values.

    Examples
    --------
    >>> column = ColumnContract(kind="int", at_least=1, at_most=9)
    >>> agreed = Contract(source="s", columns={"size": column, "name": column, "late": column})
    >>> [(check.column, check.test) for check in row_checks(agreed, {"name": "text", "size": "float"})]
    [('size', 'between'), ('name', 'among')]
    """
    checks = [check for check in checks_of(contract) if check.column in kinds]
    other = {
        name
        for name, kind in kinds.items()
        if name in contract.columns
        and kind != contract.columns[name].kind
        and {kind, contract.columns[name].kind} != {"int", "float"}
    }
    return (
        *(check for check in checks if check.column not in other or check.test == "present"),
        *(Check(column=name, test="among") for name in contract.columns if name in other),
    )


def passes(check: Check, value: Any) -> bool:
    """Return whether one value passes: numbers, texts, booleans, and moments as aware ``datetime``.

    Examples
    --------
    >>> bounds = Check(column="age", test="between", least=0, most=120)
    >>> passes(bounds, 44), passes(bounds, -999), passes(bounds, None)
    (True, False, True)
    """
    if check.test == "present":
        return value is not None
    if value is None:
        return True
    if check.test == "day":
        return str(value.astimezone(UTC).date()) in check.values
    if check.test == "between":
        number = (value - _EPOCH) / timedelta(microseconds=1) if isinstance(value, datetime) else float(value)
        least = -math.inf if check.least is None else check.least
        most = math.inf if check.most is None else check.most
        return math.isfinite(number) and least <= number <= most
    among = any(_same(value, each) for each in check.values)
    return among if check.test == "among" else not among


def _same(value: Value, other: Value) -> bool:
    if isinstance(value, str) or isinstance(other, str):
        return value == other
    return float(value) == float(other)


def text_of(contract: Contract) -> str:
    """Return the contract as the JSON that a person edits."""
    return msgspec.json.format(msgspec.json.encode(contract), indent=2).decode() + "\n"


def contract_of(text: str, *, where: str) -> Contract:
    """Return the contract that a file says.

    Raises
    ------
    DataError
        When it is no contract: what stands there, and where.
    """
    try:
        contract = msgspec.json.decode(text.encode(), type=Contract)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise DataError(
            f"This is no contract: {_in_column(text) or error}.",
            where=where,
            hint="Mend it, or delete the file and infer it anew: headway data contract infer.",
        ) from None
    for name, column in contract.columns.items():
        if column.kind == "text" and (column.at_least is not None or column.at_most is not None):
            raise DataError(
                f"Column {name!r} is text and has bounds; only numbers and moments have them.",
                where=where,
                hint="Take 'at_least' and 'at_most' away, or say its values.",
            )
    for wrong in _senseless(contract):
        raise DataError(wrong, where=where, hint="Mend it, or infer the contract anew: headway data contract infer.")
    return contract


def _senseless(contract: Contract) -> Iterator[str]:
    """Yield what stands in a contract and cannot be meant: nothing could pass it, or everything would."""
    for name, column in contract.columns.items():
        if not 0 <= column.missing_at_most <= 1:
            yield f"Column {name!r} has missing_at_most = {column.missing_at_most:g}; it is a share, from 0 to 1."
        low, high = column.at_least, column.at_most
        if low is not None and high is not None and low > high:
            yield f"Column {name!r} has at_least = {low:g} above at_most = {high:g}; no value would pass."
    named = {"key": contract.key, "time": (contract.time,) if contract.time else ()}
    for field, columns in named.items():
        for name in columns:
            if name not in contract.columns:
                near = did_you_mean(name, contract.columns)
                yield f"{field} names {name!r}, which is no column of the contract. {near}".strip()
    least, most = contract.rows_at_least, contract.rows_at_most
    if least is not None and most is not None and least > most:
        yield f"rows_at_least = {least:,} is above rows_at_most = {most:,}; no delivery would pass."
    for field in ("period_days", "rows_at_least", "rows_at_most", "late_at_most_days"):
        value = getattr(contract, field)
        if value is not None and value < 0:
            yield f"{field} = {value:g} is below nought."


def _in_column(text: str) -> str:
    """Return what is wrong in a column, by its name; nothing where the fault lies elsewhere."""
    try:
        columns = msgspec.json.decode(text.encode())["columns"]
    except (msgspec.MsgspecError, UnicodeError, KeyError, TypeError):
        return ""
    for name, column in columns.items() if isinstance(columns, dict) else ():
        try:
            msgspec.convert(column, ColumnContract)
        except msgspec.ValidationError as error:
            return f"column {name!r}: {error}"
    return ""


def merged(edited: Contract, before: Contract, fresh: Contract) -> Contract:
    """Return a contract inferred anew in which what a person edited since ``before`` stays as it was edited.

    Examples
    --------
    >>> old = Contract(source="s", columns={"a": ColumnContract(kind="int", at_most=5)}, rows_at_least=10)
    >>> new = Contract(source="s", columns={"a": ColumnContract(kind="int", at_most=9)}, rows_at_least=20)
    >>> mine = Contract(source="s", columns={"a": ColumnContract(kind="int", at_most=6)}, rows_at_least=10)
    >>> found = merged(mine, old, new)
    >>> found.columns["a"].at_most, found.rows_at_least
    (6.0, 20)
    """
    parts = [msgspec.to_builtins(each) for each in (edited, before, fresh)]
    return msgspec.convert(_merged(*parts), Contract)


def _merged(edited: Mapping[str, Any], before: Mapping[str, Any], fresh: Mapping[str, Any]) -> dict[str, Any]:
    result = {}
    for name in [*fresh, *(name for name in edited if name not in fresh)]:
        mine, old, new = (each.get(name, msgspec.UNSET) for each in (edited, before, fresh))
        if isinstance(mine, dict) and isinstance(new, dict):
            result[name] = _merged(mine, old if isinstance(old, dict) else {}, new)
        else:
            kept = new if mine == old else mine
            if kept is not msgspec.UNSET:
                result[name] = kept
    return result
