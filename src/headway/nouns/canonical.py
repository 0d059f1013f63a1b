"""One value, one text: the JSON that digests and chains are computed over.

Keys are sorted, no space is spent, text stays text, and a float is written as the shortest decimal that reads
back as the same float. NaN and infinity have no JSON and are refused here, where the mistake still has a name:
a lenient writer turns them into ``null``, and the difference is found months later.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

__all__ = ["canonical_json"]


def canonical_json(value: object) -> str:
    """Return ``value`` as canonical JSON; NumPy scalars count as the Python numbers they stand for.

    Raises
    ------
    ValueError
        When the value cannot be written such that the same value is read back.

    Examples
    --------
    >>> canonical_json({"b": (1, 2.0), "a": "é"})
    '{"a":"é","b":[1,2.0]}'
    >>> canonical_json({"score": float("nan")})
    Traceback (most recent call last):
    ValueError: NaN and infinity cannot be recorded; leave the figure out where there is none.
    """
    try:
        plain = msgspec.to_builtins(value, enc_hook=_scalar, str_keys=True)
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("Text with half of a surrogate pair is no Unicode and cannot be recorded.") from None
    except (TypeError, NotImplementedError) as error:
        raise ValueError(f"This cannot be written as JSON: {error}.") from None
    except ValueError as error:
        if "Out of range float" not in str(error):
            raise
        raise ValueError("NaN and infinity cannot be recorded; leave the figure out where there is none.") from None
    return text


def _scalar(value: Any) -> object:
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", 1) == 0:
        return item()
    raise NotImplementedError(f"{type(value).__name__} is no number, text, list or mapping")
