"""A page of text: aligned, sparing with colour on a terminal, plain and stable where it is piped.

The file hides rich, and what of it is used: on a terminal text is wrapped to its width; elsewhere no line is wrapped,
coloured or padded at its end, so that a script may cut it.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, TextIO

from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

__all__ = ["Branch", "Cell", "Page", "Tone"]

Tone = str
"""How a piece of text is meant: "good", "warn", "bad", "strong", "dim" or "" ."""

Cell = "str | tuple[str, Tone]"
"""A text, or a text and its tone."""

_STYLES = {"good": "green", "warn": "yellow", "bad": "bold red", "strong": "bold", "dim": "dim", "": ""}
_WIDEST = 110
_UNWRAPPED = 100_000


class Branch:
    """A line of a tree, with the lines under it."""

    __slots__ = ("branches", "text", "tone")

    def __init__(self, text: str, *branches: Branch, tone: Tone = "") -> None:
        self.text = text
        self.tone = tone
        self.branches = list(branches)

    def add(self, text: str, *, tone: Tone = "") -> Branch:
        """Put a line below, and return it."""
        branch = Branch(text, tone=tone)
        self.branches.append(branch)
        return branch


class Page:
    """Where a screen is written, from the top down.

    Parameters
    ----------
    stream
        Standard output by default.

    Examples
    --------
    >>> page = Page(io.StringIO())
    >>> page.title("Runs", "2 of them")
    >>> page.table(["run", "AP"], [["r1", "0.31"], ["r20", ("0.35", "good")]], right=[1])
    >>> print(page.stream.getvalue(), end="")
    Runs  2 of them
    run    AP
    r1   0.31
    r20  0.35
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stdout
        self.terminal = self.stream.isatty()
        self._console = Console(
            file=self.stream if self.terminal else io.StringIO(),
            force_terminal=self.terminal,
            color_system="auto" if self.terminal else None,
            width=None if self.terminal else _UNWRAPPED,
            highlight=False,
            markup=False,
            emoji=False,
        )
        if self.terminal:
            self._console.width = min(self._console.width, _WIDEST)
        self._begun = False

    def title(self, text: str, note: str = "", *, tone: Tone = "dim") -> None:
        """Begin a screen."""
        line = Text(text, style="bold")
        if note:
            line.append("  ").append(note, style=_STYLES[tone])
        self._put(line)

    def section(self, text: str, note: str = "", *, tone: Tone = "dim") -> None:
        """Begin a part of a screen, with an empty line before it."""
        if self._begun:
            self._put(Text(""))
        self.title(text, note, tone=tone)

    def words(self, text: str, *, tone: Tone = "", indent: int = 0) -> None:
        """Write a paragraph."""
        self._put(Padding(Text(text, style=_STYLES[tone]), (0, 0, 0, indent), expand=False))

    def gap(self) -> None:
        """Write an empty line."""
        self._put(Text(""))

    def facts(self, facts: Iterable[tuple[str, Cell]], *, indent: int = 2) -> None:
        """Write labels with their values beside them."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column()
        rows = 0
        for label, value in facts:
            grid.add_row(label, _text(value))
            rows += 1
        if rows:
            self._put(Padding(grid, (0, 0, 0, indent), expand=False))

    def table(
        self, heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, right: Iterable[int] = (), indent: int = 0
    ) -> None:
        """Write a table under its heads; the columns numbered in ``right`` hold figures."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        figures = set(right)
        for number, head in enumerate(heads):
            table.add_column(head, justify="right" if number in figures else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_text(cell) for cell in row))
        self._put(Padding(table, (0, 0, 0, indent), expand=False))

    def tree(self, root: Branch) -> None:
        """Write a tree."""
        self._put(_grown(root))

    def next(self, *commands: tuple[str, str]) -> None:
        """Say which commands may follow, each with what it is for."""
        if self._begun:
            self.gap()
        self.facts(
            (
                (f"next: {command}" if not at else f"      {command}", what)
                for at, (command, what) in enumerate(commands)
            ),
            indent=0,
        )

    def _put(self, what: RenderableType) -> None:
        self._begun = True
        if self.terminal:
            self._console.print(what)
            return
        with self._console.capture() as caught:
            self._console.print(what)
        lines = caught.get().removesuffix("\n").split("\n")
        self.stream.write("".join(f"{line.rstrip()}\n" for line in lines))


def _text(cell: Cell) -> Text:
    if isinstance(cell, tuple):
        return Text(cell[0], style=_STYLES[cell[1]])
    return Text(cell)


def _grown(branch: Branch, into: Tree | None = None) -> Tree:
    label: RenderableType = Group(*(Text(line, style=_STYLES[branch.tone]) for line in branch.text.split("\n")))
    tree = Tree(label, guide_style="dim") if into is None else into.add(label)
    for each in branch.branches:
        _grown(each, tree)
    return tree
