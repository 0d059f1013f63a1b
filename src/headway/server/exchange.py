"""One HTTP exchange: a body in, within a limit, and a reply out. The file hides ASGI's messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

import msgspec

from headway.errors import HeadwayError, StoreBusy
from headway.server.statuses import BodyTooLarge, MethodNotAllowed, Unauthorised, status_of

__all__ = [
    "ClientGone",
    "Receive",
    "Reply",
    "Scope",
    "Send",
    "failure",
    "header",
    "json_reply",
    "read_body",
    "send_reply",
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON = b"application/json"


class ClientGone(Exception):
    """The client hung up before its request was complete: there is nobody to answer."""


class Reply(NamedTuple):
    """What goes back."""

    status: int
    body: bytes
    content_type: bytes = _JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


async def read_body(scope: Scope, receive: Receive, *, limit: int) -> bytes:
    """Return the body of a request.

    Raises
    ------
    BodyTooLarge
        When it is larger than ``limit`` bytes; no more than that was kept.
    ClientGone
        When it never became complete.
    """
    declared = header(scope, b"content-length")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(f"{int(declared):,} bytes", limit)
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        parts, size = [body], len(body)
        while message.get("more_body", False) and size <= limit:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        body = b"".join(parts)
    if len(body) > limit:
        raise _too_large(f"more than {limit:,} bytes", limit)
    return body


async def send_reply(send: Send, reply: Reply) -> None:
    """Send a reply."""
    headers = [(b"content-type", reply.content_type), (b"content-length", b"%d" % len(reply.body)), *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def header(scope: Scope, name: bytes) -> bytes:
    """Return the value of a header, by its name in small letters; b"" where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return b""


def json_reply(value: object, *, status: int = 200) -> Reply:
    """Return a value as a JSON reply."""
    return Reply(status, msgspec.json.encode(value))


def failure(error: HeadwayError) -> Reply:
    """Return the reply to a request that failed: the error's parts, and what HTTP wants beside them."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if isinstance(error, MethodNotAllowed):
        headers = ((b"allow", error.allowed.encode()),)
    elif isinstance(error, Unauthorised):
        headers = ((b"www-authenticate", b"Bearer"),)
    elif isinstance(error, StoreBusy):
        headers = ((b"retry-after", b"1"),)
    elif isinstance(error, BodyTooLarge):
        headers = ((b"connection", b"close"),)  # the rest of the body is still on its way, and nobody reads it
    return Reply(status_of(error), msgspec.json.encode(error.as_dict()), headers=headers)


def _too_large(size: str, limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body has {size}; at most {limit:,} are taken.",
        hint="Send fewer rows at once. The limit is serve.max_body_bytes.",
    )
