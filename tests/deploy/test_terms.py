"""Tests of a contract in service: a request, a batch and a snapshot judge alike; a broken one blocks or warns."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headway.data.contract import sql_of
from headway.deploy.batch import Batch, predict_table
from headway.deploy.serving import Current, load_predictor, release_definitions
from headway.deploy.terms import condition_of, fails
from headway.errors import RequestError
from headway.nouns.change import Check
from headway.nouns.contract import ColumnContract, Contract, passes
from headway.nouns.release import Release
from headway.nouns.span import DAY
from headway.online.fill import fill
from headway.predictions.reader import Reader
from headway.query.database import Database

AS_OF_US = 1_710_892_800_000_000
NOW_US = AS_OF_US + 5
ARROW = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string(), "time": pa.timestamp("us")}
MOMENTS = st.integers(-(2**50), 2**52)
VALUES = {
    "bool": st.booleans(),
    "int": st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5),
    "float": st.floats() | st.sampled_from([0.0, -0.0, 1.0, 2.0]),
    "text": st.text(alphabet="aäB '\U0001f600", max_size=3),
    "time": MOMENTS,
}
BOUNDS = st.none() | st.integers(-5, 5).map(float) | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def cases(draw):
    """Return a kind, a check that a contract may hold over it, and values as a request has them."""
    kind = draw(st.sampled_from(sorted(VALUES)))
    values = draw(st.lists(st.none() | VALUES[kind], min_size=1, max_size=12))
    test = draw(st.sampled_from(["present", "among"] if kind == "text" else ["present", "between", "among"]))
    least, most = draw(BOUNDS), draw(BOUNDS)
    check = Check(column="a", test=test)
    if test == "between":
        check = Check(column="a", test=test, least=least, most=most)
    elif test == "among" and kind == "text":
        check = Check(column="a", test=test, values=tuple(draw(st.lists(VALUES["text"], max_size=4))))
    return kind, check, values


@pytest.fixture(scope="module")
def database():
    """Return an engine."""
    with Database(threads=1) as opened:
        yield opened


@given(case=cases())
@example(case=("int", Check(column="a", test="between", most=float(2**53)), [2**53, 2**53 + 1, None]))
@example(case=("float", Check(column="a", test="between", least=0.0), [float("inf"), float("nan"), -0.0]))
@settings(deadline=None, max_examples=60)
def test_request_batch_and_snapshot_judge_every_value_alike(database, case):
    """The test of a request, Arrow's of a batch, the engine's of a snapshot and the definition agree on each value."""
    kind, check, values = case
    plain = pa.array(values, pa.int64() if kind == "time" else ARROW[kind])
    expected = [
        passes(check, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=v) if kind == "time" and v else v)
        for v in values
    ]
    condition = condition_of(check)
    assert [condition(value) for value in values] == expected
    assert [not bad for bad in fails(check, plain).to_pylist()] == expected
    table = pa.table({"a": plain.cast(ARROW[kind]), "n": range(len(values))})
    name = database.register(table, prefix="terms")
    found = database.table(f'SELECT {sql_of(check, kind)} AS good FROM {name} ORDER BY "n"')["good"].to_pylist()
    database.execute(f"DROP VIEW {name}")
    assert found == expected


def agreed(**columns):
    """Return a contract of the orders."""
    return Contract(source="orders", columns=columns, key=("order",))


AMOUNT = ColumnContract(kind="float", at_least=0.0, at_most=1_000.0)


@pytest.fixture(scope="module")
def in_service(project):
    """Return what makes a release whose brief says what a broken contract does, and its predictor."""
    stores = {}

    def made(policy, contract):
        release = project.release()
        orders = msgspec.structs.replace(release.brief.sources["orders"], contract=policy)
        brief = msgspec.structs.replace(release.brief, sources={**release.brief.sources, "orders": orders})
        release = msgspec.structs.replace(release, brief=brief, contract=contract)
        release = Release.from_json(release.to_json())
        definitions = release_definitions(release)
        if policy not in stores:
            with Database(threads=1) as database:
                stores[policy] = fill(
                    definitions,
                    project.point_in_time(database, definitions),
                    as_of_us=AS_OF_US,
                    since_us=AS_OF_US - 10 * DAY,
                    blobs=project.blobs,
                )
        return release, load_predictor(Current(epoch=1, release=release, store=stores[policy]), project.blobs)

    return made


def asked(predictor, *rows):
    """Return the answers of a predictor to rows."""
    request = predictor.contract.decode(json.dumps({"rows": rows}).encode())
    return predictor.predict(request, now_us=NOW_US)


def test_a_row_that_breaks_a_blocking_contract_is_refused_by_its_field(in_service, row):
    """The error names the field, what was found, what is wanted, and which row."""
    _, predictor = in_service("block", agreed(amount=AMOUNT))
    fits = {**row, "amount": 10.0}
    assert len(asked(predictor, fits)) == 1
    with pytest.raises(
        RequestError, match=r"'amount' is -999\.0; wanted by the contract of 'orders': from 0 to 1000"
    ) as e:
        asked(predictor, fits, {**fits, "amount": -999})
    assert e.value.where == "rows[1].amount"
    with pytest.raises(RequestError) as single:
        predictor.contract.decode(json.dumps({"row": {**fits, "amount": -999}}).encode())
    assert single.value.where == "row.amount"


def test_a_new_category_and_a_missing_value_break_the_contract(in_service, row):
    """What is none of the agreed values, and what must be there and is not, are named."""
    columns = {
        "product": ColumnContract(kind="text", values=("ball", "kite"), unseen="fail"),
        "coupon": ColumnContract(kind="text", missing_at_most=0.0),
    }
    _, predictor = in_service("block", agreed(**columns))
    with pytest.raises(RequestError, match=r"'product' is 'yacht'; wanted .*: one of 'ball', 'kite'"):
        asked(predictor, {**row, "product": "yacht", "coupon": "x"})
    with pytest.raises(RequestError, match=r"'coupon' is missing; wanted .*: a value"):
        asked(predictor, {**{k: v for k, v in row.items() if k != "coupon"}, "product": "kite"})


def test_a_field_of_another_type_than_agreed_never_passes(in_service, row):
    """What cannot be looked at is not taken for good."""
    _, predictor = in_service("warn", agreed(product=ColumnContract(kind="int")))
    (answer,) = asked(predictor, {**row, "product": "kite"})
    assert answer.warnings == ("'product' is 'kite'; wanted by the contract of 'orders': a value of type int.",)


def test_with_warn_the_row_is_answered_and_the_log_says_so(in_service, row):
    """The score is the one of no contract; only the row at fault carries warnings."""
    _, warned = in_service("warn", agreed(amount=AMOUNT))
    _, plain = in_service("", msgspec.UNSET)
    some = [{**row, "amount": 10.0}, {**row, "amount": -999.0}]
    good, bad = asked(warned, *some)
    assert [p.score for p in (good, bad)] == [p.score for p in asked(plain, *some)]
    assert good.warnings is msgspec.UNSET
    assert len(bad.warnings) == 1


def test_without_a_contract_release_log_and_reply_say_nothing_of_one(in_service, row):
    """Whoever agreed on nothing has the bytes that there were before contracts travelled."""
    release, predictor = in_service("", msgspec.UNSET)
    (answer,) = asked(predictor, row)
    assert "contract" not in json.loads(release.to_json())
    assert b"warnings" not in msgspec.msgpack.encode(answer)
    assert predictor.contract.terms is None


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_file_with_a_bad_row_is_refused_by_its_row_or_answered_with_a_warning(
    project, in_service, rows, tmp_path, suffix
):
    """'block' names file, row and column and logs nothing; 'warn' answers all and says which row, in file and log."""
    some = [{**rows[0], "amount": 10.0}] * 3 + [{**rows[0], "amount": -999.0}]
    source, out = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    if suffix == ".jsonl":
        source.write_text("".join(json.dumps(row) + "\n" for row in some))
    else:
        pa.parquet.write_table(pa.Table.from_pylist(some), source)
    made = {}
    for policy in ("block", "warn"):
        release, predictor = in_service(policy, agreed(amount=AMOUNT))
        made[policy] = Batch(
            predictor.definitions, predictor.scorer, release, files=project.files, as_of_us=AS_OF_US, store="s"
        )
    with pytest.raises(RequestError, match="'amount' is -999") as refused:
        made["block"].predict_file(source, out, log=tmp_path / "log", now_us=NOW_US)
    assert refused.value.where == f"{source}, row 4, column amount"
    assert not out.exists()
    report = made["warn"].predict_file(source, out, log=tmp_path / "log", now_us=NOW_US)
    assert (report.rows, report.warned) == (4, 1)
    logged = [p for part in Reader(tmp_path / "log").scan() for p in part.predictions]
    assert [p.warnings is not msgspec.UNSET for p in logged] == [False, False, False, True]
    if suffix == ".parquet":
        written = pa.parquet.read_table(out)["warnings"].to_pylist()
        assert written == [None, None, None, *logged[3].warnings]


def test_a_table_is_answered_with_the_warnings_of_a_request(in_service, rows):
    """The three ways to ask give the same words."""
    _, predictor = in_service("warn", agreed(amount=AMOUNT))
    row = {**rows[0], "amount": -999.0}
    (answer,) = asked(predictor, row)
    table = predict_table(predictor, pa.Table.from_pylist([row]), log=None, now_us=NOW_US)
    assert table["warnings"].to_pylist() == [" ".join(answer.warnings)]
