"""One value has one text, and what has none is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.nouns.canonical import canonical_json

FINITE = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_reads_back_and_is_written_alike(value: object) -> None:
    """Decode(encode(x)) = x, and the text is a fixed point."""
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers()))
def test_the_order_of_a_mapping_does_not_matter(value: dict[str, int]) -> None:
    """Keys are sorted."""
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_numpy_scalars_are_the_numbers_they_stand_for() -> None:
    """Scores come as NumPy scalars more often than not."""
    assert canonical_json({"a": np.float64(0.1), "b": np.int64(3), "c": np.bool_(1)}) == '{"a":0.1,"b":3,"c":true}'


@pytest.mark.parametrize("value", [math.nan, math.inf, np.float64("nan"), np.float32("-inf"), [1, {"x": math.nan}]])
def test_what_is_no_number_is_refused(value: object) -> None:
    """NaN would come back as null."""
    with pytest.raises(ValueError, match="NaN and infinity"):
        canonical_json(value)


@pytest.mark.parametrize("value", [object(), {"x": np.arange(3)}, "\ud800"])
def test_what_has_no_json_is_refused(value: object) -> None:
    """The refusal is a ValueError that says so, whatever the library raised."""
    with pytest.raises(ValueError, match="cannot be"):
        canonical_json(value)
