"""The versions of the sources: listed, compared, checked, merged, let go, held, and erased from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.screens.figures import counted, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headway.data.cleaning import Cleaned
    from headway.data.difference import Difference
    from headway.loop.erasure import Erased, Erasure
    from headway.loop.exports import Exported
    from headway.loop.holds import Hold
    from headway.loop.versions import CheckedOut, Collected, Compacted, DataChecked, Version
    from headway.nouns.cleaning import Fitted
    from headway.screens.page import Page

__all__ = [
    "show_checked",
    "show_cleaned",
    "show_collected",
    "show_compacted",
    "show_difference",
    "show_erased",
    "show_erasures",
    "show_exported",
    "show_holds",
    "show_out",
    "show_versions",
]

_TONES = {"living": "good", "redacted": "warn", "collected": "dim", "lost": "bad"}
_NAMED = 2


def show_versions(page: Page, versions: Sequence[Version]) -> None:
    """Write the versions."""
    if not versions:
        page.words("No version of a source was taken yet.")
        page.next(("headway check", "to read the sources"))
        return
    page.table(
        ["version", "source", "taken", "rows", "", "segments", "own", "state", "needed by"],
        [
            [
                short(each.version),
                each.source,
                each.taken_at,
                f"{each.rows:,}",
                f"{each.added_rows:+,}",
                f"{each.segments:,}",
                _size(each.own_bytes),
                (each.state, _TONES[each.state]),
                _few(each.needed_by),
            ]
            for each in versions
        ],
        right=[3, 4, 5, 6],
    )


def show_cleaned(page: Page, found: Sequence[Cleaned]) -> None:
    """Write what cleaning changes, column by column, with the commonest changes."""
    if not found:
        page.words("The brief cleans no column.")
        page.next(("edit headway.toml", "to declare some: [sources.NAME.clean.COLUMN]"))
        return
    page.table(
        ["source", "column", "of", "rows", "changed", "now missing", "filled", "such as"],
        [
            [
                each.source,
                each.column,
                each.of,
                f"{each.rows:,}",
                f"{each.changed:,}",
                f"{each.became_missing:,}",
                f"{each.filled:,}",
                "; ".join(f"{was or 'missing'} > {now or 'missing'} ({rows:,})" for was, now, rows in each.examples),
            ]
            for each in found
        ],
        right=[3, 4, 5, 6],
    )
    learned = [(each.column, _learned(each.learned)) for each in found if each.learned is not None]
    if learned:
        page.title("Learned from the training period")
        page.facts(learned)


def _learned(fitted: Fitted) -> str:
    bounds = [f"{name} {value:g}" for name, value in (("low", fitted.low), ("high", fitted.high)) if value is not None]
    groups = f", and its own for {len(fitted.fill_by):,} groups" if fitted.fill_by else ""
    return ", ".join([*bounds, *([f"fill {fitted.fill}{groups}"] if fitted.fill is not None else [])])


def show_difference(page: Page, found: Difference) -> None:
    """Write what changed from one version to another."""
    page.title(f"{found.source}: {short(found.before)} to {short(found.after)}")
    by = f"by {', '.join(found.by_key)}" if found.by_key else "row by row, for there is no key that tells them apart"
    page.facts(
        [
            ("rows", f"{found.rows_before:,} before, {found.rows_after:,} after, compared {by}"),
            ("added", f"{found.added:,}"),
            ("removed", f"{found.removed:,}"),
            ("changed", f"{found.changed:,}"),
        ]
    )
    schema = [("column added", name) for name in found.columns_added]
    schema += [("column removed", name) for name in found.columns_removed]
    schema += [("kind changed", f"{name}: {old} to {new}") for name, (old, new) in found.columns_changed.items()]
    if schema:
        page.section("Schema")
        page.facts([(what, (name, "warn")) for what, name in schema])
    moved = [each for each in found.columns if each.changed or each.shift or each.missing[0] != each.missing[1]]
    if moved:
        page.section("Columns")
        page.table(
            ["column", "kind", "rows changed", "missing before", "after", "shift"],
            [
                [
                    each.column,
                    each.kind,
                    f"{each.changed:,}" if each.changed else "",
                    f"{each.missing[0]:.1%}",
                    f"{each.missing[1]:.1%}",
                    "" if each.shift is None else f"{each.shift:+.3f}",
                ]
                for each in moved
            ],
            right=[2, 3, 4, 5],
        )
    _examples(page, "Added", found.examples_added)
    _examples(page, "Removed", found.examples_removed)
    if found.examples_changed:
        page.section("Changed", f"{len(found.examples_changed)} of {found.changed:,}")
        for row in found.examples_changed:
            changes = ", ".join(f"{name} {row.before[name]} to {row.after[name]}" for name in row.before)
            page.words(f"{_pairs(row.key)}: {changes}", indent=2)


def show_out(page: Page, done: CheckedOut) -> None:
    """Write what was written."""
    page.words(f"{counted(done.rows, 'row')} of {done.source} {short(done.version)} are in {done.path}.")
    if done.redacted_rows:
        page.words(f"Erased from this version since it was taken: {counted(done.redacted_rows, 'row')}.", tone="warn")


def show_exported(page: Page, done: Exported) -> None:
    """Write what was handed on, and how it is read."""
    shared = f", {done.linked_files:,} of them shared with the store" if done.linked_files else ""
    page.words(
        f"{counted(done.rows, 'row')} of {done.source} {short(done.version)} are in "
        f"{counted(done.files, 'file')}{shared}. A reader of {done.format} opens {done.opens}."
    )
    if done.redacted_rows:
        page.words(f"Erased from this version, and not in it: {counted(done.redacted_rows, 'row')}.", tone="warn")


def show_checked(page: Page, checked: DataChecked) -> None:
    """Write what a look at all data came to."""
    good = not checked.damaged
    page.title("Data", "whole" if good else "DAMAGED", tone="good" if good else "bad")
    page.facts(
        [
            ("blobs", f"{counted(checked.blobs, 'file')}, {_size(checked.size_bytes)}"),
            ("versions", f"{checked.versions:,}, {counted(checked.rows, 'row')} read"),
        ]
    )
    if checked.redacted:
        names = ", ".join(map(short, checked.redacted))
        page.words(f"Redacted (rows were erased; what is left is whole): {names}", tone="warn")
    for each in checked.damaged:
        page.words(f"{each.file}: {each.what}", tone="bad")
        for who in each.needed_by or ("nothing",):
            page.words(f"needed by {who}", indent=4)


def show_compacted(page: Page, done: Sequence[Compacted]) -> None:
    """Write what was merged."""
    if not done:
        page.words("Nothing to merge: each file is one segment already.")
    for each in done:
        page.words(
            f"{each.source} {short(each.version)}: {counted(each.segments_before, 'segment')} became "
            f"{each.segments_after:,}, {_size(each.added_bytes)} written."
        )
    if done:
        page.next(("headway data gc", "to let go of what nobody needs any more"))


def show_collected(page: Page, done: Collected) -> None:
    """Write what was let go."""
    verb = "would go" if done.dry_run else "went"
    gone = f"{counted(len(done.versions), 'version')} and {counted(done.blobs, 'blob')}"
    page.words(f"{gone} {verb}: {_size(done.size_bytes)}.")
    page.words(f"Needed, and kept: {counted(done.kept_versions, 'version')}.")


def show_holds(page: Page, holds: Sequence[Hold]) -> None:
    """Write the holds that stand."""
    if not holds:
        page.words("No hold stands.")
        return
    page.table(
        ["hold", "on", "since", "by", "why"],
        [[each.hold, short(each.subject), each.since, each.by, each.why] for each in holds],
    )


def show_erased(page: Page, done: Erased) -> None:
    """Write what an erasure came to."""
    page.title("Would be erased" if done.dry_run else f"Erased ({done.erasure})")
    page.facts([(place, f"{count:,}") for place, count in done.removed.items()])
    if not any(done.removed.values()) and not done.snapshots:
        page.words(
            "No row of it was found: it was never here, or is erased already. Is the value spelt so?", tone="warn"
        )
    page.facts(
        [
            ("versions", f"{len(done.snapshots):,} redacted"),
            ("datasets", f"{len(done.datasets):,} redacted"),
            ("models", f"{len(done.models):,} have learned from it: {_few([short(each) for each in done.models])}"),
        ]
    )
    for file in done.left:
        page.words(f"A value still stands in {file}", tone="bad")
    if done.in_sources:
        page.words(
            f"Take it out of {', '.join(done.in_sources)} as well, or it comes back with the next reading.", tone="warn"
        )


def show_erasures(page: Page, found: Sequence[Erasure]) -> None:
    """Write the erasures."""
    if not found:
        page.words("Nothing was ever erased.")
        return
    page.table(
        ["erasure", "when", "of", "by", "why", "state", "removed"],
        [
            [
                each.erasure,
                each.at,
                f"{each.source} by {', '.join(each.columns)}",
                each.by,
                each.why,
                ("done", "good") if each.finished else ("NOT finished: ask again", "bad"),
                _pairs({place: count for place, count in each.removed.items() if count}),
            ]
            for each in found
        ],
    )


def _examples(page: Page, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        page.section(title)
        for row in rows:
            page.words(_pairs(row), indent=2)


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"
