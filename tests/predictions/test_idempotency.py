"""The same key gets the same answer, whoever is asked, and after any crash."""

from __future__ import annotations

import threading

import pytest

from headway.errors import RequestError, StoreBusy
from headway.nouns.clock import FixedClock, ReplayClock
from headway.nouns.span import DAY
from headway.predictions import idempotency as idempotency_module
from headway.predictions.idempotency import Idempotency
from headway.predictions.reader import Reader
from headway.predictions.writer import Writer

NOW_US = 1_380_585_600_000_000


@pytest.fixture
def keyed(prediction):
    """Return the maker of the answers to one request of several rows under a key."""

    def make(key, *, rows=1, digest="d", served_us=NOW_US):
        return [
            prediction(n, idempotency=key, body_digest=digest, row_number=n, rows=rows, served_us=served_us)
            for n in range(rows)
        ]

    return make


def test_a_repeated_key_gets_what_was_answered_before(tmp_path, keyed):
    """All rows in their order, from the log itself."""
    known = Idempotency(tmp_path, clock=FixedClock(NOW_US))
    assert known.seen("k", "d") is None
    with Writer(tmp_path) as log:
        ids = log.append_many(keyed("k", rows=3))
        assert [each.id for each in known.seen("k", "d")] == ids
        assert known.seen("other", "d") is None


def test_another_process_and_a_restarted_one_know_it_too(tmp_path, keyed):
    """There is no state but the log."""
    neighbour = Idempotency(tmp_path, clock=FixedClock(NOW_US))
    with Writer(tmp_path) as log:
        ids = log.append_many(keyed("k", rows=2))
    assert [each.id for each in neighbour.seen("k", "d")] == ids
    assert [each.id for each in Idempotency(tmp_path, clock=FixedClock(NOW_US)).seen("k", "d")] == ids


def test_the_same_key_with_another_body_is_refused_by_name(tmp_path, keyed):
    """It is a mistake of the client, who would get a wrong answer otherwise."""
    with Writer(tmp_path) as log:
        log.append_many(keyed("k"))
    with pytest.raises(RequestError, match="'k' was used before, with another body"):
        Idempotency(tmp_path, clock=FixedClock(NOW_US)).seen("k", "other")


def test_a_request_that_a_crash_cut_short_counts_as_new(tmp_path, keyed):
    """Two of its three rows reached the disk: nobody was told, so it is answered anew, and that answer stands."""
    with Writer(tmp_path) as log:
        log.append_many(keyed("k", rows=3)[:2])
        known = Idempotency(tmp_path, clock=FixedClock(NOW_US))
        assert known.seen("k", "d") is None
        ids = log.append_many(keyed("k", rows=3))
        assert [each.id for each in known.seen("k", "d")] == ids
    assert [each.id for each in Idempotency(tmp_path, clock=FixedClock(NOW_US)).seen("k", "d")] == ids


def test_a_key_is_forgotten_after_a_day_by_the_clock(tmp_path, keyed):
    """Then it may come with another body; the clock is the one that was given."""
    clock = ReplayClock(NOW_US)
    known = Idempotency(tmp_path, clock=clock)
    with Writer(tmp_path) as log:
        log.append_many(keyed("k"))
        clock.move_to(NOW_US + DAY)
        assert known.seen("k", "d") is not None
        clock.move_to(NOW_US + DAY + 1)
        assert known.seen("k", "other") is None
        ids = log.append_many(keyed("k", digest="other", served_us=NOW_US + DAY + 1))
        assert [each.id for each in known.seen("k", "other")] == ids


def test_the_least_recently_used_keys_go_first(tmp_path, keyed):
    """Memory is bounded, whatever clients send."""
    known = Idempotency(tmp_path, clock=FixedClock(NOW_US), max_keys=3)
    with Writer(tmp_path) as log:
        for key in "abc":
            log.append_many(keyed(key))
        assert known.seen("a", "d") is not None
        log.append_many(keyed("e"))
    assert known.seen("b", "d") is None
    assert known.seen("a", "d") is not None
    assert len(known) == 3


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "ä"])
def test_a_malformed_key_is_refused(tmp_path, key):
    """Before anything is looked up."""
    with pytest.raises(RequestError, match="printable ASCII"):
        Idempotency(tmp_path, clock=FixedClock(NOW_US)).seen(key, "d")


def test_two_at_once_with_one_key_give_one_answer(tmp_path, keyed):
    """Eight, each with a writer and a memory of its own as eight processes have, repeat forty keys."""
    answers, errors = {}, []
    barrier = threading.Barrier(8)
    tmp_path.joinpath("log").mkdir()

    def serve():
        try:
            known = Idempotency(tmp_path / "log", clock=FixedClock(NOW_US))
            with Writer(tmp_path / "log") as log:
                barrier.wait()
                for n in range(40):
                    with known.hold(f"k{n}", "d") as before:
                        ids = log.append_many(keyed(f"k{n}", rows=2)) if before is None else [x.id for x in before]
                    answers.setdefault(n, set()).add(tuple(ids))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
            errors.append(error)

    threads = [threading.Thread(target=serve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [len(each) for each in answers.values()] == [1] * 40
    assert Reader(tmp_path / "log").count() == 80


def test_a_key_that_is_held_too_long_is_busy(tmp_path, monkeypatch):
    """The second asker gets an error to try again on, and does not hang."""
    monkeypatch.setattr(idempotency_module, "_PATIENCE_S", 0.02)
    known = Idempotency(tmp_path, clock=FixedClock(NOW_US))
    with known.hold("k", "d"), pytest.raises(StoreBusy, match="being answered"), known.hold("k", "d"):
        pass
    with known.hold("k", "d") as before:
        assert before is None


def test_damage_in_the_log_does_not_keep_a_server_from_starting(tmp_path, keyed):
    """The other keys are known; the damage is for others to report."""
    with Writer(tmp_path) as log:
        first, _ = log.append_many([*keyed("a"), *keyed("b")])
    path = tmp_path / "000001.log"
    data = bytearray(path.read_bytes())
    data[int(first.split("-")[1], 16) + 30] ^= 1
    path.write_bytes(data)
    known = Idempotency(tmp_path, clock=FixedClock(NOW_US))
    assert (known.seen("a", "d"), len(known.seen("b", "d"))) == (None, 1)
