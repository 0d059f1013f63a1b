"""The model card: what a model is for, how good it is, and how it can be checked.

The file hides the layout. A leader reads the top in a minute; what an auditor wants stands below it. The
fields follow Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from headway.validate.words import amount_words, metric_words, money_words, names

if TYPE_CHECKING:
    from headway.nouns.brief import Brief
    from headway.nouns.verdict import Gate, SegmentResult, Verdict

__all__ = ["CardFacts", "FeatureFact", "card", "card_markdown"]


class FeatureFact(msgspec.Struct, frozen=True, kw_only=True):
    """One input: what it is, and which columns it comes from, in words.

    ``importance`` is the share of the model's explained score that it carries, where that was measured.
    """

    name: str
    definition: str
    lineage: str
    importance: float | None = None


class CardFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the card says beyond brief and verdict; empty fields are said to be unknown, not left out.

    Attributes
    ----------
    made_at
        When, as text; passed in, since a card of the same model must be the same bytes.
    rows
        Examples per split, and those left out, with the reason as name: ``{"train": 160000, "void": 9430}``.
    periods
        What stretch of time each split covers.
    snapshots
        Source to the digest of the version that was read.
    training
        Algorithm, settings, seed, trials, duration: whatever names the run, in the order shown.
    reproduce
        The commands that give the same model again.
    limits
        Limits of use beyond those that follow from brief and verdict.
    """

    model: str
    made_at: str
    why_chosen: str = ""
    rows: dict[str, int] = {}
    periods: dict[str, str] = {}
    snapshots: dict[str, str] = {}
    dataset: str = ""
    features: tuple[FeatureFact, ...] = ()
    training: dict[str, str] = {}
    environment: dict[str, str] = {}
    reproduce: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def card(brief: Brief, verdict: Verdict, facts: CardFacts) -> dict[str, Any]:
    """Return the card as plain data: what the JSON twin of the page shows, and what the Markdown is made from."""
    shown = msgspec.to_builtins(verdict)
    return {
        "model": facts.model,
        "made_at": facts.made_at,
        "summary": _summary(brief, verdict),
        "passed": verdict.passed,
        "decision": msgspec.to_builtins(brief.decision),
        "target": msgspec.to_builtins(brief.target),
        "why_chosen": facts.why_chosen,
        "money": {
            **shown["money"],
            "in_words": _money(verdict),
            "assumed": msgspec.to_builtins(brief.value),
        },
        "quality": {
            name: shown[name]
            for name in (
                "metric",
                "score",
                "rule_name",
                "rule_score",
                "difference",
                "roc_auc",
                "base_rate",
                "examples",
                "positives",
                "days",
            )
        },
        "gates": shown["gates"],
        "reasons": list(verdict.reasons),
        "segments": shown["segments"],
        "calibration": shown["calibration"],
        "residuals": shown["residuals"],
        "classes": shown["classes"],
        "latency": shown["latency"],
        "limits": _limits(brief, verdict, facts),
        "data": {
            "dataset": facts.dataset,
            "rows": facts.rows,
            "periods": facts.periods,
            "sources": {
                name: {
                    "path": source.path,
                    "version": facts.snapshots.get(name, ""),
                    "licence": source.licence,
                    "owner": source.owner,
                    "personal": source.personal,
                }
                for name, source in brief.sources.items()
            },
        },
        "features": msgspec.to_builtins(facts.features),
        "training": facts.training,
        "environment": facts.environment,
        "reproduce": list(facts.reproduce),
        "digests": {"brief": brief.digest, "verdict": verdict.digest},
        "resampling": {"draws": verdict.draws, "seed": verdict.seed},
    }


def card_markdown(brief: Brief, verdict: Verdict, facts: CardFacts) -> str:
    """Return the card as Markdown."""
    from jinja2 import Environment, StrictUndefined

    # Markdown, not HTML: whoever renders it escapes; a cell's own marks are made harmless by ``cell``.
    environment = Environment(  # noqa: S701
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters["cell"] = _cell
    environment.filters["code"] = _code
    environment.filters["metric_words"] = metric_words
    template = environment.from_string(_TEMPLATE)
    return template.render(
        card=card(brief, verdict, facts),
        brief=brief,
        verdict=verdict,
        facts=facts,
        gate_state=_gate_state,
        segment_state=_segment_state,
    )


def _summary(brief: Brief, verdict: Verdict) -> list[str]:
    """Return the minute's read: may it go out, what is it worth, how good is it, for whom is it weak."""
    stops = [gate for gate in verdict.gates if gate.blocking and not gate.passed]
    below = [segment.name for segment in verdict.segments_below_bar]
    named, against = (
        metric_words(verdict.metric),
        f"today's rule '{verdict.rule_name}'" if verdict.rule_name else "no skill",
    )
    said = [
        "It may be released: every gate that can stop it is passed."
        if not stops
        else f"It may not be released: {names([gate.name for gate in stops])}.",
        _money(verdict),
        (
            f"On {verdict.examples:,} cases of {verdict.days} days that it had never seen, its {named} is "
            f"{verdict.score}; {against} has {verdict.rule_score}.{_rate(verdict)}"
        ),
    ]
    if (hit := verdict.money.hit_rate) and verdict.roc_auc is not None:
        said.append(
            f"Acting on '{brief.target.act_on}', {hit:.0%} of the actions were right; "
            f"picking at random, {verdict.base_rate:.0%} would have been."
        )
    if verdict.segments:
        tested = sum(not segment.too_few for segment in verdict.segments)
        said.append(f"Segments clearly served worse: {names(below)} (of {tested} that are large enough to say).")
    return said


def _rate(verdict: Verdict) -> str:
    if verdict.task == "category":
        return f" The class that came most often came in {verdict.base_rate:.1%} of these cases."
    if verdict.task == "number":
        return f" The label is {verdict.base_rate:.4g} on average."
    return f" {verdict.base_rate:.1%} of these cases were positive." if verdict.roc_auc is not None else ""


def _money(verdict: Verdict) -> str:
    money = verdict.money
    gain = f"{money_words(money.gain, money.currency)} a day"
    if money.rule is None:
        return f"Acting on it is worth {gain}; payback: {money.payback}."
    return (
        f"Acting on it is worth {gain} more than today's rule "
        f"({amount_words(money.model.value)} against {amount_words(money.rule.value)}); payback: {money.payback}."
    )


def _limits(brief: Brief, verdict: Verdict, facts: CardFacts) -> list[str]:
    said = [
        f"It answers for the decision above, at the moment {brief.target.predict_at}, and for no other.",
        "The intervals take days as independent and say nothing about a season that was not tested.",
        "The figures of money hold for what the brief says a call is worth; an action may change what happens.",
    ]
    if brief.split.by != "time":
        said.append("The split is not by time: how it does on days after those that it learned from was not tested.")
    if small := [segment.name for segment in verdict.segments if segment.too_few]:
        said.append(f"Nothing is known about these segments; there are too few cases: {names(small, shown=20)}.")
    if verdict.latency is None:
        said.append("How fast it answers was not measured for this card.")
    personal = sorted(name for name, source in brief.sources.items() if source.personal)
    unsaid = sorted(name for name, source in brief.sources.items() if source.personal is None)
    if personal:
        said.append(f"It uses data about identifiable people: {names(personal)}.")
    if unsaid:
        said.append(f"Nobody has said whether these data are about identifiable people: {names(unsaid)}.")
    return [*said, *facts.limits]


def _gate_state(gate: Gate) -> str:
    if gate.passed:
        return "passed"
    return "**failed**" if gate.blocking else "*mind*"


def _segment_state(segment: SegmentResult) -> str:
    if segment.too_few:
        return f"too few to say: {segment.too_few}"
    marks = ["**below the bar**"] if segment.below_bar else []
    marks += ["**worse than today**"] if segment.harmed else []
    return ", ".join(marks) or "as the rest"


def _cell(text: object) -> str:
    """Return text that cannot break out of a table's cell or a line."""
    flat = " ".join(str(text).split())
    return flat.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _code(text: object) -> str:
    """Return text that cannot end the code span it stands in."""
    return " ".join(str(text).split()).replace("`", "'")


_TEMPLATE = """\
# Model card: {{ card.model | cell }}

{% for sentence in card.summary %}
- {{ sentence | cell }}
{% endfor %}

**Decision.** {{ (brief.decision.improves or "not stated") | cell }}

**Action.** {{ (brief.decision.action or "not stated") | cell }}

**Owner.** {{ (brief.decision.owner or "nobody named") | cell }}{% if brief.decision.review %}, \
who looks at it {{ brief.decision.review | cell }}{% endif %}.
{% if card.why_chosen %}

**Why this model.** {{ card.why_chosen | cell }}
{% endif %}

## Limits of use

{% for limit in card.limits %}
- {{ limit | cell }}
{% endfor %}

## Gates

| gate | state | found | wanted | stops a release | note |
|---|---|---|---|---|---|
{% for gate in verdict.gates %}
| {{ gate.name | cell }} | {{ gate_state(gate) }} | {{ gate.found | cell }} | {{ gate.wanted | cell }} | \
{{ "yes" if gate.blocking else "no" }} | {{ gate.note | cell }} |
{% endfor %}

{% if verdict.segments %}
## Segments

{% if verdict.roc_auc %}
Ranking quality (ROC AUC, which does not depend on how frequent positives are) is what segments are compared by.
{% else %}Segments are compared by a figure that does not move with their own spread.
{% endif %}

| segment | cases | positives | predicted | {{ verdict.metric | metric_words }} | ROC AUC | rule's | finding |
|---|---:|---:|---:|---|---|---:|---|
{% for segment in verdict.segments %}
| {{ segment.name | cell }} | {{ "{:,}".format(segment.examples) }} | {{ "{:,}".format(segment.positives) }} | \
{{ "{:,.0f}".format(segment.expected_positives) }} | {{ segment.score if segment.score else "" }} | \
{{ segment.roc_auc or segment.skill or "" }} | \
{{ "%.3f" | format(segment.rule_roc_auc) if segment.rule_roc_auc is not none else "" }} | \
{{ segment_state(segment) | cell }} |
{% endfor %}

{% endif %}
{% if verdict.classes %}
## Classes

Said is what was held likeliest; precision and recall are of that. Came over expected: 1 is right.

| class | cases | expected | came over expected | said | precision | recall | average precision |
|---|---:|---:|---|---:|---:|---:|---|
{% for each in verdict.classes %}
| {{ each.name | cell }} | {{ "{:,}".format(each.examples) }} | {{ "{:,.0f}".format(each.expected) }} | \
{{ each.ratio }} | {{ "{:,}".format(each.said) }} | \
{{ "%.2f" | format(each.precision) if each.precision is not none else "" }} | \
{{ "%.2f" | format(each.recall) if each.recall is not none else "" }} | {{ each.average_precision or "" }} |
{% endfor %}

{% endif %}
{% if verdict.residuals %}
## Where labels lie

Above the predictions on average by {{ verdict.residuals.bias }} (0 is right).

| predicted | labels above it by | cases |
|---:|---|---:|
{% for bin in verdict.residuals.bins %}
| {{ "%.4g" | format(bin.predicted) }} | {{ bin.bias }} | {{ "{:,}".format(bin.examples) }} |
{% endfor %}

{% endif %}
{% if verdict.calibration %}
## Calibration

Observed over expected positives: {{ verdict.calibration.observed_over_expected }}. \
Slope of the recalibration: {{ verdict.calibration.slope or "not defined" }} (1 is right, below 1 is overconfident); \
intercept: {{ verdict.calibration.intercept or "not defined" }}. \
Expected calibration error: {{ "%.4f" | format(verdict.calibration.error) }}.

| predicted | observed | cases |
|---:|---|---:|
{% for bin in verdict.calibration.bins %}
| {{ "%.3f" | format(bin.predicted) }} | {{ bin.observed }} | {{ "{:,}".format(bin.examples) }} |
{% endfor %}

{% endif %}
## Target

Label `{{ brief.target.label | code }}` of each {{ "row" if brief.target.examples else "entity" }} of \
`{{ brief.asked_about | code }}`, predicted at \
`{{ brief.target.predict_at | code }}`, known at `{{ brief.target.label_known_at | code }}`; \
acted on: {{ brief.target.act_on | cell }}.

## Data

| source | path | version | licence | about people |
|---|---|---|---|---|
{% for name, source in card.data.sources.items() %}
| {{ name | cell }} | {{ source.path | cell }} | {{ (source.version or "unknown") | cell }} | \
{{ (source.licence or "unknown") | cell }} | {{ {true: "yes", false: "no", none: "not said"}[source.personal] }} |
{% endfor %}

{% for name, count in card.data.rows.items() %}
- {{ name | cell }}: {{ "{:,}".format(count) }} rows{% if name in card.data.periods %} \
({{ card.data.periods[name] | cell }}){% endif %}

{% endfor %}

## Features

| feature | definition | comes from | share |
|---|---|---|---:|
{% for feature in facts.features %}
| {{ feature.name | cell }} | {{ feature.definition | cell }} | {{ feature.lineage | cell }} | \
{{ "%.1f %%" | format(100 * feature.importance) if feature.importance is not none else "" }} |
{% endfor %}

## Training

{% for name, text in card.training.items() %}
- {{ name | cell }}: {{ text | cell }}
{% endfor %}
{% for name, text in card.environment.items() %}
- {{ name | cell }} {{ text | cell }}
{% endfor %}

## How to reproduce

{% if card.reproduce %}
```
{% for line in card.reproduce %}
{{ line }}
{% endfor %}
```

{% endif %}
- brief: `{{ card.digests.brief }}`
- dataset: `{{ card.data.dataset or "unknown" }}`
- verdict: `{{ card.digests.verdict }}`
- intervals: {{ verdict.draws }} resamples of whole days, seed {{ verdict.seed }}
- made: {{ card.made_at | cell }}
"""
