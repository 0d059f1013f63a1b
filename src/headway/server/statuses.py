"""Which error is which HTTP status: the one table, and the errors that only HTTP knows."""

from __future__ import annotations

from headway.deploy.contract import NotJson
from headway.errors import (
    BriefError,
    DataError,
    GateClosed,
    HeadwayError,
    NotFound,
    OutcomeError,
    RequestError,
    SourceError,
    StoreBusy,
    StoreError,
    StoreFull,
)

__all__ = ["STATUSES", "BodyTooLarge", "Forbidden", "MethodNotAllowed", "NoSuchPath", "Unauthorised", "status_of"]


class BodyTooLarge(RequestError):
    """The body is larger than the brief's ``serve.max_body_bytes``."""

    code = "request-too-large"


class NoSuchPath(NotFound):
    """Nothing is served under this path."""

    code = "path-unknown"


class MethodNotAllowed(HeadwayError):
    """The path is there, but not for this method; ``allowed`` are those it is there for."""

    code = "method-not-allowed"

    def __init__(self, what: str, *, allowed: str, hint: str = "") -> None:
        super().__init__(what, hint=hint)
        self.allowed = allowed


class Unauthorised(HeadwayError, PermissionError):
    """The token is missing or wrong."""

    code = "token-wrong"


class Forbidden(HeadwayError, PermissionError):
    """The request was made by a page of another site, in somebody's browser."""

    code = "origin-refused"


STATUSES: dict[type[HeadwayError], int] = {
    NotJson: 400,
    Unauthorised: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    GateClosed: 409,
    StoreBusy: 409,
    BodyTooLarge: 413,
    RequestError: 422,
    OutcomeError: 422,
    BriefError: 422,
    DataError: 422,
    SourceError: 422,
    StoreError: 503,
    StoreFull: 507,
    HeadwayError: 500,
}
"""Status by error; what is not listed has the status of the nearest class above it."""


def status_of(error: HeadwayError) -> int:
    """Return the status of an error.

    Examples
    --------
    >>> status_of(RequestError("'hour' is missing.")), status_of(NotJson("The body is no JSON."))
    (422, 400)
    """
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
