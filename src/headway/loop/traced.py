"""What a trace holds: an answer with everything it rests on, and what came of it.

The shapes that a terminal and a JSON reply share; the file hides what is kept of each thing on the way. Moments are
ISO 8601 text in UTC, "" where there is none. How one is walked is in ``trace.py``, how its rows are found again in
``replay.py``.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = [
    "Derived",
    "LookUp",
    "Reason",
    "Replayed",
    "SourceRow",
    "Trace",
    "TracedDataset",
    "TracedFile",
    "TracedModel",
    "TracedOutcome",
    "TracedPrediction",
    "TracedRelease",
    "TracedRun",
    "TracedSnapshot",
    "Why",
]


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a source.

    Attributes
    ----------
    row
        Its number in ``file``, from 1; a header is not counted.
    file_digest
        The version of the file in which it stood there: a file may have been handed over anew since.
    key
        What names it, as the brief says.
    happened_at, known_at
        "" for a source without time.
    values
        The columns that the feature takes from it.
    counts
        For a window: what the row brings to the aggregate; None where it brings nothing.
    """

    file: str
    row: int
    key: dict[str, Any]
    happened_at: str
    known_at: str
    values: dict[str, Any]
    counts: float | None = None
    file_digest: str = ""


class LookUp(msgspec.Struct, frozen=True, kw_only=True):
    """One question put to one source, and the rows that answer it.

    Attributes
    ----------
    shape
        ``static``, ``asof`` (the latest that was known), ``window`` or ``nearest``.
    match
        The source's columns with the values that they had to have; of the nearest place, those to be near to.
    after, until
        For a window the events in ``(after, until]``; for ``asof`` only ``until``: what was known by then.
    version
        The snapshot.
    count
        How many rows it found; ``rows`` lists those that weigh most.
    """

    source: str
    version: str
    shape: str
    match: dict[str, Any]
    after: str
    until: str
    count: int
    rows: tuple[SourceRow, ...]


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the request that the brief derives, and what it was looked up in, if anything."""

    name: str
    definition: str
    value: Any
    look_ups: tuple[LookUp, ...]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One feature: as served, as computed again from the rows listed, and whether these are the same bits.

    ``lineage`` holds the raw columns that it follows from, each as ``source.column``.
    """

    name: str
    kind: str
    definition: str
    lineage: tuple[str, ...]
    served: float | str | None
    replayed: float | str | None
    equal: bool
    look_ups: tuple[LookUp, ...]


class TracedPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """The answer as it was given; ``features`` by name, ``store`` the version of the online store.

    Attributes
    ----------
    said, line
        The answer in words, and from where on one is acted on; "" where all are.
    probabilities
        Of each class, where a category is predicted.
    """

    id: str
    served_at: str
    predict_at: str
    look_at: str
    score: float
    act: bool
    cutoff: float
    key: dict[str, Any]
    row: dict[str, Any]
    features: dict[str, float | str | None]
    stale: tuple[str, ...]
    store: str
    store_as_of: str
    latency_us: int
    batch: str
    said: str
    line: str
    probabilities: dict[str, float] = {}


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """What one feature, as served, adds to an answer; ``contribution`` on the scale that the whole is on."""

    feature: str
    value: float | str | None
    contribution: float
    in_words: str


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why an answer is what it is: ``base`` and all contributions add up to ``total``, from which the answer follows.

    Attributes
    ----------
    of
        The class that the reasons speak of, where a category is predicted; else "".
    scale
        What is added up: ``log odds``, a ``probability``, the ``answer`` itself, the ``log`` of it, or a class's
        ``log weight`` (its share among all is its probability).
    base
        What the model says of the examples that it learned from, on average.
    adds_up
        Whether the answer that follows from ``total`` is the one that was given, to five digits of a probability.
    reasons
        One for each feature, the weightiest first.
    """

    of: str
    scale: str
    base: float
    total: float
    adds_up: bool
    reasons: tuple[Reason, ...]


class TracedRelease(msgspec.Struct, frozen=True, kw_only=True):
    """Who put it into service, why, and for how long it was when it answered; ``until`` is "" while it still is."""

    id: str
    role: str
    by: str
    why: str
    since: str
    until: str
    made_at: str
    made_by: str


class TracedModel(msgspec.Struct, frozen=True, kw_only=True):
    """What answered, and what it has learned from."""

    digest: str
    graph: str
    algorithm: str
    settings: dict[str, Any]
    seed: int
    rows: int
    trained_from: str
    trained_to: str


class TracedRun(msgspec.Struct, frozen=True, kw_only=True):
    """The experiment that made the model."""

    id: str
    as_of: str
    seed: int
    reason: str
    environment: dict[str, Any]
    brief: str


class TracedDataset(msgspec.Struct, frozen=True, kw_only=True):
    """What it learned from and was judged on; ``id`` is the ledger's name, ``table`` the frozen examples."""

    id: str
    table: str
    as_of: str
    rows: dict[str, int]
    positives: dict[str, int]
    void: int
    snapshots: dict[str, str]


class TracedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a source; ``digest`` is BLAKE3 of its bytes."""

    file: str
    digest: str
    rows: int


class TracedSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a source. ``used_for`` says whether it was learned from, looked into for this answer, or both."""

    source: str
    version: str
    rows: int
    used_for: tuple[str, ...]
    files: tuple[TracedFile, ...]


class TracedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What really happened.

    Attributes
    ----------
    label
        True or false, the number, or the class by name; None where it is void: it will never be known.
    status
        ``final``, ``corrected`` or ``void``.
    told
        Everything that was ever said of it, oldest first, where it was corrected.
    """

    label: bool | float | str | None
    known_at: str
    received_at: str
    status: str
    told: tuple[dict[str, Any], ...] = ()


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The whole way of one prediction.

    Attributes
    ----------
    derived
        The columns that were computed from the request before anything else.
    features
        As served, as replayed from the source rows, and whether the two are the same bits.
    replayed_equal
        Whether that holds for all.
    why
        None where no reasons were kept: the brief did not ask for them.
    outcome
        None while nothing is known.
    money
        What acting was worth by the brief's value, 0 where it was not acted on; None while the outcome is not known,
        and where one answer alone does not tell: of a number whose quota is judged against those of its day.
    """

    prediction: TracedPrediction
    release: TracedRelease
    model: TracedModel
    run: TracedRun
    verdict: str
    dataset: TracedDataset
    snapshots: tuple[TracedSnapshot, ...]
    derived: tuple[Derived, ...]
    features: tuple[Replayed, ...]
    replayed_equal: bool
    why: Why | None
    outcome: TracedOutcome | None
    acted_on: bool
    money: float | None
    currency: str
