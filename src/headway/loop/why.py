"""Why an answer is what it is: the reasons that were kept beside the graph, asked about the row as it was served.

Nothing of this is on the way of a prediction: the reasons are computed when somebody asks, from the bytes in the store
alone. They add up exactly, and the sum is held to the answer that was logged. The file hides what a sum on each scale
means for the answer, and in words.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from headway.loop.traced import Reason, Why
from headway.loop.watched import class_meant, features_of
from headway.predictions.columns import to_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from headway.build.reasons import Contributions
    from headway.loop.store import Store
    from headway.nouns.model import Model
    from headway.nouns.prediction import Prediction
    from headway.nouns.release import Release

    Floats = NDArray[np.float64]

__all__ = ["why"]

_TOLERANCE = 1e-5  # as between the packaged graph and the trained model: of a number, a share of it


def why(store: Store, found: Prediction, release: Release, model: Model) -> Why | None:
    """Return the reasons of one logged answer; None where the model kept none.

    Raises
    ------
    StoreCorrupt
        When the reasons are damaged or gone.
    """
    if model.reasons is msgspec.UNSET:
        return None
    from headway.build.reasons import read_reasons

    table = to_table([found], features=release.signature)
    reasons = read_reasons(store.blobs.read(model.reasons))
    told = reasons.contributions(features_of(table, release))
    meant = str(class_meant(table, release)[0].as_py()) if release.classes else ""
    base, values = _of(told, release.classes.index(meant) if meant else None)
    answer = _answer(told, release.classes.index(meant) if meant else None)
    scale = max(1.0, abs(found.score))
    served = dict(zip((column.name for column in release.signature), found.features, strict=True))
    named = zip(reasons.signature.names, values.tolist(), strict=True)
    return Why(
        of=meant,
        scale=told.scale,
        base=base,
        total=base + float(values.sum()),
        adds_up=math.isfinite(answer) and abs(answer - found.score) <= _TOLERANCE * scale,
        reasons=tuple(
            Reason(feature=name, value=served[name], contribution=each, in_words=_WORDS[told.scale](each))
            for name, each in sorted(named, key=lambda pair: (-abs(pair[1]), pair[0]))
        ),
    )


def _of(told: Contributions, place: int | None) -> tuple[float, Floats]:
    """Return base and contributions of the one row; of classes those of one."""
    if place is None:
        return float(told.base), told.values[0]
    return float(np.asarray(told.base)[place]), told.values[0][:, place]


def _answer(told: Contributions, place: int | None) -> float:
    """Return the answer that follows from the sum."""
    total = np.atleast_1d(told.base + told.values[0].sum(axis=0))
    if told.scale == "log weight":
        weight = np.exp(total - total.max())
        total = weight / weight.sum()
    elif told.scale == "log odds":
        total = 1 / (1 + np.exp(-total))
    elif told.scale == "log":
        total = np.exp(total)
    return float(total[place or 0])


def _times(what: str) -> Callable[[float], str]:
    return lambda contribution: f"{what} times {math.exp(contribution):.3g}"


_WORDS: dict[str, Callable[[float], str]] = {
    "log odds": _times("odds"),
    "log weight": _times("weight of the class"),
    "log": _times("answer"),
    "probability": lambda contribution: f"{100 * contribution:+.1f} points",
    "answer": lambda contribution: f"{contribution:+.4g}",
}
"""What a contribution on each scale means."""
