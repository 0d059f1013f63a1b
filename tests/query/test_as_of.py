"""An as-of look-up with tolerance, said three ways: our steps, our steps key by key, and Arrow's own as-of join."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MINUTE = 60_000_000
KINDS = {
    "asks": {"id": "int", "k": "text", "at": "time", "y": "bool"},
    "events": {"k": "text", "at": "time", "x": "int"},
}
BRIEF = """
[sources.asks]
path = "asks.parquet"
key = ["id"]
time = "at"
known = { "*" = "at" }
[sources.events]
path = "events.parquet"
key = ["k", "at"]
time = "at"
known = "at"
[target]
examples = "asks"
predict_at = "at"
label = "y"
label_known_at = "at"
act_on = "top 1 per day"
[features]
x = { from = "events", match = ["k"], take = "x", max_age = "5 minutes" }
"""
keys = st.sampled_from(["a", "b", "c"])
events = st.lists(
    st.tuples(keys, st.integers(0, 40), st.integers(-9, 9)), max_size=30, unique_by=lambda row: (row[0], row[1])
)
asks = st.lists(st.tuples(keys, st.integers(0, 45)), min_size=1, max_size=20)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(events=events, asks=asks)
def test_an_as_of_look_up_equals_arrows_whole_and_key_by_key(world_of, events, asks) -> None:
    """Exact matches count, so does an age of exactly the tolerance, and nothing beyond."""
    happened = [{"k": k, "at": at * MINUTE, "x": x} for k, at, x in events]
    asked = [{"id": i, "k": k, "at": at * MINUTE, "y": True} for i, (k, at) in enumerate(asks)]

    def found(happened, asked):
        with tempfile.TemporaryDirectory() as folder:
            world = world_of(KINDS, Path(folder))
            files = {"events": world.write("events", happened), "asks": world.write("asks", asked)}
            rows = world.features(world.definitions(BRIEF), files, as_of_us=60 * MINUTE)
        return {row["id"]: row["x"] for row in rows}

    whole = found(happened, asked)
    parts = [
        found([e for e in happened if e["k"] == key], mine)
        for key in "abc"
        if (mine := [a for a in asked if a["k"] == key])
    ]
    assert {i: x for part in parts for i, x in part.items()} == whole
    left = pa.table({n: [a[n] for a in asked] for n in ("id", "k", "at")}).sort_by("at")
    kinds = {"k": pa.string(), "at": pa.int64(), "x": pa.int64()}
    right = pa.table({n: pa.array([e[n] for e in happened], kind) for n, kind in kinds.items()}).sort_by("at")
    joined = left.join_asof(right, on="at", by="k", tolerance=-5 * MINUTE)
    assert dict(zip(joined["id"].to_pylist(), joined["x"].to_pylist(), strict=True)) == whole
