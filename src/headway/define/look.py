"""A look at data files: what is in them, and what part each column could play in a brief.

Nothing is decided here. Large sources are sampled for what needs many passes (distinct values, keys, targets); rows,
spans and the keys that are offered are of all rows.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from headway.define.joins import find_joins
from headway.define.looks import ColumnLook, Kind, Look, Looks
from headway.define.reading import Opened, explained, opened
from headway.define.spelling import cleaned_sql, said_by_text, written_names
from headway.define.targets import find_targets
from headway.define.words import calendar_part, event_score, identifier_score, outcome_like
from headway.errors import SourceError
from headway.query.compile import quote
from headway.query.database import Database
from headway.query.local_time import in_utc_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["look"]

SAMPLED_ROWS = 1_000_000
_PROBED_ROWS = 20_000
_KEY_COLUMNS = 10

_KINDS: dict[str, tuple[Kind, str]] = {
    "BOOLEAN": ("bool", "{0}"),
    **dict.fromkeys(
        ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"),
        ("int", "CAST({0} AS BIGINT)"),
    ),
    **dict.fromkeys(("UBIGINT", "HUGEINT"), ("int", "TRY_CAST({0} AS BIGINT)")),
    **dict.fromkeys(
        ("FLOAT", "DOUBLE"), ("float", "CASE WHEN isfinite(CAST({0} AS DOUBLE)) THEN CAST({0} AS DOUBLE) END")
    ),
    **dict.fromkeys(("VARCHAR", "UUID"), ("text", "CAST({0} AS VARCHAR)")),
    **dict.fromkeys(
        ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), ("time", "CAST({0} AS TIMESTAMP)")
    ),
    "TIMESTAMP WITH TIME ZONE": ("time", in_utc_sql("{0}")),
}


def look(paths: Sequence[Path | str], *, folder: Path, rows: int = SAMPLED_ROWS) -> Looks:
    """Return what a look at ``paths`` finds.

    Parameters
    ----------
    paths
        Files, patterns or folders, of any format that a source may have.
    folder
        Where the brief will stand.
    rows
        How many rows of a source are looked at closely.

    Raises
    ------
    SourceError
        When a path names nothing, or a file cannot be read.
    """
    if not paths:
        raise SourceError("No data were named.", hint="Write headway init --data FILE, with a CSV file, say.")
    with Database() as database, opened(paths, folder=folder, database=database) as sources:
        seen = []
        for source in sources:
            with explained(source.path, source.path):
                seen.append(_Sampled.take(source, database, rows))
        looks = [_look(sample) for sample in seen]
        tables = {sample.source.name: sample.table for sample in seen}
        return Looks(sources=tuple(looks), joins=find_joins(looks, tables, database))


@dataclass(slots=True)
class _Sampled:
    """A source with its first rows in the engine's memory, columns in their six kinds."""

    source: Opened
    database: Database
    table: str
    rows: int
    sampled: int
    forms: dict[str, _Form]
    columns: list[ColumnLook] = field(default_factory=list)

    @classmethod
    def take(cls, source: Opened, database: Database, rows: int) -> _Sampled:
        described = [(row[0], row[1]) for row in database.rows(f"DESCRIBE SELECT * FROM {source.relation}")]
        table = database.create(
            f"SELECT {', '.join(quote(name) for name, _ in described)} FROM {source.relation} LIMIT {rows}",
            prefix="raw",
        )
        forms = _forms(described, table, database, source=source)
        texts = ", ".join(f"{form.sql} AS {quote(name)}" for name, form in forms.items())
        raw, table = table, database.create(f"SELECT {texts} FROM {table}", prefix="look")
        database.drop(raw)
        (sampled,) = database.rows(f"SELECT count(*) FROM {table}")[0]
        if sampled == 0:
            raise SourceError("It has a header and no row.", where=source.path)
        total = sampled if sampled < rows else database.rows(f"SELECT count(*) FROM {source.relation}")[0][0]
        sample = cls(source=source, database=database, table=table, rows=total, sampled=sampled, forms=forms)
        sample.columns = sample._columns(
            {form.there: kind for form, (_, kind) in zip(forms.values(), described, strict=True)}
        )
        return sample

    def _columns(self, engine_types: dict[str, str]) -> list[ColumnLook]:
        parts = []
        for name, form in self.forms.items():
            column = quote(name)
            ends = f"min({column}), max({column})" if form.kind != "other" else "NULL, NULL"
            parts.append(f"count({column}), count(DISTINCT {column}), {ends}")
        (found,) = self.database.rows(f"SELECT {', '.join(parts)} FROM {self.table}")
        figures = [found[start : start + 4] for start in range(0, len(found), 4)]
        return [
            ColumnLook(
                name=name,
                kind=form.kind,
                engine_type=engine_types[form.there],
                missing=1.0 - there / self.sampled,
                distinct=distinct,
                examples=self._examples(name),
                low=_shown(low),
                high=_shown(high),
                read_as=form.read_as,
                there=form.there if form.there != name else "",
                clean=form.clean,
            )
            for (name, form), (there, distinct, low, high) in zip(self.forms.items(), figures, strict=True)
        ]

    def _examples(self, name: str) -> tuple[str, ...]:
        rows = self.database.rows(
            f"SELECT {quote(name)} FROM {self.table} WHERE {quote(name)} IS NOT NULL "
            f"GROUP BY {quote(name)} ORDER BY count(*) DESC, {quote(name)} LIMIT 3"
        )
        return tuple(_shown(row[0]) for row in rows)

    def value(self, sql: str) -> Any:
        """Return one figure over the sample."""
        return self.database.rows(f"SELECT {sql} FROM {self.table}")[0][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """A column's kind, the text that brings it there from the file's column, and what the brief must say for that."""

    there: str
    kind: Kind
    sql: str
    read_as: str = ""
    clean: dict[str, str | tuple[str, ...]] = field(default_factory=dict)


def _forms(described: Sequence[tuple[str, str]], table: str, database: Database, *, source: Opened) -> dict[str, _Form]:
    """Return the form of each column, by what the brief will call it."""
    written = written_names(name for name, _ in described)
    taken = {*written.values(), *(name for name, _ in described)}
    found: dict[str, _Form] = {}
    for name, engine_type in described:
        form, here = _form(name, engine_type, source.reader), written.get(name, name)
        if name in source.unclear:
            form = replace(form, read_as="text")
        if form.kind == "text" and not form.read_as:
            if _holds_moments(name, table, database):
                form = replace(form, kind="time", sql=f"CAST({quote(name)} AS TIMESTAMP)", read_as="time")
            elif clean := said_by_text(name, table, database):
                kind: Kind = "float" if clean["parse"] == "number" else "time"
                form = replace(form, kind=kind, sql=cleaned_sql(name, clean), clean=clean)
                if here == name:  # what is read stays beside what is made of it, under its own name
                    here = next(free for free in _beside(name, str(clean["parse"])) if free not in taken)
        taken.add(here)
        found[here] = form
    return found


def _beside(name: str, what: str) -> Iterator[str]:
    return (f"{name}_{what}{number}" for number in ("", *range(2, 1_000)))


def _form(name: str, engine_type: str, reader: str) -> _Form:
    kind, text = _KINDS.get(engine_type, ("other", "CAST({0} AS VARCHAR)"))
    if engine_type.startswith("DECIMAL"):
        kind, text = "float", "CAST({0} AS DOUBLE)"
    if kind == "other" and reader == "csv":
        return _Form(there=name, kind="text", sql=text.format(quote(name)), read_as="text")
    return _Form(there=name, kind=kind, sql=text.format(quote(name)))


def _holds_moments(name: str, table: str, database: Database) -> bool:
    """Whether every text in a column is a date or a moment, as SQLite and JSON hold them."""
    column = quote(name)
    ((there, other),) = database.rows(
        f"SELECT count({column}), count(*) FILTER (WHERE {column} IS NOT NULL "
        f"AND (length({column}) < 10 OR try_cast({column} AS TIMESTAMP) IS NULL)) FROM {table}"
    )
    return bool(there) and not other


def _shown(value: object) -> str:
    if value is None:
        return ""
    return (
        value.isoformat(sep=" ")
        if hasattr(value, "isoformat")
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )


def _look(sample: _Sampled) -> Look:
    source, columns = sample.source, sample.columns
    time = _event_time(columns, sample)
    later, earlier = _around(columns, time, sample)
    outcomes = _outcomes(columns, later, sample)
    keys = _keys(sample, time, skip={*later, *outcomes})
    return Look(
        name=source.name,
        path=source.path,
        table=source.table,
        files=source.files,
        rows=sample.rows,
        sampled=sample.sampled,
        columns=tuple(columns),
        keys=keys,
        time=time,
        later=later,
        earlier=earlier,
        outcomes=outcomes,
        targets=find_targets(columns, sample.table, sample.database, time=time, later=later),
        **_span(sample, time, later, keys),
    )


# -- moments


def _event_time(columns: list[ColumnLook], sample: _Sampled) -> str:
    """Return the column of the event's moment: by its name, by being there, by being early."""
    times = [column for column in columns if column.kind == "time" and column.missing < 0.05]
    if not times:
        return ""
    mean = {column.name: sample.value(f"avg(epoch_us({quote(column.name)}))") for column in times}
    return min(times, key=lambda c: (-event_score(c.name), round(c.missing, 2), mean[c.name], c.name)).name


def _around(columns: list[ColumnLook], time: str, sample: _Sampled) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns of moments that lie after the event, and those that lie before it."""
    later, earlier = [], []
    for column in columns:
        if column.kind != "time" or column.name == time or not time:
            continue
        other, event = quote(column.name), quote(time)
        after = sample.value(f"avg(CAST({other} >= {event} AS INT)) FILTER (WHERE {other} IS NOT NULL)")
        if after is not None and (after >= 0.9 or (after > 0.1 and outcome_like(column.name))):
            later.append(column.name)
        elif after is not None and after <= 0.1:
            earlier.append(column.name)
    return tuple(later), tuple(earlier)


def _outcomes(columns: list[ColumnLook], later: tuple[str, ...], sample: _Sampled) -> tuple[str, ...]:
    """Return the columns that are filled in later: by their names, or for being missing where those are missing."""
    named = {column.name for column in columns if column.kind != "time" and outcome_like(column.name)}
    gaps = {column.name: column.missing for column in columns if column.missing >= 0.001}
    late = [name for name in gaps if name in {*later, *named}]
    follow = {
        name
        for name, missing in gaps.items()
        if name not in {*later, *named} and missing < 1.0
        for other in late
        if abs(gaps[other] - missing) <= 0.1 * missing
        and sample.value(f"avg(CAST(({quote(name)} IS NULL) <> ({quote(other)} IS NULL) AS INT))") <= 0.1 * missing
    }
    return tuple(column.name for column in columns if column.name in named | follow)


def _span(sample: _Sampled, time: str, later: tuple[str, ...], keys: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    if not time:
        return {}
    engine_type = next(column.engine_type for column in sample.columns if column.name == time)
    whole = sample.sampled == sample.rows
    relation = sample.table if whole else sample.source.relation
    moment = quote(time) if whole else sample.forms[time].sql
    first, last = sample.database.rows(f"SELECT epoch_us(min({moment})), epoch_us(max({moment})) FROM {relation}")[0]
    seen = [sample.value(f"epoch_us(max({quote(column)}))") for column in later if outcome_like(column)]
    entity = [column for column in keys[0] if column != time] if keys and time in keys[0] else []
    step = None
    if entity and last > first:
        names = ", ".join(map(quote, entity))
        entities = sample.value(f"count(DISTINCT ({names}))")
        step = int((last - first) * entities / max(sample.rows, 1))
    return {
        "first_us": first,
        "last_us": last,
        "last_seen_us": max([last, *(moment for moment in seen if moment is not None)]),
        "clock": bool(sample.value(f"bool_or({quote(time)} <> date_trunc('day', {quote(time)}))")),
        "zoned": engine_type == "TIMESTAMP WITH TIME ZONE",
        "step_us": step,
    }


# -- keys


def _keys(sample: _Sampled, time: str, *, skip: set[str]) -> tuple[tuple[str, ...], ...]:
    """Return the smallest sets of columns that tell all rows apart, best first; at most three of one size."""
    usable = [
        column
        for column in sample.columns
        if column.kind in {"int", "text", "time"}
        and column.missing == 0.0
        and column.distinct > 1
        and column.name not in skip
    ]
    order = {column.name: position for position, column in enumerate(usable)}
    worth = {column.name: _key_worth(column, time, sample.sampled) for column in usable}
    best = sorted(usable, key=lambda column: (-worth[column.name], order[column.name]))[:_KEY_COLUMNS]
    probe = sample.database.create(
        f"SELECT * FROM {sample.table} USING SAMPLE {_PROBED_ROWS} ROWS (reservoir, 7)", prefix="probe"
    )
    for size in (1, 2, 3):
        sets = sorted(
            itertools.combinations(best if size > 1 else usable, size),
            key=lambda group: (-sum(worth[column.name] for column in group), [order[column.name] for column in group]),
        )
        found: list[tuple[str, ...]] = []
        for group in sets:
            names = tuple(sorted((column.name for column in group), key=order.__getitem__))
            if math.prod(column.distinct for column in group) >= sample.sampled and _unique(names, probe, sample):
                found.append(names)
            if len(found) == 3:
                break
        if found:
            return tuple(found)
    return ()


def _key_worth(column: ColumnLook, time: str, rows: int) -> float:
    spread = math.log(column.distinct) / math.log(max(rows, 2))
    plain = 0.5 if column.kind == "text" else 0.0
    moment = (1.5 if column.name == time else -1.0) if column.kind == "time" else 0.0
    return identifier_score(column.name) + spread + plain + moment - (1.0 if calendar_part(column.name) else 0.0)


def _unique(names: tuple[str, ...], probe: str, sample: _Sampled) -> bool:
    listed = ", ".join(map(quote, names))
    for table in (probe, sample.table):
        count, distinct = sample.database.rows(f"SELECT count(*), count(DISTINCT ({listed})) FROM {table}")[0]
        if count != distinct:
            return False
    if sample.sampled == sample.rows:
        return True
    whole = ", ".join(sample.forms[name].sql for name in names)
    count, distinct = sample.database.rows(f"SELECT count(*), count(DISTINCT ({whole})) FROM {sample.source.relation}")[
        0
    ]
    return bool(count == distinct)
