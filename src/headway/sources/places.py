"""Which items a source has just now, wherever its path leads: the one way in for whoever reads data."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from headway.errors import BriefError, did_you_mean
from headway.sources import objects, postgres
from headway.sources.aligned import renaming
from headway.sources.files import file_items

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from headway.nouns.brief import Source
    from headway.sources.item import Held, Item

__all__ = ["items_of"]

_SCHEMES = (*postgres.SCHEMES, *objects.SCHEMES)


@contextmanager
def items_of(name: str, source: Source, *, folder: Path, held: Sequence[Held] = ()) -> Iterator[list[Item]]:
    """Yield the items of source ``name``, in order; what they need (a connection, fetched bytes) lasts as long.

    What several paths lead to is one item, and stands where the first of them puts it.

    Parameters
    ----------
    folder
        Where the brief stands; paths are relative to it.
    held
        What was read before. A growing table is asked for what came after it, and its items begin with these.

    Raises
    ------
    SourceError
        When there is nothing, or it cannot be got at.
    """
    with ExitStack() as open_as_long:
        found: dict[str, Item] = {}
        for path in dict.fromkeys((source.path, *source.also)):
            scheme, marked, _ = path.partition("://")
            if marked and scheme not in _SCHEMES:
                raise BriefError(
                    f"There is no way to read {scheme}://.",
                    where=f"sources.{name}.path",
                    hint=did_you_mean(scheme, _SCHEMES),
                )
            _refuse_what_is_not_for(scheme if marked else "", source, name)
            if not marked:
                for item in file_items(name, source, path, folder=folder):
                    found.setdefault(os.path.realpath(item.where), item)
            elif scheme in postgres.SCHEMES:
                for item in open_as_long.enter_context(postgres.tables_items(name, source, path, held=held)):
                    found[f"{path} {len(found)}"] = item  # a table gives each row once
            else:
                for item in open_as_long.enter_context(objects.object_items(name, source, path)):
                    found.setdefault(item.name, item)
        yield [renaming(item, source, name) for item in found.values()]


def _refuse_what_is_not_for(scheme: str, source: Source, name: str) -> None:
    """Raise for a field that such a place has no use for, rather than leave it without effect."""
    unused = {
        "query": scheme in postgres.SCHEMES,
        "grows_by": scheme in postgres.SCHEMES,
        "credentials": bool(scheme),
        "endpoint": scheme in objects.SCHEMES,
        "region": scheme in objects.SCHEMES,
    }
    for field, used in unused.items():
        if getattr(source, field) and not used and not source.also:
            raise BriefError(
                f"{field} means nothing to {source.path!r}.",
                where=f"sources.{name}.{field}",
                hint="Take it out: query and grows_by are for databases, endpoint and region for object stores, and "
                "a file of this machine needs no credentials.",
            )
