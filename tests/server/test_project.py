"""Tests for a project behind a server: what is looked up stays fresh while it serves."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

if "deliveries" not in sys.modules:  # tests are no package; whoever comes first loads it for all
    _spec = importlib.util.spec_from_file_location("deliveries", Path(__file__).parent.parent / "deliveries.py")
    assert _spec is not None
    assert _spec.loader is not None
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["deliveries"] = _module
    _spec.loader.exec_module(_module)

import deliveries
from headway.api import CLOCK_VARIABLE
from headway.nouns.clock import FileClock, parse_moment


def test_serving_keeps_the_online_store_as_fresh_as_the_brief_promises(tmp_path: Path) -> None:
    """The store is filled anew beside the server, and the filler ends with it."""
    with deliveries.begun(tmp_path) as project:
        project.run()
        project.deploy()
    words = ["--project", str(tmp_path), "serve", "--port", "0"]
    command = [sys.executable, "-m", "headway", *words]
    clock = tmp_path / "clock"
    FileClock.create(clock, parse_moment("2024-03-18", zone="Europe/Berlin")).close()
    env = {**os.environ, CLOCK_VARIABLE: str(clock)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as server:
        try:
            assert server.stdout is not None
            address = re.search(r"http://[\d.]+:\d+", server.stdout.readline())
            assert address is not None
            deadline, epoch = time.monotonic() + 60, 0
            while epoch < 2 and time.monotonic() < deadline:
                with urllib.request.urlopen(f"{address[0]}/health") as reply:  # noqa: S310  (loopback)
                    epoch = json.load(reply)["epoch"]
                time.sleep(0.1)
            assert epoch >= 2
        finally:
            server.terminate()
            assert server.wait(timeout=30) == 0
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert f"--project {tmp_path}" not in listed
