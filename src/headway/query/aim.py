"""What is asked, of whom and when: from the brief's target to examples, eligibility and labels over a horizon.

The file hides that a label over a horizon is a windowed aggregate like any other: that of the length of the horizon,
as of the end of it. So the steps that give features give labels, and there is one way to count.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from headway.errors import BriefError, did_you_mean
from headway.nouns.brief import FeatureSpec, Source
from headway.nouns.expression import Call, Column, Literal, columns_of, parse, rename, render
from headway.nouns.span import DAY, format_span, parse_span
from headway.query.compile import Compiled, Scope
from headway.query.functions import AGGREGATES
from headway.query.merging import identity, merge, renamed
from headway.query.relation import DAY_OF_SPLIT, PREDICT_AT, Relation
from headway.query.texts import compile_at, compile_moment, parse_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from headway.nouns.brief import Target
    from headway.nouns.expression import Expression
    from headway.nouns.task import Task
    from headway.query.functions import Kind
    from headway.query.lookups import LookUps
    from headway.query.timeline import Timeline

__all__ = ["Aim", "Cadence", "cut_offs_us", "moments_table", "resolve_aim"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_TASKS: dict[str, Task] = {"bool": "condition", "int": "number", "float": "number", "text": "category"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """Every entity of a source is asked about at every cut-off, from when on it is known.

    Attributes
    ----------
    known
        Engine text of when a row of the source, and so the entity that it names, is known; empty for always.
    """

    source: str
    entity: tuple[str, ...]
    each_us: int
    starting: dt.date
    zone: str
    known: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """The resolved target.

    Attributes
    ----------
    outcome
        What the label counts, as windows that end when it is known; empty where the label stands in the row.
    eligible
        What ``among`` counts, as windows that end at ``predict_at``.
    settled
        When it is known when the label will be known; None where only the outcome itself says it.
    group
        Columns of the examples, ``predict_at`` or the local day, within which examples are ranked.
    """

    examples: Relation
    predict_at: Compiled
    label: Compiled
    label_known_at: Compiled
    task: Task
    cadence: Cadence | None = None
    outcome: tuple[Timeline, ...] = ()
    eligible: tuple[Timeline, ...] = ()
    among: Compiled | None = None
    among_columns: frozenset[str] = frozenset()
    settled: Compiled | None = None
    group: tuple[str, ...] = ()

    def reads(self, name: str) -> frozenset[str]:
        """Return the columns of source ``name`` that examples, eligibility and labels are made from."""
        used: set[str] = set()
        for timeline in (*self.outcome, *self.eligible):
            if timeline.source == name:
                used |= {*timeline.theirs, *timeline.reads}
        if self.cadence is not None and self.cadence.source == name:
            used |= set(self.cadence.entity)
        return frozenset(used)


def cut_offs_us(cadence: Cadence, *, until_us: int) -> list[int]:
    """Return the moments at which is asked, up to ``until_us``; whole days keep to midnights of the zone.

    Examples
    --------
    >>> from headway.nouns.span import DAY
    >>> every = Cadence(
    ...     source="s", entity=("id",), each_us=DAY, starting=dt.date(2013, 3, 30), zone="Europe/Berlin", known=""
    ... )
    >>> moments = cut_offs_us(every, until_us=1_364_774_400_000_000)
    >>> [(later - first) // 3_600_000_000 for first, later in zip(moments, moments[1:])]
    [24, 23]
    """
    zone = ZoneInfo(cadence.zone)

    def midnight_us(day: dt.date) -> int:
        return (dt.datetime(day.year, day.month, day.day, tzinfo=zone) - _EPOCH) // dt.timedelta(microseconds=1)

    first = midnight_us(cadence.starting)
    if cadence.each_us % DAY:
        return list(range(first, until_us + 1, cadence.each_us))
    found, day, step = [], cadence.starting, dt.timedelta(days=cadence.each_us // DAY)
    while (moment := midnight_us(day)) <= until_us:
        found.append(moment)
        day += step
    return found


def moments_table(cadence: Cadence, *, until_us: int) -> pa.Table:
    """Return the moments at which is asked, up to ``until_us``, as a table: ``us``, and ``n`` that numbers them."""
    import pyarrow as pa

    moments = cut_offs_us(cadence, until_us=until_us)
    return pa.table({"us": pa.array(moments, pa.int64()), "n": pa.array(range(len(moments)), pa.int64())})


def resolve_aim(
    target: Target, relations: Mapping[str, Relation], looking: LookUps, *, train_from: dt.date | None
) -> Aim:
    """Return what a target means over sources that are resolved.

    Raises
    ------
    BriefError, ExpressionError
        With the key under ``target`` that does not fit.
    """
    cadence = _cadence(target, relations, train_from) if target.entities else None
    examples = relations[target.examples] if cadence is None else _cohort(cadence, relations[cadence.source])
    predict_at = compile_moment(target.predict_at, examples.scope(), "target.predict_at")
    written = parse_at(target.label, "target.label")
    label, outcome = _label(written, target, examples, looking, relations)
    if not target.label_known_at:
        raise BriefError(
            "Nothing says when the label is known.",
            where="target.label_known_at",
            hint="Name the moment, such as 'closed_at'; or count over a horizon.",
        )
    known_at = compile_moment(target.label_known_at, examples.scope(), "target.label_known_at")
    if label.kind not in _TASKS:
        raise BriefError(
            f"label = {target.label!r} is a {label.kind}; a condition, a number or a category is wanted.",
            where="target.label",
            hint="Write a condition such as 'arr_delay > 30', a number such as 'arr_delay', or a text column.",
        )
    if not columns_of(written) and not outcome:
        raise BriefError(f"label = {target.label!r} is the same for all examples.", where="target.label")
    among, eligible, among_columns = _among(target, examples, looking, relations)
    settled = examples.known_at(columns_of(parse(target.label_known_at)))
    return Aim(
        examples=examples,
        predict_at=predict_at,
        label=label,
        label_known_at=known_at,
        task=_task(target, label.kind, examples),
        cadence=cadence,
        outcome=outcome,
        eligible=eligible,
        among=among,
        among_columns=among_columns,
        settled=None if settled is None else compile_at(settled, examples.scope(), "target.label_known_at"),
        group=target.rank_within,
    )


def _cadence(target: Target, relations: Mapping[str, Relation], train_from: dt.date | None) -> Cadence:
    theirs = relations[target.entities]
    entity = target.entity or theirs.source.key
    if not entity:
        raise BriefError(
            f"Source {theirs.name!r} has no key, so nothing says what an entity is.",
            where="target.entities",
            hint=f"Set sources.{theirs.name}.key, or entity = ['…'] under target.",
        )
    for column in entity:
        if column not in theirs.kinds:
            raise BriefError(
                f"Source {theirs.name!r} has no column {column!r}.",
                where="target.entity",
                hint=did_you_mean(column, theirs.kinds),
            )
    if not target.each:
        raise BriefError(
            "Nothing says how often entities are asked about.",
            where="target.entities",
            hint="Write each = '30 days'.",
        )
    each = parse_span(target.each)
    if each < 1:
        raise BriefError(f"each = {target.each!r} is no step.", where="target.each", hint="Write each = '30 days'.")
    starting = target.starting or train_from
    if starting is None:
        raise BriefError(
            "Nothing says when the first examples are.", where="target.starting", hint="Write starting = 2024-01-01."
        )
    known = "" if theirs.static else _known_sql(theirs, entity)
    return Cadence(source=theirs.name, entity=entity, each_us=each, starting=starting, zone=target.zone, known=known)


def _known_sql(theirs: Relation, entity: tuple[str, ...]) -> str:
    moment = theirs.known_at(entity)
    if moment is None:
        raise BriefError(
            f"Nothing says when {', '.join(entity)} of source {theirs.name!r} is known: entities must not be asked "
            "about before they are there.",
            where="target.entities",
            hint=f"Set sources.{theirs.name}.known.",
        )
    return compile_at(moment, theirs.scope(), f"sources.{theirs.name}.known").sql


def _cohort(cadence: Cadence, theirs: Relation) -> Relation:
    """Return the examples of a cadence as if they were the rows of a source: an entity and a moment each."""
    kinds: dict[str, Kind] = {column: theirs.kinds[column] for column in cadence.entity}
    if PREDICT_AT in kinds:
        raise BriefError(f"{PREDICT_AT!r} names the moment of the prediction.", where="target.entity")
    return Relation(
        name=f"{cadence.source} each {format_span(cadence.each_us)}",
        source=Source(path=theirs.source.path, key=(*cadence.entity, PREDICT_AT), time=PREDICT_AT, known=PREDICT_AT),
        raw={**kinds, PREDICT_AT: "time"},
        derived=(),
        known=dict.fromkeys((*kinds, PREDICT_AT), Column(PREDICT_AT)),
    )


def _task(target: Target, kind: Kind, examples: Relation) -> Task:
    for column in target.rank_within:
        if column not in {*examples.kinds, PREDICT_AT, DAY_OF_SPLIT}:
            raise BriefError(
                f"Source {examples.name!r} has no column {column!r}.",
                where="target.rank_within",
                hint=did_you_mean(column, [*examples.kinds, PREDICT_AT, DAY_OF_SPLIT]),
            )
    if target.rank_within and kind == "text":
        raise BriefError(
            f"label = {target.label!r} is a text, and a ranking needs relevance: a number, or a condition.",
            where="target.label",
        )
    return "ranking" if target.rank_within else _TASKS[kind]


def _label(
    written: Expression, target: Target, examples: Relation, looking: LookUps, relations: Mapping[str, Relation]
) -> tuple[Compiled, tuple[Timeline, ...]]:
    where = "target.label"
    if not _aggregates(written):
        if target.entities:
            raise BriefError(
                f"label = {target.label!r} counts nothing, and an entity at a moment has no row of its own.",
                where=where,
                hint="Write an aggregate over a horizon: label = 'count(orders) = 0', horizon = '90 days'.",
            )
        if _is_span(target.horizon):
            raise BriefError(
                f"label = {target.label!r} stands in the row and looks over no horizon.",
                where="target.horizon",
                hint="Leave out horizon, or count over it: 'count(orders) = 0'.",
            )
        return compile_at(written, examples.scope(), where), ()
    if not _is_span(target.horizon) or not parse_span(target.horizon):
        raise BriefError(
            f"label = {target.label!r} counts, and nothing says over which time.",
            where="target.horizon" if target.horizon else where,
            hint="Write horizon = '14 days'.",
        )
    if target.label_known_at != target.end:
        raise BriefError(
            "When a label over a horizon is known follows from the horizon.",
            where="target.label_known_at",
            hint="Leave it out; delay = '2 days' waits for rows that become known late.",
        )
    value, timelines = _counted(
        written, target, examples, looking, relations, where=where, window=target.horizon, offset=target.delay
    )
    outputs = {name: kind for timeline in timelines for name, kind in timeline.outputs}
    return compile_at(value, Scope.of("the horizon", outputs), where), timelines


def _among(
    target: Target, examples: Relation, looking: LookUps, relations: Mapping[str, Relation]
) -> tuple[Compiled | None, tuple[Timeline, ...], frozenset[str]]:
    if not target.among:
        return None, (), frozenset()
    where = "target.among"
    written = parse_at(target.among, where)
    value, timelines = _counted(written, target, examples, looking, relations, where=where)
    outputs = {name: kind for timeline in timelines for name, kind in timeline.outputs}
    compiled = compile_at(value, examples.scope(extra=outputs), where)
    if compiled.kind != "bool":
        raise BriefError(
            f"among = {target.among!r} is a {compiled.kind}, and a condition is wanted.",
            where=where,
            hint="Write what holds of those who are asked about: 'count(orders, interval 60 days) > 0'.",
        )
    own = columns_of(value) & set(examples.kinds)
    for column in own - set(examples.known):
        raise BriefError(
            f"Nothing says when {column!r} of source {examples.name!r} is known.",
            where=where,
            hint=f"Declare it under sources.{examples.name}.known.",
        )
    return compiled, timelines, frozenset(own)


def _counted(
    written: Expression,
    target: Target,
    examples: Relation,
    looking: LookUps,
    relations: Mapping[str, Relation],
    *,
    where: str,
    window: str = "",
    offset: str = "",
) -> tuple[Expression, tuple[Timeline, ...]]:
    """Return an expression with its aggregates replaced by what their windows give, and the windows."""
    found = {}
    for call in _aggregates(written):
        *inner, length = (*call.arguments, None) if window else call.arguments or (None,)
        if not window:
            if not (isinstance(length, Literal) and length.kind == "span"):
                raise BriefError(
                    f"{render(call)} does not say how far back.",
                    where=where,
                    hint=f"Write {call.function}(…, interval 60 days).",
                )
            back = f"{length.value} us"
        else:
            back = window
        source, value = _source_of(call, tuple(part for part in inner if part is not None), relations, where)
        match = target.match or tuple(
            column for column in examples.source.key if column != PREDICT_AT or PREDICT_AT in relations[source].kinds
        )
        spec = FeatureSpec(from_=source, match=match, window=back, offset=offset, value=value)
        (timeline,), output = looking.shape(spec, examples, where)
        found[render(call)] = (timeline, output)
    merged = merge([timeline for timeline, _ in found.values()])
    names = {timeline.name: merged[identity(timeline)].name for timeline, _ in found.values()}
    outputs = {text: renamed(output, names) for text, (_, output) in found.items()}
    return _replaced(written, outputs), tuple(merged.values())


def _source_of(
    call: Call, inner: tuple[Expression, ...], relations: Mapping[str, Relation], where: str
) -> tuple[str, str]:
    """Return which source an aggregate is over, and the aggregate in that source's own words."""
    if len(inner) != 1:
        raise BriefError(
            f"{render(call)} does not say what it counts.",
            where=where,
            hint="Write count(orders), or sum(orders.units).",
        )
    (argument,) = inner
    if call.function == "count" and isinstance(argument, Column) and argument.name in relations:
        return argument.name, "count()"
    names = columns_of(argument)
    sources = {name.partition(".")[0] for name in names}
    if len(sources) != 1 or not all("." in name for name in names):
        raise BriefError(
            f"{render(call)} does not say of which one source.",
            where=where,
            hint="Write the source before each column: sum(orders.units).",
        )
    (source,) = sources
    if source not in relations:
        raise BriefError(f"There is no source {source!r}.", where=where, hint=did_you_mean(source, relations))
    own = rename(argument, {name: Column(name.partition(".")[2]) for name in names})
    return source, render(Call(call.function, (own,)))


def _aggregates(expression: Expression) -> list[Call]:
    if not isinstance(expression, Call):
        return []
    if expression.function in AGGREGATES:
        return [expression]
    return [found for argument in expression.arguments for found in _aggregates(argument)]


def _replaced(expression: Expression, outputs: Mapping[str, Expression]) -> Expression:
    if not isinstance(expression, Call):
        return expression
    if expression.function in AGGREGATES:
        return outputs[render(expression)]
    return Call(expression.function, tuple(_replaced(argument, outputs) for argument in expression.arguments))


def _is_span(text: str) -> bool:
    try:
        parse_span(text)
    except BriefError:
        return False
    return True
