"""From snapshots to a frozen dataset: examples with their features, split, as one deterministic table.

The file hides which rows can be used. By time, a split ends at a local midnight; an example belongs to it if it was
predicted before, *and* its label was known before: what was predicted in time but known too late is embargoed,
since whoever stood at the boundary could not have learned from it. Which side a row is on: ``query/split.py``.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headway.data.across import seen_through
from headway.errors import DataError
from headway.nouns.dataset import Dataset, SplitCount
from headway.nouns.examples import Examples, FeatureColumn
from headway.query.compile import quote, quote_text
from headway.query.database import Database
from headway.query.example_texts import CENSORED, KNOWN_AT, LABEL, moment_sql
from headway.query.relation import PREDICT_AT
from headway.query.split import boundaries_us, midnight_us, side_columns, split_counts

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from headway.data.across import Across
    from headway.engine.cluster import Cluster
    from headway.nouns.brief import Split
    from headway.nouns.snapshot import Snapshot
    from headway.nouns.task import Task
    from headway.query.definitions import Definitions
    from headway.query.point_in_time import PointInTime

__all__ = ["TableStore", "boundaries_us", "freeze", "load", "of_splits", "split_sql", "to_examples"]

_ROW_GROUP = 1 << 16
# Known when the dataset is frozen, and before the split ends.
_USABLE = f'({quote(LABEL)} IS NOT NULL AND ("@end" IS NULL OR {quote(KNOWN_AT)} < "@end"))'


class TableStore(Protocol):
    """Where the frozen table goes; the blobs of the store."""

    def put(self, data: Path) -> str:
        """Adopt a file and return its digest."""


def freeze(
    definitions: Definitions,
    snapshots: Mapping[str, Snapshot],
    files: Mapping[str, Sequence[os.PathLike[str]]],
    *,
    as_of_us: int,
    store: TableStore,
    lived: Path | None = None,
    threads: int | None = None,
    read: Across | PointInTime | None = None,
    cluster: Cluster | None = None,
) -> Dataset:
    """Return the dataset of a brief over snapshots, its table put into ``store``.

    The same definitions, rows and moment give the same bytes, on any number of threads, here or on a cluster, and
    however the rows are cut into files. Nothing in it depends on what became known after ``as_of_us``.

    Parameters
    ----------
    lived
        A Parquet file of examples that were predicted and whose outcomes were told, with their features as served;
        taken where the sources do not have the example, or do not have its label.
    read
        The same sources seen through the same definitions, where something was asked of them before: what was read
        for that is not read again.
    threads
        Processors to use here; all by default.
    cluster
        Where examples and their features are computed; here if there is none.

    Raises
    ------
    DataError
        When a split has no rows or a label of one class, two examples have one key, or a feature looks into the
        future.
    """
    split = definitions.brief.split
    since_us = None if split.train_from is None else midnight_us(split.train_from, split.zone)
    with ExitStack() as opened:
        if read is None:
            database = opened.enter_context(Database(threads=threads))
            read = seen_through(definitions, files, database=database, cluster=cluster)
        database = read.database
        table = read.examples(as_of_us=as_of_us, since_us=since_us)
        _check_unique(database, table, definitions)
        if lived is not None:
            table = database.create(_with_lived_sql(table, lived, definitions, since_us=since_us), prefix="lived")
            # What was lived through and does not say its group could be of one on another side; it is left out.
            grouped = " AND ".join(f"{quote(name)} IS NOT NULL" for name in split.group or ())
            table = database.create(f"SELECT * FROM {table} WHERE {grouped}", prefix="known") if grouped else table
        _check_grouped(database, table, definitions)
        view = database.view(split_sql(table, definitions, boundaries_us(split)), prefix="split")
        classes, unseen = _classes(database, view, definitions)
        view = _shaped(database, view, definitions, classes)
        _check_labels(database, view, definitions)
        counts = _counts(database, view, definitions)
        missing, stale = _gaps(database, view, definitions)
        void_missing = _void_gaps(database, view, definitions)
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
        task=definitions.aim.task,
        classes=classes,
        unseen=unseen,
        void_missing=void_missing,
    )


def _with_lived_sql(table: str, lived: Path, definitions: Definitions, *, since_us: int | None) -> str:
    told = f"read_parquet({quote_text(str(lived))})"
    same = " AND ".join(f"e.{quote(name)} = l.{quote(name)}" for name in definitions.examples.source.key)
    bound = "" if since_us is None else f"l.{quote(PREDICT_AT)} >= {moment_sql(since_us)} AND "
    labelled = f"e.{quote(LABEL)} IS NOT NULL"
    return (
        f"SELECT e.* FROM {table} e WHERE {labelled} OR NOT EXISTS (SELECT 1 FROM {told} l WHERE {same}) "
        f"UNION ALL BY NAME SELECT l.* FROM {told} l "
        f"WHERE {bound}NOT EXISTS (SELECT 1 FROM {table} e WHERE {labelled} AND {same})"
    )


def split_sql(table: str, definitions: Definitions, ends: Mapping[str, int]) -> str:
    """Return the examples of ``table`` with their split, day, rule and segments."""
    columns = [
        *side_columns(definitions, ends),
        f"{definitions.rule_sql('feature:')} AS {quote('@rule')}",
        *(f"{_segment_sql(name, definitions)} AS {quote(f'segment:{name}')}" for name in _segments(definitions)),
    ]
    return f"SELECT *, {', '.join(columns)} FROM {table}"


def _segments(definitions: Definitions) -> tuple[str, ...]:
    return definitions.brief.success.segments


def _segment_sql(name: str, definitions: Definitions) -> str:
    column = name if name in definitions.examples.kinds else f"feature:{name}"
    return f"CAST({quote(column)} AS VARCHAR)"


def _check_unique(database: Database, table: str, definitions: Definitions) -> None:
    key = definitions.examples.source.key
    columns = ", ".join(map(quote, key))
    doubled = f"SELECT {columns}, count(*) AS rows FROM {table} GROUP BY {columns} HAVING count(*) > 1"
    found = database.rows(f"SELECT *, count(*) OVER () FROM ({doubled}) ORDER BY {columns} LIMIT 1")
    if found:
        *values, rows, keys = found[0]
        shown = ", ".join(f"{name} = {str(value)!r}" for name, value in zip(key, values, strict=True))
        more = f" (and {keys - 1:,} more keys are doubled)" if keys > 1 else ""
        raise DataError(
            f"{rows} examples of source {definitions.examples.name!r} have the one key {shown}{more}.",
            where=f"sources.{definitions.examples.name}.key",
            hint="Name more columns in key, so that they tell one example from another, or take out the doubled rows.",
        )


def _check_grouped(database: Database, table: str, definitions: Definitions) -> None:
    """Raise where an example has no group: whether it is of one that is on another side cannot be known."""
    group = definitions.brief.split.group or ()
    if not group:
        return
    nobody = " OR ".join(f"{quote(name)} IS NULL" for name in group)
    ((lone, rows),) = database.rows(f"SELECT count(*) FILTER (WHERE {nobody}), count(*) FROM {table}")
    if lone:
        raise DataError(
            f"{lone:,} of {rows:,} examples have no {' or no '.join(map(repr, group))}; which side they belong to "
            "cannot be said.",
            where="split.group",
            hint="Split by a column that every example has, or give the missing ones a value with derive.",
        )


def _classes(database: Database, view: str, definitions: Definitions) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the classes of the training period, sorted; and how many examples are of which other one."""
    if definitions.aim.task != "category":
        return (), {}
    rows = database.rows(
        f"SELECT {quote(LABEL)}, count(*), count(*) FILTER (WHERE \"@split\" = 'train' AND {_USABLE}) "
        f"FROM {view} WHERE {quote(LABEL)} IS NOT NULL GROUP BY ALL ORDER BY 1"
    )
    classes = sorted(name for name, _, seen in rows if seen)
    return tuple(classes), {name: count for name, count, seen in rows if not seen}


def _shaped(database: Database, view: str, definitions: Definitions, classes: tuple[str, ...]) -> str:
    """Return the examples with labels as numbers where they are classes, and with the groups that are ranked."""
    aim = definitions.aim
    if aim.task == "category":
        listed = ", ".join(map(quote_text, classes))
        position = f"CAST(list_position([{listed}]::VARCHAR[], {quote(LABEL)}) - 1 AS DOUBLE)"
        return database.view(f"SELECT * REPLACE ({position} AS {quote(LABEL)}) FROM {view}", prefix="shaped")
    if aim.task != "ranking":
        return view
    columns = definitions.group_columns
    there = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    return database.create(  # numbering the groups sorts them all: once
        f"SELECT * REPLACE (CASE WHEN {there} THEN {quote(LABEL)} END AS {quote(LABEL)}), "
        f'dense_rank() OVER (ORDER BY {", ".join(columns)}) - 1 AS "@group" FROM {view}',
        prefix="shaped",
    )


def _check_labels(database: Database, view: str, definitions: Definitions) -> None:
    """Raise where nothing is to be learned from the labels, or a relevance is below nought."""
    task, label = definitions.aim.task, quote(LABEL)
    if task == "condition":
        return
    ((least, most, distinct),) = database.rows(
        f"SELECT min({label}), max({label}), count(DISTINCT {label}) FROM {view} "
        f"WHERE \"@split\" = 'train' AND {_USABLE}"
    )
    if distinct == 1:
        raise DataError(
            f"The label is the same for all examples of the train period: {least:g}."
            if task != "category"
            else "All examples of the train period are of one class.",
            where="target.label",
            hint="Look at the label, or widen the period.",
        )
    if task == "ranking" and least is not None and least < 0:
        raise DataError(
            f"A relevance is {least:g} (and the greatest {most:g}); it cannot be below 0.",
            where="target.label",
            hint="Rank by what is 0 for the irrelevant and more for what matters more.",
        )


_POSITIVE = {"condition": quote(LABEL), "category": "FALSE"}
"""What counts as a case: a condition that holds, a number or a relevance above nought; of classes none is the one."""


def _counts(database: Database, view: str, definitions: Definitions) -> tuple[SplitCount, ...]:
    positive = _POSITIVE.get(definitions.aim.task, f"{quote(LABEL)} > 0")
    counts = split_counts(database, view, usable=_USABLE, positive=positive)
    for count in counts:
        if count.name != "after":
            _check_split(count, definitions.brief.split, definitions.aim.task)
    return counts


def _check_split(count: SplitCount, split: Split, task: Task) -> None:
    by_time, end = split.by == "time", split.ends.get(count.name)
    if count.examples == 0:
        rest = [f"{count.void:,} have no label" if count.void else ""]
        rest += [f"the horizon of {count.censored:,} was not over" if count.censored else ""]
        rest += [f"the label of {count.embargoed:,} became known too late" if count.embargoed else ""]
        because = "; ".join(part for part in rest if part)
        raise DataError(
            f"The {count.name} {f'period, before {end},' if by_time else 'split'} has no labelled example"
            + (f": {because}." if because else "."),
            where=f"split.{count.name}_before" if by_time else "split",
            hint=f"{'Move the boundaries to where the data are' if by_time else 'Change the shares'}, "
            "or look at label and label_known_at.",
        )
    if task == "condition" and count.positives in {0, count.examples}:
        only = "true" if count.positives else "false"
        raise DataError(
            f"The label is {only} for all {count.examples:,} examples of the {count.name} period: there is nothing to "
            "tell apart.",
            where="target.label",
            hint="Look at the label's condition, or widen the period.",
        )


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


def _void_gaps(database: Database, view: str, definitions: Definitions) -> dict[str, int]:
    """Return, for features of the row itself, how many of the examples miss it whose label never came.

    Over a horizon the label counts other rows: what is void there has nobody to count for, and features that are
    missing for the same reason say nothing.
    """
    own = [feature for feature in definitions.features if feature.row_columns]
    if definitions.aim.outcome or not own:
        return {}
    missing = ", ".join(f"count(*) FILTER ({quote(f'feature:{feature.name}')} IS NULL)" for feature in own)
    void = f"{quote(LABEL)} IS NULL AND NOT coalesce({quote(CENSORED)}, FALSE)"
    (found,) = database.rows(f"SELECT {missing} FROM {view} WHERE {void}")
    return {feature.name: int(count) for feature, count in zip(own, found, strict=True)}


def _write(database: Database, view: str, definitions: Definitions, store: TableStore) -> str:
    group = ', "@group" AS "group"' if definitions.aim.task == "ranking" else ""
    names = [f"segment:{name}" for name in _segments(definitions)]
    names += [f"feature:{feature.name}" for feature in definitions.features]
    keys = [(quote(name), quote(f"key:{name}")) for name in definitions.examples.source.key]
    sides = [name for name in definitions.brief.split.group or () if name not in definitions.examples.source.key]
    group += "".join(f", {quote(name)} AS {quote(f'group:{name}')}" for name in sides)
    text = f"""
        SELECT "@split" AS split, epoch_us({quote(PREDICT_AT)}) AS predict_at,
               epoch_us({quote(KNOWN_AT)}) AS label_known_at, CAST({quote(LABEL)} AS DOUBLE) AS label, "@day" AS day,
               "@rule" AS rule, {", ".join(f"{name} AS {shown}" for name, shown in keys)}
               {"".join(f", {quote(name)}" for name in names)}{group}
        FROM {view} WHERE {_USABLE} ORDER BY predict_at, {", ".join(shown for _, shown in keys)}
    """
    with tempfile.TemporaryDirectory(prefix="headway-") as folder:
        path = Path(folder) / "dataset.parquet"
        _to_parquet(database.batches(text, rows=_ROW_GROUP), path)
        return store.put(path)


def _to_parquet(reader: pa.RecordBatchReader, path: Path) -> None:
    """Write row groups of one size, however the engine cuts its batches: the bytes must not depend on threads."""
    texts = [field.name for field in reader.schema if pa.types.is_string(field.type)]
    # Readers skip row groups by split alone; bounds of all other columns would take a third of the writing.
    with pq.ParquetWriter(
        path, reader.schema, compression="zstd", use_dictionary=texts, write_statistics=["split"]
    ) as writer:
        pending: list[pa.RecordBatch] = []
        held = 0
        for batch in reader:
            pending.append(batch)
            held += batch.num_rows
            while held >= _ROW_GROUP:
                table = pa.Table.from_batches(pending, schema=reader.schema)
                writer.write_table(table.slice(0, _ROW_GROUP).combine_chunks(), row_group_size=_ROW_GROUP)
                rest = table.slice(_ROW_GROUP)
                pending, held = rest.to_batches(), rest.num_rows
        if held:
            table = pa.Table.from_batches(pending, schema=reader.schema)
            writer.write_table(table.combine_chunks(), row_group_size=_ROW_GROUP)


def load(path: Path, *, splits: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of some splits of a frozen table, or all."""
    return pq.read_table(path, filters=None if splits is None else pc.field("split").isin(list(splits)))


def of_splits(table: pa.Table, splits: Sequence[str]) -> pa.Table:
    """Return the rows of some splits of a frozen table in memory.

    Those rows lie side by side where the table is sorted by moment; then they are looked at in place, not copied.
    """
    at = np.flatnonzero(np.asarray(pc.is_in(table["split"], pa.array(list(splits)))))
    if not len(at) or at[-1] - at[0] + 1 == len(at):
        return table.slice(int(at[0]) if len(at) else 0, len(at))
    return table.take(at)


def to_examples(table: pa.Table, features: Sequence[FeatureColumn], *, classes: tuple[str, ...] = ()) -> Examples:
    """Return the columns of a frozen table in the shapes that Build, Validate and Monitor take."""

    def part(prefix: str) -> pa.Table:
        names = [name for name in table.column_names if name.startswith(prefix)]
        return pa.table({name.removeprefix(prefix): table[name].combine_chunks() for name in names})

    return Examples(
        features=pa.table({column.name: table[f"feature:{column.name}"].combine_chunks() for column in features}),
        label=table["label"].to_numpy(),
        day=table["day"].to_numpy().astype(np.int64),
        rule=table["rule"].to_numpy(zero_copy_only=False).astype(np.float64),
        segments=part("segment:"),
        predict_at=table["predict_at"].to_numpy(),
        key=part("key:"),
        group=table["group"].to_numpy().astype(np.int64) if "group" in table.column_names else None,
        classes=classes,
    )
