"""The brief: the problem, defined once, from which everything else follows.

One frozen struct a table of ``headway.toml``. Each field carries the sentence that says what it is for; the
same sentence stands in the file that ``headway init`` writes, in the error about the field, and in the docs.
How the text becomes this noun, with errors that name the line, is in ``nouns/brief_text.py``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from headway.errors import BriefError
from headway.nouns.act_on import Quota, Threshold, parse_act_on
from headway.nouns.cleaning import Clean, Fitted, Once
from headway.nouns.span import DAY, parse_span
from headway.nouns.task import Algorithm, MetricName

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Baseline",
    "Brief",
    "Decision",
    "FeatureSpec",
    "Monitor",
    "Quota",
    "Retrain",
    "Search",
    "Serve",
    "Source",
    "Split",
    "Success",
    "Target",
    "Threshold",
    "Value",
    "false_alarm_windows",
    "parse_act_on",
]

Text = Annotated[str, Meta(min_length=1)]


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What this model is for; the first of the five questions."""

    improves: Annotated[str, Meta(description="The decision that gets better, as a question somebody asks today.")] = ""
    action: Annotated[str, Meta(description="What is done differently when the prediction says so.")] = ""
    reaches: Annotated[str, Meta(description="How, and how often, the prediction reaches whoever decides.")] = ""
    owner: Annotated[str, Meta(description="Who answers for the decision, and so for the model.")] = ""
    review: Annotated[str, Meta(description="How often the owner looks at it.")] = ""


class FeatureSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One derived column or feature, in its long form; a plain string is short for ``value`` alone.

    Five shapes, told apart by what is there: an expression of the row itself (``value``), a look-up
    (``from``, ``match``, ``take`` or ``value``), a windowed aggregate (``window`` and ``value``), a
    distance on the sphere (``distance``) and the nearest place on it (``nearest``).
    """

    value: Annotated[str, Meta(description="An expression; for a window, an aggregate of one.")] = ""
    from_: Annotated[str, Meta(description="The source that is looked into.")] = msgspec.field(default="", name="from")
    match: Annotated[
        tuple[str, ...] | dict[str, str],
        Meta(description="Columns that must be equal; { mine = 'theirs' } where the names differ."),
    ] = ()
    take: Annotated[str, Meta(description="The column that is taken from the matching row.")] = ""
    max_age: Annotated[str, Meta(description="Older than this counts as missing, e.g. '6 hours'.")] = ""
    window: Annotated[str, Meta(description="How far back events count, e.g. '24 hours'; 'all' for ever.")] = ""
    offset: Annotated[str, Meta(description="How long ago the window ends, e.g. '7 days'; by default it ends now.")] = (
        ""
    )
    where: Annotated[str, Meta(description="A condition on the rows looked into; others do not count.")] = ""
    smooth: Annotated[
        Annotated[float, Meta(ge=0)],
        Meta(description="Draw an average towards that of all rows, as if so many rows more had it."),
    ] = 0.0
    of: Annotated[tuple[str, ...], Meta(description="Other features that the expression speaks of, by name.")] = ()
    unit: Annotated[str, Meta(description="What it is measured in, where that does not follow by itself.")] = ""
    distance: Annotated[tuple[str, ...], Meta(description="Two columns that name places.")] = ()
    nearest: Annotated[
        tuple[str, ...],
        Meta(
            description="Two columns, degrees north and east: look up the nearest row; without 'take' how far, in km."
        ),
    ] = ()
    lat: Annotated[str, Meta(description="The column of degrees north.")] = ""
    lon: Annotated[str, Meta(description="The column of degrees east.")] = ""
    missing: Annotated[
        Literal["", "allow", "refuse"],
        Meta(description="Whether a request may lack what this needs; look-ups allow it, expressions refuse it."),
    ] = ""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place that data come from."""

    path: Annotated[
        Text,
        Meta(
            description="A file, a pattern such as 'data/flights/*.csv', a folder; 's3://bucket/flights/*.parquet' "
            "(gs://, az://); or 'postgresql://host/database'."
        ),
    ]
    also: Annotated[tuple[str, ...], Meta(description="More such paths, whose rows belong to the same table.")] = ()
    format: Annotated[
        Literal["", "csv", "jsonl", "parquet", "arrow", "excel", "sqlite", "duckdb"],
        Meta(description="Only where the name of the file does not say it."),
    ] = ""
    table: Annotated[str, Meta(description="The table or the sheet, where there are several.")] = ""
    query: Annotated[str, Meta(description="A SELECT instead of a table (PostgreSQL).")] = ""
    grows_by: Annotated[
        str, Meta(description="A column that only grows: of a table (PostgreSQL), only rows beyond its last are read.")
    ] = ""
    credentials: Annotated[
        dict[Literal["user", "password", "key", "secret", "token"], str],
        Meta(description="The environment variables that hold them: { password = 'SALES_PASSWORD' }; never the value."),
    ] = {}
    endpoint: Annotated[str, Meta(description="The address of an object store that is not the provider's own.")] = ""
    region: Annotated[str, Meta(description="The region of an object store.")] = ""
    missing_columns: Annotated[
        Literal["refuse", "fill"], Meta(description="A file lacks a column that others have: refuse it, or fill it up.")
    ] = "refuse"
    extra_columns: Annotated[
        Literal["refuse", "ignore", "add"],
        Meta(description="A file has a column that the first has not: refuse it, leave it out, or add it to all."),
    ] = "refuse"
    rename: Annotated[
        dict[str, str], Meta(description="What columns are called here: { 'Tail Number' = 'tailnum' }; there = 'here'.")
    ] = {}
    key: Annotated[tuple[str, ...], Meta(description="The columns that name one row.")] = ()
    time: Annotated[str, Meta(description="The column that says when the row's event happens.")] = ""
    zone: Annotated[str, Meta(description="The zone of times that carry none.")] = "UTC"
    nulls: Annotated[tuple[str, ...], Meta(description="Texts that mean 'missing'.")] = ("", "NA")
    types: Annotated[
        dict[str, Literal["bool", "int", "float", "text", "time"]],
        Meta(description="Types of columns where a look at the data would guess wrongly."),
    ] = {}
    known: Annotated[
        str | dict[str, str],
        Meta(
            description="WHEN each column is known; '*' stands for all others. Undeclared: unusable for the row itself."
        ),
    ] = {}
    once: Annotated[Once | None, Meta(description="Rows that are the same event, of which one counts.")] = None
    clean: Annotated[dict[str, Clean], Meta(description="Cleaned columns, beside those that they are made of.")] = {}
    derive: Annotated[
        dict[str, str | FeatureSpec], Meta(description="Columns computed from the row, in this order.")
    ] = {}
    contract: Annotated[
        Literal["", "warn", "block"],
        Meta(description="What a new part that breaks contracts/SOURCE.json does: 'block' keeps the version before."),
    ] = ""
    licence: Annotated[str, Meta(description="Under what terms the data may be used.")] = ""
    owner: Annotated[str, Meta(description="Who answers for the data.")] = ""
    access: Annotated[str, Meta(description="By whose permission they are read, and who else may see them.")] = ""
    personal: Annotated[bool | None, Meta(description="Whether the data are about identifiable people.")] = None
    retention: Annotated[str, Meta(description="How long they may be kept, e.g. '400 days' or 'unlimited'.")] = ""


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is predicted, when, and from when on the truth is known."""

    examples: Annotated[str, Meta(description="The source each of whose rows is one example.")] = ""
    entities: Annotated[str, Meta(description="Or: the source whose entities are asked about again and again.")] = ""
    entity: Annotated[
        tuple[str, ...], Meta(description="The columns that name an entity; by default the key of that source.")
    ] = ()
    each: Annotated[str, Meta(description="How often each entity is asked about, e.g. '30 days'.")] = ""
    starting: Annotated[dt.date | None, Meta(description="The day of the first question; or split.train_from.")] = None
    zone: Annotated[str, Meta(description="The zone whose midnights the days of 'each' keep to.")] = "UTC"
    among: Annotated[
        str, Meta(description="Who is asked about, as known then: 'count(orders, interval 60 days) > 0'.")
    ] = ""
    predict_at: Annotated[
        str, Meta(description="The moment of the prediction; nothing known later is used. Not with 'entities'.")
    ] = ""
    label: Annotated[
        Text,
        Meta(description="What is predicted: a condition, a number, a category; or an aggregate over the horizon."),
    ]
    label_known_at: Annotated[
        str, Meta(description="The moment the label is known. Missing: void, and counted. Not with an aggregate.")
    ] = ""
    act_on: Annotated[Text, Meta(description="What the action can carry: 'top 40 per day' or 'score > 0.6'.")]
    horizon: Annotated[str, Meta(description="How far ahead the label looks, '14 days'; in words for a row's.")] = ""
    delay: Annotated[
        str, Meta(description="How long after the horizon its last rows may become known, e.g. '2 days'.")
    ] = ""
    match: Annotated[
        tuple[str, ...] | dict[str, str],
        Meta(description="Columns by which rows over the horizon are an example's; by default its key."),
    ] = ()
    rank_within: Annotated[
        tuple[str, ...],
        Meta(description="A ranking: the columns (or 'predict_at', 'day') within which examples are ranked."),
    ] = ()

    def __post_init__(self) -> None:
        """Fill in what follows: the moment of an entity's example, and when a label over a horizon is known."""
        if self.entities and not self.predict_at:
            msgspec.structs.force_setattr(self, "predict_at", "predict_at")
        if self.horizon and not self.label_known_at:
            msgspec.structs.force_setattr(self, "label_known_at", self.end)

    @property
    def end(self) -> str:
        """The moment at which a label over the horizon is known, as an expression; empty where there is no length."""
        try:
            length = parse_span(self.horizon) + (parse_span(self.delay) if self.delay else 0)
        except BriefError:
            return ""
        return f"{self.predict_at} + interval {length} us"


class Split(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which examples train, which choose, which judge. All bounds are exclusive, at local midnight of ``zone``."""

    train_before: Annotated[
        dt.date | None, Meta(description="Train on predictions, and labels known, before this day.")
    ] = None
    validate_before: Annotated[dt.date | None, Meta(description="Choose settings on what follows, up to this day.")] = (
        None
    )
    test_before: Annotated[dt.date | None, Meta(description="Judge once on what follows, up to this day.")] = None
    train_from: Annotated[dt.date | None, Meta(description="Leave out examples before this day.")] = None
    by: Annotated[
        Literal["time", "group", "random"],
        Meta(description="How the examples are split; only 'time' says what a model is worth on days to come."),
    ] = "time"
    # What is not set is not written: a brief that splits by time keeps its digest.
    group: Annotated[
        tuple[Text, ...] | msgspec.UnsetType,
        Meta(description="By group: the examples' columns that name it; no group is on two sides."),
    ] = msgspec.UNSET
    shares: Annotated[
        tuple[float, float, float] | msgspec.UnsetType,
        Meta(description="By group or random: the shares that train, choose and judge; [0.6, 0.2, 0.2] if not said."),
    ] = msgspec.UNSET
    zone: Annotated[str, Meta(description="The zone whose midnights bound the splits and whose days are counted.")] = (
        "UTC"
    )
    refit: Annotated[
        Literal["all data before deployment", "train only"],
        Meta(description="What the released model learns from, once the settings are chosen and judged."),
    ] = "all data before deployment"

    @property
    def ends(self) -> dict[str, dt.date]:
        """The day before which each split ends, by its name; none where the split is not by time."""
        days = {"train": self.train_before, "validate": self.validate_before, "test": self.test_before}
        return {name: day for name, day in days.items() if day is not None}

    @property
    def parts(self) -> dict[str, float]:
        """The share of the examples (or groups) that each split is to get, where it is not by time."""
        return dict(zip(("train", "validate", "test"), self.shares or (0.6, 0.2, 0.2), strict=True))


class Search(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How hard to look for a model."""

    trials: Annotated[
        int, Meta(ge=1, le=10_000, description="How many settings to try; a re-run repeats them exactly.")
    ] = 12
    seconds: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Stop after this long; a run that was cut says so, and may not repeat exactly."),
    ] = None
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1, description="From which every random choice follows.")] = 7
    algorithms: Annotated[
        tuple[Algorithm, ...],
        Meta(min_length=1, description="Which kinds of model to try; 'logistic' and 'linear' both name the sum."),
    ] = ("logistic", "tree", "lightgbm")


class Success(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is good, and what is good enough."""

    metric: Annotated[MetricName, Meta(description="What quality is measured by.")] = "average_precision"
    minimum: Annotated[float, Meta(description="Worse than this on the test is not released.")]
    good_enough: Annotated[float, Meta(description="The search stops here.")]
    latency_p99: Annotated[str, Meta(description="The slowest answer in a hundred may take this long.")] = "50 ms"
    explainable: Annotated[bool, Meta(description="Whether each prediction must come with its reasons.")] = False
    segments: Annotated[tuple[str, ...], Meta(description="Columns whose every value is tested on its own.")] = ()


class Baseline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done today without a model."""

    rule: Annotated[
        str, Meta(description="A feature or an expression of features; higher means likelier, or is the number itself.")
    ] = ""


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a right and a wrong call are worth, per example acted on."""

    currency: Annotated[str, Meta(description="The currency of the figures below.")] = "USD"
    true_positive: Annotated[float, Meta(description="Gained when the action was right.")] = 1.0
    false_positive: Annotated[float, Meta(description="Gained (negative: lost) when it was in vain.")] = 0.0
    over: Annotated[
        Annotated[float, Meta(le=0)] | None,
        Meta(description="Of a number used as it is: lost per unit that it was too high, e.g. -0.5."),
    ] = None
    under: Annotated[
        Annotated[float, Meta(le=0)] | None,
        Meta(description="Of a number used as it is: lost per unit that it was too low, e.g. -2.0."),
    ] = None
    build: Annotated[float, Meta(ge=0, description="Cost of building, once.")] = 0.0
    monthly: Annotated[float, Meta(ge=0, description="Cost of running, a month.")] = 0.0
    retraining_per_month: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="Budget for retraining, a month.")
    ] = None


class Serve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How predictions are served."""

    refresh: Annotated[
        str, Meta(description="How far the looked-up features may lag; training looks up with the same lag.")
    ] = "0 minutes"
    max_rows: Annotated[int, Meta(ge=1, le=10_000, description="The most rows in one request.")] = 256
    max_body_bytes: Annotated[int, Meta(ge=1_024, description="The largest request body.")] = 1_048_576


class Monitor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the living model is watched."""

    window: Annotated[Literal["1 day"], Meta(description="The stretch of traffic that is summarised as one.")] = "1 day"
    false_alarm: Annotated[
        str, Meta(description="How rarely a healthy model may page someone: 'once a year', 'once in 90 days'.")
    ] = "once a year"
    share: Annotated[
        float, Meta(gt=0, le=1, description="Which share of all examples is asked about; a pilot may serve a part.")
    ] = 1.0
    alert: Annotated[dict[str, str], Meta(description="Where alerts go: { to = 'log' }.")] = msgspec.field(
        default_factory=lambda: {"to": "log"}
    )


class Retrain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to go round again."""

    when: Annotated[
        tuple[str, ...],
        Meta(description="'harm' (performance, calibration or money) and/or 'every 30 days'; [] for never."),
    ] = ("harm",)
    mode: Annotated[Literal["challenger"], Meta(description="How a new model proves itself.")] = "challenger"
    shadow: Annotated[str, Meta(description="How long a challenger answers in the shadow before it is judged.")] = (
        "7 days"
    )
    budget_per_month: Annotated[int, Meta(ge=0, description="The most retrainings in 30 days.")] = 4


class Brief(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole problem definition; ``digest`` is its version."""

    decision: Annotated[Decision, Meta(description="What is it for?")] = Decision()
    sources: Annotated[dict[str, Source], Meta(min_length=1, description="Where the data come from.")]
    target: Annotated[Target, Meta(description="What is predicted, when, and how it is acted on.")]
    features: Annotated[
        dict[str, str | FeatureSpec], Meta(min_length=1, description="What the model sees, as known at predict_at.")
    ]
    split: Annotated[Split, Meta(description="Which examples train, choose and judge.")]
    search: Annotated[Search, Meta(description="How hard to look for a model.")] = Search()
    success: Annotated[Success, Meta(description="What is good, and what is good enough.")]
    baseline: Annotated[Baseline, Meta(description="What is done today.")] = Baseline()
    value: Annotated[Value, Meta(description="What a call is worth.")] = Value()
    serve: Annotated[Serve, Meta(description="How predictions are served.")] = Serve()
    monitor: Annotated[Monitor, Meta(description="How the living model is watched.")] = Monitor()
    retrain: Annotated[Retrain, Meta(description="When to go round again.")] = Retrain()
    # What is not set is not written: where a brief is computed is no part of what it means.
    engine: Annotated[
        str | msgspec.UnsetType,
        Meta(
            description="Where data are prepared, which changes no result: 'local'; 'ray' for several processes of "
            "this machine; 'ray://host:port' for a cluster that runs."
        ),
    ] = msgspec.UNSET

    @property
    def asked_about(self) -> str:
        """The source that examples are made of: its rows, or its entities."""
        return self.target.examples or self.target.entities

    @property
    def example_key(self) -> tuple[str, ...]:
        """The columns that name one example: of its row, or of the entity and the moment that it is asked about."""
        target = self.target
        if not target.entities:
            return self.sources[target.examples].key
        return (*(target.entity or self.sources[target.entities].key), "predict_at")

    @property
    def digest(self) -> str:
        """The hash of what the brief means; comments and layout do not count, nor where it is computed."""
        return hashlib.sha256(msgspec.json.encode(self.unlearned.placeless, order="sorted")).hexdigest()

    @property
    def placeless(self) -> Brief:
        """The brief without where it is computed: what a release holds, which is served anywhere."""
        return self if self.engine is msgspec.UNSET else msgspec.structs.replace(self, engine=msgspec.UNSET)

    @property
    def learned(self) -> bool:
        """Whether all that cleaning learns is there."""
        return all(
            column.fitted is not None
            for source in self.sources.values()
            for column in source.clean.values()
            if column.learns
        )

    @property
    def unlearned(self) -> Brief:
        """The brief as it was written, without what cleaning has learned from data."""
        return self.cleaned_by({})

    def cleaned_by(self, learned: Mapping[tuple[str, str], Fitted]) -> Brief:
        """Return the brief with what cleaning has learned, by source and column; the rest has learned nothing."""
        if not any(column.learns for source in self.sources.values() for column in source.clean.values()):
            return self
        sources = {
            name: msgspec.structs.replace(
                source,
                clean={
                    column: msgspec.structs.replace(spec, fitted=learned.get((name, column)))
                    for column, spec in source.clean.items()
                },
            )
            for name, source in self.sources.items()
        }
        return msgspec.structs.replace(self, sources=sources)


def false_alarm_windows(monitor: Monitor) -> float:
    """Return the promised mean number of windows between two false pages.

    Examples
    --------
    >>> false_alarm_windows(Monitor(false_alarm="once a year"))
    365.0
    >>> false_alarm_windows(Monitor(false_alarm="once in 90 days"))
    90.0
    """
    text = monitor.false_alarm.strip().lower()
    named = {"once a week": 7.0, "once a month": 30.0, "once a quarter": 91.0, "once a year": 365.0}
    if text in named:
        return named[text]
    if text.startswith("once in "):
        days = parse_span(text.removeprefix("once in ")) / DAY
        if days >= 1:
            return days
    raise BriefError(
        f"false_alarm = {monitor.false_alarm!r} is not a rate.",
        hint="Write 'once a year', 'once a month' or 'once in 90 days'.",
    )
