"""What time it is: said by whoever runs the programme, and the same in each of its processes."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.errors import BriefError, NotFound, StoreCorrupt, StoreError
from headway.nouns.clock import FileClock, FixedClock, ReplayClock, SystemClock, format_moment, parse_moment

OCTOBER_US = 1_380_585_600_000_000
ZONES = st.sampled_from(["UTC", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])


def test_the_system_clock_shows_the_time_on_the_wall():
    """In microseconds since 1970 in UTC."""
    before = time.time()
    assert before - 1e-3 <= SystemClock().now_us() / 1e6 <= time.time() + 1e-3


def test_a_replay_clock_only_runs_forwards():
    """Standing still is allowed; a clock that went back would make known what is not known yet."""
    clock = ReplayClock(5)
    clock.move_to(5)
    clock.move_to(9)
    with pytest.raises(ValueError, match="backwards"):
        clock.move_to(8)
    assert (clock.now_us(), FixedClock(3).now_us()) == (9, 3)


def test_a_file_clock_moves_the_clock_of_another_process(tmp_path):
    """A server process sees each change at once; negative moments (before 1970) are moments, too."""
    code = (
        "import sys, pathlib; from headway.nouns.clock import FileClock\n"
        "clock = FileClock(pathlib.Path(sys.argv[1]))\n"
        "for _ in sys.stdin: print(clock.now_us(), flush=True)"
    )
    path = tmp_path / "clock"
    clock = FileClock.create(path, -5)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        for us in (-5, 0, OCTOBER_US, 2**62):
            clock.move_to(us)
            server.stdin.write("?\n")
            server.stdin.flush()
            assert int(server.stdout.readline()) == us
        server.stdin.close()
    assert path.read_bytes() == (2**62).to_bytes(8, "little")
    with pytest.raises(ValueError, match="backwards"):
        clock.move_to(0)
    clock.close()


def test_a_reader_of_a_file_clock_cannot_move_it(tmp_path):
    """One driver, many readers."""
    FileClock.create(tmp_path / "clock", 5).close()
    reader = FileClock(tmp_path / "clock")
    with pytest.raises(TypeError):
        reader.move_to(6)
    assert reader.now_us() == 5
    reader.close()


def test_a_file_clock_starts_anew_in_place(tmp_path):
    """A second replay in the same folder starts where it says, also before the end of the first."""
    FileClock.create(tmp_path / "clock", 9).close()
    clock = FileClock.create(tmp_path / "clock", 2)
    assert clock.now_us() == 2
    assert [path.name for path in tmp_path.iterdir()] == ["clock"]
    clock.close()


def test_what_is_no_clock_file_is_refused(tmp_path):
    """Missing, of the wrong size, or a folder that is not there."""
    with pytest.raises(NotFound, match="no clock file"):
        FileClock(tmp_path / "clock")
    (tmp_path / "clock").write_text("2013-10-01")
    with pytest.raises(StoreCorrupt, match="8 bytes; this one has 10"):
        FileClock(tmp_path / "clock")
    with pytest.raises(StoreError, match="cannot be made"):
        FileClock.create(tmp_path / "nowhere" / "clock", 1)


@given(
    moment=st.datetimes(min_value=dt.datetime(1, 1, 3), max_value=dt.datetime(9999, 12, 29)),  # noqa: DTZ001 - made UTC
    zone=ZONES,
)
def test_parsing_undoes_formatting_in_any_zone(moment, zone):
    """To the microsecond, also in the hour that a change of the clocks shows twice."""
    us = (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)  # noqa: DTZ001 - both are UTC
    assert parse_moment(format_moment(us, zone=zone)) == us


@pytest.mark.parametrize(
    ("text", "zone", "us"),
    [
        ("2013-10-01", "UTC", OCTOBER_US),
        ("2013-10-01", "America/New_York", OCTOBER_US + 4 * 3_600_000_000),
        ("2013-12-01", "America/New_York", 1_385_874_000_000_000),
        (" 2013-10-01T00:00:00Z ", "America/New_York", OCTOBER_US),
        ("2013-09-30 20:00-04:00", "UTC", OCTOBER_US),
        ("1969-12-31T23:59:59.999999Z", "UTC", -1),
    ],
)
def test_a_moment_is_a_day_or_a_time_with_its_zone(text, zone, us):
    """A day is its first instant in the zone asked for; a zone in the text wins."""
    assert parse_moment(text, zone=zone) == us


@pytest.mark.parametrize("text", ["", "yesterday", "2013-13-01", "2013-02-30", "01.10.2013", "2013-10-01T25:00Z"])
def test_what_is_no_moment_is_refused_with_an_example(text):
    """The message shows what was found and both forms."""
    with pytest.raises(BriefError, match=r"is not a moment.*2013-10-01"):
        parse_moment(text)


def test_a_time_of_day_without_its_zone_is_refused():
    """Whose noon it is cannot be guessed."""
    with pytest.raises(BriefError, match=r"has no zone.*'2013-10-01T12:00Z'"):
        parse_moment("2013-10-01T12:00")


@pytest.mark.parametrize("zone", ["America/NewYork", "", "../etc/passwd", "America"])
def test_an_unknown_zone_is_refused_with_the_nearest_one(zone):
    """A misspelt New York is recognised."""
    with pytest.raises(BriefError, match="no time zone") as caught:
        parse_moment("2013-10-01", zone=zone)
    if zone == "America/NewYork":
        assert "America/New_York" in str(caught.value)


def test_a_number_beyond_the_calendar_is_refused():
    """Most likely milliseconds or nanoseconds were taken for microseconds."""
    with pytest.raises(BriefError, match="no moment"):
        format_moment(2**62)
