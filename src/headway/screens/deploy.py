"""Short answers: what is in service, where it listens, what was answered, filled and joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.screens.figures import counted, moment, short

if TYPE_CHECKING:
    from headway.loop.results import Deployed
    from headway.screens.page import Page

__all__ = ["show_deployed", "show_materialised", "show_outcomes", "show_predicted", "show_serving"]


def show_deployed(page: Page, deployed: Deployed, *, verb: str) -> None:
    """Write what was put into service."""
    page.title(f"Release {deployed.release}", verb, tone="good")
    page.facts(
        [
            ("model", short(deployed.model)),
            ("replaces", deployed.replaces or "nothing"),
            ("online store", f"{counted(deployed.store_rows, 'row')}, version {short(deployed.store)}"),
        ]
    )
    page.next(
        ("headway serve", "to answer over HTTP; a server that runs has it already"),
        ("headway tend", "to watch it, and retrain it when the policy says so"),
    )


def show_serving(page: Page, address: str) -> None:
    """Write where a server listens."""
    page.words(f"Serving on {address}; Ctrl-C ends it.", tone="strong")
    page.facts(
        [
            ("predict", f"POST {address}/v1/predict"),
            ("health", f"GET {address}/health"),
        ]
    )


def show_predicted(page: Page, done: Any) -> None:
    """Write what became of a batch."""
    page.title("Answered", counted(done.rows, "row"))
    facts: list[tuple[str, Any]] = [("to be acted on", f"{done.acted:,}")]
    if done.stale:
        facts.append(("looked up stale", (counted(done.stale, "row"), "warn")))
    if done.ignored:
        facts.append(("columns passed over", ", ".join(done.ignored)))
    if done.warned:  # not there at all where nothing was agreed
        facts.append(("break the contract", (f"{counted(done.warned, 'row')}; the column 'warnings' says how", "warn")))
    page.facts(facts)


def show_materialised(page: Page, done: dict[str, Any]) -> None:
    """Write what the online store holds now."""
    page.words(
        f"{moment(done['as_of_us'])}  online store {short(done['store'])}: {done['rows']:,} rows for {done['release']}"
    )


def show_outcomes(page: Page, received: dict[str, Any]) -> None:
    """Write what became of a batch of outcomes."""
    words = {
        "accepted": "new, with a label",
        "void": "new, their outcome never comes",
        "corrected": "said otherwise before",
        "doubled": "were there already",
        "stale": "older than what stands",
        "unknown": "of predictions that are not known",
    }
    page.title("Outcomes", counted(sum(int(received.get(name, 0)) for name in words), "row"))
    page.facts([(name, f"{received[name]:,}  {what}") for name, what in words.items() if received.get(name)])
    for name, count in received.get("new_classes", {}).items():
        page.words(
            f"{count:,} of class {name!r}, which the model does not know: its answers count as wrong, and the next "
            "training learns the class. Was it a slip? Tell the outcome again.",
            tone="warn",
            indent=2,
        )
