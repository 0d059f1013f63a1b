"""A small project with every shape of feature, and a graph to serve: what the tests of serving are about.

An order is predicted to be returned. Four sources: orders (with late columns), prices that change with the hour,
products and places without time.
"""

from __future__ import annotations

import csv
import datetime as dt
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from headway.blobs import FolderBlobs
from headway.data.collect import collect
from headway.nouns.brief_text import parse_brief
from headway.nouns.release import Release
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve

if TYPE_CHECKING:
    from pathlib import Path

    from headway.query.database import Database
    from headway.query.definitions import Definitions

START = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)  # summer time begins in New York and in Berlin within the month
HOUR_US = 3_600_000_000
COLUMNS = (
    *("order", "year", "month", "day", "hhmm", "due_hhmm", "product", "place", "ship_to"),
    *("amount", "weight", "coupon", "first_seen", "settle_hours", "returned", "paid"),
)

BRIEF = """
[sources.orders]
path  = "orders.csv"
key   = ["order", "placed"]
time  = "placed"
zone  = "Europe/Berlin"
nulls = ["", "NA"]
[sources.orders.derive]
placed     = "local_time(year, month, day, hhmm, 'America/New_York')"
zone       = { from = "places", match = ["place"], value = "coalesce(tz, 'UTC')" }
group      = { from = "products", match = ["product"], take = "family" }
promised   = "next_local(placed, due_hhmm, coalesce(zone, 'UTC'))"
settled    = "placed + hours(settle_hours)"
[sources.orders.known]
"*"          = "placed - interval 1 hour"
returned     = "settled"
settle_hours = "settled"
paid         = "settled"

[sources.prices]
path  = "prices.csv"
key   = ["product", "at"]
time  = "at"
known = "at + interval 10 minutes"

[sources.products]
path = "products.csv"
key  = ["product"]

[sources.places]
path = "places.csv"
key  = ["place"]

[target]
examples       = "orders"
predict_at     = "placed"
label          = "returned"
label_known_at = "settled"
act_on         = "{act_on}"

[features]
product    = "product"
big        = "amount > 50.5"
amount     = "amount / 3"
weight     = {{ value = "weight * 1000003", missing = "allow" }}
hour       = "hour(placed, 'Europe/Berlin')"
weekday    = "weekday(placed, coalesce(zone, 'UTC'))"
lead       = "hours_between(placed, promised)"
coupon     = {{ value = "lower(coalesce(coupon, 'none'))", missing = "allow" }}
gap        = {{ value = "hours_between(first_seen, placed)", missing = "allow" }}
price      = {{ from = "prices", match = ["product"], take = "price", max_age = "5 hours" }}
shop       = {{ from = "prices", match = ["product"], take = "shop", max_age = "5 hours" }}
last_price = {{ from = "prices", match = ["product"], value = "price - floor(price)" }}
returns    = {{ from = "orders", match = ["product"], window = "24 hours", value = "avg(returned)" }}
pieces     = {{ from = "orders", match = ["place", "product"], window = "6 hours", value = "sum(settle_hours)" }}
paid       = {{ from = "orders", match = ["group"], window = "12 hours", value = "avg(paid)" }}
busy       = {{ from = "orders", match = ["place"], window = "3 hours" }}
family     = {{ from = "products", match = ["product"], take = "family" }}
age        = {{ from = "products", match = ["product"], value = "year(predict_at, 'UTC') - launched" }}
far_km     = {{ distance = ["place", "ship_to"], from = "places", lat = "lat", lon = "lon" }}

[split]
by              = "time"
train_before    = 2024-03-12
validate_before = 2024-03-18
test_before     = 2024-03-24

[success]
metric      = "average_precision"
minimum     = 0.01
good_enough = 0.99
segments    = ["place"]

[serve]
refresh  = "10 minutes"
max_rows = 100
max_body_bytes = 65536
"""


@dataclass(frozen=True, repr=False)
class Project:
    """Files, blobs and definitions of the orders."""

    folder: Path
    blobs: FolderBlobs
    definitions: Definitions
    files: dict[str, list[Path]]
    columns: dict[str, dict[str, str]]

    def point_in_time(self, database: Database, definitions: Definitions | None = None) -> PointInTime:
        """Return the sources as the engine sees them."""
        return PointInTime(database, definitions or self.definitions, self.files)

    def release(self, *, name: str = "r1", bias: float = 0.0, cutoff: float = 0.5) -> Release:
        """Return a release of a graph that is put into the blobs; another ``bias`` makes another model."""
        graph = graph_of(self.definitions, bias=bias)
        return Release(
            id=name,
            model=f"model-of-{name}",
            graph=self.blobs.put(graph),
            signature=signature_of(self.definitions),
            brief=self.definitions.brief,
            columns=self.columns,
            cutoff=cutoff,
            made_us=0,
        )


def signature_of(definitions: Definitions) -> Any:
    """Return the columns of the graph."""
    from headway.nouns.examples import FeatureColumn

    return tuple(FeatureColumn(name=f.name, kind=f.kind) for f in definitions.features)


def graph_of(definitions: Definitions, *, bias: float) -> bytes:
    """Return a graph: a sigmoid of a weighted sum, missing numbers as -1, a few texts with a weight of their own."""
    nodes, constants, terms = [], [], []
    for position, feature in enumerate(definitions.features):
        name, weight = feature.name, float(np.float32(0.37 / (position + 1) * (-1) ** position))
        if feature.kind == "category":
            nodes.append(
                helper.make_node(
                    "LabelEncoder",
                    [name],
                    [f"/{name}"],
                    domain="ai.onnx.ml",
                    keys_strings=["ball", "toys", "none"],
                    values_floats=[weight, 2 * weight, 3 * weight],
                    default_float=-weight,
                )
            )
        else:
            constants += [
                numpy_helper.from_array(np.asarray([[-1.0]], dtype=np.float32), f"/m{position}"),
                numpy_helper.from_array(np.asarray([[weight / 97]], dtype=np.float32), f"/w{position}"),
            ]
            nodes += [
                helper.make_node("IsNaN", [name], [f"/n{position}"]),
                helper.make_node("Where", [f"/n{position}", f"/m{position}", name], [f"/v{position}"]),
                helper.make_node("Clip", [f"/v{position}", "/low", "/high"], [f"/c{position}"]),
                helper.make_node("Mul", [f"/c{position}", f"/w{position}"], [f"/{name}"]),
            ]
        terms.append(f"/{name}")
    constants += [
        numpy_helper.from_array(np.asarray([[bias]], dtype=np.float32), "/bias"),
        numpy_helper.from_array(np.asarray(-100, dtype=np.float32), "/low"),
        numpy_helper.from_array(np.asarray(100, dtype=np.float32), "/high"),
    ]
    nodes += [helper.make_node("Sum", [*terms, "/bias"], ["/odds"]), helper.make_node("Sigmoid", ["/odds"], ["score"])]
    kinds = {"number": TensorProto.FLOAT, "category": TensorProto.STRING}
    inputs = [helper.make_tensor_value_info(f.name, kinds[f.kind], ["n", 1]) for f in definitions.features]
    output = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph(nodes, "orders", inputs, [output], constants)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def write_sources(folder: Path, *, orders: int, seed: int = 7) -> None:
    """Write the four files: 30 days of orders, with gaps in everything that may have gaps."""
    rng = random.Random(seed)
    products, places = ["ball", "kite", "doll", "game", "é-book"], ["BER", "NYC", "TYO", "LIM", "???"]
    zones = {"BER": "Europe/Berlin", "NYC": "America/New_York", "TYO": "Asia/Tokyo", "LIM": ""}
    with (folder / "orders.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for order in range(orders):
            at = START + dt.timedelta(minutes=rng.randrange(30 * 24 * 60))
            seen = at - dt.timedelta(hours=rng.randrange(1, 2_000), microseconds=rng.randrange(10**6))
            settled = rng.random() > 0.06
            table.writerow(
                [
                    order,
                    at.year,
                    at.month,
                    at.day,
                    at.hour * 100 + at.minute,
                    rng.randrange(24) * 100 + rng.randrange(60),
                    rng.choice(products),
                    rng.choice(places),
                    rng.choice(places),
                    repr(rng.choice([rng.uniform(0, 100), round(rng.uniform(0, 100), 2), 1e-7, 12345678.9])),
                    rng.choice(["", rng.randrange(10**12)]),
                    rng.choice(["", "NA", "SPRING", "Ünder10", "none"]),
                    rng.choice(["", seen.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")]),
                    rng.choice([rng.randrange(60), 0, 1]) if settled else "",
                    rng.choice(["true", "false"]) if settled else "",
                    repr(rng.uniform(-3, 80)) if settled else "",
                ]
            )
    with (folder / "prices.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["product", "at", "price", "shop"])
        for hour in range(0, 30 * 24, 2):
            for product in products[:4]:
                if rng.random() < 0.75:
                    at = START + dt.timedelta(hours=hour)
                    price = "" if rng.random() < 0.1 else repr(rng.uniform(1, 9))
                    table.writerow([product, at.strftime("%Y-%m-%dT%H:%M:%SZ"), price, rng.choice(["a", "b", ""])])
    (folder / "products.csv").write_text(
        "product,family,launched\nball,toys,2011\nkite,toys,\ndoll,toys,1990\ngame,games,2023\n"
    )
    lines = [f"{name},{zone},{rng.uniform(-50, 60)!r},{rng.uniform(-170, 170)!r}" for name, zone in zones.items()]
    (folder / "places.csv").write_text("\n".join(["place,tz,lat,lon", *lines]) + "\n")


def make_project(folder: Path, *, orders: int = 1_500, act_on: str = "top 4 per day") -> Project:
    """Write the sources, collect them and resolve the brief."""
    folder.mkdir(parents=True, exist_ok=True)
    write_sources(folder, orders=orders)
    head, features = BRIEF.split("[target]", 1)
    brief = parse_brief(head + "[target]" + features.replace("{{", "{").replace("}}", "}").replace("{act_on}", act_on))
    blobs = FolderBlobs(folder / "blobs")
    snapshots = {name: collect(name, source, folder=folder, store=blobs) for name, source in brief.sources.items()}
    columns = {name: {c.name: c.kind for c in snapshot.columns} for name, snapshot in snapshots.items()}
    return Project(
        folder=folder,
        blobs=blobs,
        definitions=resolve(brief, columns),
        files={name: [blobs.path(segment.blob) for segment in s.segments] for name, s in snapshots.items()},
        columns=columns,
    )


def us(text: str) -> int:
    """Return a moment in UTC as microseconds."""
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def requests_of(project: Project, database: Database, table: str) -> list[dict[str, Any]]:
    """Return the examples of a table of the engine as rows of requests: moments as ISO 8601 text, gaps left out."""
    fields = project.definitions.request_fields
    texts = ", ".join(
        f'strftime("{f.name}", \'%Y-%m-%dT%H:%M:%S.%fZ\') AS "{f.name}"' if f.kind == "time" else f'"{f.name}"'
        for f in fields
    )
    rows = database.table(f'SELECT {texts} FROM {table} ORDER BY "order"').to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]
