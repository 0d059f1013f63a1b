"""Everything but predictions: outcomes, status and which release is in service, through a port.

What stands behind the port writes to the ledger and may take its time. It runs in one thread of its own, one call
after the other, so that it never holds up a prediction and need not be safe for several threads.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from headway.deploy.contract import NotJson
from headway.errors import OutcomeError, RequestError
from headway.server.exchange import Receive, Reply, Scope, json_reply, read_body

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["Management", "routes"]

_MAX_BODY_BYTES = 16 * 2**20
T = TypeVar("T", bound=msgspec.Struct)
Route = tuple[str, str]


class Management(Protocol):
    """What a server asks of the project beside predictions. Replies are JSON values; errors are ``HeadwayError``."""

    def outcomes(self, outcomes: list[dict[str, Any]], *, skip_unknown: bool) -> dict[str, Any]:
        """Join outcomes to predictions, and return how many fared how.

        Each has the prediction's ``id`` or its key columns, ``label`` (null: void) and, optionally, ``known_at``.
        With ``skip_unknown``, those of predictions that are not known are counted rather than refused.
        """
        ...

    def status(self) -> dict[str, Any]:
        """Return what ``headway status`` says."""
        ...

    def activate(self, release: str, *, by: str, why: str) -> dict[str, Any]:
        """Put a release into service."""
        ...

    def rollback(self, *, by: str, why: str) -> dict[str, Any]:
        """Put the release back into service that was champion before."""
        ...


class _Outcomes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    outcomes: list[dict[str, Any]]
    skip_unknown: bool = False


class _Activate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    release: str
    by: str
    why: str


class _Rollback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: str
    why: str


def routes(
    management: Management, worker: ThreadPoolExecutor
) -> dict[Route, Callable[[Scope, Receive], Awaitable[Reply]]]:
    """Return what is served beside predictions, by method and path."""

    async def run(call: Callable[[], dict[str, Any]]) -> Reply:
        return json_reply(await asyncio.get_running_loop().run_in_executor(worker, call))

    async def outcomes(scope: Scope, receive: Receive) -> Reply:
        asked = await _read(scope, receive, _Outcomes)
        if not asked.outcomes:
            raise OutcomeError("'outcomes' is empty.", where="outcomes", hint="Send at least one.")
        return await run(lambda: management.outcomes(asked.outcomes, skip_unknown=asked.skip_unknown))

    async def status(_: Scope, __: Receive) -> Reply:
        return await run(management.status)

    async def activate(scope: Scope, receive: Receive) -> Reply:
        asked = await _read(scope, receive, _Activate)
        return await run(lambda: management.activate(asked.release, by=asked.by, why=asked.why))

    async def rollback(scope: Scope, receive: Receive) -> Reply:
        asked = await _read(scope, receive, _Rollback)
        return await run(lambda: management.rollback(by=asked.by, why=asked.why))

    return {
        ("POST", "/v1/outcomes"): outcomes,
        ("GET", "/v1/status"): status,
        ("POST", "/v1/release"): activate,
        ("POST", "/v1/rollback"): rollback,
    }


async def _read(scope: Scope, receive: Receive, kind: type[T]) -> T:
    body = await read_body(scope, receive, limit=_MAX_BODY_BYTES)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        fields = ", ".join(field.encode_name for field in msgspec.structs.fields(kind))
        raise RequestError(f"The request does not fit: {error}.", hint=f"Wanted: {fields}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson(f"The body is no JSON: {error}.") from None
