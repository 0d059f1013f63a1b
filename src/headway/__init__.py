"""Headway: from a business decision to a living model in production.

::

    from headway import Project

    with Project.open("orders") as project:
        project.run()
        project.deploy(by="Ada")
        answers = project.predict(table)

What is offered here is imported when it is first asked for, so that ``import headway`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.api import Project
    from headway.errors import (
        BriefError,
        DataError,
        GateClosed,
        HeadwayError,
        NotFound,
        OutcomeError,
        RequestError,
        SourceError,
        StoreError,
    )

__all__ = [
    "BriefError",
    "DataError",
    "GateClosed",
    "HeadwayError",
    "NotFound",
    "OutcomeError",
    "Project",
    "RequestError",
    "SourceError",
    "StoreError",
    "__version__",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what is asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module("headway.api" if name == "Project" else "headway.errors"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return what is offered, imported or not."""
    return sorted({*globals(), *__all__})
