"""What a brief defines, resolved against the columns that the sources really have.

:class:`Definitions` is what everything else speaks: the Data stage asks it for engine text, serving asks it for the
one-row form, ``trace`` asks it for lineage, ``check`` asks it whether the brief holds. How it is made from a brief is
hidden in ``query/resolver.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from headway.nouns.expression import columns_of, parse
from headway.query.compile import Compiled, Scope, compile_expression, quote
from headway.query.relation import DAY_OF_SPLIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headway.nouns.brief import Brief
    from headway.query.aim import Aim
    from headway.query.functions import Kind
    from headway.query.relation import Derived, Kinds, Relation
    from headway.query.timeline import Timeline

__all__ = ["GREATEST_FLOAT32", "OWN_COLUMNS", "Definitions", "Feature", "RequestField", "feature_scope"]

GREATEST_FLOAT32 = (2 - 2**-23) * 2.0**127
"""What lies beyond, or is no number, is missing to the model."""
OWN_COLUMNS = ("@label", "@label_known_at", "@split", "@end", "@day", "@rule", "@void", "@censored", "@group")
"""What a table of examples holds beside the source's columns and the features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One feature over the joined row: both forms, where it comes from, and whether it may be missing."""

    name: str
    kind: Literal["number", "category"]
    compiled: Compiled
    lineage: tuple[tuple[str, str], ...]
    row_columns: frozenset[str]
    allow_missing: bool
    timelines: tuple[Timeline, ...]
    text: str

    @property
    def sql(self) -> str:
        """The engine's text, cast to what the model takes: float32 or text."""
        value = self.compiled.sql
        if self.kind == "category":
            return value
        if self.compiled.kind != "float":
            return f"CAST({value} AS FLOAT)"
        return f"(CASE WHEN abs({value}) <= CAST('{GREATEST_FLOAT32!r}' AS DOUBLE) THEN CAST({value} AS FLOAT) END)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestField:
    """One field of a prediction request: a raw column of the examples' source."""

    name: str
    kind: Kind
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Definitions:
    """All that a brief defines, resolved; see the module."""

    brief: Brief
    relations: Mapping[str, Relation]
    timelines: tuple[Timeline, ...]
    features: tuple[Feature, ...]
    predict_at: Compiled
    label: Compiled
    label_known_at: Compiled
    aim: Aim
    rule: Compiled | None
    examples_known: Compiled | None
    row_known: Mapping[str, Compiled]
    lag_us: int

    @property
    def examples(self) -> Relation:
        """The source each of whose rows is one example, or what stands for it where entities are asked about."""
        return self.aim.examples

    @property
    def carried(self) -> tuple[str, ...]:
        """The columns of the examples' source that stay with an example: its key, its groups and so on."""
        relation = self.examples
        wanted = {*relation.source.key, *self.brief.success.segments, *(field.name for field in self.request_fields)}
        wanted |= set(self.brief.split.group or ())
        return tuple(name for name in relation.kinds if name in wanted)

    @property
    def group_columns(self) -> tuple[str, ...]:
        """The columns within which examples are ranked, as the engine's text; empty where they are not."""
        kinds = self.examples.kinds
        return tuple(
            quote("@day") if name == DAY_OF_SPLIT and name not in kinds else quote(name) for name in self.aim.group
        )

    def reads(self, name: str) -> frozenset[str]:
        """Return the columns of source ``name``, raw and derived, that anything here is computed from."""
        relation = self.relations[name]
        used = {*relation.source.key, relation.source.time} - {""}
        static = (
            timeline for other in self.relations.values() for column in other.derived for timeline in column.timelines
        )
        for timeline in (*self.timelines, *static):
            if timeline.source == name:
                used |= {*timeline.theirs, *timeline.reads, *(column for column, _ in timeline.columns)}
        used |= self.aim.reads(name)
        if name == self.examples.name:
            target = self.brief.target
            used |= {*self.carried, *self.row_known, *(mine for timeline in self.timelines for mine in timeline.mine)}
            used |= {column for feature in self.features for column in feature.row_columns}
            used |= {column for timeline in (*self.aim.outcome, *self.aim.eligible) for column in timeline.mine}
            used |= {*self.aim.among_columns, *self.aim.group}
            for text in (target.predict_at, target.label, target.label_known_at):
                used |= columns_of(parse(text))
        used |= {column for name in used & set(relation.known) for column in columns_of(relation.known[name])}
        return frozenset(used & set(relation.kinds))

    def rule_sql(self, prefix: str = "") -> str:
        """Return the engine's text of the rule's score over columns named as the features are, after ``prefix``."""
        if self.rule is None:
            return "CAST(NULL AS DOUBLE)"
        kinds = {feature.name: feature.compiled.kind for feature in self.features}
        return (
            f"CAST({compile_expression(parse(self.brief.baseline.rule), feature_scope(kinds, prefix)).sql} AS DOUBLE)"
        )

    @property
    def request_fields(self) -> tuple[RequestField, ...]:
        """What a client sends: the raw columns, known by ``predict_at``, that key, moment and features need."""
        relation = self.examples
        needed: dict[str, bool] = {}
        strict: set[str] = {*relation.source.key, *columns_of(parse(self.brief.target.predict_at))}
        loose: set[str] = set(self.brief.success.segments) & set(relation.kinds)
        for feature in self.features:
            (loose if feature.allow_missing else strict).update(feature.row_columns)
            loose.update(column for timeline in feature.timelines for column in timeline.mine)
        for columns, required in ((loose, False), (strict, True)):
            for column in relation.raw_inputs(columns):
                needed[column] = needed.get(column, False) or required
        return tuple(
            RequestField(name=name, kind=kind, required=needed[name])
            for name, kind in relation.raw.items()
            if name in needed
        )

    @property
    def online_derived(self) -> tuple[Derived, ...]:
        """The derived columns that serving computes for a request, in order: key, moment and features need them."""
        relation = self.examples
        wanted = {*relation.source.key, *columns_of(parse(self.brief.target.predict_at))}
        wanted.update(column for feature in self.features for column in feature.row_columns)
        wanted.update(column for timeline in self.timelines for column in timeline.mine)
        needed = relation.closure(wanted)
        return tuple(column for column in relation.derived if column.name in needed)

    @property
    def online_timelines(self) -> tuple[Timeline, ...]:
        """Whatever serving looks up: for the derived columns of a request, then for its features."""
        derived = (timeline for column in self.online_derived for timeline in column.timelines)
        return tuple(dict.fromkeys((*derived, *self.timelines)))

    def known_by(self, as_of_us: int) -> Definitions:
        """Return the same definitions with look-ups that are blind to what became known after ``as_of_us``.

        A source file may hold the future already; what was not known at that moment must not be looked up then. A row
        that was known stays known: it still leaves its window when its time comes.
        """
        limit = f"make_timestamp({as_of_us}::BIGINT)"
        blind = {
            timeline: timeline
            if timeline.timeless
            else replace(timeline, known=f"(CASE WHEN {timeline.known} <= {limit} THEN {timeline.known} END)")
            for timeline in self.timelines
        }
        return replace(
            self,
            timelines=tuple(blind[timeline] for timeline in self.timelines),
            features=tuple(
                replace(feature, timelines=tuple(blind[timeline] for timeline in feature.timelines))
                for feature in self.features
            ),
        )


def feature_scope(kinds: Kinds, prefix: str) -> Scope:
    """Return the scope of an expression over features as the model sees them: a condition as 1 or 0."""
    texts = {"bool": "({} <> 0)", "int": "CAST({} AS BIGINT)", "float": "CAST({} AS DOUBLE)"}
    columns = {name: (kind, texts.get(kind, "{}").format(quote(f"{prefix}{name}"))) for name, kind in kinds.items()}
    return Scope("the features", columns, {})
