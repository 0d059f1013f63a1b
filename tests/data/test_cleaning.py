"""Cleaning: declared, learned from the training period alone, the same for a table and for one row, and reported."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.data.cleaning import cleaning_report, learn
from headway.errors import BriefError, DataError
from headway.nouns.brief import Brief
from headway.nouns.cleaning import UNITS, Clean, Fitted, Once, converted
from headway.query.cleaning import cleaned
from headway.query.compile import Scope, compile_expression, quote
from headway.query.database import Database
from headway.query.point_in_time import PointInTime
from headway.query.resolver import resolve
from headway.query.row_form import RowForm

US = 1_000_000
KINDS = {"id": "int", "t": "time", "x": "float", "n": "int", "c": "text", "g": "text"}
_moment = dt.datetime.fromisoformat


def _both(spec: Clean, values: list[Any], kind: str, groups: list[Any] | None = None) -> list[Any]:
    """Return cleaned values of a column ``v``, having seen that the engine and the one-row form agree on each."""
    scope = Scope.of("the row", {"v": kind, "g": "text"})
    compiled = compile_expression(cleaned("new", spec, scope, "here")["new"], scope)
    arrow = {"float": pa.float64(), "int": pa.int64(), "text": pa.string(), "time": pa.timestamp("us")}[kind]
    groups = groups or [None] * len(values)
    with Database(threads=1) as database:
        table = database.register(pa.table({"v": pa.array(values, arrow), "g": pa.array(groups, pa.string())}))
        text = f"epoch_us({compiled.sql})" if compiled.kind == "time" else compiled.sql
        engine = [row[0] for row in database.rows(f"SELECT {text} FROM {table}")]
    values = [
        (v - _moment("1970-01-01")) // dt.timedelta(microseconds=1) if isinstance(v, dt.datetime) else v for v in values
    ]
    rows = [compiled.row({"v": value, "g": group}) for value, group in zip(values, groups, strict=True)]
    assert list(map(repr, engine)) == list(map(repr, rows))
    return engine


STEPS: dict[str, tuple[dict[str, Any], str, list[Any], list[Any]]] = {
    "nulls of numbers": ({"nulls": (-999, 0.5)}, "float", [-999.0, 0.5, 1.0, None], [None, None, 1.0, None]),
    "nulls of whole numbers": ({"nulls": (-1,)}, "int", [-1, 7, None], [None, 7, None]),
    "nulls of texts": ({"nulls": ("NA", "?")}, "text", ["NA", "?", "x", None], [None, None, "x", None]),
    "trim and capitals": ({"trim": True, "case": "upper"}, "text", [" aß ", "É", None], ["Aẞ", "É", None]),
    "names": ({"map": {"US": "AA", "": "none"}}, "text", ["US", "", "DL", None], ["AA", "none", "DL", None]),
    "names, and others": ({"map": {"a": "A"}, "otherwise": "other"}, "text", ["a", "b", None], ["A", "other", None]),
    "names, no others": ({"map": {"a": "A"}, "otherwise": "missing"}, "text", ["a", "b"], ["A", None]),
    "numbers": ({"parse": "number"}, "text", ["1.5", "-2e3", "1,5", "", "inf", " 1"], [1.5, -2000.0, *[None] * 4]),
    "trimmed numbers": ({"trim": True, "nulls": ("-",), "parse": "number"}, "text", [" 1 ", "-"], [1.0, None]),
    "days": ({"parse": "moment", "format": "%d/%m/%Y"}, "text",
        ["02/01/1970", "31/02/2013", "1970-01-02"], [86400 * US, None, None]),
    "years of two digits": ({"parse": "moment", "format": "%d.%m.%y"}, "text",
        ["02.01.70", "01.01.69", "01.01.68", "02.01.1970", "2.1.70"],
        [86400 * US, -365 * 86400 * US, 35794 * 86400 * US, None, None]),
    "days of a zone": ({"parse": "moment", "zone": "America/New_York"}, "text",
        ["1970-01-02"], [(86400 + 5 * 3600) * US]),
    "moments of a zone": ({"zone": "America/New_York"}, "time", [_moment("1970-01-01"), None], [5 * 3600 * US, None]),
    "degrees": ({"convert": "F to C"}, "float", [212.0, None], [212 * (5 / 9) + -160 / 9, None]),
    "whole miles": ({"convert": "mi to km"}, "int", [10], [16.09344]),
    "bounds": ({"low": 0.0, "high": 10.0}, "float", [-1.0, 0.0, 10.0, 11.0, None], [None, 0.0, 10.0, None, None]),
    "clipped": ({"low": 0.0, "high": 10.0, "outliers": "clip"}, "float",
        [-1.0, 5.0, 11.0, None], [0.0, 5.0, 10.0, None]),
    "clipped whole": ({"low": 0.0, "outliers": "clip"}, "int", [-1, 5, None], [0.0, 5.0, None]),
    "constant": ({"fill": 7}, "int", [1, None], [1, 7]),
    "constant text": ({"fill": "unknown"}, "text", ["a", None], ["a", "unknown"]),
    "outlier filled": ({"high": 10.0, "fill": 0.5}, "float", [99.0, None, 1.0], [0.5, 0.5, 1.0]),
    "learned": ({"fill": "median", "fitted": Fitted(fill=2.5)}, "float", [1.0, None], [1.0, 2.5]),
    "learned whole": ({"fill": "median", "fitted": Fitted(fill=2.0)}, "int", [1, None], [1, 2]),
    "learned fraction": ({"fill": "mean", "fitted": Fitted(fill=2.5)}, "int", [1, None], [1.0, 2.5]),
    "learned bounds": ({"quantiles": (0.0, 1.0), "fitted": Fitted(low=1.0, high=2.0)}, "float",
        [0.0, 1.5], [None, 1.5]),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_a_step_does_what_it_says_for_a_table_and_for_one_row(name) -> None:
    """And both to the bit."""
    fields, kind, values, wanted = STEPS[name]
    assert _both(Clean(of="v", **fields), values, kind) == wanted


def test_a_group_has_its_own_stand_in_and_a_new_one_that_of_all() -> None:
    """A group that training never saw is no reason for a gap."""
    number = Clean(of="v", fill="median", by=("g",), fitted=Fitted(fill=5.0, fill_by={"a": 0.1, "b": 2.0}))
    assert _both(number, [None, None, None, None, 1.0], "float", ["a", "b", "z", None, "a"]) == [
        0.1,
        2.0,
        5.0,
        5.0,
        1.0,
    ]
    text = Clean(of="v", fill="mode", by=("g",), fitted=Fitted(fill="x", fill_by={"a": "it's"}))
    assert _both(text, [None, None, "y"], "text", ["a", "b", "a"]) == ["it's", "x", "y"]


@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(st.none() | st.text("aAbß 1.-e", max_size=6), min_size=1, max_size=20),
    trim=st.booleans(),
    case=st.sampled_from(["", "lower", "upper"]),
    parse=st.sampled_from(["", "number"]),
    low=st.none() | st.floats(-5, 0),
    high=st.none() | st.floats(0, 5),
    outliers=st.sampled_from(["missing", "clip"]),
)
def test_whatever_the_steps_both_forms_agree(values, trim, case, parse, low, high, outliers) -> None:
    """Steps in all combinations, over texts that nearly are numbers."""
    bounds = {"low": low, "high": high, "fill": 0.25} if parse else {"fill": "?"}
    spec = Clean(of="v", trim=trim, case=case, map={"a": "b"}, parse=parse, outliers=outliers, **bounds)
    assert None not in _both(spec, values, "text")


@pytest.mark.parametrize(("first", "second"), UNITS)
def test_units_are_those_of_the_books(first, second) -> None:
    """Boiling water, a marathon, a foot …: to nine digits."""
    known = {"F": 100.0, "C": 413.6, "K": -61.15, "mi": 341.180928, "nmi": 392.624, "ft": 64.6176, "in": 538.48}
    known |= {
        "mph": 341.180928,
        "kn": 392.624,
        "lb": 96.16151,
        "gal": 802.507298,
        "cent": 2.12,
        "ms": 0.212,
        "percent": 2.12,
    }
    factor, summand = converted(f"{first} to {second}")
    assert 212 * factor + summand == pytest.approx(known[first], rel=1e-6)


# -- in a brief


def _brief(**clean: dict[str, Any]) -> Brief:
    known = {"*": "t - interval 1 hour", "y": "t"}
    return msgspec.convert(
        {
            "sources": {"s": {"path": "s.parquet", "key": ["id"], "time": "t", "known": known, "clean": clean}},
            "target": {
                "examples": "s", "predict_at": "t", "label": "y > 0", "label_known_at": "t", "act_on": "top 1 per day",
            },
            "features": dict.fromkeys(clean, ""),
            "split": {"train_before": dt.date(2013, 2, 1), "validate_before": dt.date(2013, 3, 1),
                      "test_before": dt.date(2013, 4, 1)},
            "success": {"minimum": 0.1, "good_enough": 0.2},
        }
        | {"features": {f"f_{name}": name for name in clean}},
        Brief,
    )  # fmt: skip


def _rows(count: int = 400, seed: int = 7) -> pa.Table:
    import numpy as np

    chance = np.random.default_rng(seed)
    moments = np.datetime64("2013-01-01", "us") + (np.arange(count) * np.timedelta64(6, "h"))
    x = chance.normal(50, 10, count)
    return pa.table(
        {
            "id": pa.array(np.arange(count)),
            "t": pa.array(moments),
            "x": pa.array([None if chance.random() < 0.2 else float(v) for v in x], pa.float64()),
            "n": pa.array([None if chance.random() < 0.2 else int(v) for v in x], pa.int64()),
            "c": pa.array([[" aa ", "BB", "n/a", None][chance.integers(4)] for _ in range(count)]),
            "g": pa.array([["e", "w", None][chance.integers(3)] for _ in range(count)]),
            "y": pa.array(chance.normal(0, 1, count)),
        }
    )


RAW = {"s": {**KINDS, "y": "float"}}
CLEAN: dict[str, dict[str, Any]] = {
    "x_in": {"of": "x", "quantiles": [0.05, 0.95], "outliers": "clip", "fill": "median", "by": ["g"],
             "indicator": "x_gone"},
    "n_mean": {"of": "n", "fill": "mean"},
    "c_name": {"of": "c", "trim": True, "case": "upper", "nulls": ["N/A", "n/a"], "fill": "mode", "by": ["g"]},
    "x_twice": {"of": "x_in", "convert": "mi to km"},
}  # fmt: skip


def _learn(folder, table: pa.Table, brief: Brief, *, threads: int = 1):
    path = folder / f"{len(list(folder.iterdir()))}.parquet"
    pq.write_table(table, path, row_group_size=64)
    with Database(threads=threads) as database:
        return learn(brief, RAW, {"s": [path]}, database=database)


def test_what_is_learned_is_what_the_training_period_holds(tmp_path) -> None:
    """Reckoned again by hand from the rows of January alone."""
    import numpy as np

    table, brief = _rows(), _brief(**CLEAN)
    learned = _learn(tmp_path, table, brief)
    january = [row for row in table.to_pylist() if row["t"] < _moment("2013-02-01")]
    x = np.sort([row["x"] for row in january if row["x"] is not None])
    found = learned["s", "x_in"]
    assert (found.low, found.high) == tuple(np.quantile(x, [0.05, 0.95], method="inverted_cdf"))
    clipped = [np.clip(row["x"], found.low, found.high) for row in january if row["x"] is not None]
    assert found.fill == pytest.approx(np.median(clipped), rel=1e-12)
    for group, name in (("e", "e"), ("w", "w"), (None, "")):
        own = [np.clip(r["x"], found.low, found.high) for r in january if r["g"] == group and r["x"] is not None]
        assert found.fill_by[name] == pytest.approx(np.median(own), rel=1e-12)
    assert learned["s", "n_mean"].fill == pytest.approx(
        np.mean([r["n"] for r in january if r["n"] is not None]), rel=1e-12
    )
    assert learned["s", "c_name"].fill in {"AA", "BB"}


def test_nothing_after_the_training_period_is_learned_from(tmp_path) -> None:
    """Whatever happens from February on is scrambled: what was learned stays the same, to the last bit."""
    brief, table = _brief(**CLEAN), _rows()
    rows = table.to_pylist()
    for number, row in enumerate(rows):
        if row["t"] >= _moment("2013-02-01"):
            row |= {"x": 1e6 * number, "n": -number, "c": f"c{number}", "g": f"g{number}"}
    assert _learn(tmp_path, pa.Table.from_pylist(rows, table.schema), brief) == _learn(tmp_path, table, brief)


def test_what_is_learned_does_not_depend_on_the_order_of_rows_or_on_threads(tmp_path) -> None:
    """Doubles summed in another order would differ in the last bit."""
    import numpy as np

    brief, table = _brief(**CLEAN), _rows(4000)
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    first = _learn(tmp_path, table, brief)
    assert _learn(tmp_path, shuffled, brief, threads=2) == first


def test_a_value_that_became_known_too_late_is_not_learned_from(tmp_path) -> None:
    """The event came in time, and what is learned from was not known yet."""
    brief = _brief(x_in={"of": "x", "fill": "mean"})
    source = msgspec.structs.replace(
        brief.sources["s"], known={"*": "t - interval 1 hour", "x": "t + interval 20 days"}
    )
    late = msgspec.structs.replace(brief, sources={"s": source}, features={"n": "n"})
    table = _rows()
    january = [row for row in table.to_pylist() if row["t"] < _moment("2013-01-12") and row["x"] is not None]
    found = _learn(tmp_path, table, late)["s", "x_in"].fill
    assert found == pytest.approx(sum(row["x"] for row in january) / len(january), rel=1e-7)


@dataclass
class _Nothing:
    """A store of look-ups into which nobody looks."""

    as_of_us: int = 2**61
    since_us: int | None = None


def test_served_features_equal_those_of_training(tmp_path) -> None:
    """Row by row, to the bit: what was learned goes along with the brief."""
    table, brief = _rows(), _brief(**CLEAN)
    pq.write_table(table, tmp_path / "s.parquet")
    with Database(threads=1) as database:
        brief = brief.cleaned_by(learn(brief, RAW, {"s": [tmp_path / "s.parquet"]}, database=database))
        definitions = resolve(msgspec.json.decode(msgspec.json.encode(brief), type=Brief), RAW)
        name = PointInTime(database, definitions, {"s": [tmp_path / "s.parquet"]}).examples(as_of_us=2**60)
        columns = ", ".join(quote(f"feature:{feature.name}") for feature in definitions.features)
        batch = dict(database.rows(f"SELECT id, [{columns.replace(', ', '::VARCHAR, ')}::VARCHAR] FROM {name}"))
    served = RowForm(definitions, _Nothing())  # type: ignore[arg-type]
    fields = [field.name for field in definitions.request_fields]
    assert set(fields) >= {"x", "n", "c", "g"}
    with Database(threads=1) as database:
        for row in table.to_pylist():
            request = {name: row[name] for name in fields}
            request["t"] = (row["t"] - _moment("1970-01-01")) // dt.timedelta(microseconds=1)
            features = served.join(request).features
            said = [
                database.rows(f"SELECT CAST(CAST('{value!r}' AS FLOAT) AS VARCHAR)")[0][0]
                if isinstance(value, float)
                else value
                for value in features
            ] if row["id"] % 8 == 0 else None  # fmt: skip
            assert said is None or said == batch[row["id"]]


def test_the_brief_is_the_same_version_whatever_its_cleaning_has_learned() -> None:
    """What is learned follows from the data, and those have versions of their own."""
    brief = _brief(n_mean={"of": "n", "fill": "mean"})
    assert not brief.learned
    taught = brief.cleaned_by({("s", "n_mean"): Fitted(fill=1.0)})
    assert taught.learned
    assert taught != brief
    assert taught.digest == brief.digest
    assert taught.unlearned == brief


def test_a_report_says_what_each_step_changed(tmp_path) -> None:
    """Rows, gaps, and the commonest changes with their numbers; the file itself is as it was."""
    path = tmp_path / "s.parquet"
    pq.write_table(_rows(), path)
    before = path.read_bytes()
    brief = _brief(c_name=CLEAN["c_name"] | {"fill": None, "by": []}, n_in={"of": "n", "low": 40, "fill": 0})
    with Database(threads=1) as database:
        name, whole = cleaning_report(resolve(brief, RAW), {"s": [path]}, database=database)
    rows = _rows().to_pylist()
    counted = {text: sum(row["c"] == text for row in rows) for text in (" aa ", "n/a")}
    assert (name.column, name.of, name.rows) == ("c_name", "c", 400)
    assert name.changed == sum(counted.values())
    assert name.became_missing == counted["n/a"]
    assert set(name.examples) == {(" aa ", "AA", counted[" aa "]), ("n/a", "", counted["n/a"])}
    assert whole.filled == sum(row["n"] is None for row in rows)
    assert whole.changed == whole.filled + sum(row["n"] is not None and row["n"] < 40 for row in rows)
    assert path.read_bytes() == before


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "column": ({"of": "xx"}, "has no column 'xx'", "sources.s.clean.new"),
    "kind": ({"of": "x", "trim": True}, "trim is for texts", "sources.s.clean.new.trim"),
    "unit": ({"of": "x", "convert": "F to K"}, "no conversion 'F to K'", "sources.s.clean.new.convert"),
    "value": ({"of": "x", "nulls": ["a"]}, "'a' is no float", "sources.s.clean.new.nulls"),
    "bounds": ({"of": "x", "low": 2, "high": 1}, "low = 2.0 is beyond high = 1.0", "sources.s.clean.new.low"),
    "format": ({"of": "c", "parse": "moment", "format": "%d.%m"}, "no form of moments", "sources.s.clean.new"),
    "zone": ({"of": "t", "zone": "Berlin"}, "is not a time zone", "sources.s.clean.new"),
    "mean": ({"of": "c", "fill": "mean"}, "fill is for numbers", "sources.s.clean.new.fill"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_step_that_does_not_fit_is_refused_with_its_place(name) -> None:
    """Before anything is read."""
    fields, what, where = WRONG[name]
    with pytest.raises(BriefError) as caught:
        resolve(_brief(new=fields), RAW)
    assert what in caught.value.what
    assert caught.value.where == where


def test_a_cleaned_column_does_not_take_the_place_of_another() -> None:
    """What was read stays as it is."""
    with pytest.raises(BriefError, match="has a column 'x' already"):
        resolve(_brief(x={"of": "x", "fill": 0}), RAW)


def test_nothing_to_learn_from_is_said(tmp_path) -> None:
    """A training period without a value."""
    table = _rows().set_column(2, "x", pa.nulls(400, pa.float64()))
    with pytest.raises(DataError, match="no value before the training period ends") as caught:
        _learn(tmp_path, table, _brief(new={"of": "x", "fill": "mean"}))
    assert caught.value.where == "sources.s.clean.new"


# -- doubles


def _once(folder, table: pa.Table, **once: Any) -> list[tuple[Any, ...]]:
    brief = _brief(n2={"of": "n", "fill": 0})
    source = msgspec.structs.replace(brief.sources["s"], once=Once(**once))
    brief = msgspec.structs.replace(brief, sources={"s": source})
    pq.write_table(table, folder / "s.parquet")
    with Database(threads=1) as database:
        name = PointInTime(database, resolve(brief, RAW), {"s": [folder / "s.parquet"]}).table("s")
        return sorted(database.rows(f"SELECT id, n2 FROM {name}"))


@pytest.mark.parametrize(("keep", "kept"), [("last", 3), ("first", 1)])
def test_of_rows_that_are_the_same_event_one_counts(tmp_path, keep, kept) -> None:
    """The first or the last by a column; whatever order they stand in. An event at another time is another one."""
    here, later = _moment("2013-01-01"), _moment("2013-01-02")
    rows = [{"id": 1, "t": here, "n": n, "x": None, "c": "a", "g": "e", "y": 0.0} for n in (2, 3, 1)]
    rows += [{"id": 1, "t": later, "n": 9, "x": None, "c": "a", "g": "e", "y": 0.0}]
    table = pa.Table.from_pylist(rows, _rows().schema)
    assert _once(tmp_path, table, order="n", keep=keep) == [(1, kept), (1, 9)]
    assert _once(tmp_path, table.take([2, 1, 3, 0]), order="n", keep=keep) == [(1, kept), (1, 9)]


def test_without_an_order_the_same_row_counts_whatever_order_they_stand_in(tmp_path) -> None:
    """Which one is chosen by what it holds."""
    here = _moment("2013-01-01")
    rows = [{"id": 1, "t": here, "n": n, "x": None, "c": "a", "g": "e", "y": 0.0} for n in (2, 3, 1)]
    table = pa.Table.from_pylist(rows, _rows().schema)
    assert len(_once(tmp_path, table)) == 1
    assert _once(tmp_path, table) == _once(tmp_path, table.take([1, 2, 0]))
