"""From any prediction back to the rows it rests on, and forward to the money."""

from __future__ import annotations

import csv
import os
import random
import shutil
import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import blake3
import msgspec
import pyarrow as pa
import pytest
import sqlalchemy as sa

from headway.api import Project
from headway.data.fingerprints import mark_of
from headway.data.segments import live_marks
from headway.errors import NotFound
from headway.loop.manifests import snapshot_of
from headway.loop.releases import release_of
from headway.loop.replay import _as_asked, _Asked
from headway.loop.sources import Material
from headway.loop.trace import _looked_into
from headway.nouns.clock import ReplayClock
from headway.nouns.snapshot import Snapshot
from headway.predictions.reader import Reader
from headway.query.database import Database
from headway.query.resolver import resolve
from headway.query.row_form import RowForm, moment_text

if TYPE_CHECKING:
    from pathlib import Path

    import deliveries
    from headway.loop.traced import LookUp, Replayed, Trace
    from headway.nouns.prediction import Prediction


@pytest.fixture(scope="session")
def traced(lived: deliveries.Lived) -> Trace:
    """Return the trace of some prediction in the middle."""
    return lived.project.trace(list(lived.ids.values())[100])


def _predictions(lived: deliveries.Lived) -> list[Prediction]:
    return _logged(lived.project)


def _logged(project: Project) -> list[Prediction]:
    return [each for batch in Reader(project.store.predictions).scan() for each in batch.predictions]


def _file_rows(lived: deliveries.Lived, file: str) -> list[dict[str, str]]:
    with (lived.project.folder / file).open(newline="") as lines:
        return list(csv.DictReader(lines))


def _feature(trace: Trace, name: str) -> Replayed:
    return next(feature for feature in trace.features if feature.name == name)


def _look_up(trace: Trace, name: str) -> LookUp:
    (found,) = _feature(trace, name).look_ups
    return found


def test_features_replayed_from_source_rows_are_those_that_were_served(lived: deliveries.Lived) -> None:
    """Of 60 random predictions, every look-up made again among the raw rows gives the bits in the log."""
    store, compared = lived.project.store, 0
    by_store: dict[tuple[str, str], list[Prediction]] = {}
    for each in random.Random(5).sample(_predictions(lived), 60):
        by_store.setdefault((each.release, each.store), []).append(each)
    for (name, _), predictions in by_store.items():
        release = release_of(store, name)
        as_of_us, snapshots = _looked_into(store, predictions[0], release)
        definitions = resolve(release.brief, release.columns)
        files = {source: tuple(store.blobs.path(s.blob) for s in snap.segments) for source, snap in snapshots.items()}
        material = Material(
            brief=release.brief, as_of_us=as_of_us, snapshots=snapshots, columns=release.columns, files=files
        )
        with Database(threads=1) as database:
            asked = _Asked(database, material, files, as_of_us=as_of_us, shown=5)
            for source in files:  # read once instead of once a question
                asked._relations[source] = database.create(f"SELECT * FROM {asked.relation(source)}")
            form = RowForm(definitions, asked)
            for each in predictions:
                again = form.join(_as_asked(definitions, each.row))
                assert again.features == each.features, each.id
                assert again.stale == each.stale, each.id
                compared += len(again.features)
    assert compared == 60 * 9


class _Questions:
    """Steps that write down what they are asked, and find nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[Any, ...], int]] = []

    def column(self, _: str) -> list[Any]:
        return []

    def find(self, key: Any, moment_us: int) -> int:
        self.asked.append((key if isinstance(key, tuple) else (key,), moment_us))
        return -1


class _Once:
    """Steps of a dimension, asked once for each key."""

    def __init__(self, steps: Any) -> None:
        self.column = steps.column
        self._steps = steps
        self._found: dict[Any, int] = {}

    def find(self, key: Any, moment_us: int) -> int:
        if key not in self._found:
            self._found[key] = self._steps.find(key, moment_us)
        return self._found[key]


class _Interview:
    """A store that answers for dimensions alone, and notes what is asked of all that changes."""

    since_us = None

    def __init__(self, asked: _Asked) -> None:
        self.as_of_us = asked.as_of_us
        self._asked = asked
        self.noted: dict[Any, _Questions] = {}

    def steps(self, timeline: Any) -> Any:
        if timeline.shape == "static":
            return _Once(self._asked.steps(timeline))
        return self.noted.setdefault(timeline, _Questions())


def test_a_thousand_windows_replayed_from_source_rows_are_those_that_were_served(
    lived: deliveries.Lived, tmp_path: Path
) -> None:
    """Of 1,000 random predictions: the rows that each window's predicate finds give, added up, the bits in the log."""
    shutil.copytree(lived.project.folder, tmp_path / "copy")
    chance = random.Random(7)
    end = max(each.predict_at_us for each in _predictions(lived))
    moments = [end + 3_600_000_000 - chance.randrange(20 * 60) * 60_000_000 for _ in range(1_000)]
    asked_for = [
        {"delivery": 10**6 + number, "leaves": moment_text(moment), "depot": depot, "distance": chance.uniform(1, 40)}
        for number, (moment, depot) in enumerate(
            zip(moments, chance.choices([each.row["depot"] for each in _predictions(lived)], k=1_000), strict=True)
        )
    ]
    with Project.open(tmp_path / "copy", clock=ReplayClock(lived.clock.now_us())) as project:
        project.predict(asked_for)
        served = {each.row["delivery"]: each for each in _logged(project)}
        predictions = [served[row["delivery"]] for row in asked_for]
        store = project.store
        release = release_of(store, predictions[0].release)
        as_of_us, snapshots = _looked_into(store, predictions[0], release)
        definitions = resolve(release.brief, release.columns)
        files = {source: tuple(store.blobs.path(s.blob) for s in snap.segments) for source, snap in snapshots.items()}
        material = Material(
            brief=release.brief, as_of_us=as_of_us, snapshots=snapshots, columns=release.columns, files=files
        )
        with Database(threads=1) as database:
            asked = _Asked(database, material, files, as_of_us=as_of_us, shown=5)
            for source in files:
                asked._relations[source] = database.create(f"SELECT * FROM {asked.relation(source)}")
            interview = _Interview(asked)
            form = RowForm(definitions, interview)
            for each in predictions:
                form.join(_as_asked(definitions, each.row))
            compared = sum(
                _replayed_at_once(asked, definitions, timeline, interview.noted[timeline], predictions)
                for timeline in definitions.timelines
                if timeline.shape == "window"
            )
    assert compared == 1_000 * 3


def _replayed_at_once(
    asked: _Asked, definitions: Any, timeline: Any, questions: _Questions, predictions: list[Prediction]
) -> int:
    """Hold one window's feature against the rows of all questions, found by one query; return how many were held."""
    place, feature = next((i, f) for i, f in enumerate(definitions.features) if f.timelines == (timeline,))
    (aggregate,) = timeline.aggregates
    keys = {f"key{n}": [key[n] for key, _ in questions.asked] for n in range(len(timeline.mine))}
    moments = pa.array([moment for _, moment in questions.asked], pa.timestamp("us"))
    table = asked.database.register(pa.table({"@q": range(len(predictions)), **keys, "look_at": moments}))
    text = asked._blind[timeline].rows_sql(asked.relation(timeline.source))
    for name in (*keys, "look_at"):
        text = text.replace(f"${name}", f"q.{name}")
    measured = aggregate.sql or "1"
    found: dict[int, list[Any]] = {}
    for question, value in asked.database.rows(f'SELECT q."@q", {measured} FROM {table} q, LATERAL ({text}) r'):
        found.setdefault(question, []).append(value)
    assert feature.name in {"late_24h", "busy_6h", "carried"}
    for number, prediction in enumerate(predictions):
        there = [Fraction(value) for value in found.get(number, []) if value is not None]
        whole = {"count": len(there), "sum": sum(there), "avg": sum(there) / len(there) if there else None}
        value = whole[aggregate.function]
        again = None if value is None else struct.unpack("f", struct.pack("f", value))[0]
        assert prediction.features[place] == again, (feature.name, prediction.id)
    return len(predictions)


def test_a_trace_says_for_every_feature_that_it_was_replayed_equal(lived: deliveries.Lived) -> None:
    """The public way, files pruned and rows read from disk, agrees too; and finds rows behind what is looked up."""
    for prediction in random.Random(6).sample(list(lived.ids.values()), 8):
        found = lived.project.trace(prediction)
        assert found.replayed_equal
        assert all(feature.equal and feature.served == feature.replayed for feature in found.features)
        assert all(found.prediction.features[feature.name] == feature.served for feature in found.features)
        looked_up = {feature.name for feature in found.features if feature.look_ups}
        assert looked_up == {"rain", "wind", "late_24h", "busy_6h", "carried", "depot_age"}


def test_rows_are_found_in_the_files_where_the_trace_says_they_are(lived: deliveries.Lived, traced: Trace) -> None:
    """Open the named file, count to the named row: there stands what was used."""
    opened = 0
    for feature in traced.features:
        for look_up in feature.look_ups:
            for row in look_up.rows:
                cells = _file_rows(lived, row.file)[row.row - 1]
                for name, value in {**row.key, **row.values, **look_up.match}.items():
                    if name in cells:
                        assert _same(cells[name], value), (feature.name, row, cells)
                        opened += 1
    assert opened >= 30


def _same(cell: str, value: Any) -> bool:
    if isinstance(value, bool):
        return cell == str(value).lower()
    if isinstance(value, float | int):
        return float(cell) == value
    return cell == ("" if value is None else value)


def test_a_window_lists_exactly_the_rows_that_count(lived: deliveries.Lived, traced: Trace) -> None:
    """A plain loop over the CSV files, written apart, finds the same rows and the same average and sum."""
    everything = _all_rows(lived, traced)
    look_at = traced.prediction.look_at
    depot = traced.prediction.row["depot"]
    rows = [row for row in everything if row["depot"] == depot and row["leaves"] <= look_at]
    after = _look_up(traced, "late_24h").after
    late = [row["late"] == "true" for row in rows if row["leaves"] > after and row["arrived"] <= look_at]
    assert _look_up(traced, "late_24h").count == len(late) > 0
    assert _feature(traced, "late_24h").served == pytest.approx(sum(late) / len(late), rel=1e-6)
    carried = [float(r["distance"]) for r in rows if r["leaves"] > _look_up(traced, "carried").after]
    assert _look_up(traced, "carried").count == len(carried) > 5
    assert _feature(traced, "carried").served == pytest.approx(sum(carried), rel=1e-6)


def _all_rows(lived: deliveries.Lived, traced: Trace) -> list[dict[str, str]]:
    files = next(s.files for s in traced.snapshots if s.source == "deliveries" and "looked into" in s.used_for)
    return [row for file in files for row in _file_rows(lived, file.file)]


def test_what_weighs_most_in_a_window_is_listed_first(lived: deliveries.Lived) -> None:
    """The few rows that are shown are those that made the figure."""
    for prediction in random.Random(8).sample(list(lived.ids.values()), 6):
        look_up = _look_up(lived.project.trace(prediction), "late_24h")
        weights = [row.counts for row in look_up.rows if row.counts is not None]
        assert weights == sorted(weights, reverse=True)


def test_a_latest_value_names_its_one_row_and_when_that_was_known(lived: deliveries.Lived, traced: Trace) -> None:
    """The newest weather of the depot that was known at the moment of looking, and no later one."""
    look_up = _look_up(traced, "rain")
    (row,) = look_up.rows
    assert row.known_at <= traced.prediction.look_at == look_up.until
    assert set(row.values) == {"rain"}
    later = [
        each["at"]
        for each in _file_rows(lived, row.file)
        if each["depot"] == look_up.match["depot"] and row.happened_at < each["at"]
    ]
    ten_minutes_before = min(later)[:13] + ":10:00Z"
    assert ten_minutes_before > look_up.until


def test_the_way_back_leads_over_model_run_and_dataset_to_the_files(lived: deliveries.Lived, traced: Trace) -> None:
    """Each station names the next, and the digests are those of what lies on the disk."""
    store = lived.project.store
    assert traced.release.id == "r1"
    assert (traced.release.by, traced.release.why) == ("Ada", "The first one <for all>.")
    assert traced.model.digest == store.ledger.release("r1").model
    assert traced.run.id == store.ledger.release("r1").run
    assert traced.dataset.id == store.ledger.run(traced.run.id).dataset
    assert traced.verdict.startswith("passed: average precision 0.")
    assert traced.model.rows == sum(traced.dataset.rows.values())
    learned = {s.source: s.version for s in traced.snapshots if "learned from" in s.used_for}
    assert learned == traced.dataset.snapshots
    for snapshot in traced.snapshots:
        for file in snapshot.files:
            data = (lived.project.folder / file.file).read_bytes()
            assert blake3.blake3(data).hexdigest() == file.digest
            assert file.rows == len(_file_rows(lived, file.file))


def test_look_ups_are_traced_into_the_snapshots_of_their_time(lived: deliveries.Lived) -> None:
    """A day's answers do not rest on files that came later, though the source has them by now."""
    first = lived.project.trace(next(iter(lived.ids.values())))
    files = next(s.files for s in first.snapshots if s.source == "deliveries" and "looked into" in s.used_for)
    assert files[-1].file.endswith("day-2024-03-18.csv")
    assert len(list((lived.project.folder / "data" / "deliveries").glob("day-*.csv"))) > 5


def test_a_prediction_of_the_release_that_was_rolled_back_says_so(lived: deliveries.Lived) -> None:
    """The release is the one that answered, not the one of today; who put it there stands beside it."""
    of_r2 = next(each for each in _predictions(lived) if each.release == "r2")
    found = lived.project.trace(of_r2.id)
    assert (found.release.id, found.release.by, found.release.why) == ("r2", "Bob", "Nobody remembers.")
    assert found.release.until > found.prediction.served_at >= found.release.since


def test_derived_columns_of_the_request_are_traced_too(traced: Trace) -> None:
    """What was computed before the features is followed to its row as well."""
    (region,) = traced.derived
    assert region.name == "region"
    (look_up,) = region.look_ups
    assert [row.file for row in look_up.rows] == ["data/depots.csv"]
    assert look_up.rows[0].values == {"region": region.value}


def test_the_way_forward_ends_in_money(lived: deliveries.Lived) -> None:
    """Right and acted on earns, wrong and acted on costs, not acted on is worth nothing."""
    earned = {(True, True): 20.0, (True, False): -3.0, (False, True): 0.0, (False, False): 0.0}
    seen = set()
    for prediction in random.Random(4).sample(list(lived.ids.values()), 14):
        found = lived.project.trace(prediction)
        if found.outcome is not None and found.outcome.label is not None:
            assert found.money == earned[found.acted_on, found.outcome.label]
            assert found.acted_on == found.prediction.act
            seen.add((found.acted_on, found.outcome.label))
    assert len(seen) >= 3


def test_a_void_outcome_has_no_label_and_no_money(lived: deliveries.Lived) -> None:
    """What will never be known is neither right nor wrong."""
    found = lived.project.trace(lived.voided)
    assert found.outcome is not None
    assert (found.outcome.label, found.outcome.status, found.money) == (None, "void", None)


def test_a_corrected_outcome_shows_all_that_was_said(lived: deliveries.Lived) -> None:
    """The last word counts, and the earlier one stays on the record."""
    outcome = lived.project.trace(lived.corrected).outcome
    assert outcome is not None
    assert outcome.status == "corrected"
    assert [told["label"] for told in outcome.told] == [not outcome.label, outcome.label]


def test_an_answer_without_an_outcome_has_none(lived: deliveries.Lived) -> None:
    """Nothing is invented for what is not known yet."""
    pending = [each for each in _predictions(lived) if not lived.project.store.ledger.outcomes_of([each.id]).num_rows]
    assert pending
    found = lived.project.trace(pending[0].id)
    assert (found.outcome, found.money) == (None, None)


@pytest.mark.parametrize("name", ["000001-0000040-00000000", "ffffff-0000040-1", "r1", "", "x" * 500])
def test_an_unknown_id_is_refused_with_a_hint(lived: deliveries.Lived, name: str) -> None:
    """Whoever mistypes an id is told so, and where ids stand."""
    with pytest.raises(NotFound) as caught:
        lived.project.trace(name)
    assert "Ids stand in the replies" in caught.value.hint


def _snapshots_of(lived: deliveries.Lived) -> list[Snapshot]:
    store = lived.project.store
    return [snapshot_of(store, each.snapshot) for each in store.ledger.snapshots()]


class _Without:
    """The blobs, some of which somebody has moved away."""

    def __init__(self, blobs: Any, gone: set[str], nowhere: Path) -> None:
        self._blobs, self._gone, self._nowhere = blobs, gone, nowhere

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def path(self, digest: str) -> Path:
        return self._nowhere / digest if digest in self._gone else self._blobs.path(digest)


def test_rows_that_are_gone_are_named(lived: deliveries.Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob that somebody removed is an error that says which source is hurt, not a traceback of the engine."""
    blobs = lived.project.store.blobs
    rows = {s.blob for snapshot in _snapshots_of(lived) for s in snapshot.segments}
    monkeypatch.setattr(lived.project.store, "blobs", _Without(blobs, rows, tmp_path))
    with pytest.raises(NotFound, match="are gone"):
        lived.project.trace(lived.corrected)


def test_a_trace_asks_the_ledger_by_index_alone(lived: deliveries.Lived) -> None:
    """Every statement of a trace, of a corrected outcome too, is a search by key: the plans hold no scan of a table."""
    engine, asked = lived.project.store.ledger._engine, []

    def remember(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", remember)
    try:
        lived.project.trace(lived.corrected)
    finally:
        sa.event.remove(engine, "before_cursor_execute", remember)
    selects = [(text, values) for text, values in asked if text.lstrip().startswith("SELECT")]
    read = {text.split("FROM ")[1].split()[0] for text, _ in selects}
    assert {"materialisations", "outcomes", "outcome_history", "roles", "runs", "steps"} <= read
    with engine.connect() as connection:
        for text, values in selects:
            plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)]
            assert plan
            assert not [step for step in plan if not step.startswith("SEARCH")], (text, plan)


def test_a_trace_reads_one_record_of_the_log_and_no_more(
    lived: deliveries.Lived, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file is opened at one place; how long the log is does not matter."""
    opened, read = [], []
    open_, pread = os.open, os.pread

    def opening(path: Any, *rest: Any, **more: Any) -> int:
        opened.extend([path] if str(path).startswith(str(lived.project.store.predictions)) else [])
        return open_(path, *rest, **more)

    def reading(descriptor: int, count: int, offset: int) -> bytes:
        read.append(count)
        return pread(descriptor, count, offset)

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "pread", reading)
    lived.project.trace(lived.corrected)
    assert len(opened) == 1
    assert sum(read) <= 8_192


def test_a_trace_is_plain_data(traced: Trace) -> None:
    """It goes through JSON and back without loss."""
    data = msgspec.json.encode(traced)
    assert msgspec.json.decode(data, type=type(traced)) == traced


def test_the_version_of_a_snapshot_is_the_hash_of_its_rows(lived: deliveries.Lived, traced: Trace) -> None:
    """The version in the trace can be computed again from the files that the manifest lists."""
    store = lived.project.store
    for snapshot in traced.snapshots:
        step = store.ledger.step(f"snapshot:{snapshot.version}")
        assert step is not None
        manifest = store.get(step["blob"], Snapshot)
        kinds = {column.name: column.kind for column in manifest.columns}
        counted = [
            msgspec.structs.replace(each, mark=mark_of(live_marks(each, store.blobs, kinds)[0]))
            for each in manifest.segments
        ]
        assert msgspec.structs.replace(manifest, segments=tuple(counted)).content == snapshot.version
