"""What files are packed with: gzip and zstd, which are read through, and zip, which is unpacked for the while."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from headway.errors import SourceError
from headway.sources.opened import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PACKED", "text_of", "unzipped"]

PACKED = {".gz", ".zip", ".zst"}
_BLOCK_BYTES = 1 << 20


@contextmanager
def text_of(path: Path) -> Iterator[BinaryIO]:
    """Yield the bytes of a file, without what it is packed with.

    Raises
    ------
    SourceError
        When the file is not whole, or not packed as its name says.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".gz":
            with gzip.open(path) as file:
                yield cast("BinaryIO", file)
        elif suffix == ".zst":
            import pyarrow as pa

            try:
                with pa.OSFile(str(path)) as packed, pa.CompressedInputStream(packed, "zstd") as stream:
                    yield cast("BinaryIO", stream)
            except OSError as error:
                raise SourceError(
                    f"{path.name} is not a whole zstd file: {one_line(str(error))}", where=str(path)
                ) from None
        else:
            with path.open("rb") as file:
                yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SourceError(f"{path.name} is not a whole gzip file: {error}.", where=str(path)) from None


def unzipped(path: Path, folder: Path) -> Path:
    """Unpack the one file in a zip file into ``folder``, and return it.

    Raises
    ------
    SourceError
        When it holds more or less than one file, or is not whole.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                names = ", ".join(member.filename for member in members[:5])
                raise SourceError(
                    f"{path.name} holds {len(members)} files, and one is wanted.",
                    where=str(path),
                    hint=f"In it: {names}.",
                )
            # The member's own name is not trusted with a path.
            target = folder / (Path(members[0].filename).name or "data")
            with archive.open(members[0]) as packed, target.open("wb") as unpacked:
                while block := packed.read(_BLOCK_BYTES):
                    unpacked.write(block)
            return target
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise SourceError(f"{path.name} is not a whole zip file: {error}.", where=str(path)) from None
    except (NotImplementedError, RuntimeError) as error:  # packed in a way that Python does not know, or encrypted
        raise SourceError(f"{path.name} cannot be unpacked: {error}.", where=str(path)) from None
