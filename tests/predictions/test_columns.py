"""Answers as columns: nothing changes its value or its row on the way."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headway.errors import DataError
from headway.nouns.examples import FeatureColumn
from headway.predictions.columns import read_table, to_table
from headway.predictions.reader import Cursor, Reader
from headway.predictions.writer import Writer

SIGNATURE = (
    FeatureColumn(name="carrier", kind="category"),
    FeatureColumn(name="flight", kind="number"),
    FeatureColumn(name="score", kind="number"),
)


def test_each_row_of_the_table_is_one_prediction(tmp_path, prediction):
    """Fixed columns, key and features, missing as null, in the order of the answers."""
    with Writer(tmp_path) as log:
        log.append_many([prediction(n) for n in (2, 0, 1)])
        table, _ = read_table(Reader(tmp_path, batch_rows=2), features=SIGNATURE)
    answers = sorted(
        (each for batch in Reader(tmp_path).scan() for each in batch.predictions), key=lambda each: each.served_us
    )
    for name in ("id", "served_us", "predict_at_us", "release", "model", "score", "act", "latency_us"):
        assert table[name].to_pylist() == [getattr(each, name) for each in answers]
    assert table["key.flight"].to_pylist() == [0, 1, 2]
    assert table["features.carrier"].to_pylist() == ["UA"] * 3
    assert table["features.flight"].to_pylist() == [0.0, 1.0, 2.0]
    assert table["features.score"].to_pylist() == [None] * 3
    assert table.schema.field("features.score").type == pa.float32()


def test_the_cursor_of_a_table_leads_to_what_is_new(tmp_path, prediction):
    """Twice the same question gives each answer once."""
    reader = Reader(tmp_path)
    with Writer(tmp_path) as log:
        log.append_many([prediction(n) for n in range(3)])
        first, cursor = read_table(reader)
        log.append(prediction(3))
        second, cursor = read_table(reader, after=Cursor.from_json(cursor.to_json()))
        assert (len(first), second["key.flight"].to_pylist()) == (3, [3])
        assert read_table(reader, after=cursor) == (to_table(()), cursor)


def test_an_empty_table_has_all_its_columns():
    """Before the first answer, queries by name still work."""
    table = to_table((), features=SIGNATURE)
    assert len(table) == 0
    assert table.column_names[-3:] == ["features.carrier", "features.flight", "features.score"]
    assert table.schema.field("features.flight").type == pa.float32()


def test_answers_of_several_models_are_told_apart(tmp_path, prediction):
    """Another signature is an error that says how to ask; asking so works."""
    with Writer(tmp_path) as log:
        log.append_many([prediction(0), prediction(1, model="other", features=(1.0,))])
    with pytest.raises(DataError, match="one model's answers at a time"):
        read_table(Reader(tmp_path), features=SIGNATURE)
    assert len(read_table(Reader(tmp_path), features=SIGNATURE, model="9f0c")[0]) == 1


def test_key_columns_may_differ_between_answers(tmp_path, prediction):
    """What an answer lacks is null; whole numbers and fractions go together; texts and numbers do not."""
    answers = [prediction(0, key={"a": 1}), prediction(1, key={"a": 2.5, "b": "x"}), prediction(2, key={"b": None})]
    with Writer(tmp_path) as log:
        log.append_many(answers)
        for batch_rows in (1, 8):
            table, _ = read_table(Reader(tmp_path, batch_rows=batch_rows))
            assert table["key.a"].to_pylist() == [1.0, 2.5, None]
            assert table["key.b"].to_pylist() == [None, "x", None]
        log.append(prediction(3, key={"a": "text"}))
        for batch_rows in (1, 8):
            with pytest.raises(DataError, match="several types"):
                read_table(Reader(tmp_path, batch_rows=batch_rows))


def test_a_feature_of_another_type_than_its_signature_is_named(prediction):
    """A category where a number was promised."""
    with pytest.raises(DataError, match=r"feature 'carrier' \(number\)"):
        to_table([prediction()], features=[FeatureColumn(name="carrier", kind="number"), *SIGNATURE[1:]])
