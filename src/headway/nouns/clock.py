"""What time it is, said by whoever runs the programme: nothing reads the wall clock for meaning.

The file hides where *now* comes from. A moment is a whole number of microseconds since 1970-01-01 UTC. ``FileClock``
is the one thing among the nouns that touches a disk: a replay must move the clock of a server that is another
process, and both must mean the same by a clock.
"""

from __future__ import annotations

import datetime as dt
import mmap
import os
import re
import time
import zoneinfo
from typing import TYPE_CHECKING, Protocol

from headway.errors import BriefError, NotFound, StoreCorrupt, StoreError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

__all__ = ["Clock", "FileClock", "FixedClock", "ReplayClock", "SystemClock", "format_moment", "parse_moment"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_CLOCK_BYTES = 8


class Clock(Protocol):
    """Whatever can say what time it is."""

    def now_us(self) -> int:
        """Return microseconds since 1970-01-01 UTC."""
        ...


class SystemClock:
    """The clock on the wall; chosen once, where the programme is put together."""

    def now_us(self) -> int:
        """Return microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000


class FixedClock:
    """A clock that stands still, as ``--as-of`` asks for.

    Examples
    --------
    >>> FixedClock(5).now_us()
    5
    """

    __slots__ = ("_us",)

    def __init__(self, us: int) -> None:
        self._us = us

    def now_us(self) -> int:
        """Return the one moment."""
        return self._us


class ReplayClock:
    """A clock that is moved by hand, forwards only.

    Examples
    --------
    >>> clock = ReplayClock(5)
    >>> clock.move_to(7)
    >>> clock.now_us()
    7
    >>> clock.move_to(6)
    Traceback (most recent call last):
    ValueError: A clock does not run backwards: it shows 7 and was to be set to 6.
    """

    __slots__ = ("_us",)

    def __init__(self, us: int) -> None:
        self._us = us

    def now_us(self) -> int:
        """Return the moment that was set last."""
        return self._us

    def move_to(self, us: int) -> None:
        """Set the clock.

        Raises
        ------
        ValueError
            When that would be backwards.
        """
        self._us = _forwards(self._us, us)


class FileClock:
    """A replay clock that several processes share: eight bytes of a file, mapped into the memory of each.

    The driver makes the file and moves it; a server opens it and reads, at the price of a look into memory. Eight
    aligned bytes are copied as one on the machines that Headway runs on, so that no reader sees half a change.

    Parameters
    ----------
    path
        The file that ``create`` has made.
    writable
        Whether this process may move the clock; one should.

    Raises
    ------
    NotFound
        When there is no such file.
    StoreCorrupt
        When the file is no clock.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        self.path = path
        try:
            descriptor = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFound(
                "There is no clock file.", where=str(path), hint="The replay makes it: start that first."
            ) from None
        except OSError as error:
            raise StoreError(f"The clock file cannot be opened: {error.strerror}.", where=str(path)) from error
        try:
            size = os.fstat(descriptor).st_size
            if size != _CLOCK_BYTES:
                raise StoreCorrupt(f"A clock file has {_CLOCK_BYTES} bytes; this one has {size}.", where=str(path))
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self._memory = mmap.mmap(descriptor, _CLOCK_BYTES, access=access)
        finally:
            os.close(descriptor)

    @classmethod
    def create(cls, path: Path, us: int) -> Self:
        """Make the file, or start one anew at ``us``, and return its clock, to be moved.

        A new file takes the place of an old one whole: who has the old one open keeps a clock that stands still.
        """
        draft = path.with_name(f".{path.name}-{os.getpid()}")
        try:
            draft.write_bytes(us.to_bytes(_CLOCK_BYTES, "little", signed=True))
            draft.replace(path)
        except OSError as error:
            raise StoreError(f"The clock file cannot be made: {error.strerror}.", where=str(path)) from error
        return cls(path, writable=True)

    def now_us(self) -> int:
        """Return the moment that the driver has set last."""
        return int.from_bytes(self._memory[:], "little", signed=True)

    def move_to(self, us: int) -> None:
        """Set the clock for all processes.

        Raises
        ------
        ValueError
            When that would be backwards.
        """
        self._memory[:] = _forwards(self.now_us(), us).to_bytes(_CLOCK_BYTES, "little", signed=True)

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._memory.close()


def _forwards(shown_us: int, us: int) -> int:
    if us < shown_us:
        msg = f"A clock does not run backwards: it shows {shown_us} and was to be set to {us}."
        raise ValueError(msg)
    return us


def parse_moment(text: str, *, zone: str = "UTC") -> int:
    """Return the moment that ``text`` names: a day (its first instant in ``zone``), or a time of day with its zone.

    Raises
    ------
    BriefError
        When it is neither, when the time of day has no zone, or when the zone is unknown.

    Examples
    --------
    >>> parse_moment("2013-10-01")
    1380585600000000
    >>> parse_moment("2013-10-01", zone="America/New_York") - parse_moment("2013-10-01T00:00:00Z")
    14400000000
    """
    text = text.strip()
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise BriefError(
            f"{text!r} is not a moment: {error}.",
            hint="Write a day, '2013-10-01', or a moment, '2013-10-01T12:00:00Z'.",
        ) from None
    if _DAY.fullmatch(text):
        moment = moment.replace(tzinfo=_zone(zone))
    elif moment.tzinfo is None:
        raise BriefError(f"{text!r} has no zone.", hint=f"Write '{text}Z' for UTC, or '{text}-04:00'.")
    return (moment - _EPOCH) // _MICROSECOND


def format_moment(us: int, *, zone: str = "UTC") -> str:
    """Return a moment as ISO 8601 text in ``zone``; ``parse_moment`` gives the same moment back.

    Raises
    ------
    BriefError
        When the zone is unknown, or the moment is not of the years 1 to 9999.

    Examples
    --------
    >>> format_moment(1380585600000000)
    '2013-10-01T00:00:00Z'
    >>> format_moment(1380585600000000, zone="America/New_York")
    '2013-09-30T20:00:00-04:00'
    """
    try:
        moment = (_EPOCH + dt.timedelta(microseconds=us)).astimezone(_zone(zone))
    except OverflowError:
        raise BriefError(f"{us} microseconds is no moment of the years 1 to 9999.") from None
    return moment.isoformat().removesuffix("+00:00") + ("Z" if moment.utcoffset() == dt.timedelta() else "")


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise BriefError(
            f"{name!r} is no time zone.", hint=did_you_mean(name, zoneinfo.available_timezones())
        ) from None
