"""The engine on one machine: the steps of a plan in order, in this process, each at most once.

A step counts as done when the book has it, and the book is written when the step's function has returned: a kill
in between means that the step is done again, to the same output. Nothing else is kept, so nothing can be stale.
"""

from __future__ import annotations

import copy
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from headway.engine.plan import Output, Plan, Step, Work
from headway.engine.progress import NoProgress
from headway.nouns.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from headway.engine.progress import Progress

__all__ = ["LocalEngine", "PlanResult", "StepBook"]


class StepBook(Protocol):
    """Where finished steps are remembered, by content key."""

    def get(self, key: str) -> Output | None:
        """Return what the step with this key put out, or ``None``."""
        ...

    def put(self, key: str, *, step: str, output: Mapping[str, Any], seconds: float) -> None:
        """Remember a finished step, durably, before returning; a key that is there is replaced."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanResult:
    """What running a plan came to, by name of step.

    Attributes
    ----------
    outputs
        What each step put out, now or earlier.
    keys
        The content key of each.
    seconds
        What each took now; a reused one took none.
    reused
        Those that did not have to be done.
    """

    outputs: dict[str, Output]
    keys: dict[str, str]
    seconds: dict[str, float]
    reused: tuple[str, ...]


class LocalEngine:
    """Runs plans here and now.

    Parameters
    ----------
    book
        Where finished steps are remembered.
    alive
        Asked before a remembered output is used again, e.g. whether the blobs it names are still there; when
        not, the step is done again.

    Examples
    --------
    >>> class Book(dict):
    ...     def put(self, key, *, step, output, seconds):
    ...         self[key] = output
    >>> def halve(work):
    ...     return {"half": work.inputs["number"] / 2}
    >>> engine, plan = LocalEngine(Book()), Plan(Step(name="halve", function=halve, inputs={"number": 7}))
    >>> engine.run(plan).outputs, engine.run(plan).reused
    ({'halve': {'half': 3.5}}, ('halve',))
    """

    def __init__(self, book: StepBook, *, alive: Callable[[Output], bool] | None = None) -> None:
        self._book = book
        self._alive = alive

    def run(self, plan: Plan, progress: Progress | None = None) -> PlanResult:
        """Do what has not been done yet, and return all outputs.

        Raises
        ------
        Exception
            Whatever a step raises, with a note that names the step; the steps before it stay done.
        ValueError
            When a step puts out what has no JSON.
        """
        watch = NoProgress() if progress is None else progress
        outputs: dict[str, Output] = {}
        keys: dict[str, str] = {}
        seconds: dict[str, float] = {}
        reused: list[str] = []
        for step in plan.steps:
            key = step.key(outputs)
            watch.start(step.name)
            output = self._book.get(key)
            fresh = output is None or (self._alive is not None and not self._alive(output))
            if output is None or fresh:
                output, seconds[step.name] = self._do(step, key, outputs, watch)
            else:
                seconds[step.name] = 0.0
                reused.append(step.name)
            outputs[step.name], keys[step.name] = output, key
            watch.finish(step.name, reused=not fresh, seconds=seconds[step.name])
        return PlanResult(outputs=outputs, keys=keys, seconds=seconds, reused=tuple(reused))

    def _do(self, step: Step, key: str, outputs: Mapping[str, Output], watch: Progress) -> tuple[Output, float]:
        needed = {name: copy.deepcopy(outputs[name]) for name in step.needs}  # a step may scribble on what it gets
        work = Work(step=step.name, inputs=step.inputs, outputs=needed, progress=watch)
        began = time.perf_counter()
        try:
            # Through JSON and back, so that a fresh output is what a remembered one will be: tuples become lists.
            output: Output = json.loads(canonical_json(dict(step.function(work))))
        except Exception as error:
            error.add_note(f"in step {step.name!r}")
            raise
        took = time.perf_counter() - began
        self._book.put(key, step=step.name, output=output, seconds=took)
        return output, took
