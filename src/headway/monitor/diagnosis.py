"""Telling causes apart: what the open findings mean together, and the one thing to do.

The order of the rules is the order of suspicion: broken operations explain everything else and are never cured by
retraining; a bad release explains what began with it; only then is the world to blame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headway.nouns.finding import Finding

__all__ = ["RELEASE_SIGNALS", "Cause", "Diagnosis", "Remedy", "diagnose"]

Cause = Literal[
    "healthy",
    "operational",
    "bad release",
    "concept drift",
    "prior shift",
    "calibration drift",
    "not worth it",
    "benign drift",
]
Remedy = Literal["nothing", "fix", "roll back", "retrain", "recalibrate", "stop acting"]

RELEASE_SIGNALS = frozenset({"release-loss", "release-ranking", "release-money", "disagreement"})
_OPERATIONAL = frozenset({"operational", "quality"})
_RATE = frozenset({"base-rate-rise", "base-rate-fall"})
_CALIBRATION = frozenset({"scores-too-low", "scores-too-high", "loss"})
_MONEY = frozenset({"money", "money-rule"})


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """The likeliest cause of what is open.

    Attributes
    ----------
    because
        The ids of the findings that it rests on.
    muted
        The ids of those that it explains, and that need no attention of their own.
    """

    cause: Cause
    remedy: Remedy
    why: str
    because: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()


def diagnose(findings: Iterable[Finding]) -> Diagnosis:
    """Return what the findings that are open mean together.

    Examples
    --------
    >>> diagnose([]).cause
    'healthy'
    """
    found = sorted(findings, key=lambda finding: finding.id)
    names = {finding.signal for finding in found}
    broken = [f for f in found if f.kind in _OPERATIONAL and f.level == "alert"]
    if broken:
        why = "Something on the way from the data to the answer is broken; drift and losses may follow from it alone."
        return _diagnosis("operational", "fix", why, broken, found)
    release = [f for f in found if f.signal in RELEASE_SIGNALS and f.level == "alert"]
    if release:
        why = "The live release does worse, or otherwise, than the one it replaced on the very same traffic."
        return _diagnosis("bad release", "roll back", why, release, found)
    return _of_the_world(found, names)


def _of_the_world(found: list[Finding], names: set[str]) -> Diagnosis:
    ranking = [f for f in found if f.signal == "ranking"]
    calibration = [f for f in found if f.signal in _CALIBRATION]
    rate = [f for f in found if f.signal in _RATE]
    money = [f for f in found if f.signal in _MONEY]
    if ranking:
        why = "The model tells true from false less well than when it was judged: what it learned no longer holds."
        return _diagnosis("concept drift", "retrain", why, ranking + calibration + money, found)
    if calibration and rate:
        why = "Ranking holds, the level has moved, and the scores have not followed it."
        return _diagnosis("prior shift", "recalibrate", why, calibration + rate, found)
    if calibration:
        why = "Ranking and the base rate hold, and the scores are off."
        return _diagnosis("calibration drift", "recalibrate", why, calibration, found)
    if money:
        remedy: Remedy = "stop acting" if "money" in names else "retrain"
        return _diagnosis(
            "not worth it", remedy, "Ranking and calibration hold, yet the money is not there.", money, found
        )
    if rate:
        why = "The level has moved, and the scores have followed it: no harm is seen."
        return _diagnosis("prior shift", "nothing", why, rate, found)
    if found:
        return _diagnosis(
            "benign drift", "nothing", "Inputs or scores have moved; nothing got worse by it.", found, found
        )
    return Diagnosis(cause="healthy", remedy="nothing", why="Nothing is open.")


def _diagnosis(cause: Cause, remedy: Remedy, why: str, because: list[Finding], found: list[Finding]) -> Diagnosis:
    rests_on = {finding.id for finding in because}
    # Operations mute all that may follow from them; a cause in the world mutes only drift of inputs and scores.
    muted = tuple(f.id for f in found if f.id not in rests_on and (cause == "operational" or f.signal == "drift"))
    return Diagnosis(cause=cause, remedy=remedy, why=why, because=tuple(f.id for f in because), muted=muted)
