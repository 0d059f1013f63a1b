"""Secrets: read from the environment variables that the brief names, and handed to a driver; never shown or kept."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from headway.errors import BriefError, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.nouns.brief import Source

__all__ = ["credentials_of"]


def credentials_of(source: Source, name: str, *, allowed: Sequence[str]) -> dict[str, str]:
    """Return the secrets of source ``name`` by what they are for.

    Raises
    ------
    BriefError
        When the brief names one that such a source has no use for.
    SourceError
        When the environment does not have it.
    """
    found: dict[str, str] = {}
    for part, variable in source.credentials.items():
        where = f"sources.{name}.credentials.{part}"
        if part not in allowed:
            raise BriefError(
                f"A source at {source.path.partition('://')[0]}:// has no use for a {part}.",
                where=where,
                hint=f"It takes {', '.join(allowed)}.",
            )
        value = os.environ.get(variable, "")
        if not value:
            raise SourceError(
                f"There is no environment variable {variable!r}, which is to hold the {part} of source {name!r}.",
                where=where,
                hint=f"Set it before the command: export {variable}=…",
            )
        found[part] = value
    return found
