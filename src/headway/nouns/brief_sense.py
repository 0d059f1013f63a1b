"""Whether a brief makes sense in itself: what it names is there, lengths and dates are some, bars are in order.

The file hides which fields hang on each other. It knows no text: where a key stands, ``nouns/brief_text.py`` finds.
"""

from __future__ import annotations

import difflib
import itertools
import re
import typing
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headway.errors import BriefError, did_you_mean
from headway.nouns.brief import Brief, FeatureSpec, false_alarm_windows, parse_act_on
from headway.nouns.span import parse_span

if typing.TYPE_CHECKING:
    import datetime as dt

__all__ = ["At", "check_sense", "refuse_no_moment"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class At(Exception):
    """An error of the brief, on its way to where the line of its key is found."""

    def __init__(self, error: BriefError, *path: str) -> None:
        self.error = error
        self.path = path


def check_sense(brief: Brief) -> None:
    """Raise where fields of a brief contradict each other, or say nothing that could be meant.

    Raises
    ------
    At
        With the error and the key at which it is.
    """
    _check_names(brief)
    _check_spans(brief)
    _check_split(brief)
    _check_engine(brief)
    good, least = brief.success.good_enough, brief.success.minimum
    errors = ("log_loss", "brier", "mae", "rmse", "poisson_deviance", "pinball_")
    lower_is_better = brief.success.metric.startswith(errors)
    if (good > least) if lower_is_better else (least > good):
        worse, better = ("below", "above") if lower_is_better else ("above", "below")
        raise At(
            BriefError(
                f"minimum = {least} is {worse} good_enough = {good}: nothing could be released and the search still "
                "stop content.",
                hint=f"Put minimum at or {better} good_enough.",
            ),
            "success",
            "minimum",
        )


def _check_engine(brief: Brief) -> None:
    engine = brief.engine or "local"
    if not re.fullmatch(r"local|ray|ray://[^\s/:]+:[0-9]+", engine):
        near = difflib.get_close_matches(engine, ("local", "ray"), n=1)
        hint = f"Did you mean {near[0]!r}? " if near and "://" not in engine else ""
        raise At(
            BriefError(f"There is no engine {engine!r}.", hint=f"{hint}Write 'local', 'ray' or 'ray://host:port'."),
            "engine",
        )


def refuse_no_moment(table: dict[str, Any]) -> None:
    """Raise first of all where rows have no moment of prediction: splits, and much else, follow from it."""
    target = table.get("target")
    if isinstance(target, dict) and target.get("examples") and not (target.get("entities") or target.get("predict_at")):
        error = BriefError(
            "target needs 'predict_at'.", hint="Name the moment at which each row is predicted, such as 'opened_at'."
        )
        raise At(error, "target", "predict_at")


def _check_names(brief: Brief) -> None:
    for table, names in (("sources", brief.sources), ("features", brief.features)):
        for name in names:
            if not _NAME.fullmatch(name):
                error = BriefError(
                    f"{name!r} is not a name.", hint="Use letters, digits and _, not beginning with a digit."
                )
                raise At(error, table, name)
    _check_target(brief)
    for path, spec in _specs(brief):
        if spec.from_ and spec.from_ not in brief.sources:
            error = BriefError(f"There is no source {spec.from_!r}.", hint=did_you_mean(spec.from_, brief.sources))
            raise At(error, *path)
        if spec.window and not spec.from_ and brief.target.entities and path[0] == "features":
            error = BriefError(
                "A window over the examples' own rows needs some, and an entity at a moment has no row of its own.",
                hint=f"Name the source that is counted: from = {brief.target.entities!r}, or another one.",
            )
            raise At(error, *path)


def _check_target(brief: Brief) -> None:
    """Raise where the target does not say of what its examples are made, or says it twice."""
    target = brief.target
    if bool(target.examples) == bool(target.entities):
        error = BriefError(
            "The target says twice what its examples are."
            if target.examples
            else "The target does not say what its examples are.",
            hint="Write examples = '…' for one a row; or entities = '…' and each = '30 days'.",
        )
        raise At(error, "target", "examples" if target.examples else "")
    field = "examples" if target.examples else "entities"
    name = target.examples or target.entities
    if name not in brief.sources:
        raise At(BriefError(f"There is no source {name!r}.", hint=did_you_mean(name, brief.sources)), "target", field)
    if target.examples:
        for unused in ("each", "entity", "starting"):
            if getattr(target, unused):
                hint = "Write entities = '…' instead of examples, or leave it out."
                raise At(BriefError(f"{unused!r} belongs to entities.", hint=hint), "target", unused)
    elif target.predict_at != "predict_at":
        hint = "Leave out predict_at: each, starting and zone say when."
        raise At(BriefError("The moments of entities follow from 'each'.", hint=hint), "target", "predict_at")


def _specs(brief: Brief) -> list[tuple[tuple[str, ...], FeatureSpec]]:
    tables: list[tuple[tuple[str, ...], dict[str, str | FeatureSpec]]] = [(("features",), brief.features)]
    tables += [(("sources", name, "derive"), source.derive) for name, source in brief.sources.items()]
    return [
        ((*path, name), spec) for path, table in tables for name, spec in table.items() if isinstance(spec, FeatureSpec)
    ]


def _check_spans(brief: Brief) -> None:
    spans: list[tuple[str, tuple[str, ...]]] = [
        (brief.serve.refresh, ("serve", "refresh")),
        (brief.success.latency_p99, ("success", "latency_p99")),
        (brief.retrain.shadow, ("retrain", "shadow")),
    ]
    given = [(getattr(brief.target, name), name) for name in ("each", "delay")]
    spans += [(text, ("target", name)) for text, name in given if text]
    spans += [
        (text, (*path, field))
        for path, spec in _specs(brief)
        for text, field in ((spec.max_age, "max_age"), (spec.window, "window"), (spec.offset, "offset"))
        if text and (field, text) != ("window", "all")
    ]
    spans += [(word[6:], ("retrain", "when")) for word in brief.retrain.when if word.startswith("every ")]
    for text, path in spans:
        _place(partial(parse_span, text), *path)
    for word in brief.retrain.when:
        if word != "harm" and not word.startswith("every "):
            hint = "Write 'harm' or 'every 30 days'."
            raise At(BriefError(f"{word!r} is not a reason to retrain.", hint=hint), "retrain", "when")
    _place(lambda: parse_act_on(brief.target.act_on), "target", "act_on")
    _place(lambda: false_alarm_windows(brief.monitor), "monitor", "false_alarm")


def _place(parse: typing.Callable[[], object], *path: str) -> None:
    try:
        parse()
    except BriefError as error:
        raise At(error, *path) from None


def _check_split(brief: Brief) -> None:
    split = brief.split
    _check_way_of_splitting(brief)
    days: list[tuple[str, dt.date]] = [(f"{name}_before", day) for name, day in split.ends.items()]
    if split.train_from is not None:
        days.insert(0, ("train_from", split.train_from))
    for (earlier, first), (later, second) in itertools.pairwise(days):
        if first >= second:
            error = BriefError(
                f"{later} = {second} is not after {earlier} = {first}.",
                hint="Each stretch of time needs at least a day.",
            )
            raise At(error, "split", later)
    zones: list[tuple[tuple[str, ...], str]] = [
        (("split", "zone"), split.zone),
        (("target", "zone"), brief.target.zone),
    ]
    zones += [(("sources", name, "zone"), source.zone) for name, source in brief.sources.items()]
    for path, zone in zones:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            error = BriefError(
                f"{zone!r} is not a time zone.", hint="Write a name such as 'UTC' or 'America/New_York'."
            )
            raise At(error, *path) from None


def _check_way_of_splitting(brief: Brief) -> None:
    """Raise where the split lacks what its way asks for, or has what belongs to another."""
    split = brief.split
    if split.by == "time":
        for name in ("train", "validate", "test"):
            if name not in split.ends:
                hint = f"Write {name}_before = 2024-03-01, say; or by = 'group' where the data have no order in time."
                raise At(BriefError(f"split needs '{name}_before'.", hint=hint), "split")
    unwanted = [f"{name}_before" for name in split.ends] if split.by != "time" else []
    unwanted += ["group"] if split.group and split.by != "group" else []
    unwanted += ["shares"] if split.shares and split.by == "time" else []
    for name in unwanted:
        error = BriefError(f"A split by {split.by} has no {name}.", hint=f"Take {name} out, or change by.")
        raise At(error, "split", name)
    if split.by == "group" and not split.group:
        error = BriefError("The split is by group and names none.", hint="Write group = ['household'], say.")
        raise At(error, "split", "group")
    if split.by != "time" and (min(split.parts.values()) <= 0 or abs(sum(split.parts.values()) - 1) > 1e-9):
        error = BriefError(
            f"shares = {list(split.parts.values())} are not three shares of a whole.",
            hint="Write shares = [0.6, 0.2, 0.2]: each above 0, together 1.",
        )
        raise At(error, "split", "shares")
    learns = [
        (name, column)
        for name, source in brief.sources.items()
        for column, clean in source.clean.items()
        if clean.learns
    ]
    if split.by != "time" and learns:
        name, column = learns[0]
        error = BriefError(
            f"What {column!r} is cleaned by is learned from the training period, and a split by {split.by} has none.",
            hint="Say the bounds and the stand-in as numbers, or split by time.",
        )
        raise At(error, "sources", name, "clean", column)
