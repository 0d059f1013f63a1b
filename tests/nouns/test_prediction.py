"""The answer as a noun: what travels through the log comes out the same."""

from __future__ import annotations

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from headway.nouns.prediction import Prediction

INT64 = st.integers(-(2**63), 2**63 - 1)
JSON_VALUE = st.none() | st.booleans() | INT64 | st.floats(allow_nan=False) | st.text()
FEATURE = st.none() | st.floats(allow_nan=False) | st.text()


@given(
    row=st.dictionaries(st.text(), JSON_VALUE),
    features=st.lists(FEATURE).map(tuple),
    score=st.floats(allow_nan=False),
    served_us=INT64,
)
def test_a_prediction_decodes_to_what_was_encoded(row, features, score, served_us):
    """decode(encode(x)) = x, missing features and numbers at their bounds included."""
    prediction = Prediction(
        served_us=served_us,
        predict_at_us=0,
        release="r",
        model="m",
        score=score,
        act=True,
        key=row,
        row=row,
        features=features,
    )
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(prediction), type=Prediction)
    assert decoded == prediction
    assert [math.copysign(1, x) for x in decoded.features if isinstance(x, float)] == [
        math.copysign(1, x) for x in features if isinstance(x, float)
    ]


def test_a_record_from_before_a_field_was_added_still_decodes():
    """Old logs lack the newer fields, and logs of a newer version have more: neither is an error."""
    old = {
        "served_us": 2,
        "predict_at_us": 1,
        "release": "r",
        "model": "m",
        "score": 0.5,
        "act": False,
        "key": {},
        "row": {},
        "features": [1],
        "of_a_later_version": [1, 2],
    }
    decoded = msgspec.convert(old, type=Prediction)
    assert decoded.rows == 1
    assert decoded.stale == ()


def test_as_dict_names_every_field():
    """What JSON replies are made of has no field missing."""
    prediction = Prediction(
        served_us=2, predict_at_us=1, release="r", model="m", score=0.5, act=False, key={}, row={}, features=()
    )
    assert set(prediction.as_dict()) == set(Prediction.__struct_fields__)
