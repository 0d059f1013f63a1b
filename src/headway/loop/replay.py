"""The look-ups of one answer, made once more among the raw rows of the sources: lineage by replay.

Serving reads steps that were computed ahead. Here each look-up is a predicate over the files' own rows (this key, known
by then, within the window), so that what is listed is what counted, and a feature computed from it that equals the one
served is evidence for both. The file hides how a row is called: by its file, and its number in there from 1, a header
not being a row.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from headway.errors import NotFound
from headway.loop.filling import recent_files
from headway.loop.traced import Derived, LookUp, Replayed, SourceRow
from headway.nouns.clock import format_moment, parse_moment
from headway.nouns.expression import columns_of, parse
from headway.query.compile import quote
from headway.query.database import Database
from headway.query.example_texts import once_sql
from headway.query.functions import SQL_TYPES
from headway.query.lookups import described
from headway.query.parts import placed_sql
from headway.query.point_in_time import PointInTime
from headway.query.row_form import RowForm
from headway.query.timeline import EVENT, FIXED_POINT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from headway.loop.sources import Material
    from headway.loop.store import Store
    from headway.nouns.brief import FeatureSpec, Source
    from headway.nouns.prediction import Prediction
    from headway.nouns.snapshot import Origin
    from headway.query.definitions import Definitions, Feature
    from headway.query.parts import Part
    from headway.query.relation import Relation
    from headway.query.timeline import Aggregate, Timeline

__all__ = ["ReplayedExample", "replay", "replay_example"]

_FILE, _ORIGIN, _ROW, _HAPPENED, _KNOWN = "@file", "@from", "@row", "@happened", "@known"
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  (the engine's moments carry no zone; they are UTC)
_NOBODY = -1


def replay(
    store: Store,
    material: Material,
    prediction: Prediction,
    served: Mapping[str, float | str | None],
    *,
    as_of_us: int,
    shown: int = 5,
) -> tuple[tuple[Derived, ...], tuple[Replayed, ...]]:
    """Return the derived columns and the features of an answer, each with the source rows behind it.

    Parameters
    ----------
    material
        The snapshots that its look-ups were made in, and the definitions of its release.
    served
        The features by name, as the log has them.
    as_of_us
        As of when the online store was filled: what became known later was not in it.
    shown
        So many rows of a window are listed, those that weigh most, and of these the newest, first.
    """
    moment_us = prediction.predict_at_us
    return _replayed(store, material, prediction.row, served, moment_us=moment_us, as_of_us=as_of_us, shown=shown)


class ReplayedExample(NamedTuple):
    """The rows of what an example is asked about, what its label counts, its derived columns and its features."""

    rows: tuple[SourceRow, ...] = ()
    label: tuple[LookUp, ...] = ()
    derived: tuple[Derived, ...] = ()
    features: tuple[Replayed, ...] = ()


def replay_example(
    store: Store,
    material: Material,
    key: Mapping[str, Any],
    frozen: Mapping[str, float | str | None],
    *,
    moment_us: int,
    label_us: int,
    as_of_us: int,
    label_columns: Iterable[str] = (),
    shown: int = 5,
) -> ReplayedExample:
    """Return the rows of the source asked about that have ``key``, and label and features with the rows behind each.

    Parameters
    ----------
    frozen
        The features by name, as the dataset has them.
    moment_us, label_us, as_of_us
        When the example is predicted, when its label is known, and as of when its dataset was frozen.
    label_columns
        The columns of the row that the label is made of: they stand among its values.
    shown
        So many rows of a window, and of an entity, are listed.
    """
    definitions, name = material.definitions, material.brief.asked_about
    kinds = definitions.examples.kinds
    own = {
        column: _moment(value) if kinds[column] == "time" and value is not None else value
        for column, value in key.items()
    }
    _refuse_gone({each: material.files[each] for each in {name, *(line.source for line in definitions.aim.outcome)}})
    with Database() as database:
        asked = _Asked(database, material, material.files, as_of_us=as_of_us, shown=shown)
        found = _rows_asked_about(asked, name, own, moment_us)
        if not found:
            return ReplayedExample()
        own = {**found[0], **own}
        label = _counted(asked, own, label_us)
    relation = definitions.relations[name]
    wanted = relation.closure(label_columns)
    rows = tuple(
        SourceRow(
            file=(origin := asked.origin(row[_FILE], row[_ORIGIN])).file,
            file_digest=origin.digest.partition("-")[0],
            row=row[_ROW],
            key={column: _plain(row[column]) for column in relation.source.key},
            happened_at=_text(_us(row[relation.source.time])) if row.get(relation.source.time) is not None else "",
            known_at=_text(row.get(_KNOWN)),
            values={column: _plain(row[column]) for column in relation.kinds if column in wanted},
        )
        for row in found
    )
    request = {field.name: _plain(own[field.name]) for field in definitions.request_fields}
    again = _replayed(store, material, request, frozen, moment_us=moment_us, as_of_us=as_of_us, shown=shown)
    return ReplayedExample(rows, label, *again)


def _rows_asked_about(asked: _Asked, name: str, own: Mapping[str, Any], moment_us: int) -> list[dict[str, Any]]:
    """Return the row of an example, or of an entity those by which it was known at the moment, the first one first."""
    cadence = asked.definitions.aim.cadence
    columns = list(own) if cadence is None else list(cadence.entity)
    given = {f"key{position}": own[column] for position, column in enumerate(columns)}
    same = " AND ".join(f"{quote(column)} IS NOT DISTINCT FROM $key{i}" for i, column in enumerate(columns))
    rows = asked.rows(name, same)
    if cadence is None:
        text = f"SELECT * FROM {rows}"
    else:
        known = cadence.known or "TIMESTAMP '-infinity'"  # of a source without time all has always been known
        told = f"epoch_us({cadence.known})" if cadence.known else "NULL"
        given["moment"] = _moment(moment_us)
        text = (
            f"SELECT *, {told} AS {quote(_KNOWN)} FROM {rows} WHERE {known} <= CAST($moment AS TIMESTAMP) "
            f"ORDER BY {quote(_KNOWN)}, {quote(_FILE)}, {quote(_ORIGIN)}, {quote(_ROW)} LIMIT {asked.shown}"
        )
    found: list[dict[str, Any]] = asked.database.table(text, given).to_pylist()
    return found


def _counted(asked: _Asked, own: Mapping[str, Any], label_us: int) -> tuple[LookUp, ...]:
    """Return what a label over a horizon counts: its windows end when it is known, and not a lag before.

    A feature may ask the very same of an earlier moment, so these questions are not those that features share.
    """
    named = [name.partition(".") for name in columns_of(parse(asked.definitions.brief.target.label))]
    found: list[LookUp] = []
    for timeline in asked.definitions.aim.outcome:
        question = _Question(asked, timeline, timeline)
        values = [own[column] for column in timeline.mine]
        question.find(tuple(_us(v) if isinstance(v, dt.datetime) else v for v in values), label_us)
        found += question.look_ups(frozenset(column for source, _, column in named if source == timeline.source))
    return tuple(found)


def _replayed(
    store: Store,
    material: Material,
    row: Mapping[str, Any],
    served: Mapping[str, float | str | None],
    *,
    moment_us: int,
    as_of_us: int,
    shown: int,
) -> tuple[tuple[Derived, ...], tuple[Replayed, ...]]:
    definitions = material.definitions
    files = recent_files(store, material, since_us=moment_us - definitions.lag_us)
    _refuse_gone(files)
    with Database() as database:
        asked = _Asked(database, material, files, as_of_us=as_of_us, shown=shown)
        joined = RowForm(definitions, asked).join(_as_asked(definitions, row))
        values = _derived_values(database, asked.point_in_time, definitions, row)
        derived = tuple(
            Derived(
                name=column.name,
                definition=_definition(definitions.examples.source, column.name),
                value=values.get(column.name),
                look_ups=asked.look_ups(
                    column.timelines, _taken(definitions.examples.source.derive.get(column.name, ""))
                ),
            )
            for column in definitions.online_derived
        )
        again = dict(zip((feature.name for feature in definitions.features), joined.features, strict=True))
        features = tuple(
            _feature(feature, served.get(feature.name), again[feature.name], asked) for feature in definitions.features
        )
    return derived, features


def _feature(feature: Feature, served: float | str | None, again: float | str | None, asked: _Asked) -> Replayed:
    return Replayed(
        name=feature.name,
        kind=feature.kind,
        definition=feature.text,
        lineage=tuple(f"{source}.{column}" for source, column in feature.lineage),
        served=served,
        replayed=again,
        equal=served == again,
        look_ups=asked.look_ups(feature.timelines, _taken(asked.definitions.brief.features[feature.name])),
    )


class _Asked:
    """Stands in for the online store: answers from the raw rows, and remembers which they were."""

    since_us: int | None = None

    def __init__(
        self,
        database: Database,
        material: Material,
        files: Mapping[str, Sequence[Part]],
        *,
        as_of_us: int,
        shown: int,
    ) -> None:
        self.as_of_us = as_of_us
        self.database = database
        self.definitions = material.definitions
        self.files = files
        self.shown = shown
        self.versions = {name: snapshot.digest for name, snapshot in material.snapshots.items()}
        self.point_in_time = PointInTime(database, material.definitions, files)
        self._segments = {
            part.name: segment
            for name, snapshot in material.snapshots.items()
            for part, segment in zip(material.files[name], snapshot.segments, strict=True)
        }
        blind = material.definitions.known_by(as_of_us)
        self._blind = dict(zip(material.definitions.online_timelines, blind.online_timelines, strict=True))
        self._relations: dict[str, str] = {}
        self._questions: dict[Timeline, _Question] = {}

    def steps(self, timeline: Timeline) -> _Question:
        """Return what answers for a timeline."""
        return self._questions.setdefault(timeline, _Question(self, timeline, self._blind[timeline]))

    def relation(self, name: str) -> str:
        """Return the rows of a source with their derived columns, and where each stands; read only as far as asked."""
        if name not in self._relations:
            relation = self.definitions.relations[name]
            columns = ", ".join(map(quote, relation.raw))
            placed = placed_sql(self.files[name], part=_FILE, origin=_ORIGIN, row=_ROW)
            raw = f'(SELECT {columns}, "{_FILE}", "{_ORIGIN}", "{_ROW}" FROM {placed})'
            self._relations[name] = f"({self.point_in_time.relation_sql(relation, raw)})"
        return self._relations[name]

    def rows(self, name: str, asked: str) -> str:
        """Return the rows of a source that hold what is ``asked``, a condition: of doubles the one that counts.

        Which one does is for all rows that are alike to say, whether or not they hold it; so their likes are found
        first, and none but these are put in order.
        """
        rows, relation = self.relation(name), self.definitions.relations[name]
        if relation.source.once is None:
            return f"(SELECT * FROM {rows} WHERE {asked})"
        same = " AND ".join(f"r.{quote(column)} IS NOT DISTINCT FROM a.{quote(column)}" for column in relation.alike_by)
        alike = f"SELECT r.* FROM {rows} r WHERE EXISTS (SELECT 1 FROM {rows} a WHERE {asked} AND {same})"
        once = once_sql(relation, alike, self.definitions.reads(name), last=(_FILE, _ORIGIN, _ROW))
        return f"(SELECT * FROM ({once}) WHERE {asked})"

    def look_ups(self, timelines: Iterable[Timeline], taken: frozenset[str]) -> tuple[LookUp, ...]:
        """Return what was asked of these timelines, with the values of the columns ``taken``."""
        return tuple(found for timeline in timelines for found in self.steps(timeline).look_ups(taken))

    def origin(self, part: str, place: int) -> Origin:
        """Return the version of a file from which a row was read, by the part that holds it."""
        return self._segments[part].origin(place)


class _Question:
    """One timeline, asked by predicate: the protocol that the one-row form knows the steps by."""

    def __init__(self, asked: _Asked, timeline: Timeline, blind: Timeline) -> None:
        self._asked = asked
        self._timeline = timeline
        self._blind = blind
        self._relation: Relation = asked.definitions.relations[timeline.source]
        self._columns: dict[str, list[Any]] = {}
        self._answers: list[tuple[tuple[Any, ...], int, pa.Table]] = []

    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a column, one per question that was asked."""
        return self._columns.setdefault(name, [])

    def find(self, key: Any, moment_us: int) -> int:
        """Look for the rows of ``key`` as of a moment, and return the place of the answer; negative for none."""
        keys = key if isinstance(key, tuple) else (key,)
        keys = keys if self._timeline.theirs else ()  # a window over all rows has no key
        if any(part is None for part in keys):
            return _NOBODY
        rows = self._rows(keys, moment_us)
        self._answers.append((keys, moment_us, rows))
        if self._timeline.shape != "window" and not rows.num_rows:
            return self._answer(dict.fromkeys(self._columns), found=False)
        return self._answer(
            self._windowed(rows) if self._timeline.shape == "window" else rows.to_pylist()[0], found=True
        )

    def _answer(self, values: Mapping[str, Any], *, found: bool) -> int:
        for name, column in self._columns.items():
            value = values[_HAPPENED if name == EVENT else name]
            kind = self._relation.kinds.get(name)
            column.append(_us(value) if kind == "time" and value is not None else value)
        return len(self._answers) - 1 if found else _NOBODY

    def _rows(self, keys: tuple[Any, ...], moment_us: int) -> pa.Table:
        timeline, kinds = self._blind, self._relation.kinds
        names = [*dict.fromkeys([*self._relation.source.key, *(c for c, _ in timeline.columns), *self._measured()])]
        chosen = [f'"{_FILE}"', f'"{_ORIGIN}"', f'"{_ROW}"', *(quote(name) for name in names)]
        same = [f"{quote(column)} = $key{position}" for position, column in enumerate(timeline.theirs)]
        near = timeline.shape == "nearest"  # the last two name a point, and not the places near it
        source = self._asked.rows(timeline.source, " AND ".join(same[:-2] if near else same) or "TRUE")
        order = ""
        if not timeline.timeless:
            # A row that never happens is no candidate: the steps leave it out.
            source = f"(SELECT * FROM {source} WHERE {timeline.event} IS NOT NULL)"
            chosen += [f'epoch_us({timeline.event}) AS "{_HAPPENED}"', f'epoch_us({timeline.known}) AS "{_KNOWN}"']
            # Of a window, what weighs most comes first: those are the rows that a reader asks for.
            weights = [f"abs(CAST({m} AS DOUBLE)) DESC NULLS LAST" for m in _measures(timeline).values()]
            places = [quote(_FILE), quote(_ORIGIN), quote(_ROW)]
            order = f"ORDER BY {', '.join([*weights, f'{quote(_HAPPENED)} DESC', *places])}"
        chosen += [
            f'{_measure(aggregate)} AS "@m{position}"'
            for position, aggregate in enumerate(timeline.aggregates)
            if aggregate.sql is not None
        ]
        wanted = {
            f"key{position}": _moment(value) if kinds[column] == "time" else value
            for position, (column, value) in enumerate(zip(timeline.theirs, keys, strict=True))
        }
        if not timeline.timeless:
            wanted["look_at"] = _moment(moment_us)
        text = f"SELECT {', '.join(chosen)} FROM ({timeline.rows_sql(source)}) {order}"
        return self._asked.database.table(text, wanted)

    def _measured(self) -> list[str]:
        """Return the columns that a window's aggregates are about, raw and derived."""
        texts = [aggregate.sql or "" for aggregate in self._timeline.aggregates]
        own = [name for name in self._relation.kinds if any(quote(name) in text for text in texts)]
        return [*own, *sorted(self._relation.raw_inputs(own) - set(own))]

    def _windowed(self, rows: pa.Table) -> dict[str, int]:
        """Return count and sum of each aggregate in whole numbers, as the steps carry them."""
        values: dict[str, int] = {}
        for position, aggregate in enumerate(self._timeline.aggregates):
            if aggregate.function not in {"count", "sum", "avg"}:
                events = sorted(
                    zip(rows[_HAPPENED].to_pylist(), rows[f"@m{position}"].to_pylist(), strict=True), key=_at
                )
                state = aggregate.replayed([value for _, value in events], [at for at, _ in events])
                values |= {f"{letter}{position}": part for letter, part in zip(aggregate.state, state, strict=True)}
                continue
            wholes = _wholes(rows, position, aggregate)
            values[f"n{position}"] = rows.num_rows if wholes is None else len(wholes)
            values[f"s{position}"] = 0 if wholes is None else int(wholes.sum())
        return values

    def look_ups(self, taken: frozenset[str]) -> tuple[LookUp, ...]:
        """Return what was asked, and the rows found, with the values of the columns ``taken``."""
        timeline, found = self._timeline, []
        for keys, moment_us, rows in self._answers:
            windowed, timed = timeline.shape == "window", not timeline.timeless
            found.append(
                LookUp(
                    source=timeline.source,
                    version=self._asked.versions[timeline.source],
                    shape=timeline.shape,
                    match={
                        name: format_moment(value) if self._relation.kinds[name] == "time" else value
                        for name, value in zip(timeline.theirs, keys, strict=True)
                    },
                    after=format_moment(moment_us - timeline.reach_us)
                    if windowed and timeline.reach_us is not None
                    else "",
                    until=format_moment(moment_us) if timed else "",
                    count=rows.num_rows,
                    rows=tuple(self._source_row(row, taken) for row in rows.slice(0, self._asked.shown).to_pylist()),
                )
            )
        return tuple(found)

    def _source_row(self, row: Mapping[str, Any], taken: frozenset[str]) -> SourceRow:
        key = self._relation.source.key
        shown = {*taken, *self._relation.raw_inputs(taken & set(self._relation.kinds))}
        measures = [name for name in row if name.startswith("@m")]
        origin = self._asked.origin(row[_FILE], row[_ORIGIN])
        return SourceRow(
            file=origin.file,
            file_digest=origin.digest.partition("-")[0],
            row=row[_ROW],
            key={name: _plain(row[name]) for name in key},
            happened_at=_text(row.get(_HAPPENED)),
            known_at=_text(row.get(_KNOWN)),
            values={name: _plain(row[name]) for name in row if name in shown},
            counts=float(row[measures[0]]) if len(measures) == 1 and row[measures[0]] is not None else None,
        )


def _measures(timeline: Timeline) -> dict[int, str]:
    """Return what a row brings to each aggregate of a window, as engine text; what is merely counted brings nothing."""
    return {
        position: _measure(aggregate)
        for position, aggregate in enumerate(timeline.aggregates)
        if aggregate.sql is not None and aggregate.kind in {"bool", "int", "float"}
    }


def _measure(aggregate: Aggregate) -> str:
    if aggregate.kind not in {"bool", "int", "float"}:
        return f"({aggregate.sql})"
    if aggregate.extreme:
        return aggregate.taken
    return f"CAST({aggregate.sql} AS {'DOUBLE' if aggregate.kind == 'float' else 'BIGINT'})"


def _at(event: tuple[int, Any]) -> int:
    return event[0]


def _wholes(rows: pa.Table, position: int, aggregate: Aggregate) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Return what the rows bring to an aggregate, in millionths where it is a fraction; None where rows are counted."""
    if aggregate.sql is None:
        return None
    values = rows[f"@m{position}"].drop_null().to_numpy()
    if aggregate.kind == "float":
        values = np.floor(values * FIXED_POINT + 0.5)
    return np.asarray(values, dtype=np.int64)


def _as_asked(definitions: Definitions, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request's fields as serving has them: moments as microseconds."""
    moments = {field.name for field in definitions.request_fields if field.kind == "time"}
    return {
        name: parse_moment(value) if name in moments and value is not None else value for name, value in row.items()
    }


def _derived_values(
    database: Database, point_in_time: PointInTime, definitions: Definitions, row: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the derived columns of the request, as the engine computes them."""
    relation = definitions.examples
    asked = _as_asked(definitions, row)
    moments = {name for name, kind in relation.raw.items() if kind == "time"}
    given = {
        f"v{position}": _moment(value) if name in moments and value is not None else value
        for position, (name, value) in enumerate((name, asked.get(name)) for name in relation.raw)
    }
    one = ", ".join(
        f"CAST($v{position} AS {SQL_TYPES[kind]}) AS {quote(name)}"
        for position, (name, kind) in enumerate(relation.raw.items())
    )
    table = database.table(point_in_time.relation_sql(relation, f"(SELECT {one})"), given)
    return {name: _plain(value) for name, value in table.to_pylist()[0].items()}


def _taken(spec: str | FeatureSpec) -> frozenset[str]:
    """Return the columns a definition takes of the other source: a look-up is shared, what is shown is its own."""
    if isinstance(spec, str) or not (spec.from_ or spec.window):
        return frozenset()
    own = columns_of(parse(spec.value)) if spec.value else frozenset()
    return frozenset({*own, spec.take, spec.lat, spec.lon} - {""})


def _definition(source: Source, name: str) -> str:
    """Return what a derived or cleaned column is made of, in the brief's words."""
    if name in source.derive:
        made = source.derive[name]
        return made if isinstance(made, str) else described(made)
    for column, clean in source.clean.items():
        if clean.indicator == name:
            return f"{column} is missing"
    spec = source.clean[name]
    said = {
        field.name: getattr(spec, field.name)
        for field in msgspec.structs.fields(spec)
        if field.name not in {"of", "fitted"} and getattr(spec, field.name) not in (field.default, msgspec.UNSET, {})
    }
    return ", ".join([spec.of, *(f"{field} = {value!r}" for field, value in said.items())])


def _refuse_gone(files: Mapping[str, Sequence[Part]]) -> None:
    for name, paths in files.items():
        for part in paths:
            if not part.path.exists():
                raise NotFound(
                    f"The rows of source {name!r} that were looked into are gone: there is no blob {part.path.name}.",
                    where=str(part),
                    hint="Restore the store's blobs from a backup.",
                )


def _moment(us: int) -> dt.datetime:
    return _EPOCH + dt.timedelta(microseconds=us)


def _us(value: Any) -> int:
    """Return a moment of the engine as microseconds."""
    return value if isinstance(value, int) else (value - _EPOCH) // dt.timedelta(microseconds=1)


def _plain(value: Any) -> Any:
    """Return a cell as JSON has it."""
    if isinstance(value, dt.datetime):
        return format_moment(_us(value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(us: int | None) -> str:
    return "" if us is None else format_moment(us)
