"""What was lived through becomes training data: predictions whose outcomes are known, with the features as served.

Where the sources hold an example with its label, theirs is taken: it is computed from data that may have been mended
since. What is only in the log (nobody refreshes the source, or the outcome was told over HTTP) is learned from as well.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from headway.query.compile import quote, quote_text
from headway.query.local_time import in_utc_sql
from headway.query.relation import PREDICT_AT

if TYPE_CHECKING:
    import pyarrow as pa

    from headway.loop.sources import Material
    from headway.loop.store import Store
    from headway.nouns.task import Task
    from headway.query.definitions import Definitions

__all__ = ["Lived", "lived_examples"]

_TOLD: dict[Task, str] = {
    "condition": "o.label = 1.0",
    "category": "o.category",
    "number": "o.label",
    "ranking": "o.label",
}
"""What a label is among the outcomes that were told."""


class Lived(NamedTuple):
    """The blob of a table of examples, and the last moment at which a label in it became known; "" and 0 for none."""

    blob: str = ""
    last_us: int = 0


def lived_examples(store: Store, material: Material, *, as_of_us: int) -> Lived:
    """Return the examples that the log and the outcomes hold, for releases that saw the features of the brief.

    The table has the key's columns, ``predict_at``, the label with the moment it was known, and one ``feature:NAME``
    each; of several predictions of one entity the last one counts.
    """
    table = _log(store, material)
    outcomes = store.ledger.outcomes(known_by_us=as_of_us) if table is not None else None
    if table is None or outcomes is None or not (table.num_rows and outcomes.num_rows):
        return Lived()
    from headway.query.database import Database
    from headway.query.example_texts import KNOWN_AT

    with Database() as database, tempfile.TemporaryDirectory(prefix="headway-") as folder:
        log, told = database.register(table), database.register(outcomes)
        view = database.create(_examples_sql(material.definitions, log=log, told=told), prefix="lived")
        ((rows, last_us),) = database.rows(f"SELECT count(*), epoch_us(max({quote(KNOWN_AT)})) FROM {view}")
        if not rows:
            return Lived()
        path = Path(folder) / "lived.parquet"
        database.execute(f"COPY (SELECT * FROM {view} ORDER BY ALL) TO {quote_text(str(path))} (FORMAT parquet)")
        return Lived(blob=store.blobs.put(path), last_us=int(last_us))


def _log(store: Store, material: Material) -> pa.Table | None:
    """Return what was predicted by releases that saw these features; None where nothing was ever released."""
    releases = store.ledger.releases()
    if not releases:
        return None
    import pyarrow as pa

    from headway.loop.releases import release_of
    from headway.predictions.columns import read_table
    from headway.predictions.reader import Reader

    wanted = [(feature.name, feature.kind) for feature in material.definitions.features]
    parts = []
    for made in releases:
        release = release_of(store, made.release)
        if [(column.name, column.kind) for column in release.signature] == wanted:
            reader = Reader(store.predictions)
            part, _ = read_table(reader, features=release.signature, model=release.model, skip_corrupt=True)
            parts.append(part)
    return pa.concat_tables(parts, promote_options="permissive") if parts else None


def _examples_sql(definitions: Definitions, *, log: str, told: str) -> str:
    from headway.query.example_texts import KNOWN_AT, LABEL

    kinds = definitions.examples.kinds
    names = definitions.examples.source.key
    # The log writes a key's moments as text with their zone.
    key = [
        (in_utc_sql(f"CAST({column} AS TIMESTAMPTZ)") if kinds[name] == "time" else column, name)
        for name, column in ((name, f"p.{quote(f'key.{name}')}") for name in names)
    ]
    features = [(f"p.{quote(f'features.{f.name}')}", f"feature:{f.name}") for f in definitions.features]
    # Segments go by columns of the row; those that are features under the same name are known here, too.
    known = {feature.name for feature in definitions.features} & {
        *definitions.brief.success.segments,
        *(definitions.brief.split.group or ()),
    }
    segments = [(f"p.{quote(f'features.{name}')}", name) for name in sorted(known - set(names))]
    columns = [
        *key,
        *segments,
        ("make_timestamp(p.predict_at_us)", PREDICT_AT),
        ("make_timestamp(o.known_us)", KNOWN_AT),
        (_TOLD[definitions.aim.task], LABEL),
        *features,
    ]
    shown = ", ".join(f"{sql} AS {quote(name)}" for sql, name in columns)
    entity = ", ".join(f"p.{quote(f'key.{name}')}" for name in names)
    return (
        f"SELECT {shown} FROM {log} p JOIN {told} o ON o.prediction = p.id WHERE o.label IS NOT NULL "
        f"QUALIFY row_number() OVER (PARTITION BY {entity} ORDER BY p.served_us DESC, p.id DESC) = 1"
    )
