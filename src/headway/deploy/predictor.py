"""A release at work: the rows of a request in, answers out. One immutable object; a new release is a new one.

The file hides how contract, look-ups, graph and cut-off come together. Nothing here waits, locks or touches a disk.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from headway.deploy.contract import Contract, Request
from headway.errors import RequestError, StoreCorrupt
from headway.nouns.act_on import Threshold, parse_act_on
from headway.nouns.calls import Calls
from headway.nouns.prediction import Prediction
from headway.query.row_form import Joined, RowForm, moment_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.deploy.terms import Terms
    from headway.nouns.examples import FeatureColumn
    from headway.nouns.task import Task
    from headway.online.store import OnlineStore
    from headway.query.definitions import Definitions

__all__ = ["Predictor", "Scorer", "reply"]


class Scorer(Protocol):
    """A packaged model; ``graph.scorer.GraphScorer`` is one."""

    @property
    def columns(self) -> Sequence[FeatureColumn]:
        """What it takes, in order."""

    def score_row(self, values: Sequence[float | str | None]) -> Any:
        """Return the score of one row; of classes an array with one for each."""

    def score_rows(self, rows: Sequence[Sequence[float | str | None]]) -> Any:
        """Return the scores of a few rows, each the very bits that ``score_row`` gives."""


class Predictor:
    """Answers requests as one release.

    Parameters
    ----------
    definitions
        The resolved brief of the release.
    scorer
        Its graph.
    store
        Filled for its definitions.
    release, model
        What the log says has answered: the release's id, the model's digest.
    cutoff, graph, task, classes
        As in ``Release``.
    terms
        What the contract that came with the release asks of a row.

    Raises
    ------
    StoreCorrupt
        When the graph takes other columns than the definitions give.
    """

    def __init__(
        self,
        definitions: Definitions,
        scorer: Scorer,
        store: OnlineStore,
        *,
        release: str,
        model: str,
        cutoff: float,
        graph: str = "",
        task: Task = "condition",
        classes: tuple[str, ...] = (),
        terms: Terms | None = None,
    ) -> None:
        given = [(feature.name, feature.kind) for feature in definitions.features]
        taken = [(column.name, column.kind) for column in scorer.columns]
        if sorted(given) != sorted(taken):
            other = sorted({name for name, _ in set(given) ^ set(taken)})
            raise StoreCorrupt(
                f"The graph of release {release} takes other columns than its brief gives: {', '.join(other)}.",
                hint="Release the model again, with the brief it was built for.",
            )
        self.definitions = definitions
        self.scorer = scorer
        self.store = store
        self.release = release
        self.model = model
        self.cutoff = cutoff
        self.graph = graph
        self.task: Task = task
        self.classes = classes
        act_on = parse_act_on(definitions.brief.target.act_on)
        self.inclusive = not isinstance(act_on, Threshold)
        self._calls = Calls(task=task, act_on=act_on, value=definitions.brief.value, classes=classes)
        self.contract = Contract(definitions, terms)
        self._row_form = RowForm(definitions, store)
        # Usually None: the graph then takes the features in the order of the brief.
        self._order = None if given == taken else [given.index(column) for column in taken]

    def predict(
        self,
        request: Request,
        *,
        now_us: int,
        received_ns: int | None = None,
        idempotency: str = "",
        body_digest: str = "",
    ) -> list[Prediction]:
        """Return the answers to a request that keeps the contract, in the order of its rows, to be logged.

        Parameters
        ----------
        now_us
            What the clock says.
        received_ns
            ``time.perf_counter_ns()`` when the request's last byte came; it makes the latency that is logged.
        idempotency, body_digest
            As in ``Prediction``.

        Raises
        ------
        RequestError
            When a row does not say when it is to be predicted, or leads outside of what can be computed.
        """
        rows, warnings = request.rows, request.warnings
        joined = [self._joined(row, position, request) for position, row in enumerate(rows)]
        seen = [row.features for row in joined]
        if self._order is not None:
            seen = [tuple(features[i] for i in self._order) for features in seen]
        scores, probabilities = self._said(seen)
        latency_us = 0 if received_ns is None else (time.perf_counter_ns() - received_ns) // 1_000
        return [
            Prediction(
                served_us=now_us,
                predict_at_us=each.predict_at_us,
                release=self.release,
                model=self.model,
                score=score,
                act=self.acts_on(score),
                key=each.key,
                row=self.contract.to_json(row),
                features=each.features,
                stale=each.stale,
                store=self.store.digest,
                latency_us=latency_us,
                idempotency=idempotency,
                body_digest=body_digest,
                row_number=position,
                rows=len(rows),
                warnings=(warnings[position] if warnings else ()) or UNSET,
                probabilities=probabilities[position] if probabilities else UNSET,
            )
            for position, (row, each, score) in enumerate(zip(rows, joined, scores, strict=True))
        ]

    def _said(self, seen: Sequence[Any]) -> tuple[list[float], list[dict[str, float]]]:
        """Return the score of each row, and where there are classes the probability of each by name."""
        if self.classes:
            each = self.scorer.score_rows(seen)
            return self._calls.score(each).tolist(), _by_name(self.classes, each)
        return [self.scorer.score_row(seen[0])] if len(seen) == 1 else self.scorer.score_rows(seen).tolist(), []

    def acts_on(self, score: float) -> bool:
        """Return whether a score is high enough to act on."""
        return score >= self.cutoff if self.inclusive else score > self.cutoff

    def _joined(self, row: dict[str, Any], position: int, request: Request) -> Joined:
        try:
            return self._row_form.join(row)
        except RequestError as error:
            error.at("row" if request.single else f"rows[{position}]")
            raise


def _by_name(classes: Sequence[str], said: Any) -> list[dict[str, float]]:
    """Return for each row of ``(n, classes)`` probabilities a mapping from class to probability."""
    return [dict(zip(classes, row, strict=True)) for row in said.tolist()]


class _Answer(msgspec.Struct, frozen=True, gc=False):
    id: str
    score: float
    act: bool
    release: str
    predict_at: str
    warnings: tuple[str, ...] | UnsetType = UNSET


class _NumberAnswer(msgspec.Struct, frozen=True, gc=False):
    id: str
    prediction: float
    act: bool
    release: str
    predict_at: str
    warnings: tuple[str, ...] | UnsetType = UNSET


class _ClassAnswer(msgspec.Struct, frozen=True, gc=False):
    id: str
    prediction: str | None
    probabilities: dict[str, float] | UnsetType
    act: bool
    release: str
    predict_at: str
    warnings: tuple[str, ...] | UnsetType = UNSET


def reply(predictions: Sequence[Prediction], ids: Sequence[str], *, single: bool, task: Task = "condition") -> bytes:
    """Return the body that answers a request: the same answers under the same ids give the same bytes.

    The number that is expected is called ``prediction``, and so is the likeliest class, which comes with the
    ``probabilities`` of all; the probability of a condition, and what orders a group, is called ``score``.

    Examples
    --------
    >>> answer = Prediction(
    ...     served_us=2, predict_at_us=0, release="r1", model="9f", score=0.25, act=False, key={}, row={}, features=()
    ... )
    >>> reply([answer], ["000001-0000040-ab"], single=True)
    b'{"id":"000001-0000040-ab","score":0.25,"act":false,"release":"r1","predict_at":"1970-01-01T00:00:00Z"}'
    """
    kind = _NumberAnswer if task == "number" else _Answer
    answers = [
        _ClassAnswer(name, p.likeliest, p.probabilities, p.act, p.release, moment_text(p.predict_at_us), p.warnings)
        if task == "category"
        else kind(name, p.score, p.act, p.release, moment_text(p.predict_at_us), p.warnings)
        for name, p in zip(ids, predictions, strict=True)
    ]
    return msgspec.json.encode(answers[0] if single else {"predictions": answers})
