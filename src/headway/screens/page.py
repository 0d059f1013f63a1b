"""A page of text: aligned, sparing with colour on a terminal, plain and stable where it is piped.

The file hides how a page is set. On a terminal rich does it: colours, and lines wrapped to the width. Elsewhere no line
is wrapped, coloured or padded at its end, so that a script may cut it; rich is not even loaded.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["Branch", "Cell", "Page", "Tone"]

Tone: TypeAlias = str
"""How a piece of text is meant: "good", "warn", "bad", "strong", "dim", or "" for nothing special."""

Cell: TypeAlias = "str | tuple[str, Tone]"
"""A text, or a text and its tone."""

_STYLES = {"good": "green", "warn": "yellow", "bad": "bold red", "strong": "bold", "dim": "dim", "": ""}
_WIDEST = 116
_GAP = 2


class Branch:
    """A line of a tree, with the lines under it."""

    __slots__ = ("branches", "text", "tone")

    def __init__(self, text: str, *, tone: Tone = "") -> None:
        self.text = text
        self.tone = tone
        self.branches: list[Branch] = []

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
    >>> page = Page()
    >>> page.title("Runs", "2 of them")
    Runs  2 of them
    >>> page.table(["run", "AP"], [["r1", "0.31"], ["r20", ("0.4", "good")]], right=[1])
    run    AP
    r1   0.31
    r20   0.4
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._rich = _Rich(self._stream) if self._stream.isatty() else None
        self._begun = False

    def line(self, *cells: Cell, indent: int = 0) -> None:
        """Write texts side by side, two spaces apart."""
        self._begun = True
        shown = [cell for cell in cells if _plain(cell)]
        if self._rich is not None:
            self._rich.line(shown, indent=indent)
            return
        self._write([" " * indent + (" " * _GAP).join(_plain(cell) for cell in shown)])

    def title(self, text: str, note: str = "", *, tone: Tone = "dim") -> None:
        """Begin a screen."""
        self.line((text, "strong"), (note, tone))

    def section(self, text: str, note: str = "", *, tone: Tone = "dim") -> None:
        """Begin a part of a screen, with an empty line before it."""
        if self._begun:
            self.gap()
        self.title(text, note, tone=tone)

    def words(self, text: str, *, tone: Tone = "", indent: int = 0) -> None:
        """Write a paragraph."""
        self.line((text, tone), indent=indent)

    def gap(self) -> None:
        """Write an empty line."""
        self._write([""])

    def facts(self, facts: Iterable[tuple[str, Cell]], *, indent: int = 2) -> None:
        """Write labels with their values beside them."""
        self._table([], [[(label, "dim"), value] for label, value in facts], right=(), indent=indent)

    def table(
        self, heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, right: Iterable[int] = (), indent: int = 0
    ) -> None:
        """Write a table under its heads; the columns numbered in ``right`` hold figures."""
        self._table(heads, rows, right=frozenset(right), indent=indent)

    def tree(self, root: Branch) -> None:
        """Write a tree."""
        self._begun = True
        if self._rich is not None:
            self._rich.tree(root)
        else:
            self._write(_tree_lines(root, "", ""))

    def next(self, *commands: tuple[str, str]) -> None:
        """Say which commands may follow, each with what it is for."""
        self.gap()
        first = "next: "
        rows = [
            (f"{first if not at else ' ' * len(first)}{command}", what) for at, (command, what) in enumerate(commands)
        ]
        self._table([], [[(command, "strong"), (what, "dim")] for command, what in rows], right=(), indent=0)

    def _table(
        self, heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, right: Iterable[int], indent: int
    ) -> None:
        self._begun = True
        if not rows:
            return
        if self._rich is not None:
            self._rich.table(heads, rows, right=right, indent=indent)
            return
        texts = [list(heads)] if any(heads) else []
        texts += [[_plain(cell).replace("\n", " ") for cell in row] for row in rows]
        widths = [max(len(row[at]) for row in texts) for at in range(len(texts[0]))]
        gap = " " * _GAP
        self._write(
            " " * indent
            + gap.join(
                text.rjust(w) if at in right else text.ljust(w)
                for at, (text, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in texts
        )

    def _write(self, lines: Iterable[str]) -> None:
        self._stream.write("".join(f"{line.rstrip()}\n" for line in lines))


class _Rich:
    """The same on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console: Console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._console.width = min(self._console.width, _WIDEST)

    def line(self, cells: Sequence[Cell], *, indent: int) -> None:
        from rich.text import Text

        line = Text()
        for cell in cells:
            line.append(" " * _GAP if line else "").append_text(_text(cell))
        self._print(line, indent=indent)

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[Cell]], *, right: Iterable[int], indent: int) -> None:
        from rich.table import Table

        table: Table = Table(
            box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim", show_header=any(heads)
        )
        for at in range(len(rows[0])):
            table.add_column(
                heads[at] if heads else "",
                justify="right" if at in right else "left",
                # The last column gives way first: it holds the sentences.
                no_wrap=at < len(rows[0]) - 1 and max(len(_plain(row[at])) for row in rows) <= _WIDEST // 3,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(_text(cell) for cell in row))
        self._print(table, indent=indent)

    def tree(self, root: Branch) -> None:
        from rich.tree import Tree

        def grown(branch: Branch, tree: Tree) -> Tree:
            for each in branch.branches:
                grown(each, tree.add(_text((each.text, each.tone))))
            return tree

        self._print(grown(root, Tree(_text((root.text, root.tone)), guide_style="dim")), indent=0)

    def _print(self, what: RenderableType, *, indent: int) -> None:
        from rich.padding import Padding

        self._console.print(Padding(what, (0, 0, 0, indent)) if indent else what)


def _plain(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell[0]


def _text(cell: Cell) -> Text:
    from rich.text import Text

    return Text(_plain(cell), style="" if isinstance(cell, str) else _STYLES[cell[1]])


def _tree_lines(branch: Branch, first: str, rest: str) -> Iterator[str]:
    yield first + branch.text.replace("\n", " ")
    for at, each in enumerate(branch.branches):
        last = at == len(branch.branches) - 1
        yield from _tree_lines(each, rest + ("└── " if last else "├── "), rest + ("    " if last else "│   "))
