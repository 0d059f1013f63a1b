"""What a run costs beyond the fits it cannot do without, and what it costs when nothing has changed."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench import Ratio
from bench.flights import AS_OF, first_run, lay_out_history, scratch, trained

if TYPE_CHECKING:
    from bench.flights import FirstRun

__all__ = ["overhead", "overhead_of_a_whole_budget", "unchanged"]

_OVERHEAD = 0.25
_UNCHANGED = 0.05


def overhead(*, repeats: int = 3) -> Ratio:
    """Return the seconds of ``Project.run`` that are no fit, over those that are, with the demonstration's brief.

    The middle one of several first runs, each in a folder and a process of its own.
    """
    more = (first_run(lay_out_history(scratch() / "flights")) for _ in range(repeats - 1))
    return _overhead("run: overhead", sorted([trained(), *more], key=_share)[repeats // 2])


def overhead_of_a_whole_budget() -> Ratio:
    """Return the same where no trial is good enough, so that the search uses all of its budget."""
    folder = lay_out_history(scratch() / "flights", changes={"good_enough = 0.50": "good_enough = 0.99"})
    return _overhead("run: overhead, whole budget", first_run(folder))


def _overhead(name: str, run: FirstRun) -> Ratio:
    steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in run.steps.items())
    return Ratio(
        name=name,
        figure=run.run_s - run.fit_s,
        limit=run.fit_s,
        ratio=_share(run),
        bound=_OVERHEAD,
        note=f"over the fits of {run.trials} trials and the refit; steps with their fits, some side by side: {steps}",
    )


def _share(run: FirstRun) -> float:
    return (run.run_s - run.fit_s) / run.fit_s


def unchanged(*, repeats: int = 5) -> list[Ratio]:
    """Return the seconds of a run that has nothing to do over those of the first: as a process, and in one."""
    first = trained()
    command = [sys.executable, "-m", "headway", "--project", str(first.folder), "--as-of", AS_OF, "--json", "run"]
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        taken.append(time.perf_counter() - began)
        if '"unchanged": true' not in done.stdout:
            raise RuntimeError(f"A run that nothing had changed for did something: {done.stdout[:300]}")
    process, within = statistics.median(taken), statistics.median(first.again_s)
    return [
        Ratio(
            name="run: unchanged, process",
            figure=process,
            limit=first.process_s,
            ratio=process / first.process_s,
            bound=_UNCHANGED,
            note="headway run again over the first",
        ),
        Ratio(
            name="run: unchanged, within",
            figure=within,
            limit=first.run_s,
            ratio=within / first.run_s,
            bound=_UNCHANGED,
            note="Project.run again over the first, in one process",
        ),
    ]
