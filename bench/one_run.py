"""``python -m bench.one_run FOLDER``: run a project once, then thrice more, and write what it took as JSON.

A process of its own, because a first run also pays for the libraries that it loads.
"""

from __future__ import annotations

import json
import sys
import time

from bench.flights import AS_OF

__all__ = ["main"]


class _Steps:
    """How long each step took, as the engine tells it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def start(self, step: str, *, total: int | None = None) -> None:
        """Do nothing."""

    def advance(self, step: str, amount: int = 1, *, note: str = "") -> None:
        """Do nothing."""

    def finish(self, step: str, *, reused: bool, seconds: float) -> None:
        """Remember."""
        self.seconds[step] = seconds


def main(folder: str) -> None:
    """Run the project in ``folder``."""
    from headway.api import Project

    steps = _Steps()
    with Project.open(folder, as_of=AS_OF, progress=steps) as project:
        began = time.perf_counter()
        report = project.run()
        run_s = time.perf_counter() - began
        found = dict(steps.seconds)
        again = []
        for _ in range(3):
            began = time.perf_counter()
            if not project.run().unchanged:
                raise RuntimeError("A run that nothing had changed for did something.")
            again.append(time.perf_counter() - began)
    told = {"run_s": run_s, "fit_s": report.fit_seconds, "again_s": again, "steps": found, "trials": report.trials}
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
