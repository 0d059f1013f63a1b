"""The table of causes: each combination of findings leads to its own, and broken operations come first."""

from __future__ import annotations

import pytest

from headway.monitor.diagnosis import diagnose
from headway.monitor.signals import FAMILIES, SIGNALS
from headway.nouns.finding import Finding

KINDS = {signal.name: signal.kind for signal in SIGNALS} | {
    "stale": "operational",
    "missing": "quality",
    "disagreement": "prediction",
    "drift": "data",
}
PAGES = {signal.name for signal in SIGNALS if signal.family in ("outcomes", "serving")} | {"disagreement"}


def findings(*signals: str) -> list[Finding]:
    """Return one finding of each signal; a trailing ! makes it an alert."""
    return [
        Finding(
            kind=KINDS[name.rstrip("!")],
            signal=name.rstrip("!"),
            subject="x",
            level="alert" if name.endswith("!") or name in PAGES else "report",
            since=1,
            found_on=2,
        )
        for name in signals
    ]


@pytest.mark.parametrize(
    ("signals", "cause", "remedy"),
    [
        ((), "healthy", "nothing"),
        (("drift",), "benign drift", "nothing"),
        (("stale",), "benign drift", "nothing"),
        (("stale!", "drift", "ranking", "release-loss"), "operational", "fix"),
        (("missing!", "drift"), "operational", "fix"),
        (("serving-bug", "drift"), "operational", "fix"),
        (("release-loss", "ranking", "drift"), "bad release", "roll back"),
        (("disagreement",), "bad release", "roll back"),
        (("ranking", "drift", "base-rate-rise"), "concept drift", "retrain"),
        (("base-rate-rise", "scores-too-low"), "prior shift", "recalibrate"),
        (("base-rate-rise", "drift"), "prior shift", "nothing"),
        (("loss",), "calibration drift", "recalibrate"),
        (("money",), "not worth it", "stop acting"),
        (("money-rule",), "not worth it", "retrain"),
    ],
)
def test_each_combination_has_its_cause(signals: tuple[str, ...], cause: str, remedy: str) -> None:
    """The rows of the table, one by one."""
    found = diagnose(findings(*signals))
    assert (found.cause, found.remedy) == (cause, remedy)


def test_operations_mute_what_may_follow_from_them() -> None:
    """With a stale look-up open, drift and losses need no attention of their own."""
    found = diagnose(findings("stale!", "drift", "ranking"))
    assert found.because == ("stale:x:1970-01-02",)
    assert set(found.muted) == {"drift:x:1970-01-02", "ranking:x:1970-01-02"}


def test_the_shares_of_the_promise_add_up() -> None:
    """Weights within a family sum to one, and the paging families share one promise."""
    for family in ("outcomes", "serving", "world"):
        assert sum(signal.weight for signal in SIGNALS if signal.family == family) == pytest.approx(1.0)
    assert FAMILIES["outcomes"] + FAMILIES["serving"] == pytest.approx(1.0)
