"""When to go round again: one pure decision a day, with its reason in words.

Harm is what alerts about performance or money say, after operations and releases have been ruled out; a shift of the
inputs alone never retrains. The guard rails come from the brief: a budget of retrainings in 30 days, a cooling-off
after each, no retraining while operations are broken, and a stop after two rollbacks, when a person must look.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec

from headway.errors import BriefError
from headway.monitor.diagnosis import diagnose
from headway.nouns.finding import day_text
from headway.nouns.span import DAY, parse_span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headway.nouns.brief import Retrain
    from headway.nouns.finding import Finding

__all__ = ["Action", "History", "Verb", "decide", "retraining_interval_days"]

Verb = Literal["retrain", "judge", "rollback", "nothing"]

_BUDGET_DAYS = 30
_COOLDOWN_DAYS = 7
_MOST_ROLLBACKS = 2
_HARM = frozenset({"ranking", "loss", "money", "money-rule", "scores-too-low", "scores-too-high"})
_EVERY = re.compile(r"every\s+(.+)", re.IGNORECASE)


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What has been done so far; days since 1970-01-01.

    Attributes
    ----------
    deployed
        The day the live release went live; ``None`` without one.
    can_roll_back
        Whether a release stands behind it.
    retrained
        The days on which a retraining began.
    rollbacks
        The days of rollbacks by this policy since a person last looked.
    shadow_since
        The day the open challenger began to answer in the shadow; ``None`` without one.
    """

    deployed: int | None = None
    can_roll_back: bool = False
    retrained: tuple[int, ...] = ()
    rollbacks: tuple[int, ...] = ()
    shadow_since: int | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What to do today, and why; ``because`` holds the ids of the findings that it rests on."""

    verb: Verb
    why: str
    because: tuple[str, ...] = ()


def decide(policy: Retrain, *, today: int, findings: Iterable[Finding], history: History) -> Action:
    """Return what is to be done today.

    Parameters
    ----------
    policy
        The brief's ``[retrain]``.
    findings
        All that are open, old and new: `Watch.open`.

    Raises
    ------
    BriefError
        When an entry of ``when`` is neither ``harm`` nor ``every …``.

    Examples
    --------
    >>> from headway.nouns.brief import Retrain
    >>> policy = Retrain(when=("harm", "every 30 days"))
    >>> decide(policy, today=16_030, findings=[], history=History(deployed=16_000)).verb
    'retrain'
    """
    found = tuple(findings)
    interval = retraining_interval_days(policy)
    diagnosis = diagnose(found)
    if diagnosis.cause == "bad release" and not _waits_for_a_person(history):
        if history.can_roll_back:
            return Action(verb="rollback", why=diagnosis.why, because=diagnosis.because)
        return Action(verb="nothing", why="The release is bad, but none stands behind it.", because=diagnosis.because)
    if history.shadow_since is not None:
        return _of_challenger(policy, today, history.shadow_since)
    reason, because = _reason(policy, found, today, history, interval)
    if not reason:
        return Action(verb="nothing", why=diagnosis.why)
    obstacle = _obstacle(policy, diagnosis.cause, today, history)
    if obstacle:
        return Action(verb="nothing", why=f"{reason}, but {obstacle}", because=because)
    return Action(verb="retrain", why=f"{reason}.", because=because)


def retraining_interval_days(policy: Retrain) -> int | None:
    """Return the days between scheduled retrainings, ``None`` without a schedule.

    Examples
    --------
    >>> from headway.nouns.brief import Retrain
    >>> retraining_interval_days(Retrain(when=("harm", "every 2 weeks")))
    14
    """
    found: int | None = None
    for entry in policy.when:
        text = entry.strip().lower()
        if text == "harm":
            continue
        match = _EVERY.fullmatch(text)
        if match is None or parse_span(match[1]) < DAY:
            raise BriefError(f"retrain.when holds {entry!r}.", hint="Write 'harm' or 'every 30 days' (a day or more).")
        days = parse_span(match[1]) // DAY
        found = days if found is None else min(found, days)
    return found


def _of_challenger(policy: Retrain, today: int, since: int) -> Action:
    needed = -(-parse_span(policy.shadow) // DAY)
    if today - since >= needed:
        return Action(verb="judge", why=f"The challenger has answered in the shadow since {day_text(since)}.")
    return Action(verb="nothing", why=f"A challenger is in the shadow until {day_text(since + needed)}.")


def _reason(
    policy: Retrain, found: tuple[Finding, ...], today: int, history: History, interval: int | None
) -> tuple[str, tuple[str, ...]]:
    harm = [f for f in found if f.level == "alert" and f.signal in _HARM]
    if harm and any(entry.strip().lower() == "harm" for entry in policy.when):
        return f"Harm: {harm[0].message.rstrip('.')}", tuple(f.id for f in harm)
    last = max((*history.retrained, *(() if history.deployed is None else (history.deployed,))), default=None)
    if interval is not None and last is not None and today - last >= interval:
        return f"{today - last} days have passed since {day_text(last)}; the schedule says {interval}", ()
    return "", ()


def _obstacle(policy: Retrain, cause: str, today: int, history: History) -> str:
    if cause == "operational":
        return "operations are broken: a model trained now would learn the fault."
    if _waits_for_a_person(history):
        return "two releases were rolled back: a person must look first."
    recent = [day for day in history.retrained if today - day < _BUDGET_DAYS]
    if len(recent) >= policy.budget_per_month:
        return f"the budget of {policy.budget_per_month} retrainings in {_BUDGET_DAYS} days is spent."
    if recent and today - max(recent) < _COOLDOWN_DAYS:
        return f"the last retraining is not {_COOLDOWN_DAYS} days old."
    return ""


def _waits_for_a_person(history: History) -> bool:
    return len(history.rollbacks) >= _MOST_ROLLBACKS
