"""What names a blob: the BLAKE3 of its bytes, as 64 lower-case hexadecimal digits.

Since nothing else passes :func:`checked_digest`, no digest can climb out of the folder that it names a file in.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from blake3 import blake3

from headway.errors import NotFound

__all__ = ["Digest", "checked_digest", "digest_of", "is_digest"]

Digest: TypeAlias = str

_SHAPE = re.compile(r"[0-9a-f]{64}")


def digest_of(data: bytes) -> Digest:
    """Return the name of ``data``.

    Examples
    --------
    >>> digest_of(b"")[:16]
    'af1349b9f5f9a1a6'
    """
    return blake3(data).hexdigest()


def is_digest(text: object) -> bool:
    """Return whether ``text`` could be the name of a blob."""
    return isinstance(text, str) and _SHAPE.fullmatch(text) is not None


def checked_digest(text: str) -> Digest:
    """Return ``text``, which is a digest.

    Raises
    ------
    NotFound
        When it is none: no blob can have that name.
    """
    if not is_digest(text):
        raise NotFound(f"{text!r} names no blob.", hint="A digest is 64 hexadecimal digits in lower case.")
    return text
