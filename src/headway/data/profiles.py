"""Measures tables: one pass of the engine for what must be exact, a fixed sample of rows for what need not.

Hidden is the SQL. A value's share, a missing rate and a doubled key are counted over all rows; quantiles, shapes of
text and hours come from at most ``SAMPLE_ROWS`` rows that a multiplicative hash of the row's number picks, so that no
order of the file and no number of threads changes them.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.data.kinds import kind_of
from headway.nouns.profile import DAY_US, MOST_VALUES, QUANTILES, ColumnProfile, Profile, Reference
from headway.query.compile import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from headway.query.database import Database

__all__ = ["SAMPLE_ROWS", "build_reference", "kinds_in", "profile"]

SAMPLE_ROWS = 20_000
WINDOWS = 12
_MULTIPLIER, _MODULUS = 2_654_435_761, 2**32  # Knuth's multiplicative hash: spreads row numbers evenly
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d+,\d+")
_SUFFIXED = re.compile(r"[+-]?\d+([.,]\d+)?\s*[^\d\s.,:/-]{1,5}|[$€£]\s*\d+([.,]\d+)?")
_MOMENT = re.compile(r"\d{4}-\d\d?-\d\d?([ T].*)?|\d\d?[./-]\d\d?[./-]\d{2,4}.*")
# What UTF-8 looks like when it is read as Windows-1252 or Latin-1: a lead byte's letter, and one of a continuation.
_MOJIBAKE = re.compile(
    "[\u00c2\u00c3\u00c5\u00e2][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2010-\u2044\u20ac\u2122]|\ufffd"
)
_FAULTS = ("comma", "suffixed", "mojibake", "padded")


def kinds_in(database: Database, relation: str) -> dict[str, str]:
    """Return the kind of each column of a relation; 'text' for what has no place in a table."""
    described = database.rows(f"DESCRIBE SELECT * FROM {relation}")
    return {row[0]: kind_of(row[1]) or "text" for row in described}


def profile(
    database: Database,
    relation: str,
    kinds: Mapping[str, str],
    *,
    key: Sequence[str] = (),
    time: str = "",
    where: str = "true",
    row: str = "",
) -> Profile:
    """Return the profile of the rows of ``relation`` for which ``where`` holds.

    Parameters
    ----------
    relation
        A table, or a reader of files.
    kinds
        The columns that are measured, with their kinds.
    row
        An expression of the row's number, from which the sample follows; by default the order of the relation.

    Raises
    ------
    EngineError
        When a value cannot be computed.
    """
    names = list(kinds)
    exact = _exact(database, relation, kinds, time=time if time in kinds and kinds[time] == "time" else "", where=where)
    rows = exact["rows"]
    sample = _sample(database, relation, kinds, rows=rows, where=where, row=row)
    columns = {}
    for position, name in enumerate(names):
        present, least, most, distinct = exact["columns"][position]
        counted = None
        if kinds[name] in {"text", "bool"} and distinct <= MOST_VALUES * 1.1 and rows > sample.num_rows:
            counted = _counted(database, relation, name, where=where)
        columns[name] = _column(
            name,
            kinds[name],
            sample[name],
            rows=rows,
            missing=rows - present,
            distinct=distinct,
            span=(least, most),
            counted=counted,
        )
    keys_doubled, doubled = _doubles(database, relation, kinds, key=key, rows=rows, where=where)
    return Profile(
        rows=rows,
        columns=columns,
        doubled=doubled,
        keys_doubled=keys_doubled,
        first_us=exact["first_us"],
        last_us=exact["last_us"],
    )


def build_reference(
    database: Database,
    relation: str,
    kinds: Mapping[str, str],
    *,
    key: Sequence[str] = (),
    time: str = "",
    period_days: int | None = None,
    delivered_days: float | None = None,
    now_us: int | None = None,
    row: str = "",
) -> Reference:
    """Return what later parts of a table are held against.

    Parameters
    ----------
    period_days
        How long a part is; by default a week where the table spans at least eight, a day where it spans eight of
        those, and otherwise the table is one whole.
    delivered_days
        How many days a part usually covers, where that is known: no stretch is longer, since a day is no short week.
    now_us
        The moment at which the table was delivered, from which follows how fresh it was.
    """
    whole = profile(database, relation, kinds, key=key, time=time, row=row)
    if whole.first_us is None or whole.last_us is None:
        return Reference(whole=whole, key=tuple(key), time="")
    span_days = (whole.last_us - whole.first_us) / DAY_US
    days = period_days if period_days is not None else 7 if span_days >= 56 else 1 if span_days >= 8 else 0
    if delivered_days is not None:
        days = min(days, max(1, math.ceil(delivered_days)))
    windows = []
    # Stretches end where the table ends, so that the last one is whole.
    for back in range(min(WINDOWS, int(span_days / days) if days else 0), 0, -1):
        start = whole.last_us + 1 - back * days * DAY_US
        within = f"{quote(time)} >= make_timestamp({start}) AND {quote(time)} < make_timestamp({start + days * DAY_US})"
        one = profile(database, relation, kinds, key=key, time=time, where=within, row=row)
        if one.rows:
            windows.append(one)
    lag = None if now_us is None else now_us - whole.last_us
    return Reference(
        whole=whole,
        windows=tuple(windows),
        key=tuple(key),
        time=time,
        period_days=days,
        # A table of long ago was never fresh; nothing can be said of its successors.
        lag_us=lag if lag is not None and days and 0 <= lag <= 20 * days * DAY_US else None,
    )


def _exact(database: Database, relation: str, kinds: Mapping[str, str], *, time: str, where: str) -> dict[str, Any]:
    parts = ["count(*)"]
    for name, kind in kinds.items():
        column = quote(name)
        span = "NULL, NULL"
        if kind in {"int", "float"}:
            span = f"min({column})::DOUBLE, max({column})::DOUBLE"
        elif kind == "time":
            span = f"epoch_us(min({column})), epoch_us(max({column}))"
        parts.append(f"count({column}), {span}, approx_count_distinct({column})")
    if time:
        parts.append(f"epoch_us(min({quote(time)})), epoch_us(max({quote(time)}))")
    (found,) = database.rows(f"SELECT {', '.join(parts)} FROM {relation} WHERE {where}")
    first, last = (found[-2], found[-1]) if time else (None, None)
    measured = found[1 : 1 + 4 * len(kinds)]
    return {
        "rows": found[0],
        "columns": [measured[at : at + 4] for at in range(0, len(measured), 4)],
        "first_us": first,
        "last_us": last,
    }


def _sample(
    database: Database, relation: str, kinds: Mapping[str, str], *, rows: int, where: str, row: str
) -> pa.Table:
    texts = [
        f"epoch_us({quote(name)}) AS {quote(name)}" if kind == "time" else quote(name) for name, kind in kinds.items()
    ]
    if rows <= SAMPLE_ROWS:
        return database.table(f"SELECT {', '.join(texts)} FROM {relation} WHERE {where}")
    keep = int(_MODULUS * SAMPLE_ROWS / rows)
    if row:
        chosen = f"({row} * {_MULTIPLIER}) % {_MODULUS} < {keep}"
        return database.table(f"SELECT {', '.join(texts)} FROM {relation} WHERE ({where}) AND {chosen}")
    inner = f'SELECT *, row_number() OVER () AS "@n" FROM {relation} WHERE {where}'
    return database.table(
        f'SELECT {", ".join(texts)} FROM ({inner}) WHERE ("@n" * {_MULTIPLIER}) % {_MODULUS} < {keep}'
    )


def _counted(database: Database, relation: str, name: str, *, where: str) -> dict[str, int]:
    column = quote(name)
    return dict(
        database.rows(
            f"SELECT CAST({column} AS VARCHAR) AS v, count(*) AS n FROM {relation} "
            f"WHERE ({where}) AND {column} IS NOT NULL GROUP BY v ORDER BY n DESC, v"
        )
    )


def _doubles(
    database: Database, relation: str, kinds: Mapping[str, str], *, key: Sequence[str], rows: int, where: str
) -> tuple[int | None, int | None]:
    """Return rows whose key is not the first of its kind, and whole rows that are not; the one tells of the other."""
    held = [name for name in key if name in kinds]
    keys_doubled = None
    if held and len(held) == len(key):
        keys_doubled = rows - _different(database, relation, held, where=where)
        if keys_doubled == 0:
            return 0, 0
    return keys_doubled, rows - _different(database, relation, list(kinds), where=where)


def _different(database: Database, relation: str, names: Sequence[str], *, where: str) -> int:
    # The hash lives no longer than the statement; two rows out of a billion collide once in 37 runs.
    values = ", ".join(quote(name) for name in names)
    ((found,),) = database.rows(f"SELECT count(DISTINCT hash({values})) FROM {relation} WHERE {where}")
    return int(found)


# -- columns


def _column(
    name: str,
    kind: str,
    values: pa.ChunkedArray,
    *,
    rows: int,
    missing: int,
    distinct: int,
    span: tuple[float | None, float | None],
    counted: dict[str, int] | None,
) -> ColumnProfile:
    found = values.drop_null()
    scale = (rows - missing) / len(found) if len(found) else 0.0
    more: dict[str, Any] = {}
    if kind in {"int", "float"}:
        numbers = np.asarray(found.cast(pa.float64(), safe=False))
        numbers = numbers[np.isfinite(numbers)]
        more = {
            "zeros": float(np.mean(numbers == 0)) if numbers.size else 0.0,
            "quantiles": _quantiles(numbers[numbers != 0]),
            "counts": _scaled(_most_common(found), scale),
        }
    elif kind == "time":
        moments = np.asarray(found.cast(pa.int64()))
        days = np.unique(moments // DAY_US, return_counts=True)
        more = {
            "quantiles": _quantiles(moments.astype(float)),
            "counts": _scaled(zip(map(_day, days[0].tolist()), days[1].tolist(), strict=True), scale, most=4_000),
            "hours": tuple(np.bincount((moments % DAY_US) // (DAY_US // 24), minlength=24).tolist()),
        }
    else:
        texts = found.cast(pa.string())
        tallied = counted if counted is not None else dict(_tallied(texts))
        if counted is None:
            more["distinct"] = distinct if scale > 1 else len(tallied)
        shapes, odd = _shapes(tallied) if kind == "text" else ({}, {})
        complete = len(tallied) <= MOST_VALUES and (counted is not None or scale <= 1)
        more |= {
            "counts": _scaled(tallied.items(), 1.0 if counted is not None else scale, most=MOST_VALUES),
            "complete": complete,
            "shapes": shapes,
            "odd": odd,
        }
    least, most = span
    return ColumnProfile(
        name=name, kind=kind, rows=rows, missing=missing, least=least, most=most, **{"distinct": distinct, **more}
    )


def _quantiles(values: NDArray[Any]) -> tuple[float, ...]:
    if not values.size:
        return ()
    at = np.linspace(0, 1, QUANTILES)
    return tuple(np.quantile(values, at, method="nearest").tolist())


def _most_common(values: pa.ChunkedArray, *, most: int = 30) -> list[tuple[str, int]]:
    counts = pc.value_counts(values)
    pairs = [(_plain(pair["values"].as_py()), pair["counts"].as_py()) for pair in _heaviest(counts, most)]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def _heaviest(counts: pa.StructArray, most: int) -> Iterable[pa.StructScalar]:
    order = np.argsort(-np.asarray(counts.field("counts")), kind="stable")[:most]
    return [counts[int(at)] for at in order]


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else str(value)


def _tallied(texts: pa.ChunkedArray) -> list[tuple[str, int]]:
    counts = pc.value_counts(texts)
    pairs = zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))


def _scaled(pairs: Iterable[tuple[str, int]], scale: float, *, most: int = 30) -> dict[str, int]:
    kept = list(pairs)[:most] if most < 4_000 else list(pairs)
    return {value: max(1, round(count * scale)) for value, count in kept}


def _shapes(counts: Mapping[str, int]) -> tuple[dict[str, float], dict[str, tuple[str, ...]]]:
    """Return the shares of texts of each shape, and a few of those that may be faults."""
    totals: Counter[str] = Counter()
    odd: dict[str, list[str]] = {}
    rows = sum(counts.values())
    for text, count in counts.items():
        for shape in _shapes_of(text):
            totals[shape] += count
            if shape in _FAULTS and len(odd.setdefault(shape, [])) < 50:
                odd[shape].append(text)
    return {shape: n / rows for shape, n in sorted(totals.items())}, {s: tuple(v) for s, v in sorted(odd.items())}


def _shapes_of(text: str) -> list[str]:
    bare = text.strip()
    tests = {
        "padded": bool(bare) and ("  " in bare or bare != text),
        "upper": bare.isupper(),
        "lower": bare.islower(),
        "number": bool(_NUMBER.fullmatch(bare)),
        "comma": bool(_COMMA.fullmatch(bare)),
        "suffixed": bool(_SUFFIXED.fullmatch(bare)),
        "moment": bool(_MOMENT.fullmatch(bare)),
        "mojibake": bool(_MOJIBAKE.search(bare)),
        "foreign": not bare.isascii(),
    }
    return [shape for shape, holds in tests.items() if holds]


def _day(number: int) -> str:
    return str(np.datetime64(number, "D"))
