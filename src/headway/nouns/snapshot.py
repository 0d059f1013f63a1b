"""An immutable version of one source: a manifest of segments, named by the rows that it says are there.

The name follows from the rows alone, in any order: not from the files that they stand in, nor from how the segments
are cut. So merging segments changes no version, and the same rows handed over again are the same version.
"""

from __future__ import annotations

import hashlib

import msgspec

__all__ = ["NOTHING", "Origin", "Segment", "Snapshot", "SourceColumn"]

NOTHING = "0" * 32
"""The mark of no rows at all."""


class SourceColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a source: its name, its kind, and the engine's type by which it is read from text."""

    name: str
    kind: str
    read_as: str


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a file, from which rows were read first."""

    file: str
    digest: str


class Segment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows of one file of a source, as an immutable Parquet blob; a file that changed is several of them.

    Attributes
    ----------
    file, file_digest, size_bytes
        The file as it is in this version.
    rows
        How many rows of the blob are still there.
    blob
        The rows. They stand in the order of the file, and row ``n`` (from 0) is row ``n + 1`` of the file, not
        counting a header; unless ``numbered``.
    deleted
        Blobs that name positions in ``blob`` which are no longer there.
    numbered
        Whether the blob says of each row in two columns of its own which of ``origins`` it came from, and the number
        of its row there (``query/parts.py``).
    origins
        The versions of files that the rows came from; the file itself where there is none.
    mark
        The sum of the fingerprints of the rows that are there; "" in manifests from before there were any.
    redacted
        So many rows were erased from it on somebody's demand.
    """

    file: str
    file_digest: str
    size_bytes: int
    rows: int
    blob: str
    deleted: tuple[str, ...] = ()
    numbered: bool = False
    origins: tuple[Origin, ...] = ()
    mark: str = ""
    redacted: int = 0

    def origin(self, place: int) -> Origin:
        """Return where a row came from, by its place in ``origins``."""
        return self.origins[place] if self.origins else Origin(file=self.file, digest=self.file_digest)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version of a source. Two versions share the segments of whatever they have in common.

    Attributes
    ----------
    redacted_from
        The version as which it was taken, where rows have been erased since: its name stays, so that what was built
        on it can still be explained.
    """

    source: str
    columns: tuple[SourceColumn, ...]
    segments: tuple[Segment, ...]
    redacted_from: str = ""

    @property
    def digest(self) -> str:
        """The version: the hash of the columns, the number of rows and the sum of their fingerprints."""
        return self.redacted_from or self.content

    @property
    def content(self) -> str:
        """What :attr:`digest` is by the rows that are there."""
        if any(not segment.mark for segment in self.segments):
            return self._first_form()
        lanes = [sum(int(segment.mark[half], 16) for segment in self.segments) for half in _HALVES]
        mark = "".join(f"{lane % 2**64:016x}" for lane in lanes)
        columns = sorted((column.name, column.kind) for column in self.columns)
        named = msgspec.json.encode({"source": self.source, "columns": columns, "rows": self.rows, "mark": mark})
        return hashlib.sha256(named).hexdigest()

    @property
    def rows(self) -> int:
        """Rows in all segments together."""
        return sum(segment.rows for segment in self.segments)

    @property
    def redacted(self) -> int:
        """Rows that were erased from it."""
        return sum(segment.redacted for segment in self.segments)

    def _first_form(self) -> str:
        """Return the hash of the manifest, as versions were named before rows had fingerprints."""
        first = [{name: getattr(segment, name) for name in _FIRST} for segment in self.segments]
        columns = msgspec.to_builtins(self.columns)
        manifest = {"source": self.source, "columns": columns, "segments": first}
        return hashlib.sha256(msgspec.json.encode(manifest, order="sorted")).hexdigest()


_HALVES = (slice(0, 16), slice(16, 32))
_FIRST = ("file", "file_digest", "size_bytes", "rows", "blob")
