"""Features that are safe to begin with: of the row, of its like lately, of what other sources know.

A feature stands here only if it is known at the prediction as far as anybody can tell from the data; what was left out
is listed with its reason, since a human may know better.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from headway.define.toml import key as _key
from headway.define.toml import text as _quoted
from headway.define.words import calendar_part, identifier_score
from headway.nouns.span import DAY, HOUR, MINUTE, format_span

if TYPE_CHECKING:
    from headway.define.looks import ColumnLook, JoinLook, Look, Looks, TargetLook

__all__ = ["FeatureGuess", "careful", "distances", "lookups", "named_apart", "row_features", "windows"]

_SPANS = tuple(
    unit * count
    for unit, counts in (
        (MINUTE, (10, 30)),
        (HOUR, (1, 2, 6, 12)),
        (DAY, (1, 2, 3, 7, 14, 30, 45, 60, 90, 120, 180, 365, 730)),
    )
    for count in counts
)
_SPELT_OUT, _FEW_VALUES, _MANY_VALUES = 12, 60, 200
_LOOKED_UP, _MEASURED, _ENTITIES = 5, 12, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureGuess:
    """One feature as TOML, and what to know of it."""

    name: str
    toml: str
    note: str = ""


def careful(us: int) -> int:
    """Return the round span that is at least ``us``.

    Examples
    --------
    >>> careful(25 * DAY) // DAY
    30
    """
    return next((span for span in _SPANS if span >= us), -(-us // DAY) * DAY)


def row_features(
    look: Look, target: TargetLook | None, moment: str, late: set[str]
) -> tuple[list[FeatureGuess], list[tuple[str, str]]]:
    """Return features of the row itself that are known at the prediction, and what was left out, with the reason."""
    features: list[FeatureGuess] = []
    skipped: list[tuple[str, str]] = []
    # A whole number may tell rows apart by chance; a name for them it is only if it is the key or called like one.
    single = {
        key[0]
        for key in look.keys
        if len(key) == 1 and (key == look.key or look.column(key[0]).kind != "int" or identifier_score(key[0]) >= 1.0)
    }
    for column in look.columns:
        if column.name == moment or (target and column.name == target.column):
            continue
        reason = _why_not(column, look, target, single, late)
        if reason:
            skipped.append((column.name, reason))
        elif column.kind == "time":
            features.append(
                FeatureGuess(
                    name=f"days_since_{column.name}", toml=_text(f"days_between({column.name}, {moment})", column)
                )
            )
        else:
            features.append(FeatureGuess(name=column.name, toml=_text(column.name, column)))
    if moment:
        hour = look.clock and (look.time or any(column.name.lower() == "hour" for column in look.columns))
        parts = ["hour", "weekday"] if hour else ["weekday"]
        features += [FeatureGuess(name=_free(part, look), toml=f"\"{part}({moment}, 'UTC')\"") for part in parts]
    return features, skipped


def _why_not(column: ColumnLook, look: Look, target: TargetLook | None, single: set[str], late: set[str]) -> str:
    """Return why a column is left out; empty when it is not."""
    name, numbered = column.name, column.kind in {"int", "text"} and identifier_score(column.name) >= 1.0
    told = target is not None and name in target.tells and name not in look.key
    reasons = {
        f"is a {column.engine_type}": column.kind == "other",
        "is filled in later": name in late,
        "almost gives the answer away: is it really known at predict_at?": told,
        "is always the same": column.distinct <= 1,
        "names one row": name in single,
        "is part of the date": calendar_part(name),
        "lies sometimes before the event and sometimes after": column.kind == "time" and name not in look.earlier,
        "is an identifier": numbered and column.distinct > _FEW_VALUES,
        f"has {column.distinct:,} different values": column.kind == "text" and column.distinct > _MANY_VALUES,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _text(expression: str, column: ColumnLook) -> str:
    return f'{{ value = "{expression}", missing = "allow" }}' if column.missing else f'"{expression}"'


def _free(name: str, look: Look) -> str:
    return f"local_{name}" if any(column.name.lower() == name for column in look.columns) else name


def windows(look: Look, target: TargetLook | None, moment: str, late: set[str], delay_us: int) -> list[FeatureGuess]:
    """Return how often it came true for others of the same entity, lately, as far as that was known."""
    if target is None or not look.time or not look.key:
        return []
    entities = [
        column
        for column in look.columns
        if column.kind in {"int", "text"}
        and column.name not in {*late, target.column, moment, *target.tells}
        and 2 <= column.distinct <= look.sampled / 3
        and not calendar_part(column.name)
        and (column.kind == "text" or identifier_score(column.name) >= 1.0)
    ]
    entities.sort(key=lambda column: (-identifier_score(column.name), -column.distinct))
    # The rarest entity says most about a single one, the commonest has the most rows: both are worth a look.
    chosen = entities[: _ENTITIES - 1] + entities[_ENTITIES - 1 :][-1:]
    length = careful(max(4 * delay_us, DAY))
    features = []
    for column in chosen:
        match = f"from = {_quoted(look.name)}, match = [{_quoted(column.name)}]"
        name = re.sub(r"\W", "_", column.name, flags=re.ASCII)
        features.append(
            FeatureGuess(
                name=f"{target.column}_rate_by_{name}",
                toml=f'{{ {match}, window = "{format_span(length)}", value = "avg({target.label})" }}',
            )
        )
        if identifier_score(column.name) >= 1.0:
            features.append(
                FeatureGuess(
                    name=f"seen_by_{name}", toml=f'{{ {match}, window = "{format_span(length)}", value = "count()" }}'
                )
            )
    return features


def lookups(looks: Looks, join: JoinLook, examples: Look, joins: list[JoinLook]) -> list[FeatureGuess]:
    """Return what another source knows of a row: its values, or how many events lately."""
    theirs = looks.source(join.theirs)
    match = _match(join)
    if join.shape == "events":
        return [
            FeatureGuess(
                name=f"{theirs.name}_30d",
                toml=f'{{ from = {_quoted(theirs.name)}, match = {match}, window = "30 days", value = "count()" }}',
            )
        ]
    if join.shape == "static" and all(examples.column(mine).distinct <= _SPELT_OUT for mine, _ in join.pairs):
        return []  # what few values name, the values themselves already say
    several = sum(other.theirs == join.theirs for other in joins) > 1
    prefix = re.sub(r"\W", "_", join.pairs[0][0], flags=re.ASCII) if several else theirs.name
    keys = {*theirs.key, *(other for _, other in join.pairs)}
    usable = [
        column
        for column in theirs.columns
        if column.name not in {*keys, theirs.time, *theirs.later, *theirs.outcomes}
        and column.kind in {"int", "float", "bool", "text"}
        and column.distinct > 1
        and not (join.shape == "asof" and calendar_part(column.name))
        and not (column.kind == "text" and column.distinct > _FEW_VALUES)
        and not (column.kind == "int" and identifier_score(column.name) >= 2.0)
        and column.name.lower() not in {"lat", "lon", "latitude", "longitude"}
    ]
    age = ""
    if join.shape == "asof":
        age = f', max_age = "{format_span(careful(6 * max(theirs.step_us or HOUR, 10 * MINUTE)))}"'
    return [
        FeatureGuess(
            name=re.sub(r"\W", "_", f"{prefix}_{column.name}", flags=re.ASCII),
            toml=f"{{ from = {_quoted(theirs.name)}, match = {match}, take = {_quoted(column.name)}{age} }}",
        )
        for column in usable[: _MEASURED if join.shape == "asof" else _LOOKED_UP]
    ]


def _match(join: JoinLook) -> str:
    if all(mine == theirs for mine, theirs in join.pairs):
        return "[" + ", ".join(_quoted(mine) for mine, _ in join.pairs) + "]"
    return "{ " + ", ".join(f"{_key(mine)} = {_quoted(theirs)}" for mine, theirs in join.pairs) + " }"


def distances(looks: Looks, joins: list[JoinLook]) -> list[FeatureGuess]:
    """Return the distance between two places that the row names, where a source says where they are."""
    found = []
    for name in dict.fromkeys(join.theirs for join in joins):
        ends = [join for join in joins if join.theirs == name and join.shape == "static" and len(join.pairs) == 1]
        theirs = looks.source(name)
        floats = {column.name.lower(): column.name for column in theirs.columns if column.kind == "float"}
        lat = next((floats[word] for word in ("lat", "latitude") if word in floats), "")
        lon = next((floats[word] for word in ("lon", "lng", "longitude") if word in floats), "")
        if len(ends) >= 2 and lat and lon and len(theirs.key) == 1:
            first, second = (join.pairs[0][0] for join in ends[:2])
            ends_of = f"distance = [{_quoted(first)}, {_quoted(second)}], from = {_quoted(name)}"
            plain = re.sub(r"\W", "_", f"km_{first}_{second}", flags=re.ASCII)
            found.append(FeatureGuess(name=plain, toml=f"{{ {ends_of}, lat = {_quoted(lat)}, lon = {_quoted(lon)} }}"))
    return found


def named_apart(features: list[FeatureGuess]) -> list[FeatureGuess]:
    """Return the same features under names that differ, whatever their case."""
    taken: set[str] = set()
    apart = []
    for feature in features:
        name, number = feature.name, 2
        while name.lower() in taken:
            name, number = f"{feature.name}_{number}", number + 1
        taken.add(name.lower())
        apart.append(replace(feature, name=name))
    return apart
