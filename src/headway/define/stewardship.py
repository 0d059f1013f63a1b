"""Who answers for the sources, by whose permission they are read, how long they may be kept: and what is missing.

The file hides what a source owes to whoever builds on it, and the lengths of time that laws and policies speak of.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from headway.define.answer import Doubt
from headway.define.decision import said
from headway.define.phrasing import length, listed
from headway.errors import BriefError
from headway.nouns.brief_text import unanswered
from headway.nouns.span import DAY, parse_span

if TYPE_CHECKING:
    from headway.define.facts import Facts
    from headway.nouns.brief import Brief, Source

__all__ = ["source_doubts"]


def source_doubts(brief: Brief, facts: Facts) -> list[Doubt]:
    """Return what is to be asked of those who answer for the sources."""
    doubts = []
    for found in facts.sources:
        source = brief.sources[found.name]
        if found.doubled_rows:
            doubts.append(
                Doubt(
                    why=f"Source {found.name!r} has {found.doubled_rows:,} rows whose key stands there already.",
                    todo=f"Look at sources.{found.name}.key, or say under once which of them counts.",
                )
            )
        if found.behind_us is not None and found.behind_us > 2 * DAY and found.name != brief.asked_about:
            doubts.append(
                Doubt(
                    why=f"Source {found.name!r} ends {length(found.behind_us)} before the last example.",
                    todo="Fetch what is lacking, or ask why it stopped.",
                )
            )
        if silent := unanswered(source):
            doubts.append(
                Doubt(
                    why=f"Source {found.name!r} does not say: {listed(silent)}.",
                    todo=f"Ask whoever answers for it, and say so under [sources.{found.name}].",
                )
            )
        doubts += _kept_rightly(found.name, source, first_us=found.first_us, as_of_us=facts.as_of_us)
    return doubts


def _kept_rightly(name: str, source: Source, *, first_us: int | None, as_of_us: int) -> list[Doubt]:
    doubts = []
    if source.personal and not said(source.access):
        doubts.append(
            Doubt(
                why=f"Source {name!r} is about people, and nobody's permission to read it is named.",
                todo=f"Ask whoever answers for it, and fill in sources.{name}.access before anything is built on it.",
            )
        )
    if source.retention.strip().lower() in {"", "unlimited"} or not said(source.retention):
        return doubts
    try:
        allowed = _kept_us(source.retention)
    except BriefError as error:
        doubts.append(
            Doubt(
                why=f"Source {name!r} says retention = {source.retention!r}, which is no length of time.",
                todo=f"{error.hint} Or 'unlimited'.",
            )
        )
        return doubts
    if first_us is not None and as_of_us - first_us > allowed:
        doubts.append(
            Doubt(
                why=f"Source {name!r} may be kept for {source.retention}, and its oldest rows are "
                f"{length(as_of_us - first_us)} old.",
                todo="Delete what is over, or have a longer time granted; headway data gc drops what nothing needs.",
            )
        )
    return doubts


def _kept_us(retention: str) -> int:
    """Return a length of time in which years and months may be said, as laws and policies do.

    Examples
    --------
    >>> _kept_us("2 years") // DAY, _kept_us("6 months") // DAY, _kept_us("400 days") // DAY
    (731, 183, 400)
    """
    count, _, unit = retention.strip().partition(" ")
    days = {"year": 365.25, "month": 365.25 / 12}.get(unit.strip().lower().removesuffix("s"))
    if days is None or not count.isdecimal():
        return parse_span(retention)
    return math.ceil(int(count) * days) * DAY
