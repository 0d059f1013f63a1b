"""The bytes: what is torn, what is damaged, and what is neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import NotFound, StoreCorrupt, StoreTooNew
from headway.predictions import segment
from headway.predictions.segment import Damage, Frame, Header

HEADER = Header(7, b"0123456789abcdef")
PAYLOADS = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6)


def frames_of(payloads, *, base):
    """Return the bytes of the payloads as frames that start at ``base``."""
    data = b""
    for payload in payloads:
        frame = bytearray(segment.FRAME_BYTES) + payload
        HEADER.seal(frame, offset=base + len(data))
        data += frame
    return data


def walked(data, *, base):
    """Return the payloads, and whatever else the walk has to say."""
    each = list(segment.walk(data, number=7, base=base, file="f"))
    return [bytes(x.payload) for x in each if isinstance(x, Frame)], [x for x in each if not isinstance(x, Frame)]


@given(payloads=PAYLOADS, base=st.integers(32, 2**20))
def test_what_was_framed_is_walked(payloads, base):
    """All payloads come back in order, and nothing else."""
    assert walked(frames_of(payloads, base=base), base=base) == (payloads, [])


@given(payloads=PAYLOADS, data=st.data())
def test_a_file_cut_anywhere_keeps_all_records_before_the_cut(payloads, data):
    """A torn tail is recognised at every byte, and takes only the record that it cuts."""
    whole = frames_of(payloads, base=32)
    cut = data.draw(st.integers(0, len(whole)))
    found, others = walked(whole[:cut], base=32)
    assert found == payloads[: len(found)]
    kept = len(frames_of(found, base=32))
    assert others == ([] if kept == cut else ["torn"])


def test_the_last_record_may_be_torn_at_each_of_its_bytes():
    """As above, exhaustively, and with the zeros that a file system may leave after a loss of power."""
    first, whole = frames_of([b"one"], base=32), frames_of([b"one", b"two and a half"], base=32)
    for cut in range(len(first) + 1, len(whole)):
        assert walked(whole[:cut], base=32) == ([b"one"], ["torn"])
    for cut in range(len(first), len(whole), 4):
        assert walked(whole[:cut] + bytes(4_096), base=32)[0] == [b"one"]
    assert walked(first + bytes(4_096), base=32) == ([b"one"], ["torn"])


@given(payloads=PAYLOADS, data=st.data())
def test_a_flipped_bit_is_found_and_costs_one_record(payloads, data):
    """Every other record is still read; the damage is named with its place unless it is a cut-off tail."""
    whole = bytearray(frames_of(payloads, base=32))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    hit = next(n for n in range(len(payloads)) if len(frames_of(payloads[: n + 1], base=32)) > at)
    found, others = walked(bytes(whole), base=32)
    assert found == payloads[:hit] + payloads[hit + 1 :]
    start = 32 + len(frames_of(payloads[:hit], base=32))
    if hit < len(payloads) - 1:
        assert others == [Damage("f", start, segment.FRAME_BYTES + len(payloads[hit]))]
    else:
        assert others in (["torn"], ["damaged"])


def test_a_frame_is_valid_in_one_place_alone():
    """Bytes that a disk has put elsewhere, or that are another segment's, are no record."""
    data = frames_of([b"payload"], base=32)
    assert walked(data, base=36)[0] == []
    assert list(segment.walk(data, number=8, base=32, file="f")) == ["damaged"]


def test_text_that_looks_like_a_frame_is_not_taken_for_one():
    """A client who knows the marker cannot smuggle a record in: a payload is passed over whole."""
    inner = frames_of([b"forged"], base=32 + segment.FRAME_BYTES)
    assert walked(frames_of([inner, b"next"], base=32), base=32) == ([inner, b"next"], [])


def test_ids_are_read_back_in_either_case_and_sort_by_place(tmp_path):
    """The text form is stable: fixed width, so that ids of one segment sort as they were given."""
    ids = [HEADER.id_at(offset) for offset in (32, 300, 5_000, 2**27)]
    assert ids == sorted(ids)
    assert segment.parse_id(ids[2].upper(), folder=tmp_path)[:2] == (7, 5_000)


@pytest.mark.parametrize("text", ["", "1-2-3", "000007-0000020-zzzzzzzz", "../../etc/passwd", "x" * 500])
def test_what_is_no_id_is_not_found_and_the_error_shows_one(text, tmp_path):
    """The message says what was found and how an id looks."""
    with pytest.raises(NotFound, match=r"is not the id of a prediction.*looks like") as caught:
        segment.parse_id(text, folder=tmp_path)
    assert len(str(caught.value)) < 400


def test_a_header_of_a_later_format_asks_for_an_upgrade(tmp_path, monkeypatch):
    """It is neither read by guess nor called corrupt."""
    monkeypatch.setattr(segment, "VERSION", 9)
    raw = HEADER.to_bytes()
    monkeypatch.undo()
    with pytest.raises(StoreTooNew, match="Upgrade"):
        segment.read_header(raw, file=tmp_path / "f", number=7)


def test_a_header_of_another_segment_is_corrupt(tmp_path):
    """A renamed file would otherwise answer to ids that are not its own."""
    assert segment.read_header(HEADER.to_bytes(), file=tmp_path / "f", number=7) == HEADER
    with pytest.raises(StoreCorrupt, match="another segment's"):
        segment.read_header(HEADER.to_bytes(), file=tmp_path / "f", number=8)
