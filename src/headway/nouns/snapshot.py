"""An immutable version of one source: a manifest of segments, named by the hash of what it says."""

from __future__ import annotations

import hashlib

import msgspec

__all__ = ["Segment", "Snapshot", "SourceColumn"]


class SourceColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a source: its name, its kind, and the engine's type by which it is read from text."""

    name: str
    kind: str
    read_as: str


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a source, as an immutable Parquet blob whose rows stand in the order of the file.

    Row ``n`` of the blob (from 0) is row ``n + 1`` of the file, not counting a header.
    """

    file: str
    file_digest: str
    size_bytes: int
    rows: int
    blob: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a source. Two versions share the segments of the files they have in common."""

    source: str
    columns: tuple[SourceColumn, ...]
    segments: tuple[Segment, ...]

    @property
    def digest(self) -> str:
        """The version: the hash of the canonical manifest."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    @property
    def rows(self) -> int:
        """Rows in all segments together."""
        return sum(segment.rows for segment in self.segments)
