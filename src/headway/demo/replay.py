"""Three months, a day at a time: files arrive, flights are asked about over HTTP, outcomes come back, tending follows.

A day of the replay: the clock is moved to its end; the day's files arrive and the looked-up features are refreshed;
every flight of the sample is asked about *as of its own moment*, two hours before departure, so that what a look-up
may see is decided by when things were known, not by when the replay happens to ask; outcomes that are known by now are
posted; the clock passes midnight, and one round of tending closes the day.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.demo.feed import FIRST_LIVE_DAY, LAST_LIVE_DAY
from headway.deploy.serving import read_current
from headway.errors import HeadwayError
from headway.loop.days import day_bounds_us
from headway.nouns.clock import format_moment
from headway.nouns.span import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from headway.api import Project
    from headway.demo.feed import Feed
    from headway.demo.server import Client
    from headway.demo.world import World
    from headway.loop.tend import DayClosed
    from headway.nouns.clock import FileClock

__all__ = ["Replay", "days"]

_BATCH = 256
_SINGLE = 8
"""So many flights of a day are asked about one by one, as the desk's screen does; the rest in batches."""


def days() -> Iterator[dt.date]:
    """Yield the days of the replay."""
    for offset in range((LAST_LIVE_DAY - FIRST_LIVE_DAY).days + 1):
        yield FIRST_LIVE_DAY + dt.timedelta(days=offset)


@dataclass(slots=True)
class Replay:
    """The replay's own books: which flight got which answer, and how long single answers took."""

    project: Project
    feed: Feed
    world: World
    clock: FileClock
    client: Client
    zone: str
    sample: int
    ids: dict[int, str] = field(default_factory=dict)
    single_ms: list[float] = field(default_factory=list)
    closed: list[DayClosed] = field(default_factory=list)
    outcomes: int = 0
    void: int = 0
    waiting: list[int] = field(default_factory=list)

    def live_through(self, day: dt.date, *, at_noon: Callable[[], None] | None = None) -> DayClosed:
        """Live through one day; ``at_noon`` may do something to it before its flights are asked about."""
        number = (day - dt.date(1970, 1, 1)).days
        first_us, after_us = day_bounds_us(number, self.zone)
        self.feed.arrive(day)
        self.clock.move_to(after_us - SECOND)
        if at_noon is None:
            self.project.materialize()
        else:
            at_noon()
        self._await_refresh()
        self._ask(first_us, after_us)
        self._tell(after_us)
        self.clock.move_to(after_us + MINUTE)
        tended = self.project.tend(refresh=False)
        self.closed.extend(tended.days)
        return tended.days[-1]

    def _await_refresh(self) -> None:
        """Wait until the server answers from what was published last; it looks a hundred times a second."""
        wanted = read_current(self.project.store.serving).epoch
        for _ in range(_LOOKS):
            if self.client.get("/health")["epoch"] >= wanted:
                return
            time.sleep(0.002)
        raise HeadwayError(f"The server has not taken up what was published: epoch {wanted} is wanted.")

    def _ask(self, first_us: int, after_us: int) -> None:
        asked = [at for at in self.world.between(first_us, after_us) if at % self.sample == 0]
        for at in asked[:_SINGLE]:
            began = time.perf_counter_ns()
            answer = self.client.post("/v1/predict", {"row": self.world.row(at)})
            self.single_ms.append((time.perf_counter_ns() - began) / 1e6)
            self.ids[at] = answer["id"]
        rest = asked[_SINGLE:]
        for first in range(0, len(rest), _BATCH):
            part = rest[first : first + _BATCH]
            answer = self.client.post("/v1/predict", {"rows": self.world.rows(part)})
            self.ids.update(zip(part, (each["id"] for each in answer["predictions"]), strict=True))
        self.waiting += asked

    def _tell(self, now_us: int) -> None:
        """Post the outcomes that are known by now; that a flight never arrives is known a day later."""
        told: list[dict[str, Any]] = []
        still: list[int] = []
        for at in self.waiting:
            known_us = int(self.world.known_us[at])
            if known_us == 0 and now_us - int(self.world.predict_at_us[at]) > _NEVER_US:
                told.append({"id": self.ids[at], "label": None})
                self.void += 1
            elif 0 < known_us <= now_us:
                label = bool(self.world.label[at] == 1.0)
                told.append({"id": self.ids[at], "label": label, "known_at": format_moment(known_us)})
            else:
                still.append(at)
        self.waiting = still
        if told:
            self.client.post("/v1/outcomes", {"outcomes": told})
            self.outcomes += len(told)

    def latency_ms(self) -> tuple[float, float]:
        """Return median and 99th percentile of single answers, as the client saw them."""
        p50, p99 = np.quantile(self.single_ms, [0.5, 0.99])
        return float(p50), float(p99)


_NEVER_US = 24 * 60 * MINUTE
_LOOKS = 15_000
