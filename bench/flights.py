"""The demonstration's project, laid out for measuring: with every flight of the year, or standing on 1 October.

Hides where it lies, and that it is trained once however many benches need a trained one.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import NotBuilt
from bench import reference as by_hand

__all__ = ["AS_OF", "FirstRun", "child", "first_run", "lay_out_history", "lay_out_year", "scratch", "trained"]

AS_OF = "2013-10-01"


def _brief() -> str:
    spec = importlib.util.find_spec("headway.demo")
    if spec is None or spec.origin is None:
        raise NotBuilt("headway.demo")
    return (Path(spec.origin).parent / "headway.toml").read_text(encoding="utf-8")


def lay_out_year(folder: Path) -> Path:
    """Put the brief and all 336,776 flights into ``folder``, a file a source, and return it."""
    by_hand.lay_out(folder)
    for name in ("flights", "weather"):
        (folder / "data" / name).mkdir(parents=True)
        (folder / f"{name}.csv").rename(folder / "data" / name / "all.csv")
    for name in ("planes", "airports"):
        (folder / f"{name}.csv").rename(folder / "data" / f"{name}.csv")
    (folder / "headway.toml").write_text(_brief(), encoding="utf-8")
    return folder


def lay_out_history(folder: Path, *, changes: dict[str, str] | None = None) -> Path:
    """Put the brief and the flights before 1 October into ``folder``; ``changes`` replaces texts of the brief."""
    from headway.demo.feed import Feed
    from headway.errors import MissingExtra

    text = _brief()
    for old, new in (changes or {}).items():
        if text.count(old) != 1:
            raise ValueError(f"{old!r} stands {text.count(old)} times in the demonstration's brief.")
        text = text.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "headway.toml").write_text(text, encoding="utf-8")
    try:
        Feed(folder).lay_out()
    except MissingExtra as missing:
        raise NotBuilt(str(missing)) from None
    return folder


def child(*arguments: str) -> tuple[Any, float]:
    """Run a module of ours in a Python of its own; return the JSON it wrote, and the seconds of the whole process.

    Bytecode is written whatever the machine says, so that nobody's first run is measured for all.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"python -m {' '.join(arguments)} ended with {done.returncode}.")
    return json.loads(done.stdout), seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRun:
    """A project that has been run once, and what that run took.

    Attributes
    ----------
    process_s, run_s, fit_s
        The whole process; ``Project.run`` alone; the sum of its model fits.
    again_s
        ``Project.run`` thrice more in the same process.
    steps
        Seconds of each step, in their order.
    """

    folder: Path
    process_s: float
    run_s: float
    fit_s: float
    again_s: tuple[float, ...]
    steps: dict[str, float]
    trials: int


def first_run(folder: Path) -> FirstRun:
    """Run the project in ``folder`` for the first time, in a process of its own, as whoever types the command."""
    told, process_s = child("bench.one_run", str(folder))
    return FirstRun(
        folder=folder,
        process_s=process_s - sum(told["again_s"]),
        run_s=told["run_s"],
        fit_s=told["fit_s"],
        again_s=tuple(told["again_s"]),
        steps=told["steps"],
        trials=told["trials"],
    )


class _Kept:
    """A folder that lasts as long as the process."""

    folder: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def new(cls) -> Path:
        if cls.folder is None:
            cls.folder = tempfile.TemporaryDirectory(prefix="headway-bench-")
        return Path(tempfile.mkdtemp(dir=cls.folder.name))


@functools.cache
def trained() -> FirstRun:
    """Return the demonstration's project as of 1 October, run once with the brief as it stands."""
    return first_run(lay_out_history(_Kept.new() / "flights"))


def scratch() -> Path:
    """Return an empty folder that is gone when the benches are done."""
    return _Kept.new()
