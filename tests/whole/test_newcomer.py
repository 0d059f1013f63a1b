"""A newcomer with a file of one's own: six commands, one edited file, one answer, and then the file grows."""

from __future__ import annotations

import csv
import datetime as dt
import json
import random
import re
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NOW = "2025-01-01"
EDITS = {
    'improves = ""': 'improves = "Which tickets does the lead look at first?"',
    'action = ""': 'action = "The lead takes them over"',
    'reaches = ""': 'reaches = "The team\'s board"',
}


def _write_tickets(path: Path, *, days: int, seed: int = 5) -> None:
    """Write tickets as an office exports them: semicolons, days in two forms, decimal commas, ja and nein, gaps."""
    rng = random.Random(seed)
    rows = []
    for _ in range(12 * days):
        opened = dt.datetime(2024, 1, 1) + dt.timedelta(minutes=rng.randrange(days * 24 * 60))  # noqa: DTZ001
        team, priority, length = (
            rng.choice(["Netz", "Mail", "Büro"]),
            rng.choice([1, 2, 3]),
            int(rng.lognormvariate(6, 1)),
        )
        risk = 0.03 + 0.06 * (team == "Mail") + 0.2 * (priority == 3) + 0.3 * (opened.weekday() > 4)
        late = rng.random() < risk
        closed = opened + dt.timedelta(hours=rng.uniform(2, 20) + 30 * late)
        rows.append((opened, team, priority, length, closed, "ja" if late else "nein"))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["Ticket Nr", "Eröffnet am", "Team", "priority", "Länge (kB)", "Geschlossen am", "zu spät"])
        for number, (opened, team, priority, length, closed, late) in enumerate(sorted(rows)):
            form = "%d.%m.%Y %H:%M" if number % 3 else "%Y-%m-%d %H:%M"
            size = "" if number % 11 == 0 else f"{length / 7:,.2f}".translate(str.maketrans(",.", ".,"))
            table.writerow([number, f"{opened:{form}}", team, priority, size, f"{closed:{form}}", late])


def _headway(*words: str, folder: Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "headway", *words, "--as-of", NOW],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_file_of_ones_own_becomes_an_answer_in_six_commands(tmp_path):
    """As the quick start says: init, edit, check, run, deploy, serve, one request."""
    _write_tickets(tmp_path / "tickets.csv", days=366)
    _headway("init", "--data", "tickets.csv", folder=tmp_path)
    brief = tmp_path / "headway.toml"
    text = brief.read_text(encoding="utf-8")
    assert "label = \"zu_spaet = 'ja'\"" in text
    assert 'label_known_at = "geschlossen_am"' in text
    assert "which decision" in _headway("run", folder=tmp_path, code=3)
    for old, new in EDITS.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    brief.write_text(text.replace("trials = 12", "trials = 3"), encoding="utf-8")
    _headway("check", folder=tmp_path)
    _headway("run", folder=tmp_path)
    _headway("deploy", folder=tmp_path)
    # What a request carries is what the file has, but for names that had to be plain words.
    row = {"ticket_nr": 1, "Eröffnet am": "01.01.2025 00:00", "Team": "Mail", "priority": 3, "Länge (kB)": "1.035,71"}
    with subprocess.Popen(
        [sys.executable, "-m", "headway", "serve", "--port", "0", "--as-of", NOW],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+?:\d+", line)))
            likely, less = (_asked(address, {**row, **changed}) for changed in ({}, {"Team": "Büro", "priority": 1}))
        finally:
            server.terminate()
            server.communicate(timeout=30)
    assert 0.0 < less["score"] < likely["score"] < 1.0
    # A batch is a file as the office exports it, its own names and marks included.
    (tmp_path / "asks.csv").write_text(
        "Ticket Nr;Eröffnet am;Team;priority;Länge (kB)\n1;01.01.2025 00:00;Mail;3;1.035,71\n", encoding="utf-8"
    )
    _headway("predict", "asks.csv", "answers.csv", folder=tmp_path)
    (answered,) = csv.DictReader((tmp_path / "answers.csv").read_text(encoding="utf-8").splitlines())
    assert answered["ticket_nr"] == "1"
    assert float(answered["score"]) == likely["score"]
    traced = json.loads(_headway("trace", likely["id"], "--json", folder=tmp_path))
    assert likely["id"] in json.dumps(traced)
    assert "tickets.csv" in json.dumps(traced)


def _asked(address: str, row: dict[str, object]) -> dict[str, float]:
    request = urllib.request.Request(  # noqa: S310  (loopback)
        f"{address}/v1/predict", data=json.dumps({"row": row}).encode(), headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310  (as above)
        answer: dict[str, float] = json.load(reply)
        return answer
