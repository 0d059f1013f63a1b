"""The engine on one machine: the steps of a plan as their needs allow, in this process, each at most once.

A step counts as done when the book has it, and the book is written when the step's function has returned: a kill
in between means that the step is done again, to the same output. Nothing else is kept, so nothing can be stale.
"""

from __future__ import annotations

import contextvars
import copy
import json
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
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
    workers
        How many steps may run side by side; the heavy ones leave Python's lock to others while they compute.

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

    def __init__(self, book: StepBook, *, alive: Callable[[Output], bool] | None = None, workers: int = 1) -> None:
        self._book = book
        self._alive = alive
        self._workers = workers

    def run(self, plan: Plan, progress: Progress | None = None) -> PlanResult:
        """Do what has not been done yet, and return all outputs.

        With several workers, steps that do not need each other run side by side, each in a thread. The keys, and so
        the outputs, are the same: a step is handed the outputs of those that it names, and nothing else.

        Raises
        ------
        Exception
            Whatever a step raises, with a note that names the step; those that are done stay done, those that run
            come to their end, and no other begins.
        ValueError
            When a step puts out what has no JSON.
        """
        run = _Run(self._book, self._alive, NoProgress() if progress is None else progress)
        waiting = list(plan.steps)
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="step")
        running: dict[Future[tuple[Output, float]], Step] = {}
        try:
            while waiting or running:
                for step in [step for step in waiting if run.ready(step)][: self._workers - len(running)]:
                    waiting.remove(step)
                    if not run.remembered(step):
                        running[pool.submit(contextvars.copy_context().run, run.do, step)] = step
                if running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        step = running.pop(future)
                        run.finish(step, *future.result())
        finally:
            # Ctrl-C must not wait for a step that takes minutes; what it would have put out is not recorded.
            pool.shutdown(wait=False, cancel_futures=True)
        order = [step.name for step in plan.steps]
        return PlanResult(
            outputs={name: run.outputs[name] for name in order},
            keys={name: run.keys[name] for name in order},
            seconds={name: run.seconds[name] for name in order},
            reused=tuple(name for name in order if name in run.reused),
        )


class _Run:
    """One run of a plan: what is done so far. Everything but ``do`` happens in the caller's thread."""

    def __init__(self, book: StepBook, alive: Callable[[Output], bool] | None, watch: Progress) -> None:
        self._book = book
        self._alive = alive
        self._watch = watch
        self.outputs: dict[str, Output] = {}
        self.keys: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.reused: set[str] = set()

    def ready(self, step: Step) -> bool:
        """Whether all that the step needs is there."""
        return all(name in self.outputs for name in step.needs)

    def remembered(self, step: Step) -> bool:
        """Take the step's output from the book, if it is there and still good."""
        key = self.keys[step.name] = step.key(self.outputs)
        self._watch.start(step.name)
        output = self._book.get(key)
        if output is None or (self._alive is not None and not self._alive(output)):
            return False
        self.outputs[step.name], self.seconds[step.name] = output, 0.0
        self.reused.add(step.name)
        self._watch.finish(step.name, reused=True, seconds=0.0)
        return True

    def do(self, step: Step) -> tuple[Output, float]:
        """Do the step's work, and return what it put out and how long it took."""
        needed = {name: copy.deepcopy(self.outputs[name]) for name in step.needs}  # a step may scribble on what it gets
        work = Work(step=step.name, inputs=step.inputs, outputs=needed, progress=self._watch)
        began = time.perf_counter()
        try:
            # Through JSON and back, so that a fresh output is what a remembered one will be: tuples become lists.
            output: Output = json.loads(canonical_json(dict(step.function(work))))
        except Exception as error:
            error.add_note(f"in step {step.name!r}")
            raise
        return output, time.perf_counter() - began

    def finish(self, step: Step, output: Output, seconds: float) -> None:
        """Put the step's output into the book; only then is it done."""
        self._book.put(self.keys[step.name], step=step.name, output=output, seconds=seconds)
        self.outputs[step.name], self.seconds[step.name] = output, seconds
        self._watch.finish(step.name, reused=False, seconds=seconds)
