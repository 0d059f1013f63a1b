"""Briefs that nobody wrote: sources, keys, known times, features and targets drawn at random, and read by the oracle.

A plan is a dictionary that says a brief twice: as the TOML that Headway reads, and as what the oracle reads (functions
of a row for expressions, tuples for moments). Hypothesis draws it, and shrinks it when the two disagree.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from headway.blobs import FolderBlobs
from headway.online.fill import fill
from headway.online.store import OnlineStore
from headway.query.database import Database
from headway.query.point_in_time import PointInTime
from headway.query.row_form import RowForm

MINUTE, HOUR = 60_000_000, 3_600_000_000
PLAIN = {"id": "int", "k": "text", "n": "int", "a": "time", "c": "time", "x": "int", "f": "float", "b": "bool"}
PLAIN |= {"s": "text"}
WALL = {"year": "int", "month": "int", "day": "int", "hhmm": "int"}
PLACES = {"p": "text", "size": "int"}

# When it is: minutes on a grid so coarse that everything ties, or hours over three days with a change of the clock.
CLOCKS = [
    {"zone": "UTC", "start": dt.datetime(1970, 1, 1), "unit": MINUTE, "grid": range(25), "lengths": (2, 6, 11, 40)},  # noqa: DTZ001
    {"zone": "Europe/Berlin", "start": dt.datetime(2013, 3, 30), "unit": HOUR},  # noqa: DTZ001
    {"zone": "America/New_York", "start": dt.datetime(2013, 11, 2), "unit": HOUR},  # noqa: DTZ001
]
DAYS = {"grid": (0, 1, 2, 12, 22, 23, 24, 25, 26, 27, 28, 46, 47, 48, 49, 71, 72), "lengths": (1, 23, 24, 25, 48)}

VALUES = [
    ("x", {"x"}, lambda row: row["x"]),
    ("f", {"f"}, lambda row: row["f"]),
    ("d", {"d"}, lambda row: row["d"]),
    ("b", {"b"}, lambda row: row["b"]),
    ("x > 0", {"x"}, lambda row: None if row["x"] is None else row["x"] > 0),
]
TEXTS = [("s", {"s"}, lambda row: row["s"]), ("k", {"k"}, lambda row: row["k"])]
CONDITIONS = [
    ("x > 0", {"x"}, lambda row: row["x"] is not None and row["x"] > 0),
    ("b or x < 0", {"b", "x"}, lambda row: row["b"] is True or (row["x"] is not None and row["x"] < 0)),
    ("s = 'a'", {"s"}, lambda row: row["s"] == "a"),
    ("n is missing", {"n"}, lambda row: row["n"] is None),
]
SHAPES = ["take", "value", *["window"] * 6, "ratio", "share", "smooth", "static", "clock"]
NUMERIC = ["avg", "sum", "count", "std", "trend", "max", "min", "first", "last"]


def _moments(unit):
    """Return moments at which something is known, as text and as the oracle reads them."""
    a, c, at = ("column", "a"), ("column", "c"), ("column", "at")
    minutes = unit // MINUTE
    return [
        ("a", a),
        ("at", at),
        (f"at + interval {3 * minutes} minutes", ("plus", at, 3 * unit)),
        (f"at - interval {2 * minutes} minutes", ("plus", at, -2 * unit)),
        ("later(a, at)", ("later", a, at)),
        ("coalesce(a, c)", ("coalesce", a, c)),
        (f"later(c, a + interval {minutes} minutes)", ("later", c, ("plus", a, unit))),
    ]


@st.composite
def _rows(draw, clock):
    """Return the rows of a source on the clock's grid; some never happen, or are never known, or lack their key."""
    start, unit = clock["start_us"], clock["unit"]
    # What comes first is what Hypothesis shrinks to; what is missing is rare, or nothing would be left to look at.
    maybe = st.sampled_from([*clock["grid"], None])
    cells = st.tuples(
        st.sampled_from(["a", "a", "b", "b", "b", None]),
        st.sampled_from([0, 0, 0, 1, 1, None]),
        maybe,
        st.one_of(maybe, st.just("at"), st.just("at")),
        st.one_of(maybe, st.just("at")),
        st.sampled_from([1, -3, -1, 0, 2, None]),
        st.sampled_from([0.5, -100.0, -0.125, -0.0, 0.0, 33.375, None]),
        st.sampled_from([True, False, None]),
        st.sampled_from(["a", "b", "c", None]),
    )
    size = draw(st.integers(0, 28))
    rows = []
    for number, (k, n, at, a, c, x, f, b, s) in enumerate(draw(st.lists(cells, min_size=size, max_size=size))):
        row = {"id": number, "k": k, "n": n, "x": x, "f": f, "b": b, "s": s}
        for name, moment in (("at", at), ("a", a), ("c", c)):
            place = at if moment == "at" else moment
            row[name] = None if place is None else start + place * unit
        row["d"] = None if x is None or n is None else x * 2 + n
        row["wall"] = None if at is None else clock["start"] + dt.timedelta(microseconds=at * unit)
        rows.append(row)
    return rows


@st.composite
def _source(draw, name, clock, oracle, *, known=None):
    """Return a source: its rows, and whose key, known times and way of telling the time are drawn."""
    rows = draw(_rows(clock))
    by_wall = clock["unit"] == HOUR and draw(st.booleans())
    derive = ['d = "x * 2 + n"']
    if by_wall:
        derive.insert(0, f"at = \"local_time(year, month, day, hhmm, '{clock['zone']}')\"")
        for row in rows:
            row["at"] = None if row["wall"] is None else oracle.clock_reads(row["wall"], clock["zone"])
    moments = _moments(clock["unit"])
    form = draw(st.sampled_from(["all", "others", "some"])) if known is None else "given"
    names = ["id", "k", "n", "a", "c", "x", "f", "b", "s", *([] if by_wall else ["at"])]
    of = st.sampled_from(moments)
    if form == "all":
        known = {"": draw(of)}
    elif form == "others":
        late = draw(st.lists(st.sampled_from(["x", "f", "s", "n", "d", "id"]), unique=True, max_size=3))
        known = {"*": draw(of), **{column: draw(of) for column in late}}
    elif form == "some":
        known = {column: draw(of) for column in ("at", "k", "n", "x", "b")}
    shared = known.get("*", known.get(""))
    told = dict.fromkeys(names, shared[1]) if shared else {}
    told |= {column: moment for column, (_, moment) in known.items() if column not in {"", "*"}}
    if by_wall and "at" not in told and shared:  # known when all that it is computed from is
        told["at"] = shared[1]
    if "d" not in told and {"x", "n"} <= set(told):
        told["d"] = ("later", told["x"], told["n"])
    text = ", ".join(f'{column or "*"} = "{moment}"'.replace("* =", '"*" =') for column, (moment, _) in known.items())
    key = draw(st.sampled_from([["id"], ["k", "at"], ["n", "id", "at"], ["s", "at"], ["k", "n", "at"]]))
    return {
        "name": name,
        "rows": rows,
        "key": ["id"] if form == "given" else key,
        "time": "at",
        "known": told,
        "kinds": {**PLAIN, **(WALL if by_wall else {"at": "time"})},
        "toml": [
            f"[sources.{name}]",
            f'path = "{name}.parquet"',
            f"key = {['id'] if form == 'given' else key}",
            'time = "at"',
            f"derive = {{ {', '.join(derive)} }}",
            f"known = {{ {text} }}" if form != "all" else f'known = "{known[""][0]}"',
        ],
    }


def _usable(choices, source):
    return [each for each in choices if each[1] <= set(source["known"])]


@st.composite
def _feature(draw, clock, sources, matches):
    """Return a feature over one of the sources: as TOML, and as the oracle reads it."""
    source = sources[draw(st.sampled_from(sorted(sources)))]
    mine = draw(st.sampled_from([m for m in matches if set(m.values()) <= set(source["known"])]))
    shape = draw(st.sampled_from(SHAPES))
    if shape == "clock":
        part = draw(st.sampled_from(["hour", "weekday"]))
        zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]))
        return f"\"{part}(predict_at, '{zone}')\"", {"shape": "clock", "part": part, "zone": zone}
    if shape == "static":
        column = min(mine)
        assume(column != "n")  # places are called by texts
        toml = f'{{ from = "places", match = {{ {column} = "p" }}, take = "size" }}'
        return toml, {"shape": "static", "match": {column: "p"}}
    spec = {"shape": shape, "from": source["name"], "match": mine, "columns": set()}
    match = ", ".join(f'{own} = "{theirs}"' for own, theirs in mine.items())
    head = f'from = "{source["name"]}", match = {{ {match} }}'
    condition = draw(st.one_of(st.none(), st.sampled_from(_usable(CONDITIONS, source))))
    if condition:
        spec["where"] = {"columns": condition[1], "holds": condition[2]}
        head += f', where = "{condition[0]}"'
    return draw((_latest if shape in {"take", "value"} else _windowed)(clock, source, spec, head))


@st.composite
def _latest(draw, clock, source, spec, head):
    """Return the latest row's column, or an expression of it, perhaps of one that is not too old."""
    unit = clock["unit"]
    if spec["shape"] == "take":
        text, columns, value = draw(st.sampled_from(_usable(VALUES[:4] + TEXTS, source)))
        spec |= {"columns": columns, "value": lambda row, _: value(row)}
        head += f', take = "{text}"'
    elif draw(st.booleans()):
        spec |= {"columns": {"at"}, "value": lambda row, at: (at - row["at"]) / MINUTE}
        head += ', value = "minutes_between(at, predict_at)"'
    else:
        spec |= {"columns": {"x"}, "value": lambda row, _: None if row["x"] is None else row["x"] * 3 - 1}
        head += ', value = "x * 3 - 1"'
    age = draw(st.one_of(st.none(), st.sampled_from([1, 5, 24])))
    if age is not None:
        spec["max_age"] = age * unit
        head += f', max_age = "{age * unit // MINUTE} minutes"'
    return f"{{ {head} }}", spec


@st.composite
def _windowed(draw, clock, source, spec, head):
    """Return a window, a share of all rows, a mean drawn to that of all, or a window over one without an end."""
    unit, minutes, shape = clock["unit"], clock["unit"] // MINUTE, spec["shape"]
    plain = head
    length = draw(st.one_of(st.none(), st.sampled_from(clock["lengths"])))
    spec["window"] = None if length is None else length * unit
    head += ', window = "all"' if length is None else f', window = "{length * minutes} minutes"'
    back = draw(st.sampled_from([0, 0, *clock["lengths"][:3]]))
    if back:
        spec["offset"] = back * unit
        head += f', offset = "{back * minutes} minutes"'
    if shape == "share":
        return f'{{ {head}, value = "share()" }}', {**spec, "function": "count", "inner": None}
    if shape == "smooth":
        text, columns, inner = draw(st.sampled_from(_usable(VALUES[:1] + VALUES[3:], source)))
        spec |= {"columns": columns, "inner": inner, "weight": 5}
        return f'{{ {head}, value = "avg({text})", smooth = 5 }}', spec
    if shape == "ratio":
        # Two windows over the same rows, as two features of which a third is made.
        text, columns, inner = draw(st.sampled_from(_usable(VALUES[:1] + VALUES[4:], source)))
        above = draw(st.sampled_from(["sum", "avg", *(["max"] if text == "x" else [])]))
        shared = {"shape": "window", "columns": columns, "inner": inner}
        parts = [{**spec, **shared, "function": above}, {**spec, **shared, "function": "sum", "window": None}]
        parts[1].pop("offset", None)
        lines = [f'{{ {head}, value = "{above}({text})" }}', f'{{ {plain}, window = "all", value = "sum({text})" }}']
        return lines, {"shape": "ratio", "of": parts}
    function = draw(st.sampled_from([*NUMERIC, "distinct", "rows", "first", "last"]))
    if function == "rows":
        return f"{{ {head} }}", {**spec, "function": "count", "inner": None}
    texts = TEXTS if function in {"count", "first", "last", "distinct"} else []
    values = {"distinct": [], "first": VALUES[:3], "last": VALUES[:3]}.get(function, VALUES)
    text, columns, inner = draw(st.sampled_from(_usable(values + texts, source)))
    spec |= {"columns": columns, "inner": inner, "function": function}
    return f'{{ {head}, value = "{function}({text})" }}', spec


OUTCOMES = [
    ("count({0}) = 0", [("count", None)], lambda count: count == 0),
    ("sum({0}.x)", [("sum", "x")], lambda total: total),
    ("avg({0}.b)", [("avg", "b")], lambda mean: mean),
    ("max({0}.x) > 1", [("max", "x")], lambda most: None if most is None else most > 1),
    ("sum({0}.x) > count({0})", [("sum", "x"), ("count", None)], lambda total, count: total > count),
]


@st.composite
def _target(draw, clock, sources, shape):
    """Return what is asked: a row's own label, or one counted over a horizon, of rows or of entities at cut-offs."""
    unit, minutes = clock["unit"], clock["unit"] // MINUTE
    lines, target = ["[target]", 'act_on = "top 1 per day"'], {"outcome": None, "among": None, "cadence": None}
    if shape == "entities":
        asked = sources["s0"]
        entity = draw(st.sampled_from([["k"], ["n"], ["k", "n"]]))
        days = clock["unit"] == HOUR and draw(st.booleans())
        each = 24 if days else draw(st.sampled_from(clock["lengths"][1:4]))
        if not days and each * minutes % 1440 == 0:
            days = True
        lines += ['entities = "s0"', f"entity = {entity}", f'each = "{each * minutes} minutes"']
        lines += [f"starting = {clock['start'].date()}", f'zone = "{clock["zone"]}"']
        target["cadence"] = {"source": "s0", "entity": entity, "zone": clock["zone"], "each": each * unit}
        target["cadence"] |= {"starting": clock["start"].date(), "days": each * minutes // 1440 if days else 0}
        mine = {column: column for column in entity}
        assume(set(entity) <= set(asked["known"]))
    else:
        lines += ['examples = "s0"', 'predict_at = "at"']
        mine = {"k": "k"}
    if shape == "rows":
        lines += ['label = "x > 0"', 'label_known_at = "c"']
        return lines, {**target, "known": "c", "value": VALUES[4][2]}
    names = [name for name in sorted(sources) if set(mine.values()) <= set(sources[name]["known"])]
    name = draw(st.sampled_from(names))
    text, parts, value = draw(st.sampled_from(OUTCOMES))
    horizon, delay = draw(st.sampled_from(clock["lengths"][:3])), draw(st.sampled_from([0, 0, 2]))
    lines += [f'label = "{text.format(name)}"', f'horizon = "{horizon * minutes} minutes"']
    lines += [f'delay = "{delay * minutes} minutes"'] if delay else []
    pairs = ", ".join(f'{own} = "{theirs}"' for own, theirs in mine.items())
    lines += [f"match = {{ {pairs} }}"]
    inner = {name: function for name, _, function in VALUES}
    part = {"shape": "window", "from": name, "match": mine}
    target |= {"horizon": horizon * unit, "delay": delay * unit, "value": value}
    target["outcome"] = [
        {**part, "function": f, "columns": {c} if c else set(), "inner": inner[c] if c else None} for f, c in parts
    ]
    if draw(st.booleans()):
        back = draw(st.sampled_from(clock["lengths"]))
        lines += [f'among = "count({name}, interval {back * minutes} minutes) > 0"']
        target["among"] = {**part, "function": "count", "columns": set(), "inner": None, "window": back * unit}
    return lines, target


class Plan(dict):
    """A plan that shows itself as what one would type in again: the brief and the rows."""

    def __repr__(self) -> str:
        sources = {name: [tuple(row.values()) for row in s["rows"]] for name, s in self["world"]["sources"].items()}
        return f"{self['text']}\n{sources}\nplaces {self['world']['places']}, as of {self['as_of']}"


@st.composite
def plans(draw, oracle):
    """Return a brief over one to three sources, with everything that the oracle needs to read it."""
    clock = {**draw(st.sampled_from(CLOCKS))}
    clock = {**(DAYS if clock["unit"] == HOUR else {}), **clock}
    clock["start_us"] = oracle.clock_reads(clock["start"], clock["zone"])
    unit, minutes = clock["unit"], clock["unit"] // MINUTE
    shape = draw(st.sampled_from(["rows", "horizon", "entities", "entities"]))
    moments = dict(_moments(unit))
    early = f"at - interval {2 * minutes} minutes"
    own = {"*": (early, moments[early]), "x": ("c", ("column", "c")), "b": ("c", ("column", "c"))}
    sources = {"s0": draw(_source("s0", clock, oracle, known=None if shape == "entities" else own))}
    for number in range(1, draw(st.integers(1, 3))):
        sources[f"s{number}"] = draw(_source(f"s{number}", clock, oracle))
    lines, target = draw(_target(clock, sources, shape))
    columns = {*target["cadence"]["entity"]} if target["cadence"] else {"k", "n", "s"}
    matches = [{"k": "k"}, {"n": "n"}, {"k": "k", "n": "n"}, {"s": "k"}, {"k": "s"}]
    matches = [match for match in matches if set(match) <= columns]
    lag = draw(st.sampled_from([0, 0, 1, 3]))
    features, specs = [], {}
    for number in range(draw(st.integers(4, 9))):
        toml, spec = draw(_feature(clock, sources, matches))
        if isinstance(toml, list):
            features += [f"p{number} = {toml[0]}", f"q{number} = {toml[1]}"]
            toml = f'{{ of = ["p{number}", "q{number}"], value = "p{number} / q{number}" }}'
        features.append(f"f{number} = {toml}")
        specs[f"f{number}"] = spec
    places = draw(st.sampled_from(["ab", "a", ""]))
    text = [line for source in sources.values() for line in source["toml"]]
    text += ["[sources.places]", 'path = "places.parquet"', 'key = ["p"]', *lines]
    text += ["[serve]", f'refresh = "{lag * minutes} minutes"', "[features]", *features]
    return Plan(
        text="\n".join(text) + "\n",
        kinds={name: source["kinds"] for name, source in sources.items()} | {"places": PLACES},
        world={
            "sources": sources,
            "places": [{"p": p, "size": draw(st.one_of(st.none(), st.integers(0, 9)))} for p in places],
            "lag": lag * unit,
        },
        target=target,
        features=specs,
        as_of=clock["start_us"] + draw(st.sampled_from([100, 100, 100, *clock["grid"][8:]])) * unit,
    )


def _cell(row, name):
    wall = row["wall"]
    if name in WALL:
        return None if wall is None else {"hhmm": wall.hour * 100 + wall.minute}.get(name) or getattr(wall, name, 0)
    return row[name]


def _written(world, plan):
    files = {"places": world.write("places", plan["world"]["places"])}
    for name, source in plan["world"]["sources"].items():
        rows = [{column: _cell(row, column) for column in source["kinds"]} for row in source["rows"]]
        files[name] = world.write(name, rows, files=1 + len(rows) % 3)
    return files


def _examples(oracle, plan):
    """Return all asks by their names: an entity and a moment, or the number of a row."""
    world, target, as_of = plan["world"], plan["target"], plan["as_of"]
    if target["cadence"]:
        asks = oracle.example_moments(world, target, as_of=as_of)
    else:
        rows = world["sources"]["s0"]["rows"]
        asks = [{**row, "predict_at": row["at"]} for row in rows if row["at"] is not None and row["at"] <= as_of]
    return [ask for ask in asks if oracle.eligible(world, target, ask)]


def _agrees(found, values):
    for value in values:
        if value is None or isinstance(value, str):
            if found == value:
                return True
        elif found is not None and found == pytest.approx(float(value), rel=1e-6, abs=1e-9):
            return True
    return False


def _key(row, target):
    names = [*target["cadence"]["entity"], "predict_at"] if target["cadence"] else ["id"]
    return tuple(row[name] for name in names)


@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_brief_that_nobody_wrote_means_to_the_engine_what_it_means_to_the_oracle(world_of, oracle, data) -> None:
    """Examples, eligibility, features and labels, row by row; and serving answers with the engine's very bits."""
    plan = data.draw(plans(oracle))
    with tempfile.TemporaryDirectory() as folder, Database(threads=1) as database:
        world = world_of(plan["kinds"], Path(folder))
        definitions, files = world.definitions(plan["text"]), _written(world, plan)
        point_in_time = PointInTime(database, definitions, files)
        table = point_in_time.examples(as_of_us=plan["as_of"])
        fields = {field.name: field.kind for field in definitions.request_fields}
        moments = {"predict_at", *(name for name, kind in fields.items() if kind == "time")}
        whole = ", ".join(f'epoch_us("{name}") AS "{name}"' for name in sorted(moments))
        rows = database.table(f"SELECT * REPLACE ({whole}) FROM {table}").to_pylist()
        blobs = FolderBlobs(Path(folder) / "blobs")
        manifest = fill(definitions, point_in_time, as_of_us=plan["as_of"], since_us=None, blobs=blobs)
        form = RowForm(definitions, OnlineStore.load(manifest, blobs, definitions))
    found = {_key(row, plan["target"]): row for row in rows}
    asks = _examples(oracle, plan)
    assert sorted(map(repr, found)) == sorted(repr(_key(ask, plan["target"])) for ask in asks)
    for ask in asks:
        row = found[_key(ask, plan["target"])]
        for name, spec in plan["features"].items():
            wanted = oracle.feature(plan["world"], spec, ask)
            assert _agrees(row[f"feature:{name}"], wanted), (name, ask, wanted, row[f"feature:{name}"])
        label, censored = oracle.label(plan["world"], plan["target"], ask, as_of=plan["as_of"])
        assert _agrees(row["@label"], [label]), (ask, label, row["@label"])
        if plan["target"]["cadence"]:
            assert row["@censored"] == censored, ask
        served = form.join({name: row[name] for name in fields}).features
        assert repr(served) == repr(tuple(row[f"feature:{feature.name}"] for feature in definitions.features))
