"""From a brief to its definitions, in the order in which things depend on one another.

The file hides that order: raw columns, derived columns, known times, features, and what each of them may be made of.
What a feature looks up, and how, is in ``query/lookups.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec.structs import replace as replace_spec

from headway.errors import BriefError, ExpressionError, did_you_mean
from headway.nouns.brief import FeatureSpec
from headway.nouns.expression import Column, columns_of, parse, rename
from headway.nouns.span import parse_span
from headway.query.aim import resolve_aim
from headway.query.asking import NUMBER, PART
from headway.query.cleaning import cleaned
from headway.query.compile import Compiled, Scope, compile_expression
from headway.query.definitions import GREATEST_FLOAT32, OWN_COLUMNS, Definitions, Feature, feature_scope
from headway.query.lookups import LookUps, columns_read, described
from headway.query.merging import identity, merge, renamed
from headway.query.relation import LOOK_AT, PREDICT_AT, Derived, Relation
from headway.query.texts import compile_at, compile_moment, compile_text, parse_at
from headway.query.timeline import KNOWN, NTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headway.nouns.brief import Brief
    from headway.nouns.cleaning import Clean
    from headway.nouns.expression import Expression
    from headway.query.aim import Aim
    from headway.query.compile import Row, RowForm
    from headway.query.functions import Kind
    from headway.query.relation import Kinds
    from headway.query.timeline import Timeline

__all__ = ["resolve"]


def resolve(brief: Brief, raw: Mapping[str, Kinds]) -> Definitions:
    """Return the definitions of ``brief`` over sources with the columns ``raw``.

    Raises
    ------
    BriefError, ExpressionError
        With the key in the brief at which a name, a kind or a moment does not fit.
    """
    return _Resolver(brief, raw).resolve()


class _Resolver:
    """Walks a brief once, in order of dependence, and remembers what it has named."""

    def __init__(self, brief: Brief, raw: Mapping[str, Kinds]) -> None:
        self.brief = brief
        self.raw = raw
        self.relations: dict[str, Relation] = {}
        self.resolving: list[str] = []
        self.aim: Aim
        self.looking = LookUps(self._relation)

    def resolve(self) -> Definitions:
        """Return the definitions."""
        for name in self.brief.sources:
            self._relation(name)
        target = self.brief.target
        aim = resolve_aim(target, self.relations, self.looking, train_from=self.brief.split.train_from)
        examples, self.aim = aim.examples, aim
        features = self._features(examples)
        self._check_columns(examples)
        known = examples.known.get("*")
        timelines = tuple(self._joined(features))
        definitions = Definitions(
            brief=self.brief,
            relations=self.relations,
            timelines=timelines,
            features=features,
            predict_at=aim.predict_at,
            label=aim.label,
            label_known_at=aim.label_known_at,
            aim=aim,
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
        columns |= self.aim.among_columns
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
        for column, cleaning in source.clean.items():
            derived += self._cleaned(partial, column, cleaning, f"{where}.clean.{column}")
            partial = Relation(name=name, source=source, raw=raw, derived=tuple(derived), known={})
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
        _check_roles(partial, where)
        relation = Relation(
            name=name, source=source, raw=raw, derived=tuple(derived), known=self._known(partial, where)
        )
        self.resolving.pop()
        self.relations[name] = relation
        return relation

    def _cleaned(self, partial: Relation, column: str, clean: Clean, where: str) -> list[Derived]:
        """Return the columns that cleaning one gives: the cleaned one, and perhaps its indicator."""
        made = cleaned(column, clean, partial.scope(), where)
        taken = {other.casefold(): other for other in partial.kinds}
        for twin in (taken[name.casefold()] for name in made if name.casefold() in taken):
            raise BriefError(
                f"Source {partial.name!r} has a column {twin!r} already.",
                where=where,
                hint="Give the cleaned column another name; the one it is made of stays as it is.",
            )
        return [
            Derived(
                name=name,
                compiled=compile_at(expression, partial.scope(), where),
                inputs=columns_of(expression),
                timelines=(),
            )
            for name, expression in made.items()
        ]

    def _derived(self, partial: Relation, name: str, spec: str | FeatureSpec, where: str) -> Derived:
        if isinstance(spec, str):
            spec = FeatureSpec(value=spec)
        if not spec.from_:
            expression = parse_at(spec.value, where)
            compiled = compile_at(expression, partial.scope(), where)
            return Derived(name=name, compiled=compiled, inputs=columns_of(expression), timelines=())
        if spec.distance or spec.nearest or spec.window or spec.max_age:
            raise BriefError(
                "A derived column is an expression of the row, or a look-up in a source without time.",
                where=where,
                hint="Make it a feature: features may be windows, distances, nearest and look-ups as of predict_at.",
            )
        timeline, value = self.looking.look_up(spec, partial, where, now=False)
        if timeline.shape != "static":
            raise BriefError(
                "A derived column may look into a source without time only.",
                where=where,
                hint="Make it a feature: features look up as of predict_at.",
            )
        compiled = compile_at(value, Scope.of(f"source {timeline.source!r}", dict(timeline.outputs)), where)
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
            compile_moment(text, partial.scope(), place)
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
        parts: dict[str, tuple[FeatureSpec, tuple[Timeline, ...], Expression]] = {}
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
            if not long.of:
                parts[name] = (long, *self.looking.shape(long, examples, where))
        prepared = [(name, *self._composed(name, parts, examples), f"features.{name}") for name in self.brief.features]
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

    def _composed(
        self, name: str, parts: Mapping[str, tuple[FeatureSpec, tuple[Timeline, ...], Expression]], examples: Relation
    ) -> tuple[FeatureSpec, tuple[Timeline, ...], Expression]:
        """Return a feature's parts; one of other features has their look-ups, and their values where it names them."""
        if name in parts:
            return parts[name]
        spec, where = self.brief.features[name], f"features.{name}"
        assert isinstance(spec, FeatureSpec)
        if spec.from_ or spec.window or spec.distance or spec.nearest or not spec.value:
            raise BriefError(
                "A feature of other features is an expression of them.", where=where, hint="Write of and value alone."
            )
        expression = parse_at(spec.value, where)
        for other in spec.of:
            if other not in parts:
                raise BriefError(
                    f"There is no feature {other!r} that looks or computes by itself.",
                    where=where,
                    hint=did_you_mean(other, parts),
                )
            if other not in columns_of(expression):
                raise BriefError(f"The expression does not speak of {other!r}.", where=where)
            if other in examples.kinds and parts[other][2] != Column(other):
                raise BriefError(
                    f"{other!r} is a feature and a column of source {examples.name!r}: it is not clear which is meant.",
                    where=where,
                    hint="Give the feature another name.",
                )
        timelines = tuple(dict.fromkeys(timeline for other in spec.of for timeline in parts[other][1]))
        allow = all(_allows(*parts[other][:2]) for other in spec.of)
        spec = spec if spec.missing else replace_spec(spec, missing="allow" if allow else "refuse")
        return spec, timelines, rename(expression, {other: parts[other][2] for other in spec.of})

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
            compile_at(Column(column), examples.scope(refused=refused), where)
        scope = self._joined_scope(examples, timelines, refused=refused)
        compiled = compile_at(value, scope, where)
        if compiled.kind in {"time", "span"}:
            raise ExpressionError(
                f"This is a {'moment' if compiled.kind == 'time' else 'length of time'}; a model takes numbers and "
                "categories.",
                where=where,
                hint="Take a part of it (hour, weekday) or a distance (hours_between).",
            )
        looked_up = {name for timeline in timelines for name, _ in timeline.outputs}
        row_columns = frozenset(columns_of(value) & set(examples.kinds) - looked_up)
        return Feature(
            name=name,
            kind="category" if compiled.kind == "text" else "number",
            compiled=replace(compiled, row=_within_float32(compiled.row)) if compiled.kind == "float" else compiled,
            lineage=lineage,
            row_columns=row_columns,
            allow_missing=_allows(spec, timelines),
            timelines=timelines,
            text=described(spec),
        )

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
                used |= set(columns_read(theirs, used))
            elif timeline.shape in {"window", "nearest"}:
                used |= set(timeline.reads)
            found |= {(theirs.name, column) for column in theirs.raw_inputs(used)}
        entities = self.brief.target.entities
        if entities:  # what stands for their rows is made of them, and of the cadence
            own = {column for source, column in found if source == examples.name} - {PREDICT_AT}
            found = {(source, column) for source, column in found if source != examples.name}
            found |= {(entities, column) for column in self.relations[entities].raw_inputs(own)}
        return tuple(sorted(found))

    def _joined(self, features: tuple[Feature, ...]) -> list[Timeline]:
        return list(dict.fromkeys(timeline for feature in features for timeline in feature.timelines))

    def _refuse_taken(self, definitions: Definitions) -> None:
        """Raise where a source's column bears a name that the engine's tables need for something else."""
        examples, target = definitions.examples, self.brief.target
        here = {PREDICT_AT, LOOK_AT, NUMBER, PART, *OWN_COLUMNS}
        here |= {f"feature:{feature.name}" for feature in definitions.features}
        here |= {name for timeline in definitions.timelines for name, _ in timeline.outputs}
        here |= {timeline.stale for timeline in definitions.timelines} - {""}
        # By this name the engine numbers a table's rows; a column that bears it must do as well.
        here |= set() if [name.casefold() for name in examples.source.key] == ["rowid"] else {"rowid"}
        # A table of examples that brings the moment of its predictions along calls it that, and means the same.
        own = {PREDICT_AT} if parse(target.predict_at) == Column(PREDICT_AT) else set()
        there = {"@at", "@event", "@rank", "@best", KNOWN, NTH}
        places = [(examples.name, [*definitions.carried, *definitions.row_known], here - own)]
        places += [(t.source, [name for name, _ in t.columns], there | set(t.keys)) for t in definitions.timelines]
        places += [(t.source, [*t.theirs, *t.reads], {KNOWN, PART}) for t in definitions.timelines]
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
        split, ranked = self.brief.split, self.aim.group
        for column in split.group or ():
            if column not in examples.kinds:
                raise BriefError(
                    f"Source {examples.name!r} has no column {column!r}.",
                    where="split.group",
                    hint=did_you_mean(column, examples.kinds),
                )
        if self.aim.task == "ranking" and split.by != "time" and not (split.group and set(split.group) <= set(ranked)):
            raise BriefError(
                f"A split by {split.by} would tear apart what is ranked together.",
                where="split.by",
                hint=f"Split by time, or by group with columns of {list(ranked)}.",
            )

    def _rule(self, features: tuple[Feature, ...]) -> Compiled | None:
        text = self.brief.baseline.rule
        if not text:
            return None
        kinds: dict[str, Kind] = {feature.name: feature.compiled.kind for feature in features}
        compiled = compile_text(text, feature_scope(kinds, ""), "baseline.rule")
        if compiled.kind not in {"bool", "int", "float"}:
            raise BriefError(f"rule = {text!r} is a {compiled.kind}; a score is wanted.", where="baseline.rule")
        return compiled


def _check_roles(partial: Relation, where: str) -> None:
    """Raise where the columns that a source's rows are told by are not there, or are no such columns."""
    name, source = partial.name, partial.source
    for role, columns in (
        ("key", source.key),
        ("time", (source.time,) if source.time else ()),
        ("once", partial.same_by),
    ):
        for column in columns:
            if column not in partial.kinds:
                raise BriefError(
                    f"Source {name!r} has no column {column!r}.",
                    where=f"{where}.{role}",
                    hint=did_you_mean(column, partial.kinds),
                )
    if source.once is not None and not (source.once.by or source.key):
        raise BriefError(
            "Nothing says by which columns rows are the same.",
            where=f"{where}.once",
            hint="Set by = [...], or give the source a key.",
        )
    if source.time and partial.kinds[source.time] != "time":
        raise BriefError(
            f"Column {source.time!r} is a {partial.kinds[source.time]}, and a moment is wanted.",
            where=f"{where}.time",
            hint='Name a column of moments, or derive one: derive = { at = "local_time(…)" }.',
        )


def _allows(spec: FeatureSpec, timelines: tuple[Timeline, ...]) -> bool:
    return spec.missing == "allow" or (bool(timelines) and spec.missing != "refuse")


def _within_float32(row: RowForm) -> RowForm:
    def within(values: Row) -> float | None:
        value = row(values)
        return value if value is not None and -GREATEST_FLOAT32 <= value <= GREATEST_FLOAT32 else None

    return within
