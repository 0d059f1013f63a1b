"""Which items a source has just now, wherever its path leads: the one way in for whoever reads data."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from headway.sources.files import file_items

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from headway.nouns.brief import Source
    from headway.sources.item import Held, Item

__all__ = ["items_of"]


@contextmanager
def items_of(name: str, source: Source, *, folder: Path, held: Sequence[Held] = ()) -> Iterator[list[Item]]:  # noqa: ARG001
    """Yield the items of source ``name``, in order; what they need (a connection, fetched bytes) lasts as long.

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
    yield file_items(name, source, source.path, folder=folder)
