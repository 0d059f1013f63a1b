"""How things stand, on one screen that a leader understands; and what happened, a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headway.screens.figures import day, interval, moment, money_interval, seconds, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headway.nouns.task import Task
    from headway.screens.page import Cell, Page

__all__ = ["show_history", "show_status"]

_STATES = {"healthy": "good", "watch": "warn", "act": "bad", "nothing deployed": "dim"}
_LABELS: dict[Task, str] = {
    "condition": "base rate",
    "category": "what came",
    "number": "mean label",
    "ranking": "relevant",
}
"""What the last column of worth is called."""
_SHOWN_FINDINGS = 6


def show_status(page: Page, stands: Mapping[str, Any], *, zone: str = "UTC") -> None:
    """Write how things stand."""
    page.title(
        f"Status at {moment(stands['now_us'], zone=zone)}", stands["state"], tone=_STATES.get(stands["state"], "")
    )
    page.words(stands["in_words"], indent=2)
    said = stands["decision"]
    page.gap()
    page.facts(
        [
            ("decision", said["improves"] or "nobody has said"),
            ("acted on", f"{said['acts_on']}; {said['action']}".removesuffix("; ")),
            ("owner", f"{said['owner'] or 'nobody'}; reviewed {said['review'] or 'never'}"),
            *_service(stands, zone=zone),
        ]
    )
    _worth(page, stands)
    _open(page, stands["health"], zone=zone)
    _contracts(page, stands, zone=zone)
    page.gap()
    page.facts(_retraining(stands, zone=zone))
    if stands["live"] is None:
        page.next(("headway run", "to train, validate and package"), ("headway deploy", "to put it into service"))


def _service(stands: Mapping[str, Any], *, zone: str) -> list[tuple[str, Cell]]:
    live, store = stands["live"], stands["online_store"]
    if live is None:
        return []
    facts: list[tuple[str, Cell]] = [
        ("in service", (f"{live['release']} since {moment(live['since_us'], zone=zone)}, by {live['by']}", "strong")),
        (
            "model",
            (
                f"{live['algorithm']} {short(live['model'])}, learned from {live['learned_from_rows']:,} rows "
                f"until {day(live['learned_until_us'], zone=zone)}"
            ),
        ),
    ]
    if store is not None:
        words = f"{store['rows']:,} rows, filled {store['age']} ago; {store['promised']} is promised"
        facts.append(("online store", words if store["kept"] else (words, "warn")))
    return facts


def _contracts(page: Page, stands: Mapping[str, Any], *, zone: str) -> None:
    for each in stands.get("contracts", ()):
        then = "is not taken; the version before stays in force" if each["blocked"] else "was taken all the same"
        more = f" And {len(each['failed']) - 1:,} more." if len(each["failed"]) > 1 else ""
        page.gap()
        page.words(
            f"Source {each['source']} breaks its contract since {moment(each['since_us'], zone=zone)}: what came then "
            f"{then}. {each['failed'][0]}{more}",
            tone="warn",
            indent=2,
        )


def _worth(page: Page, stands: Mapping[str, Any]) -> None:
    tested, recent = stands["tested"], stands["last_30_days"]
    if tested is None:
        return
    page.section("Worth")
    currency = tested["currency"]
    rows: list[list[Cell]] = [
        [
            f"tested on {tested['days']} days",
            f"{interval(tested['score'])}, rule {interval(tested['rule_score'])}",
            (money_interval(tested["money_per_day"], currency), "strong"),
            money_interval(tested["rule_per_day"], currency),
            _tested_label(tested),
        ]
    ]
    if recent is not None:
        rows.append(
            [
                f"live, {recent['from']} to {recent['to']}",
                f"{recent['predictions']:,} predictions",
                (money_interval(recent["money_per_day"], recent["currency"]), "strong"),
                money_interval(recent["rule_per_day"], recent["currency"]),
                _live_label(tested["task"], recent["base_rate"]),
            ]
        )
    page.table(
        ["", tested["metric"], "money per day", f"rule: {tested['rule'] or 'none'}", _LABELS[tested["task"]]],
        rows,
        indent=2,
    )


def _tested_label(tested: Mapping[str, Any]) -> str:
    """Return what the labels of the test were like, by the kind of target."""
    if tested["task"] == "category":
        return f"{tested['base_rate']:.1%} the most frequent class"
    return _live_label(tested["task"], tested["base_rate"])


def _live_label(task: Task, value: float) -> str:
    """Return what the outcomes were like: of a category, how often the class came that was acted on."""
    if task == "number":
        return f"{value:.4g}"
    return f"{value:.1%} the class acted on" if task == "category" else f"{value:.1%}"


def _open(page: Page, felt: Mapping[str, Any], *, zone: str) -> None:
    found = felt["findings"]
    page.section("Open", f"{len(found)} findings" if found else "nothing")
    if felt["likeliest_cause"] and found:
        page.words(f"likeliest cause: {felt['likeliest_cause']}. {felt['because']}", indent=2)
    page.table(
        [],
        [
            [
                (one["level"], "bad" if one["level"] == "alert" else "warn"),
                f"since {day(one['since_us'], zone=zone)}",
                one["what"],
            ]
            for one in found[:_SHOWN_FINDINGS]
        ],
        indent=2,
    )
    if len(found) > _SHOWN_FINDINGS:
        page.words(f"and {len(found) - _SHOWN_FINDINGS} more: headway findings --open", tone="dim", indent=2)
    if found and felt["what_to_do"]:
        page.words(f"to do: {felt['what_to_do']}", indent=2)


def _retraining(stands: Mapping[str, Any], *, zone: str) -> list[tuple[str, Cell]]:
    plan, challenger = stands["retraining"], stands["challenger"]
    when = [f"next on {plan['next_scheduled']}"] if plan["next_scheduled"] else []
    when += ["when it is harmed"] if plan["on_harm"] else []
    spent = f"{plan['last_30_days']} of {plan['budget']} in the last 30 days"
    facts: list[tuple[str, Cell]] = [("retraining", f"{', '.join(when) or 'never'}; {spent}")]
    if challenger is not None:
        since = day(challenger["since_us"], zone=zone)
        facts.append(
            ("challenger", f"{challenger['release']} in the shadow since {since}, judged on {challenger['judged_on']}")
        )
    if stands["runs"]:
        last = stands["runs"][0]
        words = f"{last['run']} {last['state']}, as of {day(last['as_of_us'], zone=zone)}, {seconds(last['seconds'])}"
        facts.append(("last run", words))
    return facts


def show_history(page: Page, lines: Sequence[Mapping[str, Any]], *, zone: str = "UTC") -> None:
    """Write what happened, oldest first."""
    if not lines:
        page.words("Nothing has happened yet.")
        return
    page.table(
        [],
        [
            [(moment(line["at_us"], zone=zone), "dim"), line["who"], line["what"], (line["why"], "dim")]
            for line in lines
        ],
    )
