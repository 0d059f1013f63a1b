"""The quick start, done as its page says: the same commands, the same edits, the same request."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import urllib.request

import pytest

NOW = "2025-01-01"


def _edited(text: str, edits: str) -> str:
    """Return the brief with the lines of the page's one edit in place of its own."""
    for table, fields in tomllib.loads(edits).items():
        for field in fields:
            line = re.search(rf"^{field} = .*$", edits.split(f"[{table}]")[1], flags=re.MULTILINE)[0]
            head, section = text.split(f"[{table}]\n", 1)
            changed, count = re.subn(rf"^{field} = .*$", lambda _, new=line: new, section, count=1, flags=re.MULTILINE)
            assert count == 1, f"{table}.{field} stands in no line of the brief"
            text = f"{head}[{table}]\n{changed}"
    return text


def _headway(*words: str, folder) -> subprocess.CompletedProcess:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "headway", *words, "--as-of", NOW],
        cwd=folder, capture_output=True, text=True, env=environment, check=False, stdin=subprocess.DEVNULL, timeout=240,
    )  # fmt: skip


@pytest.fixture(name="commands")
def _commands(quick_start) -> list[list[str]]:
    """Read the page's commands."""
    return [
        line.split() for block in quick_start("shell") for line in block.splitlines() if line.startswith("headway ")
    ]


def test_the_page_needs_at_most_six_commands_and_one_edit(quick_start, commands):
    """Five of Headway and one request; one block of edits to one file."""
    curls = [block for block in quick_start("shell") if block.startswith("curl ")]
    assert len(commands) + len(curls) <= 6
    assert [command[1] for command in commands] == ["init", "check", "run", "deploy", "serve"]
    assert len(quick_start("toml")) == 1


def test_the_quick_start_leads_to_a_prediction(tmp_path, write_orders, quick_start, commands):
    """Each command ends well, run is refused before the edit, and the request of the page is answered."""
    write_orders(tmp_path / "orders.csv")
    init, check, run, deploy, serve = (command[1:] for command in commands)
    begun = _headway(*init, folder=tmp_path)
    assert begun.returncode == 0, begun.stderr
    refused = _headway(*run, folder=tmp_path)
    assert refused.returncode != 0
    assert "which decision this improves" in refused.stderr
    brief = tmp_path / "headway.toml"
    brief.write_text(_edited(brief.read_text(), quick_start("toml")[0]))
    for words in (check, run, deploy):
        done = _headway(*words, folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    (curl,) = (block for block in quick_start("shell") if block.startswith("curl "))
    payload = curl.split("<<END\n")[1].split("END")[0].replace("$(date -u +%Y-%m-%dT%H:%M:%SZ)", f"{NOW}T00:00:00Z")
    with subprocess.Popen(
        [sys.executable, "-m", "headway", *serve, "--port", "0", "--as-of", NOW],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        try:
            address = next(found[1] for line in server.stdout if (found := re.search(r"(http://\S+:\d+)", line)))
            request = urllib.request.Request(  # noqa: S310  (loopback)
                f"{address}/v1/predict", data=payload.encode(), headers={"content-type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310  (as above)
                answer = json.load(reply)
        finally:
            server.terminate()
            server.communicate(timeout=30)
    shown = json.loads(quick_start("json")[0])
    assert set(answer) == set(shown)
    assert 0.0 < answer["score"] < 1.0
