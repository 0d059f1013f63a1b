"""Items of one table that differ in their columns, brought to the same ones as far as the brief allows it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from headway.errors import SourceError, did_you_mean
from headway.query.compile import quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headway.nouns.brief import Source
    from headway.query.database import Database
    from headway.sources.item import Item
    from headway.sources.opened import Opened

__all__ = ["aligned", "renaming"]


def aligned(file: Opened, wanted: Mapping[str, str], source: Source, *, item: str) -> Opened:
    """Return an item with the columns that are wanted, as far as the brief says how.

    What is missing is filled up where ``missing_columns`` or ``extra_columns`` says so; what is more is left out where
    ``extra_columns`` says so. Anything else stays as it is, and is for the caller to refuse.

    Parameters
    ----------
    wanted
        Name to engine type; empty where nothing is known yet, and the item's own columns are those that are wanted.
    item
        What the item is called, for errors.

    Raises
    ------
    SourceError
        When a column that would be added or left out is one that is wanted but for its capitals.
    """
    wanted = wanted or file.columns
    if source.missing_columns == source.extra_columns == "refuse":
        return file
    _refuse_other_capitals(file, wanted, item)
    fills = source.missing_columns == "fill" or source.extra_columns == "add"
    missing = {name: kind for name, kind in wanted.items() if name not in file.columns} if fills else {}
    left_out = {name for name in file.columns if name not in wanted} if source.extra_columns == "ignore" else set()
    if not missing and not left_out:
        return file
    kept = [name for name in file.columns if name not in left_out]

    def relation(types: Mapping[str, str]) -> str:
        own = {name: kind for name, kind in types.items() if name in file.columns}
        texts = [quote(name) for name in kept]
        texts += [f"CAST(NULL AS {types.get(name, kind)}) AS {quote(name)}" for name, kind in missing.items()]
        return f"(SELECT {', '.join(texts)} FROM {file.relation(own)})"

    columns = {**{name: file.columns[name] for name in kept}, **missing}
    certain = None if (surer := file.certain) is None else lambda: aligned(surer(), wanted, source, item=item)
    return replace(file, columns=columns, relation=relation, certain=certain)


def _refuse_other_capitals(file: Opened, wanted: Mapping[str, str], item: str) -> None:
    """Raise for one column under two names, of which one would be filled up and the other added or left out."""
    known = {name.casefold(): name for name in reversed(list(wanted))}
    for name in file.columns:
        twin = known.get(name.casefold(), name)
        if twin != name:
            raise SourceError(
                f"{item} has a column {name!r} where others have {twin!r}, which differ in small and capital letters "
                "alone.",
                where=item,
                hint=f"Rename one in its file, or set rename = {{ {json.dumps(name)} = {json.dumps(twin)} }}.",
            )


def renaming(item: Item, source: Source, name: str) -> Item:
    """Return an item whose columns are called as the brief calls them."""
    return replace(item, opened=partial(_renamed, item, source, name)) if source.rename else item


@contextmanager
def _renamed(item: Item, source: Source, name: str, database: Database) -> Iterator[Opened]:
    with item.opened(database) as file:
        yield _called_anew(file, item.name, source, name)


def _called_anew(file: Opened, item: str, source: Source, name: str) -> Opened:
    for there, here in source.rename.items():
        where = f"sources.{name}.rename.{there}"
        if there not in file.columns and here not in file.columns and source.missing_columns == "refuse":
            raise SourceError(
                f"{item} has no column {there!r}, and none that is called {here!r} already.",
                where=where,
                hint=did_you_mean(there, file.columns),
            )
    called = {column: source.rename.get(column, column) for column in file.columns}
    _refuse_one_name(called, source, item, name)

    def relation(types: Mapping[str, str]) -> str:
        texts = ", ".join(f"{quote(there)} AS {quote(here)}" for there, here in called.items())
        own = {there: types[here] for there, here in called.items() if here in types}
        return f"(SELECT {texts} FROM {file.relation(own)})"

    columns = {called[column]: kind for column, kind in file.columns.items()}
    certain = None if (surer := file.certain) is None else lambda: _called_anew(surer(), item, source, name)
    return replace(file, columns=columns, relation=relation, certain=certain)


def _refuse_one_name(called: Mapping[str, str], source: Source, item: str, name: str) -> None:
    """Raise for two columns that would be called the same: the engine knows no capitals, and one would be lost."""
    first: dict[str, str] = {}
    for there, here in called.items():
        other = first.setdefault(here.casefold(), there)
        if other != there:
            renamed, twin = (there, other) if there in source.rename else (other, there)
            said = f"which is to be called {source.rename[renamed]!r}"
            if twin in source.rename:
                said = f"and both are to be called {here!r}"
            raise SourceError(
                f"{item} has a column {twin!r} as well as {renamed!r}, {said}.",
                where=f"sources.{name}.rename.{renamed}",
                hint="Rename one of them otherwise.",
            )
