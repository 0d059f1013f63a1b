"""Erasing records of the log: their bytes are gone, all others stay where they were."""

from __future__ import annotations

import msgspec
import pytest

from headway.errors import NotFound
from headway.predictions.erasing import erase
from headway.predictions.reader import Reader
from headway.predictions.writer import Writer


def test_an_erased_prediction_is_gone_and_all_others_stay(tmp_path, prediction) -> None:
    """Not a byte of it is left in the folder; ids are places, and still find theirs."""
    with Writer(tmp_path) as writer:
        ids = writer.append_many([prediction(n, key={"person": f"person-{n:05d}"}, row={}) for n in range(50)])
    reader = Reader(tmp_path)
    assert reader.count() == 50
    assert erase(tmp_path, [ids[7], ids[31]]) == 2
    assert erase(tmp_path, [ids[7]]) == 0
    everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"person-00006" in everything
    assert b"person-00007" not in everything
    assert b"person-00031" not in everything
    with pytest.raises(NotFound, match="was erased"):
        reader.read(ids[7])
    assert reader.read(ids[8]).key == {"person": "person-00008"}
    assert reader.count() == 48
    left = [each.id for batch in reader.scan() for each in batch.predictions]
    assert left == [each for n, each in enumerate(ids) if n not in {7, 31}]


def test_a_log_that_grows_can_be_erased_from(tmp_path, prediction) -> None:
    """The server need not stop: what it appends meanwhile is not touched."""
    with Writer(tmp_path) as writer:
        first = writer.append(prediction(1))
        erase(tmp_path, [first])
        second = writer.append(prediction(2))
        assert Reader(tmp_path).read(second).latency_us == 2
        with pytest.raises(NotFound):
            Reader(tmp_path).read(first)


def test_what_an_erased_record_leaves_is_a_message_of_the_same_length() -> None:
    """Whatever reads the log record by record reads over it."""
    from headway.predictions.segment import erased, is_erased

    for length in (13, 64, 300, 70_000):
        left = erased(length)
        assert len(left) == length
        assert is_erased(memoryview(left))
        assert set(msgspec.msgpack.decode(left)) == {"erased"}
    with pytest.raises(ValueError, match="No record"):
        erased(12)
