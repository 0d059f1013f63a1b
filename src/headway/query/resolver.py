"""From a brief to its definitions, in the order in which things depend on one another.

The file hides that order: raw columns, derived columns, known times, look-ups, features, and what each of them may be
made of.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeVar

from headway.errors import BriefError, ExpressionError, did_you_mean
from headway.nouns.brief import FeatureSpec
from headway.nouns.expression import Call, Column, columns_of, parse, rename, render
from headway.nouns.span import parse_span
from headway.query.compile import Compiled, Scope, compile_expression, quote
from headway.query.definitions import (
    GREATEST_FLOAT32,
    LOOK_AT,
    OWN_COLUMNS,
    PREDICT_AT,
    Definitions,
    Derived,
    Feature,
    Relation,
    feature_scope,
)
from headway.query.functions import AGGREGATES
from headway.query.merging import identity, merge, renamed
from headway.query.timeline import Aggregate, Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from headway.nouns.brief import Brief
    from headway.nouns.expression import Expression
    from headway.query.compile import Row, RowForm
    from headway.query.definitions import Kinds
    from headway.query.functions import Kind

__all__ = ["Resolver"]

T = TypeVar("T")


class Resolver:
    """Walks a brief once, in order of dependence, and remembers what it has named."""

    def __init__(self, brief: Brief, raw: Mapping[str, Kinds]) -> None:
        self.brief = brief
        self.raw = raw
        self.relations: dict[str, Relation] = {}
        self.timelines: dict[Timeline, Timeline] = {}
        self.resolving: list[str] = []

    def resolve(self) -> Definitions:
        """Return the definitions."""
        for name in self.brief.sources:
            self._relation(name)
        target, examples = self.brief.target, self.relations[self.brief.target.examples]
        predict_at = self._moment(target.predict_at, examples.scope(), "target.predict_at")
        label = self._expression(target.label, examples.scope(), "target.label")
        if label.kind != "bool":
            raise BriefError(
                f"label = {target.label!r} is a {label.kind}, and a condition is wanted.",
                where="target.label",
                hint="Write a condition such as 'arr_delay > 30'.",
            )
        known_at = self._moment(target.label_known_at, examples.scope(), "target.label_known_at")
        features = self._features(examples)
        self._check_columns(examples)
        known = examples.known.get("*")
        timelines = tuple(self._joined(features))
        definitions = Definitions(
            brief=self.brief,
            relations=self.relations,
            timelines=timelines,
            features=features,
            predict_at=predict_at,
            label=label,
            label_known_at=known_at,
            rule=self._rule(features),
            examples_known=compile_expression(known, examples.scope()) if known is not None else None,
            row_known=self._row_known(examples, features),
            lag_us=parse_span(self.brief.serve.refresh),
        )
        self._refuse_taken(definitions)
        return definitions

    def _row_known(self, examples: Relation, features: tuple[Feature, ...]) -> dict[str, Compiled]:
        """Return when each column is known that must be by ``predict_at``.

        That is to be a feature, or to look one up by it, or to say when that moment is.
        """
        columns = {column for feature in features for column in feature.row_columns}
        columns |= {column for feature in features for timeline in feature.timelines for column in timeline.mine}
        # Where nothing says when the moment itself is known, it is taken to be known when it comes.
        columns |= columns_of(parse(self.brief.target.predict_at)) & set(examples.known)
        return {column: compile_expression(examples.known[column], examples.scope()) for column in sorted(columns)}

    # -- sources

    def _relation(self, name: str) -> Relation:
        if name in self.relations:
            return self.relations[name]
        if name in self.resolving:
            circle = " -> ".join([*self.resolving[self.resolving.index(name) :], name])
            raise BriefError(
                f"Sources derive columns from each other in a circle: {circle}.", where=f"sources.{name}.derive"
            )
        self.resolving.append(name)
        source, raw = self.brief.sources[name], self.raw[name]
        where = f"sources.{name}"
        partial = Relation(name=name, source=source, raw=raw, derived=(), known={})
        derived: list[Derived] = []
        for column, spec in source.derive.items():
            twin = next((other for other in partial.kinds if other.casefold() == column.casefold()), None)
            if twin is not None:
                raise BriefError(
                    f"Source {name!r} has a column {twin!r} already.",
                    where=f"{where}.derive.{column}",
                    hint="Give the derived column another name; small and capital letters count as the same.",
                )
            derived.append(self._derived(partial, column, spec, f"{where}.derive.{column}"))
            partial = Relation(name=name, source=source, raw=raw, derived=tuple(derived), known={})
        for role, columns in (("key", source.key), ("time", (source.time,) if source.time else ())):
            for column in columns:
                if column not in partial.kinds:
                    raise BriefError(
                        f"Source {name!r} has no column {column!r}.",
                        where=f"{where}.{role}",
                        hint=did_you_mean(column, partial.kinds),
                    )
        if source.time and partial.kinds[source.time] != "time":
            raise BriefError(
                f"Column {source.time!r} is a {partial.kinds[source.time]}, and a moment is wanted.",
                where=f"{where}.time",
                hint='Name a column of moments, or derive one: derive = { at = "local_time(…)" }.',
            )
        relation = Relation(
            name=name, source=source, raw=raw, derived=tuple(derived), known=self._known(partial, where)
        )
        self.resolving.pop()
        self.relations[name] = relation
        return relation

    def _derived(self, partial: Relation, name: str, spec: str | FeatureSpec, where: str) -> Derived:
        if isinstance(spec, str):
            spec = FeatureSpec(value=spec)
        if not spec.from_:
            expression = self._parse(spec.value, where)
            compiled = self._compile(expression, partial.scope(), where)
            return Derived(name=name, compiled=compiled, inputs=columns_of(expression), timelines=())
        if spec.distance or spec.window or spec.max_age:
            raise BriefError(
                "A derived column is an expression of the row, or a look-up in a source without time.",
                where=where,
                hint="Make it a feature: features may be windows, distances and look-ups as of predict_at.",
            )
        timeline, value = self._lookup(spec, partial, where, now=False)
        if timeline.shape != "static":
            raise BriefError(
                "A derived column may look into a source without time only.",
                where=where,
                hint="Make it a feature: features look up as of predict_at.",
            )
        compiled = self._compile(value, Scope.of(f"source {timeline.source!r}", dict(timeline.outputs)), where)
        return Derived(name=name, compiled=compiled, inputs=frozenset(timeline.mine), timelines=(timeline,))

    def _known(self, partial: Relation, where: str) -> dict[str, Expression]:
        declared = partial.source.known
        texts = {"*": declared} if isinstance(declared, str) else dict(declared)
        known: dict[str, Expression] = {}
        for column, text in texts.items():
            if column != "*" and column not in partial.kinds:
                raise BriefError(
                    f"Source {partial.name!r} has no column {column!r}.",
                    where=f"{where}.known.{column}",
                    hint=did_you_mean(column, partial.kinds),
                )
            place = f"{where}.known" if isinstance(declared, str) else f"{where}.known.{column}"
            self._moment(text, partial.scope(), place)
            known[column] = parse(text)
        if "*" in known:
            known = {**dict.fromkeys(partial.raw, known["*"]), **known}
        elif partial.static:
            return {}
        for made in partial.derived:
            if made.name not in known:
                follows = replace(partial, known=known).known_at(made.inputs)
                if follows is not None:
                    known[made.name] = follows
        return known

    # -- features

    def _features(self, examples: Relation) -> tuple[Feature, ...]:
        prepared = []
        seen: dict[str, str] = {}
        for name, spec in self.brief.features.items():
            where = f"features.{name}"
            if name.casefold() == PREDICT_AT:
                raise BriefError(f"{name!r} is taken: it names the moment of the prediction.", where=where)
            if name.casefold() in seen:
                twin = seen[name.casefold()]
                raise BriefError(f"{name!r} and {twin!r} differ in small and capital letters alone.", where=where)
            seen[name.casefold()] = name
            long = FeatureSpec(value=spec) if isinstance(spec, str) else spec
            prepared.append((name, long, *self._shape(long, examples, where), where))
        # Look-ups of one source by one key are one timeline: merged before anything is compiled against its columns.
        merged = merge([timeline for *_, timelines, _, _ in prepared for timeline in timelines])
        features = []
        for name, spec, timelines, value, where in prepared:
            own = tuple(merged[identity(timeline)] for timeline in timelines)
            called = renamed(value, {old.name: new.name for old, new in zip(timelines, own, strict=True)})
            lineage = self._lineage(examples, timelines, value)
            features.append(
                self._feature(name, spec, examples, timelines=own, value=called, lineage=lineage, where=where)
            )
        return tuple(features)

    def _shape(self, spec: FeatureSpec, examples: Relation, where: str) -> tuple[tuple[Timeline, ...], Expression]:
        if spec.distance:
            return self._distance(spec, examples, where)
        if spec.window:
            timeline, value = self._window(spec, examples, where)
            return (timeline,), value
        if spec.from_:
            timeline, value = self._lookup(spec, examples, where)
            return (timeline,), value
        if not spec.value:
            raise BriefError(
                "This feature says neither an expression nor where to look.",
                where=where,
                hint="Write an expression, or { from = '…', match = ['…'], take = '…' }.",
            )
        return (), self._parse(spec.value, where)

    def _feature(
        self,
        name: str,
        spec: FeatureSpec,
        examples: Relation,
        *,
        timelines: tuple[Timeline, ...],
        value: Expression,
        lineage: tuple[tuple[str, str], ...],
        where: str,
    ) -> Feature:
        refused = {
            column: "nothing says when it is known. Declare it under "
            f"sources.{examples.name}.known, if it is known before the prediction."
            for column in examples.kinds
            if column not in examples.known
        }
        for column in (column for timeline in timelines for column in timeline.mine):
            self._compile(Column(column), examples.scope(refused=refused), where)
        scope = self._joined_scope(examples, timelines, refused=refused)
        compiled = self._compile(value, scope, where)
        if compiled.kind in {"time", "span"}:
            raise ExpressionError(
                f"This is a {'moment' if compiled.kind == 'time' else 'length of time'}; a model takes numbers and "
                "categories.",
                where=where,
                hint="Take a part of it (hour, weekday) or a distance (hours_between).",
            )
        row_columns = frozenset(columns_of(value) & set(examples.kinds)) if not timelines else frozenset()
        return Feature(
            name=name,
            kind="category" if compiled.kind == "text" else "number",
            compiled=replace(compiled, row=_within_float32(compiled.row)) if compiled.kind == "float" else compiled,
            lineage=lineage,
            row_columns=row_columns,
            allow_missing=spec.missing == "allow" or (bool(timelines) and spec.missing != "refuse"),
            timelines=timelines,
            text=_describe(spec),
        )

    def _distance(self, spec: FeatureSpec, examples: Relation, where: str) -> tuple[tuple[Timeline, ...], Expression]:
        if len(spec.distance) != 2 or not (spec.from_ and spec.lat and spec.lon):
            raise BriefError(
                "A distance needs two columns and where their places are.",
                where=where,
                hint="Write { distance = ['origin', 'dest'], from = 'airports', lat = 'lat', lon = 'lon' }.",
            )
        key = self.brief.sources[spec.from_].key
        if len(key) != 1:
            raise BriefError(f"Source {spec.from_!r} needs a key of one column to look places up.", where=where)
        timelines, arguments = [], []
        for column in spec.distance:
            place = FeatureSpec(from_=spec.from_, match={column: key[0]}, value="0")
            timeline, _ = self._lookup(place, examples, where, carry=(spec.lat, spec.lon))
            timelines.append(timeline)
            arguments += [Column(f"{timeline.name}.{spec.lat}"), Column(f"{timeline.name}.{spec.lon}")]
        return tuple(timelines), Call("haversine_km", tuple(arguments))

    def _lookup(
        self, spec: FeatureSpec, mine: Relation, where: str, *, carry: tuple[str, ...] = (), now: bool = True
    ) -> tuple[Timeline, Expression]:
        theirs = self._relation(spec.from_)
        pairs = self._match(spec, mine, theirs, where)
        if bool(spec.take) == bool(spec.value):
            raise BriefError("A look-up takes one column ('take') or an expression ('value').", where=where)
        expression: Expression = Column(spec.take) if spec.take else self._parse(spec.value, where)
        moment: Kinds = {PREDICT_AT: "time"} if now and not spec.take else {}
        self._compile(expression, theirs.scope(extra=moment), where)
        carried = sorted({*(columns_of(expression) - set(moment)), *carry})
        for column in carried:
            if column not in theirs.kinds:
                raise BriefError(
                    f"Source {theirs.name!r} has no column {column!r}.",
                    where=where,
                    hint=did_you_mean(column, theirs.kinds),
                )
        columns = tuple((column, theirs.kinds[column]) for column in carried)
        shape: Literal["static", "asof"] = "static" if theirs.static else "asof"
        known = event = ""
        order: tuple[str, ...] = ()
        reads: tuple[str, ...] = ()
        if shape == "asof":
            known, event = self._moments(theirs, (*carried, *(other for _, other in pairs)), where)
            order = tuple(column for column in theirs.source.key if column != theirs.source.time)
            reads = self._reads(theirs, (*carried, *(other for _, other in pairs), *theirs.source.key))
        elif spec.max_age:
            raise BriefError(
                f"Source {theirs.name!r} has no time, so nothing in it has an age.",
                where=where,
                hint="Leave out max_age.",
            )
        timeline = Timeline(
            name=f"{theirs.name}:{','.join(mine for mine, _ in pairs)}:{spec.max_age}:{known}",
            source=theirs.name,
            shape=shape,
            mine=tuple(own for own, _ in pairs),
            theirs=tuple(other for _, other in pairs),
            known=known,
            event=event,
            order=order,
            columns=columns,
            max_age_us=parse_span(spec.max_age) if spec.max_age else None,
            reads=reads,
        )
        return timeline, rename(expression, {column: Column(f"{timeline.name}.{column}") for column in carried})

    def _window(self, spec: FeatureSpec, mine: Relation, where: str) -> tuple[Timeline, Expression]:
        theirs = self._relation(spec.from_ or mine.name)
        pairs = self._match(spec, mine, theirs, where)
        expression = self._parse(spec.value, where) if spec.value else Call("count", ())
        if not (isinstance(expression, Call) and expression.function in AGGREGATES and len(expression.arguments) <= 1):
            raise ExpressionError(
                f"{spec.value!r} is not an aggregate.",
                where=where,
                hint=f"Over a window write one of {', '.join(f'{name}(…)' for name in AGGREGATES)}.",
            )
        inner = expression.arguments[0] if expression.arguments else None
        if inner is None and expression.function != "count":
            raise ExpressionError(f"{expression.function}() needs something to add up.", where=where)
        compiled = self._compile(inner, theirs.scope(), where) if inner is not None else None
        if compiled is not None and expression.function != "count" and compiled.kind not in {"bool", "int", "float"}:
            raise ExpressionError(f"{expression.function}() of a {compiled.kind} is not a number.", where=where)
        if theirs.static:
            raise BriefError(
                f"Source {theirs.name!r} has no time to make a window of.",
                where=where,
                hint="Declare its time and known.",
            )
        used = (*(columns_of(inner) if inner is not None else ()), *(other for _, other in pairs))
        known, event = self._moments(theirs, used, where)
        aggregate = Aggregate(
            name=render(expression),
            function=expression.function,  # type: ignore[arg-type]
            sql=compiled.sql if compiled else None,
            kind=compiled.kind if compiled else "int",
        )
        timeline = Timeline(
            name=f"{theirs.name}:{','.join(own for own, _ in pairs)}:{spec.window}:{known}",
            source=theirs.name,
            shape="window",
            mine=tuple(own for own, _ in pairs),
            theirs=tuple(other for _, other in pairs),
            known=known,
            event=event,
            aggregates=(aggregate,),
            window_us=parse_span(spec.window),
            reads=self._reads(theirs, used),
        )
        return timeline, Column(f"{timeline.name}.{aggregate.name}")

    def _moments(self, theirs: Relation, columns: Iterable[str], where: str) -> tuple[str, str]:
        """Return the engine text of when ``columns`` are known and of when the row happens."""
        time = theirs.source.time
        if not time:
            raise BriefError(
                f"Source {theirs.name!r} does not say when its rows happen.",
                where=where,
                hint=f"Set sources.{theirs.name}.time.",
            )
        # That a row is there at all, when it happens and whom it is about must be known too, not its values alone.
        used = {*columns, time}
        moment = theirs.known_at(used)
        if moment is None:
            silent = sorted(column for column in used if column not in theirs.known)
            raise BriefError(
                f"Nothing says when {', '.join(silent)} of source {theirs.name!r} is known.",
                where=where,
                hint=f'Set sources.{theirs.name}.known, such as "{time} + interval 10 minutes".',
            )
        return compile_expression(moment, theirs.scope()).sql, quote(time)

    def _reads(self, theirs: Relation, columns: Iterable[str]) -> tuple[str, ...]:
        """Return the columns, raw and derived, that steps over ``columns`` are computed from."""
        used = {*columns, theirs.source.time}
        used |= {column for name in used & set(theirs.known) for column in columns_of(theirs.known[name])}
        return tuple(sorted(used))

    def _match(self, spec: FeatureSpec, mine: Relation, theirs: Relation, where: str) -> list[tuple[str, str]]:
        pairs = list(spec.match.items()) if isinstance(spec.match, dict) else [(name, name) for name in spec.match]
        if not pairs:
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

    # -- small ones

    def _joined_scope(
        self, relation: Relation, timelines: tuple[Timeline, ...], *, refused: Mapping[str, str] | None = None
    ) -> Scope:
        outputs = {name: kind for timeline in timelines for name, kind in timeline.outputs}
        return relation.scope(extra={PREDICT_AT: "time", **outputs}, refused=refused)

    def _lineage(
        self, examples: Relation, timelines: tuple[Timeline, ...], value: Expression
    ) -> tuple[tuple[str, str], ...]:
        """Return the raw columns, as (source, column), from which a feature follows; its moments and matches count.

        The timelines are those that it asks for itself: one that is shared carries what others take, too.
        """
        found = {(examples.name, column) for column in examples.raw_inputs(columns_of(value) & set(examples.kinds))}
        for timeline in timelines:
            found |= {(examples.name, column) for column in examples.raw_inputs(timeline.mine)}
            theirs = self.relations[timeline.source]
            used = {name for name, _ in timeline.columns} | set(timeline.theirs)
            if timeline.shape == "asof":
                used |= set(self._reads(theirs, used))
            elif timeline.shape == "window":
                used |= set(timeline.reads)
            found |= {(theirs.name, column) for column in theirs.raw_inputs(used)}
        return tuple(sorted(found))

    def _joined(self, features: tuple[Feature, ...]) -> list[Timeline]:
        return list(dict.fromkeys(timeline for feature in features for timeline in feature.timelines))

    def _refuse_taken(self, definitions: Definitions) -> None:
        """Raise where a source's column bears a name that the engine's tables need for something else."""
        examples, target = definitions.examples, self.brief.target
        here = {PREDICT_AT, LOOK_AT, *OWN_COLUMNS, *(f"feature:{feature.name}" for feature in definitions.features)}
        here |= {name for timeline in definitions.timelines for name, _ in timeline.outputs}
        here |= {timeline.stale for timeline in definitions.timelines} - {""}
        # A table of examples that brings the moment of its predictions along calls it that, and means the same.
        own = {PREDICT_AT} if parse(target.predict_at) == Column(PREDICT_AT) else set()
        there = {"@at", "@event", "@rank", "@best"}
        places = [(examples.name, [*definitions.carried, *definitions.row_known], here - own)]
        places += [(t.source, [name for name, _ in t.columns], there | set(t.keys)) for t in definitions.timelines]
        for source, columns, taken in places:
            names = {name.casefold() for name in taken}
            for column in columns:
                if column.casefold() in names and column not in own:
                    raise BriefError(
                        f"Source {source!r} has a column {column!r}, and that name is taken"
                        + (": it names the moment of the prediction." if column.casefold() == PREDICT_AT else "."),
                        where=f"sources.{source}",
                        hint="Give it another name in the file, or do without it.",
                    )

    def _check_columns(self, examples: Relation) -> None:
        if not examples.source.key:
            raise BriefError(
                f"Source {examples.name!r} has no key.",
                where=f"sources.{examples.name}.key",
                hint="Name the columns that tell one row from another.",
            )
        for column in self.brief.success.segments:
            if column not in examples.kinds and column not in self.brief.features:
                raise BriefError(
                    f"Source {examples.name!r} has no column {column!r}.",
                    where="success.segments",
                    hint=did_you_mean(column, [*examples.kinds, *self.brief.features]),
                )

    def _rule(self, features: tuple[Feature, ...]) -> Compiled | None:
        text = self.brief.baseline.rule
        if not text:
            return None
        kinds: dict[str, Kind] = {feature.name: feature.compiled.kind for feature in features}
        compiled = self._expression(text, feature_scope(kinds, ""), "baseline.rule")
        if compiled.kind not in {"bool", "int", "float"}:
            raise BriefError(f"rule = {text!r} is a {compiled.kind}; a score is wanted.", where="baseline.rule")
        return compiled

    def _moment(self, text: str, scope: Scope, where: str) -> Compiled:
        compiled = self._expression(text, scope, where)
        if compiled.kind != "time":
            raise BriefError(
                f"{text!r} is a {compiled.kind}, and a moment is wanted.",
                where=where,
                hint="Name a column of moments, or one plus or minus an interval.",
            )
        return compiled

    def _expression(self, text: str, scope: Scope, where: str) -> Compiled:
        return self._compile(self._parse(text, where), scope, where)

    def _parse(self, text: str, where: str) -> Expression:
        return _placed(lambda: parse(text), where)

    def _compile(self, expression: Expression, scope: Scope, where: str) -> Compiled:
        return _placed(lambda: compile_expression(expression, scope), where)


def _within_float32(row: RowForm) -> RowForm:
    def within(values: Row) -> float | None:
        value = row(values)
        return value if value is not None and -GREATEST_FLOAT32 <= value <= GREATEST_FLOAT32 else None

    return within


def _placed(attempt: Callable[[], T], where: str) -> T:
    try:
        return attempt()
    except BriefError as error:
        error.where = f"{where}, {error.where}" if error.where else where
        raise


def _describe(spec: FeatureSpec) -> str:
    """Return the definition in one line, as lineage and the card show it."""
    if spec.distance:
        return f"distance from {spec.distance[0]} to {spec.distance[1]} by {spec.from_}"
    if spec.window:
        by = ", ".join(spec.match)
        return f"{spec.value or 'count()'} of {spec.from_ or 'the examples'} by {by} over {spec.window}"
    if spec.from_:
        age = f", at most {spec.max_age} old" if spec.max_age else ""
        return f"{spec.take or spec.value} of {spec.from_} by {', '.join(spec.match)}{age}"
    return spec.value
