"""The ASGI application: who may come in, where to, and what becomes of errors.

A bare callable with one dictionary of routes. A client's mistake is a 4xx with code and hint; whatever was not foreseen
is a 500 that names an incident, under which the traceback stands in the log of the process.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from headway.errors import HeadwayError, did_you_mean
from headway.server.exchange import (
    ClientGone,
    Receive,
    Reply,
    Scope,
    Send,
    failure,
    header,
    json_reply,
    send_reply,
)
from headway.server.health import health, metrics
from headway.server.manage import Management, routes
from headway.server.predict import predict
from headway.server.statuses import Forbidden, MethodNotAllowed, NoSuchPath, Unauthorised

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import ThreadPoolExecutor

    from headway.server.service import Service

__all__ = ["App", "is_loopback"]

_log = logging.getLogger("headway.server")
_PREDICT = "/v1/predict"


class App:
    """The application of one process.

    Parameters
    ----------
    service
        What answers.
    management, worker
        What stands behind outcomes, status and releases, and the one thread it runs in; without it these paths are
        not there.
    token
        Whoever sends anything but ``GET /health`` must know it; "" for no token, which is for loopback only.
    """

    def __init__(
        self,
        service: Service,
        *,
        management: Management | None = None,
        worker: ThreadPoolExecutor | None = None,
        token: str = "",
    ) -> None:
        self._service = service
        self._token = f"Bearer {token}".encode() if token else b""
        self._routes: dict[tuple[str, str], Callable[[Scope, Receive], Awaitable[Reply]]] = {
            ("POST", _PREDICT): self._predict,
            ("GET", "/health"): self._health,
            ("GET", "/metrics"): self._metrics,
        }
        if management is not None and worker is not None:
            self._routes |= routes(management, worker)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":  # no web sockets; the server's life span is its own affair
            return
        path = scope["path"]
        try:
            answer = await self._answer(scope, receive)
        except HeadwayError as error:
            answer = failure(error)
        except ClientGone:
            return
        except Exception:  # noqa: BLE001  (whatever it is, one request's fault is not another's)
            incident = secrets.token_hex(4)
            _log.exception("Incident %s: %s %s", incident, scope["method"], path)
            answer = json_reply(
                {
                    "code": "internal",
                    "error": "Something went wrong that was not foreseen.",
                    "where": f"incident {incident}",
                    "hint": "The server's log has the details under this incident.",
                },
                status=500,
            )
        self._service.metrics.count(path if (scope["method"], path) in self._routes else "other", answer.status)
        await send_reply(send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        method, path = scope["method"], scope["path"]
        if path != "/health":
            self._refuse_strangers(scope)
        route = self._routes.get((method, path))
        if route is None:
            raise self._astray(method, path)
        return await route(scope, receive)

    async def _predict(self, scope: Scope, receive: Receive) -> Reply:
        return await predict(self._service, scope, receive)

    async def _health(self, _: Scope, __: Receive) -> Reply:
        return health(self._service)

    async def _metrics(self, _: Scope, __: Receive) -> Reply:
        return metrics(self._service)

    def _refuse_strangers(self, scope: Scope) -> None:
        """Let in whoever knows the token; where there is none, whoever is on this machine and no page of a browser.

        Without a token anything on the machine may ask, but a page from elsewhere that is open in a browser here may
        not: it would come with its own ``Origin``, or under a foreign ``Host`` that was made to point here.
        """
        if self._token:
            if not secrets.compare_digest(header(scope, b"authorization"), self._token):
                raise Unauthorised("The token is missing or wrong.", hint="Send 'Authorization: Bearer TOKEN'.")
            return
        for name in (b"origin", b"host"):
            value = header(scope, name)
            if value and not _names_this_machine(value):
                raise Forbidden(
                    f"{name.decode().title()} {value.decode('latin-1')[:100]!r} is not this machine.",
                    hint="Set HEADWAY_TOKEN on the server and send it, to be asked from elsewhere.",
                )

    def _astray(self, method: str, path: str) -> HeadwayError:
        allowed = [known for known, place in self._routes if place == path]
        if allowed:
            what = f"{path} does not take {method[:20]}."
            return MethodNotAllowed(what, allowed=", ".join(allowed), hint=f"Use {allowed[0]}.")
        known = sorted({place for _, place in self._routes})
        return NoSuchPath(f"Nothing is served under {path[:200]!r}.", hint=did_you_mean(path[:200], known))


@lru_cache(maxsize=64)  # callers name the same few; looking costs a tenth of a prediction
def _names_this_machine(value: bytes) -> bool:
    text = value.decode("latin-1")
    try:
        return is_loopback(urlsplit(text if "//" in text else f"//{text}").hostname or "")
    except ValueError:  # no address at all
        return False


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine and no other.

    Examples
    --------
    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "example.com")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
