"""Loading ahead: what is needed later is there, and what goes wrong is not told twice."""

from __future__ import annotations

import subprocess
import sys
import threading

from headway.engine.ahead import load_ahead


def test_what_is_loaded_ahead_is_there_and_what_follows_has_been_done() -> None:
    """The modules in order, and then the rest."""
    done = []
    load_ahead("headway.nouns.span", "headway.nouns.clock", then=lambda: done.append("after")).join()
    assert {"headway.nouns.span", "headway.nouns.clock"} <= sys.modules.keys()
    assert done == ["after"]


def test_what_cannot_be_loaded_ahead_is_told_where_it_is_asked_for(monkeypatch) -> None:
    """No traceback of a thread, and nothing is done with half of it."""
    told, done = [], []
    monkeypatch.setattr(threading, "excepthook", told.append)
    load_ahead("headway.no_such_module", then=lambda: done.append("after")).join()
    assert (told, done) == ([], [])


def test_a_process_that_ends_while_it_loads_says_nothing_of_it() -> None:
    """A mistake is told within a second, and learning libraries take longer to load."""
    script = "from headway.engine.ahead import load_ahead; load_ahead('headway.build.boosted'); raise SystemExit(2)"
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
