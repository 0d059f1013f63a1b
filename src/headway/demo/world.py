"""What really happens from October to December: the requests that come, and what becomes of each flight.

Computed once from all of the package's files with the engine; the replay takes requests and outcomes from it in their
time, and at the end it is the offline recomputation that every served feature is held against.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.loop.sources import definitions_of
from headway.query.compile import quote
from headway.query.database import Database
from headway.query.example_texts import KNOWN_AT, LABEL
from headway.query.parts import parts_of
from headway.query.point_in_time import PointInTime

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from numpy.typing import NDArray

    from headway.nouns.brief import Brief

__all__ = ["World"]


@dataclass(frozen=True, slots=True)
class World:
    """The flights to come, in the order in which they are asked about.

    Attributes
    ----------
    requests
        The fields of a request, one row a flight.
    predict_at_us, known_us
        When it is asked about, and when its arrival is known; 0 where it never is.
    label
        1.0 late, 0.0 not, NaN void.
    features
        What the model should see, computed offline.
    """

    requests: pa.Table
    predict_at_us: NDArray[np.int64]
    known_us: NDArray[np.int64]
    label: NDArray[np.float64]
    features: pa.Table

    @classmethod
    def of(cls, brief: Brief, folder: Path, *, since_us: int, until_us: int) -> World:
        """Return the world of a brief whose sources, with all that is to come, lie in ``folder``."""
        with tempfile.TemporaryDirectory(prefix="headway-world-") as temporary, Database() as database:
            blobs = FolderBlobs(Path(temporary))
            snapshots = {
                name: collect(name, source, folder=folder, store=blobs) for name, source in brief.sources.items()
            }
            definitions = definitions_of(brief, snapshots)
            files = {name: parts_of(snapshot, blobs) for name, snapshot in snapshots.items()}
            table = PointInTime(database, definitions, files).examples(
                as_of_us=1 << 60, since_us=since_us, until_us=until_us
            )
            fields = ", ".join(quote(field.name) for field in definitions.request_fields)
            features = ", ".join(quote(f"feature:{feature.name}") for feature in definitions.features)
            found = database.table(
                f'SELECT {fields}, epoch_us(predict_at) AS "@predict_at", epoch_us({quote(KNOWN_AT)}) AS "@known", '
                f'CAST({quote(LABEL)} AS DOUBLE) AS "@label", {features} FROM {table} '
                f"ORDER BY predict_at, {', '.join(map(quote, definitions.examples.source.key))}"
            )
        return cls(
            requests=found.select([field.name for field in definitions.request_fields]),
            predict_at_us=found["@predict_at"].to_numpy(),
            known_us=found["@known"].fill_null(0).to_numpy(),
            label=found["@label"].to_numpy(zero_copy_only=False).astype(np.float64),
            features=found.select([f"feature:{f.name}" for f in definitions.features]),
        )

    def between(self, first_us: int, after_us: int) -> range:
        """Return the positions of the flights asked about in ``[first, after)``."""
        first, after = np.searchsorted(self.predict_at_us, [first_us, after_us])
        return range(int(first), int(after))

    def rows(self, positions: Sequence[int]) -> list[dict[str, Any]]:
        """Return the fields of some requests; missing ones are left out, as a client would."""
        return [
            {name: value for name, value in row.items() if value is not None}
            for row in self.requests.take(list(positions)).to_pylist()
        ]

    def row(self, position: int) -> dict[str, Any]:
        """Return one request's fields."""
        return self.rows([position])[0]
