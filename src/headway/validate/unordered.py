"""A verdict on examples that were not split by time says so, everywhere that its gates and reasons are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from headway.nouns.verdict import Gate

if TYPE_CHECKING:
    from headway.nouns.brief import Split
    from headway.nouns.verdict import Verdict

__all__ = ["saying_how_split"]


def saying_how_split(verdict: Verdict, split: Split) -> Verdict:
    """Return the verdict with a gate that warns, and a reason, where the split is not by time; else as it is."""
    if split.by == "time":
        return verdict
    how = f"by group ({', '.join(split.group or ())})" if split.by == "group" else "at random"
    gate = Gate(
        name="split by time",
        passed=False,
        blocking=False,
        found=f"split {how}",
        wanted="by time, since what is asked for lies in the future",
        note="How it does on days after those that it learned from was not tested.",
    )
    reason = (
        f"Mind: the split is not by time but {how}: how the model does on days after those that it learned from was "
        f"not tested. A day of the test holds about {split.parts['test']:.0%} of its examples: a quota is cut "
        "alike, and money a day is told of all."
    )
    return msgspec.structs.replace(verdict, gates=(*verdict.gates, gate), reasons=(*verdict.reasons, reason))
