"""Honest guesses: which source holds the examples, what is predicted, when things are known, which features are safe.

From looks to choices, pure. Where the data leave it open the careful side is taken: a label is known rather too late
than too early, a column that may be filled in later is no feature of its row, and every such choice carries a note for
whoever edits the brief.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from headway.define.features import FeatureGuess, careful, distances, lookups, named_apart, row_features, windows
from headway.define.looks import TargetLook
from headway.define.words import tokens
from headway.errors import BriefError, did_you_mean
from headway.nouns.expression import columns_of, parse
from headway.nouns.span import DAY, HOUR, format_span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headway.define.looks import JoinLook, Look, Looks

__all__ = ["Guess", "SourceGuess", "SplitGuess", "guess"]

_FEWEST_DAYS = 5  # fewer are no three periods
_LATENESS = frozenset({"delay", "late", "lateness", "overdue"})
_SLOW = frozenset({"churn", "churned", "attrition", "renew", "renewed", "default", "defaulted"})
MOMENT = "happens_at"
"""How a moment is called that is put together from the parts of a date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceGuess:
    """What the brief will say of a source; ``notes`` are for whoever reads it."""

    look: Look
    time: str = ""
    known: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    derive: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitGuess:
    """Where the stretches of time end, exclusively."""

    train_before: dt.date
    validate_before: dt.date
    test_before: dt.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """All choices. ``open`` lists what nobody but a human can fill in before the brief holds."""

    sources: tuple[SourceGuess, ...]
    examples: str
    moment: str
    target: TargetLook | None
    other_targets: tuple[TargetLook, ...]
    label_known_at: str
    label_note: str
    features: tuple[FeatureGuess, ...]
    skipped: tuple[tuple[str, str], ...]
    split: SplitGuess | None
    actions_per_day: int | None
    rule: str
    segments: tuple[str, ...]
    moving: bool
    open: tuple[str, ...]


def guess(looks: Looks, *, target: str = "") -> Guess:
    """Return the choices that look best.

    Parameters
    ----------
    target
        The condition, or the column, that somebody has chosen; the likeliest one by default.
    """
    examples, chosen, others = _target(looks, target)
    moment, derive = _moment(examples)
    delay_us, known_at, note = _label_known(chosen, moment)
    joins = [join for join in looks.joins if join.mine == examples.name]
    known = _known(examples, chosen, moment, known_at)
    sources = [
        SourceGuess(
            look=examples,
            time=moment,
            known=known,
            types=_types(examples),
            derive=derive,
            notes=_source_notes(examples, joins),
        )
        if look.name == examples.name
        else _other_source(look, joins)
        for look in looks.sources
    ]
    features, skipped = row_features(examples, chosen, moment, set(known) - {"*"})
    lately = windows(examples, chosen, moment, set(known) - {"*"}, delay_us)
    looked_up = [feature for join in joins for feature in lookups(looks, join, examples, joins)] if moment else []
    every = named_apart([*features, *lately, *looked_up, *distances(looks, joins)])
    return Guess(
        sources=tuple(sources),
        examples=examples.name,
        moment=moment,
        target=chosen,
        other_targets=others,
        label_known_at=known_at,
        label_note=note,
        features=tuple(every),
        skipped=tuple(skipped),
        split=_split(examples, delay_us) if examples.time else None,
        actions_per_day=_actions(examples, chosen),
        rule=next((feature.name for feature in every if "avg(" in feature.toml), ""),
        segments=_segments(examples, set(known) - {"*"}, chosen),
        moving=any("window" in feature.toml or "max_age" in feature.toml for feature in every),
        open=_open(examples, chosen, moment, every),
    )


# -- what is predicted, and when that is known


def _target(looks: Looks, wanted: str) -> tuple[Look, TargetLook | None, tuple[TargetLook, ...]]:
    def place(look: Look, target: TargetLook) -> tuple[float, int]:
        return (target.score + (0.5 if look.time else 0.0) - (0.0 if look.key else 0.5), look.rows)

    every = [(look, target) for look in looks.sources for target in look.targets]
    every.sort(key=lambda pair: place(*pair), reverse=True)
    if wanted:
        every.sort(key=lambda pair: wanted.strip() not in {pair[1].label, pair[1].column})
        if not every or wanted.strip() not in {every[0][1].label, every[0][1].column}:
            every.insert(0, _own_words(looks, wanted.strip()))
    if not every:
        return max(looks.sources, key=lambda look: (bool(look.time), look.rows)), None, ()
    look, chosen = every[0]
    return look, chosen, tuple(target for other, target in every[1:] if other.name == look.name)


def _own_words(looks: Looks, label: str) -> tuple[Look, TargetLook]:
    """Return the target that a human wrote as a condition.

    Raises
    ------
    BriefError
        When it does not parse, or no source has all of its columns.
    """
    used = columns_of(parse(label))
    homes = [look for look in looks.sources if used and used <= {column.name for column in look.columns}]
    if not homes:
        known = [column.name for look in looks.sources for column in look.columns]
        strange = next(iter(sorted(used - set(known))), label)
        raise BriefError(f"No source has a column {strange!r}.", where="target", hint=did_you_mean(strange, known))
    home = max(homes, key=lambda look: (bool(look.time), look.rows))
    names = [column.name for column in home.columns if column.name in used]
    seen = next((target for target in home.targets if target.column == names[0]), None)
    if home.column(names[0]).kind == "bool" or not label.strip().isidentifier():
        plain = TargetLook(column=names[0], label=label, base_rate=None, score=0.0)
        when = {"known_by": seen.known_by, "delay_us": seen.delay_us, "tells": seen.tells} if seen else {}
        return home, msgspec.structs.replace(plain, **when)
    raise BriefError(
        f"Column {label!r} is no condition.",
        where="target",
        hint=f'Write one, such as "{label} > 30" or "{label} = \'yes\'".',
    )


def _moment(look: Look) -> tuple[str, dict[str, str]]:
    """Return the column of the event's moment, put together from the parts of a date where there is no other."""
    if look.time:
        return look.time, {}
    by_name = {column.name.lower(): column for column in look.columns if column.kind == "int"}
    parts = [by_name[part].name for part in ("year", "month", "day") if part in by_name]
    if len(parts) < 3:
        return "", {}
    clock = f"{by_name['hour'].name} * 100" if "hour" in by_name else "0"
    return MOMENT, {MOMENT: f"local_time({', '.join(parts)}, {clock}, 'UTC')"}


def _label_known(target: TargetLook | None, moment: str) -> tuple[int, str, str]:
    """Return how long a label takes, the expression of when it is known, and why that."""
    if target is None or not moment:
        return 30 * DAY, "", ""
    if target.known_by:
        return (
            target.delay_us or 0,
            target.known_by[0],
            "the moment in the row that answers to it best; is it the right one?",
        )
    if target.only_when_true and target.delay_us is not None:
        wait = careful(max(target.delay_us, HOUR))
        why = f"19 of 20 that came true have {target.only_when_true} by then: after it, no means no"
        return wait, f"{moment} + interval {format_span(wait)}", why
    words = set(tokens(target.column))
    wait = DAY if words & _LATENESS else 90 * DAY if words & _SLOW else 30 * DAY
    return (
        wait,
        f"{moment} + interval {format_span(wait)}",
        "edit me: nothing in the data says when the outcome is known",
    )


def _known(look: Look, target: TargetLook | None, moment: str, known_at: str) -> dict[str, str]:
    """Return when each column is known: the row's own moment, but for what is filled in later."""
    if not moment:
        return {}
    late = {name: name for name in look.later}
    answers = {*look.outcomes, *((target.column, *_untimed(look, target)) if target else ())}
    filled = {column.name: known_at for column in look.columns if column.name in answers and column.name not in late}
    return {"*": moment, **{name: text for name, text in {**late, **filled}.items() if text}}


def _untimed(look: Look, target: TargetLook) -> tuple[str, ...]:
    return tuple(name for name in target.tells if name not in {look.time, *look.later, *look.earlier, *look.key})


def _actions(look: Look, target: TargetLook | None) -> int | None:
    """Return a daily quota: as many actions as there are cases, or ``None`` when that is less than one a day."""
    if target is None or look.first_us is None or look.last_us is None:
        return None
    days = max((look.last_us - look.first_us) / DAY, 1.0)
    cases = (0.1 if target.base_rate is None else target.base_rate) * look.rows / days
    if cases < 1:
        return None
    size = 1 if cases < 10 else 5 if cases < 100 else 10 ** (len(str(int(cases))) - 2)
    return max(int(cases / size + 0.5) * size, 1)


def _split(look: Look, delay_us: int) -> SplitGuess | None:
    """Return 60, 20 and 20 % of the time that the file knows; of what labels leave of it, where they take long."""
    if look.first_us is None or look.last_us is None or look.last_seen_us is None:
        return None
    epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    first = (epoch + dt.timedelta(microseconds=look.first_us)).date()
    # As far as the file knows: what was predicted last is labelled only so much later, or not yet.
    known = max(min(look.last_us + delay_us, look.last_seen_us), look.last_us)
    end = (epoch + dt.timedelta(microseconds=known)).date() + dt.timedelta(days=1)
    days = max((end - first).days, 3)
    delay = math.ceil(delay_us / DAY)
    if 0.2 * days < 2 * delay and days - 3 * delay >= _FEWEST_DAYS:
        # Each period loses its last days to labels that come after it: what is left of them is divided.
        left = days - 3 * delay
        train = first + dt.timedelta(days=round(0.6 * left) + delay)
        validate = train + dt.timedelta(days=max(round(0.2 * left), 1) + delay)
        return SplitGuess(train_before=train, validate_before=validate, test_before=first + dt.timedelta(days=days))
    train = first + dt.timedelta(days=min(max(round(0.6 * days), 1), days - 2))
    validate = first + dt.timedelta(days=min(max(round(0.8 * days), (train - first).days + 1), days - 1))
    return SplitGuess(train_before=train, validate_before=validate, test_before=first + dt.timedelta(days=days))


# -- sources


def _types(look: Look) -> dict[str, str]:
    return {column.name: column.read_as for column in look.columns if column.read_as}


def _source_notes(look: Look, joins: Iterable[JoinLook]) -> tuple[str, ...]:
    notes = []
    if look.sampled < look.rows:
        notes.append(f"Looked at closely: the first {look.sampled:,} of {look.rows:,} rows.")
    if not look.key:
        notes.append("No one, two or three columns tell all rows apart: add a column that does, and name it as key.")
    elif len(look.keys) > 1:
        notes.append(f"Other keys: {'; '.join(' + '.join(key) for key in look.keys[1:])}.")
    if look.time and not look.zoned and look.clock:
        notes.append(f"The times in {look.time} carry no zone: say in 'zone' whose clock they show.")
    others = [
        column.name
        for column in look.columns
        if column.kind == "time" and column.name not in {look.time, *look.later, *look.earlier}
    ]
    if others:
        notes.append(f"Other moments: {', '.join(others)}.")
    # What the file holds as text need not be declared to be one, unless it could be taken for days.
    unclear = [column.name for column in look.columns if column.read_as == "text" and column.engine_type == "VARCHAR"]
    if unclear:
        notes.append(
            f"Days that could be two days stay text: {', '.join(unclear)}. Write them as 2013-12-31; or say under "
            "clean how they are written."
        )
    odd = [column for column in look.columns if column.kind == "other" and column.name not in _types(look)]
    if odd:
        notes.append(f"Cannot be read, flatten or leave out: {', '.join(f'{c.name} ({c.engine_type})' for c in odd)}.")
    if not list(joins) and not look.targets:
        notes.append("Nothing looks into it yet.")
    return tuple(notes)


def _other_source(look: Look, joins: list[JoinLook]) -> SourceGuess:
    mine = [join for join in joins if join.theirs == look.name]
    notes = list(_source_notes(look, mine))
    if any(join.shape == "static" for join in mine) or not look.time or not mine:
        if look.time and mine:
            notes.append(f"Taken as it is today: a value that changed after {look.time} would look into the future.")
        return SourceGuess(look=look, types=_types(look), notes=tuple(notes))
    late = {name: name for name in look.later}
    safe = {"*": look.time, **late}
    if look.outcomes:
        notes.append(f"Filled in later, perhaps: {', '.join(look.outcomes)}; say in 'known' when.")
    notes.append(f'Is a row known as soon as it happens? If not: known = "{look.time} + interval 10 minutes".')
    return SourceGuess(look=look, time=look.time, known=safe, types=_types(look), notes=tuple(notes))


def _segments(look: Look, late: set[str], target: TargetLook | None) -> tuple[str, ...]:
    few = [
        column.name
        for column in look.columns
        if column.kind == "text"
        and 2 <= column.distinct <= 12
        and column.name not in late
        and (target is None or column.name not in {target.column, *target.tells})
    ]
    return tuple(few[:2])


def _open(look: Look, target: TargetLook | None, moment: str, features: list[FeatureGuess]) -> tuple[str, ...]:
    missing = []
    if target is None:
        missing.append(
            f"target.label: nothing in {look.name!r} looks like an outcome (two values, a status, a delay). "
            'Write a condition such as "returned = \'yes\'" or "days_late > 3".'
        )
    if not moment:
        derived = f"derive = {{ {MOMENT} = \"local_time(year, month, day, 0, 'UTC')\" }}"
        missing.append(
            f"target.predict_at: {look.name!r} has no column of moments, and examples are split by time. Add one to "
            f"the file, or derive it: {derived}. Days that can be read day first and month first alike stay text: say "
            "under clean how they are written."
        )
    if not look.key:
        missing.append(
            f"sources.{look.name}.key: no one, two or three columns tell all rows apart. Add a column that does."
        )
    if not features:
        missing.append("features: no column could be used safely.")
    return tuple(missing)
