"""Which predictions are acted on: the sentence of the brief, and what it means.

==============================  =======================  ======================================================
sentence                        task                     acted on
==============================  =======================  ======================================================
``top 40 per day``              all but category         the 40 highest of each local day
``top 200``                     all but category         the 200 highest of each round (one ``predict_at``)
``top 3 per group``             ranking                  the 3 highest of each group
``probability > 60 %``          condition                those above it (``score > 0.6`` says the same)
``prediction > 45``             number                   those above it, in the label's own unit
``probability of X > 60 %``     category                 those that are class X that probably
``the most likely class``       category                 all, each as the class that is likeliest
``every prediction``            number                   all: each number is used as it is, such as an order
==============================  =======================  ======================================================

The file hides the grammar, and what may be said of which task.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Literal

import msgspec

from headway.errors import BriefError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.nouns.task import Task

__all__ = ["ActOn", "Everything", "Likeliest", "Quota", "Threshold", "parse_act_on", "suited"]

_Per = Literal["day", "round", "group"]


class Quota(msgspec.Struct, frozen=True, kw_only=True, tag="quota"):
    """Act on the ``k`` highest of each day, of each round of predictions, or of each group."""

    k: int
    per: _Per = "day"


class Threshold(msgspec.Struct, frozen=True, kw_only=True, tag="threshold"):
    """Act on everything above ``score``: a probability, the number itself, or the probability of one class."""

    score: float
    kind: Literal["probability", "number"] = "probability"
    of: str = ""


class Likeliest(msgspec.Struct, frozen=True, kw_only=True, tag="likeliest"):
    """Act on each example as the class that is likeliest."""


class Everything(msgspec.Struct, frozen=True, kw_only=True, tag="everything"):
    """Act on each prediction by using its number."""


ActOn = Quota | Threshold | Likeliest | Everything

_NUMBER = r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)(?:e([+-]?\d+))?"
_QUOTA = re.compile(r"top\s+(\d+)(?:\s+(?:per|a)\s+(day|group|round))?", re.IGNORECASE)
_THRESHOLD = re.compile(rf"(score|probability|prediction)\s*>\s*{_NUMBER}\s*(%?)", re.IGNORECASE)
_CLASS = re.compile(rf"probability\s+of\s+(.+?)\s*>\s*{_NUMBER}\s*(%?)", re.IGNORECASE)
_LIKELIEST = re.compile(r"(?:the\s+)?(?:most\s+likely|likeliest)(?:\s+class)?", re.IGNORECASE)
_EVERYTHING = re.compile(r"(?:every|each)\s+prediction", re.IGNORECASE)

FORMS: dict[Task, tuple[str, ...]] = {
    "condition": ("top 40 per day", "top 200", "probability > 60 %", "score > 0.6"),
    "number": ("top 40 per day", "top 200", "prediction > 45", "every prediction"),
    "category": ("the most likely class", "probability of CLASS > 60 %"),
    "ranking": ("top 3 per group", "top 40 per day", "top 200"),
}
"""What may be written for each task, the way it is most often meant first."""


def parse_act_on(text: str) -> ActOn:
    """Return which predictions are acted on.

    Raises
    ------
    BriefError
        Saying the nearest sentence that could stand.

    Examples
    --------
    >>> parse_act_on("top 3 per group")
    Quota(k=3, per='group')
    >>> parse_act_on("probability > 60 %").score, parse_act_on("prediction > 45").score
    (0.6, 45.0)
    >>> parse_act_on("most likely class"), parse_act_on("every prediction")
    (Likeliest(), Everything())
    """
    found = _parsed(text.strip())
    if found is None:
        raise BriefError(f"act_on = {text!r} does not say which predictions are acted on.", hint=_nearest(text.strip()))
    return found


def suited(act_on: ActOn, *, task: Task, classes: Sequence[str] = ()) -> ActOn:
    """Return what was given where it can be said of such a target, or refuse it.

    Raises
    ------
    BriefError
        Naming what could be written instead.
    """
    if isinstance(act_on, Threshold) and act_on.of and task == "category" and classes and act_on.of not in classes:
        raise BriefError(
            f"There is no class {act_on.of!r} to act on.", where="target.act_on", hint=did_you_mean(act_on.of, classes)
        )
    fits = {
        "condition": isinstance(act_on, Quota)
        or (isinstance(act_on, Threshold) and not act_on.of and act_on.kind == "probability"),
        "number": isinstance(act_on, Everything | Quota) or (isinstance(act_on, Threshold) and act_on.kind == "number"),
        "category": isinstance(act_on, Likeliest) or (isinstance(act_on, Threshold) and bool(act_on.of)),
        "ranking": isinstance(act_on, Quota),
    }[task]
    if not fits or (isinstance(act_on, Quota) and act_on.per == "group" and task != "ranking"):
        raise BriefError(
            f"This act_on cannot be said of a target that is a {task}.",
            where="target.act_on",
            hint=f"Write {_or(FORMS[task])}.",
        )
    return act_on


def _parsed(said: str) -> ActOn | None:
    if (quota := _QUOTA.fullmatch(said)) and int(quota[1]) > 0:
        per: _Per = "round" if quota[2] is None else quota[2].lower()  # type: ignore[assignment]
        return Quota(k=int(quota[1]), per=per)
    if found := _THRESHOLD.fullmatch(said):
        score, is_number = _figure(found[2], found[3], found[4]), found[1].lower() == "prediction"
        if is_number and not found[4]:
            return Threshold(score=score, kind="number")
        if not is_number and 0 <= score <= 1:
            return Threshold(score=score)
    if (found := _CLASS.fullmatch(said)) and 0 <= (score := _figure(found[2], found[3], found[4])) <= 1:
        return Threshold(score=score, of=found[1].strip("'\""))
    if _LIKELIEST.fullmatch(said):
        return Likeliest()
    if _EVERYTHING.fullmatch(said):
        return Everything()
    return None


def _figure(digits: str, exponent: str | None, percent: str) -> float:
    return float(f"{digits}e{exponent}" if exponent else digits) / (100 if percent else 1)


def _nearest(said: str) -> str:
    """Return a hint with the form nearest to what was written, its numbers put in."""
    numbers = re.findall(r"\d+(?:\.\d+)?", said)
    forms = list(dict.fromkeys(form for forms in FORMS.values() for form in forms))
    bare = {re.sub(r"\d+(?:\.\d+)?", "#", form): form for form in forms}
    near = difflib.get_close_matches(re.sub(r"\d+(?:\.\d+)?", "#", said.lower()), bare, n=1, cutoff=0.6)
    known = f"Write {_or(forms)}."
    if not near:
        return known
    form = bare[near[0]]
    if len(numbers) == 1 and float(numbers[0]) > 0:
        form = re.sub(r"\d+(?:\.\d+)?", numbers[0], form)
    if _parsed(form) is None:  # 'probability > 160 %' would only bring them back here
        form = bare[near[0]]
    return f"Did you mean {form!r}? {known}"


def _or(forms: Sequence[str]) -> str:
    quoted = [repr(form) for form in forms]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}" if len(quoted) > 1 else quoted[0]
