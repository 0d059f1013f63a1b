"""Tests of the request contract: whatever is wrong is named, with its place and what is wanted."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.deploy.contract import Contract, NotJson
from headway.errors import RequestError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@pytest.fixture(scope="session")
def contract(project):
    """Return the contract of the orders."""
    return Contract(project.definitions)


def refused(contract, body):
    """Return the error about a body."""
    with pytest.raises(RequestError) as caught:
        contract.decode(body if isinstance(body, bytes) else json.dumps(body).encode())
    return caught.value


def test_a_row_comes_out_as_it_went_in(contract, row):
    """Numbers and texts stay; a moment becomes microseconds; what was not sent is None."""
    row["first_seen"] = "1970-01-01T01:00:00.000007+01:00"
    row.pop("coupon", None)
    request = contract.decode(json.dumps({"row": row}).encode())
    assert request.single
    assert request.rows == [{**dict.fromkeys(field.name for field in contract.fields), **row, "first_seen": 7}]


def test_a_whole_number_will_do_where_a_fraction_is_taken(contract, row):
    """JSON writes 5.0 as 5 as it likes; what the model sees is the same."""
    row["amount"] = 5
    (found,) = contract.decode(json.dumps({"row": row}).encode()).rows
    assert repr(found["amount"]) == "5.0"


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("year", "2024", "'2024'"),
        ("year", 2024.5, "2024.5"),
        ("year", True, "true"),
        ("year", None, "null"),
        ("year", 2**63, str(2**63)),
        ("year", 10**50, "more than 40 digits"),
        ("amount", "5", "'5'"),
        ("amount", math.nan, "NaN"),
        ("amount", math.inf, "Infinity"),
        ("amount", -math.inf, "-Infinity"),
        ("amount", [1], "a list"),
        ("product", 5, "5"),
        ("product", "", "''"),
        ("product", "x" * 1_001, "a text of 1,001 characters"),
        ("product", {"a": 1}, "an object"),
        ("first_seen", "2024-03-01", "2024-03-01"),
        ("first_seen", "2024-03-01T12:00:00", "2024-03-01T12:00:00"),
        ("first_seen", 1_700_000_000, "1700000000"),
        ("weight", 1.0, "1.0"),
    ],
)
def test_a_value_that_does_not_fit_is_named(contract, row, field, value, found):
    """The error has the field's place, what stands there and what is wanted."""
    error = refused(contract, {"rows": [row, {**row, field: value}]})
    assert error.where == f"rows[1].{field}"
    assert found in error.what
    assert "wanted" in error.what


def test_a_number_beyond_any_float_is_named(contract, row):
    """1e999 is a number in JSON, and none for anybody."""
    text = json.dumps({"row": {**row, "amount": 0}}).replace('"amount": 0', '"amount": 1e999')
    assert refused(contract, text.encode()).where == "row.amount"


def test_a_text_that_is_no_unicode_is_refused(contract, row):
    """Half of a surrogate pair can be escaped in JSON, and be written nowhere."""
    text = json.dumps({"row": {**row, "product": "?"}}).replace('"?"', '"\\ud800"')
    error = refused(contract, text.encode())
    assert error.where == "row.product"


def test_a_missing_field_without_a_policy_is_named(contract, row):
    """A look-up's field may be missing; the row's own may not, unless the brief allows it."""
    del row["hhmm"]
    error = refused(contract, {"row": row})
    assert error.where == "row.hhmm"
    assert "is missing" in error.what
    assert "missing = 'allow'" in error.hint


def test_an_unknown_field_is_named_with_the_nearest_known(contract, row):
    """A slip of the pen is not passed over: the model would silently see a gap."""
    error = refused(contract, {"row": {**row, "cupon": "x"}})
    assert (error.where, error.hint) == ("row.cupon", "Did you mean 'coupon'?")


def test_what_is_known_only_later_is_refused_with_what_to_send(contract, row):
    """The source has it, the moment of the prediction has not."""
    error = refused(contract, {"row": {**row, "returned": True}})
    assert "does not take" in error.what
    assert "hhmm" in error.hint


@pytest.mark.parametrize(
    "body",
    [
        [],
        5,
        {},
        {"row": {}, "rows": []},
        {"rows": {}},
        {"row": []},
        {"rows": [5]},
        {"rows": []},
        {"row": None},
    ],
)
def test_a_body_of_another_shape_says_which_is_wanted(contract, body):
    """One of row and rows, and nothing else."""
    error = refused(contract, body)
    assert not isinstance(error, NotJson)
    assert "row" in str(error)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"row=1", b'{"row":{}}x', b"\xff\xfe", b"[" * 100_000, b'{"row": {"a": 1,}}']
)
def test_a_body_that_is_no_json_says_so(contract, body):
    """There is no field to point at; it has a code of its own."""
    error = refused(contract, body)
    assert isinstance(error, NotJson)
    assert error.code == "request-not-json"


def test_too_many_rows_are_refused(contract, row):
    """The brief says how many are taken at once."""
    assert "at most 100" in refused(contract, {"rows": [row] * 101}).what
    assert len(contract.decode(json.dumps({"rows": [row] * 100}).encode()).rows) == 100


@given(body=JSON)
def test_no_json_leads_to_anything_but_a_request_error(contract, body):
    """Whatever comes, there is an answer or a sentence."""
    with pytest.raises(RequestError) as caught:
        contract.decode(json.dumps(body).encode())
    assert caught.value.what


@given(
    change=st.dictionaries(
        st.sampled_from(["year", "amount", "product", "first_seen", "weight", "x"]), JSON, min_size=1
    )
)
def test_the_slow_look_finds_whatever_the_fast_decoder_refuses(contract, rows, change):
    """Each refusal names a place: the two never disagree about what is wrong."""
    body = json.dumps({"row": {**rows[0], **change}}).encode()
    try:
        contract.decode(body)
    except RequestError as error:
        where = error.where
    else:
        where = "row."
    assert where.startswith("row.")


@given(body=st.binary(max_size=60))
def test_no_bytes_lead_to_anything_but_a_request_error(contract, body):
    """The same for what is no JSON."""
    with pytest.raises(RequestError):
        contract.decode(body)


def test_a_line_may_hold_what_the_source_holds(contract, row):
    """A file of past orders has late columns; they are passed over, others are not."""
    late = json.dumps({**row, "returned": "whatever", "paid": [1]}).encode()
    columns = contract.decode_lines([late], first=1, where="x.jsonl")
    assert columns["year"] == [row["year"]]
    with pytest.raises(RequestError) as caught:
        contract.decode_lines([late, b'{"yaer": 1}'], first=8, where="x.jsonl")
    assert caught.value.where == "x.jsonl, row 9.yaer"
    with pytest.raises(NotJson, match=r"row 9"):
        contract.decode_lines([late, b"{"], first=8, where="x.jsonl")
