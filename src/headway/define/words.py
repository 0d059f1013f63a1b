"""What names of columns say: the words by which people call identifiers, moments, outcomes and targets.

Names only ever break ties and set the order of guesses; whether a guess is right is asked of the data.
"""

from __future__ import annotations

import re

__all__ = [
    "calendar_part",
    "event_score",
    "identifier_score",
    "outcome_like",
    "positive_value",
    "target_score",
    "tokens",
]

_TARGET_WORDS = (
    "churn", "return", "late", "fraud", "default", "cancel", "convert", "conversion", "click", "bought", "purchased",
    "target", "label", "outcome", "fail", "spam", "attrition", "attrited", "renew", "no_show", "noshow", "readmit",
    "complain", "refund", "lost", "won", "defect", "delay", "overdue", "escalat", "dispute", "chargeback", "upsell",
)  # fmt: skip
_OUTCOME_WORDS = (
    *_TARGET_WORDS, "delivered", "shipped", "arr", "actual", "resolved", "closed", "status", "final", "result", "paid",
    "completed", "finished", "settled", "rating", "review", "feedback", "air",
)  # fmt: skip
_STATED_IN_ADVANCE = frozenset(
    {"sched", "scheduled", "planned", "plan", "due", "promised", "expected", "estimated", "eta"}
)
_TRAITS = frozenset(
    {"gender", "sex", "male", "female", "married", "member", "active", "weekend", "holiday", "test", "vip"}
)
_EVENT_WORDS = (
    "created", "ordered", "order", "event", "start", "started", "opened", "requested", "booked", "occurred", "placed",
    "timestamp", "time", "datetime", "date", "ts", "at", "sched", "applied", "visit", "snapshot",
)  # fmt: skip
_NOT_EVENT_WORDS = (
    "birth", "dob", "updated", "modified", "expir", "until", "signup", "joined", "since", "delivered", "shipped",
    "return", "closed", "resolved", "paid", "arr", "end", "known", "due", "promised", "cancel", "churn", "last",
    "first", "refund", "completed", "finished", "actual",
)  # fmt: skip
_YES = ("yes", "y", "true", "t", "1", "x", "ja", "j", "oui", "o", "si", "sí", "s", "sim", "tak", "da")
_NO = ("no", "n", "false", "f", "0", "", "nein", "nee", "non", "não", "nie", "net")
_CALENDAR = frozenset({"year", "month", "day", "hour", "minute", "second", "week", "quarter", "weekday", "dow"})


def tokens(name: str) -> list[str]:
    """Return the words of a name.

    Examples
    --------
    >>> tokens("orderID"), tokens("sched_dep_time")
    (['order', 'id'], ['sched', 'dep', 'time'])
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^a-z0-9]+", spaced.lower()) if word]


def identifier_score(name: str) -> float:
    """Return how much a name looks like an identifier: 2 surely, 1 perhaps, 0 not."""
    words = tokens(name)
    if words and words[-1] in {"id", "key", "uuid", "guid", "pk"}:
        return 2.0
    sure = {
        "code",
        "no",
        "nr",
        "num",
        "number",
        "ref",
        "sku",
        "iata",
        "icao",
        "faa",
        "isbn",
        "serial",
        "account",
        "flight",
    }
    return 1.0 if any(word in sure or word.endswith(("num", "id")) for word in words) else 0.0


def calendar_part(name: str) -> bool:
    """Whether a column holds a part of a date that a column of moments holds whole."""
    return name.lower() in _CALENDAR


def event_score(name: str) -> float:
    """Return how much a name looks like the moment at which the row came to be."""
    words = tokens(name)
    score = (
        2.0
        if any(word in _EVENT_WORDS[:12] for word in words)
        else 1.0
        if any(word in _EVENT_WORDS for word in words)
        else 0.0
    )
    return score - (3.0 if any(word.startswith(no) for word in words for no in _NOT_EVENT_WORDS) else 0.0)


def outcome_like(name: str) -> bool:
    """Whether a name looks like something that is filled in later.

    Examples
    --------
    >>> outcome_like("arr_delay"), outcome_like("delivered_at"), outcome_like("sched_arr_time"), outcome_like("price")
    (True, True, False, False)
    """
    words = tokens(name)
    if set(words) & _STATED_IN_ADVANCE or words[-1:] == ["id"]:
        return False
    if "policy" in words or "previous" in words or "prior" in words or "past" in words:
        return False
    return any(
        word == known if len(known) < 4 else word.startswith(known) for word in words for known in _OUTCOME_WORDS
    )


def target_score(name: str) -> float:
    """Return how much a name looks like what somebody wants predicted: 3 surely, 0 no sign, less for a trait."""
    words = tokens(name)
    if set(words) & _TRAITS:
        return -1.0
    if not outcome_like(name):
        return 0.0
    return 3.0 if any(word.startswith(known) for word in words for known in _TARGET_WORDS) else 0.5


def positive_value(values: tuple[str, str], *, rarer: str) -> str:
    """Return which of two values is the one that counts.

    Examples
    --------
    >>> positive_value(("no", "yes"), rarer="no"), positive_value(("kept", "left"), rarer="left")
    ('yes', 'left')
    """
    for value, other in (values, values[::-1]):
        if value.strip().lower() in _YES and other.strip().lower() in _NO:
            return value
    for value, other in (values, values[::-1]):
        if target_score(value) >= 3.0 > target_score(other) and not other.lower().startswith(("non", "not")):
            return value
    return rarer
