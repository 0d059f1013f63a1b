"""The command line: words in, one call of the project, one screen out.

Nothing is computed here, and nothing heavy is imported before a command runs: ``headway --help`` costs little more than
Python and click. How a command is asked and how it ends is in ``command.py``, what its screen shows in ``screens/``.
"""

from __future__ import annotations

import os
from typing import Any, NoReturn

import click

from headway.command import Asked, Ends, Headway, global_options, leave, opened, repeat, show, take_globals, watching
from headway.data_cli import data
from headway.errors import StoreCorrupt
from headway.lineage_cli import lineage

__all__ = [
    "check",
    "cli",
    "demo",
    "deploy",
    "features",
    "findings",
    "gates",
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

# \b keeps click from filling the lines below it.
_HELP = """From a business decision to a living model in production.

A project is a folder with a brief, headway.toml. Begin one from your data:

\b
  headway init --data FILE     write the brief
  headway check                hold it against the data
  headway run                  train, validate and package
  headway deploy               put the result into service
  headway serve                answer over HTTP
  headway tend                 watch it, retrain it
"""


@click.group("headway", cls=Headway, help=_HELP, params=global_options(hidden=False), invoke_without_command=True)
@click.pass_context
def cli(ctx: click.Context, /, **_: Any) -> None:
    """Take the global options; without a command, say what there is."""
    take_globals(ctx)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


# -- Define


@cli.command()
@click.argument("folder", required=False)
@click.option("--data", "data", multiple=True, metavar="PATH", help="A file to look at; may be given several times.")
@click.option("--target", default="", metavar="COLUMN", help="The column to be predicted.")
@click.option("--yes", is_flag=True, help="Ask nothing, and take what the data suggest.")
@click.pass_obj
def init(asked: Asked, /, folder: str | None, data: tuple[str, ...], target: str, *, yes: bool) -> None:
    """Write a commented headway.toml from a look at the data.

    On a terminal the open questions are asked; elsewhere, and with --yes, nothing is asked.
    """
    from headway.screens import begin

    asks = not yes and not asked.json
    begun = begin.begin(folder or asked.project, data=data, target=target, asks=asks)
    show(asked, begun, lambda page: begin.show(page, begun))


@cli.command()
@click.option("--page", "page_file", default="", metavar="OUT.html", help="Where the page goes [default: the reports].")
@click.pass_obj
def check(asked: Asked, /, page_file: str) -> None:
    """Hold the brief against the data: go or no-go, and why.

    Answers five questions with evidence, and writes a page that a leader reads in a minute.

    Exit code 3 says that a gate is closed.
    """
    from headway.report.feasibility import write_feasibility
    from headway.screens.check import show_check
    from headway.screens.failure import EXITS

    with opened(asked) as project:
        checked = project.check()
        written = write_feasibility(project, checked, page_file or None)
    show(asked, checked, lambda page: show_check(page, checked, written=str(written)))
    if checked.closed_gates:
        raise Ends(EXITS["gate"][0])


@cli.command()
@click.argument("gate")
@click.option("--by", required=True, metavar="NAME", help="Who takes the responsibility.")
@click.option("--why", required=True, metavar="REASON", help="Why the gate is passed all the same.")
@click.pass_obj
def override(asked: Asked, /, gate: str, by: str, why: str) -> None:
    """Pass a closed gate, under a name and with a reason.

    The ledger keeps both. The gates are those that headway check names: decision, receiver,
    data, leak, signal, worth, and verdict after a run.
    """
    with opened(asked) as project:
        project.override(gate, by=by, why=why)
    done = {"gate": gate, "by": by, "why": why}
    show(asked, done, lambda page: page.words(f"Gate {gate!r} is passed by {by}: {why}"))


@cli.command()
@click.pass_obj
def gates(asked: Asked, /) -> None:
    """Say how each gate between two stages stands.

    A gate is bound to its evidence: when that changes, it is open again.
    """
    from headway.screens.gates import show_gates

    with opened(asked) as project:
        found = project.gates()
        zone = project.brief.split.zone
    show(asked, found, lambda page: show_gates(page, found, zone=zone))


@cli.command()
@click.argument("what", type=click.Choice(["list", "suggest"]), default="list")
@click.option("--write", default=0, type=click.IntRange(0), metavar="N", help="Add the N best to the brief.")
@click.pass_obj
def features(asked: Asked, /, what: str, write: int) -> None:
    """List the features, or suggest more of them.

    A suggestion is ranked by what it adds on the validation period; the test period is not
    looked at. Without --write, nothing is written.
    """
    from headway.screens.features import show_features, show_suggestions

    with opened(asked) as project:
        found = project.features() if what == "list" else project.suggest(write=write)
    show(asked, found, lambda page: (show_features if what == "list" else show_suggestions)(page, found))


# -- Data, Build, Validate


@cli.command()
@click.pass_obj
def run(asked: Asked, /) -> None:
    """Train, validate and package; only what changed is done.

    A run that was interrupted goes on where it stopped, and comes to the same model.
    """
    from headway.screens.run import show_run

    with opened(asked) as project:
        report = project.run()
        trials = [] if asked.json else project.table("trials").to_pylist()
    show(asked, report, lambda page: show_run(page, report, trials=trials))


cli.add_command(data)
cli.add_command(lineage)


# -- Deploy


@cli.command()
@click.argument("run", required=False, default="")
@click.option("--by", default="", metavar="NAME", help="Who deploys [default: you].")
@click.option("--why", default="", metavar="REASON", help="Why this one.")
@click.option("--override", "override", default="", metavar="REASON", help="Why a failed gate is passed all the same.")
@click.pass_obj
def deploy(asked: Asked, /, run: str, by: str, why: str, override: str) -> None:
    """Put the model of a run into service: the newest, or RUN.

    A server that runs takes it at once. A run that did not pass its gates needs --override, and --by.
    """
    from headway.screens.deploy import show_deployed

    with opened(asked) as project:
        deployed = project.deploy(run, by=by, why=why, override=override)
    show(asked, deployed, lambda page: show_deployed(page, deployed, verb="in service"))


@cli.command()
@click.option("--to", default="", metavar="RELEASE", help="Which release [default: the one before].")
@click.option("--by", default="", metavar="NAME", help="Who does it [default: you].")
@click.option("--why", default="", metavar="REASON", help="Why.")
@click.pass_obj
def rollback(asked: Asked, /, to: str, by: str, why: str) -> None:
    """Put the release before this one back into service."""
    from headway.screens.deploy import show_deployed

    with opened(asked) as project:
        deployed = project.rollback(to=to, by=by, why=why)
    show(asked, deployed, lambda page: show_deployed(page, deployed, verb="back in service"))


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
@click.option(
    "--keep-fresh/--no-keep-fresh",
    default=True,
    show_default=True,
    help="Fill what is looked up again and again, as often as serve.refresh promises.",
)
@click.pass_obj
def serve(asked: Asked, /, host: str, port: int, durability: Any, *, keep_fresh: bool) -> None:
    """Answer predictions over HTTP until told to stop.

    Callers send the secret that HEADWAY_TOKEN holds, if it is set: Authorization: Bearer SECRET.
    """
    from headway.screens.deploy import show_serving
    from headway.server.project import serve_project

    with opened(asked) as project:
        serve_project(
            project,
            host=host,
            port=port,
            token=os.environ.get("HEADWAY_TOKEN", ""),
            level=durability,
            keep_fresh=keep_fresh,
            on_ready=lambda address: show(asked, {"address": address}, lambda page: show_serving(page, address)),
        )


@cli.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT")
@click.pass_obj
def predict(asked: Asked, /, source: str, target: str) -> None:
    """Answer the rows of a file, as the server would.

    The same model, look-ups, checks and log as over HTTP. IN and OUT are CSV, JSON lines or Parquet, by the ends of
    their names.
    """
    from headway.screens.deploy import show_predicted

    with opened(asked) as project:
        done = project.predict_file(source, target)
    show(asked, done, lambda page: show_predicted(page, done))


@cli.command()
@click.option("--every", default="", metavar="SPAN", help="Again and again, e.g. '10 minutes', until told to stop.")
@click.pass_obj
def materialize(asked: Asked, /, every: str) -> None:
    """Fill the online store with what is known now."""
    from headway.screens.deploy import show_materialised

    def once() -> None:
        with opened(asked) as project:
            done = project.materialize()
        show(asked, done, lambda page: show_materialised(page, done), line=bool(every))

    repeat(asked, once, every=every)


# -- Monitor, Loop


@cli.command()
@click.argument("file")
@click.option("--skip-unknown", is_flag=True, help="Leave out, and count, outcomes of predictions that are not known.")
@click.pass_obj
def outcomes(asked: Asked, /, file: str, *, skip_unknown: bool) -> None:
    """Join what really happened to what was predicted.

    FILE (CSV, JSON lines or Parquet) has a column label, and prediction (the id in the reply) or the key's columns.
    """
    from headway.screens.deploy import show_outcomes

    with opened(asked) as project:
        received = project.outcomes(file, strict=not skip_unknown)
    show(asked, received, lambda page: show_outcomes(page, received))


@cli.command()
@click.option("--once", is_flag=True, help="One round, then end.")
@click.option("--every", default="10 minutes", show_default=True, metavar="SPAN", help="How long from round to round.")
@click.pass_obj
def tend(asked: Asked, /, every: str, *, once: bool) -> None:
    """Watch the model; retrain it when the policy says so.

    Each round closes the days that are over, reports what was found, and does what the brief's [retrain] says:
    nothing, retrain a challenger, promote or keep, roll back. Goes on until told to stop (Ctrl-C or SIGTERM ends after
    the present round); a round that fails is told, and the next one comes all the same.
    """
    from headway.screens.tend import show_tended

    def one() -> None:
        with opened(asked) as project:
            tended = project.tend()
            zone = project.brief.split.zone
        show(asked, tended, lambda page: show_tended(page, tended, zone=zone), line=not once)

    repeat(asked, one, every="" if once else every)


# -- what has become of it


@cli.command()
@click.argument("prediction")
@click.pass_obj
def trace(asked: Asked, /, prediction: str) -> None:
    """Walk from a prediction to its source rows, and to its money."""
    from headway.screens.trace import show_trace

    with opened(asked) as project:
        traced = project.trace(prediction)
    show(asked, traced, lambda page: show_trace(page, traced))


@cli.command()
@click.pass_obj
def status(asked: Asked, /) -> None:
    """Say how things stand, on one screen."""
    from headway.screens.status import show_status

    with opened(asked) as project:
        stands = project.status()
        zone = project.brief.split.zone
    show(asked, stands, lambda page: show_status(page, stands, zone=zone))


@cli.command()
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the newest N lines.")
@click.pass_obj
def history(asked: Asked, /, last: int | None) -> None:
    """Say what happened, oldest first."""
    from headway.screens.status import show_history

    with opened(asked) as project:
        lines = project.history()[-last if last else 0 :]
        zone = project.brief.split.zone
    show(asked, lines, lambda page: show_history(page, lines, zone=zone))


@cli.command()
@click.pass_obj
def runs(asked: Asked, /) -> None:
    """List the runs, the newest last."""
    from headway.screens.tables import show_runs

    with opened(asked) as project:
        table = project.runs()
    show(asked, table, lambda page: show_runs(page, table.to_pylist()))


@cli.command()
@click.option("--open", "open_only", is_flag=True, help="Only those that are not over.")
@click.pass_obj
def findings(asked: Asked, /, *, open_only: bool) -> None:
    """List what monitoring has found."""
    from headway.screens.tables import show_findings

    with opened(asked) as project:
        rows = [row for row in project.findings().to_pylist() if not (open_only and row["cleared_us"])]
    show(asked, rows, lambda page: show_findings(page, rows))


@cli.command()
@click.pass_obj
def verify(asked: Asked, /) -> None:
    """Check every link of the ledger, every byte of the store."""
    from headway.screens.tables import show_verified

    with opened(asked) as project:
        head, blobs = project.store.ledger.verify(), project.store.blobs.verify()
        where = str(project.folder)
    if blobs.bad:
        raise StoreCorrupt(f"{len(blobs.bad)} files are not what their names say: {blobs.bad[0]}, ...", where=where)
    checked = {"events": head.seq, "head": head.hash, "blobs": blobs.count, "bytes": blobs.size_bytes}
    show(asked, checked, lambda page: show_verified(page, checked))


@cli.command()
@click.option("--folder", default="headway-demo", show_default=True, metavar="DIR", help="Where the project is made.")
@click.option(
    "--sample", default=3, show_default=True, type=click.IntRange(1), metavar="N", help="Ask about every N-th flight."
)
@click.pass_obj
def demo(asked: Asked, /, folder: str, sample: int) -> None:
    """Watch a decision go the whole way on 336,776 real flights.

    Trains, deploys, replays three months over real HTTP, meets drift and a bad release, and ends with a report.
    """
    from pathlib import Path

    from headway.demo.run import demonstrate
    from headway.screens.demo import show_demo, telling

    with watching(asked) as progress:
        say = telling(progress, silent=asked.json or asked.quiet)
        summary = demonstrate(Path(folder), progress=progress, say=say, sample=sample)
    show(asked, summary, lambda page: show_demo(page, summary))


@cli.command()
@click.pass_obj
def version(asked: Asked, /) -> None:
    """Say which version this is."""
    import headway

    show(asked, {"version": headway.__version__}, lambda page: page.words(f"headway {headway.__version__}"))


def main() -> NoReturn:
    """Run what the command line says, and leave with its exit code."""
    leave(cli)
