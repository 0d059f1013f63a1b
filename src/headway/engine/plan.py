"""A plan: named steps, what each is given, and what each must wait for.

A step is a function from its inputs and the outputs of earlier steps to a small JSON-able mapping; what is large
it puts into the blobs itself, and names by digest. Its *content key* is the digest of all that can change its
output, so that equal keys mean equal work and the work need not be done twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from blake3 import blake3

from headway.engine.code import code_digest, library_versions, module_of, time_zone_version
from headway.engine.progress import NoProgress
from headway.errors import did_you_mean
from headway.nouns.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from headway.engine.progress import Progress

__all__ = ["Output", "Plan", "Step", "Work"]

Output: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a step's function is handed.

    Attributes
    ----------
    step
        The step's own name.
    inputs
        The step's inputs, as they went into its key.
    outputs
        By name of each needed step, what that step put out.
    """

    step: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Output]
    progress: Progress = field(default_factory=NoProgress)

    def expect(self, total: int) -> None:
        """Say in how many parts the work comes, once that is known."""
        self.progress.start(self.step, total=total)

    def advance(self, amount: int = 1, *, note: str = "") -> None:
        """Say that ``amount`` parts more are done."""
        self.progress.advance(self.step, amount, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One piece of work.

    Attributes
    ----------
    name
        Unique in its plan.
    function
        Does the work. Whatever it reads beyond its :class:`Work` (a path, an open store) must not change its
        output; what would change it belongs into ``inputs``.
    inputs
        Settings, seeds, digests: JSON-able.
    needs
        The steps whose outputs it is handed; they come before it in the plan.
    version
        Raised by hand when the meaning changes in a way that the source does not show.
    code
        Names of modules and packages, beside the function's own module, whose source makes the output.
    libraries
        Names of distributions whose version may change the output, such as ``"lightgbm"``.
    time_zones
        Whether local times are computed, so that newer time-zone data may change the output.
    """

    name: str
    function: Callable[[Work], Mapping[str, Any]]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    version: int = 1
    code: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    time_zones: bool = False

    def key(self, outputs: Mapping[str, Output]) -> str:
        """Return the content key: 64 hexadecimal digits.

        Parameters
        ----------
        outputs
            What the needed steps put out; others are passed over. Their *outputs* count, not their keys: a step
            that was done again and came to the same result changes nothing downstream.

        Raises
        ------
        ValueError
            When an input has no JSON.
        """
        parts = {
            "step": self.name,
            "version": self.version,
            "code": code_digest(tuple(sorted({module_of(self.function), *self.code}))),
            "inputs": self.inputs,
            "needs": {name: outputs[name] for name in self.needs},
            "libraries": library_versions(self.libraries),
            "time zones": time_zone_version() if self.time_zones else "",
        }
        return blake3(canonical_json(parts).encode()).hexdigest()


class Plan:
    """Steps in an order in which each comes after those that it needs.

    Raises
    ------
    ValueError
        When two steps share a name, or a step needs one that does not come before it.
    """

    def __init__(self, *steps: Step) -> None:
        known: set[str] = set()
        for step in steps:
            if step.name in known:
                raise ValueError(f"Two steps are called {step.name!r}.")
            for need in step.needs:
                if need not in known:
                    hint = did_you_mean(need, known)
                    raise ValueError(f"Step {step.name!r} needs {need!r}, which is no step before it. {hint}".strip())
            known.add(step.name)
        self.steps = steps
