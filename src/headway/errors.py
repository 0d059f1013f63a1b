"""Every error that Headway raises on purpose, and how it speaks.

::

    HeadwayError                     its exit code is in ``screens/failure.py``, its status in ``server/statuses.py``
    ├── BriefError      (ValueError)     a line of ``headway.toml`` cannot stand
    │   └── ExpressionError              an expression does not parse, or does not fit its columns
    ├── SourceError     (ValueError)     a source cannot be read as the brief says
    ├── DataError       (ValueError)     the data are readable but cannot serve (one class, empty split)
    ├── RequestError    (ValueError)     a prediction request breaks the contract
    ├── OutcomeError    (ValueError)     an outcome breaks the contract
    ├── NotFound        (LookupError)    no such prediction, run, release, file
    ├── GateClosed      (PermissionError) a question or gate stops the way
    ├── StoreError      (OSError)        the store under ``.headway/``
    │   ├── StoreBusy                    another process holds the lease
    │   ├── StoreTooNew                  written by a later version of Headway
    │   ├── StoreCorrupt                 bytes are not what their digest says
    │   └── StoreFull                    no space left on the device
    ├── ParityError     (ArithmeticError) a packaged graph disagrees with what was trained
    ├── ClusterUnreachable (ConnectionError) the engine that the brief names does not answer
    └── MissingExtra    (ImportError)    an optional dependency is not installed

An error says what was found, what was wanted, where, and what to do. The parts are kept as fields, so that
a terminal, a JSON reply and a test each take what they need; ``str(error)`` joins them.
"""

from __future__ import annotations

import difflib
import errno
import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "NO_ROOM",
    "BriefError",
    "ClusterUnreachable",
    "DataError",
    "ExpressionError",
    "GateClosed",
    "HeadwayError",
    "MissingExtra",
    "NotFound",
    "OutcomeError",
    "ParityError",
    "RequestError",
    "SourceError",
    "StoreBusy",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreTooNew",
    "did_you_mean",
]


class HeadwayError(Exception):
    """The root of all errors raised on purpose.

    Parameters
    ----------
    what
        What was found, and what was wanted instead; one sentence.
    where
        File, line, column, field: whatever finds the place.
    hint
        What to do about it.

    Examples
    --------
    >>> print(HeadwayError("Column 'agee' does not exist.", where="headway.toml:12", hint="Did you mean 'age'?"))
    headway.toml:12: Column 'agee' does not exist. Did you mean 'age'?
    """

    code = "headway-error"

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what, where, hint)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{place}{self.what}{hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        # Raised on a worker of a cluster, it arrives here as it was; Python alone would lose what is no argument.
        return functools.partial(type(self), where=self.where, hint=self.hint), (self.what,)

    def at(self, where: str) -> HeadwayError:
        """Return the same error with its place filled in; a place that is known already stays."""
        self.where = self.where or where
        return self

    def as_dict(self) -> dict[str, str]:
        """Return the parts, as JSON output and HTTP replies carry them."""
        return {"code": self.code, "error": self.what, "where": self.where, "hint": self.hint}


class BriefError(HeadwayError, ValueError):
    code = "brief-invalid"


class ExpressionError(BriefError):
    code = "expression-invalid"


class SourceError(HeadwayError, ValueError):
    code = "source-unreadable"


class DataError(HeadwayError, ValueError):
    code = "data-unfit"


class RequestError(HeadwayError, ValueError):
    code = "request-invalid"


class OutcomeError(HeadwayError, ValueError):
    code = "outcome-invalid"


class NotFound(HeadwayError, LookupError):
    code = "not-found"


class GateClosed(HeadwayError, PermissionError):
    code = "gate-closed"


class StoreError(HeadwayError, OSError):
    code = "store-failed"


class StoreBusy(StoreError):
    code = "store-busy"


class StoreTooNew(StoreError):
    code = "store-too-new"


class StoreCorrupt(StoreError):
    code = "store-corrupt"


class StoreFull(StoreError):
    code = "store-full"


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The system's errors that a :class:`StoreFull` stands for: a full disk, a quota, a limit on the size of files."""


class ParityError(HeadwayError, ArithmeticError):
    code = "parity-broken"


class ClusterUnreachable(HeadwayError, ConnectionError):
    code = "cluster-unreachable"


class MissingExtra(HeadwayError, ImportError):
    """An optional dependency is absent.

    Examples
    --------
    >>> print(MissingExtra.of("pandas", extra="pandas"))
    This needs the package 'pandas'. Install it with: pip install 'headway[pandas]'
    """

    code = "extra-missing"

    @classmethod
    def of(cls, package: str, *, extra: str) -> MissingExtra:
        """Return the error that names the command which installs ``package``."""
        return cls(
            f"This needs the package {package!r}.",
            hint=f"Install it with: pip install 'headway[{extra}]'",
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or lists what is known.

    Examples
    --------
    >>> did_you_mean("agee", ["age", "income"])
    "Did you mean 'age'?"
    >>> did_you_mean("zzz", ["age", "income"])
    'Known: age, income.'
    """
    choices = sorted(known)
    near = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    shown = ", ".join(choices[:12]) + (", …" if len(choices) > 12 else "")
    return f"Known: {shown}." if choices else ""
