"""What the page says, gathered from the store: plain data, in the order of the page.

The file hides where things are kept, and that a project may be anywhere on its way: without a run, without a release,
without an outcome, the page says so instead of failing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from headway.errors import NotFound
from headway.loop.daily import Daily, daily
from headway.loop.days import local_day
from headway.loop.manifests import snapshot_of
from headway.loop.releases import facts_of, release_of
from headway.loop.results import RunResult
from headway.nouns.clock import format_moment
from headway.nouns.dataset import Dataset
from headway.nouns.event import ChallengerJudged, ReleaseRolledBack, RetrainingDecided
from headway.nouns.finding import day_text
from headway.nouns.metric import higher_is_better
from headway.nouns.model import Model
from headway.nouns.trial import Trial
from headway.nouns.verdict import Verdict
from headway.validate.words import metric_words, names

if TYPE_CHECKING:
    from headway.api import Project
    from headway.ledger.views import Finding, RoleSpan
    from headway.loop.store import Store
    from headway.nouns.brief import Brief

__all__ = ["Facts", "Judged", "Mark", "gather"]

_KINDS = {"glass": "a sum that can be read", "small": "a page of rules", "opaque": "through reasons only"}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WORTH_A_LINE = 0.0005  # less would be shown as 0.0 %
_ROUTINE = frozenset({"SnapshotTaken", "OutcomesReceived", "BriefSeen", "RunStarted", "Alerted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened to the model on a day: what kind, and a word for it."""

    day: int
    kind: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A run whose model was judged, with all that its figures are drawn from."""

    result: RunResult
    dataset: Dataset
    verdict: Verdict
    model: Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the page and its figures are made of; ``shown`` is what the template sees by name."""

    brief: Brief
    store: Store
    judged: Judged | None
    life: Daily
    marks: tuple[Mark, ...]
    findings: tuple[tuple[Finding, ...], ...]
    today: int
    shown: dict[str, Any] = field(default_factory=dict)


def gather(project: Project, *, traced: str = "") -> Facts:
    """Return what there is to say of a project.

    Parameters
    ----------
    traced
        The prediction to follow; by default the newest that was acted on and came true, or else the newest.
    """
    store, brief = project.store, project.brief
    zone = brief.split.zone
    judged, life = _judged(store), daily(store, brief)
    findings = tuple(store.ledger.findings())
    groups = _grouped(findings)
    followed = traced or life.acted_and_right or life.newest
    history = project.history()
    retrainings = _retrainings(store)
    shown = {
        "name": store.folder.resolve().name,
        "now": _moment(store.now_us(), zone),
        "zone": zone,
        "brief": brief,
        "status": project.status(),
        "judged": judged,
        "metric": metric_words(brief.success.metric),
        "trials": _trials(store, judged),
        "data": _data(store, brief, judged),
        "life": _life(life, findings, retrainings, zone=zone),
        "findings": [_finding(group, zone) for group in groups],
        "retrainings": [{**each, "at": _moment(each["at_us"], zone)} for each in retrainings],
        "releases": [_span(span, zone) for span in store.ledger.role_history()],
        "trace": project.trace(followed) if followed else None,
        "history": [{**line, "at": _moment(line["at_us"], zone)} for line in history if line["kind"] not in _ROUTINE],
        "routine": sum(line["kind"] in _ROUTINE for line in history),
        "reproduce": _reproduce(store, judged, zone),
        "moment": lambda us: _moment(us, zone),
        "day": lambda us: _day_words(local_day(us, zone)),
    }
    return Facts(
        brief=brief,
        store=store,
        judged=judged,
        life=life,
        marks=_marks(store, retrainings, zone),
        findings=groups,
        today=local_day(store.now_us(), zone),
        shown=shown,
    )


def _moment(us: int, zone: str) -> str:
    """Return a moment to the minute, as a clock in ``zone`` shows it.

    Examples
    --------
    >>> _moment(1380585600000000, "America/New_York")
    '2013-09-30 20:00'
    """
    return format_moment(us // 60_000_000 * 60_000_000, zone=zone)[:16].replace("T", " ")


def _day_words(day: int) -> str:
    """Return a day as people write it, whatever the machine's language.

    Examples
    --------
    >>> _day_words(16040)
    '1 December 2013'
    """
    date = dt.date(1970, 1, 1) + dt.timedelta(days=day)
    return f"{date.day} {_MONTHS[date.month - 1]} {date.year}"


def _judged(store: Store) -> Judged | None:
    """Return the run of the release in service, or else the newest that is finished."""
    champion = store.ledger.champion()
    runs = [run.run for run in store.ledger.runs() if run.state == "finished"]
    wanted = [release_of(store, champion.release).run] if champion is not None else []
    for name in [*wanted, *runs]:
        found = store.book.get(f"run:{name}")
        if found is not None:
            result = msgspec.convert(found, RunResult)
            blob = (
                facts_of(store, champion.release).model if champion is not None and wanted == [name] else result.model
            )
            return Judged(
                result=result,
                dataset=store.get(result.dataset, Dataset),
                verdict=store.get(result.verdict, Verdict),
                model=store.get(blob, Model),
            )
    return None


def _trials(store: Store, judged: Judged | None) -> list[dict[str, Any]]:
    """Return the candidates of the search that the model's settings come from, the best first."""
    if judged is None:
        return []
    study, result, metric = judged.result.study or _first_study(store, judged), judged.result, judged.verdict.metric
    kept = [store.book.get(f"trial:{study}:{trial.number}") for trial in store.ledger.trials(study)]
    trials = [msgspec.convert(each, Trial) for each in kept if each is not None]
    trials.sort(key=lambda trial: trial.score(metric), reverse=higher_is_better(metric))
    return [
        {
            "number": trial.number + 1,
            "algorithm": trial.algorithm,
            "settings": ", ".join(f"{name} {_setting(value)}" for name, value in trial.settings.items()),
            "score": trial.scores[metric],
            "kind": _KINDS[trial.interpretability],
            "complexity": trial.complexity,
            "latency_us": trial.latency_us,
            "seconds": trial.fit_seconds,
            "won": trial.algorithm == result.algorithm and trial.settings == result.settings,
        }
        for trial in trials
    ]


def _first_study(store: Store, judged: Judged) -> str:
    """Return the search whose settings a retraining took over; "" where none is known."""
    for run in store.ledger.runs():
        found = store.book.get(f"run:{run.run}") if run.state == "finished" else None
        if (
            found
            and found["study"]
            and (found["algorithm"], found["settings"])
            == (
                judged.result.algorithm,
                judged.result.settings,
            )
        ):
            return str(found["study"])
    return ""


def _setting(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _data(store: Store, brief: Brief, judged: Judged | None) -> dict[str, Any]:
    """Return what was learned from: splits, gaps, and the versions of the sources."""
    if judged is None:
        return {"splits": [], "gaps": [], "sources": [], "examples": 0, "void": 0}
    dataset = judged.dataset
    total = max(dataset.rows, 1)
    gaps = [
        {"feature": name, "missing": count / total, "stale": dataset.stale.get(name, 0) / total}
        for name, count in sorted(dataset.missing.items(), key=lambda item: -item[1])
        if count / total >= _WORTH_A_LINE
    ]
    snapshots = {name: snapshot_of(store, digest) for name, digest in dataset.snapshots.items()}
    return {
        "splits": [split for split in dataset.splits if split.examples],
        "gaps": gaps,
        "examples": dataset.rows,
        "void": sum(split.void for split in dataset.splits),
        "sources": [
            {
                "name": name,
                "path": brief.sources[name].path if name in brief.sources else "",
                "licence": brief.sources[name].licence if name in brief.sources else "",
                "rows": snapshot.rows,
                "files": len(snapshot.segments),
                "version": snapshot.digest,
                "versions": len(store.ledger.snapshots(source=name)),
            }
            for name, snapshot in snapshots.items()
        ],
    }


def _life(
    life: Daily, findings: tuple[Finding, ...], retrainings: list[dict[str, Any]], *, zone: str
) -> dict[str, Any]:
    ripe = life.ripe
    ruled = bool(ripe.any() and np.isfinite(life.rule[ripe]).all())
    return {
        "days": len(life.day),
        "predictions": int(life.predictions.sum()),
        "known": int(life.known.sum()),
        "void": int(life.void.sum()),
        "from": _day_words(int(life.day[0])) if len(life.day) else "",
        "to": _day_words(int(life.day[-1])) if len(life.day) else "",
        "earned": float(life.model[ripe].sum()) if ripe.any() else None,
        "earned_by_rule": float(life.rule[ripe].sum()) if ruled else None,
        "ripe_days": int(ripe.sum()),
        "found_days": len({local_day(each.first_us - 1, zone) for each in findings}),
        "alerts": sum(each.level == "alert" for each in findings),
        "reports": sum(each.level != "alert" for each in findings),
        "retrained": sum(each["action"] == "retrain" for each in retrainings),
        "promoted": sum(each["action"] == "promote" for each in retrainings),
        "kept": sum(each["action"] == "keep" for each in retrainings),
        "rolled_back": sum(each["action"] == "rollback" for each in retrainings),
    }


def _retrainings(store: Store) -> list[dict[str, Any]]:
    """Return what was decided about the model, oldest first: trained anew, judged, rolled back."""
    found = []
    for kind in (RetrainingDecided, ChallengerJudged, ReleaseRolledBack):
        for entry in store.ledger.events(kind):
            event = entry.event
            if isinstance(event, RetrainingDecided) and event.action == "retrain":
                found.append(
                    {"at_us": entry.effective_us, "action": "retrain", "what": "trained anew", "why": event.why}
                )
            elif isinstance(event, ChallengerJudged):
                promoted = event.verdict == "promote"
                what = f"{event.challenger} {'takes over from' if promoted else 'does not replace'} {event.champion}"
                found.append(
                    {
                        "at_us": entry.effective_us,
                        "action": "promote" if promoted else "keep",
                        "what": what,
                        "why": event.why,
                    }
                )
            elif isinstance(event, ReleaseRolledBack):
                what = f"{event.release} rolled back, {event.back_to} live again"
                found.append({"at_us": entry.effective_us, "action": "rollback", "what": what, "why": event.why})
    return sorted(found, key=lambda each: each["at_us"])


def _marks(store: Store, retrainings: list[dict[str, Any]], zone: str) -> tuple[Mark, ...]:
    rolled_back = {each["at_us"] for each in retrainings if each["action"] == "rollback"}
    marks = [
        Mark(
            day=local_day(span.from_us, zone),
            kind="rollback" if span.from_us in rolled_back else "live",
            word=f"back to {span.release}" if span.from_us in rolled_back else f"{span.release} live",
        )
        for span in store.ledger.role_history()
        if span.role == "champion"
    ]
    marks += [
        Mark(day=local_day(each["at_us"], zone), kind="retrain", word="trained anew")
        for each in retrainings
        if each["action"] == "retrain"
    ]
    return tuple(sorted(marks, key=lambda mark: (mark.day, mark.kind)))


def _grouped(findings: tuple[Finding, ...]) -> tuple[tuple[Finding, ...], ...]:
    """Return the findings by the first time each was found; what was found of several subjects at once is one group."""
    groups: dict[tuple[Any, ...], list[Finding]] = {}
    for each in sorted(findings, key=lambda each: (each.first_us, each.level != "alert", each.finding)):
        groups.setdefault((each.first_us, each.signal, each.level, each.since_us, each.cleared_us), []).append(each)
    return tuple(tuple(group) for group in groups.values())


def _finding(group: tuple[Finding, ...], zone: str) -> dict[str, Any]:
    found = group[0]
    return {
        "level": found.level,
        "message": found.message,
        "also": names([each.subject for each in group[1:]], shown=20) if len(group) > 1 else "",
        "todo": found.todo,
        "since": day_text(local_day(found.since_us, zone)),
        "found": day_text(local_day(found.first_us - 1, zone)),  # found at the close of a day
        "over": day_text(local_day(found.cleared_us - 1, zone)) if found.cleared_us is not None else "",
        "how_sure": str(found.evidence.get("how sure", "")),
        "told": found.alerted,
    }


def _span(span: RoleSpan, zone: str) -> dict[str, str]:
    return {
        "release": span.release,
        "role": span.role,
        "from": _moment(span.from_us, zone),
        "until": _moment(span.until_us, zone) if span.until_us is not None else "",
        "by": span.by,
        "why": span.why,
    }


def _reproduce(store: Store, judged: Judged | None, zone: str) -> dict[str, Any]:
    if judged is None:
        return {"commands": [], "digests": {}, "environment": {}}
    result = judged.result
    try:
        environment = store.ledger.run(result.run).environment
    except NotFound:
        environment = {}
    return {
        "commands": [f"headway run --as-of {format_moment(result.as_of_us, zone=zone)}", "headway deploy --by NAME"],
        "digests": {
            "run": result.run,
            "brief": result.brief,
            "dataset": result.dataset,
            "model": judged.model.digest,
            "graph": judged.model.graph,
            "verdict": result.verdict,
            "seed": str(judged.model.seed),
        },
        "environment": environment,
    }
