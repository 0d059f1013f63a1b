"""What is appended stays, in order, unchanged; and whoever changes it is found out."""

from __future__ import annotations

import math
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from headway.errors import NotFound, StoreBusy, StoreCorrupt, StoreError, StoreFull
from headway.ledger import Head, Ledger, LedgerBook
from headway.nouns.event import Alerted, BriefSeen, FindingCleared, ProjectOpened, RunStarted, TrialFinished

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path


def seen(number: int) -> BriefSeen:
    """Return that the brief of a number was seen."""
    return BriefSeen(brief=f"b{number}", text=f"t{number}")


def test_events_come_back_in_order_with_both_their_times(where: Any) -> None:
    """What was appended is what is read, on each kind of database; kinds and beginnings can be chosen."""
    with Ledger.open(where) as ledger:
        assert ledger.head() == ledger.verify() == Head(seq=0, hash="0" * 64)
        assert ledger.append(ProjectOpened(name="flights", version="1"), now_us=5) == 1
        assert list(ledger.append_many([seen(1), seen(2)], now_us=7, effective_us=3)) == [2, 3]
        assert list(ledger.append_many([], now_us=9)) == []
        entries = list(ledger.events())
        assert [(entry.seq, entry.recorded_us, entry.effective_us) for entry in entries] == [
            (1, 5, 5),
            (2, 7, 3),
            (3, 7, 3),
        ]
        assert [entry.event for entry in ledger.events(BriefSeen)] == [seen(1), seen(2)]
        assert [entry.seq for entry in ledger.events("BriefSeen", since=2)] == [3]
        assert ledger.head() == ledger.verify() == Head(seq=3, hash=entries[-1].hash)
    with Ledger.open(where, create=False) as ledger:
        assert list(ledger.events()) == entries
        assert ledger.brief_text("b2") == "t2"


def test_many_events_are_read_in_pages(ledger: Ledger) -> None:
    """More than a page, all of them, once."""
    ledger.append_many([seen(number) for number in range(4500)], now_us=1)
    assert [entry.seq for entry in ledger.events()] == list(range(1, 4501))
    assert ledger.verify().seq == 4500


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        ("UPDATE events SET body = replace(body, 't3', 't9') WHERE seq = 3", r"Event 3 \(BriefSeen\) was changed"),
        ("UPDATE events SET effective_us = 0 WHERE seq = 2", r"Event 2 \(BriefSeen\) was changed"),
        ("UPDATE events SET kind = 'Alerted' WHERE seq = 4", r"Event 4 \(Alerted\) was changed"),
        ("DELETE FROM events WHERE seq = 3", "Event 4 follows event 2"),
        ("DELETE FROM events WHERE seq = 1", "Event 2 follows event 0"),
        ("UPDATE events SET seq = 0 WHERE seq = 1", "Event 0 follows event 0"),
        ("UPDATE events SET hash = previous WHERE seq = 2", "Event 2 .* was changed"),
        ("UPDATE events SET previous = hash WHERE seq = 3", "Event 3 does not continue event 2"),
    ],
)
def test_the_first_broken_link_is_found(ledger: Ledger, tmp_path: Path, tamper: str, found: str) -> None:
    """Changed, taken out or renumbered: the message names the event."""
    ledger.append_many([seen(number) for number in range(1, 6)], now_us=1)
    ledger.verify()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("DROP TRIGGER events_no_UPDATE")
        connection.execute("DROP TRIGGER events_no_DELETE")
        connection.execute(tamper)
    connection.close()
    with pytest.raises(StoreCorrupt, match=found):
        ledger.verify()


def test_a_head_kept_elsewhere_finds_what_the_chain_alone_cannot(ledger: Ledger, tmp_path: Path) -> None:
    """A chain whose end was cut off still links; the remembered head does not fit it."""
    ledger.append_many([seen(1), seen(2), seen(3)], now_us=1)
    anchor = ledger.head()
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("DROP TRIGGER events_no_DELETE")
        connection.execute("DELETE FROM events WHERE seq = 3")
    connection.close()
    assert ledger.verify().seq == 2
    with pytest.raises(StoreCorrupt, match="does not hold the event 3"):
        ledger.verify(anchor)
    ledger.append(seen(4), now_us=2)
    with pytest.raises(StoreCorrupt, match="does not hold the event 3"):
        ledger.verify(anchor)


@pytest.mark.parametrize("statement", ["UPDATE events SET kind = 'x'", "DELETE FROM events"])
def test_the_database_itself_refuses_to_change_events(where: Any, statement: str) -> None:
    """A slip of another program is stopped by a trigger."""
    with Ledger.open(where) as ledger:
        ledger.append(seen(1), now_us=1)
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), ledger._engine.begin() as connection:
            connection.execute(sa.text(statement))
        assert ledger.verify().seq == 1


@pytest.mark.parametrize(
    "event",
    [
        TrialFinished(study="s", number=1, algorithm="a", settings={}, scores={"ap": math.nan}, seconds=1.0),
        RunStarted(run="r", brief="b", as_of_us=1, seed=1, environment={"x": object()}),
        Alerted(finding="\ud800", to="log"),
    ],
)
def test_what_has_no_json_is_refused_and_nothing_is_written(ledger: Ledger, event: Any) -> None:
    """The error names the kind of event."""
    with pytest.raises(StoreError, match=f"{type(event).__name__} cannot be recorded"):
        ledger.append_many([seen(1), event], now_us=1)
    assert ledger.head().seq == 0


def test_an_unknown_kind_is_refused(ledger: Ledger) -> None:
    """A misspelt kind would look like an empty history."""
    with pytest.raises(ValueError, match="no event 'BriefsSeen'"):
        ledger.events("BriefsSeen")


def test_writers_in_many_threads_and_processes_make_one_chain(
    where: Any, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    """Whoever writes at the same time queues: no number is given twice, no link is lost."""
    script = """
        import sys
        from headway.ledger import Ledger
        from headway.nouns.event import BriefSeen
        with Ledger.open(sys.argv[1]) as ledger:
            for number in range(15):
                print(ledger.append(BriefSeen(brief=f"{sys.argv[2]}-{number}", text=""), now_us=number))
    """
    processes = [spawn(script, where, name) for name in "ab"]  # they also race to create it
    numbers: list[int] = []
    with Ledger.open(where) as ledger:
        append = lambda: numbers.extend(ledger.append(seen(at), now_us=at) for at in range(15))  # noqa: E731
        threads = [threading.Thread(target=append) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for process in processes:
            out, errors = process.communicate()
            assert errors == ""
            numbers.extend(map(int, out.split()))
        assert sorted(numbers) == list(range(1, 61))
        assert ledger.verify().seq == 60


def test_a_writer_that_waits_too_long_is_told_so_and_readers_do_not_wait(where: Any) -> None:
    """While another holds the writer's lock, reading goes on and writing gives up after its patience."""
    with Ledger.open(where) as holder, Ledger.open(where, busy_timeout_s=0.1) as other:
        holder.append(seen(1), now_us=1)
        with holder._writing():
            assert other.head().seq == 1
            assert other.brief_text("b1") == "t1"
            with pytest.raises(StoreBusy, match="Another process is writing"):
                other.append(seen(2), now_us=2)
        assert other.append(seen(2), now_us=2) == 2


def test_a_rebuild_is_not_seen_before_it_is_done(ledger: Ledger, tmp_path: Path) -> None:
    """A rebuild that breaks leaves the tables; rows that no event made are gone after one that works."""
    ledger.append_many([seen(1), seen(2)], now_us=1)
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("INSERT INTO briefs VALUES ('made up', 't', 0)")
    connection.close()
    assert ledger.table("briefs").num_rows == 3
    assert ledger.rebuild(lambda _: b"") == 2
    assert ledger.table("briefs")["brief"].to_pylist() == ["b1", "b2"]


def test_a_failure_in_the_middle_of_a_call_undoes_the_whole_call(ledger: Ledger) -> None:
    """Events and projections are one transaction."""
    with pytest.raises(NotFound):
        ledger.append_many([seen(1), FindingCleared(finding="none", at_us=1)], now_us=1)
    assert ledger.head().seq == 0
    with pytest.raises(NotFound):
        ledger.brief_text("b1")


def test_a_killed_writer_loses_nothing_acknowledged(
    tmp_path: Path, spawn: Callable[..., subprocess.Popen[str]]
) -> None:
    """Kill -9 in mid-append, three times over: every printed number is there, and the chain is intact."""
    script = """
        import sys
        from headway.ledger import Ledger
        from headway.nouns.event import BriefSeen
        with Ledger.open(sys.argv[1]) as ledger:
            while True:
                print(ledger.append(BriefSeen(brief=str(ledger.head().seq), text="x" * 500), now_us=1), flush=True)
    """
    path, last = tmp_path / "ledger.sqlite", 0
    for lines in (1, 40, 150):
        process = spawn(script, path)
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(lines)]
        process.kill()
        told += [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        assert told == list(range(last + 1, last + 1 + len(told)))
        with Ledger.open(path, create=False) as ledger:
            last = ledger.verify().seq
            assert last >= told[-1]
            assert ledger.table("briefs").num_rows == last


@pytest.mark.skipif(
    not hasattr(sqlite3, "SQLITE_IOERR_WRITE"), reason="this Python does not tell SQLite's errors apart"
)
def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path, spawn: Callable[..., subprocess.Popen[str]]) -> None:
    """Under a limit on file sizes an append is refused; what was acknowledged is there, and later it goes on."""
    pytest.importorskip("resource")
    script = """
        import resource, sys
        from headway.errors import StoreFull
        from headway.ledger import Ledger
        from headway.nouns.event import BriefSeen
        with Ledger.open(sys.argv[1]) as ledger:
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
            done = 0
            try:
                while True:
                    done = ledger.append(BriefSeen(brief=str(done), text="x" * 9_000), now_us=1)
            except StoreFull as error:
                print(done, error)
            assert ledger.verify().seq == done
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            assert ledger.append(BriefSeen(brief="after", text=""), now_us=1) == done + 1
            ledger.verify()
    """
    out, errors = spawn(script, tmp_path / "ledger.sqlite").communicate()
    assert errors == ""
    assert int(out.split()[0]) >= 1
    assert "The ledger cannot grow" in out
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.verify().seq == int(out.split()[0]) + 1


def test_a_database_that_may_not_grow_is_full(ledger: Ledger) -> None:
    """SQLite's own word for no space."""
    with ledger._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull, match="database or disk is full"):
        ledger.append(BriefSeen(brief="b", text="x" * 100_000), now_us=1)
    assert ledger.verify().seq == 0


def test_the_book_of_steps_remembers(ledger: Ledger) -> None:
    """A step that was put is found by its key, with the clock that was handed in."""
    book = LedgerBook(ledger, now_us=lambda: 42)
    assert book.get("k") is None
    book.put("k", step="fit", output={"blob": "d"}, seconds=0.5)
    assert book.get("k") == {"blob": "d"}
    assert ledger.table("steps")["finished_us"].to_pylist() == [42]
    book.put("k", step="fit", output={"blob": "e"}, seconds=0.5)
    assert book.get("k") == {"blob": "e"}
    assert next(ledger.events()).event.step == "fit"  # type: ignore[union-attr]
