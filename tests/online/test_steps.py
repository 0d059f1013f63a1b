"""Tests of one timeline in memory, against the simplest way to look something up."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from headway.online.steps import NOT_FOUND, Steps, ordered

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "é"]), st.integers(1, 3), st.integers(-50, 50), st.none() | st.integers(-5, 5)
    ),
    unique_by=lambda step: step[:3],
    max_size=40,
)


@given(
    steps=STEPS, asked=st.tuples(st.sampled_from(["a", "b", "é", "?", None]), st.integers(1, 3), st.integers(-60, 60))
)
def test_the_step_that_holds_is_the_last_one_not_after(steps, asked):
    """By bisection the same as by looking at every step."""
    text, number, moment_us = asked
    columns = list(zip(*steps, strict=True)) or [[], [], [], []]
    names = ["@key0", "@key1", "@at", "value"]
    kinds = [pa.string(), pa.int64(), pa.int64(), pa.int64()]
    table = pa.table({n: pa.array(c, k) for n, c, k in zip(names, columns, kinds, strict=True)})
    found = Steps(ordered(table))
    row = found.find((text, number), moment_us)
    holding = [step for step in steps if step[:2] == (text, number) and step[2] <= moment_us]
    if not holding:
        assert row == NOT_FOUND
    else:
        assert found.column("value")[row] == max(holding, key=lambda step: step[2])[3]
    assert len(found) == len({step[:2] for step in steps})


def test_what_has_no_time_holds_always():
    """A dimension has one row a key, whenever it is asked for."""
    steps = Steps(ordered(pa.table({"@key0": [3, 1, 2], "name": ["c", "a", "b"], "size": [0.5, 1.5, 2.5]})))
    assert [steps.column("name")[steps.find(key, 0)] for key in (1, 2, 3)] == ["a", "b", "c"]
    assert steps.column("size")[steps.find(3, -(2**60))] == 0.5
    assert steps.find(4, 0) == NOT_FOUND


def test_the_same_steps_in_another_order_are_the_same():
    """Whatever order the engine's threads leave, one table comes of it."""
    table = pa.table({"@key0": ["b", "a", "a"], "@at": [1, 9, 2], "n0": [1, 2, 3]})
    assert ordered(table).equals(ordered(table.take([2, 0, 1])))
