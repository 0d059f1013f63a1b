"""What the watch is shown of a day: its traffic, and the older cohorts whose outcomes have come in.

The file hides the log, the outcomes, and that releases score again what others have answered.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.deploy.serving import release_definitions
from headway.loop.days import day_bounds_us
from headway.loop.releases import CLASS_SAID, calls_of_release, release_of
from headway.monitor.day import Cohort, Traffic
from headway.nouns.act_on import Threshold, parse_act_on
from headway.nouns.brief import FeatureSpec
from headway.nouns.event import ReleaseRolledBack
from headway.predictions.columns import read_table
from headway.predictions.reader import Cursor, Reader
from headway.query.database import Database

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.loop.store import Store
    from headway.nouns.release import Release

__all__ = [
    "OpenCohort",
    "came_true",
    "class_meant",
    "comparable",
    "features_of",
    "labels_of",
    "matured_cohorts",
    "predecessor_of",
    "rule_scores",
    "scores_by",
    "shown_traffic",
    "to_bytes",
    "traffic_of",
]

_MATURE_DAYS = 1
"""How many days after a prediction's day its outcomes are looked at; the monitor waits for coverage beyond that."""


class OpenCohort(msgspec.Struct, frozen=True, kw_only=True):
    """A day whose outcomes are still to be looked at, with the blob of its predictions."""

    day: int
    predictions: str


def traffic_of(store: Store, live: Release, cursor: str, day: int, zone: str) -> tuple[pa.Table, str]:
    """Return the day's predictions by the live release; the cursor moves only past what is no longer needed."""
    first_us, after_us = day_bounds_us(day, zone)
    reader = Reader(store.predictions)
    table, passed = read_table(
        reader,
        features=live.signature,
        model=live.model,
        since_us=first_us,
        after=Cursor.from_json(cursor),
        skip_corrupt=True,
    )
    served = table["served_us"]
    today = table.filter(pc.and_(pc.greater_equal(served, first_us), pc.less(served, after_us)))
    later = pc.any(pc.greater_equal(served, after_us)).as_py()
    return today, cursor if later else passed.to_json()


def features_of(table: pa.Table, release: Release) -> pa.Table:
    """Return the features of logged predictions, in the order of the release's signature."""
    return pa.table({column.name: table[f"features.{column.name}"].combine_chunks() for column in release.signature})


def scores_by(store: Store, release: Release | None, features: pa.Table) -> NDArray[np.float64] | None:
    """Return what a release says of the features as they were served; None where it takes others.

    Of a category it is the probability of the class that is acted on, as the log has it.
    """
    if release is None or not {column.name for column in release.signature} <= set(features.column_names):
        return None
    return calls_of_release(release).score(store.scorer(release.graph).score(features))


def shown_traffic(store: Store, table: pa.Table, live: Release, behind: Release | None) -> Traffic:
    """Return a day's predictions as the watch takes them, scored again by the live release and the one behind it."""
    features = features_of(table, live)
    looked_up = _looked_up(live)
    shown = features.append_column(CLASS_SAID, table["likeliest"]) if live.classes else features
    # The log says which features were too old; what is late is the source that they come from.
    source_of = {feature: source for source, names in looked_up.items() for feature in names}
    late = [{source_of.get(name, name) for name in names} for names in table["stale"].to_pylist()]
    latencies = table["latency_us"].to_numpy().astype(np.float64)
    return Traffic(
        features=shown,
        scores=table["score"].to_numpy(),
        previous_scores=scores_by(store, behind, features) if comparable(live, behind) else None,
        replayed_scores=scores_by(store, live, features),
        latencies_us=latencies if len(latencies) else None,
        stale=Counter(source for sources in late for source in sources),
        looked_up=looked_up,
        task=live.task,
    )


def _looked_up(release: Release) -> dict[str, tuple[str, ...]]:
    """Return, by source, the features that are looked up in it."""
    found: dict[str, tuple[str, ...]] = {}
    for name, spec in release.brief.features.items():
        if isinstance(spec, FeatureSpec) and spec.from_:
            found[spec.from_] = (*found.get(spec.from_, ()), name)
    return found


def matured_cohorts(
    store: Store, waiting: tuple[OpenCohort, ...], day: int, live: Release, behind: Release | None
) -> tuple[tuple[Cohort, ...], tuple[OpenCohort, ...]]:
    """Return the cohorts that are old enough to be looked at, and the days that still are not."""
    cohorts, still_open = [], []
    for cohort in waiting:
        if cohort.day > day - _MATURE_DAYS:
            still_open.append(cohort)
            continue
        table = _from_bytes(store.blobs.read(cohort.predictions))
        release = live if table["release"][0].as_py() == live.id else release_of(store, table["release"][0].as_py())
        before = behind if release is live else predecessor_of(store, release.id)
        labels, void = labels_of(store, table, release)
        features = features_of(table, release)
        cohorts.append(
            Cohort(
                day=cohort.day,
                release=release.id,
                scores=table["score"].to_numpy(),
                labels=labels,
                void=void,
                rule=rule_scores(release, features),
                previous=before.id if before is not None else "",
                previous_scores=scores_by(store, before, features) if comparable(release, before) else None,
                task=release.task,
            )
        )
    return tuple(cohorts), tuple(still_open)


def labels_of(store: Store, table: pa.Table, release: Release) -> tuple[NDArray[np.float64], int]:
    """Return the outcomes of a release's predictions as known now (NaN: void or unknown), and how many are void.

    Of a category they say whether the class that is acted on is the class that came (see ``Calls.watched``).
    """
    outcomes = store.ledger.outcomes_of(table["id"].to_pylist())
    at = pc.index_in(table["id"], value_set=outcomes["prediction"])
    labels = came_true(outcomes, table["id"], class_meant(table, release))
    void = pc.sum(pc.equal(pc.take(outcomes["status"], at), "void")).as_py() or 0
    return labels, int(void)


def class_meant(table: pa.Table, release: Release) -> pa.ChunkedArray:
    """Return the class that each of a release's logged predictions is acted on as; null where there are no classes."""
    act_on = parse_act_on(release.brief.target.act_on)
    if not release.classes or not isinstance(act_on, Threshold):
        return table["likeliest"]
    return pa.chunked_array([pa.repeat(pa.scalar(act_on.of, pa.string()), table.num_rows)])


def came_true(outcomes: pa.Table, ids: pa.ChunkedArray, meant: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return outcomes as they are followed: as told, or of a category whether it is the class that was meant.

    Parameters
    ----------
    meant
        As :func:`class_meant` gives it for the same ids.
    """
    at = pc.index_in(ids, value_set=outcomes["prediction"])
    told = np.asarray(pc.take(outcomes["label"], at).to_numpy(zero_copy_only=False), dtype=np.float64)
    right = pc.fill_null(pc.equal(pc.take(outcomes["category"], at), meant), fill_value=False)
    by_class = pc.is_valid(meant).to_numpy(zero_copy_only=False) & ~np.isnan(told)
    return np.where(by_class, right.to_numpy(zero_copy_only=False).astype(np.float64), told)


def comparable(one: Release, other: Release | None) -> bool:
    """Return whether two releases answer the same question, so that one outcome is right or wrong for both.

    Where each acts on the class that it holds likeliest, the outcome of one is not that of the other.
    """
    if other is None or one.task != other.task:
        return False
    acts = [parse_act_on(each.brief.target.act_on) for each in (one, other)]
    if one.task != "category":
        return True
    first, second = acts
    return isinstance(first, Threshold) and isinstance(second, Threshold) and first.of == second.of


def rule_scores(release: Release, features: pa.Table) -> NDArray[np.float64] | None:
    """Return what today's rule says of served features; None where the brief names none."""
    name = release.brief.baseline.rule
    if not name or features.num_rows == 0:
        return None
    if name in features.column_names:
        return np.asarray(features[name].to_numpy(zero_copy_only=False), dtype=np.float64)
    rule = release_definitions(release).rule
    assert rule is not None
    with Database() as database:
        table = database.register(features)
        said = database.table(f"SELECT CAST({rule.sql} AS DOUBLE) AS said FROM {table}")
    return np.asarray(said["said"].to_numpy(zero_copy_only=False), dtype=np.float64)


def predecessor_of(store: Store, release: str) -> Release | None:
    """Return the champion before ``release``, unless it was found bad: what it is compared with on its own traffic."""
    spans = [span for span in store.ledger.role_history() if span.role == "champion"]
    bad = {entry.event.release for entry in store.ledger.events(ReleaseRolledBack)}  # type: ignore[union-attr]
    first = next((at for at, span in enumerate(spans) if span.release == release), 0)
    before = [span.release for span in spans[:first] if span.release != release and span.release not in bad]
    return release_of(store, before[-1]) if before else None


def to_bytes(table: pa.Table) -> bytes:
    """Return a table as an Arrow file, as it is kept in the blobs."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _from_bytes(data: bytes) -> pa.Table:
    return pa.ipc.open_file(data).read_all()
