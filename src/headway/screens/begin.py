"""``headway init``: look at the data, ask what only a human can say, and write the brief.

On a terminal it asks; elsewhere it never does, and leaves what is open marked in the brief. A brief that is there
already is never touched.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headway.api import BRIEF_FILE
from headway.define.ask import ask_all, asker, take_default
from headway.define.draft import Answers, draft, open_questions
from headway.define.look import look
from headway.errors import BriefError
from headway.screens.figures import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.screens.page import Page

__all__ = ["Begun", "begin", "show"]

_DECISION = ("improves", "action", "reaches", "owner")


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and what a human has still to say."""

    brief: str
    sources: dict[str, int]
    target: str
    open: tuple[str, ...]


def begin(folder: str, *, data: Sequence[str], target: str, asks: bool) -> Begun:
    """Write a brief into ``folder``.

    Raises
    ------
    BriefError
        When there is one already.
    SourceError
        When the data cannot be read.
    """
    place = Path(folder)
    path = place / BRIEF_FILE
    if path.exists():
        raise BriefError(
            f"There is a {BRIEF_FILE} already.",
            where=str(path),
            hint="Edit it; or name another folder: headway init FOLDER.",
        )
    looks = look([*data], folder=place)
    ask = asker(sys.stdin, sys.stderr) if asks else take_default
    answers = ask_all(looks, ask, given=Answers(target=target))
    _write(path, draft(looks, answers))
    silent = [f"Fill in decision.{name}." for name in _DECISION if not getattr(answers, name)]
    return Begun(
        brief=str(path),
        sources={source.name: source.rows for source in looks.sources},
        target=answers.target,
        open=(*open_questions(looks, answers), *silent),
    )


def _write(path: Path, text: str) -> None:
    """Write a file that is there whole or not at all, and that takes no other's place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft_path = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with draft_path.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft_path, path)
    except FileExistsError:
        raise BriefError(f"There is a {BRIEF_FILE} already.", where=str(path), hint="Edit it.") from None
    finally:
        draft_path.unlink(missing_ok=True)


def show(page: Page, begun: Begun) -> None:
    """Write what was begun."""
    page.title(f"Wrote {begun.brief}")
    page.facts([(name, counted(rows, "row")) for name, rows in begun.sources.items()])
    if begun.open:
        page.section("Only you can say")
        for question in begun.open:
            page.words(f"- {question}", indent=2)
    page.next(
        (f"edit {begun.brief}", "the comments say what each field is for"),
        ("headway check", "to hold it against the data"),
    )
