"""How a command is asked, and how it ends.

The file hides click's inner life, where the global options may stand, how a result becomes JSON or a screen, how a
command repeats until it is told to stop, and how every command ends: which exit code, which words, what Ctrl-C does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import click

from headway.errors import HeadwayError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from headway.api import Project
    from headway.screens.page import Page

__all__ = [
    "Asked",
    "Ends",
    "Headway",
    "global_options",
    "leave",
    "opened",
    "repeat",
    "show",
    "take_globals",
    "watching",
]

_KEPT = {
    "run": "Finished steps and trials are kept: headway run goes on where this one stopped.",
    "demo": "What has been done is kept.",
    "tend": "Days that were closed are kept: headway tend goes on with the next.",
    "erase": "The erasure is not finished: ask for it again, with the same words. See: headway data erasures.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The global options, wherever they stood."""

    project: str = "."
    as_of: str = ""
    json: bool = False
    quiet: bool = False
    debug: bool = False


def global_options(*, hidden: bool) -> list[click.Parameter]:
    """Return the options that every command understands; hidden where they would only repeat themselves."""

    def option(*names: str, **how: Any) -> click.Option:
        return click.Option(names, hidden=hidden, **how)

    return [
        option("--project", metavar="DIR", help="The project's folder, or one below it [default: this one]."),
        option("--as-of", metavar="MOMENT", help="What counts as now: 2013-10-01, or 2013-10-01T12:00:00Z."),
        option("--json", is_flag=True, help="Write the result as JSON, and nothing else, to standard output."),
        option("--quiet", "--no-progress", is_flag=True, help="Show no progress."),
        option("--debug", is_flag=True, help="Show the traceback of a failure."),
    ]


class _Command(click.Command):
    """A command after whose name the global options may stand, too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("epilog", "Before or after a command: --project, --as-of, --json, --quiet, --debug.")
        super().__init__(*args, **kwargs)
        self.params.extend(global_options(hidden=True))

    def invoke(self, ctx: click.Context) -> Any:
        """Take the global options, then do what the command does."""
        take_globals(ctx)
        return super().invoke(ctx)


class Headway(click.Group):
    """The group of commands: it knows what was perhaps meant, and how every command ends."""

    command_class = _Command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command by its name, or say which one was perhaps meant."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise click.UsageError(f"There is no command {name!r}. {did_you_mean(name, self.commands)}", ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's shape)
        """Return the commands in the order of the file, which is that of a project's life."""
        return list(self.commands)

    def main(  # type: ignore[override]  # click may also return; this one never does
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **_: Any
    ) -> NoReturn:
        """Run a command and leave with its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        if "_HEADWAY_COMPLETE" in os.environ:
            super().main(words, prog_name or "headway")
        sys.exit(_ended(self, words, prog_name or "headway"))


def take_globals(ctx: click.Context) -> None:
    """Take the global options out of a command's own, over those that were given before it."""
    given = {name: value for name in Asked.__slots__ if (value := ctx.params.pop(name, None))}
    ctx.obj = replace(ctx.obj or Asked(), **given)


class Ends(Exception):
    """A command has said all it has to say, and ends with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@contextlib.contextmanager
def watching(asked: Asked) -> Iterator[Any]:
    """Show progress meanwhile; ``None`` where nobody watches."""
    from headway.screens.progress import watcher

    bars = watcher(quiet=asked.quiet or asked.json)
    if bars is None:
        yield None
        return
    with bars:
        yield bars


@contextlib.contextmanager
def opened(asked: Asked) -> Iterator[Project]:
    """Open the project that was asked about, at the moment that counts as now."""
    from headway.api import Project

    with watching(asked) as progress, Project.open(asked.project, as_of=asked.as_of, progress=progress) as project:
        yield project


def show(asked: Asked, result: Any, screen: Callable[[Page], None], *, line: bool = False) -> None:
    """Write a result: as JSON, or on its screen; ``line`` keeps the JSON of a repeated command on one."""
    if asked.json:
        from headway.screens.plain import as_json

        sys.stdout.write(as_json(result, line=line))
    else:
        from headway.screens.page import Page

        screen(Page())
    sys.stdout.flush()


def repeat(asked: Asked, once: Callable[[], None], *, every: str) -> None:
    """Call ``once``; with a span, again and again until a signal, telling each failure and going on."""
    if not every:
        once()
        return
    import threading

    from headway.nouns.span import parse_span

    pause_s = parse_span(every) / 1e6
    told = threading.Event()

    def stop(_: int, frame: FrameType | None) -> None:  # noqa: ARG001  (the shape of a handler)
        if told.is_set():
            raise KeyboardInterrupt
        told.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not told.is_set():
            try:
                once()
            except (BrokenPipeError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001  (the loop must outlive whatever one round meets; it is told)
                _tell(asked, error)
            told.wait(pause_s)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(asked: Asked, error: BaseException) -> int:
    from headway.screens.failure import failure_of, tell

    if asked.debug:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    failure = failure_of(error)
    try:
        tell(failure, as_json=asked.json, out=sys.stdout, err=sys.stderr)
    except BrokenPipeError:
        raise
    except OSError:  # where the JSON should go there is no room, and it may be that which is to be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        tell(failure, as_json=False, out=sys.stdout, err=sys.stderr)
    return failure.exit


class _Interrupts:
    """Remembers that Ctrl-C was pressed: a library may turn it into an error of its own."""

    def __init__(self) -> None:
        self.seen = False

    def __call__(self, _: int, __: FrameType | None) -> None:
        self.seen = True
        raise KeyboardInterrupt


@contextlib.contextmanager
def _interruptible() -> Iterator[_Interrupts]:
    interrupts = _Interrupts()
    try:
        before = signal.signal(signal.SIGINT, interrupts)
    except ValueError:  # not the main thread: somebody else looks after signals
        yield interrupts
        return
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)


def _ended(group: Headway, words: list[str], name: str) -> int:
    """Run a command, and return its exit code after everything that is to be said was said."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without our letters shows '?' rather than a failure
    asked = Asked(json="--json" in words, debug="--debug" in words)
    try:
        with _interruptible() as interrupts:
            return _tried(group, words, name, asked=asked, interrupts=interrupts)
    except BrokenPipeError:
        # Whoever read the output has seen enough. Nothing is left to write to, not even at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _tried(group: Headway, words: list[str], name: str, *, asked: Asked, interrupts: _Interrupts) -> int:
    try:
        with group.make_context(name, words) as context:
            group.invoke(context)
        sys.stdout.flush()
    except Ends as ends:
        return ends.code
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as wrong:
        return _tell(asked, _worded(wrong))
    except (KeyboardInterrupt, click.Abort):
        return _interrupted(asked, words)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  (the last place that can tell it in words)
        return _interrupted(asked, words) if interrupts.seen else _tell(asked, error)
    return 0


def _interrupted(asked: Asked, words: list[str]) -> int:
    from headway.screens.failure import interrupted, tell

    command = next((word for word in words if word in _KEPT), "")
    failure = interrupted(_KEPT.get(command, "Nothing was left half done."))
    tell(failure, as_json=asked.json, out=sys.stdout, err=sys.stderr)
    return failure.exit


def _worded(wrong: click.ClickException) -> HeadwayError:
    """Return a wrong word on the command line as an error of ours."""
    context = getattr(wrong, "ctx", None)
    command = context.command_path if context is not None else "headway"
    error = HeadwayError(wrong.format_message(), where=command, hint=f"See: {command} --help")
    error.code = "command-line"
    return error


def leave(group: click.Group) -> NoReturn:
    """Run what the command line says, and leave the process with its exit code."""
    from headway.screens.failure import EXITS

    try:
        group.main(prog_name="headway")
    except SystemExit as end:
        # All is done and said. Ctrl-C while libraries written in C are taken down would end in their fault, not ours.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if end.code == EXITS["interrupted"][0]:
            # A step may still be at work in a thread of its own, and would be waited for. The store outlives this.
            os._exit(end.code)
        raise
