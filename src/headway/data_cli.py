"""The commands about data: words in, one call of ``Project.data``, one screen out."""

from __future__ import annotations

import click

from headway.command import Asked, Ends, Headway, opened, show

__all__ = [
    "checkout",
    "clean",
    "compact",
    "contract",
    "contract_check",
    "contract_infer",
    "contract_show",
    "data",
    "diff",
    "erase",
    "erasures",
    "export",
    "gc",
    "hold",
    "hold_add",
    "hold_list",
    "hold_remove",
    "verify",
    "versions",
]


@click.group("data", cls=Headway)
def data() -> None:
    """See, compare, check, merge and erase versions of the data.

    A VERSION is a digest or the beginning of one, a source (its newest version), or SOURCE~1 (the one before).
    """


@data.command()
@click.argument("source", required=False, default="")
@click.pass_obj
def versions(asked: Asked, /, source: str) -> None:
    """List the versions of the sources, or of one SOURCE."""
    from headway.screens.data import show_versions

    with opened(asked) as project:
        found = project.data.versions(source)
    show(asked, found, lambda page: show_versions(page, found))


@data.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option("--examples", default=5, show_default=True, type=click.IntRange(0), help="So many rows of each kind.")
@click.pass_obj
def diff(asked: Asked, /, before: str, after: str, examples: int) -> None:
    """Say what changed from version A to version B."""
    from headway.screens.data import show_difference

    with opened(asked) as project:
        found = project.data.diff(before, after, examples=examples)
    show(asked, found, lambda page: show_difference(page, found))


@data.command()
@click.pass_obj
def clean(asked: Asked, /) -> None:
    """Say what the declared cleaning changes: rows, examples, and what it learned.

    The versions of the sources stay as they are.
    """
    from headway.screens.data import show_cleaned

    with opened(asked) as project:
        found = project.data.clean()
    show(asked, found, lambda page: show_cleaned(page, found))


@data.command()
@click.argument("version")
@click.argument("out")
@click.pass_obj
def checkout(asked: Asked, /, version: str, out: str) -> None:
    """Write the rows of a version to a new file.

    OUT ends in .parquet or .csv.
    """
    from headway.screens.data import show_out

    with opened(asked) as project:
        done = project.data.checkout(version, out)
    show(asked, done, lambda page: show_out(page, done))


@data.command()
@click.argument("version")
@click.option("--to", "folder", required=True, metavar="FOLDER", help="A new folder, or an empty one.")
@click.option(
    "--format",
    "form",
    default="parquet",
    show_default=True,
    type=click.Choice(["parquet", "delta", "iceberg"]),
    help="Plain files, or a table.",
)
@click.pass_obj
def export(asked: Asked, /, version: str, folder: str, form: str) -> None:
    """Hand a version to other tools.

    Files that nothing was taken from share the store's bytes. The export is yours: no later erasure reaches it.
    """
    from headway.screens.data import show_exported

    with opened(asked) as project:
        done = project.data.export(version, folder, form=form)
    show(asked, done, lambda page: show_exported(page, done))


@data.command()
@click.pass_obj
def verify(asked: Asked, /) -> None:
    """Read every byte and row; name what is damaged.

    Exit code 2 says that something is, and what depends on it is named.
    """
    from headway.screens.data import show_checked
    from headway.screens.failure import EXITS

    with opened(asked) as project:
        checked = project.data.verify()
    show(asked, checked, lambda page: show_checked(page, checked))
    if checked.damaged:
        raise Ends(EXITS["mistake"][0])


@data.command()
@click.argument("source", required=False, default="")
@click.pass_obj
def compact(asked: Asked, /, source: str) -> None:
    """Merge the segments of the newest versions.

    No version changes by it: the same rows have the same digest.
    """
    from headway.screens.data import show_compacted

    with opened(asked) as project:
        done = project.data.compact(source)
    show(asked, done, lambda page: show_compacted(page, done))


@data.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.pass_obj
def gc(asked: Asked, /, *, dry_run: bool) -> None:
    """Let go of versions that nothing needs.

    What a run, release, dataset, model, prediction or hold needs stays, and so does the newest version of each source.
    """
    from headway.screens.data import show_collected

    with opened(asked) as project:
        done = project.data.collect(dry_run=dry_run)
    show(asked, done, lambda page: show_collected(page, done))


@data.group(cls=Headway)
def hold() -> None:
    """Forbid that anything is deleted or erased."""


@hold.command("add")
@click.argument("subject")
@click.option("--by", required=True, metavar="NAME", help="Who forbids it.")
@click.option("--why", required=True, metavar="REASON", help="Why, such as the number of a case.")
@click.pass_obj
def hold_add(asked: Asked, /, subject: str, by: str, why: str) -> None:
    """Hold a source, a version of one, or all."""
    with opened(asked) as project:
        placed = project.data.hold(subject, by=by, why=why)
    show(asked, placed, lambda page: page.words(f"Hold {placed.hold} on {placed.subject} stands."))


@hold.command("remove")
@click.argument("hold_id", metavar="HOLD")
@click.option("--by", required=True, metavar="NAME", help="Who says so.")
@click.option("--why", required=True, metavar="REASON", help="Why it is over.")
@click.pass_obj
def hold_remove(asked: Asked, /, hold_id: str, by: str, why: str) -> None:
    """End a hold."""
    with opened(asked) as project:
        project.data.release_hold(hold_id, by=by, why=why)
    done = {"hold": hold_id, "by": by, "why": why}
    show(asked, done, lambda page: page.words(f"Hold {hold_id} is over."))


@hold.command("list")
@click.pass_obj
def hold_list(asked: Asked, /) -> None:
    """List the holds that stand."""
    from headway.screens.data import show_holds

    with opened(asked) as project:
        found = project.data.holds()
    show(asked, found, lambda page: show_holds(page, found))


@data.command()
@click.option(
    "--entity", required=True, metavar="ENTITY", help="A source and what names it there: 'customers customer_id=42'."
)
@click.option("--by", default="", metavar="NAME", help="Who asked for it.")
@click.option("--why", default="", metavar="REASON", help="Why; write nothing that names the person.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.pass_obj
def erase(asked: Asked, /, entity: str, *, by: str, why: str, dry_run: bool) -> None:
    """Remove a person, or another entity, from the store.

    From all versions of the sources, datasets, the prediction log, outcomes, the online store and the ledger's free
    pages. Models that have learned from it are named, and keep what they learned until others replace them. A legal
    hold comes first.
    """
    from headway.screens.data import show_erased

    with opened(asked) as project:
        done = project.data.erase(entity, by=by, why=why, dry_run=dry_run)
    show(asked, done, lambda page: show_erased(page, done))


@data.command()
@click.pass_obj
def erasures(asked: Asked, /) -> None:
    """List what was erased: when, who asked, how much."""
    from headway.screens.data import show_erasures

    with opened(asked) as project:
        found = project.data.erasures()
    show(asked, found, lambda page: show_erasures(page, found))


@data.group("contract", cls=Headway)
def contract() -> None:
    """Say what a source's next part must be, and what happened to it."""


@contract.command("infer")
@click.argument("source")
@click.pass_obj
def contract_infer(asked: Asked, /, source: str) -> None:
    """Write contracts/SOURCE.json from the version in force; what was edited stays."""
    from headway.screens.contracts import show_contract

    with opened(asked) as project:
        found = project.data.infer_contract(source)
    show(asked, found, lambda page: show_contract(page, found))


@contract.command("show")
@click.argument("source")
@click.pass_obj
def contract_show(asked: Asked, /, source: str) -> None:
    """Show the contract of SOURCE."""
    from headway.screens.contracts import show_contract

    with opened(asked) as project:
        found = project.data.contract(source)
    show(asked, found, lambda page: show_contract(page, found))


@contract.command("check")
@click.argument("source")
@click.argument("file")
@click.pass_obj
def contract_check(asked: Asked, /, source: str, file: str) -> None:
    """Hold FILE against the contract of SOURCE before it is taken.

    Silent changes are named with their likely cause and the first bad row. Exit code 3 says that something fails.
    """
    from headway.screens.contracts import show_held
    from headway.screens.failure import EXITS

    with opened(asked) as project:
        held = project.data.check_contract(source, file)
    show(asked, held, lambda page: show_held(page, held))
    if held.failed:
        raise Ends(EXITS["gate"][0])
