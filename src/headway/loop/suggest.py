"""Which features would add something: proposed, computed as training would, ranked on the validation side.

The file hides how a feature's worth is measured: a seeded LightGBM learns the training side with the brief's features
alone, and again with one more; what counts is by how much the brief's metric is better on the validation side, on the
same resampled days. The test side is never read: where the split is by time, the world ends, for all that is computed
here, at its first midnight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from headway.define.expected import learnable, quick_scorer
from headway.define.sampling import sampled
from headway.define.suggest import extended, line_of, proposals
from headway.errors import DataError
from headway.nouns.metric import higher_is_better, paired_day_bootstrap
from headway.nouns.task import suited_metric
from headway.query.database import Database
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve
from headway.query.split import boundaries_us, marked_sql, midnight_us

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from headway.define.sample import Sample
    from headway.nouns.interval import Interval
    from headway.nouns.task import MetricName
    from headway.query.definitions import Definitions
    from headway.query.parts import Part

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Suggestion", "suggest"]

_MOST_ROWS = 120_000
_DRAWS = 300


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """One feature that could be added.

    Attributes
    ----------
    toml
        The line for the brief.
    metric
        What its worth is measured by: the brief's.
    gain, low, high
        By how much the metric is better with it than without on the validation side, above nought whichever way the
        metric goes, with its interval over days.
    look_ups
        How many look-ups a prediction would make for it that the brief does not make yet.
    steps
        How many steps these would hold, by the end of the validation period.
    """

    name: str
    toml: str
    metric: str
    gain: float
    low: float
    high: float
    look_ups: int
    steps: int


def suggest(definitions: Definitions, files: Mapping[str, Sequence[Part]], *, as_of_us: int) -> list[Suggestion]:
    """Return what could be added to a brief's features, what adds most first.

    Raises
    ------
    BriefError
        When the metric is none of such a target.
    DataError
        When a side has too few examples, or too much alike, for a feature's worth to show.
    """
    brief = definitions.brief
    metric = brief.success.metric
    suited_metric(metric, definitions.aim.task)
    found = proposals(definitions)
    raw = {name: dict(relation.raw) for name, relation in definitions.relations.items()}
    wider = resolve(extended(brief, found), raw)
    end_us = boundaries_us(brief.split).get("validate")
    now_us = as_of_us if end_us is None else min(as_of_us, end_us)
    since = brief.split.train_from
    with Database() as database:
        point_in_time = PointInTime(database, wider.known_by(now_us), files)
        table = point_in_time.examples(
            as_of_us=now_us,
            since_us=None if since is None else midnight_us(since, brief.split.zone),
            until_us=end_us,
        )
        view = database.view(marked_sql(table, wider))
        chosen = f"{view} WHERE \"@usable\" AND \"@split\" IN ('train', 'validate')"
        sample, _ = sampled(database, chosen, wider, most=_MOST_ROWS)
        sizes = {
            timeline: database.rows(f"SELECT count(*) FROM {point_in_time.steps(blind)}")[0][0]
            for timeline, blind in zip(wider.timelines, wider.known_by(now_us).timelines, strict=True)
        }
    if sample is None:
        raise DataError("No example of the train or validate side has a label.", where="split")
    train, asked = _sides(sample)
    own = list(brief.features)
    scores = quick_scorer(sample, train=train, asked=asked, metric=metric, seed=brief.search.seed)
    base = scores(own)
    made = {timeline for feature in wider.features if feature.name in brief.features for timeline in feature.timelines}
    suggestions = []
    for name, spec in found.items():
        gain = _gain(sample, asked, scores([*own, name]), base, metric=metric, seed=brief.search.seed)
        new = {t for f in wider.features if f.name == name for t in f.timelines} - made
        suggestions.append(
            Suggestion(
                name=name,
                toml=line_of(name, spec),
                metric=metric,
                gain=gain.value,
                low=gain.low,
                high=gain.high,
                look_ups=len(new),
                steps=sum(sizes[timeline] for timeline in new),
            )
        )
    return sorted(suggestions, key=lambda each: (-each.gain, each.steps, each.name))


def _sides(sample: Sample) -> tuple[Ints, Ints]:
    """Return which examples are of the training side and which of the validation side.

    Raises
    ------
    DataError
        When one of them says too little.
    """
    sides = np.flatnonzero(~sample.later), np.flatnonzero(sample.later)
    for name, rows in zip(("train", "validate"), sides, strict=True):
        if not learnable(sample, rows):
            raise DataError(
                f"The {name} side has {_told(sample, rows)}; a feature's worth cannot be told from so few.",
                where="split",
                hint="Look at what 'headway check' counts of each side.",
            )
    return sides


def _told(sample: Sample, rows: Ints) -> str:
    label = sample.label[rows]
    if sample.task == "condition":
        return f"{int(label.sum()):,} of {len(rows):,} examples for which the label holds"
    return f"{len(rows):,} examples with {len(np.unique(label)):,} different labels"


def _gain(sample: Sample, asked: Ints, more: Floats, base: Floats, *, metric: MetricName, seed: int) -> Interval:
    """Return by how much a metric is better for one than for the other, whichever way it goes."""
    first, second = (more, base) if higher_is_better(metric) else (base, more)
    return paired_day_bootstrap(
        metric,
        first,
        second,
        sample.label[asked],
        sample.day[asked],
        group=None if sample.group is None else sample.group[asked],
        draws=_DRAWS,
        seed=seed,
    )
