"""Where an example's figures come from, what a column follows from, and what was built on a snapshot.

The file hides how the three are walked: an example by replay over the raw rows of its dataset's snapshots, a column
through the definitions of the brief, a snapshot over the datasets that name it and the answers that looked into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow.compute as pc

from headway.data.freeze import load
from headway.errors import NotFound, did_you_mean
from headway.loop.manifests import snapshot_of
from headway.loop.replay import replay_example
from headway.loop.results import models_of
from headway.loop.sources import material_of
from headway.loop.traced import Derived, LookUp, Replayed, SourceRow
from headway.nouns.brief import Brief
from headway.nouns.brief_text import parse_brief
from headway.nouns.clock import format_moment, parse_moment
from headway.nouns.dataset import Dataset
from headway.nouns.expression import columns_of, parse
from headway.predictions.reader import Reader
from headway.query.relation import PREDICT_AT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyarrow as pa

    from headway.ledger import Run
    from headway.loop.store import Store
    from headway.query.definitions import Definitions, Feature

__all__ = [
    "ColumnLineage",
    "ExampleLineage",
    "SnapshotLineage",
    "brief_of",
    "column_lineage",
    "example_lineage",
    "snapshot_lineage",
]


class ExampleLineage(msgspec.Struct, frozen=True, kw_only=True):
    """One example of a dataset, with the source rows of its label and of each feature.

    Attributes
    ----------
    label
        As the dataset has it; of a category the name of the class.
    label_columns
        What the label is made of, each as ``source.column``.
    label_look_ups
        What a label over a horizon counts, and in which rows; empty where the label stands in the row.
    rows
        The row of the examples' source, with the values that the label is made of; of an entity the first of the rows
        by which it was known at that moment. None where the example was lived through and no source has it.
    replayed_equal
        Whether every feature, computed again from the rows listed, is bit for bit the frozen one.
    """

    dataset: str
    run: str
    key: dict[str, Any]
    split: str
    predict_at: str
    label: float | str
    label_known_at: str
    label_columns: tuple[str, ...]
    label_look_ups: tuple[LookUp, ...]
    snapshots: dict[str, str]
    rows: tuple[SourceRow, ...]
    derived: tuple[Derived, ...]
    features: tuple[Replayed, ...]
    replayed_equal: bool


class ColumnLineage(msgspec.Struct, frozen=True, kw_only=True):
    """A column or a feature: ``comes_from`` raw columns as ``source.column``, and ``used_by`` features and the label.

    A raw column comes from nothing but its source's files.
    """

    name: str
    definition: str
    comes_from: tuple[str, ...]
    used_by: tuple[str, ...]


class SnapshotLineage(msgspec.Struct, frozen=True, kw_only=True):
    """What was built on a version of a source.

    Attributes
    ----------
    models
        Those of the runs, and those that their releases serve.
    answered
        By release, how many predictions a model gave that learned from it.
    looked_into
        By release, how many predictions looked something up in it.
    """

    source: str
    version: str
    rows: int
    taken_at: tuple[str, ...]
    datasets: tuple[str, ...]
    runs: tuple[str, ...]
    models: tuple[str, ...]
    releases: tuple[str, ...]
    answered: dict[str, int]
    looked_into: dict[str, int]


class _Made(msgspec.Struct, frozen=True, gc=False):
    served_us: int
    release: str
    store: str = ""


def example_lineage(store: Store, key: Mapping[str, Any], *, run: str = "", shown: int = 5) -> ExampleLineage:
    """Return where the figures of one example come from.

    Parameters
    ----------
    key
        The columns that name it; values as text or as they are.
    run
        Whose dataset; the newest that finished by default.

    Raises
    ------
    NotFound
        When there is no such run, or its dataset has no such example.
    """
    made = _run(store, run)
    dataset = store.get(str(made.dataset), Dataset)
    brief = brief_of(store, made)
    snapshots = {name: snapshot_of(store, version) for name, version in dataset.snapshots.items()}
    material = material_of(store, brief, snapshots, as_of_us=dataset.as_of_us)
    row = _frozen(store, str(made.dataset), dataset, material.definitions, key)
    names = [column.name for column in dataset.features]
    label = _of_label(material.definitions)
    own = {name: row[f"key:{name}"] for name in dataset.key}
    replayed = replay_example(
        store,
        material,
        {name: _us(value) if hasattr(value, "year") else value for name, value in own.items()},
        {name: row[f"feature:{name}"] for name in names},
        moment_us=row["predict_at"],
        label_us=row["label_known_at"],
        as_of_us=dataset.as_of_us,
        label_columns=label[brief.asked_about],
        shown=shown,
    )
    return ExampleLineage(
        dataset=str(made.dataset),
        run=made.run,
        key={name: format_moment(_us(v)) if hasattr(v, "year") else v for name, v in own.items()},
        split=row["split"],
        predict_at=format_moment(row["predict_at"]),
        label=dataset.classes[int(row["label"])] if dataset.classes else row["label"],
        label_known_at=format_moment(row["label_known_at"]),
        label_columns=tuple(sorted(f"{source}.{name}" for source, names in label.items() for name in names)),
        label_look_ups=replayed.label,
        snapshots=dataset.snapshots,
        rows=replayed.rows,
        derived=replayed.derived,
        features=replayed.features,
        replayed_equal=bool(replayed.rows) and all(feature.equal for feature in replayed.features),
    )


def _run(store: Store, run: str) -> Run:
    made = store.ledger.run(run) if run else next((r for r in store.ledger.runs() if r.state == "finished"), None)
    if made is None or made.dataset is None:
        raise NotFound(f"Run {run!r} has no dataset." if run else "No run has finished.", hint="Make one: headway run.")
    return made


def brief_of(store: Store, run: Run) -> Brief:
    """Return the brief that a run was made with; a retraining's own is kept as JSON."""
    text = store.blobs.read(store.ledger.brief_text(run.brief)).decode()
    return msgspec.json.decode(text, type=Brief) if text.startswith("{") else parse_brief(text)


def _frozen(
    store: Store, digest: str, dataset: Dataset, definitions: Definitions, key: Mapping[str, Any]
) -> dict[str, Any]:
    if missing := [name for name in dataset.key if name not in key]:
        raise NotFound(
            f"An example is named by {', '.join(dataset.key)}; {', '.join(missing)} is not given.",
            hint=did_you_mean(missing[0], key),
        )
    table = load(store.blobs.path(dataset.table))
    for name in dataset.key:
        column = table[f"key:{name}"]
        table = table.filter(pc.equal(column, _as_stored(key[name], definitions.examples.kinds[name], column)))
    if not table.num_rows:
        shown = ", ".join(f"{name} {key[name]!r}" for name in dataset.key)
        raise NotFound(
            f"The dataset has no example with {shown}.",
            where=f"dataset {digest[:12]}",
            hint="It may have no label yet, lie beyond the splits, or have another key.",
        )
    return dict(table.to_pylist()[0])


def _as_stored(value: Any, kind: str, column: pa.ChunkedArray) -> pa.Scalar:
    import pyarrow as pa

    given = parse_moment(value) if kind == "time" and isinstance(value, str) else value
    try:
        return pa.scalar(given).cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise NotFound(f"{value!r} is no {kind}.", where="the example's key") from None


def _us(value: Any) -> int:
    import datetime as dt

    bare = value.replace(tzinfo=None)
    return int((bare - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1))  # noqa: DTZ001  (UTC without a zone)


def column_lineage(definitions: Definitions, name: str) -> ColumnLineage:
    """Return what a feature (``late_24h``) or a column (``flights.arr_delay``) follows from, and what follows from it.

    Raises
    ------
    NotFound
        When the brief has no such feature, and no source such a column.
    """
    features = {feature.name: feature for feature in definitions.features}
    if name in features:
        feature = features[name]
        found = tuple(sorted(_of_feature(definitions, feature)))
        return ColumnLineage(name=name, definition=feature.text, comes_from=found, used_by=())
    source, _, column = name.partition(".")
    relation = definitions.relations.get(source)
    if relation is None or column not in relation.kinds:
        known = [*features, *(f"{s}.{c}" for s, r in definitions.relations.items() for c in r.kinds)]
        raise NotFound(f"There is no feature and no column {name!r}.", hint=did_you_mean(name, known))
    own = _behind(definitions, source, [column]) - {name}
    roots = _behind(definitions, source, [column])
    users = [f.name for f in definitions.features if roots <= _of_feature(definitions, f)]
    if roots <= {raw for other, names in _of_label(definitions).items() for raw in _behind(definitions, other, names)}:
        users.append("label")
    spec = relation.source.derive.get(column, "")
    return ColumnLineage(
        name=name,
        definition=spec if isinstance(spec, str) else (spec.value or spec.take),
        comes_from=tuple(sorted(own)),
        used_by=tuple(users),
    )


def _of_feature(definitions: Definitions, feature: Feature) -> set[str]:
    """Return the raw columns of a feature, those behind a derived column's look-up too."""
    own = {*feature.row_columns, *(column for timeline in feature.timelines for column in timeline.mine)}
    found = {f"{source}.{column}" for source, column in feature.lineage}
    found |= _behind(definitions, definitions.brief.asked_about, _declared(definitions, own))
    for timeline in feature.timelines:
        found |= _behind(definitions, timeline.source, timeline.theirs)
    return found


def _of_label(definitions: Definitions) -> dict[str, set[str]]:
    """Return the columns of each source that the label is made of: of what is asked about, and of what is counted."""
    target, outcome = definitions.brief.target, definitions.aim.outcome
    own = set(columns_of(parse(target.label_known_at))) | {column for timeline in outcome for column in timeline.mine}
    if not outcome:  # one that counts speaks of sources, not of columns of the row
        own |= columns_of(parse(target.label))
    found = {definitions.brief.asked_about: _declared(definitions, own)}
    for timeline in outcome:
        found.setdefault(timeline.source, set()).update((*timeline.theirs, *timeline.reads))
    return found


def _declared(definitions: Definitions, columns: set[str]) -> set[str]:
    """Return the columns of an example that its source has: the moment of an entity comes from the brief."""
    return columns if definitions.aim.cadence is None else columns - {PREDICT_AT}


def _behind(definitions: Definitions, source: str, columns: Iterable[str]) -> set[str]:
    """Return the raw columns that columns of a source follow from, in this source and in those they look into."""
    relation = definitions.relations[source]
    known = set(columns) & set(relation.kinds)
    closure = relation.closure(known)
    found = {f"{source}.{raw}" for raw in relation.raw_inputs(known)}
    for derived in relation.derived:
        for timeline in derived.timelines if derived.name in closure else ():
            found |= {f"{source}.{raw}" for raw in relation.raw_inputs(timeline.mine)}
            read = {*timeline.theirs, *(carried for carried, _ in timeline.columns)}
            found |= _behind(definitions, timeline.source, read)
    return found


def snapshot_lineage(store: Store, digest: str) -> SnapshotLineage:
    """Return all that was built on a version of a source; the beginning of its digest is enough.

    Raises
    ------
    NotFound
        When no version, or more than one, begins so.
    """
    versions = sorted({each.snapshot for each in store.ledger.snapshots() if each.snapshot.startswith(digest)})
    if not digest or len(versions) != 1:
        what = f"{len(versions)} versions begin with {digest!r}." if versions else f"There is no version {digest!r}."
        raise NotFound(what, hint="headway data versions lists them.")
    version = versions[0]
    taken = store.ledger.taken(version)
    runs = [
        run
        for run in store.ledger.runs()
        if run.dataset is not None and version in store.get(run.dataset, Dataset).snapshots.values()
    ]
    names = {run.run for run in runs}
    releases = sorted(each.release for each in store.ledger.releases() if each.run in names)
    answered, looked_into = _predictions(store, taken[0].source, version, set(releases))
    return SnapshotLineage(
        source=taken[0].source,
        version=version,
        rows=taken[0].rows,
        taken_at=tuple(format_moment(each.taken_us) for each in taken),
        datasets=tuple(sorted({str(run.dataset) for run in runs})),
        runs=tuple(sorted(names)),
        models=tuple(sorted(models_of(store, runs))),
        releases=tuple(releases),
        answered=answered,
        looked_into=looked_into,
    )


def _predictions(store: Store, source: str, version: str, learned: set[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Return two counts by release, in one pass over the log: this question is about all answers, not about one."""
    answered: dict[str, int] = {}
    looked_into: dict[str, int] = {}
    into: dict[str, bool] = {}
    for batch in Reader(store.predictions).scan_as(_Made):
        for each in batch.predictions:
            if each.store not in into:
                filling = store.ledger.filling_of(each.store)
                newest = {} if filling is None else store.ledger.filled_from(filling, [source])
                into[each.store] = newest.get(source) == version
            if each.release in learned:
                answered[each.release] = answered.get(each.release, 0) + 1
            if into[each.store]:
                looked_into[each.release] = looked_into.get(each.release, 0) + 1
    return answered, looked_into
