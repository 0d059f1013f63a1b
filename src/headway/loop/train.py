"""A run as the ledger has it: begun, done or failed, with what it was made with; the work is ``experiment.py``'s."""

from __future__ import annotations

import platform
import time
from importlib import metadata
from typing import TYPE_CHECKING

import msgspec

import headway
from headway.engine.code import time_zone_version
from headway.loop.experiment import LEARNING, Experiment, Recipe
from headway.loop.sources import Material, material_of
from headway.nouns.event import BriefSeen, RunFailed, RunFinished, RunStarted
from headway.nouns.task import suited_metric

if TYPE_CHECKING:
    from headway.loop.results import RunResult
    from headway.loop.store import Store
    from headway.nouns.brief import Split

__all__ = ["environment", "train"]


def train(
    store: Store,
    material: Material,
    *,
    as_of_us: int,
    brief_text: str = "",
    split: Split | None = None,
    recipe: Recipe | None = None,
) -> RunResult:
    """Take the whole way from snapshots to a packaged model.

    Parameters
    ----------
    as_of_us
        Now: nothing that became known later is seen.
    brief_text
        The brief as it was written, kept for the record.
    split, recipe
        Stretches of time instead of the brief's, and settings instead of a search: a retraining.

    Raises
    ------
    DataError
        When there is nothing to learn, or a feature holds the answer. The run is recorded as failed, with the reason.
    """
    began = time.monotonic()
    if split is not None:
        brief = msgspec.structs.replace(material.brief.unlearned, split=split)
        material = material_of(store, brief, material.snapshots, as_of_us=material.as_of_us)
    experiment = Experiment(store, material, as_of_us=as_of_us, recipe=recipe)
    brief, run = experiment.brief, experiment.name
    done = next((run for run in store.ledger.runs() if run.run == experiment.name and run.state == "finished"), None)
    if done is None:
        # What cannot stand in the brief is said before a run begins.
        suited_metric(brief.success.metric, material.definitions.aim.task)
        text = store.blobs.put((brief_text or msgspec.json.encode(brief).decode()).encode())
        store.record(
            BriefSeen(brief=brief.digest, text=text),
            RunStarted(
                run=run,
                brief=brief.digest,
                as_of_us=experiment.as_of_us,
                seed=brief.search.seed,
                environment=environment(),
            ),
        )
    try:
        result = msgspec.structs.replace(experiment.run(), seconds=time.monotonic() - began)
    except (Exception, KeyboardInterrupt) as error:
        store.record(RunFailed(run=run, error=str(error) or type(error).__name__))
        raise
    # Kept before the run counts as finished, so that whatever is finished can be released and reported on.
    store.remembered(f"run:{run}", "run", lambda: msgspec.to_builtins(result))
    if done is None:
        store.record(
            RunFinished(
                run=run,
                dataset=result.dataset,
                model=result.model,
                verdict=result.verdict,
                winner_reason=result.reason,
                seconds=result.seconds,
                fit_seconds=result.fit_seconds,
                resumed_steps=result.reused,
            )
        )
    return result


def environment() -> dict[str, str]:
    """Return what a run is made with: versions of the interpreter, of Headway, of the libraries and time-zone data."""
    return {
        "headway": headway.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "time zones": time_zone_version(),
        **{name: metadata.version(name) for name in ("duckdb", "holidays", "pyarrow", *LEARNING)},
    }
