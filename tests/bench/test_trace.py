"""The bench of tracing, on logs small enough for a test."""

from __future__ import annotations

import pytest
from bench.trace import trace


def test_answers_of_both_logs_are_traced_whole():
    """Each with its outcome and every feature replayed, or it raises; the ratio is of the two figures in its row."""
    found = trace(few=1_000, many=4_000, traced=3, repeats=1)
    assert (found.name, found.bound, found.unit) == ("trace", 2.0, "ms")
    assert found.figure is not None
    assert found.limit is not None
    assert found.ratio == pytest.approx(found.figure / found.limit)
    assert "4,000 answers with outcomes" in found.note
