"""Contracts: what is expected of a source, and what a delivery did to it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from headway.screens.figures import counted, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headway.loop.contracts import Held
    from headway.nouns.contract import Contract
    from headway.screens.page import Page

__all__ = ["show_broken", "show_contract", "show_held"]


def show_contract(page: Page, contract: Contract) -> None:
    """Write a contract."""
    page.title(f"Contract of {contract.source}", short(contract.digest))
    page.table(
        ["column", "kind", "missing", "from", "to", "values"],
        [
            [
                name,
                column.kind,
                f"{column.missing_at_most:.1%}",
                "" if column.at_least is None else f"{column.at_least:g}",
                "" if column.at_most is None else f"{column.at_most:g}",
                f"{len(column.values)}" if column.values else "",
            ]
            for name, column in contract.columns.items()
        ],
        right=[2, 3, 4, 5],
    )


def show_held(page: Page, held: Held) -> None:
    """Write what came of a check."""
    states = Counter(result.state for result in held.results)
    tone = "bad" if held.failed else "good"
    page.title(f"{held.delivered}", f"{counted(held.rows, 'row')} against the contract of {held.source}", tone=tone)
    for result in held.failed:
        where = f" Row {result.change.row}." if result.change and result.change.row else ""
        cause = f" {result.change.cause}" if result.change else ""
        page.words(f"{result.clause}: {result.words}{cause}{where}")
    page.words(f"{states['passed']} passed, {states['failed']} failed, {states['not run']} not run.")
    for result in held.results:
        if result.state == "not run":
            about = f"{result.clause} of {result.column!r}" if result.column else result.clause
            page.words(f"Not run: {about}. {result.words}", tone="dim", indent=2)


def show_broken(page: Page, broken: Sequence[Mapping[str, Any]]) -> None:
    """Write which sources break their contract, and what became of what came."""
    for each in broken:
        then = "is not taken, the version before is used" if each["blocked"] else "is taken all the same"
        more = f" And {len(each['failed']) - 1:,} more." if len(each["failed"]) > 1 else ""
        page.gap()
        page.words(
            f"Source {each['source']!r} broke its contract; what came {then}. {each['failed'][0]}{more}",
            tone="warn",
            indent=2,
        )
