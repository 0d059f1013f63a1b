"""The one component that computes what was known when: for training, for batch, for backfill, for the online store.

Sources become tables with their derived columns; timelines become tables of steps; each look-up is one as-of join of
the bare examples, and what it found goes back to its example by number. The file hides the SQL, that only columns are
carried which something still needs, and that a large source is looked into by some of its keys after the others: what a
cluster does side by side is done here in turn, so that memory is for one part of the steps and not for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
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
from headway.query.parts import parts_sql
from headway.query.relation import LOOK_AT, PREDICT_AT, Relation

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from headway.query.database import Database
    from headway.query.definitions import Definitions, Feature
    from headway.query.timeline import Timeline

__all__ = ["PointInTime"]

_FILE = "@file"
_FOR_EVER_US = 2**62
_ROWS_AT_ONCE = 1 << 20
_ROWS_TOGETHER = 1 << 22


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
        much wider than what is asked of it.

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
            with blamed_on(f"sources.{name}.derive"):
                self._tables[name] = self._database.create(f"SELECT {kept} FROM ({text})", prefix="source")
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
        rows, found = self._by_part(source, map(quote, sorted(reads)), timeline.theirs, parts), ""
        for part in range(parts):
            found = self._add(found, timeline.steps_sql(_of_part(rows, part), since_us=since_us), prefix="steps")
        self._drop(rows)
        return found

    def _parts(self, *tables: str) -> int:
        """Return in how many parts, by key, tables are worked on, so that memory is for one."""
        return max(-(-self._count(table) // _ROWS_AT_ONCE) or 1 for table in tables)

    def _by_part(self, table: str, columns: Iterable[str], key: Sequence[str], parts: int) -> str:
        """Return some columns of a table with the part that each row is of: equal keys are of the same.

        A key that is missing finds nothing and is found by nobody: such rows are spread over all parts. The rows of a
        part lie side by side, so that the engine, which knows what its blocks hold, reads no others.
        """
        nobody = " OR ".join(f"{quote(column)} IS NULL" for column in key)
        hashed = f"CASE WHEN {nobody} THEN hash(rowid) ELSE hash({', '.join(map(quote, key))}) END"
        part = f"CAST({hashed} % {parts} AS UINTEGER) AS {quote(PART)}"
        return self._database.create(
            f"SELECT {', '.join(columns)}, {part} FROM {table} ORDER BY {quote(PART)}", prefix="parted"
        )

    def _add(self, table: str, sql: str, *, prefix: str) -> str:
        """Return the table with these rows more, which is made if there is none."""
        if not table:
            return self._database.create(sql, prefix=prefix)
        self._database.execute(f"INSERT INTO {table} {sql}")
        return table

    def _count(self, table: str) -> int:
        ((rows,),) = self._database.rows(f"SELECT count(*) FROM {table}")
        return int(rows)

    def _drop(self, *tables: str) -> None:
        for table in {*tables}:
            self._database.drop(table)

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
        """Return the examples with all features: each computed as soon as what it needs is there.

        Parameters
        ----------
        again
            Whether more examples will be joined to the same steps, a batch in pieces, so that these are kept.
        """
        together = max(1, _ROWS_TOGETHER // max(self._count(current), 1))
        for stage in _stages(self._definitions, keep, together=together):
            ready = stage.features
            current = self._looked_up(
                current,
                stage.askings,
                partial(features_sql, stage.kept, ready),
                where=f"features.{ready[0].name}" if len(ready) == 1 else "features",
                again=again,
            )
        return current

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

        The table of the examples before is dropped.
        """
        text = f"(SELECT *, rowid AS {quote(NUMBER)} FROM {current})"
        for asking in wanted:
            if asking.timeline.shape == "static":
                text = f"({asking.join_sql(text, self.steps(asking.timeline))})"
        moving = [asking for asking in wanted if asking.timeline.shape != "static"]
        with blamed_on(where):
            found = [
                table
                for group in grouped(moving, by=lambda asking: asking.steps_of)
                for table in self._found(group, current, again=again)
            ]
            for table in found:
                text = f"({text} JOIN {table} USING ({quote(NUMBER)}))"
            made = self._database.create(answer(f"(SELECT * EXCLUDE ({quote(NUMBER)}) FROM {text})"), prefix="examples")
        self._drop(current, *found)
        return made

    def _found(self, group: Sequence[Asking], examples: str, *, again: bool) -> list[str]:
        """Return what look-ups into one source by one key find: a table for each way in which the examples ask.

        Where parts are many, the steps of one are dropped before those of the next are made; where there is one, or
        more examples will ask, they are kept.
        """
        first = group[0].timeline
        ways = grouped(group, by=lambda asking: asking.asked_by)
        bare = [[f"rowid AS {quote(NUMBER)}", *map(quote, sorted(way[0].asks))] for way in ways]
        parts = 1 if again or first.whole else self._parts(self.table(first.source), examples)
        if parts == 1:
            steps = {asking.timeline: self.steps(asking.timeline) for asking in group}
            asked = [f"(SELECT {', '.join(columns)} FROM {examples})" for columns in bare]
            texts = [self._found_sql(*each, steps) for each in zip(ways, asked, strict=True)]
            return [self._database.create(text, prefix="found") for text in texts]
        reads = sorted({column for asking in group for column in asking.reads})
        rows = self._by_part(self.table(first.source), map(quote, reads), first.theirs, parts)
        asked = [
            self._by_part(examples, columns, way[0].timeline.mine, parts)
            for way, columns in zip(ways, bare, strict=True)
        ]
        found = [""] * len(ways)
        for part in range(parts):
            steps = self._steps_of_part(group, _of_part(rows, part))
            for place, way in enumerate(ways):
                text = self._found_sql(way, _of_part(asked[place], part), steps)
                found[place] = self._add(found[place], text, prefix="found")
            self._drop(*steps.values())
        self._drop(rows, *asked)
        return found

    def _steps_of_part(self, group: Sequence[Asking], rows: str) -> dict[Timeline, str]:
        """Return the table of steps of each look-up, over the rows of some keys."""
        made: dict[Timeline, str] = {}
        for timeline in {asking.timeline.unnamed: asking.timeline for asking in group}.values():
            with blamed_on(f"sources.{timeline.source}"):
                made[timeline.unnamed] = self._database.create(timeline.steps_sql(rows), prefix="steps")
        return {asking.timeline: made[asking.timeline.unnamed] for asking in group}

    def _found_sql(self, way: Sequence[Asking], text: str, steps: Mapping[Timeline, str]) -> str:
        """Return what look-ups that are asked alike find, by the number of the example.

        Parameters
        ----------
        text
            The examples, with no more than is looked at: an as-of join sorts all that it is given.
        """
        for asking in way:
            found = steps[asking.timeline]
            if asking.timeline.shape == "nearest":
                found = answers(asking.timeline, text, found, look_at=asking.look_at, database=self._database)
            text = f"({asking.join_sql(text, found)})"
        outputs = [name for asking in way for name in asking.outputs]
        return f"SELECT {', '.join(map(quote, [NUMBER, *outputs]))} FROM {text}"

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


def _of_part(table: str, part: int) -> str:
    return f"(SELECT * FROM {table} WHERE {quote(PART)} = {part})"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """Look-ups that go back to the examples in one statement, and what is made of them then.

    Attributes
    ----------
    features
        Those that can be computed now.
    kept
        The columns that the examples have afterwards, beside these features.
    """

    askings: tuple[Asking, ...]
    features: tuple[Feature, ...]
    kept: tuple[str, ...]


def _stages(definitions: Definitions, keep: Sequence[str], *, together: int) -> list[_Stage]:
    """Return the stages in which all features are computed, each as soon as what it needs is there.

    All static look-ups go back at once, and of the others what so many ways of asking find: each stands in memory for
    the while. A column is kept only as long as something still needs it.
    """
    askings = [Asking(timeline, PREDICT_AT, LOOK_AT) for timeline in definitions.timelines]
    static = [asking for asking in askings if asking.timeline.shape == "static"]
    moving = [asking for asking in askings if asking.timeline.shape != "static"]
    ways = grouped(moving, by=lambda asking: asking.asked_by)
    groups = [list(chain.from_iterable(ways[first : first + together])) for first in range(0, len(ways), together)]
    groups = [[*static, *(groups[0] if groups else ())], *groups[1:]]
    row = {*definitions.examples.kinds, LOOK_AT, PREDICT_AT}
    staying = lasting(definitions, keep)
    held: set[str] = set()  # what look-ups have given so far
    done: list[str] = []
    stages = []
    waiting = list(definitions.features)
    for number, group in enumerate(groups, start=1):
        rest = {asking.timeline for later in groups[number:] for asking in later}
        ready = [feature for feature in waiting if not rest & set(feature.timelines)]
        waiting = [feature for feature in waiting if feature not in ready]
        held |= {name for asking in group for name, _ in asking.timeline.outputs}
        staying |= {asking.timeline.stale for asking in group} - {""}
        needed = {name for feature in waiting for timeline in feature.timelines for name, _ in timeline.outputs}
        needed |= {column for feature in waiting for column in feature.row_columns}
        needed |= {column for timeline in rest for column in timeline.mine} | ({LOOK_AT} if rest else set())
        kept = (*sorted(staying | (needed & (held | row))), *done)
        stages.append(_Stage(askings=tuple(group), features=tuple(ready), kept=kept))
        done += [f"feature:{feature.name}" for feature in ready]
    return stages
