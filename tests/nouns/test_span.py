"""Lengths of time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import BriefError
from headway.nouns.span import DAY, HOUR, WEEK, format_span, parse_span


@given(st.integers(0, 10**17).filter(lambda us: us <= 3_652_425 * DAY))
def test_what_is_written_is_read_back(us) -> None:
    """To the microsecond."""
    assert parse_span(format_span(us)) == us


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2 hours", 2 * HOUR),
        ("1 day", DAY),
        ("1.5 days", 36 * HOUR),
        ("3 weeks", 3 * WEEK),
        ("20 ms", 20_000),
        ("20ms", 20_000),
        ("7 us", 7),
        (" 10 Minutes ", 600_000_000),
        ("0 minutes", 0),
    ],
)
def test_a_number_and_a_unit_make_a_length(text, us) -> None:
    """One or many, with or without a space."""
    assert parse_span(text) == us


@pytest.mark.parametrize(
    "text", ["", "soon", "hours", "2", "-2 hours", "2 moons", "2 hours ago", "1e3 days", "9" * 30 + " weeks"]
)
def test_anything_else_is_refused(text) -> None:
    """With a hint that says how to write it."""
    with pytest.raises(BriefError) as caught:
        parse_span(text)
    assert caught.value.hint
