"""The model card of a run: what the stages know of it, gathered from the store and written for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headway.nouns.clock import format_moment
from headway.nouns.dataset import Dataset
from headway.nouns.model import Model
from headway.nouns.verdict import Verdict
from headway.validate.card import CardFacts, FeatureFact, card, card_markdown

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from headway.loop.results import RunResult
    from headway.loop.sources import Material
    from headway.loop.store import Store
    from headway.nouns.brief import Split
    from headway.query.definitions import Definitions

__all__ = ["card_of", "write_card"]


def card_of(store: Store, material: Material, result: RunResult) -> dict[str, Any]:
    """Return the card of a run as plain data."""
    return card(material.brief, store.get(result.verdict, Verdict), _facts(store, material, result))


def write_card(store: Store, material: Material, result: RunResult, path: Path) -> None:
    """Write the card of a run as Markdown."""
    text = card_markdown(material.brief, store.get(result.verdict, Verdict), _facts(store, material, result))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _facts(store: Store, material: Material, result: RunResult) -> CardFacts:
    dataset, model = store.get(result.dataset, Dataset), store.get(result.model, Model)
    split = material.brief.split
    begun = next(run for run in store.ledger.runs() if run.run == result.run)
    rows: dict[str, int] = {count.name: count.examples for count in dataset.splits}
    return CardFacts(
        model=model.digest,
        made_at=format_moment(result.as_of_us, zone=split.zone),
        why_chosen=result.reason,
        rows={
            **rows,
            "void": sum(count.void for count in dataset.splits),
            "embargoed": sum(count.embargoed for count in dataset.splits),
        },
        periods={
            **_periods(split),
            "the released model": " to ".join(
                format_moment(moment, zone=split.zone) for moment in (model.trained_from, model.trained_to)
            ),
        },
        snapshots=dataset.snapshots,
        dataset=dataset.digest,
        features=_features(material.definitions, {share.feature: share.share for share in model.importance}),
        training={
            "algorithm": model.algorithm,
            **{name: str(value) for name, value in model.settings.items()},
            "seed": str(model.seed),
            "trials": str(result.trials),
            "stopped": result.stopped or "no search",
            "parity": f"{model.parity.max_abs_difference:.1e} at most on {model.parity.rows:,} rows",
        },
        environment={name: str(value) for name, value in begun.environment.items()},
        reproduce=(f"headway --as-of {format_moment(result.as_of_us)} run",),
    )


def _periods(split: Split) -> dict[str, str]:
    if split.by != "time":
        of = f"the groups of {', '.join(split.group or ())}" if split.by == "group" else "the examples"
        return {name: f"{share:.0%} of {of}, drawn at random" for name, share in split.parts.items()}
    train, validate, test = split.ends.values()
    return {"train": f"before {train}", "validate": f"{train} to {validate}", "test": f"{validate} to {test}"}


def _features(definitions: Definitions, importance: dict[str, float]) -> tuple[FeatureFact, ...]:
    facts = [
        FeatureFact(
            name=feature.name,
            definition=feature.text,
            lineage=", ".join(f"{source}.{column}" for source, column in feature.lineage),
            importance=importance.get(feature.name),
        )
        for feature in definitions.features
    ]
    return tuple(sorted(facts, key=lambda fact: -(fact.importance or 0.0)))
