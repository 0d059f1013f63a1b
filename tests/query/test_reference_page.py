"""docs/brief.md says every field and every function, in the words that the code itself carries.

``HEADWAY_TEST_WRITE_DOCS=1`` writes the page anew.
"""

from __future__ import annotations

import os
import typing
from pathlib import Path

import msgspec

from headway.nouns import brief as nouns
from headway.nouns.brief import Brief, FeatureSpec, Source
from headway.nouns.cleaning import Clean, Once
from headway.query.functions import AGGREGATES, FUNCTIONS

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "brief.md"
TITLE = "<!-- Written by tests/query/test_reference_page.py from the code; edit the descriptions there. -->"
KINDS = {"bool": "condition", "int": "whole", "float": "number", "text": "text", "time": "moment", "span": "length"}
OPERATORS = [
    "+",
    "-",
    "*",
    "/",
    "%",
    "=",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "and",
    "or",
    "not",
    "missing",
    "present",
    "in",
    "negate",
]

INTRODUCTION = """\
# The brief: `headway.toml`

Every table and field, and every function an expression may use. The shape is TOML; what is misspelt is refused with
the line, the key and the word that was probably meant. How time is dealt with stands in [time.md](time.md).

"""

EXPRESSIONS = """\
## Expressions

`arr_delay > 30`, `hour(sched_dep, 'America/New_York')`, `sched_dep - interval 2 hours`, `tailnum is missing`,
`carrier in ('UA', 'B6')`. Texts stand in single quotes (`''` is one of them inside); a column whose name is no plain
word stands in double quotes: `"Order Date"`. Lengths are `interval 90 minutes` or `interval '1.5 days'`; a day is 24
hours. `not` binds closer than `and`, that closer than `or`; functions and words may be written large or small, columns
may not. `predict_at` is the moment of the prediction, in features.

Every function has an answer for every value: where an argument is missing the result is, unless said otherwise; so is
what does not fit into 64 bits, and a day or time of day that does not exist. A zone that does not exist is an error.
Moments are kept in UTC to the microsecond, so whatever reads a clock names its zone. A whole number fits wherever a
number is wanted. Each function gives the same bits in training (the engine's text) and in serving (one row at a time).

"""


def _tables() -> list[tuple[str, type[msgspec.Struct]]]:
    tables: list[tuple[str, type[msgspec.Struct]]] = []
    for field in msgspec.structs.fields(Brief):
        name, kind = field.encode_name, field.type
        inner = typing.get_args(kind)[0] if hasattr(kind, "__metadata__") else kind
        if name == "sources":
            tables += [("sources.NAME", Source), ("sources.NAME.once", Once), ("sources.NAME.clean.NAME", Clean)]
            tables += [("features.NAME, sources.NAME.derive.NAME", FeatureSpec)]
        elif isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            tables.append((name, inner))
    return tables


def _description(field) -> str:
    return next(
        part.description for part in field.type.__metadata__ if isinstance(part, msgspec.Meta) and part.description
    )


_NOTHING = {type(None), msgspec.UnsetType}


def _kind(kind) -> str:
    """Return a type in the words of TOML."""
    if hasattr(kind, "__metadata__"):
        return _kind(typing.get_args(kind)[0])
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(f"`{part!r}`".replace("'", '"') for part in parts if part != "")
    if origin is tuple:
        return f"list of {_kind(parts[0])}"
    if origin is dict:
        return f"table of {_kind(parts[1])}"
    if parts:
        return " or ".join(dict.fromkeys(_kind(part) for part in parts if part not in _NOTHING))
    named = {str: "text", bool: "true or false", int: "whole number", float: "number", FeatureSpec: "long form"}
    named |= {Clean: "table", Once: "table"}
    return named.get(kind, "day" if getattr(kind, "__name__", "") == "date" else "text")


def _default(field) -> str:
    if field.required:
        return "**needed**"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value in ("", None, (), {}, msgspec.UNSET):
        return ""
    return f"`{msgspec.json.encode(value).decode()}`"


def _single() -> list[msgspec.structs.FieldInfo]:
    """Return the fields of the brief that are no tables; they stand above the first one."""
    tables = {name for name, _ in _tables()} | {"sources", "features"}
    return [field for field in msgspec.structs.fields(Brief) if field.encode_name not in tables]


def _fields() -> list[str]:
    lines = ["## Above the first table", "", "| field | type | default | what it is for |", "|---|---|---|---|"]
    lines += [f"| `{f.encode_name}` | {_kind(f.type)} | {_default(f)} | {_description(f)} |" for f in _single()]
    lines.append("")
    for name, struct in _tables():
        lines += [f"## `[{name}]`", "", (struct.__doc__ or "").strip().split("\n\n")[0], ""]
        if struct is FeatureSpec:
            lines += [
                "An expression of the row, a look-up (`from`, `match`, `take` or `value`), a windowed aggregate",
                "(`window`, `value`), a distance on the sphere (`distance`), the nearest place on it (`nearest`) or",
                "an expression of other features (`of`).",
                "",
            ]
        lines += ["| field | type | default | what it is for |", "|---|---|---|---|"]
        lines += [
            f"| `{field.encode_name}` | {_kind(field.type)} | {_default(field)} | {_description(field)} |"
            for field in msgspec.structs.fields(struct)
            if field.name != "fitted"  # written by training
        ]
        lines.append("")
    return lines


def _signatures(name: str) -> str:
    shapes = FUNCTIONS[name].signatures
    if len(shapes) == 6 and name not in {"least", "greatest"}:
        return "all kinds"
    texts = []
    for shape, result in shapes:
        takes = ", ".join(f"{KINDS[kind.rstrip('*')]}{' …' if kind.endswith('*') else ''}" for kind in shape)
        texts.append(f"({takes}) → {KINDS[result]}")
    return "<br>".join(texts)


def _functions() -> list[str]:
    lines = ["| sign | takes → gives | meaning |", "|---|---|---|"]
    lines += [f"| `{name}` | {_signatures(name)} | {FUNCTIONS[name].doc} |" for name in OPERATORS]
    lines += ["", "| function | takes → gives | meaning |", "|---|---|---|"]
    lines += [f"| `{n}` | {_signatures(n)} | {f.doc} |" for n, f in sorted(FUNCTIONS.items()) if n not in OPERATORS]
    lines += ["", "## Aggregates over a window", "", "| aggregate | meaning |", "|---|---|"]
    return lines + [f"| `{name}` | {doc} |" for name, doc in AGGREGATES.items()]


def _page() -> str:
    return "\n".join([TITLE, INTRODUCTION + "\n".join(_fields()), EXPRESSIONS + "\n".join(_functions()), ""])


def test_the_page_of_the_brief_is_current() -> None:
    """A field or function that is not on the page does not exist for its reader."""
    if os.environ.get("HEADWAY_TEST_WRITE_DOCS"):
        PAGE.write_text(_page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == _page(), "HEADWAY_TEST_WRITE_DOCS=1 writes docs/brief.md anew."


def test_every_field_says_what_it_is_for() -> None:
    """The sentence stands in errors, in the file that init writes, and here."""
    for name, struct in _tables():
        for field in msgspec.structs.fields(struct):
            assert _description(field).strip(), f"{name}.{field.encode_name}"
    listed = {struct.__name__ for _, struct in _tables()} | {"Brief"}
    structs = {n for n, kind in vars(nouns).items() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)}
    assert structs - listed <= {"Fitted", "Quota", "Threshold"}
