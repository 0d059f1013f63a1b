"""From the text of ``headway.toml`` to a :class:`~headway.nouns.brief.Brief`, with errors that name line and key.

The file hides TOML, and how a key path is found back in the text. It checks shape only: that keys exist and have the
right types, that dates are in order and bars make sense. What can only be said with the data at hand (columns,
expressions) is checked by the Define stage.
"""

from __future__ import annotations

import difflib
import itertools
import re
import tomllib
import typing
from functools import lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from headway.errors import BriefError, HeadwayError, did_you_mean
from headway.nouns.brief import Brief, FeatureSpec, Source, false_alarm_windows, parse_act_on
from headway.nouns.span import parse_span

if typing.TYPE_CHECKING:
    import datetime as dt

__all__ = ["line_of", "parse_brief", "place", "unanswered"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_brief(text: str, *, file: str = "headway.toml") -> Brief:
    """Return the brief that ``text`` defines.

    Parameters
    ----------
    text
        The whole TOML document.
    file
        How errors call it.

    Raises
    ------
    BriefError
        With file, line and key, what was wanted there, and a near word for a misspelt key.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _toml_error(str(error), text, file) from None
    try:
        _refuse_unknown(table, Brief, ())
        _refuse_no_moment(table)
        brief = msgspec.convert(table, Brief, strict=True)
        _check(brief)
    except msgspec.ValidationError as error:
        raise _shape_error(*_exactly(str(error), table, Brief), text, file) from None
    except _At as error:
        raise _placed(error.error, error.path, text, file) from None
    return brief


def line_of(text: str, path: tuple[str, ...]) -> int | None:
    r"""Return the line (from 1) on which the key at ``path`` stands; of its nearest parent if it has no line.

    Examples
    --------
    >>> line_of('[target]\nlabel = "x"\n', ("target", "label"))
    2
    """
    where: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([^\]#]+?)\s*\]+", line):
            table = _keys(header[1])
            where.setdefault(table, number)
        elif key := re.match(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=", line):
            where.setdefault((*table, *_keys(key[1])), number)
            for inner in re.finditer(r"[;,{]\s*([\w-]+|\"[^\"]*\")\s*=", line):
                where.setdefault((*table, *_keys(key[1]), *_keys(inner[1])), number)
    for length in range(len(path), 0, -1):
        if path[:length] in where:
            return where[path[:length]]
    return None


def place(error: HeadwayError, text: str, file: str) -> None:
    r"""Give an error whose ``where`` begins with a key of the brief the line at which that key stands.

    Examples
    --------
    >>> error = BriefError("No.", where="target.label, column 3")
    >>> place(error, '[target]\nlabel = "x"\n', "headway.toml")
    >>> error.where
    'headway.toml:2, target.label, column 3'
    """
    key = error.where.split(",", 1)[0].strip()
    path = tuple(key.split("."))
    if path[0] in _fields(Brief):
        line = line_of(text, path)
        if line is not None:
            error.where = f"{file}:{line}, {error.where}"


def _keys(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.]+", dotted))


class _At(Exception):
    def __init__(self, error: BriefError, *path: str) -> None:
        self.error = error
        self.path = path


def _placed(error: BriefError, path: tuple[str, ...], text: str, file: str) -> BriefError:
    line = line_of(text, path)
    place = f"{file}:{line}" if line else file
    error.where = f"{place}, {'.'.join(path)}" + (f", {error.where}" if error.where else "")
    return error


def _toml_error(message: str, text: str, file: str) -> BriefError:
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    reason = message[: found.start()].strip() if found else message
    where = f"{file}:{found[1]}, column {found[2]}" if found else f"{file}:{len(text.splitlines())}"
    return BriefError(f"This is not TOML: {reason[:1].lower()}{reason[1:]}.", where=where, hint="See https://toml.io.")


def _refuse_unknown(table: Any, kind: Any, path: tuple[str, ...]) -> None:
    """Raise for the first key that no field bears; msgspec alone would not say which word was meant."""
    if not isinstance(table, dict):
        return
    struct = _struct_in(kind)
    if struct is None:
        for name, value in table.items():
            _refuse_unknown(value, _value_type(kind), (*path, name))
        return
    fields = _fields(struct)
    for name, value in table.items():
        if name not in fields:
            place = ".".join(path) or "the brief"
            hint = did_you_mean(name, fields)
            raise _At(BriefError(f"{place} has no field {name!r}.", hint=hint), *path, name)
        _refuse_unknown(value, fields[name].type, (*path, name))


@lru_cache(maxsize=64)
def _fields(struct: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return a struct's fields by the names that the text uses; finding out their types takes milliseconds."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def _struct_in(kind: Any) -> type[msgspec.Struct] | None:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    origin = typing.get_origin(kind)
    if origin is dict:
        return None
    return next((found for part in typing.get_args(kind) if (found := _struct_in(part))), None)


def _value_type(kind: Any) -> Any:
    if typing.get_origin(kind) is dict:
        return typing.get_args(kind)[1]
    return next((_value_type(part) for part in typing.get_args(kind) if "dict" in str(part)), None)


_PATH = re.compile(r" - at `\$\.?(.*?)`$")


def _exactly(message: str, table: Any, kind: Any) -> tuple[str, tuple[str, ...]]:
    """Return what is wrong and at which key: msgspec's own path leaves out the keys of tables whose names are free."""
    found = _PATH.search(message)
    reason = message[: found.start()] if found else message
    before, _, rest = (found[1] if found else "").partition("[...]")
    path = tuple(re.findall(r"[^.\[\]]+", before))
    if not rest and "[...]" not in message:
        return reason, path
    for name in path:
        struct = _struct_in(kind)
        table, kind = table[name], _fields(struct)[name].type if struct is not None else _value_type(kind)
    if not isinstance(table, dict) or (inner := _value_type(kind)) is None:
        return reason, path
    for name, value in table.items():
        try:
            msgspec.convert(value, inner, strict=True)
        except msgspec.ValidationError as error:
            reason, more = _exactly(str(error), value, inner)
            return reason, (*path, name, *more)
    return reason, path


def _shape_error(reason: str, path: tuple[str, ...], text: str, file: str) -> BriefError:
    if missing := re.search(r"missing required field `(\w+)`", reason):
        hint = _field((*path, missing[1]))
        return _placed(
            BriefError(f"{'.'.join(path) or 'the brief'} needs {missing[1]!r}.", hint=hint), path, text, file
        )
    kind, hint = _meant(path)
    choices = [choice for choice in _choices(kind) if choice]
    if (wrong := re.fullmatch(r"Invalid enum value '(.*)'", reason, re.DOTALL)) and choices:
        reason = f"{wrong[1]!r} is none of {', '.join(map(repr, choices))}"
        if difflib.get_close_matches(wrong[1], choices, n=1):
            hint = f"{did_you_mean(wrong[1], choices)} {hint}".rstrip()
    return _placed(BriefError(f"{reason}.", hint=hint), path, text, file)


def _choices(kind: Any) -> tuple[Any, ...]:
    """Return the values that a field of a few fixed ones can have, or a list or table of such."""
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)
    return tuple(choice for part in typing.get_args(kind) for choice in _choices(part))


def _field(path: tuple[str, ...]) -> str:
    """Return the sentence that says what the field at ``path`` is for, or nothing."""
    return _meant(path)[1]


def _meant(path: tuple[str, ...]) -> tuple[Any, str]:
    """Return the type of the field at ``path``, and the sentence that says what it is for, if there is one."""
    kind: Any = Brief
    description = ""
    for name in path:
        struct = _struct_in(kind)
        if struct is None:
            kind = _value_type(kind) or kind  # a list's own type says what its items can be
            continue
        field = next((field for field in msgspec.structs.fields(struct) if field.encode_name == name), None)
        if field is None:
            break
        meta = [part for part in getattr(field.type, "__metadata__", ()) if isinstance(part, msgspec.Meta)]
        description = next((part.description for part in meta if part.description), description)
        kind = field.type
    return kind, description or ""


def _check(brief: Brief) -> None:
    _check_names(brief)
    _check_spans(brief)
    _check_split(brief)
    _check_engine(brief)
    good, least = brief.success.good_enough, brief.success.minimum
    errors = ("log_loss", "brier", "mae", "rmse", "poisson_deviance", "pinball_")
    lower_is_better = brief.success.metric.startswith(errors)
    if (good > least) if lower_is_better else (least > good):
        worse, better = ("below", "above") if lower_is_better else ("above", "below")
        raise _At(
            BriefError(
                f"minimum = {least} is {worse} good_enough = {good}: nothing could be released and the search still "
                "stop content.",
                hint=f"Put minimum at or {better} good_enough.",
            ),
            "success",
            "minimum",
        )


def _check_engine(brief: Brief) -> None:
    engine = brief.engine or "local"
    if not re.fullmatch(r"local|ray|ray://[^\s/:]+:[0-9]+", engine):
        near = difflib.get_close_matches(engine, ("local", "ray"), n=1)
        hint = f"Did you mean {near[0]!r}? " if near and "://" not in engine else ""
        raise _At(
            BriefError(f"There is no engine {engine!r}.", hint=f"{hint}Write 'local', 'ray' or 'ray://host:port'."),
            "engine",
        )


def _check_names(brief: Brief) -> None:
    for table, names in (("sources", brief.sources), ("features", brief.features)):
        for name in names:
            if not _NAME.fullmatch(name):
                error = BriefError(
                    f"{name!r} is not a name.", hint="Use letters, digits and _, not beginning with a digit."
                )
                raise _At(error, table, name)
    _check_target(brief)
    for path, spec in _specs(brief):
        if spec.from_ and spec.from_ not in brief.sources:
            error = BriefError(f"There is no source {spec.from_!r}.", hint=did_you_mean(spec.from_, brief.sources))
            raise _At(error, *path)


def _refuse_no_moment(table: dict[str, Any]) -> None:
    """Raise first of all where rows have no moment of prediction: splits, and much else, follow from it."""
    target = table.get("target")
    if isinstance(target, dict) and target.get("examples") and not (target.get("entities") or target.get("predict_at")):
        error = BriefError(
            "target needs 'predict_at'.", hint="Name the moment at which each row is predicted, such as 'opened_at'."
        )
        raise _At(error, "target", "predict_at")


def _check_target(brief: Brief) -> None:
    """Raise where the target does not say of what its examples are made, or says it twice."""
    target = brief.target
    if bool(target.examples) == bool(target.entities):
        error = BriefError(
            "The target says twice what its examples are."
            if target.examples
            else "The target does not say what its examples are.",
            hint="Write examples = '…' for one a row; or entities = '…' and each = '30 days'.",
        )
        raise _At(error, "target", "examples" if target.examples else "")
    field = "examples" if target.examples else "entities"
    name = target.examples or target.entities
    if name not in brief.sources:
        raise _At(BriefError(f"There is no source {name!r}.", hint=did_you_mean(name, brief.sources)), "target", field)
    if target.examples:
        for unused in ("each", "entity", "starting"):
            if getattr(target, unused):
                hint = "Write entities = '…' instead of examples, or leave it out."
                raise _At(BriefError(f"{unused!r} belongs to entities.", hint=hint), "target", unused)
    elif target.predict_at != "predict_at":
        hint = "Leave out predict_at: each, starting and zone say when."
        raise _At(BriefError("The moments of entities follow from 'each'.", hint=hint), "target", "predict_at")


def _specs(brief: Brief) -> list[tuple[tuple[str, ...], FeatureSpec]]:
    tables: list[tuple[tuple[str, ...], dict[str, str | FeatureSpec]]] = [(("features",), brief.features)]
    tables += [(("sources", name, "derive"), source.derive) for name, source in brief.sources.items()]
    return [
        ((*path, name), spec) for path, table in tables for name, spec in table.items() if isinstance(spec, FeatureSpec)
    ]


def _check_spans(brief: Brief) -> None:
    spans: list[tuple[str, tuple[str, ...]]] = [
        (brief.serve.refresh, ("serve", "refresh")),
        (brief.success.latency_p99, ("success", "latency_p99")),
        (brief.retrain.shadow, ("retrain", "shadow")),
    ]
    given = [(getattr(brief.target, name), name) for name in ("each", "delay")]
    spans += [(text, ("target", name)) for text, name in given if text]
    spans += [
        (text, (*path, field))
        for path, spec in _specs(brief)
        for text, field in ((spec.max_age, "max_age"), (spec.window, "window"), (spec.offset, "offset"))
        if text and (field, text) != ("window", "all")
    ]
    spans += [(word[6:], ("retrain", "when")) for word in brief.retrain.when if word.startswith("every ")]
    for text, path in spans:
        _place(partial(parse_span, text), *path)
    for word in brief.retrain.when:
        if word != "harm" and not word.startswith("every "):
            hint = "Write 'harm' or 'every 30 days'."
            raise _At(BriefError(f"{word!r} is not a reason to retrain.", hint=hint), "retrain", "when")
    _place(lambda: parse_act_on(brief.target.act_on), "target", "act_on")
    _place(lambda: false_alarm_windows(brief.monitor), "monitor", "false_alarm")


def _place(parse: typing.Callable[[], object], *path: str) -> None:
    try:
        parse()
    except BriefError as error:
        raise _At(error, *path) from None


def _check_split(brief: Brief) -> None:
    split = brief.split
    _check_way_of_splitting(brief)
    days: list[tuple[str, dt.date]] = [(f"{name}_before", day) for name, day in split.ends.items()]
    if split.train_from is not None:
        days.insert(0, ("train_from", split.train_from))
    for (earlier, first), (later, second) in itertools.pairwise(days):
        if first >= second:
            error = BriefError(
                f"{later} = {second} is not after {earlier} = {first}.",
                hint="Each stretch of time needs at least a day.",
            )
            raise _At(error, "split", later)
    zones: list[tuple[tuple[str, ...], str]] = [
        (("split", "zone"), split.zone),
        (("target", "zone"), brief.target.zone),
    ]
    zones += [(("sources", name, "zone"), source.zone) for name, source in brief.sources.items()]
    for path, zone in zones:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            error = BriefError(
                f"{zone!r} is not a time zone.", hint="Write a name such as 'UTC' or 'America/New_York'."
            )
            raise _At(error, *path) from None


def _check_way_of_splitting(brief: Brief) -> None:
    """Raise where the split lacks what its way asks for, or has what belongs to another."""
    split = brief.split
    if split.by == "time":
        for name in ("train", "validate", "test"):
            if name not in split.ends:
                hint = f"Write {name}_before = 2024-03-01, say; or by = 'group' where the data have no order in time."
                raise _At(BriefError(f"split needs '{name}_before'.", hint=hint), "split")
    unwanted = [f"{name}_before" for name in split.ends] if split.by != "time" else []
    unwanted += ["group"] if split.group and split.by != "group" else []
    unwanted += ["shares"] if split.shares and split.by == "time" else []
    for name in unwanted:
        error = BriefError(f"A split by {split.by} has no {name}.", hint=f"Take {name} out, or change by.")
        raise _At(error, "split", name)
    if split.by == "group" and not split.group:
        error = BriefError("The split is by group and names none.", hint="Write group = ['household'], say.")
        raise _At(error, "split", "group")
    if split.by != "time" and (min(split.parts.values()) <= 0 or abs(sum(split.parts.values()) - 1) > 1e-9):
        error = BriefError(
            f"shares = {list(split.parts.values())} are not three shares of a whole.",
            hint="Write shares = [0.6, 0.2, 0.2]: each above 0, together 1.",
        )
        raise _At(error, "split", "shares")
    learns = [
        (name, column)
        for name, source in brief.sources.items()
        for column, clean in source.clean.items()
        if clean.learns
    ]
    if split.by != "time" and learns:
        name, column = learns[0]
        error = BriefError(
            f"What {column!r} is cleaned by is learned from the training period, and a split by {split.by} has none.",
            hint="Say the bounds and the stand-in as numbers, or split by time.",
        )
        raise _At(error, "sources", name, "clean", column)


def unanswered(source: Source) -> list[str]:
    """Return which questions about a source's provenance its brief leaves open."""
    questions = {
        "licence": source.licence,
        "owner": source.owner,
        "access": source.access,
        "personal": source.personal,
        "retention": source.retention,
    }
    return [name for name, answer in questions.items() if answer in {"", None}]
