"""How readers complain, said in our words: which file, which line, what is wrong, what to do."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headway.errors import NO_ROOM, HeadwayError, SourceError, StoreFull
from headway.sources.opened import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["explained"]


@contextmanager
def explained(path: Path | str, shown: str) -> Iterator[None]:
    """Say in our words what the engine's readers, or the machine, found wrong with a file."""
    try:
        yield
    except StoreFull:
        raise  # the machine's want, and no fault of the file
    except _by_the_engine() as error:
        if isinstance(error, HeadwayError) and not isinstance(error.__cause__, _by_the_engine()[0]):
            raise
        raise _complaint(str(error.__cause__ or error), path, shown) from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{shown} is not UTF-8 text: {error.reason}.", where=str(path)) from None
    except OSError as error:
        if isinstance(error, HeadwayError):
            raise
        if error.errno in NO_ROOM:
            raise StoreFull(
                f"No space is left to read {shown} ({error.strerror}).",
                where=str(error.filename or tempfile.gettempdir()),
                hint="Make room or lift the quota, or point TMPDIR elsewhere, and run it again.",
            ) from error
        raise SourceError(f"{shown} cannot be read: {error.strerror or error}.", where=str(path)) from None


def _by_the_engine() -> tuple[type[Exception], ...]:
    """Return what the engine's errors are; asked only when something went wrong, so that a look loads no engine."""
    import duckdb

    return duckdb.Error, HeadwayError


def _complaint(text: str, path: Path | str, shown: str) -> SourceError:
    line = re.search(r"[Ll]ine:?\s+(\d+)", text)
    where = f"{path}:{line[1]}" if line else str(path)
    if count := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        return SourceError(
            f"{shown} is ragged: this line has {count[2]} fields, and the header has {count[1]}.", where=where
        )
    if "unterminated quote" in text:
        return SourceError(f"{shown} opens a quote that is never closed.", where=where)
    if "unicode" in text.lower() or "utf-8" in text.lower():
        return SourceError(f"{shown} is not UTF-8 text.", where=where, hint="Save it as UTF-8.")
    if value := re.search(r'Error when converting column "(.*)"\. (.*)', text):
        return SourceError(f"{shown} cannot be read: column {value[1]!r}: {value[2]}.", where=where)
    return SourceError(f"{shown} cannot be read: {one_line(text)}", where=where)
