"""From the long form of a feature to what it looks up: timelines, and its value in terms of their columns.

The file hides what a look-up, a window and a distance each want of the source that they look into: columns that match,
a moment at which the row happens, and another at which it is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Literal as Among

from msgspec.structs import replace

from headway.errors import BriefError, ExpressionError, did_you_mean
from headway.nouns.brief import FeatureSpec
from headway.nouns.expression import Call, Column, Literal, columns_of, rename, render
from headway.nouns.span import parse_span
from headway.query.compile import compile_expression, quote
from headway.query.functions import AGGREGATES
from headway.query.relation import PREDICT_AT
from headway.query.texts import compile_at, parse_at
from headway.query.timeline import Aggregate, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from headway.nouns.expression import Expression
    from headway.query.relation import Kinds, Relation

__all__ = ["LookUps", "columns_read", "described"]


EXPANDING = "all"
"""The window that begins with the data and never ends."""

_NUMBERS_AND_TEXTS = ("bool", "int", "float", "text")
_TAKES = {
    "count": (*_NUMBERS_AND_TEXTS, "time", "span"),
    "first": _NUMBERS_AND_TEXTS,
    "last": _NUMBERS_AND_TEXTS,
    "distinct": (*_NUMBERS_AND_TEXTS, "time"),
}


class LookUps:
    """Reads specifications over sources that are resolved when first asked for."""

    def __init__(self, relation_of: Callable[[str], Relation]) -> None:
        self._relation_of = relation_of

    def shape(self, spec: FeatureSpec, examples: Relation, where: str) -> tuple[tuple[Timeline, ...], Expression]:
        """Return what a feature looks up, if anything, and its value.

        Raises
        ------
        BriefError
            When it is of none of the five shapes, or does not fit its source.
        """
        if spec.distance:
            return self._distance(spec, examples, where)
        if spec.nearest:
            return self._nearest(spec, examples, where)
        if spec.window:
            return self._windowed(spec, examples, where)
        _refuse_of_window(spec, where)
        if spec.from_:
            timeline, value = self.look_up(spec, examples, where)
            return (timeline,), value
        if not spec.value:
            raise BriefError(
                "This feature says neither an expression nor where to look.",
                where=where,
                hint="Write an expression, or { from = '…', match = ['…'], take = '…' }.",
            )
        return (), parse_at(spec.value, where)

    def _distance(self, spec: FeatureSpec, examples: Relation, where: str) -> tuple[tuple[Timeline, ...], Expression]:
        if len(spec.distance) != 2 or not (spec.from_ and spec.lat and spec.lon):
            raise BriefError(
                "A distance needs two columns and where their places are.",
                where=where,
                hint="Write { distance = ['origin', 'dest'], from = 'airports', lat = 'lat', lon = 'lon' }.",
            )
        key = self._relation_of(spec.from_).source.key
        if len(key) != 1:
            raise BriefError(f"Source {spec.from_!r} needs a key of one column to look places up.", where=where)
        timelines, arguments = [], []
        for column in spec.distance:
            place = FeatureSpec(from_=spec.from_, match={column: key[0]}, value="0")
            timeline, _ = self.look_up(place, examples, where, carry=(spec.lat, spec.lon))
            timelines.append(timeline)
            arguments += [Column(f"{timeline.name}.{spec.lat}"), Column(f"{timeline.name}.{spec.lon}")]
        return tuple(timelines), Call("haversine_km", tuple(arguments))

    def _nearest(self, spec: FeatureSpec, mine: Relation, where: str) -> tuple[tuple[Timeline, ...], Expression]:
        """Return the places that are looked into, and how far the nearest is or what it has."""
        if len(spec.nearest) != 2 or not (spec.from_ and spec.lat and spec.lon):
            raise BriefError(
                "The nearest place needs two columns of the row, degrees north and east, and those of the places.",
                where=where,
                hint="Write { nearest = ['lat', 'lon'], from = 'stores', lat = 'lat', lon = 'lon' }.",
            )
        if spec.window or spec.max_age or (spec.take and spec.value):
            raise BriefError(
                "The nearest place is so far away, or gives one column ('take') or expression ('value') of its row.",
                where=where,
                hint="Leave out window and max_age; which places count is said by match and where.",
            )
        theirs = self._relation_of(spec.from_)
        pairs = _match(spec, mine, theirs, where) if spec.match else []
        for relation, columns in ((mine, spec.nearest), (theirs, (spec.lat, spec.lon))):
            for column in columns:
                _number(relation, column, where)
        away = Call("haversine_km", (*map(Column, spec.nearest), Column(spec.lat), Column(spec.lon)))
        expression: Expression = Column(spec.take) if spec.take else parse_at(spec.value, where) if spec.value else away
        if expression is not away:
            compile_at(expression, theirs.scope(extra={} if spec.take else {PREDICT_AT: "time"}), where)
        taken = {spec.lat, spec.lon} if expression is away else columns_of(expression) - {PREDICT_AT}
        condition, conditional = _condition(spec, theirs, where)
        order = theirs.source.key
        used = {*taken, spec.lat, spec.lon, *(other for _, other in pairs), *conditional}
        known = ""
        if not theirs.static:
            decisive = {column for column in order if column in theirs.known}
            known = _known(theirs, {*used, *decisive}, where)
            used |= decisive
        timeline = Timeline(
            name=f"{theirs.name}:nearest:{','.join((*(own for own, _ in pairs), *spec.nearest))}:{condition}:{known}",
            source=theirs.name,
            shape="nearest",
            mine=(*(own for own, _ in pairs), *spec.nearest),
            theirs=(*(other for _, other in pairs), spec.lat, spec.lon),
            known=known,
            event=known,
            order=order,
            columns=tuple((column, theirs.kinds[column]) for column in sorted(taken)),
            where=condition,
            reads=columns_read(theirs, {*used, *order}),
        )
        names = {column: Column(f"{timeline.name}.{column}") for column in taken}
        if expression is away:  # the row's own columns may bear the very same names
            theirs_at = (names[spec.lat], names[spec.lon])
            return (timeline,), Call("haversine_km", (*map(Column, spec.nearest), *theirs_at))
        return (timeline,), rename(expression, names)

    def look_up(
        self, spec: FeatureSpec, mine: Relation, where: str, *, carry: tuple[str, ...] = (), now: bool = True
    ) -> tuple[Timeline, Expression]:
        """Return the timeline of a look-up from ``mine``, and the value.

        Parameters
        ----------
        carry
            Columns to take along beside those of the value.
        now
            Whether the value may speak of ``predict_at``.
        """
        theirs = self._relation_of(spec.from_)
        pairs = _match(spec, mine, theirs, where)
        if bool(spec.take) == bool(spec.value):
            raise BriefError("A look-up takes one column ('take') or an expression ('value').", where=where)
        expression: Expression = Column(spec.take) if spec.take else parse_at(spec.value, where)
        moment: Kinds = {PREDICT_AT: "time"} if now and not spec.take else {}
        compile_at(expression, theirs.scope(extra=moment), where)
        carried = sorted({*(columns_of(expression) - set(moment)), *carry})
        for column in carried:
            if column not in theirs.kinds:
                raise BriefError(
                    f"Source {theirs.name!r} has no column {column!r}.",
                    where=where,
                    hint=did_you_mean(column, theirs.kinds),
                )
        columns = tuple((column, theirs.kinds[column]) for column in carried)
        shape: Among["static", "asof"] = "static" if theirs.static else "asof"
        known = event = condition = ""
        order: tuple[str, ...] = ()
        reads: tuple[str, ...] = ()
        if shape == "asof":
            condition, conditional = _condition(spec, theirs, where)
            order, decisive = _order(theirs)
            used = (*carried, *(other for _, other in pairs), *conditional, *decisive)
            known, event = _moments(theirs, used, where)
            reads = columns_read(theirs, (*used, *order))
        elif spec.where:
            raise BriefError(
                f"Source {theirs.name!r} has one row a key, so there is none to choose.",
                where=where,
                hint="Leave out where; a condition of the value is written with if(…).",
            )
        elif spec.max_age:
            raise BriefError(
                f"Source {theirs.name!r} has no time, so nothing in it has an age.",
                where=where,
                hint="Leave out max_age.",
            )
        timeline = Timeline(
            name=f"{theirs.name}:{','.join(mine for mine, _ in pairs)}:{spec.max_age}:{condition}:{known}",
            source=theirs.name,
            shape=shape,
            mine=tuple(own for own, _ in pairs),
            theirs=tuple(other for _, other in pairs),
            known=known,
            event=event,
            order=order,
            columns=columns,
            where=condition,
            max_age_us=parse_span(spec.max_age) if spec.max_age else None,
            reads=reads,
        )
        return timeline, rename(expression, {column: Column(f"{timeline.name}.{column}") for column in carried})

    def _windowed(self, spec: FeatureSpec, examples: Relation, where: str) -> tuple[tuple[Timeline, ...], Expression]:
        """Return the timelines and the value of a window: one, or with it that of all rows, to compare with."""
        _refuse_of_look_up(spec, where)
        expression = parse_at(spec.value, where) if spec.value else Call("count", ())
        function = expression.function if isinstance(expression, Call) else ""
        if spec.smooth and function != "avg":
            raise BriefError("Only an average can be smoothed.", where=where, hint="Write value = 'avg(…)'.")
        if function != "share" and not spec.smooth:
            timeline, value = self._window(spec, examples, where)
            return (timeline,), value
        assert isinstance(expression, Call)
        if not spec.match:
            raise BriefError(
                f"{'A smoothed average' if spec.smooth else 'share()'} compares some rows with all, and needs a match.",
                where=where,
                hint="Write match = ['…'].",
            )
        if function == "share" and expression.arguments:
            raise ExpressionError("share() counts rows and takes nothing.", where=where)

        def of(text: str, match: tuple[str, ...] | dict[str, str]) -> tuple[Timeline, Expression]:
            return self._window(replace(spec, match=match, value=text, smooth=0.0), examples, where)

        if function == "share":
            (mine, some), (whole, every) = of("count()", spec.match), of("count()", ())
            return (mine, whole), Call("/", (some, every))
        inner = render(expression.arguments[0]) if expression.arguments else ""
        (mine, total), (counted, count) = of(f"sum({inner})", spec.match), of(f"count({inner})", spec.match)
        whole, mean = of(f"avg({inner})", ())
        weight = Literal(spec.smooth, "float")
        drawn = Call("+", (total, Call("*", (weight, mean))))
        return (mine, counted, whole), Call("/", (drawn, Call("+", (count, weight))))

    def _window(self, spec: FeatureSpec, mine: Relation, where: str) -> tuple[Timeline, Expression]:
        theirs = self._relation_of(spec.from_ or mine.name)
        pairs = _match(spec, mine, theirs, where)
        expression = parse_at(spec.value, where) if spec.value else Call("count", ())
        if not (isinstance(expression, Call) and expression.function in AGGREGATES and len(expression.arguments) <= 1):
            raise ExpressionError(
                f"{spec.value!r} is not an aggregate.",
                where=where,
                hint=f"Over a window write one of {', '.join(f'{name}(…)' for name in AGGREGATES)}.",
            )
        inner = expression.arguments[0] if expression.arguments else None
        if inner is None and expression.function != "count":
            raise ExpressionError(f"{expression.function}() needs something to add up.", where=where)
        compiled = compile_at(inner, theirs.scope(), where) if inner is not None else None
        takes = _TAKES.get(expression.function, ("bool", "int", "float"))
        if compiled is not None and compiled.kind not in takes:
            raise ExpressionError(f"{expression.function}() of a {compiled.kind} is not a number.", where=where)
        if theirs.static:
            raise BriefError(
                f"Source {theirs.name!r} has no time to make a window of.",
                where=where,
                hint="Declare its time and known.",
            )
        if expression.function == "share":
            raise ExpressionError("share() stands alone.", where=where)
        used = (*(columns_of(inner) if inner is not None else ()), *(other for _, other in pairs))
        condition, conditional = _condition(spec, theirs, where)
        used = (*used, *conditional)
        order: tuple[str, ...] = ()
        if expression.function in {"first", "last"}:
            order, decisive = _order(theirs)
            used = (*used, *decisive)
        known, event = _moments(theirs, used, where)
        aggregate = Aggregate(
            name=render(expression),
            function=expression.function,
            sql=compiled.sql if compiled else None,
            kind=compiled.kind if compiled else "int",
        )
        timeline = Timeline(
            name=f"{theirs.name}:{','.join(own for own, _ in pairs)}:{spec.window}:{spec.offset}:{condition}:{known}"
            f"{':ranked' if order else ''}",
            source=theirs.name,
            shape="window",
            mine=tuple(own for own, _ in pairs),
            theirs=tuple(other for _, other in pairs),
            known=known,
            event=event,
            order=order,
            aggregates=(aggregate,),
            window_us=None if spec.window == EXPANDING else parse_span(spec.window),
            offset_us=parse_span(spec.offset) if spec.offset else 0,
            where=condition,
            reads=columns_read(theirs, (*used, *order)),
        )
        return timeline, Column(f"{timeline.name}.{aggregate.name}")


def _condition(spec: FeatureSpec, theirs: Relation, where: str) -> tuple[str, frozenset[str]]:
    """Return the engine text of which rows count, and the columns that it reads; empty for all rows."""
    if not spec.where:
        return "", frozenset()
    expression = parse_at(spec.where, where)
    compiled = compile_at(expression, theirs.scope(), where)
    if compiled.kind != "bool":
        raise ExpressionError(f"where = {spec.where!r} is a {compiled.kind}, and a condition is wanted.", where=where)
    return compiled.sql, columns_of(expression)


def _order(theirs: Relation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns that decide between rows of one moment, and those of them that say when they are known.

    The others decide, too; but a key that never says when it is known is taken to be known with its row.
    """
    order = tuple(column for column in theirs.source.key if column != theirs.source.time)
    return order, tuple(column for column in order if column in theirs.known)


def _refuse_of_window(spec: FeatureSpec, where: str) -> None:
    for name, value in (("offset", spec.offset), ("smooth", spec.smooth)):
        if value:
            raise BriefError(f"{name!r} belongs to a window.", where=where, hint="Add window = '24 hours' or so.")
    if spec.where and not spec.from_:
        raise BriefError("'where' says which rows of another source count.", where=where, hint="Add from = '…'.")


def _refuse_of_look_up(spec: FeatureSpec, where: str) -> None:
    if spec.max_age:
        raise BriefError(
            f"A window counts what happened in it, and max_age = {spec.max_age!r} says how old one row may be.",
            where=where,
            hint=f"Leave out max_age, or write window = {spec.max_age!r} to count nothing older.",
        )
    if spec.take:
        raise BriefError(
            f"A window counts many rows, and take = {spec.take!r} takes a column of one.",
            where=where,
            hint=f"Write value = 'last({spec.take})' or another aggregate; or leave out window.",
        )
    if spec.window != EXPANDING and not parse_span(spec.window):
        raise BriefError(
            f"A window of {spec.window!r} holds no rows, and one longer than nothing is wanted.",
            where=where,
            hint="Write how far it reaches back, such as '24 hours', or 'all'.",
        )


def _moments(theirs: Relation, columns: Iterable[str], where: str) -> tuple[str, str]:
    """Return the engine text of when ``columns`` are known and of when the row happens."""
    time = theirs.source.time
    if not time:
        raise BriefError(
            f"Source {theirs.name!r} does not say when its rows happen.",
            where=where,
            hint=f"Set sources.{theirs.name}.time.",
        )
    # That a row is there at all, when it happens and whom it is about must be known too, not its values alone.
    return _known(theirs, {*columns, time}, where), quote(time)


def _known(theirs: Relation, used: set[str], where: str) -> str:
    """Return the engine text of when all of some columns are known."""
    time = theirs.source.time or "opened"
    moment = theirs.known_at(used)
    if moment is None:
        silent = sorted(column for column in used if column not in theirs.known)
        raise BriefError(
            f"Nothing says when {', '.join(silent)} of source {theirs.name!r} is known.",
            where=where,
            hint=f'Set sources.{theirs.name}.known, such as "{time or "opened"} + interval 10 minutes".',
        )
    return compile_expression(moment, theirs.scope()).sql


def _number(relation: Relation, column: str, where: str) -> None:
    """Raise where there is no such column, or it can be no degrees."""
    if column not in relation.kinds:
        raise BriefError(
            f"Source {relation.name!r} has no column {column!r}.",
            where=where,
            hint=did_you_mean(column, relation.kinds) or "Derive it: an address becomes degrees by a source of places.",
        )
    if relation.kinds[column] not in {"int", "float"}:
        raise BriefError(
            f"{column!r} of {relation.name!r} is a {relation.kinds[column]}, and degrees are wanted.",
            where=where,
            hint="Name the columns of degrees north and east.",
        )


def columns_read(theirs: Relation, columns: Iterable[str]) -> tuple[str, ...]:
    """Return the columns, raw and derived, that steps over ``columns`` are computed from."""
    used = {*columns, theirs.source.time} - {""}
    used |= {column for name in used & set(theirs.known) for column in columns_of(theirs.known[name])}
    return tuple(sorted(used))


def _match(spec: FeatureSpec, mine: Relation, theirs: Relation, where: str) -> list[tuple[str, str]]:
    pairs = list(spec.match.items()) if isinstance(spec.match, dict) else [(name, name) for name in spec.match]
    if not pairs and not spec.window:
        raise BriefError("A look-up needs columns to match.", where=where, hint="Write match = ['…'].")
    for relation, names in ((mine, [own for own, _ in pairs]), (theirs, [other for _, other in pairs])):
        for name in names:
            if name not in relation.kinds:
                raise BriefError(
                    f"Source {relation.name!r} has no column {name!r}.",
                    where=where,
                    hint=did_you_mean(name, relation.kinds),
                )
    for own, other in pairs:
        if mine.kinds[own] != theirs.kinds[other]:
            raise BriefError(
                f"{own!r} of {mine.name!r} is a {mine.kinds[own]} and {other!r} of {theirs.name!r} a "
                f"{theirs.kinds[other]}; they cannot be equal.",
                where=where,
            )
    return pairs


def described(spec: FeatureSpec) -> str:
    """Return the definition in one line, as lineage and the card show it."""
    if spec.distance:
        return f"distance from {spec.distance[0]} to {spec.distance[1]} by {spec.from_}"
    if spec.nearest:
        what = spec.take or spec.value or "distance to"
        by = f" of equal {_matched(spec)}" if spec.match else ""
        where = f" where {spec.where}" if spec.where else ""
        return f"{what}{' of' if spec.take or spec.value else ''} the nearest of {spec.from_}{by}{where}"
    if spec.window:
        by = f" by {_matched(spec)}" if spec.match else ""
        where = f" where {spec.where}" if spec.where else ""
        ago = f", {spec.offset} ago" if spec.offset else ""
        over = "all time" if spec.window == EXPANDING else spec.window
        smooth = f", drawn by {spec.smooth:g} to all" if spec.smooth else ""
        return f"{spec.value or 'count()'} of {spec.from_ or 'the examples'}{where}{by} over {over}{ago}{smooth}"
    if spec.from_:
        age = f", at most {spec.max_age} old" if spec.max_age else ""
        where = f" where {spec.where}" if spec.where else ""
        return f"{spec.take or spec.value} of {spec.from_}{where} by {_matched(spec)}{age}"
    return spec.value


def _matched(spec: FeatureSpec) -> str:
    """Return what is matched; where the source calls it something else, both names."""
    pairs = spec.match.items() if isinstance(spec.match, dict) else [(name, name) for name in spec.match]
    return ", ".join(mine if mine == theirs else f"{mine} = {theirs}" for mine, theirs in pairs)
