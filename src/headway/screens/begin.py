"""``headway init``: look at the data, ask what only a human can say, and write the brief.

On a terminal it asks; elsewhere it never does, and leaves what is open marked in the brief. A brief that is there
already is never touched.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from headway.api import BRIEF_FILE
from headway.define.draft import Answers, draft, open_questions
from headway.define.look import look
from headway.errors import BriefError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.define.looks import Looks
    from headway.screens.page import Page

__all__ = ["Begun", "begin", "show"]

_ASKED = (
    ("improves", "Which decision shall get better?"),
    ("action", "What is done when a prediction says so?"),
    ("reaches", "How does the prediction reach whoever decides?"),
    ("owner", "Who owns that decision?"),
)


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
    answers = _ask(looks, target=target) if asks else Answers(target=target)
    _write(path, draft(looks, answers))
    silent = [f"decision.{name}: {question}" for name, question in _ASKED if not getattr(answers, name)]
    return Begun(
        brief=str(path),
        sources={source.name: source.rows for source in looks.sources},
        target=answers.target,
        open=(*open_questions(looks, answers), *silent),
    )


def _ask(looks: Looks, *, target: str) -> Answers:
    """Ask what only a human can say; an empty answer leaves it open."""
    for source in looks.sources:
        click.echo(f"{source.name}: {source.rows:,} rows, {len(source.columns)} columns, from {source.path}", err=True)
    if not target:
        found = sorted((each for source in looks.sources for each in source.targets), key=lambda each: -each.score)[:6]
        for number, each in enumerate(found, start=1):
            click.echo(f"  {number}. {each.label}  (true for {each.base_rate:.1%})", err=True)
        said = click.prompt("What is to be predicted? A number, or a column", default="1" if found else "", err=True)
        target = found[int(said) - 1].column if said.isdigit() and 0 < int(said) <= len(found) else said
    said = {name: click.prompt(question, default="", show_default=False, err=True) for name, question in _ASKED}
    return Answers(target=target, **said)


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
    page.facts([(name, f"{rows:,} rows") for name, rows in begun.sources.items()])
    if begun.open:
        page.section("Only you can say")
        for question in begun.open:
            page.words(f"- {question}", indent=2)
    page.next(
        (f"edit {begun.brief}", "the comments say what each field is for"),
        ("headway check", "to hold it against the data"),
    )
