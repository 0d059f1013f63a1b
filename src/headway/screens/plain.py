"""A result as JSON: what a programme reads where a person reads a screen."""

from __future__ import annotations

import math
from typing import Any

import msgspec

__all__ = ["as_json", "as_plain"]


def as_plain(result: Any) -> Any:
    """Return structs as dicts and Arrow tables as lists of dicts; a figure that is not there (NaN) as None.

    Examples
    --------
    >>> as_plain({"score": float("nan"), "rows": (1, 2)})
    {'score': None, 'rows': [1, 2]}
    """
    if hasattr(result, "to_pylist"):
        result = result.to_pylist()
    return _clean(msgspec.to_builtins(result, str_keys=True))


def as_json(result: Any, *, line: bool = False) -> str:
    """Return a result as JSON text: indented, or on one ``line``; both end with a line's end."""
    data = msgspec.json.encode(as_plain(result))
    return (data if line else msgspec.json.format(data, indent=2)).decode() + "\n"


def _clean(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _clean(each) for name, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, list | tuple) else value
