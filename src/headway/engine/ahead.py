"""Loading what is going to be needed, while something else is waited for."""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["load_ahead"]


def load_ahead(*modules: str, then: Callable[[], object] = lambda: None) -> threading.Thread:
    """Load modules beside the work at hand, in this order, and return the thread that does.

    What cannot be loaded is told where it is asked for, and not here: as a rule the process is about to end, with
    something else to say.

    Parameters
    ----------
    then
        Called when all are loaded.

    Examples
    --------
    >>> load_ahead("colorsys").join()
    >>> import sys
    >>> "colorsys" in sys.modules
    True
    """

    def load() -> None:
        with suppress(ImportError, RuntimeError):  # Python refuses imports with either while it ends
            for module in modules:
                import_module(module)
            then()

    thread = threading.Thread(target=load, name="load", daemon=True)
    thread.start()
    return thread
