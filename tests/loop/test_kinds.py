"""What the screens say of a number that is predicted, where of a condition there are shares of true ones."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

import deliveries
from headway.screens.page import Page
from headway.screens.trace import show_trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.api import Project

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
