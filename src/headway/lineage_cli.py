"""The commands about lineage: words in, one call of the project, one screen out."""

from __future__ import annotations

import click

from headway.command import Asked, Headway, opened, show

__all__ = ["column", "example", "export", "lineage", "snapshot"]


@click.group("lineage", cls=Headway)
def lineage() -> None:
    """Follow an example, a column or a version both ways."""


@lineage.command()
@click.argument("key", nargs=-1, required=True)
@click.option("--run", "run", default="", metavar="RUN", help="Whose dataset; the newest run's by default.")
@click.pass_obj
def example(asked: Asked, /, key: tuple[str, ...], run: str) -> None:
    """Say which source rows an example's label and features come from.

    KEY is the example's key: its values in the brief's order, or NAME=VALUE.
    """
    from headway.screens.lineage import show_example

    with opened(asked) as project:
        found = project.example_lineage(*key, run=run)
    show(asked, found, lambda page: show_example(page, found))


@lineage.command()
@click.argument("name")
@click.pass_obj
def column(asked: Asked, /, name: str) -> None:
    """Say what a feature, or SOURCE.COLUMN, comes from, and what uses it."""
    from headway.screens.lineage import show_column

    with opened(asked) as project:
        found = project.column_lineage(name)
    show(asked, found, lambda page: show_column(page, found))


@lineage.command()
@click.argument("digest")
@click.pass_obj
def snapshot(asked: Asked, /, digest: str) -> None:
    """Say all that was built on a version of a source."""
    from headway.screens.lineage import show_snapshot

    with opened(asked) as project:
        found = project.snapshot_lineage(digest)
    show(asked, found, lambda page: show_snapshot(page, found))


@lineage.command()
@click.option("--out", "out", default="lineage.jsonl", metavar="FILE", show_default=True, help="Where to write.")
@click.pass_obj
def export(asked: Asked, /, out: str) -> None:
    """Write the history as OpenLineage events, one a line.

    Readings of sources, frozen datasets, trainings and deployments, as the ledger has them. The same history gives the
    same bytes; nothing is sent anywhere.
    """
    from headway.screens.lineage import show_export

    with opened(asked) as project:
        written = project.openlineage(out)
    show(asked, written, lambda page: show_export(page, written))
