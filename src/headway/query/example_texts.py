"""The engine's text of examples: which rows they are, what is carried, what their labels and their features are.

Pure functions from definitions to text. Whoever has rows runs them: on one machine over all rows, on a cluster over
those of a part at a time, so that there is one text and one meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.errors import DataError
from headway.nouns.clock import format_moment
from headway.query.compile import quote
from headway.query.relation import LOOK_AT, PREDICT_AT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from headway.query.aim import Aim, Cadence
    from headway.query.definitions import Definitions, Feature
    from headway.query.relation import Relation
    from headway.query.timeline import Timeline

__all__ = [
    "CENSORED",
    "KNOWN_AT",
    "LABEL",
    "MOMENT",
    "among_sql",
    "chosen_sql",
    "derived_sql",
    "entities_sql",
    "example_sql",
    "features_sql",
    "known_entities_sql",
    "labelled_sql",
    "lasting",
    "late_sql",
    "moment_sql",
    "once_sql",
    "refuse_late",
]

LABEL = "@label"
KNOWN_AT = "@label_known_at"
CENSORED = "@censored"
MOMENT = "@predicted"
"""The moment of the prediction, before the row that it is asked about has become an example."""

_LABEL_TYPES = {"condition": "BOOLEAN", "category": "VARCHAR", "number": "DOUBLE", "ranking": "DOUBLE"}


def moment_sql(moment_us: int) -> str:
    """Return a moment as an SQL constant."""
    return f"make_timestamp({moment_us}::BIGINT)"


def derived_sql(relation: Relation, raw: str, wanted: Iterable[str], steps: Callable[[Timeline], str]) -> str:
    """Return the text that adds derived columns to ``raw``, one stage a column, in the order of the brief.

    Parameters
    ----------
    wanted
        The columns that are needed; others are only added where one of these follows from them.
    steps
        Gives the table of the steps of what is looked up.
    """
    needed = relation.closure(wanted)
    text = f"SELECT * FROM {raw}"
    for column in relation.derived:
        if column.name not in needed:
            continue
        stage = f"({text})"
        for timeline in column.timelines:
            stage = f"({timeline.join_sql(stage, steps(timeline), moment='', look_at='')})"
        hidden = [name for timeline in column.timelines for name, _ in timeline.outputs]
        text = f"SELECT {_without(hidden)}, {column.compiled.sql} AS {quote(column.name)} FROM {stage}"
    return text


def once_sql(relation: Relation, text: str, wanted: Iterable[str], *, last: Sequence[str] = ()) -> str:
    """Return the rows of ``text`` without those that the brief takes for another one's double.

    Which one counts does not depend on the order in which rows are read: where ``order`` does not decide, the columns
    do that are loaded for those that are ``wanted``, and of rows that are alike in all of them either may go; with
    ``last``, columns that number rows, the one with the greater number.
    """
    once = relation.source.once
    if once is None:
        return text
    same = ", ".join(map(quote, relation.alike_by))
    order = f"{quote(once.order)} {'DESC' if once.keep == 'last' else 'ASC'} NULLS LAST, " if once.order else ""
    numbered = "".join(f", {quote(column)}" for column in last)
    packed = ", ".join(f"{quote(column)} := {quote(column)}" for column in relation.loaded(wanted))
    return (
        f'SELECT * EXCLUDE ("@nth") FROM (SELECT *, row_number() OVER (PARTITION BY {same} '
        f'ORDER BY {order}CAST(struct_pack({packed}) AS VARCHAR){numbered}) AS "@nth" FROM ({text})) WHERE "@nth" = 1'
    )


def known_entities_sql(cadence: Cadence, rows: str, *, number: str = "") -> str:
    """Return every entity of ``rows`` and since when (``@since``) it is known; parts of it can be reduced again."""
    names = ", ".join(map(quote, cadence.entity))
    there = " AND ".join(f"{quote(column)} IS NOT NULL" for column in cadence.entity)
    since = cadence.known or "TIMESTAMP '-infinity'"
    first = f", min({quote(number)}) AS {quote(number)}" if number else ""
    return f'SELECT {names}, min({since}) AS "@since"{first} FROM {rows} WHERE {there} GROUP BY {names}'


def entities_sql(cadence: Cadence, entities: str, moments: str, *, number: str = "") -> str:
    """Return every known entity at every one of the ``moments`` at which it was known.

    Parameters
    ----------
    entities
        What :func:`known_entities_sql` gives.
    moments
        A table of moments (``us``) with their numbers (``n``) from 0.
    number
        A column that numbers entities, from which their examples are numbered.
    """
    names = ", ".join(f"e.{quote(name)}" for name in cadence.entity)  # an entity may be called what moments are
    each = f", e.{quote(number)} * (SELECT count(*) FROM {moments}) + m.n AS {quote(number)}" if number else ""
    return (
        f"(SELECT {names}, make_timestamp(m.us) AS {quote(PREDICT_AT)}{each} FROM ({entities}) e "
        f'JOIN {moments} m ON e."@since" <= make_timestamp(m.us))'
    )


def chosen_sql(
    definitions: Definitions, rows: str, *, as_of_us: int, since_us: int | None = None, until_us: int | None = None
) -> str:
    """Return the rows that are asked about: those with ``since <= moment < until``, and none after ``as_of``."""
    moment = quote(MOMENT)
    bounds = [f"{moment} IS NOT NULL", f"{moment} <= {moment_sql(as_of_us)}"]
    bounds += [] if since_us is None else [f"{moment} >= {moment_sql(since_us)}"]
    bounds += [] if until_us is None else [f"{moment} < {moment_sql(until_us)}"]
    timed = f"(SELECT *, {definitions.predict_at.sql} AS {moment} FROM {rows})"
    return f"{timed} WHERE {' AND '.join(bounds)}"


def among_sql(aim: Aim, looked_up: str) -> str:
    """Return those of the chosen rows that ``among`` allows, once what it counts is looked up."""
    assert aim.among is not None
    hidden = [name for timeline in aim.eligible for name, _ in timeline.outputs]
    return f"SELECT {_without(hidden)} FROM {looked_up} WHERE {aim.among.sql}"


def late_sql(definitions: Definitions, chosen: str) -> str:
    """Return how many rows there are (``n``), and what of them is not known yet when it is asked for.

    For each column that must be known: of how many rows it is not (``n0`` …), and the first of the moments at which
    it becomes known, with that at which it is asked for (``e0`` …). Counts add up, and firsts have a first.
    """
    moment = quote(MOMENT)
    counts = "".join(
        f", count(*) FILTER (WHERE {quote(column)} IS NOT NULL AND NOT coalesce({known.sql} <= {moment}, FALSE)) "
        f"AS n{position}, min(struct_pack(known := epoch_us({known.sql}), asked := epoch_us({moment}))) "
        f"FILTER (WHERE {quote(column)} IS NOT NULL AND {known.sql} > {moment}) AS e{position}"
        for position, (column, known) in enumerate(definitions.row_known.items())
    )
    return f"SELECT count(*) AS n{counts} FROM {chosen}"


def refuse_late(definitions: Definitions, found: Sequence[Any]) -> None:
    """Raise when a column that must be known at ``predict_at`` was not: a feature's, a look-up's, the moment's.

    Parameters
    ----------
    found
        What :func:`late_sql` has counted.

    Raises
    ------
    DataError
        With the definition that uses the column.
    """
    rows, *counted = found
    for column, late, first in zip(definitions.row_known, counted[::2], counted[1::2], strict=True):
        if not late:
            continue
        when = (
            f"; for one it is known at {format_moment(first['known'])}, and predicted at "
            f"{format_moment(first['asked'])}"
            if first
            else ""
        )
        raise DataError(
            f"{column!r} is not known at predict_at for {late} of {rows} examples{when}. "
            "A feature may not look into the future.",
            where=_user_of(definitions, column),
            hint="Take it out of the row's own features; past rows' values can be used over a window.",
        )


def _user_of(definitions: Definitions, column: str) -> str:
    for feature in definitions.features:
        if column in feature.row_columns or any(column in timeline.mine for timeline in feature.timelines):
            return f"features.{feature.name}"
    return "target.predict_at"


def example_sql(definitions: Definitions, chosen: str, *, as_of_us: int, keep: Iterable[str] = ()) -> str:
    """Return the chosen rows as examples: what is carried, the moments, and a label that stands in the row."""
    known, aim = definitions.label_known_at.sql, definitions.aim
    # A label over a horizon is joined afterwards, by the key that stands here.
    label = f"CAST(NULL AS {_LABEL_TYPES[aim.task]})" if aim.outcome else _label_sql(aim)
    now, moment = moment_sql(as_of_us), quote(MOMENT)
    settled = "FALSE" if aim.settled is None else f"({known} > {now} AND {aim.settled.sql} <= {now})"
    columns = {*definitions.carried, *(name for timeline in definitions.timelines for name in timeline.mine)}
    columns |= {column for feature in definitions.features for column in feature.row_columns}
    columns |= set(keep) | {column for timeline in aim.outcome for column in timeline.mine}
    columns |= set(aim.group) & set(definitions.examples.kinds)
    columns -= {PREDICT_AT}
    return f"""
        SELECT {"".join(f"{quote(column)}, " for column in sorted(columns))}
               {moment} AS {quote(PREDICT_AT)},
               {moment} - to_microseconds({definitions.lag_us}::BIGINT) AS {quote(LOOK_AT)},
               {known} AS {quote(KNOWN_AT)},
               CASE WHEN {known} <= {now} THEN {label} END AS {quote(LABEL)},
               coalesce({settled}, FALSE) AS {quote(CENSORED)}
        FROM {chosen}
    """


def labelled_sql(aim: Aim, looked_up: str, *, end_us: int) -> str:
    """Return the examples with their labels over the horizon, once what these count is looked up.

    Parameters
    ----------
    end_us
        Up to when the sources that the label counts reach: what they do not have yet is no nought.
    """
    known, end = quote(KNOWN_AT), moment_sql(end_us)
    named = {column for timeline in aim.outcome for column in timeline.mine}
    there = " AND ".join(f"{quote(column)} IS NOT NULL" for column in sorted(named)) or "TRUE"
    hidden = [LABEL, CENSORED, *(name for timeline in aim.outcome for name, _ in timeline.outputs)]
    return (
        f"SELECT {_without(hidden)}, CASE WHEN {known} <= {end} AND {there} THEN {_label_sql(aim)} END "
        f"AS {quote(LABEL)}, {known} > {end} AS {quote(CENSORED)} FROM {looked_up}"
    )


def lasting(definitions: Definitions, keep: Iterable[str] = ()) -> set[str]:
    """Return the columns that stay with an example beside its features."""
    group = set(definitions.aim.group) & set(definitions.examples.kinds)
    stale = {timeline.stale for timeline in definitions.timelines} - {""}
    return {*definitions.carried, *keep, *group, *stale, PREDICT_AT, KNOWN_AT, LABEL, CENSORED}


def features_sql(kept: Iterable[str], features: Iterable[Feature], looked_up: str) -> str:
    """Return columns that are kept, and features (``feature:NAME``), once what these look up is there."""
    computed = "".join(f", {feature.sql} AS {quote(f'feature:{feature.name}')}" for feature in features)
    return f"SELECT {', '.join(map(quote, kept))}{computed} FROM {looked_up}"


def _without(hidden: Sequence[str]) -> str:
    return f"* EXCLUDE ({', '.join(map(quote, hidden))})" if hidden else "*"


def _label_sql(aim: Aim) -> str:
    """Return the engine's text of a label as examples hold it; a number that is none is missing."""
    if aim.task in {"condition", "category"}:
        return aim.label.sql
    number = f"CAST({aim.label.sql} AS DOUBLE)"
    return f"(CASE WHEN isfinite({number}) THEN {number} END)"
