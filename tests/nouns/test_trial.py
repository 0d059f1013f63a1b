"""Trials as they are remembered."""

import msgspec
import pytest

from headway.nouns.interval import Interval
from headway.nouns.trial import Trial


def _trial(**changes):
    given = {
        "number": 3,
        "algorithm": "lightgbm",
        "settings": {"trees": 300, "learning_rate": 0.1 + 0.2, "criterion": "gini"},
        "seed": 7,
        "scores": {"average_precision": Interval(value=0.3, low=0.2, high=0.4), "log_loss": 0.25},
        "replicates": (0.1, 1 / 3),
        "fit_seconds": 1.5,
        "latency_us": 40.0,
        "complexity": 63,
        "size_bytes": 1000,
        "interpretability": "opaque",
    }
    return Trial(**{**given, **changes})


def test_a_trial_survives_json_bit_for_bit():
    """What a book keeps as JSON comes back equal: floats, whole numbers, texts, intervals."""
    back = msgspec.json.decode(msgspec.json.encode(_trial()), type=Trial)
    assert back == _trial()
    assert isinstance(back.settings["trees"], int)
    assert isinstance(back.scores["average_precision"], Interval)


def test_score_is_the_point_value_with_or_without_an_interval():
    """Callers need not ask which it is."""
    assert _trial().score("average_precision") == 0.3
    assert _trial().score("log_loss") == 0.25


def test_an_unknown_interpretability_does_not_decode():
    """The words are a closed list."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(_trial(interpretability="magic")), type=Trial)
