"""Looked-up values as step functions of time: one mechanism for training, batch, serving and replay.

Everything that a prediction looks up in another source is, for a given key, a function of the moment that is asked
for, constant between changes: the latest weather known by then, the number of late arrivals of a carrier in the last
24 hours. A :class:`Timeline` is that function written down as a table ``(key…, at, columns…)`` of its changes. Offline
it is joined *as of* each example's moment by the engine; online it is read by bisection. The two agree because they
read the same steps.

* **As of** ("latest"): among the rows known by ``t``, the one with the greatest event time, ties broken by key. Ordered
  by known time, only rows that beat every earlier-known row are ever the answer, so the steps are the running records.
  Of two rows with the same event time and key (a correction), the one that became known later counts.
* **Window**: rows with event time in ``(t - w, t]`` that are known by ``t``. A row enters at ``max(known, event)`` and
  leaves at ``max(known, event + w)``; the aggregate at ``t`` is what has entered minus what has left, a running sum of
  whole numbers. Whole numbers add exactly, so the result does not depend on the order, the thread or the partition.
* **Static**: a dimension without time; one row a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headway.query.compile import quote
from headway.query.functions import SQL_TYPES, Kind

__all__ = ["AT", "EVENT", "FIXED_POINT", "Aggregate", "Timeline", "key_column"]

AT = "@at"
EVENT = "@event"
FIXED_POINT = 1_000_000
"""Fractions are summed in millionths: sums of whole numbers are exact in any order, sums of floats are not."""


def key_column(position: int) -> str:
    """Return the name of the key column at ``position`` in a timeline's table."""
    return f"@key{position}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """One aggregate over a window: ``function`` of ``sql`` (``None`` for rows), named ``name``."""

    name: str
    function: Literal["avg", "sum", "count"]
    sql: str | None
    kind: Kind

    @property
    def scale(self) -> int:
        """Parts per unit in the whole numbers that are summed."""
        return FIXED_POINT if self.kind == "float" else 1

    @property
    def result(self) -> Kind:
        """The kind of the aggregate's value."""
        return "int" if self.function == "count" or (self.function == "sum" and self.kind != "float") else "float"

    def value(self, count: int | None, total: int | None) -> float | int | None:
        """Return the aggregate from the running count and sum; ``None`` stands for a key never seen."""
        if self.function == "count":
            return count or 0
        if self.function == "sum":
            whole = total or 0
            return whole if self.kind != "float" else float(whole) / self.scale
        return float(total or 0) / (count * self.scale) if count else None

    def value_sql(self, count: str, total: str) -> str:
        """Return the engine's text of :meth:`value`."""
        if self.function == "count":
            return f"coalesce({count}, 0)"
        if self.function == "sum":
            whole = f"coalesce({total}, 0)"
            return whole if self.kind != "float" else f"(CAST({whole} AS DOUBLE) / {self.scale})"
        return f"(CASE WHEN {count} > 0 THEN CAST({total} AS DOUBLE) / ({count} * {self.scale}) END)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The steps of everything looked up in one source by one key in one way.

    Attributes
    ----------
    name
        Short and unique within a brief; its columns are called ``name.column`` in the joined row.
    source
        The source that is looked into.
    mine, theirs
        Columns that must be equal, of the example's row and of the source.
    known, event
        Engine text, over the source's relation, of when a row is known and when it happens; empty for ``static``.
    columns
        Columns of the source that are carried, name and kind (``static`` and ``asof``).
    aggregates
        What is aggregated (``window``).
    max_age_us
        Older events count as missing (``asof``).
    order
        Columns that break ties between events of one moment (``asof``), before the moment they became known.
    reads
        Every column of the source, raw or derived, that the steps are computed from (``asof`` and ``window``).
    """

    name: str
    source: str
    shape: Literal["static", "asof", "window"]
    mine: tuple[str, ...]
    theirs: tuple[str, ...]
    known: str = ""
    event: str = ""
    order: tuple[str, ...] = ()
    columns: tuple[tuple[str, Kind], ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    window_us: int = 0
    max_age_us: int | None = None
    reads: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the key columns in the table of steps."""
        return tuple(key_column(position) for position in range(len(self.theirs)))

    @property
    def outputs(self) -> tuple[tuple[str, Kind], ...]:
        """The columns that the joined row gains: name and kind."""
        if self.shape == "window":
            return tuple((f"{self.name}.{aggregate.name}", aggregate.result) for aggregate in self.aggregates)
        return tuple((f"{self.name}.{name}", kind) for name, kind in self.columns)

    @property
    def stale(self) -> str:
        """The column that says whether something was found but too old; only with ``max_age_us``."""
        return f"{self.name}.stale" if self.max_age_us is not None else ""

    def steps_sql(self, relation: str, *, since_us: int | None = None) -> str:
        """Return the engine's text of the table of steps over ``relation``.

        Parameters
        ----------
        since_us
            Keep only what can matter to moments from here on; serving needs no more.
        """
        keys = ", ".join(
            f"{quote(column)} AS {quote(name)}" for column, name in zip(self.theirs, self.keys, strict=True)
        )
        present = " AND ".join(f"{quote(column)} IS NOT NULL" for column in self.theirs)
        if self.shape == "static":
            carried = "".join(f", {quote(name)}" for name, _ in self.columns)
            return f"SELECT {keys}{carried} FROM {relation} WHERE {present}"
        if self.shape == "asof":
            return self._asof_sql(relation, keys, present, since_us)
        return self._window_sql(relation, keys, present, since_us)

    def _asof_sql(self, relation: str, keys: str, present: str, since_us: int | None) -> str:
        names = ", ".join(map(quote, self.keys))
        carried = "".join(f", {quote(name)}" for name, _ in self.columns)
        # A total order but for rows that are alike in everything carried: threads may not choose between rows.
        order = ", ".join(f"{term} ASC NULLS FIRST" for term in self._ranked_by)
        theirs = ", ".join(map(quote, self.theirs))
        recent = ""
        if since_us is not None and self.max_age_us is not None:
            recent = f" AND {self.event} >= make_timestamp({since_us - self.max_age_us}::BIGINT)"
        # The records: rows that no row known earlier (or at the same moment) beats.
        return f"""
            WITH known AS (
                SELECT {keys}, {self.known} AS "{AT}", {self.event} AS "{EVENT}"{carried},
                       row_number() OVER (PARTITION BY {theirs} ORDER BY {order}) AS "@rank"
                FROM {relation} WHERE {present} AND {self.known} IS NOT NULL AND {self.event} IS NOT NULL{recent}
            ), best AS (
                SELECT *, max("@rank") OVER (PARTITION BY {names} ORDER BY "{AT}"
                                             RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS "@best"
                FROM known
            )
            SELECT {names}, "{AT}", "{EVENT}"{carried} FROM best WHERE "@rank" = "@best"
        """

    @property
    def _ranked_by(self) -> tuple[str, ...]:
        """The terms by which the latest of two rows is told, the weightiest first."""
        return (self.event, *map(quote, self.order), self.known, *(quote(name) for name, _ in self.columns))

    def _window_sql(self, relation: str, keys: str, present: str, since_us: int | None) -> str:
        names = ", ".join(map(quote, self.keys))
        counts, totals = [], []
        for position, aggregate in enumerate(self.aggregates):
            value = aggregate.sql
            counts.append(f"{1 if value is None else f'({value} IS NOT NULL)::BIGINT'} AS n{position}")
            # What is counted need not be a number: a text is there, or not.
            counted = value is None or aggregate.function == "count"
            whole = "0" if counted else f"coalesce({_whole(str(value), aggregate)}, 0)"
            totals.append(f"{whole} AS s{position}")
        measured = ", ".join([*counts, *totals])
        columns = [f"{letter}{position}" for letter in "ns" for position in range(len(self.aggregates))]
        plus, minus = ", ".join(columns), ", ".join(f"-{column} AS {column}" for column in columns)
        added = ", ".join(f"sum({column}) AS {column}" for column in columns)
        # All that has entered a key's window leaves it again, so a running sum over all keys begins each at nought: one
        # sort of everything, which the engine streams, instead of a partition for each key.
        running = ", ".join(f"CAST(sum({column}) OVER steps AS BIGINT) AS {column}" for column in columns)
        recent = "" if since_us is None else f" AND {self.event} > make_timestamp({since_us - self.window_us}::BIGINT)"
        length = f"to_microseconds({self.window_us}::BIGINT)"
        return f"""
            WITH stays AS (
                SELECT {keys}, greatest({self.known}, {self.event}) AS enters,
                       greatest({self.known}, {self.event} + {length}) AS leaves, {measured}
                FROM {relation} WHERE {present} AND {self.known} IS NOT NULL AND {self.event} IS NOT NULL{recent}
            ), changes AS (
                SELECT {names}, enters AS "{AT}", {plus} FROM stays WHERE enters < leaves
                UNION ALL
                SELECT {names}, leaves AS "{AT}", {minus} FROM stays WHERE enters < leaves
            ), moments AS (
                SELECT {names}, "{AT}", {added} FROM changes GROUP BY {names}, "{AT}"
            )
            SELECT {names}, "{AT}", {running} FROM moments
            WINDOW steps AS (ORDER BY {names}, "{AT}" ROWS UNBOUNDED PRECEDING)
        """

    def join_sql(self, examples: str, steps: str, *, moment: str, look_at: str) -> str:
        """Return the text that adds this timeline's columns to ``examples``.

        Parameters
        ----------
        moment
            The column of the prediction's moment, against which ages are measured.
        look_at
            The column of the moment as of which is looked: ``moment`` less the promised lag of serving.
        """
        equal = " AND ".join(
            f"x.{quote(mine)} = s.{quote(key)}" for mine, key in zip(self.mine, self.keys, strict=True)
        )
        outputs = ", ".join(self._output_sql(moment))
        if self.shape == "static":
            return f"SELECT x.*, {outputs} FROM {examples} x LEFT JOIN {steps} s ON {equal}"
        return (
            f"SELECT x.*, {outputs} FROM {examples} x ASOF LEFT JOIN {steps} s "
            f'ON {equal} AND x.{quote(look_at)} >= s."{AT}"'
        )

    def _output_sql(self, moment: str) -> list[str]:
        if self.shape == "window":
            return [
                f"{aggregate.value_sql(f's.n{position}', f's.s{position}')} AS {quote(f'{self.name}.{aggregate.name}')}"
                for position, aggregate in enumerate(self.aggregates)
            ]
        if self.max_age_us is None:
            return [f"s.{quote(name)} AS {quote(f'{self.name}.{name}')}" for name, _ in self.columns]
        fresh = f'x.{quote(moment)} - s."{EVENT}" <= to_microseconds({self.max_age_us}::BIGINT)'
        return [
            *(
                f"CASE WHEN {fresh} THEN s.{quote(name)} END AS {quote(f'{self.name}.{name}')}"
                for name, _ in self.columns
            ),
            f"coalesce(NOT ({fresh}), FALSE) AS {quote(self.stale)}",
        ]

    def rows_sql(self, relation: str) -> str:
        """Return the text that lists the source rows behind one look-up: lineage by replay.

        Its parameters, by name: ``key0``, ``key1``, … and, unless static, ``look_at``, a timestamp.
        """
        keys = " AND ".join(f"{quote(column)} = $key{position}" for position, column in enumerate(self.theirs))
        if self.shape == "static":
            return f"SELECT * FROM {relation} WHERE {keys}"
        known = f"{keys} AND {self.known} <= CAST($look_at AS TIMESTAMP)"
        if self.shape == "asof":
            # The steps' own order turned round: what is not there comes last here as it comes first there.
            order = ", ".join(f"{term} DESC NULLS LAST" for term in self._ranked_by)
            return f"SELECT * FROM {relation} WHERE {known} AND {self.event} IS NOT NULL ORDER BY {order} LIMIT 1"
        length = f"to_microseconds({self.window_us}::BIGINT)"
        return (
            f"SELECT * FROM {relation} WHERE {known} AND {self.event} <= CAST($look_at AS TIMESTAMP) "
            f"AND {self.event} + {length} > CAST($look_at AS TIMESTAMP) ORDER BY {self.event}"
        )


def _whole(value: str, aggregate: Aggregate) -> str:
    if aggregate.kind == "float":
        return f"CAST(floor({value} * {FIXED_POINT} + 0.5) AS BIGINT)"
    return f"CAST({value} AS {SQL_TYPES['int']})"
