"""The one component that computes what was known when: for training, for batch, for backfill, for the online store.

Sources become tables with their derived columns; timelines become tables of steps; examples are joined to them one
as-of join a statement. The file hides the SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from headway.errors import DataError
from headway.nouns.clock import format_moment
from headway.query.compile import quote, quote_text
from headway.query.database import Database
from headway.query.definitions import LOOK_AT, PREDICT_AT, Definitions, Relation
from headway.query.functions import SQL_TYPES
from headway.query.timeline import Timeline

__all__ = ["KNOWN_AT", "LABEL", "PointInTime", "files_sql"]

LABEL = "@label"
KNOWN_AT = "@label_known_at"


def files_sql(paths: Sequence[Path]) -> str:
    """Return a relation over Parquet files, with ``filename`` and ``file_row_number`` (from 0)."""
    listed = ", ".join(quote_text(str(path)) for path in paths)
    return f"read_parquet([{listed}], filename = true, file_row_number = true)"


def moment_sql(moment_us: int) -> str:
    """Return a moment as an SQL constant."""
    return f"make_timestamp({moment_us}::BIGINT)"


class PointInTime:
    """Sources, as files of one snapshot each, seen through a brief's definitions.

    Parameters
    ----------
    database
        Where tables are made; they live as long as it does.
    definitions
        The resolved brief.
    files
        For each source the Parquet files of its snapshot, in order.
    """

    def __init__(self, database: Database, definitions: Definitions, files: Mapping[str, Sequence[Path]]) -> None:
        self._database = database
        self._definitions = definitions
        self._files = files
        self._tables: dict[str, str] = {}
        self._steps: dict[tuple[Timeline, int | None], str] = {}

    def table(self, name: str) -> str:
        """Return the table of source ``name`` with its derived columns, made on first use."""
        if name not in self._tables:
            relation = self._definitions.relations[name]
            columns = ", ".join(map(quote, relation.raw))
            raw = f"(SELECT {columns} FROM {files_sql(self._files[name])})"
            self._tables[name] = self._database.create(self.relation_sql(relation, raw), prefix="source")
        return self._tables[name]

    def relation_sql(self, relation: Relation, raw: str) -> str:
        """Return the text that adds derived columns to ``raw``, one stage a column, in the order of the brief."""
        text = f"SELECT * FROM {raw}"
        for column in relation.derived:
            stage = f"({text})"
            for timeline in column.timelines:
                joined = timeline.join_sql(stage, self.steps(timeline), moment="", look_at="")
                stage = f"({joined})"
            hidden = [name for timeline in column.timelines for name, _ in timeline.outputs]
            kept = f"* EXCLUDE ({', '.join(map(quote, hidden))})" if hidden else "*"
            text = f"SELECT {kept}, {column.compiled.sql} AS {quote(column.name)} FROM {stage}"
        return text

    def steps(self, timeline: Timeline, *, since_us: int | None = None) -> str:
        """Return the table of a timeline's steps, made on first use.

        Raises
        ------
        DataError
            When a dimension has two rows of one key: a look-up would not know which to take.
        """
        found = self._steps.get((timeline, since_us))
        if found is None:
            sql = timeline.steps_sql(self.table(timeline.source), since_us=since_us)
            found = self._database.create(sql, prefix="steps")
            if timeline.shape == "static":
                self._check_unique(timeline, found)
            self._steps[timeline, since_us] = found
        return found

    def steps_table(self, timeline: Timeline, *, since_us: int | None = None) -> pa.Table:
        """Return a timeline's steps as Arrow, moments as whole microseconds: what the online store is filled with."""
        steps = self.steps(timeline, since_us=since_us)
        names = [row[0] for row in self._database.rows(f"DESCRIBE {steps}")]
        kinds = {row[0]: row[1] for row in self._database.rows(f"DESCRIBE {steps}")}
        columns = ", ".join(
            f"epoch_us({quote(name)}) AS {quote(name)}" if kinds[name] == "TIMESTAMP" else quote(name) for name in names
        )
        return self._database.table(f"SELECT {columns} FROM {steps}")

    def examples(
        self, *, as_of_us: int, since_us: int | None = None, until_us: int | None = None, source: str | None = None
    ) -> str:
        """Return the table of examples with features, as known at each one's ``predict_at``.

        Parameters
        ----------
        as_of_us
            Now: no example is later, and no label that became known later is seen.
        since_us, until_us
            Only examples with ``since <= predict_at < until``.
        source
            A relation with the raw columns to use instead of the snapshot's: the rows of a batch.

        Returns
        -------
        str
            The name of a table with the source's columns, ``predict_at``, :data:`LABEL`, :data:`KNOWN_AT`,
            ``rule`` and one column a feature (named ``feature:NAME``), ordered by nothing.

        Raises
        ------
        DataError
            When a feature uses a column of the row that is not known yet at ``predict_at``.
        """
        definitions = self._definitions
        relation = definitions.examples
        rows = self.table(relation.name) if source is None else f"({self.relation_sql(relation, source)})"
        bounds = [f"{quote(PREDICT_AT)} IS NOT NULL", f"{quote(PREDICT_AT)} <= {moment_sql(as_of_us)}"]
        bounds += [] if since_us is None else [f"{quote(PREDICT_AT)} >= {moment_sql(since_us)}"]
        bounds += [] if until_us is None else [f"{quote(PREDICT_AT)} < {moment_sql(until_us)}"]
        known, label = definitions.label_known_at.sql, definitions.label.sql
        lag = f"to_microseconds({definitions.lag_us}::BIGINT)"
        current = self._database.create(
            f"""
            SELECT *, {quote(PREDICT_AT)} - {lag} AS {quote(LOOK_AT)},
                   CASE WHEN {quote(KNOWN_AT)} <= {moment_sql(as_of_us)} THEN {label} END AS {quote(LABEL)}
            FROM (SELECT *, {definitions.predict_at.sql} AS {quote(PREDICT_AT)}, {known} AS {quote(KNOWN_AT)} FROM {rows})
            WHERE {" AND ".join(bounds)}
            """,
            prefix="examples",
        )
        if source is None:
            self._refuse_future(current)
        for timeline in definitions.timelines:
            joined = timeline.join_sql(current, self.steps(timeline), moment=PREDICT_AT, look_at=LOOK_AT)
            wider = self._database.create(joined, prefix="examples")
            self._database.drop(current)
            current = wider
        features = ", ".join(f"{feature.sql} AS {quote(f'feature:{feature.name}')}" for feature in definitions.features)
        table = self._database.create(f"SELECT *, {features} FROM {current}", prefix="features")
        self._database.drop(current)
        return table

    def _refuse_future(self, examples: str) -> None:
        """Raise when a column that a feature takes from the row itself was not known at ``predict_at``."""
        checks = list(self._definitions.row_known.items())
        if not checks:
            return
        counts = ", ".join(
            f"count(*) FILTER (WHERE {quote(column)} IS NOT NULL "
            f"AND NOT coalesce({known.sql} <= {quote(PREDICT_AT)}, FALSE)) AS n{position}"
            for position, (column, known) in enumerate(checks)
        )
        (found,) = self._database.rows(f"SELECT count(*), {counts} FROM {examples}")
        for (column, known), late in zip(checks, found[1:], strict=True):
            if late:
                users = [f.name for f in self._definitions.features if column in f.row_columns]
                example = self._database.rows(
                    f"SELECT epoch_us({known.sql}), epoch_us({quote(PREDICT_AT)}) FROM {examples} "
                    f"WHERE {known.sql} > {quote(PREDICT_AT)} LIMIT 1"
                )
                when = (
                    f"; for one it is known at {format_moment(example[0][0])}, and predicted at "
                    f"{format_moment(example[0][1])}"
                    if example
                    else ""
                )
                raise DataError(
                    f"{column!r} is not known at predict_at for {late} of {found[0]} examples{when}. "
                    "A feature may not look into the future.",
                    where=f"features.{users[0]}",
                    hint="Take it out of the row's own features; past rows' values can be used over a window.",
                )

    def _check_unique(self, timeline: Timeline, steps: str) -> None:
        keys = ", ".join(map(quote, timeline.keys))
        double = self._database.rows(
            f"SELECT {keys}, count(*) FROM {steps} GROUP BY {keys} HAVING count(*) > 1 ORDER BY {keys} LIMIT 1"
        )
        if double:
            *values, count = double[0]
            raise DataError(
                f"Source {timeline.source!r} has {count} rows with "
                f"{', '.join(f'{name} = {value!r}' for name, value in zip(timeline.theirs, values, strict=True))}; a look-up "
                "would not know which to take.",
                where=f"sources.{timeline.source}",
                hint="Match on more columns, or give the source a time and say when its rows are known.",
            )

    def last_moment_us(self) -> int:
        """Return the last moment at which anything about an example happens: a prediction, or a label becoming known."""
        definitions = self._definitions
        moments = f"greatest({definitions.predict_at.sql}, {definitions.label_known_at.sql})"
        ((last,),) = self._database.rows(f"SELECT epoch_us(max({moments})) FROM {self.table(definitions.examples.name)}")
        return int(last or 0)

    def last_event_us(self, name: str) -> int:
        """Return when the last event of source ``name`` happens; 0 where none does."""
        time = self._definitions.relations[name].source.time
        ((last,),) = self._database.rows(f"SELECT epoch_us(max({quote(time)})) FROM {self.table(name)}")
        return int(last or 0)

    def kinds_sql(self, name: str) -> str:
        """Return an empty relation with the raw columns of source ``name``, to hold the rows of a batch."""
        columns = ", ".join(
            f"CAST(NULL AS {SQL_TYPES[kind]}) AS {quote(column)}"
            for column, kind in self._definitions.relations[name].raw.items()
        )
        return f"(SELECT {columns} WHERE FALSE)"
