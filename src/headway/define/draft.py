"""From guesses to the text of ``headway.toml``: each field with the sentence that says what it is for.

The sentences are those of the fields themselves (``nouns/brief.py``), so that file, error messages and reference never
say different things. What only a human can say is left as ``""`` and marked; everything else is filled in.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import msgspec

from headway.define.guess import Guess, SourceGuess, guess
from headway.define.toml import key as _key
from headway.define.toml import text as _quoted
from headway.nouns import brief as nouns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headway.define.looks import ColumnLook, Looks

__all__ = ["Answers", "draft", "open_questions"]

EDIT = "edit me"
_SHOWN_SKIPPED, _SHOWN_TARGETS = 40, 6


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What a human has said beforehand; what is empty is left open, or guessed."""

    improves: str = ""
    action: str = ""
    reaches: str = ""
    owner: str = ""
    target: str = ""
    currency: str = ""
    true_positive: float | None = None
    false_positive: float | None = None


def draft(looks: Looks, answers: Answers | None = None) -> str:
    """Return a commented brief for what was looked at.

    The result is TOML; it makes a whole brief (:func:`headway.nouns.brief_text.parse_brief`) as soon as a target and a
    moment were found, and what is left open is about the decision and the money.
    """
    answers = answers or Answers()
    choice = guess(looks, target=answers.target)
    parts = [
        _head(choice),
        _decision(answers),
        *(_source(source, first=position == 0) for position, source in enumerate(_ordered(choice))),
        _target(choice),
        _features(choice),
        _split(choice),
        _table(
            "search",
            nouns.Search,
            {"trials": "12", "seed": "7"},
            optional={"seconds": "600", "algorithms": '["logistic", "tree", "lightgbm"]'},
        ),
        _success(choice),
        _baseline(choice),
        _value(answers),
        _table(
            "serve",
            nouns.Serve,
            {
                "refresh": '"10 minutes"' if choice.moving else '"0 minutes"',
                "max_rows": "256",
                "max_body_bytes": "1048576",
            },
        ),
        _table(
            "monitor",
            nouns.Monitor,
            {"window": '"1 day"', "share": "1.0", "false_alarm": '"once a year"', "alert": '{ to = "log" }'},
        ),
        _table(
            "retrain",
            nouns.Retrain,
            {
                "when": '["harm", "every 30 days"]',
                "mode": '"challenger"',
                "shadow": '"7 days"',
                "budget_per_month": "4",
            },
        ),
    ]
    return "\n\n".join(parts) + "\n"


def open_questions(looks: Looks, answers: Answers | None = None) -> tuple[str, ...]:
    """Return what a human has to write before the brief can be used, besides the decision and the money."""
    return guess(looks, target=(answers or Answers()).target).open


def _ordered(choice: Guess) -> list[SourceGuess]:
    return sorted(choice.sources, key=lambda source: source.look.name != choice.examples)


def _head(choice: Guess) -> str:
    lines = [
        "# The brief: the problem, defined once, from which everything else follows.",
        f"# Written by 'headway init' from a look at the data. What only you can say is marked '{EDIT}';",
        "# everything else is a guess that you may better. 'headway check' says what is still missing, and why.",
    ]
    for question in choice.open:
        lines += _comment(f"OPEN: {question}")
    return "\n".join(lines)


def _decision(answers: Answers) -> str:
    given = {name: getattr(answers, name) for name in ("improves", "action", "reaches", "owner")}
    values = {name: _quoted(text) for name, text in given.items()} | {"review": '"monthly"'}
    return _table("decision", nouns.Decision, values, notes={name: EDIT for name, text in given.items() if not text})


# -- sources


def _source(source: SourceGuess, *, first: bool) -> str:
    look = source.look
    values: dict[str, str] = {"path": _quoted(look.path)}
    if look.table:
        values["table"] = _quoted(look.table)
    values["key"] = _list(look.key)
    if source.time:
        values["time"] = _quoted(source.time)
        values["zone"] = '"UTC"'
    if renamed := {column.there: column.name for column in look.columns if column.there and not column.clean}:
        values["rename"] = _inline(renamed)
    if source.types:
        values["types"] = _inline(source.types)
    if set(source.known) == {"*"}:
        values["known"] = _quoted(source.known["*"])
    values |= {"licence": '""', "owner": '""'}
    notes = {"licence": EDIT, "owner": EDIT}
    optional = {
        "access": f'""  # {EDIT}',
        "personal": f"false  # {EDIT}: true or false",
        "retention": f'"2 years"  # {EDIT}',
    }
    head = [
        f"{look.rows:,} rows in {look.files} file{'s' if look.files != 1 else ''}; {len(look.columns)} columns.",
        *source.notes,
    ]
    text = _table(
        f"sources.{look.name}", nouns.Source, values, notes=notes, optional=optional, head=head, sentences=first
    )
    if cleaned := [column for column in look.columns if column.clean]:
        text += f"\n\n{_cleaned(look.name, cleaned)}"
    if source.derive:
        text += f"\n\n{_lines(f'sources.{look.name}.derive', nouns.Source, 'derive', source.derive, say=True)}"
    if len(source.known) > 1:
        raw = {column.name: column.raw for column in look.columns}
        known = {raw.get(name, name): text for name, text in source.known.items()}
        text += f"\n\n{_lines(f'sources.{look.name}.known', nouns.Source, 'known', known, say=first)}"
    return text


def _cleaned(name: str, columns: list[ColumnLook]) -> str:
    """Return the table of cleaned columns: numbers and moments that a file writes in its own way."""
    lines = [f"[sources.{name}.clean]", *_comment(_sentence_of(nouns.Source, "clean"))]
    width = max(len(column.name) for column in columns)
    for column in columns:
        said = {"of": _quoted(column.there or column.name)}
        said |= {field: _quoted(to) if isinstance(to, str) else _list(to) for field, to in column.clean.items()}
        if column.kind == "time":
            said["zone"] = '"UTC"'
        fields = ", ".join(f"{field} = {to}" for field, to in said.items())
        lines.append(f"{column.name:<{width}} = {{ {fields} }}")
    return "\n".join(lines)


def _inline(values: dict[str, str]) -> str:
    return "{ " + ", ".join(f"{_key(name)} = {_quoted(text)}" for name, text in values.items()) + " }"


def _lines(header: str, struct: type[msgspec.Struct], field: str, values: dict[str, str], *, say: bool) -> str:
    sentence = [f"# {_sentence_of(struct, field)}"] if say else []
    width = max(len(_key(name)) for name in values)
    return "\n".join(
        [f"[{header}]", *sentence, *(f"{_key(name):<{width}} = {_quoted(text)}" for name, text in values.items())]
    )


# -- target, features, split


def _target(choice: Guess) -> str:
    target = choice.target
    values = {
        "examples": _quoted(choice.examples),
        "predict_at": _quoted(choice.moment),
        "label": _quoted(target.label if target else ""),
        "label_known_at": _quoted(choice.label_known_at),
        "act_on": f'"top {choice.actions_per_day} per day"' if choice.actions_per_day else '"score > 0.5"',
        "horizon": '""',
    }
    head = []
    if choice.other_targets:
        named = [f"{other.label} ({_share(other.base_rate)})" for other in choice.other_targets[:_SHOWN_TARGETS]]
        head.append(f"Other things that could be predicted: {'; '.join(named)}.")
    notes = {
        "predict_at": "" if choice.moment else f"{EDIT}: a column of moments, or one less 'interval 2 hours'",
        "label": f"true for {_share(target.base_rate)} of the rows" if target else f"{EDIT}: a condition",
        "label_known_at": choice.label_note or ("" if choice.label_known_at else EDIT),
        "act_on": f"{EDIT}: as many as there are cases" if choice.actions_per_day else EDIT,
    }
    optional = {
        "entities": '"customers"',
        "entity": '["customer_id"]',
        "each": '"30 days"',
        "starting": "2024-01-01",
        "zone": '"UTC"',
        "among": '"count(orders, interval 60 days) > 0"',
        "delay": '"2 days"',
        "match": '["customer_id"]',
        "rank_within": '["customer_id"]',
    }
    return _table("target", nouns.Target, values, notes=notes, optional=optional, head=head)


def _features(choice: Guess) -> str:
    lines = [
        "[features]",
        *_comment(_sentence_of(nouns.Brief, "features")),
        "# A plain string is an expression of the row. The long form:",
    ]
    for field in msgspec.structs.fields(nouns.FeatureSpec):
        lines += _comment(f"{field.encode_name}: {_sentence_of(nouns.FeatureSpec, field.name)}", indent="#   ")
    width = max((len(feature.name) for feature in choice.features), default=0)
    lines += [f"{feature.name:<{width}} = {feature.toml}" for feature in choice.features]
    if choice.skipped:
        lines.append("# Left out:")
        for name, reason in choice.skipped[:_SHOWN_SKIPPED]:
            lines += _comment(f"{_plain(name)} {reason}.", indent="#   ")
        if len(choice.skipped) > _SHOWN_SKIPPED:
            lines.append(f"#   and {len(choice.skipped) - _SHOWN_SKIPPED} more.")
    return "\n".join(lines)


def _split(choice: Guess) -> str:
    bounds = choice.split
    dates = (
        {name: str(getattr(bounds, name)) for name in ("train_before", "validate_before", "test_before")}
        if bounds
        else {}
    )
    optional = (
        {"train_from": "2024-01-01"}
        if bounds
        else dict.fromkeys(("train_before", "validate_before", "test_before"), f"2024-01-01  # {EDIT}")
    )
    optional |= {"group": '["household"]', "shares": "[0.6, 0.2, 0.2]"}
    return _table(
        "split",
        nouns.Split,
        {"by": '"time"', "zone": '"UTC"', **dates, "refit": '"all data before deployment"'},
        optional=optional,
        head=["60, 20 and 20 % of the time that the file knows, less what labels take where they take long."]
        if bounds
        else [],
    )


def _success(choice: Guess) -> str:
    known = choice.target.base_rate if choice.target else None
    rate = 0.1 if known is None else known
    values = {
        "metric": '"average_precision"',
        "minimum": f"{min(1.2 * rate, 0.99):.3f}",
        "good_enough": f"{max(min(0.9, 6 * rate), min(1.2 * rate, 0.99)):.3f}",
        "latency_p99": '"50 ms"',
        "explainable": "false",
        "segments": _list(choice.segments),
    }
    guessed = "" if known is not None else ", guessed here"
    notes = {"minimum": f"a fifth better than no skill, whose average precision is the base rate, {rate:.3f}{guessed}"}
    return _table("success", nouns.Success, values, notes=notes)


def _baseline(choice: Guess) -> str:
    return _table(
        "baseline", nouns.Baseline, {"rule": _quoted(choice.rule)}, notes={"rule": f"{EDIT}: what you go by today"}
    )


def _value(answers: Answers) -> str:
    plain = nouns.Value()
    right = plain.true_positive if answers.true_positive is None else answers.true_positive
    wrong = plain.false_positive if answers.false_positive is None else answers.false_positive
    return _table(
        "value",
        nouns.Value,
        {
            "currency": _quoted(answers.currency or plain.currency),
            "true_positive": repr(float(right)),
            "false_positive": repr(float(wrong)),
            "build": "0.0",
            "monthly": "0.0",
        },
        notes={
            "true_positive": EDIT if answers.true_positive is None else "",
            "false_positive": EDIT if answers.false_positive is None else "",
            "build": EDIT,
            "monthly": EDIT,
        },
        optional={"over": "-0.5", "under": "-2.0", "retraining_per_month": f"100.0  # {EDIT}"},
    )


# -- one table


def _table(
    header: str,
    struct: type[msgspec.Struct],
    values: dict[str, str],
    *,
    notes: dict[str, str] | None = None,
    optional: dict[str, str] | None = None,
    head: Iterable[str] = (),
    sentences: bool = True,
) -> str:
    """Return one table of TOML in the order of its fields; optional ones stand in a comment."""
    lines = [f"[{header}]"]
    for line in head:
        lines += _comment(line)
    for field in msgspec.structs.fields(struct):
        name = field.encode_name
        if sentences and (name in values or name in (optional or {})):
            lines += _comment(_sentence_of(struct, field.name))
        if name in values:
            note = (notes or {}).get(name, "")
            lines.append(f"{name} = {values[name]}" + (f"  # {note}" if note else ""))
        elif name in (optional or {}):
            lines.append(f"# {name} = {(optional or {})[name]}")
    return "\n".join(lines)


def _sentence_of(struct: type[msgspec.Struct], field: str) -> str:
    found = next(one for one in msgspec.structs.fields(struct) if one.name == field)
    parts: Any = getattr(found.type, "__metadata__", ())
    return next((part.description for part in parts if isinstance(part, msgspec.Meta) and part.description), "")


def _comment(text: str, *, indent: str = "# ") -> list[str]:
    return (
        textwrap.wrap(text, width=116, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False)
        if text
        else []
    )


def _plain(name: str) -> str:
    return json.dumps(name, ensure_ascii=False) if not name.isidentifier() else name


def _share(rate: float | None) -> str:
    return "an unknown share" if rate is None else f"{rate:.1%}"


def _list(names: Iterable[str]) -> str:
    return "[" + ", ".join(_quoted(name) for name in names) + "]"
