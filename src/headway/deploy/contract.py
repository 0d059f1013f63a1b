"""What a prediction request may hold, made from the definitions; one pass decodes, checks and refuses.

The file hides msgspec: the structure that bytes are decoded into is made once, and when it refuses, a second, slower
look at the same bytes finds the field and says what was found and what is wanted.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from headway.errors import RequestError, did_you_mean
from headway.query.row_form import moment_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headway.deploy.terms import Terms
    from headway.query.definitions import Definitions, RequestField

__all__ = ["MAX_TEXT_CHARS", "WANTED", "Contract", "NotJson", "Request"]

MAX_TEXT_CHARS = 1_000
_INT64 = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_TYPES: dict[str, Any] = {
    "bool": bool,
    "int": Annotated[int, Meta(ge=-_INT64, le=_INT64 - 1)],
    "float": float,
    "text": Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)],
    "time": Annotated[datetime, Meta(tz=True)],
}
WANTED = {
    "bool": "true or false",
    "int": "a whole number of at most 64 bits",
    "float": "a finite number",
    "text": f"a text of 1 to {MAX_TEXT_CHARS:,} characters",
    "time": "a moment with its zone, such as '2013-10-01T12:00:00Z'",
}
"""What is wanted of a value, by kind, as errors say it."""


class NotJson(RequestError):
    """The body cannot be read at all; there is no field to point at."""

    code = "request-not-json"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request that keeps the contract.

    Attributes
    ----------
    rows
        For each row its fields: numbers, texts, booleans, moments as microseconds since 1970 in UTC; None where an
        optional field was not sent.
    single
        Whether it was asked as ``row`` and not as ``rows``.
    warnings
        For each row how it breaks its source's contract; empty where no row does.
    """

    rows: list[dict[str, Any]]
    single: bool
    warnings: tuple[tuple[str, ...], ...] = ()


class Contract:
    """What a request may hold.

    Parameters
    ----------
    definitions
        The resolved brief; its ``request_fields`` are the fields, its ``serve.max_rows`` the most rows.
    terms
        What the source's contract asks of a row beside types; None where nothing was agreed.
    """

    def __init__(self, definitions: Definitions, terms: Terms | None = None) -> None:
        self.terms = terms
        self.fields: tuple[RequestField, ...] = definitions.request_fields
        self.max_rows = definitions.brief.serve.max_rows
        self._by_name = {field.name: field for field in self.fields}
        self._names = [field.name for field in self.fields]
        self._moments = [field.name for field in self.fields if field.kind == "time"]
        self._late = set(definitions.examples.raw) - set(self._names)
        # Columns are called as their source calls them, which need not be a Python name.
        inner = [f"f{position}" for position in range(len(self.fields))]
        required = [(name, _TYPES[f.kind]) for name, f in zip(inner, self.fields, strict=True) if f.required]
        optional = [
            (name, _TYPES[f.kind] | None, None) for name, f in zip(inner, self.fields, strict=True) if not f.required
        ]
        row = msgspec.defstruct(
            "Row",
            [*required, *optional],
            rename=dict(zip(inner, self._names, strict=True)),
            forbid_unknown_fields=True,
            frozen=True,
            gc=False,
        )
        body = msgspec.defstruct(
            "Body",
            [("row", row | msgspec.UnsetType, UNSET), ("rows", list[row] | msgspec.UnsetType, UNSET)],  # type: ignore[valid-type]
            forbid_unknown_fields=True,
            frozen=True,
        )
        self._decoder = msgspec.json.Decoder(body)
        # A line of a file may also hold what its source holds and the model does not take; that is passed over.
        late = [(f"x{position}", msgspec.Raw, None) for position in range(len(self._late))]
        line = msgspec.defstruct(
            "Line",
            late,
            bases=(row,),
            rename=dict(zip((name for name, *_ in late), sorted(self._late), strict=True)),
            forbid_unknown_fields=True,
            frozen=True,
        )
        self._lines = msgspec.json.Decoder(line)
        self._row_type = row
        self._values = attrgetter(*inner) if len(inner) > 1 else lambda row: (getattr(row, inner[0]),)

    def decode(self, body: bytes) -> Request:
        """Return the rows of a request's body.

        Raises
        ------
        NotJson
            When it is no JSON.
        RequestError
            When it breaks the contract: which row and field, what was found, what is wanted.
        """
        try:
            decoded: Any = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._explained(body, error) from None
        if (decoded.row is UNSET) == (decoded.rows is UNSET):
            raise _shape("both 'row' and 'rows'" if decoded.row is not UNSET else "neither 'row' nor 'rows'")
        if decoded.rows is UNSET:
            return self.held([self._plain(decoded.row)], single=True)
        self._check_count(len(decoded.rows))
        return self.held([self._plain(row) for row in decoded.rows], single=False)

    def held(self, rows: list[dict[str, Any]], *, single: bool) -> Request:
        """Return rows whose types are right as a request, held to the terms.

        Raises
        ------
        RequestError
            When a row breaks them and the brief does not let that pass.
        """
        if self.terms is None:
            return Request(rows=rows, single=single)
        return Request(rows=rows, single=single, warnings=self.terms.hold(rows, single=single))

    def check(self, rows: Sequence[Mapping[str, Any]]) -> Request:
        """Return rows that are Python values already (moments as ``datetime`` or ISO 8601 text), checked alike.

        Raises
        ------
        RequestError
            As ``decode``.
        """
        plain = [
            {name: _iso(value) if isinstance(value, datetime) else value for name, value in row.items()} for row in rows
        ]
        for position, row in enumerate(plain):
            self._check_row(row, where=f"row {position + 1}")
        return self.held([self._plain(msgspec.convert(row, self._row_type)) for row in plain], single=False)

    def decode_lines(self, lines: Sequence[bytes], *, first: int, where: str) -> dict[str, list[Any]]:
        """Return rows of JSON, one a line, as columns.

        Raises
        ------
        RequestError
            When one breaks the contract; ``first`` is the number of the first, ``where`` the file.
        """
        rows = []
        for number, line in enumerate(lines, start=first):
            try:
                rows.append(self._plain(self._lines.decode(line)))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise self._explained_line(line, error, where=f"{where}, row {number}") from None
        return {name: [row[name] for row in rows] for name in self._names}

    def check_columns(self, names: Sequence[str], *, where: str) -> tuple[str, ...]:
        """Return which of a file's columns are passed over: its source has them, and the model does not take them.

        Raises
        ------
        RequestError
            When a column is unknown or doubled, or one is missing that must be there.
        """
        for name in names:
            if name not in self._by_name and name not in self._late:
                raise RequestError(
                    f"The column {_shown(name)} is unknown.", where=where, hint=did_you_mean(name[:100], self._names)
                )
        for field in self.fields:
            if names.count(field.name) > 1:
                raise RequestError(f"The column {field.name!r} stands there twice.", where=where)
            if field.required and field.name not in names:
                raise RequestError(
                    f"The column {field.name!r} is missing; wanted: {WANTED[field.kind]}.",
                    where=where,
                    hint=f"The model takes: {', '.join(self._names)}.",
                )
        return tuple(name for name in names if name in self._late)

    def misfit(self, name: str, value: Any, *, where: str) -> RequestError:
        """Return the error that says that a field's value breaks the contract."""
        wanted = WANTED[self._by_name[name].kind]
        found = "is missing" if value is None else f"is {_shown(value)}"
        return RequestError(f"{name!r} {found}; wanted: {wanted}.", where=where)

    def to_json(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row as the log keeps it and as a client would send it: moments as ISO 8601 text."""
        if not self._moments:
            return dict(row)
        return {
            name: moment_text(value) if name in self._moments and value is not None else value
            for name, value in row.items()
        }

    def _plain(self, row: Any) -> dict[str, Any]:
        values = dict(zip(self._names, self._values(row), strict=True))
        for name in self._moments:
            moment = values[name]
            if moment is not None:
                values[name] = (moment - _EPOCH) // _US
        return values

    def _check_count(self, count: int) -> None:
        if count == 0:
            raise RequestError("'rows' is empty.", where="rows", hint="Send at least one row.")
        if count > self.max_rows:
            raise RequestError(
                f"{count:,} rows came at once; at most {self.max_rows:,} are taken.",
                where="rows",
                hint="Send several requests, or a file: headway predict IN OUT.",
            )

    # -- the slow look, for whoever made a mistake

    def _explained(self, body: bytes, error: Exception) -> RequestError:
        """Return the error that says which field breaks the contract."""
        try:
            # Unlike the fast decoder this one reads NaN, Infinity and numbers of any size, so that they have a name.
            decoded = json.loads(body)
        except (ValueError, RecursionError) as fault:
            said = str(fault) if isinstance(fault, json.JSONDecodeError) else str(error)
            return NotJson(f"The body is no JSON: {said or type(fault).__name__}.", hint='Send {"row": {…}}.')
        try:
            self._check_body(decoded)
        except RequestError as explained:
            return explained
        return RequestError(f"The request breaks the contract: {error}.")

    def _explained_line(self, line: bytes, error: Exception, *, where: str) -> RequestError:
        try:
            decoded = json.loads(line)
        except (ValueError, RecursionError):
            return NotJson(f"This line is no JSON: {error}.", where=where, hint="Write one object a line.")
        if isinstance(decoded, dict):
            decoded = {name: value for name, value in decoded.items() if name not in self._late}
        try:
            self._check_row(decoded, where=where)
        except RequestError as explained:
            return explained
        return RequestError(f"The row breaks the contract: {error}.", where=where)

    def _check_body(self, body: Any) -> None:
        if not isinstance(body, dict):
            raise _shape(f"{_shown(body)}")
        for name in body:
            if name not in {"row", "rows"}:
                raise RequestError(
                    f"The request has an unknown field {_shown(name)}.",
                    where=_shown(name),
                    hint=did_you_mean(name[:100], ["row", "rows"]) + ' Fields of the row stand in {"row": {…}}.',
                )
        if "row" in body:
            self._check_row(body["row"], where="row")
        rows = body.get("rows", [])
        if not isinstance(rows, list):
            raise _shape(f"'rows' = {_shown(rows)}")
        for position, row in enumerate(rows):
            self._check_row(row, where=f"rows[{position}]")

    def _check_row(self, row: Any, *, where: str) -> None:
        if not isinstance(row, dict):
            raise RequestError(f"{where} is {_shown(row)}; fields with their values are wanted.", where=where)
        for name in row:
            if name not in self._by_name:
                raise self._unknown(name, where)
        for field in self.fields:
            value = row.get(field.name)
            if value is None and not field.required:
                continue
            if value is None:
                found = "is null" if field.name in row else "is missing"
                raise RequestError(
                    f"{field.name!r} {found}; wanted: {WANTED[field.kind]}.",
                    where=f"{where}.{field.name}",
                    hint="The model has no policy for its absence: features.….missing = 'allow' makes one.",
                )
            if not _fits(value, field.kind):
                raise RequestError(
                    f"{field.name!r} is {_shown(value)}; wanted: {WANTED[field.kind]}.", where=f"{where}.{field.name}"
                )

    def _unknown(self, name: Any, where: str) -> RequestError:
        if name in self._late:
            return RequestError(
                f"The row has {name!r}, which the model does not take.",
                where=f"{where}.{name}",
                hint=f"Send only: {', '.join(self._names)}.",
            )
        return RequestError(
            f"The row has an unknown field {_shown(name)}.",
            where=f"{where}.{str(name)[:100]}",
            hint=did_you_mean(str(name)[:100], self._names),
        )


def _fits(value: Any, kind: str) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if kind == "text":
        return isinstance(value, str) and 0 < len(value) <= MAX_TEXT_CHARS and _is_unicode(value)
    if kind == "time":
        return isinstance(value, str) and _is_moment(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if kind == "int":
        return isinstance(value, int) and -_INT64 <= value < _INT64
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_moment(text: str) -> bool:
    try:
        msgspec.convert(text, _TYPES["time"])
    except msgspec.ValidationError:
        return False
    return True


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def _shape(found: str) -> RequestError:
    return RequestError(
        f"The request holds {found}; wanted is one of the two.",
        hint='Send {"row": {…}} for one row, {"rows": [{…}, …]} for several.',
    )


def _shown(value: Any) -> str:
    """Return a value as an error shows it: short, whatever was sent."""
    if isinstance(value, float):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN" if math.isnan(value) else repr(value))
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**40:
        return "a whole number of more than 40 digits"
    if isinstance(value, str) and len(value) > 80:
        return f"a text of {len(value):,} characters"
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return repr(value)
