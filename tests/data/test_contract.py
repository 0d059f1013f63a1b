"""A contract is inferred, edited, and answered alike by the engine and for a single value."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.data.contract import check_part, first_bad, known_of, sql_of
from headway.data.profiles import build_reference, kinds_in, profile
from headway.errors import DataError
from headway.nouns.change import Check
from headway.nouns.contract import contract_of, infer, passes, text_of
from headway.query.database import Database

TYPES = {
    "int": (pa.int64(), st.integers(-(2**53), 2**53)),
    "float": (pa.float64(), st.floats(allow_nan=True, allow_infinity=True)),
    "text": (pa.string(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)),
    "bool": (pa.bool_(), st.booleans()),
    "time": (
        pa.timestamp("us"),
        st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001  (the engine keeps UTC without saying so)
    ),
}


@pytest.fixture(scope="module")
def database():
    """Return an engine that all tests here share."""
    with Database(threads=1) as one:
        yield one


@st.composite
def _cases(draw):
    kind = draw(st.sampled_from(sorted(TYPES)))
    values = draw(st.lists(st.none() | TYPES[kind][1], min_size=1, max_size=8))
    test = draw(st.sampled_from(["present", "between"] + (["among", "other"] if kind != "time" else ["day"])))
    if kind == "text" and test == "between":
        test = "among"
    held = [value for value in values if value is not None and value == value]  # noqa: PLR0124  (NaN is no constant)
    some = draw(st.lists(st.sampled_from(held), max_size=3)) if held else []
    listed = tuple(str(value.date()) if isinstance(value, datetime) else value for value in some)
    bounds = sorted(draw(st.lists(st.floats(-1e15, 1e15), min_size=2, max_size=2)))
    return (
        kind,
        values,
        Check(column="a", test=test, values=listed, least=draw(st.sampled_from([None, bounds[0]])), most=bounds[1]),
    )


@settings(max_examples=120, deadline=None)
@given(_cases())
def test_the_engine_and_one_value_answer_alike(database, case):
    """A check gives the same answer in the engine's text and in Python, for every kind, test and value."""
    kind, values, check = case
    name = database.register(pa.table({"a": pa.array(values, TYPES[kind][0])}))
    engine = [row[0] for row in database.rows(f"SELECT {sql_of(check, kind)} FROM {name}")]
    single = [passes(check, v.replace(tzinfo=UTC) if isinstance(v, datetime) else v) for v in values]
    database.execute(f"DROP VIEW {name}")
    assert engine == single


@settings(max_examples=120, deadline=None)
@given(_cases())
def test_what_a_profile_knows_of_a_check_is_what_the_engine_counts(database, case):
    """No value is looked at again where least, greatest, or all values with their counts tell the answer."""
    kind, values, check = case
    name = database.register(pa.table({"a": pa.array(values, TYPES[kind][0])}))
    ((count,),) = database.rows(f"SELECT count(*) FILTER (NOT {sql_of(check, kind)}) FROM {name}")
    known = known_of(check, profile(database, name, {"a": kind}).columns["a"])
    database.execute(f"DROP VIEW {name}")
    assert known in {None, count}
    if check.test == "present" or kind == "text":
        assert known == count


@pytest.fixture(scope="module")
def orders(database):
    """Return a table of orders over ten weeks."""
    return database.create(
        "SELECT range AS id, 'abc'[1 + range % 3] AS shop, (range * 7919 % 1000) / 10.0 AS price, "
        "TIMESTAMP '2024-01-01' + INTERVAL (range * 10) MINUTE AS seen FROM range(10080)"
    )


def _held(database, orders, sql):
    kinds = kinds_in(database, orders)
    end = int(datetime(2024, 3, 11, tzinfo=UTC).timestamp()) * 1_000_000
    reference = build_reference(database, orders, kinds, key=("id",), time="seen", now_us=end)
    contract = infer("orders", reference)
    week = (
        f"(SELECT * REPLACE (id + 1008 AS id, seen + INTERVAL 7 DAY AS seen) FROM {orders} WHERE seen >= '2024-03-04')"
    )
    part = database.create(sql.format(week))
    found = profile(database, part, kinds_in(database, part), key=("id",), time="seen")
    return check_part(database, part, found, contract=contract, reference=reference, now_us=end + 7 * 86_400_000_000)


def test_a_good_week_passes_and_what_was_not_looked_at_says_so(database, orders):
    """Nothing fails in a week like those before, and every clause of the contract was looked at."""
    results = _held(database, orders, "SELECT * FROM {}")
    assert [r for r in results if r.state == "failed"] == []
    assert {r.state for r in results} == {"passed"}


def test_a_missing_column_is_a_failure_and_its_checks_are_not_run(database, orders):
    """What cannot be looked at is never passed."""
    results = _held(database, orders, "SELECT * EXCLUDE (price) FROM {}")
    of_price = {result.clause: result.state for result in results if result.column == "price"}
    assert of_price["type"] == "failed"
    assert of_price["between"] == of_price["missing"] == "not run"
    assert of_price["column dropped"] == "failed"


def test_the_first_bad_row_is_named(database, orders):
    """A mark for 'missing' that begins in the row 101 is found there, and named as what it is."""
    week = "SELECT * REPLACE (CASE WHEN id % 1008 > 99 THEN -999 ELSE price END AS price) FROM {} ORDER BY id"
    results = _held(database, orders, week)
    marked = next(r.change for r in results if r.clause == "null written as value")
    assert (marked.column, marked.row) == ("price", 101)
    assert any(r.clause == "between" and r.state == "failed" and "row 101" in r.words for r in results)


FIRST_BAD = {
    "key not unique": (
        "SELECT * REPLACE (CASE WHEN id % 1008 BETWEEN 50 AND 99 THEN id - 50 ELSE id END AS id) FROM {}",
        51,
    ),
    "duplicates": ("SELECT * FROM {0} UNION ALL (SELECT * FROM {0} ORDER BY id LIMIT 40)", 1009),
    "type changed": ("SELECT * REPLACE (CASE WHEN id % 50 = 7 THEN 'EUR ' ELSE '' END || price AS price) FROM {}", 28),
}


@pytest.mark.parametrize("kind", FIRST_BAD)
def test_the_first_row_that_stands_there_again_or_says_no_number_is_named(database, orders, kind):
    """A row is at fault because of another one, or in a form that no single value is checked for."""
    sql, row = FIRST_BAD[kind]
    results = _held(database, orders, sql if "UNION" in sql else f"{sql} ORDER BY seen")
    change = next(r.change for r in results if r.clause == kind)
    assert change.row == row
    assert "quoted" not in change.cause


def test_without_a_reference_changes_are_not_run(database, orders):
    """A contract alone tells of types and ranges; of changes it says that nobody looked."""
    kinds = kinds_in(database, orders)
    found = profile(database, orders, kinds, key=("id",), time="seen")
    contract = infer("orders", build_reference(database, orders, kinds, key=("id",), time="seen"))
    results = check_part(database, orders, found, contract=contract, reference=None)
    assert results[-1].clause == "changes"
    assert results[-1].state == "not run"


def test_a_contract_survives_its_file_and_a_broken_one_is_told(database, orders):
    """What is written is read back with the same digest; a word that is unknown is refused with its place."""
    contract = infer("orders", build_reference(database, orders, kinds_in(database, orders), time="seen"))
    assert contract_of(text_of(contract), where="orders.json").digest == contract.digest
    with pytest.raises(DataError, match="perhaps") as raised:
        contract_of(text_of(contract).replace('"allow"', '"perhaps"'), where="orders.json")
    assert raised.value.where == "orders.json"


SENSELESS = {
    "missing_at_most = 5": lambda c: c["columns"]["price"].update(missing_at_most=5),
    "at_least = 9 above at_most = 1": lambda c: c["columns"]["price"].update(at_least=9, at_most=1),
    "key names 'idd'.*Did you mean 'id'": lambda c: c.update(key=["idd"]),
    "time names 'when'": lambda c: c.update(time="when"),
    "rows_at_least = 9 is above rows_at_most = 1": lambda c: c.update(rows_at_least=9, rows_at_most=1),
    "period_days = -7 is below nought": lambda c: c.update(period_days=-7),
}


@pytest.mark.parametrize("wrong", SENSELESS)
def test_what_nobody_can_mean_is_refused(database, orders, wrong):
    """A contract that everything passes, or nothing, is a slip of whoever edited it."""
    kinds = kinds_in(database, orders)
    text = text_of(infer("orders", build_reference(database, orders, kinds, key=("id",), time="seen")))
    edited = json.loads(text)
    SENSELESS[wrong](edited)
    with pytest.raises(DataError, match=wrong):
        contract_of(json.dumps(edited), where="orders.json")


def test_first_bad_says_nothing_where_all_pass(database, orders):
    """No row is blamed without a fault."""
    assert first_bad(database, orders, Check(column="price", test="between", least=0, most=100), "float") is None


def test_a_wrong_field_is_told_with_its_column():
    """Of thirty columns a person finds the one that was edited wrongly."""
    columns = {"price": {"kind": "float"}, "items": {"kind": "int", "at_mots": 3}}
    text = json.dumps({"source": "orders", "columns": columns})
    with pytest.raises(DataError, match=r"column 'items': .*at_mots"):
        contract_of(text, where="orders.json")
