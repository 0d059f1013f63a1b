"""What really happened, joined to what was predicted: late, void, corrected, doubled, or about nothing we know.

An outcome names its prediction by id (``prediction``, ``prediction_id`` or ``id``: the first that the key has no column
of), or its entity by the key's columns; then it belongs to every prediction of that entity. A column of the key may be
called ``key_NAME``, too, as in batches of answers, where ``NAME`` may mean something else. Its ``label`` is true or
false (1, 0, yes, no), the number where a number is predicted, or the class by name where a category is; empty where the
outcome will never come. The file hides formats and the look-up of keys in the log: a key is compared by the kinds that
its columns have in the sources, whatever the file's format made of it.

A class that the release does not know is an outcome as any other: the answer was wrong, and whoever learns from it
learns the class. It is counted by name, since it may be a slip of the pen.
"""

from __future__ import annotations

import functools
import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from headway.errors import NotFound, OutcomeError, did_you_mean
from headway.nouns.clock import parse_moment
from headway.predictions.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from headway.loop.store import Store
    from headway.nouns.brief import Brief
    from headway.nouns.event import OutcomesReceived
    from headway.nouns.task import Task

__all__ = ["read_outcomes", "receive"]


class _Named(NamedTuple):
    """A prediction, and the release that gave it."""

    id: str
    release: str


_IDS = ("prediction", "prediction_id", "id")
"""What a column of ids may be called, unless the key has a column of that name."""
_TRUE = frozenset({"1", "true", "yes", "t", "y", "1.0"})
_FALSE = frozenset({"0", "false", "no", "f", "n", "0.0"})
_VOID = frozenset({"", "void", "na", "null", "none"})


def read_outcomes(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a CSV, JSON lines or Parquet file of outcomes; every value of a CSV is text or missing.

    Raises
    ------
    OutcomeError
        When the file cannot be read.
    """
    if not path.is_file():
        raise OutcomeError(f"There is no file {str(path)!r}.", where=str(path))
    try:
        if path.suffix.lower() in {".jsonl", ".ndjson"}:
            with path.open(encoding="utf-8") as lines:
                return [json.loads(line) for line in lines if line.strip()]
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
            return rows
        from pyarrow import csv

        # A class may be called true, and a key 0042: what a text means is not for the reader to guess.
        with csv.open_csv(path) as file:
            texts = dict.fromkeys(file.schema.names, pa.string())
        options = csv.ConvertOptions(strings_can_be_null=True, null_values=[""], column_types=texts)
        rows = csv.read_csv(path, convert_options=options).to_pylist()
    except (pa.ArrowInvalid, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise OutcomeError(f"{path.name} cannot be read: {error}.", where=str(path)) from None
    return rows


def receive(
    store: Store, brief: Brief, rows: Sequence[Mapping[str, Any]], *, where: str = "", strict: bool = True
) -> OutcomesReceived:
    """Join outcomes to predictions; all of them, or none where one is malformed.

    Parameters
    ----------
    strict
        Refuse the batch when a prediction is not known, by its id or by its key; else such outcomes are counted and
        left out.

    Raises
    ------
    OutcomeError
        Naming the row (from 1), what was found and what was wanted.
    """
    if not rows:
        raise OutcomeError("There are no outcomes in it.", where=where, hint="One row per outcome is wanted.")
    _refuse_uneven(rows[:1], where)
    key = brief.example_key
    said = {column: f"key_{column}" if f"key_{column}" in rows[0] else column for column in key}
    # Beside a 'key_id' the column 'id' is what batches of answers mean by it: the prediction.
    named = next((name for name in _IDS if name in rows[0] and name not in said.values()), "")
    if not named and not all(column in rows[0] for column in said.values()):
        raise OutcomeError(
            f"The rows have {', '.join(rows[0])}; nothing in them names a prediction.",
            where=where,
            hint=f"Give 'prediction' (the id in the reply), or the key: {', '.join(key)}.",
        )
    if "label" not in rows[0]:
        raise OutcomeError("The rows have no column 'label'.", where=where, hint=did_you_mean("label", rows[0]))
    _refuse_uneven(rows, where, needed=["label", *([named] if named else said.values())])
    now_us = store.now_us()
    reader = Reader(store.predictions)
    found = _by_id(reader, rows, named) if named else _by_key(reader, _keyed(rows, said), _kinds(store, brief))
    task, classes = _asked(store)
    told = _READ[task]
    ids, labels, names, moments, unknown = [], [], [], [], 0
    for number, (row, predictions) in enumerate(zip(rows, found, strict=True), start=1):
        place = f"{where or 'outcomes'}, row {number}"
        label, known_us = told(row["label"], place), _known_us(row.get("known_at"), now_us, place)
        if not predictions:
            if strict:
                raise _unknown(row, named, said, place)
            unknown += 1
        for prediction, release in predictions:
            ids.append(prediction)
            labels.append(label if label is None or task != "category" else _place(label, classes(release)))
            names.append(label if isinstance(label, str) else None)
            moments.append(known_us)
    batch = pa.table(
        {
            "prediction": pa.array(ids, pa.string()),
            "label": pa.array(labels, pa.float64()),
            "known_us": pa.array(moments, pa.int64()),
            "category": pa.array(names, pa.string()),
        }
    )
    return store.ledger.receive_outcomes(
        batch,
        put=store.blobs.put,
        now_us=now_us,
        effective_us=now_us,
        unknown=unknown,
        new_classes=Counter(name for name, label in zip(names, labels, strict=True) if label == -1 and name),
    )


def _refuse_uneven(rows: Sequence[Any], where: str, *, needed: Sequence[str] = ()) -> None:
    """Raise for the first row that is none, or lacks what the first one has."""
    for number, row in enumerate(rows, start=1):
        place = f"{where or 'outcomes'}, row {number}"
        if not isinstance(row, Mapping):
            raise OutcomeError(
                f"{json.dumps(row, default=str)[:80]} is no outcome.",
                where=place,
                hint='Write an object a line: {"prediction": "...", "label": true}.',
            )
        for name in needed:
            if name not in row:
                raise OutcomeError(
                    f"The row has no {name!r}, and the first one has.", where=place, hint=did_you_mean(name, list(row))
                )


def _by_id(reader: Reader, rows: Sequence[Mapping[str, Any]], named: str) -> Iterable[tuple[_Named, ...]]:
    for row in rows:
        try:
            found = reader.read(str(row[named]))
            yield (_Named(found.id, found.release),)
        except NotFound:
            yield ()


def _by_key(
    reader: Reader, rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, str]
) -> Iterable[tuple[_Named, ...]]:
    """Return the predictions of each row's entity, whose key is compared by the kind of each of its columns."""
    keys = [_key(row, kinds) for row in rows]
    found: dict[tuple[str, ...], list[_Named]] = {key: [] for key in keys if key is not None}
    for batch in reader.scan():
        for prediction in batch.predictions:
            key = _key(prediction.key, kinds)
            if key is not None and key in found:
                found[key].append(_Named(prediction.id, prediction.release))
    return (tuple(found[key]) if key is not None else () for key in keys)


def _keyed(rows: Sequence[Mapping[str, Any]], said: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the key of each row under the names that its columns have in the source."""
    return [{column: row.get(name) for column, name in said.items()} for row in rows]


def _unknown(row: Mapping[str, Any], named: str, said: Mapping[str, str], place: str) -> OutcomeError:
    if named:
        what, hint = f"{row[named]!r}", "Ids stand in the replies."
    else:
        what = f"of {', '.join(f'{column} {row.get(name)!r}' for column, name in said.items())}"
        hint = "Write the key as its source does."
        taken, free = ([name for name in _IDS if (name in said.values()) == is_key] for is_key in (True, False))
        if taken and free:
            hint = f"{taken[0]!r} is a column of the key here; ids of predictions are told as {free[0]!r}."
    return OutcomeError(
        f"There is no prediction {what}.", where=place, hint=f"{hint} Or leave out what is not known: --skip-unknown."
    )


def _kinds(store: Store, brief: Brief) -> dict[str, str]:
    """Return the kind of each column of the key, as the champion's sources have it."""
    from headway.loop.releases import release_of

    champion = store.ledger.champion()
    columns = release_of(store, champion.release).columns if champion is not None else {}
    known = {"predict_at": "time", **columns.get(brief.asked_about, {})}
    return {column: known.get(column, "text") for column in brief.example_key}


def _key(row: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return what names an entity, as texts that are equal where the keys are; None where a part of it is missing."""
    values = [row.get(column) for column in kinds]
    if any(value is None for value in values):
        return None
    return tuple(_key_text(value, kind) for value, kind in zip(values, kinds.values(), strict=True))


def _key_text(value: Any, kind: str) -> str:
    """Return one value of a key as the one text that all its usual spellings have; what has another kind as it is."""
    text = _iso(value)
    try:
        if kind == "time":
            return str(parse_moment(text))
        if kind == "int":
            return str(_whole(text))
        if kind == "float":
            return str(float(text))
    except (ValueError, OverflowError):
        return text
    return text.lower() if kind == "bool" else text


def _whole(text: str) -> int:
    """Return a whole number, which a table with gaps elsewhere in the column holds as 7.0."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            raise
        return int(number)


def _label(value: Any, place: str) -> float | None:
    text = "" if value is None else str(value).strip().lower()
    if text in _VOID:
        return None
    if text in _TRUE:
        return 1.0
    if text in _FALSE:
        return 0.0
    raise OutcomeError(
        f"label is {value!r}.",
        where=place,
        hint="Wanted: true or false (1, 0, yes, no), or nothing for 'will never be known'.",
    )


def _asked(store: Store) -> tuple[Task, Callable[[str], tuple[str, ...]]]:
    """Return what kind of target the champion answers, and what gives the classes of a release.

    Outcomes are told in the champion's terms.
    """
    from headway.loop.releases import release_of

    champion = store.ledger.champion()
    task: Task = release_of(store, champion.release).task if champion is not None else "condition"
    return task, functools.cache(lambda name: release_of(store, name).classes)


def _class(value: Any, place: str) -> str | None:
    """Return a class as it is written; only nothing at all is void, for a class may well be called 'none'."""
    del place
    text = "" if value is None else str(value)
    return text if text.strip() else None


def _place(name: Any, classes: tuple[str, ...]) -> float:
    return float(classes.index(name)) if name in classes else -1.0


def _number(value: Any, place: str) -> float | None:
    text = "" if value is None else str(value).strip()
    if text.lower() in _VOID | {"nan"}:
        return None
    try:
        number = float(value) if isinstance(value, bool | int | float) else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise OutcomeError(
            f"label is {value!r}.", where=place, hint="Wanted: a number, or nothing for 'will never be known'."
        )
    return number


_READ: dict[Task, Callable[[Any, str], Any]] = {
    "condition": _label,
    "category": _class,
    "number": _number,
    "ranking": _number,
}


def _known_us(value: Any, now_us: int, place: str) -> int:
    if value is None or value == "":
        return now_us
    try:
        return parse_moment(_iso(value))
    except ValueError as error:
        raise OutcomeError(f"known_at is {value!r}: {error}", where=place) from None


def _iso(value: Any) -> str:
    return str(value.isoformat() if hasattr(value, "isoformat") else value)
