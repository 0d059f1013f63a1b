"""What is seen while a command works: the steps by name, how far each is, how long it took.

On a terminal only; a pipe and a log get none of it. The file hides rich's live display.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress as Display
    from rich.progress import TaskID

__all__ = ["Bars", "step_words", "watcher"]

_STEPS = {
    "collect": "Read the sources",
    "freeze": "Freeze the dataset",
    "leaks": "Look for leaks",
    "search": "Search for a model",
    "judge": "Judge it on the test period",
    "package": "Fit on everything, and package",
    "last moment": "Find the last moment of the data",
    "materialise": "Fill the online store",
    "live": "Live through three months",
}


def step_words(step: str) -> str:
    """Return what a step does, in plain words.

    Examples
    --------
    >>> step_words("freeze"), step_words("close the day")
    ('Freeze the dataset', 'Close the day')
    """
    return _STEPS.get(step) or f"{step[:1].upper()}{step[1:]}"


class Bars:
    """A :class:`~headway.engine.progress.Progress` for a terminal; a context manager, and silent after its end.

    Steps may tell it from threads of their own.
    """

    def __init__(self) -> None:
        self._display: Display | None = None
        self._tasks: dict[str, TaskID] = {}
        self._over = False
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._over = True
            if self._display is not None:
                self._display.stop()

    def start(self, step: str, *, total: int | None = None) -> None:
        """Show a step, or that its number of parts is known now."""
        with self._lock:
            if self._over:
                return
            display = self._shown()
            if step in self._tasks:
                display.update(self._tasks[step], total=total, parts=_parts(0, total))
            else:
                self._tasks[step] = display.add_task(step_words(step), total=total, note="", parts=_parts(0, total))

    def advance(self, step: str, amount: int = 1, *, note: str = "") -> None:
        """Move a step on, and show its note."""
        with self._lock:
            self._known(step)
            if self._over:
                return
            display, task = self._shown(), self._tasks[step]
            display.advance(task, amount)
            shown = next(each for each in display.tasks if each.id == task)
            parts = _parts(int(shown.completed), None if shown.total is None else int(shown.total))
            display.update(task, parts=parts, note=note or shown.fields["note"])

    def finish(self, step: str, *, reused: bool, seconds: float) -> None:
        """Leave the step's line standing, with what it took."""
        with self._lock:
            self._known(step)
            if self._over:
                return
            took = f"{seconds:.1f} s" if seconds >= 0.05 else "at once"
            parts = "unchanged" if reused else took
            self._shown().update(self._tasks.pop(step), total=1, completed=1, parts=parts)

    def say(self, line: str) -> None:
        """Write a line above the steps; it stays."""
        with self._lock:
            if not self._over:
                self._shown().console.print(line, highlight=False, markup=False)

    def _known(self, step: str) -> None:
        """Show a step that was never started."""
        if step not in self._tasks:
            self.start(step)

    def _shown(self) -> Display:
        if self._display is None:
            from rich.console import Console
            from rich.progress import Progress as Display
            from rich.progress import SpinnerColumn, TextColumn

            self._display = Display(
                SpinnerColumn(finished_text="[green]✓[/]", style="dim"),
                TextColumn("{task.description}", markup=False),
                TextColumn("{task.fields[parts]}", style="cyan", markup=False),
                TextColumn("{task.fields[note]}", style="dim", markup=False),
                console=Console(stderr=True),
                refresh_per_second=8,
            )
            self._display.start()
        return self._display


def watcher(*, quiet: bool) -> Bars | None:
    """Return bars where somebody can see them, and ``None`` elsewhere."""
    return None if quiet or not sys.stderr.isatty() else Bars()


def _parts(done: int, total: int | None) -> str:
    return f"{done} of {total}" if total is not None else f"{done}" if done else ""
