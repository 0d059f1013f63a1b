"""Where an example, a column or a version of a source comes from and leads to, as a terminal shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.screens.figures import counted
from headway.screens.page import Branch

if TYPE_CHECKING:
    from headway.loop.lineage import ColumnLineage, ExampleLineage, SnapshotLineage
    from headway.loop.openlineage import Exported
    from headway.loop.traced import LookUp, SourceRow
    from headway.screens.page import Page

__all__ = ["show_column", "show_example", "show_export", "show_snapshot"]


def show_example(page: Page, found: ExampleLineage) -> None:
    """Write an example with the rows behind its label and its features."""
    root = Branch(f"example {', '.join(f'{k} {v}' for k, v in found.key.items())} of {found.run}", tone="strong")
    root.add(f"{found.split}, predicted at {found.predict_at}")
    shown = found.label if isinstance(found.label, str) else f"{found.label:g}"
    label = root.add(f"label {shown}, known {found.label_known_at}, from {', '.join(found.label_columns)}")
    asked = root.add("asked about") if found.label_look_ups else label
    for row in found.rows:
        asked.add(f"{row.file} row {row.row:,}: {_values(row)}", tone="dim")
    for look_up in found.label_look_ups:
        rows = label.add(_found(look_up), tone="dim")
        for row in look_up.rows:
            rows.add(f"{row.file} row {row.row:,}" + (f": {_values(row)}" if row.values else ""), tone="dim")
    equal = "the same bits as recomputed from these rows" if found.replayed_equal else "NOT as recomputed"
    features = root.add(f"{len(found.features)} features, {equal}", tone="" if found.replayed_equal else "bad")
    for feature in found.features:
        one = features.add(f"{feature.name} = {feature.served}   ({feature.definition})")
        if not feature.look_ups and feature.lineage:
            one.add(f"from {', '.join(feature.lineage)}", tone="dim")
        for look_up in feature.look_ups:
            rows = one.add(_found(look_up), tone="dim")
            for row in look_up.rows:
                rows.add(f"{row.file} row {row.row:,}", tone="dim")
    page.tree(root)


def _values(row: SourceRow) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.values.items())


def _found(look_up: LookUp) -> str:
    return f"{look_up.source}, version {look_up.version[:12]}: {counted(look_up.count, 'row')}"


def show_column(page: Page, found: ColumnLineage) -> None:
    """Write a column with what it comes from and what uses it."""
    page.title(found.name, found.definition)
    itself = "its source" if "." in found.name else "the moment of the prediction"
    page.facts([("comes from", ", ".join(found.comes_from) or itself), ("used by", ", ".join(found.used_by) or "-")])


def show_snapshot(page: Page, found: SnapshotLineage) -> None:
    """Write a version of a source with all that was built on it."""
    page.title(
        f"{found.source} {found.version[:12]}", f"{counted(found.rows, 'row')}, read {', '.join(found.taken_at)}"
    )
    counts = {"answered": found.answered, "looked into": found.looked_into}
    page.facts(
        [
            ("datasets", ", ".join(each[:12] for each in found.datasets) or "-"),
            ("runs", ", ".join(found.runs) or "-"),
            ("models", ", ".join(each[:12] for each in found.models) or "-"),
            ("releases", ", ".join(found.releases) or "-"),
            *((name, ", ".join(f"{n:,} by {r}" for r, n in by.items()) or "-") for name, by in counts.items()),
        ]
    )


def show_export(page: Page, written: Exported) -> None:
    """Write what was exported, and where to."""
    page.title(f"OpenLineage, {written.events:,} run events", written.file)
    page.facts([(job, f"{events:,}") for job, events in written.jobs.items()])
