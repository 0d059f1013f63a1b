"""The command line: words in, one call of the project, one screen out.

Nothing is computed here, and nothing heavy is imported before a command runs: ``headway --help`` costs little more than
Python and click. The file hides click, where the global options may stand, and how a command ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import click

from headway.errors import HeadwayError, StoreCorrupt, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from headway.api import Project
    from headway.screens.page import Page

__all__ = [
    "check",
    "cli",
    "demo",
    "deploy",
    "findings",
    "history",
    "init",
    "main",
    "materialize",
    "outcomes",
    "override",
    "predict",
    "rollback",
    "run",
    "runs",
    "serve",
    "status",
    "tend",
    "trace",
    "verify",
    "version",
]

_KEPT = {
    "run": "Finished steps and trials are kept: headway run goes on where this one stopped.",
    "demo": "What has been done is kept.",
    "tend": "Days that were closed are kept: headway tend goes on with the next.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The global options, wherever they stood."""

    project: str = "."
    as_of: str = ""
    json: bool = False
    quiet: bool = False
    debug: bool = False


def _global_options(*, hidden: bool) -> list[click.Parameter]:
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
        self.params.extend(_global_options(hidden=True))

    def invoke(self, ctx: click.Context) -> Any:
        _take_globals(ctx)
        return super().invoke(ctx)


class _Headway(click.Group):
    """The group that knows what was perhaps meant, and how every command ends."""

    command_class = _Command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise click.UsageError(f"There is no command {name!r}. {did_you_mean(name, self.commands)}", ctx)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's shape)
        return list(self.commands)

    def main(  # type: ignore[override]  # click may also return; this one never does
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **_: Any
    ) -> NoReturn:
        """Run a command and leave with its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        if "_HEADWAY_COMPLETE" in os.environ:
            super().main(words, prog_name or "headway")
        sys.exit(_ended(self, words, prog_name or "headway"))


def _take_globals(ctx: click.Context) -> None:
    given = {name: value for name in _Asked.__slots__ if (value := ctx.params.pop(name, None))}
    ctx.obj = replace(ctx.obj or _Asked(), **given)


@click.group("headway", cls=_Headway, params=_global_options(hidden=False), invoke_without_command=True)
@click.pass_context
def cli(ctx: click.Context, /, **_: Any) -> None:
    r"""From a business decision to a living model in production.

    A project is a folder with a brief, headway.toml. Begin one from your data:

    \b
      headway init --data FILE     write the brief
      headway check                hold it against the data
      headway run                  train, validate and package
      headway deploy               put the result into service
      headway serve                answer over HTTP
      headway tend                 watch it, retrain it
    """
    _take_globals(ctx)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


# -- Define


@cli.command()
@click.argument("folder", required=False)
@click.option("--data", "data", multiple=True, metavar="PATH", help="A file to look at; may be given several times.")
@click.option("--target", default="", metavar="COLUMN", help="The column to be predicted.")
@click.option("--yes", is_flag=True, help="Ask nothing, and take what the data suggest.")
@click.pass_obj
def init(asked: _Asked, /, folder: str | None, data: tuple[str, ...], target: str, *, yes: bool) -> None:
    """Write a commented headway.toml from a look at the data.

    On a terminal the open questions are asked; elsewhere, and with --yes, nothing is asked.
    """
    from headway.screens import begin

    asks = not yes and not asked.json
    begun = begin.begin(folder or asked.project, data=data, target=target, asks=asks)
    _show(asked, begun, lambda page: begin.show(page, begun))


@cli.command()
@click.pass_obj
def check(asked: _Asked, /) -> None:
    """Hold the brief against the data: five questions, answered.

    Exit code 3 says that a gate is closed.
    """
    from headway.screens.check import show_check
    from headway.screens.failure import EXITS

    with _project(asked) as project:
        checked = project.check()
    _show(asked, checked, lambda page: show_check(page, checked))
    if checked.closed_gates:
        raise _Ends(EXITS["gate"][0])


@cli.command()
@click.argument("gate")
@click.option("--by", required=True, metavar="NAME", help="Who takes the responsibility.")
@click.option("--why", required=True, metavar="REASON", help="Why the gate is passed all the same.")
@click.pass_obj
def override(asked: _Asked, /, gate: str, by: str, why: str) -> None:
    """Pass a closed gate, under a name and with a reason.

    The ledger keeps both. The gates are those that headway check names: decision, receiver, data, worth.
    """
    with _project(asked) as project:
        project.override(gate, by=by, why=why)
    done = {"gate": gate, "by": by, "why": why}
    _show(asked, done, lambda page: page.words(f"Gate {gate!r} is passed by {by}: {why}"))


# -- Data, Build, Validate


@cli.command()
@click.pass_obj
def run(asked: _Asked, /) -> None:
    """Train, validate and package; only what changed is done.

    A run that was interrupted goes on where it stopped, and comes to the same model.
    """
    from headway.screens.run import show_run

    with _project(asked) as project:
        report = project.run()
        trials = [] if asked.json else project.table("trials").to_pylist()
    _show(asked, report, lambda page: show_run(page, report, trials=trials))


# -- Deploy


@cli.command()
@click.argument("run", required=False, default="")
@click.option("--by", default="", metavar="NAME", help="Who deploys [default: you].")
@click.option("--why", default="", metavar="REASON", help="Why this one.")
@click.option("--override", "override", default="", metavar="REASON", help="Why a failed gate is passed all the same.")
@click.pass_obj
def deploy(asked: _Asked, /, run: str, by: str, why: str, override: str) -> None:
    """Put the model of a run into service: the newest, or RUN.

    A server that runs takes it at once. A run that did not pass its gates needs --override, and --by.
    """
    from headway.screens.deploy import show_deployed

    with _project(asked) as project:
        deployed = project.deploy(run, by=by, why=why, override=override)
    _show(asked, deployed, lambda page: show_deployed(page, deployed, verb="in service"))


@cli.command()
@click.option("--to", default="", metavar="RELEASE", help="Which release [default: the one before].")
@click.option("--by", default="", metavar="NAME", help="Who does it [default: you].")
@click.option("--why", default="", metavar="REASON", help="Why.")
@click.pass_obj
def rollback(asked: _Asked, /, to: str, by: str, why: str) -> None:
    """Put the release before this one back into service."""
    from headway.screens.deploy import show_deployed

    with _project(asked) as project:
        deployed = project.rollback(to=to, by=by, why=why)
    _show(asked, deployed, lambda page: show_deployed(page, deployed, verb="back in service"))


@cli.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Where to listen; more than this machine needs a token."
)
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes any that is free."
)
@click.option(
    "--durability",
    type=click.Choice(["process", "disk"]),
    default="process",
    show_default=True,
    help="When an answer counts as logged: written (survives the process), or on the disk (survives the machine).",
)
@click.pass_obj
def serve(asked: _Asked, /, host: str, port: int, durability: Any) -> None:
    """Answer predictions over HTTP until told to stop.

    Callers send the secret that HEADWAY_TOKEN holds, if it is set: Authorization: Bearer SECRET.
    """
    from headway.screens.deploy import show_serving
    from headway.server.project import serve_project

    with _project(asked) as project:
        serve_project(
            project,
            host=host,
            port=port,
            token=os.environ.get("HEADWAY_TOKEN", ""),
            level=durability,
            on_ready=lambda address: _show(asked, {"address": address}, lambda page: show_serving(page, address)),
        )


@cli.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@click.pass_obj
def predict(asked: _Asked, /, source: str, target: str) -> None:
    """Answer the rows of a file, as the server would.

    The same model, look-ups, checks and log as over HTTP. IN and OUT are CSV, JSON lines or Parquet, by the ends of
    their names.
    """
    from headway.screens.deploy import show_predicted

    with _project(asked) as project:
        done = project.predict_file(source, target)
    _show(asked, done, lambda page: show_predicted(page, done))


@cli.command()
@click.option("--every", default="", metavar="SPAN", help="Again and again, e.g. '10 minutes', until told to stop.")
@click.pass_obj
def materialize(asked: _Asked, /, every: str) -> None:
    """Fill the online store with what is known now."""
    from headway.screens.deploy import show_materialised

    def once() -> None:
        with _project(asked) as project:
            done = project.materialize()
        _show(asked, done, lambda page: show_materialised(page, done), line=bool(every))

    _repeat(asked, once, every=every)


# -- Monitor, Loop


@cli.command()
@click.argument("file")
@click.option("--skip-unknown", is_flag=True, help="Leave out, and count, outcomes of predictions that are not known.")
@click.pass_obj
def outcomes(asked: _Asked, /, file: str, *, skip_unknown: bool) -> None:
    """Join what really happened to what was predicted.

    FILE (CSV, JSON lines or Parquet) has a column label, and prediction (the id in the reply) or the key's columns.
    """
    from headway.screens.deploy import show_outcomes

    with _project(asked) as project:
        received = project.outcomes(file, strict=not skip_unknown)
    _show(asked, received, lambda page: show_outcomes(page, received))


@cli.command()
@click.option("--once", is_flag=True, help="One round, then end.")
@click.option("--every", default="10 minutes", show_default=True, metavar="SPAN", help="How long from round to round.")
@click.pass_obj
def tend(asked: _Asked, /, every: str, *, once: bool) -> None:
    """Watch the model; retrain it when the policy says so.

    Each round closes the days that are over, reports what was found, and does what the brief's [retrain] says:
    nothing, retrain a challenger, promote or keep, roll back. Goes on until told to stop (Ctrl-C or SIGTERM ends after
    the present round); a round that fails is told, and the next one comes all the same.
    """
    from headway.screens.tend import show_tended

    def one() -> None:
        with _project(asked) as project:
            tended = project.tend()
            zone = project.brief.split.zone
        _show(asked, tended, lambda page: show_tended(page, tended, zone=zone), line=not once)

    _repeat(asked, one, every="" if once else every)


# -- what has become of it


@cli.command()
@click.argument("prediction")
@click.pass_obj
def trace(asked: _Asked, /, prediction: str) -> None:
    """Walk from a prediction to its source rows, and to its money."""
    from headway.screens.trace import show_trace

    with _project(asked) as project:
        traced = project.trace(prediction)
    _show(asked, traced, lambda page: show_trace(page, traced))


@cli.command()
@click.pass_obj
def status(asked: _Asked, /) -> None:
    """Say how things stand, on one screen."""
    from headway.screens.status import show_status

    with _project(asked) as project:
        stands = project.status()
        zone = project.brief.split.zone
    _show(asked, stands, lambda page: show_status(page, stands, zone=zone))


@cli.command()
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the newest N lines.")
@click.pass_obj
def history(asked: _Asked, /, last: int | None) -> None:
    """Say what happened, oldest first."""
    from headway.screens.status import show_history

    with _project(asked) as project:
        lines = project.history()[-last if last else 0 :]
        zone = project.brief.split.zone
    _show(asked, lines, lambda page: show_history(page, lines, zone=zone))


@cli.command()
@click.pass_obj
def runs(asked: _Asked, /) -> None:
    """List the runs, the newest last."""
    from headway.screens.tables import show_runs

    with _project(asked) as project:
        table = project.runs()
    _show(asked, table, lambda page: show_runs(page, table.to_pylist()))


@cli.command()
@click.option("--open", "open_only", is_flag=True, help="Only those that are not over.")
@click.pass_obj
def findings(asked: _Asked, /, *, open_only: bool) -> None:
    """List what monitoring has found."""
    from headway.screens.tables import show_findings

    with _project(asked) as project:
        rows = [row for row in project.findings().to_pylist() if not (open_only and row["cleared_us"])]
    _show(asked, rows, lambda page: show_findings(page, rows))


@cli.command()
@click.pass_obj
def verify(asked: _Asked, /) -> None:
    """Check every link of the ledger, every byte of the store."""
    from headway.screens.tables import show_verified

    with _project(asked) as project:
        head, blobs = project.store.ledger.verify(), project.store.blobs.verify()
        where = str(project.folder)
    if blobs.bad:
        raise StoreCorrupt(f"{len(blobs.bad)} files are not what their names say: {blobs.bad[0]}, ...", where=where)
    checked = {"events": head.seq, "head": head.hash, "blobs": blobs.count, "bytes": blobs.size_bytes}
    _show(asked, checked, lambda page: show_verified(page, checked))


@cli.command()
@click.option("--folder", default="headway-demo", show_default=True, metavar="DIR", help="Where the project is made.")
@click.option(
    "--sample", default=3, show_default=True, type=click.IntRange(1), metavar="N", help="Ask about every N-th flight."
)
@click.pass_obj
def demo(asked: _Asked, /, folder: str, sample: int) -> None:
    """Watch a decision go the whole way on 336,776 real flights.

    Trains, deploys, replays three months over real HTTP, meets drift and a bad release, and ends with a report.
    """
    from pathlib import Path

    from headway.demo.run import demonstrate
    from headway.screens.demo import show_demo, telling

    with _watching(asked) as progress:
        say = telling(progress, silent=asked.json or asked.quiet)
        summary = demonstrate(Path(folder), progress=progress, say=say, sample=sample)
    _show(asked, summary, lambda page: show_demo(page, summary))


@cli.command()
@click.pass_obj
def version(asked: _Asked, /) -> None:
    """Say which version this is."""
    import headway

    _show(asked, {"version": headway.__version__}, lambda page: page.words(f"headway {headway.__version__}"))


# -- how a command works and ends


class _Ends(Exception):
    """A command has said all it has to say, and ends with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@contextlib.contextmanager
def _watching(asked: _Asked) -> Iterator[Any]:
    from headway.screens.progress import watcher

    bars = watcher(quiet=asked.quiet or asked.json)
    if bars is None:
        yield None
        return
    with bars:
        yield bars


@contextlib.contextmanager
def _project(asked: _Asked) -> Iterator[Project]:
    from headway.api import Project

    with _watching(asked) as progress, Project.open(asked.project, as_of=asked.as_of, progress=progress) as project:
        yield project


def _show(asked: _Asked, result: Any, screen: Callable[[Page], None], *, line: bool = False) -> None:
    """Write a result: as JSON, or on its screen; ``line`` keeps the JSON of a repeated command on one."""
    if asked.json:
        from headway.screens.plain import as_json

        sys.stdout.write(as_json(result, line=line))
    else:
        from headway.screens.page import Page

        screen(Page())
    sys.stdout.flush()


def _repeat(asked: _Asked, once: Callable[[], None], *, every: str) -> None:
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


def _tell(asked: _Asked, error: BaseException) -> int:
    from headway.screens.failure import failure_of, tell

    if asked.debug:
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    failure = failure_of(error)
    tell(failure, as_json=asked.json, out=sys.stdout, err=sys.stderr)
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


def _ended(group: _Headway, words: list[str], name: str) -> int:
    """Run a command, and return its exit code after everything that is to be said was said."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without our letters shows '?' rather than a failure
    asked = _Asked(json="--json" in words, debug="--debug" in words)
    try:
        with _interruptible() as interrupts:
            return _tried(group, words, name, asked=asked, interrupts=interrupts)
    except BrokenPipeError:
        # Whoever read the output has seen enough. Nothing is left to write to, not even at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _tried(group: _Headway, words: list[str], name: str, *, asked: _Asked, interrupts: _Interrupts) -> int:
    try:
        with group.make_context(name, words) as context:
            group.invoke(context)
        sys.stdout.flush()
    except _Ends as ends:
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


def _interrupted(asked: _Asked, words: list[str]) -> int:
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


def main() -> NoReturn:
    """Run what the command line says, and leave with its exit code."""
    from headway.screens.failure import EXITS

    try:
        cli.main(prog_name="headway")
    except SystemExit as end:
        # All is done and said. Ctrl-C while libraries written in C are taken down would end in their fault, not ours.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if end.code == EXITS["interrupted"][0]:
            # A step may still be at work in a thread of its own, and would be waited for. The store outlives this.
            os._exit(end.code)
        raise
