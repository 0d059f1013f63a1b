"""From the text of ``headway.toml`` to a :class:`~headway.nouns.brief.Brief`, with errors that name line and key.

The file hides TOML, and how a key path is found back in the text. It checks shape: that keys exist and have the right
types. Whether they make sense together is asked in ``nouns/brief_sense.py``; what can only be said with the data at
hand (columns, expressions) is checked by the Define stage.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from functools import lru_cache
from typing import Any

import msgspec

from headway.errors import BriefError, HeadwayError, did_you_mean
from headway.nouns.brief import Brief, Source
from headway.nouns.brief_sense import At, check_sense, refuse_no_moment

__all__ = ["line_of", "parse_brief", "place", "unanswered"]


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
        refuse_no_moment(table)
        brief = msgspec.convert(table, Brief, strict=True)
        check_sense(brief)
    except msgspec.ValidationError as error:
        raise _shape_error(*_exactly(str(error), table, Brief), text, file) from None
    except At as error:
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
            raise At(BriefError(f"{place} has no field {name!r}.", hint=hint), *path, name)
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
    if re.match(r"Expected `(str|array)` of length >= 1", reason):
        reason = "Nothing is said here"
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
