"""The words of OpenLineage: run events, datasets and facets as plain mappings, in the spec's versions written here.

The file hides the spec's spelling (https://openlineage.io/docs/spec), and what each facet must carry to be valid.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from headway import __version__
from headway.nouns.clock import format_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Execution", "assertion", "dataset", "facet", "place_of_file", "schema_of"]

_SPEC = "https://openlineage.io/spec"
_PRODUCER = f"urn:headway:{__version__}"
_RUN_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:headway:openlineage")
_FACETS = {
    "schema": "1-2-0/SchemaDatasetFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "columnLineage": "1-2-0/ColumnLineageDatasetFacet",
    "dataQualityAssertions": "1-1-0/DataQualityAssertionsDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "parent": "1-2-0/ParentRunFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
}

Place = tuple[str, str]
"""A dataset's namespace and its name there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution of a job: what all of its events have in common.

    Attributes
    ----------
    identity
        What tells it from every other execution of the job: digests, and its place in the ledger.
    parent
        The execution that it was a part of.
    """

    namespace: str
    job: str
    identity: tuple[str, ...]
    parent: Execution | None = None

    @property
    def run_id(self) -> str:
        """The same for the same execution, whenever and wherever it is exported (UUID version 5, RFC 9562)."""
        return str(uuid.uuid5(_NAMESPACE, "\n".join((self.namespace, self.job, *self.identity))))

    def event(
        self,
        kind: Literal["START", "COMPLETE", "FAIL"],
        *,
        at_us: int,
        inputs: Iterable[Mapping[str, Any]] = (),
        outputs: Iterable[Mapping[str, Any]] = (),
        facets: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return a run event."""
        of_run = dict(facets or {})
        if self.parent is not None:
            of_run["parent"] = facet(
                "parent",
                run={"runId": self.parent.run_id},
                job={"namespace": self.parent.namespace, "name": self.parent.job},
            )
        return {
            "eventTime": format_moment(at_us),
            "eventType": kind,
            "run": {"runId": self.run_id, "facets": of_run},
            "job": {"namespace": self.namespace, "name": self.job},
            "inputs": list(inputs),
            "outputs": list(outputs),
            "producer": _PRODUCER,
            "schemaURL": _RUN_EVENT,
        }


def facet(name: str, **fields: Any) -> dict[str, Any]:
    """Return a facet with the two fields that every one has.

    Examples
    --------
    >>> facet("version", datasetVersion="9f0c")["_schemaURL"].rpartition("#")[2]
    '/$defs/DatasetVersionDatasetFacet'
    """
    schema = _FACETS[name]
    url = f"{_SPEC}/facets/{schema}.json#/$defs/{schema.partition('/')[2]}"
    return {"_producer": _PRODUCER, "_schemaURL": url, **fields}


def schema_of(fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the schema facet of columns, each with its kind, in their order."""
    return facet("schema", fields=[{"name": name, "type": kind} for name, kind in fields])


def dataset(
    place: Place,
    *,
    version: str,
    facets: Mapping[str, Any] | None = None,
    assertions: Iterable[Mapping[str, Any]] = (),
    rows: int | None = None,
) -> dict[str, Any]:
    """Return a dataset in one version; ``assertions`` go with an input, ``rows`` with an output."""
    found: dict[str, Any] = {
        "namespace": place[0],
        "name": place[1],
        "facets": {"version": facet("version", datasetVersion=version), **(facets or {})},
    }
    if listed := list(assertions):
        found["inputFacets"] = {"dataQualityAssertions": facet("dataQualityAssertions", assertions=listed)}
    if rows is not None:
        found["outputFacets"] = {"outputStatistics": facet("outputStatistics", rowCount=rows)}
    return found


def assertion(kind: str, *, passed: bool, blocks: bool | None = None, **texts: str) -> dict[str, Any]:
    """Return one test with its result; texts that are empty are left out."""
    found: dict[str, Any] = {"assertion": kind, "success": passed}
    if blocks is not None:
        found["severity"] = "error" if blocks else "warn"
    return found | {name: text for name, text in texts.items() if text}


def place_of_file(file: str) -> Place:
    """Return where the spec has a file: by its store and key where it is a URL, without whoever may open it.

    Examples
    --------
    >>> place_of_file("data/2024-01.csv")
    ('file', 'data/2024-01.csv')
    >>> place_of_file("s3://bucket/till/2024.parquet")
    ('s3://bucket', 'till/2024.parquet')
    """
    if "://" not in file:
        return "file", file
    parts = urlsplit(file)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.lstrip("/")
