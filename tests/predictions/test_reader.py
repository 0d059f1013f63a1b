"""Finding one, walking all, following what grows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import NotFound, StoreCorrupt
from headway.predictions import segment
from headway.predictions.reader import Cursor, Reader
from headway.predictions.writer import Writer


def served(batches):
    """Return the times of all answers of a scan."""
    return [each.served_us for batch in batches for each in batch.predictions]


@pytest.fixture
def filled(tmp_path, prediction):
    """Return a folder of several closed segments with sixty answers, served at 0 to 59, and their ids."""
    with Writer(tmp_path, segment_bytes=2_500) as log:
        ids = [log.append(prediction(n, served_us=n)) for n in range(60)]
    return tmp_path, ids


def offset_of(prediction_id):
    """Return where a record starts."""
    return int(prediction_id.split("-")[1], 16)


def damage(folder, prediction_id, *, at=20):
    """Flip a bit of a record."""
    path = folder / f"{prediction_id[:6]}.log"
    data = bytearray(path.read_bytes())
    data[offset_of(prediction_id) + at] ^= 4
    path.write_bytes(data)


def test_read_by_id_touches_one_segment_alone(filled):
    """No index and no scan: it works with all other files gone."""
    folder, ids = filled
    for path in folder.iterdir():
        if path.name != f"{ids[30][:6]}.log":
            path.unlink()
    assert Reader(folder).read(ids[30]).served_us == 30


def test_a_large_record_is_read_whole(tmp_path, prediction):
    """Larger than the first look at it."""
    with Writer(tmp_path) as log:
        prediction_id = log.append(prediction(row={"pad": "x" * 100_000}))
        assert len(Reader(tmp_path).read(prediction_id).row["pad"]) == 100_000


def test_a_mistyped_id_is_not_found_and_not_called_corrupt(filled):
    """Any one wrong digit, anywhere in the id."""
    folder, ids = filled
    reader, good = Reader(folder), ids[40]
    for at, character in enumerate(good):
        if character != "-":
            wrong = good[:at] + ("0" if character != "0" else "1") + good[at + 1 :]
            with pytest.raises(NotFound, match=r"mistyped"):
                reader.read(wrong)
    with pytest.raises(NotFound, match="no segment"):
        Reader(folder / "nowhere").read(good)


def test_a_damaged_record_is_corrupt_and_not_called_missing(filled):
    """The error names file and offset; its neighbours are still read."""
    folder, ids = filled
    damage(folder, ids[21])
    with pytest.raises(StoreCorrupt, match=rf"{ids[21][:6]}\.log, offset {offset_of(ids[21])}"):
        Reader(folder).read(ids[21])
    assert Reader(folder).read(ids[20]).served_us == 20
    assert Reader(folder).read(ids[22]).served_us == 22


def test_a_scan_stops_at_damage_or_passes_over_it_when_told(filled):
    """Nothing else is lost, and what was passed over is reported with its place."""
    folder, ids = filled
    damage(folder, ids[21])
    damage(folder, ids[59])
    with pytest.raises(StoreCorrupt, match=f"offset {offset_of(ids[21])}"):
        list(Reader(folder).scan())
    batches = list(Reader(folder).scan(skip_corrupt=True))
    assert served(batches) == [n for n in range(60) if n not in {21, 59}]
    assert [each.offset for batch in batches for each in batch.damage] == [offset_of(ids[21]), offset_of(ids[59])]


def test_a_lost_header_loses_no_record(filled):
    """Frames are recognised by the number of their segment."""
    folder, ids = filled
    path = folder / f"{ids[0][:6]}.log"
    path.write_bytes(b"\0" * 32 + path.read_bytes()[32:])
    with pytest.raises(StoreCorrupt, match="offset 0"):
        list(Reader(folder).scan())
    assert served(Reader(folder).scan(skip_corrupt=True)) == list(range(60))
    assert Reader(folder).read(ids[0]).served_us == 0


def test_the_last_record_of_a_dead_writer_may_be_torn_anywhere(tmp_path, prediction):
    """At every byte: all before it are read, no error, and reading on finds nothing new."""
    with Writer(tmp_path) as log:
        ids = [log.append(prediction(n, served_us=n)) for n in range(3)]
    path = tmp_path / "000001.log"
    whole = path.read_bytes()
    for cut in range(offset_of(ids[2]), len(whole)):
        (tmp_path / "000001.summary").unlink(missing_ok=True)
        path.write_bytes(whole[:cut])
        batches = list(Reader(tmp_path).scan())
        assert served(batches) == [0, 1]
        assert batches[-1].cursor == Cursor(floor=2)
        assert Reader(tmp_path).count() == 2
        with pytest.raises(StoreCorrupt):
            Reader(tmp_path).read(ids[2])


@settings(max_examples=25, deadline=None)
@given(plan=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=12), batch_rows=st.integers(1, 5))
def test_a_cursor_sees_everything_exactly_once(tmp_path_factory, prediction, plan, batch_rows):
    """Three writers in any order, a new reader from the kept cursor after each append."""
    folder = tmp_path_factory.mktemp("log")
    logs = [Writer(folder, segment_bytes=1_500) for _ in range(3)]
    cursor, seen, count = Cursor(), [], 0
    for who, rows in plan:
        logs[who].append_many([prediction(n, served_us=n) for n in range(count, count + rows)])
        for batch in Reader(folder, batch_rows=batch_rows).scan(after=cursor):
            seen += [each.served_us for each in batch.predictions]
            cursor = Cursor.from_json(batch.cursor.to_json())
        count += rows
        assert seen == list(range(count))
    for log in logs:
        log.close()
    *_, last = [Cursor(), *(batch.cursor for batch in Reader(folder).scan(after=cursor))]
    assert last == Cursor(floor=max(segment.numbers(folder), default=-1) + 1)


def test_reading_goes_on_while_another_process_writes(tmp_path, start_logging):
    """A reader that follows sees each record once, in order, and never half of one."""
    process = start_logging(tmp_path, batch=3, count=3_000, segment_bytes=200_000)
    reader, cursor, seen = Reader(tmp_path), Cursor(), []
    while process.poll() is None or len(seen) < 3_000:
        assert process.poll() in (None, 0)
        for _ in range(20):
            process.stdout.readline()
        for batch in reader.scan(after=cursor):
            seen += [each.served_us for each in batch.predictions]
            cursor = batch.cursor
    assert seen == list(range(3_000))


def test_times_select_and_closed_segments_outside_are_not_opened(filled):
    """Half-open; segments that lie wholly outside may even be unreadable."""
    folder, ids = filled
    for path in folder.glob("*.log"):
        if path.name[:6] not in {ids[n][:6] for n in range(20, 30)}:
            path.write_bytes(b"\0" * path.stat().st_size)
    batches = list(Reader(folder).scan(since_us=20, until_us=30))
    assert served(batches) == list(range(20, 30))
    assert batches[-1].cursor.offsets == {}


def test_a_summary_that_does_not_fit_its_segment_is_not_believed(filled):
    """It is only a cache: made anew when it is missing, torn or of another size."""
    folder, _ = filled
    paths = sorted(folder.glob("*.summary"))
    right = [path.read_bytes() for path in paths]
    paths[0].unlink()
    paths[1].write_bytes(b"{")
    paths[2].write_bytes(right[2].replace(b'"size":', b'"size":9'))
    assert Reader(folder).count() == 60
    assert [path.read_bytes() for path in paths] == right


def test_an_empty_or_missing_log_has_nothing(tmp_path):
    """Before the first answer there is no folder yet."""
    assert list(Reader(tmp_path / "none").scan()) == []
    assert Reader(tmp_path / "none").count() == 0


def test_a_segment_that_a_loss_of_power_left_empty_is_passed(filled):
    """Its name may reach the disk before its header does."""
    folder, _ = filled
    (folder / "0000ff.log").write_bytes(b"")
    batches = list(Reader(folder).scan())
    assert served(batches) == list(range(60))
    assert batches[-1].cursor == Cursor(floor=0x100)


def test_a_text_that_is_no_cursor_is_refused():
    """It says what was found."""
    with pytest.raises(StoreCorrupt, match="no cursor"):
        Cursor.from_json("[]")


def test_a_closed_segment_does_not_hide_an_older_one_that_still_grows(tmp_path, prediction):
    """The older process goes on after the younger one has ended: nothing of it is missed."""
    reader = Reader(tmp_path)
    with Writer(tmp_path) as older:
        older.append(prediction(0, served_us=0))
        with Writer(tmp_path) as younger:
            younger.append(prediction(1, served_us=1))
        *_, last = reader.scan()
        assert (last.cursor.floor, sorted(last.cursor.offsets)) == (0, [1, 2])
        older.append(prediction(2, served_us=2))
        batches = list(reader.scan(after=last.cursor))
        assert served(batches) == [2]
    *_, last = reader.scan(after=batches[-1].cursor)
    assert last.cursor == Cursor(floor=3)
