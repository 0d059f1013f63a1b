"""A release as it goes wrong in real life: packed so that two columns have changed places.

The graph is sound, the contract holds, every gate was passed by the model that it was made from; only its answers are
wrong. Nothing but watching what it says can find it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import onnx

from headway.loop.releases import facts_of, make_release, release_of
from headway.loop.results import RunResult
from headway.nouns.model import Model

if TYPE_CHECKING:
    from headway.api import Project
    from headway.loop.sources import Material
    from headway.nouns.release import Release

__all__ = ["plant"]


def plant(project: Project, material: Material, *, swapped: tuple[str, str]) -> Release:
    """Return a release of the champion's graph that reads one of two columns where it learned from the other."""
    store = project.store
    champion = store.ledger.champion()
    assert champion is not None
    live = release_of(store, champion.release)
    model = store.get(facts_of(store, live.id).model, Model)
    found = store.book.get(f"run:{live.run}")
    assert found is not None
    wrong = msgspec.structs.replace(model, graph=store.blobs.put(_swapped(store.blobs.read(model.graph), swapped)))
    return make_release(
        store,
        material,
        msgspec.convert(found, RunResult),
        by="the demonstration",
        graph=wrong.graph,
        model=store.put(wrong),
    )


def _swapped(data: bytes, names: tuple[str, str]) -> bytes:
    """Return a graph in which every node reads the one input where it read the other."""
    graph = onnx.load_from_string(data)
    other = {names[0]: names[1], names[1]: names[0]}
    for node in graph.graph.node:
        node.input[:] = [other.get(name, name) for name in node.input]
    return bytes(graph.SerializeToString())
