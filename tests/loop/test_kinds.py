"""What the screens say of outcomes by the kind of target: only of a condition are there shares of true ones."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

import deliveries
from headway.loop.tend import DayClosed, Tended
from headway.nouns.clock import ReplayClock
from headway.nouns.span import DAY
from headway.screens.page import Page
from headway.screens.status import show_status
from headway.screens.tend import show_tended
from headway.screens.trace import show_trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.api import Project
    from headway.nouns.task import Task

_CHANGES = {
    'label          = "late"': 'label          = "minutes_between(leaves, arrived)"',
    '"top 6 per day"': '"every prediction"',
    "true_positive  = 20\nfalse_positive = -3": "over           = -1\nunder          = -1",
    'metric      = "average_precision"\nminimum     = 0.05\ngood_enough = 0.95': (
        'metric      = "mae"\nminimum     = 100\ngood_enough = 1'
    ),
    "trials     = 2": "trials     = 1",
}


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[str]]:
    """Return a business that predicts how long a delivery takes, and the ids of its first four answers."""
    folder = tmp_path_factory.mktemp("timed")
    project = deliveries.begun(folder)
    text = (folder / "headway.toml").read_text()
    for old, new in _CHANGES.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "headway.toml").write_text(text)
    report = project.run()
    project.deploy(by="Ada", why="First.", override="" if report.passed else "a test")
    answers = project.predict(
        [
            {"delivery": number, "leaves": "2024-03-18T12:00:00Z", "depot": "North", "distance": 10.0 * number}
            for number in (1, 2, 3, 4)
        ]
    )
    return project, answers["id"].to_pylist()


def _shown(show: Callable[[Page], None]) -> str:
    written = io.StringIO()
    show(Page(written))
    return written.getvalue()


def test_a_trace_says_that_every_prediction_is_acted_on(timed: tuple[Project, list[str]]) -> None:
    """Where there is no line, none is shown."""
    project, ids = timed
    shown = _shown(lambda page: show_trace(page, project.trace(ids[0])))
    assert ": act (every prediction is acted on)" in shown


def test_outcomes_of_a_number_are_told_by_their_mean(timed: tuple[Project, list[str]]) -> None:
    """How many of those that were due have come, and the mean of their labels; never a share of true ones."""
    project, ids = timed
    assert isinstance(project.clock, ReplayClock)
    project.outcomes([{"id": name, "label": label} for name, label in zip(ids, (30.5, 100.0, 19.75), strict=False)])
    project.clock.move_to(project.clock.now_us() + 2 * DAY)
    tended = project.tend(refresh=False)
    assert "3 of 4 outcomes came, 50.08 on average" in _shown(lambda page: show_tended(page, tended))
    project.outcomes([{"id": ids[3], "label": 50.0}])
    stands = project.status()
    assert stands["last_30_days"]["base_rate"] == pytest.approx(50.0625)
    (header, tested, live) = _worth(_shown(lambda page: show_status(page, stands)))
    assert header.endswith("mean label")
    assert tested.endswith(f"  {stands['tested']['base_rate']:.4g}")
    assert live.endswith("  50.06")


def _worth(shown: str) -> list[str]:
    lines = shown.splitlines()
    first = lines.index("Worth") + 1
    return lines[first : first + 3]


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("condition", "3 of 5 outcomes came, 2 true, 1 void"),
        ("category", "3 of 5 outcomes came, 2 of the class acted on, 1 void"),
        ("number", "3 of 5 outcomes came, 1.5 on average, 1 void"),
        ("ranking", "3 of 5 outcomes came, 2 relevant, 1 void"),
    ],
)
def test_a_day_says_what_came_by_the_kind_of_target(task: Task, words: str) -> None:
    """Of those that were due; what is due and did not come is no outcome."""
    assert words in _shown(lambda page: show_tended(page, _tended(task, came=3, void=1, mean_label=1.5)))


def test_a_day_on_which_no_outcome_came_says_so() -> None:
    """Nothing is said of labels that nobody has told."""
    shown = _shown(lambda page: show_tended(page, _tended("condition", came=0, void=0, mean_label=None)))
    assert "0 of 5 outcomes came  " in shown


def _tended(task: Task, *, came: int, void: int, mean_label: float | None) -> Tended:
    day = DayClosed(
        day="2024-03-19",
        release="r1",
        predictions=7,
        matured=5,
        came=came,
        void=void,
        positives=2 if came else 0,
        mean_label=mean_label,
        task=task,
        found=(),
        action="nothing",
        why="",
    )
    return Tended(as_of_us=0, release="r1", days=(day,), store_rows=0, seconds=0.0)
