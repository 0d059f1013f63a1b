"""Each command on a real, small project: its screen, its JSON, its exit code."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from headway.api import Project
from headway.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = "2024-04-20"
ANSI = re.compile(r"\x1b\[")


def _said(folder: Path, *words: str, code: int = 0) -> Result:
    said = CliRunner().invoke(cli, ["--project", str(folder), "--as-of", NOW, *words])
    assert said.exit_code == code, said.output
    assert not ANSI.search(said.output)
    assert not any(line != line.rstrip() for line in said.stdout.splitlines())
    return said


def _json(folder: Path, *words: str, code: int = 0) -> Any:
    return json.loads(_said(folder, "--json", *words, code=code).stdout)


def _ask(folder: Path, row: dict[str, Any], *, now: str) -> dict[str, Any]:
    """Start a server as a person would, ask it once, and end it."""
    command = [sys.executable, "-m", "headway", "serve", "--port", "0", "--json", "--as-of", now]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = ""
        while "}" not in said:
            line = server.stdout.readline()
            assert line, said
            said += line
        connection = http.client.HTTPConnection(json.loads(said)["address"].removeprefix("http://"), timeout=30)
        connection.request("POST", "/v1/predict", json.dumps({"row": row}), {"content-type": "application/json"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=30) == 0
    assert answer.status == 200, body
    answered: dict[str, Any] = json.loads(body)
    return answered


def test_check_answers_five_questions(live: Path) -> None:
    """Every question has a mark, words and evidence, and the last line says what comes next."""
    shown = _said(live, "check").stdout
    assert len(re.findall(r"^[✓?✗] \d\. ", shown, re.MULTILINE)) == 5
    assert "next: headway run" in shown
    checked = _json(live, "check")
    assert [answer["name"] for answer in checked["answers"]] == [
        "decision",
        "data",
        "production",
        "degradation",
        "ownership",
    ]


def test_an_open_question_ends_with_3_until_somebody_takes_the_responsibility(shop: Path) -> None:
    """Check and run stop at a decision that nobody has named; an override, with name and reason, opens the way."""
    brief = shop / "headway.toml"
    brief.write_text(brief.read_text().replace('"Which parcels are sent by express instead?"', '""'))
    shown = _said(shop, "check", code=3).stdout
    assert "headway override decision --by NAME --why REASON" in shown
    stopped = _json(shop, "run", code=3)
    assert stopped["code"] == "gate-closed"
    assert "headway override decision" in stopped["hint"]
    _said(shop, "override", "decision", "--by", "Ada", "--why", "a trial of the tool")
    assert _json(shop, "check")["closed_gates"] == []


def test_run_shows_the_way_from_rows_to_the_next_command(deployed: Path) -> None:
    """One screen: rows, leaks, trials, winner and why, scores and money with intervals, gates, what comes next."""
    report = _json(deployed, "run")
    shown = _said(deployed, "run").stdout
    score = report["verdict"]["score"]
    assert f"{report['rows']['train']:,} train" in shown
    assert f"{report['leaks_checked']} checks" in shown
    assert report["reason"] in shown
    assert f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]" in shown
    assert "EUR [" in shown
    assert all(gate["name"] in shown for gate in report["verdict"]["gates"])
    assert shown.splitlines()[-1].startswith(f"next: headway deploy {report['run']}")
    assert report["unchanged"] is True


def test_a_run_that_finds_nothing_new_loads_nothing_heavy(shop: Path) -> None:
    """It looks at the files and at the ledger: no engine, no tables, no parser, nothing that learns."""
    assert _json(shop, "run")["unchanged"] is False
    code = f"""
import sys
from headway.cli import cli
try:
    cli.main(["--project", {str(shop)!r}, "--as-of", {NOW!r}, "--json", "run"])
except SystemExit as end:
    assert not end.code
heavy = ("duckdb", "lark", "lightgbm", "numpy", "onnxruntime", "optuna", "pyarrow", "scipy", "sklearn")
print("LOADED", *[name for name in heavy if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert '"unchanged": true' in ran.stdout
    assert ran.stdout.splitlines()[-1] == "LOADED"


def test_a_run_that_did_not_pass_says_how_to_take_the_responsibility(shop: Path) -> None:
    """The gate that failed stands on the screen, deploy refuses with 3, and --override deploys all the same."""
    brief = shop / "headway.toml"
    brief.write_text(brief.read_text().replace("minimum     = 0.05", "minimum     = 0.98"))
    shown = _said(shop, "run").stdout
    assert "did not pass" in shown
    assert "✗ FAILED" in shown
    assert "--override REASON" in shown
    assert _json(shop, "deploy", code=3)["code"] == "gate-closed"
    assert _json(shop, "deploy", "--override", "a trial", "--by", "Ada")["release"] == "r1"


def test_what_is_refused_of_a_source_is_said_where_nobody_watches(shop: Path) -> None:
    """Check and run say that the model knows the version before, and why; in words and as JSON."""
    brief = shop / "headway.toml"
    brief.write_text(brief.read_text().replace("[sources.orders]\n", '[sources.orders]\ncontract = "block"\n'))
    assert _json(shop, "check")["contracts"] == []
    orders = shop / "orders.csv"
    orders.write_text(orders.read_text().replace(",north,", ",NORTH,"))
    words = "Source 'orders' broke its contract; what came is not taken, the version before is used."
    for command in ("check", "run"):
        (told,) = _json(shop, command)["contracts"]
        assert (told["source"], told["blocked"]) == ("orders", True)
        said = _said(shop, command).stdout
        assert f"{words} {told['failed'][0]}" in said


def test_deploy_takes_the_newest_run(live: Path) -> None:
    """Without a name, what was learned last goes into service."""
    brief = live / "headway.toml"
    brief.write_text(brief.read_text().replace("trials     = 4", "trials     = 3"))
    newest = _json(live, "run")
    assert _json(live, "deploy")["release"] == "r2"
    with Project.open(live) as project:
        made = {row["release"]: row["run"] for row in project.table("releases").to_pylist()}
    assert made["r2"] == newest["run"] != made["r1"]


def test_what_is_served_can_be_joined_tended_and_traced(live: Path) -> None:
    """One prediction over real HTTP: its outcome is joined, its day closed, its way shown to the rows and the money."""
    row = {"order": 99_991, "placed": "2024-04-20T00:05:00Z", "region": "north", "weight": 22.5}
    answered = _ask(live, row, now="2024-04-20T00:05:00Z")
    outcomes = live / "outcomes.csv"
    outcomes.write_text(f"prediction,label,known_at\n{answered['id']},true,2024-04-20T20:00:00Z\n")
    assert _json(live, "outcomes", str(outcomes), "--as-of", "2024-04-21")["accepted"] == 1
    assert "were there already" in _said(live, "outcomes", str(outcomes), "--as-of", "2024-04-21").stdout
    tended = _json(live, "tend", "--once", "--as-of", "2024-04-22")
    assert [day["predictions"] for day in tended["days"]] == [1, 0]
    assert "no day is over" in _said(live, "tend", "--once", "--as-of", "2024-04-22").stdout
    traced = _json(live, "trace", answered["id"])
    assert traced["replayed_equal"] is True
    assert traced["outcome"]["label"] is True
    shown = _said(live, "trace", answered["id"]).stdout
    for word in (answered["id"], "release r1", traced["run"]["id"], "orders.csv row", "worth 12.00 EUR"):
        assert word in shown


def test_predict_answers_a_file_into_a_file(live: Path) -> None:
    """Every row has an answer, in its order; a file that is not there is named and nothing is written."""
    rows = [f"{90_000 + n},2024-04-20T00:0{n}:00Z,north,{n}.5" for n in range(5)]
    (live / "in.csv").write_text("\n".join(["order,placed,region,weight", *rows]) + "\n")
    assert _json(live, "predict", str(live / "in.csv"), str(live / "out.csv"))["rows"] == 5
    assert len((live / "out.csv").read_text().splitlines()) == 6
    assert "5 rows" in _said(live, "predict", str(live / "in.csv"), str(live / "again.jsonl")).stdout
    _json(live, "predict", str(live / "inn.csv"), str(live / "none.csv"), code=2)
    assert not (live / "none.csv").exists()


def test_a_second_release_can_be_taken_back(live: Path) -> None:
    """Rollback puts the release before back; without one, and for an unknown one, it says so."""
    assert "No release stands behind" in _json(live, "rollback", code=2)["error"]
    assert _json(live, "deploy")["replaces"] == "r1"
    assert "Did you mean" in _json(live, "rollback", "--to", "r11", code=2)["hint"]
    assert _json(live, "rollback", "--by", "Ada", "--why", "a test")["release"] == "r1"


def test_status_is_one_screen_that_a_leader_understands(live: Path, shop: Path) -> None:
    """What it is for, what is in service since when, money with its interval, what is open, what comes next."""
    shown = _said(live, "status").stdout
    for words in ("Which parcels are sent by express", "r1 since 2024-04-20", "by Ada", "EUR [", "retraining", "Open"):
        assert words in shown
    assert len(shown.splitlines()) <= 40
    assert _json(live, "status")["live"]["release"] == "r1"
    assert "headway run" in _said(shop, "status").stdout


def test_history_is_a_line_an_event(live: Path) -> None:
    """Who, what and why; --last cuts it from the old end."""
    lines = _json(live, "history")
    shown = _said(live, "history").stdout.splitlines()
    assert len(shown) == len(lines)
    assert "Ada" in shown[-1]
    assert "Release r1 went live" in shown[-1]
    newest = _said(live, "history", "--last", "2").stdout.splitlines()
    assert [line.split() for line in newest] == [line.split() for line in shown[-2:]]


@pytest.mark.parametrize("command", ["runs", "findings", "verify", "materialize"])
def test_every_list_has_a_screen_and_json(live: Path, command: str) -> None:
    """Both say something, and the JSON parses."""
    assert _said(live, command).stdout.strip()
    assert _json(live, command) is not None


def test_verify_finds_a_changed_byte(live: Path) -> None:
    """A blob that is not what its name says is named, with exit code 2."""
    blob = max(
        (path for path in (live / ".headway" / "blobs").rglob("*") if path.is_file()), key=lambda p: p.stat().st_size
    )
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    found = _json(live, "verify", code=2)
    assert found["code"] == "store-corrupt"
    assert blob.name in found["error"]


def test_init_writes_a_brief_that_check_understands(shop: Path, headway: Any) -> None:
    """Never asks where nobody can answer; never touches a brief that is there."""
    new = shop / "new"
    new.mkdir()
    (new / "orders.csv").write_bytes((shop / "orders.csv").read_bytes())
    begun = headway("init", "--data", "orders.csv", "--target", "late", "--json", folder=new)
    assert begun.returncode == 0, begun.stdout + begun.stderr
    assert json.loads(begun.stdout)["sources"] == {"orders": 3000}
    assert "label" in (new / "headway.toml").read_text()
    again = headway("init", "--data", "orders.csv", folder=new)
    assert again.returncode == 2
    assert "already" in again.stderr
    checked = headway("check", "--json", "--as-of", NOW, folder=new)
    assert checked.returncode == 3, checked.stdout + checked.stderr
    assert "decision" in json.loads(checked.stdout)["closed_gates"]


def test_nothing_is_said_about_progress_where_nobody_watches(live: Path, headway: Any) -> None:
    """A real process whose output is piped: no bars, no colours, nothing on standard error."""
    ran = headway("run", "--as-of", NOW, folder=live)
    assert ran.returncode == 0
    assert ran.stderr == ""
    assert not ANSI.search(ran.stdout)


def test_a_reader_that_has_seen_enough_hurts_nobody(live: Path) -> None:
    """``headway runs | head -1`` ends quietly."""
    shell = f"{sys.executable} -m headway runs --json | head -1"
    ran = subprocess.run(["sh", "-c", shell], cwd=live, capture_output=True, text=True, check=False, timeout=60)
    assert ran.stderr == ""


def test_tend_goes_on_after_a_failure_and_ends_when_told(live: Path, until: Callable[..., None]) -> None:
    """Without --once: a round that fails is told, the next comes all the same, SIGTERM ends it with 0."""
    command = [sys.executable, "-m", "headway", "tend", "--every", "1 seconds", "--as-of", NOW]
    brief = live / "headway.toml"
    good = brief.read_text()
    out, err = live / "out.txt", live / "err.txt"
    with out.open("w") as o, err.open("w") as e, subprocess.Popen(command, cwd=live, stdout=o, stderr=e) as loop:
        until(lambda: out.read_text().count("in service") >= 1)
        brief.write_text(good.replace("[target]", "[targe]"))
        until(lambda: "targe" in err.read_text())
        brief.write_text(good)
        before = out.read_text().count("in service")
        until(lambda: out.read_text().count("in service") > before)
        loop.send_signal(signal.SIGTERM)
        assert loop.wait(timeout=30) == 0
    assert "Traceback" not in err.read_text()


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for a condition, and fail where it does not come."""

    def wait(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return wait


def test_a_store_of_a_later_version_is_left_alone(live: Path) -> None:
    """Named, refused with 2, and not a byte of it changed."""
    database = live / ".headway" / "ledger.db"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9001'")
    connection.close()
    before = database.read_bytes()
    found = _json(live, "runs", code=2)
    assert found["code"] == "store-too-new"
    assert database.read_bytes() == before


def test_a_fault_of_ours_is_told_without_a_traceback(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, how to report it; the traceback only with --debug."""
    import headway.api

    def broken(*_: Any) -> None:
        raise RuntimeError("wheels fell off")

    monkeypatch.setattr(headway.api.Project, "runs", broken)
    said = _said(live, "runs", code=1)
    assert "RuntimeError: wheels fell off" in said.stderr
    assert "report it" in said.stderr
    assert "Traceback" not in said.stderr
    assert "Traceback" in _said(live, "runs", "--debug", code=1).stderr


def test_no_space_left_is_told_as_such(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a library calls it, a full disk is exit code 2 and says what to do."""
    import errno

    import headway.api

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere")

    monkeypatch.setattr(headway.api.Project, "runs", full)
    found = _json(live, "runs", code=2)
    assert found["code"] == "store-full"
    assert "Make room" in found["hint"]


def test_no_project_says_how_to_begin_one(tmp_path: Path) -> None:
    """The most frequent mistake of a first day."""
    said = _said(tmp_path, "run", code=2)
    assert "headway init --data FILE" in said.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a file that is always full.")
def test_json_that_finds_no_room_is_said_in_words(tmp_path: Path) -> None:
    """The failure cannot stand where the answer could not."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "headway", "version", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            check=False,
        )
    assert done.returncode == 2
    assert "No space is left on the device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr
