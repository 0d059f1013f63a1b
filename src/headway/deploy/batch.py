"""Predictions for a file: the same contract, the same look-ups, the same graph and the same log as one request.

Features come from the engine, which computes them column by column; the online path reads the same steps, so that both
give the same bits (``tests/deploy/test_batch.py``). The file hides that a batch goes by twice: first everything is
read, checked and scored, into a scratch file; only when no row is at fault is anything logged or written.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import UNSET, UnsetType

from headway.deploy.contract import Contract
from headway.deploy.results import ResultFile
from headway.deploy.rows import ROW, Rows, format_of
from headway.deploy.terms import terms_of
from headway.errors import DataError, RequestError
from headway.nouns.act_on import Threshold, parse_act_on
from headway.nouns.calls import Calls
from headway.nouns.prediction import Prediction
from headway.predictions.writer import Writer
from headway.query.compile import quote
from headway.query.database import Database
from headway.query.functions import SQL_TYPES
from headway.query.point_in_time import PointInTime
from headway.query.relation import PREDICT_AT
from headway.query.row_form import moment_text

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from headway.deploy.predictor import Predictor
    from headway.nouns.release import Release
    from headway.query.definitions import Definitions

__all__ = ["Batch", "BatchReport", "Log", "TableScorer", "predict_table"]

_CHUNK_ROWS = 16_384
_LOGGED_AT_ONCE = 4_096
_ALL_TIME_US = 2**62  # later than any moment that a row can name
_SCRATCH = "scored.parquet"


class TableScorer(Protocol):
    """A packaged model; ``graph.scorer.GraphScorer`` is one."""

    def score(self, features: pa.Table) -> NDArray[Any]:
        """Return the score of each row."""


class Log(Protocol):
    """Where answers are logged; ``predictions.writer.Writer`` is one."""

    def append_many(self, predictions: Sequence[Prediction]) -> list[str]:
        """Log answers and return their ids."""


class BatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch.

    Attributes
    ----------
    acted
        How many are to be acted on.
    stale
        How many were looked up in something older than promised.
    ignored
        Columns that were passed over: the source has them, and the model does not take them.
    warned
        How many rows break the contract of their source; only where the brief lets that pass.
    """

    rows: int
    acted: int
    stale: int
    ignored: tuple[str, ...] = ()
    warned: int | UnsetType = UNSET


class Batch:
    """Answers whole files or tables as one release.

    Parameters
    ----------
    definitions
        The resolved brief of the release.
    scorer
        Its graph.
    files
        For each source the Parquet files of its snapshot: what is looked up.
    as_of_us
        Now: nothing that became known later is looked up.
    store
        What the log is to name as the version of what was looked up.
    """

    def __init__(
        self,
        definitions: Definitions,
        scorer: TableScorer,
        release: Release,
        *,
        files: Mapping[str, Sequence[os.PathLike[str]]],
        as_of_us: int,
        store: str = "",
    ) -> None:
        self._definitions = definitions
        self._scorer = scorer
        self._release = release
        self._files = files
        self._as_of_us = as_of_us
        self._store = store
        terms = terms_of(release, definitions)
        self._contract = Contract(definitions, terms)
        self._warns = terms is not None and not terms.blocks
        act_on = parse_act_on(definitions.brief.target.act_on)
        self._inclusive = not isinstance(act_on, Threshold)
        self._calls = Calls(task=release.task, act_on=act_on, value=definitions.brief.value, classes=release.classes)
        self._key = definitions.examples.source.key

    def predict_file(
        self,
        source: Path,
        out: Path,
        *,
        log: Log | Path | None,
        now_us: int,
        name: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> BatchReport:
        """Answer all rows of a file into another; both are CSV, JSON lines or Parquet by their names.

        The answers have the columns ``row`` (from 1), the key, ``predict_at``, ``score``, ``act``, ``release`` and
        ``id``, in the order of the rows; ``warnings`` besides, where the brief lets broken contracts pass. Of a
        category, the likeliest class (``prediction``) and the probability of each (``probability of CLASS``) follow.

        Parameters
        ----------
        log
            Where the answers are logged, or the folder of the log; None for nowhere, and then they have no ids.
        name
            What the log calls the batch; the name of the file by default.
        progress
            Called with the number of rows scored so far.

        Raises
        ------
        RequestError
            When a row breaks the contract; nothing was logged or written then.
        SourceError, NotFound, StoreError
            When a file cannot be read or written.
        """
        format_of(out)
        if out.resolve() == source.resolve():
            raise RequestError("The answers would replace the questions.", where=str(out), hint="Name another file.")
        with Database() as database, tempfile.TemporaryDirectory(prefix="headway-batch-") as scratch:
            rows = self._rows(database)
            scored = Path(scratch) / _SCRATCH
            chunks = rows.read(source, rows=_CHUNK_ROWS)
            count = self._score_all(database, chunks, scored, where=f"{source}, ", progress=progress)
            ignored = rows.ignored
            with _opened(log) as opened, ResultFile(out, self._schema(scored)) as file:
                report = BatchReport(rows=0, acted=0, stale=0, ignored=ignored, warned=0 if self._warns else UNSET)
                for answers in self._answers(scored, log=opened, now_us=now_us, name=name or source.name, count=count):
                    file.write(answers.drop_columns(["stale"]))
                    report = _added(report, answers)
        return report

    def predict_table(self, table: pa.Table, *, log: Log | Path | None, now_us: int, name: str = "table") -> pa.Table:
        """Return the answers to the rows of a table; the columns are those of ``predict_file``.

        Raises
        ------
        RequestError
            When a row breaks the contract; nothing was logged then.
        """
        if table.num_rows == 0:
            raise RequestError("The table has no row.", hint="Predict at least one.")
        with Database() as database, tempfile.TemporaryDirectory(prefix="headway-batch-") as scratch:
            scored = Path(scratch) / _SCRATCH
            chunks = self._rows(database).of_table(table, rows=_CHUNK_ROWS)
            count = self._score_all(database, chunks, scored, where="", progress=None)
            with _opened(log) as opened:
                answers = list(self._answers(scored, log=opened, now_us=now_us, name=name, count=count))
        return pa.concat_tables(answers).drop_columns(["stale"])

    def _rows(self, database: Database) -> Rows:
        return Rows(self._contract, database, source=self._definitions.examples.source)

    # -- first pass: read, check, look up, score

    def _score_all(
        self,
        database: Database,
        chunks: Iterable[pa.Table],
        scored: Path,
        *,
        where: str,
        progress: Callable[[int], None] | None,
    ) -> int:
        definitions = self._definitions.known_by(self._as_of_us)
        point_in_time = PointInTime(database, definitions, self._files)
        writer, count = None, 0
        try:
            for chunk in chunks:
                joined = self._joined(database, point_in_time, chunk, where=where)
                features = {f.name: joined[f"feature:{f.name}"] for f in definitions.features}
                said = self._scorer.score(pa.table(features))
                joined = joined.append_column("score", pa.array(self._calls.score(said), pa.float64()))
                for at, name in enumerate(self._release.classes):
                    joined = joined.append_column(f"class:{name}", pa.array(said[:, at], pa.float64()))
                writer = writer or pq.ParquetWriter(scored, joined.schema)
                writer.write_table(joined)
                count += chunk.num_rows
                if progress is not None:
                    progress(count)
        finally:
            if writer is not None:
                writer.close()
        return count

    def _joined(self, database: Database, point_in_time: PointInTime, chunk: pa.Table, *, where: str) -> pa.Table:
        """Return the request's fields, key, moment, features and what was too old, of each row in its order."""
        try:
            joined = self._examples(database, point_in_time, chunk)
        except DataError as error:
            # One value leads outside of what can be computed; which one is found by halving.
            if chunk.num_rows > 1:
                half = chunk.num_rows // 2
                parts = (chunk.slice(0, half), chunk.slice(half))
                return pa.concat_tables([self._joined(database, point_in_time, part, where=where) for part in parts])
            raise RequestError(error.what, where=f"{where}row {chunk[ROW][0]}", hint=error.hint) from error
        if joined.num_rows < chunk.num_rows:
            lost = pc.index(pc.is_in(chunk[ROW], value_set=joined[ROW]), value=False).as_py()
            raise RequestError(
                f"The row does not say when it is to be predicted: {self._definitions.brief.target.predict_at!r} has "
                "no value.",
                where=f"{where}row {chunk[ROW][lost]}",
                hint="Look at the fields from which it follows: a day or a time of day that does not exist?",
            )
        return joined

    def _examples(self, database: Database, point_in_time: PointInTime, chunk: pa.Table) -> pa.Table:
        definitions = self._definitions
        name = database.register(chunk, prefix="batch")
        try:
            table = point_in_time.examples(as_of_us=_ALL_TIME_US, source=self._source(name), keep=(ROW,))
        finally:
            database.execute(f"DROP VIEW {name}")
        kinds = definitions.examples.kinds
        fields = [f"{_plain(f.name, f.kind)} AS {quote(f'field:{f.name}')}" for f in definitions.request_fields]
        keys = [f"{_plain(key, kinds[key])} AS {quote(f'key:{key}')}" for key in self._key]
        features = [quote(f"feature:{feature.name}") for feature in definitions.features]
        aged = [f"{quote(t.stale)} AS {quote(f'aged:{t.name}')}" for t in definitions.timelines if t.stale]
        moments = [f"epoch_us({quote(PREDICT_AT)}) AS {quote(PREDICT_AT)}"]
        columns = ", ".join([quote(ROW), *fields, *keys, *moments, *features, *aged])
        joined = database.table(f"SELECT {columns} FROM {table} ORDER BY {quote(ROW)}")
        database.drop(table)
        return joined

    def _source(self, chunk: str) -> str:
        """Return a relation with all raw columns of the examples' source; what a request does not send is missing."""
        sent = {field.name for field in self._definitions.request_fields}
        columns = [quote(ROW)]
        for name, kind in self._definitions.examples.raw.items():
            value = quote(name) if name in sent else "NULL"
            value = f"make_timestamp({value})" if kind == "time" and name in sent else value
            columns.append(f"CAST({value} AS {SQL_TYPES[kind]}) AS {quote(name)}")
        return f"(SELECT {', '.join(columns)} FROM {chunk})"

    # -- second pass: log, answer

    def _answers(self, scored: Path, *, log: Log | None, now_us: int, name: str, count: int) -> Iterator[pa.Table]:
        with pq.ParquetFile(scored) as file:
            for batch in file.iter_batches(batch_size=_LOGGED_AT_ONCE):
                predictions = self._predictions(pa.Table.from_batches([batch]), now_us=now_us, name=name, count=count)
                ids = log.append_many(predictions) if log is not None else [""] * len(predictions)
                yield self._answer_table(pa.Table.from_batches([batch]), predictions, ids)

    def _predictions(self, table: pa.Table, *, now_us: int, name: str, count: int) -> list[Prediction]:
        definitions = self._definitions
        fields = [f.name for f in definitions.request_fields]
        rows = zip(*(table[f"field:{name}"].to_pylist() for name in fields), strict=True)
        keys = zip(*(self._key_column(table, key).to_pylist() for key in self._key), strict=True)
        features = zip(*(table[f"feature:{f.name}"].to_pylist() for f in definitions.features), strict=True)
        plain = [table[column].to_pylist() for column in (ROW, PREDICT_AT, "score")]
        terms = self._contract.terms if self._warns else None
        named = {name: table[f"field:{name}"] for name in fields}
        warnings = terms.warnings(named) if terms is not None else {}
        classes = self._release.classes
        each_class = zip(*(table[f"class:{name}"].to_pylist() for name in classes), strict=True)
        probabilities = [dict(zip(classes, row, strict=True)) for row in each_class]
        return [
            Prediction(
                served_us=now_us,
                predict_at_us=predict_at_us,
                release=self._release.id,
                model=self._release.model,
                score=score,
                act=score >= self._release.cutoff if self._inclusive else score > self._release.cutoff,
                key=dict(zip(self._key, key, strict=True)),
                row=self._contract.to_json(dict(zip(fields, row, strict=True))),
                features=seen,
                stale=stale,
                store=self._store,
                batch=name,
                row_number=number - 1,
                rows=count,
                warnings=warnings.get(place, UNSET),
                probabilities=probabilities[place] if probabilities else UNSET,
            )
            for place, (number, predict_at_us, score, row, key, seen, stale) in enumerate(
                zip(*plain, rows, keys, features, self._stale(table), strict=True)
            )
        ]

    def _stale(self, table: pa.Table) -> list[tuple[str, ...]]:
        """Return for each row the features that were looked up in something too old; as ``RowForm.join`` does."""
        definitions = self._definitions
        moving = tuple(f.name for f in definitions.features if any(not t.timeless for t in f.timelines))
        aging = [t for t in definitions.timelines if t.stale]
        users = [tuple(f.name for f in definitions.features if t in f.timelines) for t in aging]
        covered_us = self._as_of_us + definitions.lag_us
        late = pc.greater(table[PREDICT_AT], covered_us).to_pylist() if moving else [False] * table.num_rows
        aged = zip(*(table[f"aged:{t.name}"].to_pylist() for t in aging), strict=True) if aging else [()] * len(late)
        return [
            moving if after else tuple(name for old, names in zip(flags, users, strict=True) if old for name in names)
            for after, flags in zip(late, aged, strict=True)
        ]

    def _key_column(self, table: pa.Table, key: str) -> pa.ChunkedArray:
        column = table[f"key:{key}"]
        if self._definitions.examples.kinds[key] != "time":
            return column
        return pa.chunked_array([[None if us is None else moment_text(us) for us in column.to_pylist()]], pa.string())

    def _schema(self, scored: Path) -> pa.Schema:
        empty = pq.read_schema(scored).empty_table()
        return self._answer_table(empty, [], []).drop_columns(["stale"]).schema

    def _answer_table(self, table: pa.Table, predictions: Sequence[Prediction], ids: Sequence[str]) -> pa.Table:
        taken = {"row", "predict_at", "score", "act", "release", "id", "stale"}
        classes = _class_columns(predictions, self._release.classes)
        taken = (taken | ({"warnings"} if self._warns else set()) | set(classes)) & set(self._key)
        keys = {f"key_{key}" if key in taken else key: self._key_column(table, key) for key in self._key}
        return pa.table(
            {
                "row": table[ROW],
                **keys,
                "predict_at": pa.array([moment_text(p.predict_at_us) for p in predictions], pa.string()),
                "score": table["score"],
                "act": pa.array([p.act for p in predictions], pa.bool_()),
                "release": pa.array([p.release for p in predictions], pa.string()),
                "id": pa.array(ids, pa.string()),
                "stale": pa.array([bool(p.stale) for p in predictions], pa.bool_()),
                **classes,
                **({"warnings": _warnings(predictions)} if self._warns else {}),
            }
        )


def predict_table(
    predictor: Predictor, table: pa.Table, *, log: Log | Path | None, now_us: int, name: str = "table"
) -> pa.Table:
    """Return the answers of a server to the rows of a table, without the server.

    What is looked up comes from the online store, as for a request; for rows older than that use :class:`Batch`.

    Returns
    -------
    pyarrow.Table
        ``id``, ``score``, ``act``, ``release``, ``predict_at``, in the order of the rows; ``warnings`` besides, where
        the brief lets broken contracts pass; and of a category the columns that :meth:`Batch.predict_file` adds.

    Raises
    ------
    RequestError
        When a row breaks the contract; nothing was logged then.
    """
    source = predictor.definitions.examples.source
    fields = [field.name for field in predictor.contract.fields]
    terms = predictor.contract.terms
    predictions: list[Prediction] = []
    with Database(threads=1) as database:
        rows = Rows(predictor.contract, database, source=source)
        for chunk in rows.of_table(table, rows=_CHUNK_ROWS):
            some = chunk.select(fields).to_pylist()
            answers = predictor.predict(predictor.contract.held(some, single=False), now_us=now_us)
            predictions += [
                msgspec.structs.replace(each, batch=name, row_number=number, rows=table.num_rows)
                for number, each in enumerate(answers, start=len(predictions))
            ]
    ids = []
    with _opened(log) as opened:
        for first in range(0, len(predictions), _LOGGED_AT_ONCE):
            part = predictions[first : first + _LOGGED_AT_ONCE]
            ids += opened.append_many(part) if opened is not None else [""] * len(part)
    return pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "score": pa.array([p.score for p in predictions], pa.float64()),
            "act": pa.array([p.act for p in predictions], pa.bool_()),
            "release": pa.array([p.release for p in predictions], pa.string()),
            "predict_at": pa.array([moment_text(p.predict_at_us) for p in predictions], pa.string()),
            **_class_columns(predictions, predictor.classes),
            **({"warnings": _warnings(predictions)} if terms is not None and not terms.blocks else {}),
        }
    )


def _class_columns(predictions: Sequence[Prediction], classes: Sequence[str]) -> dict[str, pa.Array]:
    """Return the likeliest class and the probability of each; nothing where there are no classes."""
    if not classes:
        return {}
    each = [p.probabilities or {} for p in predictions]
    return {
        "prediction": pa.array([p.likeliest for p in predictions], pa.string()),
        **{f"probability of {name}": pa.array([found.get(name) for found in each], pa.float64()) for name in classes},
    }


@contextmanager
def _opened(log: Log | Path | None) -> Iterator[Log | None]:
    if not isinstance(log, Path):
        yield log
        return
    with Writer(log) as writer:
        yield writer


def _plain(name: str, kind: str) -> str:
    return f"epoch_us({quote(name)})" if kind == "time" else quote(name)


def _added(report: BatchReport, answers: pa.Table) -> BatchReport:
    return msgspec.structs.replace(
        report,
        rows=report.rows + answers.num_rows,
        acted=report.acted + (pc.sum(answers["act"]).as_py() or 0),
        stale=report.stale + (pc.sum(answers["stale"]).as_py() or 0),
        warned=UNSET if report.warned is UNSET else report.warned + _warned(answers),
    )


def _warnings(predictions: Sequence[Prediction]) -> pa.Array:
    return pa.array([None if p.warnings is UNSET else " ".join(p.warnings) for p in predictions], pa.string())


def _warned(answers: pa.Table) -> int:
    return int(pc.count(answers["warnings"]).as_py())
