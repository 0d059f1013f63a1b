"""The proof that the packaged graph is the trained model, on real rows and on rows made to break it.

The file hides which rows are looked at: all that are given; some of them with each column missing in turn, and
with categories that nobody has seen; and some alone, which must give the same bits as in a batch.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from headway.errors import ParityError
from headway.graph.scorer import GraphScorer
from headway.nouns.act_on import Likeliest, Quota, Threshold
from headway.nouns.model import Parity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.build.learner import Fitted
    from headway.nouns.act_on import ActOn
    from headway.nouns.examples import Examples
    from headway.nouns.task import Task

__all__ = ["prove_parity"]

_HARD = 64  # rows that each column is taken away from
_ALONE = 128  # rows that are scored one by one
_SHOWN = 5  # rows that an error names
_NEVER_SEEN = "\u2205 never seen"


def prove_parity(
    graph: bytes,
    fitted: Fitted,
    examples: Examples,
    *,
    tolerance: float = 1e-5,
    act_on: ActOn | None = None,
    task: Task = "condition",
) -> Parity:
    """Return how far the graph is from the fitted model, or refuse it.

    No decision can then turn on more than the tolerance: two examples whose trained scores lie further apart than
    twice the tolerance keep their order, and one that lies further than it from a threshold keeps its side.

    Parameters
    ----------
    tolerance
        Of a probability; of a number or a score it is a share of the answer or of their spread, the larger.
    act_on
        When given, the examples are counted that are acted on under one and not under the other.

    Raises
    ------
    ParityError
        A score differs by more than ``tolerance`` or is no number, or a row alone differs from itself in a batch
        by so much as a bit. The first such rows are named.
    """
    scorer = GraphScorer(graph, output=fitted.signature.output)
    plain = examples.features.select(list(fitted.signature.names))
    features = pa.concat_tables([plain, *_hard_rows(plain.slice(0, _HARD))])
    with ThreadPoolExecutor(1) as beside:
        waiting = beside.submit(fitted.predict, features)
        packaged = scorer.score(features)
        trained = waiting.result()
    # float32 keeps seven digits: of a number, the tolerance is a share of it and of how far the answers spread.
    scale = np.maximum(np.abs(trained), np.std(trained)) if task in {"number", "ranking"} else 1.0
    difference = np.abs(packaged - trained) / np.maximum(scale, np.finfo(np.float32).tiny)
    if difference.ndim == 2:  # of classes the one that is furthest off
        difference = difference.max(axis=1)
    worst = np.flatnonzero(~(difference <= tolerance))  # written so that NaN counts as worst
    if len(worst):
        shown = "; ".join(f"row {i}: {_digits(packaged[i])} for {_digits(trained[i])}" for i in worst[:_SHOWN])
        raise ParityError(
            f"The packaged graph differs from the trained model by more than {tolerance:g} "
            f"on {len(worst):,} of {len(difference):,} rows: {shown}.",
            where=fitted.algorithm,
            hint="Nothing was packaged. Rows from the number of examples on are made up: a column missing or unseen.",
        )
    _prove_alone(scorer, features, packaged)
    rows = len(examples)
    changed = 0 if act_on is None else _changed(packaged[:rows], trained[:rows], examples, act_on)
    most = float(difference.max()) if len(difference) else 0.0
    return Parity(rows=len(difference), max_abs_difference=most, tolerance=tolerance, decisions_changed=changed)


def _hard_rows(features: pa.Table) -> list[pa.Table]:
    """Return the rows with each column missing in turn, each category unseen in turn, and all missing at once."""
    out = []
    nothing = features
    for at, field in enumerate(features.schema):
        empty = pa.nulls(features.num_rows, field.type)
        out.append(features.set_column(at, field, empty))
        nothing = nothing.set_column(at, field, empty)
        if field.type != pa.float32():
            out.append(features.set_column(at, field, pa.repeat(pa.scalar(_NEVER_SEEN, field.type), features.num_rows)))
    return [*out, nothing.slice(0, 1)]


def _prove_alone(scorer: GraphScorer, features: pa.Table, packaged: NDArray[np.float64]) -> None:
    rows = np.unique(np.linspace(0, features.num_rows - 1, min(_ALONE, features.num_rows)).astype(np.int64))
    columns = [features.column(c.name).take(rows).to_pylist() for c in scorer.columns]
    alone = np.array([scorer.score_row(row) for row in zip(*columns, strict=True)])
    odd = np.flatnonzero((alone != packaged[rows]).reshape(len(rows), -1).any(axis=1))
    if len(odd):
        shown = "; ".join(f"row {rows[i]}: {alone[i]!r} alone, {packaged[rows[i]]!r} in a batch" for i in odd[:_SHOWN])
        raise ParityError(
            f"The packaged graph scores {len(odd):,} of {len(rows):,} rows differently alone and in a batch: {shown}.",
            hint="Nothing was packaged. Report this with the version of onnxruntime.",
        )


def _digits(answer: NDArray[np.float64]) -> str:
    return ", ".join(f"{number:.9g}" for number in np.atleast_1d(answer))


def _changed(a: NDArray[np.float64], b: NDArray[np.float64], examples: Examples, act_on: ActOn) -> int:
    if isinstance(act_on, Likeliest):
        return int(np.sum(a.argmax(axis=1) != b.argmax(axis=1)))
    if isinstance(act_on, Threshold):
        if act_on.of:
            a, b = (each[:, examples.classes.index(act_on.of)] for each in (a, b))
        return int(np.sum((a > act_on.score) != (b > act_on.score)))
    if not isinstance(act_on, Quota):
        return 0  # all are acted on
    return int(np.sum(_top(a, examples.day, act_on.k) != _top(b, examples.day, act_on.k)))


def _top(score: NDArray[np.float64], day: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Mark the k highest scores of each day, the earlier example winning a tie."""
    order = np.lexsort((np.arange(len(score)), -score, day))
    ordered = day[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered, side="left")
    out = np.zeros(len(score), dtype=bool)
    out[order] = rank < k
    return out
