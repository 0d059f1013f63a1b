"""Whether a challenger takes over from the champion, on examples that both have answered.

The file hides the rule of succession. Its order: first do no harm, then show that something is better. A tie
keeps the champion, since every change of model costs attention and can break what nobody measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np

from headway.nouns.interval import Interval
from headway.nouns.metric import METRICS, higher_is_better, paired_day_bootstrap
from headway.nouns.money import decide, mean_per_day, worth_per_day
from headway.nouns.verdict import Comparison
from headway.validate.judge import checked_scores
from headway.validate.segments import TOLERANCE, compare_segments, too_few
from headway.validate.words import metric_words, money_words, names

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from headway.nouns.act_on import ActOn
    from headway.nouns.brief import Success, Value
    from headway.nouns.examples import Examples
    from headway.nouns.verdict import SegmentComparison

    Floats = NDArray[np.float64]

__all__ = ["MARGIN", "MIN_COMPARED_DAYS", "compare"]

MARGIN = 0.05  # share of the champion's score that a challenger may lose and still count as not worse
MIN_COMPARED_DAYS = 4


class _Evidence(NamedTuple):
    """Improvements: above 0 means that the challenger is better, whatever the metric's direction."""

    metric: str
    quality: Interval
    log_loss: Interval
    money: Interval
    allowed_loss: float
    currency: str


def compare(
    champion: ArrayLike,
    challenger: ArrayLike,
    examples: Examples,
    *,
    success: Success,
    value: Value,
    act_on: ActOn,
    margin: float = MARGIN,
    seed: int,
    draws: int = 1000,
) -> Comparison:
    """Return how a challenger compares with the champion, and whether to promote it.

    All differences are paired: both models met the same examples on the same days.

    The challenger is kept out when its metric or its money is significantly worse, when its metric is below
    the champion's by more than ``margin`` (a share of the champion's score), when its log loss is significantly
    worse and neither of the others significantly better, or when a segment is ranked significantly worse by
    more than the tolerance. It is promoted when, none of that being so, metric, log loss
    or money is significantly better; or when it is *shown* to be no worse (the lower bound of the metric lies
    within the margin) and log loss and one of the other two are better in the point. Log loss leads among near
    ties: it uses every example, not only the top of the list, and notices scores that have become wrong in
    size while still in order.

    Parameters
    ----------
    champion, challenger
        Probabilities, one per example, in [0, 1].
    margin
        Share of the champion's score; 0.05 means that 95 % of its quality must be kept.

    Raises
    ------
    DataError
        Scores that are no probabilities or do not fit the examples, one class only.
    """
    old = checked_scores(champion, examples, who="The champion")
    new = checked_scores(challenger, examples, who="The challenger")
    label, day = examples.label, examples.day
    days = len(np.unique(day))
    acted_old, acted_new = decide(old, day, act_on), decide(new, day, act_on)
    flips = acted_old != acted_new
    score = METRICS[success.metric]
    few = too_few(label, day, min_days=MIN_COMPARED_DAYS)
    blank = Comparison(
        metric=success.metric,
        champion=score(old, label),
        challenger=score(new, label),
        difference=None,
        log_loss=None,
        money=None,
        currency=value.currency,
        flip_rate=float(flips.mean()),
        flips_per_day=float(flips.sum() / days),
        segments=(),
        examples=len(label),
        positives=int(label.sum()),
        days=days,
        decision="keep",
        reason=f"Keep the champion: too little to say ({few}).",
    )
    if few:
        return blank
    quality = paired_day_bootstrap(success.metric, new, old, label, day, draws=draws, seed=seed)
    loss = paired_day_bootstrap("log_loss", new, old, label, day, draws=draws, seed=seed)
    gained = worth_per_day(acted_new, label, day, value) - worth_per_day(acted_old, label, day, value)
    money = mean_per_day(gained, draws=draws, seed=seed)
    segments = compare_segments(
        old, new, examples, tolerance=TOLERANCE, draws=draws, seed=seed, min_days=MIN_COMPARED_DAYS
    )
    evidence = _Evidence(
        metric=success.metric,
        quality=quality if higher_is_better(success.metric) else _turned(quality),
        log_loss=_turned(loss),
        money=money,
        allowed_loss=margin * abs(blank.champion),
        currency=value.currency,
    )
    decision, reason = _succession(evidence, segments)
    return msgspec.structs.replace(
        blank, difference=quality, log_loss=loss, money=money, segments=segments, decision=decision, reason=reason
    )


def _succession(found: _Evidence, segments: tuple[SegmentComparison, ...]) -> tuple[Literal["promote", "keep"], str]:
    """Return the decision with one sentence why; the intervals in it read 'above 0 is better'."""
    named = metric_words(found.metric)
    money = f"{money_words(found.money, found.currency)} a day"
    if worse := _harm(found, segments):
        return "keep", f"Keep the champion: {worse}."
    better = [
        said
        for interval, said in (
            (found.quality, f"{named} improves by {found.quality}"),
            (found.log_loss, f"log loss improves by {found.log_loss}"),
            (found.money, f"money improves by {money}"),
        )
        if interval.low > 0
    ]
    if better:
        said = " and ".join(dict.fromkeys(better))
        return "promote", f"Promote the challenger: {said}, and no harm is found elsewhere."
    shown = found.quality.low > -found.allowed_loss
    if shown and found.log_loss.value > 0 and (found.quality.value > 0 or found.money.value > 0):
        also = f"{named} ({found.quality})" if found.quality.value > 0 else f"money ({money})"
        return "promote", (
            f"Promote the challenger: its {named} is shown to be no worse than the margin of {found.allowed_loss:.3f}, "
            f"and log loss ({found.log_loss}) and {also} are better in the point."
        )
    what = "it is no worse, but nothing is better" if shown else "the evidence does not yet show that it is no worse"
    return "keep", f"Keep the champion: {what} ({named} {found.quality}, log loss {found.log_loss}, money {money})."


def _harm(found: _Evidence, segments: tuple[SegmentComparison, ...]) -> str:
    named = metric_words(found.metric)
    if found.quality.high < 0:
        return f"the challenger's {named} is significantly worse, by {_turned(found.quality)}"
    if found.quality.value < -found.allowed_loss:
        lost = _turned(found.quality)
        return f"the challenger's {named} is worse by {lost}, beyond the margin of {found.allowed_loss:.3f}"
    if found.money.high < 0:
        return f"the challenger loses {money_words(_turned(found.money), found.currency)} a day"
    if found.log_loss.high < 0 and found.quality.low <= 0 and found.money.low <= 0:
        lost = _turned(found.log_loss)
        return f"the challenger's probabilities are significantly worse, log loss by {lost}, and nothing else is better"
    if worse := [segment.name for segment in segments if segment.worse]:
        return f"the challenger ranks significantly worse, by over {TOLERANCE:g} of ROC AUC, in {names(worse)}"
    return ""


def _turned(interval: Interval) -> Interval:
    value, low, high = (0.0 - part for part in (interval.value, interval.high, interval.low))
    return Interval(value=value, low=low, high=high, level=interval.level)
