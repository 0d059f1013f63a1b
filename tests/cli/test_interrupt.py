"""Ctrl-C in every stage of a run, and two runs at once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

RUN = [sys.executable, "-m", "headway", "run", "--as-of", "2024-04-20", "--json"]

# Says on standard error when a step begins, then runs the command line as it is: so that Ctrl-C can be pressed there.
TELLING = """
import sys
from headway.cli import main
from headway.engine import local

real = local.LocalEngine._do

def do(self, step, *rest):
    print("step", step.name, file=sys.stderr, flush=True)
    if step.name == {stop!r}:
        import time
        {pause}
    return real(self, step, *rest)

local.LocalEngine._do = do
sys.argv = ["headway", "run", "--as-of", "2024-04-20", "--json"]
main()
"""


def _model(folder: Path) -> str:
    ran = subprocess.run(RUN, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    model: str = json.loads(ran.stdout)["model"]
    return model


def _begin(folder: Path, *, stop: str, pause: str) -> subprocess.Popen[str]:
    code = TELLING.format(stop=stop, pause=pause)
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _await(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"never said {words!r}")


@pytest.mark.parametrize("stage", ["freeze", "leaks", "search", "judge", "package"])
def test_ctrl_c_in_a_stage_leaves_a_store_that_comes_to_the_same_model(
    shop: Path, deployed: Path, headway: Any, stage: str
) -> None:
    """Exit code 130 and what is kept; the store opens; running again gives the model of an uninterrupted run."""
    with _begin(shop, stop=stage, pause="time.sleep(0.01)") as process:
        _await(process, f"step {stage}")
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    told = json.loads(out)
    assert told["code"] == "interrupted"
    assert "headway run goes on" in told["hint"]
    assert headway("verify", folder=shop).returncode == 0
    assert _model(shop) == _model(deployed)


def test_a_second_run_is_refused_by_name_and_others_go_on(shop: Path, headway: Any) -> None:
    """Exit code 2, who is at it; looking at the store works all the while."""
    with _begin(shop, stop="freeze", pause="time.sleep(60)") as process:
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
