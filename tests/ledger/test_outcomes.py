"""Outcomes come late, twice and corrected; what stands is what was known last."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.blobs import FolderBlobs
from headway.errors import OutcomeError
from headway.ledger import Ledger
from headway.ledger.outcomes import checked_batch, read_batch, written_batch
from headway.nouns.event import OutcomesReceived

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Rows = list[tuple[str, float | None, int]]


def batch_of(rows: Rows) -> pa.Table:
    """Return a batch of ``(prediction, label, known_us)``."""
    return pa.table(
        {
            "prediction": pa.array([row[0] for row in rows], pa.string()),
            "label": pa.array([row[1] for row in rows], pa.float64()),
            "known_us": pa.array([row[2] for row in rows], pa.int64()),
        }
    )


def standing(table: pa.Table) -> dict[str, tuple[float | None, int, str]]:
    """Return what stands for each prediction."""
    return {row["prediction"]: (row["label"], row["known_us"], row["status"]) for row in table.to_pylist()}


def test_every_fate_of_an_outcome_is_counted(where: Any, blobs: FolderBlobs) -> None:
    """Accepted, void, doubled, corrected and stale rows of two batches, on each kind of database."""
    with Ledger.open(where) as ledger:
        first = batch_of([("p", 1.0, 5), ("q", None, 5), ("p", 0.0, 7), ("p", 0.0, 8), ("r", 1.0, 5)])
        told = ledger.receive_outcomes(first, put=blobs.put, now_us=30, unknown=2)
        assert told == OutcomesReceived(
            batch=told.batch, accepted=2, void=1, corrected=1, doubled=1, stale=0, unknown=2
        )
        second = batch_of([("p", 1.0, 5), ("q", 1.0, 6), ("p", None, 6), ("r", None, 9)])
        told = ledger.receive_outcomes(second, put=blobs.put, now_us=31, effective_us=40)
        assert (told.accepted, told.void, told.corrected, told.doubled, told.stale) == (0, 0, 2, 1, 1)
        now = ledger.outcomes()
        assert standing(now) == {
            "p": (0.0, 7, "corrected"), "q": (1.0, 6, "corrected"), "r": (None, 9, "void"),
        }  # fmt: skip
        assert now["received_us"].to_pylist() == [30, 40, 40]
        assert standing(ledger.outcomes(known_by_us=6)) == {
            "p": (None, 6, "void"), "q": (1.0, 6, "corrected"), "r": (1.0, 5, "final"),
        }  # fmt: skip
        assert standing(ledger.outcomes(known_by_us=4)) == {}
        assert ledger.outcomes(since=1)["prediction"].to_pylist() == ["q", "r"]
        before = {name: ledger.table(name) for name in ("outcomes", "outcome_history")}
        assert ledger.rebuild(blobs.read) == 2
        assert {name: ledger.table(name) for name in before} == before
        assert blobs.read(told.batch) == written_batch(checked_batch(second))


def oracle(batches: list[Rows]) -> tuple[dict[str, float | None], list[dict[str, int]]]:
    """Settle row by row, from the list of all that was said: what stands is what was known last."""
    said: dict[str, Rows] = {}
    counts = []
    for rows in batches:
        count = dict.fromkeys(("accepted", "void", "corrected", "doubled", "stale"), 0)
        for row in sorted(rows, key=lambda row: row[2]):
            prediction, label, known = row
            before = said.setdefault(prediction, [])
            if not before:
                fate = "void" if label is None else "accepted"
            else:
                last = max(before, key=lambda told: told[2])  # of equal moments the first in a reversed list, below
                fate = "corrected" if known >= last[2] else "stale"
                fate = "doubled" if row in before or label == last[1] else fate
            if row not in before:
                before.insert(0, row)
            count[fate] += 1
        counts.append(count)
    return {name: max(rows, key=lambda row: row[2])[1] for name, rows in said.items()}, counts


ROWS = st.lists(
    st.tuples(st.sampled_from("pqr"), st.none() | st.sampled_from([0.0, 1.0]), st.integers(0, 5)), max_size=12
)


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(ROWS, max_size=4))
def test_settling_in_bulk_equals_settling_row_by_row(
    batches: list[Rows], fresh: Callable[[Path], Ledger], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The statements agree with an oracle that was written apart; delivering all again changes nothing."""
    folder = tmp_path_factory.mktemp("outcomes")
    blobs = FolderBlobs(folder / "blobs")
    stands, counts = oracle(batches)
    with fresh(folder / "ledger.sqlite") as ledger:
        for rows, count in zip(batches, counts, strict=True):
            told = ledger.receive_outcomes(batch_of(rows), put=blobs.put, now_us=1)
            assert {name: getattr(told, name) for name in count} == count
        tables = [ledger.table("outcomes"), ledger.table("outcome_history")]
        assert {row["prediction"]: row["label"] for row in tables[0].to_pylist()} == stands
        for rows in batches:
            again = ledger.receive_outcomes(batch_of(rows), put=blobs.put, now_us=2)
            assert again.doubled == len(rows)
        assert [ledger.table("outcomes"), ledger.table("outcome_history")] == tables
        assert {name: row[0] for name, row in standing(ledger.outcomes(known_by_us=9)).items()} == stands


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (pa.table({"prediction": ["p"], "label": [1.0]}), "lacks known_us; it has prediction, label"),
        (pa.table({"prediction": ["p"], "label": ["yes"], "known_us": [1]}), "does not fit"),
        (pa.table({"prediction": ["p"], "label": [math.nan], "known_us": [1]}), "1 labels are NaN"),
        (pa.table({"prediction": [None, "p"], "label": [1.0, 1.0], "known_us": [1, 1]}), "no prediction"),
        (pa.table({"prediction": ["p"], "label": [1.0], "known_us": pa.array([None], pa.int64())}), "no known_us"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused_before_anything_is_written(
    ledger: Ledger, blobs: FolderBlobs, batch: pa.Table, message: str
) -> None:
    """The error names the column; neither a blob nor an event is left."""
    with pytest.raises(OutcomeError, match=message):
        ledger.receive_outcomes(batch, put=blobs.put, now_us=1)
    assert ledger.head().seq == 0
    assert blobs.verify().count == 0


def test_the_layout_of_a_batch_does_not_change_its_bytes() -> None:
    """One chunk or many, more columns or not: the same rows have the same digest."""
    rows: Rows = [("p", 1.0, 5), ("q", None, 6), ("r", 0.0, 7)]
    whole = batch_of(rows)
    pieces = pa.concat_tables([batch_of(rows[:1]), batch_of(rows[1:])]).append_column("more", [["x", "y", "z"]])
    assert written_batch(checked_batch(pieces)) == written_batch(checked_batch(whole))
    assert read_batch(written_batch(checked_batch(whole))).equals(checked_batch(whole))


def test_outcomes_do_not_come_without_their_batch(ledger: Ledger) -> None:
    """Appended bare, the event could not be rebuilt."""
    event = OutcomesReceived(batch="b", accepted=0, corrected=0, doubled=0, void=0, unknown=0)
    with pytest.raises(ValueError, match="receive_outcomes"):
        ledger.append(event, now_us=1)


def test_the_class_that_came_is_kept_by_name(where: Any, blobs: FolderBlobs) -> None:
    """Two classes that the release does not know are two things; and a rebuild from the batches says the same."""
    with Ledger.open(where) as ledger:
        plain = batch_of([("p", -1.0, 5), ("q", 2.0, 5)])
        first = plain.append_column("category", pa.array(["diverted", "late"]))
        ledger.receive_outcomes(first, put=blobs.put, now_us=30)
        second = batch_of([("p", -1.0, 6), ("q", 2.0, 6)]).append_column("category", pa.array(["cancelled", "late"]))
        told = ledger.receive_outcomes(second, put=blobs.put, now_us=31)
        assert (told.corrected, told.doubled) == (1, 1)
        kept = {row["prediction"]: row["category"] for row in ledger.outcomes().to_pylist()}
        assert kept == {"p": "cancelled", "q": "late"}
        assert [each.category for each in ledger.told_of("p")] == ["diverted", "cancelled"]
        ledger.rebuild(blobs.read)
        assert {row["prediction"]: row["category"] for row in ledger.outcomes().to_pylist()} == kept


def test_a_batch_without_classes_has_the_bytes_that_it_always_had() -> None:
    """So that what is delivered again is found again."""
    batch = checked_batch(batch_of([("p", 1.0, 5)]))
    assert pa.ipc.open_stream(written_batch(batch)).schema.names == ["prediction", "label", "known_us"]
    assert read_batch(written_batch(batch)).equals(batch)
