"""The examples of one brief over named snapshots, split, frozen and hashed."""

from __future__ import annotations

import hashlib

import msgspec

from headway.nouns.examples import FeatureColumn, SplitName
from headway.nouns.task import Task

__all__ = ["Dataset", "SplitCount"]


class SplitCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many examples a split holds, and what became of those it does not."""

    name: SplitName
    examples: int
    positives: int
    void: int = 0
    """Examples without an outcome when the dataset was frozen: it never comes, or (close to that moment) not yet."""
    embargoed: int = 0
    """Examples whose label is known by now, but was not yet when the next split begins."""
    days: int = 0
    censored: int = 0
    """Examples whose horizon was not over when the dataset was frozen: they have no label yet, and are no negatives."""


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen table of examples with its provenance; ``digest`` is its version.

    ``table`` is the blob of a Parquet file with the columns ``split``, ``predict_at``, ``label_known_at``, ``label``,
    ``day``, ``rule``, the entity's key, one ``segment:NAME`` per segment and one ``feature:NAME`` per feature, in
    the order of ``predict_at`` and key.
    """

    brief: str
    snapshots: dict[str, str]
    as_of_us: int
    features: tuple[FeatureColumn, ...]
    key: tuple[str, ...]
    segments: tuple[str, ...]
    splits: tuple[SplitCount, ...]
    missing: dict[str, int]
    stale: dict[str, int]
    table: str
    task: Task = "condition"
    classes: tuple[str, ...] = ()
    """The names of the classes where the task is ``category``; a label is a position in it."""
    unseen: dict[str, int] = {}
    """Examples of classes that the training period never saw; they are void, having no position."""
    void_missing: dict[str, int] = {}
    """Of the void examples, how many miss each feature that is made of their own row; where a row bears the label."""

    @property
    def digest(self) -> str:
        """The hash of everything above."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    @property
    def rows(self) -> int:
        """Examples in all splits."""
        return sum(split.examples for split in self.splits)

    def split(self, name: str) -> SplitCount:
        """Return the counts of one split."""
        return next(split for split in self.splits if split.name == name)
