"""The release: everything a server needs to answer as one model, as pure data. No code, and nothing to execute.

The graph and the online store lie in blobs, under digests; the brief stands in it whole, so that a server reads
neither the project's folder nor its ledger.
"""

from __future__ import annotations

import hashlib

import msgspec

from headway.errors import StoreCorrupt
from headway.nouns.brief import Brief
from headway.nouns.contract import Contract
from headway.nouns.examples import FeatureColumn
from headway.nouns.task import Task

__all__ = ["Release"]


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One model, made ready for service.

    Attributes
    ----------
    id
        What people and the log call it: ``r1``, ``r2``, …
    model, graph
        Digest of the model, and of the graph's bytes in the blobs.
    signature
        What the graph takes, in order; it equals the brief's features.
    output
        What the graph calls its score.
    brief
        The problem definition it was built for.
    columns
        For each source its raw columns with their kinds, as the definitions were resolved with.
    cutoff
        Which scores are acted on: ``score > cutoff`` where the brief sets a threshold, and ``score >= cutoff`` where
        it sets a quota; then it is the k-th highest score of a typical day, since a server sees one row at a time.
    task, classes
        What kind of answer it gives (``nouns/task.py``).
    contract
        What was agreed of the examples' source when the release was made; the rows asked about are held to it as the
        brief says (``contract = "warn"`` or ``"block"``). Not there where the brief says nothing.
    run, dataset, by, made_us
        Where it came from, who made it and when; "" where nobody said.

    Examples
    --------
    >>> from headway.nouns.brief import Source, Split, Success, Target
    >>> import datetime as dt
    >>> brief = Brief(
    ...     sources={"calls": Source(path="calls.csv", key=("call",))},
    ...     target=Target(examples="calls", predict_at="at", label="lost", label_known_at="end", act_on="score > 0.5"),
    ...     features={"hour": "hour(at, 'UTC')"}, success=Success(minimum=0.1, good_enough=0.9),
    ...     split=Split(
    ...         train_before=dt.date(2024, 1, 1), validate_before=dt.date(2024, 2, 1), test_before=dt.date(2024, 3, 1)
    ...     ),
    ... )
    >>> release = Release(
    ...     id="r1", model="ab", graph="cd", signature=(FeatureColumn(name="hour", kind="number"),), brief=brief,
    ...     columns={"calls": {"call": "int", "at": "time", "end": "time", "lost": "bool"}}, cutoff=0.5, made_us=0,
    ... )
    >>> Release.from_json(release.to_json()) == release
    True
    """

    id: str
    model: str
    graph: str
    signature: tuple[FeatureColumn, ...]
    output: str = "score"
    brief: Brief
    columns: dict[str, dict[str, str]]
    cutoff: float
    made_us: int
    task: Task = "condition"
    classes: tuple[str, ...] = ()
    run: str = ""
    dataset: str = ""
    by: str = ""
    contract: Contract | msgspec.UnsetType = (
        msgspec.UNSET
    )  # left out of the JSON, which is as it was before there were any

    @property
    def digest(self) -> str:
        """SHA-256 of the release as JSON."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """Return the release as JSON, not canonical: the order of features and derived columns means something."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> Release:
        """Return the release that ``to_json`` has written.

        Raises
        ------
        StoreCorrupt
            When the bytes are no release.
        """
        try:
            return msgspec.json.decode(data, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise StoreCorrupt(
                f"This is no release: {error}.", hint="Was it written by a later version? Then upgrade Headway."
            ) from error
