"""What a run came to: the data, the leaks, the trials, the winner, its verdict, and what to do with it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from headway.screens.contracts import show_broken
from headway.screens.figures import interval, moment, money, money_interval, seconds, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headway.loop.results import RunReport
    from headway.screens.page import Cell, Page

__all__ = ["show_run"]

_SHOWN_TRIALS = 10
_SHOWN_SEGMENTS = 12
_SPLITS = ("train", "validate", "test", "after")


def show_run(page: Page, report: RunReport, *, trials: Sequence[dict[str, Any]] = ()) -> None:
    """Write what a run came to; ``trials`` are the rows of the ledger's table, of which the run's own are shown."""
    verdict = report.verdict
    page.title(
        f"Run {report.run}",
        "passed" if report.passed else "did not pass",
        tone="good" if report.passed else "bad",
    )
    show_broken(page, getattr(report, "contracts", ()))
    _data(page, report)
    _search(page, report, _of_study(trials, getattr(report, "study", "")), metric=verdict["metric"])
    _scores(page, verdict)
    _classes(page, verdict)
    _gates(page, verdict)
    _segments(page, verdict)
    page.gap()
    page.facts(
        [
            ("model", short(report.model)),
            (
                "took",
                f"{seconds(report.seconds)}, of which {seconds(report.fit_seconds)} were fits"
                + ("; nothing had changed" if report.unchanged else ""),
            ),
        ]
    )
    if report.passed:
        page.next((f"headway deploy {report.run}", "to put it into service"))
    else:
        page.next(
            ("headway run", "again, with better features or data"),
            (f"headway deploy {report.run} --override REASON --by NAME", "to take the responsibility"),
        )


def _data(page: Page, report: RunReport) -> None:
    counts = [f"{report.rows[name]:,} {name}" for name in _SPLITS if report.rows.get(name)]
    failed = report.leaks_failed
    page.facts(
        [
            ("as of", moment(report.as_of_us)),
            ("examples", f"{', '.join(counts)}; {report.void:,} without an outcome"),
            ("features", str(report.features)),
            (
                "leaks",
                (f"{report.leaks_checked} checks, {len(failed)} of them not passed", "warn")
                if failed
                else f"{report.leaks_checked} checks, none found",
            ),
        ]
    )
    for words in failed:
        page.words(f"? {words}", tone="warn", indent=4)


def _of_study(trials: Sequence[dict[str, Any]], study: str) -> list[dict[str, Any]]:
    return [trial for trial in trials if trial["study"] == study]


def _search(page: Page, report: RunReport, trials: list[dict[str, Any]], *, metric: str) -> None:
    import json

    page.section("Search", f"{report.trials} trials" + (f"; {report.stopped}" if report.stopped else ""))
    if trials:
        scored = [
            (json.loads(each["scores"]) if isinstance(each["scores"], str) else each["scores"], each) for each in trials
        ]
        from headway.nouns.metric import higher_is_better  # numpy, which an unchanged run need not load

        way = -1 if higher_is_better(metric) else 1
        scored.sort(key=lambda pair: (way * pair[0].get(metric, -way * math.inf), pair[1]["number"]))
        best = scored[:_SHOWN_TRIALS]
        page.table(
            ["algorithm", _metric(metric), "fit", "one answer", "size"],
            [
                [
                    (each["algorithm"], "strong" if each["algorithm"] == report.algorithm else ""),
                    f"{scores[metric]:.4f}" if metric in scores else "-",
                    seconds(each["seconds"]),
                    f"{each['latency_us']:,.0f} µs",
                    f"{each['size_bytes'] / 1e3:,.0f} kB",
                ]
                for scores, each in best
            ],
            right=[1, 2, 3, 4],
            indent=2,
        )
        if len(trials) > _SHOWN_TRIALS:
            page.words(
                f"and {len(trials) - _SHOWN_TRIALS} more: headway runs --json, or Project.table('trials')",
                tone="dim",
                indent=2,
            )
    page.facts([("winner", (report.algorithm, "strong")), ("because", report.reason)])


def _scores(page: Page, verdict: dict[str, Any]) -> None:
    worth = verdict["money"]
    currency = worth["currency"]
    rule = verdict["rule_name"] or "no skill"
    page.section(
        "On the test period",
        f"{verdict['examples']:,} examples{_true(verdict)}, on {verdict['days']} days",
    )
    page.table(
        ["", "model", f"rule: {rule}", "difference"],
        [
            [
                _metric(verdict["metric"]),
                (interval(verdict["score"]), "strong"),
                interval(verdict["rule_score"]),
                interval(verdict["difference"]),
            ],
            [
                "money per day",
                (money_interval(worth["model"], currency), "strong"),
                money_interval(worth["rule"], currency),
                money_interval(worth["gain"], currency),
            ],
        ],
        indent=2,
    )
    hit = "" if worth["hit_rate"] is None else f", {worth['hit_rate']:.0%} of them right"
    page.facts(
        [
            ("acted on", f"{worth['acted_per_day']:.1f} a day{hit}"),
            ("net per month", f"{money_interval(worth['monthly_net'], currency)}, against {worth['counterfactual']}"),
            ("paid back", _payback(worth["payback"]["months"])),
            *_about(verdict),
        ]
    )
    if worth["gain"] is not None and worth["gain"]["low"] <= 0 < worth["gain"]["high"]:
        page.words(f"The gain of {money(worth['gain']['value'], currency)} a day may be chance.", tone="warn", indent=2)


def _true(verdict: dict[str, Any]) -> str:
    return f", {verdict['positives']:,} of them true" if verdict.get("task", "condition") == "condition" else ""


def _about(verdict: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return what is said of this kind of target: of a condition its rate, of a number where labels lie."""
    if verdict["roc_auc"] is not None:
        return [("ROC AUC", interval(verdict["roc_auc"])), ("base rate", f"{verdict['base_rate']:.1%}")]
    if verdict.get("classes"):
        return [("most frequent class", f"{verdict['base_rate']:.1%} of the examples")]
    if verdict.get("residuals"):
        bias = interval(verdict["residuals"]["bias"])
        return [("mean label", f"{verdict['base_rate']:.4g}"), ("bias", f"labels lie {bias} above the predictions")]
    return []


def _classes(page: Page, verdict: dict[str, Any]) -> None:
    """Write how well each class is told from the others, where a category is predicted."""
    if not verdict.get("classes"):
        return
    page.section("Classes", f"{len(verdict['classes'])}; said is what was held likeliest")
    page.table(
        ["class", "came", "expected", "said", "of these right", "average precision"],
        [
            [
                each["name"],
                f"{each['examples']:,}",
                f"{each['expected']:,.0f}",
                f"{each['said']:,}",
                f"{each['hits'] / each['said']:.0%}" if each["said"] else "-",
                interval(each["average_precision"]),
            ]
            for each in verdict["classes"]
        ],
        right=[1, 2, 3, 4],
        indent=2,
    )


def _gates(page: Page, verdict: dict[str, Any]) -> None:
    passed = sum(gate["passed"] for gate in verdict["gates"])
    page.section("Gates", f"{passed} of {len(verdict['gates'])} passed")
    rows: list[list[Cell]] = []
    for gate in verdict["gates"]:
        mark = (
            ("✓ passed", "good")
            if gate["passed"]
            else ("✗ FAILED", "bad")
            if gate["blocking"]
            else ("? warning", "warn")
        )
        wanted = "" if gate["passed"] else f"; wanted {gate['wanted']}"
        note = f" ({gate['note'].rstrip('.')})" if gate["note"] else ""
        rows.append([mark, gate["name"], (f"{gate['found']}{wanted}{note}", "" if gate["passed"] else mark[1])])
    page.table([], rows, indent=2)


def _segments(page: Page, verdict: dict[str, Any]) -> None:
    below = [segment for segment in verdict["segments"] if segment["below_bar"] or segment["harmed"]]
    told = [segment for segment in verdict["segments"] if not segment["too_few"]]
    if not verdict["segments"]:
        return
    page.section(
        "Segments", f"{len(told)} judged, {len(verdict['segments']) - len(told)} too small, {len(below)} below the bar"
    )
    if not below:
        return
    page.table(
        ["segment", "examples", "ROC AUC" if verdict["roc_auc"] else "skill", "rule's", "why"],
        [
            [
                (f"{segment['column']} = {segment['value']}", "warn"),
                f"{segment['examples']:,}",
                interval(segment["roc_auc"] or segment.get("skill")),
                "-" if segment["rule_roc_auc"] is None else f"{segment['rule_roc_auc']:.3f}",
                ("ranks" if verdict["roc_auc"] else "does")
                + (" worse than today's rule" if segment["harmed"] else " worse than elsewhere"),
            ]
            for segment in below[:_SHOWN_SEGMENTS]
        ],
        right=[1],
        indent=2,
    )


def _payback(months: float | None) -> str:
    if months is None:
        return "never"
    return f"in {months:.1f} months" if months else "at once: building cost nothing"


def _metric(name: str) -> str:
    return {"roc_auc": "ROC AUC"}.get(name, name.replace("_", " "))
