"""A person is forgotten: every row about them goes, and what was built on those rows says so.

What is erased is named by a source's columns and their values. Those are used while this runs and are kept nowhere,
nor any hash of them: the ledger says that somebody was erased, when, who asked and why, and how many rows it took.
Old names stay and lead to what is left (:mod:`headway.blobs`), so that old digests can still be explained.

The order makes it safe to be killed: outcomes go before the predictions that say whose they are, and the snapshots,
which tell where rows of the person are, go last. So a second call finds what the first one left, and only a complete
erasure is recorded as finished. Whoever reads the sources meanwhile is told to try again: it may have taken over what
was about to go.
"""

from __future__ import annotations

import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from headway.data.erase import Eraser, columns_of, holds_text, is_arrow, is_parquet, keys_sql, read_arrow
from headway.errors import DataError, GateClosed, NotFound, did_you_mean
from headway.ledger.erasing import erase_outcomes, scrub
from headway.ledger.outcomes import BATCH, read_batch, written_batch
from headway.loop.filling import fill_online, filling
from headway.loop.holds import open_holds
from headway.loop.manifests import snapshot_of
from headway.loop.needs import Needs
from headway.loop.results import models_of
from headway.loop.sources import definitions_of, material_of, no_erasure
from headway.loop.store import STORE
from headway.loop.versions import alone
from headway.nouns.clock import format_moment, parse_moment
from headway.nouns.dataset import Dataset
from headway.nouns.event import ErasureBegun, ErasureFinished, OutcomesReceived
from headway.predictions.erasing import erase as erase_predictions
from headway.predictions.reader import Reader
from headway.query.compile import quote
from headway.query.database import Database
from headway.query.parts import parts_of, parts_sql
from headway.query.point_in_time import PointInTime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from headway.loop.store import Store
    from headway.nouns.brief import Brief
    from headway.nouns.prediction import Prediction
    from headway.nouns.snapshot import Snapshot

__all__ = ["Erased", "Erasure", "erase", "erasures"]

_PREFIXES = ("", "key:", "segment:", "feature:")
_SHORTEST = 4
"""A text that is shorter stands in every file by chance: its bytes are not searched for."""


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure came to, or would come to.

    Attributes
    ----------
    erasure
        Its id; "" for a dry run.
    removed
        How many rows went, by where they stood: each source (in its newest version), ``datasets``, ``predictions``,
        ``outcomes``, ``feature store`` (timelines).
    snapshots
        The versions that hold fewer rows now than their name says.
    datasets, models
        Those that were built on rows of the entity; the models of the runs, and those that their releases serve. A
        model keeps what it has learned until another one is trained.
    left
        Files of the store in which a value still stands, such as a model whose categories name it.
    in_sources
        The sources whose newest version held the entity: it comes back with the next reading unless it is taken out
        there, too.
    """

    erasure: str
    removed: dict[str, int]
    snapshots: tuple[str, ...]
    datasets: tuple[str, ...]
    models: tuple[str, ...]
    left: tuple[str, ...]
    in_sources: tuple[str, ...]
    dry_run: bool = False


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure as the ledger knows it; one that is not finished has to be asked for again."""

    erasure: str
    source: str
    columns: tuple[str, ...]
    by: str
    why: str
    at: str
    finished: bool
    removed: dict[str, int] = {}
    snapshots: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def erasures(store: Store) -> list[Erasure]:
    """Return the erasures that were asked for, oldest first."""
    done = {
        entry.event.erasure: entry.event
        for entry in store.ledger.events(ErasureFinished)
        if isinstance(entry.event, ErasureFinished)
    }
    found = []
    for entry in store.ledger.events(ErasureBegun):
        event = entry.event
        assert isinstance(event, ErasureBegun)
        last = done.get(event.erasure)
        more = {} if last is None else {name: getattr(last, name) for name in _TOLD}
        asked = {name: getattr(event, name) for name in ("erasure", "source", "columns", "by", "why")}
        found.append(Erasure(**asked, at=format_moment(entry.effective_us), finished=last is not None, **more))
    return found


_TOLD = ("removed", "snapshots", "datasets", "models")


def erase(store: Store, brief: Brief, entity: str, *, by: str, why: str, dry_run: bool = False) -> Erased:
    """Remove an entity from all that the store holds.

    Parameters
    ----------
    entity
        A source and the columns that name the entity in it: ``"customers customer_id=42"``. Rows of other sources go
        with it where they have the same columns, or where the brief says that theirs match these.

    Raises
    ------
    GateClosed
        When a legal hold forbids it, or nobody says who asked and why.
    NotFound, DataError
        When the source, or a column, is not there, or a value does not fit its column.
    StoreBusy
        When a run or a round of tending is at work.
    """
    if not dry_run and (not by.strip() or not why.strip()):
        raise GateClosed("An erasure needs a name and a reason.", hint="Say who asked (--by) and why (--why).")
    with alone(store), filling(store), no_erasure(store), Database() as database:
        work = _Work(store, brief, entity, database)
        work.refuse_held()
        if dry_run:
            return work.counted()
        number = 1 + sum(1 for _ in store.ledger.events(ErasureBegun))
        name = f"e{number}"
        store.record(ErasureBegun(erasure=name, source=work.source, columns=tuple(work.wanted), by=by, why=why))
        return work.done(name)


class _Work:
    """One erasure on its way."""

    def __init__(self, store: Store, brief: Brief, entity: str, database: Database) -> None:
        self.store, self.brief, self.database = store, brief, database
        self.needs = Needs(store)
        self.newest = {name: self.needs.living[v] for name, v in self.needs.newest.items() if v in self.needs.living}
        self.source, self.wanted = self._asked(entity)
        self.matches = self._matches()
        self.eraser = Eraser(store.blobs, database)
        self._listed = ""
        self.removed: dict[str, int] = {}
        kinds = definitions_of(brief, self.newest).examples.kinds
        self.moments = {name for name, kind in kinds.items() if kind == "time"}
        self.keys = self._keys()
        self.ids = self._ids()

    # -- whom it is about

    def _asked(self, entity: str) -> tuple[str, dict[str, Any]]:
        """Return the source, and by column the value."""
        try:
            source, *pairs = shlex.split(entity)
        except ValueError:
            source, pairs = "", []
        if not pairs or not all("=" in pair for pair in pairs):
            raise DataError(
                f"{entity!r} names no entity.",
                hint="Write a source and what names the entity: 'customers id=42'. A value with a blank or apostrophe "
                'stands in double quotes, with its column: customers "name=Ada O\'Brien".',
            )
        if source not in self.newest:
            raise NotFound(f"No version of a source {source!r} was taken.", hint=did_you_mean(source, self.newest))
        kinds = {column.name: column.kind for column in self.newest[source].columns}
        wanted: dict[str, Any] = {}
        for pair in pairs:
            column, _, text = pair.partition("=")
            if column not in kinds:
                raise NotFound(f"Source {source!r} has no column {column!r}.", hint=did_you_mean(column, kinds))
            if column in wanted:
                raise DataError(
                    f"{entity!r} names the column {column!r} twice, and a row has one value there.",
                    where=f"{source}.{column}",
                    hint="Ask for one entity at a time.",
                )
            wanted[column] = _value(text, kinds[column], where=f"{source}.{column}")
        return source, wanted

    def _matches(self) -> dict[str, dict[str, Any]]:
        """Return by source which of its columns have to have which value; any version of it may have them."""
        versions = [(each.source, _kinds(each)) for each in self.needs.living.values()]
        found = {
            name: dict(self.wanted)
            for name in self.newest
            if any(source == name and set(self.wanted) <= set(kinds) for source, kinds in versions)
        }
        examples = self.brief.asked_about
        for spec in (*self.brief.features.values(), *self.brief.sources[examples].derive.values()):
            if isinstance(spec, str) or spec.from_ != self.source:
                continue
            pairs = spec.match if isinstance(spec.match, dict) else {column: column for column in spec.match}
            mine = {theirs: own for own, theirs in pairs.items()}
            if set(self.wanted) <= set(mine):
                columns = {mine[column]: value for column, value in self.wanted.items()}
                if any(source == examples and set(columns) <= set(kinds) for source, kinds in versions):
                    found[examples] = columns
        return found

    def _keys(self) -> set[tuple[Any, ...]]:
        """Return the keys of the examples that are about the entity, in any version; moments in microseconds."""
        examples = self.brief.target.examples
        if examples not in self.matches:  # nor where entities are asked about: the example itself names them
            return set()
        found: set[tuple[Any, ...]] = set()
        for snapshot in self.needs.living.values():
            if snapshot.source != examples or not self._rows(snapshot):
                continue
            condition, values = self._condition(snapshot)
            snapshots = {**self.newest, examples: snapshot}
            definitions = definitions_of(self.brief, snapshots)
            parts = {name: parts_of(each, self.store.blobs) for name, each in snapshots.items()}
            relation = definitions.examples
            raw = f"(SELECT {', '.join(map(quote, relation.raw))} FROM {parts_sql(parts[examples])} WHERE {condition})"
            names = ", ".join(
                f"epoch_us({quote(name)})" if relation.kinds[name] == "time" else quote(name)
                for name in relation.source.key
            )
            derived = PointInTime(self.database, definitions, parts).relation_sql(relation, raw)
            found.update(self.database.rows(f"SELECT DISTINCT {names} FROM ({derived})", values))
        return found

    def _condition(self, snapshot: Snapshot) -> tuple[str, dict[str, Any]]:
        """Return what finds rows of the entity in a version: it may have other columns than the newest."""
        return keys_sql(self.matches[snapshot.source], _kinds(snapshot))

    def _rows(self, snapshot: Snapshot) -> bool:
        """Whether any file of a snapshot holds a row of the entity, deleted or not."""
        condition, values = self._condition(snapshot)
        return any(len(self.eraser.places(segment.blob, condition, values)) for segment in snapshot.segments)

    def _ids(self) -> list[str]:
        """Return the predictions that were about the entity."""
        columns = self.matches.get(self.brief.asked_about, {})
        return [
            each.id
            for batch in Reader(self.store.predictions).scan(skip_corrupt=True)
            for each in batch.predictions
            if self._is_about(each, columns)
        ]

    def _is_about(self, prediction: Prediction, columns: Mapping[str, Any]) -> bool:
        told = {**prediction.row, **prediction.key}
        if columns and all(column in told and _same(told[column], value) for column, value in columns.items()):
            return True
        names = self.brief.example_key
        if not self.keys or not set(names) <= set(prediction.key):
            return False
        moments = self.moments
        return tuple(_key_value(prediction.key[name], moment=name in moments) for name in names) in self.keys

    def refuse_held(self) -> None:
        """Raise when a hold is about rows of the entity: it comes first."""
        for hold in open_holds(self.store):
            held = [self.needs.living[version] for version in self.needs.held_by(hold.subject)]
            rows = any(each.source in self.matches and self._rows(each) for each in held)
            if hold.subject == "all" or rows:
                raise GateClosed(
                    f"Hold {hold.hold} on {hold.subject[:12]} forbids it, by {hold.by}: {hold.why}",
                    where=self.source,
                    hint=f"A legal hold comes first. When it is over: headway data hold remove {hold.hold}.",
                )

    # -- what is done

    def counted(self) -> Erased:
        """Return what an erasure would come to."""
        versions = [v for v, s in self.needs.living.items() if s.source in self.matches and self._rows(s)]
        in_newest, built = self._in_newest(), self._datasets()
        datasets = [digest for digest, _, _ in built]
        removed = {
            **in_newest,
            "datasets": sum(len(self.eraser.places(table, *condition)) for _, table, condition in built),
            "outcomes": len(self.store.ledger.outcomes_of(self.ids)),
            "predictions": len(self.ids),
        }
        return Erased(
            erasure="",
            removed=removed,
            snapshots=tuple(versions),
            datasets=tuple(datasets),
            models=self._models(set(datasets)),
            left=(),
            in_sources=tuple(name for name, count in in_newest.items() if count),
            dry_run=True,
        )

    def done(self, erasure: str) -> Erased:
        """Erase, and return what it came to."""
        in_newest = self._in_newest()
        built = self._datasets()
        self.removed = {
            **in_newest,
            "datasets": sum(self._rewrite_table(table, condition, erasure) for _, table, condition in built),
            # Outcomes know nothing but the id: the log, which knows whose it is, must last until they are gone.
            "outcomes": self._erase_outcomes(erasure),
            "predictions": erase_predictions(self.store.predictions, self.ids),
            "feature store": self._forget_steps(erasure),
        }
        versions = self._rewrite_snapshots(erasure)
        self._rewrite_tables(erasure)
        self._fill_again()
        scrub(self.store.ledger)
        self.store.blobs.sweep(at_once=True)
        datasets = {digest for digest, _, _ in built}
        models = self._models(datasets)
        finished = ErasureFinished(
            erasure=erasure,
            removed=self.removed,
            snapshots=tuple(versions),
            datasets=tuple(sorted(datasets)),
            models=models,
        )
        self.store.record(finished)
        return Erased(
            erasure=erasure,
            removed=self.removed,
            snapshots=finished.snapshots,
            datasets=finished.datasets,
            models=models,
            left=self._left(),
            in_sources=tuple(name for name, count in in_newest.items() if count),
        )

    def _in_newest(self) -> dict[str, int]:
        """Return by source how many rows of the entity its newest version shows."""
        found = {}
        for name in self.matches:
            condition, values = self._condition(self.newest[name])
            rows = parts_sql(parts_of(self.newest[name], self.store.blobs))
            ((found[name],),) = self.database.rows(f"SELECT count(*) FROM {rows} WHERE {condition}", values)
        return found

    def _datasets(self) -> list[tuple[str, str, tuple[str, dict[str, Any]]]]:
        """Return the frozen datasets with rows of the entity: digest, blob of the table, and what finds the rows."""
        found = []
        for name in sorted(self.needs.everything()):
            if not self.store.blobs.has(name) or not _is_json(self.store.blobs.path(name)):
                continue
            try:
                dataset = self.store.get(name, Dataset)
            except msgspec.MsgspecError:
                continue
            condition = self._in_table(dataset.table)
            if condition and len(self.eraser.places(dataset.table, *condition)):
                found.append((name, dataset.table, condition))
        return found

    def _in_table(self, blob: str) -> tuple[str, dict[str, Any]] | None:
        """Return what finds rows of the entity in a table of examples; None where nothing there names one."""
        path = self.store.blobs.path(blob) if self.store.blobs.has(blob) else None
        if path is None or not is_parquet(path):
            return None
        types = columns_of(path)
        kinds = {name: _kind_of(each) for name, each in types.items()}
        texts: list[str] = []
        values: dict[str, Any] = {}
        for columns in {repr(each): each for each in self.matches.values()}.values():
            mine = {_called(column, types): value for column, value in columns.items()}
            if "" not in mine:
                text, found = keys_sql(mine, kinds, prefix=f"a{len(texts)}_")
                texts.append(f"({text})")
                values |= found
        keys = [_called(column, types) for column in self.brief.example_key]
        if self.keys and "" not in keys:
            mine_sql = ", ".join(
                f"epoch_us({quote(name)})" if pa.types.is_timestamp(types[name]) else quote(name) for name in keys
            )
            theirs = ", ".join(f"k{place}" for place in range(len(keys)))
            texts.append(f"(({mine_sql}) IN (SELECT ({theirs}) FROM {self._listed_keys()}))")
        return (" OR ".join(texts), values) if texts else None

    def _listed_keys(self) -> str:
        """Return the relation of the examples' keys, made on first use."""
        if not self._listed:
            columns = list(zip(*sorted(self.keys, key=repr), strict=True))
            self._listed = self.database.register(
                pa.table({f"k{place}": pa.array(values) for place, values in enumerate(columns)})
            )
        return self._listed

    def _rewrite_table(self, blob: str, condition: tuple[str, dict[str, Any]], erasure: str) -> int:
        rest, count = self.eraser.table(blob, *condition)
        if count:
            self.store.blobs.redact(blob, now=rest, erasure=erasure)
        return count

    def _rewrite_tables(self, erasure: str) -> None:
        """Rewrite whatever other table there is with rows of the entity, whether anything still names it or not."""
        manifests = Needs(self.store).living.values()
        segments = {segment.blob for manifest in manifests for segment in manifest.segments}
        for each in self.store.blobs.listed():
            condition = None if each.digest in segments else self._in_table(each.digest)
            if condition is not None:
                self._rewrite_table(each.digest, condition, erasure)

    def _erase_outcomes(self, erasure: str) -> int:
        """Erase what was said of the predictions, in the ledger's tables and in the batches that they came in."""
        gone = pa.array(self.ids, pa.string())
        for entry in self.store.ledger.events(OutcomesReceived):
            batch = entry.event.batch if isinstance(entry.event, OutcomesReceived) else ""
            if not self.store.blobs.has(batch):
                continue
            table = read_batch(self.store.blobs.read(batch))
            rest = table.filter(pc.invert(pc.is_in(table["prediction"], value_set=gone)))
            if len(rest) < len(table):
                now = self.store.blobs.put(written_batch(rest.cast(BATCH).combine_chunks()))
                self.store.blobs.redact(batch, now=now, erasure=erasure)
        return erase_outcomes(self.store.ledger, self.ids)

    def _forget_steps(self, erasure: str) -> int:
        """Forget the timelines of the online store in which the entity is a key; they are filled again."""
        values = [
            spelt for columns in self.matches.values() for value in columns.values() for spelt in _spellings(value)
        ]
        keys = {value for key in self.keys for value in key}
        count = 0
        for each in self.store.blobs.listed():
            path = self.store.blobs.path(each.digest)
            if is_arrow(path, streams=False) and _has_any(path, [*values, *keys]):
                self.store.blobs.redact(each.digest, now="", erasure=erasure)
                count += 1
        return count

    def _rewrite_snapshots(self, erasure: str) -> list[str]:
        """Rewrite the versions; manifests first, so that none names rows that are gone."""
        found, files = [], {}
        for version, snapshot in self.needs.living.items():
            if snapshot.source not in self.matches or not self._rows(snapshot):
                continue
            rest, replaced = self.eraser.snapshot(snapshot, *self._condition(snapshot))
            files.update(replaced)
            manifest = self.store.put(rest)
            self.store.blobs.redact(self.needs.manifests[version], now=manifest, erasure=erasure)
            if rest.redacted_from:
                found.append(version)
        for blob, rest_of in files.items():
            self.store.blobs.redact(blob, now=rest_of, erasure=erasure)
        return found

    def _fill_again(self) -> None:
        """Fill the online store from what is left; a server that runs takes it over."""
        if self.store.ledger.champion() is None or not (self.store.serving / "current.json").exists():
            return
        snapshots = {name: snapshot_of(self.store, self.needs.newest[name]) for name in self.brief.sources}
        # As of now: nobody can have read the sources since these versions were recorded.
        fill_online(self.store, material_of(self.store, self.brief, snapshots, as_of_us=self.store.now_us()))

    def _models(self, datasets: set[str]) -> tuple[str, ...]:
        """Return the models of runs on any of these datasets, and of their releases, by their digest as blobs."""
        runs = [run for run in self.store.ledger.runs() if run.dataset in datasets]
        return tuple(sorted(models_of(self.store, runs)))

    def _left(self) -> tuple[str, ...]:
        """Return the files of the store in which a value of the entity still stands; those that are too short apart."""
        texts = [value for value in self.wanted.values() if isinstance(value, str) and len(value) >= _SHORTEST]
        return tuple(
            str(path.relative_to(self.store.folder))
            for path in _files(self.store.folder / STORE)
            if any(holds_text(path, text) for text in texts)
        )


def _kinds(snapshot: Snapshot) -> dict[str, str]:
    return {column.name: column.kind for column in snapshot.columns}


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file())


def _is_json(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"{"


def _value(text: str, kind: str, *, where: str) -> Any:
    """Return a value of a column's kind."""
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        if kind == "time":
            import datetime as dt

            return dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=parse_moment(text))  # noqa: DTZ001  (UTC)
    except (ValueError, KeyError):
        raise DataError(f"{text!r} does not fit the column, which holds {kind}.", where=where) from None
    return text


def _called(column: str, types: Mapping[str, Any]) -> str:
    """Return what a column of a source is called in a table of examples; "" where it is not there."""
    return next((name for prefix in _PREFIXES if (name := prefix + column) in types), "")


def _spellings(value: Any) -> list[Any]:
    """Return a value as each kind that can hold it: a source may have the entity's column as another kind."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return [value]
    found = [value]
    for kind in (str, int, float):
        with suppress(ValueError, OverflowError):
            other = kind(value)
            if str in {kind, type(value)} or other == value:
                found.append(other)
    return found


def _same(told: Any, wanted: Any) -> bool:
    return told == wanted or (told is not None and str(told) == str(wanted))


def _key_value(value: Any, *, moment: bool) -> Any:
    return parse_moment(value) if moment and isinstance(value, str) else value


def _has_any(path: Path, values: Sequence[Any]) -> bool:
    """Whether any column of an Arrow file that could name an entity holds one of these values."""
    for column in read_arrow(path).columns:
        fitting = [each for each in values if _fits(each, column.type)]
        if fitting and pc.any(pc.is_in(column, value_set=pa.array(fitting, column.type))).as_py():
            return True
    return False


def _kind_of(kind: pa.DataType) -> str:
    """Return the kind of an Arrow type; "" for one that could name nobody."""
    tests = {
        "text": pa.types.is_string(kind) or pa.types.is_large_string(kind),
        "bool": pa.types.is_boolean(kind),
        "int": pa.types.is_integer(kind),
        "float": pa.types.is_floating(kind),
        "time": pa.types.is_timestamp(kind),
    }
    return next((name for name, fits in tests.items() if fits), "")


def _fits(value: Any, kind: pa.DataType) -> bool:
    if isinstance(value, str):
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
    if isinstance(value, bool):
        return bool(pa.types.is_boolean(kind))
    if isinstance(value, int):
        return bool(pa.types.is_int64(kind))
    return bool(pa.types.is_float64(kind) if isinstance(value, float) else pa.types.is_timestamp(kind))
