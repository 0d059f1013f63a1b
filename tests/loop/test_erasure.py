"""Erasing a person: not a byte is left, old names are explained, and a hold comes first."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

import deliveries
from headway.api import Project
from headway.errors import DataError, GateClosed, NotFound, StoreBusy, StoreCorrupt
from headway.nouns.dataset import Dataset
from headway.nouns.event import ErasureBegun, ErasureFinished

if TYPE_CHECKING:
    from pathlib import Path

PERSON = "Zebulon Quirrelmoss"
ENTITY = f"customers 'customer={PERSON}'"


def files_with(root: Path, text: str) -> list[str]:
    """Return the files below a folder in which a text stands, as it is or once it is unpacked."""
    return [str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file() and holds(path, text)]


def holds(path: Path, text: str) -> bool:
    """Say whether a text stands in a file; written apart from what the product searches with."""
    data = path.read_bytes()
    if text.encode() in data or text.encode("utf-16-le") in data:
        return True
    tables: list[pa.Table] = []
    if data[:4] == b"PAR1":
        tables = [pq.read_table(path)]
    elif data[:6] == b"ARROW1":
        tables = [pa.ipc.open_file(data).read_all()]
    elif data[:4] == b"\xff\xff\xff\xff":
        tables = [pa.ipc.open_stream(data).read_all()]
    return any(text in repr(table.to_pylist()) for table in tables)


def take_out(project: Project) -> None:
    """Take the person out of the sources themselves."""
    for path in (project.folder / "data").rglob("*.csv"):
        lines = [line for line in path.read_text().splitlines(keepends=True) if PERSON not in line]
        path.write_text("".join(lines))


def test_not_a_byte_of_the_person_is_left(shop: Project) -> None:
    """Snapshots, datasets, log, outcomes, online store and the ledger's free pages; each row of others stays."""
    root = shop.folder / ".headway"
    for place in ("blobs", "predictions"):
        assert files_with(root / place, PERSON)
    rows = {each.source: each.rows for each in shop.data.versions()}
    told = shop.data.erase(ENTITY, dry_run=True)
    assert files_with(root, PERSON)
    assert told.removed["customers"] == 1
    assert told.removed["deliveries"] > 30
    assert {"datasets", "outcomes", "predictions"} <= told.removed.keys()

    done = shop.data.erase(ENTITY, by="Privacy desk", why="Article 17, request 12")
    assert files_with(root, PERSON) == []
    assert done.left == ()
    for place in ("customers", "deliveries", "datasets", "predictions", "outcomes", "feature store"):
        assert done.removed[place] > 0, place
    assert {place: done.removed[place] for place in told.removed} == told.removed
    assert set(done.in_sources) == {"customers", "deliveries"}
    left = {each.source: each for each in shop.data.versions() if each.state == "redacted"}
    assert left["customers"].redacted_rows == 1
    assert rows["customers"] == 61
    assert len(done.datasets) == 1
    (run,) = shop.store.ledger.runs()
    (release,) = shop.store.ledger.releases()
    assert set(done.models) == set(told.models) == {run.model, release.model}
    dataset = shop.store.get(done.datasets[0], Dataset)
    assert shop.store.blobs.redaction(dataset.table) is not None
    keys = pq.read_table(shop.store.blobs.path(dataset.table))["key:delivery"].to_pylist()
    assert len(keys) == dataset.rows - done.removed["datasets"]
    assert not any(key % 61 == 60 for key in keys)


def test_what_is_left_is_whole_and_says_that_it_was_redacted(shop: Project, tmp_path: Path) -> None:
    """Old digests still lead to what is left; the store goes on working."""
    before = {each.version: each for each in shop.data.versions()}
    (asked, *_) = _predictions(shop, not_of=PERSON)
    shop.data.erase(ENTITY, by="Privacy desk", why="request 12")
    checked = shop.data.verify()
    assert checked.damaged == ()
    redacted = {each.version for each in shop.data.versions() if each.state == "redacted"}
    assert set(checked.redacted) == redacted
    assert list(before) == [each.version for each in shop.data.versions()]
    out = shop.data.checkout("customers", tmp_path / "left.csv")
    assert (out.rows, out.redacted_rows) == (60, 1)
    assert PERSON not in (tmp_path / "left.csv").read_text()
    assert shop.trace(asked).replayed_equal
    answer = {"leaves": "2024-03-25T12:00:00Z", "depot": "North", "distance": 3.0, "customer": "Customer 001"}
    assert shop.predict([{"delivery": 9, **answer}]).num_rows == 1
    take_out(shop)
    shop.run()
    assert files_with(shop.folder / ".headway", PERSON) == []
    newest = list(shop.data.versions("customers"))[-1]
    assert (newest.state, newest.rows) == ("living", 60)


def test_the_erasure_is_recorded_without_the_person(shop: Project) -> None:
    """Who asked, when and why, how much it took; neither the value nor a hash of it."""
    done = shop.data.erase(ENTITY, by="Privacy desk", why="request 12")
    (begun,) = [entry.event for entry in shop.store.ledger.events(ErasureBegun)]
    (finished,) = [entry.event for entry in shop.store.ledger.events(ErasureFinished)]
    assert (begun.source, begun.columns, begun.by, begun.why) == (
        "customers",
        ("customer",),
        "Privacy desk",
        "request 12",
    )
    assert finished.removed == done.removed
    (known,) = shop.data.erasures()
    assert known.finished
    assert known.models == done.models
    assert shop.store.ledger.verify().seq > 0


def test_the_tables_can_be_made_again_from_what_is_left(shop: Project) -> None:
    """A batch of outcomes was redacted; a rebuild comes to the tables as they are, and no batch is taken as damaged."""
    blobs, ledger = shop.store.blobs, shop.store.ledger
    shop.data.erase(ENTITY, by="Privacy desk", why="request 12")
    before = ledger.outcomes()
    assert 0 < len(before) < 48
    ledger.rebuild(blobs.read, redacted=lambda digest: blobs.redaction(digest) is not None)
    assert ledger.outcomes().equals(before)
    with pytest.raises(StoreCorrupt):
        ledger.rebuild(blobs.read)


def test_erasing_again_finds_nothing(shop: Project) -> None:
    """And changes nothing."""
    shop.data.erase(ENTITY, by="Privacy desk", why="request 12")
    versions = [(each.version, each.rows, each.redacted_rows) for each in shop.data.versions()]
    again = shop.data.erase(ENTITY, by="Privacy desk", why="to be sure")
    assert not any(again.removed.values())
    assert versions == [(each.version, each.rows, each.redacted_rows) for each in shop.data.versions()]


@pytest.mark.parametrize(
    "breaks", ["erase_outcomes", "scrub", "erase_predictions", "_rewrite_snapshots", "_rewrite_tables", "_fill_again"]
)
def test_an_erasure_that_was_cut_off_is_finished_by_the_next(shop: Project, monkeypatch, breaks: str) -> None:
    """Wherever it stops, the store opens, says that it is not finished, and asking again finishes it."""
    import headway.loop.erasure as module

    where = module._Work if breaks.startswith("_") else module

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, breaks, stop)
        with pytest.raises(KeyboardInterrupt):
            shop.data.erase(ENTITY, by="Privacy desk", why="request 12")
    shop.close()
    assert [each.finished for each in shop.data.erasures()] == [False]
    assert shop.data.verify().damaged == ()
    assert shop.data.erase(ENTITY, by="Privacy desk", why="request 12").left == ()
    assert files_with(shop.folder / ".headway", PERSON) == []
    assert len(shop.store.ledger.outcomes()) == len(_predictions(shop, not_of=PERSON))


_ERASE = """
import os, pathlib, signal, sys
from headway.api import Project

count, last = 0, int(sys.argv[3])

def dying(call):
    def counted(*given, **named):
        global count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **named)
    return counted

with Project.open(sys.argv[1], as_of="2024-03-26") as project:
    project.material()
    for place, name in ((pathlib.Path, "unlink"), (pathlib.Path, "replace"), (os, "pwrite"), (os, "fsync")):
        setattr(place, name, dying(getattr(place, name)))
    project.data.erase(sys.argv[2], by="Privacy desk", why="request 12")
print(count)
"""


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_killed_erasure_leaves_a_store_that_opens_and_can_be_finished(
    shop: Project, changes_of_an_erasure: int, share: float
) -> None:
    """SIGKILL just before a file is changed, moved or removed, early or late among all these."""
    shop.close()
    last = str(max(1, round(share * changes_of_an_erasure)))
    killed = subprocess.run([sys.executable, "-c", _ERASE, str(shop.folder), ENTITY, last], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert shop.store.ledger.verify().seq > 0
    assert shop.data.verify().damaged == ()
    shop.data.erase(ENTITY, by="Privacy desk", why="request 12")
    assert files_with(shop.folder / ".headway", PERSON) == []
    assert len(shop.store.ledger.outcomes()) == len(_predictions(shop, not_of=PERSON))


@pytest.fixture(scope="module")
def changes_of_an_erasure(_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return how often an erasure that nobody disturbs changes, moves or removes a file."""
    folder = shutil.copytree(_shop, tmp_path_factory.mktemp("calm") / "shop")
    done = subprocess.run(
        [sys.executable, "-c", _ERASE, str(folder), ENTITY, "0"], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


_BEGIN_TO_KEEP = """
import sys, time
from headway.blobs import FolderBlobs
with FolderBlobs(sys.argv[1]).scratch() as folder:
    (folder / "rows.parquet").write_text(sys.argv[2])
    print("written", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_writer_left_behind_goes_as_well(shop: Project) -> None:
    """However young it is; but not what a living process is about to keep, which is named."""
    blobs = shop.folder / ".headway" / "blobs"
    process = subprocess.Popen([sys.executable, "-c", _BEGIN_TO_KEEP, str(blobs), PERSON], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    (named,) = shop.data.erase(ENTITY, by="Privacy desk", why="request 12").left
    assert named.endswith("rows.parquet")
    process.kill()
    process.wait()
    process.stdout.close()
    assert shop.data.erase(ENTITY, by="Privacy desk", why="again").left == ()
    assert not list((blobs / "tmp").iterdir())


def test_a_reader_of_an_old_state_of_the_ledger_keeps_an_erasure_from_being_called_finished(shop: Project) -> None:
    """Its write-ahead log still holds what was deleted; when the reader is gone, asking again finishes it."""
    path = shop.folder / ".headway" / "ledger.db"
    others = set(_predictions(shop, not_of=PERSON))
    ids = [each for each in _predictions(shop, not_of="") if each not in others]

    def stand() -> bool:
        """Say whether an id of the person's predictions stands in the ledger's files."""
        files = [each.read_bytes() for each in path.parent.glob("ledger.db*")]
        return any(known.encode() in data for known in ids for data in files)

    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM outcomes").fetchone()
    with pytest.raises(StoreBusy, match="Ask for the erasure again"):
        shop.data.erase(ENTITY, by="Privacy desk", why="request 12")
    assert [each.finished for each in shop.data.erasures()] == [False]
    assert stand()
    reader.close()
    shop.data.erase(ENTITY, by="Privacy desk", why="request 12")
    assert not stand()


def test_sources_that_are_read_while_somebody_is_erased_are_read_again(shop: Project, monkeypatch) -> None:
    """What was taken over from the version before is not recorded: it may be gone."""
    import headway.loop.sources as module

    path = shop.folder / "data" / "customers.csv"
    path.write_text(path.read_text() + "Customer 061,gold\n")
    real = module.collect

    def erased_meanwhile(name, *rest, **options):
        found = real(name, *rest, **options)
        if name == "customers":
            with Project.open(shop.folder, as_of="2024-03-26") as other:
                other.data.erase(ENTITY, by="Privacy desk", why="request 12")
        return found

    versions = len(shop.data.versions())
    with monkeypatch.context() as patch:
        patch.setattr(module, "collect", erased_meanwhile)
        with pytest.raises(StoreBusy, match="Run it again"):
            shop.material()
    assert len(shop.data.versions()) == versions
    assert shop.data.verify().damaged == ()
    take_out(shop)
    shop.material()
    assert shop.data.verify().damaged == ()
    assert files_with(shop.folder / ".headway", PERSON) == []


def test_nobody_reads_the_sources_while_somebody_is_erased(shop: Project, monkeypatch) -> None:
    """The error says who is at it."""
    import headway.loop.sources as module

    monkeypatch.setattr(module, "_PATIENCE_S", 0.1)
    with shop.store.ledger.lease("erase", owner="Privacy desk"), pytest.raises(StoreBusy, match="Privacy desk"):
        shop.material()


def test_a_legal_hold_comes_first(shop: Project) -> None:
    """Nothing is touched, and the error says whose hold it is."""
    shop.data.hold("deliveries", by="Counsel", why="case 7")
    with pytest.raises(GateClosed, match="Counsel: case 7"):
        shop.data.erase(ENTITY, by="Privacy desk", why="request 12")
    assert shop.data.erasures() == []
    shop.data.release_hold("h1", by="Counsel", why="settled")
    shop.data.hold("depots", by="Counsel", why="case 8: has nothing to do with it")
    assert shop.data.erase(ENTITY, by="Privacy desk", why="request 12").left == ()


def test_what_names_nobody_is_refused_in_words(shop: Project) -> None:
    """A source or column that is not there, a value that does not fit, nobody who asks."""
    with pytest.raises(NotFound, match="no column 'costumer'") as caught:
        shop.data.erase("customers costumer=x", dry_run=True)
    assert "customer" in caught.value.hint
    with pytest.raises(NotFound, match="client"):
        shop.data.erase("client id=x", dry_run=True)
    for text in ("customers", "customers customer=O'Brien"):
        with pytest.raises(DataError, match="names no entity") as wrong:
            shop.data.erase(text, dry_run=True)
        assert 'customers "name=Ada O\'Brien"' in wrong.value.hint
    assert shop.data.erase('customers "customer=Ada O\'Brien"', dry_run=True).removed["customers"] == 0
    with pytest.raises(DataError, match="holds int"):
        shop.data.erase("deliveries delivery=x", dry_run=True)
    with pytest.raises(GateClosed, match="name and a reason"):
        shop.data.erase(ENTITY)


def test_a_column_that_is_named_twice_is_refused(shop: Project) -> None:
    """Only the second of two persons would be erased, and nobody would know; whoever asked is told, nothing is."""
    with pytest.raises(DataError, match="names the column 'delivery' twice") as caught:
        shop.data.erase("deliveries delivery=3 delivery=4", by="Privacy desk", why="requests 12 and 13")
    assert "one entity at a time" in caught.value.hint
    assert shop.data.erasures() == []


def _predictions(project: Project, *, not_of: str) -> list[str]:
    from headway.predictions.reader import Reader

    found = [each for batch in Reader(project.store.predictions).scan() for each in batch.predictions]
    return [each.id for each in found if each.row["customer"] != not_of]


def test_versions_with_other_columns_are_erased_from_as_well(tmp_path: Path) -> None:
    """What an older version lacks, or holds as another kind, stops no erasure; what only it has is reached."""
    folder = tmp_path / "kinds"
    with deliveries.begun(folder) as project:
        _with_calls(project, "caller,said\n90704711,ring\n4712,rang\n")
        _with_calls(
            project, "caller,said\n90704711,ring\nquirrelmoss,rung\n"
        )  # a name: the brief now says it is a text
        _with_calls(project, "said\nring\n")
        _with_calls(project, "said,caller,mood\nring,90704711,gay\nrong,4713,sad\n")
        assert project.data.erase("calls caller=090704711", dry_run=True).snapshots == ()  # somebody else
        project.data.erase("calls mood=sad", by="Privacy desk", why="request 11")
        assert project.data.erase("calls caller=4712", dry_run=True).snapshots != ()
        assert project.data.erase("calls caller=quirrelmoss", by="Privacy desk", why="request 12").left == ()
        done = project.data.erase("calls caller=90704711", by="Privacy desk", why="request 13")
        assert (done.left, len(done.snapshots)) == ((), 3)
        root = project.folder / ".headway"
        assert [files_with(root, text) for text in ("quirrelmoss", "rung", "90704711")] == [[], [], []]
        assert files_with(root, "4712")
        assert project.data.verify().damaged == ()


def _with_calls(project: Project, text: str) -> None:
    """Read a further source as it now stands."""
    (project.folder / "data" / "calls.csv").write_text(text)
    types = 'types = { caller = "text" }' if "quirrelmoss" in text or "mood" in text else ""
    brief = deliveries.BRIEF.replace(
        "[target]", f'[sources.calls]\npath = "data/calls.csv"\n{_EITHER}{types}\n\n[target]'
    )
    (project.folder / "headway.toml").write_text(brief)
    project.check()


_EITHER = 'missing_columns = "fill"\nextra_columns = "add"\n'


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
def test_a_timeline_whose_key_is_of_another_kind_is_forgotten(
    shop: Project, monkeypatch: pytest.MonkeyPatch, kind: pa.DataType
) -> None:
    """The person may be a number in one source and a text in another; the online store holds either."""
    path, schema = shop.folder / "timeline.arrow", pa.schema([("caller", kind)])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        writer.write_table(pa.table({"caller": [90704711]}, schema=schema))
    blob = shop.store.blobs.put(path)
    path.unlink()
    monkeypatch.setattr("headway.loop.erasure._Work._matches", lambda _: {"customers": {"customer": "90704711"}})
    shop.data.erase("customers customer=90704711", by="Privacy desk", why="request 12")
    assert not shop.store.blobs.has(blob)
