"""What a source's contract asks of the rows that are asked about, prepared once for the fields of a request.

The file hides the two forms of a check: a plain Python test for the few values of a request, and Arrow's columns for
a batch. Both answer as the engine does for a snapshot (``tests/deploy/test_terms.py``).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import UNSET

from headway.errors import RequestError
from headway.nouns.contract import row_checks
from headway.query.row_form import moment_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from headway.nouns.change import Check
    from headway.nouns.contract import Contract
    from headway.nouns.release import Release
    from headway.query.definitions import Definitions

__all__ = ["Terms", "condition_of", "fails", "terms_of"]

_LARGEST = sys.float_info.max
_MOST_NAMED = 8  # values; more of them hide what is wanted


class Terms:
    """The checks of a contract for the fields of a request.

    Parameters
    ----------
    contract
        What was agreed.
    kinds
        The fields of a request with their kinds.
    blocks
        Whether a row that breaks it is refused; otherwise it is answered with a warning.

    Attributes
    ----------
    checks
        What each row must pass.
    """

    def __init__(self, contract: Contract, kinds: Mapping[str, str], *, blocks: bool) -> None:
        self.blocks = blocks
        self.checks = row_checks(contract, kinds)
        self._kinds = dict(kinds)
        self._agreed = {name: column.kind for name, column in contract.columns.items()}
        self._source = contract.source
        self._tests = tuple((check.column, condition_of(check), check) for check in self.checks)

    def hold(self, rows: Sequence[Mapping[str, Any]], *, single: bool) -> tuple[tuple[str, ...], ...]:
        """Return the warnings of each row; nothing at all where no row breaks the contract.

        Raises
        ------
        RequestError
            When one does and that blocks: its field, what was found and what is wanted.
        """
        broken = [[check for name, test, check in self._tests if not test(row[name])] for row in rows]
        if not any(broken):
            return ()
        if self.blocks:
            at = next(place for place, checks in enumerate(broken) if checks)
            check = broken[at][0]
            where = "row" if single else f"rows[{at}]"
            raise self._error(check, rows[at][check.column], where=f"{where}.{check.column}")
        return tuple(
            tuple(self._words(check, row[check.column]) for check in checks)
            for row, checks in zip(rows, broken, strict=True)
        )

    def refuse(self, columns: Mapping[str, Any], *, first: int, where: str) -> None:
        """Do nothing where all rows of a piece of a batch keep the contract.

        Parameters
        ----------
        columns
            Arrow columns by field.
        first, where
            The number of the first row, and the file.

        Raises
        ------
        RequestError
            When one breaks it: its row and field, what was found and what is wanted.
        """
        for check in self.checks:
            column = columns[check.column]
            at = pc.index(fails(check, column), value=True).as_py()
            if at >= 0:
                place = f"{where}, row {first + at}, column {check.column}"
                raise self._error(check, column[at].as_py(), where=place)

    def warnings(self, columns: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
        """Return the warnings of the rows of Arrow columns, by place from 0, of those rows alone that have one."""
        found: dict[int, tuple[str, ...]] = {}
        for check in self.checks:
            column = columns[check.column]
            for at in pc.indices_nonzero(fails(check, column)).to_pylist():
                found[at] = (*found.get(at, ()), self._words(check, column[at].as_py()))
        return found

    def _error(self, check: Check, value: Any, *, where: str) -> RequestError:
        return RequestError(
            self._words(check, value),
            where=where,
            hint=f"Where the value is right, change contracts/{self._source}.json and make a new release.",
        )

    def _words(self, check: Check, value: Any) -> str:
        found = "is missing" if value is None else f"is {self._shown(check.column, value)}"
        wanted = self._wanted(check)
        return f"{check.column!r} {found}; wanted by the contract of {self._source!r}: {wanted}."

    def _wanted(self, check: Check) -> str:
        if check.test == "present":
            return "a value"
        if check.test == "between":
            moments = self._kinds[check.column] == "time"
            least, most = (
                "" if bound is None else moment_text(int(bound)) if moments else f"{bound:.15g}"
                for bound in (check.least, check.most)
            )
            return f"from {least} to {most}" if least and most else f"at least {least}" if least else f"at most {most}"
        if not check.values:
            return f"a value of type {self._agreed[check.column]}"
        more = len(check.values) - _MOST_NAMED
        return f"one of {', '.join(map(repr, check.values[:_MOST_NAMED]))}{f' and {more} more' if more > 0 else ''}"

    def _shown(self, name: str, value: Any) -> str:
        if self._kinds[name] == "time":
            return moment_text(value)
        return f"a text of {len(value):,} characters" if isinstance(value, str) and len(value) > 80 else repr(value)


def terms_of(release: Release, definitions: Definitions) -> Terms | None:
    """Return what the contract that came with a release asks of a row; None where its brief asks nothing."""
    brief = release.brief
    if release.contract is UNSET:
        return None
    policy = brief.sources[brief.target.examples].contract
    if not policy:
        return None
    kinds = {field.name: field.kind for field in definitions.request_fields}
    return Terms(release.contract, kinds, blocks=policy == "block")


def condition_of(check: Check) -> Callable[[Any], bool]:
    """Return a check of one value as a request has it: moments are microseconds since 1970.

    Examples
    --------
    >>> from headway.nouns.change import Check
    >>> test = condition_of(Check(column="age", test="between", least=0, most=120))
    >>> test(44), test(-999), test(None)
    (True, False, True)
    """
    if check.test == "present":
        return lambda value: value is not None
    if check.test == "between":
        least, most = _bounds(check)
        return lambda value: value is None or least <= float(value) <= most
    values = frozenset(check.values)
    return lambda value: value is None or value in values


def fails(check: Check, column: Any) -> Any:
    """Return for each value of an Arrow column whether it fails a check.

    Examples
    --------
    >>> from headway.nouns.change import Check
    >>> fails(Check(column="age", test="between", least=0, most=120), pa.array([44, -999, None])).to_pylist()
    [False, True, False]
    """
    if check.test == "present":
        return pc.is_null(column)
    if check.test == "between":
        least, most = _bounds(check)
        numbers = pc.cast(column, pa.float64(), safe=False)
        good = pc.and_(pc.greater_equal(numbers, least), pc.less_equal(numbers, most))
    elif check.values:
        good = pc.is_in(column, value_set=pa.array(check.values, pa.string()))
    else:
        return pc.is_valid(column)
    return pc.and_(pc.is_valid(column), pc.invert(pc.fill_null(good, fill_value=True)))


def _bounds(check: Check) -> tuple[float, float]:
    """Return both bounds; beyond the largest number there is none, so that infinity fails."""
    least = -_LARGEST if check.least is None else max(check.least, -_LARGEST)
    return least, _LARGEST if check.most is None else min(check.most, _LARGEST)
