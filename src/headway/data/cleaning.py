"""What cleaning learns from the training period, and what it changed.

Learned are bounds by quantiles and what stands in for missing values, from rows whose event came before the training
period ended and whose value was known by then; never from a later one. Every figure is exact, and follows in a second
phase from what parts of the rows were reduced to in a first: how often each value is there, or a sum of whole numbers.
So the same rows give the same figures on any number of threads, or workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from headway.data.across import Across
from headway.errors import DataError
from headway.nouns.cleaning import Fitted
from headway.nouns.clock import parse_moment
from headway.query.cleaning import cleaned, group_of
from headway.query.compile import compile_expression, quote
from headway.query.example_texts import moment_sql
from headway.query.parts import parts_sql
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence

    from headway.engine.cluster import Cluster
    from headway.nouns.brief import Brief
    from headway.nouns.cleaning import Clean
    from headway.query.database import Database
    from headway.query.definitions import Definitions
    from headway.query.relation import Kinds, Relation

__all__ = ["Cleaned", "Learned", "cleaning_report", "learn"]

Learned = dict[tuple[str, str], Fitted]
_MOST_GROUPS = 1_000
_EXAMPLES = 3


class Cleaned(msgspec.Struct, frozen=True, kw_only=True):
    """What cleaning one column changed, over all rows of its source.

    Attributes
    ----------
    changed
        Rows whose value is another than before; those that became missing, and those that were filled, among them.
    examples
        Values before and after, the commonest changes first, each with its number of rows.
    """

    source: str
    column: str
    of: str
    rows: int
    changed: int
    became_missing: int
    filled: int
    examples: tuple[tuple[str, str, int], ...]
    learned: Fitted | None = None


def learn(
    brief: Brief,
    raw: Mapping[str, Kinds],
    files: Mapping[str, Sequence[os.PathLike[str]]],
    *,
    database: Database,
    cluster: Cluster | None = None,
) -> Learned:
    """Return what the brief's cleaning learns from the training period, by source and column.

    Parameters
    ----------
    raw
        The columns of each source, with their kinds.
    files
        The Parquet files of each source's snapshot.
    cluster
        Where rows are reduced; here if there is none.

    Raises
    ------
    DataError
        When there is no value to learn from.
    """
    learned: Learned = {}
    for name, source in brief.sources.items():
        for column, spec in source.clean.items():
            if not spec.learns:
                continue
            # What was learned before is heeded by what is learned now: a column may be made of a cleaned one.
            definitions = resolve(brief.cleaned_by(learned), raw)
            rows = _Rows(definitions, name, files, database, cluster)
            learned[name, column] = rows.learn(column, spec)
    return learned


class _Rows:
    """The rows of one source in the training period."""

    def __init__(
        self,
        definitions: Definitions,
        name: str,
        files: Mapping[str, Sequence[os.PathLike[str]]],
        database: Database,
        cluster: Cluster | None,
    ) -> None:
        self.relation: Relation = definitions.relations[name]
        self.database = database
        self.reduced = _reducer(definitions, name, files, database, cluster)
        split = definitions.brief.split
        self.before = moment_sql(parse_moment(str(split.ends["train"]), zone=split.zone))
        self.after = moment_sql(parse_moment(str(split.train_from), zone=split.zone)) if split.train_from else ""

    def learn(self, column: str, spec: Clean) -> Fitted:
        where = f"sources.{self.relation.name}.clean.{column}"
        fitted = Fitted()
        if spec.quantiles is not None:
            plain = msgspec.structs.replace(spec, quantiles=None, low=None, high=None, fill=None, fitted=None)
            low, high = self._bounds(plain, spec.quantiles, where)
            fitted = Fitted(low=low, high=high)
        if not spec.statistic:
            return fitted
        plain = msgspec.structs.replace(spec, fill=None, indicator="", fitted=fitted)
        return self._stand_in(plain, spec.statistic, fitted, where)

    def _bounds(self, spec: Clean, shares: tuple[float, float], where: str) -> tuple[float, float]:
        if not 0 <= shares[0] < shares[1] <= 1:
            raise DataError(
                f"quantiles = {list(shares)} are no shares.",
                where=f"{where}.quantiles",
                hint="Write [0.01, 0.99], say.",
            )
        value = f"CAST({self._value(spec, where)} AS DOUBLE)"
        counts = self.reduced(
            lambda rows: _counts_sql(f"SELECT '' AS g, {value} AS v FROM {rows} WHERE {self._within(spec)}")
        )
        found = [self.database.rows(_quantile_sql(counts, share)) for share in shares]
        low, high = (self._there(rows[0][1] if rows else None, where) for rows in found)
        return low, high

    def _stand_in(self, spec: Clean, statistic: str, fitted: Fitted, where: str) -> Fitted:
        value = self._value(spec, where)
        group = "''"
        if spec.by:
            group = compile_expression(
                group_of(spec.by, self.relation.scope(), f"{where}.by"), self.relation.scope()
            ).sql
        first, last = (_sums_sql, _mean_sql) if statistic == "mean" else (_counts_sql, _OF_COUNTS[statistic])
        parts = self.reduced(
            lambda rows: first(f"SELECT {group} AS g, {value} AS v FROM {rows} WHERE {self._within(spec)}")
        )
        whole = self.database.rows(last(f"(SELECT * REPLACE ('' AS g) FROM {parts})"))
        found = dict(self.database.rows(last(parts))) if spec.by else {}
        if len(found) > _MOST_GROUPS:
            raise DataError(
                f"There are {len(found)} groups to learn from, and at most {_MOST_GROUPS} are kept.",
                where=f"{where}.by",
                hint="Group by columns with fewer values.",
            )
        fill = self._there(whole[0][1] if whole else None, where)
        return Fitted(low=fitted.low, high=fitted.high, fill=fill, fill_by=dict(sorted(found.items())))

    def _value(self, spec: Clean, where: str) -> str:
        scope = self.relation.scope()
        return compile_expression(cleaned("value", spec, scope, where)["value"], scope).sql

    def _within(self, spec: Clean) -> str:
        """Return the condition of rows that training may see: before its end, and known before it."""
        relation, scope = self.relation, self.relation.scope()
        bounds = []
        if relation.source.time:
            bounds.append(f"{quote(relation.source.time)} < {self.before}")
            bounds += [f"{quote(relation.source.time)} >= {self.after}"] if self.after else []
        known = relation.known_at(relation.raw_inputs([spec.of]) or [spec.of])
        if known is not None:
            bounds.append(f"{compile_expression(known, scope).sql} < {self.before}")
        return " AND ".join(bounds) or "TRUE"

    def _there(self, value: Any, where: str) -> Any:
        if value is None:
            raise DataError(
                "There is no value before the training period ends to learn from.",
                where=where,
                hint="Move train_before later, or say what stands in: fill = 0.",
            )
        return value


def _reducer(
    definitions: Definitions,
    name: str,
    files: Mapping[str, Sequence[os.PathLike[str]]],
    database: Database,
    cluster: Cluster | None,
) -> Callable[[Callable[[str], str]], str]:
    """Return what reduces the rows of a source, here or in parts, and gives what they were reduced to as a relation."""
    if cluster is not None:
        across = Across(cluster, database, definitions, files)
        return lambda text: across.reduced(name, text)
    point = PointInTime(database, definitions, files)
    rows = point.relation_sql(definitions.relations[name], parts_sql(files[name]))
    return lambda text: f"({text(f'({rows})')})"


def _counts_sql(rows: str) -> str:
    """Return how often each value of each group is there."""
    return f"SELECT g, v, count(*) AS n FROM ({rows}) WHERE v IS NOT NULL GROUP BY g, v"


def _sums_sql(rows: str) -> str:
    """Return the sum of each group in millionths, which is exact: a sum of doubles would depend on the order."""
    whole = "CAST(round(CAST(v AS DOUBLE) * 1e6) AS HUGEINT)"
    return f"SELECT g, sum({whole}) AS s, count(*) AS n FROM ({rows}) WHERE v IS NOT NULL GROUP BY g"


def _mean_sql(sums: str) -> str:
    total, count = "CAST(CAST(sum(s) AS HUGEINT) AS DOUBLE)", "CAST(sum(n) AS BIGINT)"
    return f"SELECT g, {total} / {count} / 1e6 FROM {sums} GROUP BY g"


def _mode_sql(counts: str) -> str:
    whole = f"SELECT g, v, sum(n) AS n FROM {counts} GROUP BY g, v"
    return f"SELECT g, v FROM ({whole}) QUALIFY row_number() OVER (PARTITION BY g ORDER BY n DESC, v) = 1"


def _placed_sql(counts: str) -> str:
    """Return each value with how many stand up to it (``upto``), and how many there are (``whole``), in its group."""
    values = f"SELECT g, CAST(v AS DOUBLE) AS v, CAST(sum(n) AS BIGINT) AS n FROM {counts} GROUP BY ALL"
    return (
        "SELECT *, CAST(sum(n) OVER (PARTITION BY g ORDER BY v) AS BIGINT) AS upto, "
        f"CAST(sum(n) OVER (PARTITION BY g) AS BIGINT) AS whole FROM ({values})"
    )


def _median_sql(counts: str) -> str:
    """Return the middle of each group: of an even number, half way between the two in the middle."""
    middle = f"SELECT g, v FROM ({_placed_sql(counts)}), (VALUES (0), (1)) two(i)"
    return (
        f"SELECT g, quantile_cont(v, 0.5) FROM ({middle} WHERE (whole - 1 + i) // 2 BETWEEN upto - n AND upto - 1) "
        "GROUP BY g"
    )


def _quantile_sql(counts: str, share: float) -> str:
    """Return the least value up to which there is that share of all: the engine's ``quantile_disc``, of counts."""
    at = f"(greatest(1, whole - CAST(floor(whole - {share!r}::DOUBLE * whole) AS BIGINT)) - 1)"
    return f"SELECT g, v FROM ({_placed_sql(counts)}) WHERE {at} BETWEEN upto - n AND upto - 1"


_OF_COUNTS = {"mode": _mode_sql, "median": _median_sql}


def cleaning_report(
    definitions: Definitions, files: Mapping[str, Sequence[os.PathLike[str]]], *, database: Database
) -> tuple[Cleaned, ...]:
    """Return what each step of cleaning changed in the sources as they are."""
    point = PointInTime(database, definitions, files)
    return tuple(
        _changed(relation, column, point.relation_sql(relation, parts_sql(files[name])), database)
        for name, relation in definitions.relations.items()
        for column in relation.source.clean
    )


def _changed(relation: Relation, column: str, text: str, database: Database) -> Cleaned:
    spec = relation.source.clean[column]
    was, now = quote(spec.of), quote(column)
    pairs = (
        f"SELECT CAST({was} AS VARCHAR) AS was, CAST({now} AS VARCHAR) AS now, "
        f"{_same(relation, spec.of, column)} AS same FROM ({text})"
    )
    ((rows, changed, gone, filled),) = database.rows(
        "SELECT count(*), count(*) FILTER (WHERE NOT same), count(*) FILTER (WHERE was IS NOT NULL AND now IS NULL), "
        f"count(*) FILTER (WHERE was IS NULL AND now IS NOT NULL) FROM ({pairs})"
    )
    examples = database.rows(
        f"SELECT coalesce(was, ''), coalesce(now, ''), count(*) FROM ({pairs}) WHERE NOT same GROUP BY was, now "
        f"ORDER BY 3 DESC, 1, 2 LIMIT {_EXAMPLES}"
    )
    return Cleaned(
        source=relation.name,
        column=column,
        of=spec.of,
        rows=rows,
        changed=changed,
        became_missing=gone,
        filled=filled,
        examples=tuple(examples),
        learned=spec.fitted,
    )


def _same(relation: Relation, of: str, column: str) -> str:
    """Return the condition that nothing changed; a whole number is the same as the fraction of that value."""
    kinds, was, now = relation.kinds, quote(of), quote(column)
    if {kinds[of], kinds[column]} <= {"int", "float"} or kinds[of] == kinds[column]:
        return f"({was} IS NOT DISTINCT FROM {now})"
    return f"(CAST({was} AS VARCHAR) IS NOT DISTINCT FROM CAST({now} AS VARCHAR))"
