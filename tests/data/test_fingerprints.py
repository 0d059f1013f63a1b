"""Fingerprints: what tells rows apart counts, what does not does not, and no engine has a say."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.data.fingerprints import fingerprints, mark_of, marks_of_file, sum_of_marks

KINDS = {"i": "int", "t": "text", "f": "float", "b": "bool", "m": "time"}
TYPES = {"i": pa.int64(), "t": pa.string(), "f": pa.float64(), "b": pa.bool_(), "m": pa.timestamp("us")}
ROWS = st.lists(
    st.tuples(
        st.integers(-3, 3) | st.none(),
        st.text(max_size=3) | st.sampled_from(["x" * 127, "x" * 128, "x" * 129, "x" * 200]) | st.none(),
        st.floats(allow_nan=False, width=16) | st.none(),
        st.booleans() | st.none(),
        st.integers(0, 3) | st.none(),
    ),
    max_size=20,
)


def table_of(rows: list) -> pa.Table:
    """Return rows as Arrow."""
    columns = zip(*rows, strict=True) if rows else [[]] * len(KINDS)
    return pa.table({name: pa.array(values, TYPES[name]) for name, values in zip(KINDS, columns, strict=True)})


@given(ROWS)
def test_equal_rows_have_equal_fingerprints_and_others_have_others(rows: list) -> None:
    """Down to the sign of nought and the length of a text."""
    marks = fingerprints(table_of(rows), KINDS)
    names = [repr(row) for row in table_of(rows).to_pylist()]
    pairs = list(zip(marks.first.tolist(), marks.second.tolist(), strict=True))
    assert len(set(pairs)) == len(set(names)) == len(set(zip(pairs, names, strict=True)))


@given(ROWS, ROWS)
def test_the_mark_of_a_table_is_the_sum_of_its_parts_in_any_order(first: list, second: list) -> None:
    """So what a change does to it follows from the change."""
    both = mark_of(fingerprints(table_of([*first, *second]), KINDS))
    one, two = (mark_of(fingerprints(table_of(rows), KINDS)) for rows in (first, second))
    assert both == mark_of(fingerprints(table_of([*second, *first]), KINDS)) == sum_of_marks([one, two])
    assert sum_of_marks([both], [two]) == one


def test_which_values_stand_in_one_row_counts() -> None:
    """The same values in each column, paired otherwise, are another table."""
    one = pa.table({"a": [1, 2], "b": [1, 2]})
    two = pa.table({"a": [1, 2], "b": [2, 1]})
    kinds = {"a": "int", "b": "int"}
    assert mark_of(fingerprints(one, kinds)) != mark_of(fingerprints(two, kinds))
    swapped = one.rename_columns(["b", "a"])
    assert mark_of(fingerprints(one, {"a": "int"})) != mark_of(fingerprints(swapped, {"b": "int"}))


@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize("group", [700, 70_000])
def test_a_file_and_its_table_have_the_same_fingerprints(tmp_path, coded: bool, group: int) -> None:  # noqa: FBT001
    """However the file is cut and encoded."""
    draw = np.random.default_rng(1)
    table = pa.table(
        {
            "t": [f"text {n}" for n in draw.integers(0, 70_000, 70_000)],
            "s": ["few" if n else None for n in draw.integers(0, 3, 70_000)],
            "f": draw.normal(size=70_000),
        }
    )
    kinds = {"t": "text", "s": "text", "f": "float", "not there": "int"}
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=group, use_dictionary=coded)
    read, held = marks_of_file(tmp_path / "a.parquet", kinds), fingerprints(table, kinds)
    assert (read.first == held.first).all()
    assert (read.second == held.second).all()
    assert len(set(zip(held.first.tolist(), held.second.tolist(), strict=True))) == 70_000


def test_the_fingerprint_of_a_row_is_what_it_was() -> None:
    """Stores hold versions that are named by it: it may never change."""
    table = pa.table(
        {
            "i": [1, None],
            "t": ["Größe", "x" * 300],
            "f": [0.5, -0.0],
            "b": [True, None],
            "m": pa.array([10**15, 0], pa.timestamp("us")),
        }
    )
    assert mark_of(fingerprints(table, KINDS)) == "b31753dcd9275a3f63b87be3d5c3348d"
