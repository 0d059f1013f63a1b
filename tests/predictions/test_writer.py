"""Appending, with real processes, real kills, real limits."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections import Counter

import pytest

from headway.errors import RequestError, StoreError, StoreFull
from headway.predictions import writer as writer_module
from headway.predictions.reader import Reader
from headway.predictions.writer import Writer


def all_ids(folder):
    """Return the ids of all that a scan finds."""
    return [each.id for batch in Reader(folder).scan() for each in batch.predictions]


@pytest.mark.parametrize("batch", [1, 5])
def test_every_acknowledged_id_survives_a_kill_exactly_once(tmp_path, start_logging, batch):
    """SIGKILL under load, several times: what the process was told is there, once, and the log opens."""
    told = []
    for enough in (1, 50, 300):
        process = start_logging(tmp_path, batch=batch, count=10**9, segment_bytes=60_000)
        told += [process.stdout.readline().strip() for _ in range(enough)]
        process.send_signal(signal.SIGKILL)
        told += process.communicate()[0].split()
    # The kill may have cut the last line that the pipe took.
    told = [each for each in told if len(each) == 23]
    assert len(told) >= 351
    times = Counter(all_ids(tmp_path))
    assert set(told) <= set(times)
    assert set(times.values()) == {1}
    reader = Reader(tmp_path)
    for prediction_id in told[-200:]:
        assert reader.read(prediction_id).id == prediction_id
    with Writer(tmp_path) as after:
        assert reader.read(after.append(reader.read(told[0]))).id not in times


def test_two_processes_write_at_once_and_nothing_mixes(tmp_path, start_logging):
    """Each owns its segments; all records of both are there, each in the order of its process."""
    processes = [start_logging(tmp_path, release=name, count=1_500, segment_bytes=100_000) for name in "ab"]
    told = [process.communicate(timeout=60)[0].split() for process in processes]
    found = [each for batch in Reader(tmp_path).scan() for each in batch.predictions]
    for name, ids in zip("ab", told, strict=True):
        assert [each.id for each in found if each.release == name] == ids
        assert [each.served_us for each in found if each.release == name] == list(range(1_500))
    assert Reader(tmp_path).count() == 3_000


def test_the_id_is_in_the_record_and_one_write_makes_a_batch(tmp_path, prediction, monkeypatch):
    """One system call per append, however many records it has."""
    sizes, write = [], os.write
    with Writer(tmp_path) as log:
        log.append(prediction())
        monkeypatch.setattr(os, "write", lambda fd, data: sizes.append(len(data)) or write(fd, data))
        ids = log.append_many([prediction(n) for n in range(100)])
        log.append(prediction(1))
    assert len(sizes) == 2
    assert [Reader(tmp_path).read(each) for each in ids[:3]] == [prediction(n, id=ids[n]) for n in range(3)]
    assert len(set(ids)) == 100


def test_a_full_disk_leaves_a_clean_log_and_the_writer_goes_on(tmp_path, prediction):
    """With a real limit on the size of files: the half-written record is taken away; later appends succeed."""
    # Python ignores SIGXFSZ, so that the limit shows as an error of the write.
    assert signal.getsignal(signal.SIGXFSZ) == signal.SIG_IGN
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Writer(tmp_path) as log:
        ids = [log.append(prediction(n)) for n in range(10)]
        size = (tmp_path / "000001.log").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))  # room for a part of a record
        try:
            with pytest.raises(StoreFull, match=r"No room for a prediction.*Free some space"):
                log.append(prediction(10))
            assert (tmp_path / "000001.log").stat().st_size == size
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        ids.append(log.append(prediction(11)))
    assert all_ids(tmp_path) == ids
    assert [each.served_us for batch in Reader(tmp_path).scan() for each in batch.predictions][-1] == (
        prediction(11).served_us
    )


def test_no_room_for_a_new_segment_is_said_and_leaves_nothing_behind(tmp_path, prediction):
    """The failed beginning of a segment has no name and no rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Writer(tmp_path) as log:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            with pytest.raises(StoreFull, match="a new segment"):
                log.append(prediction())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]
        assert Reader(tmp_path).read(log.append(prediction())).row == prediction().row


def test_when_even_cutting_back_fails_the_segment_is_left(tmp_path, prediction, monkeypatch):
    """A record may then be torn in the middle of no file: the next append begins another one."""

    def refuse(*_):
        raise OSError(5, "Input/output error")

    write = os.write
    with Writer(tmp_path) as log:
        first = log.append(prediction(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", lambda fd, data: write(fd, data[:20]) if len(data) > 20 else refuse())
            patch.setattr(os, "ftruncate", refuse)
            with pytest.raises(StoreError):
                log.append(prediction(2))
        second = log.append(prediction(3))
    assert second.startswith("000002-")
    assert all_ids(tmp_path) == [first, second]


def test_a_failed_sync_ends_the_writer(tmp_path, prediction, monkeypatch):
    """After one failure no later success proves anything, so nothing more is acknowledged."""

    def fail(_):
        raise OSError(5, "Input/output error")

    log = Writer(tmp_path, level="disk")
    log.append(prediction())
    monkeypatch.setattr(writer_module, "_fdatasync", fail)
    with pytest.raises(StoreError, match="could not be brought to the disk"):
        log.append(prediction())
    with pytest.raises(StoreError, match="could not be brought to the disk"):
        log.append(prediction())
    with pytest.raises(StoreError, match="could not be brought to the disk"):
        log.close()
    log.close()


def test_level_disk_acknowledges_after_the_sync_and_threads_share_it(tmp_path, prediction, monkeypatch):
    """Each append returns only when a sync that began after its write has ended; eight threads need fewer than 8x."""
    synced, sync = [], writer_module._fdatasync

    def count(descriptor):
        size = os.fstat(descriptor).st_size
        sync(descriptor)
        synced.append(size)

    monkeypatch.setattr(writer_module, "_fdatasync", count)
    late = []
    with Writer(tmp_path, level="disk") as log:

        def work():
            for _ in range(25):
                offset = int(log.append(prediction()).split("-")[1], 16)
                if max(synced, default=0) <= offset:
                    late.append(offset)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert late == []
    assert Reader(tmp_path).count() == 200
    assert len(synced) < 200


def test_level_process_syncs_by_itself(tmp_path, prediction, monkeypatch):
    """What a loss of power can take is bounded: the record is on the disk soon, with nobody asking."""
    done, sync = threading.Event(), writer_module._fdatasync
    monkeypatch.setattr(writer_module, "_fdatasync", lambda fd: (sync(fd), done.set()))
    with Writer(tmp_path) as log:
        log.append(prediction())
        assert done.wait(10)


@pytest.mark.parametrize("value", [2**70, "\ud800", object()])
def test_what_cannot_be_logged_is_refused_and_nothing_is_written(tmp_path, prediction, value):
    """Not even the other records of the same batch."""
    with Writer(tmp_path) as log:
        kept = log.append(prediction())
        with pytest.raises(RequestError, match="cannot be logged"):
            log.append_many([prediction(1), prediction(2, row={"flight": value})])
        assert log.append_many([]) == []
    assert all_ids(tmp_path) == [kept]


def test_a_record_beyond_the_limit_is_refused(tmp_path, prediction):
    """Sixteen mebibytes are enough for a row."""
    with Writer(tmp_path) as log, pytest.raises(RequestError, match="too large"):
        log.append(prediction(row={"pad": "x" * 2**24}))


def test_a_writer_is_of_no_use_after_a_fork(tmp_path, prediction):
    """Two processes with one offset would overwrite each other."""
    log = Writer(tmp_path)
    log.append(prediction())
    log._process += 1
    with pytest.raises(StoreError, match="belongs to process"):
        log.append(prediction())
    log._process -= 1
    log.close()
    with pytest.raises(StoreError, match="was closed"):
        log.append(prediction())


def test_a_folder_that_cannot_be_made_is_an_error_with_its_name(tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="making the folder"):
        Writer(tmp_path / "file" / "log")


def test_segments_turn_over_and_are_summed_up(tmp_path, prediction):
    """A closed segment can be counted without being read."""
    with Writer(tmp_path, segment_bytes=2_000) as log:
        ids = [log.append(prediction(n)) for n in range(50)]
    logs, summaries = sorted(tmp_path.glob("*.log")), sorted(tmp_path.glob("*.summary"))
    assert len(logs) == len(summaries) > 5
    assert all_ids(tmp_path) == ids
    for path in logs:
        path.chmod(0)
        path.write_bytes(b"\0" * path.stat().st_size)
    assert Reader(tmp_path).count() == 50


def test_many_writers_that_begin_at_once_get_segments_of_their_own(tmp_path, prediction):
    """Each append begins a new segment, in eight writers: no number is given twice, no record lost."""
    told, barrier = [], threading.Barrier(8)

    def work(who):
        with Writer(tmp_path, segment_bytes=1) as log:
            barrier.wait()
            told.extend(log.append(prediction(n, release=str(who))) for n in range(20))

    threads = [threading.Thread(target=work, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each[:6] for each in told}) == 160
    assert sorted(all_ids(tmp_path)) == sorted(told)
    assert {path.suffix for path in tmp_path.iterdir() if path.name != "lock"} == {".log", ".summary"}
