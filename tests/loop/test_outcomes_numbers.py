"""Outcomes of numbers are numbers."""

from __future__ import annotations

import pytest

from headway.errors import OutcomeError
from headway.loop.outcomes import _number


@pytest.mark.parametrize(("told", "label"), [("12.5", 12.5), (-3, -3.0), ("", None), (None, None), ("NaN", None)])
def test_a_number_or_nothing_is_taken(told, label):
    """Nothing means that it will never be known."""
    assert _number(told, "row 1") == label


@pytest.mark.parametrize("told", ["late", "inf", "1,5"])
def test_what_is_no_number_is_refused(told):
    """Naming the row, and what was wanted."""
    with pytest.raises(OutcomeError, match=r"row 1: label is .*Wanted: a number"):
        _number(told, "row 1")
