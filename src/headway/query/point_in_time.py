"""The one component that computes what was known when: for training, for batch, for backfill, for the online store.

Sources become tables with their derived columns; timelines become tables of steps; each look-up is one as-of join of
the bare examples, and what it found goes back to its example by number. The file hides the SQL, and that only columns
are carried which something still needs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headway.errors import DataError
from headway.query.aim import moments_table
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
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from headway.query.database import Database
    from headway.query.definitions import Definitions, Feature
    from headway.query.timeline import Timeline

__all__ = ["PointInTime"]

_FILE = "@file"
_FOR_EVER_US = 2**62
_ROWS_AT_ONCE = 1 << 21
_NUMBER = "@number"
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
        self._large: set[Timeline] = set()

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
            raw = relation.raw_inputs(wanted) | relation.raw_inputs(relation.same_by)
            files = parts_sql(self._files[name], filename=_FILE if self._tell_files else "")
            told = [_FILE] if self._tell_files else []
            columns = ", ".join(map(quote, [*(c for c in relation.raw if c in raw), *told])) or "1 AS one"
            needed = {*wanted, *relation.same_by}
            text = derived_sql(relation, f"(SELECT {columns} FROM {files})", needed, self.steps)
            text = once_sql(relation, text, [c for c in relation.kinds if c in raw | relation.closure(needed)])
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
        # What it is called, and by which columns of the example it is asked, changes no step.
        same = replace(timeline, name="", mine=())
        found = self._steps.get((same, since_us))
        if found is None:
            with blamed_on(f"sources.{timeline.source}"):
                found = self._made_by_key(timeline, since_us)
            if timeline.shape == "static":
                self._check_unique(timeline, found)
            self._steps[same, since_us] = found
        return found

    def _made_by_key(self, timeline: Timeline, since_us: int | None) -> str:
        """Return the steps of a timeline, made of as many keys at a time as memory is for.

        What a cluster does side by side is done here one after another: steps of one key need the rows of that key.
        """
        source = self.table(timeline.source)
        ((rows,),) = self._database.rows(f"SELECT count(*) FROM {source}")
        parts = -(-rows // _ROWS_AT_ONCE) if timeline.theirs and timeline.shape in {"asof", "window"} else 1
        found = ""
        for part in range(max(parts, 1)):
            keys = f"hash({', '.join(map(quote, timeline.theirs))})"
            mine = f"(SELECT * FROM {source} WHERE {keys} % {parts} = {part})" if parts > 1 else source
            sql = timeline.steps_sql(mine, since_us=since_us)
            if found:
                self._database.execute(f"INSERT INTO {found} {sql}")
            else:
                found = self._database.create(sql, prefix="steps")
        if parts > 1 and since_us is None:
            self._large.add(replace(timeline, name="", mine=()))
        return found

    def _forget(self, done: Sequence[Timeline], *, later: Sequence[Timeline]) -> None:
        """Give back the steps of look-ups that are done and no later one asks for, where they take much room."""
        wanted = {replace(timeline, name="", mine=()) for timeline in later}
        for same in {replace(timeline, name="", mine=()) for timeline in done} & self._large - wanted:
            self._large.remove(same)
            self._database.drop(self._steps.pop((same, None)))

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
        text = f"(SELECT * FROM {chosen})"
        for timeline in aim.eligible:
            text = f"({timeline.join_sql(text, self.steps(timeline), moment=MOMENT, look_at=MOMENT)})"
        with blamed_on("target.among"):
            table = self._database.create(among_sql(aim, text), prefix="asked")
        return f"{table} WHERE TRUE"

    def _labelled(self, current: str, as_of_us: int) -> str:
        """Return the examples with their labels over the horizon: the aggregates of that length, as of its end."""
        aim = self._definitions.aim
        text = f"(SELECT * FROM {current})"
        for timeline in aim.outcome:
            text = f"({timeline.join_sql(text, self.steps(timeline), moment=PREDICT_AT, look_at=KNOWN_AT)})"
        table = self._database.create(labelled_sql(aim, text, end_us=self._end_us(as_of_us)), prefix="labelled")
        self._database.drop(current)
        return table

    def _joined(self, current: str, keep: Sequence[str], *, again: bool) -> str:
        """Return the examples with all features: each computed as soon as what it needs is there.

        Parameters
        ----------
        again
            Whether more examples will be joined to the same steps, a batch in pieces, so that these are kept.
        """
        ((rows,),) = self._database.rows(f"SELECT count(*) FROM {current}")
        stages = _stages(self._definitions, keep, together=max(1, _ROWS_TOGETHER // max(rows, 1)))
        for number, stage in enumerate(stages, start=1):
            current = self._staged(current, stage)
            if not again:
                self._forget(stage.look_ups, later=[each for after in stages[number:] for each in after.look_ups])
        return current

    def _staged(self, current: str, stage: _Stage) -> str:
        """Return the examples with what a stage looks up and computes; the table before it is dropped."""
        text, found = f"(SELECT *, rowid AS {quote(_NUMBER)} FROM {current})", []
        for timeline in stage.look_ups:
            if timeline.shape == "static":
                text = f"({timeline.join_sql(text, self.steps(timeline), moment=PREDICT_AT, look_at=LOOK_AT)})"
            else:
                found.append(self._found(timeline, current))
                text = f"({text} JOIN {found[-1]} USING ({quote(_NUMBER)}))"
        ready = stage.features
        with blamed_on(f"features.{ready[0].name}" if len(ready) == 1 else "features"):
            table = self._database.create(features_sql(stage.kept, ready, text), prefix="examples")
        for done in (current, *found):
            self._database.drop(done)
        return table

    def _found(self, timeline: Timeline, examples: str) -> str:
        """Return the table of what one look-up finds, as of a moment or nearest, by the number of the example.

        An as-of join sorts all that it is given, so it is given no more than it looks at.
        """
        asked = ", ".join(map(quote, dict.fromkeys([*timeline.mine, PREDICT_AT, LOOK_AT])))
        bare = f"(SELECT rowid AS {quote(_NUMBER)}, {asked} FROM {examples})"
        steps = self.steps(timeline)
        if timeline.shape == "nearest":
            steps = answers(timeline, bare, steps, look_at=LOOK_AT, database=self._database)
        text = timeline.join_sql(bare, steps, moment=PREDICT_AT, look_at=LOOK_AT)
        names = [name for name, _ in timeline.outputs] + [timeline.stale] * bool(timeline.stale)
        with blamed_on("features"):
            shown = ", ".join(map(quote, [_NUMBER, *names]))
            return self._database.create(f"SELECT {shown} FROM ({text})", prefix="found")

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

    look_ups: tuple[Timeline, ...]
    features: tuple[Feature, ...]
    kept: tuple[str, ...]


def _stages(definitions: Definitions, keep: Sequence[str], *, together: int) -> list[_Stage]:
    """Return the stages in which all features are computed, each as soon as what it needs is there.

    All static look-ups go back at once, and so many others at a time: each that does stands in memory for the while. A
    column is kept only as long as something still needs it.
    """
    static = [timeline for timeline in definitions.timelines if timeline.shape == "static"]
    moving = [timeline for timeline in definitions.timelines if timeline.shape != "static"]
    groups = [[*static, *moving[:together]]]
    groups += [moving[first : first + together] for first in range(together, len(moving), together)]
    row = {*definitions.examples.kinds, LOOK_AT, PREDICT_AT}
    staying = lasting(definitions, keep)
    held: set[str] = set()  # what look-ups have given so far
    done: list[str] = []
    stages = []
    waiting = list(definitions.features)
    for number, group in enumerate(groups, start=1):
        rest = {timeline for later in groups[number:] for timeline in later}
        ready = [feature for feature in waiting if not rest & set(feature.timelines)]
        waiting = [feature for feature in waiting if feature not in ready]
        held |= {name for timeline in group for name, _ in timeline.outputs}
        staying |= {timeline.stale for timeline in group} - {""}
        needed = {name for feature in waiting for timeline in feature.timelines for name, _ in timeline.outputs}
        needed |= {column for feature in waiting for column in feature.row_columns}
        needed |= {column for timeline in rest for column in timeline.mine} | ({LOOK_AT} if rest else set())
        kept = (*sorted(staying | (needed & (held | row))), *done)
        stages.append(_Stage(look_ups=tuple(group), features=tuple(ready), kept=kept))
        done += [f"feature:{feature.name}" for feature in ready]
    return stages
