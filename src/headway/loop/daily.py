"""The life of the releases in figures a day: what was asked, what came true, what acting was worth.

Read from the prediction log and the outcomes, so that late and corrected outcomes count as soon as they are in. The
file hides that answers of several models lie in one log, each with its own features, and when a day is ripe to be
judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headway.loop.releases import quota_of, release_of
from headway.loop.watched import came_true, class_meant, rule_scores
from headway.nouns.calls import Calls
from headway.nouns.money import decide, decide_by_rule, earned_per_day
from headway.predictions.columns import to_table
from headway.predictions.reader import Reader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.loop.store import Store
    from headway.nouns.brief import Brief
    from headway.nouns.prediction import Prediction
    from headway.nouns.task import Task

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

__all__ = ["Daily", "daily"]

RIPE = 0.8
"""The share of a day's outcomes that must be in before the day is judged; the monitor asks for the same."""

_ASKED_BY_ID = 50_000  # above this many, reading all outcomes is quicker than asking for each


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """One entry per local day with predictions, ascending; NaN where a day cannot say.

    Attributes
    ----------
    day
        Days since 1970-01-01, by when the answer was given, in the zone of the split.
    predictions, known, positives, void
        How many were given; of how many the outcome is known; of these, how many were true (of a ranking: relevant);
        how many will never be known.
    mean_label, mean_score
        Over those with a known outcome, so that one can be held against the other; the labels of a condition and of a
        category are 1 and 0.
    model, rule
        What acting on the scores, and on today's rule with the same budget, was worth; of ripe days alone.
    newest, acted_and_right
        Ids of the newest answer, and of the newest that was acted on and came true; "" where there is none.
    """

    day: Counts
    predictions: Counts
    known: Counts
    positives: Counts
    void: Counts
    mean_label: Floats
    mean_score: Floats
    model: Floats
    rule: Floats
    newest: str = ""
    acted_and_right: str = ""

    @property
    def ripe(self) -> NDArray[np.bool_]:
        """Which days can be judged: nearly all of their outcomes are in."""
        return np.asarray((self.known > 0) & (self.known + self.void >= RIPE * self.predictions))


def daily(store: Store, brief: Brief, *, since_us: int | None = None) -> Daily:
    """Return the days on which answers were given, from ``since_us`` on.

    What a call is worth, how many are acted on and which zone's days count is asked of ``brief``; today's rule of the
    brief of the release that answered, since the rule may have changed.
    """
    log = _log(store, since_us)
    if log.num_rows == 0:
        none, nothing = np.empty(0, dtype=np.int64), np.empty(0)
        return Daily(
            day=none,
            predictions=none,
            known=none,
            positives=none,
            void=none,
            mean_label=nothing,
            mean_score=nothing,
            model=nothing,
            rule=nothing,
        )
    label, void = _outcomes(store, log["id"], log["meant"])
    day = _local_days(log["served_us"], brief.split.zone)
    days, index = np.unique(day, return_inverse=True)
    score, rule = log["score"].to_numpy(), log["rule"].to_numpy()
    is_known = np.isfinite(label)

    def per_day(weights: NDArray[Any]) -> Floats:
        return np.bincount(index, weights=weights, minlength=len(days)).astype(np.float64)

    known = per_day(is_known)
    found = Daily(
        day=days,
        predictions=_whole(per_day(np.ones(len(day)))),
        known=_whole(known),
        positives=_whole(per_day(label > 0)),
        void=_whole(per_day(void)),
        mean_label=_ratio(per_day(np.where(is_known, label, 0.0)), known),
        mean_score=_ratio(per_day(np.where(is_known, score, 0.0)), known),
        model=np.full(len(days), np.nan),
        rule=np.full(len(days), np.nan),
        newest=log["id"][-1].as_py(),
        acted_and_right=_last(log["id"], log["act"].to_numpy(zero_copy_only=False) & (label == 1.0)),
    )
    _fill_money(
        found, brief, day=day[is_known], score=score[is_known], rule=rule[is_known], label=label[is_known], store=store
    )
    return found


def _fill_money(
    found: Daily, brief: Brief, *, day: Counts, score: Floats, rule: Floats, label: Floats, store: Store
) -> None:
    """Write what each ripe day was worth, its actions spent as in the test: the same budget for model and rule."""
    champion = store.ledger.champion()
    ripe = found.ripe
    if champion is None or not ripe.any():
        return
    release = release_of(store, champion.release)
    act_on = quota_of(release)
    if release.task == "ranking":  # the log does not hold the groups: no figure is given
        return
    # A category is followed as the condition that its action turns on.
    task: Task = "condition" if release.task == "category" else release.task
    calls = Calls(task=task, act_on=act_on, value=brief.value)
    of_ripe = np.isin(day, found.day[ripe])
    day = day[of_ripe]
    score, rule, label = (each[of_ripe] for each in (score, rule, label))
    acted = decide(score, day, act_on)
    found.model[ripe] = earned_per_day(acted, calls.paid(score, label, day), day, days=found.day[ripe])
    if np.isfinite(rule).any():
        by_rule = decide_by_rule(rule, day, act_on, acted=acted)
        found.rule[ripe] = earned_per_day(by_rule, calls.paid(rule, label, day), day, days=found.day[ripe])


def _log(store: Store, since_us: int | None) -> pa.Table:
    """Return ``id``, ``served_us``, ``score``, ``act``, ``rule`` and ``meant`` of the answers, ordered by time."""
    by_release: dict[str, list[Prediction]] = {}
    for batch in Reader(store.predictions).scan(since_us=since_us, skip_corrupt=True):
        for prediction in batch.predictions:
            by_release.setdefault(prediction.release, []).append(prediction)
    parts = [_part(store, name, predictions) for name, predictions in by_release.items()]
    if not parts:
        return pa.table({})
    return pa.concat_tables(parts).sort_by([("served_us", "ascending"), ("id", "ascending")])


def _part(store: Store, name: str, predictions: list[Prediction]) -> pa.Table:
    release = release_of(store, name)
    table = to_table(predictions, features=release.signature)
    features = pa.table({c.name: table[f"features.{c.name}"].combine_chunks() for c in release.signature})
    rule = rule_scores(release, features)
    said = np.full(table.num_rows, np.nan) if rule is None else rule
    kept = table.select(["id", "served_us", "score", "act"]).append_column("rule", pa.array(said, pa.float64()))
    return kept.append_column("meant", class_meant(table, release))


def _outcomes(store: Store, ids: pa.ChunkedArray, meant: pa.ChunkedArray) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the label of each (NaN: void or not known yet), and which are void."""
    few = len(ids) <= _ASKED_BY_ID
    told = store.ledger.outcomes_of(ids.to_pylist()) if few else store.ledger.outcomes()
    at = pc.index_in(ids, value_set=told["prediction"])
    label = came_true(told, ids, meant)
    void = pc.fill_null(pc.equal(pc.take(told["status"], at), "void"), fill_value=False)
    return label, np.asarray(void.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _local_days(moments_us: pa.ChunkedArray, zone: str) -> Counts:
    local = pc.local_timestamp(moments_us.cast(pa.timestamp("us", tz=zone)))
    return np.asarray(local.cast(pa.date32()).cast(pa.int32()).to_numpy(), dtype=np.int64)


def _last(ids: pa.ChunkedArray, chosen: NDArray[np.bool_]) -> str:
    places = np.flatnonzero(chosen)
    return str(ids[int(places[-1])].as_py()) if len(places) else ""


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0), dtype=np.float64)


def _whole(values: Floats) -> Counts:
    return np.asarray(values, dtype=np.int64)
