"""The small languages inside a brief."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from headway.errors import BriefError
from headway.nouns.brief import Monitor, Quota, Split, Threshold, false_alarm_windows, parse_act_on


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("top 40 per day", Quota(k=40)),
        ("Top 1 a day", Quota(k=1)),
        ("score > 0.6", Threshold(score=0.6)),
        ("probability > 60%", Threshold(score=0.6)),
        ("score > .5", Threshold(score=0.5)),
    ],
)
def test_what_is_acted_on_is_a_quota_or_a_threshold(text, meaning) -> None:
    """In the words of whoever acts."""
    assert parse_act_on(text) == meaning


@pytest.mark.parametrize(
    "text", ["", "top 0 per day", "top -1 per day", "score > 1.5", "score < 0.5", "probability > 101 %", "all"]
)
def test_what_says_neither_is_refused(text) -> None:
    """Nobody acts on the best nought."""
    with pytest.raises(BriefError, match="does not say which predictions are acted on") as caught:
        parse_act_on(text)
    assert "top 40 per day" in caught.value.hint


@pytest.mark.parametrize(("text", "days"), [("once a month", 30.0), ("Once a Year", 365.0), ("once in 2 weeks", 14.0)])
def test_a_rate_of_false_alarms_is_a_number_of_days(text, days) -> None:
    """Between two of them."""
    assert false_alarm_windows(Monitor(false_alarm=text)) == days


@pytest.mark.parametrize("text", ["never", "once in 2 hours", "twice a day", "once in a blue moon"])
def test_a_rate_that_is_none_is_refused(text) -> None:
    """Less than a day between two cannot be promised of daily windows."""
    with pytest.raises(BriefError):
        false_alarm_windows(Monitor(false_alarm=text))


def test_a_brief_that_splits_by_time_keeps_the_digest_that_it_had() -> None:
    """What only other ways of splitting have is not written where it is not set; so no dataset changes its name."""
    split = Split(
        train_before=dt.date(2024, 1, 1), validate_before=dt.date(2024, 2, 1), test_before=dt.date(2024, 3, 1)
    )
    assert set(msgspec.to_builtins(split)) == {
        *("train_from", "train_before", "validate_before", "test_before", "by", "zone", "refit")
    }
