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
  With an offset both moments lie that much later. What is no sum (the greatest value, say) is in ``query/envelope.py``.
* **Static**: a dimension without time; one row a key.
* **Nearest**: all places, of which that nearest to a point on the sphere answers (``nouns/sphere.py``); these are no
  steps, since which one it is does not follow from a key.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from headway.nouns.sphere import ALIKE
from headway.query.compile import quote
from headway.query.envelope import envelope_sql
from headway.query.local_time import LATEST_US
from headway.query.windows import FIXED_POINT, HALF, Aggregate

if TYPE_CHECKING:
    from headway.query.functions import Kind

__all__ = ["AT", "EVENT", "FIXED_POINT", "KNOWN", "NTH", "Aggregate", "Timeline", "key_column"]

AT = "@at"
EVENT = "@event"
KNOWN = "@known"
"""When a row is known, or from when on a place is; where all always are, there is no such column."""
NTH = "@nth"
"""The place's number: of those equally near, the least one answers."""


def key_column(position: int) -> str:
    """Return the name of the key column at ``position`` in a timeline's table."""
    return f"@key{position}"


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
        Columns that must be equal, of the example's row and of the source; the last two of ``nearest``, degrees north
        and east, must be near.
    known, event
        Engine text, over the source's relation, of when a row is known and when it happens; empty for a dimension.
    columns
        Columns of the source that are carried, name and kind (``static`` and ``asof``).
    aggregates
        What is aggregated (``window``).
    window_us, offset_us
        How far a window reaches back (``None``: to the beginning), and how long before the moment it ends.
    where
        Engine text of which rows count; empty for all of them (``asof`` and ``window``).
    max_age_us
        Older events count as missing (``asof``).
    order
        Columns that break ties between events of one moment (``asof``), before the moment they became known.
    reads
        Every column of the source, raw or derived, that the steps are computed from (``asof`` and ``window``).
    """

    name: str
    source: str
    shape: Literal["static", "asof", "window", "nearest"]
    mine: tuple[str, ...]
    theirs: tuple[str, ...]
    known: str = ""
    event: str = ""
    order: tuple[str, ...] = ()
    columns: tuple[tuple[str, Kind], ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    window_us: int | None = 0
    offset_us: int = 0
    where: str = ""
    max_age_us: int | None = None
    reads: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the key columns in the table of steps."""
        return tuple(key_column(position) for position in range(max(len(self.theirs), 1)))

    @property
    def outputs(self) -> tuple[tuple[str, Kind], ...]:
        """The columns that the joined row gains: name and kind."""
        if self.shape == "window":
            return tuple((f"{self.name}.{aggregate.name}", aggregate.result) for aggregate in self.aggregates)
        return tuple((f"{self.name}.{name}", kind) for name, kind in self.columns)

    @property
    def unnamed(self) -> Timeline:
        """The same, whoever asks: its name, and the columns of the example by which it is asked, change no step."""
        return replace(self, name="", mine=())

    @property
    def whole(self) -> bool:
        """Whether its steps are made of all rows at once: of some keys' after the others' would not do, or not pay."""
        return self.shape in {"static", "nearest"} or not self.theirs

    @property
    def timeless(self) -> bool:
        """Whether it looks into a dimension: what is there has always been."""
        return not self.known

    @property
    def reach_us(self) -> int | None:
        """How long a row of a window can matter after it happened; None for ever."""
        return None if self.window_us is None else self.window_us + self.offset_us

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
        if self._known_in_words:
            return self._told.steps_sql(self._telling(relation), since_us=since_us)
        keys, present = self._keys_and_present
        if self.shape == "static":
            carried = "".join(f", {quote(name)}" for name, _ in self.columns)
            return f"SELECT {keys}{carried} FROM {relation} WHERE {present}"
        if self.shape == "asof":
            return self._asof_sql(relation, keys, present, since_us)
        if self.shape == "nearest":
            return self._places_sql(relation, keys, present)
        return self._window_sql(relation, keys, present, since_us)

    # What says when a row is known may be a long text, and stands in many places, each of which the engine would plan
    # anew: with the rows of some days that takes longer than computing it. So it becomes a column first.

    @property
    def _known_in_words(self) -> bool:
        return self.known not in {"", quote(KNOWN)}

    @property
    def _told(self) -> Timeline:
        """The same timeline over rows that hold, as a column, when each is known."""
        return replace(self, known=quote(KNOWN))

    def _telling(self, relation: str) -> str:
        return f"(SELECT *, {self.known} AS {quote(KNOWN)} FROM {relation})"

    @property
    def _keys_and_present(self) -> tuple[str, str]:
        """The key columns as the table of steps calls them, and the condition that all of them are there."""
        keys = ", ".join(
            f"{quote(column)} AS {quote(name)}" for column, name in zip(self.theirs, self.keys, strict=False)
        )
        keys = keys or f'0::BIGINT AS "{key_column(0)}"'  # a window over all rows has one key
        conditions = [
            *(f"{quote(column)} IS NOT NULL" for column in self.theirs),
            *([self.where] if self.where else []),
        ]
        present = " AND ".join(conditions) or "TRUE"
        return keys, present

    def _asof_sql(self, relation: str, keys: str, present: str, since_us: int | None) -> str:
        names = ", ".join(map(quote, self.keys))
        carried = "".join(f", {quote(name)}" for name, _ in self.columns)
        # A total order but for rows that are alike in everything carried: threads may not choose between rows.
        order = ", ".join(f"{term} ASC NULLS FIRST" for term in self._ranked_by)
        alike = f"PARTITION BY {', '.join(map(quote, self.theirs))} " if self.theirs else ""
        recent = ""
        if since_us is not None and self.max_age_us is not None:
            recent = f" AND {self.event} >= make_timestamp({since_us - self.max_age_us}::BIGINT)"
        # The records: rows that no row known earlier (or at the same moment) beats.
        return f"""
            WITH known AS (
                SELECT {keys}, {self.known} AS "{AT}", {self.event} AS "{EVENT}"{carried},
                       row_number() OVER ({alike}ORDER BY {order}) AS "@rank"
                FROM {relation} WHERE {present} AND {self.known} IS NOT NULL AND {self.event} IS NOT NULL{recent}
            ), best AS (
                SELECT *, max("@rank") OVER (PARTITION BY {names} ORDER BY "{AT}"
                                             RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS "@best"
                FROM known
            )
            SELECT {names}, "{AT}", "{EVENT}"{carried} FROM best WHERE "@rank" = "@best"
        """

    def _places_sql(self, relation: str, keys: str, present: str) -> str:
        carried = "".join(f", {quote(name)}" for name, _ in self.columns)
        known = f', {self.known} AS "{KNOWN}"' if self.known else ""
        order = ", ".join(f"{term} ASC NULLS FIRST" for term in self._first_by)
        return (
            f'SELECT {keys}{known}{carried}, row_number() OVER (ORDER BY {order}) - 1 AS "{NTH}" '
            f"FROM {relation} WHERE {self._placed(present)}"
        )

    def _placed(self, present: str) -> str:
        north, east = map(quote, self.theirs[-2:])
        known = f" AND {self.known} IS NOT NULL" if self.known else ""
        return f"{present} AND isfinite(CAST({north} AS DOUBLE)) AND isfinite(CAST({east} AS DOUBLE)){known}"

    @property
    def _first_by(self) -> tuple[str, ...]:
        """The terms that decide between places that are equally near; the least comes first."""
        known = (self.known,) if self.known else ()
        return (*map(quote, self.order), *known, *map(quote, self.theirs), *(quote(name) for name, _ in self.columns))

    @property
    def _ranked_by(self) -> tuple[str, ...]:
        """The terms by which the latest of two rows is told, the weightiest first."""
        return (self.event, *map(quote, self.order), self.known, *(quote(name) for name, _ in self.columns))

    def _window_sql(self, relation: str, keys: str, present: str, since_us: int | None) -> str:
        tables = self._changes_sql(relation, keys, present, since_us)
        extremes = [(place, one) for place, one in enumerate(self.aggregates) if one.extreme]
        names = ", ".join(map(quote, self.keys))
        if not extremes:
            return f'WITH {", ".join(tables)} SELECT {names}, "{AT}"{self._rising} FROM {self._sorted}'
        equal = " AND ".join(f"y.{quote(key)} = z.{quote(key)}" for key in self.keys)
        levels, found = envelope_sql(extremes, equal=equal)
        tables.append(
            f'numbered AS MATERIALIZED (SELECT {names}, "{AT}", row_number() OVER () AS "@pos"{self._rising} '
            f"FROM {self._sorted})"
        )
        kept = "".join(f", {name}" for column in self._summed for name in _kept(column))
        return (
            f'WITH {", ".join([*tables, *levels])} SELECT {names}, "{AT}"{kept}, {", ".join(found)} '
            'FROM numbered LEFT JOIN best USING ("@pos")'
        )

    @property
    def adds_up(self) -> bool:
        """Whether the steps over all rows follow from sums over parts of them: no greatest value, nothing distinct."""
        return self.shape == "window" and not any(one.extreme or one.function == "distinct" for one in self.aggregates)

    def sums_sql(self, relation: str) -> str:
        """Return by how much the sums rise or fall at each moment, over ``relation``: the first of two phases."""
        if self._known_in_words:
            return self._told.sums_sql(self._telling(relation))
        keys, present = self._keys_and_present
        return f"WITH {', '.join(self._changes_sql(relation, keys, present, None))} SELECT * FROM moments"

    def steps_of_sums_sql(self, sums: str) -> str:
        """Return the table of steps from what all parts have summed: the second of two phases."""
        names = ", ".join(map(quote, self.keys))
        added = "".join(f", CAST(sum({column}) AS HUGEINT) AS {column}" for column in self._summed)
        return (
            f'WITH moments AS (SELECT {names}, "{AT}"{added} FROM {sums} GROUP BY {names}, "{AT}") '
            f'SELECT {names}, "{AT}"{self._rising} FROM {self._sorted}'
        )

    def _changes_sql(self, relation: str, keys: str, present: str, since_us: int | None) -> list[str]:
        """Return common table expressions: ``stays`` of rows in the window, ``moments`` at which sums change."""
        names = ", ".join(map(quote, self.keys))
        sums = {f"{letter}{i}": text for i, one in enumerate(self.aggregates) for letter, text in one.summed.items()}
        extremes = [(place, one) for place, one in enumerate(self.aggregates) if one.extreme]
        distinct = [place for place, one in enumerate(self.aggregates) if one.function == "distinct"]
        measured = [f"{text} AS {column}" for column, text in sums.items()]
        measured += [f"{self.aggregates[place].taken} AS x{place}" for place in [*distinct, *(p for p, _ in extremes)]]
        if any(one.function in {"first", "last"} for _, one in extremes):
            order = ", ".join(f"{term} ASC NULLS FIRST" for term in self._ranked_by)
            ranks = [(p, one.taken) for p, one in extremes if one.function in {"first", "last"}]
            order += "".join(f", {value} ASC NULLS FIRST" for _, value in ranks)
            alike = f"PARTITION BY {', '.join(map(quote, self.theirs))} " if self.theirs else ""
            rank = f"row_number() OVER ({alike}ORDER BY {order})"
            measured += [f"CASE WHEN {value} IS NOT NULL THEN {rank} END AS r{p}" for p, value in ranks]
        columns = self._summed
        moved = "".join(f", way * {column} AS {column}" for column in sums)
        moved += "".join(f", 0 AS d{place}" for place in distinct)
        added = "".join(f", sum({column}) AS {column}" for column in columns)
        recent = ""
        if since_us is not None and self.reach_us is not None:
            recent = f" AND {self.event} > make_timestamp({since_us - self.reach_us}::BIGINT)"
        if any(one.function == "trend" for one in self.aggregates):
            relation = f'(SELECT *, epoch_us({self.event}) // 1000000 AS "@s" FROM {relation})'
        return [
            f"""stays AS (
                SELECT {keys}, {self._enters} AS enters, {self._leaves} AS leaves, {", ".join(measured) or "1 AS one"}
                FROM {relation} WHERE {present} AND {self.known} IS NOT NULL AND {self.event} IS NOT NULL{recent}
            )""",
            *(self._distinct_sql(place) for place in distinct),
            # One pass for both, so that the stays need not be held.
            f"""changes AS (
                SELECT {names}, if(way > 0, enters, leaves) AS "{AT}"{moved}
                FROM stays, (VALUES (1), (-1)) ways(way) WHERE enters < leaves
                {"".join(self._distinct_changes(place, columns) for place in distinct)}
            )""",
            f"""moments AS (
                SELECT {names}, "{AT}"{added} FROM changes GROUP BY {names}, "{AT}"
            )""",
        ]

    @property
    def _summed(self) -> list[str]:
        """The columns of ``moments`` that are summed."""
        sums = [f"{letter}{place}" for place, one in enumerate(self.aggregates) for letter in one.summed]
        return sums + [f"d{place}" for place, one in enumerate(self.aggregates) if one.function == "distinct"]

    @property
    def _rising(self) -> str:
        """The running sums over ``_sorted``, each with a comma before it."""
        return "".join(f", {text}" for column in self._summed for text in _running(column))

    @property
    def _sorted(self) -> str:
        """The moments in order, and the window of all up to each.

        All that has entered a key's window leaves it again, so a running sum over all keys begins each at nought: one
        sort of everything, which the engine spills, and sums over the sorted rows as they come, which it streams. A
        window with an order of its own would have to hold all of its partition at once.
        """
        names = ", ".join(map(quote, self.keys))
        return f'(SELECT * FROM moments ORDER BY {names}, "{AT}") WINDOW steps AS (ROWS UNBOUNDED PRECEDING)'

    def _distinct_sql(self, place: int) -> str:
        """Return when each value of a key comes and goes: its number of rows leaves nought, or falls to it."""
        names, of = ", ".join(map(quote, self.keys)), f"x{place}"
        return f"""present{place} AS (
            SELECT {names}, "{AT}", (c > 0)::BIGINT - (c - one > 0)::BIGINT AS d FROM (
                SELECT *, sum(one) OVER (ROWS UNBOUNDED PRECEDING) AS c FROM (
                    SELECT {names}, {of}, "{AT}", sum(one) AS one FROM (
                        SELECT {names}, {of}, enters AS "{AT}", 1 AS one FROM stays
                        WHERE enters < leaves AND {of} IS NOT NULL
                        UNION ALL
                        SELECT {names}, {of}, leaves AS "{AT}", -1 AS one FROM stays
                        WHERE enters < leaves AND {of} IS NOT NULL
                    ) GROUP BY {names}, {of}, "{AT}" ORDER BY {names}, {of}, "{AT}"
                )
            )
        )"""

    def _distinct_changes(self, place: int, columns: list[str]) -> str:
        texts = "".join(f", {'d' if column == f'd{place}' else '0'} AS {column}" for column in columns)
        return f' UNION ALL SELECT {", ".join(map(quote, self.keys))}, "{AT}"{texts} FROM present{place}'

    @property
    def _shifted(self) -> str:
        return f"{self.event} + to_microseconds({self.offset_us}::BIGINT)" if self.offset_us else self.event

    @property
    def _enters(self) -> str:
        return f"greatest({self.known}, {self._shifted})"

    @property
    def _leaves(self) -> str:
        if self.window_us is None:
            return f"make_timestamp({LATEST_US}::BIGINT)"
        return f"greatest({self.known}, {self.event} + to_microseconds({self.window_us + self.offset_us}::BIGINT))"

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
            f"x.{quote(mine)} = s.{quote(key)}" for mine, key in zip(self.mine, self.keys, strict=False)
        )
        outputs = ", ".join(self._output_sql(moment))
        if self.shape == "nearest":  # of each point, and moment, which place answers
            equal += "" if self.timeless else f' AND x.{quote(look_at)} = s."{AT}"'
        if self.shape in {"static", "nearest"}:
            return f"SELECT x.*, {outputs} FROM {examples} x LEFT JOIN {steps} s ON {equal}"
        equal = f"{equal} AND " if equal else ""
        return (
            f'SELECT x.*, {outputs} FROM {examples} x ASOF LEFT JOIN {steps} s ON {equal}x.{quote(look_at)} >= s."{AT}"'
        )

    def _output_sql(self, moment: str) -> list[str]:
        if self.shape == "window":
            return [
                f"{aggregate.value_sql(*(f's.{letter}{position}' for letter in aggregate.state))} "
                f"AS {quote(f'{self.name}.{aggregate.name}')}"
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
        if self.shape == "nearest":
            return self._nearest_sql(relation)
        conditions = [keys, self.where, f"{self.known} <= CAST($look_at AS TIMESTAMP)"]
        known = " AND ".join(condition for condition in conditions if condition)
        if self.shape == "asof":
            # The steps' own order turned round: what is not there comes last here as it comes first there.
            order = ", ".join(f"{term} DESC NULLS LAST" for term in self._ranked_by)
            return f"SELECT * FROM {relation} WHERE {known} AND {self.event} IS NOT NULL ORDER BY {order} LIMIT 1"
        until = f"{known} AND {self._shifted} <= CAST($look_at AS TIMESTAMP)"
        if self.window_us is not None:
            until += f" AND {self.event} + to_microseconds({self.reach_us}::BIGINT) > CAST($look_at AS TIMESTAMP)"
        return f"SELECT * FROM {relation} WHERE {until} ORDER BY {self.event}"

    def _nearest_sql(self, relation: str) -> str:
        """Return the text that finds the one place, by looking at all: the same question without the tree."""
        *same, north, east = range(len(self.theirs))
        conditions = [f"{quote(self.theirs[position])} = $key{position}" for position in same]
        conditions += [self.where] if self.where else []
        conditions += [] if self.timeless else [f"{self.known} <= CAST($look_at AS TIMESTAMP)"]
        there = self._placed(" AND ".join(conditions) or "TRUE")
        here = f"CAST($key{north} AS DOUBLE)", f"CAST($key{east} AS DOUBLE)"
        theirs = tuple(f"CAST({quote(column)} AS DOUBLE)" for column in self.theirs[-2:])
        away = f"sqrt({' + '.join(f'({a} - {b}) ** 2' for a, b in zip(_point(*here), _point(*theirs), strict=True))})"
        order = ", ".join(f"{term} ASC NULLS FIRST" for term in self._first_by)
        return (
            f'SELECT * EXCLUDE ("@away") FROM (SELECT *, {away} AS "@away" FROM {relation} WHERE {there}) '
            f'QUALIFY "@away" <= min("@away") OVER () + {ALIKE!r} ORDER BY {order} LIMIT 1'
        )


def _point(north: str, east: str) -> tuple[str, str, str]:
    """Return the engine's text of a place on the unit sphere, as ``nouns/sphere.py`` has it."""
    n, e = f"radians({north})", f"radians({east})"
    return f"cos({n}) * cos({e})", f"cos({n}) * sin({e})", f"sin({n})"


def _kept(column: str) -> list[str]:
    """Return what a sum is called in the table of steps: in two halves, where it needs more than 64 bits."""
    return [f"{column[0]}{half}{column[1:]}" for half in "hl"] if column[0] in "quv" else [column]


def _running(column: str) -> list[str]:
    total = f"sum({column}) OVER steps"
    if column[0] in "quv":
        high, low = _kept(column)
        return [f"CAST({total} // {HALF} AS BIGINT) AS {high}", f"CAST({total} % {HALF} AS BIGINT) AS {low}"]
    return [f"CAST({total} AS BIGINT) AS {column}"]
