"""Examples with their features, computed where the rows are: the way of ``query/point_in_time.py`` over a cluster.

The file hides which rows must lie together. A look-up sees only rows of its own key: so source and examples are
repartitioned by that key, each look-up by its own, and the texts that one machine runs over all rows run over those of
each part. What was looked up comes back to its example by the example's number. Dimensions go to every part. What needs
all rows is done in two phases: each part adds up, and here the sums are added up; a window over all rows is such a sum,
moment by moment. Nothing here depends on how many parts there are or in which order they are done, since all that is
added up is whole numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from headway.engine.cluster import BY
from headway.query.aim import moments_table
from headway.query.asking import Asking, grouped
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
from headway.query.partition import ID, Read, Statements, stretches
from headway.query.point_in_time import PointInTime
from headway.query.relation import LOOK_AT, PREDICT_AT

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from headway.engine.cluster import Cluster, Rows
    from headway.query.database import Database
    from headway.query.definitions import Definitions
    from headway.query.timeline import Timeline

__all__ = ["Across", "seen_through"]

_BEFORE_ALL_US = -(2**62)
_FOR_EVER_US = 2**62
_DIMENSIONS = {"static", "nearest"}
"""What is looked into whole: rows of one key, and places, which are few."""


def seen_through(
    definitions: Definitions,
    files: Mapping[str, Sequence[os.PathLike[str]]],
    *,
    database: Database,
    cluster: Cluster | None,
) -> Across | PointInTime:
    """Return what computes examples: on a cluster, or here where there is none."""
    if cluster is None:
        return PointInTime(database, definitions, files)
    return Across(cluster, database, definitions, files)


class Across:
    """Sources, as files of one snapshot each, seen through a brief's definitions, on a cluster.

    Parameters
    ----------
    cluster
        Where the rows are worked on; its workers see the files under the same paths.
    database
        Where dimensions are made, and examples arrive.
    definitions, files
        As for :class:`~headway.query.point_in_time.PointInTime`.
    stretch_rows
        About how many rows of a source are read at a time.
    """

    def __init__(
        self,
        cluster: Cluster,
        database: Database,
        definitions: Definitions,
        files: Mapping[str, Sequence[os.PathLike[str]]],
        *,
        stretch_rows: int = 1 << 20,
    ) -> None:
        self._cluster = cluster
        self._database = database
        self._definitions = definitions
        self._files = files
        self._stretch_rows = stretch_rows
        self._here = PointInTime(database, definitions, files)  # dimensions are small, and made once
        self._sources: dict[str, Rows] = {}
        self._lasts: dict[tuple[str, str], int] = {}
        self._whole: dict[Timeline, str] = {}

    @property
    def database(self) -> Database:
        """Where examples arrive."""
        return self._database

    def examples(self, *, as_of_us: int, since_us: int | None = None) -> str:
        """Return the table of examples with features, as ``PointInTime.examples`` does.

        Raises
        ------
        DataError
            As there, with the same words.
        """
        definitions, aim = self._definitions, self._definitions.aim
        rows = self._asked(as_of_us, since_us)
        if aim.outcome:
            end_us = self._end_us(as_of_us)
            counted = [Asking(timeline, PREDICT_AT, KNOWN_AT) for timeline in aim.outcome]
            rows = self._looked_up(rows, counted, lambda text: labelled_sql(aim, text, end_us=end_us), where="target")
        staying = sorted(lasting(definitions))
        made = self._looked_up(
            rows,
            [Asking(timeline, PREDICT_AT, LOOK_AT) for timeline in definitions.timelines],
            lambda text: features_sql(staying, definitions.features, text),
            where="features",
        )
        return self._here_as_table(made)

    def last_moment_us(self) -> int:
        """Return the last moment at which an example is predicted or its label becomes known."""
        definitions = self._definitions
        if definitions.aim.outcome:
            return max(0, self._end_us(_FOR_EVER_US))
        moments = f"greatest({definitions.predict_at.sql}, {definitions.label_known_at.sql})"
        return max(0, self._last_us(definitions.examples.name, moments))

    def reduced(self, name: str, text: Callable[[str], str]) -> str:
        """Return what the parts of a source, with all its columns, were reduced to, each by ``text`` over its rows."""
        relation = self._definitions.relations[name]
        dimensions: dict[str, pa.Table] = {}
        rows = derived_sql(relation, "raw", relation.kinds, lambda timeline: self._dimension(timeline, dimensions))
        work = Read(
            kinds=tuple((column, SQL_TYPES[kind]) for column, kind in relation.raw.items()),
            statements=Statements(text(f"({rows})"), where=f"sources.{name}"),
        )
        pieces = stretches(self._files[name], rows=self._stretch_rows)
        return self._here_as_table(self._cluster.map(pieces, work, beside=dimensions, kept=True))

    # -- rows

    def _source(self, name: str) -> Rows:
        """Return the rows of a source with what is read of it, and each one's number."""
        if name not in self._sources:
            self._sources[name] = self._read(name)
        return self._sources[name]

    def _read(self, name: str) -> Rows:
        relation, wanted = self._definitions.relations[name], self._definitions.reads(name)
        needed = {*wanted, *relation.same_by}
        read = relation.raw_inputs(needed)
        kinds = tuple((column, SQL_TYPES[kind]) for column, kind in relation.raw.items() if column in read)
        dimensions: dict[str, pa.Table] = {}
        text = derived_sql(relation, "raw", needed, lambda timeline: self._dimension(timeline, dimensions))
        kept = _listed([*(column for column in relation.kinds if column in wanted), ID])
        where = f"sources.{name}.derive"
        once = relation.source.once is not None
        first = f"SELECT {_listed([*relation.loaded(wanted), ID])}, {_by(relation.alike_by)} FROM ({text})"
        rows = self._cluster.map(
            stretches(self._files[name], rows=self._stretch_rows),
            Read(kinds=kinds, statements=Statements(first if once else f"SELECT {kept} FROM ({text})", where=where)),
            beside=dimensions,
            kept=not once,
        )
        if not once:
            return rows
        alike = self._cluster.repartition({"rows": rows})
        single = once_sql(relation, "SELECT * FROM rows", wanted, last=[ID])
        return self._cluster.map(alike, Statements(f"SELECT {kept} FROM ({single})", where=where), kept=True)

    def _asked(self, as_of_us: int, since_us: int | None) -> Rows:
        """Return the examples without what is looked up: who is asked about, and when."""
        definitions, aim = self._definitions, self._definitions.aim
        rows = self._source(aim.examples.name) if aim.cadence is None else self._entities(as_of_us)
        chosen = chosen_sql(definitions, "rows", as_of_us=as_of_us, since_us=since_us)
        if aim.among is not None:
            rows = self._cluster.map(rows, Statements(f"SELECT * FROM {chosen}", where="target.predict_at"), kept=True)
            wanted = [Asking(timeline, MOMENT, MOMENT) for timeline in aim.eligible]
            rows = self._looked_up(rows, wanted, lambda text: among_sql(aim, text), where="target.among")
            chosen = "rows WHERE TRUE"
        if definitions.row_known:
            self._refuse_late(self._cluster.map(rows, Statements(late_sql(definitions, chosen), where="target")))
        text = example_sql(definitions, chosen, as_of_us=as_of_us, keep=(ID,))
        return self._cluster.map(rows, Statements(text, where="target"), kept=True)

    def _entities(self, as_of_us: int) -> Rows:
        """Return every entity at every cut-off at which it was known; each part of the source finds its own first."""
        cadence = self._definitions.aim.cadence
        assert cadence is not None
        first = known_entities_sql(cadence, "rows", number=ID)
        parts = self._cluster.map(
            self._source(cadence.source), Statements(f"SELECT *, {_by(cadence.entity)} FROM ({first})")
        )
        again = known_entities_sql(replace(cadence, known='"@since"'), "rows", number=ID)
        until_us = min(as_of_us, self._end_us(as_of_us))
        return self._cluster.map(
            self._cluster.repartition({"rows": parts}),
            Statements(f"SELECT * FROM {entities_sql(cadence, again, 'moments', number=ID)}"),
            beside={"moments": moments_table(cadence, until_us=until_us)},
            kept=True,
        )

    # -- look-ups

    def _looked_up(self, rows: Rows, wanted: Sequence[Asking], answer: Callable[[str], str], *, where: str) -> Rows:
        """Return what ``answer`` makes of the rows, once everything that is wanted is looked up."""
        keyed = grouped((asking for asking in wanted if not asking.timeline.whole), by=lambda asking: asking.asked_by)
        text = "rows"
        beside: dict[str, pa.Table] = {}
        if keyed:
            tables = {"examples": self._cluster.map(rows, Statements(f"SELECT *, {_by([ID])} FROM rows"))}
            tables |= {f"found{place}": self._found(rows, group) for place, group in enumerate(keyed)}
            rows, text = self._cluster.repartition(tables), _beside_sql(keyed)
        nearest: list[tuple[str, Timeline, str, str, str]] = []
        for asking in wanted:
            if asking.timeline.whole:
                steps = self._dimension(asking.timeline, beside)
                if asking.timeline.shape == "nearest":
                    points, places, steps = "examples" if keyed else "rows", steps, f"nearest{len(nearest)}"
                    nearest.append((steps, asking.timeline, points, places, asking.look_at))
                text = f"({asking.join_sql(text, steps)})"
        work = Statements(answer(text), nearest=tuple(nearest), where=where)
        return self._cluster.map(rows, work, beside=beside, kept=True)

    def _found(self, rows: Rows, group: Sequence[Asking]) -> Rows:
        """Return what look-ups by one key find, for each example by its number: computed where that key's rows are."""
        first = group[0]
        mine, theirs = first.timeline.mine, first.timeline.theirs
        asked = _listed(sorted({ID, *(column for asking in group for column in asking.asks)}))
        # Whose key is missing finds nothing anywhere, and need not lie with the others of that kind.
        there = " AND ".join(f"{quote(column)} IS NOT NULL" for column in theirs)
        read = _listed(sorted({column for asking in group for column in asking.reads}))
        parts = self._cluster.repartition(
            {
                "examples": self._cluster.map(
                    rows, Statements(f"SELECT {asked}, {_by(mine, otherwise=[ID])} FROM rows")
                ),
                "source": self._cluster.map(
                    self._source(first.timeline.source),
                    Statements(f"SELECT {read}, {_by(theirs)} FROM rows WHERE {there}"),
                ),
            }
        )
        made, current = [], "examples"
        for place, asking in enumerate(group):
            source = f"sources.{asking.timeline.source}"
            made.append((f"steps{place}", asking.timeline.steps_sql("source"), source))
            made.append((f"looked{place}", asking.join_sql(current, f"steps{place}"), "features"))
            current = f"looked{place}"
        outputs = _listed([ID, *(name for asking in group for name in asking.outputs)])
        return self._cluster.map(parts, Statements(f"SELECT {outputs}, {_by([ID])} FROM {current}", tuple(made)))

    def _dimension(self, timeline: Timeline, beside: dict[str, pa.Table]) -> str:
        """Return the name of steps that every part gets along, and put them among these."""
        steps = self._here.steps(timeline) if timeline.shape in _DIMENSIONS else self._steps_of_all(timeline)
        beside[steps] = self._database.table(f"SELECT * FROM {steps}")
        return steps

    def _steps_of_all(self, timeline: Timeline) -> str:
        """Return the steps of a window over all rows: each part adds up by moment, and here these are added up.

        What does not add up (the greatest value, say) is made here of the columns that it needs.
        """
        same = timeline.unnamed
        if same not in self._whole:
            source = f"sources.{timeline.source}"
            text = timeline.sums_sql("rows") if timeline.adds_up else f"SELECT {_listed(timeline.reads)} FROM rows"
            rows = self._cluster.map(self._source(timeline.source), Statements(text, where=source), kept=True)
            sums = self._here_as_table(rows)
            with blamed_on(source):
                steps = timeline.steps_of_sums_sql(sums) if timeline.adds_up else timeline.steps_sql(sums)
                self._whole[same] = self._database.create(steps, prefix="steps")
        return self._whole[same]

    # -- what needs all rows

    def _end_us(self, as_of_us: int) -> int:
        """Return up to when the sources that the label counts reach: what they do not have yet is no nought."""
        until = moment_sql(as_of_us)
        ends = [
            self._last_us(timeline.source, f"(CASE WHEN {timeline.known} <= {until} THEN {timeline.known} END)")
            for timeline in self._definitions.aim.outcome
        ]
        return min([as_of_us, *ends])

    def _last_us(self, name: str, moment: str) -> int:
        if (name, moment) not in self._lasts:
            found = self._cluster.map(
                self._source(name), Statements(f"SELECT epoch_us(max({moment})) AS last FROM rows", where="target")
            )
            ((last,),) = self._database.rows(f"SELECT max(last) FROM {self._here_as_table(found)}")
            self._lasts[name, moment] = _BEFORE_ALL_US if last is None else int(last)
        return self._lasts[name, moment]

    def _refuse_late(self, counted: Rows) -> None:
        columns = range(len(self._definitions.row_known))
        whole = "".join(f", sum(n{place}), min(e{place})" for place in columns)
        (found,) = self._database.rows(f"SELECT coalesce(sum(n), 0){whole} FROM {self._here_as_table(counted)}")
        refuse_late(self._definitions, found)

    def _here_as_table(self, rows: Rows) -> str:
        """Return the rows of all parts as a table here."""
        return self._database.create(
            f"SELECT * FROM {self._database.register(self._cluster.merge(rows))}", prefix="merged"
        )


def _beside_sql(groups: Sequence[Sequence[Asking]]) -> str:
    """Return the examples with what was found for each under its number."""
    found = "".join(
        f", f{place}.{quote(name)}" for place, group in enumerate(groups) for asking in group for name in asking.outputs
    )
    joins = "".join(
        f" LEFT JOIN found{place} f{place} ON x.{quote(ID)} = f{place}.{quote(ID)}" for place in range(len(groups))
    )
    return f"(SELECT x.* EXCLUDE ({quote(BY)}){found} FROM examples x{joins})"


def _by(columns: Iterable[str], *, otherwise: Iterable[str] = ()) -> str:
    """Return the column that brings equal keys together: the engine's own hash, equal for what it takes for equal."""
    named = list(columns)
    text = f"hash({_listed(named)})"
    if otherwise:
        missing = " OR ".join(f"{quote(column)} IS NULL" for column in named)
        text = f"(CASE WHEN {missing} THEN hash({_listed(otherwise)}) ELSE {text} END)"
    return f"CAST({text} >> 1 AS BIGINT) AS {quote(BY)}"


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(map(quote, columns))
