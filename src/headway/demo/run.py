"""The demonstration from beginning to end, and the figures that it ends with."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from headway.api import BRIEF_FILE, Project
from headway.demo.bad_release import plant
from headway.demo.feed import FIRST_LIVE_DAY, LAST_LIVE_DAY, Feed, package_data
from headway.demo.replay import Replay, days
from headway.demo.server import Client, Server
from headway.demo.world import World
from headway.engine.progress import NoProgress
from headway.errors import HeadwayError
from headway.loop.days import day_bounds_us
from headway.loop.results import RunReport
from headway.nouns.clock import FileClock
from headway.predictions.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from headway.engine.progress import Progress
    from headway.loop.tend import DayClosed

__all__ = ["Summary", "demonstrate"]

PLANTED_ON = dt.date(2013, 11, 1)
SWAPPED = ("hour", "weekday")
TRUE_ONSET = dt.date(2013, 12, 1)
"""Since when flights really are late more often: 9.8 % of November's are, 21 % of December's."""

_MARK = ".headway-demo"


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What the demonstration showed, in figures."""

    run: RunReport
    served: int
    sample: int
    p50_ms: float
    p99_ms: float
    outcomes: int
    void: int
    days_closed: int
    findings: list[dict[str, Any]]
    retrainings: list[dict[str, str]]
    planted: str
    rolled_back: dict[str, str]
    onset: str
    found_on: str
    delay_days: int | None
    features_compared: int
    features_different: int
    traced: dict[str, Any]
    status: dict[str, Any]
    report: str
    folder: str
    seconds: dict[str, float]


def demonstrate(
    folder: Path, *, progress: Progress | None = None, say: Callable[[str], None] = lambda _: None, sample: int = 3
) -> Summary:
    """Take a decision the whole way on real flights, and keep its model alive for three months.

    Parameters
    ----------
    folder
        Where the project is made; one that an earlier demonstration made is replaced, any other folder is left alone.
    say
        Told a line whenever something happens that is worth one.
    sample
        Every n-th flight is asked about.

    Raises
    ------
    MissingExtra
        When the flights are not installed.
    HeadwayError
        When the folder holds something else.
    """
    watch = progress or NoProgress()
    clockwork = _Clockwork()
    feed = _begin(folder, sample)
    zone = "America/New_York"
    begin_us, _ = day_bounds_us((FIRST_LIVE_DAY - dt.date(1970, 1, 1)).days, zone)
    clock_file = folder / _MARK / "clock"
    with (
        closing(FileClock.create(clock_file, begin_us)) as clock,
        Project.open(folder, clock=clock, progress=watch) as project,
    ):
        say(f"It is {FIRST_LIVE_DAY}. 253,000 flights lie behind us; who should be rebooked tomorrow?")
        report = project.run()
        clockwork.lap("run")
        deployed = project.deploy(by="Head of network operations", why=report.reason)
        say(f"{deployed.release} is in service: {report.reason}")
        clockwork.lap("deploy")
        with Server(folder, clock=clock_file) as server:
            world = _world(project, feed, zone)  # while the server gets ready
            clockwork.lap("look ahead")
            replay = Replay(
                project=project,
                feed=feed,
                world=world,
                clock=clock,
                client=Client(server.port),
                zone=zone,
                sample=sample,
            )
            _live(replay, watch, say)
        clockwork.lap("replay")
        compared, different = _compare(project, replay)
        clockwork.lap("compare")
        return _summed(project, report, replay, compared=compared, different=different, clockwork=clockwork)


def _begin(folder: Path, sample: int) -> Feed:
    """Make the project's folder afresh."""
    if folder.exists():
        if not (folder / _MARK).is_dir() and any(folder.iterdir()):
            raise HeadwayError(
                f"{folder} holds something that is not a demonstration.",
                where=str(folder),
                hint="Name another: headway demo --folder F.",
            )
        shutil.rmtree(folder)
    package_data()
    (folder / _MARK).mkdir(parents=True)
    brief = (Path(__file__).parent / BRIEF_FILE).read_text(encoding="utf-8")
    share = f"share       = {1 / sample:.4f}"
    (folder / BRIEF_FILE).write_text(brief.replace("[monitor]\n", f"[monitor]\n{share}\n"), encoding="utf-8")
    feed = Feed(folder)
    feed.lay_out()
    return feed


def _world(project: Project, feed: Feed, zone: str) -> World:
    """Compute what is to come, from files that the project does not have yet."""
    first_us, _ = day_bounds_us((FIRST_LIVE_DAY - dt.date(1970, 1, 1)).days, zone)
    _, after_us = day_bounds_us((LAST_LIVE_DAY - dt.date(1970, 1, 1)).days, zone)
    with tempfile.TemporaryDirectory(prefix="headway-demo-") as folder:
        feed.lay_out_whole(Path(folder))
        return World.of(project.brief, Path(folder), since_us=first_us, until_us=after_us)


def _live(replay: Replay, watch: Progress, say: Callable[[str], None]) -> None:
    every = list(days())
    began = time.monotonic()
    watch.start("live", total=len(every))
    for day in every:

        def bad_release() -> None:
            material = replay.project.material()
            bad = plant(replay.project, material, swapped=SWAPPED)
            replay.project.activate(bad.id, by="somebody in a hurry", why="a newer build")
            say(f"{PLANTED_ON}  a bad release goes live: {bad.id}, packed with {' and '.join(SWAPPED)} swapped")

        closed = replay.live_through(day, at_noon=bad_release if day == PLANTED_ON else None)
        for line in _lines(closed):
            say(line)
        watch.advance("live", note=f"{day}  {closed.predictions} asked")
    watch.finish("live", reused=False, seconds=time.monotonic() - began)


def _lines(closed: DayClosed) -> list[str]:
    lines = [f"{closed.day}  {finding.level}: {finding.message}" for finding in closed.found]
    if closed.action != "nothing":
        lines.append(f"{closed.day}  {closed.action}: {closed.why}")
    return lines


def _compare(project: Project, replay: Replay) -> tuple[int, int]:
    """Hold every feature that was served against its offline recomputation; return how many, and how many differ."""
    positions, served = [], []
    place_of = {prediction: at for at, prediction in replay.ids.items()}
    for batch in Reader(project.store.predictions).scan():
        for prediction in batch.predictions:
            if prediction.id in place_of:
                positions.append(place_of[prediction.id])
                served.append(prediction.features)
    offline = replay.world.features.take(positions)
    different = 0
    for column, values in zip(offline.columns, zip(*served, strict=True), strict=True):
        online = pa.array(values, type=column.type)
        different += _different(column.combine_chunks(), online)
    return len(positions) * offline.num_columns, different


def _different(one: pa.Array, other: pa.Array) -> int:
    """Count entries that are not the same bits; missing equals missing."""
    missing = np.asarray(one.is_null()) != np.asarray(other.is_null())
    both = ~np.asarray(one.is_null()) & ~np.asarray(other.is_null())
    if pa.types.is_floating(one.type):
        left, right = (np.asarray(each.fill_null(0.0)).view(np.int32) for each in (one, other))
    else:
        left, right = (np.asarray(each.fill_null(""), dtype=object) for each in (one, other))
    return int(missing.sum() + ((left != right) & both).sum())


def _summed(
    project: Project, report: RunReport, replay: Replay, *, compared: int, different: int, clockwork: _Clockwork
) -> Summary:
    p50, p99 = replay.latency_ms()
    found = [(closed, finding) for closed in replay.closed for finding in closed.found]
    rise = next(
        (
            closed
            for closed, finding in found
            if finding.signal == "base-rate-rise" and closed.day >= TRUE_ONSET.isoformat()
        ),
        None,
    )
    back = next((closed for closed in replay.closed if closed.action == "rollback"), None)
    last = replay.ids[max(at for at in replay.ids if replay.world.label[at] == 1.0 and at not in replay.waiting)]
    traced = project.trace(last)
    clockwork.lap("trace")
    from headway.report import write_report

    page = write_report(project, traced=last)
    clockwork.lap("report")
    return Summary(
        run=report,
        served=len(replay.ids),
        sample=replay.sample,
        p50_ms=p50,
        p99_ms=p99,
        outcomes=replay.outcomes,
        void=replay.void,
        days_closed=len(replay.closed),
        findings=[
            {
                "day": closed.day,
                "level": f.level,
                "signal": f.signal,
                "subject": f.subject,
                "message": f.message,
                "todo": f.todo,
            }
            for closed, f in found
        ],
        retrainings=[
            {"day": closed.day, "action": closed.action, "why": closed.why}
            for closed in replay.closed
            if closed.action in {"retrain", "promote", "keep"}
        ],
        planted=PLANTED_ON.isoformat(),
        rolled_back={"day": back.day, "why": back.why} if back is not None else {},
        onset=TRUE_ONSET.isoformat(),
        found_on=rise.day if rise is not None else "",
        delay_days=(dt.date.fromisoformat(rise.day) - TRUE_ONSET).days if rise is not None else None,
        features_compared=compared,
        features_different=different,
        traced=msgspec.to_builtins(traced),
        status=project.status(),
        report=str(page),
        folder=str(project.folder),
        seconds=clockwork.laps,
    )


class _Clockwork:
    """How long each part took."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = now - self._last
        self._last = now
