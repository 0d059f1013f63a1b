"""What each feature is and costs, and how a line gets into the brief.

The file hides what a cost is counted by: look-ups of a prediction, and the steps and bytes that the store of the
serving path holds for them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from headway.define.suggest import with_lines
from headway.nouns.brief import FeatureSpec
from headway.nouns.brief_text import parse_brief
from headway.nouns.expression import Call, parse
from headway.online.fill import fill
from headway.query.database import Database
from headway.query.functions import FUNCTIONS
from headway.query.point_in_time import PointInTime

if TYPE_CHECKING:
    from pathlib import Path

    from headway.loop.sources import Material
    from headway.loop.store import Store
    from headway.query.definitions import Feature

__all__ = ["listed", "unit_of", "write_features"]

_OF_AGGREGATES = {"count": "rows", "distinct": "values", "share": "share"}


class _Sizes:
    """A place for blobs that keeps their sizes alone."""

    def __init__(self) -> None:
        self.bytes: list[int] = []

    def put(self, data: bytes) -> str:
        """Remember how long the bytes are, and name them by their place."""
        self.bytes.append(len(data))
        return str(len(self.bytes) - 1)


def listed(store: Store, material: Material) -> list[dict[str, Any]]:
    """Return each feature with type, unit, lineage, missing policy and cost, in the order of the brief."""
    definitions, sizes = material.definitions, _Sizes()
    with Database() as database:
        point_in_time = PointInTime(database, definitions.known_by(now := store.now_us()), material.files)
        manifest = fill(definitions, point_in_time, as_of_us=now, since_us=None, blobs=sizes)
    held = dict(zip(definitions.online_timelines, zip(manifest.timelines, sizes.bytes, strict=True), strict=True))
    return [
        {
            "name": feature.name,
            "kind": feature.kind,
            "unit": unit_of(feature, material.brief.features[feature.name]),
            "text": feature.text,
            "from": [f"{source}.{column}" for source, column in feature.lineage],
            "missing": "allowed" if feature.allow_missing else "refused",
            "look_ups": len(feature.timelines),
            "steps": sum(held[timeline][0].rows for timeline in feature.timelines),
            "bytes": sum(held[timeline][1] for timeline in feature.timelines),
            "shared_with": sorted(
                other.name
                for other in definitions.features
                if other is not feature and set(other.timelines) & set(feature.timelines)
            ),
        }
        for feature in definitions.features
    ]


def unit_of(feature: Feature, spec: str | FeatureSpec) -> str:
    """Return what a feature is measured in: as declared, or as its outermost function says; empty where neither does.

    A condition's average is a share.
    """
    long = FeatureSpec(value=spec) if isinstance(spec, str) else spec
    if long.unit:
        return long.unit
    if long.distance or (long.nearest and not (long.take or long.value)):
        return "km"
    expression = parse(long.value or "count()") if long.value or long.window else None
    if not isinstance(expression, Call):
        return ""
    if long.window:
        conditions = [a for t in feature.timelines for a in t.aggregates if a.kind == "bool" and a.function == "avg"]
        return "share" if expression.function == "avg" and conditions else _OF_AGGREGATES.get(expression.function, "")
    return FUNCTIONS[expression.function].unit if expression.function in FUNCTIONS else ""


def write_features(path: Path, lines: list[str]) -> None:
    """Add lines to the features of a brief: all at once or not at all, and only if it then still reads.

    Raises
    ------
    BriefError
        When the brief has no table of features of its own, or would not hold with them.
    """
    if not lines:
        return
    text = with_lines(path.read_text(encoding="utf-8"), lines)
    parse_brief(text)
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
