"""From snapshots to a frozen dataset: examples with their features, split by time, as one deterministic table.

The file hides which rows belong to which split. A split ends at a local midnight; an example belongs to it if it was
predicted before, *and* its label was known before: what was predicted in time but known too late is embargoed,
since whoever stood at the boundary could not have learned from it.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headway.errors import DataError
from headway.nouns.brief import Split
from headway.nouns.dataset import Dataset, SplitCount
from headway.nouns.examples import Examples, FeatureColumn
from headway.nouns.snapshot import Snapshot
from headway.query.compile import quote
from headway.query.database import Database
from headway.query.definitions import PREDICT_AT, Definitions
from headway.query.point_in_time import KNOWN_AT, LABEL, PointInTime, moment_sql

__all__ = ["boundaries_us", "freeze", "load", "to_examples"]

SPLITS = ("train", "validate", "test", "after")
_ROW_GROUP = 1 << 16


class TableStore(Protocol):
    """Where the frozen table goes; the blobs of the store."""

    def put(self, data: Path) -> str:
        """Adopt a file and return its digest."""


def boundaries_us(split: Split) -> dict[str, int]:
    """Return the end of each split as a moment: local midnight of the split's zone."""
    zone = ZoneInfo(split.zone)
    days = {"train": split.train_before, "validate": split.validate_before, "test": split.test_before}
    return {name: _midnight_us(day, zone) for name, day in days.items()}


def _midnight_us(day: dt.date, zone: ZoneInfo) -> int:
    local = dt.datetime(day.year, day.month, day.day, tzinfo=zone)
    return (local - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def freeze(
    definitions: Definitions,
    snapshots: Mapping[str, Snapshot],
    files: Mapping[str, Sequence[Path]],
    *,
    as_of_us: int,
    store: TableStore,
) -> Dataset:
    """Return the dataset of a brief over snapshots, its table put into ``store``.

    Raises
    ------
    DataError
        When a split has no rows or a label of one class, or a feature looks into the future.
    """
    split = definitions.brief.split
    ends = boundaries_us(split)
    since_us = None if split.train_from is None else _midnight_us(split.train_from, ZoneInfo(split.zone))
    with Database() as database:
        point_in_time = PointInTime(database, definitions, files)
        table = point_in_time.examples(as_of_us=as_of_us, since_us=since_us)
        view = database.create(split_sql(table, definitions, ends), prefix="split")
        counts = _counts(database, view, ends)
        missing, stale = _gaps(database, view, definitions)
        digest = _write(database, view, definitions, store)
    return Dataset(
        brief=definitions.brief.digest,
        snapshots={name: snapshot.digest for name, snapshot in sorted(snapshots.items())},
        as_of_us=as_of_us,
        features=tuple(FeatureColumn(name=feature.name, kind=feature.kind) for feature in definitions.features),
        key=definitions.examples.source.key,
        segments=definitions.brief.success.segments,
        splits=counts,
        missing=missing,
        stale=stale,
        table=digest,
    )


def split_sql(table: str, definitions: Definitions, ends: Mapping[str, int]) -> str:
    """Return the examples of ``table`` with their split, day, rule and segments."""
    moment, known = quote(PREDICT_AT), quote(KNOWN_AT)
    cases = " ".join(f"WHEN {moment} < {moment_sql(end)} THEN '{name}'" for name, end in ends.items())
    ends_case = " ".join(f"WHEN {moment} < {moment_sql(end)} THEN {moment_sql(end)}" for end in ends.values())
    zone = definitions.brief.split.zone
    day = f"date_diff('day', DATE '1970-01-01', CAST(timezone('{zone}', timezone('UTC', {moment})) AS DATE))"
    rule = definitions.rule_sql("feature:")
    segments = "".join(
        f", CAST({quote(name) if name in definitions.examples.kinds else quote(f'feature:{name}')} AS VARCHAR) "
        f"AS {quote(f'segment:{name}')}"
        for name in definitions.brief.success.segments
    )
    return (
        f'SELECT *, CASE {cases} ELSE \'after\' END AS "@split", CASE {ends_case} END AS "@end", {day} AS "@day", '
        f'{rule} AS "@rule"{segments}, {known} IS NULL AS "@void" FROM {table}'
    )


def _counts(database: Database, view: str, ends: Mapping[str, int]) -> tuple[SplitCount, ...]:
    usable = f'{quote(LABEL)} IS NOT NULL AND ("@end" IS NULL OR {quote(KNOWN_AT)} < "@end")'
    found = {
        row[0]: row[1:]
        for row in database.rows(
            f"""SELECT "@split", count(*) FILTER (WHERE {usable}), count(*) FILTER (WHERE {usable} AND {quote(LABEL)}),
                count(*) FILTER (WHERE "@void"), count(*) FILTER (WHERE NOT "@void" AND NOT ({usable})),
                count(DISTINCT "@day") FILTER (WHERE {usable}) FROM {view} GROUP BY "@split" """
        )
    }
    counts = tuple(
        SplitCount(name=name, examples=n, positives=p, void=void, embargoed=late, days=days)  # type: ignore[arg-type]
        for name in SPLITS
        for n, p, void, late, days in [found.get(name, (0, 0, 0, 0, 0))]
    )
    for split in counts:
        if split.name == "after":
            continue
        end = dt.datetime.fromtimestamp(ends[split.name] / 1e6, tz=dt.UTC).date()
        if split.examples == 0:
            raise DataError(
                f"The {split.name} period, before {end}, has no labelled example"
                + (f" ({split.embargoed} are labelled too late)." if split.embargoed else "."),
                where=f"split.{split.name}_before",
                hint="Move the boundaries to where the data are, or look at label and label_known_at.",
            )
        if split.positives in {0, split.examples}:
            only = "true" if split.positives else "false"
            raise DataError(
                f"The label is {only} for all {split.examples} examples of the {split.name} period: there is nothing to tell apart.",
                where="target.label",
                hint="Look at the label's condition, or widen the period.",
            )
    return counts


def _gaps(database: Database, view: str, definitions: Definitions) -> tuple[dict[str, int], dict[str, int]]:
    """Return, by feature, how many examples miss it; by feature, how many because what was found was too old."""
    columns = [f"count(*) FILTER (WHERE {quote(f'feature:{f.name}')} IS NULL)" for f in definitions.features]
    aging = [t for t in definitions.timelines if t.stale]
    columns += [f"count(*) FILTER (WHERE {quote(t.stale)})" for t in aging]
    (found,) = database.rows(f"SELECT {', '.join(columns)} FROM {view}")
    missing = {f.name: n for f, n in zip(definitions.features, found, strict=False) if n}
    old = dict(zip((t.name for t in aging), found[len(definitions.features) :], strict=True))
    stale = {f.name: old[t.name] for f in definitions.features for t in f.timelines if old.get(t.name)}
    return missing, stale


def _write(database: Database, view: str, definitions: Definitions, store: TableStore) -> str:
    names = [f"feature:{feature.name}" for feature in definitions.features]
    segments = [f"segment:{name}" for name in definitions.brief.success.segments]
    key = list(definitions.examples.source.key)
    usable = f'{quote(LABEL)} IS NOT NULL AND ("@end" IS NULL OR {quote(KNOWN_AT)} < "@end")'
    text = f"""
        SELECT "@split" AS split, epoch_us({quote(PREDICT_AT)}) AS predict_at, epoch_us({quote(KNOWN_AT)}) AS label_known_at,
               CAST({quote(LABEL)} AS DOUBLE) AS label, "@day" AS day, "@rule" AS rule,
               {", ".join(f"{quote(name)} AS {quote(f"key:{name}")}" for name in key)}
               {"".join(f", {quote(name)}" for name in [*segments, *names])}
        FROM {view} WHERE {usable}
        ORDER BY predict_at, {", ".join(quote(f"key:{name}") for name in key)}
    """
    with tempfile.TemporaryDirectory(prefix="headway-") as folder:
        path = Path(folder) / "dataset.parquet"
        reader = database.batches(text, rows=_ROW_GROUP)
        with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            pending: list[pa.RecordBatch] = []
            held = 0
            # Row groups of one size, however the engine cuts its batches: the bytes must not depend on threads.
            for batch in reader:
                pending.append(batch)
                held += batch.num_rows
                while held >= _ROW_GROUP:
                    table = pa.Table.from_batches(pending, schema=reader.schema)
                    writer.write_table(table.slice(0, _ROW_GROUP).combine_chunks(), row_group_size=_ROW_GROUP)
                    rest = table.slice(_ROW_GROUP)
                    pending, held = rest.to_batches(), rest.num_rows
            if held:
                writer.write_table(
                    pa.Table.from_batches(pending, schema=reader.schema).combine_chunks(), row_group_size=_ROW_GROUP
                )
        return store.put(path)


def load(path: Path, *, splits: Sequence[str]) -> pa.Table:
    """Return the rows of some splits of a frozen table."""
    return pq.read_table(path, filters=pc.field("split").isin(list(splits)))


def to_examples(table: pa.Table, features: Sequence[FeatureColumn]) -> Examples:
    """Return the columns of a frozen table in the shapes that Build, Validate and Monitor take."""
    prefixed = {
        prefix: [name for name in table.column_names if name.startswith(prefix)] for prefix in ("segment:", "key:")
    }

    def part(prefix: str) -> pa.Table:
        return pa.table({name.removeprefix(prefix): table[name].combine_chunks() for name in prefixed[prefix]})

    return Examples(
        features=pa.table({column.name: table[f"feature:{column.name}"].combine_chunks() for column in features}),
        label=table["label"].to_numpy(),
        day=table["day"].to_numpy().astype(np.int64),
        rule=table["rule"].to_numpy(zero_copy_only=False).astype(np.float64),
        segments=part("segment:"),
        predict_at=table["predict_at"].to_numpy(),
        key=part("key:"),
    )
