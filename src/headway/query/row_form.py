"""The same definitions for one row: a request in, the features the model sees out, without the engine.

The file hides the order of steps (derived columns, look-ups, features) and how a value becomes what a batch would
have given: numbers rounded to float32 as the engine rounds them, NaN as missing. ``tests/query/test_row_form.py``
holds it equal to ``PointInTime.examples``, bit for bit.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from headway.errors import RequestError
from headway.nouns.clock import format_moment
from headway.query.relation import PREDICT_AT
from headway.query.timeline import EVENT, Timeline

if TYPE_CHECKING:
    from headway.query.compile import Row
    from headway.query.definitions import Definitions, Feature

__all__ = ["Joined", "RowForm", "StepsOfTimeline", "Store", "moment_text"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT_IN_FLOAT64 = 2**53
# Takes the joined row, ``predict_at`` and the moment to look at; adds columns; says whether what it found was too old.
_LookUp = Callable[[dict[str, Any], int, int], bool]


class StepsOfTimeline(Protocol):
    """Steps, asked by key and moment; ``online.steps.Steps`` are some."""

    def find(self, key: Any, moment_us: int) -> int:
        """Return the row that holds for ``key`` at a moment; negative when none does."""

    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a column, by row."""


class Store(Protocol):
    """What is looked into; ``online.store.OnlineStore`` is one.

    Attributes
    ----------
    as_of_us
        What was known by then is in it.
    since_us
        The earliest ``predict_at`` that it answers for; None for all.
    """

    as_of_us: int
    since_us: int | None

    def steps(self, timeline: Timeline) -> StepsOfTimeline:
        """Return the steps of a timeline."""


class Joined(NamedTuple):
    """One request, joined with all that was looked up.

    Attributes
    ----------
    key
        The columns that name the example; a moment as ISO 8601 text.
    features
        In the order of the definitions: a float32 as a float, a text, or None for missing.
    stale
        The features that were looked up in something older than promised, or of which nothing young enough was found.
    """

    predict_at_us: int
    key: dict[str, Any]
    features: tuple[float | str | None, ...]
    stale: tuple[str, ...]


class RowForm:
    """From the row of a request to its features.

    Parameters
    ----------
    definitions
        The resolved brief.
    store
        Filled for the same definitions.
    """

    def __init__(self, definitions: Definitions, store: Store) -> None:
        relation = definitions.examples
        self.definitions = definitions
        self._blank: dict[str, Any] = dict.fromkeys(field.name for field in definitions.request_fields)
        self._derived = [
            (column.name, column.compiled.row, [_look_up(timeline, store) for timeline in column.timelines])
            for column in definitions.online_derived
        ]
        self._predict_at = definitions.predict_at.row
        self._look_ups = [
            (_look_up(timeline, store), [f.name for f in definitions.features if timeline in f.timelines])
            for timeline in definitions.timelines
        ]
        self._moving = [f.name for f in definitions.features if any(not t.timeless for t in f.timelines)]
        self._features = [_evaluator(feature) for feature in definitions.features]
        self._numbers = [i for i, feature in enumerate(definitions.features) if feature.kind == "number"]
        self._float32 = struct.Struct(f"={len(self._numbers)}f")
        self._key = relation.source.key
        self._key_moments = tuple(name for name in self._key if relation.kinds[name] == "time")
        self._lag_us = definitions.lag_us
        self._as_of_us = store.as_of_us
        self._since_us = store.since_us

    def join(self, row: Mapping[str, Any]) -> Joined:
        """Return what the model sees of ``row``, which holds the request's fields: moments as microseconds.

        Raises
        ------
        RequestError
            When the row does not say when it is to be predicted, that lies before the store begins, or a value leads
            outside of what can be computed.
        """
        values = {**self._blank, **row}
        predict_at_us = self._begin(values)
        values[PREDICT_AT] = predict_at_us
        look_at_us = predict_at_us - self._lag_us
        stale: list[str] = []
        for look_up, names in self._look_ups:
            if look_up(values, predict_at_us, look_at_us):
                stale += names
        if look_at_us > self._as_of_us and self._moving:
            stale = self._moving
        key = {name: values[name] for name in self._key}
        for name in self._key_moments:
            if key[name] is not None:
                key[name] = moment_text(key[name])
        return Joined(predict_at_us, key, self._evaluate(values), tuple(stale))

    def _begin(self, values: dict[str, Any]) -> int:
        """Add the derived columns, and return when the row is to be predicted."""
        try:
            for name, evaluate, look_ups in self._derived:
                for look_up in look_ups:
                    look_up(values, 0, 0)
                values[name] = evaluate(values)
            predict_at_us: int | None = self._predict_at(values)
        except (ArithmeticError, ValueError) as error:
            raise RequestError(f"The row's values lead outside of what can be computed: {error}.") from error
        if predict_at_us is None:
            raise self._no_moment(values)
        if self._since_us is not None and predict_at_us < self._since_us and self._moving:
            raise RequestError(
                f"This is to be predicted at {moment_text(predict_at_us)}, and what was known then is no longer at "
                f"hand; the online store goes back to {moment_text(self._since_us)}.",
                hint="Past predictions are made in batch: headway predict IN OUT.",
            )
        return predict_at_us

    def _evaluate(self, values: Row) -> tuple[float | str | None, ...]:
        try:
            features = [evaluate(values) for evaluate in self._features]
            numbers = self._float32.pack(*[math.nan if (v := features[i]) is None else v for i in self._numbers])
        except (ArithmeticError, ValueError) as error:
            raise RequestError(f"The row's values lead outside of what can be computed: {error}.") from error
        for i, number in zip(self._numbers, self._float32.unpack(numbers), strict=True):
            features[i] = number if number == number else None  # noqa: PLR0124  (NaN is the one that differs)
        return tuple(features)

    def _no_moment(self, values: Row) -> RequestError:
        text = self.definitions.brief.target.predict_at
        missing = ", ".join(name for name, *_ in self._derived if values[name] is None)
        because = f" {missing} follow from none of the values sent." if missing else ""
        return RequestError(
            f"The row does not say when it is to be predicted: {text!r} has no value.{because}",
            hint="Look at the fields from which it follows: a day or a time of day that does not exist?",
        )


def moment_text(us: int) -> str:
    """Return a moment as ISO 8601 text in UTC, as ``format_moment`` does, in a third of its time.

    Examples
    --------
    >>> moment_text(1380585600000000)
    '2013-10-01T00:00:00Z'
    """
    try:
        return (_EPOCH + timedelta(microseconds=us)).isoformat()[:-6] + "Z"
    except OverflowError:
        return format_moment(us)


def _evaluator(feature: Feature) -> Callable[[Row], Any]:
    evaluate = feature.compiled.row
    if feature.compiled.kind != "int":
        return evaluate

    def once_rounded(row: Row) -> Any:
        value = evaluate(row)
        # The engine rounds a whole number to float32 once; by way of float64 a large one would be rounded twice.
        if value is None or -_EXACT_IN_FLOAT64 <= value <= _EXACT_IN_FLOAT64:
            return value
        return np.int64(value).astype(np.float32).item()

    return once_rounded


def _look_up(timeline: Timeline, store: Store) -> _LookUp:
    steps = store.steps(timeline)
    if timeline.shape == "window":
        return _windowed(timeline, steps)
    outputs = [
        (name, steps.column(column)) for (name, _), (column, _) in zip(timeline.outputs, timeline.columns, strict=True)
    ]
    find, key_of = steps.find, itemgetter(*timeline.mine)
    if timeline.max_age_us is None:

        def taken(values: dict[str, Any], _: int, look_at_us: int) -> bool:
            row = find(key_of(values), look_at_us)
            for name, column in outputs:
                values[name] = column[row] if row >= 0 else None
            return False

        return taken

    events, max_age_us = steps.column(EVENT), timeline.max_age_us

    def taken_if_fresh(values: dict[str, Any], predict_at_us: int, look_at_us: int) -> bool:
        row = find(key_of(values), look_at_us)
        fresh = row >= 0 and predict_at_us - events[row] <= max_age_us
        for name, column in outputs:
            values[name] = column[row] if fresh else None
        return row >= 0 and not fresh

    return taken_if_fresh


def _windowed(timeline: Timeline, steps: StepsOfTimeline) -> _LookUp:
    outputs = [
        (name, aggregate.value, [steps.column(f"{letter}{position}") for letter in aggregate.state])
        for position, ((name, _), aggregate) in enumerate(zip(timeline.outputs, timeline.aggregates, strict=True))
    ]
    blanks = {name: value(*[None] * len(columns)) for name, value, columns in outputs}
    find, key_of = steps.find, itemgetter(*timeline.mine) if timeline.mine else _everybody

    def aggregated(values: dict[str, Any], _: int, look_at_us: int) -> bool:
        row = find(key_of(values), look_at_us)
        if row < 0:
            values.update(blanks)
            return False
        for name, value, columns in outputs:
            values[name] = value(*[column[row] for column in columns])
        return False

    return aggregated


def _everybody(_: Row) -> int:
    """Return the one key of a window over all rows."""
    return 0
