"""The port: what any store of blobs can do, a folder or an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

import msgspec

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from headway.blobs.digest import Digest

__all__ = ["Blob", "Blobs", "BlobsChecked", "Redaction"]


class BlobsChecked(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at every blob found; ``bad`` names the files whose bytes are not what their names say."""

    count: int
    size_bytes: int
    bad: tuple[str, ...] = ()
    redacted: int = 0


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """One blob as it lies there: its name, its size, and how long ago it was written."""

    digest: str
    size_bytes: int
    age_s: float


class Redaction(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the place of a blob from which something was erased; it says nothing of what that was.

    Attributes
    ----------
    of
        The blob that stood here.
    now
        The blob that is read instead; "" where nothing is left.
    erasure
        The id of the erasure, which the ledger explains.
    """

    of: str
    now: str
    erasure: str


class Blobs(Protocol):
    """Bytes under the name of their own content. Nothing is ever changed in place."""

    def put(self, data: bytes | bytearray | memoryview | os.PathLike[str] | Iterable[bytes]) -> Digest:
        """Keep ``data`` (bytes, a copy of a file, or pieces in order); it is on the disk when this returns.

        Raises
        ------
        StoreFull
            When there is no space; nothing is left behind.
        """
        ...

    def adopt(self, path: os.PathLike[str]) -> Digest:
        """Keep the file at ``path`` by moving it in; it is gone from its old place afterwards."""
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """Return the blob for reading, unverified: for large ones that are read in part.

        Raises
        ------
        NotFound
            When there is none.
        """
        ...

    def read(self, digest: Digest) -> bytes:
        """Return the bytes, which are what was put.

        Raises
        ------
        NotFound
            When there is none.
        StoreCorrupt
            When the bytes have changed; the error names the file.
        """
        ...

    def check(self, digest: Digest) -> None:
        """Read the blob, a piece at a time, and raise what ``read`` would: before its file is given to others."""
        ...

    def path(self, digest: Digest) -> Path:
        """Return a local file with the bytes, for readers that want a path, such as DuckDB."""
        ...

    def has(self, digest: Digest) -> bool:
        """Return whether the blob is there."""
        ...

    def delete(self, digest: Digest) -> bool:
        """Forget the blob, and return whether it was there."""
        ...

    def redact(self, digest: Digest, *, now: Digest, erasure: str) -> None:
        """Forget the blob, and let whoever asks for it read ``now`` instead; see :class:`Redaction`."""
        ...

    def redaction(self, digest: Digest) -> Redaction | None:
        """Return what stands in the place of a blob that was redacted; None for any other."""
        ...

    def listed(self) -> list[Blob]:
        """Return all blobs, in the order of their names."""
        ...

    def verify(self, progress: Callable[[int, int], None] | None = None) -> BlobsChecked:
        """Read every blob; ``progress(done, total)`` is called after each."""
        ...
