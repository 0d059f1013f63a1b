"""A release as it goes wrong in real life: built from a table in which two columns had changed places.

The graph is sound, the contract holds, every gate was passed by the model it was built after; only its answers are
wrong. Nothing but watching what it says can find it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from headway.loop.releases import facts_of, make_release, release_of
from headway.loop.train import RunResult
from headway.nouns.dataset import Dataset
from headway.nouns.model import Model

if TYPE_CHECKING:
    from headway.api import Project
    from headway.loop.sources import Material
    from headway.nouns.release import Release

__all__ = ["plant"]


def plant(project: Project, material: Material, *, swapped: tuple[str, str]) -> Release:
    """Return a release of the champion's recipe, learned from the last months of its data with two columns swapped."""
    from headway.build.candidates import fit
    from headway.build.package import package
    from headway.build.parity import prove_parity
    from headway.data.freeze import load, to_examples

    store = project.store
    champion = store.ledger.champion()
    assert champion is not None
    live = release_of(store, champion.release)
    model = store.get(facts_of(store, live.id).model, Model)
    found = store.book.get(f"run:{live.run}")
    assert found is not None
    result = msgspec.convert(found, RunResult)
    dataset = store.get(result.dataset, Dataset)
    table = load(store.blobs.path(dataset.table), splits=("validate", "test"))
    one, other = (f"feature:{name}" for name in swapped)
    names = [{one: other, other: one}.get(name, name) for name in table.column_names]
    examples = to_examples(table.rename_columns(names), dataset.features)
    fitted = fit(model.algorithm, model.settings, examples, seed=model.seed)
    graph = package(fitted, signature=fitted.signature)
    parity = prove_parity(graph, fitted, examples)
    wrong = msgspec.structs.replace(model, graph=store.blobs.put(graph), parity=parity, rows=len(examples))
    return make_release(store, material, result, by="the demonstration", graph=wrong.graph, model=store.put(wrong))
