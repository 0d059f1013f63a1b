"""A run that is killed, interrupted or moved comes to the same model as one that was left in peace."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from headway.api import Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLS = 10
SMALL_AS_OF = "2013-06-25"


def test_ten_kills_in_the_middle_of_runs_change_no_model_and_lose_nothing(
    small_template, small_ran_once, tmp_path, command, in_process, sound
):
    """``kill -9`` at ten random moments, then again to the end: the digest of the model is that of a run in peace.

    A run that ends before its kill counts for nothing; the next kill then meets a new project, so that the moments lie
    all over a run.
    """
    began = time.monotonic()
    calm = in_process("--json", "run", folder=_new(small_template, tmp_path / "calm"))
    usual_s = time.monotonic() - began
    assert calm.returncode == 0, calm.stderr
    assert json.loads(calm.stdout)["model"] == small_ran_once.report.model
    moments = random.Random()
    landed: list[float] = []
    resumed: list[str] = []
    projects = 0
    while len(landed) < KILLS:
        folder = _new(small_template, tmp_path / f"killed-{projects}")
        projects += 1
        assert projects < 4 * KILLS, f"only {landed} of {projects} runs of {usual_s:.1f} s were met by their kill"
        while len(landed) < KILLS and (moment_s := _killed(command, folder, moments.uniform(0.2, usual_s))) is not None:
            landed.append(moment_s)
            sound(folder)
        done = in_process("--json", "run", folder=folder)
        assert done.returncode == 0, done.stderr
        resumed.append(json.loads(done.stdout)["model"])
        sound(folder)
        shutil.rmtree(folder)
    shown = ", ".join(f"{each:.2f}" for each in landed)
    print(f"killed after {shown} s of runs of {usual_s:.1f} s, in {projects} projects")
    assert set(resumed) == {small_ran_once.report.model}


def _new(template: Path, folder: Path) -> Path:
    return shutil.copytree(template, folder)


def _killed(command: Callable[..., list[str]], folder: Path, moment_s: float) -> float | None:
    """Kill a run after so many seconds; return them, or None when it had ended by then."""
    with subprocess.Popen(
        command("run", folder=folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            process.wait(timeout=moment_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return moment_s
        assert process.returncode == 0, process.stderr.read() if process.stderr else ""
        return None


def test_two_folders_give_one_model_byte_for_byte(small_ran_once, small):
    """Nothing of a place or a moment is in the graph."""
    with Project.open(small, as_of=SMALL_AS_OF) as project, Project.open(small_ran_once.folder) as other:
        report = project.run()
        assert report.dataset == small_ran_once.report.dataset
        assert report.model == small_ran_once.report.model
        graphs = [
            each.store.blobs.read(each._finished(report.run).graph)  # the bytes that serve
            for each in (project, other)
        ]
        assert graphs[0] == graphs[1]


class _Interrupting:
    """Presses Ctrl-C after so many trials of the search."""

    def __init__(self, after: int) -> None:
        self.left = after

    def start(self, step: str, *, total: int | None = None) -> None:
        """Do nothing."""

    def advance(self, step: str, amount: int = 1, *, note: str = "") -> None:
        """Count the trials."""
        if step == "search":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    def finish(self, step: str, *, reused: bool, seconds: float) -> None:
        """Do nothing."""


def test_a_search_that_was_interrupted_goes_on_where_it_stopped(small, small_ran_once):
    """Trials that were done are not fitted again, and the study is the one of an uninterrupted search."""
    with Project.open(small, as_of=SMALL_AS_OF, progress=_Interrupting(3)) as project:
        with pytest.raises(KeyboardInterrupt):
            project.run()
        before = project.table("trials").to_pylist()
    assert len(before) == 3
    with Project.open(small, as_of=SMALL_AS_OF) as project:
        report = project.run()
        after = project.table("trials").to_pylist()
    with Project.open(small_ran_once.folder) as project:
        wanted = project.table("trials").to_pylist()
    assert after[:3] == before
    settled = ("study", "number", "algorithm", "settings", "scores")
    assert [[row[name] for name in settled] for row in after] == [[row[name] for name in settled] for row in wanted]
    assert report.model == small_ran_once.report.model
