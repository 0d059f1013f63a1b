"""How a command that did not succeed speaks, and the one table of exit codes.

Nothing here imports more than the tree of errors: a failure must be told even where nothing else works.
"""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING, Any, TextIO

from headway.errors import NO_ROOM, GateClosed, HeadwayError, StoreFull

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EXITS", "Failure", "failure_of", "interrupted", "tell"]

EXITS: dict[str, tuple[int, str]] = {
    "ok": (0, "Done."),
    "bug": (1, "Something failed inside Headway; the words say how to report it."),
    "mistake": (2, "What was asked, the brief, the data or the store does not allow it; the words say what to do."),
    "gate": (3, "A question is open, or a gate is closed: somebody has to decide."),
    "interrupted": (130, "Ctrl-C. What was finished is kept."),
}
"""Name, exit code, meaning. ``docs/commands.md`` carries this table."""

_THEIRS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EMFILE,
    errno.ENFILE,
}


class Failure:
    """What is said at the end, as a person and as a programme read it."""

    __slots__ = ("exit", "parts")

    def __init__(self, kind: str, parts: Mapping[str, Any]) -> None:
        self.exit = EXITS[kind][0]
        self.parts = dict(parts)


def failure_of(error: BaseException) -> Failure:
    """Return what an exception means for whoever typed the command."""
    if isinstance(error, HeadwayError):
        return Failure("gate" if isinstance(error, GateClosed) else "mistake", error.as_dict())
    if isinstance(error, OSError) and error.errno in NO_ROOM | _THEIRS:
        where = str(error.filename or "")
        if error.errno in NO_ROOM:
            full = StoreFull("No space is left on the device.", where=where, hint="Make room, and run it again.")
            return Failure("mistake", full.as_dict())
        what = f"{os.strerror(error.errno)}." if error.errno else str(error)
        parts = {"code": "file-unusable", "error": what, "where": where, "hint": "Check the path and its permissions."}
        return Failure("mistake", parts)
    return Failure(
        "bug",
        {
            "code": "bug",
            "error": f"Something failed inside Headway: {type(error).__name__}: {error}".rstrip(": "),
            "where": "; ".join(getattr(error, "__notes__", ())),
            "hint": "This is a fault of Headway, not yours: please report it, with what --debug adds to it.",
        },
    )


def interrupted(kept: str) -> Failure:
    """Return what is said after Ctrl-C."""
    return Failure("interrupted", {"code": "interrupted", "error": "Interrupted.", "where": "", "hint": kept})


def tell(failure: Failure, *, as_json: bool, out: TextIO, err: TextIO) -> None:
    """Say it: in words on ``err``, or as one JSON object on ``out``, which then holds nothing else."""
    parts = failure.parts
    if as_json:
        out.write(json.dumps({**parts, "exit": failure.exit}, ensure_ascii=False) + "\n")
        out.flush()
        return
    colour = err.isatty() and not os.environ.get("NO_COLOR")
    red, dim, plain = ("\x1b[1;31m", "\x1b[2m", "\x1b[0m") if colour else ("", "", "")
    place = f"{parts['where']}: " if parts["where"] else ""
    word = "stopped" if parts["code"] == "interrupted" else "error"
    err.write(f"{red}{word}:{plain} {place}{parts['error']}\n")
    if parts["hint"]:
        err.write(f"{dim}  {parts['hint']}{plain}\n")
    err.flush()
