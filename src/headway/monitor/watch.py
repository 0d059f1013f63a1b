"""The watch: a fold over days.

``observe`` takes the state, the release's reference and one day, and gives back the next state and what is new.

State is plain numbers and goes through JSON without loss, so that a restart changes no verdict; store it in the same
transaction as the findings. A day that was seen before changes nothing: delivering twice is safe.

What stays and what starts anew with a release: everything that concerns the model (its ranking, calibration, money,
inputs against *its* bins, comparison with *its* predecessor) starts anew. The base rate belongs to the world: it goes
on being held against the same days, until a finding about it has been answered by a newer release.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

import msgspec

from headway.errors import DataError
from headway.monitor import evidence, operations, words
from headway.monitor.drift import push_drift
from headway.monitor.evidence import Stream, log_evidence
from headway.monitor.signals import SIGNALS, promise, said_of
from headway.monitor.streams import RANKED, paired, push_paired, push_ranked
from headway.monitor.yardstick import Yardstick
from headway.nouns.finding import Finding
from headway.nouns.summary import Summary, summarise

if TYPE_CHECKING:
    from headway.monitor.day import Cohort, Day
    from headway.monitor.operations import Fact
    from headway.monitor.reference import Reference

__all__ = ["Watch", "observe"]

_WORLD = ("base-rate-rise", "base-rate-fall")
_PAIRS = ("release-loss", "release-money", "release-ranking")
_REMEMBERED_DAYS = 28
_FEWEST_COVERED = 0.8


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """The state; `Watch()` is the first one.

    Attributes
    ----------
    release, pair
        The live release; it and its predecessor. A change of either starts streams anew.
    last_day, last_cohort
        The newest seen; what is not newer is not counted again.
    base_rate
        The days that the base rate is held against.
    streams, drift
        Evidence per signal, and per feature (and of the scores).
    volumes
        Predictions of the last 28 days, the newest last.
    agreements
        Rank correlations of the live release with the one before, of the last three days.
    open
        What was found and is not over, by ``signal:subject``.
    """

    release: str = ""
    pair: str = ""
    last_day: int | None = None
    last_cohort: int | None = None
    base_rate: Yardstick | None = None
    streams: dict[str, Stream] = {}
    drift: dict[str, Stream] = {}
    volumes: tuple[int, ...] = ()
    agreements: tuple[float, ...] = ()
    open: dict[str, Finding] = {}


def observe(
    watch: Watch, reference: Reference, day: Day, *, summary: Summary | None = None
) -> tuple[Watch, tuple[Finding, ...]]:
    """Return the state after ``day``, and what was found at its close and was not open before.

    Parameters
    ----------
    watch
        The state after the day before.
    reference
        Of the release that is live at the close of the day.
    day
        Its traffic, and the cohorts that matured.
    summary
        The traffic's summary where it was counted in parts (hours, workers) and merged; else it is counted here.

    Raises
    ------
    DataError
        When ``reference`` is not that of ``day.release``, or the features lack a column of it.
    """
    if reference.release != day.release:
        raise DataError(
            f"The day was served by release {day.release!r}, the reference is of {reference.release!r}.",
            hint="Pass the reference that was frozen when the live release was judged.",
        )
    if watch.last_day is not None and day.day <= watch.last_day:
        return watch, ()
    counted = summary or summarise(
        reference.bins,
        day.traffic.features,
        day.traffic.scores,
        latencies_us=day.traffic.latencies_us,
        errors=day.traffic.errors,
        refused=day.traffic.refused,
        stale=day.traffic.stale,
    )
    if counted.bins != reference.bins.digest:
        raise DataError("The summary was counted in the bins of another release.", hint="Count it in the live one's.")
    watch = _with_release(watch, reference)
    usual = statistics.median(watch.volumes) if len(watch.volumes) >= 7 else reference.rows_a_day
    alike = operations.agreement_today(day)
    agreements = watch.agreements if alike is None else (*watch.agreements, alike.correlation)[-3:]
    watch = msgspec.structs.replace(watch, agreements=agreements)
    facts = operations.facts(reference, day, counted, usual_rows=usual, agreements=agreements)
    watch = _with_traffic(watch, reference, day, counted)
    for cohort in day.cohorts:
        watch = _with_cohort(watch, reference, cohort)
    watch, new_facts = _with_facts(watch, facts, day.day)
    watch = _closed(watch)
    watch, new = _judged(watch, reference, day.day)
    return watch, (*new_facts, *new)


def _with_release(watch: Watch, reference: Reference) -> Watch:
    if watch.release == reference.release:
        return watch
    anchor, offered = watch.base_rate, reference.yardsticks.get("base-rate")
    found = any(key.startswith(_WORLD) for key in watch.open)
    # A rollback offers the very same days again: that answers nothing, and nothing may be forgotten.
    begins_anew = anchor is None or (found and offered is not None and offered != anchor)
    kept = {} if begins_anew else {name: stream for name, stream in watch.streams.items() if name in _WORLD}
    still = {
        key: finding
        for key, finding in watch.open.items()
        if finding.odds is None or (finding.signal in _WORLD and not begins_anew)
    }
    return msgspec.structs.replace(
        watch,
        release=reference.release,
        pair="",
        base_rate=offered if begins_anew else anchor,
        streams=kept,
        drift={},
        agreements=(),
        open=still,
    )


def _with_traffic(watch: Watch, reference: Reference, day: Day, summary: Summary) -> Watch:
    serving = watch.streams.get("serving-bug", Stream())
    drift, serving = push_drift(watch.drift, serving, reference, summary, day=day.day)
    streams = {**watch.streams, "serving-bug": serving}
    volumes = (*watch.volumes, summary.rows)[-_REMEMBERED_DAYS:]
    return msgspec.structs.replace(watch, last_day=day.day, drift=drift, streams=streams, volumes=volumes)


def _with_cohort(watch: Watch, reference: Reference, cohort: Cohort) -> Watch:
    if watch.last_cohort is not None and cohort.day <= watch.last_cohort:
        return watch
    watch = msgspec.structs.replace(watch, last_cohort=cohort.day)
    if cohort.coverage < _FEWEST_COVERED:
        # The outcomes that come in first are not like those that are late: no verdict is better than a biased one.
        return watch
    own = cohort.release == reference.release
    pair = f"{cohort.release}|{cohort.previous}" if cohort.previous_scores is not None else watch.pair
    streams = dict(watch.streams)
    if own and pair != watch.pair:
        streams = {name: stream for name, stream in streams.items() if name not in _PAIRS}
    scores, labels = cohort.scores[cohort.known], cohort.labels[cohort.known]
    for name, (yardstick_name, _, measure) in RANKED.items():
        world = name in _WORLD
        yardstick = watch.base_rate if world else reference.yardsticks.get(yardstick_name)
        if yardstick is not None and (own or world):
            figure = measure(scores, labels)
            streams[name] = push_ranked(streams.get(name, Stream()), yardstick, name, figure, day=cohort.day)
    for name, pair_of_day in (paired(reference, cohort) if own else {}).items():
        streams[name] = push_paired(streams.get(name, Stream()), pair_of_day, day=cohort.day)
    return msgspec.structs.replace(watch, streams=streams, pair=pair if own else watch.pair)


def _with_facts(watch: Watch, facts: tuple[Fact, ...], today: int) -> tuple[Watch, tuple[Finding, ...]]:
    """Facts open when they hold and close when they do not; one that grows from report to alert is news again."""
    held = {key: finding for key, finding in watch.open.items() if finding.odds is not None}
    new: list[Finding] = []
    for fact in facts:
        key = f"{fact.signal}:{fact.subject}"
        before = watch.open.get(key)
        # While it lasts it does not shrink to a report, or a limit passed every other day would page every other day.
        level = "alert" if before is not None and before.level == "alert" else fact.level
        since = today if before is None else before.since
        finding = words.of_fact(fact._replace(level=level), today=today, since=since)
        grew = before is not None and before.level != level
        if before is None or grew:
            new.append(finding)
        held[key] = finding
    return msgspec.structs.replace(watch, open=held), tuple(new)


def _closed(watch: Watch) -> Watch:
    """Close what the evidence no longer supports, and let its stream begin from nothing."""
    streams, drift, still = dict(watch.streams), dict(watch.drift), dict(watch.open)
    for key, finding in watch.open.items():
        of_drift = finding.signal == "drift"
        pool, name = (drift, finding.subject) if of_drift else (streams, finding.signal)
        if finding.odds is not None and name in pool and pool[name].run <= 0.0:
            pool[name] = Stream()
            del still[key]
    return msgspec.structs.replace(watch, streams=streams, drift=drift, open=still)


def _judged(watch: Watch, reference: Reference, today: int) -> tuple[Watch, tuple[Finding, ...]]:
    opened = dict(watch.open)
    new: list[Finding] = []
    for family in ("outcomes", "serving", "world"):
        signals = {signal.name: said_of(signal, reference.task) for signal in SIGNALS if signal.family == family}
        quiet = {n: s for n, s in signals.items() if n in watch.streams and f"{n}:{s.subject}" not in opened}
        found = {name: log_evidence(watch.streams[name]) for name in quiet}
        weights = {name: signal.weight for name, signal in signals.items()}
        for name, log_odds in _suspects(found, weights, promise(reference.windows, family)):
            then, currency = _then(watch, reference, name), reference.value.currency
            finding = words.of_signal(
                signals[name], watch.streams[name], then, log_odds=log_odds, today=today, currency=currency
            )
            opened[f"{name}:{finding.subject}"] = finding
            new.append(finding)
    columns = {**reference.bins.columns, words.SCORE: reference.bins.score}
    found = {n: log_evidence(s) for n, s in watch.drift.items() if f"drift:{n}" not in opened}
    weights = {name: 0.7 * weight for name, weight in reference.weights.items()} | {words.SCORE: 0.3}
    for name, log_odds in _suspects(found, weights, promise(reference.windows, "drift")):
        finding = words.of_drift(name, columns[name], watch.drift[name], log_odds=log_odds, today=today)
        opened[f"drift:{name}"] = finding
        new.append(finding)
    return msgspec.structs.replace(watch, open=opened), tuple(new)


def _suspects(found: dict[str, float], weights: dict[str, float], limit: float) -> list[tuple[str, float]]:
    """Return who made the family alarm, with the family's evidence: nobody where it does not.

    Named are the strongest, and those that reach a tenth of the limit alone.
    """
    total = evidence.combined(found, weights)
    if total < math.log(limit):
        return []
    share = {name: value + math.log(weights[name]) for name, value in found.items() if value > -math.inf}
    strongest = max(share, key=lambda name: share[name])
    return [(n, total) for n in sorted(share) if n == strongest or share[n] >= math.log(limit / 10)]


def _then(watch: Watch, reference: Reference, name: str) -> float:
    """Return the figure when the release was judged; zero for paired figures, which are differences."""
    if name in RANKED:
        yardstick = watch.base_rate if name in _WORLD else reference.yardsticks[RANKED[name][0]]
        return yardstick.mean if yardstick is not None else math.nan
    return 0.0
