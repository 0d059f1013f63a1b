"""A small world to watch: days that depend on one another, a model that half knows them, a rule that hardly does."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from headway.monitor.day import Cohort, Day, Traffic
from headway.monitor.reference import Reference
from headway.monitor.watch import Watch, observe
from headway.nouns.brief import Quota, Value
from headway.nouns.examples import Examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from headway.nouns.finding import Finding

ROWS = 150
REFERENCE_DAYS = 46


@dataclass(frozen=True, kw_only=True)
class World:
    """Rows of all days, ``ROWS`` a day; the first 46 days are the reference."""

    day: NDArray[np.int64]
    features: pa.Table
    scores: NDArray[np.float64]
    previous: NDArray[np.float64]
    labels: NDArray[np.float64]
    rule: NDArray[np.float64]

    def reference(self, release: str = "r1", **changes: Any) -> Reference:
        """Return the reference of a release, judged on the first 46 days."""
        mine = self.day < REFERENCE_DAYS
        none = self.features.select([]).slice(0, int(mine.sum()))
        examples = Examples(
            features=self.features.filter(pa.array(mine)),
            label=self.labels[mine],
            day=self.day[mine],
            rule=self.rule[mine],
            segments=none,
            predict_at=self.day[mine],
            key=none,
        )
        options = {"act_on": Quota(k=20), "value": Value(true_positive=150, false_positive=-20), "windows": 365.0}
        return Reference.freeze(examples, self.scores[mine], release=release, **(options | changes))

    def rows(self, day: int) -> slice:
        """Return where a day's rows lie."""
        return slice(day * ROWS, (day + 1) * ROWS)

    def cohort(self, day: int, release: str = "r1", *, paired: bool = True) -> Cohort:
        """Return a day's predictions with what became of them."""
        rows = self.rows(day)
        return Cohort(
            day=day,
            release=release,
            scores=self.scores[rows],
            labels=self.labels[rows],
            rule=self.rule[rows],
            previous="r0" if paired else "",
            previous_scores=self.previous[rows] if paired else None,
        )

    def shown(self, day: int, release: str = "r1", **traffic: Any) -> Day:
        """Return what the monitor sees at the close of a day: its traffic, and yesterday's outcomes."""
        rows = self.rows(day)
        today = Traffic(features=self.features.slice(rows.start, ROWS), scores=self.scores[rows])
        before = (self.cohort(day - 1, release),) if day > REFERENCE_DAYS else ()
        return Day(day=day, release=release, traffic=replace(today, **traffic), cohorts=before)


def watched(world: World, reference: Reference, days: range) -> tuple[Watch, list[Finding]]:
    """Return the state and all findings after these days."""
    watch, found = Watch(), []
    for day in days:
        watch, new = observe(watch, reference, world.shown(day, reference.release))
        found += new
    return watch, found


def make_world(
    *,
    days: int,
    seed: int,
    persistence: float = 0.3,
    change: int = 10**6,
    odds: float = 1.0,
    score_odds: float = 1.0,
    skill: float = 1.0,
) -> World:
    """Return a world in which, from day ``change`` on, the truth, the scores or the model's skill differ."""
    rng = np.random.default_rng(seed)
    total = REFERENCE_DAYS + days
    noise = rng.normal(size=total)
    z = np.empty(total)
    z[0] = noise[0]
    for t in range(1, total):
        z[t] = persistence * z[t - 1] + math.sqrt(1 - persistence**2) * noise[t]
    forecast = z + 0.7 * rng.normal(size=total)
    day = np.repeat(np.arange(total), ROWS)
    x = rng.normal(size=len(day))
    later = day >= change
    truth = -2.3 + 0.9 * z[day] + 0.8 * x + np.where(later, math.log(odds), 0.0)
    labels = (rng.random(len(day)) < 1 / (1 + np.exp(-truth))).astype(np.float64)
    seen = np.where(later, skill * x + math.sqrt(1 - skill**2) * rng.normal(size=len(day)), x)
    logit = -2.2 + 0.6 * forecast[day] + 0.8 * seen
    scores = 1 / (1 + np.exp(-(logit + np.where(later, math.log(score_odds), 0.0))))
    other = 1 / (1 + np.exp(-(-2.2 + 0.6 * forecast[day] + 0.8 * x + 0.15 * rng.normal(size=len(day)))))
    features = pa.table({"x": pa.array(x.astype(np.float32)), "forecast": pa.array(forecast[day].astype(np.float32))})
    return World(
        day=day, features=features, scores=scores, previous=other, labels=labels, rule=x + 3 * rng.normal(size=len(day))
    )


@pytest.fixture
def world() -> Callable[..., World]:
    """Return `make_world`."""
    return make_world


@pytest.fixture
def watch_days() -> Callable[[World, Reference, range], tuple[Watch, list[Finding]]]:
    """Return `watched`."""
    return watched
