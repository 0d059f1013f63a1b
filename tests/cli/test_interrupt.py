"""Ctrl-C in every stage of a run, and two runs at once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from headway.api import Project

if TYPE_CHECKING:
    from pathlib import Path

RUN = [sys.executable, "-m", "headway", "run", "--as-of", "2024-04-20", "--json"]

# Runs the command line as it is, with a progress that a test can read: so that Ctrl-C can be pressed in a step.
TELLING = """
import contextlib
import sys
import time
from headway.cli import main
from headway.screens import progress

class Telling(contextlib.AbstractContextManager):
    def start(self, step, *, total=None):
        print("step", step, file=sys.stderr, flush=True)
        if step == {hold!r}:
            time.sleep(60)

    def advance(self, step, amount=1, *, note=""):
        print("step", step, note, file=sys.stderr, flush=True)

    def finish(self, step, *, reused, seconds):
        pass

    def __exit__(self, *_):
        pass

progress.watcher = lambda *, quiet: Telling()
sys.argv = ["headway", "run", "--as-of", "2024-04-20", "--json"]
main()
"""

# Erases, and stops where outcomes and predictions are gone and the versions of the sources are not.
ERASING = """
import sys
import time
from headway.cli import main
from headway.loop import erasure

def stop(*_):
    print("half done", file=sys.stderr, flush=True)
    time.sleep(60)  # Ctrl-C ends it; and should none come, it ends all the same

erasure._Work._rewrite_snapshots = stop
sys.argv = ["headway", "data", "erase", *{words}]
main()
"""


def _model(folder: Path) -> str:
    ran = subprocess.run(RUN, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    model: str = json.loads(ran.stdout)["model"]
    return model


def _begin(folder: Path, *, hold: str = "") -> subprocess.Popen[str]:
    code = TELLING.format(hold=hold)
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _await(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"never said {words!r}")


def test_ctrl_c_in_every_stage_leaves_a_store_that_comes_to_the_same_model(shop: Path, deployed: Path) -> None:
    """Exit code 130 and what is kept, five times; the store is whole; the model is that of an uninterrupted run."""
    for stage in ("freeze", "leaks", "search lightgbm", "judge", "package"):
        with _begin(shop) as process:
            _await(process, f"step {stage}")
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 130, stage
        told = json.loads(out)
        assert told["code"] == "interrupted"
        assert "headway run goes on" in told["hint"]
        with Project.open(shop) as project:
            project.store.ledger.verify()
            assert project.store.blobs.verify().bad == ()
            assert {run.state for run in project.store.ledger.runs()} == {"failed"}
    assert _model(shop) == _model(deployed)


def test_ctrl_c_in_an_erasure_says_that_it_is_not_finished(live: Path, headway: Any) -> None:
    """Rows of the person may be left, so it has to be asked for again; that is said, and the same words finish it."""
    words = ["--entity", "orders order=3", "--by", "Desk", "--why", "request 12", "--json"]
    code = ERASING.format(words=words)
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=live, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        _await(process, "half done")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    hint = json.loads(out)["hint"]
    assert "is not finished: ask for it again" in hint
    assert "half done" not in hint
    (begun,) = json.loads(headway("data", "erasures", "--json", folder=live).stdout)
    assert begun["finished"] is False
    assert headway("data", "erase", *words, folder=live).returncode == 0


def test_a_second_run_is_refused_by_name_and_others_go_on(shop: Path, headway: Any) -> None:
    """Exit code 2, who is at it; looking at the store works all the while."""
    with _begin(shop, hold="freeze") as process:
        try:
            _await(process, "step freeze")
            second = headway("run", "--as-of", "2024-04-20", "--json", folder=shop)
            assert second.returncode == 2, second.stdout
            told = json.loads(second.stdout)
            assert told["code"] == "store-busy"
            assert f"pid {process.pid}" in told["error"]
            runs = headway("runs", "--json", folder=shop)
            assert [run["state"] for run in json.loads(runs.stdout)] == ["running"]
        finally:
            process.kill()
