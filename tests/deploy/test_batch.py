"""Tests of batch: the very bits of the server, a contract with row numbers, all or nothing."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import headway.deploy.batch as batch_module
from headway.deploy.batch import Batch, predict_table
from headway.deploy.contract import NotJson
from headway.deploy.frames import as_arrow
from headway.errors import NotFound, RequestError, SourceError
from headway.predictions.reader import Reader
from headway.predictions.writer import Writer

AS_OF_US = 1_710_892_800_000_000
NOW_US = AS_OF_US + 5


@pytest.fixture
def batch(project, predictor):
    """Return what answers files."""
    return Batch(
        project.definitions, predictor.scorer, project.release(), files=project.files, as_of_us=AS_OF_US, store="s"
    )


@pytest.fixture(scope="session")
def served(predictor, rows):
    """Return what the server answers to each row."""
    answers = []
    for row in rows:
        request = predictor.contract.decode(json.dumps({"row": row}).encode())
        answers += predictor.predict(request, now_us=NOW_US)
    return answers


def seen(prediction):
    """Return all of an answer that does not depend on how it was asked for."""
    return (
        prediction.score,
        prediction.act,
        repr(prediction.features),
        prediction.stale,
        prediction.key,
        prediction.row,
        prediction.predict_at_us,
        prediction.release,
        prediction.model,
        prediction.served_us,
    )


def write(path, rows):
    """Write rows of requests into a file, by its name."""
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
        return path
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            table = csv.DictWriter(file, names, restval="NA")
            table.writeheader()
            table.writerows([{k: repr(v) if isinstance(v, float) else v for k, v in row.items()} for row in rows])
        return path
    table = pa.table({name: [row.get(name) for row in rows] for name in names})
    if "first_seen" in names:
        moments = pa.array(table["first_seen"].to_pylist(), pa.string()).cast(pa.timestamp("us", "UTC"))
        table = table.set_column(names.index("first_seen"), "first_seen", moments)
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_file_gets_the_very_answers_of_the_server(*, batch, served, rows, tmp_path, monkeypatch, suffix):
    """Every bit of every answer, for rows before and after the store's end, over several chunks, in each format."""
    monkeypatch.setattr(batch_module, "_CHUNK_ROWS", 64)
    out = tmp_path / "out.parquet"
    with Writer(tmp_path / "log") as log:
        report = batch.predict_file(write(tmp_path / f"in{suffix}", rows), out, log=log, now_us=NOW_US)
    answers = pq.read_table(out)
    assert report.rows == len(rows) == answers.num_rows
    reader = Reader(tmp_path / "log")
    logged = [reader.read(each) for each in answers["id"].to_pylist()]
    assert [seen(each) for each in logged] == [seen(each) for each in served]
    assert answers["row"].to_pylist() == list(range(1, len(rows) + 1))
    assert answers["score"].to_pylist() == [each.score for each in served]
    assert answers["act"].to_pylist() == [each.act for each in served]
    assert answers["order"].to_pylist() == [row["order"] for row in rows]
    assert {each.batch for each in logged} == {f"in{suffix}"}
    assert report.acted == sum(each.act for each in served)
    assert report.stale == sum(bool(each.stale) for each in served) > 20


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_answers_are_the_same_in_each_format(batch, served, rows, tmp_path, suffix):
    """Scores come back from text as the same floats."""
    out = tmp_path / f"out{suffix}"
    batch.predict_file(write(tmp_path / "in.jsonl", rows[:40]), out, log=None, now_us=NOW_US)
    if suffix == ".csv":
        found = pacsv.read_csv(out).to_pylist()
    elif suffix == ".jsonl":
        found = [json.loads(line) for line in out.read_text().splitlines()]
    else:
        found = pq.read_table(out).to_pylist()
    assert [row["score"] for row in found] == [each.score for each in served[:40]]
    assert list(found[0]) == ["row", "order", "placed", "predict_at", "score", "act", "release", "id"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", out.name]


def test_the_files_of_the_source_can_be_asked_as_they_are(batch, project, rows, tmp_path):
    """Late columns are passed over, and said to be."""
    report = batch.predict_file(project.folder / "orders.csv", tmp_path / "out.csv", log=None, now_us=NOW_US)
    assert report.rows == len(rows)
    assert report.ignored == ("settle_hours", "returned", "paid")


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize(
    ("field", "value"), [("product", None), ("product", "x" * 1_001), ("day", 40), ("amount", None)]
)
def test_one_bad_row_stops_everything_before_anything_is_written(
    *, batch, rows, tmp_path, monkeypatch, suffix, field, value
):
    """The error has file and row; nothing was logged, and what stood in the place of the answers still stands."""
    monkeypatch.setattr(batch_module, "_CHUNK_ROWS", 16)
    some = [dict(row) for row in rows[:60]]
    some[44] = {name: each for name, each in {**some[44], field: value}.items() if each is not None}
    source, out = write(tmp_path / f"in{suffix}", some), tmp_path / "out.csv"
    out.write_text("before")
    with Writer(tmp_path / "log") as log, pytest.raises(RequestError) as caught:
        batch.predict_file(source, out, log=log, now_us=NOW_US)
    assert str(source) in caught.value.where
    assert "row 45" in caught.value.where
    assert out.read_text() == "before"
    assert Reader(tmp_path / "log").count() == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, "log", "out.csv"])


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("", RequestError, "is missing"),
        ("order,year\n", RequestError, "is missing"),
        ("HEADER\n", SourceError, "no row"),
        ("HEADER\nROW\n1,2\n", SourceError, "Expected 13 columns, got 2"),
        ("HEADER,cuopon\n", RequestError, "cuopon.*Did you mean 'coupon'"),
        ("HEADER,year\n", RequestError, "twice"),
    ],
)
def test_a_csv_file_that_does_not_fit_is_named(*, batch, rows, tmp_path, text, error, said):
    """Empty, ragged, short of a column or with one too many."""
    write(tmp_path / "good.csv", [max(rows, key=len)])
    header, line = (tmp_path / "good.csv").read_text().splitlines()
    path = tmp_path / "bad.csv"
    path.write_text(text.replace("HEADER", header).replace("ROW", line))
    with pytest.raises(error, match=said) as caught:
        batch.predict_file(path, tmp_path / "out.csv", log=None, now_us=NOW_US)
    assert "bad.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("year", "2024.5"),
        ("year", "MMXXIV"),
        ("year", str(2**63)),
        ("amount", "nan"),
        ("amount", "1e999"),
        ("first_seen", "soon"),
    ],
)
def test_a_text_that_is_no_number_or_moment_is_named(batch, rows, tmp_path, field, text):
    """Row, column and what stands there."""
    path = write(tmp_path / "in.csv", [max(rows, key=len)] * 3)
    lines = list(csv.DictReader(path.read_text().splitlines()))
    lines[1][field] = text
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(lines[0]))
        table.writeheader()
        table.writerows(lines)
    with pytest.raises(RequestError) as caught:
        batch.predict_file(path, tmp_path / "out.csv", log=None, now_us=NOW_US)
    assert caught.value.where == f"{path}, row 2, column {field}"
    assert repr(text) in caught.value.what


def test_other_files_that_cannot_be_read_are_named(batch, rows, tmp_path):
    """Missing, truncated, no JSON, of no known format, or the answers themselves."""
    whole = write(tmp_path / "in.parquet", rows[:5]).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "bad.jsonl").write_text('{"order": 1}\n{"order"\n')
    write(tmp_path / "in.jsonl", rows[:5])
    for name, out, error in [
        ("nowhere.csv", "out.csv", NotFound),
        ("cut.parquet", "out.csv", SourceError),
        ("bad.jsonl", "out.csv", RequestError),
        ("in.jsonl", "out.xls", SourceError),
        ("in.jsonl", "in.jsonl", RequestError),
    ]:
        with pytest.raises(error):
            batch.predict_file(tmp_path / name, tmp_path / out, log=None, now_us=NOW_US)
    (tmp_path / "bad.jsonl").write_text(json.dumps(rows[0]) + "\n{\n")
    with pytest.raises(NotJson, match="row 2"):
        batch.predict_file(tmp_path / "bad.jsonl", tmp_path / "out.csv", log=None, now_us=NOW_US)


def test_moments_without_a_zone_are_local_to_the_source(batch, rows, tmp_path):
    """The orders' source says Berlin: a file of them means the same, whether text or timestamps."""
    row = {**max(rows, key=len), "first_seen": "2024-02-01T11:30:00Z"}
    (tmp_path / "in.csv").write_text(write(tmp_path / "utc.csv", [row]).read_text().replace("T11:30:00Z", " 12:30:00"))
    table = pa.table({name: [value] for name, value in row.items()})
    at = pa.array(["2024-02-01T12:30:00"]).cast(pa.timestamp("s"))
    pq.write_table(table.set_column(table.column_names.index("first_seen"), "first_seen", at), tmp_path / "in.parquet")
    for name in ("utc.csv", "in.csv", "in.parquet"):
        with Writer(tmp_path / name.replace(".", "-")) as log:
            batch.predict_file(tmp_path / name, tmp_path / "out.csv", log=log, now_us=NOW_US)
        (found,) = [p for some in Reader(tmp_path / name.replace(".", "-")).scan() for p in some.predictions]
        assert found.row["first_seen"] == "2024-02-01T11:30:00Z", name


def test_a_table_gets_the_answers_of_the_server(predictor, batch, served, rows, tmp_path):
    """Through the online store or through the engine: the same scores, and ids that are in the log."""
    table = pa.Table.from_pylist([{**dict.fromkeys(f.name for f in predictor.contract.fields), **row} for row in rows])
    moments = table["first_seen"].cast(pa.timestamp("us", "UTC"))
    table = table.set_column(table.column_names.index("first_seen"), "first_seen", moments)
    online = predict_table(predictor, table, log=tmp_path / "log", now_us=NOW_US)
    engine = batch.predict_table(table, log=None, now_us=NOW_US)
    assert online.column_names == ["id", "score", "act", "release", "predict_at"]
    assert online["score"].to_pylist() == engine["score"].to_pylist() == [each.score for each in served]
    reader = Reader(tmp_path / "log")
    assert [seen(reader.read(each)) for each in online["id"].to_pylist()] == [seen(each) for each in served]
    with pytest.raises(RequestError, match="unknown"):
        predict_table(predictor, table.append_column("x", table["order"]), log=None, now_us=NOW_US)


def test_a_moment_may_be_text_in_a_table_as_it_is_in_a_request(predictor, batch, rows, tmp_path):
    """Dicts, columns, Arrow and frames alike; without a zone it is local to the source, as it is in a file."""
    row = {**max(rows, key=len), "first_seen": "2024-02-01T11:30:00Z"}
    berlin, utc = datetime(2024, 2, 1, 12, 30), datetime(2024, 2, 1, 11, 30, tzinfo=UTC)  # noqa: DTZ001  (meant so)
    said = ["2024-02-01T11:30:00Z", "2024-02-01t13:30:00.000+02:00", "2024-02-01 12:30:00", berlin, utc, None]
    dicts = [{**row, "first_seen": each} for each in said]
    text = pa.Table.from_pylist(dicts[:3])
    at = text.column_names.index("first_seen")
    coded = text.set_column(at, "first_seen", text["first_seen"].dictionary_encode())
    large = text.set_column(at, "first_seen", text["first_seen"].cast(pa.large_string()))
    columns = {name: [each.get(name) for each in dicts] for name in row}
    pq.write_table(text, tmp_path / "text.parquet")
    for number, table in enumerate([dicts, columns, text, coded, large, text.to_pandas(), text.to_batches()[0]]):
        predict_table(predictor, as_arrow(table), log=tmp_path / f"log{number}", now_us=NOW_US)
        moments = [p.row["first_seen"] for some in Reader(tmp_path / f"log{number}").scan() for p in some.predictions]
        assert moments[:3] == ["2024-02-01T11:30:00Z"] * 3
        assert moments[3:] in ([], ["2024-02-01T11:30:00Z", "2024-02-01T11:30:00Z", None])
    with Writer(tmp_path / "file") as log:
        batch.predict_file(tmp_path / "text.parquet", tmp_path / "out.csv", log=log, now_us=NOW_US)
    moments = [p.row["first_seen"] for some in Reader(tmp_path / "file").scan() for p in some.predictions]
    assert moments == ["2024-02-01T11:30:00Z"] * 3
    for wrong in ("soon", "", "2024-02-30T11:30:00Z"):
        with pytest.raises(RequestError, match=r"row 2, column first_seen.*a moment with its zone"):
            predict_table(predictor, as_arrow([row, {**row, "first_seen": wrong}]), log=None, now_us=NOW_US)


def test_a_column_that_only_a_later_row_has_is_not_lost(predictor, rows, tmp_path):
    """Neither its values nor, where the model does not know it, its name."""
    row = {name: value for name, value in rows[0].items() if name != "weight"}
    table = as_arrow([row, {**row, "weight": 7}])
    predict_table(predictor, table, log=tmp_path / "log", now_us=NOW_US)
    assert [p.row["weight"] for some in Reader(tmp_path / "log").scan() for p in some.predictions] == [None, 7]
    with pytest.raises(RequestError, match="'wieght' is unknown"):
        predict_table(predictor, as_arrow([row, {**row, "wieght": 7}]), log=None, now_us=NOW_US)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("rows.csv", "Rows of type str are not understood"),
        (7, "Rows of type int are not understood"),
        ([{"a": 1}, 7], "row 2: Rows of type int"),
        ([{"a": 1}, {"a": "x"}], "column a: The values of 'a' do not belong together"),
        ({"a": [1, object()]}, "column a: The values of 'a' do not belong together"),
    ],
)
def test_what_is_no_table_is_refused_in_words(table, said):
    """Whoever passes the name of a file is told what to pass."""
    with pytest.raises(RequestError, match=said):
        as_arrow(table)


def test_pandas_gaps_are_gaps(predictor, rows, tmp_path):
    """NaN in a column of whole numbers is how pandas says 'missing'; half a number stays a mistake."""
    row = {name: value for name, value in rows[0].items() if name != "weight"}
    base = pa.Table.from_pylist([row, row]).drop_columns([n for n in ("first_seen",) if n in row])
    gaps = base.append_column("weight", pa.array([float("nan"), 7.0], from_pandas=False))
    predict_table(predictor, gaps, log=tmp_path / "log", now_us=NOW_US)
    found = [p.row["weight"] for some in Reader(tmp_path / "log").scan() for p in some.predictions]
    assert found == [None, 7]
    half = base.append_column("weight", pa.array([1.0, 7.5]))
    with pytest.raises(RequestError, match="row 2, column weight"):
        predict_table(predictor, half, log=None, now_us=NOW_US)
