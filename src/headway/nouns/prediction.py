"""One answer that was given: what was asked, what the model saw, what it said, and when.

The file hides nothing; it fixes the fields that serving writes and that monitoring, tracing and idempotency read.
A field is never renamed or taken away, since old logs are read for ever; a new one comes with a default.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Prediction"]


class Prediction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One logged answer.

    Attributes
    ----------
    id
        Where the log keeps it; "" until the log has written it (see ``headway.predictions.segment``).
    served_us, predict_at_us
        When it was answered, and the moment it was asked for; microseconds since 1970-01-01 UTC, by the clock
        that was injected.
    release, model
        What answered: the release, and the digest of the model that the release chose.
    score, act
        What the model said, and whether that was high enough to act on. Of a category it is the probability of the
        class that is acted on: the one that the brief names, or the likeliest.
    key
        The entity, as the brief names it: column to JSON value.
    row
        The row of the request, after it passed the contract.
    features
        What the model saw, in the order of its signature: a number, a category, or None for missing.
    stale
        The features whose look-up was older than promised.
    store
        Digest of the version of the online store that was looked into.
    latency_us
        From the request's last byte to the moment of logging.
    batch
        The name of the batch that it came in; "" for a request.
    idempotency, body_digest
        The key under which the request may be repeated, and the digest of its body; "" without a key.
    row_number, rows
        Its place in its request, from 0, and how many rows the request had: a retry is answered from the log only
        if all of them are there.
    probabilities
        Of each class by name, where a category is predicted; not there where it is none.
    warnings
        How the row breaks the contract of its source, where the brief lets that pass; not there where it does not.

    Examples
    --------
    >>> prediction = Prediction(
    ...     served_us=2, predict_at_us=1, release="r1", model="9f0c", score=0.25, act=False,
    ...     key={"flight": 1545}, row={"flight": 1545, "origin": "EWR"}, features=("EWR", 12.5, None),
    ... )
    >>> prediction.as_dict()["features"]
    ('EWR', 12.5, None)
    """

    id: str = ""
    served_us: int
    predict_at_us: int
    release: str
    model: str
    score: float
    act: bool
    key: dict[str, Any]
    row: dict[str, Any]
    features: tuple[float | str | None, ...]
    stale: tuple[str, ...] = ()
    store: str = ""
    latency_us: int = 0
    batch: str = ""
    idempotency: str = ""
    body_digest: str = ""
    row_number: int = 0
    rows: int = 1
    warnings: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET  # left out of the log where there is none
    probabilities: dict[str, float] | msgspec.UnsetType = msgspec.UNSET

    @property
    def likeliest(self) -> str | None:
        """The class that the model holds likeliest, the first of equals; None where there are no classes."""
        return max(self.probabilities, key=self.probabilities.__getitem__) if self.probabilities else None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, as JSON output and HTTP replies carry them."""
        warnings = () if self.warnings is msgspec.UNSET else self.warnings
        probabilities = {} if self.probabilities is msgspec.UNSET else self.probabilities
        return {**msgspec.structs.asdict(self), "warnings": warnings, "probabilities": probabilities}
