"""How long a user waits for ``headway --help``, against a Python that does nothing."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from bench import NotBuilt, Ratio, ratio_of

__all__ = ["help_screen"]


def help_screen() -> Ratio:
    """Return the seconds of ``headway --help`` over those of ``python -c pass``."""
    if importlib.util.find_spec("headway") is None or importlib.util.find_spec("headway.cli") is None:
        raise NotBuilt("headway.cli")
    script = Path(sys.executable).with_name("headway")
    command = [str(script)] if script.exists() else [sys.executable, "-m", "headway"]
    return ratio_of(
        "help",
        lambda: _run([*command, "--help"]),
        lambda: _run([sys.executable, "-c", "pass"]),
        bound=6.0,
        repeats=15,
        note="headway --help over python -c pass",
    )


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
