"""Blobs as files: ``<root>/ab/cdef…``, written so that no crash leaves half a blob under a whole name.

Bytes go to a temporary file of the same file system, are synced, renamed to their digest, and the folders that
now list them are synced too. A reader therefore sees all or nothing, and a returned digest survives a loss of
power. Files are read-only: they are never changed, and a slip of another program should not change them either.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec
from blake3 import blake3

from headway.blobs.blobs import Blob, BlobsChecked, Redaction
from headway.blobs.digest import Digest, checked_digest, is_digest
from headway.errors import NO_ROOM, NotFound, StoreCorrupt, StoreError, StoreFull

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["FolderBlobs"]

_PIECE = 1 << 20
_STALE_S = 86_400.0
_SCRATCH = "tmp"
_REDACTED = ".redacted"


class FolderBlobs:
    """Blobs in a local folder, shared safely by any number of processes.

    Examples
    --------
    >>> import tempfile
    >>> blobs = FolderBlobs(tempfile.mkdtemp())
    >>> digest = blobs.put(b"every byte counts")
    >>> blobs.read(digest)
    b'every byte counts'
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self._scratch = self.root / _SCRATCH

    def put(self, data: bytes | bytearray | memoryview | os.PathLike[str] | Iterable[bytes]) -> Digest:
        """Keep ``data``: bytes, a copy of the file at a path, or pieces in order."""
        if isinstance(data, (bytes, bytearray, memoryview)):
            with _speaking(self.root):
                digest, size = blake3(data).hexdigest(), memoryview(data).nbytes
                return digest if self._stands(digest, size) else self._keep((data,))
        if isinstance(data, os.PathLike):
            with Path(data).open("rb") as file:
                return self._keep(_pieces(file))
        return self._keep(data)

    def adopt(self, path: os.PathLike[str]) -> Digest:
        """Keep the file at ``path`` by moving it in; across file systems it is copied, then removed."""
        source = Path(path)
        with source.open("rb") as file, _speaking(self.root):
            hasher, size = blake3(), 0
            for piece in _pieces(file):
                hasher.update(piece)
                size += len(piece)
            digest = hasher.hexdigest()
            if not self._stands(digest, size):
                os.fsync(file.fileno())
                try:
                    self._publish(source, digest)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    file.seek(0)
                    self._keep(_pieces(file))
        source.unlink(missing_ok=True)
        return digest

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Lend a folder in the blobs' own file system, so that what is written there is adopted by a rename.

        Examples
        --------
        >>> import tempfile
        >>> blobs = FolderBlobs(tempfile.mkdtemp())
        >>> with blobs.scratch() as folder:
        ...     size = (folder / "part").write_bytes(b"written by another program")
        ...     digest = blobs.adopt(folder / "part")
        >>> blobs.has(digest)
        True
        """
        with self._at_work():
            with _speaking(self.root):
                folder = self._fresh_name()
                folder.mkdir()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def open(self, digest: Digest) -> BinaryIO:
        """Return the blob for reading; ``read`` is the one that verifies."""
        return self.path(digest).open("rb")

    def read(self, digest: Digest) -> bytes:
        """Return the bytes, verified against their name."""
        path = self.path(digest)
        with _speaking(self.root):
            data = path.read_bytes()
        _refuse_changed(path, blake3(data).hexdigest(), len(data))
        return data

    def check(self, digest: Digest) -> None:
        """Read the blob, a piece at a time, and raise when its bytes have changed."""
        path = self.path(digest)
        with _speaking(self.root):
            name, size = _hashed(path)
        _refuse_changed(path, name, size)

    def path(self, digest: Digest) -> Path:
        """Return the file of the blob; of one that was redacted, what is left of it."""
        path = self._place(digest)
        if path.is_file():
            return path
        redaction = self.redaction(digest)
        if redaction is None:
            raise NotFound(f"There is no blob {digest}.", where=str(self.root))
        if not redaction.now:
            raise NotFound(
                f"Blob {digest} is gone: all that it held was erased ({redaction.erasure}).",
                where=str(self.root),
                hint="'headway data erasures' says when, and who asked for it.",
            )
        return self.path(redaction.now)

    def has(self, digest: Digest) -> bool:
        """Return whether the blob, or what is left of it, is there."""
        if not is_digest(digest):
            return False
        if self._place(digest).is_file():
            return True
        redaction = self.redaction(digest)
        return redaction is not None and self.has(redaction.now)

    def redact(self, digest: Digest, *, now: Digest, erasure: str) -> None:
        """Forget the blob, and let whoever asks for it read ``now`` instead ("": nothing).

        The note is on the disk before the bytes go, so that a crash in between leaves both, and a second call
        finishes what the first one began.
        """
        place = self._place(digest)
        note = place.with_name(place.name + _REDACTED)
        with self._at_work(), _speaking(self.root):
            temporary = self._fresh_name()
            with temporary.open("wb") as file:
                file.write(msgspec.json.encode(Redaction(of=digest, now=now, erasure=erasure)))
                file.flush()
                os.fsync(file.fileno())
            note.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(note)
            place.unlink(missing_ok=True)
            _sync_folder(place.parent)

    def redaction(self, digest: Digest) -> Redaction | None:
        """Return what stands in the place of a blob that was redacted."""
        place = self._place(digest)
        try:
            note = place.with_name(place.name + _REDACTED).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(note, type=Redaction)
        except msgspec.MsgspecError as error:
            raise StoreCorrupt(f"The note of a redaction is damaged: {error}.", where=str(place) + _REDACTED) from None

    def listed(self) -> list[Blob]:
        """Return all blobs in the order of their names; ages are read off the file system's own clock."""
        with _speaking(self.root):
            now = self._now()
            found = []
            for file in sorted(self.root.glob("??/*")):
                if is_digest(digest := file.parent.name + file.name):
                    stat = file.stat()
                    found.append(Blob(digest=digest, size_bytes=stat.st_size, age_s=now - stat.st_mtime))
            return found

    def delete(self, digest: Digest) -> bool:
        """Forget the blob, and return whether it was there."""
        path = self._place(digest)
        with _speaking(self.root):
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            _sync_folder(path.parent)
            return True

    def verify(self, progress: Callable[[int, int], None] | None = None) -> BlobsChecked:
        """Read every file and name those whose bytes, or whose names, are not a blob's."""
        files = sorted(file for file in self.root.glob("*/*") if file.parent.name != _SCRATCH)
        notes = [file for file in files if file.name.endswith(_REDACTED)]
        bad = [str(note) for note in notes if not _reads(note)]
        files = [file for file in files if not file.name.endswith(_REDACTED)]
        size = 0
        for done, file in enumerate(files, start=1):
            name = ""
            with contextlib.suppress(OSError):  # unreadable is bad
                name, read = _hashed(file)
                size += read
            if name != file.parent.name + file.name:
                bad.append(str(file))
            if progress is not None:
                progress(done, len(files))
        return BlobsChecked(count=len(files), size_bytes=size, bad=tuple(sorted(bad)), redacted=len(notes))

    def sweep(self, *, at_once: bool = False) -> int:
        """Remove what killed writers left behind, and return how many pieces that was.

        Ages are read off the file system's own clock, so that a file being written elsewhere is never taken
        for an old one.

        Parameters
        ----------
        at_once
            Whether also what is younger than a day, as soon as there is a moment in which nobody writes.
        """
        with _speaking(self.root):
            if not self._scratch.is_dir():
                return 0
            if at_once:
                with _lock(self._scratch, alone=True) as nobody_writes:
                    if nobody_writes:
                        return self._removed(list(self._scratch.iterdir()))
            now = self._now()
            old = []
            for entry in self._scratch.iterdir():
                with contextlib.suppress(FileNotFoundError):  # its own writer was faster
                    if now - entry.stat().st_mtime >= _STALE_S:
                        old.append(entry)
            return self._removed(old)

    def _removed(self, entries: Iterable[Path]) -> int:
        count = 0
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
                count += 1
        return count

    @contextlib.contextmanager
    def _at_work(self) -> Iterator[None]:
        """Say that something in the scratch folder belongs to somebody, for as long as this process lives."""
        with _speaking(self.root):
            self._scratch.mkdir(parents=True, exist_ok=True)
        with _lock(self._scratch, alone=False):
            yield

    def _now(self) -> float:
        """Return the time by the file system's own clock."""
        probe = self._fresh_name()
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
        return now

    def _place(self, digest: str) -> Path:
        name = checked_digest(digest)
        return self.root / name[:2] / name[2:]

    def _stands(self, digest: Digest, size: int) -> bool:
        """Whether the blob is already there; one of another size is damaged, and will be replaced."""
        path = self._place(digest)
        try:
            stands = path.stat().st_size == size
        except FileNotFoundError:
            return False
        if stands:
            _sync_folder(path.parent)  # whoever renamed it may not have come to this yet
        return stands

    def _keep(self, pieces: Iterable[bytes | bytearray | memoryview]) -> Digest:
        with self._at_work():
            return self._written(pieces)

    def _written(self, pieces: Iterable[bytes | bytearray | memoryview]) -> Digest:
        hasher, size = blake3(), 0
        with _speaking(self.root):
            temporary = self._fresh_name()
            handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444)
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                for piece in pieces:  # outside of _speaking: what the caller's pieces raise is the caller's
                    hasher.update(piece)
                    with _speaking(self.root):
                        _write_all(file, memoryview(piece).cast("B"))
                    size += memoryview(piece).nbytes
                with _speaking(self.root):
                    os.fsync(file.fileno())
            digest = hasher.hexdigest()
            with _speaking(self.root):
                if not self._stands(digest, size):
                    self._publish(temporary, digest)
            return digest
        finally:
            temporary.unlink(missing_ok=True)

    def _publish(self, file: Path, digest: Digest) -> None:
        place = self._place(digest)
        if not place.parent.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(self.root)
        file.replace(place)
        place.chmod(place.stat().st_mode & 0o444)
        _sync_folder(place.parent)

    def _fresh_name(self) -> Path:
        self._scratch.mkdir(parents=True, exist_ok=True)
        return self._scratch / f"{os.getpid()}-{secrets.token_hex(8)}"


def _reads(note: Path) -> bool:
    try:
        found = msgspec.json.decode(note.read_bytes(), type=Redaction)
    except (OSError, msgspec.MsgspecError):
        return False
    return found.of + _REDACTED == note.parent.name + note.name


def _write_all(file: io.FileIO, data: memoryview) -> None:
    while data:  # unbuffered, so that no write is left for close() to fail at; a nearly full disk takes a part
        data = data[file.write(data) :]


def _hashed(path: Path) -> tuple[Digest, int]:
    """Return the name that a file's bytes have, and how many there are."""
    hasher, size = blake3(), 0
    with path.open("rb") as file:
        for piece in _pieces(file):
            hasher.update(piece)
            size += len(piece)
    return hasher.hexdigest(), size


def _refuse_changed(path: Path, name: Digest, size: int) -> None:
    if name != path.parent.name + path.name:
        raise StoreCorrupt(
            f"The file holds {size} bytes that are not what its name says.",
            where=str(path),
            hint="Restore it from a backup, or delete it and run again what made it.",
        )


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


@contextlib.contextmanager
def _lock(folder: Path, *, alone: bool) -> Iterator[bool]:
    """Hold a folder with others, or alone, and say whether it is held; the system lets go when the process dies."""
    if os.name == "nt":  # Windows locks no folders: there, what was left behind goes by its age alone
        yield False
        return
    import fcntl  # not on Windows

    handle = os.open(folder, os.O_RDONLY)
    try:
        held = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
        except OSError:  # somebody writes; or a file system that knows no locks
            held = False
        yield held
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows opens no folders; its file system journals the names
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _speaking(root: Path) -> Iterator[None]:
    """Turn the system's errors into the store's."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        where = str(error.filename or root)
        if error.errno in NO_ROOM:
            raise StoreFull(
                f"There is no room for another blob ({error.strerror}).",
                where=where,
                hint="Make room or lift the quota, then run the same command again: nothing was lost.",
            ) from error
        raise StoreError(f"The blobs cannot be used: {error.strerror}.", where=where) from error
