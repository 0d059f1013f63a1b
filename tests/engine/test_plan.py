"""A content key changes when anything that can change the output does, and only then."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

from headway.engine import Plan, Step, Work, code_digest, library_versions, time_zone_version
from headway.engine.code import _version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def nothing(work: Work) -> Mapping[str, Any]:
    """Do nothing."""
    return {"step": work.step}


STEP = Step(name="fit", function=nothing, inputs={"seed": 7, "depth": [1, 2]}, needs=("data",), libraries=("msgspec",))
OUTPUTS = {"data": {"dataset": "d1"}, "other": {"x": 1}}


def changed(**fields: Any) -> Step:
    """Return the step with some fields changed."""
    return Step(**{name: getattr(STEP, name) for name in Step.__slots__} | fields)


def test_equal_work_has_an_equal_key() -> None:
    """Order of inputs, tuples for lists, unneeded outputs and a partial around the function make no difference."""
    same = changed(inputs={"depth": (1, 2), "seed": 7}, function=functools.partial(nothing))
    assert same.key(OUTPUTS | {"other": {"x": 2}}) == STEP.key(OUTPUTS)
    assert len(STEP.key(OUTPUTS)) == 64


@pytest.mark.parametrize(
    "other",
    [
        changed(name="fit2"),
        changed(version=2),
        changed(inputs={"seed": 8, "depth": [1, 2]}),
        changed(inputs={"seed": 7.0, "depth": [1, 2]}),
        changed(code=("headway.nouns",)),
        changed(libraries=("msgspec", "blake3")),
        changed(libraries=("msgspec", "python")),
        changed(time_zones=True),
        changed(needs=()),
        changed(function=code_digest),
    ],
)
def test_anything_that_can_change_the_output_changes_the_key(other: Step) -> None:
    """One field at a time."""
    assert other.key(OUTPUTS) != STEP.key(OUTPUTS)


def test_the_output_of_a_needed_step_is_part_of_the_key() -> None:
    """What is handed in counts."""
    assert STEP.key({"data": {"dataset": "d2"}}) != STEP.key(OUTPUTS)


def test_another_version_of_a_library_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade may change figures, so the work is done again."""
    before = STEP.key(OUTPUTS)
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "999")
    # A process looks once; the upgrade is seen by the next one.
    monkeypatch.setattr("headway.engine.code._version", _version.__wrapped__)
    assert STEP.key(OUTPUTS) != before


def test_a_change_of_source_changes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the function's own module, in a named one, anywhere below a named package; line ends do not count."""
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "stage_under_test"
    (package / "deep").mkdir(parents=True)
    for path, text in {
        "__init__.py": "",
        "deep/__init__.py": "",
        "deep/fit.py": "def fit(work):\n    return {}\n",
    }.items():
        (package / path).write_bytes(text.encode())
    module = importlib.import_module("stage_under_test.deep.fit")
    own, named = Step(name="fit", function=module.fit), Step(name="fit", function=nothing, code=("stage_under_test",))

    def keys() -> tuple[str, str]:
        code_digest.cache_clear()
        return own.key({}), named.key({})

    before = keys()
    (package / "deep/fit.py").write_bytes(b"def fit(work):\r\n    return {}\r\n")
    assert keys() == before
    (package / "deep/fit.py").write_bytes(b"def fit(work):\n    return {'a': 1}\n")
    after = keys()
    assert after[0] != before[0]
    assert after[1] != before[1]
    (package / "more.py").write_bytes(b"")
    assert keys()[0] == after[0]
    assert keys()[1] != after[1]
    for name in [name for name in sys.modules if name.startswith("stage_under_test")]:
        del sys.modules[name]


def test_inputs_without_json_are_refused() -> None:
    """NaN would read like a missing value."""
    with pytest.raises(ValueError, match="NaN"):
        changed(inputs={"seed": float("nan")}).key(OUTPUTS)


def test_a_module_or_library_that_is_not_there_is_refused() -> None:
    """A misspelt name would otherwise never change."""
    with pytest.raises(ValueError, match=r"source of 'headway\.nothing'"):
        code_digest(("headway.nothing",))
    with pytest.raises(ValueError, match="no distribution 'msgspecs'"):
        library_versions(["msgspecs"])


def test_time_zone_data_tell_their_version() -> None:
    """Something that changes with the data."""
    assert len(time_zone_version()) >= 5


def test_a_plan_whose_steps_cannot_be_ordered_is_refused() -> None:
    """Twice the same name, or a need that does not come before."""
    with pytest.raises(ValueError, match="Two steps are called 'a'"):
        Plan(Step(name="a", function=nothing), Step(name="a", function=nothing))
    with pytest.raises(ValueError, match=r"'b' needs 'dta'.*Did you mean 'data'"):
        Plan(Step(name="data", function=nothing), Step(name="b", function=nothing, needs=("dta",)))
