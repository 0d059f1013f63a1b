"""What people call a version: its digest or the beginning of it, a source, or so many before a source's newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.errors import NotFound

if TYPE_CHECKING:
    from headway.loop.store import Store

__all__ = ["version_called"]


def version_called(store: Store, text: str) -> str:
    """Return the version that somebody means: its digest or the beginning of it, a source, or ``SOURCE~N``.

    Raises
    ------
    NotFound
        When there is none, or more than one, of that name.
    """
    taken = store.ledger.snapshots()
    by_source: dict[str, list[str]] = {}
    for each in taken:
        by_source.setdefault(each.source, []).append(each.snapshot)
    name, _, back = text.partition("~")
    if name in by_source and (back.isdecimal() or not back):
        versions = by_source[name]
        steps = int(back or 0)
        if steps < len(versions):
            return versions[-1 - steps]
        raise NotFound(
            f"Source {name!r} has {len(versions)} versions; there is none {steps} before the newest.",
            hint="See: headway data versions.",
        )
    found = {each.snapshot for each in taken if len(text) >= 4 and each.snapshot.startswith(text)}
    if len(found) == 1:
        return str(found.pop())
    what = f"{len(found)} versions begin with {text!r}" if found else f"There is no version {text!r}"
    raise NotFound(
        f"{what}.",
        hint=f"Write a digest, at least four digits of it, a source ({', '.join(sorted(by_source)) or 'none yet'}), "
        "or SOURCE~1 for the one before. See: headway data versions.",
    )
