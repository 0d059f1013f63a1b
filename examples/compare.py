"""Hold an example's model against the one done by hand: ``python examples/compare.py churn [FOLDER]``.

The file hides how both are brought to the same examples. Headway's score of the test is that of the model that was
fitted to the training part alone, which is what the hand-written one has seen, too.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.api import Project
from headway.graph.scorer import GraphScorer
from headway.loop.releases import test_examples
from headway.nouns.metric import higher_is_better, measured, metric_of, paired_day_bootstrap

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    from headway.loop.results import RunReport
    from headway.nouns.interval import Interval

__all__ = ["Compared", "compare", "part", "places"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Both figures on the same examples, and how far Headway is ahead, whatever the metric's direction."""

    metric: str
    headway: float
    by_hand: float
    ahead: Interval
    examples: int
    days: int
    seconds_headway: float
    seconds_by_hand: float
    report: RunReport

    def __str__(self) -> str:
        return (
            f"{metric_of(self.metric).words} of {self.examples:,} examples on {self.days} days: "
            f"Headway {self.headway:.4f} ({self.seconds_headway:.0f} s), "
            f"by hand {self.by_hand:.4f} ({self.seconds_by_hand:.0f} s); "
            f"ahead by {self.ahead.value:+.4f} [{self.ahead.low:+.4f}, {self.ahead.high:+.4f}]"
        )


def part(example: str, name: str) -> ModuleType:
    """Return ``prepare`` or ``by_hand`` of an example."""
    path = Path(__file__).parent / example / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"examples_{example}_{name}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compare(example: str, folder: Path, *, as_of: str) -> Compared:
    """Run the project in ``folder``, do the same by hand, and compare on the test.

    Raises
    ------
    ValueError
        When the two do not agree on which examples there are, or on their labels.
    """
    done = part(example, "by_hand")
    began = time.monotonic()
    theirs = done.by_hand(folder)
    between = time.monotonic()
    with Project.open(folder, as_of=as_of) as project:
        report = project.run()
        seconds = time.monotonic() - between
        store = project.store
        examples = test_examples(store, report.dataset)
        score = GraphScorer(store.blobs.read(project._finished(report.run).tested_graph)).score(examples.features)  # noqa: SLF001
        metric = project.brief.success.metric
    if theirs.num_rows != len(examples):
        message = f"Headway has {len(examples):,} examples in its test, by hand there are {theirs.num_rows:,}."
        raise ValueError(message)
    at = places(theirs, examples.key, done.KEY)
    other, label = (theirs[name].to_numpy()[at].astype(np.float64) for name in ("score", "label"))
    if not np.array_equal(label, examples.label):
        message = f"{int((label != examples.label).sum())} of {len(label)} labels differ."
        raise ValueError(message)
    pair = (score, other) if higher_is_better(metric) else (other, score)
    ahead = paired_day_bootstrap(metric, *pair, examples.label, examples.day, group=examples.group, draws=1_000, seed=7)
    return Compared(
        metric=metric,
        headway=measured(metric, score, examples.label, group=examples.group),
        by_hand=measured(metric, other, examples.label, group=examples.group),
        ahead=ahead,
        examples=len(label),
        days=len(np.unique(examples.day)),
        seconds_headway=seconds,
        seconds_by_hand=between - began,
        report=report,
    )


def places(theirs: pa.Table, key: pa.Table, names: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the row of ``theirs`` that has each key.

    Raises
    ------
    ValueError
        When a key is not there, or there twice.
    """
    asked, there = (_texts(table, names) for table in (key, theirs))
    found = pc.index_in(asked, value_set=there)
    if found.null_count or len(pc.unique(there)) != len(there):
        message = f"{found.null_count:,} of Headway's {len(asked):,} examples are not among the {len(there):,} by hand."
        raise ValueError(message)
    return np.asarray(found, dtype=np.int64)


def _texts(table: pa.Table, names: tuple[str, ...]) -> pa.Array:
    def text(column: pa.ChunkedArray) -> pa.Array:
        whole: Any = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if pa.types.is_timestamp(whole.type):
            whole = whole.cast(pa.timestamp("us", whole.type.tz)).cast(pa.int64())
        return whole.cast(pa.string())

    return pc.binary_join_element_wise(*(text(table[name]) for name in names), "|")


if __name__ == "__main__":
    chosen = sys.argv[1]
    place = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix=f"headway-{chosen}-"))
    print(f"The project is in {place}")
    prepared = part(chosen, "prepare")
    print(compare(chosen, prepared.prepare(place), as_of=prepared.AS_OF))
