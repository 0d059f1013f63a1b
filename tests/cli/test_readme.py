"""The front page keeps its promises: its commands are the quick start's, its Python runs."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from headway.api import CLOCK_VARIABLE
from headway.nouns.clock import FileClock

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK_START = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("language", ["shell", "toml"])
def test_the_front_page_has_the_commands_and_the_edit_of_the_quick_start(language: str) -> None:
    """Whoever starts from either page types the very same."""
    assert _blocks(README, language) == _blocks(QUICK_START, language) != []


def test_the_python_of_the_front_page_runs(live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the brief to a traced prediction, as it stands there."""
    shutil.copytree(live, tmp_path / "orders")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CLOCK_VARIABLE, str(tmp_path / "clock"))
    now = dt.datetime(2024, 4, 21, tzinfo=dt.UTC)
    told: dict[str, Any] = {"table": [{"order": 99_991, "placed": now, "region": "north", "weight": 22.5}]}
    (code,) = _blocks(README, "python")
    with contextlib.closing(FileClock.create(tmp_path / "clock", round(now.timestamp() * 1e6))):
        exec(code, told)  # noqa: S102  (our own page, which a reader would run just so)
    assert told["checked"].closed_gates == ()
    assert told["report"].passed
    assert told["answers"].num_rows == told["trace"].replayed_equal == 1
    assert told["runs"].num_rows == 2
    assert told["found"].num_rows == 0
