"""The benches' own frame: what is timed by turns, what is printed, and what makes the run fail."""

from __future__ import annotations

import json

import bench.__main__ as frame
import pytest
from bench.start import help_screen

from bench import NotBuilt, Ratio, by_turns, ratio_of

QUICK = Ratio(name="quick", figure=0.5, limit=0.25, ratio=2.0, bound=3.0, note="well within")
SLOW = Ratio(name="slow", figure=1.0, limit=0.25, ratio=4.0, bound=3.0)


@pytest.fixture
def _made_up(monkeypatch) -> None:
    """Put three made-up benches in place of the real ones."""

    def absent() -> Ratio:
        missing = "the engine"
        raise NotBuilt(missing)

    benches = {"quick": lambda: QUICK, "slow": lambda: [QUICK, SLOW], "absent": absent}
    monkeypatch.setattr(frame, "BENCHES", benches)


def test_a_bench_and_its_limit_are_timed_by_turns():
    """A B A B, so that a slow minute hits both."""
    calls: list[str] = []
    by_turns(lambda: calls.append("a"), lambda: calls.append("b"), repeats=3)
    assert "".join(calls) == "ababab"


def test_the_ratio_is_that_of_the_medians_after_a_warm_up(monkeypatch):
    """One odd repeat of three does not count, nor does the first call."""
    now = iter([0, 4, 4, 5, 10, 14, 14, 16, 20, 120, 120, 122])
    monkeypatch.setattr("bench.time.perf_counter", lambda: next(now))
    calls: list[str] = []
    measured = ratio_of("x", lambda: calls.append("a"), lambda: calls.append("b"), bound=3.0, repeats=3)
    assert (measured.figure, measured.limit, measured.ratio, measured.ok) == (4, 2, 2.0, True)
    assert "".join(calls) == "ab" + "ababab"


def test_a_bound_is_held_up_to_its_own_value():
    """Equal is still within; a figure without a bound is neither right nor wrong."""
    at_bound = Ratio(name="x", figure=3.0, limit=1.0, ratio=3.0, bound=3.0)
    above = Ratio(name="x", figure=3.01, limit=1.0, ratio=3.01, bound=3.0)
    alone = Ratio(name="x", figure=3.0)
    assert [row.ok for row in (at_bound, above, alone)] == [True, False, None]


@pytest.mark.usefixtures("_made_up")
def test_the_table_shows_figure_limit_ratio_and_verdict(capsys):
    """One line a row; a bench that cannot run yet says what is missing and fails nothing."""
    assert frame.main(["quick", "absent"]) == 0
    heads, quick, absent = capsys.readouterr().out.splitlines()
    assert heads.split() == ["name", "figure", "limit", "ratio", "bound", "ok", "note"]
    assert quick.split() == ["quick", "0.5", "s", "0.25", "s", "2.00x", "3.00x", "yes", "well", "within"]
    assert absent.split() == ["absent", *"-----", "not", "built", "yet:", "the", "engine"]


@pytest.mark.usefixtures("_made_up")
def test_a_broken_bound_fails_the_run_and_all_benches_run_by_default(capsys):
    """The exit code is what a script looks at."""
    assert frame.main(["--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["ok"]) for row in rows] == [
        ("quick", True), ("quick", True), ("slow", False), ("absent", None),
    ]  # fmt: skip


@pytest.mark.usefixtures("_made_up")
def test_an_unknown_name_is_refused_with_the_nearest_one(capsys):
    """A misspelt bench runs nothing."""
    with pytest.raises(SystemExit, match="2"):
        frame.main(["quick", "slwo"])
    assert "there is no bench 'slwo'; did you mean 'slow'?" in capsys.readouterr().err


def test_help_is_skipped_only_while_there_is_no_command_line(monkeypatch):
    """Without ``headway.cli`` the bench says so instead of timing a failure."""
    monkeypatch.setattr("bench.start.importlib.util.find_spec", lambda name: None if name == "headway.cli" else name)
    with pytest.raises(NotBuilt, match=r"headway\.cli"):
        help_screen()
