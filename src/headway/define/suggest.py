"""Features that a brief does not have yet and could: windows over what its keys match, calendars, dimensions.

The file hides what is worth a try. Whether it is worth anything is measured elsewhere; what cannot be known at the
prediction is refused where a brief is resolved, as if somebody had written it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from headway.define.toml import key as toml_key
from headway.define.toml import text as toml_text
from headway.errors import BriefError
from headway.nouns.brief import Brief, FeatureSpec
from headway.nouns.expression import Call, Column, render
from headway.nouns.span import DAY
from headway.query.relation import PREDICT_AT
from headway.query.resolver import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headway.query.aim import Cadence
    from headway.query.definitions import Definitions

__all__ = ["extended", "line_of", "proposals", "with_lines"]

_SPANS = (("6h", "6 hours"), ("24h", "24 hours"), ("7d", "7 days"))
_LONG_SPANS = (("7d", "7 days"), ("30d", "30 days"), ("90d", "90 days"))
_CALENDAR = ("hour", "weekday", "week", "is_weekend")


def proposals(definitions: Definitions) -> dict[str, FeatureSpec]:
    """Return features by name that the brief could have beside its own: each of them resolves, none is there yet."""
    brief = definitions.brief
    raw = {name: dict(relation.raw) for name, relation in definitions.relations.items()}
    there = {spec if isinstance(spec, str) else _means(spec) for spec in brief.features.values()}
    found: dict[str, FeatureSpec] = {}
    for name, spec in _ideas(definitions):
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        taken = {other.casefold() for other in (*brief.features, *found)}
        if _means(spec) in there or plain.casefold() in taken or (not spec.from_ and spec.value in there):
            continue
        try:
            resolve(replace(brief, features={**brief.features, plain: spec}), raw)
        except BriefError:
            continue  # nothing says when it would be known, or it is no number: no idea worth telling
        found[plain] = spec
    return found


def _means(spec: FeatureSpec) -> str:
    match = dict(spec.match) if isinstance(spec.match, dict) else {name: name for name in spec.match}
    value = spec.value or ("count()" if spec.window else "")
    return repr(replace(spec, match=match, value=value))


def _ideas(definitions: Definitions) -> Iterator[tuple[str, FeatureSpec]]:
    brief, examples, cadence = definitions.brief, definitions.examples, definitions.aim.cadence
    if cadence is None:
        entities = [name for name in examples.kinds if examples.kinds[name] == "text" and name in examples.known]
        yield from _of_rows(definitions, entities)
    else:
        entities = list(cadence.entity)
        yield from _of_entities(definitions, cadence)
    zone = toml_text(brief.split.zone)[1:-1]
    for part in _CALENDAR:
        yield f"at_{part}", FeatureSpec(value=f"{part}(predict_at, '{zone}')")
    for name, relation in definitions.relations.items():
        if not relation.static or len(relation.source.key) != 1:
            continue
        key = relation.source.key[0]
        pairs = {t.mine for t in definitions.timelines if t.source == name and len(t.mine) == 1}
        mine = sorted({pair[0] for pair in pairs} | ({key} & set(entities)))
        for entity in mine:
            for column in (column for column in relation.kinds if column != key):
                spec = FeatureSpec(from_=name, match={entity: key}, take=column)
                yield f"{entity}_{name}_{column}", spec


def _of_rows(definitions: Definitions, entities: list[str]) -> Iterator[tuple[str, FeatureSpec]]:
    """Propose how earlier rows of the examples' source went that share a column with this one."""
    label, examples = definitions.brief.target.label, definitions.examples
    used = {column for feature in definitions.features for column in feature.row_columns}
    used |= {mine for timeline in definitions.timelines for mine in timeline.mine} | set(examples.source.key)
    kind = definitions.label.kind
    for entity in (name for name in entities if name in used):
        by = FeatureSpec(from_=examples.name, match=(entity,))
        for short, span in _SPANS:
            if kind == "text":  # of classes there is no mean
                yield f"last_{short}_by_{entity}", replace(by, window=span, value=f"last({label})")
            else:
                name = "rate" if kind == "bool" else "mean"
                yield f"{name}_{short}_by_{entity}", replace(by, window=span, value=f"avg({label})")
        yield f"seen_24h_by_{entity}", replace(by, window="24 hours", value="count()")
        if kind != "text":
            name = "risk" if kind == "bool" else "usual"
            yield f"{name}_by_{entity}", replace(by, window="all", value=f"avg({label})", smooth=50.0)


def _of_entities(definitions: Definitions, cadence: Cadence) -> Iterator[tuple[str, FeatureSpec]]:
    """Propose what an entity did lately in each source that tells of it, and what the one row about it says.

    A source that names the entity, and has a time, tells of it; what the label counts there is counted backwards, too.
    """
    spans = _SPANS if cadence.each_us < DAY else _LONG_SPANS
    by = "_".join(cadence.entity)
    for name, relation in definitions.relations.items():
        if relation.static or not set(cadence.entity) <= set(relation.kinds):
            continue
        mine = FeatureSpec(from_=name, match=cadence.entity)
        if set(relation.source.key) == set(cadence.entity):
            for column in (column for column in relation.kinds if column not in cadence.entity):
                yield f"{by}_{name}_{column}", replace(mine, take=column)
            continue
        outcome = (timeline for timeline in definitions.aim.outcome if timeline.source == name)
        counted = dict.fromkeys(["count()", *(each.name for timeline in outcome for each in timeline.aggregates)])
        for value in counted:
            what = "seen" if value == "count()" else re.sub(r"\W+", "_", value, flags=re.ASCII).strip("_")
            for short, span in spans:
                yield f"{name}_{what}_{short}_by_{by}", replace(mine, window=span, value=value)
        if relation.source.time:
            since = Call("hours_between", (Column(relation.source.time), Column(PREDICT_AT)))
            yield f"{name}_last_by_{by}", replace(mine, value=render(since))


def line_of(name: str, spec: FeatureSpec) -> str:
    """Return a feature as the line of TOML that the brief would have.

    Examples
    --------
    >>> print(line_of("busy", FeatureSpec(from_="orders", match=("shop",), window="1 day", value="count()")))
    busy = { value = "count()", from = "orders", match = ["shop"], window = "1 day" }
    """
    written = {k: v for k, v in msgspec.to_builtins(spec).items() if v not in ("", (), [], {}, 0.0)}
    if list(written) == ["value"]:
        return f"{toml_key(name)} = {toml_text(written['value'])}"
    parts = []
    for field, value in written.items():
        if isinstance(value, dict):
            text = "{ " + ", ".join(f"{toml_key(k)} = {toml_text(v)}" for k, v in value.items()) + " }"
        elif isinstance(value, (list, tuple)):
            text = "[" + ", ".join(map(toml_text, value)) + "]"
        else:
            text = toml_text(value) if isinstance(value, str) else repr(value)
        parts.append(f"{field} = {text}")
    return f"{toml_key(name)} = {{ {', '.join(parts)} }}"


def with_lines(text: str, lines: list[str]) -> str:
    r"""Return the text of a brief with lines added to its features; every other line stays as it is.

    Raises
    ------
    BriefError
        When the brief has no table ``[features]`` of its own.

    Examples
    --------
    >>> print(with_lines("[features] # ours\na = 'a'", ["b = 'b'"]))
    [features] # ours
    b = 'b'
    a = 'a'
    """
    header = re.search(r"^[ \t]*\[[ \t]*features[ \t]*\][^\n]*$", text, re.MULTILINE)
    if header is None:
        raise BriefError("The brief has no line [features] to add to.", hint="Paste the lines where they belong.")
    return text[: header.end()] + "".join(f"\n{line}" for line in lines) + text[header.end() :]


def extended(brief: Brief, features: dict[str, FeatureSpec]) -> Brief:
    """Return the brief with more features."""
    return replace(brief, features={**brief.features, **features})
