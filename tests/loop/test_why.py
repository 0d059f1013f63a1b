"""Tests for the reasons of an answer: from the store alone, exact, and in words."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import msgspec
import pytest

import deliveries
from headway.errors import StoreError
from headway.loop.releases import facts_of
from headway.nouns.clock import ReplayClock
from headway.nouns.model import Model
from headway.nouns.span import DAY
from headway.screens.page import Page
from headway.screens.trace import show_trace

if TYPE_CHECKING:
    from pathlib import Path

    from headway.api import Project


def _asked(folder: Path, *, algorithm: str = "logistic", explainable: bool = True) -> tuple[Project, list[str]]:
    """Return a project in service that was asked about a day, and the ids of its answers."""
    project = deliveries.begun(folder)
    brief = folder / "headway.toml"
    text = brief.read_text().replace('algorithms = ["logistic"]', f'algorithms = ["{algorithm}"]')
    text = text.replace("trials     = 2", "trials     = 1")
    brief.write_text(text.replace("segments    =", f"explainable = {str(explainable).lower()}\nsegments    ="))
    project.close()
    project = type(project).open(folder, clock=ReplayClock(deliveries._moment(deliveries.LIVE)))
    report = project.run()
    project.deploy(by="Ada", why="to be asked", override="" if report.passed else "a test")
    clock = project.clock
    assert isinstance(clock, ReplayClock)
    clock.move_to(clock.now_us() + DAY - 1)
    asked = [each for each in deliveries._deliveries() if each["leaves"].date() == deliveries.LIVE]
    rows = [{name: each[name] for name in ("delivery", "leaves", "depot", "distance")} for each in asked]
    return project, project.predict(rows)["id"].to_pylist()


@pytest.mark.parametrize(
    ("algorithm", "scale"), [("logistic", "log odds"), ("tree", "probability"), ("lightgbm", "log odds")]
)
def test_reasons_add_up_to_the_answer_that_was_given(tmp_path: Path, algorithm: str, scale: str) -> None:
    """Of each kind of model: the base and what each feature brings give the logged score."""
    project, ids = _asked(tmp_path, algorithm=algorithm)
    for name in ids[:5]:
        traced = project.trace(name)
        why = traced.why
        assert why is not None
        assert why.adds_up
        assert why.scale == scale
        total = why.base + sum(reason.contribution for reason in why.reasons)
        assert total == pytest.approx(why.total)
        score = 1 / (1 + math.exp(-total)) if scale == "log odds" else total
        assert score == pytest.approx(traced.prediction.score, abs=1e-5)
        assert {reason.feature: reason.value for reason in why.reasons} == traced.prediction.features
        weights = [abs(reason.contribution) for reason in why.reasons]
        assert weights == sorted(weights, reverse=True)


def test_reasons_stand_on_the_screen_and_in_json(tmp_path: Path) -> None:
    """The weightiest first, with what it does to the odds in words."""
    project, ids = _asked(tmp_path)
    traced = project.trace(ids[0])
    shown = io.StringIO()
    show_trace(Page(shown), traced)
    assert traced.why is not None
    first = traced.why.reasons[0]
    assert f"({first.in_words})" in shown.getvalue()
    assert "on average" in shown.getvalue()
    assert first.in_words == f"odds times {math.exp(first.contribution):.3g}"
    told = msgspec.to_builtins(traced)["why"]
    assert told["reasons"][0]["feature"] == first.feature
    assert set(told) == {"of", "scale", "base", "total", "adds_up", "reasons"}


def test_a_brief_that_does_not_ask_for_reasons_keeps_none(tmp_path: Path) -> None:
    """Nothing is stored, and the trace says so rather than making reasons up."""
    project, ids = _asked(tmp_path, explainable=False)
    model = project.store.get(facts_of(project.store, "r1").model, Model)
    assert model.reasons is msgspec.UNSET
    assert project.trace(ids[0]).why is None


def test_reasons_are_kept_with_the_model_and_a_damaged_byte_is_found(tmp_path: Path) -> None:
    """They are a blob that the model names, so that collecting leaves them and verifying covers them."""
    project, ids = _asked(tmp_path)
    model = project.store.get(facts_of(project.store, "r1").model, Model)
    assert isinstance(model.reasons, str)
    path = project.store.blobs.path(model.reasons)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))
    with pytest.raises(StoreError):
        project.trace(ids[0])
