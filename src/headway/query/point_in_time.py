"""The one component that computes what was known when: for training, for batch, for backfill, for the online store.

Sources become tables with their derived columns; timelines become tables of steps; each look-up is one as-of join of
the bare examples, and what it found goes back to its example by number. The file hides the SQL, that only columns are
carried which something still needs, and that a large source is looked into by some of its keys after the others: what a
cluster does side by side is done here in turn, so that memory is for one part of the steps and of what they gave.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from headway.errors import DataError
from headway.query.aim import moments_table
from headway.query.asking import NUMBER, PART, Asking, grouped
from headway.query.compile import quote
from headway.query.database import blamed_on
from headway.query.example_texts import (
    KNOWN_AT,
    MOMENT,
    among_sql,
    chosen_sql,
    derived_sql,
    entities_sql,
    example_sql,
    features_sql,
    known_entities_sql,
    labelled_sql,
    lasting,
    late_sql,
    moment_sql,
    once_sql,
    refuse_late,
)
from headway.query.functions import SQL_TYPES
from headway.query.nearest import answers
from headway.query.parted import Parted
from headway.query.parts import parts_sql
from headway.query.relation import LOOK_AT, PREDICT_AT, Relation

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from headway.query.database import Database
    from headway.query.definitions import Definitions
    from headway.query.timeline import Timeline

__all__ = ["PointInTime"]

_FILE = "@file"
_FOR_EVER_US = 2**62
_ROWS_AT_ONCE = 1 << 20
_ROWS_A_THREAD = 1 << 17  # one block of the engine's: sorted and looked up in a tenth less time than a million at once
_FOUND_AT_ONCE = 1 << 24
_STRETCHES = 64  # each is a file that is written at the same time, and a block of each of its columns in memory


class PointInTime:
    """Sources, as files of one snapshot each, seen through a brief's definitions.

    Parameters
    ----------
    database
        Where tables are made; they live as long as it does.
    definitions
        The resolved brief.
    files
        For each source the Parquet files of its snapshot, in order; a file less some rows is a ``Part``.
    tell_files
        Keep in mind which row came from which file, for :meth:`last_events_us`.
    """

    def __init__(
        self,
        database: Database,
        definitions: Definitions,
        files: Mapping[str, Sequence[os.PathLike[str]]],
        *,
        tell_files: bool = False,
    ) -> None:
        self._database = database
        self._definitions = definitions
        self._files = files
        self._tell_files = tell_files
        self._tables: dict[str, str] = {}
        self._steps: dict[tuple[Timeline, int | None], str] = {}

    @property
    def database(self) -> Database:
        """Where its tables are."""
        return self._database

    def table(self, name: str) -> str:
        """Return the table of source ``name``, made on first use.

        It has the source's key and time, and every raw or derived column that the definitions read: a source may be
        much wider than what is asked of it. A large one from which nothing is computed stays in its files, which are
        smaller than its rows in memory and no slower to read than what would have to be spilled.

        Raises
        ------
        DataError
            When a derived column cannot be computed from what stands in the files.
        """
        if name not in self._tables:
            relation, wanted = self._definitions.relations[name], self._definitions.reads(name)
            loaded = relation.loaded(wanted)
            files = parts_sql(self._files[name], filename=_FILE if self._tell_files else "")
            told = [_FILE] if self._tell_files else []
            columns = ", ".join(map(quote, [*(c for c in relation.raw if c in loaded), *told])) or "1 AS one"
            text = derived_sql(relation, f"(SELECT {columns} FROM {files})", {*wanted, *relation.same_by}, self.steps)
            text = once_sql(relation, text, wanted)
            kept = ", ".join(map(quote, [*(c for c in relation.kinds if c in wanted), *told])) or "one"
            plain = relation.source.once is None and not relation.closure(wanted) - {*relation.raw}
            make = self._database.view if plain and self._count(files) > _ROWS_AT_ONCE else self._database.create
            with blamed_on(f"sources.{name}.derive"):
                self._tables[name] = make(f"SELECT {kept} FROM ({text})", prefix="source")
        return self._tables[name]

    def relation_sql(self, relation: Relation, raw: str) -> str:
        """Return the text that adds all derived columns to ``raw``, one stage a column, in the order of the brief."""
        return derived_sql(relation, raw, relation.kinds, self.steps)

    def steps(self, timeline: Timeline, *, since_us: int | None = None) -> str:
        """Return the table of a timeline's steps, made on first use.

        Raises
        ------
        DataError
            When a dimension has two rows of one key: a look-up would not know which to take.
        """
        found = self._steps.get((timeline.unnamed, since_us))
        if found is None:
            with blamed_on(f"sources.{timeline.source}"):
                found = self._made_by_key(timeline, since_us)
            if timeline.shape == "static":
                self._check_unique(timeline, found)
            self._steps[timeline.unnamed, since_us] = found
        return found

    def _made_by_key(self, timeline: Timeline, since_us: int | None) -> str:
        """Return the steps of a timeline, made of as many keys at a time as memory is for."""
        source = self.table(timeline.source)
        parts = 1 if timeline.whole else self._parts(source)
        if parts == 1:
            return self._database.create(timeline.steps_sql(source, since_us=since_us), prefix="steps")
        reads = {*timeline.theirs, *timeline.reads, *(name for name, _ in timeline.columns)}
        found = ""
        for rows in self._rows_by_part(source, reads, timeline.theirs, parts):
            found = self._database.add(found, timeline.steps_sql(rows, since_us=since_us), prefix="steps")
        return found

    def _parts(self, *tables: str) -> int:
        """Return in how many parts, by key, tables are worked on: one, unless that would be more than memory is for."""
        rows = max(map(self._count, tables))
        return 1 if rows <= _ROWS_AT_ONCE else -(-rows // min(_ROWS_A_THREAD * self._database.threads, _ROWS_AT_ONCE))

    def _rows_by_part(self, source: str, reads: Iterable[str], key: Sequence[str], parts: int) -> Parted:
        """Return some columns of a source's rows by part of the keys; those without a key are found by nobody."""
        there = " AND ".join(f"{quote(column)} IS NOT NULL" for column in key)
        return self._by_part(f"{source} WHERE {there}", map(quote, sorted(reads)), _hash_sql(key), parts)

    def _examples_by_part(self, examples: str, columns: Iterable[str], key: Sequence[str], parts: int) -> Parted:
        """Return some columns of the examples by part of the keys; those without a key are spread over all parts."""
        nobody = " OR ".join(f"{quote(column)} IS NULL" for column in key)
        hashed = f"CASE WHEN {nobody} THEN hash(rowid) ELSE {_hash_sql(key)} END"
        return self._by_part(examples, columns, hashed, parts)

    def _by_part(self, rows: str, columns: Iterable[str], hashed: str, parts: int) -> Parted:
        """Return some columns by part: equal keys are of the same."""
        laid = Parted(self._database, parts=parts)
        laid.add(f"SELECT {', '.join(columns)}, CAST({hashed} % {parts} AS UINTEGER) AS {quote(PART)} FROM {rows}")
        return laid

    def _count(self, table: str) -> int:
        ((rows,),) = self._database.rows(f"SELECT count(*) FROM {table}")
        return int(rows)

    def steps_table(self, timeline: Timeline, *, since_us: int | None = None) -> pa.Table:
        """Return a timeline's steps as Arrow, moments as whole microseconds: what the online store is filled with."""
        steps = self.steps(timeline, since_us=since_us)
        columns = ", ".join(
            f"epoch_us({quote(name)}) AS {quote(name)}" if kind == "TIMESTAMP" else quote(name)
            for name, kind, *_ in self._database.rows(f"DESCRIBE {steps}")
        )
        return self._database.table(f"SELECT {columns} FROM {steps}")

    def examples(
        self,
        *,
        as_of_us: int,
        since_us: int | None = None,
        until_us: int | None = None,
        source: str | None = None,
        keep: Sequence[str] = (),
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
        keep
            More columns of the relation to carry along, such as the number of a row.

        Returns
        -------
        str
            The name of a table with the columns that :attr:`Definitions.carried` names, ``predict_at``,
            ``LABEL``, ``KNOWN_AT``, one column a feature (``feature:NAME``) and, for look-ups with a
            ``max_age``, whether what was found was too old; ordered by nothing.

        Raises
        ------
        DataError
            When a feature uses a column of the row that is not known yet at ``predict_at``.
        """
        definitions = self._definitions
        relation = definitions.examples
        rows = f"({self.relation_sql(relation, source)})" if source is not None else self._rows(as_of_us)
        chosen = chosen_sql(definitions, rows, as_of_us=as_of_us, since_us=since_us, until_us=until_us)
        if source is None:
            chosen = self._eligible(chosen)
            self._refuse_future(chosen)
        with blamed_on("target"):
            text = example_sql(definitions, chosen, as_of_us=as_of_us, keep=keep)
            current = self._database.create(text, prefix="examples")
            if definitions.aim.outcome and source is None:
                current = self._labelled(current, as_of_us)
        return self._joined(current, keep, again=source is not None)

    def _rows(self, as_of_us: int) -> str:
        """Return the rows that examples are made of: a source's, or every entity at every cut-off it was known at."""
        aim = self._definitions.aim
        if aim.cadence is None:
            return self.table(aim.examples.name)
        until_us = min(as_of_us, self._end_us(as_of_us))
        moments = self._database.register(moments_table(aim.cadence, until_us=until_us))
        return entities_sql(aim.cadence, known_entities_sql(aim.cadence, self.table(aim.cadence.source)), moments)

    def _end_us(self, as_of_us: int) -> int:
        """Return up to when the sources that the label counts reach: what they do not have yet is no nought."""
        ends = [as_of_us]
        for timeline in self._definitions.aim.outcome:
            ((last,),) = self._database.rows(
                f"SELECT epoch_us(max({timeline.known})) FROM {self.table(timeline.source)} "
                f"WHERE {timeline.known} <= {moment_sql(as_of_us)}"
            )
            ends.append(-(2**62) if last is None else int(last))
        return min(ends)

    def _eligible(self, chosen: str) -> str:
        """Return those of the examples that ``among`` allows, by what was known at each one's own moment."""
        aim = self._definitions.aim
        if aim.among is None:
            return chosen
        asked = self._database.create(f"SELECT * FROM {chosen}", prefix="asked")
        wanted = [Asking(timeline, MOMENT, MOMENT) for timeline in aim.eligible]
        table = self._looked_up(asked, wanted, lambda text: among_sql(aim, text), where="target.among")
        return f"{table} WHERE TRUE"

    def _labelled(self, current: str, as_of_us: int) -> str:
        """Return the examples with their labels over the horizon: the aggregates of that length, as of its end."""
        aim = self._definitions.aim
        end_us = self._end_us(as_of_us)
        wanted = [Asking(timeline, PREDICT_AT, KNOWN_AT) for timeline in aim.outcome]
        return self._looked_up(current, wanted, lambda text: labelled_sql(aim, text, end_us=end_us), where="target")

    def _joined(self, current: str, keep: Sequence[str], *, again: bool) -> str:
        """Return the examples with all features.

        Parameters
        ----------
        again
            Whether more examples will be joined to the same steps, a batch in pieces, so that these are kept.
        """
        features = self._definitions.features
        return self._looked_up(
            current,
            [Asking(timeline, PREDICT_AT, LOOK_AT) for timeline in self._definitions.timelines],
            partial(features_sql, sorted(lasting(self._definitions, keep)), features),
            where=f"features.{features[0].name}" if len(features) == 1 else "features",
            again=again,
        )

    def _looked_up(
        self,
        current: str,
        wanted: Sequence[Asking],
        answer: Callable[[str], str],
        *,
        where: str,
        again: bool = False,
    ) -> str:
        """Return what ``answer`` makes of the examples, once everything that is wanted is looked up.

        The table of the examples before is dropped. What was found goes back to so many examples at a time, by their
        numbers, that it never stands in memory for all.
        """
        moving = [asking for asking in wanted if asking.timeline.shape != "static"]
        ways = len({asking.asked_by for asking in moving})
        rows = self._count(current)
        stretches = min(-(-rows * ways // _FOUND_AT_ONCE) or 1, _STRETCHES)
        length = -(-rows // stretches) or 1
        with blamed_on(where):
            steps = {a.timeline: self.steps(a.timeline) for a in wanted if a.timeline.shape == "static"}
            found = [
                each
                for group in grouped(moving, by=lambda asking: asking.steps_of)
                for each in self._found(group, current, stretches=stretches, length=length, again=again)
            ]
            made = ""
            for stretch, *tables in zip(range(stretches), *found, strict=True):
                here = f"rowid >= {stretch * length} AND rowid < {(stretch + 1) * length}" if stretches > 1 else "TRUE"
                text = f"(SELECT *, rowid AS {quote(NUMBER)} FROM {current} WHERE {here})"
                for asking in wanted:
                    if asking.timeline in steps:
                        text = f"({asking.join_sql(text, steps[asking.timeline])})"
                for table in tables:
                    text = f"({text} JOIN {table} USING ({quote(NUMBER)}))"
                text = answer(f"(SELECT * EXCLUDE ({quote(NUMBER)}) FROM {text})")
                made = self._database.add(made, text, prefix="examples")
        self._database.drop(current)
        return made

    def _found(
        self, group: Sequence[Asking], examples: str, *, stretches: int, length: int, again: bool
    ) -> list[Parted]:
        """Return what look-ups into one source by one key find, by stretch of the examples, for each way of asking.

        Where parts of the keys are many, the steps of one are dropped before those of the next are made; where there
        is one, or more examples will ask, they are kept.
        """
        first = group[0].timeline
        ways = grouped(group, by=lambda asking: asking.asked_by)
        looks = [sorted({column for asking in way for column in asking.asks}) for way in ways]
        bare = [[f"rowid AS {quote(NUMBER)}", *map(quote, columns)] for columns in looks]
        found = [Parted(self._database, parts=stretches, known_well=False) for _ in ways]
        part = f", CAST({quote(NUMBER)} // {length} AS UINTEGER) AS {quote(PART)}"
        parts = 1 if again or first.whole else self._parts(self.table(first.source), examples)
        if parts == 1:
            steps = {asking.timeline: self.steps(asking.timeline) for asking in group}
            for way, columns, into in zip(ways, bare, found, strict=True):
                into.add(self._found_sql(way, f"(SELECT {', '.join(columns)} FROM {examples})", steps, part))
            return found
        reads = {column for asking in group for column in asking.reads}
        rows = self._rows_by_part(self.table(first.source), reads, first.theirs, parts)
        asked = [
            self._examples_by_part(examples, columns, way[0].timeline.mine, parts)
            for way, columns in zip(ways, bare, strict=True)
        ]
        for some, *asking in zip(rows, *asked, strict=True):
            steps = self._steps_of_part(group, some)
            for way, table, into in zip(ways, asking, found, strict=True):
                into.add(self._found_sql(way, table, steps, part))
            for table in {*steps.values()}:
                self._database.drop(table)
        return found

    def _steps_of_part(self, group: Sequence[Asking], rows: str) -> dict[Timeline, str]:
        """Return the table of steps of each look-up, over the rows of some keys."""
        made: dict[Timeline, str] = {}
        for timeline in {asking.timeline.unnamed: asking.timeline for asking in group}.values():
            with blamed_on(f"sources.{timeline.source}"):
                made[timeline.unnamed] = self._database.create(timeline.steps_sql(rows), prefix="steps")
        return {asking.timeline: made[asking.timeline.unnamed] for asking in group}

    def _found_sql(self, way: Sequence[Asking], text: str, steps: Mapping[Timeline, str], part: str) -> str:
        """Return what look-ups that are asked alike find, by the number of the example.

        Parameters
        ----------
        text
            The examples, with no more than is looked at: an as-of join sorts all that it is given.
        part
            Engine text of one column more, each one's stretch.
        """
        for asking in way:
            found = steps[asking.timeline]
            if asking.timeline.shape == "nearest":
                found = answers(asking.timeline, text, found, look_at=asking.look_at, database=self._database)
            text = f"({asking.join_sql(text, found)})"
        outputs = [name for asking in way for name in asking.outputs]
        return f"SELECT {', '.join(map(quote, [NUMBER, *outputs]))}{part} FROM {text}"

    def _refuse_future(self, chosen: str) -> None:
        if self._definitions.row_known:
            (found,) = self._database.rows(late_sql(self._definitions, chosen))
            refuse_late(self._definitions, found)

    def _check_unique(self, timeline: Timeline, steps: str) -> None:
        keys = ", ".join(map(quote, timeline.keys))
        double = self._database.rows(
            f"SELECT {keys}, count(*) FROM {steps} GROUP BY {keys} HAVING count(*) > 1 ORDER BY {keys} LIMIT 1"
        )
        if double:
            *values, count = double[0]
            shown = ", ".join(f"{name} = {value!r}" for name, value in zip(timeline.theirs, values, strict=True))
            raise DataError(
                f"Source {timeline.source!r} has {count} rows with {shown}; a look-up would not know which to take.",
                where=f"sources.{timeline.source}",
                hint="Match on more columns, or give the source a time and say when its rows are known.",
            )

    def last_moment_us(self) -> int:
        """Return the last moment at which an example is predicted or its label becomes known."""
        definitions = self._definitions
        if definitions.aim.outcome:
            return max(0, self._end_us(_FOR_EVER_US))
        moments = f"greatest({definitions.predict_at.sql}, {definitions.label_known_at.sql})"
        ((last,),) = self._database.rows(
            f"SELECT epoch_us(max({moments})) FROM {self.table(definitions.examples.name)}"
        )
        return int(last or 0)

    def last_events_us(self, name: str) -> dict[str, int]:
        """Return when the last event in each file of source ``name`` happens, by path; one without any is left out."""
        time = self._definitions.relations[name].source.time
        return dict(
            self._database.rows(
                f"SELECT {quote(_FILE)}, epoch_us(max({quote(time)})) AS last FROM {self.table(name)} "
                f"GROUP BY {quote(_FILE)} HAVING last IS NOT NULL"
            )
        )

    def kinds_sql(self, name: str) -> str:
        """Return an empty relation with the raw columns of source ``name``, to hold the rows of a batch."""
        columns = ", ".join(
            f"CAST(NULL AS {SQL_TYPES[kind]}) AS {quote(column)}"
            for column, kind in self._definitions.relations[name].raw.items()
        )
        return f"(SELECT {columns} WHERE FALSE)"


def _hash_sql(key: Sequence[str]) -> str:
    return f"hash({', '.join(map(quote, key))})"
