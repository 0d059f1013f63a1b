"""How things stand, on one screen that a leader understands; and what happened, a plain line each.

The file hides how the ledger's words become people's: which findings matter most, whether the model is healthy, what
the last month was worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from headway.deploy.serving import release_definitions
from headway.loop.breaches import broken_contracts
from headway.loop.daily import daily
from headway.loop.days import local_day
from headway.loop.history import history
from headway.loop.releases import facts_of, release_of
from headway.monitor.diagnosis import diagnose
from headway.monitor.policy import retraining_interval_days
from headway.nouns.event import ReleaseRolledBack, RetrainingDecided
from headway.nouns.finding import Finding, day_text
from headway.nouns.model import Model
from headway.nouns.money import mean_per_day
from headway.nouns.span import DAY, HOUR, MINUTE, format_span, parse_span
from headway.nouns.verdict import Verdict
from headway.validate.words import metric_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headway.ledger.views import Finding as Found
    from headway.loop.store import Store
    from headway.nouns.brief import Brief
    from headway.nouns.release import Release
    from headway.nouns.task import Task

__all__ = ["health", "history", "retraining", "status"]

_DAYS = 30
_LATE_DAYS = 30
"""How much further back the log is read than is shown: outcomes may take so long to come in."""
_RUNS = 5
_DRAWS = 500


def status(store: Store, brief: Brief) -> dict[str, Any]:
    """Return how things stand, as plain data: moments as microseconds (``_us``), scores with their intervals.

    Returns
    -------
    dict
        ``now_us``, ``state`` (``nothing deployed``, ``healthy``, ``watch`` or ``act``; ``watch`` also where nothing is
        open, but what is looked up is older than promised) and ``in_words``, then ``decision``; ``live``, ``tested``
        and ``last_30_days`` (None without a release, or without ripe outcomes); ``health`` with its ``findings``, the
        worst first; ``online_store``, ``challenger``, ``retraining``, ``runs``; ``contracts`` where the newest version
        of a source breaks its own.
    """
    champion = store.ledger.champion()
    felt = health(store, brief)
    state = felt.pop("state") if champion is not None else "nothing deployed"
    recent = _recent(store, brief) if champion is not None else None
    filled = _online_store(store, brief)
    late = filled is not None and not filled["kept"]
    if state == "healthy" and late:
        state = "watch"  # the server calls itself degraded then, and both have to say the same
    broken = broken_contracts(store)
    return {
        "now_us": store.now_us(),
        "state": state,
        "in_words": _in_words(state, felt, recent, filled),
        "decision": _decision(brief),
        "live": _live(store),
        "tested": _tested(store),
        "last_30_days": recent,
        "health": felt,
        "online_store": filled,
        "challenger": _challenger(store, brief),
        "retraining": retraining(store, brief),
        "runs": _runs(store),
        **({"contracts": broken} if broken else {}),
    }


def health(store: Store, brief: Brief) -> dict[str, Any]:
    """Return whether the model is healthy, and the open findings, the worst first.

    ``healthy``: nothing is open. ``watch``: something has moved, and nobody has to do anything about it today. ``act``:
    something alerts.
    """
    found = store.ledger.findings(open_only=True)
    worst_first = sorted(found, key=lambda each: (each.level != "alert", each.since_us, each.finding))
    diagnosis = diagnose([_as_noun(each, brief.split.zone) for each in found])
    alerting = any(each.level == "alert" for each in found)
    return {
        "state": "act" if alerting else "watch" if found else "healthy",
        "likeliest_cause": diagnosis.cause,
        "because": diagnosis.why,
        "what_to_do": diagnosis.remedy,
        "findings": [
            {
                "level": each.level,
                "what": each.message,
                "since_us": each.since_us,
                "how_sure": str(each.evidence.get("how sure", "")),
                "what_to_do": each.todo,
            }
            for each in worst_first
        ],
    }


def retraining(store: Store, brief: Brief) -> dict[str, Any]:
    """Return how often the model was trained anew lately, how often it may be, and when it is due."""
    zone = brief.split.zone
    today = local_day(store.now_us(), zone)
    retrained = [
        local_day(entry.effective_us, zone)
        for entry in store.ledger.events(RetrainingDecided)
        if isinstance(entry.event, RetrainingDecided) and entry.event.action == "retrain"
    ]
    rollbacks = [local_day(entry.effective_us, zone) for entry in store.ledger.events(ReleaseRolledBack)]
    every = retraining_interval_days(brief.retrain)
    champion = store.ledger.champion()
    since = [span.from_us for span in store.ledger.role_history() if champion and span.release == champion.release]
    last = max([*retrained, *(local_day(us, zone) for us in since[-1:])], default=None)
    due = day_text(last + every) if every is not None and last is not None and champion is not None else ""
    return {
        "last_30_days": sum(today - day < _DAYS for day in retrained),
        "budget": brief.retrain.budget_per_month,
        "ever": len(retrained),
        "last": day_text(retrained[-1]) if retrained else "",
        "next_scheduled": due,
        "on_harm": any(entry.strip().lower() == "harm" for entry in brief.retrain.when),
        "rollbacks_ever": len(rollbacks),
    }


def _as_noun(found: Found, zone: str) -> Finding:
    return Finding(
        kind=found.kind,  # type: ignore[arg-type]  # the ledger keeps what the monitor said
        signal=found.signal,
        subject=found.subject,
        level=found.level,  # type: ignore[arg-type]
        since=local_day(found.since_us, zone),
        found_on=local_day(found.at_us, zone),
    )


def _in_words(state: str, felt: dict[str, Any], recent: dict[str, Any] | None, filled: dict[str, Any] | None) -> str:
    if state == "nothing deployed":
        return "Nothing is deployed yet: headway run, then headway deploy."
    worth = ""
    if recent is not None and recent["gain_per_day"] is not None:
        gain, currency = recent["gain_per_day"], recent["currency"]
        against = "today's rule" if recent["rule_per_day"] is not None else "doing nothing"
        more = "more" if gain["value"] >= 0 else "less"
        worth = (
            f" Over {recent['days']} days it earned {abs(gain['value']):,.0f} {currency} a day {more} than {against}"
            f" [{gain['low']:,.0f}, {gain['high']:,.0f}]."
        )
    if state == "healthy":
        return f"Nothing is open.{worth}"
    if filled is not None and not felt["findings"]:
        return (
            f"Nothing is open, but what is looked up was read {filled['age']} ago; {filled['promised']} is promised: "
            f"headway materialize.{worth}"
        )
    first = felt["findings"][0]["what"]
    rest = len(felt["findings"]) - 1
    more = f" {rest} more {'findings are' if rest > 1 else 'finding is'} open." if rest else ""
    return f"{'Somebody must look' if state == 'act' else 'Something has moved'}: {first}{more}{worth}"


def _decision(brief: Brief) -> dict[str, str]:
    said = brief.decision
    return {
        "improves": said.improves,
        "action": said.action,
        "acts_on": brief.target.act_on,
        "reaches": said.reaches,
        "owner": said.owner,
        "review": said.review,
    }


def _live(store: Store) -> dict[str, Any] | None:
    champion = store.ledger.champion()
    if champion is None:
        return None
    spans = [s for s in store.ledger.role_history() if s.release == champion.release and s.role == "champion"]
    model = store.get(facts_of(store, champion.release).model, Model)
    return {
        "release": champion.release,
        "since_us": spans[-1].from_us,
        "by": spans[-1].by,
        "why": spans[-1].why,
        "algorithm": model.algorithm,
        "learned_from_rows": model.rows,
        "learned_until_us": model.trained_to,
        "model": champion.model,
    }


def _tested(store: Store) -> dict[str, Any] | None:
    """Return how good the live release was on examples that it had never seen."""
    champion = store.ledger.champion()
    if champion is None:
        return None
    verdict = store.get(facts_of(store, champion.release).verdict, Verdict)
    money = verdict.money
    return {
        "metric": metric_words(verdict.metric),
        "score": msgspec.to_builtins(verdict.score),
        "rule": verdict.rule_name,
        "rule_score": msgspec.to_builtins(verdict.rule_score),
        "money_per_day": msgspec.to_builtins(money.model),
        "rule_per_day": msgspec.to_builtins(money.rule),
        "gain_per_day": msgspec.to_builtins(money.gain),
        "currency": money.currency,
        "task": verdict.task,
        "base_rate": verdict.base_rate,
        "cases": verdict.examples,
        "days": verdict.days,
        "passed": verdict.passed,
    }


def _recent(store: Store, brief: Brief) -> dict[str, Any] | None:
    """Return the last 30 days whose outcomes are in; None as long as there is none."""
    found = daily(store, brief, since_us=store.now_us() - (_DAYS + _LATE_DAYS) * DAY)
    last = np.flatnonzero(found.ripe)[-_DAYS:]
    if not len(last):
        return None
    known = int(found.known[last].sum())
    mean_label = float((found.mean_label[last] * found.known[last]).sum() / known)
    ruled = bool(np.isfinite(found.rule[last]).all())
    seed = brief.search.seed
    return {
        "from": day_text(int(found.day[last[0]])),
        "to": day_text(int(found.day[last[-1]])),
        "days": len(last),
        "predictions": int(found.predictions[last].sum()),
        "predictions_per_day": float(found.predictions[last].mean()),
        "outcomes_known": known,
        "base_rate": float(found.positives[last].sum() / known) if _task(store) == "ranking" else mean_label,
        "mean_score": float((found.mean_score[last] * found.known[last]).sum() / known),
        "currency": brief.value.currency,
        "money_per_day": _interval(found.model[last], seed),
        "rule_per_day": _interval(found.rule[last], seed) if ruled else None,
        "gain_per_day": _interval(found.model[last] - found.rule[last] if ruled else found.model[last], seed),
    }


def _task(store: Store) -> Task:
    champion = store.ledger.champion()
    assert champion is not None
    return release_of(store, champion.release).task


def _interval(per_day: NDArray[np.float64], seed: int) -> dict[str, Any] | None:
    """Return the mean with its interval; None of a single day, which has none."""
    if len(per_day) < 2:
        return None
    found: dict[str, Any] = msgspec.to_builtins(mean_per_day(per_day, draws=_DRAWS, seed=seed))
    return found


def _online_store(store: Store, brief: Brief) -> dict[str, Any] | None:
    filled = store.ledger.materialisation()
    if filled is None:
        return None
    champion = store.ledger.champion()
    release = release_of(store, champion.release) if champion is not None else None
    promised = (release.brief if release is not None else brief).serve.refresh
    age_us = store.now_us() - filled.as_of_us
    return {
        "as_of_us": filled.as_of_us,
        "age": _age(age_us),
        "promised": promised,
        # Where nothing is looked up that moves, an old store is as good as a new one.
        "kept": age_us <= parse_span(promised) or release is None or not _looks_up(release),
        "rows": filled.rows,
    }


def _looks_up(release: Release) -> bool:
    """Return whether some feature is looked up in what changes with time; as ``GET /health`` asks."""
    return any(not timeline.timeless for timeline in release_definitions(release).timelines)


def _age(us: int) -> str:
    """Return a length of time in its largest unit, rounded down."""
    for unit in (DAY, HOUR, MINUTE):
        if us >= unit:
            return format_span(us // unit * unit)
    return "under a minute"


def _challenger(store: Store, brief: Brief) -> dict[str, Any] | None:
    in_shadow = store.ledger.in_role("shadow")
    if not in_shadow:
        return None
    release = in_shadow[0].release
    span = next(s for s in reversed(store.ledger.role_history()) if s.release == release and s.role == "shadow")
    zone = brief.split.zone
    judged = local_day(span.from_us, zone) + -(-parse_span(brief.retrain.shadow) // DAY)
    return {"release": release, "since_us": span.from_us, "why": span.why, "judged_on": day_text(judged)}


def _runs(store: Store) -> list[dict[str, Any]]:
    return [
        {
            "run": run.run,
            "state": run.state,
            "as_of_us": run.as_of_us,
            "seconds": run.seconds,
            "came_to": run.winner_reason or run.error or "",
        }
        for run in store.ledger.runs(newest=_RUNS)
    ]
