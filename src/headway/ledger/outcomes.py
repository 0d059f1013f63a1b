"""Outcomes in bulk: a batch is settled against what stands by a handful of statements, however many rows it has.

What stands for a prediction is the outcome that was *known* last, not the one that arrived last: feeds deliver
late and twice, and the order of delivery must not decide what is true. Every different (label, moment) that was
ever said of a prediction is kept in ``outcome_history``, so that delivering it again changes nothing, and what
was known at any earlier moment can still be asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from headway.errors import OutcomeError
from headway.ledger.tables import Serial, outcome_history, outcomes
from headway.ledger.upsert import upsert

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BATCH", "COUNTS", "checked_batch", "read_batch", "settled", "written_batch"]

BATCH = pa.schema(
    [
        pa.field("prediction", pa.string(), nullable=False),
        pa.field("label", pa.float64()),
        pa.field("known_us", pa.int64(), nullable=False),
        pa.field("category", pa.string()),
    ]
)
"""What a batch looks like: a null label is void, i.e. there will never be one.

``category`` is the class that came, by name, and is not written where no outcome has one.
"""

COUNTS = ("accepted", "void", "corrected", "doubled", "stale")

_incoming = sa.Table(
    "incoming_outcomes",
    sa.MetaData(),
    sa.Column("place", Serial, primary_key=True, autoincrement=False),
    sa.Column("turn", sa.BigInteger, nullable=False),
    sa.Column("prediction", sa.Text, nullable=False),
    sa.Column("label", sa.Double),
    sa.Column("known_us", sa.BigInteger, nullable=False),
    sa.Column("category", sa.Text),
    prefixes=["TEMPORARY"],
)

_judged = sa.Table(
    "judged_outcomes",
    sa.MetaData(),
    sa.Column("place", Serial, primary_key=True, autoincrement=False),
    sa.Column("prediction", sa.Text, nullable=False),
    sa.Column("label", sa.Double),
    sa.Column("known_us", sa.BigInteger, nullable=False),
    sa.Column("category", sa.Text),
    sa.Column("verdict", sa.Text, nullable=False),
    prefixes=["TEMPORARY"],
)


def checked_batch(batch: pa.Table) -> pa.Table:
    """Return ``batch`` as :data:`BATCH` in one chunk.

    Raises
    ------
    OutcomeError
        When a column is missing or of another type, an id or a moment is null, or a label is NaN or infinite.
    """
    wanted = [name for name in BATCH.names if name != "category"]
    if missing := [name for name in wanted if name not in batch.column_names]:
        raise OutcomeError(
            f"A batch of outcomes lacks {', '.join(missing)}; it has {', '.join(batch.column_names) or 'nothing'}.",
            hint=f"Wanted: {', '.join(wanted)}.",
        )
    if "category" not in batch.column_names:
        batch = batch.append_column("category", pa.nulls(len(batch), pa.string()))
    try:
        for name in ("prediction", "known_us"):
            if nulls := batch[name].null_count:
                raise OutcomeError(f"{nulls} of {len(batch)} outcomes have no {name}.")
        table = batch.select(BATCH.names).cast(BATCH).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise OutcomeError(f"A batch of outcomes does not fit: {str(error).splitlines()[0]}.") from error
    label = table["label"]
    if bad := pc.sum(pc.invert(pc.is_finite(label.drop_null()))).as_py():
        raise OutcomeError(f"{bad} labels are NaN or infinite.", hint="A label that will never come is null.")
    return table


def written_batch(batch: pa.Table) -> bytes:
    """Return the bytes of a checked batch, as an Arrow stream."""
    sink = pa.BufferOutputStream()
    table = batch if batch["category"].null_count < len(batch) else batch.drop_columns(["category"])
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def read_batch(data: bytes) -> pa.Table:
    """Return the batch that :func:`written_batch` made the bytes of."""
    with pa.ipc.open_stream(data) as reader:
        return checked_batch(reader.read_all())


def settled(connection: sa.Connection, table: pa.Table, *, batch: str, seq: int, received_us: int) -> dict[str, int]:
    """Join a checked batch to what stands, and return how many rows fared how (:data:`COUNTS`).

    Rows about one prediction take turns, in the order in which they were known, then in that of the batch; each
    turn is one join, one insert into the history and one upsert.
    """
    counts = dict.fromkeys(COUNTS, 0)
    if not len(table):
        return counts
    turns = _turns(table)
    columns = (table[name].to_pylist() for name in ("prediction", "label", "known_us", "category"))
    _incoming.create(connection)
    _judged.create(connection)
    _load(connection, list(zip(range(len(table)), turns.tolist(), *columns, strict=True)))
    for turn in range(int(turns.max()) + 1):
        for verdict, count in _judge_turn(connection, turn):
            counts["doubled" if verdict == "confirmed" else verdict] += count
        _carry(connection, batch=batch, seq=seq, received_us=received_us)
    _judged.drop(connection)  # after a failure there is nothing to drop: the transaction that made them is undone
    _incoming.drop(connection)
    return counts


def _turns(table: pa.Table) -> NDArray[np.int64]:
    """Return for each row how many rows about its prediction come before it."""
    code = table["prediction"].combine_chunks().dictionary_encode().indices.to_numpy()
    known = table["known_us"].to_numpy()
    order = np.lexsort((known, code))  # stable: equal moments keep the order of the batch
    place = np.arange(len(order))
    begins = np.concatenate(([True], np.diff(code[order]) != 0))
    turns = np.empty(len(order), dtype=np.int64)
    turns[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return turns


def _load(connection: sa.Connection, rows: list[tuple[Any, ...]]) -> None:
    names = ("place", "turn", "prediction", "label", "known_us", "category")
    if connection.dialect.name == "sqlite":  # the driver's own loop: ten times faster than a mapping for each row
        connection.exec_driver_sql(f"INSERT INTO {_incoming.name} VALUES (?, ?, ?, ?, ?, ?)", rows)  # noqa: S608  a constant
    else:
        connection.execute(sa.insert(_incoming), [dict(zip(names, row, strict=True)) for row in rows])


def _judge_turn(connection: sa.Connection, turn: int) -> list[tuple[str, int]]:
    """Say of each row of a turn what it is, before anything that it is compared with changes."""
    told = outcome_history.alias()
    said_before = sa.exists().where(
        told.c.prediction == _incoming.c.prediction,
        told.c.known_us == _incoming.c.known_us,
        *_same(told.c, _incoming.c),
    )
    verdict = sa.case(
        (outcomes.c.prediction.is_(None), sa.case((_incoming.c.label.is_(None), "void"), else_="accepted")),
        (said_before, "doubled"),
        (sa.and_(*_same(_incoming.c, outcomes.c)), "confirmed"),
        (_incoming.c.known_us < outcomes.c.confirmed_us, "stale"),
        else_="corrected",
    )
    both = _incoming.outerjoin(outcomes, _incoming.c.prediction == outcomes.c.prediction)
    names = ("place", "prediction", "label", "known_us", "category")
    rows = sa.select(*(_incoming.c[name] for name in names), verdict).select_from(both)
    connection.execute(sa.delete(_judged))
    connection.execute(sa.insert(_judged).from_select([*names, "verdict"], rows.where(_incoming.c.turn == turn)))
    counted = sa.select(_judged.c.verdict, sa.func.count()).group_by(_judged.c.verdict)
    return [(str(name), int(count)) for name, count in connection.execute(counted)]


def _same(one: Any, other: Any) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions under which two rows say the same of a prediction."""
    return (one.label.is_not_distinct_from(other.label), one.category.is_not_distinct_from(other.category))


def _carry(connection: sa.Connection, *, batch: str, seq: int, received_us: int) -> None:
    """Write what was judged into the history and, where it is the last known, over what stands."""
    status = sa.case(
        (_judged.c.verdict.in_(("stale", "confirmed")), _judged.c.verdict),
        (_judged.c.label.is_(None), "void"),
        (_judged.c.verdict == "corrected", "corrected"),
        else_="final",
    )
    new = [
        _judged.c.prediction,
        _judged.c.label,
        _judged.c.category,
        _judged.c.known_us,
        status.label("status"),
        sa.literal(received_us, sa.BigInteger).label("received_us"),
        sa.literal(batch).label("batch"),
        sa.literal(seq, sa.BigInteger).label("seq"),
    ]
    names = [column.name for column in new]
    heard = sa.select(*new, _judged.c.place).where(_judged.c.verdict != "doubled")
    connection.execute(sa.insert(outcome_history).from_select([*names, "place"], heard))
    standing = sa.select(*new, _judged.c.known_us.label("confirmed_us"))
    standing = standing.where(_judged.c.verdict.in_(("accepted", "void", "corrected")))
    insert = upsert(connection, outcomes).from_select([*names, "confirmed_us"], standing)
    replaced = {name: insert.excluded[name] for name in [*names, "confirmed_us"] if name != "prediction"}
    connection.execute(insert.on_conflict_do_update(index_elements=["prediction"], set_=replaced))
    later = sa.update(outcomes).values(confirmed_us=_judged.c.known_us)
    later = later.where(outcomes.c.prediction == _judged.c.prediction, _judged.c.verdict == "confirmed")
    connection.execute(later.where(outcomes.c.confirmed_us < _judged.c.known_us))
