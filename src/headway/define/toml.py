"""Texts and keys as TOML writes them; the standard library reads TOML and does not write it."""

from __future__ import annotations

import json
import re

__all__ = ["key", "text"]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def text(value: str) -> str:
    r"""Return ``value`` as a TOML string: a JSON string, but for one control character that JSON leaves as it is.

    Examples
    --------
    >>> print(text('a "b"'))
    "a \"b\""
    """
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """Return ``name`` as a TOML key, quoted where it must be.

    Examples
    --------
    >>> print(key("order_id"), key("order id"))
    order_id "order id"
    """
    return name if _BARE.fullmatch(name) else text(name)
