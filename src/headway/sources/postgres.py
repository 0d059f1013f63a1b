"""PostgreSQL: a table, or the answer of a query, read through Arrow in one read-only transaction.

The URL in the brief names the server and the database. Who asks, and with which password, stands in environment
variables that the brief names; their values go to the driver and nowhere else: no message, digest or event holds them.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit
from urllib.parse import quote as quote_url

from headway.errors import BriefError, MissingExtra, SourceError, did_you_mean
from headway.query.compile import quote, quote_text
from headway.sources.credentials import credentials_of
from headway.sources.item import Held, Item
from headway.sources.opened import one_line
from headway.sources.spool import open_parquet, spooled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headway.nouns.brief import Source
    from headway.query.database import Database
    from headway.sources.opened import Opened

__all__ = ["SCHEMES", "tables_items"]

SCHEMES = ("postgresql", "postgres")
_TO = " to "
_PLAIN = {
    "bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar", "name",
    "date", "time", "timestamp", "timestamptz",
}  # fmt: skip
_AS_NUMBER = {"numeric", "money", "oid"}
_GROWING = {"int2", "int4", "int8", "date", "timestamp", "timestamptz", "numeric"}


class _Column(NamedTuple):
    name: str
    kind: str


@contextmanager
def tables_items(name: str, source: Source, path: str, *, held: Sequence[Held] = ()) -> Iterator[list[Item]]:
    """Yield the items of a source in PostgreSQL; the connection lasts as long.

    Without ``grows_by`` the table is one item, read to know whether it changed. With it, the items are what was read
    before and the rows beyond that. Where rows came to stand within what was read already (a transaction that was
    slow to commit), the table is read anew.

    Raises
    ------
    BriefError
        When the URL holds a password, or says of what to read too little or too much.
    SourceError
        When the server cannot be reached, refuses, or has no such table or column.
    MissingExtra
        When the driver is not installed.
    """
    where = f"sources.{name}.path"
    place = _place(path, source, name)
    with _explained(place, where), _connected(path, source, name) as cursor:
        yield _Table(cursor, source, name, place).items(held)


def _place(path: str, source: Source, name: str) -> str:
    """Return the server and the database, as they may be shown."""
    url = urlsplit(path)
    options = {key for key, _ in parse_qsl(url.query)}
    if url.password is not None or "password" in options:
        raise BriefError(
            "The URL holds a password, and the brief is no place for one.",
            where=f"sources.{name}.path",
            hint="Take it out, and name the environment variable that holds it: credentials = { password = 'NAME' }.",
        )
    if bool(source.table) == bool(source.query):
        raise BriefError(
            "What is to be read of the database: a table, or a query?",
            where=f"sources.{name}.table",
            hint="Set one of the two: table = 'schema.table', or query = 'SELECT …'.",
        )
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.hostname or ''}{port}{url.path}"


@contextmanager
def _connected(path: str, source: Source, name: str) -> Iterator[Any]:
    url = urlsplit(path)
    secrets = credentials_of(source, name, allowed=("user", "password"))
    user = secrets.get("user") or unquote(url.username or "")
    given = quote_url(user, safe="") + (f":{quote_url(secrets['password'], safe='')}" if "password" in secrets else "")
    host = f"{url.hostname or ''}{f':{url.port}' if url.port else ''}"
    options = f"?{url.query}" if url.query else ""
    if "connect_timeout" not in url.query:
        options += f"{'&' if options else '?'}connect_timeout=10"
    address = f"postgresql://{given}{'@' if given else ''}{host}{url.path}{options}"
    with _driver().connect(address) as connection, connection.cursor() as cursor:
        # One view of the table from the first question to the last row, and nothing that could write.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SET TimeZone = 'UTC'")
        cursor.execute("SET DateStyle = 'ISO'")
        yield cursor


def _driver() -> Any:
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError:
        raise MissingExtra.of("adbc-driver-postgresql", extra="postgres") from None
    return driver


class _Table:
    """A table, or the answer of a query, within one transaction."""

    def __init__(self, cursor: Any, source: Source, name: str, place: str) -> None:
        self.cursor = cursor
        self.source = source
        self.name = name
        self.place = place
        self.sql = f"({source.query.strip().rstrip(';')}) AS asked" if source.query else self._named(source.table)
        self.columns = self._columns()
        self.shown = f"{place} {source.table or 'query'}"

    def items(self, held: Sequence[Held]) -> list[Item]:
        """Return what there is to read, what was read before coming first."""
        if not self.source.grows_by:
            return [self._item(self.shown, "", self._whole_digest)]
        column = self._growing()
        begin = f"{self.shown}.{column.name}{_TO}"
        rows: dict[str, int] = {}
        digests = {each.name: each.digest for each in held if each.name.startswith(begin)}
        for each in held:
            rows[each.name] = rows.get(each.name, 0) + each.rows
        last = [name.removeprefix(begin) for name in digests]
        within, top = self._counted(column, last[-1] if last else None)
        if within > sum(rows[name] for name in digests):
            digests, last = {}, []  # rows came to stand within what had been read
        bounds = [_between(column, low, high) for low, high in pairwise([None, *last])]
        known = [
            self._item(name, bound, partial(str, digest))
            for (name, digest), bound in zip(digests.items(), bounds, strict=True)
        ]
        if known and (top is None or top == last[-1]):
            return known
        new = _between(column, last[-1] if last else None, top)
        digest = self._digest_of("grows", new, str(self._count(new)))
        return [*known, self._item(f"{begin}{top}", new, partial(str, digest))]

    # -- what there is

    def _named(self, table: str) -> str:
        self.cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        )
        found = self.cursor.fetchall()
        schema, _, last = table.rpartition(".")
        fits = [(s, t) for s, t in found if t == last and s == (schema or "public")]
        if not fits:
            names = [t if s == "public" else f"{s}.{t}" for s, t in found]
            raise SourceError(
                f"{self.place} has no table {table!r}, or it may not be read.",
                where=f"sources.{self.name}.table",
                hint=did_you_mean(table, names) or "Ask its owner for the right to SELECT.",
            )
        return f"{quote(fits[0][0])}.{quote(fits[0][1])}"

    def _columns(self) -> list[_Column]:
        self.cursor.execute(f"SELECT * FROM {self.sql} LIMIT 0")
        schema = self.cursor.fetch_arrow_table().schema
        told = b"ADBC:postgresql:typname"
        return [
            _Column(field.name, (field.metadata or {}).get(told, b"").decode() or _plain_type(str(field.type)))
            for field in schema
        ]

    def _growing(self) -> _Column:
        where = f"sources.{self.name}.grows_by"
        found = {column.name: column for column in self.columns}
        column = found.get(self.source.grows_by)
        if column is None:
            raise SourceError(
                f"{self.shown} has no column {self.source.grows_by!r}.",
                where=where,
                hint=did_you_mean(self.source.grows_by, found),
            )
        if column.kind not in _GROWING:
            raise SourceError(
                f"Column {column.name!r} is a {column.kind}, and a number or a moment that only grows is wanted.",
                where=where,
                hint="Name the column of the row's number, or of when it was written last.",
            )
        return column

    def _counted(self, column: _Column, last: str | None) -> tuple[int, str | None]:
        """Return how many rows there are up to ``last``, and the highest value of the column as text."""
        within = "0" if last is None else f"count(*) FILTER (WHERE {_between(column, None, last)})"
        self.cursor.execute(f"SELECT {within}, CAST(max({quote(column.name)}) AS text) FROM {self.sql}")
        ((found, top),) = self.cursor.fetchall()
        return int(found), top

    def _count(self, bounds: str) -> int:
        self.cursor.execute(f"SELECT count(*) FROM {self.sql} WHERE {bounds}")
        return int(self.cursor.fetchall()[0][0])

    # -- reading

    def _item(self, shown: str, bounds: str, digest: Any) -> Item:
        return Item(
            name=shown,
            where=shown,
            size_bytes=0,
            digest=digest,
            opened=partial(self._opened, bounds),
        )

    def _select(self, bounds: str) -> str:
        texts = ", ".join(f"{_read(column)} AS {quote(column.name)}" for column in self.columns)
        keys = [key for key in self.source.key if key in {column.name for column in self.columns}]
        order = ", ".join(map(quote, dict.fromkeys([*([self.source.grows_by] if self.source.grows_by else []), *keys])))
        return (
            f"SELECT {texts} FROM {self.sql}"
            + (f" WHERE {bounds}" if bounds else "")
            + (f" ORDER BY {order}" if order else "")
        )

    @contextmanager
    def _opened(self, bounds: str, database: Database) -> Iterator[Opened]:
        with _explained(self.place, self.shown):
            self.cursor.execute(self._select(bounds))
            with spooled(self.cursor.fetch_record_batch(), where=self.shown) as rows:
                yield open_parquet(rows, database, shown=self.shown, where=self.shown)

    def _whole_digest(self) -> str:
        """Return what tells the table's rows from others, whatever order they come in; the server computes it."""
        texts = ", ".join(f"CAST({quote(column.name)} AS text)" for column in self.columns)
        row = f"md5(CAST(ROW({texts}) AS text))"
        halves = ", ".join(
            f"CAST(sum(CAST(CAST('x' || substr({row}, {start}, 15) AS bit(60)) AS bigint)) AS text)"
            for start in (1, 16)
        )
        self.cursor.execute(f"SELECT CAST(count(*) AS text), {halves} FROM {self.sql}")
        (found,) = self.cursor.fetchall()
        return self._digest_of("whole", *map(str, found), *(f"{c.name}:{c.kind}" for c in self.columns))

    def _digest_of(self, *parts: str) -> str:
        whole = [self.shown, self.source.query, *parts]
        return hashlib.sha256("\0".join(whole).encode()).hexdigest()


def _between(column: _Column, low: str | None, high: str | None) -> str:
    """Return the condition of rows beyond ``low`` and not beyond ``high``; rows without a value come first."""
    name = quote(column.name)
    upto = "TRUE" if high is None else f"{name} <= {_literal(high, column)}"
    return f"({upto} OR {name} IS NULL)" if low is None else f"({upto} AND {name} > {_literal(low, column)})"


def _literal(value: str, column: _Column) -> str:
    return f"CAST({quote_text(value)} AS {column.kind})"


def _read(column: _Column) -> str:
    """Return how a column is asked for: what has no place in a table of Arrow, as a number or a text."""
    if column.kind in _AS_NUMBER:
        return f"CAST({quote(column.name)} AS double precision)"
    return quote(column.name) if column.kind in _PLAIN else f"CAST({quote(column.name)} AS text)"


def _plain_type(arrow: str) -> str:
    """Return PostgreSQL's name of a type that the driver gives without one."""
    if arrow.startswith("timestamp"):
        return "timestamptz" if "tz=" in arrow else "timestamp"
    names = {"int16": "int2", "int32": "int4", "int64": "int8", "float": "float4", "double": "float8"}
    names |= {"bool": "bool", "string": "text", "date32[day]": "date", "time64[us]": "time"}
    return names.get(arrow, "other")


_SAID = {
    "28P01": ("refuses the password", "See that the environment variable holds the right one."),
    "28000": ("refuses this user", "Name the variables that hold user and password under credentials."),
    "3D000": ("has no such database", "See the last part of the path."),
    "42501": ("does not allow this to be read", "Ask its owner for the right to SELECT."),
    "42703": ("knows no such column", "See the query."),
    "42P01": ("knows no such table", "See the query."),
    "42601": ("does not understand the query", "Write one SELECT."),
    "25006": ("was asked to write, and this is a reading", "Write one SELECT."),
}


@contextmanager
def _explained(place: str, where: str) -> Iterator[None]:
    """Say in our words what the server or the driver complains of."""
    driver = _driver()
    try:
        yield
    except driver.Error as error:
        text = str(error)
        state = getattr(error, "sqlstate", None) or ""
        if "password authentication failed" in text:
            state = "28P01"
        elif "does not exist" in text and "database" in text:
            state = "3D000"
        elif "no password supplied" in text:
            state = "28000"
        reason = one_line(re.sub(r"^.*?(FATAL|ERROR|error):\s*", "", " ".join(text.split())))
        said, hint = _SAID.get(state, ("", ""))
        if not said and re.search("[Cc]onnection refused|[Cc]ould not (connect|translate)|timeout|[Cc]onnect", text):
            said, hint = "cannot be reached", "Is the server up, and are host and port right?"
        raise SourceError(f"{place} {said or 'cannot be read'}: {reason}", where=where, hint=hint) from None
