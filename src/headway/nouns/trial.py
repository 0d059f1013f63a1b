"""One trial of the search, and where trials are kept so that an interrupted search goes on where it stopped.

The file fixes what is remembered of a trial; it hides nothing. A trial holds no model: its settings and seed
give the very same model again.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from headway.nouns.interval import Interval

__all__ = ["Interpretability", "Scored", "Setting", "Trial", "TrialBook"]

Setting = float | int | str | bool

Interpretability = Literal["glass", "small", "opaque"]
"""``glass``: the whole model can be read as a sum; ``small``: as a page of rules; ``opaque``: only through reasons."""


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """What scoring a model's predictions gave.

    Attributes
    ----------
    scores
        Metric name to figure, with an interval where one is known. Holds at least the brief's metric.
    replicates
        The brief's metric on each resample of days. Scored on the same resamples, two trials are paired:
        their difference, resample by resample, says how sure it is that one is better. May be empty.
    """

    scores: dict[str, Interval | float]
    replicates: tuple[float, ...] = ()


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One algorithm with one group of settings, fitted on the training part and scored on the validation part.

    Attributes
    ----------
    number
        Position in the search, from 0.
    seed
        From which every random choice of the fit followed; the search's own, the same for all its trials.
    fit_seconds
        How long fitting took.
    latency_us
        Median time of one row through the packaged graph, in microseconds.
    complexity
        Leaves of trees or coefficients of a sum; compared only between models of one interpretability.
    size_bytes
        Size of the packaged graph.
    explains
        Whether each prediction can come with exact additive reasons.
    note
        What a reader should know, such as that the fit did not converge.
    """

    number: int
    algorithm: str
    settings: dict[str, Setting]
    seed: int
    scores: dict[str, Interval | float]
    replicates: tuple[float, ...] = ()
    fit_seconds: float
    latency_us: float
    complexity: int
    size_bytes: int
    interpretability: Interpretability
    explains: bool = True
    note: str = ""

    def score(self, metric: str) -> float:
        """Return the point value of ``metric``."""
        found = self.scores[metric]
        return found.value if isinstance(found, Interval) else float(found)


class TrialBook(Protocol):
    """Where trials are kept. What was put is there after a crash, and is found again bit for bit."""

    def get(self, study: str, number: int) -> Trial | None:
        """Return the trial, or None when it has not been put yet."""

    def put(self, study: str, trial: Trial) -> None:
        """Keep the trial under its number; return when it is safe."""
